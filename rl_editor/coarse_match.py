"""First guess: which passages of a raw recording an edit uses, right to some frames.

Input: mono signals; output: `CoarseMatches`. Method: frame vectors of the raw recording at all
pitches within two semitones; a path with jumps and slips (`jump_path`) at a coarse rate tells
which pitches occur; a second one, at the full rate and with the edit's own equalisation taken
out, the passages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_editor.frame_vectors import FrameVectors
from rl_editor.jump_path import FOREIGN, SLIP_COST, jump_path
from rl_editor.log_spectra import (
    FRAMES_A_SECOND,
    MAX_SHIFT_STEPS,
    log_spectra,
    shifted_vectors,
)
from rl_editor.matches import Match

MAX_CELLS = 4_000_000_000
"""Frames of the edit times frames of the raw recording at all pitches (1.5 GB); longer files are
compared at a coarser rate. An hour and 25 minutes are below, at one pitch."""
SEARCH_CELLS = 1_000_000_000
"""The same for the search for pitches, which needs less detail."""
SEARCH_STEP = 2
"""Frames averaged in the search for pitches."""
MIN_SHIFT_SHARE = 0.015
"""Share of the edit that must ask for a pitch before it is looked for everywhere."""
MAX_SPEED_CHANGE = 0.1
MAX_BEND_FRAMES = 2.5
"""A path that lies further off a line has a cut in it."""
MIN_PART_FRAMES = 20
MAX_RIVALS = 4
RIVAL_LOSS = 0.12
"""Other places are worth a look when their mean similarity is that close to the best one."""
RIVAL_FRAMES = 200
"""Frames, in the middle of a match, that other places are compared by."""


@dataclass(frozen=True)
class CoarseMatches:
    """What a path through both recordings says.

    Attributes:
        matches: in the order of the edit.
        frame: samples of a frame: matches are right to a few of these.
        sounding: [T] frames, 25 a second, of the edit that are not silent.
        wet: [T', 52] vectors of the edit, one for each `frame`.
        planes: [P, J, 52] vectors of the raw recording at each of `shifts`.
        shifts: [P] thirds of a semitone.
    """

    matches: tuple[Match, ...]
    frame: int
    sounding: NDArray[np.bool_]
    wet: NDArray[np.float32]
    planes: NDArray[np.float32]
    shifts: NDArray[np.int64]

    def rivals(self, match: Match, loss: float = RIVAL_LOSS) -> list[Match]:
        """Return the match at other places whose mean similarity is that close to the best one."""
        middle = (match.start + match.stop) // (2 * self.frame)
        n_half = min(RIVAL_FRAMES, (match.stop - match.start) // self.frame) // 2
        rows = self.wet[max(0, middle - n_half) : middle + n_half + 1]
        plane = self.planes[int(np.flatnonzero(self.shifts == match.shift_steps)[0])]
        steps = np.rint(match.speed * (np.arange(len(rows)) - n_half)).astype(int)
        total = np.zeros(len(plane))
        for row, step in zip(rows, steps.tolist(), strict=True):
            along = plane @ row
            if step >= 0:
                total[: len(plane) - step] += along[step:]
            else:
                total[-step:] += along[:step]
        total /= max(1, len(rows))
        own = float(match.raw_at(np.array(middle * self.frame))) / self.frame
        least = total.max() - loss
        found: list[Match] = []
        places = np.arange(len(total))
        total[np.abs(places - own) <= 2] = -1.0
        while len(found) < MAX_RIVALS and total.max() >= least:
            best = int(total.argmax())
            moved = match.raw_start + (best - own) * self.frame
            found.append(replace(match, raw_start=moved))
            total[np.abs(places - best) <= 2] = -1.0
        return found


def coarse_matches(raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int) -> CoarseMatches:
    """Return the passages of a raw recording [S] in an edit of it [S]."""
    raw_spectra, edit_spectra = log_spectra(raw, sr), log_spectra(edit, sr)
    wet = shifted_vectors(edit_spectra)
    shifts = np.arange(-MAX_SHIFT_STEPS, MAX_SHIFT_STEPS + 1)
    n_raw = len(raw_spectra) // 2
    coarse = max(SEARCH_STEP, coarseness(n_raw * len(shifts), len(wet.vectors), SEARCH_CELLS))
    planes = np.stack(
        [coarsened(shifted_vectors(raw_spectra, int(s)).vectors, coarse) for s in shifts]
    )
    path = jump_path(coarsened(wet.vectors, coarse), planes, slip_cost=SLIP_COST)
    shifts = _frequent(path, planes.shape[1], shifts)
    # Of several takes only the right one is equal, but it is not while each file's own mean
    # spectrum is taken out: with the first path the true difference of the two is known.
    dry = shifted_vectors(raw_spectra, int(shifts[0]))
    response_db = _response_db(path % planes.shape[1], path != FOREIGN, wet, dry, coarse)
    del planes
    wet = shifted_vectors(edit_spectra, mean_db=dry.mean_db + response_db)
    coarse = coarseness(len(dry.vectors) * len(shifts), len(wet.vectors), MAX_CELLS)
    planes = np.stack(
        [
            coarsened(shifted_vectors(raw_spectra, int(s), dry.mean_db).vectors, coarse)
            for s in shifts
        ]
    )
    wet_vectors = coarsened(wet.vectors, coarse)
    path = jump_path(wet_vectors, planes, slip_cost=SLIP_COST)
    frame = coarse * (sr // FRAMES_A_SECOND)
    matches = _path_matches(path, planes.shape[1], shifts, frame, len(edit))
    sounding = np.any(wet.vectors != 0, axis=1)
    return CoarseMatches(tuple(matches), frame, sounding, wet_vectors, planes, shifts)


def coarseness(n_raw: int, n_edit: int, max_cells: int) -> int:
    """Return how many frames to average into one so that the path stays within `max_cells`."""
    return int(np.ceil(np.sqrt(max(1.0, n_raw * n_edit / max_cells))))


def coarsened(vectors: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return means [T / step, D] of vectors [T, D], each of length 1 again."""
    if step == 1:
        return vectors
    n = -(-len(vectors) // step)
    padded = np.pad(vectors, ((0, n * step - len(vectors)), (0, 0)))
    mean = padded.reshape(n, step, -1).mean(axis=1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)


def _frequent(
    path: NDArray[np.int64], n_frames: int, shifts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the changes of pitch that occur, the most frequent first; at least one."""
    counts = np.bincount(path[path != FOREIGN] // n_frames, minlength=len(shifts))
    if not counts.any():
        return np.zeros(1, np.int64)
    order = np.argsort(-counts, kind="stable")
    frequent = counts[order] >= max(1.0, MIN_SHIFT_SHARE * len(path))
    frequent[0] = True
    return shifts[order[frequent]]


def _response_db(
    frames: NDArray[np.int64],
    is_known: NDArray[np.bool_],
    wet: FrameVectors,
    dry: FrameVectors,
    coarse: int,
) -> NDArray[np.float32]:
    """Return [40] what the edit's equalisation adds to each band, along a path."""
    here = np.flatnonzero(is_known)
    there = np.minimum(frames[here] * coarse, len(dry.bands_db) - 1)
    here = np.minimum(here * coarse, len(wet.bands_db) - 1)
    bands_db = wet.bands_db[here] - dry.bands_db[there]
    sounding = np.any(wet.vectors[here] != 0, axis=1)
    if not sounding.any():
        return wet.mean_db - dry.mean_db
    return np.median(bands_db[sounding], axis=0)


def _path_matches(
    path: NDArray[np.int64],
    n_frames: int,
    shifts: NDArray[np.int64],
    frame: int,
    n_samples: int,
) -> list[Match]:
    """Return the unbroken passages of a path of frames of `frame` samples, each on a line."""
    step = np.diff(path)
    broken = (path[1:] == FOREIGN) | (path[:-1] == FOREIGN) | (step < 0) | (step > 2)
    broken |= path[1:] // n_frames != path[:-1] // n_frames
    edges = np.concatenate([[0], np.flatnonzero(broken) + 1, [len(path)]]).tolist()
    matches = []
    for first, last in pairwise(edges):
        if path[first] == FOREIGN:
            continue
        shift = int(shifts[path[first] // n_frames])
        for a, b in _straight_parts(path[first:last] % n_frames):
            start = (first + a) * frame
            stop = n_samples if first + b == len(path) else min((first + b) * frame, n_samples)
            if stop > start:
                raw_start, speed = _fitted_line(path[first + a : first + b] % n_frames)
                matches.append(Match(start, stop, raw_start * frame, speed, shift))
    return matches


def _fitted_line(places: NDArray[np.int64]) -> tuple[float, float]:
    """Return where a line through places at times 0, 1, ... begins, and its slope."""
    times = np.arange(len(places))
    centred = times - times.mean()
    slope = float(centred @ places / max(1.0, float(centred @ centred)))
    # A path without slips is straight; with few it is known to lie between 1 and their share.
    limit = 2.0 * float(np.abs(places - places[0] - times).max()) / len(places)
    limit = min(MAX_SPEED_CHANGE, limit)
    slope = float(np.clip(slope, 1.0 - limit, 1.0 + limit))
    return float(places.mean()) - slope * float(times.mean()), slope


def _straight_parts(places: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return half-open ranges of a path in which it is straight to some frames.

    A cut that leaves out less than half a second can pass for slips of a path; of those a
    change of speed makes a straight staircase.
    """
    start, slope = _fitted_line(places)
    error = np.abs(places - start - slope * np.arange(len(places)))
    if len(places) < 2 * MIN_PART_FRAMES or error.max() <= MAX_BEND_FRAMES:
        return [(0, len(places))]
    left = _line_errors(places)
    right = _line_errors(places[::-1])[::-1]
    total = left[:-1] + right[1:]
    total[: MIN_PART_FRAMES - 1] = total[len(places) - MIN_PART_FRAMES :] = np.inf
    cut = int(total.argmin()) + 1
    rest = [(a + cut, b + cut) for a, b in _straight_parts(places[cut:])]
    return _straight_parts(places[:cut]) + rest


def _line_errors(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return [n] the squared error of the best line through the first 1, 2, ... places."""
    y = places.astype(np.float64) - places[0]
    x = np.arange(len(y), dtype=np.float64)
    n = x + 1.0
    sums = [np.cumsum(v) for v in (x, y, x * x, x * y, y * y)]
    sx, sy, sxx, sxy, syy = sums
    variance = np.maximum(sxx - sx * sx / n, 1e-9)
    return np.maximum(syy - sy * sy / n - (sxy - sx * sy / n) ** 2 / variance, 0.0)
