"""A band plays a song: notes, a clock and instruments become audio.

In: a song, its band and a clock. Out: mono float32 at 22,050 Hz. A stroke on a beat sounds at the
beat, to the sample, where the hands are exact; slow attacks begin early, as players begin them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Note, Song
from benchmarks.beat_training.songs.instruments import SR, Instrument, Sound, make_instrument
from benchmarks.beat_training.songs.kits import Kit
from benchmarks.beat_training.songs.mixing import Desk, amplified, draw_desk, duck, mix
from benchmarks.beat_training.songs.palettes import SYNTHETIC
from benchmarks.beat_training.songs.timing import Clock, Hands, draw_hands
from benchmarks.beat_training.songs.voices import Singer, Sung, draw_singer, sing
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

_CHOKE_S = (0.03, 0.25)
"""How long sounds go on when the band stops."""
_MUTED_S, _MUTED_LOUD = 0.15, 0.7
"""Notes of electric guitars that are neither longer nor louder are damped with the palm."""
_LEVELS_DB = {"drums": 0.0, "bass": -7.0, "comp": -11.0, "second": -15.0, "lead": -9.0}
_LEVEL_SD_DB = 4.0


@dataclass(frozen=True)
class Band:
    """Who plays a song, and how they are mixed.

    Attributes:
        kit: the drums.
        players: an instrument or a singer for each other part.
        gains: of each part, `drums` too.
        hands: how exact they are.
        drive: of the amplifier behind electric guitars.
        pump: how far the kick drum pushes the others away, in [0, 1].
        desk: what happens to the mix.
    """

    kit: Kit
    players: dict[str, Instrument | Singer]
    gains: dict[str, float]
    hands: Hands
    drive: float
    pump: float
    desk: Desk


def draw_band(song: Song, rng: np.random.Generator, sampled: bool = True) -> Band:
    """Return a band for a song; without `sampled` all its sounds are synthesised."""
    names = {
        "bass": song.palette.bass,
        "comp": song.palette.comp,
        "second": song.palette.second,
        "lead": song.palette.lead,
    }
    if not sampled or rng.random() < 0.12:
        names = SYNTHETIC
    players: dict[str, Instrument | Singer] = {}
    for part, choice in names.items():
        name = choice[int(rng.integers(len(choice)))]
        is_sung = name == "voice"
        players[part] = draw_singer(rng) if is_sung else make_instrument(name, rng)
    is_electronic = song.groove.palette in ("electronic", "hip hop")
    players["second lead"] = players["lead"]
    gains = {
        part: float(10.0 ** ((level + rng.normal(0.0, _LEVEL_SD_DB)) / 20.0))
        for part, level in _LEVELS_DB.items()
    }
    gains["second lead"] = gains["lead"] * float(rng.uniform(0.3, 1.0))
    return Band(
        kit=Kit(rng, 0.7 if sampled else 0.0),
        players=players,
        gains=gains,
        hands=draw_hands(song, rng),
        drive=float(np.exp(rng.uniform(np.log(2.0), np.log(60.0)))),
        pump=float(rng.uniform(0.2, 0.95)) if is_electronic and rng.random() < 0.5 else 0.0,
        desk=draw_desk(rng),
    )


@dataclass(frozen=True)
class Span:
    """What part of the clock is heard.

    Attributes:
        start_s: clock time of the first sample.
        n: samples.
        stop_s: clock time at which the band stops playing; later notes are left out.
        rings: whether what sounds at the stop rings on; else it is choked.
    """

    start_s: float
    n: int
    stop_s: float
    rings: bool


def play(
    notes: list[Note], clock: Clock, band: Band, span: Span, rng: np.random.Generator
) -> Audio:
    """Return [n] of the notes, mixed."""
    stems = _Stems(band, span, rng)
    starts_s = clock.seconds(np.array([note.at for note in notes]))
    ends_s = clock.seconds(np.array([note.at + note.length for note in notes]))
    starts_s += band.hands.jitter_s * rng.standard_normal(len(notes))
    louds = np.maximum(0.2, 1.0 + band.hands.touch * rng.standard_normal(len(notes)))
    for i, note in enumerate(notes):
        start_s = float(starts_s[i]) + band.hands.lags_s.get(note.part, 0.0)
        if start_s < span.stop_s:
            end_s = min(float(ends_s[i]), span.stop_s)
            stems.add(note, start_s, end_s, note.loud * float(louds[i]))
    return stems.mixed(rng)


class _Stems:
    """What a band plays, on its way to the mix."""

    def __init__(self, band: Band, span: Span, rng: np.random.Generator) -> None:
        self.band, self.span = band, span
        self.drums, self.others, self.driven = (np.zeros(span.n, dtype=np.float32) for _ in "doe")
        self.sung: dict[str, list[Sung]] = defaultdict(list)
        self.strings: dict[tuple[str, float], int] = defaultdict(int)
        self.kicks_s: list[float] = []
        self.choke_s = 30.0 if span.rings else float(rng.uniform(*_CHOKE_S))

    def add(self, note: Note, start_s: float, end_s: float, loud: float) -> None:
        """Add a note that sounds between two times of the clock."""
        at_s = start_s - self.span.start_s
        gain = self.band.gains[note.part]
        if note.part == "drums":
            sound, level = self.band.kit.stroke(str(note.key))
            room_s = self.span.stop_s + self.choke_s - start_s
            _place(self.drums, sound, at_s, room_s, self.choke_s, gain * level * loud**1.5)
            if note.key == "k":
                self.kicks_s.append(at_s)
            return
        player, key = self.band.players[note.part], int(note.key)
        if isinstance(player, Singer):
            last_s = max(end_s - self.span.start_s, at_s + 0.05)
            self.sung[note.part].append(Sung(at_s, last_s, float(key), loud))
            return
        string = self.strings[note.part, note.at]
        self.strings[note.part, note.at] = string + 1
        held_s = max(0.02, end_s - start_s)
        is_muted = player.driven and held_s < _MUTED_S and note.loud <= _MUTED_LOUD
        sound = player.muted(key) if is_muted else player.sound(key)
        release_s = min(player.release_s, self.choke_s)
        out = self.driven if player.driven else self.others
        at_s += self.band.hands.strum_s * string
        _place(out, sound, at_s, held_s + release_s, release_s, gain * loud)

    def mixed(self, rng: np.random.Generator) -> Audio:
        """Return the mix of all that was added."""
        band = self.band
        for part, notes in self.sung.items():
            voice = np.zeros(self.span.n, dtype=np.float32)
            singer = band.players[part]
            assert isinstance(singer, Singer)
            sing(voice, notes, singer, rng)
            peak = float(np.abs(voice).max(initial=0.0))
            self.others += voice * np.float32(1.3 * band.gains[part] / max(peak, 1e-9))
        if self.driven.any():
            guitars = amplified(self.driven, band.drive)
            self.others += guitars * np.float32(0.5 * band.gains["comp"])
        if band.pump:
            duck(self.others, self.kicks_s, band.pump)
        return mix(self.drums, self.others, band.desk, rng)


def _place(
    out: Audio, sound: Sound, at_s: float, length_s: float, release_s: float, gain: float
) -> None:
    """Add a sound so that its onset is at `at_s`, as long as it is held, faded out."""
    n = min(len(sound.samples), sound.onset + int(length_s * SR))
    start = round(at_s * SR) - sound.onset
    if n <= 0 or start >= len(out):
        return
    samples = sound.samples[:n]
    fade = min(n, max(32, int(release_s * SR)))
    if n < len(sound.samples):
        samples = samples.copy()
        samples[n - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    add(out, samples, start, gain)
