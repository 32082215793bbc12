"""How well finished edits agree with a known one: the only part of the reward that reads a label.

What counts is which seconds are heard and in which order, never how the edit was spelled. The
right seconds of an output are the heaviest chain of its beats whose places in the finished piece
increase: a passage that is played twice, or out of order, counts once.

In: `HeardOutput`. Out: numbers [E].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.finished_edits import AS_RECORDED
from rl_editor.heard_output import HeardOutput
from rl_editor.reward_tables import RIGHT, RewardTables
from rl_editor.span_lists import ranges

MIN_UNWANTED_SHARE = 0.1
"""Unwanted share that agreement assumes at least: without it, chance correction divides by nothing
on a recording that needs (almost) no cut."""
ROUNDING_S = 1e-6
"""More than any sum of seconds is off by rounding."""


def agreement(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] Cohen's kappa with the known edit, floored at 0; 0 where none is known.

    TP are right output seconds, FP the others, FN wanted seconds that are not right, TN the rest
    of the recording, all weighted by the truth's confidence; the unwanted side counts as 10% of
    the recording at least:
    kappa = 2 (TP TN - FN FP) / ((TP + FP)(FP + TN) + (TP + FN)(FN + TN)).
    """
    asked = _asked(output)
    covered_s = np.where(asked, output.covered_s[:, RIGHT], 0.0)
    # More right seconds agree more: where all that are covered are not enough, no chain is.
    able = output.is_heard & output.tables.is_known[output.task]
    seconds = Seconds.of(output)
    able &= seconds.kappa(output.sum_spans(covered_s) + ROUNDING_S) > 0.0
    if not able.any():
        return np.zeros(len(able))
    beats = _right_beats(output, asked & able.take(output.span_edit))
    right_s = output.sum_edits(beats.edit, beats.right_s)
    found = seconds.kappa(right_s)
    able &= found > 0.0
    chained = _in_order(beats, right_s, able)
    if chained is not right_s:
        found = seconds.kappa(chained)
    return np.where(able, np.maximum(0.0, found), 0.0)


class Seconds(NamedTuple):
    """Seconds of `E` outputs and of what is known, weighted by confidence, all [E].

    Attributes:
        played_s: in the output.
        wanted_s: in the finished piece.
        known_s: of the recording.
        most_s: that can be right.
        spare_s: unwanted ones that are assumed beyond those that there are.
    """

    played_s: NDArray[np.float64]
    wanted_s: NDArray[np.float64]
    known_s: NDArray[np.float64]
    most_s: NDArray[np.float64]
    spare_s: NDArray[np.float64]

    @classmethod
    def of(cls, output: HeardOutput) -> Seconds:
        """Return those of some outputs."""
        played_s, wanted_s = output.known_s, output.tables.wanted_s.take(output.task)
        known_s = output.tables.known_s.take(output.task)
        spare_s = np.maximum(0.0, MIN_UNWANTED_SHARE * known_s - (known_s - wanted_s))
        return cls(played_s, wanted_s, known_s, np.minimum(wanted_s, played_s), spare_s)

    def kappa(self, right_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [E] Cohen's kappa of outputs of which `right_s` [E], or fewer, are right."""
        right = np.minimum(right_s, self.most_s)
        wrong, missed = self.played_s - right, self.wanted_s - right
        rest = np.maximum(0.0, self.known_s - right - wrong - missed) + self.spare_s
        chance = (right + wrong) * (wrong + rest) + (right + missed) * (missed + rest)
        return 2.0 * (right * rest - missed * wrong) / np.where(chance > 0.0, chance, 1.0)


def right_seconds(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] the heaviest chain of right output beats in the order of the piece, seconds.

    A beat is right with the sound that it has in the finished piece, at whatever level.
    """
    beats = _right_beats(output, _asked(output))
    right_s = output.sum_edits(beats.edit, beats.right_s)
    return _in_order(beats, right_s, np.ones(len(right_s), dtype=bool))


def _in_order(
    beats: _Beats, right_s: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the heaviest chains of the edits `chosen` [E], of others all right seconds [E].

    Where no chosen edit goes back in the piece, that is `right_s` itself.
    """
    many = np.zeros(len(right_s), dtype=bool)
    many[beats.edit[beats.stretch > 0]] = True
    many &= chosen
    if not many.any():
        return right_s
    chain, chained = heaviest_chains(beats.rows(many.take(beats.edit))), right_s.copy()
    chained[many] = chain[many[: len(chain)]]
    return chained


class _Beats(NamedTuple):
    """Right output beats of all edits, one after the other as they are heard.

    Attributes:
        edit: [n] int64.
        place: [n] int64, order in the finished piece.
        right_s: [n] seconds.
        stretch: [n] int64, counts up within an edit wherever the place does not increase.
    """

    edit: NDArray[np.int64]
    place: NDArray[np.int64]
    right_s: NDArray[np.float64]
    stretch: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.bool_]) -> _Beats:
        """Return the chosen [n] beats."""
        return _Beats(
            self.edit[chosen], self.place[chosen], self.right_s[chosen], self.stretch[chosen]
        )


def _asked(output: HeardOutput) -> NDArray[np.bool_]:
    """Return [K] spans that may hold right beats."""
    tables, task = output.tables, output.task
    asked = ~tables.is_plain.take(task).take(output.span_edit)
    asked |= output.sound_key == AS_RECORDED
    asked &= tables.is_known.take(task).take(output.span_edit)
    return asked


def _right_beats(output: HeardOutput, asked: NDArray[np.bool_]) -> _Beats:
    """Return the right beats of the spans that are `asked` [K]."""
    tables, edits = output.tables, output.edits
    spans = asked.nonzero()[0]
    spans = spans[~_adds_nothing(output, spans)]
    start, backwards = edits.start.take(spans), edits.reverse.take(spans)
    counts = edits.end.take(spans) - start
    first = tables.first_beat.take(output.task).take(output.span_edit.take(spans)) + start
    row, span = ranges(first, counts), spans.repeat(counts)
    if backwards.any():
        mirrored = (2 * first + counts - 1).repeat(counts) - row
        row = np.where(backwards.repeat(counts), mirrored, row)
    span, row, place, key = _each_place(tables, span, row)
    right_s = tables.right_s.take(row)
    is_right = (right_s > 0.0) & (key == output.sound_key.take(span))
    edit, place = output.span_edit.take(span.compress(is_right)), place.compress(is_right)
    return _Beats(edit, place, right_s.compress(is_right), _stretches(edit, place, len(edits)))


def _each_place(
    tables: RewardTables, span: NDArray[np.int64], row: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return spans, rows, places and keys of output beats, once for each place in the piece.

    The last place of a beat comes first: a chain whose places increase takes one of them at most
    (Hunt & Szymanski, "A Fast Algorithm for Computing Longest Common Subsequences", 1977).
    """
    more = tables.n_again.take(row)
    if not more.any():
        return span, row, tables.place.take(row), tables.key.take(row)
    counts = more + 1
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    span, row = np.repeat(span, counts), np.repeat(row, counts)
    is_again = number < tables.n_again[row]
    again = (tables.first_again[row] + number)[is_again]
    place, key = tables.place[row], tables.key[row]
    place[is_again], key[is_again] = tables.again_place[again], tables.again_key[again]
    return span, row, place, key


def _stretches(
    edit: NDArray[np.int64], place: NDArray[np.int64], n_edits: int
) -> NDArray[np.int64]:
    """Return [n] a count that goes up within an edit wherever the place does not increase."""
    changes = edit[1:] != edit[:-1]
    falls = np.zeros(len(edit), dtype=np.int64)
    falls[1:] = (place[1:] <= place[:-1]) & ~changes
    so_far = falls.cumsum()
    first = changes.nonzero()[0] + 1
    before = np.zeros(n_edits, dtype=np.int64)  # nothing falls at the first beat of all
    before[edit.take(first)] = so_far.take(first)
    return so_far - before.take(edit)


def _adds_nothing(output: HeardOutput, spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return [n] whether a span lies inside the one before or after it of the same edit.

    Of two such spans no chain takes more than of the longer one alone, where the places of that
    one increase and the piece plays no beat twice. Loops are such spans; each would cost a round
    in `heaviest_chains`.
    """
    edit, tables = output.span_edit.take(spans), output.tables
    start, end = output.edits.start.take(spans), output.edits.end.take(spans)
    task = output.task.take(edit)
    line = tables.first_line.take(task)
    rises = tables.is_plain.take(task)
    rises &= tables.n_falls.take(line + end) == tables.n_falls.take(line + start)
    same = edit[1:] == edit[:-1]
    after = same & (start[1:] >= start[:-1]) & (end[1:] <= end[:-1]) & rises[:-1]
    before = same & (start[1:] <= start[:-1]) & (end[1:] >= end[:-1]) & rises[1:] & ~after
    inside = np.zeros(len(spans), dtype=bool)
    inside[1:] = after
    inside[:-1] |= before
    return inside


def heaviest_chains(beats: _Beats) -> NDArray[np.float64]:
    """Return [highest edit + 1] the largest total weight of beats whose places strictly increase.

    Each stretch of rising places is taken at once, that of every edit together: with f(p) the
    heaviest chain that ends at a place below p, and W the cumulated weight of a stretch, the
    heaviest chain that ends at its i-th beat is W_i + max over j <= i of (f(p_j) - W_(j-1)).
    """
    n_stretches = np.zeros(beats.edit[-1] + 1, dtype=np.int64)
    np.maximum.at(n_stretches, beats.edit, beats.stretch + 1)
    # Edits with many stretches come first, so that those still under way are the first rows.
    row_of = np.empty(len(n_stretches), dtype=np.int64)
    row_of[(-n_stretches).argsort(kind="stable")] = np.arange(len(n_stretches))
    order = np.lexsort((row_of[beats.edit], beats.stretch))
    row, place = row_of[beats.edit[order]], beats.place[order]
    weight, stretch = beats.right_s[order], beats.stretch[order]
    n_rows, total = int(np.count_nonzero(n_stretches)), weight.cumsum()
    rank = _dense_ranks(row, place, n_rows)
    width = int(rank.max()) + 2
    # Rows are further apart than any sum, so one cumulated maximum serves all of them.
    floor = np.arange(n_rows) * (2.0 * float(total[-1]))
    best, cell = floor.repeat(width), row * width + rank
    after, before = cell + 1, total - weight
    bounds = np.searchsorted(stretch, np.arange(int(stretch[-1]) + 2))
    n_active = (row[bounds[1:] - 1] + 1) * width
    for first, stop, n in zip(bounds[:-1].tolist(), bounds[1:].tolist(), n_active, strict=True):
        chain = best.take(cell[first:stop])
        chain -= before[first:stop]
        np.maximum.accumulate(chain, out=chain)
        chain += total[first:stop]
        cells = after[first:stop]
        best.put(cells, np.maximum(best.take(cells), chain))
        np.maximum.accumulate(best[:n], out=best[:n])
    result, edits = np.zeros(len(n_stretches)), n_stretches.nonzero()[0]
    used = row_of.take(edits)
    result[edits] = best.take((used + 1) * width - 1) - floor.take(used)
    return result


def _dense_ranks(
    row: NDArray[np.int64], place: NDArray[np.int64], n_rows: int
) -> NDArray[np.int64]:
    """Return [n] places counted anew in each row, without those that nothing in the row has."""
    width = int(place.max()) + 1
    is_there = np.zeros((n_rows, width), dtype=bool)
    is_there[row, place] = True
    return is_there.cumsum(axis=1, dtype=np.int32)[row, place].astype(np.int64) - 1
