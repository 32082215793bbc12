"""What is heard of finished edits: runs of the source, and the joins between them.

A run is source beats heard without a break, whatever was done to their sound: spans that play the
source straight on are one run, so an edit has the same runs however it was spelled. Between two
runs of an edit there is a join.

In: `RewardTables`, `FinishedEdits`. Out: `HeardOutput`, arrays over `E` edits, `K` spans, `M` runs
and `J` joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rl_editor.finished_edits import FinishedEdits
from rl_editor.reward_tables import KNOWN, SOURCE, RewardTables


@dataclass(frozen=True, eq=False)
class HeardOutput:
    """The output of `E` edits in beats of their recordings.

    Attributes:
        tables, edits: where it comes from.
        span_edit: [K] int64, edit of each span.
        is_break: [K] bool, whether the span does not play on where the one before it ended; True
            at each edit's first span.
        run_edit: [M] int64, edit of each run.
        run_start, run_end: [M] int64, half-open range of beats of the recording.
        join: [J] int64, the run after each join; the one before it is the row before.
    """

    tables: RewardTables
    edits: FinishedEdits
    span_edit: NDArray[np.int64]
    is_break: NDArray[np.bool_]
    run_edit: NDArray[np.int64]
    run_start: NDArray[np.int64]
    run_end: NDArray[np.int64]
    join: NDArray[np.int64]

    @classmethod
    def of(cls, tables: RewardTables, edits: FinishedEdits) -> HeardOutput:
        """Return the output of finished edits."""
        span_edit = _edit_of_each(edits.first_span)
        is_break = np.ones(len(edits.start), dtype=bool)
        # Whatever is played backwards continues nothing, and nothing continues it.
        is_break[1:] = span_edit[1:] != span_edit[:-1]
        is_break[1:] |= edits.start[1:] != edits.end[:-1]
        is_break[1:] |= edits.reverse[1:]
        is_break[1:] |= edits.reverse[:-1]
        first = is_break.nonzero()[0]
        last = np.full(len(first), len(edits.start) - 1)
        last[:-1] = first[1:] - 1
        run_edit = span_edit.take(first)
        return cls(
            tables=tables,
            edits=edits,
            span_edit=span_edit,
            is_break=is_break,
            run_edit=run_edit,
            run_start=edits.start.take(first),
            run_end=edits.end.take(last),
            join=(run_edit[1:] == run_edit[:-1]).nonzero()[0] + 1,
        )

    @cached_property
    def task(self) -> NDArray[np.int64]:
        """[E] recording of each edit."""
        return self.edits.task

    @cached_property
    def run_beats(self) -> NDArray[np.int64]:
        """[M] length of each run."""
        return self.run_end - self.run_start

    @cached_property
    def n_beats(self) -> NDArray[np.float64]:
        """[E] length of the output, in beats of the source."""
        return self.sum_runs(self.run_beats)

    @cached_property
    def is_heard(self) -> NDArray[np.bool_]:
        """[E] whether there is any output."""
        return self.n_beats > 0

    @cached_property
    def n_phrases(self) -> NDArray[np.float64]:
        """[E] length of the output in phrases, at least 1."""
        return np.maximum(1.0, self.n_beats / self.tables.phrase_beats[self.task])

    @cached_property
    def span_s(self) -> NDArray[np.float64]:
        """[K] seconds of source that each span plays."""
        return self.covered_s[:, SOURCE].copy()

    @cached_property
    def covered_s(self) -> NDArray[np.float64]:
        """[K, 4] how many of `RewardTables.passed_s` each span covers."""
        start, end = self._span_lines
        covered = self.tables.passed_s.take(end, axis=0)
        covered -= self.tables.passed_s.take(start, axis=0)
        return covered

    @cached_property
    def sound_key(self) -> NDArray[np.int64]:
        """[K] one number for each span's sound but its level (`finished_edits.sound_keys`).

        A fade into an edit's first span and out of its last one leave it what it is.
        """
        edits, key = self.edits, self.edits.sound_key.copy()
        some = (edits.first_span[1:] > edits.first_span[:-1]).nonzero()[0]
        first, last = edits.first_span.take(some), edits.first_span.take(some + 1) - 1
        key[first] -= edits.fade_in_key.take(first)
        key[last] -= edits.fade_out_key.take(last)
        return key

    @cached_property
    def action_edit(self) -> NDArray[np.int64]:
        """[A] edit of each action."""
        return _edit_of_each(self.edits.first_action)

    @cached_property
    def known_s(self) -> NDArray[np.float64]:
        """[E] seconds of source in the output, weighted by the truth's confidence."""
        return self.sum_spans(self.covered_s[:, KNOWN])

    @cached_property
    def value_at_start(self) -> NDArray[np.float64]:
        """[M] value of the line (`reward_tables.line_values`) where each run starts."""
        return self._at_lines(self.run_start)

    @cached_property
    def value_at_end(self) -> NDArray[np.float64]:
        """[M] value of the line where each run ends."""
        return self._at_lines(self.run_end)

    @cached_property
    def _span_lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """[K] and [K] rows of the lines where each span starts and ends."""
        first = self.tables.first_line.take(self.task).take(self.span_edit)
        return first + self.edits.start, first + self.edits.end

    def sum_runs(self, values: NDArray) -> NDArray[np.float64]:
        """Return [E] the sum over each edit's runs of values [M]."""
        return self.sum_edits(self.run_edit, values)

    def sum_spans(self, values: NDArray) -> NDArray[np.float64]:
        """Return [E] the sum over each edit's spans of values [K]."""
        return self.sum_edits(self.span_edit, values)

    def sum_edits(self, edit: NDArray[np.int64], values: NDArray) -> NDArray[np.float64]:
        """Return [E] the sum over each edit of values [n], whose edits are `edit` [n]."""
        sums = np.bincount(edit, weights=values, minlength=len(self.edits))
        return sums.astype(np.float64, copy=False)

    def _at_lines(self, lines: NDArray[np.int64]) -> NDArray[np.float64]:
        first = self.tables.first_line.take(self.task)
        return self.tables.line_value.take(first.take(self.run_edit) + lines)


def _edit_of_each(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [n] the edit of each row, from the row where each begins, and the number of rows."""
    return np.arange(len(first) - 1).repeat(first[1:] - first[:-1])
