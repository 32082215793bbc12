"""Search for the places where one passage continues another best.

In: two mono windows of the source, around the end of the left passage and around the start of
the right one. Out: the best few `Place`s: how far the cut moves on both sides, how the right side
is aligned with the left, and the crossfade. The measure is the normalised cross-correlation of
the two sides (W. Verhelst, M. Roelands, "An overlap-add technique based on waveform similarity",
1993), over a short window at the cut and over all of the music that a moved cut exchanges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
Values = NDArray[np.float64]

LIKE_CORRELATION = math.sqrt(2.0) - 1.0
"""Where equal gain (10 log10((1 + r) / 2) dB in its middle) and equal power (10 log10(1 + r) dB)
miss a constant level by the same amount."""
MIN_OVERLAP_S, MAX_OVERLAP_S = 0.005, 0.06
SUSTAINED_OVERLAPS_S = (0.2, 0.12)
"""Crossfades of like material without an attack in them that is as alike throughout."""
SUSTAINED_CORRELATION = 0.8
MAX_UNLIKE_OVERLAP_S = 0.03
"""Longest crossfade of unlike material, which is heard as both at once."""
APART_S = 0.02
"""Distance between two places that are worth trying both."""
ALIGNMENT_REACH_S = 0.01
"""Distance from the onsets' own alignment that the waveform may ask for."""

_SEARCH_HZ = 5512
_WINDOW_S = 0.04
_FRAME = 16
"""Step of the search in samples at the search rate: 2.9 ms."""
_ATTACK_REACH_FRAMES = 5
_ATTACK_RISE_DB = 20.0
"""Rise within three frames that counts as a full attack."""
_CLEAR_ATTACK = 0.3
"""An attack that a crossfade must keep away from."""
_SILENT_POWER = 1e-9
# Weights of the score beside the correlation at the cut, which counts 1. With them a cut between
# unlike passages stays within some 30 ms of its beat, in front of the attack.
_EXCHANGE_COST = 1.5
_SHIFT_COST = 0.1
_ATTACK_COST = 0.6
_LEVEL_COST_PER_DB = 0.03
_ALIGNMENT_COST = 0.05


@dataclass(frozen=True)
class Room:
    """What a join may do, in samples.

    Attributes:
        shift_min, shift_max: movement of the cut on both sides.
        half_beat: movement that counts as far.
        onset_alignment: alignment that puts the right side's beat where the left's would be.
        max_alignment: largest alignment, either way.
    """

    shift_min: int
    shift_max: int
    half_beat: int
    onset_alignment: int
    max_alignment: int


@dataclass(frozen=True)
class Place:
    """A way to join two passages, in samples of the source.

    Attributes:
        shift: the left passage ends and the right one begins this much later.
        alignment: the right one begins this much later than that.
        overlap: even length of the crossfade, centred on the cut.
        curve: its law.
        ringing: the left passage rings on for so much after the crossfade.
    """

    shift: int
    alignment: int
    overlap: int
    curve: str
    ringing: int = 0


def window_reach(room: Room, sr: int) -> int:
    """Return how far the windows for `best_places` must reach to each side of the cut."""
    reach = max(-room.shift_min, room.shift_max) + room.max_alignment
    return reach + math.ceil((0.5 * max(SUSTAINED_OVERLAPS_S) + 0.02) * sr)


def best_places(left: Signal, right: Signal, sr: int, room: Room, n_places: int) -> list[Place]:
    """Return up to `n_places` places, best first, at least 20 ms apart.

    Args:
        left, right: mono windows of equal length with the cut in their middle, which reach
            `window_reach` to each side.
        sr: their sample rate, Hz.
        room: what is allowed.
        n_places: how many to return.
    """
    factor = max(1, round(sr / _SEARCH_HZ))
    low_left, low_right = _reduced(left, factor), _reduced(right, factor)
    shifts, lags = _shifts(room, factor), _lags(room, sr, factor)
    middle = len(low_left) // 2
    attacks = _attacks(low_left, low_right, round(room.onset_alignment / factor))
    frames = np.clip((middle + shifts) // _FRAME, 0, len(attacks) - 1)
    task = _Task(
        shifts, lags, room.half_beat / factor, sr / factor, *_met(attacks, frames, middle // _FRAME)
    )
    score = _scores(low_left, low_right, task)
    best_lag = np.argmax(score, axis=0)
    best = score[best_lag, np.arange(len(shifts))]
    places: list[Place] = []
    apart = APART_S * sr / factor
    while len(places) < n_places and np.isfinite(best).any():
        i = int(np.argmax(best))
        attack_distance = np.abs(np.flatnonzero(attacks >= _CLEAR_ATTACK) - frames[i])
        free_s = float(attack_distance.min(initial=1000)) * _FRAME * factor / sr
        start = (int(shifts[i]) * factor, int(lags[best_lag[i]]) * factor)
        places.append(_exact_place(left, right, sr, room, start, free_s))
        best = np.where(np.abs(shifts - shifts[i]) < apart, -np.inf, best)
    return places


@dataclass(frozen=True)
class _Task:
    """What is scored, in samples at the search rate.

    Attributes:
        shifts: [D] movements of the cut.
        lags: [L] alignments.
        half_beat: movement that counts as far.
        rate: the search rate, Hz.
        attack_at_cut: [D] strongest attack near the moved cut, in [0, 1].
        attack_crossed: [D] strongest attack between the old cut and the moved one.
    """

    shifts: NDArray[np.int64]
    lags: NDArray[np.int64]
    half_beat: float
    rate: float
    attack_at_cut: Values
    attack_crossed: Values


def _met(attacks: Values, frames: NDArray[np.int64], home: int) -> tuple[Values, Values]:
    """Return the strongest attack near each frame [D], and between it and the frame `home`."""
    near = np.arange(-_ATTACK_REACH_FRAMES, _ATTACK_REACH_FRAMES + 1)
    at_cut = attacks[np.clip(frames[:, None] + near, 0, len(attacks) - 1)].max(axis=1)
    crossed = [attacks[min(home, frame) : max(home, frame)].max(initial=0.0) for frame in frames]
    return at_cut, np.array(crossed)


def _reduced(window: Signal, factor: int) -> Values:
    """Return the means of groups of `factor` samples; the middle stays a border of groups."""
    middle = len(window) // 2
    half = middle // factor
    span = window[middle - half * factor : middle + half * factor]
    return span.reshape(2 * half, factor).astype(np.float64).mean(axis=1)


def _shifts(room: Room, factor: int) -> NDArray[np.int64]:
    step = _FRAME * factor
    shifts = np.arange(math.ceil(room.shift_min / step), room.shift_max // step + 1) * _FRAME
    if len(shifts) == 0:
        shifts = np.array([round(min(max(0, room.shift_min), room.shift_max) / factor)])
    return shifts


def _lags(room: Room, sr: int, factor: int) -> NDArray[np.int64]:
    reach = round(ALIGNMENT_REACH_S * sr)
    low = max(room.onset_alignment - reach, -room.max_alignment)
    high = min(room.onset_alignment + reach, room.max_alignment)
    return np.arange(math.ceil(low / factor), high // factor + 1)


def _attacks(left: Values, right: Values, alignment: int) -> Values:
    """Return how strongly either side attacks in each frame, in [0, 1]."""
    aligned = np.roll(right, -alignment)
    strength = np.zeros(len(left) // _FRAME)
    for side in (left, aligned):
        power = np.diff(side, prepend=side[0])[: len(strength) * _FRAME] ** 2
        power = power.reshape(-1, _FRAME).mean(axis=1)
        floor = max(1e-3 * float(power.max()), _SILENT_POWER)
        level_db = 10.0 * np.log10(power + floor)
        rise_db = level_db[3:] - level_db[:-3]
        strength[3:] = np.maximum(strength[3:], np.clip(rise_db / _ATTACK_RISE_DB, 0.0, 1.0))
    return strength


def _scores(left: Values, right: Values, task: _Task) -> Values:
    """Return the score [L, D] of each alignment and shift: correlation at the cut less costs."""
    shifts, lags = task.shifts, task.lags
    middle, half_window = len(left) // 2, round(0.5 * _WINDOW_S * task.rate)
    low = middle + min(int(shifts.min()), 0) - half_window
    high = middle + max(int(shifts.max()), 0) + half_window
    shifted = np.lib.stride_tricks.sliding_window_view(right, high - low)[low + lags]
    sums = (_running(left[low:high] * shifted), _running(left[low:high] ** 2), _running(shifted**2))
    home = middle - low
    at = home + shifts
    at_cut, level_db = _correlation(sums, at - half_window, at + half_window)
    exchanged, _ = _correlation(
        sums, np.minimum(at, home) - half_window, np.maximum(at, home) + half_window
    )
    unlike, unlike_exchanged = 1.0 - np.maximum(at_cut, 0.0), 1.0 - np.maximum(exchanged, 0.0)
    far = np.abs(shifts) / max(task.half_beat, 1.0)
    off = np.abs(lags - 0.5 * (lags[0] + lags[-1])) / (ALIGNMENT_REACH_S * task.rate)
    return (
        at_cut
        - unlike * _ATTACK_COST * task.attack_at_cut
        - unlike_exchanged * (_EXCHANGE_COST * far + _ATTACK_COST * task.attack_crossed)
        - _SHIFT_COST * far
        - _LEVEL_COST_PER_DB * np.minimum(level_db, 12.0)
        - _ALIGNMENT_COST * off[:, None]
    )


def _correlation(
    sums: tuple[Values, Values, Values], first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[Values, Values]:
    """Return the normalised correlation and the level difference in dB over [first, last).

    `sums` are the running sums of the product and of both powers. Two silences correlate fully.
    """
    cross, power_left, power_right = (s[..., last] - s[..., first] for s in sums)
    floor = _SILENT_POWER * (last - first)
    energy = np.sqrt((power_left + floor) * (power_right + floor))
    ratio_db = 10.0 * np.log10((power_left + floor) / (power_right + floor))
    return (cross + floor) / energy, np.abs(ratio_db)


def _running(values: Values) -> Values:
    """Return sums along the last axis, from nothing to everything."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=total[..., 1:])
    return total


def _exact_place(
    left: Signal, right: Signal, sr: int, room: Room, start: tuple[int, int], free_s: float
) -> Place:
    """Return the place near `start` (shift, alignment), aligned to the sample.

    `free_s` is the distance to the nearest attack, which a crossfade must not smear.
    """
    shift = min(max(start[0], room.shift_min), room.shift_max)
    half, reach = round(0.5 * _WINDOW_S * sr), max(1, round(sr / _SEARCH_HZ))
    at = len(left) // 2 + shift
    ours = left[at - half : at + half].astype(np.float64)
    first = at - half + start[1] - reach
    theirs = right[first : first + 2 * (half + reach)].astype(np.float64)
    views = np.lib.stride_tricks.sliding_window_view(theirs, 2 * half)
    floor = _SILENT_POWER * 2 * half
    energy = np.sqrt((ours @ ours + floor) * (np.sum(views**2, axis=1) + floor))
    correlation = (views @ ours + floor) / energy
    best = int(np.argmax(correlation))
    is_like = correlation[best] >= LIKE_CORRELATION
    alignment = start[1] + best - reach
    alignment = min(max(alignment, -room.max_alignment), room.max_alignment)
    longest_s = MAX_OVERLAP_S if is_like else MAX_UNLIKE_OVERLAP_S
    overlap_s = min(max(2.0 * free_s, MIN_OVERLAP_S), longest_s)
    for sustained_s in SUSTAINED_OVERLAPS_S if is_like else ():
        if sustained_s <= 2.0 * free_s and _is_sustained(
            left, right, at, alignment, sustained_s, sr
        ):
            overlap_s = sustained_s
            break
    overlap = round(overlap_s * sr) // 2 * 2
    return Place(shift, alignment, overlap, "linear" if is_like else "equal_power")


def crossfaded(left: Signal, right: Signal, sr: int, place: Place) -> Place:
    """Return a place with the law, and no more than the overlap, that suit its two sides.

    Args:
        left, right: as for `best_places`.
        sr: their sample rate, Hz.
        place: its shift and alignment stay.
    """
    half = round(0.5 * _WINDOW_S * sr)
    first = len(left) // 2 + place.shift - half
    theirs = first + place.alignment
    likeness = _likeness(left[first : first + 2 * half], right[theirs : theirs + 2 * half])
    if likeness >= LIKE_CORRELATION:
        return replace(place, curve="linear")
    longest = round(MAX_UNLIKE_OVERLAP_S * sr) // 2 * 2
    return replace(place, overlap=min(place.overlap, longest), curve="equal_power")


def _is_sustained(
    left: Signal, right: Signal, at: int, alignment: int, overlap_s: float, sr: int
) -> bool:
    """Return whether both sides are alike in both halves of a crossfade around sample `at`."""
    half = round(0.5 * overlap_s * sr)
    return all(
        _likeness(left[first : first + half], right[first + alignment : first + alignment + half])
        >= SUSTAINED_CORRELATION
        for first in (at - half, at)
    )


def _likeness(one: Signal, other: Signal) -> float:
    """Return the normalised correlation of two signals [S]; two silences correlate fully."""
    floor = _SILENT_POWER * len(one)
    ours, theirs = one.astype(np.float64), other.astype(np.float64)
    energy = math.sqrt((ours @ ours + floor) * (theirs @ theirs + floor))
    return float(ours @ theirs + floor) / energy
