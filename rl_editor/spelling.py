"""Spelling a known edit in actions: which beats stay becomes KEEP and CUT of the right sizes.

In: `BeatGrid`, `keep` [N] bool. Out: the fewest actions, or for every cursor all right ones.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType, Size
from rl_editor.grid import BeatGrid
from rl_editor.grid_lines import GridLines

ACCEPTABLE_TYPES = (ActionType.KEEP, ActionType.CUT)
"""Order of the second axis of `acceptable_actions`."""


def spell(grid: BeatGrid, keep: NDArray[np.bool_]) -> tuple[Action, ...]:
    """Return the fewest KEEP and CUT actions that leave exactly the beats of `keep` [N]."""
    edges = [0, *(np.flatnonzero(np.diff(keep)) + 1).tolist(), grid.n_beats]
    lines = GridLines.of(grid)
    actions: list[Action] = []
    for start, end in itertools.pairwise(edges):
        kind = ActionType.KEEP if keep[start] else ActionType.CUT
        actions += [Action(kind, size) for size in largest_sizes(lines, start, end)]
    return tuple(actions)


def largest_sizes(lines: GridLines, start: int, end: int) -> tuple[Size, ...]:
    """Return the fewest sizes whose spans, one after the other, cover beats `[start, end)`.

    Taking the farthest reach that fits is the fewest: from a later cursor some size always
    reaches at least as far as from an earlier one.
    """
    sizes: list[Size] = []
    while start < end:
        reach = lines.span_end[start]
        size = Size(int(np.argmax(np.where(reach <= end, reach, -1))))
        sizes.append(size)
        start = int(reach[size])
    return tuple(sizes)


def acceptable_actions(grid: BeatGrid, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return [N, 2, 5] which of KEEP and CUT (`ACCEPTABLE_TYPES`) are right, in which sizes.

    Right at a cursor is every allowed size whose span is wanted, or unwanted, as a whole. At
    each beat that is at least the size BEAT of one of the two types.
    """
    n_beats = grid.n_beats
    lines = GridLines.of(grid)
    changes = np.append(np.flatnonzero(np.diff(keep)) + 1, n_beats)
    run_end = changes[np.searchsorted(changes, np.arange(n_beats), side="right")]
    fits = lines.span_end[:-1] <= run_end[:, None]
    right = np.stack([keep, ~keep], axis=1)
    return lines.size_allowed[:, ACCEPTABLE_TYPES] & fits[:, None, :] & right[:, :, None]
