"""What many edits play so far: `spans.Arrangement` for a whole batch, as arrays.

An action puts at most one span next in the output, a second one behind it, and some more that
continue nothing; each of the three is one call for all edits that need it.

Shapes: `E` edits, `R` rows of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.span_lists import END, START, Rows, SpanArray, SpanLists, continues
from rl_editor.spans import Arrangement, Waiting


class BatchArrangement:
    """The output of `E` edits under way.

    The three lists of an edit, as in `spans.Arrangement`, are three of one set of lists, so that
    spans for any of them are put there, and those of all of them are taken, in one call: list `e`
    holds the placed spans of edit `e`, list `waiting + e` those that wait, `tail + e` the tail.

    Attributes:
        lists: all of them.
        waiting, tail: ints, above.
        n_clips: [E] int64, number of placed spans of each edit; a view.
        n_begun: [E] int64; the first so many waiting spans wait for the end of a clip that has
            begun.
        n_placed: [E] int64, beats in `placed`. Who puts spans adds their beats; those of
            waiting spans are added here.
    """

    def __init__(self, n_edits: int) -> None:
        """Set up empty outputs."""
        self.lists, self.waiting, self.tail = SpanLists(3 * n_edits), n_edits, 2 * n_edits
        self.n_clips = self.lists.count[:n_edits]
        self._n_waiting = self.lists.count[n_edits : 2 * n_edits]
        self._parts = np.array([0, self.waiting, self.tail])
        self.n_begun = np.zeros(n_edits, dtype=np.int64)
        self.n_placed = np.zeros(n_edits, dtype=np.int64)

    def clear(self, rows: Rows) -> None:
        """Empty some outputs."""
        self.lists.count[rows[:, None] + self._parts] = 0
        self.n_begun[rows] = 0
        self.n_placed[rows] = 0

    def play(self, rows: Rows, spans: SpanArray, n_new: int) -> None:
        """Put one span at the end of each of some lists.

        The first `n_new` are of placed spans and play theirs next: where it begins a new clip,
        what waited for the end of the last one comes before it. In the others it only takes its
        place. The spans [R, 4] are written over.
        """
        waits = self._n_waiting.take(rows[:n_new]).nonzero()[0]
        if len(waits):
            self._release(rows.take(waits), spans.take(waits, axis=0))
        self.lists.append(rows, spans)

    def take_last(self, rows: Rows) -> SpanArray:
        """Take the last span of each output away and return it; none is empty."""
        last = self.lists.last(rows)
        self.n_clips[rows] -= 1
        return last

    def ended(self, rows: Rows) -> tuple[NDArray[np.int64], SpanArray]:
        """Return the spans of some edits in output order, as if nothing more came.

        First their numbers [R], then the spans [K, 4], edit by edit.
        """
        parts = rows[:, None] + self._parts
        counts = np.add.reduce(self.lists.count.take(parts), axis=1)
        return _joined(counts, self.lists.concatenated(parts.reshape(-1)))

    def of(self, row: int) -> Arrangement:
        """Return one of them."""
        waiting = tuple(
            Waiting(span, index < self.n_begun[row])
            for index, span in enumerate(self.lists.spans(self.waiting + row))
        )
        placed, tail = self.lists.spans(row), self.lists.spans(self.tail + row)
        return Arrangement(placed, waiting, tail, int(self.n_placed[row]))

    def _release(self, rows: Rows, spans: SpanArray) -> None:
        """Place what waited for the end of the last clip, where `spans` begin a new one."""
        fresh = ~continues(spans, self.lists.last(rows))
        ready = rows[fresh & (self.n_begun[rows] > 0)]
        if len(ready):
            counts = self.n_begun[ready]
            for index in range(int(counts.max())):
                now = ready[counts > index]
                waited = self.lists.at(self.waiting + now, index + 1)
                self.n_placed[now] += waited[:, END] - waited[:, START]
                self.lists.append(now, waited)
            self.lists.drop_first(self.waiting + ready, counts)
        self.n_begun[rows] = self._n_waiting.take(rows)


def _joined(counts: NDArray[np.int64], spans: SpanArray) -> tuple[NDArray[np.int64], SpanArray]:
    """Return lists of spans, numbers [R] and spans [K, 4], with those joined that continue."""
    if not len(spans):
        return counts, spans
    joins = np.zeros(len(spans), dtype=bool)
    joins[1:] = continues(spans[1:], spans[:-1])
    ends = counts.cumsum()
    joins[(ends - counts)[counts > 0]] = False
    joining = joins.nonzero()[0]
    if not len(joining):
        return counts, spans
    heads = (~joins).nonzero()[0]
    joined = spans.take(heads, axis=0)
    joined[:-1, END] = spans[:, END].take(heads[1:] - 1)
    joined[-1, END] = spans[-1, END]
    fewer = np.bincount(np.searchsorted(ends, joining, side="right"), minlength=len(counts))
    return counts - fewer, joined


def span_array(
    start: NDArray, end: NDArray, sounds: NDArray[np.int32], gains: NDArray[np.int32]
) -> SpanArray:
    """Return [R, 4] spans of four columns [R]."""
    spans = np.empty((len(start), 4), dtype=np.int32)
    for column, values in enumerate((start, end, sounds, gains)):
        spans[:, column] = values
    return spans
