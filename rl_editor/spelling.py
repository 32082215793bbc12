"""Spelling a known edit in actions: which beats stay becomes KEEP and CUT of the right sizes.

In: `BeatGrid`, `keep` [N] bool. Out: the fewest actions, or for every cursor all right sizes.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType, Size
from rl_editor.grid import BeatGrid
from rl_editor.grid_lines import GridLines


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


def sizes_within(grid: BeatGrid, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return [N, 5] the sizes from each beat whose span has one label; BEAT always has.

    `labels` is [N]; the sizes are those that KEEP may have.
    """
    lines = GridLines.of(grid)
    changes = np.append(np.flatnonzero(np.diff(labels)) + 1, grid.n_beats)
    run_end = changes[np.searchsorted(changes, np.arange(grid.n_beats), side="right")]
    return lines.size_allowed[:, ActionType.KEEP] & (lines.span_end[:-1] <= run_end[:, None])
