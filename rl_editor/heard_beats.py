"""Which beats of the source many edits have in their output, and since when they keep or cut.

In: steps of cursors, [E] each. Out: what `observation` asks of the output before a cursor.
Shapes: `E` edits, `R` rows of them, `M` rows of `edit_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.span_lists import Rows, ranges

RUN_WINDOW = 128
"""Beats that a search for the last change between heard and not looks at first."""
PLAYED_AT_ONCE = 32
"""Beats of a span that are marked in one go; longer ones are marked beat by beat."""
_FIRST_BEATS = np.tri(PLAYED_AT_ONCE + 1, PLAYED_AT_ONCE, -1, dtype=bool)
"""[33, 32] the first 0, 1, ... of so many beats."""
COPIES_AHEAD = 48
"""Beats ahead of a cursor whose copies can be asked for."""


@dataclass(frozen=True, eq=False)
class LaterCopies:
    """Which beats of the recordings are copies of which earlier ones.

    Attributes:
        begin: [M + 1] int64; the copies of the beat at a row are `beat[begin[row]:begin[row + 1]]`.
        beat: [copies] int64, beat of its recording that each copy is.
    """

    begin: NDArray[np.int64]
    beat: NDArray[np.int64]

    @classmethod
    def of(cls, match_earlier: Sequence[NDArray[np.int64]]) -> LaterCopies:
        """Return them for [N] the earlier copy of each beat or -1, a recording.

        Rows are those of `EditTables`: one more than beats in each recording.
        """
        beats, rows, first = [], [], 0
        for matches in match_earlier:
            copies = np.flatnonzero(matches >= 0)
            order = copies[np.argsort(matches[copies], kind="stable")]
            beats.append(order)
            rows.append(first + matches[order])
            first += len(matches) + 1
        begin = np.searchsorted(np.concatenate(rows), np.arange(first + 1))
        return cls(begin, np.concatenate(beats))

    @classmethod
    def none(cls, n_rows: int) -> LaterCopies:
        """Return those of recordings in which nothing is a copy."""
        return cls(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int64))


class HeardBeats:
    """Beats that `E` edits have played.

    Attributes:
        beats: [E, longest N] bool, True where a beat is in the output; a view.
        run_beats: [E] int64, beats before the cursor since the last change between beats that
            are in the output and beats that are not.
    """

    def __init__(self, n_edits: int, n_beats: int, copies: LaterCopies) -> None:
        """Set up edits that have played nothing, of recordings of at most `n_beats`."""
        self._copies = copies
        self._copy_heard = np.zeros((n_edits, n_beats + COPIES_AHEAD), dtype=bool)
        self._copies_ahead = stretches(self._copy_heard.reshape(-1), COPIES_AHEAD)
        self._first_copy = np.arange(n_edits) * self._copy_heard.shape[1]
        self.run_beats = np.zeros(n_edits, dtype=np.int64)
        # False before the first beat, where searches look, and behind the last.
        width = RUN_WINDOW + n_beats + PLAYED_AT_ONCE
        self._padded = np.zeros((n_edits, width), dtype=bool)
        self.beats = self._padded[:, RUN_WINDOW : RUN_WINDOW + n_beats]
        self._flat = self._padded.reshape(-1)
        self._first = np.arange(n_edits) * width + RUN_WINDOW
        self._before = stretches(self._flat, RUN_WINDOW)
        self._ahead = stretches(self._flat, PLAYED_AT_ONCE)
        self._frontier = np.zeros(n_edits, dtype=np.int64)  # nothing from here on was heard
        self._last_heard = np.zeros(n_edits, dtype=bool)  # whether the beat before the cursor was

    def clear(self, rows: Rows, n_beats: int) -> None:
        """Start anew in some edits, of recordings that had at most so many beats."""
        self._padded[rows, RUN_WINDOW : RUN_WINDOW + n_beats] = False
        self._copy_heard[rows, :n_beats] = False
        for state in (self.run_beats, self._frontier, self._last_heard):
            state[rows] = 0

    def copies_ahead(self, rows: Rows | slice, cursor: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return [R, 48] whether the earlier copy of each beat from a cursor [R] on is heard."""
        return unpacked(self._copies_ahead[self._first_copy[rows] + cursor], np.bool_)

    def go_on(
        self,
        cursor: NDArray[np.int64],
        following: NDArray[np.int64],
        is_heard: NDArray[np.bool_],
        row: NDArray[np.int64],
    ) -> None:
        """Move all cursors [E], at rows [E]; the beats on the way are heard or left out.

        The run goes on or begins anew with the action, except where beats that it leaves out were
        heard before or the cursor goes back: there it is looked up.
        """
        n_beats = following - cursor
        n_heard = n_beats * is_heard
        self._mark(self._first + cursor, n_heard)
        self._hear_copies(row, n_heard)
        stays = n_beats == 0
        self.run_beats *= (is_heard == self._last_heard) | stays
        self.run_beats += n_beats
        np.copyto(self._last_heard, is_heard, where=~stays)
        unknown = ~is_heard & (cursor < self._frontier) & ~stays | (n_beats < 0)
        np.maximum(self._frontier, following, out=self._frontier)
        rows = unknown.nonzero()[0]
        if len(rows):
            self._look_up_run(rows, following[rows])

    def _hear_copies(self, row: NDArray[np.int64], n_heard: NDArray[np.int64]) -> None:
        """Mark the later copies of the beats from each row on as copies of what is heard."""
        copies = self._copies
        first = copies.begin.take(row)
        counts = copies.begin.take(row + n_heard) - first
        beats = copies.beat.take(ranges(first, counts))
        self._copy_heard.reshape(-1)[self._first_copy.repeat(counts) + beats] = True

    def _mark(self, place: NDArray[np.int64], n_heard: NDArray[np.int64]) -> None:
        """Mark so many beats from each place on as heard."""
        ahead = unpacked(self._ahead[place], np.bool_)
        ahead |= _FIRST_BEATS.take(np.minimum(n_heard, PLAYED_AT_ONCE), axis=0)
        self._ahead[place] = ahead.view(self._ahead.dtype)[:, 0]
        long = (n_heard > PLAYED_AT_ONCE).nonzero()[0]
        if len(long):
            self._flat[ranges(place[long], n_heard[long])] = True

    def _look_up_run(self, rows: Rows, cursor: NDArray[np.int64]) -> None:
        """Find the last change before each cursor: near it, and for what is left, anywhere."""
        place = self._first[rows] + cursor
        last = self._flat.take(place - 1)
        self._last_heard[rows] = last
        changed = unpacked(self._before[place - RUN_WINDOW], np.bool_) != last[:, None]
        run = changed[:, ::-1].argmax(axis=1)  # 0 where nothing changes: the last itself does not
        left = ((run == 0) & (cursor > RUN_WINDOW)).nonzero()[0]
        if len(left):
            changed = self._padded[rows[left]] != last[left, None]
            changed &= np.arange(changed.shape[1]) < cursor[left, None]
            further = changed[:, ::-1].argmax(axis=1)
            behind = changed.shape[1] - RUN_WINDOW - cursor[left]
            run[left] = np.maximum(further - behind, 0)
        self.run_beats[rows] = np.where(run == 0, cursor, run)


def windows(values: NDArray, width: int) -> NDArray:
    """Return [..., n, width] all stretches of the values [..., n + width - 1]; a view."""
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=-1)


def stretches(values: NDArray, width: int) -> NDArray[np.void]:
    """Return [n] all stretches of the values [n + width - 1], each as one item; a view.

    NumPy looks up an item in half the time that it takes for a row. `unpacked` tells them.
    """
    item = np.dtype((np.void, width * values.itemsize))
    return np.ndarray((len(values) - width + 1,), item, values.data, strides=values.strides)


def unpacked(items: NDArray[np.void], dtype: type) -> NDArray:
    """Return [R, width] the values of stretches [R] that were looked up."""
    return items.view(dtype).reshape(len(items), -1)
