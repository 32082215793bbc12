"""Made-up pieces: chords, bass, drums and a lead in a groove, in sections with breaks and fills.

In: a groove and random numbers. Out: `rl_editor.scores.Score`, in time and without a player's
hand, which `performing` adds. The melody is a walk on the scale over the chords, in a rhythm that
comes back; nothing here claims to be beautiful, but all of it has a beat.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.beat_training.grooves import CRASH, KICK, SNARE, TOM, Groove
from rl_editor.grid import BeatGrid
from rl_editor.scores import CONTROL, DRUMS, NOTE, PAN, PROGRAM, VOLUME, Score

BASS, CHORDS, LEAD, SECOND = 0, 1, 2, 3
"""Channels."""
VELOCITY = {"X": 112, "x": 88, "o": 52}
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))
"""Major, minor, dorian."""
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (0, 6, 5, 4), (1, 4, 0, 0), (0, 0, 3, 0),
    (0, 2, 3, 4), (0, 0, 0, 0), (0, 3, 0, 4),
)  # fmt: skip
"""Degrees of the chords of four bars."""
PROGRAMS = {
    BASS: (32, 33, 34, 35, 36, 38, 39, 43, 58),
    CHORDS: (0, 1, 2, 4, 5, 6, 7, 11, 16, 17, 18, 21, 24, 25, 26, 27, 28, 29, 30, 46, 48, 50,
             52, 61, 62, 81, 88, 89),
    LEAD: (0, 11, 22, 24, 25, 26, 27, 29, 30, 40, 42, 52, 53, 54, 56, 57, 60, 64, 65, 66, 68, 71,
           73, 74, 78, 80, 81, 85, 105),
    SECOND: (48, 49, 50, 52, 61, 89, 90, 91, 95, 11, 12, 46),
}  # fmt: skip
"""General MIDI programs, counted from 0; voices and choirs among the leads."""
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
COUNT_IN, FILL, BREAK, PUSHED, LATE_DRUMS = 0.15, 0.6, 0.15, 0.25, 0.3
"""Probabilities: of a piece that it is counted in, of a section that it ends with a fill or has no
drums, of a chord that it comes a step early, of a piece that the drums join after the beginning."""
_STICK, _SIDE_STICK = 75, 37


@dataclass
class _Parts:
    """Notes under way: start and end in beats, channel, key, velocity."""

    notes: list[tuple[float, float, int, int, int]] = field(default_factory=list)

    def add(self, start: float, length: float, channel: int, key: int, velocity: float) -> None:
        key, velocity = int(np.clip(key, 20, 108)), float(np.clip(velocity, 1, 127))
        self.notes.append((start, start + length, channel, key, int(velocity)))


@dataclass(frozen=True)
class _Song:
    """What stays the same in a piece."""

    groove: Groove
    scale: tuple[int, ...]
    tonic: int
    progression: tuple[int, ...]
    bass: str | None
    chords: str | None
    motif: tuple[tuple[float, float], ...]
    rng: np.random.Generator

    def degree(self, degree: int) -> int:
        """Return the key of a degree of the scale above the tonic."""
        octave, step = divmod(degree, len(self.scale))
        return self.tonic + 12 * octave + self.scale[step]


def compose(groove: Groove, duration_s: float, rng: np.random.Generator) -> Score:
    """Return a piece of about `duration_s`, at a steady tempo of the groove's range."""
    low, high = np.log(groove.tempo_bpm)
    beat_s = 60.0 / float(np.exp(rng.uniform(low, high)))
    n_bars = max(2, round(duration_s / (beat_s * groove.meter)))
    song = _song(groove, rng)
    parts = _Parts()
    n_intro = 1 if groove.drums and rng.random() < COUNT_IN else 0
    if n_intro:
        key = _STICK if rng.random() < 0.5 else _SIDE_STICK
        for beat in range(groove.meter):
            parts.add(beat, 0.1, DRUMS, key, 110)
    silent_drums = int(rng.integers(1, 5)) if rng.random() < LATE_DRUMS else 0
    bar = 0
    while bar < n_bars:
        length = min(int(rng.choice([4, 4, 8, 8, 12])), n_bars - bar)
        with_drums = bool(groove.drums) and rng.random() >= BREAK
        with_lead = rng.random() < 0.65
        for place in range(length):
            at = (n_intro + bar + place) * groove.meter
            drums = with_drums and bar + place >= silent_drums
            ends = place == length - 1 and rng.random() < FILL
            _play_bar(song, parts, at, (bar + place) % 4, (drums, with_lead, ends))
        bar += length
    return _score(song, parts, (n_intro + n_bars) * groove.meter, beat_s)


def _song(groove: Groove, rng: np.random.Generator) -> _Song:
    def one_of(patterns: tuple[str, ...], share: float) -> str | None:
        return str(rng.choice(patterns)) if patterns and rng.random() < share else None

    is_sparse = not groove.drums
    chords = one_of(groove.chords, 1.0 if is_sparse else 0.85)
    return _Song(
        groove=groove,
        scale=SCALES[int(rng.integers(len(SCALES)))],
        tonic=int(rng.integers(52, 64)),
        progression=PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))],
        bass=one_of(groove.bass, 0.5 if is_sparse and chords else 0.92),
        chords=chords,
        motif=_motif(groove, rng),
        rng=rng,
    )


def _motif(groove: Groove, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Return starts and lengths in beats of the lead's notes in two bars."""
    n_steps = 2 * groove.meter * groove.steps
    weight = np.full(n_steps, rng.uniform(0.05, 0.5))
    weight[:: groove.steps] = rng.uniform(0.3, 0.9)
    weight[:: groove.meter * groove.steps] = rng.uniform(0.4, 1.0)
    starts = np.flatnonzero(rng.random(n_steps) < weight)
    ends = np.append(starts[1:], n_steps)
    legato = rng.uniform(0.4, 1.0)
    return tuple(
        (int(a) / groove.steps, legato * min(int(b - a), 2 * groove.steps) / groove.steps)
        for a, b in zip(starts, ends, strict=False)
    )


def _play_bar(
    song: _Song, parts: _Parts, at: float, place: int, playing: tuple[bool, bool, bool]
) -> None:
    """Add one bar: `at` in beats, `place` in the progression; drums, lead and fill or not."""
    with_drums, with_lead, with_fill = playing
    degree = song.progression[place]
    if with_drums:
        _drums(song, parts, at, with_fill)
        if place == 0 and song.rng.random() < 0.3:
            parts.add(at, 0.5, DRUMS, CRASH, 105)
    if song.bass is not None:
        _bass(song, parts, at, degree)
    if song.chords is not None:
        _chords(song, parts, at, degree)
    if with_lead:
        _lead(song, parts, at, degree, place % 2)


def _strokes(song: _Song, pattern: str) -> list[tuple[float, float]]:
    """Return places in beats and velocities of a pattern."""
    steps = song.groove.steps
    return [(i / steps, VELOCITY[c]) for i, c in enumerate(pattern) if c != "."]


def _drums(song: _Song, parts: _Parts, at: float, with_fill: bool) -> None:
    groove = song.groove
    until = groove.meter - (min(2, groove.meter - 1) if with_fill else 0)
    for key, pattern in groove.drums.items():
        for place, velocity in _strokes(song, pattern):
            if place < until or key == KICK:
                parts.add(at + place, 0.2, DRUMS, key, velocity * song.rng.uniform(0.85, 1.1))
    if with_fill:
        for step in range(round((groove.meter - until) * groove.steps)):
            if song.rng.random() < 0.75:
                key = int(song.rng.choice([SNARE, TOM, 48, 43, 41]))
                parts.add(
                    at + until + step / groove.steps, 0.2, DRUMS, key, song.rng.uniform(70, 120)
                )


def _bass(song: _Song, parts: _Parts, at: float, degree: int) -> None:
    assert song.bass is not None
    strokes = _strokes(song, song.bass)
    for index, (place, velocity) in enumerate(strokes):
        end = strokes[index + 1][0] if index + 1 < len(strokes) else song.groove.meter
        other = 0 if index == 0 else int(song.rng.choice([0, 0, 0, 2, 4, 7]))
        key = song.degree(degree + other) - 24
        parts.add(at + place, 0.9 * (end - place), BASS, key, velocity)


def _chords(song: _Song, parts: _Parts, at: float, degree: int) -> None:
    assert song.chords is not None
    strokes = _strokes(song, song.chords)
    arpeggiated = len(strokes) >= 2 * song.groove.meter and song.rng.random() < 0.5
    tones = [song.degree(degree + third) for third in (0, 2, 4, 7)]
    for index, (place, velocity) in enumerate(strokes):
        end = strokes[index + 1][0] if index + 1 < len(strokes) else song.groove.meter
        early = index > 0 and song.rng.random() < PUSHED / 4
        start = at + place - (1.0 / song.groove.steps if early else 0.0)
        for key in [tones[index % 4]] if arpeggiated else tones[:3]:
            parts.add(start, 0.95 * (end - place), CHORDS, key, 0.8 * velocity)


def _lead(song: _Song, parts: _Parts, at: float, degree: int, half: int) -> None:
    meter, step = song.groove.meter, degree + int(song.rng.integers(5, 10))
    for start, length in song.motif:
        if meter * half <= start < meter * (half + 1):
            step += int(song.rng.choice([-2, -1, -1, 0, 1, 1, 2]))
            key = song.degree(int(np.clip(step, 3, 16)))
            parts.add(at + start - meter * half, length, LEAD, key, song.rng.uniform(75, 115))


def _score(song: _Song, parts: _Parts, n_beats: int, beat_s: float) -> Score:
    """Return the notes as a score, with programs, levels and places in the stereo field."""
    rng = song.rng
    notes = np.array(sorted(parts.notes), dtype=NOTE)
    for name in ("start_s", "end_s"):
        notes[name] = np.clip(notes[name], 0.0, n_beats) * beat_s
    controls = [(0.0, DRUMS, PROGRAM, int(rng.choice(KITS)))]
    for channel, programs in PROGRAMS.items():
        controls.append((0.0, channel, PROGRAM, int(rng.choice(programs))))
    for channel in (*PROGRAMS, DRUMS):
        controls.append((0.0, channel, VOLUME, int(rng.integers(55, 127))))
        controls.append((0.0, channel, PAN, int(rng.integers(30, 98))))
    is_downbeat = np.arange(n_beats) % song.groove.meter == 0
    grid = BeatGrid(
        beats_s=np.arange(n_beats, dtype=np.float64) * beat_s,
        duration_s=n_beats * beat_s,
        is_downbeat=is_downbeat,
        is_phrase_start=np.arange(n_beats) % (4 * song.groove.meter) == 0,
        confidence=np.ones(n_beats, dtype=np.float32),
        meter=song.groove.meter,
        tempo_bpm=60.0 / beat_s,
    )
    return Score(notes, np.array(controls, dtype=CONTROL), grid)
