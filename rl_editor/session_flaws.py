"""Flaws of a take: what makes a musician stop, or play the passage again.

Each flaw takes a passage [n, C] and returns a new one, of another length where time is lost or
gained. Flaws are local (a wrong note) or run through the passage (drifting pitch).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.session_speech import talk
from rl_editor.session_tones import hit, note
from rl_editor.units import db_to_gain

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Passage:
    """A take that is about to go wrong.

    Attributes:
        signal: [n, C] float32.
        sr: sample rate, Hz.
        beat: samples of a beat.
        at: sample where the flaw begins.
    """

    signal: Audio
    sr: int
    beat: int
    at: int

    @property
    def level(self) -> float:
        """Root mean square of the passage, for what is added to it."""
        return float(np.sqrt(np.mean(self.signal.astype(np.float64) ** 2)))


def spoil(signal: Audio, sr: int, beat: int, rng: np.random.Generator) -> tuple[Audio, str]:
    """Return a copy of a passage [n, C] with one to three flaws, and the first one's name.

    Args:
        signal: [n, C] float32, the passage without a flaw.
        sr: sample rate, Hz.
        beat: samples of a beat.
        rng: source of everything that is random.
    """
    names = [str(name) for name in rng.choice(list(FLAWS), int(rng.integers(1, 4)), replace=False)]
    spoiled = signal
    for name in names:
        at = int(len(spoiled) * rng.beta(2.0, 1.3))
        at = min(at, max(0, len(spoiled) - beat))
        spoiled = FLAWS[name](Passage(spoiled, sr, beat, at), rng)
    if not _is_heard(signal, spoiled):
        spoiled = knocked_over(Passage(spoiled, sr, beat, len(spoiled) // 2), rng)
    return spoiled, names[0]


def _is_heard(signal: Audio, spoiled: Audio) -> bool:
    """Return whether a take differs from the good one; a dropout in a rest does not."""
    if len(signal) != len(spoiled):
        return True
    return bool(np.abs(spoiled - signal).max(initial=0.0) > 0.05 * np.abs(signal).max(initial=0.0))


def wrong_notes(passage: Passage, rng: np.random.Generator) -> Audio:
    """Play some beats at a wrong pitch: 1 to 4 semitones off, in time."""
    out = passage.signal.copy()
    start = passage.at
    for _ in range(int(rng.integers(1, 6))):
        n = min(int(passage.beat * rng.choice([0.5, 1.0, 1.0, 2.0])), len(out) - start)
        if n < 64:
            break
        semitones = float(rng.choice([-4, -3, -2, -1, 1, 2, 3, 4])) + rng.normal(0.0, 0.2)
        positions = start + np.arange(n) * 2.0 ** (semitones / 12.0)
        out[start : start + n] = _blend(out[start : start + n], _read(passage.signal, positions))
        start += int(passage.beat * rng.integers(1, 4))
        if start >= len(out):
            break
    return out


def added_notes(passage: Passage, rng: np.random.Generator) -> Audio:
    """Add notes that do not belong: another key, beside the beat."""
    out = passage.signal.copy()
    start = passage.at
    for _ in range(int(rng.integers(1, 5))):
        n = min(int(passage.sr * rng.uniform(0.15, 1.2)), len(out) - start)
        if n < 64:
            break
        sound = note(float(rng.uniform(36, 84)), n, passage.sr, rng)
        gain = passage.level * rng.uniform(1.0, 3.0)
        out[start : start + n] += (
            np.float32(gain) * sound[:, None] / np.abs(sound).max(initial=1e-6)
        )
        start += int(passage.beat * rng.uniform(0.4, 2.5))
        if start >= len(out):
            break
    return out


def dropouts(passage: Passage, rng: np.random.Generator) -> Audio:
    """Lose the sound for 30 to 700 ms, once or several times."""
    out = passage.signal.copy()
    gain = np.ones(len(out), dtype=np.float32)
    start = passage.at
    for _ in range(int(rng.integers(1, 6))):
        n = int(passage.sr * rng.uniform(0.03, 0.7))
        gain[start : start + n] = rng.choice([0.0, 0.05, 0.2])
        start += n + int(passage.beat * rng.uniform(0.2, 2.0))
    return out * _smooth(gain, passage.sr // 200)[:, None]


def stumble(passage: Passage, rng: np.random.Generator) -> Audio:
    """Lose the beat: hesitate, repeat a part of a beat, or skip one."""
    before, after = passage.signal[: passage.at], passage.signal[passage.at :]
    n = int(passage.beat * rng.uniform(0.15, 0.9))
    style = rng.choice(["hesitate", "repeat", "skip"])
    if style == "hesitate":
        ring = passage.signal[passage.at : passage.at + n]
        fade = np.exp(-np.arange(len(ring)) / (0.08 * passage.sr)).astype(np.float32)
        return np.concatenate([before, ring * fade[:, None], after])
    if style == "repeat":
        return np.concatenate([before, after[:n], after])
    return np.concatenate([before, after[min(n, max(0, len(after) - 64)) :]])


def drift(passage: Passage, rng: np.random.Generator) -> Audio:
    """Let pitch and tempo slide by 0.2 to 1.5 semitones, or waver."""
    n = len(passage.signal)
    depth = float(rng.choice([-1, 1]) * rng.uniform(0.2, 1.5))
    if rng.random() < 0.6:
        semitones = depth * np.clip((np.arange(n) - passage.at * 0.5) / max(1, n), 0.0, 1.0)
    else:
        wave_hz = rng.uniform(0.15, 1.5)
        semitones = 0.6 * depth * np.sin(2 * np.pi * wave_hz * np.arange(n) / passage.sr)
    return _read(passage.signal, np.cumsum(2.0 ** (semitones / 12.0)) - 1.0)


def overload(passage: Passage, rng: np.random.Generator) -> Audio:
    """Drive the input too hard from here on."""
    out = passage.signal.copy()
    peak = float(np.abs(out).max(initial=0.0))
    end = passage.at + int(passage.beat * rng.uniform(1, 16))
    drive = db_to_gain(rng.uniform(6.0, 24.0))
    out[passage.at : end] = np.clip(out[passage.at : end] * drive, -peak, peak)
    return out


def level_drop(passage: Passage, rng: np.random.Generator) -> Audio:
    """Sink by 6 to 24 dB, at once or slowly."""
    gain = np.ones(len(passage.signal), dtype=np.float32)
    low = np.float32(db_to_gain(-rng.uniform(6.0, 24.0)))
    ramp = min(int(passage.sr * rng.choice([0.02, 0.3, 3.0])), len(gain) - passage.at)
    gain[passage.at : passage.at + ramp] = np.linspace(1.0, low, ramp)
    gain[passage.at + ramp :] = low
    return passage.signal * gain[:, None]


def muffled(passage: Passage, rng: np.random.Generator) -> Audio:
    """Lose everything above 250 to 1500 Hz from here on, as behind a hand or a door."""
    from scipy.signal import butter, sosfilt

    cutoff_hz = min(rng.uniform(250.0, 1500.0), 0.4 * passage.sr)
    sos = butter(2, cutoff_hz, fs=passage.sr, output="sos").astype(np.float32)
    out = passage.signal.copy()
    out[passage.at :] = _blend(
        passage.signal[passage.at :], sosfilt(sos, passage.signal[passage.at :], axis=0), end=False
    )
    return out


def knocked_over(passage: Passage, rng: np.random.Generator) -> Audio:
    """Drop or knock over something, louder than the music."""
    out = passage.signal.copy()
    start = passage.at
    gain = max(passage.level, 1e-3) * rng.uniform(3.0, 9.0)
    for _ in range(int(rng.integers(1, 9))):
        sound = hit(passage.sr, rng, 50.0, 2500.0)[: max(0, len(out) - start)]
        out[start : start + len(sound)] += np.float32(gain) * sound[:, None]
        start += int(passage.sr * rng.uniform(0.03, 0.4))
        gain *= rng.uniform(0.4, 1.0)
        if start >= len(out):
            break
    return out


def talked_over(passage: Passage, rng: np.random.Generator) -> Audio:
    """Let somebody say something while the others play on, for 1 to 6 s."""
    out = passage.signal.copy()
    n = min(len(out) - passage.at, int(passage.sr * rng.uniform(1.0, 6.0)))
    if n < passage.sr // 4:
        return out
    # What follows is the same whether espeak-ng is installed or not.
    own = np.random.default_rng(rng.integers(2**63))
    voice = talk(n, passage.sr, own, speech_program=0.5)
    loud = float(np.sqrt(np.mean(np.square(voice, dtype=np.float64)))) + 1e-9
    gain = max(passage.level, 1e-3) / loud * db_to_gain(rng.uniform(-6.0, 9.0))
    out[passage.at : passage.at + n] += np.float32(gain) * voice[:, None]
    return out


def played_anew(signal: Audio, sr: int, beat: int, rng: np.random.Generator) -> Audio:
    """Return [n, C] a passage as in another take: other timing, touch and tone, but no flaw.

    The tempo is up to 2% off and wavers from beat to beat (pitch goes with it, by up to some 40
    cents), levels move by 1.5 dB, and the balance of highs and lows is another one.

    Args:
        signal: [n, C] float32.
        sr: sample rate, Hz.
        beat: samples of a beat.
        rng: source of everything that is random.
    """
    from scipy.signal import butter, sosfilt

    n = len(signal)
    beats = np.arange(n) / beat
    knots = np.arange(n // beat + 3)
    speed = 1.0 + rng.uniform(-0.02, 0.02) + rng.normal(0.0, 0.006, len(knots))
    positions = np.maximum(np.cumsum(np.interp(beats, knots, speed)) - 1.0, 0.0)
    out = _read(signal, positions)
    touch_db = np.interp(beats[: len(out)], knots, rng.normal(0.0, 1.5, len(knots)))
    out = out * db_to_gain(touch_db).astype(np.float32)[:, None]
    split_hz = min(rng.uniform(300.0, 3000.0), 0.4 * sr)
    sos = butter(1, split_hz, fs=sr, output="sos").astype(np.float32)
    low = sosfilt(sos, out, axis=0)
    return (low + np.float32(db_to_gain(rng.uniform(-6.0, 4.0))) * (out - low)).astype(np.float32)


def break_off(signal: Audio, sr: int, rng: np.random.Generator) -> Audio:
    """Return [n, C] that stops playing at its end: a fade of 5 to 400 ms."""
    out = signal.copy()
    n = min(len(out), int(sr * 10.0 ** rng.uniform(-2.3, -0.4)) + 1)
    out[len(out) - n :] *= (np.linspace(1.0, 0.0, n, dtype=np.float32) ** 2)[:, None]
    return out


def _read(signal: Audio, positions: NDArray[np.float64]) -> Audio:
    """Return the signal at fractional positions, as far as they lie inside it."""
    positions = positions[positions <= len(signal) - 1]
    left = positions.astype(np.int64)
    right = np.minimum(left + 1, len(signal) - 1)
    part = (positions - left).astype(np.float32)[:, None]
    return signal[left] * (1.0 - part) + signal[right] * part


def _blend(old: Audio, new: Audio, end: bool = True) -> Audio:
    """Return `new` over `old` with a ramp of up to 256 samples at the start and the end."""
    out = old.copy()
    n = len(new)
    weight = np.ones(n, dtype=np.float32)
    ramp = min(256, n // 2)
    weight[:ramp] = np.linspace(0.0, 1.0, ramp)
    if end:
        weight[n - ramp :] = np.linspace(1.0, 0.0, ramp)
    out[:n] = old[:n] * (1.0 - weight[:, None]) + new * weight[:, None]
    return out


def _smooth(gain: Audio, n: int) -> Audio:
    padded = np.concatenate([np.full(n, gain[0]), gain]).astype(np.float64)
    total = np.cumsum(padded)
    return ((total[n:] - total[: len(gain)]) / n).astype(np.float32) if n else gain


FLAWS: dict[str, Callable[[Passage, np.random.Generator], Audio]] = {
    "wrong notes": wrong_notes,
    "added notes": added_notes,
    "dropouts": dropouts,
    "stumble": stumble,
    "drift": drift,
    "overload": overload,
    "level drop": level_drop,
    "muffled": muffled,
    "knocked over": knocked_over,
    "talked over": talked_over,
}
