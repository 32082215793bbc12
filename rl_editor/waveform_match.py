"""Where a span of one recording lies in another, to the sample, and how loud.

Input: mono signals `[S]` of a raw recording and its edit, and spans that are right to a few
frames; output: the spans with exact offsets and cuts. Method: the offset is the peak of the
normalised cross-correlation of excerpts; a cut lies where the residuals of both sides change
places; the gain is the least-squares ratio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MIN_SPAN_S = 0.2
"""Shorter spans of the path are noise."""
EXCERPT_S = 1.5
"""Length of the excerpts whose correlation gives the offset."""
N_EXCERPTS = 3
CUT_SEARCH_S = 0.5
"""Cuts are looked for that far on each side of the path's jump."""
SAME_OFFSET_S = 0.0005
"""Neighbouring spans whose offsets differ by less are one span."""
FOREIGN_RESIDUAL = 0.5
"""Share of the edit's energy by which foreign material is explained; less is a better fit."""
SUBSAMPLE_LAGS = np.arange(-3, 4) / 4
"""Samples around the peak of a correlation at which it is read again."""
GAIN_SMOOTHING = 8
"""Samples of the moving average before gains are measured: below about 1.4 kHz."""
SILENT_POWER = 1e-12
"""Energy below which a correlation means nothing."""


@dataclass(frozen=True)
class Span:
    """A span in samples: `edit[start:stop]` is `raw[start + offset:stop + offset]`."""

    start: int
    stop: int
    offset: int
    correlation: float = 0.0


def _take(signal: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Return samples [start, stop), with zeros beyond both ends of the signal."""
    inside = signal[max(0, start) : max(0, stop)]
    before = max(0, min(-start, stop - start))
    return np.pad(inside, (before, stop - start - before - len(inside)))


def _sharp(signal: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Return samples [start, stop) with the highs raised: bass alone correlates with any bass."""
    piece = _take(signal, start - 1, stop)
    return piece[1:] - np.float32(0.95) * piece[:-1]


def refine_offset(
    span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32], reach: int, sr: int
) -> Span:
    """Return the span with the offset, within `reach` samples, at which its waveform fits."""
    matches = _match_excerpts(span, raw, edit, reach, sr)
    lag, correlation = max(matches, key=lambda match: match[1])
    return replace(span, offset=span.offset + lag, correlation=correlation)


def similarity(span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int) -> float:
    """Return the mean correlation, in [0, 1], of excerpts of the span."""
    matches = _match_excerpts(span, raw, edit, 1, sr)
    return float(np.clip(np.mean([correlation for _, correlation in matches]), 0.0, 1.0))


def _match_excerpts(
    span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32], reach: int, sr: int
) -> list[tuple[int, float]]:
    """Return (lag against the span's offset, correlation) of excerpts along the span."""
    length = min(round(EXCERPT_S * sr), span.stop - span.start)
    places = np.unique(np.linspace(span.start, span.stop - length, N_EXCERPTS).astype(int))
    matches = []
    for place in places.tolist():
        first = place + span.offset - reach
        field = _sharp(raw, first, first + length + 2 * reach)
        lag, correlation = _best_lag(_sharp(edit, place, place + length), field)
        matches.append((lag - reach, correlation))
    return matches


def _best_lag(excerpt: NDArray[np.float32], field: NDArray[np.float32]) -> tuple[int, float]:
    """Return the lag of an excerpt [L] in a field [M >= L], and the correlation there.

    The correlation is that of the peak between the samples: cuts made at another sample rate
    lie there, and half a sample of delay would hide that the highs are the same.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = next_fast_len(len(field), real=True)
    spectrum = rfft(field, n) * np.conj(rfft(excerpt, n))
    n_lags = len(field) - len(excerpt) + 1
    energy = np.concatenate([[0.0], np.cumsum(np.square(field, dtype=np.float64))])
    local = energy[len(excerpt) :] - energy[:n_lags]
    power = local * np.sum(np.square(excerpt, dtype=np.float64))
    scale = np.where(power > SILENT_POWER, 1.0 / np.sqrt(np.maximum(power, SILENT_POWER)), 0.0)
    lag = int((irfft(spectrum, n)[:n_lags] * scale).argmax())
    phases = 2j * np.pi / n * np.outer(lag + SUBSAMPLE_LAGS, np.arange(len(spectrum)))
    peak = float(np.max((np.exp(phases) @ spectrum).real)) * 2.0 / n
    return lag, min(peak * float(scale[lag]), 1.0)


def merge(spans: list[Span], sr: int) -> list[Span]:
    """Return the spans with neighbours of one offset joined, and those too short left out."""
    merged: list[Span] = []
    for span in spans:
        before = merged[-1] if merged else None
        if (
            before is not None
            and abs(span.offset - before.offset) <= SAME_OFFSET_S * sr
            and span.start - before.stop <= MIN_SPAN_S * sr
        ):
            longer = max(span, before, key=lambda s: s.stop - s.start)
            merged[-1] = replace(longer, start=before.start, stop=span.stop)
        else:
            merged.append(span)
    return [s for s in merged if s.stop - s.start >= MIN_SPAN_S * sr]


def refine_cuts(
    spans: list[Span], raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int
) -> list[Span]:
    """Return the spans with their ends moved to where the other side begins to fit better."""
    search = round(CUT_SEARCH_S * sr)
    starts, stops = [s.start for s in spans], [s.stop for s in spans]
    for left, right in pairwise([None, *range(len(spans)), None]):
        before = None if left is None else spans[left]
        after = None if right is None else spans[right]
        touching = before and after and after.start - before.stop <= MIN_SPAN_S * sr
        if before and after and touching:
            low, high = before.stop - search, after.start + search
            low, high = max(low, starts[left]), min(high, after.stop)
            stops[left] = starts[right] = _change_point((before, after), raw, edit, (low, high))
            continue
        if before:
            limit = after.start if after else len(edit)
            low, high = max(before.stop - search, starts[left]), min(before.stop + search, limit)
            stops[left] = _change_point((before, None), raw, edit, (low, high))
        if after:
            limit = before.stop if before else 0
            low, high = max(after.start - search, limit), min(after.start + search, after.stop)
            starts[right] = _change_point((None, after), raw, edit, (low, high))
    cut = [replace(s, start=a, stop=b) for s, a, b in zip(spans, starts, stops, strict=True)]
    return [s for s in cut if s.stop > s.start]


def _change_point(
    sides: tuple[Span | None, Span | None],
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    limits: tuple[int, int],
) -> int:
    """Return the sample in `limits` up to which the left side explains the edit best."""
    low, high = limits
    energy = np.square(_take(edit, low, high), dtype=np.float64)
    left, right = (
        FOREIGN_RESIDUAL * energy if side is None else _residual(side, raw, edit, limits)
        for side in sides
    )
    cost = np.concatenate([[0.0], np.cumsum(left - right)])
    cuts = np.flatnonzero(cost <= cost.min() + 1e-6 * energy.sum())
    # Both sides may fit equally well (silence, a loop): then the path's own cut is kept.
    expected = sides[1].start if sides[1] else sides[0].stop if sides[0] else low
    return low + int(cuts[np.abs(cuts + low - expected).argmin()])


def _residual(
    span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32], limits: tuple[int, int]
) -> NDArray[np.float64]:
    low, high = limits
    source = _take(raw, low + span.offset, high + span.offset)
    return np.square(_take(edit, low, high) - gain(span, raw, edit) * source, dtype=np.float64)


def gain(span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32]) -> float:
    """Return the amplitude factor from raw to edit that leaves the least squares.

    Both are smoothed first: half a sample of delay costs the highs, and with them level.
    """
    wet = _smooth(_take(edit, span.start, span.stop))
    dry = _smooth(_take(raw, span.start + span.offset, span.stop + span.offset))
    return float(np.vdot(wet, dry)) / max(float(np.vdot(dry, dry)), SILENT_POWER)


def _smooth(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    total = np.cumsum(signal, dtype=np.float64)
    return total[GAIN_SMOOTHING:] - total[:-GAIN_SMOOTHING]
