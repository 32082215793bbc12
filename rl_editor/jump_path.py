"""The best path of one recording through another, when pieces were cut, moved or added.

Input: frame vectors of both (`frame_vectors`), the second at one or several pitches; output: for
each frame of the first, the frame and pitch of the second that it is, or FOREIGN. Method: Viterbi
decoding with four moves: the path goes on in step, slips by a frame where the speed differs, jumps
anywhere at a constant cost, or waits in a state for foreign material with a constant
similarity. Jump-allowing alignment is Fremerey, Müller and Clausen 2010 ("Handling repeats and
jumps in score-performance synchronization"); steps and slips are those of dynamic time warping.
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
SLIP_COST = 0.8
"""Loss of a slip by one frame: 8% of speed cost one every 12 frames. From five frames on a jump is
cheaper, or short cuts would be taken for a change of speed."""
_ROW_BLOCK = 64


def jump_path(
    edit: NDArray[np.float32],
    raw: NDArray[np.float32],
    jump_cost: float = JUMP_COST,
    slip_cost: float | None = None,
) -> NDArray[np.int64]:
    """Return [T] the raw frame of each edit frame, or FOREIGN; with pitches, `pitch * J + frame`.

    Args:
        edit: [T, D] vectors whose dot products are similarities; zero rows are silence, which
            goes on where the frame before it was.
        raw: [J, D] the same for the other recording, or [P, J, D] at several pitches; the path
            changes its pitch only by jumping.
        jump_cost: loss of one jump.
        slip_cost: loss of staying on a frame or leaving one out; None forbids it.

    Memory: one bit for each pair of frames, three with slips.
    """
    planes = raw if raw.ndim == 3 else raw[None]
    n_frames = planes.shape[1]
    flat = planes.reshape(-1, planes.shape[2])
    n_edit, n_states = len(edit), len(flat)
    starts = np.arange(0, n_states, n_frames)
    steps = np.empty((n_edit, 1 if slip_cost is None else 3, (n_states + 7) // 8), np.uint8)
    foreign_jumped, best_before = np.empty(n_edit, bool), np.empty(n_edit, np.int64)
    foreign_similarity = FOREIGN_SIMILARITY * np.any(edit != 0, axis=1)
    score, after, slipped = np.zeros((3, n_states), np.float32)
    foreign = np.float32(0)
    for t in range(n_edit):
        if t % _ROW_BLOCK == 0:
            similarity = edit[t : t + _ROW_BLOCK] @ flat.T
        state = int(score.argmax())
        best = max(score[state], foreign)
        best_before[t] = state if score[state] >= foreign else FOREIGN
        # Scores are kept relative to the best one: sums over hours would lose float32 digits.
        score -= best
        after[1:] = score[:-1]
        after[starts] = -np.inf
        if slip_cost is not None:
            score -= slip_cost
            steps[t, 1], steps[t, 2] = _slip(score, after, slipped, n_frames)
        steps[t, 0] = np.packbits(after < -jump_cost)
        np.maximum(after, -jump_cost if t else 0.0, out=after)
        after += similarity[t % _ROW_BLOCK]
        foreign_jumped[t] = foreign - best < -jump_cost
        foreign = np.float32(max(foreign - best, -jump_cost) + foreign_similarity[t])
        score, after = after, score
    last = int(score.argmax())
    last = last if score[last] >= foreign else FOREIGN
    return _trace(last, steps, foreign_jumped, best_before)


def _slip(
    score: NDArray[np.float32],
    after: NDArray[np.float32],
    slipped: NDArray[np.float32],
    n_frames: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Raise `after` to the scores of slips, and return the bits of which slipped and which skipped.

    All are [P * J]; `slipped` is overwritten.
    """
    planes = slipped.reshape(-1, n_frames)
    planes[:, :2] = -np.inf
    planes[:, 2:] = score.reshape(-1, n_frames)[:, :-2]
    skipped = slipped > score
    np.maximum(slipped, score, out=slipped)
    flags = slipped > after
    np.maximum(slipped, after, out=after)
    return np.packbits(flags), np.packbits(skipped)


def _trace(
    state: int,
    steps: NDArray[np.uint8],
    foreign_jumped: NDArray[np.bool_],
    best_before: NDArray[np.int64],
) -> NDArray[np.int64]:
    path = np.empty(len(steps), np.int64)
    for t in range(len(steps) - 1, -1, -1):
        path[t] = state
        if state == FOREIGN:
            if foreign_jumped[t]:
                state = int(best_before[t])
            continue
        bits = (steps[t, :, state >> 3] >> (7 - (state & 7))) & 1
        if bits[0]:
            state = int(best_before[t])
        elif len(bits) == 1 or not bits[1]:
            state -= 1
        elif bits[2]:
            state -= 2
    return path
