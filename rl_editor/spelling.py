"""Sizes that spell a known edit: the fewest for a stretch of beats, or all right ones at a beat.

In: `GridLines` or `BeatGrid`, beats. Out: `Size`s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import ActionType, Size
from rl_editor.grid import BeatGrid
from rl_editor.grid_lines import GridLines


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
