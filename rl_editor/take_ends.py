"""Where takes begin and end: does a passage go on where its copy stops, or the other way round.

In: a `Track`. Out: eight numbers a beat. Of two takes of one piece the one that was broken off
stops in the middle of what the other plays on. At a single beat nothing tells that; both ends of
the repeat that the beat is in do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.track import Track

TAKE_END_NAMES = tuple(
    f"{direction}_{what}"
    for direction in ("later", "earlier")
    for what in ("goes_on", "copy_goes_on", "was_going_on", "copy_was_going_on")
)
"""Columns of `take_ends`, for the later and then for the earlier copy.

A repeat is the longest run of beats around this one whose copies follow each other, too. `goes_on`
and `copy_goes_on`: share of the `LOOKED_AT` beats after its end, here and after its copy, in which
music plays; `was_going_on`, `copy_was_going_on`: the same before its beginning. 0 without a copy.
"""
LOOKED_AT = 4
"""Beats after the end, or before the beginning, of a repeat."""
SLACK_BEATS = 1
"""Beats by which a copy may run ahead or fall behind from one beat to the next."""


def take_ends(track: Track) -> NDArray[np.float32]:
    """Return [N, 8] in [0, 1], columns `TAKE_END_NAMES`."""
    plays = track.grid.confidence > 0.0
    columns = [
        column
        for match in (track.match_later, track.match_earlier)
        for column in _of_one_side(np.asarray(match), plays)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _of_one_side(match: NDArray[np.int64], plays: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the four columns [N] of copies `match` [N], -1 where there is none."""
    has_copy = match >= 0
    step = np.diff(match)
    goes_with = has_copy[1:] & has_copy[:-1] & (np.abs(step - 1) <= SLACK_BEATS)
    starts_run, ends_run = np.append(True, ~goes_with), np.append(~goes_with, True)
    run = np.cumsum(starts_run) - 1
    first, last = np.flatnonzero(starts_run)[run], np.flatnonzero(ends_run)[run]
    after, before = _playing_after(plays), _playing_after(plays[::-1])[::-1]
    sides = (after[last], after[match[last]], before[first], before[match[first]])
    return [np.where(has_copy, side, 0.0) for side in sides]


def _playing_after(plays: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return [N] the share of the `LOOKED_AT` beats after each that play; none do after the end."""
    total = np.concatenate([[0], np.cumsum(plays), np.full(LOOKED_AT, plays.sum())])
    return (total[1 + LOOKED_AT :] - total[1:-LOOKED_AT]) / LOOKED_AT
