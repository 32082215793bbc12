"""Edits with effects, repeats and moves become actions that replay to them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.config import EpisodeConfig
from rl_editor.demonstrations import Demonstration, demonstrate
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.materials import Material
from rl_editor.tests.made_edits import random_edit, uneven_track
from rl_editor.tests.test_demonstrations import replay, track_on
from rl_editor.truth import Segment, Truth

BEAT_S = 0.5
"""Of `steady_grid` at its usual tempo; a bar is 2 s."""


def whole(grid: BeatGrid, clips) -> Truth:
    """Return a truth of which only the clips count."""
    segment = Segment(0.0, grid.duration_s, Material.MUSIC, True, piece_start_s=0.0)
    return Truth(grid.duration_s, (segment,), tuple(clips))


def shown(grid: BeatGrid, clips, level_db=-20.0) -> Demonstration:
    track = track_on(grid)
    features = track.features.copy()
    features[:, FEATURE_NAMES.index("rms_db")] = level_db
    return demonstrate(dataclasses.replace(track, features=features), whole(grid, clips))


def spoken(made: Demonstration) -> list[tuple[ActionType, Amount]]:
    """Return the actions that are neither KEEP nor CUT nor SKIP."""
    plain = (ActionType.KEEP, ActionType.CUT, ActionType.SKIP)
    return [(a.type, a.amount) for a in made.actions if a.type not in plain]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_beats=st.integers(1, 200))
def test_an_edit_on_beats_replays_to_itself(seed, n_beats):
    rng = np.random.default_rng(seed)
    track = uneven_track(n_beats, rng)
    edit = random_edit(track, rng, other_share=0.1)
    if not edit.spans():
        return
    made = demonstrate(track, whole(track.grid, edit.clips()))
    assert made.replayed_share >= 0.99
    if made.replayed_share == 1.0:
        assert replay(made).spans() == edit.spans()
        assert made.unexpressed == ()


def test_all_types_are_shown_and_hardly_anything_of_wild_edits_is_lost():
    shares, types = [], set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        track = uneven_track(128, rng)
        edit = random_edit(track, rng, other_share=1.0)
        if edit.spans():
            made = demonstrate(track, whole(track.grid, edit.clips()))
            shares.append(made.replayed_share)
            types |= {action.type for action in made.actions}
            assert (made.replayed_share == 1.0) == (made.unexpressed == ())
    assert np.mean(shares) > 0.95
    assert types == set(ActionType)


@pytest.mark.parametrize(
    ("changes", "act"),
    [
        ({"gain_db": -3.0}, (ActionType.GAIN, Amount.NEG_SMALL)),
        ({"gain_db": 5.0}, (ActionType.GAIN, Amount.POS_LARGE)),
        ({"rate": 1.06}, (ActionType.SPEED_UP, Amount.NEG_SMALL)),
        ({"rate": 0.8}, (ActionType.SPEED_DOWN, Amount.POS_SMALL)),
        ({"semitones": 2.0}, (ActionType.PITCH_UP, Amount.POS_SMALL)),
        ({"semitones": -0.3}, (ActionType.PITCH_DOWN, Amount.NEG_LARGE)),
        ({"eq_low_db": -6.0}, (ActionType.EQ_LOW, Amount.NEG_LARGE)),
        ({"eq_high_db": 3.0}, (ActionType.EQ_HIGH, Amount.POS_SMALL)),
        ({"distortion": 0.6}, (ActionType.DISTORTION, Amount.NEUTRAL)),
        ({"reverb": 1.0}, (ActionType.REVERB, Amount.POS_LARGE)),
        ({"reverse": True}, (ActionType.REVERSE, Amount.NEUTRAL)),
    ],
)
def test_each_effect_becomes_its_action(changes, act):
    made = shown(steady_grid(16.0), [Clip(0.0, 4.0), Clip(4.0, 8.0, 4.0, **changes)])
    assert set(spoken(made)) == {act}
    assert made.unexpressed == ()
    assert made.replayed_share == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gain_db": -3.0, "semitones": 2.0}, "at -3.0 dB, +2 semitones away"),
        ({"rate": 1.02, "semitones": 0.343}, "1.02 times as fast"),
        ({"gain_db": -12.0}, "(0:06.0 to 0:10.0 of the recording: at -12.0 dB)"),
        ({"fade_in_s": 3.1}, "0:03.1 of the edit fades in, but no span of the grid is as long"),
    ],
)
def test_what_no_action_does_is_told_and_left_as_it_is(changes, words):
    made = shown(steady_grid(16.0), [Clip(0.0, 4.0), Clip(6.0, 10.0, 4.0, **changes)])
    assert spoken(made) == []
    assert words in made.unexpressed[0]
    assert replay(made).played.tolist() == [1] * 8 + [0] * 4 + [1] * 8 + [0] * 12


def test_fades_take_the_span_that_is_as_long():
    clip = Clip(0.0, 8.0, fade_in_s=2.1, fade_in_curve="s", fade_out_s=1.4)
    made = shown(steady_grid(16.0), [clip])
    assert spoken(made) == [
        (ActionType.FADE_IN, Amount.POS_LARGE),
        (ActionType.FADE_OUT, Amount.NEUTRAL),
    ]
    spans = replay(made).spans()
    assert [(span.start, span.end) for span in spans] == [(0, 4), (4, 13), (13, 16)]


def test_crossfades_are_left_to_the_joins():
    clips = [Clip(0.0, 4.05, fade_out_s=0.1), Clip(5.95, 10.0, 3.95, fade_in_s=0.1)]
    made = shown(steady_grid(16.0), clips)
    assert spoken(made) == []
    assert made.unexpressed == ()


def test_a_level_that_is_that_of_the_clip_before_is_matched():
    level_db = np.repeat([-20.0, -28.5], 16)
    clips = [Clip(0.0, 4.0), Clip(8.0, 10.0, 4.0, gain_db=8.5)]
    made = shown(steady_grid(16.0), clips, level_db)
    assert spoken(made) == [(ActionType.GAIN, Amount.NEUTRAL)]
    track = made.track
    state = EditState.start(track.grid, level_db, EpisodeConfig())
    for action in made.actions:
        state = state.step(action)
    assert state.spans()[-1].sound.gain_db == pytest.approx(8.5)


def test_a_bar_heard_three_times_is_a_loop():
    clips = [Clip(0.0, 4.0), Clip(2.0, 4.0, 4.0), Clip(2.0, 8.0, 6.0)]
    made = shown(steady_grid(16.0), clips)
    assert spoken(made) == [(ActionType.LOOP, Amount.POS_SMALL)]
    assert replay(made).played.tolist() == [1] * 4 + [3] * 4 + [1] * 8 + [0] * 16


def test_a_passage_heard_again_much_later_is_gone_back_to():
    clips = [Clip(0.0, 12.0), Clip(2.0, 5.0, 12.0)]
    made = shown(steady_grid(16.0), clips)
    kinds = [kind for kind, _ in spoken(made)]
    assert set(kinds) == {ActionType.JUMP_BACK}
    assert made.replayed_share == 1.0
    assert [(s.start, s.end) for s in replay(made).spans()] == [(0, 24), (4, 10)]


def test_going_back_from_the_end_costs_its_last_beat():
    # At the recording's end the edit is finished: nobody can go back from there.
    clips = [Clip(0.0, 16.0), Clip(2.5, 5.0, 16.0)]
    made = shown(steady_grid(16.0), clips)
    assert made.replayed_share == pytest.approx(18.0 / 18.5)
    assert made.unexpressed == (
        "The passage from 0:15.5 to 0:16.0 belongs in the finished piece, but no action can bring "
        "it there.",
    )


def test_more_repeats_than_there_are_jumps_are_told():
    n_plays = 4 * EpisodeConfig().jump_budget
    clips = [Clip(2.5, 5.0, i * 2.5) for i in range(n_plays)]
    made = shown(steady_grid(16.0), clips)
    assert 0.2 < made.replayed_share < 1.0
    assert "belongs elsewhere in the finished piece" in made.unexpressed[0]


def test_a_moved_passage_loses_its_effect():
    # What is last in the recording is first in the piece, and both have another level.
    clips = [Clip(15.5, 16.0, gain_db=6.0), Clip(4.0, 15.5, 0.5, gain_db=-6.0)]
    made = shown(steady_grid(16.0), clips)
    assert [s.start for s in replay(made).spans()] == [31, 8]
    assert made.replayed_share == pytest.approx(11.5 / 12.0)
    assert "no action both moves it and has that effect" in made.unexpressed[0]


def test_notes_about_an_edit_are_told():
    grid = steady_grid(16.0)
    segment = Segment(0.0, 16.0, Material.MUSIC, True, piece_start_s=0.0)
    truth = Truth(16.0, (segment,), notes=("The edit is special.",))
    assert demonstrate(track_on(grid), truth).unexpressed == ("The edit is special.",)


def test_changes_of_level_that_are_noise_are_no_change():
    level_db = np.repeat([-20.0, -20.4], 16)
    clips = [Clip(0.0, 4.0), Clip(8.0, 10.0, 4.0, gain_db=0.3)]
    assert spoken(shown(steady_grid(16.0), clips, level_db)) == []


def test_a_fade_backwards_is_told_and_the_rest_stays_backwards():
    made = shown(steady_grid(16.0), [Clip(0.0, 4.0, reverse=True, fade_in_s=2.0)])
    assert [(s.start, s.end, s.sound.reverse) for s in replay(made).spans()] == [(0, 8, True)]
    assert "fades and is played backwards" in made.unexpressed[0]


def test_a_fade_without_room_is_told():
    made = shown(steady_grid(16.0), [Clip(0.0, 2.0, fade_in_s=2.0, fade_out_s=2.0)])
    assert spoken(made) == [(ActionType.FADE_IN, Amount.NEUTRAL)]
    assert "fades out, but no span" in made.unexpressed[0]
    assert "(0:00.0 to 0:02.0 of the recording)" in made.unexpressed[0]


def test_a_repeat_that_is_too_short_for_the_grid_is_told():
    made = shown(steady_grid(16.0), [Clip(0.0, 2.0), Clip(1.75, 4.0, 2.0)])
    assert spoken(made) == []
    assert "0:00.2 of the edit is heard again, less than half a beat" in made.unexpressed[0]
    crossfaded = [Clip(0.0, 2.0), Clip(1.9, 4.0, 1.9)]
    assert shown(steady_grid(16.0), crossfaded).unexpressed == ()


def test_clips_without_a_beat_play_nothing():
    made = shown(steady_grid(16.0), [Clip(0.0, 2.0), Clip(8.1, 8.2, 2.0), Clip(16.0, 16.0, 2.1)])
    assert [(s.start, s.end) for s in replay(made).spans()] == [(0, 4)]


def test_takes_of_other_levels_are_levelled():
    segments = (
        Segment(0.0, 4.0, Material.MUSIC, True, piece_start_s=0.0),
        Segment(4.0, 6.0, Material.TALK, False),
        Segment(6.0, 10.0, Material.MUSIC, True, piece_start_s=4.0, gain_db=-5.5),
    )
    made = demonstrate(track_on(steady_grid(10.0)), Truth(10.0, segments))
    acts = [(a.type, a.size, a.amount) for a in made.actions]
    assert acts == [
        (ActionType.KEEP, Size.TWO_BARS, Amount.NEUTRAL),
        (ActionType.CUT, Size.BAR, Amount.NEUTRAL),
        (ActionType.GAIN, Size.TWO_BARS, Amount.NEG_LARGE),
    ]
