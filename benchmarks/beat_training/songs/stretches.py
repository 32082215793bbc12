"""Stretches of playing: a song from some bar on, with a count-in or a pickup, to a stop or an end.

In: a song, its band and a length. Out: `Stretch`, audio with its beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Note, Song
from benchmarks.beat_training.songs.instruments import SR
from benchmarks.beat_training.songs.playing import Band, Span, play
from benchmarks.beat_training.songs.timing import Clock, make_clock
from rl_editor.session_speech import numbers
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

_LEAD_IN_S = 0.15
"""Before the first sound."""
_COUNTED = "WKmhwsp"
"""Voices that count in."""
_SPOKEN = 0.25
"""Share of the count-ins that are spoken."""


@dataclass(frozen=True)
class Stretch:
    """Something played, and when its beats are.

    Attributes:
        signal: [S] float32, a peak of 1.
        beats_s: [B] float64.
        place_in_bar: [B] int64, 0 is the downbeat.
        start_s, end_s: what is played lies between; around it the room rings.
    """

    signal: Audio
    beats_s: NDArray[np.float64]
    place_in_bar: NDArray[np.int64]
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Wish:
    """What stretch of a song is wanted.

    Attributes:
        first_bar: where it begins.
        length_s: how long it is, about; an end comes at a bar line.
        opening: `bar`, `count`, `pickup`, or `inside` (cut out of playing that goes on).
        ending: `stop` (anywhere), `chord`, `fade`, or `cut`.
    """

    first_bar: int
    length_s: float
    opening: str
    ending: str


def perform(song: Song, band: Band, wish: Wish, rng: np.random.Generator) -> Stretch:
    """Return a stretch of a song."""
    meter = song.groove.meter
    # A stretch may slow down, so bars for three quarters of its beats again.
    n_bars = int(np.ceil(wish.length_s * song.bpm / 60.0 / meter * 1.4)) + 2
    if wish.ending == "chord":
        n_bars = max(1, round(wish.length_s * song.bpm / 60.0 / meter))
    clock = make_clock(song, wish.first_bar, n_bars, wish.ending == "chord", rng)
    notes = song.notes(wish.first_bar, n_bars, rng)
    first = _first_beat(notes, song, wish, rng)
    notes = [note for note in notes if note.at >= first - 1e-6]
    counted: list[Note] = []
    is_spoken = False
    if wish.opening == "count":
        counted, first = _count_in(song, rng)
        is_spoken = rng.random() < _SPOKEN
        notes = ([] if is_spoken else counted) + notes
    last = n_bars * meter
    if wish.ending == "chord":
        notes += song.closing(float(last), rng)
    stretch = _heard(notes, clock, band, wish, (first, last), song, rng)
    if is_spoken:
        at = np.array([note.at for note in counted if note.at % 1.0 == 0.0])
        _speak(stretch.signal, clock.seconds(at) - clock.seconds(at[:1]) + stretch.start_s, rng)
    return stretch


def _speak(signal: Audio, times_s: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Add a voice that counts at some times."""
    loud = float(rng.uniform(0.1, 0.8))
    for time_s, word in zip(times_s, numbers(len(times_s), SR, rng, 0.0), strict=True):
        add(signal, word, round(float(time_s) * SR), loud)


def _first_beat(notes: list[Note], song: Song, wish: Wish, rng: np.random.Generator) -> int:
    """Return the first beat that is played, negative for pickups."""
    if wish.opening != "pickup":
        return 0
    early = [note.at for note in notes if note.at < -1e-6]
    if early:
        return int(np.floor(min(early) + 1e-6))
    if not song.groove.drums:
        return 0
    length = min(2, song.groove.meter - 1) or 1
    step = 1 / 3 if song.groove.steps == 3 else 0.5
    times = np.arange(-float(length), -1e-6, step)
    notes += [Note(float(t), 0.2, "drums", "s", 0.6 + 0.2 * float(rng.random())) for t in times]
    return -length


def _count_in(song: Song, rng: np.random.Generator) -> tuple[list[Note], int]:
    """Return the strokes that count in, a bar or two of them, and the first of their beats."""
    meter = song.groove.meter
    voice = _COUNTED[int(rng.integers(len(_COUNTED)))]
    beats = list(range(-meter, 0))
    if meter <= 4 and (meter < 4 or rng.random() < 0.3):
        # One, two, one two three four.
        beats = [*range(-2 * meter, -meter, max(1, meter // 2)), *beats]
    times = [float(b) for b in beats]
    if song.groove.steps == 3 and meter == 2 and rng.random() < 0.4:
        times = [b + third / 3 for b in beats for third in range(3)]
    return [Note(t, 0.2, "drums", voice, 0.8 if t % 1 == 0 else 0.5) for t in times], beats[0]


def _heard(
    notes: list[Note],
    clock: Clock,
    band: Band,
    wish: Wish,
    beats: tuple[int, int],
    song: Song,
    rng: np.random.Generator,
) -> Stretch:
    """Return the stretch between the first beat and where it stops."""
    first, last = beats
    times_s = clock.beats_s(first, last + 1)
    begin_s = float(times_s[0])
    if wish.opening == "inside":
        begin_s += float(rng.uniform(0.0, times_s[-1] - times_s[0])) * 0.1
        begin_s = max(begin_s, 0.05)
    lead_in_s = 0.0 if wish.opening == "inside" else _LEAD_IN_S
    end_s = float(times_s[-1]) if wish.ending == "chord" else begin_s + wish.length_s
    end_s = min(end_s, float(times_s[-1]))
    is_heard = (times_s >= begin_s - 1e-6) & (times_s < end_s - 0.02)
    tail_s = 0.6
    stop_s = end_s
    if wish.ending == "chord":
        is_heard[-1] = True
        tail_s, stop_s = float(rng.uniform(1.0, 4.0)), end_s + 4.0
    elif wish.ending == "cut":
        tail_s = 0.0
    n = int(np.ceil((end_s + tail_s - begin_s + lead_in_s) * SR))
    span = Span(begin_s - lead_in_s, n, stop_s, wish.ending == "chord")
    signal = play(notes, clock, band, span, rng)
    heard_s = times_s[is_heard] - span.start_s
    place = (first + np.flatnonzero(is_heard)) % song.groove.meter
    end_at_s = end_s - span.start_s
    if wish.ending == "fade":
        end_at_s = _fade_out(signal, rng)
        place, heard_s = place[heard_s < end_at_s], heard_s[heard_s < end_at_s]
    elif wish.ending == "chord":
        end_at_s += min(tail_s, 60.0 / song.bpm)
        fade = min(n, int(0.7 * tail_s * SR))
        signal[n - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return Stretch(signal, heard_s, place.astype(np.int64), lead_in_s, end_at_s)


def _fade_out(signal: Audio, rng: np.random.Generator) -> float:
    """Fade the end of a signal out in place; return when it is lost, in seconds."""
    n = min(len(signal), int(rng.uniform(3.0, 10.0) * SR))
    level_db = np.linspace(0.0, -60.0, n)
    signal[len(signal) - n :] *= (10.0 ** (level_db / 20.0)).astype(np.float32)
    return (len(signal) - 0.4 * n) / SR
