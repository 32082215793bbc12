"""Lists of spans of many edits as one padded array: `spans` for a whole batch.

A span is a row of four int32: start and end in beats of the source, its sound as a row of
`sound_table.SOUNDS`, its gain in millionths of a dB. The lists follow the laws of `spans.append`
and `spans.insert`: spans that continue each other are joined as soon as they meet.

Shapes: `E` lists, `R` of them at a time (`rows`, each at most once), `L` slots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.sound_table import N_STEADY, sound
from rl_editor.spans import Span

START, END, SOUND, GAIN = range(4)
"""Columns of a span."""
N_COLUMNS = 4
NOTHING = (0, 0, -1, 0)
"""What comes before the first span: it ends at beat 0, and nothing continues its sound."""
FIRST_CAPACITY = 32
_ITEM = np.dtype((np.void, N_COLUMNS * np.dtype(np.int32).itemsize))

Rows = NDArray[np.int64]
SpanArray = NDArray[np.int32]


def ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `start[i], start[i] + 1, ...`, `length[i]` of them, for each i in turn."""
    end = length.cumsum()
    return (start - end + length).repeat(length) + np.arange(end[-1] if len(end) else 0)


def continues(spans: SpanArray, before: SpanArray) -> NDArray[np.bool_]:
    """Return [R] whether each span [R, 4] plays straight on from the one before it [R, 4]."""
    # Sound and gain are next to each other: one number of twice their size.
    joins = spans.view(np.int64)[:, 1] == before.view(np.int64)[:, 1]
    joins &= spans[:, START] == before[:, END]
    joins &= spans[:, SOUND] < N_STEADY
    return joins


def as_items(spans: SpanArray) -> NDArray[np.void]:
    """Return [R] spans [R, 4] as one item each, a view: NumPy copies those ten times as fast."""
    return spans.view(_ITEM)[:, 0]


class SpanLists:
    """`E` lists of spans that grow as needed.

    Attributes:
        slots: [E, L, 4] int32; the list is slots 1 to `count`, slot 0 is `NOTHING`.
        count: [E] int64, length of each list.
    """

    def __init__(self, n_lists: int) -> None:
        """Set up empty lists."""
        self._lay_out(np.zeros((n_lists, FIRST_CAPACITY, N_COLUMNS), dtype=np.int32))
        self.slots[:, 0] = NOTHING
        self.count = np.zeros(n_lists, dtype=np.int64)
        self._longest = 0  # no list is longer; not looked up at every step

    def last(self, rows: Rows) -> SpanArray:
        """Return [R, 4] the last span of each list, `NOTHING` where it is empty."""
        return self._flat.take(self._end(rows), axis=0)

    def at(self, rows: Rows, slots: NDArray[np.int64] | int) -> SpanArray:
        """Return [R, ..., 4] the spans in some slots [R, ...] of each list."""
        return self._flat.take(rows * self.slots.shape[1] + slots, axis=0)

    def append(self, rows: Rows, spans: SpanArray) -> None:
        """Put one span at the end of each list, joined to the last where it continues it.

        `spans` [R, 4] are written over.
        """
        self._make_room(1)
        end = self._end(rows)
        last = self._flat.take(end, axis=0)
        joins = continues(spans, last)
        np.copyto(spans[:, START], last[:, START], where=joins)
        new = ~joins
        self._items[end + new] = as_items(spans)
        self.count[rows] += new

    def push(self, rows: Rows, spans: SpanArray) -> None:
        """Put one span at the end of each list, never joined."""
        self._make_room(1)
        self._items[self._end(rows) + 1] = as_items(spans)
        self.count[rows] += 1

    def extend(self, rows: Rows, counts: NDArray[np.int64], spans: SpanArray) -> None:
        """Put `counts` [R] spans at the end of each list, never joined; `spans` list by list."""
        self._make_room(int(counts.max(initial=0)))
        self._items[ranges(self._end(rows) + 1, counts)] = as_items(spans)
        self.count[rows] += counts

    def insert_first(self, rows: Rows, spans: SpanArray) -> None:
        """Put one span before the first of each list, joined to it where that continues it."""
        self._make_room(1)
        joins = continues(self.at(rows, 1), spans) & (self.count[rows] > 0)
        self.slots[rows[joins], 1, START] = spans[joins, START]
        moved = rows[~joins]
        if len(moved):
            n_slots = int(self.count[moved].max()) + 1
            self.slots[moved, 2 : n_slots + 1] = self.slots[moved, 1:n_slots]
            self.slots[moved, 1] = spans[~joins]
            self.count[moved] += 1

    def drop_first(self, rows: Rows, counts: NDArray[np.int64]) -> None:
        """Take the first `counts` [R] spans out of each list."""
        left = self.count[rows] - counts
        self.count[rows] = left
        n_left = int(left.max(initial=0))
        if n_left:
            following = np.arange(1, n_left + 1) + counts[:, None]
            following = np.minimum(following, self.slots.shape[1] - 1)
            self.slots[rows, 1 : n_left + 1] = self.at(rows[:, None], following)

    def concatenated(self, rows: Rows) -> SpanArray:
        """Return [K, 4] the spans of some lists, one list after the other."""
        first = rows * self.slots.shape[1] + 1
        return self._flat.take(ranges(first, self.count[rows]), axis=0)

    def spans(self, row: int) -> tuple[Span, ...]:
        """Return one list."""
        listed = self.slots[row, 1 : self.count[row] + 1].tolist()
        return tuple(Span(start, end, sound(row, gain)) for start, end, row, gain in listed)

    def _make_room(self, n_more: int) -> None:
        """Make room for so many more spans in every list."""
        self._longest += n_more
        if self._longest < self.slots.shape[1]:
            return
        self._longest = int(self.count.max(initial=0)) + n_more
        if self._longest >= self.slots.shape[1]:
            slots = np.zeros((len(self.slots), 2 * self._longest, N_COLUMNS), dtype=np.int32)
            slots[:, : self.slots.shape[1]] = self.slots
            self._lay_out(slots)

    def _lay_out(self, slots: NDArray[np.int32]) -> None:
        self.slots = slots
        self._flat = slots.reshape(-1, N_COLUMNS)
        self._items = as_items(self._flat)

    def _end(self, rows: Rows) -> NDArray[np.int64]:
        """Return [R] the place of each list's last span among all slots."""
        return rows * self.slots.shape[1] + self.count[rows]
