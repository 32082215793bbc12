"""Songs: sections with chords, rhythms, melodies and drums, in the manner of a groove.

A song is drawn once and can be played from any bar on, as musicians do in a rehearsal. In: a
generator. Out: `Song`, whose `notes` are in beats.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.beat_training.songs.drumming import draw_drums, kick_times, struck
from benchmarks.beat_training.songs.grooves import GROOVES, Groove, Pattern
from benchmarks.beat_training.songs.melodies import Tone, draw_melody
from benchmarks.beat_training.songs.palettes import OTHER_PALETTE, PALETTES, REGISTERS, Palette
from benchmarks.beat_training.songs.strokes import Meter, Stroke, Strokes, draw_strokes

_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 1, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 11),
)
_PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (0, 3, 0, 4), (1, 4, 0, 0),
    (0, 6, 5, 6), (0, 0, 3, 4), (0, 2, 3, 4), (0, 5, 1, 4), (0, 6), (0, 3), (0,), (0, 0, 5, 6),
    (0, 4, 5, 2, 3, 0, 3, 4), (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4), (0, 1), (3, 4, 2, 5),
)  # fmt: skip
_SECTION_BARS = (4, 8, 8, 8, 12, 16)
_LEAST_ON_BEATS = 0.3
"""Share of the strokes that must be on beats where no drums play, else nobody could tell them."""
_LEAST_IN_BAR = 2
"""Beats of a bar that must be played where no drums are."""
_SPARSE = 0.2
"""Share of the other sections that stay as they are all the same."""
_PLAYING = {"drums": 0.93, "bass": 0.9, "comp": 0.93, "second": 0.75, "lead": 0.75}
"""Shares of the sections in which those who are in the band play."""


class Note(NamedTuple):
    """Something to play: beats, the part, a MIDI key or the voice of a drum kit, loudness."""

    at: float
    length: float
    part: str
    key: int | str
    loud: float


@dataclass(frozen=True)
class Section:
    """Bars that return.

    Attributes:
        n_bars: how many.
        chords: for each bar, beats and degrees of the scale.
        strokes: of `bass`, `comp` and `second`, one or two bars each.
        melody: of the lead.
        drums: the pattern; empty without.
        playing: the parts that play.
        breaks: bars in which drums and bass are silent.
        all_stop: whether in breaks the others are, too, after the first beat.
        ahead: beats by which chords come before the bar line; 0 for on it.
        fill: share of its last bars in which the drummer plays a fill.
    """

    n_bars: int
    chords: tuple[tuple[tuple[float, int], ...], ...]
    strokes: dict[str, tuple[Strokes, ...]]
    melody: tuple[Tone, ...]
    drums: Pattern
    playing: frozenset[str]
    breaks: frozenset[int]
    all_stop: bool
    ahead: float
    fill: float


@dataclass(frozen=True)
class Song:
    """A piece of music.

    Attributes:
        groove: its kind.
        bpm: its tempo, beats a minute.
        key: pitch class of the scale's first degree.
        scale: seven pitches over it.
        sevenths: tones of a chord, 3 to 5.
        palette: instruments that may play it.
        doubled: semitones at which the lead is doubled, 0 for not.
        swing: share of a swung pair that its first half takes.
        sections, form: the sections, and the order in which they are played, again and again.
    """

    groove: Groove
    bpm: float
    key: int
    scale: tuple[int, ...]
    sevenths: int
    palette: Palette
    doubled: int
    swing: float
    sections: tuple[Section, ...]
    form: tuple[int, ...]

    def bars(self, first: int, count: int) -> list[tuple[Section, int]]:
        """Return the section of each of `count` bars, and which of its bars it is."""
        cycle = [
            (self.sections[s], bar) for s in self.form for bar in range(self.sections[s].n_bars)
        ]
        return [cycle[(first + i) % len(cycle)] for i in range(count)]

    def notes(self, first: int, count: int, rng: np.random.Generator) -> list[Note]:
        """Return the notes of `count` bars from `first` on; beat 0 is the first bar line."""
        out: list[Note] = []
        for i, (section, bar) in enumerate(self.bars(first, count)):
            start = float(i * self.groove.meter)
            silent = bar in section.breaks
            if "drums" in section.playing and not silent:
                last = bar == section.n_bars - 1
                hits = struck(
                    section.drums, bar, self.groove, last and rng.random() < section.fill, rng
                )
                if bar == 0 and rng.random() < 0.6:
                    hits.append((0.0, "c", 0.9))
                out += [Note(start + at, 0.3, "drums", voice, loud) for at, voice, loud in hits]
            for part in ("bass", "comp", "second"):
                if part in section.playing and not (
                    silent and (part == "bass" or section.all_stop)
                ):
                    out += self._accompaniment(section, bar, part, start)
                elif part in section.playing and silent and section.all_stop and part == "comp":
                    out += self._accompaniment(section, bar, part, start)[:1]
            if "lead" in section.playing and (bar == 0 or i == 0):
                tones = self._melody(section, start - bar * self.groove.meter)
                # What a song is entered in the middle of has begun without a pickup.
                out += [tone for tone in tones if bar == 0 or tone.at >= 0.0]
        return [note for note in out if note.at < count * self.groove.meter - 1e-6]

    def closing(self, at: float, rng: np.random.Generator) -> list[Note]:
        """Return the chord that ends the song at beat `at`."""
        section = self.sections[0]
        length = float(rng.uniform(1.0, 2.0 * self.groove.meter))
        out = [Note(at, length, "comp", key, 0.9) for key in self.chord_keys(0, "comp")]
        if "bass" in section.playing:
            out.append(Note(at, length, "bass", self.chord_keys(0, "bass")[0], 0.9))
        if section.drums and "drums" in section.playing:
            out += [Note(at, 0.3, "drums", voice, 1.0) for voice in "kc"]
        return out

    def chord_keys(self, degree: int, part: str) -> list[int]:
        """Return the MIDI keys of the chord on a degree in a part's register, ascending."""
        low, high = REGISTERS[part]
        if part == "bass":
            return [self._key(degree, low)]
        return sorted(
            self._key(degree + 2 * i, low + (high - low) // 6) for i in range(self.sevenths)
        )

    def _key(self, degree: int, low: int) -> int:
        """Return the lowest key at or above `low` with the pitch class of a degree."""
        pitch = self.key + self.scale[degree % 7]
        return low + (pitch - low) % 12

    def _accompaniment(self, section: Section, bar: int, part: str, start: float) -> list[Note]:
        strokes = section.strokes[part][bar % len(section.strokes[part])]
        chords = section.chords[bar]
        out: list[Note] = []
        for stroke in strokes:
            degree = [d for at, d in chords if at <= stroke.at + 1e-6][-1]
            at = start + stroke.at
            if stroke.at == 0.0 and section.ahead and start > 0.0:
                at -= section.ahead
            for key in self._stroke_keys(stroke, degree, part, bar):
                out.append(Note(at, stroke.length, part, key, stroke.loud))
        return out

    def _stroke_keys(self, stroke: Stroke, degree: int, part: str, bar: int) -> list[int]:
        low = REGISTERS[part][0]
        if stroke.what == "walk":
            place = int(stroke.at) + 3 * bar
            moved = (0, 2, 4, 3, 1, 5)[place % 6] if stroke.at >= 1.0 else 0
            return [self._key(degree + moved, low)]
        if stroke.what == "power" and part != "bass":
            root = self._key(degree, low - 12)
            return [root, root + 7, root + 12]
        if stroke.what in ("chord", "power"):
            return self.chord_keys(degree, part)
        index = int(stroke.what)
        if part == "bass" or index == 0:
            moved = {0: 0, 1: 2, 2: 4, 4: 6}.get(index, 0)
            root = self._key(degree, low - (12 if part != "bass" else 0))
            return [root + 12 if index == 3 else self._key(degree + moved, root)]
        keys = self.chord_keys(degree, part)
        return [keys[(index - 1) % len(keys)] + 12 * ((index - 1) // len(keys))]

    def _melody(self, section: Section, start: float) -> list[Note]:
        low = REGISTERS["lead"][0]
        out = []
        for tone in section.melody:
            octave, step = divmod(tone.degree, 7)
            key = low + self.key % 12 + self.scale[step] + 12 * octave - (12 if self.key > 6 else 0)
            out.append(Note(start + tone.at, tone.length, "lead", key, tone.loud))
            if self.doubled:
                out.append(
                    Note(start + tone.at, tone.length, "second lead", key + self.doubled, tone.loud)
                )
        return out


def draw_song(rng: np.random.Generator, groove: Groove | None = None) -> Song:
    """Return a song of a groove, or of any."""
    if groove is None:
        weights = np.array([g.weight for g in GROOVES])
        groove = GROOVES[int(rng.choice(len(GROOVES), p=weights / weights.sum()))]
    bpm = float(np.exp(rng.uniform(*np.log(groove.bpm))))
    name = groove.palette
    if name == "any" or rng.random() < OTHER_PALETTE:
        name = str(rng.choice(sorted(PALETTES)))
    palette = PALETTES[name]
    shares = dict(zip(("bass", "second", "lead"), palette.shares, strict=True))
    band = {"comp"} | {part for part, share in shares.items() if rng.random() < share}
    if groove.drums and rng.random() < 0.9:
        band.add("drums")
    swing = float(rng.uniform(*groove.swing))
    sections = tuple(_draw_section(groove, bpm, band, rng) for _ in range(int(rng.integers(2, 5))))
    form = tuple(int(i) for i in rng.integers(0, len(sections), 12))
    return Song(
        groove=groove,
        bpm=bpm,
        key=int(rng.integers(12)),
        scale=_SCALES[int(rng.integers(len(_SCALES)))],
        sevenths=int(rng.choice([3, 3, 3, 4, 5] if name != "jazz" else [4, 4, 5])),
        palette=palette,
        doubled=int(rng.choice([0, 0, 0, 12, -12])),
        swing=swing,
        sections=sections,
        form=form,
    )


def _draw_section(groove: Groove, bpm: float, band: set[str], rng: np.random.Generator) -> Section:
    n_bars = int(rng.choice(_SECTION_BARS))
    chords = _draw_chords(groove, n_bars, rng)
    drums = draw_drums(groove, rng) if "drums" in band else {}
    meter = Meter(groove.meter, groove.steps, 60.0 / bpm, kick_times(drums, groove))
    strokes = {
        "bass": draw_strokes(str(rng.choice(groove.bass)), meter, rng),
        "comp": draw_strokes(str(rng.choice(groove.comp)), meter, rng),
        "second": draw_strokes(str(rng.choice(["hold", "hold", *groove.comp])), meter, rng),
    }

    def chord_at(beat: float) -> int:
        bar, rest = divmod(beat, groove.meter)
        return [d for at, d in chords[int(bar) % n_bars] if at <= rest + 1e-6][-1]

    playing = {part for part in sorted(band) if rng.random() < _PLAYING[part]}
    if not playing & {"comp", "drums", "bass"} or not any(strokes["comp"]):
        playing.add("comp")
    if not _has_beats(strokes, drums, playing) and rng.random() >= _SPARSE:
        strokes["comp"] = draw_strokes("oompah" if groove.meter < 5 else "beats", meter, rng)
        playing.add("comp")
    breaks: set[int] = set()
    if rng.random() < 0.25:
        breaks = {n_bars - 1} if rng.random() < 0.6 else {n_bars - 2, n_bars - 1}
    return Section(
        n_bars=n_bars,
        chords=chords,
        strokes=strokes,
        melody=draw_melody(meter, n_bars, chord_at, rng),
        drums=drums,
        playing=frozenset(playing),
        breaks=frozenset(breaks),
        all_stop=bool(rng.random() < 0.4),
        ahead=meter.half if rng.random() < 0.15 else 0.0,
        fill=float(rng.choice([0.0, 0.5, 0.9])),
    )


def _has_beats(strokes: dict[str, tuple[Strokes, ...]], drums: Pattern, playing: set[str]) -> bool:
    """Return whether anything but the listener's foot marks the beats."""
    if "drums" in playing and set(drums) & set("kshrotlmcp"):
        return True
    parts = [strokes[part] for part in ("bass", "comp") if part in playing]
    for i in range(2):
        times = [stroke.at for bars in parts for stroke in bars[i % len(bars)]]
        on_beats = [at for at in times if at % 1.0 < 0.01]
        if len(set(on_beats)) < _LEAST_IN_BAR or len(on_beats) < _LEAST_ON_BEATS * len(times):
            return False
    return True


def _draw_chords(
    groove: Groove, n_bars: int, rng: np.random.Generator
) -> tuple[tuple[tuple[float, int], ...], ...]:
    """Return the chords of each bar: one for one or two bars, or two in a bar."""
    degrees = _PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))]
    pace = float(rng.choice([0.5, 1.0, 1.0, 1.0, 2.0]))
    halves = {4: (0.0, 2.0), 6: (0.0, 3.0), 2: (0.0, 1.0)}.get(groove.meter, (0.0,))
    bars = []
    for bar in range(n_bars):
        if pace == 2.0 and len(halves) == 2:
            bars.append(
                tuple((at, degrees[(2 * bar + i) % len(degrees)]) for i, at in enumerate(halves))
            )
        else:
            bars.append(((0.0, degrees[int(bar * min(pace, 1.0)) % len(degrees)]),))
    return tuple(bars)


def at_tempo(song: Song, factor: float) -> Song:
    """Return the song `factor` times as fast."""
    return dataclasses.replace(song, bpm=song.bpm * factor)
