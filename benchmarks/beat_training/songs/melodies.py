"""Melodies with phrases: a motif, varied, that comes to rest, with breaths and pickups.

In: the meter and the chords of a section. Out: `Tone`s, in beats and degrees of the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.beat_training.songs.strokes import Meter

_SHORTEST_S = 0.13


class Tone(NamedTuple):
    """A note of a melody: beats from the section's first bar line, and a degree of the scale."""

    at: float
    length: float
    degree: int
    loud: float


def draw_melody(
    meter: Meter, n_bars: int, chord_at: Callable[[float], int], rng: np.random.Generator
) -> tuple[Tone, ...]:
    """Return the melody of a section of `n_bars`; `chord_at` gives the root's degree at a beat."""
    phrase_bars = int(rng.choice([2, 2, 4])) if n_bars % 2 == 0 else 1
    span = phrase_bars * meter.beats
    rests = float(rng.uniform(0.0, 0.4)) * span
    pickup = float(rng.choice([0.0, 0.0, 0.5, 1.0, 1.5])) * (1.0 if meter.beats > 2 else 0.5)
    motifs = [_rhythm(meter, span - rests, rng) for _ in range(2)]
    tones: list[Tone] = []
    degree = int(rng.integers(0, 6))
    for phrase in range(n_bars // phrase_bars):
        if rng.random() < 0.1:
            continue
        start = float(phrase * span) - (pickup if rng.random() < 0.8 else 0.0)
        rhythm = motifs[0] if phrase % 2 == 0 or rng.random() < 0.5 else motifs[1]
        last = len(rhythm) - 1
        for i, (at, length) in enumerate(rhythm):
            degree = int(np.clip(degree + _step(rng), -4, 10))
            strong = (start + at) % 1.0 < 0.01 and (i in (0, last) or rng.random() < 0.5)
            if strong:
                degree = _nearest_chord_tone(degree, chord_at(max(0.0, start + at)))
            tones.append(Tone(start + at, length, degree, 0.7 + 0.2 * strong))
    return tuple(tones)


def _step(rng: np.random.Generator) -> int:
    return (-1, 1, -1, 1, 0, -2, 2, 3, -3, 4)[min(9, int(rng.exponential(3.0)))]


def _nearest_chord_tone(degree: int, root: int) -> int:
    return min((degree + d for d in (0, 1, -1, 2)), key=lambda d: (d - root) % 7 not in (0, 2, 4))


def _rhythm(meter: Meter, span: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return onsets and lengths over `span` beats: cells repeated, then a long note."""
    ternary = meter.steps == 3
    grid = 1 / 3 if ternary else 0.25
    while grid * meter.beat_s < _SHORTEST_S:
        grid = {1 / 3: 1.0, 0.25: 0.5, 0.5: 1.0}.get(grid, 2.0 * grid)
    slow = 2.0 if meter.beat_s < 0.45 else 1.0
    if ternary and grid < 1.0:
        weights, lengths = [3.0, 3.0, 3.0, 1.0], [1 / 3, 2 / 3, 1.0, 2.0]
    else:
        lengths = [grid, 0.5 * slow, 0.75 * slow, slow, 1.5 * slow, 2 * slow]
        weights = [1.5, 4, 1, 3, 1, 1]
        lengths = [max(grid, grid * round(length / grid)) for length in lengths]
    share = np.array(weights, dtype=float) ** float(rng.uniform(0.3, 1.5))
    cell: list[float] = []
    for _ in range(int(rng.integers(2, 7))):
        cell.append(lengths[int(rng.choice(len(lengths), p=share / share.sum()))])
    at, out, i = 0.0, [], 0
    while at < span - 1e-6:
        length = min(cell[i % len(cell)], span - at)
        if rng.random() > 0.08:
            out.append((at, length))
        at, i = at + length, i + 1
    if out and rng.random() < 0.6:
        # The phrase comes to rest on its last third.
        cut = span * float(rng.uniform(0.65, 0.9))
        out = [pair for pair in out if pair[0] <= cut] or out[:1]
        out[-1] = (out[-1][0], span - out[-1][0])
    return out or [(0.0, span)]
