"""A take: how players play a score this once, with or without mistakes.

Every take has its own tempo, drift, timing, touch and balance; no two are the same audio, and
all have the same beats. Mistakes change the score, the passages that are played one after the
other, or the touch.

In: `Score` and the passages to play. Out: `Take`, events in seconds for `score_rendering`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.scores import DRUMS, SHORTEST_NOTE_S, Score, chased

Span = tuple[float, float]

N_CHANNELS = 16
TEMPO_SD, DRIFT_SD = 0.02, 0.006
"""Of a take's tempo against the score, and of the change of tempo from beat to beat."""
DRIFT_KEPT = 0.8
"""Share of the drift that stays until the next beat; players come back to their tempo."""
JITTER_S = (0.002, 0.014)
"""Range of the standard deviation of a take's onsets."""
LAG_SD_S = 0.006
"""How far an instrument is ahead or behind through a take."""
VELOCITY_SD = (0.04, 0.15)
BALANCE_SD_DB = 1.5
"""Of an instrument's level from take to take."""
OTHER_OCTAVE, LEFT_OUT = 0.004, 0.004
"""Shares of the notes of a good take that nobody minds."""
_HELD_BEATS = 0.3
"""Held notes with less left than this are not played again where a passage begins inside them."""


@dataclass(frozen=True)
class Touch:
    """How the players are disposed during one take.

    Attributes:
        tempo: factor on the score's tempo.
        drift_sd: change of tempo from beat to beat, relative.
        rush: growth of the tempo from the beginning to the end of the take, relative.
        jitter_s: standard deviation of onsets.
        velocity_sd: standard deviation of velocities, relative.
        lag_s: [16] delay of each channel.
        level_db: [16] of each channel.
        tuning: [16] semitones off, each channel.
    """

    tempo: float
    drift_sd: float
    rush: float
    jitter_s: float
    velocity_sd: float
    lag_s: NDArray[np.float64]
    level_db: NDArray[np.float64]
    tuning: NDArray[np.float64]


@dataclass(frozen=True)
class Attempt:
    """What will be played: passages of a score, one after the other."""

    score: Score
    spans: tuple[Span, ...]
    touch: Touch


@dataclass(frozen=True)
class Take:
    """Events to render.

    Attributes:
        notes: [M] of `NOTE`, in seconds of the take.
        controls: [K] of `CONTROL`, by time.
        level_db, tuning: [16] see `Touch`.
        marks: for each span the score's and the take's times of its bar lines, [2, B + 1], its
            ends included.
    """

    notes: NDArray[Any]
    controls: NDArray[Any]
    level_db: NDArray[np.float64]
    tuning: NDArray[np.float64]
    marks: tuple[NDArray[np.float64], ...]

    @property
    def duration_s(self) -> float:
        """Where the last span ends; notes ring on."""
        return float(self.marks[-1][1, -1])


def draw_touch(rng: np.random.Generator) -> Touch:
    """Return the touch of a good take."""
    return Touch(
        tempo=float(np.exp(rng.normal(0.0, TEMPO_SD))),
        drift_sd=DRIFT_SD,
        rush=0.0,
        jitter_s=float(rng.uniform(*JITTER_S)),
        velocity_sd=float(rng.uniform(*VELOCITY_SD)),
        lag_s=rng.normal(0.0, LAG_SD_S, N_CHANNELS),
        level_db=rng.normal(0.0, BALANCE_SD_DB, N_CHANNELS),
        tuning=np.zeros(N_CHANNELS),
    )


def steady_touch() -> Touch:
    """Return the touch that plays a score as written."""
    zeros = np.zeros(N_CHANNELS)
    return Touch(1.0, 0.0, 0.0, 0.0, 0.0, zeros, zeros, zeros)


def play(attempt: Attempt, rng: np.random.Generator) -> Take:
    """Return a take of an attempt: its spans one after the other without a break."""
    spans = attempt.spans
    notes, controls, marks = [], [], []
    offset_s = 0.0
    first = 0
    while first < len(spans):
        # Spans that follow each other in the score are played as one.
        last = first
        while last + 1 < len(spans) and spans[last + 1][0] == spans[last][1]:
            last += 1
        clock = _Clock(attempt, (spans[first][0], spans[last][1]), offset_s, rng)
        notes.append(_played(attempt, clock, rng))
        part = chased(attempt.score.controls, clock.start_s)
        part = part[part["time_s"] < clock.stop_s]
        part["time_s"] = clock.take_s(part["time_s"])
        controls.append(part)
        marks += [clock.marks(attempt.score, span) for span in spans[first : last + 1]]
        offset_s = float(marks[-1][1, -1])
        first = last + 1
    all_notes = np.concatenate(notes)
    return Take(
        np.sort(all_notes, order=["start_s", "channel", "key"]),
        np.concatenate(controls),
        attempt.touch.level_db,
        attempt.touch.tuning,
        tuple(marks),
    )


class _Clock:
    """Score times of one stretch to times of the take."""

    def __init__(
        self, attempt: Attempt, stretch: Span, offset_s: float, rng: np.random.Generator
    ) -> None:
        self.start_s, self.stop_s = stretch
        edges_s = attempt.score.grid.edges_s
        inner = edges_s[(edges_s > self.start_s + 1e-6) & (edges_s < self.stop_s - 1e-6)]
        self.knots_s = np.concatenate([[self.start_s], inner, [self.stop_s]])
        n = len(self.knots_s) - 1
        touch = attempt.touch
        drift = np.zeros(n)
        steps = rng.normal(0.0, 1.0, n) * touch.drift_sd
        for i in range(1, n):
            drift[i] = DRIFT_KEPT * drift[i - 1] + steps[i]
        speed = touch.tempo * np.exp(drift) * (1.0 + touch.rush * np.linspace(0.0, 1.0, n))
        lengths_s = np.diff(self.knots_s) / speed
        self.times_s = offset_s + np.concatenate([[0.0], np.cumsum(lengths_s)])

    def take_s(self, score_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(score_s, self.knots_s, self.times_s)

    def marks(self, score: Score, span: Span) -> NDArray[np.float64]:
        bars_s = score.bars_s
        inner = bars_s[(bars_s > span[0] + 1e-6) & (bars_s < span[1] - 1e-6)]
        edges_s = np.concatenate([[span[0]], inner, [span[1]]])
        return np.stack([edges_s, self.take_s(edges_s)])


def _played(attempt: Attempt, clock: _Clock, rng: np.random.Generator) -> NDArray[Any]:
    """Return the notes of one stretch as they are played this once."""
    score, touch = attempt.score, attempt.touch
    beat_s = float(np.median(score.grid.durations_s))
    starts_s, ends_s = score.notes["start_s"], score.notes["end_s"]
    begins = (starts_s >= clock.start_s - 1e-6) & (starts_s < clock.stop_s - 1e-6)
    goes_on = starts_s < clock.start_s - 1e-6
    goes_on &= (ends_s > clock.start_s + _HELD_BEATS * beat_s) & (score.notes["channel"] != DRUMS)
    notes: NDArray[Any] = score.notes[begins | goes_on].copy()
    notes = notes[rng.random(len(notes)) >= LEFT_OUT * (touch.jitter_s > 0.0)]
    n = len(notes)
    start_s = clock.take_s(np.maximum(notes["start_s"], clock.start_s))
    end_s = clock.take_s(np.minimum(notes["end_s"], clock.stop_s))
    shift_s = rng.normal(0.0, 1.0, n) * touch.jitter_s + touch.lag_s[notes["channel"]]
    start_s = np.maximum(start_s + shift_s, clock.times_s[0])
    end_s = np.minimum(end_s + shift_s, clock.times_s[-1] + 0.05)
    notes["start_s"], notes["end_s"] = start_s, np.maximum(end_s, start_s + SHORTEST_NOTE_S)
    loudness = 1.0 + rng.normal(0.0, 1.0, n) * touch.velocity_sd
    notes["velocity"] = np.clip(np.rint(notes["velocity"] * loudness), 1, 127)
    other = (rng.random(n) < OTHER_OCTAVE * (touch.jitter_s > 0.0)) & (notes["channel"] != DRUMS)
    octave = np.where(notes["key"] < 60, 12, -12)
    notes["key"] = np.where(other, notes["key"] + octave, notes["key"])
    return notes


# Mistakes: each takes an attempt and the score time from which on it goes wrong


def with_mistakes(attempt: Attempt, rng: np.random.Generator) -> tuple[Attempt, tuple[str, ...]]:
    """Return an attempt with one to three mistakes, and their names."""
    start_s, stop_s = attempt.spans[0][0], attempt.spans[-1][1]
    names = [str(n) for n in rng.choice(list(MISTAKES), int(rng.integers(1, 4)), replace=False)]
    for name in names:
        at_s = start_s + (stop_s - start_s) * 0.95 * rng.beta(1.7, 1.3)
        attempt = MISTAKES[name](attempt, at_s, rng)
    return attempt, tuple(names)


def _beat_s(attempt: Attempt) -> float:
    return float(np.median(attempt.score.grid.durations_s))


def _with_notes(attempt: Attempt, notes: NDArray[Any]) -> Attempt:
    notes = np.sort(notes, order=["start_s", "channel", "key"])
    return replace(attempt, score=replace(attempt.score, notes=notes))


def _window(
    attempt: Attempt, at_s: float, beats: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return [M] the notes of one channel, drawn by its notes, in some beats from `at_s` on."""
    notes = attempt.score.notes
    near = (notes["start_s"] >= at_s) & (notes["start_s"] < at_s + beats * _beat_s(attempt))
    pitched = near & (notes["channel"] != DRUMS)
    chosen = np.flatnonzero(pitched if pitched.any() else near)
    if len(chosen) == 0:
        return np.zeros(len(notes), dtype=bool)
    return near & (notes["channel"] == notes["channel"][rng.choice(chosen)])


def wrong_notes(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Play notes of one instrument 1 to 4 semitones off, alone or for some beats."""
    notes = attempt.score.notes.copy()
    for _ in range(int(rng.integers(1, 5))):
        wrong = _window(attempt, at_s, float(rng.choice([1.0, 1.0, 2.0, 4.0])), rng)
        if rng.random() < 0.5:
            wrong &= rng.random(len(wrong)) < 0.6
        semitones = rng.choice([-4, -3, -2, -1, -1, 1, 1, 2, 3, 4], len(notes))
        notes["key"] = np.where(wrong, np.clip(notes["key"] + semitones, 0, 127), notes["key"])
        loud = np.minimum(notes["velocity"] * rng.uniform(1.0, 1.5), 127)
        notes["velocity"] = np.where(wrong, loud, notes["velocity"])
        at_s += _beat_s(attempt) * rng.uniform(0.5, 4.0)
    return _with_notes(attempt, notes)


def missed_notes(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Leave out what one instrument should play for 1 to 8 beats, or what all should."""
    beats = 2.0 ** rng.uniform(0.0, 3.0)
    missed = _window(attempt, at_s, beats, rng)
    if rng.random() < 0.3:
        start_s = attempt.score.notes["start_s"]
        missed = (start_s >= at_s) & (start_s < at_s + beats * _beat_s(attempt))
    return _with_notes(attempt, attempt.score.notes[~missed])


def added_notes(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Hit neighbouring keys too, a little late, with what one instrument plays."""
    slips = attempt.score.notes[_window(attempt, at_s, rng.uniform(1.0, 4.0), rng)].copy()
    delay_s = rng.uniform(0.0, 0.3, len(slips)) * _beat_s(attempt)
    slips["start_s"] += delay_s
    slips["end_s"] += delay_s
    slips["key"] = np.clip(slips["key"] + rng.choice([-2, -1, 1, 2], len(slips)), 0, 127)
    return _with_notes(attempt, np.concatenate([attempt.score.notes, slips]))


def out_of_step(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """One instrument is early or late by a third to one beat from here on."""
    notes = attempt.score.notes.copy()
    moved = _window(attempt, at_s, 1e6, rng)
    shift_s = _beat_s(attempt) * rng.uniform(0.3, 1.0) * float(rng.choice([-1, 1]))
    notes["start_s"] = np.where(
        moved, np.maximum(notes["start_s"] + shift_s, 0.0), notes["start_s"]
    )
    notes["end_s"] = np.where(moved, notes["end_s"] + shift_s, notes["end_s"])
    notes["end_s"] = np.maximum(notes["end_s"], notes["start_s"] + SHORTEST_NOTE_S)
    return _with_notes(attempt, notes)


def out_of_tune(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """One instrument is 0.25 to 0.9 semitones off through the whole take."""
    channel = _one_channel(attempt, at_s, rng)
    tuning = attempt.touch.tuning.copy()
    tuning[channel] += float(rng.choice([-1, 1])) * rng.uniform(0.25, 0.9)
    return replace(attempt, touch=replace(attempt.touch, tuning=tuning))


def out_of_balance(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """One instrument is hardly heard, through the whole take."""
    level_db = attempt.touch.level_db.copy()
    level_db[_one_channel(attempt, at_s, rng)] -= rng.uniform(12.0, 40.0)
    return replace(attempt, touch=replace(attempt.touch, level_db=level_db))


def rushed(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Run away or drag: the tempo is 8 to 25% off at the end."""
    rush = float(rng.choice([-1, 1])) * rng.uniform(0.08, 0.25)
    return replace(attempt, touch=replace(attempt.touch, rush=rush, drift_sd=0.02))


def hesitate(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Stop for a quarter to two beats, the last notes ringing."""
    pause_s = _beat_s(attempt) * rng.uniform(0.25, 2.0)
    score = attempt.score
    notes = score.notes.copy()
    later = notes["start_s"] >= at_s
    notes["end_s"] = np.where(
        later | (notes["end_s"] > at_s), notes["end_s"] + pause_s, notes["end_s"]
    )
    notes["start_s"] = np.where(later, notes["start_s"] + pause_s, notes["start_s"])
    controls = score.controls.copy()
    controls["time_s"] += np.where(controls["time_s"] >= at_s, pause_s, 0.0)
    spans = tuple((a + pause_s * (a > at_s), b + pause_s * (b > at_s)) for a, b in attempt.spans)
    beats_s = score.grid.beats_s + pause_s * (score.grid.beats_s > at_s)
    grid = replace(score.grid, beats_s=beats_s, duration_s=score.grid.duration_s + pause_s)
    return replace(attempt, score=Score(notes, controls, grid), spans=spans)


def begin_again(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Go back to the bar line, or half a beat to two beats back, and play on."""
    bars_s = attempt.score.bars_s
    back_s = float(bars_s[max(0, int(np.searchsorted(bars_s, at_s, side="right")) - 1)])
    if rng.random() < 0.5 or at_s - back_s < 0.2:
        back_s = max(0.0, at_s - _beat_s(attempt) * float(rng.choice([0.5, 1.0, 2.0])))
    return _jump(attempt, at_s, back_s)


def skip(attempt: Attempt, at_s: float, rng: np.random.Generator) -> Attempt:
    """Leave out half a beat to a bar."""
    on_s = at_s + _beat_s(attempt) * float(rng.choice([0.5, 1.0, 2.0, 4.0]))
    return _jump(attempt, at_s, on_s)


def _jump(attempt: Attempt, at_s: float, to_s: float) -> Attempt:
    """Return the attempt that goes on at `to_s` where it comes to `at_s`."""
    spans: list[Span] = []
    for start_s, stop_s in attempt.spans:
        if start_s < at_s < stop_s and to_s < stop_s - SHORTEST_NOTE_S:
            spans += [(start_s, at_s), (to_s, stop_s)]
        else:
            spans.append((start_s, stop_s))
    return replace(attempt, spans=tuple(spans))


def _one_channel(attempt: Attempt, at_s: float, rng: np.random.Generator) -> int:
    chosen = _window(attempt, at_s, 8.0, rng)
    return int(attempt.score.notes["channel"][np.argmax(chosen)])


MISTAKES: dict[str, Callable[[Attempt, float, np.random.Generator], Attempt]] = {
    "wrong notes": wrong_notes,
    "missed notes": missed_notes,
    "added notes": added_notes,
    "out of step": out_of_step,
    "out of tune": out_of_tune,
    "out of balance": out_of_balance,
    "rushed": rushed,
    "hesitate": hesitate,
    "begin again": begin_again,
    "skip": skip,
}


def is_same(one: Attempt, other: Attempt) -> bool:
    """Return whether nobody could hear a difference between what two attempts mean to play."""

    def heard(attempt: Attempt) -> NDArray[Any]:
        start_s, stop_s = attempt.spans[0][0], attempt.spans[-1][1]
        starts = attempt.score.notes["start_s"]
        return attempt.score.notes[(starts >= start_s) & (starts < stop_s)]

    return (
        one.spans == other.spans and one.touch is other.touch and _equal(heard(one), heard(other))
    )


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return len(one) == len(other) and bool(np.all(one == other))
