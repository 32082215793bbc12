"""The interpreter for batches equals the one for single edits, on random actions of all types."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rl_editor.actions import Action, ActionType, Amount, Size
from rl_editor.config import EpisodeConfig
from rl_editor.edit_batch import EditBatch
from rl_editor.edit_state import EditContext, EditState
from rl_editor.edl import EditDecisionList, EdlGrid, Source, back_to_back, timeline_length
from rl_editor.grid import steady_grid
from rl_editor.observation import edit_so_far
from rl_editor.render import render_array
from rl_editor.sound_table import sound
from rl_editor.spans import Span
from rl_editor.tests.made_grids import grids
from rl_editor.units import db_to_gain

T, S, A = ActionType, Size, Amount
EPISODE = EpisodeConfig(jump_budget=4, repeat_budget=4)


def random_levels(grid, rng):
    if rng.random() < 0.2:
        return None
    steps_db = rng.choice([-60.0, -23.0, -20.0, 0.0], grid.n_beats)
    return np.where(rng.random(grid.n_beats) < 0.2, -120.0, steps_db)


def random_choices(masks, rng, favourites):
    """Return [E, 3] random allowed actions; half of them of favourite types where allowed."""
    rows = []
    for type_mask, size_mask, amount_mask in zip(*masks, strict=True):
        types = np.flatnonzero(type_mask)
        liked = [t for t in types if t in favourites]
        kind = rng.choice(liked if liked and rng.random() < 0.5 else types)
        size = rng.choice(np.flatnonzero(size_mask[kind]))
        rows.append([kind, size, rng.choice(np.flatnonzero(amount_mask[kind]))])
    return np.array(rows)


def refusal(step, action):
    """Return in which words an interpreter refuses an action, None where it does not."""
    try:
        step(action)
    except ValueError as problem:
        return str(problem)
    return None


def assert_same(batch, row, state):
    """One edit of the batch is the given state, in everything that can be asked of it."""
    assert batch.cursor[row] == state.cursor
    assert batch.done[row] == state.done
    assert batch.output_s[row] == pytest.approx(state.output_s, abs=1e-9)
    copy = batch.state(row)
    assert copy.arrangement == state.arrangement
    assert copy.actions == state.actions
    assert (copy.n_jumps, copy.n_repeats) == (state.n_jumps, state.n_repeats)
    np.testing.assert_array_equal(copy.played, state.played)
    np.testing.assert_array_equal(batch.heard.beats[row, : len(state.played)], state.played > 0)
    n_spans, spans = batch.arrangement.ended(np.array([row]))
    assert n_spans.tolist() == [len(state.spans())]
    assert [Span(a, b, sound(s, gain)) for a, b, s, gain in spans.tolist()] == [*state.spans()]
    assert copy.clips() == state.clips()
    for ours, theirs in zip(batch.masks(), state.masks(), strict=True):
        np.testing.assert_array_equal(ours[row], theirs)
    so_far = edit_so_far(state)
    assert batch.last[row, 1] - 1 == so_far.last_kept[0]
    assert batch.heard.run_beats[row] == so_far.run_beats[0]


@settings(max_examples=25, deadline=None)
@given(
    tracks=st.lists(grids(max_beats=60), min_size=1, max_size=3),
    favourites=st.sets(st.sampled_from(ActionType), max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_batch_does_what_single_edits_do(tracks, favourites, seed):
    rng = np.random.default_rng(seed)
    contexts = [EditContext.of(grid, random_levels(grid, rng), EPISODE) for grid in tracks]
    batch = EditBatch(contexts, EPISODE, 5)
    recordings = rng.integers(len(contexts), size=5)
    batch.begin(np.arange(5), recordings)
    states = [EditState.begin(contexts[r]) for r in recordings]
    for _ in range(40):
        for row in np.flatnonzero(batch.done):
            recording = rng.integers(len(contexts))
            batch.begin(np.array([row]), np.array([recording]))
            states[row] = EditState.begin(contexts[recording])
        actions = random_choices(batch.masks(), rng, favourites)
        batch.step(actions)
        states = [state.step(action) for state, action in zip(states, actions, strict=True)]
        for row, state in enumerate(states):
            assert_same(batch, row, state)


PLAIN = [T.KEEP, T.CUT, T.LOOP, T.REORDER, T.JUMP_BACK, T.SKIP, T.GAIN, T.REVERSE, T.REPEAT_PREV,
         T.SWAP_NEXT]  # fmt: skip
SR = 1000


def edit_at_random(grid, kinds, seed):
    """Return the end of one edit of a batch of three under random allowed actions."""
    rng, context = np.random.default_rng(seed), EditContext.of(grid, None, EPISODE)
    batch, cover = EditBatch([context], EPISODE, 3), np.zeros((3, grid.n_beats), dtype=int)
    for _ in range(4 * grid.n_beats + 8):
        actions = random_choices(batch.masks(), rng, kinds)
        actions[~np.isin(actions[:, 0], kinds)] = T.KEEP, S.BEAT, A.NEUTRAL
        before = batch.cursor.copy()
        batch.step(actions)
        for row in np.flatnonzero(np.isin(actions[:, 0], [T.CUT, T.SKIP])):
            cover[row, before[row] : batch.cursor[row]] += 1
        if batch.done.any():
            row = int(np.argmax(batch.done))
            return batch.state(row), cover[row]
    raise AssertionError("no episode ended")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_renderer_plays_every_clip_of_the_interpreter_to_the_sample(seed):
    grid = steady_grid(12.0)
    state, _ = edit_at_random(grid, PLAIN, seed)
    assume(state.spans())
    source = np.random.default_rng(seed).uniform(-0.1, 0.1, (12 * SR, 1)).astype(np.float32)
    expected = [np.zeros((0, 1), dtype=np.float32)]
    for span in state.spans():
        heard = source[span.start * SR // 2 : span.end * SR // 2] * db_to_gain(span.sound.gain_db)
        expected.append(heard[::-1] if span.sound.reverse else heard)
    clips = back_to_back(state.clips(), SR)
    about = Source("", "", SR, 1, 12.0)
    edl = EditDecisionList(about, timeline_length(clips, SR) / SR, clips, (), EdlGrid.of(grid))
    np.testing.assert_allclose(render_array(edl, source), np.concatenate(expected), atol=1e-6)
    assert len(np.concatenate(expected)) == pytest.approx(state.output_s * SR)


@settings(max_examples=20, deadline=None)
@given(grid=grids(), seed=st.integers(0, 2**32 - 1))
def test_every_beat_is_heard_or_left_out_once_where_nothing_is_played_again(grid, seed):
    again = (T.LOOP, T.JUMP_BACK, T.REPEAT_PREV)
    state, left_out = edit_at_random(grid, [kind for kind in T if kind not in again], seed)
    np.testing.assert_array_equal(state.played + left_out, 1)


@settings(max_examples=10, deadline=None)
@given(grid=grids(max_beats=12), seed=st.integers(0, 2**32 - 1))
def test_a_batch_refuses_what_a_single_edit_refuses_in_the_same_words(grid, seed):
    rng = np.random.default_rng(seed)
    context = EditContext.of(grid, random_levels(grid, rng), EpisodeConfig(1, 1))
    batch = EditBatch([context], EpisodeConfig(1, 1), 1)
    for _ in range(int(rng.integers(6))):
        if not batch.done[0]:
            batch.step(random_choices(batch.masks(), rng, []))
    state = batch.state(0)
    wrong = [(20, 0, 2), (0, 5, 2), (0, 0, -1)]
    for action in [*itertools.product(range(20), range(5), range(5)), *wrong]:
        words = refusal(state.step, action)
        if words is not None:
            assert refusal(batch.step, np.array([action])) == words
    assert_same(batch, 0, state)


def test_a_refused_action_leaves_the_whole_batch_as_it_was():
    context = EditContext.of(steady_grid(20.0), None, EpisodeConfig())
    batch = EditBatch([context], EpisodeConfig(), 2)
    batch.step(np.array([[T.KEEP, S.BAR, A.NEUTRAL]] * 2))
    with pytest.raises(ValueError, match="KEEP BEAT POS_LARGE is not allowed at beat 4"):
        batch.step(np.array([[T.CUT, S.BAR, A.NEUTRAL], [T.KEEP, S.BEAT, A.POS_LARGE]]))
    assert batch.cursor.tolist() == [4, 4]
    assert batch.history(np.arange(2))[0].tolist() == [1, 1]


def test_actions_must_be_one_row_an_edit():
    batch = EditBatch([EditContext.of(steady_grid(5.0), None, EPISODE)], EPISODE, 2)
    with pytest.raises(ValueError, match="2 actions of 3 numbers"):
        batch.step(np.array([[0, 0, 2]]))


def test_long_edits_find_room():
    """More spans, waiting spans and actions than a batch has room for at first."""
    context = EditContext.of(steady_grid(150.0), None, EpisodeConfig())
    batch, state = EditBatch([context], EpisodeConfig(), 1), EditState.begin(context)
    waiting = [(T.REORDER, S.BEAT, A.NEUTRAL), (T.CUT, S.BEAT, A.NEUTRAL)] * 50
    for action in [*waiting, *[(T.REVERSE, S.BEAT, A.NEUTRAL)] * 80, (T.LOOP, S.BAR, A.POS_LARGE)]:
        batch.step(np.array([action]))
        state = state.step(Action(*action))
    assert_same(batch, 0, state)
    assert len(state.spans()) == 50 + 80 + 4
