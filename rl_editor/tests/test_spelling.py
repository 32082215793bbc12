import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.actions import Action, ActionType, Size
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.grid import steady_grid
from rl_editor.grid_lines import GridLines
from rl_editor.spelling import largest_sizes, sizes_within
from rl_editor.tests.made_edits import spell
from rl_editor.tests.made_grids import grids


@st.composite
def masked_grids(draw):
    """Return a grid and which of its beats stay, in runs."""
    grid = draw(grids())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    changes = rng.random(grid.n_beats) < rng.uniform(0, 0.5)
    return grid, np.cumsum(changes) % 2 == 0


def test_a_phrase_and_a_bar_are_spelled_in_their_sizes():
    keep = np.arange(40) < 20
    assert spell(steady_grid(20.0), keep) == (
        Action(ActionType.KEEP, Size.PHRASE),
        Action(ActionType.KEEP, Size.BAR),
        Action(ActionType.CUT, Size.TWO_PHRASES),
    )


@settings(max_examples=60, deadline=None)
@given(case=masked_grids())
def test_a_spelled_edit_replays_to_its_beats(case):
    grid, keep = case
    state = EditState.start(grid, None, EpisodeConfig())
    for action in spell(grid, keep):
        state = state.step(action)
    assert state.done
    np.testing.assert_array_equal(state.played, keep)


@settings(max_examples=60, deadline=None)
@given(grid=grids(), ends=st.tuples(st.integers(0, 39), st.integers(1, 40)))
def test_no_spelling_is_shorter(grid, ends):
    start, end = sorted(min(e, grid.n_beats) for e in ends)
    lines = GridLines.of(grid)
    fewest = {end: 0}
    for beat in range(end - 1, start - 1, -1):
        fewest[beat] = 1 + min(fewest[e] for e in lines.span_end[beat].tolist() if e <= end)
    assert len(largest_sizes(lines, start, end)) == fewest[start]


@settings(max_examples=60, deadline=None)
@given(case=masked_grids(), seed=st.integers(0, 99))
def test_sizes_within_are_those_whose_span_has_one_label(case, seed):
    grid, keep = case
    labels = np.where(keep, np.random.default_rng(seed).integers(0, 2, grid.n_beats), -1)
    lines = GridLines.of(grid)
    right = sizes_within(grid, labels)
    assert right.shape == (grid.n_beats, 5)
    for beat in range(grid.n_beats):
        for size in Size:
            span = labels[beat : lines.span_end[beat, size]]
            allowed = lines.size_allowed[beat, ActionType.KEEP, size]
            assert right[beat, size] == (allowed and np.all(span == span[0]))
    assert right[:, Size.BEAT].all()
