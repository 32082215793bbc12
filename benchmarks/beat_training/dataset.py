"""What the beat network is trained on: made recordings as its input frames, cached in files.

In: a function that makes `BeatExample` of a seed and a duration. Out: `Piece`, one file for each,
and `Crop` with its targets. Nothing here needs torch, so that the processes that make examples
start fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.example import BeatExample
from rl_editor.atomic import atomic_path
from rl_editor.beat_network import N_BANDS, beat_input
from rl_editor.config import AnalysisConfig
from rl_editor.parallel import parallel_map
from rl_editor.spectrogram import magnitude_blocks

VERSION = 1
"""Of the files; a change of what is in them, or of how examples are made, makes another."""
FPS = AnalysisConfig().sr / AnalysisConfig().hop_length
"""Frames a second: 50."""

REST_MARGIN_S = 0.1
"""Around a stretch of playing, of which its frames hold a part: they are 93 ms long."""

MakeExample = Callable[[int, float], BeatExample]
"""Makes an example from a seed and a duration in seconds."""


@dataclass(frozen=True)
class Piece:
    """A made recording as the network hears it.

    Attributes:
        frames: [T, 64] float16, log-mel frames of `beat_input`, 50 a second.
        beats_s: [B] float64, seconds, rising.
        is_downbeat: [B] bool.
        stretches_s: [P, 2] float64, starts and ends of the stretches of playing.
    """

    frames: NDArray[np.float16]
    beats_s: NDArray[np.float64]
    is_downbeat: NDArray[np.bool_]
    stretches_s: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.frames) / FPS

    def rests(self) -> NDArray[np.float16]:
        """Return [R, 64], the frames clear of all stretches: room, noise, talk."""
        outside = np.ones(len(self.frames), dtype=bool)
        for start_s, end_s in self.stretches_s:
            first = int((start_s - REST_MARGIN_S) * FPS)
            outside[max(0, first) : int((end_s + REST_MARGIN_S) * FPS) + 1] = False
        return self.frames[outside]


@dataclass(frozen=True)
class Crop:
    """A part of a piece, perhaps at another tempo.

    Attributes:
        inputs: [T, 64] float32 frames; zeros (silence) after the end of a short piece.
        beats_frames: [B] float64, positions of the beats in frames, in [-0.5, T - 0.5).
        is_downbeat: [B] bool.
    """

    inputs: NDArray[np.float32]
    beats_frames: NDArray[np.float64]
    is_downbeat: NDArray[np.bool_]


@dataclass(frozen=True)
class TargetShape:
    """How a beat looks in the targets.

    Attributes:
        neighbour: target of the frames beside that of the beat, in [0, 1].
        unsure_frames: further frames on each side of a beat on which nothing is learned.
    """

    neighbour: float = 0.5
    unsure_frames: int = 0


def prepare(
    make_example: MakeExample,
    seeds: Sequence[int],
    duration_s: float,
    folder: Path,
    jobs: int = 1,
) -> Iterable[Path]:
    """Make the files of the examples that `folder` does not have, and yield each when it is there.

    Args:
        make_example: a function of a module, or a `partial` of one.
        seeds: one for each example; a file's name depends on seed, duration and `VERSION`.
        duration_s: of each example.
        folder: an existing folder for examples made by this `make_example` alone.
        jobs: number of processes.
    """
    paths = [folder / f"example-{VERSION}-{duration_s:g}s-{seed}.npz" for seed in seeds]
    there = [path.exists() for path in paths]
    yield from (path for path, exists in zip(paths, there, strict=True) if exists)
    asked = zip(seeds, paths, there, strict=True)
    missing = [(seed, path) for seed, path, exists in asked if not exists]
    work = partial(_make_file, make_example=make_example, duration_s=duration_s)
    for index, _ in parallel_map(work, missing, jobs):
        yield missing[index][1]


def _make_file(item: tuple[int, Path], make_example: MakeExample, duration_s: float) -> None:
    seed, path = item
    save(path, piece_of(make_example(seed, duration_s)))


def piece_of(example: BeatExample) -> Piece:
    """Return an example as the network hears it."""
    blocks = magnitude_blocks(example.signal, AnalysisConfig())
    frames = np.concatenate([beat_input(magnitude) for _, magnitude in blocks])
    if not np.isfinite(frames).all():
        raise ValueError("the signal of an example must be finite")
    return Piece(
        frames.astype(np.float16),
        example.beats_s.astype(np.float64),
        example.place_in_bar == 0,
        example.stretches_s.astype(np.float64).reshape(-1, 2),
    )


def save(path: Path, piece: Piece) -> None:
    """Write a piece; the file appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            frames=piece.frames,
            beats_s=piece.beats_s,
            is_downbeat=piece.is_downbeat,
            stretches_s=piece.stretches_s,
        )


def load(path: Path) -> Piece:
    """Return a piece from its file."""
    with np.load(path, allow_pickle=False) as arrays:
        return Piece(
            arrays["frames"], arrays["beats_s"], arrays["is_downbeat"], arrays["stretches_s"]
        )


def band_statistics(
    pieces: Sequence[Piece],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean [64] and standard deviation [64] of the frames of all pieces."""
    total, squares, count = np.zeros(N_BANDS), np.zeros(N_BANDS), 0
    for piece in pieces:
        frames = piece.frames.astype(np.float64)
        total += frames.sum(axis=0)
        squares += np.square(frames).sum(axis=0)
        count += len(frames)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0))


def crop(piece: Piece, start: float, n_frames: int, rate: float = 1.0) -> Crop:
    """Return `n_frames` frames of a piece.

    Args:
        piece: where from.
        start: first frame, between frames where it is no whole number.
        n_frames: length of the crop.
        rate: frames of the piece for one of the crop; 1.1 is 10% faster. Between frames is
            interpolated linearly.
    """
    positions = start + rate * np.arange(n_frames)
    below = positions.astype(np.int64)
    inside = int(np.searchsorted(below, len(piece.frames)))
    inputs = np.zeros((n_frames, N_BANDS), dtype=np.float32)
    first, last = int(below[0]), int(below[inside - 1])
    source = piece.frames[first : last + 2].astype(np.float32)
    if rate == 1.0 and start == first:
        inputs[:inside] = source[:inside]
    else:
        share = (positions - below)[:inside, None].astype(np.float32)
        lower = source[below[:inside] - first]
        upper = source[np.minimum(below[:inside] - first + 1, len(source) - 1)]
        inputs[:inside] = lower + share * (upper - lower)
    beats = (piece.beats_s * FPS - start) / rate
    kept = (beats >= -0.5) & (beats < n_frames - 0.5)
    return Crop(inputs, beats[kept], piece.is_downbeat[kept])


def targets(part: Crop, shape: TargetShape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return targets and weights, both [T, 2] float32, of beats and downbeats.

    A target is 1 in the frame nearest to a beat, `shape.neighbour` in the two beside it and 0
    elsewhere. A weight is 0 where nothing is learned, else 1.
    """
    n_frames = len(part.inputs)
    values = np.zeros((n_frames, 2), dtype=np.float32)
    weights = np.ones((n_frames, 2), dtype=np.float32)
    nearest = np.rint(part.beats_frames).astype(np.int64)
    for column, frames in enumerate((nearest, nearest[part.is_downbeat])):
        reach = 1 + shape.unsure_frames
        for distance in range(reach, -1, -1):  # nearer frames overwrite those of other beats
            value = (1.0, shape.neighbour)[distance] if distance < 2 else 0.0
            around = np.concatenate([frames - distance, frames + distance])
            around = around[(around >= 0) & (around < n_frames)]
            weights[around, column] = 0.0 if distance > 1 else 1.0
            values[around, column] = value
    return values, weights
