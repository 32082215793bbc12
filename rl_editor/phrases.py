"""Phrases from the structure of the music: four bars, unless it plainly changes elsewhere.

A change is heard as novelty at a bar line: how far the sound of the bars before it is from that of
the bars after it (the checkerboard kernel of Foote, "Automatic audio segmentation using a measure
of audio novelty", 2000). Which bar lines begin phrases is a trade between novelty and regularity
(Sargent, Bimbot and Vincent, "Estimating the structural segmentation of popular music pieces under
regularity constraints", 2017), solved exactly for each stretch of playing.

In: vectors of frames (`frame_vectors`) and a `BeatGrid`. Out: the grid with other phrase lines.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_editor.grid import BARS_PER_PHRASE, BeatGrid

FloatArray = NDArray[np.float64]

REACH_BARS = (2, 4)
"""Bars on either side of a line that are compared; the novelty is the mean over these."""
NEAR_BARS = 1
"""A change is the largest novelty among so many bar lines on either side."""
LONGEST_BARS = 7
"""Longest phrase; one of eight bars is two of four."""
IRREGULAR = 5.0
"""Novelty that a phrase of another length than four bars must gain, in deviations."""
ODD = 1.0
"""The same in addition for an odd number of bars, which is rarer. These two, `REACH_BARS` and
`NEAR_BARS` were chosen on 60 made songs: 86% of their 332 sections begin phrases, by four bars
throughout 68%."""
_LEAST_DEVIATION = 0.01
"""Where novelty varies less, nothing plainly changes; in 95% of made songs it varies more."""


def with_phrases(grid: BeatGrid, vectors: NDArray[np.float32], vector_s: float) -> BeatGrid:
    """Return the grid with phrases where the music begins them.

    Bars stay. Phrases still begin where playing begins and stops.

    Args:
        grid: of the recording.
        vectors: [T, D], dot products of which are similarities; zero where nothing sounds.
        vector_s: seconds from one to the next, above 0.
    """
    lines = np.flatnonzero(grid.is_downbeat)
    score = _peaks(_deviations(novelty(grid, vectors, vector_s, lines)))
    starts = np.zeros(grid.n_beats, dtype=np.bool_)
    for first, last in _stretches(grid):
        own = np.flatnonzero((lines >= first) & (lines < last))
        if not grid.confidence[first] > 0.0:
            starts[first:last] = grid.is_phrase_start[first:last]
        elif len(own):
            starts[lines[own[_segmented(score[own], _pickup(grid, lines[own]))]]] = True
    starts[0] = grid.is_phrase_start[0]
    return dataclasses.replace(grid, is_phrase_start=starts)


def novelty(
    grid: BeatGrid, vectors: NDArray[np.float32], vector_s: float, lines: NDArray[np.int64]
) -> FloatArray:
    """Return [L] how much the sound changes at each of the beats `lines`, at least 0.

    Half the squared distance of the mean vectors of the bars before and after, which is the sum
    over a checkerboard kernel of similarities. Fewer bars are compared near the ends
    of playing, none at the ends themselves: there it is 0.
    """
    edges = np.clip(np.rint(grid.edges_s / vector_s).astype(np.int64), 0, len(vectors))
    closed = np.concatenate([vectors, np.zeros((1, vectors.shape[1]), vectors.dtype)])
    sums = np.add.reduceat(closed, edges, axis=0, dtype=np.float64)[:-1]
    sums[edges[:-1] == edges[1:]] = 0.0
    total = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(sums, axis=0)])
    found = np.zeros(len(lines))
    begin, end = _stretch_of(grid)
    for bars in REACH_BARS:
        first = np.maximum(lines - bars * grid.meter, begin[lines])
        last = np.minimum(lines + bars * grid.meter, end[lines])
        before = (total[lines] - total[first]) / np.maximum(edges[lines] - edges[first], 1)[:, None]
        after = (total[last] - total[lines]) / np.maximum(edges[last] - edges[lines], 1)[:, None]
        is_inside = (first < lines) & (last > lines)
        found += is_inside * 0.5 * np.square(before - after).sum(axis=1) / len(REACH_BARS)
    return found


def _stretches(grid: BeatGrid) -> list[tuple[int, int]]:
    """Return first and last beat (exclusive) of each run that is played or is not."""
    is_played = grid.confidence > 0.0
    edges = np.flatnonzero(np.diff(is_played.astype(np.int8))) + 1
    bounds = [0, *edges.tolist(), grid.n_beats]
    return list(pairwise(bounds))


def _stretch_of(grid: BeatGrid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return [N] the first beat and [N] the end of the stretch that each beat is in."""
    spans = _stretches(grid)
    lengths = [last - first for first, last in spans]
    begin = np.repeat([first for first, _ in spans], lengths)
    return begin, np.repeat([last for _, last in spans], lengths)


def _deviations(values: FloatArray) -> FloatArray:
    """Return how far values lie from their median, in robust standard deviations."""
    if not len(values):
        return values
    away = values - np.median(values)
    return away / max(1.4826 * float(np.median(np.abs(away))), _LEAST_DEVIATION)


def _peaks(values: FloatArray) -> FloatArray:
    """Return values that are the largest within `NEAR_BARS`, and 0 in place of the others."""
    padded = np.pad(values, NEAR_BARS, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR_BARS + 1)
    return np.where(values >= around.max(axis=1), values, 0.0)


def _pickup(grid: BeatGrid, lines: NDArray[np.int64]) -> bool:
    """Return whether a stretch begins with less than a bar."""
    return len(lines) > 1 and lines[1] - lines[0] < grid.meter


def _segmented(score: FloatArray, has_pickup: bool) -> NDArray[np.int64]:
    """Return which bars of a stretch begin phrases; the first always does.

    Args:
        score: [B] of the line at which each bar begins.
        has_pickup: the first bar is a phrase of its own.
    """
    n_bars, first = len(score), int(has_pickup and len(score) > 1)
    best = np.full(n_bars + 1, -np.inf)
    came_from = np.zeros(n_bars + 1, dtype=np.int64)
    best[first] = 0.0
    for bar in range(first + 1, n_bars + 1):
        for length in range(1, min(LONGEST_BARS, bar - first) + 1):
            value = best[bar - length]
            if bar < n_bars:  # the last phrase may be cut short for nothing
                value += score[bar] - _cost(length)
            elif length > BARS_PER_PHRASE:
                value -= _cost(length)
            if value > best[bar]:
                best[bar], came_from[bar] = value, bar - length
    starts, bar = [], n_bars
    while bar > first:
        bar = int(came_from[bar])
        starts.append(bar)
    return np.array(starts[::-1] if first == 0 else [0, *starts[::-1]], dtype=np.int64)


def _cost(length: int) -> float:
    """Return what a phrase of this many bars costs."""
    if length == BARS_PER_PHRASE:
        return 0.0
    return IRREGULAR + ODD * (length % 2)
