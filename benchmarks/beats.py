"""Accuracy and cost of the beat tracker on music of known tempo, beside librosa's.

    python benchmarks/beats.py FOLDER [FOLDER ...] [--seconds 300] [--no-librosa]
        [--weights FILE ...]

A folder (searched with everything below it) may hold
- audio with `notes.mid` beside it (Frets on Fire): the MIDI file's tempo map is the truth;
- audio whose tempo is in a text file `LICENSE-MUSIC` in the folder, above it or in the
  package's `.dist-info` beside it, as lines `name.opus  123 bpm` (immich-memories-music).

With `--weights` (of `benchmarks.beat_training`) other networks are measured beside the shipped one.

Measures: tempo within 4%, and within 4% of it or of its double, half, triple or third; mir_eval's
F-measure of beats (70 ms, first 5 s skipped), AMLt, and F-measure of downbeats; CPU seconds a
minute of audio, decoding the file left out.
"""

from __future__ import annotations

import argparse
import re
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import mir_eval
import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import read_mono
from rl_editor.beat_network import activations, read_weights
from rl_editor.beats import beat_input, frame_level_db, grid_from_activations
from rl_editor.config import AnalysisConfig
from rl_editor.spectrogram import magnitude_blocks

Tracked: TypeAlias = "tuple[float, NDArray[np.float64], NDArray[np.float64]]"
"""Tempo, beats and downbeats."""
Tracker: TypeAlias = "Callable[[NDArray[np.float32]], Tracked]"
Weights: TypeAlias = "dict[str, NDArray[np.float32]]"

CONFIG = AnalysisConfig()
SUFFIXES = frozenset({".ogg", ".opus", ".wav", ".flac", ".mp3"})
TEMPO_TOLERANCE = 0.04
OCTAVES = (1.0, 2.0, 0.5, 3.0, 1.0 / 3.0)
BEATS_PER_BAR = 4
"""Frets on Fire files have no other meter."""


class Piece(NamedTuple):
    """An audio file and its truth; `beats_s` is empty where only the tempo is known."""

    path: Path
    bpm: float
    beats_s: NDArray[np.float64]


class Scores(NamedTuple):
    """Scores of one tracker on one piece; NaN where the truth has no beats."""

    tempo: bool
    octave: bool
    f_measure: float
    amlt: float
    downbeat_f: float
    cpu_s: float
    minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each file")
    parser.add_argument("--no-librosa", action="store_true")
    parser.add_argument("--weights", nargs="*", type=Path, default=[], metavar="FILE")
    args = parser.parse_args()
    trackers: dict[str, Tracker] = {"rl_editor": track_ours}
    for path in args.weights:
        trackers[f"{path.parent.name}/{path.stem}"] = partial(
            track_ours, weights=read_weights(path)
        )
    if not args.no_librosa:
        trackers["librosa"] = track_librosa
        track_librosa(np.random.default_rng(0).normal(size=10 * CONFIG.sr).astype(np.float32))
    for folder in args.folders:
        pieces = list(find_pieces(folder))
        results: dict[str, list[Scores]] = {name: [] for name in trackers}
        for piece in pieces:
            signal = read_mono(piece.path, CONFIG.sr)[: int(args.seconds * CONFIG.sr)]
            for name, tracker in trackers.items():
                scores, bpm = score(piece, signal, tracker)
                results[name].append(scores)
                label = f"{piece.path.parent.name}/{piece.path.stem}"
                print(f"{label[:44]:44s} {name:16s} {piece.bpm:6.1f} {bpm:6.1f} {line(scores)}")
        print(f"\n{folder}: {len(pieces)} pieces (tempo and octave: share of pieces)")
        for name, all_scores in results.items():
            print(f"  {name:16s} {summary(all_scores)}")
        print()


def track_ours(signal: NDArray[np.float32], weights: Weights | None = None) -> Tracked:
    """Return tempo, beats and downbeats of our tracker, with the shipped weights or others."""
    frames = np.concatenate([beat_input(m) for _, m in magnitude_blocks(signal, CONFIG)])
    heard = np.concatenate(
        [activations(frames, weights=weights), frame_level_db(frames)[:, None]], axis=1
    )
    grid = grid_from_activations(heard, len(signal) / CONFIG.sr)
    return grid.tempo_bpm, grid.beats_s, grid.beats_s[grid.is_downbeat]


def track_librosa(signal: NDArray[np.float32]) -> Tracked:
    """Return tempo and beats of librosa's default tracker; it knows no downbeats."""
    import librosa

    bpm, beats_s = librosa.beat.beat_track(y=signal, sr=CONFIG.sr, units="time")
    return float(np.atleast_1d(bpm)[0]), beats_s, np.zeros(0)


def score(piece: Piece, signal: NDArray[np.float32], tracker: Tracker) -> tuple[Scores, float]:
    """Return the scores of one tracker and the tempo that it found."""
    start = time.process_time()
    bpm, beats_s, downbeats_s = tracker(signal)
    cpu_s = time.process_time() - start
    minutes = len(signal) / CONFIG.sr / 60
    near = [abs(bpm / piece.bpm / octave - 1) < TEMPO_TOLERANCE for octave in OCTAVES]
    trim = mir_eval.beat.trim_beats
    truth = piece.beats_s[piece.beats_s < minutes * 60]
    f_measure = amlt = downbeat_f = float("nan")
    if len(truth):
        f_measure = mir_eval.beat.f_measure(trim(truth), trim(beats_s))
        amlt = mir_eval.beat.continuity(trim(truth), trim(beats_s))[3]
        if len(downbeats_s):
            downbeat_f = mir_eval.beat.f_measure(trim(truth[::BEATS_PER_BAR]), trim(downbeats_s))
    return Scores(near[0], any(near), f_measure, amlt, downbeat_f, cpu_s, minutes), bpm


def line(s: Scores) -> str:
    text = f"tempo {s.tempo:4.2f} octave {s.octave:4.2f}"
    if not np.isnan(s.f_measure):
        text += f" F {s.f_measure:.3f} AMLt {s.amlt:.3f} downbeat F {s.downbeat_f:.3f}"
    return f"{text} CPU s/min {s.cpu_s / s.minutes:.2f}"


def summary(scores: list[Scores]) -> str:
    return line(Scores(*np.mean(np.array(scores, dtype=float), axis=0)))


def find_pieces(folder: Path) -> Iterator[Piece]:
    """Yield every audio file below `folder` whose tempo is known."""
    tempi = listed_tempi(folder)
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        midi = path.with_name("notes.mid")
        if midi.exists():
            beats_s = midi_beats(midi, last_s=3600.0)
            yield Piece(path, float(60.0 / np.median(np.diff(beats_s))), beats_s)
        elif path.name in tempi:
            yield Piece(path, tempi[path.name], np.zeros(0))


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


if __name__ == "__main__":
    main()
