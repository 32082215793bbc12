"""Which beats of the source many edits have in their output, and since when they keep or cut.

In: steps of cursors, [E] each. Out: what `observation` asks of the output before a cursor.
Shapes: `E` edits, `R` rows of them, `W` beats asked about.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.span_lists import Rows, ranges

RUN_WINDOW = 128
"""Beats that a search for the last change between heard and not looks at in one go."""


class HeardBeats:
    """Beats that `E` edits have played.

    Attributes:
        beats: [E, longest N] bool, True where a beat is in the output; a view.
        run_beats: [E] int64, beats before the cursor since the last change between beats that
            are in the output and beats that are not.
    """

    def __init__(self, n_edits: int, n_beats: int) -> None:
        """Set up edits that have played nothing, of recordings of at most `n_beats`."""
        self.run_beats = np.zeros(n_edits, dtype=np.int64)
        # False before the first beat, where searches and missing copies look.
        self._padded = np.zeros((n_edits, RUN_WINDOW + n_beats), dtype=bool)
        self.beats = self._padded[:, RUN_WINDOW:]
        self._first = np.arange(n_edits) * self._padded.shape[1] + RUN_WINDOW
        self._windows = np.lib.stride_tricks.sliding_window_view(self._padded, RUN_WINDOW, axis=1)
        self._frontier = np.zeros(n_edits, dtype=np.int64)  # nothing from here on was heard
        self._last_heard = np.zeros(n_edits, dtype=bool)  # whether the beat before the cursor was

    def clear(self, rows: Rows) -> None:
        """Start anew in some edits."""
        self._padded[rows] = False
        for state in (self.run_beats, self._frontier, self._last_heard):
            state[rows] = 0

    def are_heard(self, rows: Rows, beats: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return [R, W] whether beats of the source [R, W] are in the output; -1 never is."""
        return self._padded.reshape(-1).take(self._first[rows][:, None] + beats)

    def go_on(
        self, cursor: NDArray[np.int64], following: NDArray[np.int64], is_heard: NDArray[np.bool_]
    ) -> None:
        """Move all cursors [E]; the beats on the way are heard or left out.

        The run goes on or begins anew with the action, except where beats that it leaves out were
        heard before or the cursor goes back: there it is looked up.
        """
        n_beats = following - cursor
        self._padded.reshape(-1)[ranges(self._first + cursor, n_beats * is_heard)] = True
        stays = n_beats == 0
        self.run_beats *= (is_heard == self._last_heard) | stays
        self.run_beats += n_beats
        np.copyto(self._last_heard, is_heard, where=~stays)
        unknown = ~is_heard & (cursor < self._frontier) & ~stays | (n_beats < 0)
        np.maximum(self._frontier, following, out=self._frontier)
        rows = unknown.nonzero()[0]
        if len(rows):
            self._look_up_run(rows, following[rows])

    def _look_up_run(self, rows: Rows, cursor: NDArray[np.int64]) -> None:
        last = self._padded[rows, RUN_WINDOW + cursor - 1]
        self._last_heard[rows] = last
        left, until, run = np.arange(len(rows)), cursor.copy(), np.zeros_like(cursor)
        while len(left):
            changed = self._windows[rows[left], until[left]] != last[left, None]
            n_same = changed[:, ::-1].argmax(axis=1)
            none = ~changed[np.arange(len(left)), RUN_WINDOW - 1 - n_same]
            run[left] += np.where(none, RUN_WINDOW, n_same)
            until[left] -= RUN_WINDOW
            left = left[none & (until[left] > 0)]
        self.run_beats[rows] = np.minimum(run, cursor)
