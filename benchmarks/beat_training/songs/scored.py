"""MIDI scores played by the same bands: other instruments, tempo and key each time.

In: a MIDI file. Out: `Stretch`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Note
from benchmarks.beat_training.songs.instruments import SR, Instrument, make_instrument
from benchmarks.beat_training.songs.kits import KEYS
from benchmarks.beat_training.songs.playing import Band, Span, play
from benchmarks.beat_training.songs.stretches import Stretch
from benchmarks.beat_training.songs.timing import BEFORE, Clock
from benchmarks.beat_training.songs.voices import Singer
from rl_editor.errors import UserError
from rl_editor.score_arrangements import arranged
from rl_editor.scores import DRUMS, PROGRAM, VOLUME, Score, read_score

HELD_OUT = Path(__file__).resolve().parents[2] / "held_out.tsv"
_MIN_ON_BEAT, _MIN_ON_GRID = 0.2, 0.85
"""Shares of a score's notes that begin on beats and on their halves, thirds and quarters."""
_SHORTEST_BEATS = 16
_OTHER_DRUMS = {
    35: "k", 40: "s", 41: "L", 45: "T", 48: "T", 57: "c", 59: "r", 52: "c", 55: "c", 60: "b",
    61: "n", 63: "b", 65: "t", 66: "L", 69: "g", 82: "g", 77: "W", 78: "W", 67: "w", 68: "w",
}  # fmt: skip


def held_out_paths() -> frozenset[str]:
    """Return the paths below the music folder of what is never learned from."""
    lines = HELD_OUT.read_text(encoding="utf-8").splitlines()[1:]
    return frozenset(line.split("\t")[1] for line in lines)


def usable(paths: Iterable[Path], held_out: bool = False) -> tuple[Path, ...]:
    """Return the paths that are not held out, or only those that are."""
    listed = held_out_paths()

    def is_listed(path: Path) -> bool:
        full = path.resolve().as_posix()
        return any(full.endswith("/" + name) for name in listed)

    return tuple(path for path in paths if is_listed(path) == held_out)


@lru_cache(maxsize=256)
def clear_score(path: Path) -> Score | None:
    """Return the score of a file whose notes follow its beats, None for others."""
    try:
        score = read_score(path)
    except UserError:
        # Damaged or empty; there are others.
        return None
    if score.grid.n_beats < _SHORTEST_BEATS or len(score.notes) < score.grid.n_beats:
        return None
    edges_s = score.grid.edges_s
    part = np.interp(score.notes["start_s"], edges_s, np.arange(len(edges_s))) % 1.0
    twelfth = np.round(part * 12.0)
    on_beat = float(np.mean(twelfth % 12 == 0))
    on_grid = float(np.mean((np.abs(part * 12.0 - twelfth) < 0.2) & np.isin(twelfth, _GRID)))
    return score if on_beat >= _MIN_ON_BEAT and on_grid >= _MIN_ON_GRID else None


_GRID = (0, 2, 3, 4, 6, 8, 9, 10, 12)


def perform_score(
    paths: Sequence[Path], band: Band, length_s: float, rng: np.random.Generator
) -> Stretch | None:
    """Return a stretch of one of the scores in the mix of `band`; None if it has no clear beat."""
    score = clear_score(paths[int(rng.integers(len(paths)))])
    if score is None:
        return None
    score = arranged(score, rng)
    edges_s = score.grid.edges_s
    n_beats = score.grid.n_beats
    wanted = int(length_s / float(np.median(score.grid.durations_s)) * 1.3) + 4
    first = int(rng.integers(0, max(1, n_beats - wanted)))
    last = min(n_beats, first + wanted)
    clock = _clock(np.diff(edges_s[first : last + 1]), rng)
    notes = _notes(score, first, last)
    times_s = clock.beats_s(0, last - first)
    end_s = min(length_s, float(clock.beats_s(last - first, last - first + 1)[0]))
    lead_in_s = 0.1
    span = Span(-lead_in_s, int((end_s + 0.5 + lead_in_s) * SR), end_s, False)
    signal = play(notes, clock, _players(score, band, rng), span, rng)
    heard = times_s < end_s - 0.02
    place = _places(score)[first:last]
    return Stretch(signal, times_s[heard] + lead_in_s, place[heard], lead_in_s, end_s + lead_in_s)


def _clock(lengths_s: NDArray[np.float64], rng: np.random.Generator) -> Clock:
    slower = np.zeros(len(lengths_s))
    if rng.random() < 0.5:
        slower += np.cumsum(rng.normal(0.0, rng.uniform(0.0, 0.004), len(slower)))
        slower += rng.normal(0.0, rng.uniform(0.0, 0.01), len(slower))
    lengths_s = lengths_s * np.exp(slower)
    before = -np.arange(BEFORE, 0, -1) * lengths_s[0]
    edges_s = np.concatenate([before, [0.0], np.cumsum(lengths_s)])
    return Clock(edges_s, 0.5, 1.0)


def _notes(score: Score, first: int, last: int) -> list[Note]:
    edges_s = score.grid.edges_s
    index = np.arange(len(edges_s))
    starts = np.interp(score.notes["start_s"], edges_s, index) - first
    ends = np.interp(score.notes["end_s"], edges_s, index) - first
    out = []
    voices = {key: voice for voice, key in KEYS.items()} | _OTHER_DRUMS
    for at, end, note in zip(starts, ends, score.notes, strict=True):
        if not -0.05 <= at < last - first:
            continue
        loud = float(note["velocity"]) / 127.0
        if note["channel"] == DRUMS:
            voice = voices.get(int(note["key"]), "m")
            out.append(Note(float(at), 0.3, "drums", voice, loud))
        else:
            length = max(0.05, float(end - at))
            out.append(Note(float(at), length, str(note["channel"]), int(note["key"]), loud))
    return out


def _players(score: Score, band: Band, rng: np.random.Generator) -> Band:
    """Return the band with an instrument for each channel of the score, at its volume."""
    players: dict[str, Instrument | Singer] = {}
    gains = {"drums": band.gains["drums"], "comp": band.gains["comp"]}
    for channel in np.unique(score.notes["channel"]):
        controls = score.controls[score.controls["channel"] == channel]
        programs = controls["value"][controls["kind"] == PROGRAM]
        volumes = controls["value"][controls["kind"] == VOLUME]
        volume = float(volumes[0]) / 127.0 if len(volumes) else 0.8
        name = f"gm:{int(programs[0]) if len(programs) else 0}"
        players[str(channel)] = make_instrument(name, rng)
        gains[str(channel)] = 0.35 * max(volume, 0.2) ** 2 * float(rng.lognormal(0.0, 0.3))
    return dataclasses.replace(band, players=players, gains=gains | {"drums": band.gains["drums"]})


def _places(score: Score) -> NDArray[np.int64]:
    """Return [N] places in the bar; beats before the first bar line count up to it."""
    index = np.arange(score.grid.n_beats)
    downbeats = np.flatnonzero(score.grid.is_downbeat)
    if not len(downbeats):
        return index + 1
    last = np.maximum.accumulate(np.where(score.grid.is_downbeat, index, -1))
    before = np.maximum(1, score.grid.meter - (downbeats[0] - index))
    return np.where(last >= 0, index - last, before)
