"""What a drummer plays in a bar: the pattern, less or more of it, and fills.

In: a pattern out of `grooves`. Out: strokes, in beats from the bar line.
"""

from __future__ import annotations

import numpy as np

from benchmarks.beat_training.songs.grooves import Groove, Pattern

Hit = tuple[float, str, float]
"""Beats from the bar line, voice, loudness in (0, 1]."""

_LOUD = {"X": 1.0, "x": 0.75, "o": 0.35, "?": 0.6}
_TIMEKEEPERS = "hropayg"
_KEPT = 0.9
"""Share of the drummers who play all voices of a pattern."""


def draw_drums(groove: Groove, rng: np.random.Generator) -> Pattern:
    """Return a pattern, at times with another timekeeper or without one of its voices."""
    pattern = dict(groove.drums[int(rng.integers(len(groove.drums)))])
    if rng.random() > _KEPT and len(pattern) > 2:
        del pattern[sorted(pattern)[int(rng.integers(len(pattern)))]]
    swapped = [voice for voice in pattern if voice in _TIMEKEEPERS]
    if swapped and rng.random() < 0.3:
        other = "hrohcag"[int(rng.integers(7))]
        pattern.setdefault(other, pattern.pop(swapped[0]))
    return pattern


def struck(
    pattern: Pattern, bar: int, groove: Groove, is_fill: bool, rng: np.random.Generator
) -> list[Hit]:
    """Return the strokes of a bar; a fill takes the place of its end."""
    n_steps = groove.meter * groove.steps
    # A march written for one bar of two beats may have fewer steps than a beat has.
    fill_from = groove.meter - float(rng.choice([1.0, 1.0, 2.0, 0.5])) if is_fill else np.inf
    human = rng.normal(1.0, 0.1, 4 * n_steps)
    out: list[Hit] = []
    for voice, marks in pattern.items():
        first = bar * n_steps
        for step in range(n_steps):
            mark = marks[(first + step) % len(marks)]
            at = step / groove.steps
            if mark == "." or at >= fill_from or (mark == "?" and rng.random() > 0.3):
                continue
            out.append((at, voice, min(1.0, _LOUD[mark] * float(human[step]))))
    if is_fill:
        out += _fill(fill_from, groove, rng)
    return out


def _fill(start: float, groove: Groove, rng: np.random.Generator) -> list[Hit]:
    """Return a run around the drums up to the bar line."""
    step = 1 / 3 if groove.steps == 3 else float(rng.choice([0.25, 0.25, 0.5]))
    if groove.steps != 3 and groove.bpm[0] > 140:
        step = 0.5
    voices = [("s",), ("s", "t", "T", "L"), ("t", "T", "L"), ("s", "k"), ("s", "L")][
        int(rng.integers(5))
    ]
    times = np.arange(start, groove.meter - 1e-6, step)
    out: list[Hit] = []
    for i, at in enumerate(times):
        if rng.random() < 0.9:
            voice = voices[min(len(voices) - 1, int(i * len(voices) / len(times)))]
            out.append((float(at), voice, float(rng.uniform(0.6, 1.0))))
    return out


def kick_times(pattern: Pattern, groove: Groove) -> tuple[float, ...]:
    """Return where in a bar the kick drum plays, for the bass."""
    marks = pattern.get("k", "")
    n_steps = groove.meter * groove.steps
    return tuple(
        step / groove.steps for step in range(n_steps) if marks and marks[step % len(marks)] in "Xx"
    )
