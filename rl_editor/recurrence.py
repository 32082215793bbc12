"""How each beat relates to the rest of the recording: where it comes again, and how alike.

Input: mel power and chroma at the analysis frame rate, and the beat grid. Output: numbers
for each beat (`RECURRENCE_NAMES`), and the beats that hold its best later and earlier copy.

Method: the lag matrix of audio thumbnailing (Bartsch and Wakefield 2001, "To catch a
chorus") at 25 frames a second, averaged along diagonals. Differences: similarity is written
as -log10(1.003 - s), so that near-exact copies (retakes, loops) stand out from passages that
are merely alike; and the lag that a beat's copy is read from is tracked through time
(Viterbi over a few candidates), so that it stays the same from beat to beat within a repeat.

The lag matrix is never held: blocks of windows times blocks of lags, so memory is linear in
the length. The earlier direction is the later direction of the reversed recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig
from rl_editor.frame_vectors import FRAME_STEP, N_BANDS, FrameVectors, frame_vectors, moving_mean
from rl_editor.grid import BeatGrid

RECURRENCE_VERSION = 1
"""Raised with every change of the numbers or their order."""

QUERY_STEP = 4
"""Frames between the places that are compared with all frames: 160 ms."""
WINDOWS = (13, 37)
"""Lengths of the diagonal averages in queries, odd: 2.1 s and 5.9 s."""
LAG_BANDS = ((25, 150), (150, 500), (500, 1500), (1500, 1 << 40))
"""Half-open bands of lag in frames: 1-6, 6-20, 20-60 and over 60 s."""
COPY_SIMILARITY = 0.93
"""Lags above this count as copies (from the experiments on made-up sessions)."""
NO_MATCH_SIMILARITY = 0.6
"""A place whose tracked copy is less alike than this has no match."""
JUMP_COST = 1.5
"""Loss for changing the tracked lag, in units of similarity times queries."""
NEARER = 1e-3
"""Similarity that a copy loses for each doubling of its lag: of equal copies, the nearest."""

_WINDOW_BLOCK = 256
_LAG_BLOCK = 2048

_SPANS = ("1_6s", "6_20s", "20_60s", "60s")
_COLUMNS = (
    *(f"short_{span}" for span in _SPANS),
    *(f"long_{span}" for span in _SPANS),
    "n_copies",
    "lag",
    "lag_jumps",
    "short_ahead",
    "short_behind",
    "long_ahead",
    "long_behind",
    "match",
    "run_ahead",
    "run_behind",
    "level_db",
    "brightness_db",
    "shape_db",
)
RECURRENCE_NAMES: tuple[str, ...] = tuple(
    f"{direction}_{column}" for direction in ("later", "earlier") for column in _COLUMNS
)
"""Columns of `Recurrence.values`, for the later and then for the earlier direction.

`short_*`, `long_*`: best likeness in a band of lag, of a window centred here;
`n_copies`: log(1 + number of lags whose short window is a copy); `lag`: log2 of the long
window's best lag in seconds; `lag_jumps`: share of changes of that lag within 2 s;
`*_ahead`, `*_behind`: best likeness at any lag of the window that begins, or ends, here;
`match`: likeness to the tracked match right here (0.8 s), 0 without one;
`run_ahead`, `run_behind`: log(1 + seconds) that the tracked match goes on and has gone on;
`level_db`, `brightness_db`, `shape_db`: this place minus its match in level and in spectral
tilt, and mean absolute difference of the bands without the level; 0 without a match.
Likeness is -log10(1.003 - cosine): 0 for unlike, 1 at 0.9, 2.5 for equal.
"""


@dataclass(frozen=True)
class Recurrence:
    """Self-similarity of a recording on its beats.

    Attributes:
        values: [N, R] float32, columns `RECURRENCE_NAMES`.
        match_later: [N] int64, beat that holds the best later copy of the beat's centre, or -1.
        match_earlier: [N] int64, the same for the best earlier copy.
    """

    values: NDArray[np.float32]
    match_later: NDArray[np.int64]
    match_earlier: NDArray[np.int64]


def recurrence(
    mel_power: NDArray[np.float32],
    chroma: NDArray[np.float32],
    grid: BeatGrid,
    config: AnalysisConfig,
) -> Recurrence:
    """Return how each beat relates to the rest of the recording.

    Args:
        mel_power: [T, n_mels] mel power spectrogram, at least 40 bands.
        chroma: [T, 12] of the same frames; its scale does not matter.
        grid: the beats that the numbers are averaged over.
        config: gives the frame rate.
    """
    frames = _pad_to_queries(frame_vectors(mel_power, chroma))
    frame_s = config.hop_length * FRAME_STEP / config.sr
    offset_s = (FRAME_STEP - 1) * config.hop_length / config.sr / 2
    later, lag_later = _direction(frames, frame_s)
    turned, lag_turned = _direction(_reverse(frames), frame_s)
    swap = [_COLUMNS.index(_mirror(column)) for column in _COLUMNS]
    per_query = np.concatenate([later, turned[::-1, swap]], axis=1)
    times_s = np.arange(len(per_query), dtype=np.float64) * QUERY_STEP * frame_s + offset_s
    return Recurrence(
        values=_average_over_beats(per_query, times_s, grid),
        match_later=_match_beats(lag_later * frame_s, times_s, grid),
        match_earlier=_match_beats(-lag_turned[::-1] * frame_s, times_s, grid),
    )


def _pad_to_queries(frames: FrameVectors) -> FrameVectors:
    """Return the frames with silence at the end so that the last one is a query."""
    missing = -(len(frames.vectors) - 1) % QUERY_STEP
    return FrameVectors(
        np.pad(frames.vectors, ((0, missing), (0, 0))),
        np.pad(frames.bands_db, ((0, missing), (0, 0)), mode="edge"),
        np.pad(frames.level_db, (0, missing), mode="edge"),
        frames.mean_db,
    )


def _reverse(frames: FrameVectors) -> FrameVectors:
    return replace(
        frames,
        vectors=frames.vectors[::-1],
        bands_db=frames.bands_db[::-1],
        level_db=frames.level_db[::-1],
    )


def _mirror(column: str) -> str:
    for here, there in (("_ahead", "_behind"), ("_behind", "_ahead")):
        if column.endswith(here):
            return column.removesuffix(here) + there
    return column


@dataclass(frozen=True)
class _Scan:
    """Best later copies of every window, by the query it starts at (from 1 - W to Q - 1).

    Attributes:
        best: [2, 4, Q + W - 1] float32 similarity by window length and band of lag.
        lag: [2, 4, Q + W - 1] int64, in frames; 0 where the band holds nothing alike.
        n_copies: [Q + W - 1] lags over 1 s at which the short window is a copy.
    """

    best: NDArray[np.float32]
    lag: NDArray[np.int64]
    n_copies: NDArray[np.int64]

    def centred(self, window: int) -> slice:
        return self._from(WINDOWS[window] // 2)

    def ahead(self) -> slice:
        return self._from(0)

    def behind(self, window: int) -> slice:
        return self._from(WINDOWS[window] - 1)

    def _from(self, before: int) -> slice:
        first = WINDOWS[-1] - 1
        return slice(first - before, len(self.n_copies) - before)


def _scan(vectors: NDArray[np.float32]) -> _Scan:
    """Return the best later copies of each window of frames [T, D], block by block."""
    widest = WINDOWS[-1]
    n_frames, n_queries = len(vectors), (len(vectors) - 1) // QUERY_STEP + 1
    n_rows = n_queries + widest - 1
    before = QUERY_STEP * (widest - 1)
    after = _LAG_BLOCK + QUERY_STEP * (_WINDOW_BLOCK + 2 * widest)
    padded = np.pad(vectors, ((before, after), (0, 0)))
    queries = np.ascontiguousarray(padded[::QUERY_STEP])
    divisors = _divisors(queries, n_rows)
    scan = _Scan(
        best=np.zeros((len(WINDOWS), len(LAG_BANDS), n_rows), np.float32),
        lag=np.zeros((len(WINDOWS), len(LAG_BANDS), n_rows), np.int64),
        n_copies=np.zeros(n_rows, np.int64),
    )
    for row in range(0, n_rows, _WINDOW_BLOCK):
        rows = slice(row, min(row + _WINDOW_BLOCK, n_rows))
        longest = n_frames - QUERY_STEP * max(0, row - widest + 1)
        for band, (low, high) in enumerate(LAG_BANDS):
            for lag in range(low, min(high, longest), _LAG_BLOCK):
                lags = range(lag, min(lag + _LAG_BLOCK, high, longest))
                sums = _diagonal_sums(queries, padded, rows, lags)
                _collect(scan, sums, divisors, rows, (band, lags))
    return scan


def _divisors(queries: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
    """Return [2, rows] the sounding queries of each window, at least half of it."""
    sounding = np.concatenate([[0], np.cumsum(np.any(queries != 0, axis=1))])
    counts = np.stack([sounding[w : w + n_rows] - sounding[:n_rows] for w in WINDOWS])
    return np.maximum(counts, np.array(WINDOWS)[:, None] / 2).astype(np.float32)


def _diagonal_sums(
    queries: NDArray[np.float32], padded: NDArray[np.float32], rows: slice, lags: range
) -> NDArray[np.float32]:
    """Return [rows + W, lags] cumulated similarity along diagonals: query r + i against lag l."""
    n = rows.stop - rows.start + WINDOWS[-1] - 1
    first = QUERY_STEP * rows.start + lags.start
    columns = padded[first : first + len(lags) + QUERY_STEP * (n - 1)]
    similarity = queries[rows.start : rows.start + n] @ columns.T
    row_bytes, item = similarity.strides
    diagonals = as_strided(similarity, (n, len(lags)), (row_bytes + QUERY_STEP * item, item))
    sums = np.empty((n + 1, len(lags)), np.float32)
    sums[0] = 0
    np.cumsum(diagonals, axis=0, out=sums[1:])
    return sums


def _collect(
    scan: _Scan,
    sums: NDArray[np.float32],
    divisors: NDArray[np.float32],
    rows: slice,
    place: tuple[int, range],
) -> None:
    """Enter the best lags of one block into `scan`."""
    band, lags = place
    n = rows.stop - rows.start
    nearer = NEARER * np.log2(np.arange(lags.start, lags.stop, dtype=np.float32))
    for window, width in enumerate(WINDOWS):
        means = (sums[width : width + n] - sums[:n]) / divisors[window, rows, None]
        if window == 0:
            for row in np.flatnonzero(means.max(axis=1) > COPY_SIMILARITY):
                copies = np.count_nonzero(means[row] > COPY_SIMILARITY)
                scan.n_copies[rows.start + row] += copies
        means -= nearer
        at = means.argmax(axis=1)
        found = means[np.arange(n), at] + nearer[at]
        best, lag = scan.best[window, band, rows], scan.lag[window, band, rows]
        better = found > best
        lag[better] = at[better] + lags.start
        best[better] = found[better]


def _direction(
    frames: FrameVectors, frame_s: float
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return [Q, columns] numbers for the later direction, and [Q] the tracked lag or 0."""
    scan = _scan(np.ascontiguousarray(frames.vectors))
    short, long = (scan.best[i, :, scan.centred(i)] for i in range(2))
    lag_long = _over_bands(scan.lag[1, :, scan.centred(1)], long)
    lag, similarity = _track_lag(frames.vectors, scan)
    query_s = QUERY_STEP * frame_s
    columns = {
        **{f"short_{span}": _likeness(short[band]) for band, span in enumerate(_SPANS)},
        **{f"long_{span}": _likeness(long[band]) for band, span in enumerate(_SPANS)},
        "n_copies": np.log1p(scan.n_copies[scan.centred(0)]),
        "lag": np.log2(np.maximum(lag_long * frame_s, 1.0)),
        "lag_jumps": _jumps(lag_long, query_s),
        "match": np.where(lag > 0, _likeness(moving_mean(similarity, 5)), 0.0),
        "run_ahead": np.log1p(_run_ahead(lag) * query_s),
        "run_behind": np.log1p(_run_ahead(lag[::-1])[::-1] * query_s),
        **_differences(frames, lag),
    }
    for window, name in enumerate(("short", "long")):
        best = scan.best[window].max(axis=0)
        columns[f"{name}_ahead"] = _likeness(best[scan.ahead()])
        columns[f"{name}_behind"] = _likeness(best[scan.behind(window)])
    return np.stack([columns[c] for c in _COLUMNS], axis=1).astype(np.float32), lag


def _likeness(similarity: NDArray[np.float32]) -> NDArray[np.float32]:
    return -np.log10(1.003 - np.minimum(similarity, 1.0))


def _over_bands(lag: NDArray[np.int64], best: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.take_along_axis(lag, best.argmax(axis=0)[None], axis=0)[0]


def _jumps(lag: NDArray[np.int64], query_s: float) -> NDArray[np.float32]:
    jumped = np.abs(np.diff(lag, prepend=lag[:1])) > 1
    return moving_mean(jumped.astype(np.float32), 2 * round(2.0 / query_s) + 1)


def _run_ahead(lag: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [Q] for how many queries the tracked lag goes on; 0 without a match."""
    ends = np.flatnonzero(np.abs(np.diff(lag)) > 1) + 1
    ends = np.append(ends, len(lag))
    index = np.arange(len(lag))
    return np.where(lag > 0, ends[np.searchsorted(ends, index, side="right")] - index, 0)


def _differences(frames: FrameVectors, lag: NDArray[np.int64]) -> dict[str, NDArray]:
    here = np.arange(len(lag)) * QUERY_STEP
    there = np.minimum(here + lag, len(frames.level_db) - 1)
    bands = frames.bands_db[here] - frames.bands_db[there]
    level = frames.level_db[here] - frames.level_db[there]
    half = N_BANDS // 2
    matched = lag > 0
    return {
        "level_db": np.where(matched, level, 0.0),
        "brightness_db": np.where(
            matched, bands[:, half:].mean(axis=1) - bands[:, :half].mean(axis=1), 0.0
        ),
        "shape_db": np.where(matched, np.abs(bands - level[:, None]).mean(axis=1), 0.0),
    }


def _track_lag(
    vectors: NDArray[np.float32], scan: _Scan
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return [Q] the lag in frames of the copy to read at (0 without one), and its similarity.

    Candidates are the best lags of each band, of the short window centred here and of the
    long window centred, beginning and ending here; each is judged by the similarity of this
    very place, so a take's first and last beats are matched as well as its middle.
    """
    views = [(0, scan.centred(0)), (1, scan.centred(1)), (1, scan.ahead()), (1, scan.behind(1))]
    lags = np.concatenate([scan.lag[window, :, view] for window, view in views]).T
    n_queries = len(lags)
    similarity = np.empty(lags.shape, np.float32)
    here = np.arange(n_queries) * QUERY_STEP
    for k in range(lags.shape[1]):
        there = here + lags[:, k]
        inside = there < len(vectors)
        pair = vectors[here] * vectors[np.minimum(there, len(vectors) - 1)]
        similarity[:, k] = np.where(inside & (lags[:, k] > 0), pair.sum(axis=1), -1.0)
    similarity -= NEARER * np.log2(np.maximum(lags, 1))
    lags = np.concatenate([lags, np.zeros((n_queries, 1), np.int64)], axis=1)
    none = np.full((n_queries, 1), NO_MATCH_SIMILARITY, np.float32)
    similarity = np.concatenate([similarity, none], axis=1)
    path = _viterbi(lags, similarity)[:, None]
    return (
        np.take_along_axis(lags, path, axis=1)[:, 0],
        np.take_along_axis(similarity, path, axis=1)[:, 0],
    )


def _viterbi(lags: NDArray[np.int64], similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return [Q] the candidate of each query that maximises similarity minus jumps."""
    n_queries, n_candidates = lags.shape
    goes_on = np.abs(lags[1:, :, None] - lags[:-1, None, :]) <= 1
    loss = np.where(goes_on, 0.0, JUMP_COST).astype(np.float32)
    score = similarity[0]
    came_from = np.zeros((n_queries, n_candidates), np.int64)
    for query in range(1, n_queries):
        scores = score - loss[query - 1]
        came_from[query] = scores.argmax(axis=1)
        score = scores.max(axis=1) + similarity[query]
    path = np.empty(n_queries, np.int64)
    path[-1] = score.argmax()
    for query in range(n_queries - 1, 0, -1):
        path[query - 1] = came_from[query, path[query]]
    return path


def _average_over_beats(
    per_query: NDArray[np.float32], times_s: NDArray[np.floating], grid: BeatGrid
) -> NDArray[np.float32]:
    """Return [N, R] the mean of each column over each beat; queries count as steps."""
    middles = (times_s[1:] + times_s[:-1]) / 2
    end_s = max(grid.duration_s, times_s[-1]) + 1.0
    edges = np.concatenate([[0.0], middles, [end_s]])
    integral = np.zeros((len(edges), per_query.shape[1]))
    np.cumsum(per_query * np.diff(edges)[:, None], axis=0, out=integral[1:])
    at = grid.edges_s
    left = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(per_query) - 1)
    value = integral[left] + per_query[left] * (at - edges[left])[:, None]
    return (np.diff(value, axis=0) / grid.durations_s[:, None]).astype(np.float32)


def _match_beats(
    lag_s: NDArray[np.floating], times_s: NDArray[np.floating], grid: BeatGrid
) -> NDArray[np.int64]:
    """Return [N] the beat that holds the tracked copy of each beat's centre, or -1."""
    centres_s = grid.beats_s + grid.durations_s / 2
    middles = (times_s[1:] + times_s[:-1]) / 2
    lag_s = lag_s[np.searchsorted(middles, centres_s)]
    beat = np.searchsorted(grid.beats_s, centres_s + lag_s, side="right") - 1
    beat = np.clip(beat, 0, grid.n_beats - 1)
    return np.where((lag_s != 0) & (beat != np.arange(grid.n_beats)), beat, -1)
