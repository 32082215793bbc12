"""Rhythms of accompaniment: when a bass or a chord instrument plays in a bar, and what.

In: the name of a manner, a `Meter` and a generator. Out: `Stroke`s of one or two bars, which a
section repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SHORTEST_S = 0.085
"""Steps shorter than this are too fast to play throughout."""


class Stroke(NamedTuple):
    """Something played in a bar.

    Attributes:
        at, length: beats from the bar line, and how long.
        what: `chord`, `power` (root, fifth, octave), `walk`, or the index of a tone of the chord,
            with the chord's own tones again in the octave above.
        loud: in (0, 1].
    """

    at: float
    length: float
    what: str | int
    loud: float


class Meter(NamedTuple):
    """Beats of a bar, steps of a beat, seconds of a beat, and where the kick drum plays."""

    beats: int
    steps: int
    beat_s: float
    kicks: tuple[float, ...]

    @property
    def half(self) -> float:
        """Where a beat's off-beat is."""
        return 2.0 / 3.0 if self.steps == 3 else 0.5

    @property
    def unit(self) -> float:
        """Beats of the shortest step that is played throughout."""
        if self.steps == 3:
            return 1.0 / 3.0 if self.beat_s / 3.0 >= _SHORTEST_S else 1.0
        return 0.25 if self.beat_s / 4.0 >= _SHORTEST_S else 0.5


Strokes = tuple[Stroke, ...]
_Maker = Callable[[Meter, np.random.Generator], list[Stroke]]


def draw_strokes(manner: str, meter: Meter, rng: np.random.Generator) -> tuple[Strokes, ...]:
    """Return the strokes of one bar, or of two that alternate."""
    n_bars = 2 if rng.random() < 0.4 else 1
    bars = []
    for _ in range(n_bars):
        made = [s for s in _MANNERS[manner](meter, rng) if 0.0 <= s.at < meter.beats - 1e-6]
        bars.append(tuple(sorted(made, key=lambda stroke: stroke.at)))
    return tuple(bars)


def _at(times: list[float], length: float, what: str | int, loud: float = 0.8) -> list[Stroke]:
    return [Stroke(t, length, what, loud) for t in times]


def _beats(meter: Meter, step: float = 1.0, first: float = 0.0) -> list[float]:
    return [float(t) for t in np.arange(first, meter.beats - 1e-6, step)]


def _pairs(meter: Meter) -> list[float]:
    """Beats and off-beats."""
    return [b + part for b in _beats(meter) for part in (0.0, meter.half)]


def _halves(meter: Meter) -> list[float]:
    """The bar line and the middle of the bar."""
    middle = {2: 1.0, 4: 2.0, 5: 3.0, 6: 3.0, 7: 4.0}.get(meter.beats)
    return [0.0] if middle is None else [0.0, middle]


def _accented(strokes: list[Stroke], rng: np.random.Generator) -> list[Stroke]:
    """Return the strokes with those on beats louder, more or less."""
    depth = float(rng.uniform(0.0, 0.35))
    return [s._replace(loud=s.loud - depth * (s.at % 1.0 > 0.01)) for s in strokes]


def _syncopated(meter: Meter, rng: np.random.Generator, step: float, share: float) -> list[float]:
    """Return a rhythm that need not be on the beats; the bar line more often than not."""
    times = _beats(meter, step)
    off = np.array([0.0 if t % 1.0 < 0.01 else 0.15 for t in times])
    chosen = [
        t for t, u, o in zip(times, rng.random(len(times)), off, strict=True) if u < share + o
    ]
    if (not chosen or chosen[0] > 0.0) and rng.random() < 0.75:
        chosen = [0.0, *chosen]
    return chosen or [0.0]


def _gaps(times: list[float], meter: Meter) -> list[float]:
    return [float(g) for g in np.diff([*times, float(meter.beats)])]


def _hold(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    times = _halves(meter) if rng.random() < 0.3 else [0.0]
    gaps = _gaps(times, meter)
    return [Stroke(t, 0.97 * g, "chord", 0.8) for t, g in zip(times, gaps, strict=True)]


def _every_beat(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _at(_beats(meter), float(rng.choice([0.3, 0.6, 0.95])), "chord")


def _eighths(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _accented(_at(_pairs(meter), float(rng.choice([0.2, 0.35, 0.48])), "chord"), rng)


def _steps(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _accented(_at(_beats(meter, meter.unit), 0.9 * meter.unit, "chord", 0.7), rng)


def _off(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _at([b + meter.half for b in _beats(meter)], 0.35, "chord")


def _skank(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    times = [b + meter.half for b in _beats(meter)]
    if rng.random() < 0.3 and meter.beat_s > 0.5:
        times += [t + 0.25 for t in times]
    return _at(times, float(rng.uniform(0.1, 0.3)), "chord", 0.9)


def _two_four(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _at(_beats(meter, 2.0, 1.0), float(rng.uniform(0.15, 0.5)), "chord")


def _four(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return [s._replace(loud=0.6 + 0.2 * (s.at % 2)) for s in _at(_beats(meter), 0.6, "chord")]


def _charleston(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    half = meter.half
    cells: list[list[float]] = [
        [0.0, 1 + half],
        [half, 2 + half],
        [1 + half, 3.0],
        [half],
        [1.0, 2 + half],
        [0.0, 2 + half],
        [3 + half],
        [1 + half, 3 + half],
    ]
    return _at(cells[int(rng.integers(len(cells)))], float(rng.uniform(0.2, 0.8)), "chord")


def _synco(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    step = meter.unit if meter.beat_s > 0.45 else max(meter.unit, 0.5)
    times = _syncopated(meter, rng, step, float(rng.uniform(0.15, 0.4)))
    legato = float(rng.uniform(0.4, 0.95))
    gaps = _gaps(times, meter)
    return [Stroke(t, legato * g, "chord", 0.8) for t, g in zip(times, gaps, strict=True)]


def _riff(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    step = meter.unit if rng.random() < 0.5 else (1 / 3 if meter.steps == 3 else 0.5)
    times = _syncopated(meter, rng, step, float(rng.uniform(0.25, 0.7)))
    out = []
    for t, gap in zip(times, _gaps(times, meter), strict=True):
        what: str | int = "power" if rng.random() < 0.6 else int(rng.choice([0, 0, 0, 1, 2, 3]))
        out.append(Stroke(t, min(gap, 2.0) * float(rng.uniform(0.4, 0.95)), what, 0.85))
    return out


def _chug(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    """Palm-muted steps with open chords among them."""
    step = meter.unit if rng.random() < 0.6 else max(meter.unit, 0.5)
    accents = set(_syncopated(meter, rng, step, 0.12))
    return [
        Stroke(t, 0.9 * step, "power", 0.95) if t in accents else Stroke(t, 0.45 * step, 0, 0.65)
        for t in _beats(meter, step)
    ]


def _gallop(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    if meter.unit > 0.3 or meter.steps == 3:
        return _eighths(meter, rng)
    parts = (0.0, 0.5, 0.75) if rng.random() < 0.7 else (0.0, 0.25, 0.5)
    return [
        Stroke(b + part, 0.2, 0 if part else "power", 0.7 if part else 0.9)
        for b in _beats(meter)
        for part in parts
    ]


def _scratch(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    """Sixteenths of a funk guitar: most only scratched."""
    accents = set(_syncopated(meter, rng, meter.unit, 0.25))
    return [
        Stroke(t, 0.2 if t in accents else 0.06, "chord", 0.85 if t in accents else 0.25)
        for t in _beats(meter, meter.unit)
    ]


def _strum(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    """Down on beats, up in between, some of them left out, as the hand goes on moving."""
    step = meter.unit if meter.steps != 3 and rng.random() < 0.4 else 0.0
    times = _beats(meter, step) if step else _pairs(meter)
    if meter.steps == 3:
        times = _beats(meter, 1 / 3)
    out = []
    for t in times:
        on_beat = t % 1.0 < 0.01
        if rng.random() < (0.92 if on_beat else 0.6):
            loud = 0.85 if on_beat else 0.55
            out.append(Stroke(t, 0.9, "chord", loud + 0.1 * (t % 2 == 1)))
    return out


def _arp(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    step = meter.unit if rng.random() < 0.5 else (1 / 3 if meter.steps == 3 else 0.5)
    shapes: tuple[tuple[int, ...], ...] = (
        (0, 1, 2, 3),
        (0, 1, 2, 1),
        (0, 2, 1, 2),
        (0, 2, 3, 2),
        (3, 2, 1, 0),
        (0, 1, 2, 3, 4, 3, 2, 1),
        (0, 1, 2),
        (0, 3, 1, 2),
    )
    shape = shapes[int(rng.integers(len(shapes)))]
    if meter.steps == 3 and rng.random() < 0.7:
        shapes = ((0, 1, 2), (0, 2, 1), (0, 1, 2, 3, 2, 1))
        shape = shapes[int(rng.integers(3))]
    ring = float(rng.choice([1.0, 1.0, 3.0])) * step
    made = [Stroke(t, ring, shape[i % len(shape)], 0.75) for i, t in enumerate(_beats(meter, step))]
    return _accented(made, rng)


def _travis(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    out = [Stroke(b, 0.9, (0, 2)[int(b) % 2], 0.8) for b in _beats(meter)]
    for t in _pairs(meter):
        if t % 1.0 > 0.01 or rng.random() < 0.3:
            out.append(Stroke(t, 0.9, int(rng.integers(3, 6)), 0.6))
    return out


def _oompah(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    length = float(rng.uniform(0.2, 0.7))
    if meter.beats == 3:
        return [Stroke(0.0, 0.9, 0, 0.9), *_at([1.0, 2.0], length, "chord", 0.65)]
    if meter.beats == 2:
        roots = [Stroke(float(b), 0.45, (0, 2)[b % 2], 0.85) for b in range(2)]
        return [*roots, *_at([0.5, 1.5], 0.3, "chord", 0.65)]
    low = [Stroke(b, 0.8, (0, 2)[i % 2], 0.85) for i, b in enumerate(_beats(meter, 2.0))]
    return [*low, *_at(_beats(meter, 2.0, 1.0), length, "chord", 0.7)]


def _alberti(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    step = 0.5 if meter.beat_s < 0.6 else meter.unit
    return [Stroke(t, step, (0, 2, 1, 2)[i % 4], 0.6) for i, t in enumerate(_beats(meter, step))]


def _montuno(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    cells = ((0.0, 0.5, 1.5, 2.5, 3.5), (0.0, 1.0, 1.5, 2.5, 3.5), (0.5, 1.0, 2.0, 2.5, 3.5))
    times = list(cells[int(rng.integers(len(cells)))])
    return [Stroke(t, 0.4, "power" if rng.random() < 0.3 else "chord", 0.8) for t in times]


def _bossa(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    """Brazilian clave, in sixteenths over four beats or in eighths over two bars."""
    cells = ((0, 3, 6, 10, 12), (0, 3, 6, 10, 13), (2, 5, 8, 11, 14), (0, 4, 7, 10, 14))
    cell = cells[int(rng.integers(len(cells)))]
    step = 0.5 if meter.steps == 2 else 0.25
    first = 8 * int(rng.integers(2)) if meter.steps == 2 else 0
    return _at([(c - first) * step for c in cell if c >= first], 0.45, "chord")


def _boogie(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    tops = (2, 3, 4, 3)
    return [Stroke(t, 0.35, 0 if i % 2 == 0 and rng.random() < 0.3 else tops[(i // 2) % 4], 0.8)
            for i, t in enumerate(_pairs(meter))]  # fmt: skip


def _uneven(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    """Groups of two and three beats."""
    groups = [(0.0, 2.0, 4.0), (0.0, 3.0, 5.0), (0.0, 2.0, 5.0)][int(rng.integers(3))]
    return _at(list(groups), 1.5, "power", 0.9)


def _one(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return [Stroke(0.0, float(rng.choice([0.9, 1.5, meter.beats])), 0, 0.9)]


def _two(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    times = _halves(meter)
    return [Stroke(t, 0.9 * g, (0, 2)[i % 2], 0.85)
            for i, (t, g) in enumerate(zip(times, _gaps(times, meter), strict=True))]  # fmt: skip


def _walk(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    out = _at(_beats(meter), 0.9, "walk", 0.85)
    if rng.random() < 0.3:
        out.append(Stroke(float(rng.integers(meter.beats)) + meter.half, 0.3, "walk", 0.5))
    return out


def _octaves(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return [Stroke(t, 0.4, 3 if t % 1.0 > 0.01 else 0, 0.85) for t in _pairs(meter)]


def _kick(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return _at(list(meter.kicks) or _halves(meter), float(rng.uniform(0.3, 0.9)), 0, 0.9)


def _tumbao(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return [Stroke(1.5, 1.4, 2, 0.85), Stroke(3.0, 1.0, 3, 0.85)]


def _dotted(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return [Stroke(b + t, 0.5 + t / 3, (0, 2)[int(b > 0)], 0.85)
            for b in _beats(meter, 2.0) for t in (0.0, 1.5)]  # fmt: skip


def _none(meter: Meter, rng: np.random.Generator) -> list[Stroke]:
    return []


_MANNERS: dict[str, _Maker] = {
    "hold": _hold, "beats": _every_beat, "eighths": _eighths, "steps": _steps, "off": _off,
    "skank": _skank, "two_four": _two_four, "four": _four, "charleston": _charleston,
    "synco": _synco, "riff": _riff, "chug": _chug, "gallop": _gallop, "scratch": _scratch,
    "strum": _strum, "arp": _arp, "travis": _travis, "oompah": _oompah, "stride": _oompah,
    "alberti": _alberti, "montuno": _montuno, "bossa": _bossa, "boogie": _boogie,
    "uneven": _uneven, "one": _one, "two": _two, "walk": _walk, "octaves": _octaves,
    "kick": _kick, "tumbao": _tumbao, "dotted": _dotted, "none": _none,
}  # fmt: skip
