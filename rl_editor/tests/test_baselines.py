"""Editors that need no training, on recordings whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rl_editor.baselines import (
    clips_of_beats,
    energy_novelty,
    keep_all,
    last_of_repeats,
    loudness_gate,
    oracle,
    random_bars,
)
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth


def track_of(n_beats, level_db=None, later_match=None):
    """Return a track at 120 beats a minute with these levels and likenesses to later copies."""
    features = np.zeros((n_beats, len(FEATURE_NAMES)), np.float32)
    recurrence = np.zeros((n_beats, len(RECURRENCE_NAMES)), np.float32)
    match = np.full(n_beats, -1)
    if level_db is not None:
        features[:, FEATURE_NAMES.index("rms_db")] = level_db
    if later_match is not None:
        recurrence[:, RECURRENCE_NAMES.index("later_match")] = later_match
        match[np.flatnonzero(later_match)] = n_beats - 1
    grid = steady_grid(n_beats / 2, 120.0)
    return Track("", "", 8000, 1, n_beats * 4000, grid, features, recurrence, match, match, "")


def spans_of(clips):
    return [(clip.source_start_s, clip.source_end_s) for clip in clips]


def test_keep_all_is_one_clip():
    assert spans_of(keep_all(track_of(40))) == [(0.0, 20.0)]


def test_runs_of_beats_become_clips_back_to_back():
    keep = np.array([True, True, False, False, True, False])
    clips = clips_of_beats(steady_grid(3.0), keep)
    assert spans_of(clips) == [(0.0, 1.0), (2.0, 2.5)]
    assert [clip.timeline_start_s for clip in clips] == [0.0, 1.0]
    assert clips_of_beats(steady_grid(3.0), np.zeros(6, bool)) == []


def test_oracle_plays_the_piece_in_order_at_its_level():
    segments = (
        Segment(0.0, 5.0, Material.MUSIC, True, piece_start_s=7.0, gain_db=-2.0),
        Segment(5.0, 6.0, Material.TALK, False),
        Segment(6.0, 13.0, Material.MUSIC, True, piece_start_s=0.0),
    )
    clips = oracle(Truth(13.0, segments))
    assert spans_of(clips) == [(6.0, 13.0), (0.0, 5.0)]
    assert [clip.gain_db for clip in clips] == [0.0, -2.0]
    assert [clip.timeline_start_s for clip in clips] == [0.0, 7.0]


def test_energy_novelty_keeps_the_loud_parts():
    level_db = np.full(96, -20.0)
    level_db[32:64] = -45.0
    clips = energy_novelty(track_of(96, level_db))
    assert spans_of(clips) == [(0.0, 16.0), (32.0, 48.0)]


def test_energy_novelty_keeps_a_recording_of_one_level():
    rng = np.random.default_rng(0)
    assert spans_of(energy_novelty(track_of(96, rng.normal(-20, 1, 96)))) == [(0.0, 48.0)]


def test_last_of_repeats_keeps_the_last_of_each_set():
    likeness = np.zeros(96)
    likeness[8:24] = 2.0
    likeness[15] = 0.0  # one beat that is less alike
    likeness[40] = 2.0  # one beat that happens to be alike
    assert spans_of(last_of_repeats(track_of(96, later_match=likeness))) == [
        (0.0, 4.0),
        (12.0, 48.0),
    ]


def test_loudness_gate_keeps_the_tone_with_its_margin():
    sr = 1000
    signal = np.zeros((10 * sr, 2), np.float32)
    signal[3 * sr : 5 * sr, 1] = 0.5
    signal[8 * sr :, 0] = 0.01
    clips = loudness_gate(signal, sr)
    assert [(c.source_start_s, c.source_end_s) for c in clips] == [(2.8, 5.2)]
    assert loudness_gate(np.zeros(100, np.float32), sr) == []


def test_random_keeps_about_its_ratio_in_order():
    grid = steady_grid(200.0, 120.0)
    clips = random_bars(grid, 0.4, np.random.default_rng(0))
    kept_s = sum(c.source_end_s - c.source_start_s for c in clips)
    assert kept_s == pytest.approx(80.0, abs=2.0)
    starts = [c.source_start_s for c in clips]
    assert starts == sorted(starts)
