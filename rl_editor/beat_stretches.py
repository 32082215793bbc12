"""Stretches of playing: from beat activations to beat times, one array for each stretch.

A recording of a session stops and starts, and each start has its own phase. The decoder finds
the stretches; here the tempo of each is reconciled with that of the whole file, stretches that
the music runs through are joined, and where the tempo is steady the beats are put on one rigid
grid, which mends the half-beat slips that a flexible path makes in dense music.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_bars import at_beats, downbeat_odds, reads_at_half
from rl_editor.beat_decoding import FPS, MAX_BPM, MIN_BPM, UPSAMPLING, decode, upsample

FloatArray = NDArray[np.float64]

TEMPO_TOLERANCE = 0.08
"""Relative width of "this tempo": what an override allows."""
TEMPO_RATIOS = (2.0, 0.5, 1.5, 2.0 / 3.0, 4.0 / 3.0, 0.75)
"""Tempi that are commonly mistaken for each other."""
_SAME_TEMPO = 0.05
_SAYS_LITTLE = 24
"""Fewer beats may have been read at a multiple of their tempo."""
_QUIET_DB = -40.0
"""Level under the recording's loud frames that counts as silence."""
_QUIET_S = 0.4
"""Shorter silences are rests in the music."""
_JOIN_S, _LONG_JOIN_S = 2.0, 12.0
"""Longest gaps in the beats that the music may run through, in half and in whole beats."""
_LEVEL_DROP_DB = 12.0
"""Where the level falls by more, the music has stopped: talk between takes is softer."""
_STEADY_SHARE = 0.8
"""Share of the beats within 6% of the median that makes a rigid grid worth trying."""
_ACCEPT_RIGID = 0.75
"""Share of the flexible path's mean activation that the rigid grid must reach."""
_ACCEPT_RIGID_GROUP = 0.65
"""The same where the flexible path has slipped: it follows the stronger half of each beat."""
_PHASE_TOLERANCE = 0.12
"""Of a beat: peaks that belong to the grid are this near to it."""
_MIN_RIGID_BEATS = 16
_MIN_BEATS = 4
"""Fewer beats are no stretch."""
_MIN_CONTRAST = 2.75
"""Least ratio of the activation at the beats to its mean; 2.3 in white noise, above 3 in music."""
_MAX_JITTER = 0.055
"""Most typical change of the interval from beat to beat, of the interval; below 0.05 in music
and above 0.057 in pink noise."""
_AUDIBLE_PEAK = 0.05
"""Beats without so much activation stay where the decoder put them."""
_PHASE_BINS = 64


def find_stretches(
    activations: FloatArray, level_db: NDArray[np.floating], tempo_bpm: float | None = None
) -> list[FloatArray]:
    """Return the beat times of each stretch of playing, in seconds, increasing.

    Args:
        activations: [T, 2] beat and downbeat activations, 50 a second.
        level_db: [T] level of each frame against the recording's loud frames.
        tempo_bpm: the tempo, if it is known; beats stay within 8% of it.
    """
    frames = audible_activation(activations[:, 0], level_db)
    if tempo_bpm is None:
        found = _reconcile(frames, upsample(activations[:, 1]), list(decode(frames).stretches))
    else:
        found = _decode_near(frames, tempo_bpm)
    stretches = [
        times
        for group in _group(found, np.repeat(level_db, UPSAMPLING))
        for times in _settle(frames, group)
    ]
    return [times for times in stretches if _has_pulse(frames, times)]


def audible_activation(
    activation: NDArray[np.floating], level_db: NDArray[np.floating]
) -> FloatArray:
    """Return a beat activation on decoder frames, 0 in each silence of at least 0.4 s."""
    quiet = np.concatenate([[False], level_db <= _QUIET_DB, [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8)))
    audible = np.array(activation, dtype=np.float64)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= _QUIET_S * FPS / UPSAMPLING:
            audible[start:stop] = 0.0
    return upsample(audible)


def rank_tempi(frames: FloatArray, bpm: float) -> tuple[tuple[float, float], ...]:
    """Return the tempi that are commonly mistaken for `bpm` and fit too, best first.

    Each comes with its score, in (0, 1]: its evidence over that of the tempo that fits best,
    which `bpm` itself may be. The evidence is the decoder's score, weighted by a log-normal
    preference for tempi near 110 bpm with a width of one octave.

    Args:
        frames: beat activations from `audible_activation`.
        bpm: the tempo that was chosen.
    """
    ranked = []
    for ratio in TEMPO_RATIOS:
        candidate = bpm * ratio
        if not 0.7 * MIN_BPM <= candidate <= 1.25 * MAX_BPM:
            continue
        evidence = _tempo_evidence(frames, candidate)
        if evidence > 0.0:
            ranked.append((evidence, candidate))
    if not ranked:
        return ()
    most = max(_tempo_evidence(frames, bpm), *(evidence for evidence, _ in ranked))
    return tuple(
        (float(candidate), float(evidence / most))
        for evidence, candidate in sorted(ranked, reverse=True)
    )


def _tempo_evidence(frames: FloatArray, bpm: float) -> float:
    score = decode(frames, bpm * (1 - 0.04), bpm * (1 + 0.04)).score
    return float(score * np.exp(-0.5 * np.log2(bpm / 110.0) ** 2))


def _strength(frames: FloatArray, beats: NDArray[np.integer]) -> FloatArray:
    """Return [N], the activation at each beat, within 40 ms."""
    return at_beats(frames, beats, reach=2 * UPSAMPLING)


def _mean_period(beats: NDArray[np.integer]) -> float:
    """Return the mean interval, finer than one frame; the decoder leaves no beat out."""
    return float(beats[-1] - beats[0]) / (len(beats) - 1)


def _decode_near(frames: FloatArray, bpm: float) -> list[NDArray[np.int64]]:
    low, high = bpm * (1.0 - TEMPO_TOLERANCE), bpm * (1.0 + TEMPO_TOLERANCE)
    return list(decode(frames, low, high).stretches)


def _reconcile(
    frames: FloatArray, downbeat: FloatArray, found: list[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Decode again the stretches that seem to have been read at another tempo than they have.

    That is asked of the tempo of most of the file, and of all stretches at that tempo; short
    stretches, which say little by themselves, are tried at the file's tempo if theirs is a simple
    ratio of it. Long ones at another tempo are another piece.
    """
    if not found:
        return found
    periods = np.array([_mean_period(beats) for beats in found])
    lengths = np.array([beats[-1] - beats[0] for beats in found])
    alike = np.abs(periods[:, None] / periods - 1.0) < _SAME_TEMPO
    longest = int(np.argmax(np.where(alike[np.argmax(alike @ lengths)], lengths, 0)))
    bpm = 60.0 * FPS / periods[longest]
    odds = downbeat_odds(downbeat, found[longest], reach=2 * UPSAMPLING)
    if reads_at_half(bpm, _strength(frames, found[longest]), odds):
        bpm /= 2.0
    result: list[NDArray[np.int64]] = []
    for index, (beats, period) in enumerate(zip(found, periods, strict=True)):
        ratio = 60.0 * FPS / period / bpm
        related = any(abs(ratio / r - 1.0) < _SAME_TEMPO for r in TEMPO_RATIOS)
        is_one_of_them = bool(alike[longest, index]) or len(beats) < _SAYS_LITTLE
        again = _try_tempo(frames, beats, bpm) if related and is_one_of_them else []
        result.extend(again or [beats])
    return result


def _try_tempo(frames: FloatArray, beats: NDArray[np.int64], bpm: float) -> list[NDArray[np.int64]]:
    """Return a stretch decoded at another tempo; empty if that explains it much worse."""
    margin = round(_mean_period(beats))
    first = max(0, int(beats[0]) - margin)
    stop = min(len(frames), int(beats[-1]) + margin)
    again = [part + first for part in _decode_near(frames[first:stop], bpm)]
    covered = sum(int(part[-1] - part[0]) for part in again)
    if covered < 0.7 * (beats[-1] - beats[0]):
        return []
    new = float(np.mean(_strength(frames, np.concatenate(again))))
    return again if new >= _ACCEPT_RIGID * np.mean(_strength(frames, beats)) else []


def _group(
    found: list[NDArray[np.int64]], level_db: NDArray[np.floating]
) -> list[list[NDArray[np.int64]]]:
    """Return runs of stretches at one tempo between which the music goes on."""
    groups: list[list[NDArray[np.int64]]] = []
    for beats in found:
        if groups and _goes_on(groups[-1][-1], beats, level_db):
            groups[-1].append(beats)
        else:
            groups.append([beats])
    return groups


def _has_pulse(frames: FloatArray, times_s: FloatArray) -> bool:
    """Return whether the beats are regular and stand out from what lies between them."""
    if len(times_s) < _MIN_BEATS:
        return False
    intervals = np.diff(times_s)
    if np.median(np.abs(np.diff(intervals))) > _MAX_JITTER * np.median(intervals):
        return False
    beats = np.rint(times_s * FPS).astype(np.int64)
    around = float(frames[beats[0] : beats[-1]].mean())
    return float(np.mean(_strength(frames, beats))) > _MIN_CONTRAST * around


def _goes_on(
    before: NDArray[np.int64], after: NDArray[np.int64], level_db: NDArray[np.floating]
) -> bool:
    """Return whether two stretches are one, with a few beats between that were not heard.

    They are if the level holds and they are in step: by whole beats, or over a short way by
    half a beat, which is how a decoder slips that loses its way in dense music.
    """
    start, stop, period = int(before[-1]), int(after[0]), _mean_period(before)
    if stop <= start:
        return False  # they touch: the second begins another tempo or phase on a shared beat
    n_beats = (stop - start) / period
    gap_s = (stop - start) / FPS
    if abs(_mean_period(after) / period - 1.0) >= _SAME_TEMPO or gap_s > _LONG_JOIN_S:
        return False
    usual = np.median(np.concatenate([level_db[before[0] : start], level_db[stop : after[-1]]]))
    if np.percentile(level_db[start:stop], 25) < usual - _LEVEL_DROP_DB:
        return False
    slip = 2.0 if gap_s <= _JOIN_S else 1.0
    return abs(n_beats * slip - round(n_beats * slip)) < slip * _PHASE_TOLERANCE


def _settle(frames: FloatArray, group: list[NDArray[np.int64]]) -> list[FloatArray]:
    """Return the beat times of a group: one rigid grid if that fits, else its stretches."""
    beats = np.concatenate(group)
    intervals = np.concatenate([np.diff(part) for part in group])
    steady = float(np.mean(np.abs(intervals / np.median(intervals) - 1.0) < 0.06))
    if len(beats) >= _MIN_RIGID_BEATS and steady >= _STEADY_SHARE:
        rigid = _rigid_grid(frames, beats)
        share = _ACCEPT_RIGID if len(group) == 1 else _ACCEPT_RIGID_GROUP
        if _fit(frames, rigid, group) >= share * np.mean(_strength(frames, beats)):
            return [rigid]
    return _bridge([_refine(frames, part) for part in group])


def _fit(frames: FloatArray, times_s: FloatArray, group: list[NDArray[np.int64]]) -> float:
    """Return the mean activation at those beats that lie where the group has beats."""
    beats = np.rint(times_s * FPS).astype(np.int64)
    inside = [(beats >= part[0] - 4) & (beats <= part[-1] + 4) for part in group]
    return float(np.mean(_strength(frames, beats[np.any(inside, axis=0)])))


def _bridge(parts: list[FloatArray]) -> list[FloatArray]:
    """Join parts that are a whole number of beats apart, with even beats between them."""
    joined = [parts[0]]
    for times in parts[1:]:
        before = joined[-1]
        period = (before[-1] - before[0]) / (len(before) - 1)
        n_beats = (times[0] - before[-1]) / period
        if abs(n_beats - round(n_beats)) < 1.5 * _PHASE_TOLERANCE and round(n_beats) > 0:
            between = np.linspace(before[-1], times[0], round(n_beats) + 1)[1:-1]
            joined[-1] = np.concatenate([before, between, times])
        else:
            joined.append(times)
    return joined


def _rigid_grid(frames: FloatArray, beats: NDArray[np.int64]) -> FloatArray:
    """Return the constant-tempo beat times, in seconds, that meet most activation.

    Period and phase come from histograms of the activation peaks folded at each period within
    2%, then from a least-squares line through the peaks near the grid.
    """
    first, last = int(beats[0]), int(beats[-1])
    inner = frames[max(0, first - 4) : last + 5]
    is_peak = np.zeros(len(inner), dtype=bool)
    is_peak[1:-1] = (inner[1:-1] >= inner[:-2]) & (inner[1:-1] > inner[2:]) & (inner[1:-1] > 0.1)
    peaks = np.flatnonzero(is_peak) + max(0, first - 4)
    period = float(np.median(np.diff(beats)))
    if len(peaks) < _MIN_BEATS:
        return beats / FPS
    period, phase = _best_fold(peaks - first, frames[peaks], period, last - first)
    line = np.array([period, first + phase])
    for _ in range(3):
        number = np.rint((peaks - line[1]) / line[0])
        error = peaks - (line[0] * number + line[1])
        near = np.abs(error) < _PHASE_TOLERANCE * line[0]
        if len(np.unique(number[near])) < _MIN_BEATS:
            break
        line = np.polyfit(number[near], peaks[near], 1, w=np.sqrt(frames[peaks[near]]))
    start = int(np.rint((first - line[1]) / line[0]))
    stop = int(np.rint((last - line[1]) / line[0]))
    times = (line[0] * np.arange(start, stop + 1) + line[1]) / FPS
    return times[(times >= 0.0) & (times < len(frames) / FPS)]


def _best_fold(
    peaks: NDArray[np.int64], weight: FloatArray, period: float, length: int
) -> tuple[float, float]:
    """Return period and phase (frames) at which the folded peaks pile up highest."""
    step = max(0.15 * period * period / max(length, 1), 1e-5 * period)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 2.0) ** 2)
    best = (-1.0, period, 0.0)
    for trial in np.arange(0.98 * period, 1.02 * period, step):
        folded = (peaks % trial) * (_PHASE_BINS / trial)
        bins = np.minimum(folded.astype(np.int64), _PHASE_BINS - 1)
        histogram = np.bincount(bins, weights=weight, minlength=_PHASE_BINS)
        padded = np.concatenate([histogram[-4:], histogram, histogram[:4]])
        smooth = np.convolve(padded, kernel, mode="valid")
        top = int(smooth.argmax())
        if smooth[top] > best[0]:
            best = (float(smooth[top]), float(trial), (top + 0.5) / _PHASE_BINS * trial)
    return best[1], best[2]


def _refine(frames: FloatArray, beats: NDArray[np.int64]) -> FloatArray:
    """Return beat times in seconds: each beat moved to the activation peak it begins at.

    A parabola through three activations places the peak between them.
    """
    reach = max(2, round(_mean_period(beats) / 16.0))
    index = np.clip(beats[:, None] + np.arange(-2, reach + 3), 0, len(frames) - 1)
    value = frames[index]
    peak = index[np.arange(len(beats)), value.argmax(axis=1)]
    padded = np.pad(frames, UPSAMPLING, mode="edge")
    before, after = padded[peak], padded[peak + 2 * UPSAMPLING]
    bend = before - 2.0 * frames[peak] + after
    shift = np.where(bend < -1e-9, (before - after) / np.minimum(bend, -1e-9), 0.0)
    shift = np.clip(0.5 * UPSAMPLING * shift, -0.5 * UPSAMPLING, 0.5 * UPSAMPLING)
    moved = np.where(value.max(axis=1) > _AUDIBLE_PEAK, peak + shift, beats)
    ordered = np.maximum.accumulate(np.clip(moved, 0.0, len(frames) - 1.0))
    return ordered[np.concatenate([[True], np.diff(ordered) > 0.0])] / FPS
