"""A passage of the piece as it is played once more, and what goes wrong when people play.

No two performances are copies: `perform` changes tempo, timing, balance, tone and level by
what its `Take` says, and knows to the sample which place of the piece is played when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from benchmarks.development.piece import Piece
from benchmarks.development.sounds import bump, held_chord, levelled

TAIL_S = 0.005
"""Played beyond the end of a passage, to fade out under what follows."""
_SPARE_S = 0.1
"""Of the source beyond a passage, so that a slower take finds its tail."""

Stereo = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """How one performance differs from the finished track.

    Attributes:
        rate: tempo relative to the finished track.
        moves_pitch: the tempo changes the pitch as well, as another tape speed does.
        timing: standard deviation of the tempo from second to second, as a share.
        balance_db: standard deviation of the level of bass, middle and treble over time.
        tilt_db: level of bass, middle and treble throughout.
    """

    rate: float = 1.0
    moves_pitch: bool = False
    timing: float = 0.0
    balance_db: float = 0.0
    tilt_db: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Passage:
    """A performance of a passage.

    Attributes:
        audio: [S + tail, 2]; `n_samples` of it are the passage.
        n_samples: S.
        raw_s, piece_s: [K] times in the performance and the places in the piece heard then,
            both rising; linear between them.
    """

    audio: Stereo
    n_samples: int
    raw_s: NDArray[np.float64]
    piece_s: NDArray[np.float64]


def broken_off(passage: Passage, piece_s: float, sr: int) -> tuple[Passage, Stereo]:
    """Return a performance up to a place in the piece, and the sound of what comes after it."""
    n_samples = round(float(np.interp(piece_s, passage.piece_s, passage.raw_s)) * sr)
    n_samples = min(n_samples, passage.n_samples)
    audio = passage.audio[: n_samples + round(TAIL_S * sr)]
    return replace(passage, audio=audio, n_samples=n_samples), passage.audio[n_samples:]


def draw_take(spread: str, rng: np.random.Generator) -> Take:
    """Return a take; `spread` is how unlike the takes of a session are.

    "same": nothing but the level; "human": the same players once more; "other": another tempo
    or tape speed of up to 2%, and the microphones were moved.
    """
    if spread == "same":
        level_db = float(rng.uniform(-0.4, 0.4))
        return Take(tilt_db=(level_db, level_db, level_db))
    width = 1.0 if spread == "human" else 2.5
    tilt = rng.uniform(-width, width, size=3) + rng.uniform(-1, 1)
    rate = (
        rng.uniform(0.997, 1.003)
        if spread == "human"
        else 1 + rng.uniform(0.006, 0.02) * (rng.choice([-1, 1]))
    )
    moves_pitch = spread == "human" or bool(rng.random() < 0.4)
    low, middle, high = (float(t) for t in tilt)
    return Take(float(rate), moves_pitch, 0.002, 1.0 + 0.4 * width, (low, middle, high))


def perform(
    piece: Piece, span_s: tuple[float, float], take: Take, rng: np.random.Generator
) -> Passage:
    """Return a performance of the piece from one place to another."""
    sr, start_s = piece.sr, span_s[0]
    first = round(start_s * sr)
    source = piece.audio[first : round((span_s[1] + _SPARE_S) * sr)]
    source = np.pad(source, ((0, round(_SPARE_S * sr)), (0, 0)))
    length_s = span_s[1] - start_s
    rate = take.rate
    if not take.moves_pitch and rate != 1.0:
        source = shifted(source, sr, rate=rate)
        length_s, rate = length_s / rate, 1.0
    raw_s, place_s = _timing(length_s, rate, take.timing, rng)
    n_samples = round(raw_s[-1] * sr)
    n_tail = n_samples + round(TAIL_S * sr)
    if len(raw_s) > 2 or rate != 1.0:
        audio = _resampled(source, sr, raw_s, place_s)[:n_tail]
    else:
        audio = source[:n_tail]
    to_piece = take.rate if not take.moves_pitch else 1.0
    audio = _balanced(audio, sr, take, rng)
    return Passage(audio, n_samples, raw_s, start_s + place_s * to_piece)


def _timing(
    length_s: float, rate: float, timing: float, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Return knots (raw times, source times) that reach `length_s` of the source."""
    if timing == 0.0:
        return np.array([0.0, length_s / rate]), np.array([0.0, length_s])
    n_steps = int(length_s) + 8
    deviation = np.convolve(rng.normal(0, timing, n_steps + 2), [0.5, 0.7, 0.5], "valid")
    place_s = np.concatenate([[0.0], np.cumsum(np.clip(rate + deviation, 0.9, 1.1))])
    inside = place_s < length_s - 0.05
    end_s = np.interp(length_s, place_s, np.arange(len(place_s)))
    return (
        np.append(np.flatnonzero(inside).astype(float), end_s),
        np.append(place_s[inside], length_s),
    )


def _resampled(source: NDArray, sr: int, raw_s: NDArray, place_s: NDArray) -> Stereo:
    """Return the source read along the knots; past the last knot it goes on at its speed."""
    slope = (place_s[-1] - place_s[-2]) / (raw_s[-1] - raw_s[-2])
    raw_s, place_s = np.append(raw_s, raw_s[-1] + 1), np.append(place_s, place_s[-1] + slope)
    dense = soxr.resample(source, sr, 2 * sr)
    n_samples = round((raw_s[-2] + TAIL_S) * sr)
    at = np.interp(np.arange(n_samples) / sr, raw_s, place_s) * (2 * sr)
    grid = np.arange(len(dense))
    return np.stack([np.interp(at, grid, dense[:, c]) for c in range(2)], axis=1).astype(np.float32)


def _bands(audio: NDArray, sr: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return bass, middle and treble, which add up to the audio."""
    low = sosfilt(butter(1, 250, "low", fs=sr, output="sos"), audio, axis=0)
    high = sosfilt(butter(1, 2800, "high", fs=sr, output="sos"), audio, axis=0)
    return low, audio - low - high, high


def _balanced(audio: Stereo, sr: int, take: Take, rng: np.random.Generator) -> Stereo:
    """Return the audio with the take's balance, which begins and ends at the take's tilt."""
    if take.balance_db == 0.0 and len(set(take.tilt_db)) == 1:
        return (audio * 10 ** (take.tilt_db[0] / 20)).astype(np.float32)
    length_s = len(audio) / sr
    knots_s = np.linspace(0, length_s, max(2, round(length_s / 2)))
    mix = np.zeros_like(audio, dtype=np.float64)
    for part, tilt_db in zip(_bands(audio, sr), take.tilt_db, strict=True):
        wander_db = rng.normal(0, take.balance_db, len(knots_s))
        wander_db[[0, -1]] = 0.0
        curve = np.interp(np.arange(len(audio)), knots_s * sr, tilt_db + wander_db)
        mix += part * 10 ** (curve[:, None] / 20)
    return mix.astype(np.float32)


def shifted(audio: Stereo, sr: int, *, rate: float = 1.0, cents: float = 0.0) -> Stereo:
    """Return the audio at another tempo or pitch (Signalsmith Stretch)."""
    from python_stretch import Signalsmith

    stretcher = Signalsmith.Stretch(0)
    stretcher.preset(2, sr)
    stretcher.setTimeFactor(rate)
    if cents:
        stretcher.setTransposeSemitones(cents / 100)
    padded = np.pad(audio, ((0, sr // 10), (0, 0)))
    return np.asarray(stretcher.process(np.ascontiguousarray(padded.T, dtype=np.float32))).T


# What goes wrong. Each takes and returns audio [S, 2] and may change its length.


def clams(audio: Stereo, sr: int, number: int, rng: np.random.Generator) -> Stereo:
    """Return the audio with wrong notes and slips: short spans off in pitch or in time."""
    made = audio.copy()
    for _ in range(number):
        length = min(round(rng.uniform(0.25, 0.8) * sr), len(audio) // 3)
        first = int(rng.integers(0, max(1, len(audio) - 2 * length)))
        semitones = rng.choice([-2, -1, 1, 2])
        ratio = 2 ** (semitones / 12) if rng.random() < 0.7 else 1.0
        late = 0 if ratio != 1.0 else round(rng.uniform(0.08, 0.2) * sr)
        at = np.clip(first - late + np.arange(length) * ratio, 0, len(audio) - 1)
        wrong = audio[at.astype(np.int64)]
        window = np.minimum(1, 12 * np.hanning(length))[:, None] * rng.uniform(0.6, 1.0)
        span = slice(first, first + length)
        made[span] = (1 - window) * made[span] + window * wrong
    return made


def sour(audio: Stereo, sr: int, rng: np.random.Generator) -> Stereo:
    """Return the audio with one of the instruments out of tune against the others."""
    low, middle, high = _bands(audio, sr)
    cents = float(rng.choice([-1, 1]) * rng.uniform(30, 55))
    off = shifted((middle + 0.5 * high).astype(np.float32), sr, cents=cents)[: len(audio)]
    return (low + 0.35 * middle + 0.6 * high + 0.8 * off).astype(np.float32)


def drifting(audio: Stereo, sr: int, rng: np.random.Generator) -> Stereo:
    """Return the audio ever slower (or faster) and lower (or higher), up to 6 to 10%."""
    end_rate = 1 + rng.choice([-1, -1, 1]) * rng.uniform(0.06, 0.1)
    raw_s = np.linspace(0, len(audio) / sr / max(1.0, end_rate) - 0.1, 50)
    rate = np.linspace(1, end_rate, 50)
    place_s = np.concatenate([[0.0], np.cumsum(np.diff(raw_s) * (rate[1:] + rate[:-1]) / 2)])
    return _resampled(audio, sr, raw_s, place_s)


def knocked_down(audio: Stereo, sr: int, at_s: float, rng: np.random.Generator) -> Stereo:
    """Return the audio with a bump of the microphone, after which the level is 10 to 18 dB less."""
    first = min(round(at_s * sr), len(audio) - 1)
    curve = np.ones(len(audio))
    n_slide = min(round(rng.uniform(0.02, 0.3) * sr), len(audio) - first)
    floor = 10 ** (-rng.uniform(10, 18) / 20)
    curve[first:] = floor
    curve[first : first + n_slide] = np.linspace(1, floor, n_slide)
    made = audio * curve[:, None]
    knock = levelled(bump(sr, rng), sr, 4.0)[: len(audio) - first]
    made[first : first + len(knock)] += knock[:, None]
    return made.astype(np.float32)


def ragged_stop(audio: Stereo, sr: int, rng: np.random.Generator) -> Stereo:
    """Return the audio as players break off: not at once, and the last notes ring."""
    n_end = min(len(audio), round(1.1 * sr))
    end = audio[-n_end:]
    stopped = np.zeros((n_end, 2))
    for part in _bands(end, sr):
        stop = int(rng.uniform(0.25, 0.95) * n_end)
        n_fade = min(round(rng.uniform(0.05, 0.2) * sr), n_end - stop)
        part[stop : stop + n_fade] *= np.linspace(1, 0, n_fade)[:, None]
        part[stop + n_fade :] = 0.0
        stopped += part
    ring = held_chord(end[: n_end // 2], sr, rng.uniform(0.8, 1.8), rng)
    ring *= 0.35 * np.abs(end).max() / max(float(np.abs(ring).max()), 1e-9)
    made = np.pad(np.concatenate([audio[:-n_end], stopped]), ((0, len(ring) // 2), (0, 0)))
    overlap = min(len(made), len(ring))
    made[-overlap:] += ring[-overlap:]
    return made.astype(np.float32)
