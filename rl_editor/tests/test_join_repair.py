"""Joins that stand out move to beats on which they do not, if the editor was not sure of them."""

from dataclasses import replace

import numpy as np
import pytest

from rl_editor.edl import Clip, back_to_back
from rl_editor.grid import steady_grid
from rl_editor.join_measures import is_within_limits
from rl_editor.join_repair import MAX_COST, MAX_TRIES, other_beats
from rl_editor.joins import Certainty, fit_joins
from rl_editor.sample_readers import ArrayReader

SR = 8000
GRID = steady_grid(60.0, 120.0)
SURE = 1.5 * MAX_COST
UNSURE = np.zeros(GRID.n_beats)
LEFT, RIGHT = Clip(0.0, 10.0), Clip(20.0, 40.0, 10.0)


def moves(log_odds=UNSURE, left=LEFT, right=RIGHT, **options):
    """The moves of both edges in beats, in the order in which they are tried."""
    pairs = list(other_beats(left, right, GRID, log_odds, **options))
    assert len(pairs) <= MAX_TRIES
    for new_left, new_right in pairs:
        assert new_left.source_start_s == left.source_start_s
        assert new_right.source_end_s == right.source_end_s
    return [
        (
            round(2 * (new_left.source_end_s - left.source_end_s)),
            round(2 * (new_right.source_start_s - right.source_start_s)),
        )
        for new_left, new_right in pairs
    ]


def test_the_nearest_beats_come_first_and_bars_stay_whole():
    found = moves()
    assert set(found[:2]) == {(-1, -1), (1, 1)}
    assert (0, 0) not in found
    assert all((a - b) % GRID.meter == 0 for a, b in found)
    assert any(a != b for a, b in found)
    assert {a - b for a, b in moves(keeps_length=True)} == {0}


def test_beats_that_the_editor_was_sure_of_stay():
    sure = np.where((GRID.beats_s < 10.0) | (GRID.beats_s >= 20.0), 1.0, -1.0) * SURE
    assert moves(sure) == []
    doubted = sure.copy()
    doubted[18:20] = -0.5  # the last two beats of the left clip
    doubted[38:40] = 0.5  # and the two before the right one
    assert (-2, -2) in moves(doubted)
    assert all(-2 <= a <= 0 and -2 <= b <= 0 for a, b in moves(doubted))


def test_what_the_editor_would_rather_have_comes_before_what_is_near():
    wanted = UNSURE.copy()
    wanted[20:23] = 1.0
    wanted[40:43] = -1.0
    assert moves(wanted)[0] == (3, 3)


def test_clips_stay_clips():
    near_the_end = Clip(57.0, 60.0, 10.0)
    assert all(b <= 2 for _, b in moves(right=near_the_end))
    assert all(a >= -2 for a, _ in moves(left=Clip(7.0, 10.0)))
    assert all(20 + a < 23 + b for a, b in moves(right=Clip(11.5, 40.0, 10.0)))
    assert all(40 + b >= 0 for _, b in moves(left=Clip(30.0, 40.0), right=Clip(1.0, 9.0, 10.0)))
    for changed in (replace(LEFT, reverse=True), replace(LEFT, fade_out_s=1.0)):
        assert moves(left=changed) == []


def pulses(duration_s=60.0):
    """A steady pulse of plucked notes, one chord, float32 [S, 1]."""
    times = np.arange(round(duration_s * SR)) / SR
    decay = np.exp(-(times % 0.5) / 0.15)
    notes = sum(np.sin(2 * np.pi * hz * times) for hz in (220.0, 277.0, 330.0))
    return (0.1 * decay * notes)[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def broken_off():
    """Music whose two beats before the cut are another chord and another level."""
    audio = pulses()
    times = np.arange(len(audio)) / SR
    wrong = (times >= 9.0) & (times < 10.0)
    audio[wrong, 0] = 0.9 * np.sin(2 * np.pi * 311.0 * times[wrong]).astype(np.float32)
    return ArrayReader(audio, SR)


def test_a_join_that_stands_out_moves(broken_off):
    clips = back_to_back([Clip(0.0, 10.0), Clip(20.0, 40.0)], SR)
    (before,) = fit_joins(clips, broken_off, GRID).joins
    assert not is_within_limits(before)
    doubts = np.where((GRID.beats_s >= 10.0) & (GRID.beats_s < 18.0), -SURE, 0.0)
    moved = fit_joins(clips, broken_off, GRID, certainty=Certainty(doubts))
    assert is_within_limits(moved.joins[0])
    assert moved.clips[0].source_end_s < 9.3
    sure = Certainty(np.where((GRID.beats_s < 10.0) | (GRID.beats_s >= 20.0), SURE, -SURE))
    assert fit_joins(clips, broken_off, GRID, certainty=sure).joins == (before,)


def test_a_join_within_limits_stays():
    reader = ArrayReader(pulses(), SR)
    clips = back_to_back([Clip(0.0, 10.0), Clip(20.0, 40.0)], SR)
    as_it_is = fit_joins(clips, reader, GRID)
    assert is_within_limits(as_it_is.joins[0])
    assert fit_joins(clips, reader, GRID, certainty=Certainty(UNSURE)) == as_it_is
