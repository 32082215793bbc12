"""Players who do not play the piece: tuning, scales, licks, its sounds tried out, drums.

Some have sampled instruments (`session_instruments`), the others are synthesised here. In: a
length in samples and a `Room`. Out: mono float32 [n].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor import session_instruments
from rl_editor.session_room import Room
from rl_editor.session_speech import peak_one
from rl_editor.session_tones import add, hit, note

Audio = NDArray[np.float32]

_TUNINGS_MIDI = (
    (40, 45, 50, 55, 59, 64),
    (28, 33, 38, 43),
    (55, 62, 69, 76),
    (48, 55, 62, 69),
    (67, 60, 64, 69),
)
"""Open strings of guitar, bass, violin, viola and ukulele."""


def tuning(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Return [n] of strings, or a wind instrument, brought to their pitch."""
    if rng.random() < room.sampled and session_instruments.are_there():
        strings = _TUNINGS_MIDI[rng.integers(len(_TUNINGS_MIDI))]
        return session_instruments.tuning(n, room.sr, strings, rng)
    return _synthetic_tuning(n, room, rng)


def noodling(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Return [n] of somebody who plays something else, or nothing in particular."""
    if rng.random() < room.sampled and session_instruments.are_there():
        return session_instruments.noodling(n, room.sr, room.pitch_classes, rng)
    return _synthetic_noodling(n, room, rng)


def _synthetic_tuning(n: int, room: Room, rng: np.random.Generator) -> Audio:
    out = np.zeros(n, dtype=np.float32)
    strings = _TUNINGS_MIDI[rng.integers(len(_TUNINGS_MIDI))]
    position, string = 0, int(rng.integers(len(strings)))
    bend = float(rng.uniform(-0.8, 0.8))
    while position < n:
        length = min(n - position, int(room.sr * rng.uniform(0.5, 3.0)))
        midi = strings[string] + (12 if rng.random() < 0.15 else 0)
        add(out, note(midi + 0.6 * bend, length, room.sr, rng, bend), position, 0.8)
        if rng.random() < 0.3 and string + 1 < len(strings):
            add(out, note(strings[string + 1], length, room.sr, rng), position, 0.6)
        position += int(length * rng.uniform(0.5, 1.15)) + 1
        bend *= float(rng.uniform(0.2, 0.8))
        if rng.random() < 0.45:
            string, bend = (string + 1) % len(strings), float(rng.uniform(-0.8, 0.8))
    return out


def _synthetic_noodling(n: int, room: Room, rng: np.random.Generator) -> Audio:
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
        add(out, sound, position, float(rng.uniform(0.4, 1.0)))
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
    return peak_one(out.astype(np.float32))
