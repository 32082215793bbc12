"""Cuts move to where the sound changes, hold the beat, and else stay where they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor import boundary_refinement
from rl_editor.boundary_refinement import (
    band_levels,
    change_point_gain,
    refine_boundaries,
)
from rl_editor.edl import Clip, back_to_back
from rl_editor.grid import steady_grid
from rl_editor.sample_readers import ArrayReader

SR = 22050
BEAT_S = 0.5


def beats(duration_s, seed=0):
    """A tone that changes on every beat, with a struck onset."""
    rng = np.random.default_rng(seed)
    n_beat = round(BEAT_S * SR)
    time_s = np.arange(n_beat) / SR
    notes = [
        sum(np.sin(2 * np.pi * f * k * time_s) / k for k in (1, 2, 3))
        for f in rng.choice([220.0, 262.0, 330.0, 392.0], round(duration_s / BEAT_S))
    ]
    struck = 0.1 + 0.4 * np.exp(-time_s / 0.15)
    return np.concatenate([struck * note for note in notes])


def hiss(duration_s, level, seed=1):
    return level * np.random.default_rng(seed).standard_normal(round(duration_s * SR))


def speech_like(duration_s, seed=2):
    """Noise in syllables, four a second, in the middle of the spectrum."""
    wave = np.diff(hiss(duration_s, 0.1, seed), prepend=0.0)
    time_s = np.arange(len(wave)) / SR
    return wave * np.clip(np.sin(2 * np.pi * 4.1 * time_s), 0.05, 1.0)


def refined(signal, *spans_s, grid=None, **options):
    audio = (np.asarray(signal) + hiss(len(signal) / SR, 1e-4, 9))[:, None].astype(np.float32)
    clips = [Clip(start_s, end_s) for start_s, end_s in spans_s]
    grid = grid or steady_grid(len(audio) / SR, 60.0 / BEAT_S)
    return refine_boundaries(clips, ArrayReader(audio, SR), grid, **options)


@pytest.mark.parametrize("before", [hiss(4.2, 1e-4), hiss(4.2, 0.02), speech_like(4.2)])
@pytest.mark.parametrize("planned_s", [4.0, 4.5, 3.5])
def test_a_start_moves_to_the_first_attack(before, planned_s):
    signal = np.concatenate([before, beats(6.0)])
    clip = refined(signal, (planned_s, len(signal) / SR)).clips[0]
    assert 4.2 - 0.03 < clip.source_start_s <= 4.2 + 0.006


@pytest.mark.parametrize("after", [hiss(4.0, 1e-4), hiss(4.0, 0.02), speech_like(4.0)])
@pytest.mark.parametrize("planned_s", [5.5, 6.5])
def test_an_end_moves_to_where_the_music_stops(after, planned_s):
    signal = np.concatenate([beats(6.0)[: round(5.8 * SR)], after])
    clip = refined(signal, (0.0, planned_s)).clips[0]
    assert clip.source_end_s == pytest.approx(5.8, abs=0.02)


def test_edges_stay_in_the_middle_of_steady_music_and_at_the_ends_of_the_file():
    signal = beats(16.0)
    found = refined(signal, (0.0, 4.0), (10.0, 16.0))
    np.testing.assert_array_equal(found.moves_s, 0.0)
    assert found.clips == back_to_back([Clip(0.0, 4.0), Clip(10.0, 16.0)], SR)
    assert not refined(signal, (0.0, 16.0)).moves_s.any()
    assert refined(signal).clips == ()


def test_clips_that_continue_each_other_are_one():
    found = refined(beats(8.0), (0.0, 4.0), (4.0, 8.0))
    assert found.clips == (Clip(0.0, 8.0),)


def test_a_join_between_passages_holds_the_beat():
    music = beats(16.0)
    talk = speech_like(3.3)
    stop = round(6.2 * SR)
    signal = np.concatenate([music[:stop], talk, music[stop:]])
    found = refined(signal, (0.0, 6.0), (9.5, len(signal) / SR))
    left, right = found.clips
    assert not found.goes_on[0]
    gap_s = right.source_start_s - left.source_end_s
    off_s = (gap_s - 3.5 + BEAT_S / 2) % BEAT_S - BEAT_S / 2
    assert abs(off_s) <= 0.0151


@pytest.mark.parametrize(("beat_left_s", "beat_right_s"), [(0.5, 0.55), (0.6, 0.5), (0.5, 0.5)])
@pytest.mark.parametrize("late_beats", [-2, -1, 1, 2])
def test_a_join_between_two_tempi_holds_the_beat(
    beat_left_s, beat_right_s, late_beats, monkeypatch
):
    monkeypatch.setattr(boundary_refinement, "_is_worse", lambda *_: np.zeros(1, dtype=bool))
    edges_s = np.r_[np.arange(0.0, 12.0, beat_left_s), np.arange(12.0, 24.001, beat_right_s)]
    n_beats = len(edges_s) - 1
    grid = dataclasses.replace(
        steady_grid(24.0),
        beats_s=edges_s[:-1],
        duration_s=float(edges_s[-1]),
        **{name: np.zeros(n_beats, bool) for name in ("is_downbeat", "is_phrase_start")},
        confidence=np.zeros(n_beats, np.float32),
    )
    signal = hiss(edges_s[-1], 0.02)
    stop, start = edges_s[14] + 0.1 * beat_left_s, edges_s[-9] + 0.1 * beat_right_s
    for low_s, high_s, seed in ((0.0, stop, 0), (start, edges_s[-1], 1)):
        low, high = round(low_s * SR), round(high_s * SR)
        signal[low:high] = beats(24.0, seed)[: high - low]
    ends_s = (edges_s[14 + late_beats], edges_s[-9 + late_beats])
    found = refined(signal, (0.0, ends_s[0]), (ends_s[1], edges_s[-1]), grid=grid)
    moved_beats = np.interp(
        (found.clips[0].source_end_s, found.clips[1].source_start_s), edges_s, range(n_beats + 1)
    )
    assert np.abs(found.moves_s[[0, 1], [1, 0]]).max() > 0.3
    off_beats = (moved_beats[0] - moved_beats[1] + 0.5) % 1.0 - 0.5
    assert abs(off_beats) * max(beat_left_s, beat_right_s) <= 0.0151


def test_a_join_that_would_stand_out_only_where_it_was_moved_to_stays(monkeypatch):
    music = beats(16.0, seed=2)
    parts = [music[: round(6.4 * SR)], hiss(3.5, 0.02), music[8 * SR :], hiss(0.6, 1e-4)]
    signal, spans_s = np.concatenate(parts), [(0.0, 6.0), (10.0, 18.5)]
    found = refined(signal, *spans_s)
    np.testing.assert_array_equal(found.moves_s, 0.0)
    assert found.clips == back_to_back([Clip(*span) for span in spans_s], SR)
    monkeypatch.setattr(boundary_refinement, "_is_worse", lambda *_: np.zeros(1, bool))
    assert refined(signal, *spans_s).moves_s[0, 1] == pytest.approx(0.4, abs=0.02)


def test_moves_that_change_the_length_most_are_taken_back():
    quiet = hiss(4.0, 1e-4)
    music = beats(6.5)[: round(6.2 * SR)]
    signal = np.concatenate([quiet, music, quiet])
    planned = (3.2, 10.5)  # of 4.0 to 10.2 s
    free = refined(signal, planned).moves_s
    np.testing.assert_allclose(free, [[0.8, -0.3]], atol=0.02)
    np.testing.assert_array_equal(refined(signal, planned, length_room_s=1.2).moves_s, free)
    late = refined(signal, planned, length_room_s=0.5).moves_s
    np.testing.assert_array_equal(late, [[0.0, free[0, 1]]])
    assert not refined(signal, planned, length_room_s=0.1).moves_s.any()


@pytest.mark.parametrize("lag_beats", [-1, 1])
def test_a_passage_goes_on_in_its_next_take_without_a_gap(lag_beats):
    music = beats(16.0, seed=5)
    first, again_s = music[: round(8.0 * SR)], 4.0
    signal = np.concatenate([first, hiss(2.0, 1e-4), music[round(again_s * SR) :]])
    left_s = again_s - lag_beats * BEAT_S
    found = refined(signal, (0.0, left_s), (10.0, len(signal) / SR))
    left, right = found.clips
    goes_on_s = right.source_start_s - 10.0 + again_s
    assert found.goes_on[0]
    assert left.source_end_s == pytest.approx(goes_on_s, abs=0.006)


def test_levels_are_those_of_a_tone_and_say_when_it_begins():
    for sr in (8000, 22050, 44100):
        time_s = np.arange(10 * sr) / sr
        tone = np.where(time_s < 6.0, 0.0, np.sin(2 * np.pi * 1000.0 * time_s))
        reader = ArrayReader(tone[:, None].astype(np.float32), sr)
        levels_db = band_levels(reader, 5.0)
        assert levels_db.shape == (1601, 24)
        loudest = levels_db.max(axis=0).argmax()
        assert levels_db[:, loudest].max() == pytest.approx(-4.3, abs=1.0)
        begins = np.flatnonzero(levels_db[:, loudest] > -20.0)[0]
        assert begins == pytest.approx(1000, abs=2)


def test_what_is_faded_stretched_or_reversed_stays():
    signal = np.concatenate([hiss(4.2, 1e-4), beats(6.0)])
    grid = steady_grid(len(signal) / SR, 120.0)
    reader = ArrayReader(signal[:, None].astype(np.float32), SR)
    for clip in (
        Clip(4.0, 10.0, fade_in_s=0.5),
        Clip(4.0, 10.0, rate=1.25),
        Clip(4.0, 10.0, reverse=True),
    ):
        assert refine_boundaries([clip], reader, grid).clips[0].source_start_s == 4.0


def test_nothing_is_inverted_or_reaches_into_another_clip():
    rng = np.random.default_rng(4)
    signal = np.concatenate([speech_like(1.3, 5), beats(1.5), speech_like(1.1, 6), beats(4.0)] * 3)
    edges_s = np.sort(rng.choice(np.arange(1, 46), 12, replace=False)) * BEAT_S
    spans_s = [(float(a), float(b)) for a, b in edges_s.reshape(-1, 2)]
    clips = refined(signal, *spans_s).clips
    times_s = np.array([(c.source_start_s, c.source_end_s) for c in clips]).ravel()
    assert np.all(np.diff(times_s) > 0.0)
    assert np.abs(times_s - edges_s).max() <= 2 * BEAT_S + 1e-3


def test_the_gain_is_largest_at_the_change_and_nothing_without_one():
    rng = np.random.default_rng(0)
    levels_db = rng.standard_normal((400, 8))
    assert change_point_gain(levels_db, np.arange(20, 380)).max() < 20.0
    levels_db[150:] += 6.0
    gain = change_point_gain(levels_db, np.arange(20, 380))
    assert gain.argmax() + 20 == 150
    assert gain.max() > 500.0
