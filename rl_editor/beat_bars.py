"""Bars: which beats are downbeats, how many beats a bar has, and which octave the tempo is.

Everything is read off the downbeat activations at the beats, and the bars off the changes of
harmony too: chords change at bar lines more often than elsewhere. One meter holds for the file and
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
_OCTAVE_BPM = 105.0
"""Slower tempi are never halved."""
_FAST_BPM = 155.0
"""Where there is too little to go by, faster tempi are halved: the geometric mean of it and its
half is 110 bpm, about where listeners tap (Moelants 2002)."""
_HALVED_BPM = 150.0
_HALVING = (-2.2, 5.0, 11.0, 0.8, 0.7)
"""Log odds that a tempo is twice the true one: at 150 bpm without a sign; what each octave above
adds, each unit of alternation, and each e-fold of the evidence for bars of eight against four and
of four against two. The last three are a logistic regression on 298 stretches of made music, the
first two are set by hand, since fast music is rarer than it is there."""


_HARMONY_S = 1.25
"""Harmony before a moment is compared with that after it over so many seconds on either side."""
_HARMONY_WEIGHT = 0.7
"""Of a deviation of the change of harmony against one of the downbeat odds. With the true beats of
63 stretches (songs, scores, made sessions) bars are in phase in 73% by the odds alone, in 84% by
both."""

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


def harmonic_change(chroma: NDArray[np.floating]) -> FloatArray:
    """Return [T] how far the harmony before each frame is from that after it, in [0, 2].

    Half the squared distance of the mean chroma of the 1.25 s before and after.

    Args:
        chroma: [T, 12], 50 frames a second; its scale does not matter.
    """
    unit = chroma - chroma.mean(axis=1, keepdims=True, dtype=np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True) + 1e-9
    total = np.concatenate([np.zeros((1, unit.shape[1])), np.cumsum(unit, axis=0)])
    here = np.arange(len(unit))
    reach = round(_HARMONY_S * INPUT_FPS)
    first, last = np.maximum(here - reach, 0), np.minimum(here + reach, len(unit))
    before = (total[here] - total[first]) / np.maximum(here - first, 1)[:, None]
    after = (total[last] - total[here]) / np.maximum(last - here, 1)[:, None]
    change = 0.5 * np.square(before - after).sum(axis=1)
    change[:1] = 0.0  # nothing is before
    return change


def bar_odds(
    downbeat: FloatArray, change: FloatArray | None, frames: NDArray[np.integer]
) -> FloatArray:
    """Return [N] how much speaks for a bar line at each beat of a stretch; the scale is free.

    Args:
        downbeat: [T] activations.
        change: [T] of `harmonic_change`, None where the harmony is not known.
        frames: [N] of the beats.
    """
    odds = downbeat_odds(downbeat, frames, REACH_FRAMES)
    if change is None:
        return odds
    changes = change[np.clip(frames, 0, len(change) - 1)]
    return _deviations(odds) + _HARMONY_WEIGHT * _deviations(changes)


def _deviations(values: FloatArray) -> FloatArray:
    return (values - values.mean()) / np.sqrt(values.var() + 1e-3)


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

    Signs of that are: every other beat is weaker, and longer bars explain the downbeats as well as
    shorter ones do.

    Args:
        bpm: tempo at which the stretch was decoded.
        strength: [N] activation at its beats.
        odds: [N] downbeat log odds at its beats.
    """
    if bpm <= _OCTAVE_BPM or len(odds) < 16:
        return bpm > _FAST_BPM
    even, odd = strength[::2].mean() + 0.01, strength[1::2].mean() + 0.01
    of_eight, of_four, of_two = (
        float(np.log(phase_evidence(odds, meter).max() + 1.0)) for meter in (8, 4, 2)
    )
    signs = (
        1.0,
        np.log2(bpm / _HALVED_BPM),
        abs(float(np.log(even / odd))),
        of_eight - of_four,
        of_four - of_two,
    )
    return float(np.dot(_HALVING, signs)) > 0.0
