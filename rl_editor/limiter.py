"""A look-ahead limiter for true peaks, and the gain before it that brings a track to a loudness.

The limiter is a curve of gain over the whole track, the same for all channels, so that nothing
moves in the stereo picture. It is made of the track's true peaks alone (`loudness.Steps`): at each
peak it is as low as the ceiling demands, it begins to fall 6 ms before (`LOOKAHEAD_STEPS` twice:
the lowest of the steps around, then their mean under a Hann window), and comes back by 60 dB a
second. None of the steps can lift it above what a peak needs, so nothing overshoots.

In: the steps of a track. Out: a `LevelCurve` that makes blocks [S, C] louder and limits them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rl_editor.loudness import STEP_S, Loudness, Steps, block_powers, gated_loudness
from rl_editor.units import db_to_gain, gain_to_db

Audio = NDArray[np.floating]
"""[S, C] float32 or float64."""

LOOKAHEAD_STEPS = 3
RELEASE_DB_PER_S = 60.0
"""Slow enough not to follow the waves of a bass, fast enough to let go between two beats."""
MAX_LOSS_LU = 6.0
"""Loudness that the limiter may cost, and the gain before it makes up for; beyond, it is heard."""
_MARGIN_DB = 0.05
"""Below the ceiling: a gain that moves shifts a true peak a little."""
_TOLERANCE_LU = 0.005
_CHUNK_STEPS = 4096
_BLOCK_STEPS, _HOP_STEPS = 400, 100


@dataclass(frozen=True)
class LevelCurve:
    """The gain of a track over its time.

    Attributes:
        gain_db: before the limiter.
        step_samples: length of a step.
        limits: [K + 1] float32 factors of the limiter at the ends of the steps, straight lines
            in between; empty where nothing has to be limited.
        is_short: the loudness that is wanted would need more limiting than allowed.
    """

    gain_db: float = 0.0
    step_samples: int = 1
    limits: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    is_short: bool = False

    @property
    def deepest_db(self) -> float:
        """By how much the highest peak is held back, dB, at least 0."""
        return -float(gain_to_db(self.limits.min(initial=1.0)))

    def applied(self, block: Audio, start: int) -> Audio:
        """Return a block [S, C] that begins at sample `start` of the track, at its new level."""
        if not len(self.limits):
            gain = block.dtype.type(db_to_gain(self.gain_db))
            return block if self.gain_db == 0.0 else block * gain
        first = start // self.step_samples
        last = (start + len(block)) // self.step_samples + 2
        limits = self.limits[first:last]
        edges = np.arange(first, first + len(limits)) * self.step_samples
        factors = np.interp(np.arange(start, start + len(block)), edges, limits)
        return block * (factors * db_to_gain(self.gain_db)).astype(block.dtype)[:, None]


def level_curve(
    measured: Loudness, steps: Steps, target_lufs: float, ceiling_db: float
) -> LevelCurve:
    """Return the curve that brings a track to a loudness without passing a ceiling.

    Args:
        measured: the track before.
        steps: the same.
        target_lufs: integrated loudness that is wanted.
        ceiling_db: highest true peak, dB of full scale.

    Raises:
        ValueError: the track has no loudness.
    """
    if measured.lufs is None:
        raise ValueError("a track without a loudness has no gain to another one")
    before_lufs = measured.lufs
    gain_db = target_lufs - before_lufs
    if measured.true_peak_db + gain_db <= ceiling_db:
        return LevelCurve(gain_db, steps.step_samples, np.zeros(0, dtype=np.float32))
    low, high = gain_db, gain_db + MAX_LOSS_LU
    unlimited = _loudness_under(steps, np.ones(len(steps.peaks) + 1, dtype=np.float32))

    def reached(gain_db: float) -> float:
        limits = limiter_curve(steps.peaks, ceiling_db - gain_db)
        change_lu = _loudness_under(steps, limits) - unlimited
        return before_lufs + gain_db + change_lu

    is_short = reached(high) < target_lufs
    while not is_short and high - low > _TOLERANCE_LU:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if reached(middle) < target_lufs else (low, middle)
    limits = limiter_curve(steps.peaks, ceiling_db - high)
    return LevelCurve(high, steps.step_samples, limits, is_short)


def limiter_curve(peaks: NDArray[np.float32], ceiling_db: float) -> NDArray[np.float32]:
    """Return factors [K + 1] at the ends of steps whose highest peaks [K] shall not pass a ceiling.

    Args:
        peaks: full scale at 1.
        ceiling_db: dB of full scale.
    """
    from scipy.ndimage import minimum_filter1d

    ceiling = float(db_to_gain(ceiling_db - _MARGIN_DB))
    needed_db = 20.0 * np.log10(np.minimum(ceiling / np.maximum(peaks, 1e-9), 1.0))
    # float32 is fine to 0.00001 dB here
    ends_db = np.minimum(np.append(needed_db, 0.0), np.insert(needed_db, 0, 0.0))
    width = 2 * LOOKAHEAD_STEPS + 1
    held_db = minimum_filter1d(ends_db.astype(np.float32), width, mode="nearest")
    _release(held_db)
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(held_db, LOOKAHEAD_STEPS, mode="edge")
    smooth_db = np.convolve(padded, window / window.sum(), mode="valid")
    return np.asarray(db_to_gain(np.minimum(smooth_db, 0.0)), dtype=np.float32)


def _release(held_db: NDArray[np.float32]) -> None:
    """Let levels [K] rise no faster than the release, in place."""
    rise_db = RELEASE_DB_PER_S * STEP_S
    ramp_db = rise_db * np.arange(1, _CHUNK_STEPS + 1)
    before_db = 0.0
    for start in range(0, len(held_db), _CHUNK_STEPS):
        chunk = held_db[start : start + _CHUNK_STEPS]
        ramp = ramp_db[: len(chunk)]
        risen = np.minimum.accumulate(chunk - ramp)
        chunk[:] = np.minimum(risen, before_db) + ramp
        before_db = float(chunk[-1])


def _loudness_under(steps: Steps, limits: NDArray[np.float32]) -> float:
    """Return the loudness of a track under a limiter, but for a constant.

    A limiter moves so slowly that it may as well come after the K-weighting.
    """
    factors = np.square(0.5 * (limits[1:] + limits[:-1]))
    powers = block_powers(steps.energies * factors, _BLOCK_STEPS, _HOP_STEPS)
    loudness = gated_loudness(powers / (_BLOCK_STEPS * steps.step_samples))
    return -70.0 if loudness is None else loudness
