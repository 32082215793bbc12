from dataclasses import replace

import numpy as np
import pytest

from rl_editor.matches import Match, merged, take

SR = 22050
MATCH = Match(1000, 50_000, 7000.0, 1.02, 1, 0.9)


def test_other_ends_leave_the_line_where_it_is():
    moved = MATCH.moved(3000, 40_000)
    samples = np.array([0, 3000, 90_000])
    np.testing.assert_allclose(moved.raw_at(samples), MATCH.raw_at(samples))
    assert (moved.start, moved.stop) == (3000, 40_000)


def test_a_correction_is_a_lag_in_the_middle_and_its_slope():
    corrected = MATCH.on_line(12.0, 0.001)
    samples = np.array([1000.0, 25_500.0, 50_000.0])
    lag = 12.0 + 0.001 * (samples - 25_500.0)
    np.testing.assert_allclose(corrected.raw_at(samples), MATCH.raw_at(samples + lag))
    assert corrected.speed == pytest.approx(1.02 * 1.001)


def test_neighbours_on_one_line_are_one_match():
    parts = [MATCH.moved(1000, 20_000), MATCH.moved(20_500, 50_000)]
    (joined,) = merged(parts, SR)
    assert (joined.start, joined.stop) == (1000, 50_000)
    np.testing.assert_allclose(joined.raw_at(parts[1].stop), MATCH.raw_at(50_000))
    elsewhere = replace(parts[1], raw_start=parts[1].raw_start + 0.1 * SR)
    assert len(merged([parts[0], elsewhere], SR)) == 2
    faster = replace(parts[1], speed=1.04)
    assert len(merged([parts[0], faster], SR)) == 2


def test_what_is_too_short_is_left_out():
    assert merged([MATCH.moved(1000, 2000)], SR) == []


def test_taken_samples_are_silent_beyond_the_ends():
    signal = np.arange(1, 6, dtype=np.float32)
    assert take(signal, -2, 3).tolist() == [0, 0, 1, 2, 3]
    assert take(signal, 3, 8).tolist() == [4, 5, 0, 0, 0]
    assert take(signal, 9, 11).tolist() == [0, 0]
    assert take(signal, -9, -7).tolist() == [0, 0]
