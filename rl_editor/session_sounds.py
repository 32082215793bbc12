"""Sounds that fill a session between the takes: count-ins, tuning, noodling, knocks, noise.

Every maker takes a length in samples and a `Room` (what the session sounds like) and returns mono
float32 [n] with a peak of 1, made with numpy from the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor import session_speech
from rl_editor.materials import Material

Audio = NDArray[np.float32]

_TUNINGS_MIDI = (
    (40, 45, 50, 55, 59, 64),
    (28, 33, 38, 43),
    (55, 62, 69, 76),
    (48, 55, 62, 69),
    (67, 60, 64, 69),
)
"""Open strings of guitar, bass, violin, viola and ukulele."""
_CHROMA_WINDOW = 16384


@dataclass(frozen=True)
class Room:
    """What all sounds of one session have in common.

    Attributes:
        sr: sample rate, Hz.
        beat_s: beat period of the piece.
        pitch_classes: [P] pitch classes that the piece uses most, 0 is C.
        music: [S] mono mix of the piece, for noodling on its own sounds.
        impulse_response: [R] of the room, for what is not the piece itself.
        speech_program: probability that espeak-ng speaks, where it is installed.
    """

    sr: int
    beat_s: float
    pitch_classes: NDArray[np.int64]
    music: Audio
    impulse_response: Audio
    speech_program: float


def make_room(
    music: Audio, sr: int, beat_s: float, speech_program: float, rng: np.random.Generator
) -> Room:
    """Return a room with a reverberation time of 0.1 to 0.9 s for the piece `music` [S]."""
    n = int(sr * rng.uniform(0.08, 0.5))
    decay = np.exp(-6.9 * np.arange(n) / n).astype(np.float32)
    tail = rng.standard_normal(n, dtype=np.float32) * decay
    tail *= np.float32(rng.uniform(0.1, 1.2) / np.sqrt(np.sum(tail**2) + 1e-12))
    tail[0] += 1.0
    return Room(sr, beat_s, _pitch_classes(music, sr, rng), music, tail, speech_program)


def make_sound(material: Material, n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Return [n] of talk, noise, count-in, tuning or noodling in the room; silence is zeros."""
    if material == Material.SILENCE:
        return np.zeros(n, dtype=np.float32)
    from scipy.signal import oaconvolve

    dry = _MAKERS[material](n, room, rng)
    out = oaconvolve(dry, room.impulse_response)[:n].astype(np.float32)
    n_fade = min(n // 2, room.sr // 50)
    out[n - n_fade :] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)
    return session_speech.peak_one(out)


def tone(
    pitch_hz: NDArray[np.float64], sr: int, amplitudes: NDArray[np.float64], decay: float
) -> Audio:
    """Return [n] harmonics of a moving pitch [n]; higher ones die away faster, `decay` in 1/s."""
    turn = np.exp(2j * np.pi * np.cumsum(pitch_hz) / sr).astype(np.complex64)
    fall = np.exp(-decay * np.arange(len(pitch_hz)) / sr).astype(np.float32)
    power = np.ones(len(turn), dtype=np.complex64)
    out = np.zeros(len(turn), dtype=np.float32)
    for harmonic, amplitude in enumerate(amplitudes, start=1):
        if harmonic * pitch_hz.max() > 0.45 * sr:
            break
        power *= turn * (fall if harmonic % 2 else 1.0)
        out += np.float32(amplitude) * power.imag
    return out


def note(midi: float, n: int, sr: int, rng: np.random.Generator, bend: float = 0.0) -> Audio:
    """Return [n] of a plucked or bowed note that bends by `bend` semitones to `midi`."""
    time = np.arange(n) / sr
    path = bend * np.exp(-time * rng.uniform(0.6, 3.0))
    bowed = rng.random() < 0.3
    if bowed:
        path = path + 0.15 * np.sin(2 * np.pi * rng.uniform(4, 6.5) * time)
    pitch = 440.0 * 2.0 ** ((midi + path - 69.0) / 12.0)
    amplitudes = np.arange(1, 13) ** -rng.uniform(0.7, 2.0) * rng.uniform(0.3, 1.0, 12)
    out = tone(pitch, sr, amplitudes, 0.0 if bowed else rng.uniform(0.5, 4.0))
    attack = min(n, int(sr * (rng.uniform(0.03, 0.15) if bowed else 0.003)) + 1)
    out[:attack] *= np.linspace(0.0, 1.0, attack, dtype=np.float32)
    release = min(n, int(sr * 0.04) + 1)
    out[n - release :] *= np.linspace(1.0, 0.0, release, dtype=np.float32)
    return out


def hit(sr: int, rng: np.random.Generator, low_hz: float, high_hz: float) -> Audio:
    """Return something struck: a burst of noise and a few damped modes between two pitches."""
    n = int(sr * rng.uniform(0.04, 0.35))
    time = np.arange(n, dtype=np.float32) / sr
    out = rng.standard_normal(n, dtype=np.float32) * np.exp(-time * rng.uniform(60, 400))
    for _ in range(int(rng.integers(2, 6))):
        pitch = low_hz * (high_hz / low_hz) ** rng.random()
        decay = np.exp(-time * rng.uniform(15, 120))
        out += np.float32(rng.uniform(0.3, 1.0)) * decay * np.sin(2 * np.pi * pitch * time)
    return session_speech.peak_one(out.astype(np.float32))


def _talk(n: int, room: Room, rng: np.random.Generator) -> Audio:
    return session_speech.talk(n, room.sr, rng, room.speech_program)


def _count_in(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Strokes at the tempo of the piece; the last is one beat before the end."""
    every = float(rng.choice([1.0, 1.0, 1.0, 2.0, 0.5])) * room.beat_s
    count = max(1, min(16, int(n / room.sr / every)))
    onsets_s = n / room.sr - every * np.arange(count, 0, -1)
    onsets_s[:-1] += rng.normal(0.0, rng.uniform(0.0, 0.015), count - 1)
    style = rng.choice(["stick", "clap", "voice", "beep", "hum"])
    if style == "voice":
        strokes = session_speech.numbers(count, room.sr, rng, room.speech_program)
    elif style == "stick":
        strokes = [hit(room.sr, rng, 1800, 5000)] * count
    elif style == "clap":
        strokes = [hit(room.sr, rng, 700, 1800) for _ in range(count)]
    elif style == "hum":
        strokes = [hit(room.sr, rng, 60, 220)] * count
    else:
        beep = note(float(rng.uniform(76, 95)), int(0.06 * room.sr), room.sr, rng)
        strokes = [beep] * count
    out = np.zeros(n, dtype=np.float32)
    for onset_s, stroke in zip(onsets_s, strokes, strict=True):
        _add(out, stroke, round(float(onset_s) * room.sr), float(rng.uniform(0.6, 1.0)))
    return out


def _tuning(n: int, room: Room, rng: np.random.Generator) -> Audio:
    out = np.zeros(n, dtype=np.float32)
    strings = _TUNINGS_MIDI[rng.integers(len(_TUNINGS_MIDI))]
    position, string = 0, int(rng.integers(len(strings)))
    bend = float(rng.uniform(-0.8, 0.8))
    while position < n:
        length = min(n - position, int(room.sr * rng.uniform(0.5, 3.0)))
        midi = strings[string] + (12 if rng.random() < 0.15 else 0)
        _add(out, note(midi + 0.6 * bend, length, room.sr, rng, bend), position, 0.8)
        if rng.random() < 0.3 and string + 1 < len(strings):
            _add(out, note(strings[string + 1], length, room.sr, rng), position, 0.6)
        position += int(length * rng.uniform(0.5, 1.15)) + 1
        bend *= float(rng.uniform(0.2, 0.8))
        if rng.random() < 0.45:
            string, bend = (string + 1) % len(strings), float(rng.uniform(-0.8, 0.8))
    return out


def _noodling(n: int, room: Room, rng: np.random.Generator) -> Audio:
    style = rng.choice(["scale", "lick", "own", "own", "drums"])
    out = np.zeros(n, dtype=np.float32)
    position, step = 0, int(rng.integers(0, 14))
    direction = 1
    unit_s = room.beat_s * rng.uniform(0.7, 1.4) * float(rng.choice([0.25, 0.5, 0.5, 1.0]))
    octave = int(rng.integers(3, 6))
    while position < n:
        length = max(64, int(room.sr * unit_s * float(rng.choice([1, 1, 1, 2, 3]))))
        length = min(length, n - position)
        if style == "own":
            sound = _own_snippet(length, room, rng)
        elif style == "drums":
            sound = hit(room.sr, rng, *((50, 200) if rng.random() < 0.4 else (300, 6000)))
        else:
            degree = step % len(room.pitch_classes)
            midi = 12 * (octave + step // len(room.pitch_classes)) + room.pitch_classes[degree]
            sound = note(float(midi), length, room.sr, rng)
        _add(out, sound, position, float(rng.uniform(0.4, 1.0)))
        if rng.random() < 0.12:
            position += int(room.sr * rng.exponential(0.5))
        position += length
        if rng.random() < 0.15 or not 0 <= step + direction < 18:
            direction = -direction
        step += direction if style == "scale" else int(rng.integers(-4, 5))
        step = min(max(step, 0), 17)
    return out


def _own_snippet(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """A beat of the piece at another pitch and from anywhere, as if tried out in between."""
    rate = 2.0 ** (float(rng.integers(-7, 8)) / 12.0)
    n_source = min(len(room.music) - 1, int(n * rate) + 2)
    start = int(rng.integers(0, max(1, len(room.music) - n_source)))
    source = room.music[start : start + n_source]
    out = np.interp(np.arange(n) * rate, np.arange(n_source), source, right=0.0)
    ramp = min(n // 2, room.sr // 100)
    out[:ramp] *= np.linspace(0.0, 1.0, ramp)
    out[n - ramp :] *= np.linspace(1.0, 0.0, ramp)
    return session_speech.peak_one(out.astype(np.float32))


def _noise(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Knocks, steps, rustling, coughs, crackling or a squeak, at irregular times."""
    out = np.zeros(n, dtype=np.float32)
    position = int(room.sr * rng.exponential(0.1))
    per_second = float(rng.uniform(0.5, 6.0))
    kinds = rng.choice(["knock", "rustle", "cough", "crackle", "squeak"], 3)
    while position < n or not out.any():
        kind = str(rng.choice(kinds))
        sound = _one_noise(kind, room.sr, rng)
        _add(out, sound, min(position, max(0, n - len(sound))), float(rng.uniform(0.2, 1.0)))
        position += 1 + int(room.sr * rng.exponential(1.0 / per_second))
    return out


def _one_noise(kind: str, sr: int, rng: np.random.Generator) -> Audio:
    if kind == "knock":
        return hit(sr, rng, 60, 900)
    if kind == "crackle":
        n = int(sr * 0.3)
        return np.where(rng.random(n) < 0.001, rng.uniform(-1, 1, n), 0.0).astype(np.float32)
    if kind == "squeak":
        n = int(sr * rng.uniform(0.1, 0.5))
        pitch = np.linspace(rng.uniform(500, 1500), rng.uniform(500, 2500), n)
        return 0.3 * tone(pitch, sr, np.ones(5), 1.0) * _hump(n)
    n = int(sr * (rng.uniform(0.2, 1.5) if kind == "rustle" else rng.uniform(0.12, 0.3)))
    out = rng.standard_normal(n, dtype=np.float32)
    width = int(rng.integers(1, 4)) if kind == "rustle" else int(rng.integers(6, 20))
    total = np.cumsum(np.concatenate([np.zeros(width, np.float32), out]))
    return session_speech.peak_one(((total[width:] - total[:-width]) * _hump(n)).astype(np.float32))


def _hump(n: int) -> Audio:
    return (np.sin(np.pi * np.linspace(0.0, 1.0, n)) ** 0.7).astype(np.float32)


def _add(out: Audio, sound: Audio, start: int, gain: float) -> None:
    start, skipped = max(0, start), max(0, -start)
    part = sound[skipped : skipped + len(out) - start]
    out[start : start + len(part)] += np.float32(gain) * part


def _pitch_classes(music: Audio, sr: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the seven strongest pitch classes in 12 windows of the piece, ascending."""
    chroma = np.zeros(12)
    frequency = np.fft.rfftfreq(_CHROMA_WINDOW, 1.0 / sr)
    audible = (frequency > 80.0) & (frequency < 2000.0)
    pitch_class = np.rint(69.0 + 12.0 * np.log2(frequency[audible] / 440.0)).astype(int) % 12
    for start in rng.integers(0, max(1, len(music) - _CHROMA_WINDOW), 12):
        window = music[start : start + _CHROMA_WINDOW]
        spectrum = np.abs(np.fft.rfft(window, _CHROMA_WINDOW))[audible]
        chroma += np.bincount(pitch_class, weights=spectrum, minlength=12)
    return np.sort(np.argsort(-chroma, kind="stable")[:7])


_MAKERS: dict[Material, Callable[[int, Room, np.random.Generator], Audio]] = {
    Material.TALK: _talk,
    Material.NOISE: _noise,
    Material.COUNT_IN: _count_in,
    Material.TUNING: _tuning,
    Material.NOODLING: _noodling,
}
