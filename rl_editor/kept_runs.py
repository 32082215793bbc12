"""An edit as runs: the half-open ranges of beats that it keeps, in the order of the recording.

In: an edit [N]. Out: its runs [R, 2], and back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs_of(keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs [R, 2] of beats that an edit [N] keeps."""
    padded = np.concatenate([[False], keep, [False]])
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def kept(runs: NDArray[np.int64], n_beats: int) -> NDArray[np.bool_]:
    """Return the edit [N] that keeps the beats of runs [R, 2]."""
    steps = np.zeros(n_beats + 1, dtype=np.int64)
    np.add.at(steps, runs[:, 0], 1)
    np.add.at(steps, runs[:, 1], -1)
    return np.cumsum(steps[:-1]) > 0
