"""Sampled instruments in the hands of people who do not play the piece: tuning, noodling, counting.

They are those of a General MIDI soundfont (`score_rendering`), where one is installed. In: lengths,
pitches and a generator. Out: mono float32 [n].
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.cache import file_sha256
from rl_editor.errors import UserError
from rl_editor.score_rendering import Renderer, find_soundfont, soundfont_renderer
from rl_editor.score_takes import N_CHANNELS, Take
from rl_editor.scores import BEND, CONTROL, DRUMS, NOTE, PROGRAM
from rl_editor.session_speech import peak_one

Audio = NDArray[np.float32]


class _Instrument(NamedTuple):
    """Programs of General MIDI, counted from 0, and the keys that they play."""

    programs: tuple[int, ...]
    lowest: int
    highest: int
    weight: float


_INSTRUMENTS = (
    _Instrument((24, 25, 26, 27, 28, 29, 30, 31), 40, 79, 4.0),
    _Instrument((32, 33, 34, 35, 36), 28, 52, 2.0),
    _Instrument((0, 1, 2, 3, 4, 5, 6, 7), 36, 88, 3.0),
    _Instrument((16, 17, 18, 19, 20, 21, 22), 36, 84, 1.0),
    _Instrument((40, 41, 42, 43, 44, 45), 40, 88, 1.5),
    _Instrument((56, 57, 58, 59, 60), 46, 80, 1.5),
    _Instrument((64, 65, 66, 67, 68, 69, 70, 71), 44, 82, 1.5),
    _Instrument((72, 73, 74, 75), 60, 96, 0.7),
    _Instrument((8, 9, 11, 12, 13), 53, 90, 0.7),
    _Instrument((80, 81, 87, 88, 89, 90), 36, 84, 1.0),
    _Instrument((22, 104, 105, 106, 107), 45, 80, 0.7),
)
_STRINGED = (24, 25, 26, 27, 28, 29, 30, 40, 41, 42, 105)
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), tuple(range(12)))
_KICK, _SNARES, _HATS, _TOMS = 36, (38, 40), (42, 44, 46), (41, 43, 45, 47, 48, 50)
_CYMBALS = (49, 51, 57, 59)
_COUNTING = (31, 37, 42, 44, 56, 75, 76)
"""Sticks, side stick, hats, cowbell, claves and wood block."""
_IN_KEY_SHARE = 0.6
"""Share of those who noodle in the key of the piece."""
_DRUMMERS = 0.3

_Note = tuple[float, float, int, float]
"""Start, end (s), key and velocity in [0, 1]."""


def are_there() -> bool:
    """Return whether all the instruments are: a complete soundfont, and what plays it."""
    return _renderer() is not None


@lru_cache(maxsize=1)
def soundfont_sha256() -> str | None:
    """Return the hash of the soundfont that is played, None where none is."""
    return file_sha256(find_soundfont()) if are_there() else None


@lru_cache(maxsize=1)
def _renderer() -> Renderer | None:
    if importlib.util.find_spec("tinysoundfont") is None:
        return None
    try:
        find_soundfont()
        render = soundfont_renderer()
        render(_every_instrument(), 44_100, 64)
    except UserError:
        return None
    return render


def _every_instrument() -> Take:
    """Return a take without notes in which each instrument is taken up once."""
    programs = {p for instrument in _INSTRUMENTS for p in instrument.programs} | set(_STRINGED)
    controls = [(0.0, 0, PROGRAM, program) for program in sorted(programs)]
    return _take([], [*controls, (0.0, DRUMS, PROGRAM, 0)], 0.0)


def noodling(n: int, sr: int, pitch_classes: NDArray[np.int64], rng: np.random.Generator) -> Audio:
    """Return [n] of someone who tries this and that, with pauses; `pitch_classes` of the piece."""
    is_drummer = rng.random() < _DRUMMERS
    weights = np.array([instrument.weight for instrument in _INSTRUMENTS])
    player = _INSTRUMENTS[int(rng.choice(len(_INSTRUMENTS), p=weights / weights.sum()))]
    ladder = _ladder(player, pitch_classes, rng)
    styles = _DRUM_STYLES if is_drummer else _STYLES
    chosen = [styles[int(rng.integers(len(styles)))] for _ in range(int(rng.integers(1, 4)))]
    unit_s = float(np.exp(rng.uniform(np.log(0.09), np.log(0.5))))
    pause_s = float(np.exp(rng.uniform(np.log(0.05), np.log(2.0))))
    notes: list[_Note] = []
    at_s = 0.0
    while at_s < n / sr:
        gesture = chosen[int(rng.integers(len(chosen)))](ladder, unit_s, rng)
        notes += [(at_s + a, at_s + b, key, velocity) for a, b, key, velocity in gesture]
        at_s += max(a for a, *_ in gesture) + unit_s
        at_s += float(rng.exponential(pause_s)) if rng.random() < 0.6 else 0.0
    channel = DRUMS if is_drummer else 0
    program = 0 if is_drummer else int(rng.choice(player.programs))
    return _played(notes, [(0.0, channel, PROGRAM, program)], channel, n, sr, rng)


def tuning(n: int, sr: int, strings: Sequence[int], rng: np.random.Generator) -> Audio:
    """Return [n] of strings, MIDI keys, that are plucked or bowed and come to their pitch."""
    notes: list[_Note] = []
    controls = [(0.0, 0, PROGRAM, int(rng.choice(_STRINGED)))]
    at_s, string, bend = 0.0, int(rng.integers(len(strings))), float(rng.uniform(-0.8, 0.8))
    while at_s < n / sr:
        length_s = float(rng.uniform(0.5, 3.0))
        key = int(strings[string]) + int(rng.choice([0, 0, 0, 0, 7, 12]))
        notes.append((at_s, at_s + length_s, key, float(rng.uniform(0.4, 0.9))))
        target = bend * float(rng.uniform(0.0, 0.7))
        for step in np.linspace(0.0, 1.0, 12):
            value = 8192 + round(4096 * (bend + (target - bend) * step))
            controls.append((at_s + step * length_s, 0, BEND, value))
        bend = target
        at_s += length_s * float(rng.uniform(0.5, 1.15))
        if rng.random() < 0.45:
            string, bend = (string + 1) % len(strings), float(rng.uniform(-0.8, 0.8))
    return _played(notes, controls, 0, n, sr, rng)


def strokes(count: int, sr: int, rng: np.random.Generator) -> list[Audio]:
    """Return `count` strokes of a drummer who counts in, all on the same thing."""
    key = int(rng.choice(_COUNTING))
    stroke = [(0.0, 0.3, key, float(rng.uniform(0.5, 1.0)))]
    sound = _played(stroke, [(0.0, DRUMS, PROGRAM, 0)], DRUMS, sr // 2, sr, rng)
    return [peak_one(sound)] * count


def _played(
    notes: Sequence[_Note],
    controls: Sequence[tuple[float, int, int, int]],
    channel: int,
    n: int,
    sr: int,
    rng: np.random.Generator,
) -> Audio:
    render = _renderer()
    assert render is not None, "ask are_there() first"
    rows = [(a, b, channel, key, round(1 + 126 * min(v, 1.0))) for a, b, key, v in notes]
    take = _take(rows, controls, float(rng.normal(0.0, 0.15)))
    return render(take, sr, n).mean(axis=1).astype(np.float32)


def _take(
    rows: Sequence[tuple[float, float, int, int, int]],
    controls: Sequence[tuple[float, int, int, int]],
    tuning: float,
) -> Take:
    return Take(
        notes=np.array(rows, dtype=NOTE),
        controls=np.array(controls, dtype=CONTROL),
        level_db=np.zeros(N_CHANNELS),
        tuning=np.full(N_CHANNELS, tuning),
        marks=(),
    )


def _ladder(
    player: _Instrument, pitch_classes: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the keys that a player uses, ascending: of the piece, or of any other scale."""
    allowed = pitch_classes
    if rng.random() >= _IN_KEY_SHARE:
        scale = _SCALES[int(rng.integers(len(_SCALES)))]
        allowed = (np.array(scale) + int(rng.integers(12))) % 12
    keys = np.arange(player.lowest, player.highest + 1)
    return keys[np.isin(keys % 12, allowed)]


def _scale(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """Up or down some steps and back, in single steps or thirds."""
    length, stride = int(rng.integers(4, 16)), int(rng.choice([1, 1, 1, 2]))
    first = int(rng.integers(len(ladder)))
    way = np.arange(length) * stride * int(rng.choice([-1, 1]))
    way = np.concatenate([way, way[-2::-1]]) if rng.random() < 0.5 else way
    return _line(ladder, first + way, np.full(len(way), unit_s), rng)


def _lick(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """A few notes in a rhythm, played one to four times."""
    length = int(rng.integers(3, 12))
    steps = int(rng.integers(len(ladder))) + np.cumsum(rng.integers(-3, 4, length))
    lengths_s = unit_s * rng.choice([1.0, 1.0, 1.0, 2.0, 3.0, 0.5], length)
    times = int(rng.integers(1, 5))
    return _line(ladder, np.tile(steps, times), np.tile(lengths_s, times), rng)


def _exercise(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """A short pattern that climbs step by step."""
    pattern = np.concatenate([[0], rng.integers(-1, 4, int(rng.integers(2, 6)))])
    rungs = int(rng.integers(len(ladder))) + np.arange(int(rng.integers(2, 9)))
    steps = (rungs[:, None] + pattern[None, :]).ravel()
    return _line(ladder, steps, np.full(len(steps), unit_s), rng)


def _chords(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """One to four chords, strummed or struck, each some times."""
    notes: list[_Note] = []
    at_s, strum_s = 0.0, float(rng.uniform(0.0, 0.03))
    for _ in range(int(rng.integers(1, 5))):
        root = int(rng.integers(len(ladder)))
        rungs = [root, root + 2, root + 4, root + 7, root + 9][: int(rng.integers(3, 6))]
        for _ in range(int(rng.integers(1, 5))):
            length_s = 2.0 * unit_s * float(rng.choice([1.0, 1.0, 2.0, 4.0]))
            loud = float(rng.uniform(0.4, 0.9))
            for k, rung in enumerate(rungs):
                key = int(ladder[rung % len(ladder)])
                notes.append((at_s + k * strum_s, at_s + length_s, key, loud))
            at_s += length_s
    return notes


def _long_notes(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """One to five notes of some seconds, as to warm up."""
    count = int(rng.integers(1, 6))
    steps = int(rng.integers(len(ladder))) + np.cumsum(rng.integers(-2, 3, count))
    return _line(ladder, steps, rng.uniform(0.8, 3.5, count), rng)


def _line(
    ladder: NDArray[np.int64],
    steps: NDArray[np.int64],
    lengths_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[_Note]:
    """Return one note after the other, as evenly as people play."""
    starts_s = np.cumsum(lengths_s) - lengths_s
    starts_s = np.maximum(starts_s + rng.normal(0.0, 0.01, len(steps)), 0.0)
    legato = float(rng.uniform(0.4, 1.3))
    keys = ladder[np.clip(steps, 0, len(ladder) - 1)]
    velocities = rng.uniform(0.35, 0.95, len(steps))
    ends_s = starts_s + np.maximum(lengths_s * legato, 0.05)
    return [
        (float(a), float(b), int(key), float(v))
        for a, b, key, v in zip(starts_s, ends_s, keys, velocities, strict=True)
    ]


def _fill(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """Round the drums, in runs of two to six strokes, and a cymbal at times."""
    notes: list[_Note] = []
    at_s = 0.0
    for _ in range(int(rng.integers(1, 7))):
        drum = int(rng.choice((*_SNARES, *_TOMS, _KICK)))
        for _ in range(int(rng.integers(1, 7))):
            notes.append((at_s, at_s + 0.1, drum, float(rng.uniform(0.4, 1.0))))
            at_s += unit_s * float(rng.uniform(0.92, 1.08))
    if rng.random() < 0.4:
        notes.append((at_s, at_s + 0.1, int(rng.choice(_CYMBALS)), 0.9))
    return notes


def _groove(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """A bar of some rhythm of kick, snare and hat, one to eight times."""
    n_steps = int(rng.choice([6, 8, 8, 8, 12, 16]))
    hat, snare = int(rng.choice((*_HATS, 51))), int(rng.choice(_SNARES))
    hats = np.arange(n_steps) % int(rng.choice([1, 2, 2])) == 0
    kicks = rng.random(n_steps) < 0.3
    kicks[0] = True
    snares = (np.arange(n_steps) % 4 == 2) if rng.random() < 0.8 else rng.random(n_steps) < 0.25
    notes: list[_Note] = []
    for step in range(n_steps * int(rng.integers(1, 9))):
        at_s = max(0.0, unit_s * step + float(rng.normal(0.0, 0.008)))
        for key, pattern in ((hat, hats), (_KICK, kicks), (snare, snares)):
            if pattern[step % n_steps]:
                notes.append((at_s, at_s + 0.1, key, float(rng.uniform(0.5, 0.95))))
    return notes


def _single_drum(ladder: NDArray[np.int64], unit_s: float, rng: np.random.Generator) -> list[_Note]:
    """One drum again and again, as for a soundcheck."""
    drum = int(rng.choice((_KICK, *_SNARES, *_TOMS, *_HATS, *_CYMBALS)))
    every_s = unit_s * float(rng.choice([1.0, 2.0, 4.0]))
    return [
        (every_s * k, every_s * k + 0.1, drum, float(rng.uniform(0.5, 1.0)))
        for k in range(int(rng.integers(1, 13)))
    ]


_Style = Callable[[NDArray[np.int64], float, np.random.Generator], list[_Note]]
_STYLES: tuple[_Style, ...] = (_scale, _lick, _lick, _exercise, _chords, _chords, _long_notes)
_DRUM_STYLES: tuple[_Style, ...] = (_fill, _fill, _groove, _single_drum)
