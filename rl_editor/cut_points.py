"""Where in an edit one passage ends and the next begins.

Input: matches whose lines are right and whose ends are right to half a second; output: the same
with exact ends. Method: the levels in bands (`envelope_match`) that each side predicts are
compared with those of the edit; the ends lie where the sum of the errors is smallest, with
foreign sound between the sides where that pays. Between two copies the waveforms' residuals then
say the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_editor.envelope_match import ENVELOPE_FPS, FLOOR_DB, frame_centres, match_levels
from rl_editor.matches import Match
from rl_editor.waveform_match import sample_at

SEARCH_S = 1.0
"""Ends are looked for that far inside a match,"""
GAP_SEARCH_S = 2.0
"""and that far outside where foreign sound follows."""
FOREIGN_SHARE = 0.55
"""Foreign sound is taken to have an error that far between that of the match and that of the
same sounds shuffled."""
MAX_ERROR_DB = 14.0
AUDIBLE_DB = 3.0
"""Levels above the floor by more than this can be heard."""
FOREIGN_COST = 250.0
"""Loss of saying that there is foreign sound at all: half a second of the error of a false match
beyond what foreign sound is taken to have."""
RESPONSE_FRAMES = 400
EXACT_S = 0.03
"""The waveforms decide that far around where the levels put a cut."""
EXACT_CONFIDENCE = 0.8
FOREIGN_RESIDUAL = 0.5
"""Share of the edit's energy by which foreign sound is explained; less is a better fit."""

RESIDUAL_DB = 6.0
"""What a residual as large as the edit counts, beside errors of levels in dB."""
LOCAL_FRAMES = 5
"""Frames over which the gain is fitted anew: a fade is no cut."""
SILENT_POWER = 1e-6
"""Power of a frame below which its waveform says nothing; the mean of the edit is 1."""

Signals = tuple[NDArray[np.float32], NDArray[np.float32], int]
"""Raw recording [S], edit [S], sample rate."""


def refine_cuts(matches: list[Match], signals: Signals) -> list[Match]:
    """Return the matches with their ends where the other side begins to fit better."""
    if not matches:
        return []
    _, edit, _ = signals
    sides = [_side(m, signals) for m in matches]
    starts, stops = [m.start for m in matches], [m.stop for m in matches]
    for left, right in pairwise([None, *range(len(matches)), None]):
        low = 0 if left is None else starts[left]
        high = len(edit) if right is None else matches[right].stop
        pair = (None if left is None else sides[left], None if right is None else sides[right])
        stop, start = _gap(pair, (low, high), signals)
        if left is not None:
            stops[left] = stop
        if right is not None:
            starts[right] = start
    moved = [m.moved(a, b) for m, a, b in zip(matches, starts, stops, strict=True) if b > a]
    return moved


@dataclass(frozen=True)
class Side:
    """A match and what its levels are compared with.

    Attributes:
        match: the match.
        response_db: [20] what the edit adds to the levels of the raw recording.
        foreign_db: error from which on a frame is rather foreign.
    """

    match: Match
    response_db: NDArray[np.float32]
    foreign_db: float


def _side(match: Match, signals: Signals) -> Side:
    """Return a match with the errors of its levels measured on a sample of its frames."""
    raw, edit, sr = signals
    centres = frame_centres(match.start, match.stop, sr)
    centres = centres[:: max(1, len(centres) // RESPONSE_FRAMES)]
    wet, dry = match_levels(match, raw, edit, centres, sr)
    response_db = np.median(wet - dry, axis=0)
    own = float(np.median(_error_db(wet - dry - response_db)))
    shuffled = np.roll(dry, len(dry) // 2, axis=0)
    other = float(np.median(_error_db(wet - shuffled - response_db)))
    return Side(match, response_db, own + FOREIGN_SHARE * max(other - own, 2.0))


def _error_db(error: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [n] the mean size of errors [n, 20] of bands, the common level left out."""
    error = error - error.mean(axis=1, keepdims=True)
    return np.minimum(np.abs(error).mean(axis=1), MAX_ERROR_DB).astype(np.float64)


def _gap(
    sides: tuple[Side | None, Side | None], limits: tuple[int, int], signals: Signals
) -> tuple[int, int]:
    """Return where the left side stops and where the right one starts."""
    _, edit, sr = signals
    left, right = sides
    low, high = limits
    inside, outside = round(SEARCH_S * sr), round(GAP_SEARCH_S * sr)
    stop = left.match.stop if left else low
    start = right.match.start if right else high
    if left and right and start - stop > 2 * outside:
        return (
            _gap((left, None), (low, stop + outside), signals)[0],
            _gap((None, right), (start - outside, high), signals)[1],
        )
    first = max(low, stop - inside) if left else max(low, start - outside)
    last = min(high, start + inside) if right else min(high, stop + outside)
    if last - first < sr // 50:
        return stop, start
    centres = frame_centres(first, last, sr)
    present = [side for side in sides if side]
    if all(s.match.is_copy and s.match.confidence >= EXACT_CONFIDENCE for s in present):
        costs = [_residual_costs(side, centres, signals) for side in sides]
    else:
        foreign_db = max(side.foreign_db for side in present)
        costs = [_errors(side, centres, signals, foreign_db) for side in sides]
    is_open = (first > 0 or left is not None, last < len(edit) or right is not None)
    a, b = _best_gap(costs[0], costs[1], is_open)
    edges = np.append(centres - 0.5 * sr / ENVELOPE_FPS, last)
    edges[0] = first
    stop, start = round(float(edges[a])), round(float(edges[b]))
    if a == b and left and right:
        stop = start = _exact((left.match, right.match), stop, limits, signals)
    else:
        stop = _exact((left.match, None), stop, limits, signals) if left else stop
        start = _exact((None, right.match), start, limits, signals) if right else start
    return stop, start


def _errors(
    side: Side | None, centres: NDArray[np.float64], signals: Signals, foreign_db: float
) -> NDArray[np.float64] | None:
    """Return [n] the error in dB of what a side predicts at each frame, less that of foreign sound.

    Frames of the edit count by the share of their bands that can be heard.
    """
    if side is None:
        return None
    raw, edit, sr = signals
    wet, dry = match_levels(side.match, raw, edit, centres, sr)
    audible = np.mean(wet > FLOOR_DB + AUDIBLE_DB, axis=1)
    return audible * (_error_db(wet - dry - side.response_db) - foreign_db)


def _residual_costs(
    side: Side | None, centres: NDArray[np.float64], signals: Signals
) -> NDArray[np.float64] | None:
    """Return [n] the same as `_errors` from the waveform of a copy, whatever its gain there."""
    if side is None:
        return None
    from scipy.ndimage import uniform_filter1d

    raw, edit, sr = signals
    edges = np.append(centres - 0.5 * sr / ENVELOPE_FPS, centres[-1] + 0.5 * sr / ENVELOPE_FPS)
    edges = np.clip(np.rint(edges).astype(np.int64), 0, len(edit))
    wet = edit[edges[0] : edges[-1]].astype(np.float64)
    dry = sample_at(raw, side.match.raw_at(np.arange(edges[0], edges[-1])))
    sums = np.cumsum(np.stack([wet * wet, dry * dry, wet * dry]), axis=1)
    sums = np.diff(np.pad(sums, ((0, 0), (1, 0)))[:, edges - edges[0]], axis=1)
    audible = sums[0] > SILENT_POWER * np.diff(edges)
    power, source, product = uniform_filter1d(sums, LOCAL_FRAMES, axis=1, mode="nearest")
    fit = np.maximum(product, 0.0) ** 2 / np.maximum(power * source, 1e-12)
    return audible * RESIDUAL_DB * (1.0 - FOREIGN_RESIDUAL - fit)


def _best_gap(
    left: NDArray[np.float64] | None,
    right: NDArray[np.float64] | None,
    is_open: tuple[bool, bool],
) -> tuple[int, int]:
    """Return frames a <= b: the left side holds before a, the right one from b on.

    `is_open` says for each end whether the edit goes on beyond it: where it does and there is no
    side, the sound there is foreign already.
    """
    n = len(left if left is not None else right)  # type: ignore[arg-type]
    steps = np.arange(n + 1)
    total_left = np.where(steps == 0, 0.0, np.inf)
    if left is not None:
        total_left = np.concatenate([[0.0], np.cumsum(left)])
    rest_right = np.where(steps == n, 0.0, np.inf)
    if right is not None:
        rest_right = np.concatenate([np.cumsum(right[::-1])[::-1], [0.0]])
    cost = np.minimum.accumulate(total_left) + rest_right
    b = int(cost.argmin())
    a = int(total_left[: b + 1].argmin())
    direct = total_left + rest_right
    is_foreign_anyway = (left is None and is_open[0]) or (right is None and is_open[1])
    if not is_foreign_anyway and direct.min() <= cost[b] + FOREIGN_COST:
        a = b = int(direct.argmin())
    return a, b


def _exact(
    sides: tuple[Match | None, Match | None], cut: int, limits: tuple[int, int], signals: Signals
) -> int:
    """Return the sample near `cut` at which the waveforms of two copies change places."""
    _, edit, sr = signals
    if any(m and not (m.is_copy and m.confidence >= EXACT_CONFIDENCE) for m in sides):
        return cut
    reach = round(EXACT_S * sr)
    low, high = max(limits[0], cut - reach), min(limits[1], cut + reach)
    if high - low < 2:
        return cut
    energy = np.square(edit[low:high], dtype=np.float64)
    left, right = (
        FOREIGN_RESIDUAL * energy if side is None else _residual(side, (low, high), signals)
        for side in sides
    )
    cost = np.concatenate([[0.0], np.cumsum(left - right)])
    # Both sides may fit equally well (silence, a loop): then the first cut is kept.
    cuts = np.flatnonzero(cost <= cost.min() + 1e-6 * energy.sum())
    return low + int(cuts[np.abs(cuts + low - cut).argmin()])


def _residual(match: Match, limits: tuple[int, int], signals: Signals) -> NDArray[np.float64]:
    """Return [n] the energy of the edit that a copy leaves unexplained."""
    raw, edit, sr = signals
    middle = (match.start + match.stop) // 2
    half = min(sr // 2, (match.stop - match.start) // 2)
    known = np.arange(max(middle - half, match.start), min(middle + half, match.stop))
    # The gain near the cut counts, of the side's own sound, since compression changes it.
    near = np.clip(np.arange(limits[0] - sr // 2, limits[1] + sr // 2), match.start, match.stop - 1)
    known = np.unique(near) if len(np.unique(near)) > sr // 10 else known
    dry, wet = sample_at(raw, match.raw_at(known)), edit[known]
    gain = float(np.vdot(dry, wet)) / max(float(np.vdot(dry, dry)), 1e-12)
    source = sample_at(raw, match.raw_at(np.arange(*limits)))
    return np.square(edit[limits[0] : limits[1]] - gain * source, dtype=np.float64)
