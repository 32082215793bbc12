"""Joins of any edit, measured on generated sound."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor.baselines import clips_of_spans
from rl_editor.edit_joins import beat_error_ms, measured_joins, stands_out
from rl_editor.edl import Clip, back_to_back
from rl_editor.grid import steady_grid
from rl_editor.sample_readers import ArrayReader
from rl_editor.tests.made_tasks import made_music

SR = 22050
SIGNAL = made_music(16.0, seed=3, sr=SR).astype(np.float32)
GRID = steady_grid(16.0, 120.0)


def joins_of(*spans_s, signal=SIGNAL):
    clips = back_to_back(clips_of_spans(spans_s), SR)
    return measured_joins(clips, ArrayReader(signal, SR), GRID)


def test_a_clip_that_goes_on_has_no_join():
    assert joins_of((0.0, 4.0), (4.0, 16.0)) == ()
    assert joins_of((0.0, 16.0)) == ()
    assert joins_of() == ()


def test_a_join_stands_where_the_output_has_it():
    found = joins_of((0.0, 4.0), (8.0, 12.0), (0.0, 2.0))
    assert [join.timeline_s for join in found] == [4.0, 8.0]
    assert all(0.0 <= join.harmonic_distance_percentile <= 100.0 for join in found)


def test_a_jump_into_a_much_louder_passage_stands_out_without_a_crossfade_too():
    signal = SIGNAL.copy()
    signal[: 8 * SR] *= 0.01
    join = joins_of((0.0, 4.0), (8.0, 12.0), signal=signal)[0]
    assert join.level_step_db > 20.0
    assert stands_out(join)


@pytest.mark.parametrize(
    ("end_s", "start_s", "error_ms"),
    [
        (4.0, 8.0, 0.0),
        (4.2, 8.2, 0.0),
        (4.0, 8.1, -100.0),
        (4.1, 8.0, 100.0),
        (4.0, 7.8, 200.0),
    ],
)
def test_the_beat_is_as_late_as_the_grid_says(end_s, start_s, error_ms):
    before, after = Clip(2.0, end_s), Clip(start_s, 12.0)
    assert beat_error_ms(before, after, 0.0, GRID) == pytest.approx(error_ms, abs=0.1)


@pytest.mark.parametrize(
    ("end_s", "start_s", "error_ms"),
    [(4.0, 13.1, 0.0), (4.25, 13.4, 0.0), (4.0, 13.25, -150.0), (4.125, 13.1, 150.0)],
)
def test_one_tempo_may_follow_another(end_s, start_s, error_ms):
    edges_s = np.r_[np.arange(0.0, 10.0, 0.5), 10.1 + 0.6 * np.arange(11)]
    grid = dataclasses.replace(
        steady_grid(15.0, 120.0), beats_s=edges_s[:-1], duration_s=float(edges_s[-1])
    )
    before, after = Clip(2.0, end_s), Clip(start_s, 15.0)
    assert beat_error_ms(before, after, 0.0, grid) == pytest.approx(error_ms, abs=0.1)


def test_an_excerpt_is_the_same_wherever_blocks_of_the_output_end(monkeypatch):
    from rl_editor import clip_mix

    whole = joins_of((0.0, 4.0), (8.0, 12.0), (0.0, 2.0))
    monkeypatch.setattr(clip_mix, "BLOCK_SAMPLES", 3000)
    assert joins_of((0.0, 4.0), (8.0, 12.0), (0.0, 2.0)) == whole
