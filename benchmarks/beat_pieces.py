"""Music whose beats or tempo are known, for the benchmark of beat trackers.

Songs with the tempo map of a game beside their stems, tracks whose package lists their tempo, MIDI
scores that were not in training, played as written, and made sessions of stretches with rests
between, by a maker that the beat network is not trained on.

In: folders. Out: `Piece`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.example import FIRST_HELD_OUT_SEED
from benchmarks.beat_training.material import make_example, midi_files
from rl_editor.audio import read_mono
from rl_editor.config import AnalysisConfig
from rl_editor.score_rendering import soundfont_renderer
from rl_editor.score_takes import N_CHANNELS, Take
from rl_editor.scores import excerpt, read_score

Signal: TypeAlias = "NDArray[np.float32]"
Times: TypeAlias = "NDArray[np.float64]"

SR = AnalysisConfig().sr
SUFFIXES = frozenset({".ogg", ".opus", ".wav", ".flac", ".mp3"})
BEATS_PER_BAR = 4
"""Frets on Fire files have no other meter."""
SCORE_S, SESSION_S = 120.0, 120.0
"""How much of each score is played, and the length of the sessions."""
RING_S = 2.0
_NOTHING: Times = np.zeros(0)


class Piece(NamedTuple):
    """Music and its truth.

    Attributes:
        name: what it is called.
        signal: reads or makes it, mono at `SR`.
        bpm: its tempo; NaN where there are several.
        beats_s, downbeats_s: empty where they are not known.
        stretches_s: [P, 2] where it is played; None where that is everywhere.
    """

    name: str
    signal: Callable[[], Signal]
    bpm: float
    beats_s: Times = _NOTHING
    downbeats_s: Times = _NOTHING
    stretches_s: Times | None = None


def files_of_known_tempo(folder: Path, seconds: float) -> Iterator[Piece]:
    """Yield the first seconds of the music below `folder` whose beats or tempo are known.

    Audio files beside one `notes.mid` are the stems of a song, which is heard as their sum.
    """
    tempi = listed_tempi(folder)
    stems: dict[Path, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        midi = path.with_name("notes.mid")
        if midi.exists():
            stems.setdefault(midi, []).append(path)
        elif path.name in tempi:
            signal = partial(_first_seconds, [path], seconds)
            yield Piece(f"{path.parent.name}/{path.stem}", signal, tempi[path.name])
    for midi, paths in stems.items():
        beats_s = midi_beats(midi, last_s=seconds)
        bpm = float(60.0 / np.median(np.diff(beats_s)))
        signal = partial(_first_seconds, paths, seconds)
        yield Piece(midi.parent.name, signal, bpm, beats_s, beats_s[::BEATS_PER_BAR])


def _first_seconds(paths: list[Path], seconds: float) -> Signal:
    """Return the beginnings of files, played together."""
    parts = [read_mono(path, SR)[: int(seconds * SR)] for path in paths]
    mixed = np.zeros(max(map(len, parts)), dtype=np.float32)
    for part in parts:
        mixed[: len(part)] += part
    return mixed


def held_out_scores(folder: Path) -> Iterator[Piece]:
    """Yield the beginnings of the MIDI files below `folder` that no training has played."""
    for path in midi_files(folder, is_held_out=True):
        score = read_score(path)
        last = int(np.searchsorted(score.grid.beats_s, SCORE_S))
        score = excerpt(score, 0, min(last, score.grid.n_beats))
        zeros = np.zeros(N_CHANNELS)
        take = Take(score.notes, score.controls, zeros, zeros, ())
        beats_s = score.grid.beats_s
        signal = partial(_played, take, score.grid.duration_s)
        downbeats_s = beats_s[score.grid.is_downbeat]
        yield Piece(path.stem, signal, score.grid.tempo_bpm, beats_s, downbeats_s)


def _played(take: Take, duration_s: float) -> Signal:
    sound = soundfont_renderer()(take, SR, round((duration_s + RING_S) * SR))
    return sound.mean(axis=1, dtype=np.float32)


def made_sessions(n_sessions: int, scores: Path) -> Iterator[Piece]:
    """Yield made recordings of one stretch of playing or several, held-out scores among them."""
    for number in range(n_sessions):
        example = make_example(FIRST_HELD_OUT_SEED + number, SESSION_S, scores=scores)
        yield Piece(
            f"session {number}",
            partial(np.copy, example.signal),
            float("nan"),
            example.beats_s,
            example.beats_s[example.place_in_bar == 0],
            example.stretches_s,
        )


def listed_tempi(folder: Path) -> dict[str, float]:
    """Return the tempi that a `LICENSE-MUSIC` file in or near the folder lists by file name."""
    near = [*folder.rglob("LICENSE-MUSIC")]
    for level in (folder, *folder.resolve().parents[:2]):
        near += [*level.glob("LICENSE-MUSIC"), *level.glob("*.dist-info/licenses/LICENSE-MUSIC")]
    text = "\n".join(path.read_text() for path in near)
    return {name: float(bpm) for name, bpm in re.findall(r"(\S+\.\w+)\s+([\d.]+) bpm", text)}


def midi_beats(path: Path, last_s: float) -> NDArray[np.float64]:
    """Return the times of the quarter notes of a standard MIDI file's tempo map."""
    data = path.read_bytes()
    ticks_per_beat = struct.unpack(">H", data[12:14])[0]
    changes = [(0, 500_000), *sorted(tempo_events(data), key=lambda event: event[0])]
    beats, tick, now_s = [], 0, 0.0
    while now_s < last_s:
        beats.append(now_s)
        microseconds = [value for at, value in changes if at <= tick][-1]
        now_s += microseconds / 1e6
        tick += ticks_per_beat
    return np.array(beats)


def tempo_events(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (tick, microseconds a beat) for each tempo event of a standard MIDI file."""
    position = 14
    while data[position : position + 4] == b"MTrk":
        end = position + 8 + struct.unpack(">I", data[position + 4 : position + 8])[0]
        position, tick, status = position + 8, 0, 0
        while position < end:
            delta, position = variable_length(data, position)
            tick += delta
            if data[position] >= 0x80:
                status, position = data[position], position + 1
            if status == 0xFF:
                kind = data[position]
                length, position = variable_length(data, position + 1)
                if kind == 0x51:
                    yield tick, int.from_bytes(data[position : position + length], "big")
                position += length
            elif status in (0xF0, 0xF7):
                length, position = variable_length(data, position)
                position += length
            else:
                position += 1 if status >> 4 in (0xC, 0xD) else 2
        position = end


def variable_length(data: bytes, position: int) -> tuple[int, int]:
    """Return a MIDI variable-length number and the position after it."""
    value = 0
    while True:
        byte = data[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position
