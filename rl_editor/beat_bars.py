"""Bars: which beats are downbeats, how many beats a bar has, and which octave the tempo is.

Everything is read off the downbeat activations at the beats. One meter holds for the file and
one bar phase for each stretch of playing: locked, it is right more often than when it may
switch inside a piece.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_decoding import INPUT_FPS

FloatArray = NDArray[np.float64]

DEFAULT_METER = 4
METER_PRIOR = {4: 0.0, 3: -3.0, 6: -6.0, 5: -8.0, 7: -8.0}
"""Log prior of each meter in nats: how rare it is in popular music, set by hand."""
_DOWNBEAT_AT_START = 1.5
"""Nats in favour of a stretch that begins on a downbeat: pickups are the exception."""
_VARIANCE_FLOOR = 0.1
"""Variance of the log odds that is expected anyway; keeps flat evidence from deciding."""
_OCTAVE_BPM = 155.0
"""Slower tempi are never halved: the geometric mean of it and its half is 110 bpm, about where
listeners tap (Moelants 2002)."""
_HALVE_ABOVE = 0.05
"""Evidence above which a fast tempo is read at half speed; parted 15 of 16 pieces found at more
than 155 bpm (synthetic band recordings and rendered MIDI) as their known tempo does."""


REACH_FRAMES = 2
"""A beat's activation is looked for within 40 ms."""


def frames_of(times_s: FloatArray) -> NDArray[np.int64]:
    """Return the frame of the network's activations that is nearest to each time."""
    return np.rint(times_s * INPUT_FPS).astype(np.int64)


def at_beats(activation: FloatArray, frames: NDArray[np.integer], reach: int) -> FloatArray:
    """Return [N], the largest activation within `reach` frames of each beat."""
    offsets = np.arange(-reach, reach + 1)
    index = np.clip(np.asarray(frames)[:, None] + offsets, 0, len(activation) - 1)
    return activation[index].max(axis=1, initial=0.0)


def downbeat_odds(downbeat: FloatArray, frames: NDArray[np.integer], reach: int) -> FloatArray:
    """Return [N] log odds of a downbeat at each beat, in [-4.6, 4.6]."""
    odds = np.clip(at_beats(downbeat, frames, reach), 0.01, 0.99)
    return np.log(odds / (1.0 - odds))


def phase_evidence(odds: FloatArray, meter: int) -> FloatArray:
    """Return [meter] nats for the first downbeat at each of the first `meter` beats.

    The log likelihood ratio of two Gaussians (downbeats, other beats) over one, and 0 where the
    supposed downbeats are the weaker ones. Unlike activations taken as probabilities it does
    not depend on how many downbeats the network likes to see.
    """
    n_beats = len(odds)
    place = np.arange(n_beats) % meter
    count = np.bincount(place, minlength=meter)
    centred = odds - odds.mean()
    on = np.bincount(place, weights=centred, minlength=meter)
    between = np.where(on > 0.0, on**2 * n_beats / np.maximum(count * (n_beats - count), 1), 0.0)
    share = between / (np.sum(centred**2) + n_beats * _VARIANCE_FLOOR)
    return -0.5 * n_beats * np.log1p(-np.minimum(share, 0.999))


def bar_phase(odds: FloatArray, meter: int) -> int:
    """Return which of the first `meter` beats of a stretch is its first downbeat."""
    evidence = phase_evidence(odds, meter)
    evidence[0] += _DOWNBEAT_AT_START
    return int(np.argmax(evidence))


def choose_meter(stretches: list[FloatArray]) -> int:
    """Return the meter with most evidence over the log odds of all stretches."""
    score = {
        meter: prior + sum(float(phase_evidence(o, meter).max()) - np.log(meter) for o in stretches)
        for meter, prior in METER_PRIOR.items()
    }
    return max(score, key=lambda meter: score[meter])


def reads_at_half(bpm: float, strength: FloatArray, odds: FloatArray) -> bool:
    """Return whether a stretch is better read at half its tempo.

    Two signs: every other beat is weaker, and bars of eight explain the downbeats as well as
    bars of four do.

    Args:
        bpm: tempo at which the stretch was decoded.
        strength: [N] activation at its beats.
        odds: [N] downbeat log odds at its beats.
    """
    if bpm <= _OCTAVE_BPM or len(odds) < 16:
        return bpm > _OCTAVE_BPM
    even, odd = strength[::2].mean() + 0.01, strength[1::2].mean() + 0.01
    alternation = abs(float(np.log(even / odd)))
    of_eight, of_four = phase_evidence(odds, 8).max(), phase_evidence(odds, 4).max()
    return alternation + 0.1 * float(np.log((of_eight + 1.0) / (of_four + 1.0))) > _HALVE_ABOVE
