"""Where a passage lies in a recording, to the sample, where its waveform is still the same.

Input: mono signals `[S]` of a raw recording and its edit, and a `Match` that is right to `reach`
samples; output: the match with its exact line, or None where the waveforms are not alike.
Method: normalised cross-correlation of excerpts along the match (`line_fit`), the raw recording
read at the match's speed, so that varispeed is found like a plain copy.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.line_fit import SILENT_ENERGY, correlograms, fit_line
from rl_editor.matches import Match, take

MIN_CORRELATION = 0.5
"""A passage whose waveform is less alike is no copy: another performance reaches about 0.3."""
MAX_WINDOWS = 40
POLISH_REACH = 10
"""Samples around the line that are looked at once it is known."""
POLISH_SAMPLES = 8820
"""Length of the excerpts then: 0.4 s at the analysis rate."""
SHARPENING = np.float32(0.95)
KERNEL_REACH, N_PHASES = 4, 512
"""Samples on each side, and steps between two samples, of the kernel that reads in between."""
OVERSAMPLING = 2
"""Lags looked at for each sample: at half a sample of delay bright sound seems to have no peak."""
INSTANT_S, MAX_INSTANTS = 0.05, 240
"""Length and number of the excerpts that are looked at one by one,"""
INSTANT_DB = -40.0
"""those louder than this against their mean,"""
WORST_SHARE = 0.15
"""and of these the worst, but for this share."""
LOOSE_S, LOOSE_SHARE = 0.6, 0.25
"""The ends of a match are not exact yet: so much of each is left out, or that share of it."""
WHOLE_SAMPLE = 0.25
"""Samples off a whole one, or drifting over a match, that are the fit's error and no delay."""


def sample_at(signal: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a signal [S] between its samples, zero beyond its ends (Lanczos kernel of 8 samples).

    Whole places give the samples themselves.
    """
    index = np.floor(places).astype(np.int64)
    phase = np.rint((places - index) * N_PHASES).astype(np.int64)
    first = int(index.min()) - KERNEL_REACH + 1
    piece = take(signal, first, int(index.max()) + KERNEL_REACH + 1)
    kernel = _kernel()
    if phase.min() == phase.max():  # speed 1: one delay for all
        total = np.zeros(len(places), np.float32)
        for tap, weight in enumerate(kernel[phase[0]].tolist()):
            if weight:
                total += np.float32(weight) * piece[index - index.min() + tap]
        return total
    windows = np.lib.stride_tricks.sliding_window_view(piece, 2 * KERNEL_REACH)
    return np.einsum("nk,nk->n", windows[index - index.min()], kernel[phase])


@lru_cache(maxsize=1)
def _kernel() -> NDArray[np.float32]:
    """Return [N_PHASES + 1, 8] weights of the samples around a place between two of them."""
    x = np.linspace(0.0, 1.0, N_PHASES + 1)[:, None] - np.arange(1 - KERNEL_REACH, KERNEL_REACH + 1)
    weights = np.sinc(x) * np.sinc(x / KERNEL_REACH)
    weights /= weights.sum(axis=1, keepdims=True)
    weights[np.abs(weights) < 1e-12] = 0.0
    return weights.astype(np.float32)


def refine_by_waveform(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    reach: int,
    window: tuple[int, float],
) -> Match | None:
    """Return the match on the line where its waveform fits, or None.

    Args:
        match: right to `reach` samples.
        raw, edit: [S] mono.
        reach: samples.
        window: length of the excerpts in samples, and how much the speed may be wrong.
    """
    found = _fitted(match, raw, edit, reach, window)
    if found.confidence < 0.5 * MIN_CORRELATION:
        return None
    polish = (min(window[0], POLISH_SAMPLES), 3.0 / max(window[0], 1))
    found = _fitted(_snapped(found), raw, edit, POLISH_REACH, polish)
    found = _snapped(found)
    if found.confidence < MIN_CORRELATION:
        return None
    return replace(found, is_copy=True)


def waveform_correlations(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    starts: NDArray[np.int64],
    length: int,
) -> NDArray[np.float64]:
    """Return [K] the correlation of excerpts of `length` samples of the edit with the match."""
    return _correlograms(match, raw, edit, starts, (length, 1)).max(axis=1)


def worst_correlation(
    match: Match, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int
) -> float:
    """Return how well a match explains what it explains worst, in [-1, 1].

    Two pieces with the same loud drum samples correlate in each second, but not between the hits.
    """
    loose = min(round(LOOSE_S * sr), int(LOOSE_SHARE * (match.stop - match.start)))
    start, stop = match.start + loose, match.stop - loose
    length = min(round(INSTANT_S * sr), stop - start)
    n_instants = int(np.clip((stop - start) // length, 1, MAX_INSTANTS))
    starts = np.linspace(start, stop - length, n_instants).astype(np.int64)
    power = np.array([np.mean(np.square(edit[s : s + length])) for s in starts.tolist()])
    starts = starts[power >= power.mean() * 10 ** (INSTANT_DB / 10)]
    sharp = waveform_correlations(match, raw, edit, starts, length)
    # Highs raised, the end of a cymbal hides softer music; bass that is not raised does not.
    places = starts[:, None] + np.arange(length)
    wet = edit[places]
    dry = np.stack([sample_at(raw, match.raw_at(row)) for row in places])
    scale = np.linalg.norm(wet, axis=1) * np.linalg.norm(dry, axis=1)
    plain = np.sum(wet * dry, axis=1) / np.maximum(scale, SILENT_ENERGY)
    return float(np.quantile(np.minimum(sharp, plain), WORST_SHARE))


def _fitted(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    reach: int,
    window: tuple[int, float],
) -> Match:
    """Return the match on the line that collects the most correlation."""
    n_samples = match.stop - match.start
    length = min(window[0], n_samples)
    n_windows = int(np.clip(n_samples // length, 1, MAX_WINDOWS))
    starts = np.linspace(match.start, match.stop - length, n_windows).astype(int)
    values = _correlograms(match, raw, edit, starts, (length, reach))
    middles = starts + length / 2.0 - (match.start + match.stop) / 2.0
    line = fit_line(values, middles * OVERSAMPLING, window[1])
    refined = match.on_line(line.offset / OVERSAMPLING - reach, line.slope)
    return replace(refined, confidence=float(np.clip(line.score, 0.0, 1.0)))


def _correlograms(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    starts: NDArray[np.int64],
    window: tuple[int, int],
) -> NDArray[np.float64]:
    """Return [K, L] correlations of excerpts at lags; `window` is their length and the reach."""
    length, reach = window
    # One more sample in front: sharpening takes it.
    inner = starts[:, None] + np.arange(-1, length)
    outer = starts[:, None] + np.arange(-reach - 1, length + reach)
    windows = edit[np.clip(inner, 0, len(edit) - 1)]
    fields = np.stack([sample_at(raw, match.raw_at(row)) for row in outer])
    return correlograms(_sharp(windows)[..., None], _sharp(fields)[..., None], OVERSAMPLING)


def _sharp(signals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return signals [K, S] with the highs raised [K, S - 1]: bass alone correlates with any."""
    return signals[:, 1:] - SHARPENING * signals[:, :-1]


def _snapped(match: Match) -> Match:
    """Return the match at speed 1 and a whole sample where it is as good as there."""
    n_samples = match.stop - match.start
    if abs(match.speed - 1.0) * n_samples > 4 * WHOLE_SAMPLE:
        return match
    middle = (match.start + match.stop) // 2
    offset = float(match.raw_at(np.array(middle))) - middle
    if abs(offset - round(offset)) <= WHOLE_SAMPLE:
        offset = round(offset)
    return replace(match, raw_start=match.start + offset, speed=1.0)
