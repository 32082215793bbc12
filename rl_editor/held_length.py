"""Which moves of edges have to be taken back so that a length holds.

Edges at one place, the end of a clip and the start of the next, move or stay together. With `K`
clips there are `K + 1` such places: before the first, at the joins, and after the last.

In: moves of the starts and ends of clips. Out: the places that keep theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def moves_within(moves_s: Values, goes_on: NDArray[np.bool_], room_s: float) -> NDArray[np.bool_]:
    """Return [K + 1] the places that keep their moves: those that change the length most go first.

    Args:
        moves_s: [K, 2] how far the start and the end of each clip move, in s of the source.
        goes_on: [K - 1] joins at which takes meet at the same place of a passage; these lose that
            last.
        room_s: by how much all moves together may change the length.
    """
    keep = np.ones(len(moves_s) + 1, dtype=bool)
    is_music = np.concatenate([[False], goes_on, [False]])[: len(keep)]
    padded = np.pad(moves_s, ((1, 1), (0, 0)))
    longer_s = padded[:-1, 1] - padded[1:, 0]
    while abs(drift_s := longer_s[keep].sum()) > room_s:
        same_way = np.where(keep, longer_s * np.sign(drift_s), 0.0)
        others = np.where(is_music, 0.0, same_way)
        first = others if others.max() > 0.0 else same_way
        keep[int(np.argmax(first))] = False
    return keep


def with_moves(moves_s: Values, keep: NDArray[np.bool_]) -> Values:
    """Return the moves [K, 2] of those places [K + 1] that keep them, and 0 at the others."""
    return moves_s * np.stack([keep[:-1], keep[1:]], axis=1)[: len(moves_s)]
