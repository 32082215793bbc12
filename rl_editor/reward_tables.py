"""What the reward needs to know about recordings: computed once, laid end to end.

A batch of finished edits of many recordings is paid in one call, so the numbers of all `R`
recordings lie in flat arrays: `B` beats of all of them together, and `L = B + R` grid lines (a
recording of N beats has N + 1). Beat `b` of recording `r` is row `first_beat[r] + b`, line `l`
row `first_line[r] + l`.

In: `Track`s and what is known about each. Out: `RewardTables`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid
from rl_editor.track import Track
from rl_editor.truth import Truth

DEAD_AIR_DB = 45.0
"""A beat this far below the recording's loud ones (90th percentile) is dead air. In sessions made
out of 150 pieces that is 7.5% of the beats that were left out and 0.3% of those that stayed."""
_LOUD_PERCENTILE = 90
_PLACE_DIGITS = 9
"""Decimals of a place in seconds: copies of one beat have one place, whatever is rounded."""

_MFCC = [i for i, name in enumerate(FEATURE_NAMES) if re.fullmatch(r"mfcc_\d+", name)]
_CHROMA = [
    i for i, name in enumerate(FEATURE_NAMES) if re.fullmatch(r"chroma_[a-g](_sharp)?", name)
]
_RMS_DB = FEATURE_NAMES.index("rms_db")
_SOUND = [*_MFCC, *_CHROMA, _RMS_DB]
KINDS = {
    "timbre": slice(0, len(_MFCC)),
    "harmony": slice(len(_MFCC), len(_SOUND) - 1),
    "level": slice(len(_SOUND) - 1, len(_SOUND)),
}
"""Columns of `RewardTables.sound`: in what two beats can differ."""


@dataclass(frozen=True, eq=False)
class RewardTables:
    """Numbers of `R` recordings.

    Attributes:
        n_beats: [R] int64.
        duration_s: [R].
        bar_beats, phrase_beats: [R] int64, beats of a bar and of four bars of the meter, or of
            the whole recording where that is shorter.
        first_beat, first_line: [R] int64, rows of each recording.
        edge_s: [L] time of each line.
        line_value: [L] 1 on phrase lines and the recording's ends, 0.5 on bar lines, else 0.
        dead_s: [L] seconds of dead air before each line.
        sound: [B, S] float32, timbre, harmony and level (`KINDS`), each column in standard
            deviations of the recording.
        level_std_db: [R] what a standard deviation of the level is.
        n_changes: [R] int64, beat-to-beat changes of a recording.
        first_change: [R] int64, rows of each recording in `change`.
        change: [kinds, changes] sizes of a recording's own beat-to-beat changes, sorted, as a
            share of the largest one, plus two for each recording before it.
        largest_change: [kinds, R].
        is_known: [R] bool, whether an edit of the recording is known; what follows is 0 elsewhere.
        right_s: [B] seconds of a beat that are wanted or as good as a wanted copy.
        place: [B] int64, order of the beats of a recording by their place in the finished piece.
        n_falls: [L] right beats before each line that do not come after the one before them in
            the piece.
        weight_s: [L] seconds before each line, weighted by the truth's confidence.
        wanted_s, known_s: [R] seconds that belong in the edit, and all, weighted by confidence.
    """

    n_beats: NDArray[np.int64]
    duration_s: NDArray[np.float64]
    bar_beats: NDArray[np.int64]
    phrase_beats: NDArray[np.int64]
    first_beat: NDArray[np.int64]
    first_line: NDArray[np.int64]
    edge_s: NDArray[np.float64]
    line_value: NDArray[np.float64]
    dead_s: NDArray[np.float64]
    sound: NDArray[np.float32]
    level_std_db: NDArray[np.float64]
    n_changes: NDArray[np.int64]
    first_change: NDArray[np.int64]
    change: NDArray[np.float64]
    largest_change: NDArray[np.float64]
    is_known: NDArray[np.bool_]
    right_s: NDArray[np.float64]
    place: NDArray[np.int64]
    n_falls: NDArray[np.float64]
    weight_s: NDArray[np.float64]
    wanted_s: NDArray[np.float64]
    known_s: NDArray[np.float64]

    @classmethod
    def of(cls, tracks: Sequence[Track], truths: Sequence[Truth | None]) -> RewardTables:
        """Return the tables of recordings; a truth is None where no edit is known."""
        if not tracks:
            raise ValueError("reward tables need at least one recording")
        rows = [
            {**_of_grid(t.grid), **_of_sound(t), **_of_truth(t.grid, truth)}
            for t, truth in zip(tracks, truths, strict=True)
        ]
        n_beats = np.array([track.n_beats for track in tracks], dtype=np.int64)
        n_changes = n_beats - 1
        for number, row in enumerate(rows):
            row["change"] = row["change"] + 2.0 * number
        flat = {
            name: np.concatenate([row[name] for row in rows], axis=-1 if name in _WIDE else 0)
            for name in rows[0]
        }
        return cls(
            n_beats=n_beats,
            first_beat=_starts(n_beats),
            first_line=_starts(n_beats + 1),
            n_changes=n_changes,
            first_change=_starts(n_changes),
            **flat,
        )


_WIDE = ("change", "largest_change")
"""Fields whose recordings lie along the last axis."""


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts


def line_values(grid: BeatGrid) -> NDArray[np.float64]:
    """Return [N + 1] 1 on phrase lines and the recording's ends, 0.5 on bar lines, else 0."""
    values = np.zeros(grid.n_beats + 1)
    values[grid.bar_lines()] = 0.5
    values[grid.phrase_lines()] = 1.0
    return values


def _of_grid(grid: BeatGrid) -> dict[str, NDArray]:
    return {
        "duration_s": np.array([grid.duration_s]),
        "bar_beats": np.array([min(grid.meter, grid.n_beats)]),
        "phrase_beats": np.array([min(grid.meter * BARS_PER_PHRASE, grid.n_beats)]),
        "edge_s": grid.edges_s,
        "line_value": line_values(grid),
    }


def _of_sound(track: Track) -> dict[str, NDArray]:
    """Return what is heard: the standardised features and the recording's own changes."""
    level_db = track.features[:, _RMS_DB].astype(np.float64)
    is_dead = level_db < np.percentile(level_db, _LOUD_PERCENTILE) - DEAD_AIR_DB
    values = track.features[:, _SOUND].astype(np.float64)
    deviation = np.maximum(values.std(axis=0), 1e-6)
    sound = (values / deviation).astype(np.float32)
    own = distances(np.diff(sound, axis=0))
    largest = np.maximum(own.max(axis=1, initial=0.0), 1e-12)
    return {
        "dead_s": _before_lines(is_dead * track.grid.durations_s),
        "sound": sound,
        "level_std_db": deviation[-1:],
        "change": np.sort(own / largest[:, None], axis=1),
        "largest_change": largest[:, None],
    }


def distances(difference: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return [kinds, J] the length of each difference [J, S] in timbre, harmony and level."""
    squares = np.square(difference, dtype=np.float64)
    return np.sqrt(np.stack([squares[:, columns].sum(axis=1) for columns in KINDS.values()]))


def _of_truth(grid: BeatGrid, truth: Truth | None) -> dict[str, NDArray]:
    """Return what belongs in the edit, of each beat; zeros where nothing is known.

    The place of a beat is that of the middle of the right segment that fills most of it: a beat
    which holds its edge still follows the beat before it.
    """
    right_s, most_s, place_s = np.zeros((3, grid.n_beats))
    segments = () if truth is None else truth.segments
    starts_s, ends_s = grid.edges_s[:-1], grid.edges_s[1:]
    for segment in segments:
        if segment.piece_start_s is None or not (segment.wanted or segment.equally_good):
            continue
        first_s, last_s = np.maximum(starts_s, segment.start_s), np.minimum(ends_s, segment.end_s)
        inside_s = np.maximum(0.0, last_s - first_s) * segment.confidence
        right_s += inside_s
        middle_s = (first_s + last_s) / 2 - segment.start_s + segment.piece_start_s
        place_s = np.where(inside_s > most_s, middle_s, place_s)
        most_s = np.maximum(most_s, inside_s)
    weight_s = np.zeros(grid.n_beats)
    if truth is not None:
        confidence = truth.share(grid.edges_s, np.array([s.confidence for s in segments]))
        weight_s = confidence * grid.durations_s
    place = np.unique(np.round(place_s, _PLACE_DIGITS), return_inverse=True)[1].astype(np.int64)
    wanted_s = sum((s.end_s - s.start_s) * s.confidence for s in segments if s.wanted)
    return {
        "is_known": np.array([truth is not None]),
        "right_s": right_s,
        "place": place,
        "n_falls": _before_lines(_falls(place, right_s > 0.0)),
        "weight_s": _before_lines(weight_s),
        "wanted_s": np.array([wanted_s], dtype=np.float64),
        "known_s": np.array([weight_s.sum()]),
    }


def _falls(place: NDArray[np.int64], is_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return [N] 1 at right beats whose place is not after that of the right beat before."""
    right = np.flatnonzero(is_right)
    falls = np.zeros(len(place))
    falls[right[1:]] = place[right[1:]] <= place[right[:-1]]
    return falls


def _before_lines(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [N + 1] the sum of the values of all beats before each line."""
    return np.concatenate([[0.0], np.cumsum(values)])
