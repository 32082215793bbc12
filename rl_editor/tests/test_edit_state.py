import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.actions import (
    EFFECT_STRENGTHS,
    EQ_DB,
    FADE_CURVES,
    GAIN_DB,
    PITCH_SEMITONES,
    SPEED_DOWN_RATES,
    SPEED_UP_RATES,
    Action,
    ActionType,
    Amount,
    Size,
)
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip
from rl_editor.grid import steady_grid
from rl_editor.grid_lines import GridLines
from rl_editor.spans import Sound, Span
from rl_editor.spelling import largest_sizes
from rl_editor.tests.made_grids import grids

# 40 beats of 0.5 s: bars of four, phrases at 0, 16 and 32.
GRID = steady_grid(20.0)
LEVEL_DB = np.where(np.arange(40) < 8, -20.0, -26.0)
T, S, A = ActionType, Size, Amount


def after(*actions, grid=GRID, level_db=LEVEL_DB, episode=None) -> EditState:
    state = EditState.start(grid, level_db, episode or EpisodeConfig())
    for action in actions:
        state = state.step(Action(*action))
    return state


def test_the_empty_edit_has_no_clips():
    state = after()
    assert (state.cursor, state.clips(), state.output_s, state.done) == (0, (), 0.0, False)
    assert state.played.tolist() == [0] * 40


def test_keep_plays_the_span():
    state = after((T.KEEP, S.BAR))
    assert state.clips() == (Clip(0.0, 2.0),)
    assert state.cursor == 4


def test_cut_leaves_the_span_out():
    state = after((T.KEEP, S.BAR), (T.CUT, S.BAR), (T.KEEP, S.BEAT))
    assert state.clips() == (Clip(0.0, 2.0), Clip(4.0, 4.5, timeline_start_s=2.0))
    assert state.cursor == 9
    assert state.played.tolist() == [1] * 4 + [0] * 4 + [1] + [0] * 31


@pytest.mark.parametrize(("amount", "plays"), [(A.NEUTRAL, 2), (A.POS_SMALL, 3), (A.POS_LARGE, 4)])
def test_loop_plays_the_span_several_times(amount, plays):
    state = after((T.LOOP, S.BAR, amount))
    assert state.spans() == (Span(0, 4),) * plays
    assert state.clips()[-1].timeline_start_s == 2.0 * (plays - 1)
    assert state.played[:5].tolist() == [plays] * 4 + [0]
    assert state.cursor == 4


def test_music_goes_straight_into_and_out_of_a_loop():
    state = after((T.KEEP, S.BAR), (T.LOOP, S.BAR), (T.KEEP, S.BAR))
    assert state.spans() == (Span(0, 8), Span(4, 12))


REORDERED = {
    A.NEG_LARGE: (Span(12, 16), Span(0, 4), Span(8, 12), Span(20, 28), Span(32, 36)),
    A.NEG_SMALL: (Span(0, 4), Span(12, 16), Span(8, 12), Span(20, 28), Span(32, 36)),
    A.NEUTRAL: (Span(0, 4), Span(8, 12), Span(20, 28), Span(12, 16), Span(32, 36)),
    A.POS_LARGE: (Span(0, 4), Span(8, 12), Span(20, 28), Span(32, 36), Span(12, 16)),
}


@pytest.mark.parametrize("amount", REORDERED)
def test_reorder_puts_the_span_elsewhere(amount):
    before = [(T.KEEP, S.BAR), (T.CUT, S.BAR), (T.KEEP, S.BAR)]
    behind = [(T.CUT, S.BAR), (T.KEEP, S.BAR), (T.KEEP, S.BAR), (T.CUT, S.BAR), (T.KEEP, S.BAR)]
    state = after(*before, (T.REORDER, S.BAR, amount))
    assert state.cursor == 16
    assert state.played[12:16].tolist() == [1] * 4
    for action in behind:
        state = state.step(Action(*action))
    assert state.spans() == REORDERED[amount]


def test_spans_that_wait_come_last_when_no_clip_follows():
    state = after((T.REORDER, S.BAR, A.NEUTRAL), (T.CUT, S.TWO_PHRASES), (T.CUT, S.TWO_BARS))
    assert state.done
    assert state.spans() == (Span(0, 4),)


@pytest.mark.parametrize(
    ("size", "amount", "cursor"),
    [
        (S.BEAT, A.NEG_SMALL, 16),
        (S.BEAT, A.NEG_LARGE, 15),
        (S.BAR, A.NEG_SMALL, 16),
        (S.BAR, A.NEG_LARGE, 12),
        (S.TWO_BARS, A.NEG_SMALL, 12),
        (S.TWO_BARS, A.NEG_LARGE, 4),
        (S.TWO_PHRASES, A.NEG_SMALL, 0),
        (S.TWO_PHRASES, A.NEG_LARGE, 0),
    ],
)
def test_jump_back_plays_the_source_again_from_there(size, amount, cursor):
    state = after((T.KEEP, S.PHRASE), (T.CUT, S.BEAT), (T.JUMP_BACK, size, amount))
    assert state.cursor == cursor
    assert state.spans() == (Span(0, 16),)
    again = state.step(Action(T.KEEP, S.BEAT))
    assert again.played[cursor] == 1 + (cursor < 16)


@pytest.mark.parametrize(
    ("size", "cursor"), [(S.BEAT, 3), (S.BAR, 8), (S.TWO_BARS, 16), (S.PHRASE, 32)]
)
def test_skip_goes_to_the_boundary_after_the_span(size, cursor):
    state = after((T.KEEP, S.BEAT), (T.SKIP, size))
    assert state.cursor == cursor
    assert state.spans() == (Span(0, 1),)


@pytest.mark.parametrize("amount", Amount)
def test_fades_last_as_long_as_the_span(amount):
    curve = FADE_CURVES[amount]
    into = after((T.FADE_IN, S.BAR, amount)).clips()
    assert into == (Clip(0.0, 2.0, fade_in_s=2.0, fade_in_curve=curve),)
    out_of = after((T.FADE_OUT, S.TWO_BARS, amount)).clips()
    assert out_of == (Clip(0.0, 4.0, fade_out_s=4.0, fade_out_curve=curve),)


@pytest.mark.parametrize("amount", [A.NEG_LARGE, A.NEG_SMALL, A.POS_SMALL, A.POS_LARGE])
def test_gain_changes_the_level(amount):
    assert after((T.GAIN, S.BAR, amount)).clips() == (Clip(0.0, 2.0, gain_db=GAIN_DB[amount]),)


def gain_of_last(state) -> float:
    return state.clips()[-1].gain_db


def test_neutral_gain_matches_the_clip_before_as_it_is_heard():
    kept = after((T.KEEP, S.BAR), (T.CUT, S.BAR))
    assert gain_of_last(kept.step(Action(T.GAIN, S.BAR))) == pytest.approx(6.0)
    quiet = after((T.GAIN, S.BAR, A.NEG_SMALL), (T.CUT, S.BAR))
    assert gain_of_last(quiet.step(Action(T.GAIN, S.BAR))) == pytest.approx(3.0)


def test_neutral_gain_takes_mean_power_weighted_by_time():
    # Half of the clip before has 4 times the power of the rest: 10 log10(2.5) above it.
    state = after((T.CUT, S.BAR), (T.KEEP, S.TWO_BARS), (T.CUT, S.BAR), (T.GAIN, S.BAR))
    expected_db = 10 * np.log10((10**-2.0 + 10**-2.6) / 2) + 26.0
    assert gain_of_last(state) == pytest.approx(expected_db)


def test_neutral_gain_is_limited_to_12_db():
    level_db = np.where(np.arange(40) < 4, -10.0, -60.0)
    assert gain_of_last(after((T.KEEP, S.BAR), (T.GAIN, S.BAR), level_db=level_db)) == 12.0


def test_neutral_gain_needs_a_clip_before_and_two_levels():
    silent_start = np.where(np.arange(40) < 4, -120.0, -20.0)
    for state in (
        after(),
        after((T.KEEP, S.BAR), level_db=None),
        after((T.KEEP, S.BAR), level_db=silent_start),
        after((T.CUT, S.BAR), (T.KEEP, S.BAR), (T.JUMP_BACK, S.TWO_BARS, A.NEG_SMALL),
              level_db=silent_start),
    ):  # fmt: skip
        assert state.masks().amount[T.GAIN].tolist() == [True, True, False, True, True]
        with pytest.raises(ValueError, match="no level to match"):
            state.step(Action(T.GAIN, S.BAR))


@pytest.mark.parametrize("amount", Amount)
@pytest.mark.parametrize(
    ("kind", "rates"), [(T.SPEED_UP, SPEED_UP_RATES), (T.SPEED_DOWN, SPEED_DOWN_RATES)]
)
def test_speed_changes_the_length_of_the_output(kind, rates, amount):
    state = after((kind, S.BAR, amount), (T.KEEP, S.BAR))
    fast, kept = state.clips()
    assert fast == Clip(0.0, 2.0, rate=rates[amount])
    assert kept.timeline_start_s == pytest.approx(2.0 / rates[amount])
    assert state.output_s == pytest.approx(2.0 + 2.0 / rates[amount])


def test_reverse_plays_each_span_backwards_by_itself():
    state = after((T.REVERSE, S.BEAT), (T.REVERSE, S.BEAT))
    assert state.clips() == (
        Clip(0.0, 0.5, reverse=True),
        Clip(0.5, 1.0, timeline_start_s=0.5, reverse=True),
    )


STEADY_EFFECTS = {
    T.PITCH_UP: ("semitones", PITCH_SEMITONES),
    T.PITCH_DOWN: ("semitones", tuple(-s for s in PITCH_SEMITONES)),
    T.EQ_LOW: ("eq_low_db", EQ_DB),
    T.EQ_HIGH: ("eq_high_db", EQ_DB),
    T.DISTORTION: ("distortion", EFFECT_STRENGTHS),
    T.REVERB: ("reverb", EFFECT_STRENGTHS),
}


@pytest.mark.parametrize(("kind", "amount"), list(itertools.product(STEADY_EFFECTS, Amount)))
def test_steady_effects_set_one_property(kind, amount):
    name, values = STEADY_EFFECTS[kind]
    if values[amount] is None:
        with pytest.raises(ValueError, match="no such amount"):
            after((kind, S.BAR, amount))
        return
    state = after((kind, S.BAR, amount))
    assert state.clips() == (Clip(0.0, 2.0, **{name: values[amount]}),)
    assert state.step(Action(kind, S.BAR, amount)).clips() == (
        Clip(0.0, 4.0, **{name: values[amount]}),
    )


def test_repeat_previous_plays_the_end_of_the_output_again():
    state = after((T.KEEP, S.BAR), (T.CUT, S.BAR), (T.GAIN, S.BAR, A.POS_SMALL))
    loud = Sound(gain_db=3.0)
    bar = state.step(Action(T.REPEAT_PREV, S.BAR))
    assert bar.spans() == (Span(0, 4), Span(8, 12, loud), Span(8, 12, loud))
    assert bar.cursor == state.cursor == 12
    longer = bar.step(Action(T.CUT, S.BAR)).step(Action(T.REPEAT_PREV, S.TWO_BARS))
    assert longer.spans() == (Span(0, 4), *(Span(8, 12, loud),) * 4)
    assert longer.played[8:12].tolist() == [4] * 4


def test_repeat_previous_needs_as_many_beats_of_output():
    assert not after().masks().type[T.REPEAT_PREV]
    state = after((T.KEEP, S.BEAT), (T.CUT, S.BAR))
    assert state.masks().size[T.REPEAT_PREV].tolist() == [True, False, False, False, False]
    with pytest.raises(ValueError, match="only 1 beats"):
        state.step(Action(T.REPEAT_PREV, S.BAR))


def test_swap_next_plays_the_following_span_first():
    state = after((T.SWAP_NEXT, S.BAR), (T.KEEP, S.BAR))
    assert state.spans() == (Span(4, 8), Span(0, 4), Span(8, 12))
    assert state.clips()[1] == Clip(0.0, 2.0, timeline_start_s=2.0)
    assert state.cursor == 12


def test_budgets_close_jumps_and_repeats():
    episode = EpisodeConfig(jump_budget=1, repeat_budget=1)
    state = after((T.KEEP, S.BAR), (T.REPEAT_PREV, S.BAR), episode=episode)
    assert not state.masks().type[T.REPEAT_PREV]
    with pytest.raises(ValueError, match="all 1 repeats are spent"):
        state.step(Action(T.REPEAT_PREV, S.BEAT))
    state = state.step(Action(T.JUMP_BACK, S.BEAT, A.NEG_SMALL))
    assert not state.masks().type[T.JUMP_BACK]
    with pytest.raises(ValueError, match="all 1 jumps are spent"):
        state.step(Action(T.JUMP_BACK, S.BEAT, A.NEG_SMALL))


def test_a_step_leaves_the_state_before_as_it_was():
    state = after((T.KEEP, S.BAR))
    state.step(Action(T.LOOP, S.BAR))
    assert state.spans() == (Span(0, 4),)
    assert state.played.sum() == 4
    with pytest.raises(ValueError, match="read-only"):
        state.played[0] = 3


def test_after_the_end_nothing_is_allowed():
    state = after((T.CUT, S.TWO_PHRASES), (T.KEEP, S.TWO_BARS))
    assert state.done
    assert not any(mask.any() for mask in state.masks())
    with pytest.raises(ValueError, match="end of the recording"):
        state.step(Action(T.KEEP, S.BEAT))


def test_numbers_outside_the_action_space_are_refused():
    for action in ((20, 0, 2), (0, 5, 2), (0, 0, -1)):
        with pytest.raises(ValueError, match="is not a valid"):
            after().step(action)


def test_levels_must_fit_the_grid():
    for level_db in (np.zeros(39), np.full(40, np.nan)):
        with pytest.raises(ValueError, match="40 finite numbers"):
            after(level_db=level_db)


def random_legal(state, rng) -> Action:
    masks = state.masks()
    kind = int(rng.choice(np.flatnonzero(masks.type)))
    size = int(rng.choice(np.flatnonzero(masks.size[kind])))
    return Action(T(kind), S(size), A(int(rng.choice(np.flatnonzero(masks.amount[kind])))))


def random_levels(grid, seed) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(grid.n_beats) < 0.2, -120.0, rng.uniform(-60, 0, grid.n_beats))


@settings(max_examples=60, deadline=None)
@given(grid=grids(), seed=st.integers(0, 2**32 - 1))
def test_any_chain_of_allowed_choices_is_legal_and_ends(grid, seed):
    rng = np.random.default_rng(seed)
    episode = EpisodeConfig(jump_budget=3, repeat_budget=3)
    state = EditState.start(grid, random_levels(grid, seed), episode)
    while not state.done:
        masks = state.masks()
        assert masks.type[[T.KEEP, T.CUT]].all()
        assert masks.size[[T.KEEP, T.CUT], S.BEAT].all()
        np.testing.assert_array_equal(masks.type, (masks.size.any(1) & masks.amount.any(1)))
        state = state.step(random_legal(state, rng))
        assert len(state.actions) <= grid.n_beats * 4 + 3
    heard = np.zeros(grid.n_beats, dtype=int)
    for span in state.spans():
        heard[span.start : span.end] += 1
    np.testing.assert_array_equal(state.played, heard)


@settings(max_examples=30, deadline=None)
@given(grid=grids(), seed=st.integers(0, 2**32 - 1))
def test_clips_lie_back_to_back_and_make_up_the_output(grid, seed):
    rng = np.random.default_rng(seed)
    state = EditState.start(grid, random_levels(grid, seed), EpisodeConfig())
    while not state.done:
        state = state.step(random_legal(state, rng))
    position_s = 0.0
    for clip in state.clips():
        length_s = (clip.source_end_s - clip.source_start_s) / clip.rate
        assert clip.timeline_start_s == pytest.approx(position_s)
        assert {clip.source_start_s, clip.source_end_s} <= set(grid.edges_s.tolist())
        assert clip.fade_in_s in (0.0, length_s)
        assert abs(clip.gain_db) <= 12.0
        position_s += length_s
    assert state.output_s == pytest.approx(position_s)


@settings(max_examples=15, deadline=None)
@given(grid=grids(max_beats=12), seed=st.integers(0, 2**32 - 1))
def test_masks_allow_exactly_what_a_step_accepts(grid, seed):
    rng = np.random.default_rng(seed)
    state = EditState.start(grid, random_levels(grid, seed), EpisodeConfig(1, 1))
    for _ in range(int(rng.integers(6))):
        if not state.done:
            state = state.step(random_legal(state, rng))
    masks = state.masks()
    for action in itertools.product(ActionType, Size, Amount):
        allowed = masks.type[action[0]] & masks.size[action[:2]] & masks.amount[action[::2]]
        if allowed:
            assert state.step(action).actions[-1] == action
        else:
            with pytest.raises(ValueError, match="not allowed"):
                state.step(action)


FORWARD = [t for t in ActionType if t not in (T.JUMP_BACK, T.REPEAT_PREV, T.REORDER, T.LOOP)]


@settings(max_examples=30, deadline=None)
@given(grid=grids(), seed=st.integers(0, 2**32 - 1))
def test_without_loops_jumps_and_repeats_the_track_is_covered_once(grid, seed):
    rng = np.random.default_rng(seed)
    state = EditState.start(grid, None, EpisodeConfig())
    left_out = np.zeros(grid.n_beats, dtype=int)
    while not state.done:
        action = random_legal(state, rng)
        if action.type not in FORWARD:
            continue
        following = state.step(action)
        if action.type in (T.CUT, T.SKIP):
            left_out[state.cursor : following.cursor] += 1
        state = following
    np.testing.assert_array_equal(state.played + left_out, np.ones(grid.n_beats))


SPLITTABLE = [
    (T.KEEP, A.NEUTRAL),
    (T.CUT, A.NEUTRAL),
    (T.GAIN, A.POS_SMALL),
    (T.SPEED_UP, A.POS_LARGE),
    (T.REVERB, A.NEUTRAL),
    (T.REORDER, A.NEG_SMALL),
    (T.REORDER, A.NEUTRAL),
    (T.REORDER, A.POS_LARGE),
]


@settings(max_examples=100, deadline=None)
@given(grid=grids(), choices=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(SPLITTABLE))))
def test_beats_and_phrases_spell_the_same_edit(grid, choices):
    lines = GridLines.of(grid)
    beatwise = largest = EditState.start(grid, None, EpisodeConfig())
    for n_beats, (kind, amount) in choices:
        start, end = beatwise.cursor, min(beatwise.cursor + n_beats, grid.n_beats)
        if kind == T.REORDER and amount == A.NEG_SMALL and not beatwise.arrangement.placed:
            continue
        for _ in range(start, end):
            beatwise = beatwise.step(Action(kind, S.BEAT, amount))
        for size in largest_sizes(lines, start, end):
            largest = largest.step(Action(kind, size, amount))
        assert largest.spans() == beatwise.spans()
    assert largest.clips() == beatwise.clips()
    assert len(largest.actions) <= len(beatwise.actions)
