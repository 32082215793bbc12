"""How well finished edits agree with a known one: the only part of the reward that reads a label.

What counts is which seconds are heard and in which order, never how the edit was spelled. The
right seconds of an output are the heaviest chain of its beats whose places in the finished piece
increase: a passage that is played twice, or out of order, counts once.

In: `HeardOutput`. Out: numbers [E].
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.heard_output import HeardOutput

MIN_UNWANTED_SHARE = 0.1
"""Unwanted share that agreement assumes at least: without it, chance correction divides by nothing
on a recording that needs (almost) no cut."""


def agreement(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] Cohen's kappa with the known edit, floored at 0; 0 where none is known.

    TP are right output seconds, FP the others, FN wanted seconds that are not right, TN the rest
    of the recording, all weighted by the truth's confidence; the unwanted side counts as 10% of
    the recording at least:
    kappa = 2 (TP TN - FN FP) / ((TP + FP)(FP + TN) + (TP + FN)(FN + TN)).
    """
    tables, task = output.tables, output.task
    played_s = output.sum_spans(output.between_lines(tables.weight_s))
    wanted_s, known_s = tables.wanted_s[task], tables.known_s[task]
    right = np.minimum(right_seconds(output), wanted_s)
    wrong, missed = played_s - right, wanted_s - right
    spare = np.maximum(0.0, MIN_UNWANTED_SHARE * known_s - (known_s - wanted_s))
    rest = np.maximum(0.0, known_s - right - wrong - missed) + spare
    chance = (right + wrong) * (wrong + rest) + (right + missed) * (missed + rest)
    kappa = 2.0 * (right * rest - missed * wrong) / np.where(chance > 0.0, chance, 1.0)
    return np.where(output.is_heard & tables.is_known[task], np.maximum(0.0, kappa), 0.0)


def right_seconds(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] the heaviest chain of right output beats in the order of the piece, seconds.

    Beats under a gain are right, those of `is_processed` are not.
    """
    beats = _right_beats(output)
    right = output.sum_edits(beats.edit, beats.right_s)
    many = np.zeros(len(output.edits), dtype=bool)
    many[beats.edit[beats.stretch > 0]] = True
    if np.any(many):
        chain = heaviest_chains(beats.rows(many[beats.edit]))
        right[many] = chain[many[: len(chain)]]
    return right


def is_processed(output: HeardOutput) -> NDArray[np.bool_]:
    """Return [K] whether a span is heard otherwise than recorded, but for its level.

    Played backwards, at another speed or pitch, through a shelf or an effect, or under a fade
    inside the output; a fade into its first span and out of its last one leave it what it is.
    """
    edits = output.edits
    coloured = (edits.eq_low_db != 0.0) | (edits.eq_high_db != 0.0)
    coloured |= (edits.distortion != 0.0) | (edits.reverb != 0.0)
    moved = edits.reverse | (edits.rate != 1.0) | (edits.semitones != 0.0)
    row = np.arange(len(edits.start))
    inside = (edits.fade_in >= 0) & (row != edits.first_span[output.span_edit])
    inside |= (edits.fade_out >= 0) & (row != edits.first_span[output.span_edit + 1] - 1)
    return coloured | moved | inside


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


def _right_beats(output: HeardOutput) -> _Beats:
    tables, edits = output.tables, output.edits
    spans = np.flatnonzero(~is_processed(output) & tables.is_known[output.task[output.span_edit]])
    spans = spans[~_adds_nothing(output, spans)]
    edit, start = output.span_edit[spans], edits.start[spans]
    counts = edits.end[spans] - start
    shift = tables.first_beat[output.task[edit]] + start - (np.cumsum(counts) - counts)
    row = np.arange(counts.sum()) + np.repeat(shift, counts)
    right_s = tables.right_s[row]
    is_right = right_s > 0.0
    edit, row = np.repeat(edit, counts)[is_right], row[is_right]
    place = tables.place[row]
    changes = edit[1:] != edit[:-1]
    falls = np.zeros(len(edit), dtype=np.int64)
    falls[1:] = (place[1:] <= place[:-1]) & ~changes
    so_far = np.cumsum(falls)
    first = np.flatnonzero(np.append(True, changes)) if len(edit) else np.zeros(0, np.int64)
    before = np.zeros(len(edits), dtype=np.int64)
    before[edit[first]] = so_far[first]
    return _Beats(edit, place, right_s[is_right], so_far - before[edit])


def _adds_nothing(output: HeardOutput, spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return [n] whether a span lies inside the one before or after it of the same edit.

    Of two such spans no chain takes more than of the longer one alone, where the places of that
    one increase. Loops are such spans; each would cost a round in `heaviest_chains`.
    """
    edit, edits = output.span_edit[spans], output.edits
    start, end = edits.start[spans], edits.end[spans]
    rises = output.between_lines(output.tables.n_falls)[spans] == 0.0
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
    row_of[np.argsort(-n_stretches, kind="stable")] = np.arange(len(n_stretches))
    order = np.lexsort((row_of[beats.edit], beats.stretch))
    row, place = row_of[beats.edit[order]], beats.place[order]
    weight, stretch = beats.right_s[order], beats.stretch[order]
    width, total = int(place.max()) + 2, np.cumsum(weight)
    # Rows are further apart than any sum, so one cumulated maximum serves all of them.
    floor = np.arange(np.count_nonzero(n_stretches)) * (2.0 * float(total[-1]))
    best, cell = np.repeat(floor, width), row * width + place
    before = total - weight
    for first, stop in pairwise(np.searchsorted(stretch, np.arange(int(stretch[-1]) + 2)).tolist()):
        cells = cell[first:stop]
        chain = best[cells] - before[first:stop]
        np.maximum.accumulate(chain, out=chain)
        chain += total[first:stop]
        cells += 1
        best[cells] = np.maximum(best[cells], chain)
        active = best[: (row.item(stop - 1) + 1) * width]
        np.maximum.accumulate(active, out=active)
    result = np.zeros(len(n_stretches))
    used = row_of[n_stretches > 0]
    result[n_stretches > 0] = best[(used + 1) * width - 1] - floor[used]
    return result
