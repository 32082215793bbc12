"""When beats are played: tempo that stays, drifts, breathes or changes; swing; players' hands.

In: a song's bars. Out: `Clock`, from beats to seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Song

FloatArray = NDArray[np.float64]

BEFORE = 16
"""Beats before the first bar line that a clock knows: count-ins and pickups."""
MANNERS = ("steady", "human", "wandering", "ramp", "free")
_SHARES = (0.42, 0.36, 0.1, 0.06, 0.06)
_LONGEST_BEAT_S, _SHORTEST_BEAT_S = 1.7, 0.26
"""Nobody taps slower or faster than this, held beats aside."""


@dataclass(frozen=True)
class Clock:
    """Beats to seconds, the first bar line at 0 s.

    Attributes:
        edges_s: [BEFORE + N + 1] times of beats from -BEFORE on.
        swing: share of a swung pair that its first half takes.
        pair: beats that a swung pair takes.
    """

    edges_s: FloatArray
    swing: float
    pair: float

    def seconds(self, beats: FloatArray) -> FloatArray:
        """Return the times of positions in beats, swung."""
        pairs = np.asarray(beats, dtype=float) / self.pair
        place = np.floor(pairs + 1e-9)
        part = np.maximum(pairs - place, 0.0)
        later = self.swing + (part - 0.5) * (1.0 - self.swing) / 0.5
        part = np.where(part <= 0.5, part * self.swing / 0.5, later)
        swung = (place + part) * self.pair
        return np.interp(swung, np.arange(len(self.edges_s)) - BEFORE, self.edges_s)

    def beats_s(self, first: int, last: int) -> FloatArray:
        """Return the times of beats [first, last), exactly."""
        return self.edges_s[BEFORE + first : BEFORE + last]


def make_clock(
    song: Song, first_bar: int, n_bars: int, ends: bool, rng: np.random.Generator
) -> Clock:
    """Return the clock of `n_bars`; `ends` slows down at the end, as endings often do."""
    meter, n = song.groove.meter, n_bars * song.groove.meter
    manner = "free" if rng.random() < song.groove.free else str(rng.choice(MANNERS, p=_SHARES))
    if manner == "free" and song.groove.drums and rng.random() < 0.7:
        manner = "human"
    slower = np.zeros(n + 8)
    if manner == "human":
        slower += _drift(len(slower), float(rng.uniform(0.003, 0.015)), rng)
        slower += rng.normal(0.0, rng.uniform(0.0, 0.008), len(slower))
    elif manner == "wandering":
        slower += np.cumsum(rng.normal(0.0, rng.uniform(0.002, 0.006), len(slower)))
        slower += rng.normal(0.0, 0.01, len(slower))
    elif manner == "ramp":
        slower += np.linspace(0.0, rng.uniform(-0.2, 0.2), len(slower))
    elif manner == "free":
        slower += _rubato(len(slower), meter, rng)
    if rng.random() < 0.08:
        _change_with_sections(slower, song, first_bar, n_bars, rng)
    if ends and rng.random() < 0.5:
        last = int(rng.integers(2, 2 * meter + 2))
        depth = float(rng.uniform(0.1, 0.7))
        at = max(0, n - last)
        slower[at:n] += depth * np.linspace(0.0, 1.0, n - at) ** float(rng.uniform(1.0, 2.0))
        slower[n:] += depth
    beat_s = 60.0 / song.bpm
    periods = np.clip(beat_s * np.exp(slower), min(_SHORTEST_BEAT_S, beat_s), _LONGEST_BEAT_S)
    _hold_some(periods, song, first_bar, n_bars, rng)
    before = np.full(BEFORE, periods[0]) * np.exp(rng.normal(0.0, 0.004, BEFORE))
    edges = np.concatenate([-np.cumsum(before)[::-1], [0.0], np.cumsum(periods)])
    return Clock(edges, song.swing, song.groove.pair)


def _drift(n: int, size: float, rng: np.random.Generator) -> FloatArray:
    """Return a tempo that comes back to itself."""
    out, now = np.zeros(n), 0.0
    for i, step in enumerate(rng.normal(0.0, size, n)):
        now = 0.9 * now + step
        out[i] = now
    return out


def _rubato(n: int, meter: int, rng: np.random.Generator) -> FloatArray:
    """Return phrases that flow in the middle and linger at their ends."""
    span = meter * int(rng.choice([2, 4]))
    place = (np.arange(n) % span) / span
    depth = float(rng.uniform(0.05, 0.35))
    out = depth * (np.abs(2.0 * place - 1.0) ** 2.0 - 0.4)
    return out + _drift(n, 0.02, rng) + rng.normal(0.0, rng.uniform(0.01, 0.05), n)


def _change_with_sections(
    slower: FloatArray, song: Song, first_bar: int, n_bars: int, rng: np.random.Generator
) -> None:
    """Change the tempo at some bar lines where a section begins."""
    for i, (_, bar) in enumerate(song.bars(first_bar, n_bars)):
        if bar == 0 and i > 0 and rng.random() < 0.6:
            slower[i * song.groove.meter :] += rng.uniform(-0.2, 0.2)


def _hold_some(
    periods: FloatArray, song: Song, first_bar: int, n_bars: int, rng: np.random.Generator
) -> None:
    """Hold the last beat of some sections: fermatas, in free music more often."""
    share = 0.15 if song.groove.free > 0.15 else 0.02
    for i, (section, bar) in enumerate(song.bars(first_bar, n_bars)):
        if bar == section.n_bars - 1 and rng.random() < share:
            periods[(i + 1) * song.groove.meter - 1] *= rng.uniform(1.4, 2.6)


@dataclass(frozen=True)
class Hands:
    """How exact players are.

    Attributes:
        jitter_s: standard deviation of their onsets.
        lags_s: delay of each part.
        strum_s: time from string to string of a chord.
        touch: standard deviation of loudness, relative.
    """

    jitter_s: float
    lags_s: dict[str, float]
    strum_s: float
    touch: float


def draw_hands(song: Song, rng: np.random.Generator) -> Hands:
    """Return the hands of a machine, or of people."""
    if rng.random() < (0.8 if song.groove.palette == "electronic" else 0.25):
        return Hands(0.0, {}, 0.0, float(rng.uniform(0.0, 0.1)))
    spread_s = float(rng.uniform(0.0, 0.008))
    parts = ("bass", "comp", "second", "lead", "second lead")
    lags_s = {part: float(rng.normal(0.0, spread_s)) for part in parts}
    lags_s["lead"] = lags_s["second lead"] = float(rng.normal(0.005, 2.0 * spread_s))
    return Hands(
        jitter_s=float(rng.uniform(0.0, 0.009)),
        lags_s=lags_s,
        strum_s=float(rng.choice([0.0, 0.004, 0.012])),
        touch=float(rng.uniform(0.05, 0.2)),
    )
