from itertools import pairwise

import numpy as np
import pytest

from rl_editor import recurrence as recurrence_module
from rl_editor.config import AnalysisConfig
from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.recurrence import LAG_BANDS, RECURRENCE_NAMES, Recurrence, recurrence

CONFIG = AnalysisConfig()
FRAMES_A_SECOND = 50
COLUMN = {name: column for column, name in enumerate(RECURRENCE_NAMES)}


def passage(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mel power and chroma of made-up music: a new spectrum and chord every 0.24 s."""
    rng = np.random.default_rng(seed)
    n_frames = round(seconds * FRAMES_A_SECOND)
    events = np.arange(n_frames) // 12
    spectra_db = rng.normal(0, 10, (events[-1] + 1, 128)) - np.linspace(0, 30, 128)
    decay_db = -6.0 * (np.arange(n_frames) % 12 / 12)
    mel = 10 ** ((spectra_db[events] + decay_db[:, None]) / 10)
    return mel.astype(np.float32), rng.random((events[-1] + 1, 12)).astype(np.float32)[events]


def silence(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    n_frames = round(seconds * FRAMES_A_SECOND)
    return np.zeros((n_frames, 128), np.float32), np.zeros((n_frames, 12), np.float32)


def noisy(part: tuple[np.ndarray, np.ndarray], spread_db: float, seed: int):
    rng = np.random.default_rng(seed)
    mel = part[0] * 10 ** (rng.normal(0, spread_db, part[0].shape) / 10)
    return mel.astype(np.float32), part[1]


def analyse(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[Recurrence, BeatGrid]:
    mel, chroma = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    grid = steady_grid(len(mel) / FRAMES_A_SECOND)
    return recurrence(mel, chroma, grid, CONFIG), grid


def column(result: Recurrence, name: str) -> np.ndarray:
    return result.values[:, COLUMN[name]]


@pytest.mark.parametrize(
    ("gap_s", "band"), [(0.0, "6_20s"), (20.0, "20_60s"), (60.0, "60s")], ids=lambda v: str(v)
)
def test_exact_copy_is_found_at_its_lag(gap_s, band):
    lag_s = 10.0 + gap_s
    take = passage(10.0, 1)
    gap = [passage(gap_s, 2)] if gap_s else []
    result, grid = analyse(passage(6.0, 3), take, *gap, take, passage(6.0, 4))
    lag_beats = round(lag_s * 2)
    first = np.arange(12, 32)
    assert np.abs(result.match_later[first] - first - lag_beats).max() <= 1
    second = first + lag_beats
    assert np.abs(result.match_earlier[second] - second + lag_beats).max() <= 1
    others = np.setdiff1d(np.arange(grid.n_beats), first)
    assert np.all(result.match_later[others] == -1)
    inside = first[6:-6]
    assert np.all(column(result, f"later_long_{band}")[inside] > 2.0)
    assert np.all(column(result, f"earlier_long_{band}")[inside + lag_beats] > 2.0)
    for other in {"1_6s", "6_20s", "20_60s", "60s"} - {band}:
        assert np.all(column(result, f"later_long_{other}")[inside] < 0.5)
    np.testing.assert_allclose(column(result, "later_lag")[inside], np.log2(lag_s), atol=0.02)
    assert np.all(column(result, "later_lag_jumps")[inside] < 0.1)


def test_windows_ahead_and_behind_mark_the_borders_of_a_take():
    take = passage(15.0, 1)
    result, _ = analyse(passage(10.0, 2), take, passage(10.0, 3), take, passage(10.0, 4))
    begin, end = 20, 50
    for name in ("later_short", "later_long"):
        ahead, behind = column(result, f"{name}_ahead"), column(result, f"{name}_behind")
        assert ahead[begin] > 1.5 > 0.7 > behind[begin]
        assert behind[end - 1] > 1.5 > 0.7 > ahead[end - 1]
    run_ahead, run_behind = column(result, "later_run_ahead"), column(result, "later_run_behind")
    assert run_ahead[begin] == pytest.approx(np.log1p(14.75), abs=0.1)
    assert run_behind[end - 1] == pytest.approx(np.log1p(14.75), abs=0.1)
    assert run_ahead[begin - 2] == run_ahead[end + 1] == 0.0


def test_of_two_equal_copies_the_nearest_is_matched_and_both_are_counted():
    take = passage(8.0, 1)
    result, _ = analyse(take, passage(4.0, 2), take, passage(10.0, 3), take)
    first = np.arange(1, 15)
    assert np.abs(result.match_later[first] - first - 24).max() <= 1
    last = first + 60
    assert np.abs(result.match_earlier[last] - last + 36).max() <= 1
    middle = np.arange(4, 12)
    counts = [np.expm1(column(result, "later_n_copies")[middle + offset]) for offset in (0, 24)]
    assert np.all(counts[0] > 1.5 * counts[1])
    assert np.all(counts[1] > 0.9)


def test_a_noisy_copy_is_less_alike_than_an_exact_one():
    take = passage(10.0, 1)
    likeness = []
    for spread_db in (0.0, 3.0, 9.0):
        result, _ = analyse(take, passage(5.0, 2), noisy(take, spread_db, 5))
        likeness.append(column(result, "later_long_6_20s")[6:14].mean())
    assert likeness[0] > likeness[1] + 0.2
    assert likeness[1] > likeness[2] + 0.2


def test_a_quiet_dull_copy_is_found_and_its_difference_measured():
    mel, chroma = passage(12.0, 1)
    dull = mel * np.where(np.arange(128) < 64, 0.1, 0.025).astype(np.float32)
    result, _ = analyse((mel, chroma), passage(6.0, 2), (dull, chroma))
    first = np.arange(2, 20)
    assert np.abs(result.match_later[first] - first - 36).max() <= 1
    assert np.median(column(result, "later_level_db")[first]) == pytest.approx(10.0, abs=1.5)
    assert np.median(column(result, "later_brightness_db")[first]) == pytest.approx(6.0, abs=1.0)
    second = first + 36
    assert np.median(column(result, "earlier_level_db")[second]) == pytest.approx(-10, abs=1.5)


def test_nothing_matches_where_nothing_repeats():
    result, grid = analyse(passage(60.0, 1))
    assert np.all(result.match_later == -1)
    assert np.all(result.match_earlier == -1)
    likeness = [n for n in RECURRENCE_NAMES if "_short_" in n or "_long_" in n]
    assert result.values[:, [COLUMN[n] for n in likeness]].max() < 0.7
    assert result.values.shape == (grid.n_beats, len(RECURRENCE_NAMES))


def test_the_earlier_direction_is_the_later_one_of_the_reversed_recording():
    mel, chroma = (
        np.concatenate(c) for c in zip(passage(8, 1), passage(9, 2), passage(8, 1), strict=True)
    )
    mel, chroma = mel[:-7], chroma[:-7]
    mel = mel[: len(mel) // 8 * 8 + 2]  # whole queries, so that both directions share them
    chroma = chroma[: len(mel)]
    grid = steady_grid(len(mel) / FRAMES_A_SECOND)
    forward = recurrence(mel, chroma, grid, CONFIG)
    backward = recurrence(mel[::-1], chroma[::-1], grid, CONFIG)
    for band in ("1_6s", "6_20s", "20_60s"):
        there = column(backward, f"later_long_{band}")[::-1]
        np.testing.assert_allclose(column(forward, f"earlier_long_{band}"), there, atol=0.15)
    assert (
        np.mean(
            np.abs(
                column(forward, "earlier_long_ahead") - column(backward, "later_long_behind")[::-1]
            )
        )
        < 0.05
    )


def test_blocks_do_not_change_the_numbers(monkeypatch):
    take = noisy(passage(9.0, 1), 2.0, 7)
    parts = (passage(5.0, 2), take, passage(30.0, 3), passage(9.0, 1), passage(4.0, 4))
    whole, _ = analyse(*parts)
    monkeypatch.setattr(recurrence_module, "_WINDOW_BLOCK", 17)
    monkeypatch.setattr(recurrence_module, "_LAG_BLOCK", 61)
    blocks, _ = analyse(*parts)
    # The lag of a window that is like nothing is arbitrary: rounding may choose another one.
    steady = [i for name, i in COLUMN.items() if "_lag" not in name]
    np.testing.assert_allclose(blocks.values[:, steady], whole.values[:, steady], atol=2e-3)
    alike = column(whole, "later_long_20_60s") > 0.5
    assert alike.sum() >= 12
    lags = [column(result, "later_lag")[alike] for result in (blocks, whole)]
    np.testing.assert_allclose(lags[0], lags[1], atol=1e-3)
    np.testing.assert_array_equal(blocks.match_later, whole.match_later)
    np.testing.assert_array_equal(blocks.match_earlier, whole.match_earlier)


def test_silence_is_finite_and_like_nothing():
    result, _ = analyse(silence(20.0))
    assert np.all(np.isfinite(result.values))
    assert np.abs(result.values).max() < 0.01
    assert np.all(result.match_later == -1)
    take = passage(8.0, 1)
    result, _ = analyse(silence(5), take, silence(7), take, silence(5))
    assert np.all(np.isfinite(result.values))
    assert np.all(result.match_later[:9] == -1)
    assert np.abs(result.match_later[10:26] - np.arange(40, 56)).max() <= 1
    assert np.all(result.match_later[28:] == -1)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 25, 51])
def test_shortest_files(n_frames):
    mel, chroma = (values[:n_frames] for values in passage(2.0, 1))
    for n_beats in (1, 2):
        duration_s = n_frames / FRAMES_A_SECOND
        grid = steady_grid(duration_s, tempo_bpm=60 * n_beats / duration_s)
        result = recurrence(mel, chroma, grid, CONFIG)
        assert result.values.shape == (n_beats, len(RECURRENCE_NAMES))
        assert np.all(np.isfinite(result.values))
        assert np.all(result.match_later == -1)


def test_bands_of_lag_follow_each_other_from_one_second():
    assert LAG_BANDS[0][0] == FRAMES_A_SECOND // 2
    assert all(a[1] == b[0] for a, b in pairwise(LAG_BANDS))
    assert len(set(RECURRENCE_NAMES)) == len(RECURRENCE_NAMES)
