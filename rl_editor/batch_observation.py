"""The context of a whole batch of edits at once; `observation` says what the numbers mean.

In: `Track`s, an `EditBatch` of them. Out: [R, K] float32, columns `observation.CONTEXT_NAMES`.
Shapes: `R` edits, `M` rows: for each recording its N beats and its end, as in `edit_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.edit_batch import EditBatch
from rl_editor.heard_beats import COPIES_AHEAD, LaterCopies, stretches, unpacked
from rl_editor.observation import NO_COPY, CopyTable, Situations, context_columns
from rl_editor.span_lists import END, Rows
from rl_editor.track import Track


@dataclass(frozen=True, eq=False)
class ContextTables:
    """What the context needs of all recordings; fields as in `observation.CopyTable`.

    Attributes:
        total_s: [recordings] seconds.
        passed_s: [M] seconds of the recording before the beat.
        match_earlier, match_later: [M] int64.
        later_ahead: [M, W] float32.
        earlier_ahead: [M] stretches of 48 float32, how like its earlier copy each of the beats
            ahead is; behind the recording's end, where nothing is heard, any number.
        later_copies: what edits of the recordings must know to be observed.
    """

    total_s: NDArray[np.float64]
    passed_s: NDArray[np.float64]
    match_earlier: NDArray[np.int64]
    match_later: NDArray[np.int64]
    later_ahead: NDArray[np.float32]
    earlier_ahead: NDArray[np.void]
    later_copies: LaterCopies

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> ContextTables:
        """Return the tables of some recordings."""
        tables = [CopyTable.from_track(track) for track in tracks]
        earlier = _laid_end_to_end([t.earlier for t in tables], 0.0)
        beyond = np.zeros(COPIES_AHEAD - 1, dtype=earlier.dtype)
        passed_s = [np.cumsum(np.append(0.0, t.durations_s))[:-1] for t in tables]
        return cls(
            total_s=np.array([float(t.durations_s.sum()) for t in tables]),
            passed_s=_laid_end_to_end(passed_s, 0.0),
            match_earlier=_laid_end_to_end([t.match_earlier for t in tables], NO_COPY),
            match_later=_laid_end_to_end([t.match_later for t in tables], NO_COPY),
            later_ahead=_laid_end_to_end([t.later_ahead for t in tables], 0.0),
            earlier_ahead=stretches(np.append(earlier, beyond), COPIES_AHEAD),
            later_copies=LaterCopies.of([t.match_earlier for t in tables]),
        )


def observe_batch(
    tables: ContextTables, batch: EditBatch, rows: Rows | slice, target: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return [R, K] the context of some edits of a batch, none of them done.

    Args:
        tables: of the recordings of the batch.
        batch: the edits, set up with `tables.later_copies`.
        rows: [R] which of them, or `slice(None)` for all.
        target: [R] share of each recording that should stay, NaN where nobody asked.
    """
    recording, cursor = batch.recording[rows], batch.cursor[rows]
    row, n_beats = batch.row[rows], batch.tables.n_beats.take(recording)
    first, last_kept = row - cursor, batch.last[rows, END].astype(np.int64) - 1
    # Behind the last beat nothing follows: the last one stands for it.
    following = np.minimum(last_kept + 1, n_beats - 1)
    heard = batch.heard.copies_ahead(rows, cursor)
    return context_columns(
        Situations(
            cursor=cursor,
            beats_left=n_beats - cursor,
            passed_s=tables.passed_s.take(row),
            total_s=tables.total_s.take(recording),
            target=target,
            last_kept=last_kept,
            output_s=batch.output_s[rows],
            run_beats=batch.heard.run_beats[rows],
            earlier_here=tables.match_earlier.take(row),
            following=following,
            later_of_following=tables.match_later.take(first + following),
            heard=heard,
            likeness=heard.astype(np.float32) * unpacked(tables.earlier_ahead[row], np.float32),
            later_ahead=tables.later_ahead.take(row, axis=0),
        )
    )


def _laid_end_to_end(parts: Sequence[NDArray], beyond: float) -> NDArray:
    """Return [M, ...] the values of all recordings, with `beyond` behind each."""
    padded = []
    for values in parts:
        padded += [values, np.full((1, *values.shape[1:]), beyond, dtype=values.dtype)]
    return np.concatenate(padded)
