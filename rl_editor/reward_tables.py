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
from rl_editor.reward_truth import known_beats
from rl_editor.track import Track
from rl_editor.truth import Truth

DEAD_AIR_DB = 45.0
"""A beat this far below the recording's loud ones (90th percentile) is dead air. In sessions made
out of 150 pieces that is 7.5% of the beats that were left out and 0.3% of those that stayed."""
_LOUD_PERCENTILE = 90
CHANGE_STEPS = 512
"""Steps in which sizes of changes are told apart, up to a recording's largest one."""

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
SOURCE, DEAD, KNOWN, RIGHT = range(4)
"""Columns of `RewardTables.passed_s`."""


@dataclass(frozen=True, eq=False)
class RewardTables:
    """Numbers of `R` recordings.

    Attributes:
        n_beats: [R] int64.
        duration_s: [R].
        bar_beats, phrase_beats: [R] int64, beats of a bar and of four bars of the meter, or of
            the whole recording where that is shorter.
        first_beat, first_line: [R] int64, rows of each recording.
        line_value: [L] 1 on phrase lines and the recording's ends, 0.5 on bar lines, else 0.
        passed_s: [L, 4] seconds of the recording before each line: all, those of dead air, all
            weighted by the truth's confidence, and the right ones, those of beats that the piece
            plays several times as often.
        sound: [B, S] float32, timbre, harmony and level (`KINDS`), each column in standard
            deviations of the recording.
        level_std_db: [R] what a standard deviation of the level is.
        largest_change: [kinds, R] of the recording's own changes from beat to beat.
        ordinary: [kinds, R, CHANGE_STEPS + 2] min(1, 2 p) for changes of each size, a step being
            a share of the largest one: p is the share of the recording's own changes that are of
            this step or larger.
        is_known: [R] bool, whether an edit of the recording is known; what follows is 0 elsewhere.
        is_plain: [R] bool, whether the finished piece plays each beat once at most, as recorded.
        right_s: [B] seconds of a beat that are wanted or as good as a wanted copy.
        place: [B] int64, order of the beats of a recording by their place in the finished piece.
        key: [B] int64, sound of the beat there (`finished_edits.sound_keys`).
        n_again: [B] int64, how often else the piece plays the beat.
        first_again: [B] int64, row of the first such time in `again_place` and `again_key`.
        again_place, again_key: [A] int64, place and sound of those times, the last one of each
            beat first.
        n_falls: [L] right beats before each line that do not come after the one before them in
            the piece.
        wanted_s, known_s: [R] seconds that belong in the edit, and all, weighted by confidence.
    """

    n_beats: NDArray[np.int64]
    duration_s: NDArray[np.float64]
    bar_beats: NDArray[np.int64]
    phrase_beats: NDArray[np.int64]
    first_beat: NDArray[np.int64]
    first_line: NDArray[np.int64]
    line_value: NDArray[np.float64]
    passed_s: NDArray[np.float64]
    sound: NDArray[np.float32]
    level_std_db: NDArray[np.float64]
    largest_change: NDArray[np.float64]
    ordinary: NDArray[np.float64]
    is_known: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]
    right_s: NDArray[np.float64]
    place: NDArray[np.int64]
    key: NDArray[np.int64]
    n_again: NDArray[np.int64]
    first_again: NDArray[np.int64]
    again_place: NDArray[np.int64]
    again_key: NDArray[np.int64]
    n_falls: NDArray[np.float64]
    wanted_s: NDArray[np.float64]
    known_s: NDArray[np.float64]

    @classmethod
    def of(cls, tracks: Sequence[Track], truths: Sequence[Truth | None]) -> RewardTables:
        """Return the tables of recordings; a truth is None where no edit is known."""
        if not tracks:
            raise ValueError("reward tables need at least one recording")
        rows = [
            {**_of_grid(t.grid), **_of_sound(t), **_of_truth(t, truth)}
            for t, truth in zip(tracks, truths, strict=True)
        ]
        n_beats = np.array([track.n_beats for track in tracks], dtype=np.int64)
        flat = {
            name: np.concatenate([row[name] for row in rows], axis=1 if name in _WIDE else 0)
            for name in rows[0]
        }
        passed = [flat.pop(name) for name in ("edge_s", "dead_s", "weight_s", "as_often_s")]
        return cls(
            passed_s=np.stack(passed, axis=1),
            first_again=_starts(flat["n_again"]),
            n_beats=n_beats,
            first_beat=_starts(n_beats),
            first_line=_starts(n_beats + 1),
            **flat,
        )

    def ordinary_cells(self, task: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return [kinds, J] where in `ordinary`, laid flat, the steps of recordings [J] begin."""
        kinds, recordings, steps = self.ordinary.shape
        return (np.arange(kinds)[:, None] * recordings + task) * steps


_WIDE = ("largest_change", "ordinary")
"""Fields whose recordings lie along the second axis."""


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
        # Beat by beat: what is looked up is rows, and looking up rows of columns copies them all.
        "sound": np.ascontiguousarray(sound),
        "level_std_db": deviation[-1:],
        "largest_change": largest[:, None],
        "ordinary": _ordinary(change_steps(own, largest[:, None]))[:, None],
    }


def distances(difference: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return [kinds, J] the length of each difference [J, S] in timbre, harmony and level."""
    squares = np.square(difference, dtype=np.float64)
    sums = np.empty((len(KINDS), len(squares)))
    for kind, columns in zip(sums, KINDS.values(), strict=True):
        np.add.reduce(squares[:, columns], axis=1, out=kind)
    return np.sqrt(sums, out=sums)


def change_steps(change: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return [kinds, J] the steps of `RewardTables.ordinary` in which changes [kinds, J] lie.

    The largest change has a step of its own, and what is larger the last one.
    """
    share = change / largest
    steps = np.minimum(share * CHANGE_STEPS, CHANGE_STEPS).astype(np.int64)
    np.putmask(steps, share > 1.0 + 1e-6, CHANGE_STEPS + 1)
    return steps


def _ordinary(own: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return [kinds, steps] min(1, 2 p) of each step, from the steps of the own changes [kinds, n].

    A recording of one beat has no changes, and nothing in it is out of the ordinary.
    """
    if own.shape[1] == 0:
        return np.ones((len(own), CHANGE_STEPS + 2))
    counts = np.stack([np.bincount(steps, minlength=CHANGE_STEPS + 2) for steps in own])
    at_least = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] / own.shape[1]
    return np.minimum(1.0, 2.0 * at_least)


def _of_truth(track: Track, truth: Truth | None) -> dict[str, NDArray]:
    known = known_beats(track, truth)
    order = np.lexsort((-known.again_place, known.again_beat))
    n_again = np.bincount(known.again_beat, minlength=track.n_beats)
    return {
        "is_known": np.array([truth is not None]),
        "is_plain": np.array([known.is_plain]),
        "right_s": known.right_s,
        "place": known.place,
        "key": known.key,
        "n_again": n_again,
        "again_place": known.again_place[order],
        "again_key": known.again_key[order],
        "n_falls": _before_lines(_falls(known.place, known.right_s > 0.0)),
        "weight_s": _before_lines(known.weight_s),
        "as_often_s": _before_lines(known.right_s * (1 + n_again)),
        "wanted_s": np.array([known.wanted_s]),
        "known_s": np.array([known.weight_s.sum()]),
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
