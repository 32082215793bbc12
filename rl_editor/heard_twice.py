"""A passage on both sides of a cut: the track must not play it twice.

Musicians who stop go back a little, or to the top, and go on from there. Where a kept passage
ends as a copy of what the next kept passage begins with, and something between them was cut,
the first copy goes: players stop because of what they just played. Copies come from the
recording's own likeness to itself (`recurrence`), so nothing here is learnt.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from rl_editor.kept_runs import runs_of
from rl_editor.observation import CopyTable

COPY_LIKENESS = 0.8
"""Likeness (as in `recurrence`; a cosine of 0.84) at which the copy must begin."""
GOES_ON_LIKENESS = 0.55
"""Likeness that counts as the same passage after that."""
SAME_SHARE = 0.8
"""Share of the beats of the copy that must be alike and in step."""
START_BEATS, STEP_BEATS = 1, 2
"""How far the copy's start may be from the join, and its beats from each other: the grid may
have lost or gained one."""


def without_heard_twice(keep: NDArray[np.bool_], table: CopyTable) -> NDArray[np.bool_]:
    """Return an edit [N] in which no join lies between two copies of one passage.

    Args:
        keep: [N] the beats that the edit keeps, in the order of the recording.
        table: of the recording's copies.
    """
    kept = keep.copy()
    joins = _joins(kept)
    while joins:
        start, end, resumed = joins.pop(0)
        repeated = _repeated_from(start, end, resumed, table)
        if repeated < end:
            kept[repeated:end] = False
            joins = _joins(kept)
    return kept


def _joins(keep: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return (start and end of a kept run, start of the next one) for each join."""
    runs = runs_of(keep).tolist()
    return [(a, b, c) for (a, b), (c, _) in itertools.pairwise(runs)]


def _repeated_from(start: int, end: int, resumed: int, table: CopyTable) -> int:
    """Return the first beat of [start, end) from which all comes again from `resumed` on.

    It is `end` when nothing does.
    """
    beats = np.arange(start, end)
    match, likeness = table.match_later[start:end], table.later[start:end]
    begins = (np.abs(match - resumed) <= START_BEATS) & (likeness >= COPY_LIKENESS)
    for first in np.flatnonzero(begins):
        lag = match[first:] - beats[first:]
        in_step = np.abs(lag - (resumed - beats[first])) <= STEP_BEATS
        if np.mean(in_step & (likeness[first:] >= GOES_ON_LIKENESS)) >= SAME_SHARE:
            return int(beats[first])
    return end
