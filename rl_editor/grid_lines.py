"""Where a span that begins at a beat ends, for each size, and which sizes say something new.

Everything here follows from the grid alone, so it is computed once for a recording and shared
by all edit states of it. A size counts lines of the grid: BEAT one beat, BAR one bar line,
TWO_BARS two, PHRASE one phrase line, TWO_PHRASES two. The file's start and end are lines.

In: `BeatGrid`. Out: `GridLines`, tables over cursors `N` and the five sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_SIZES, N_TYPES, ActionType, Size
from rl_editor.grid import BeatGrid


@dataclass(frozen=True, eq=False)
class GridLines:
    """Tables of where each size leads from each cursor; row `N` is the file's end.

    Attributes:
        span_end: [N + 1, 5] beat where the span ends, cut off at the file's end.
        second_end: [N + 1, 5] where a second span of the same size after it ends.
        back_to: [N + 1, 5] the previous boundary of that size, 0 when there is none.
        second_back_to: [N + 1, 5] the second previous one, 0 when there is none.
        size_allowed: [N, 20, 5] sizes that act, each unlike every smaller one allowed for the
            type; what depends on the edit so far is not in it.
    """

    span_end: NDArray[np.int64]
    second_end: NDArray[np.int64]
    back_to: NDArray[np.int64]
    second_back_to: NDArray[np.int64]
    size_allowed: NDArray[np.bool_]

    @classmethod
    def of(cls, grid: BeatGrid) -> GridLines:
        """Return the tables of a grid."""
        n_beats = grid.n_beats
        bars, phrases = grid.bar_lines(), grid.phrase_lines()
        beats = np.arange(n_beats + 1)
        steps = {
            Size.BEAT: (beats, 1),
            Size.BAR: (bars, 1),
            Size.TWO_BARS: (bars, 2),
            Size.PHRASE: (phrases, 1),
            Size.TWO_PHRASES: (phrases, 2),
        }
        span_end = np.stack([_ahead(beats, *steps[size]) for size in Size], axis=1)
        back_to = np.stack([_back(beats, *steps[size]) for size in Size], axis=1)
        columns = np.arange(N_SIZES)
        ahead = span_end, span_end[span_end, columns]
        back = back_to, back_to[back_to, columns]
        return cls(*ahead, *back, _size_allowed(ahead, back))

    @property
    def n_beats(self) -> int:
        """Number of beats, `N`."""
        return len(self.size_allowed)


def _ahead(beats: NDArray[np.int64], lines: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return for each beat the `count`-th line after it, or the last line."""
    following = np.searchsorted(lines, beats, side="right") + count - 1
    return lines[np.minimum(following, len(lines) - 1)]


def _back(beats: NDArray[np.int64], lines: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return for each beat the `count`-th line before it, or the first line."""
    previous = np.searchsorted(lines, beats, side="left") - count
    return lines[np.maximum(previous, 0)]


def _size_allowed(
    ahead: tuple[NDArray[np.int64], NDArray[np.int64]],
    back: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.bool_]:
    """Return [N, 20, 5] True where a size acts and differs from all smaller ones that do.

    `ahead` and `back` are the first and the second place of each size, [N + 1, 5] each.
    """
    n_beats = len(ahead[0]) - 1
    allowed = np.repeat(_unlike_smaller(ahead[0])[:, None, :], N_TYPES, axis=1)
    allowed[:, ActionType.SKIP] = _unlike_smaller(ahead[1])
    # Both places count: as one number.
    allowed[:, ActionType.JUMP_BACK] = _unlike_smaller(back[0] * (n_beats + 1) + back[1])
    allowed[:, ActionType.SWAP_NEXT] = _unlike_smaller(ahead[0] * (n_beats + 1) + ahead[1])
    allowed[:, ActionType.SWAP_NEXT] &= ahead[0] < n_beats
    allowed[0, ActionType.JUMP_BACK] = False
    allowed = allowed[:n_beats]
    allowed.flags.writeable = False
    return allowed


def _unlike_smaller(targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return [N + 1, 5] True where a size leads elsewhere than every smaller one."""
    same = targets[:, :, None] == targets[:, None, :]
    return ~np.any(np.tril(same, k=-1), axis=2)
