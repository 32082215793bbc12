"""The straight line along which two signals agree, from their correlation in many windows.

Input: correlations of windows at a range of lags; output: `Line`. Method: the correlations of
all windows are summed along every line (a Radon transform), so that a rhythm that repeats
within the range cannot mislead single windows; the best line is then fitted to the windows'
own peaks near it by weighted least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PEAK_REACH = 3
"""Steps of lag from the best line within which a window's own peak counts."""
FLAT_BONUS = 0.001
"""Correlation by which a steeper line must be better than a flatter one."""
SILENT_ENERGY = 1e-9
"""Energy below which a correlation means nothing."""


@dataclass(frozen=True)
class Line:
    """lag = offset + slope * time, in the units of the windows' lags and times.

    Attributes:
        offset, slope: of the line.
        correlations: [K] of each window along the line.
    """

    offset: float
    slope: float
    correlations: NDArray[np.float64]

    @property
    def score(self) -> float:
        """Mean correlation along the line."""
        return float(self.correlations.mean())


def correlograms(
    windows: NDArray[np.float32], fields: NDArray[np.float32], oversampling: int = 1
) -> NDArray[np.float64]:
    """Return [K, L] the normalised correlation of windows with each place in fields.

    Args:
        windows: [K, W, B] B bands of a signal.
        fields: [K, M, B] the other signal around the same times, M > W.
        oversampling: lags for each sample: L = (M - W) * oversampling + 1.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    length, n_lags = windows.shape[1], fields.shape[1] - windows.shape[1] + 1
    n = next_fast_len(fields.shape[1], real=True)
    spectrum = np.zeros((len(windows), n // 2 + 1), np.complex64)
    for band in range(windows.shape[2]):
        spectrum += rfft(fields[:, :, band], n) * np.conj(rfft(windows[:, :, band], n))
    energy = np.cumsum(np.square(fields, dtype=np.float64).sum(axis=2), axis=1)
    energy = np.pad(energy, ((0, 0), (1, 0)))
    local = energy[:, length:] - energy[:, :n_lags]
    power = local * np.square(windows, dtype=np.float64).sum(axis=(1, 2))[:, None]
    # A window that is nearly silent at some lags must not win by rounding noise.
    least = np.maximum(SILENT_ENERGY, 1e-6 * power.max(axis=1, keepdims=True))
    scale = 1.0 / np.sqrt(np.maximum(power, least))
    n_fine = (n_lags - 1) * oversampling + 1
    scale = np.repeat(scale, oversampling, axis=1)[:, :n_fine] * oversampling
    return irfft(spectrum, n * oversampling)[:, :n_fine] * scale


def fit_line(values: NDArray[np.float64], times: NDArray[np.float64], max_slope: float) -> Line:
    """Return the line through correlograms that collects the most.

    Args:
        values: [K, L] correlations at lags 0 to L - 1, in steps.
        times: [K] of the windows, in the same steps, about zero.
        max_slope: largest slope looked for, either way; 0 for a constant lag.
    """
    n_windows, n_lags = values.shape
    reach = max(float(np.abs(times).max()), 1e-9)
    n_slopes = int(np.ceil(min(max_slope * reach, n_lags / 2)))
    margin = n_slopes + 1
    padded = np.pad(values, ((0, 0), (margin, margin)))
    best = (-np.inf, 0, 0.0)
    for slope in np.array(sorted(range(-n_slopes, n_slopes + 1), key=abs)) / reach:
        total = np.zeros(n_lags)
        for row, start in zip(padded, np.rint(margin + slope * times).astype(int), strict=True):
            total += row[start : start + n_lags]
        offset = int(total.argmax())
        # Among nearly equal lines the flattest: a tone agrees along many.
        if total[offset] > best[0] + FLAT_BONUS * n_windows:
            best = (float(total[offset]), offset, float(slope))
    return _polished(values, times, best[1], best[2], bool(n_slopes))


def _polished(
    values: NDArray[np.float64],
    times: NDArray[np.float64],
    offset: float,
    slope: float,
    is_sloped: bool,
) -> Line:
    """Return the line fitted to the windows' own peaks near a first line."""
    n_windows, n_lags = values.shape
    rows = np.arange(n_windows)
    expected = np.rint(offset + slope * times).astype(int)
    near = np.clip(expected[:, None] + np.arange(-PEAK_REACH, PEAK_REACH + 1), 0, n_lags - 1)
    own = values[rows[:, None], near]
    peaks = near[rows, own.argmax(axis=1)]
    inner = np.clip(peaks, 1, n_lags - 2)
    left, middle, right = (values[rows, inner + d] for d in (-1, 0, 1))
    curvature = 2.0 * middle - left - right
    fraction = np.where(curvature > 1e-9, 0.5 * (right - left) / np.maximum(curvature, 1e-9), 0.0)
    lags = inner + np.clip(fraction, -1.0, 1.0)
    weights = np.maximum(own.max(axis=1), 0.0) ** 2
    # The peak is to be inside, not at the edge, of where it was looked for.
    weights *= (peaks > near[:, 0]) & (peaks < near[:, -1])
    if weights.sum() > 0:
        mean_time = float(np.average(times, weights=weights))
        spread = float(np.average((times - mean_time) ** 2, weights=weights))
        mean_lag = float(np.average(lags, weights=weights))
        if is_sloped and spread > 0 and np.count_nonzero(weights) >= 4:
            covariance = np.average((times - mean_time) * (lags - mean_lag), weights=weights)
            fitted = float(covariance) / spread
            if abs(fitted - slope) * float(np.abs(times).max()) <= PEAK_REACH:
                slope = fitted
        offset = mean_lag - slope * mean_time
    along = np.clip(np.rint(offset + slope * times).astype(int), 0, n_lags - 1)
    return Line(offset, slope, values[rows, along])
