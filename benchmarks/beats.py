"""Accuracy and cost of the beat tracker on music of known tempo, beside librosa's.

    python -m benchmarks.beats [FOLDER ...] [--seconds 300] [--scores FOLDER] [--sessions 24]
        [--no-librosa] [--weights FILE ...]

A folder (searched with everything below it) may hold
- the stems of a song with `notes.mid` beside them (Frets on Fire), which are summed, as they are
  heard in the game: the MIDI file's tempo map is the truth;
- audio whose tempo is in a text file `LICENSE-MUSIC` in the folder, above it or in the
  package's `.dist-info` beside it, as lines `name.opus  123 bpm` (immich-memories-music).

With `--scores` the MIDI files below a folder that are held out from all training are played; with
`--sessions`, too, that many made sessions (`benchmarks.beat_pieces`). With `--weights` (of
`benchmarks.beat_training`) other networks are measured beside the shipped one.

Measures: tempo within 4%, and within 4% of it or of its double, half, triple or third; mir_eval's
F-measure of beats (70 ms), CMLt, AMLt and F-measure of downbeats, the first 5 s skipped where a
piece is played throughout, in sessions inside the stretches of playing and without CMLt and AMLt;
there also the share of stretches of eight beats and more in which the grid is right from the third
beat on, for six beats; CPU seconds a minute of audio, decoding the file left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import mir_eval
import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_pieces import (
    SR,
    Piece,
    Signal,
    Times,
    files_of_known_tempo,
    held_out_scores,
    made_sessions,
)
from rl_editor.beat_network import activations, beat_input, read_weights
from rl_editor.beats import frame_level_db, grid_from_activations
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.frame_features import frame_features

TEMPO_TOLERANCE, WINDOW_S = 0.04, 0.07
OCTAVES = (1.0, 2.0, 0.5, 3.0, 1.0 / 3.0)
LATE_BEATS, CHECKED_BEATS = 2, 6
"""After a restart the grid may take two beats; the next six must be right."""


class Tracked(NamedTuple):
    """Tempo, and the beats and downbeats that are sure, in seconds; None of who knows no bars."""

    bpm: float
    beats_s: Times
    downbeats_s: Times | None


Tracker: TypeAlias = "Callable[[Signal], Tracked]"
Weights: TypeAlias = "dict[str, NDArray[np.float32]]"


class Scores(NamedTuple):
    """Scores of one tracker on one piece; NaN where the truth does not say."""

    tempo: float
    octave: float
    f_measure: float
    cmlt: float
    amlt: float
    downbeat_f: float
    restarts: float
    cpu_s_per_minute: float


LABELS = ("tempo", "octave", "F", "CMLt", "AMLt", "downbeat F", "restarts", "CPU s/min")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each file")
    parser.add_argument("--scores", type=Path, help="folder of MIDI files")
    parser.add_argument("--sessions", type=int, default=0, help="how many are made")
    parser.add_argument("--no-librosa", action="store_true")
    parser.add_argument("--weights", nargs="*", type=Path, default=[], metavar="FILE")
    args = parser.parse_args()
    if args.sessions and args.scores is None:
        parser.error("--sessions needs --scores")
    trackers: dict[str, Tracker] = {"rl_editor": track_ours}
    for path in args.weights:
        try:
            weights = read_weights(path)
        except UserError as error:
            parser.error(str(error))
        trackers[f"{path.parent.name}/{path.stem}"] = partial(track_ours, weights=weights)
    if not args.no_librosa:
        trackers["librosa"] = track_librosa
        track_librosa(np.random.default_rng(0).normal(size=10 * SR).astype(np.float32))
    for folder in args.folders:
        compare(str(folder), files_of_known_tempo(folder, args.seconds), trackers)
    if args.scores is not None:
        compare("held-out scores", held_out_scores(args.scores), trackers)
        compare("made sessions", made_sessions(args.sessions, args.scores), trackers)


def compare(title: str, pieces: Iterable[Piece], trackers: dict[str, Tracker]) -> None:
    """Print the scores of all trackers on each piece, and their means."""
    results: dict[str, list[Scores]] = {name: [] for name in trackers}
    for piece in pieces:
        signal = piece.signal()
        for name, tracker in trackers.items():
            scores, bpm = score(piece, signal, tracker)
            results[name].append(scores)
            print(f"{piece.name[:40]:40s} {name:16s} {piece.bpm:6.1f} {bpm:6.1f}  {line(scores)}")
    n_pieces = len(next(iter(results.values())))
    if n_pieces:
        print(f"\n{title}: {n_pieces} pieces (tempo, octave and restarts: shares)")
        for name, all_scores in results.items():
            print(f"  {name:16s} {line(means(all_scores))}")
        print(flush=True)


def track_ours(signal: Signal, weights: Weights | None = None) -> Tracked:
    """Return what our tracker finds, with the shipped weights or others."""
    blocks: list[NDArray[np.float32]] = []
    of_frames = frame_features(
        signal, AnalysisConfig(), lambda _, magnitude: blocks.append(beat_input(magnitude))
    )
    frames = np.concatenate(blocks)
    heard = np.concatenate(
        [activations(frames, weights=weights), frame_level_db(frames)[:, None]], axis=1
    )
    grid = grid_from_activations(heard, len(signal) / SR, chroma=of_frames.chroma)
    sure = grid.confidence > 0.0
    return Tracked(grid.tempo_bpm, grid.beats_s[sure], grid.beats_s[sure & grid.is_downbeat])


def track_librosa(signal: Signal) -> Tracked:
    """Return what librosa's default tracker finds; it knows no downbeats."""
    import librosa

    bpm, beats_s = librosa.beat.beat_track(y=signal, sr=SR, units="time")
    return Tracked(float(np.atleast_1d(bpm)[0]), beats_s, None)


def score(piece: Piece, signal: Signal, tracker: Tracker) -> tuple[Scores, float]:
    """Return the scores of one tracker and the tempo that it found."""
    start = time.process_time()
    found = tracker(signal)
    cpu_s = (time.process_time() - start) / (len(signal) / SR / 60.0)
    unknown = float("nan")
    near = [abs(found.bpm / piece.bpm / octave - 1) < TEMPO_TOLERANCE for octave in OCTAVES]
    tempo, octave = (unknown, unknown) if np.isnan(piece.bpm) else (near[0], any(near))
    beats_s = piece.beats_s[piece.beats_s < len(signal) / SR]
    if not len(beats_s):
        scores = Scores(tempo, octave, *[unknown] * 5, cpu_s)
    elif piece.stretches_s is None:
        scores = Scores(tempo, octave, *_throughout(piece, beats_s, found), unknown, cpu_s)
    else:
        inside = partial(_inside, stretches_s=piece.stretches_s)
        f_measure = _f(beats_s, inside(found.beats_s))
        downbeat_f = _downbeat_f(piece.downbeats_s, found.downbeats_s, inside)
        restarts = _restarts(beats_s, found.beats_s, piece.stretches_s)
        scores = Scores(tempo, octave, f_measure, unknown, unknown, downbeat_f, restarts, cpu_s)
    return scores, found.bpm


def _throughout(piece: Piece, beats_s: Times, found: Tracked) -> tuple[float, float, float, float]:
    """Return F, CMLt, AMLt and downbeat F, the first five seconds left out."""
    trim = mir_eval.beat.trim_beats
    truth_s, found_s = trim(beats_s), trim(found.beats_s)
    _, cmlt, _, amlt = mir_eval.beat.continuity(truth_s, found_s)
    downbeats_s = piece.downbeats_s[piece.downbeats_s <= beats_s[-1]]
    downbeat_f = _downbeat_f(trim(downbeats_s), found.downbeats_s, trim)
    return _f(truth_s, found_s), cmlt, amlt, downbeat_f


def _f(truth_s: Times, found_s: Times) -> float:
    return float(mir_eval.beat.f_measure(truth_s, found_s, WINDOW_S))


def _downbeat_f(truth_s: Times, found_s: Times | None, counted: Callable[[Times], Times]) -> float:
    """Return the F-measure of those found that count, 0 without any; NaN where bars are unknown."""
    if found_s is None or not len(truth_s):
        return float("nan")
    found_s = counted(found_s)
    return _f(truth_s, found_s) if len(found_s) else 0.0


def _inside(times_s: Times, stretches_s: Times) -> Times:
    late = times_s[:, None] >= stretches_s[:, 0] - WINDOW_S
    early = times_s[:, None] <= stretches_s[:, 1] + WINDOW_S
    return times_s[np.any(late & early, axis=1)]


def _restarts(truth_s: Times, found_s: Times, stretches_s: Times) -> float:
    """Return the share of stretches in which all of `CHECKED_BEATS` after two are found."""
    right = []
    for start_s, end_s in stretches_s:
        own_s = truth_s[(truth_s >= start_s - WINDOW_S) & (truth_s <= end_s)]
        checked_s = own_s[LATE_BEATS : LATE_BEATS + CHECKED_BEATS]
        if len(checked_s) == CHECKED_BEATS:
            away_s = np.abs(checked_s[:, None] - found_s).min(axis=1, initial=np.inf)
            right.append(bool((away_s < WINDOW_S).all()))
    return float(np.mean(right)) if right else float("nan")


def means(all_scores: list[Scores]) -> Scores:
    """Return the mean of each score over the pieces that have it."""
    columns = np.array(all_scores, dtype=float).T
    known = [column[~np.isnan(column)] for column in columns]
    return Scores(*[float(c.mean()) if len(c) else float("nan") for c in known])


def line(scores: Scores) -> str:
    """Return the scores that are known, in words."""
    named = zip(LABELS, scores, strict=True)
    return " ".join(f"{name} {value:.3f}" for name, value in named if not np.isnan(value))


if __name__ == "__main__":
    main()
