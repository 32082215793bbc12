"""Made recordings of bands: one stretch of playing or a session of many, with what lies between.

In: a seed. Out: `BeatExample`; the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.example import FIRST_HELD_OUT_SEED, BeatExample
from benchmarks.beat_training.songs.composition import Song, at_tempo, draw_song
from benchmarks.beat_training.songs.damage import damaged
from benchmarks.beat_training.songs.instruments import SR
from benchmarks.beat_training.songs.playing import Band, draw_band
from benchmarks.beat_training.songs.rests import rest
from benchmarks.beat_training.songs.scored import perform_score, usable
from benchmarks.beat_training.songs.stretches import Stretch, Wish, perform
from rl_editor.errors import UserError
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

WHOLE = 0.5
"""Share of the recordings that are one stretch; the others are sessions."""
FROM_SCORES = 0.25
"""Share of the stretches that are of MIDI scores, where there are any."""
SAME_SONG = 0.75
"""Share of the sessions in which one song is rehearsed."""
FALSE_START = 0.2
FALSE_START_S, STRETCH_S, REST_S = (0.8, 5.0), (5.0, 30.0), (0.4, 9.0)
SHORTEST_S = 1.5
"""Less than this at the end of a recording is filled with a rest."""
_OPENINGS = ("bar", "count", "pickup", "inside")
_OPENING_ODDS = (0.4, 0.3, 0.2, 0.1)
_ENDINGS = ("stop", "chord", "fade", "cut")
_ENDING_ODDS = (0.55, 0.33, 0.04, 0.08)


def make_example(
    seed: int,
    duration_s: float = 60.0,
    scores: str | Path | Sequence[str | Path] | None = None,
    sampled: bool = True,
) -> BeatExample:
    """Return a made recording.

    Args:
        seed: of everything in it; from `FIRST_HELD_OUT_SEED` on only held-out scores are played.
        duration_s: at least 5.
        scores: a folder with MIDI files to play besides, or the files.
        sampled: whether the instruments of a soundfont play, else synthesised ones alone.

    Raises:
        UserError: there is no soundfont, nothing to play it, or no MIDI file that may be used.
    """
    if duration_s < 5.0:
        raise ValueError(f"an example needs at least 5 s, got {duration_s} s")
    rng = np.random.default_rng(seed)
    files = score_files(_hashable(scores), seed >= FIRST_HELD_OUT_SEED) if scores else ()
    session = _Session(rng, files if sampled else (), sampled, duration_s)
    if rng.random() < WHOLE:
        session.play_through()
    else:
        session.rehearse()
    return session.example()


def _hashable(scores: str | Path | Sequence[str | Path] | None) -> tuple[Path, ...]:
    if isinstance(scores, str | Path):
        return (Path(scores),)
    return tuple(Path(path) for path in scores or ())


@lru_cache(maxsize=4)
def score_files(paths: tuple[Path, ...], held_out: bool) -> tuple[Path, ...]:
    """Return the MIDI files that may be played, of files and folders.

    Raises:
        UserError: there is none.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.mid")) if path.is_dir() else [path]
    # `notes.mid` holds what a player of a game has to press, not music.
    chosen = usable((path for path in found if path.name != "notes.mid"), held_out)
    if not chosen:
        which = "held-out " if held_out else ""
        raise UserError(
            f"{which}MIDI files should be in {', '.join(map(str, paths))}, but there is none; "
            "name another folder or leave scores out."
        )
    return chosen


@dataclass
class _Placed:
    """A stretch in the recording."""

    at_s: float
    stretch: Stretch


class _Session:
    """A recording in the making."""

    def __init__(
        self, rng: np.random.Generator, files: tuple[Path, ...], sampled: bool, duration_s: float
    ) -> None:
        self.rng, self.files, self.sampled, self.duration_s = rng, files, sampled, duration_s
        self.signal: Audio = np.zeros(round(duration_s * SR), dtype=np.float32)
        self.placed: list[_Placed] = []
        self.song, self.band = self._new_song()
        self.at_s = 0.0

    def play_through(self) -> None:
        """One stretch, to the end of the recording or nearly."""
        rng = self.rng
        opening = str(rng.choice(_OPENINGS, p=(0.3, 0.15, 0.1, 0.45)))
        if opening != "inside":
            self._rest(float(rng.choice([0.0, rng.uniform(0.0, 3.0)])))
        left_s = self.duration_s - self.at_s
        ends = rng.random() < 0.25
        ending = str(rng.choice(["chord", "fade", "stop"])) if ends else "cut"
        length_s = left_s * float(rng.uniform(0.6, 0.95)) if ends else left_s
        self._play(length_s, opening, ending)
        self._rest(self.duration_s - self.at_s)

    def rehearse(self) -> None:
        """Stretches and false starts with rests between."""
        rng = self.rng
        same = rng.random() < SAME_SONG
        self._rest(float(rng.choice([0.0, rng.uniform(*REST_S)])))
        while self.duration_s - self.at_s > SHORTEST_S:
            is_false = rng.random() < FALSE_START
            length_s = float(rng.uniform(*(FALSE_START_S if is_false else STRETCH_S)))
            opening = str(rng.choice(_OPENINGS, p=_OPENING_ODDS))
            ending = "stop" if is_false else str(rng.choice(_ENDINGS, p=_ENDING_ODDS))
            self._play(min(length_s, self.duration_s - self.at_s), opening, ending)
            self._rest(float(rng.uniform(*REST_S)) * (0.4 if is_false else 1.0))
            if not same:
                self.song, self.band = self._new_song()
            elif rng.random() < 0.7:
                # Nobody takes exactly the same tempo again; sometimes quite another one.
                spread = 0.2 if rng.random() < 0.2 else 0.03
                low, high = self.song.groove.bpm
                factor = float(np.exp(rng.normal(0.0, spread)))
                self.song = at_tempo(
                    self.song, float(np.clip(factor, low / self.song.bpm, high / self.song.bpm))
                )

    def example(self) -> BeatExample:
        """Return what was made, damaged."""
        end_s = self.duration_s
        beats = [placed.at_s + placed.stretch.beats_s for placed in self.placed]
        places = [placed.stretch.place_in_bar for placed in self.placed]
        beats_s = np.concatenate([np.zeros(0), *beats])
        place_in_bar = np.concatenate([np.zeros(0, dtype=np.int64), *places])
        inside = beats_s < end_s - 0.02
        spans = [(p.at_s + p.stretch.start_s, p.at_s + p.stretch.end_s) for p in self.placed]
        stretches_s = np.minimum(np.array(spans, dtype=float).reshape(-1, 2), end_s)
        return BeatExample(
            damaged(self.signal, self.rng), beats_s[inside], place_in_bar[inside], stretches_s
        )

    def _new_song(self) -> tuple[Song, Band]:
        song = draw_song(self.rng)
        return song, draw_band(song, self.rng, self.sampled)

    def _play(self, length_s: float, opening: str, ending: str) -> None:
        stretch = None
        if self.files and self.rng.random() < FROM_SCORES:
            stretch = perform_score(self.files, self.band, length_s, self.rng)
        if stretch is None:
            first_bar = int(self.rng.integers(0, 40)) if self.rng.random() < 0.6 else 0
            wish = Wish(first_bar, length_s, opening, ending)
            stretch = perform(self.song, self.band, wish, self.rng)
        gain = float(10.0 ** (self.rng.normal(0.0, 2.0) / 20.0))
        add(self.signal, stretch.signal, round(self.at_s * SR), gain)
        if len(stretch.beats_s):
            self.placed.append(_Placed(round(self.at_s * SR) / SR, stretch))
        self.at_s += len(stretch.signal) / SR

    def _rest(self, length_s: float) -> None:
        length_s = min(length_s, self.duration_s - self.at_s)
        n = round(length_s * SR)
        if n <= 0:
            return
        # What is heard next begins before the last sound is gone.
        early_s = float(self.rng.uniform(0.0, 0.4)) if self.placed else 0.0
        sound = rest(n, self.song, self.band, self.sampled, self.rng)
        gain = float(10.0 ** (self.rng.uniform(-36.0, -4.0) / 20.0))
        add(self.signal, sound, round((self.at_s - early_s) * SR), gain)
        self.at_s += length_s
