import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.tests.made_grids import grids


@given(grids())
def test_beats_tile_the_file(grid):
    assert grid.edges_s[0] == 0.0
    assert grid.edges_s[-1] == grid.duration_s
    assert len(grid.edges_s) == grid.n_beats + 1
    assert (grid.durations_s > 0).all()
    assert grid.durations_s.sum() == pytest.approx(grid.duration_s)


@given(grids())
def test_lines_are_sorted_unique_and_reach_both_ends(grid):
    for lines, starts in (
        (grid.bar_lines(), grid.is_downbeat),
        (grid.phrase_lines(), grid.is_phrase_start),
    ):
        assert (lines[0], lines[-1]) == (0, grid.n_beats)
        assert (np.diff(lines) > 0).all()
        assert set(np.flatnonzero(starts)) <= set(lines)
    assert set(grid.phrase_lines()) <= set(grid.bar_lines())


@given(grids())
def test_places_count_from_the_last_line(grid):
    place, starts = grid.place_in_bar, grid.is_downbeat
    assert place[0] == 0
    assert (place[starts] == 0).all()
    np.testing.assert_array_equal(np.diff(place)[~starts[1:]], 1)


@given(grids(), st.floats(-1.0, 60.0))
def test_beat_at_a_time_holds_it(grid, time_s):
    beat = grid.beat_at(time_s)
    inside = min(max(time_s, 0.0), np.nextafter(grid.duration_s, 0))
    assert grid.edges_s[beat] <= inside < grid.edges_s[beat + 1]


def made(is_downbeat, **changes):
    grid = steady_grid(len(is_downbeat) / 2)
    downbeats = np.array(is_downbeat, dtype=bool)
    return dataclasses.replace(
        grid, is_downbeat=downbeats, is_phrase_start=np.zeros_like(downbeats), **changes
    )


def test_bars_are_counted_from_downbeats():
    assert made([1, 0, 0, 1, 0]).bar.tolist() == [0, 0, 0, 1, 1]
    assert made([1, 0, 0, 1, 0]).place_in_bar.tolist() == [0, 1, 2, 0, 1]


def test_a_pickup_is_a_bar_of_its_own():
    assert made([0, 1, 0, 1, 0]).bar.tolist() == [0, 1, 1, 2, 2]
    assert made([0, 1, 0, 1, 0]).bar_lines().tolist() == [0, 1, 3, 5]


def test_without_downbeats_there_is_one_bar():
    assert made([0, 0, 0]).bar.tolist() == [0, 0, 0]
    assert made([0, 0, 0]).bar_lines().tolist() == [0, 3]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beats_s": np.array([])}, "at least one beat"),
        ({"beats_s": np.array([0.1, 0.5])}, "begins at 0 s"),
        ({"beats_s": np.array([0.0, 0.0])}, "strictly increasing"),
        ({"duration_s": 0.5}, "end before the file's end"),
        ({"confidence": np.zeros(3, np.float32)}, "confidence must have one entry"),
        ({"is_downbeat": np.array([False, False])}, "only begin at a downbeat"),
        ({"runner_up_scores": (0.5,)}, "one entry for each runner-up"),
    ],
)
def test_what_is_no_grid_is_refused(changes, expected):
    grid = steady_grid(1.0)
    with pytest.raises(ValueError, match=expected):
        dataclasses.replace(grid, **changes)


@given(st.floats(0.01, 500.0), st.floats(40.0, 240.0), st.integers(2, 7))
def test_a_steady_grid_has_its_length_and_about_its_tempo(duration_s, tempo_bpm, meter):
    grid = steady_grid(duration_s, tempo_bpm, meter)
    assert isinstance(grid, BeatGrid)
    assert grid.duration_s == duration_s
    assert np.ptp(grid.durations_s) < 1e-9 * duration_s + 1e-12
    assert grid.tempo_bpm == pytest.approx(60.0 / grid.durations_s[0])
    if grid.n_beats > 1:
        assert abs(duration_s * tempo_bpm / 60.0 - grid.n_beats) <= 0.5 + 1e-9
    assert grid.place_in_bar.max() < meter


def played_at(*tempi_bpm, n_beats=40):
    """Return a grid of beats that were heard, at one tempo after the other."""
    lengths_s = np.repeat(60.0 / np.array(tempi_bpm), n_beats)
    edges_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    bars = np.arange(len(lengths_s)) % 4 == 0
    sure = np.ones(len(lengths_s), dtype=np.float32)
    return BeatGrid(edges_s[:-1], float(edges_s[-1]), bars, bars, sure, 4, float(tempi_bpm[0]))


def test_the_span_of_tempi_holds_those_of_the_music():
    assert played_at(94.0, 125.0).tempo_span_bpm() == pytest.approx((94.0, 125.0))
    both = played_at(94.0, 125.0)
    first_part = both.beats_s < both.duration_s / 4
    assert both.tempo_span_bpm(first_part) == pytest.approx((94.0, 94.0))
    assert played_at(94.0).tempo_span_bpm() == pytest.approx((94.0, 94.0))
    assert steady_grid(60.0, 90.0).tempo_span_bpm() == (90.0, 90.0)


def test_breaks_and_uneven_beats_are_no_other_tempo():
    grid = played_at(100.0, 140.0)
    silent = dataclasses.replace(grid, confidence=np.repeat([1.0, 0.0], 40).astype(np.float32))
    assert silent.tempo_span_bpm() == pytest.approx((100.0, 100.0))
    edges_s = np.arange(101) * 0.5 + 0.06 * (np.arange(101) % 4 == 2)
    bars = np.arange(100) % 4 == 0
    uneven = BeatGrid(edges_s[:-1], 50.0, bars, bars, np.ones(100, dtype=np.float32), 4, 120.0)
    assert uneven.tempo_span_bpm() == pytest.approx((120.0, 120.0))
