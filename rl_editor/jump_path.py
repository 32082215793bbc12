"""The best path of one recording through another, when pieces were cut, moved or added.

Input: frame vectors of both (`frame_vectors`); output: for each frame of the first, the frame
of the second that it is, or FOREIGN. Method: Viterbi decoding with three moves: the path goes
on in step, jumps anywhere at a constant cost, or waits in a state for foreign material with a
constant similarity. Jump-allowing alignment is Fremerey, Müller and Clausen 2010 ("Handling
repeats and jumps in score-performance synchronization"); without a change of speed its
steps reduce to the diagonal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOREIGN = -1
"""Stands for a frame that is not in the other recording."""
FOREIGN_SIMILARITY = 0.6
"""Similarity that foreign material gets: unrelated music reaches about 0.5 by jumping."""
JUMP_COST = 4.0
"""Loss of a jump, in frames of full similarity: cuts closer than about 0.4 s are missed."""
_ROW_BLOCK = 64


def jump_path(
    edit: NDArray[np.float32], raw: NDArray[np.float32], jump_cost: float = JUMP_COST
) -> NDArray[np.int64]:
    """Return [T] the raw frame of each edit frame, or FOREIGN.

    Args:
        edit: [T, D] vectors whose dot products are similarities; zero rows are silence, which
            goes on where the frame before it was.
        raw: [J, D] the same for the other recording.
        jump_cost: loss of one jump.

    Memory: one bit for each pair of frames.
    """
    n_edit, n_raw = len(edit), len(raw)
    jumped = np.empty((n_edit, (n_raw + 7) // 8), np.uint8)
    foreign_jumped = np.empty(n_edit, bool)
    best_before = np.empty(n_edit, np.int64)
    foreign_similarity = FOREIGN_SIMILARITY * np.any(edit != 0, axis=1)
    score, after = np.zeros(n_raw, np.float32), np.zeros(n_raw, np.float32)
    foreign = np.float32(0)
    step_jumped = np.ones(n_raw, bool)
    for t in range(n_edit):
        if t % _ROW_BLOCK == 0:
            similarity = edit[t : t + _ROW_BLOCK] @ raw.T
        state = int(score.argmax())
        best = max(score[state], foreign)
        best_before[t] = state if score[state] >= foreign else FOREIGN
        # Scores are kept relative to the best one: sums over hours would lose float32 digits.
        np.subtract(score[:-1], best, out=after[1:])
        np.less(after[1:], -jump_cost, out=step_jumped[1:])
        np.maximum(after[1:], -jump_cost, out=after[1:])
        after[0] = -jump_cost if t else 0.0
        after += similarity[t % _ROW_BLOCK]
        jumped[t] = np.packbits(step_jumped)
        foreign_jumped[t] = foreign - best < -jump_cost
        foreign = np.float32(max(foreign - best, -jump_cost) + foreign_similarity[t])
        score, after = after, score
    last = int(score.argmax())
    last = last if score[last] >= foreign else FOREIGN
    return _trace(last, jumped, foreign_jumped, best_before)


def _trace(
    state: int,
    jumped: NDArray[np.uint8],
    foreign_jumped: NDArray[np.bool_],
    best_before: NDArray[np.int64],
) -> NDArray[np.int64]:
    path = np.empty(len(jumped), np.int64)
    for t in range(len(jumped) - 1, -1, -1):
        path[t] = state
        if state == FOREIGN:
            if foreign_jumped[t]:
                state = int(best_before[t])
        elif jumped[t, state >> 3] >> (7 - (state & 7)) & 1:
            state = int(best_before[t])
        else:
            state -= 1
    return path
