"""Four numbers that say how well one passage goes over into the next.

In: mono excerpts [K, M] with the place to judge in their middle. Out: `JoinMeasures` with one
value [K] for each. The same numbers at the recording's own ordinary beat changes (`Reference`)
turn each into a percentile, so that a join is judged by what the music itself does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip, Join
from rl_editor.grid import BeatGrid
from rl_editor.sample_readers import SampleReader
from rl_editor.units import seconds_to_samples

Values = NDArray[np.float64]

NEIGHBOURHOOD_S = 0.35
"""Length of an excerpt on each side of the place to judge."""
MAX_REFERENCE_BEATS = 200
MAX_PERCENTILE = 95.0
"""A join beyond this percentile stands out among the recording's own beat changes."""
INAUDIBLE = {
    "click_energy": 3.0,
    "level_step_db": 1.0,
    "beat_phase_error_ms": 10.0,
    "harmonic_distance": 0.05,
}
"""Size up to which a measure is no fault, even in a recording that is steadier than that."""

_ANALYSIS_HZ = 22050
_CLICK_FRAME_S = 0.0025
_CLICK_REACH_S = 0.015
_CLICK_CONTEXT_S = 0.1
_LEVEL_S = 0.2
_LEVEL_GAP_S = 0.03
"""Half of the longest crossfade of unlike sides, in which both sound."""
_HARMONY_S = 0.3
_HARMONY_RANGE_HZ = (100.0, 4000.0)
_SILENT_POWER = 1e-7
"""Mean power that counts as silence, -70 dB of full scale."""
_ONSET_REACH_S = 0.03
"""An onset belongs to a beat up to this distance."""
_ONSET_FRAME_S = 0.003
_ONSET_RISE_DB = 6.0
"""Rise of the level within 9 ms that makes an onset."""


@dataclass(frozen=True)
class JoinMeasures:
    """The measures of `K` places.

    Attributes:
        click_energy: [K] dB; energy of the second difference in the loudest 5 ms around the
            place, over its mean in the 100 ms before and after.
        level_step_db: [K] level of 200 ms after minus that of 200 ms before, from 30 ms off.
        beat_phase_error_ms: [K] how far the beat after is from where the beat before leads.
        harmonic_distance: [K] in [0, 1]; 1 minus the cosine of the two sides' chroma (300 ms).
    """

    click_energy: Values
    level_step_db: Values
    beat_phase_error_ms: Values
    harmonic_distance: Values


def measure(excerpts: NDArray[np.floating], sr: int, phase_error_ms: Values) -> JoinMeasures:
    """Return the measures of excerpts [K, M] with M = 2 * NEIGHBOURHOOD_S * sr.

    Args:
        excerpts: mono, the place to judge at M // 2.
        sr: their sample rate, Hz.
        phase_error_ms: [K], see `beat_offsets`.
    """
    factor = max(1, round(sr / _ANALYSIS_HZ))
    half = excerpts.shape[1] // 2 // factor
    middle = excerpts.shape[1] // 2
    excerpts = excerpts[:, middle - half * factor : middle + half * factor]
    groups = excerpts.reshape(len(excerpts), 2 * half, factor).astype(np.float64)
    signal, rate = groups.mean(axis=2), sr / factor
    return JoinMeasures(
        _click_energy(signal, rate),
        _level_step_db(signal, rate),
        np.asarray(phase_error_ms, dtype=np.float64),
        _harmonic_distance(signal, rate),
    )


def _click_energy(excerpts: Values, rate: float) -> Values:
    n_frame = max(2, round(_CLICK_FRAME_S * rate))
    curvature = np.diff(excerpts, n=2, axis=1, prepend=0.0, append=0.0)[:, :-1] ** 2
    middle = excerpts.shape[1] // 2
    reach, context = (round(s / _CLICK_FRAME_S) for s in (_CLICK_REACH_S, _CLICK_CONTEXT_S))
    span = slice(middle - context * n_frame, middle + context * n_frame)
    power = curvature[:, span].reshape(len(excerpts), 2 * context, n_frame).mean(axis=2)
    power = 0.5 * (power[:, 1:] + power[:, :-1])
    near = power[:, context - reach : context + reach - 1]
    far = np.hstack([power[:, : context - reach], power[:, context + reach - 1 :]])
    floor = _SILENT_POWER * 1e-2
    return 10.0 * np.log10((near.max(axis=1) + floor) / (far.mean(axis=1) + floor))


def _level_step_db(excerpts: Values, rate: float) -> Values:
    middle, n, gap = (
        excerpts.shape[1] // 2,
        round(_LEVEL_S * rate),
        round(_LEVEL_GAP_S * rate),
    )
    before = np.mean(excerpts[:, middle - gap - n : middle - gap] ** 2, axis=1)
    after = np.mean(excerpts[:, middle + gap : middle + gap + n] ** 2, axis=1)
    return 10.0 * np.log10((after + _SILENT_POWER) / (before + _SILENT_POWER))


def _harmonic_distance(excerpts: Values, rate: float) -> Values:
    middle, n = excerpts.shape[1] // 2, round(_HARMONY_S * rate)
    n_fft = 1 << math.ceil(math.log2(n))
    window = np.hanning(n)
    fold = _chroma_fold(n_fft, rate)
    before, after = (
        np.abs(np.fft.rfft(side * window, n_fft, axis=1)) @ fold + math.sqrt(_SILENT_POWER) * n
        for side in (excerpts[:, middle - n : middle], excerpts[:, middle : middle + n])
    )
    product = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.maximum(1.0 - np.sum(before * after, axis=1) / product, 0.0)


def _chroma_fold(n_fft: int, rate: float) -> Values:
    """Return the [n_fft // 2 + 1, 12] matrix that adds the bins of each pitch class."""
    frequency_hz = np.arange(n_fft // 2 + 1) * rate / n_fft
    low_hz, high_hz = _HARMONY_RANGE_HZ
    bins = np.flatnonzero((frequency_hz >= low_hz) & (frequency_hz <= high_hz))
    pitch = np.rint(12.0 * np.log2(frequency_hz[bins] / 440.0)).astype(int) % 12
    fold = np.zeros((len(frequency_hz), 12))
    fold[bins, pitch] = 1.0
    return fold


def beat_offsets(reader: SampleReader, times_s: Values) -> Values:
    """Return how far the onset at each time [K] is from it, in s; 0 where none stands out.

    The onset is the steepest rise of the level of the differentiated signal within 30 ms; it
    must be 6 dB within 9 ms. Resolution 3 ms.
    """
    sr = reader.info.sample_rate
    n_frame = max(1, round(_ONSET_FRAME_S * sr))
    reach = math.ceil(_ONSET_REACH_S * sr / n_frame)
    n_frames = 2 * reach + 5
    starts = seconds_to_samples(np.asarray(times_s, dtype=np.float64), sr)
    starts = starts - (reach + 3) * n_frame
    windows = [read_mono(reader, s, s + n_frames * n_frame + 1) for s in starts]
    steps = np.diff(np.array(windows).reshape(len(starts), n_frames * n_frame + 1), axis=1) ** 2
    power = steps.reshape(len(starts), n_frames, n_frame).mean(axis=2, dtype=np.float64)
    floor = np.maximum(1e-3 * power.mean(axis=1, keepdims=True), _SILENT_POWER * 1e-2)
    level_db = 10.0 * np.log10(power + floor)
    rise_db = level_db[:, 3:] - level_db[:, :-3]
    inside = rise_db[:, 1 : 2 * reach + 2]
    # The rise from frame i to i + 3 is steepest where the onset is at the start of frame i + 3 or
    # in frame i + 2; frame reach + 3 begins at the time asked for.
    offset_s = (np.argmax(inside, axis=1) + 0.5 - reach) * n_frame / sr
    return np.where(inside.max(axis=1) >= _ONSET_RISE_DB, offset_s, 0.0)


def offset_between(before_s: Values, after_s: Values) -> Values:
    """Return how much later the beats after come than the grid says, if those before are right.

    It is 0 where `beat_offsets` found no onset on either side: there the grid is all that is known.
    """
    return np.where((before_s != 0.0) & (after_s != 0.0), after_s - before_s, 0.0)


def beat_error_ms(before: Clip, after: Clip, overlap_s: float, grid: BeatGrid) -> float:
    """Return how much later the next beat comes than the beats before the join lead, in ms.

    It is the difference of the two sides' places in their beats, in the longer of the two, so
    that one tempo may follow another. At most half a beat either way, and 0 where a side plays
    backwards.
    """
    if before.reverse or after.reverse:
        return 0.0
    left, left_s = _place_in_beat(before.source_end_s - overlap_s / 2 * before.rate - 1e-6, grid)
    right, right_s = _place_in_beat(after.source_start_s + overlap_s / 2 * after.rate + 1e-6, grid)
    period_s = max(left_s / before.rate, right_s / after.rate)
    return 1000.0 * float((left - right + 0.5) % 1.0 - 0.5) * period_s


def _place_in_beat(time_s: float, grid: BeatGrid) -> tuple[float, float]:
    """Return how much of its beat is over at a time, in [0, 1), and the beat's length in s."""
    beat = grid.beat_at(time_s)
    length_s = float(grid.durations_s[beat])
    return (time_s - float(grid.beats_s[beat])) / length_s, length_s


def read_mono(reader: SampleReader, start: int, stop: int) -> NDArray[np.float32]:
    """Return the mean of all channels [stop - start]; silence outside of the source."""
    n_source = reader.info.n_samples
    low, high = min(max(start, 0), n_source), max(min(stop, n_source), 0)
    result = np.zeros(stop - start, dtype=np.float32)
    if low < high:
        audio = reader.read(low, high)
        result[low - start : high - start] = audio.sum(axis=1) / audio.shape[1]
    return result


@dataclass(frozen=True)
class Reference:
    """The measures at a recording's own beat changes, each sorted by size: [K] each."""

    sizes: dict[str, Values]

    def percentiles(self, measures: JoinMeasures) -> dict[str, Values]:
        """Return the place of each measure's size among the recording's own, [K] in [0, 100].

        Equal values count half. Without any beat change to compare with, all are 50.
        """
        result = {}
        for name, own in self.sizes.items():
            size = np.abs(getattr(measures, name))
            below, up_to = (
                np.searchsorted(own, size),
                np.searchsorted(own, size, side="right"),
            )
            share = 0.5 * (below + up_to) / len(own) if len(own) else np.full(len(size), 0.5)
            result[name] = 100.0 * share
        return result


def ordinary_beat_changes(reader: SampleReader, grid: BeatGrid) -> Reference:
    """Return the measures at up to 200 beats drawn at random (seeded) from the recording.

    Silent places are left out, where there are others: they would make any music stand out.
    """
    sr = reader.info.sample_rate
    beats = np.arange(1, grid.n_beats - 1)
    if len(beats) > MAX_REFERENCE_BEATS:
        beats = np.random.default_rng(0).choice(beats, MAX_REFERENCE_BEATS, replace=False)
        beats.sort()
    half = seconds_to_samples(NEIGHBOURHOOD_S, sr)
    middles = seconds_to_samples(grid.beats_s[beats], sr)
    excerpts = np.array([read_mono(reader, m - half, m + half) for m in middles])
    excerpts = excerpts.reshape(len(beats), 2 * half)
    audible = np.mean(excerpts**2, axis=1) > _SILENT_POWER
    if audible.any():
        beats, excerpts = beats[audible], excerpts[audible]
    offsets_s, next_offsets_s = (beat_offsets(reader, grid.beats_s[i]) for i in (beats, beats + 1))
    heard_s = grid.durations_s[beats] + offset_between(offsets_s, next_offsets_s)
    measures = measure(excerpts, sr, 1000.0 * (heard_s - _local_period_s(grid)[beats]))
    return Reference({f.name: np.sort(np.abs(getattr(measures, f.name))) for f in fields(measures)})


def _local_period_s(grid: BeatGrid) -> Values:
    """Return the [N] median length of each beat and the two before and after it."""
    padded = np.pad(grid.durations_s, 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)


def is_within_limits(join: Join) -> bool:
    """Return whether a join is as smooth as the recording's own beat changes."""
    return not beyond_limits(join)


def beyond_limits(join: Join) -> tuple[str, ...]:
    """Return the names of the measures by which a join stands out.

    Each measure must be inaudible (`INAUDIBLE`) or up to the 95th percentile. Where two passages
    do not overlap, one fades out or in by intention: there only a click is a fault.
    """
    names = tuple(INAUDIBLE) if join.crossfade_s > 0 else ("click_energy",)
    return tuple(
        name
        for name in names
        if abs(getattr(join, name)) > INAUDIBLE[name]
        and getattr(join, f"{name}_percentile") > MAX_PERCENTILE
    )
