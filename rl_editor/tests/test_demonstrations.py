import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_editor.actions import ActionType, Amount
from rl_editor.demonstrations import Demonstration, demonstrate, edit_context
from rl_editor.edit_state import EditState
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.materials import Material
from rl_editor.tests.made_edits import spell
from rl_editor.tests.made_grids import grids
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth

SR = 8000


def track_on(grid: BeatGrid) -> Track:
    features = np.zeros((grid.n_beats, len(FEATURE_NAMES)), dtype=np.float32)
    features[:, FEATURE_NAMES.index("rms_db")] = -20.0
    none = np.zeros((grid.n_beats, 0), dtype=np.float32)
    no_match = np.full(grid.n_beats, -1, dtype=np.int64)
    n_samples = round(grid.duration_s * SR)
    return Track("", "", SR, 1, n_samples, grid, features, none, no_match, no_match, "test")


def replay(demonstration: Demonstration) -> EditState:
    state = EditState.begin(edit_context(demonstration.track))
    for action in demonstration.actions:
        state = state.step(action)
    assert state.done
    return state


def beats_heard(state: EditState) -> list[int]:
    return [beat for span in state.spans() for beat in range(span.start, span.end)]


def music(start_s, end_s, piece_start_s, **more) -> Segment:
    return Segment(start_s, end_s, Material.MUSIC, True, piece_start_s=piece_start_s, **more)


def junk(start_s, end_s, material=Material.TALK, **more) -> Segment:
    return Segment(start_s, end_s, material, False, **more)


def moved(places: list[int | None], part_s=2.0, grid=None) -> Demonstration:
    """Return the demonstration of bars (of 2 s) at these places of the piece; None is junk."""
    segments = [
        junk(i * part_s, (i + 1) * part_s)
        if place is None
        else music(i * part_s, (i + 1) * part_s, place * part_s)
        for i, place in enumerate(places)
    ]
    duration_s = part_s * len(places)
    return demonstrate(
        track_on(grid or steady_grid(duration_s)), Truth(duration_s, tuple(segments))
    )


def test_labels_are_shares_of_each_beat():
    segments = (
        junk(0.0, 1.1, confidence=0.5),
        music(1.1, 2.0, 0.0, confidence=1.0),
        junk(2.0, 4.0, Material.REDUNDANT_REPEAT, equally_good=True, piece_start_s=0.0),
    )
    made = demonstrate(track_on(steady_grid(4.0)), Truth(4.0, segments))
    np.testing.assert_allclose(made.wanted, [0, 0, 0.8, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(made.confidence, [0.5, 0.5, 0.9, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(made.equally_good, [0, 0, 0, 0, 1, 1, 1, 1])
    assert made.material.tolist() == [1, 1, 0, 0, 9, 9, 9, 9]
    assert made.keep.tolist() == [False, False, True, True] + [False] * 4
    assert beats_heard(replay(made)) == [2, 3]


@settings(max_examples=50, deadline=None)
@given(grid=grids(), seed=st.integers(0, 2**32 - 1))
def test_a_demonstration_in_order_replays_to_its_beats(grid, seed):
    rng = np.random.default_rng(seed)
    cuts_s = np.sort(rng.uniform(0, grid.duration_s, int(rng.integers(0, 12))))
    edges_s = [0.0, *cuts_s.tolist(), grid.duration_s]
    segments, piece_s = [], 0.0
    for start_s, end_s in itertools.pairwise(edges_s):
        if rng.random() < 0.5:
            segments.append(music(start_s, end_s, piece_s))
            piece_s += end_s - start_s
        else:
            segments.append(junk(start_s, end_s))
    made = demonstrate(track_on(grid), Truth(grid.duration_s, tuple(segments)))
    assert made.unexpressed == ()
    assert len(made.actions) <= len(spell(grid, made.keep))
    assert made.replayed_share == 1.0
    np.testing.assert_array_equal(replay(made).played, made.keep)


def bars_heard(demonstration: Demonstration) -> list[int]:
    """Return the recording's bars of four beats in the order of the output."""
    beats = beats_heard(replay(demonstration))
    assert all(beats[i + 1] == beats[i] + 1 for i in range(len(beats)) if i % 4 < 3)
    return [beat // 4 for beat in beats[::4]]


@pytest.mark.parametrize(
    ("places", "order", "moves"),
    [
        # Two bars that changed places.
        ([0, 2, 1, 3], [0, 2, 1, 3], [(ActionType.SWAP_NEXT, Amount.NEUTRAL)]),
        # The beginning was recorded last.
        ([1, None, 2, None, 0], [4, 0, 2], [(ActionType.REORDER, Amount.NEG_LARGE)]),
        # The end was recorded first.
        ([2, None, 0, None, 1], [2, 4, 0], [(ActionType.REORDER, Amount.POS_LARGE)]),
        # A bar belongs before the passage that was recorded just before it.
        ([0, None, 2, 3, None, 1, 4], [0, 5, 2, 3, 6], [(ActionType.REORDER, Amount.NEG_SMALL)]),
        # A bar belongs after the passage that was recorded just after it.
        ([0, 3, None, 1, 2, None, 4], [0, 3, 4, 1, 6], [(ActionType.REORDER, Amount.NEUTRAL)]),
    ],
)
def test_each_way_to_move_a_passage_is_found(places, order, moves):
    made = moved(places)
    assert made.unexpressed == ()
    assert bars_heard(made) == order
    spelled = [
        (a.type, a.amount) for a in made.actions if a.type not in (ActionType.KEEP, ActionType.CUT)
    ]
    assert spelled == moves


def test_a_long_passage_moves_in_several_spans_that_stay_in_order():
    made = moved([None, None, 3, 4, 5, 6, None, 0, 1, 2, None, None])
    assert bars_heard(made) == [7, 8, 9, 2, 3, 4, 5]
    moves = [a for a in made.actions if a.type == ActionType.REORDER]
    assert len(moves) == 2
    assert len({a.amount for a in moves}) == 1


@settings(max_examples=40, deadline=None)
@given(places=st.permutations([*range(6), None, None]))
@example(places=[2, None, 5, 4, 0, 3, 1, None])
def test_any_order_replays(places):
    # Nobody can go back from the recording's end, so it is not part of the piece.
    made = moved([*places, None])
    np.testing.assert_array_equal(replay(made).played, made.keep)
    heard = [places[bar] for bar in bars_heard(made)]
    assert heard == sorted(heard)
    assert made.unexpressed == ()


def test_what_cannot_be_moved_is_reported():
    order = np.random.default_rng(0).permutation(40).tolist()
    made = moved([*order, None])
    assert made.unexpressed
    assert all("but no action can bring it there" in s for s in made.unexpressed)
    assert np.all(replay(made).played <= made.keep)
    assert 0.4 < made.replayed_share < 1.0


def test_a_truth_about_another_recording_is_refused():
    with pytest.raises(ValueError, match=r"about 5\.00 s, the track lasts 4\.00 s"):
        demonstrate(track_on(steady_grid(4.0)), Truth(5.0, (music(0.0, 5.0, 0.0),)))


def test_cuts_on_beats_lose_nothing_and_others_what_is_stated():
    on_beats = moved([0, None, 1])
    assert on_beats.off_beat_loss == pytest.approx(0.0, abs=1e-9)
    # Beats of half a second: 2.1 s ends a fifth into a beat, which is cut, 4.2 s is 0.3 s early.
    segments = (music(0.0, 2.1, 0.0), junk(2.1, 4.2), music(4.2, 8.0, 2.1))
    off = demonstrate(track_on(steady_grid(8.0)), Truth(8.0, segments))
    assert off.off_beat_loss == pytest.approx((0.1 + 0.2) / 5.9, abs=1e-6)
