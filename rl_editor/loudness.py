"""How loud a track is and how high its true peak lies, measured as it streams past.

Integrated loudness as in ITU-R BS.1770-4 and EBU R 128: K-weighting, blocks of 400 ms that overlap
by 75%, a gate at -70 LUFS and one 10 LU below what passes it. The two filters of the K-weighting
are those of the standard at 48 kHz, at other rates with the same corners (B. De Man, "Evaluation
of implementations of the EBU R128 loudness measurement", 2018). The true peak is that of the track
resampled to 4 times its rate (`OVERSAMPLED_HZ`).

In: blocks [S, C] of any length. Out: two numbers, and what a limiter needs to know (`Steps`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.units import gain_to_db

Audio = NDArray[np.floating]
"""[S, C] float32 or float64."""

STEP_S = 0.001
"""Resolution of `Steps`, s."""
OVERSAMPLED_HZ = ((96_000, 4), (192_000, 2))
"""Tracks below so many Hz are resampled by so much; others are fine enough as they are."""
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0

_BLOCK_PARTS = 4
"""Parts of 100 ms in a block."""
_PARTS_PER_S = 10
_OFFSET_LU = -0.691
"""Of the standard: a tone of 997 Hz at full scale in one channel has -3.01 LUFS."""
_SPEAKER_WEIGHTS = {"LFE": 0.0, "Ls": 1.41, "Rs": 1.41}
"""Of power; every other loudspeaker has 1."""
_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196, 0.4996667741545416)
"""Middle in Hz, gain in dB, quality, share of the gain that is reached at the middle."""
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)
"""Corner in Hz, quality."""


@dataclass(frozen=True)
class Loudness:
    """How loud a track is.

    Attributes:
        lufs: integrated loudness; None where nothing passes the gate or less than 400 ms last.
        true_peak_db: dB of full scale (dBTP).
    """

    lufs: float | None
    true_peak_db: float


@dataclass(frozen=True)
class Steps:
    """A track in steps of about `STEP_S`, the last one shorter.

    Attributes:
        step_samples: their length.
        peaks: [K] float32, highest true peak of any channel, full scale at 1.
        energies: [K] float32, K-weighted energy, the sum over samples and channels.
    """

    step_samples: int
    peaks: NDArray[np.float32]
    energies: NDArray[np.float32]


class LoudnessMeter:
    """Measures blocks that are given one after the other; `close` ends it.

    It keeps 12 bytes for each `STEP_S`, 43 MB for an hour.
    """

    def __init__(self, sr: int, channels: int, speakers: Sequence[str] = ()) -> None:
        """Begin a track of `sr` Hz; `speakers` name its channels where they are known."""
        self._sr = sr
        weights = [_SPEAKER_WEIGHTS.get(name, 1.0) for name in speakers]
        self._weights = np.array(weights if len(weights) == channels else [1.0] * channels)
        self._sections = k_weighting(sr)
        self._state = np.zeros((len(self._sections), 2, channels))
        self._parts = _Binned((sr, _PARTS_PER_S), np.add, np.float64)
        self._step = max(1, round(STEP_S * sr))
        factor = next((factor for below, factor in OVERSAMPLED_HZ if sr < below), 1)
        self._energies = _Binned((self._step, 1), np.add, np.float32)
        self._peaks = _Binned((self._step, 1), np.maximum, np.float32)
        self._between = _Binned((self._step * factor, 1), np.maximum, np.float32)
        self._stream = _resampler(factor, channels)

    def add(self, block: Audio) -> None:
        """Measure the next samples [S, C]."""
        from scipy.signal import sosfilt

        if not len(block):
            return
        weighted, self._state = sosfilt(self._sections, block, axis=0, zi=self._state)
        power = np.square(weighted) @ self._weights
        self._parts.add(power)
        self._energies.add(power)
        self._peaks.add(_loudest(block))
        self._add_between(block, last=False)

    def _add_between(self, block: Audio, last: bool) -> None:
        """Take in the peaks between samples; the resampler gives them some blocks later."""
        if self._stream is None:
            return
        made = self._stream.resample_chunk(np.ascontiguousarray(block, np.float32), last=last)
        self._between.add(_loudest(made.reshape(-1, len(self._weights))))

    def close(self) -> Loudness:
        """Return the measures of everything that was given; nothing can be given after."""
        self._add_between(np.zeros((0, len(self._weights))), last=True)
        peak = max(
            float(self._peaks.values().max(initial=0.0)),
            float(self._between.values().max(initial=0.0)),
        )
        parts = self._parts.values(with_rest=False)
        power = block_powers(parts, _BLOCK_PARTS, 1) * (_PARTS_PER_S / _BLOCK_PARTS / self._sr)
        return Loudness(gated_loudness(power), float(gain_to_db(peak)))

    def steps(self) -> Steps:
        """Return what was measured in steps, once it is closed."""
        peaks = self._peaks.values()
        between = self._between.values()[: len(peaks)]
        np.maximum(peaks[: len(between)], between, out=peaks[: len(between)])
        return Steps(self._step, peaks, self._energies.values())


def _loudest(block: Audio) -> Audio:
    """Return the highest level of any channel, [S], of a block [S, C].

    Column by column: NumPy takes ten times as long for a maximum over so short an axis.
    """
    loudest = np.abs(block[:, 0])
    for channel in range(1, block.shape[1]):
        np.maximum(loudest, np.abs(block[:, channel]), out=loudest)
    return np.asarray(loudest)


def k_weighting(sr: int) -> NDArray[np.float64]:
    """Return the second-order sections [2, 6] of the K-weighting at `sr` Hz.

    At rates so low that the middle of the shelf is not below half of it, only the high-pass
    is left, [1, 6].
    """
    sections = []
    middle_hz, gain_db, quality, share = _SHELF
    if middle_hz < 0.49 * sr:
        high = 10.0 ** (gain_db / 20.0)
        k, scale, poles = _bilinear(middle_hz, quality, sr)
        edge = high**share * k / quality
        zeros = ((high + edge + k * k), 2.0 * (k * k - high), (high - edge + k * k))
        sections.append([*(zero / scale for zero in zeros), *poles])
    _, _, poles = _bilinear(*_HIGH_PASS, sr)
    sections.append([1.0, -2.0, 1.0, *poles])
    return np.array(sections)


def _bilinear(
    corner_hz: float, quality: float, sr: int
) -> tuple[float, float, tuple[float, float, float]]:
    """Return the warped corner, the scale of the zeros and the poles of a second-order section."""
    k = math.tan(math.pi * corner_hz / sr)
    scale = 1.0 + k / quality + k * k
    return k, scale, (1.0, 2.0 * (k * k - 1.0) / scale, (1.0 - k / quality + k * k) / scale)


def block_powers(parts: NDArray[np.floating], n_parts: int, hop: int) -> NDArray[np.float64]:
    """Return the sums of `n_parts` parts [K] in a row, from every `hop`-th one on."""
    if len(parts) < n_parts:
        return np.zeros(0)
    total = np.concatenate([[0.0], np.cumsum(parts, dtype=np.float64)])
    return np.asarray((total[n_parts:] - total[:-n_parts])[::hop])


def gated_loudness(powers: NDArray[np.float64]) -> float | None:
    """Return the integrated loudness in LUFS of blocks of some power [K], or None.

    Power is the mean square of the K-weighted samples, the sum over channels.
    """
    loud = powers[_lufs(powers) > ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return None
    gate = _lufs(np.mean(loud)) + RELATIVE_GATE_LU
    return float(_lufs(np.mean(loud[_lufs(loud) > gate])))


def _lufs(power: NDArray[np.float64] | np.floating) -> NDArray[np.float64]:
    return np.asarray(_OFFSET_LU + 10.0 * np.log10(np.maximum(power, 1e-30)))


def _resampler(factor: int, channels: int):
    if factor == 1:
        return None
    import soxr

    return soxr.ResampleStream(1, factor, channels, dtype="float32", quality="HQ")


class _Binned:
    """Sums or maxima of a stream over bins; bin k begins at sample k * length rounded down."""

    def __init__(self, length: tuple[int, int], reduce: np.ufunc, dtype: type) -> None:
        """Begin; `length` of a bin in samples is the quotient of the two numbers."""
        self._length = length
        self._reduce, self._dtype = reduce, dtype
        self._rest: NDArray[np.floating] = np.zeros(0)
        self._start = self._bin = 0
        self._done: list[NDArray[np.floating]] = []

    def add(self, values: NDArray[np.floating]) -> None:
        """Take in the next values [S]."""
        samples = np.concatenate([self._rest, values])
        over, under = self._length
        stop = self._start + len(samples)
        last = (stop * under) // over + 1
        edges = np.arange(self._bin, last + 1) * over // under
        edges = edges[edges <= stop] - self._start
        if len(edges) > 1:
            made = self._reduce.reduceat(samples[: edges[-1]], edges[:-1])
            self._done.append(made.astype(self._dtype))
            self._bin += len(edges) - 1
        self._rest = samples[edges[-1] :].copy()
        self._start += int(edges[-1])

    def values(self, with_rest: bool = True) -> NDArray:
        """Return all bins [K]; the last one, which is not full, only `with_rest`."""
        rest = [self._reduce.reduce(self._rest, keepdims=True)] if len(self._rest) else []
        parts = [*self._done, *(rest if with_rest else [])]
        return np.concatenate([np.zeros(0), *parts]).astype(self._dtype)
