"""Other beats on which two passages can meet, where they cannot meet well on their own.

A cut may have been decided a beat or two from where the music breaks off, or in a chord that the
other take does not play. Then both edges may move by whole beats, together or apart by whole bars,
as far as the editor was not sure of the beats between: what goes, and what comes back, costs its
log-odds.

In: two clips with hard cuts, the beats, and how sure the editor was of each. Out: the same two with
other edges, the least costly first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.grid import BeatGrid

MAX_BEATS = 8
"""An edge moves no further."""
MIN_CLIP_BEATS = 4
"""What stays of a clip."""
MAX_COST = 8.0
"""Nats: two beats that the editor was 98% sure of, or several that it was less sure of."""
COST_PER_BEAT = 0.1
"""Of movement, beside the log-odds."""
MAX_TRIES = 16


def other_beats(
    left: Clip,
    right: Clip,
    grid: BeatGrid,
    log_odds: NDArray[np.floating],
    keeps_length: bool = False,
) -> Iterator[tuple[Clip, Clip]]:
    """Yield up to 16 pairs of clips whose edges at their join lie on other beats.

    Args:
        left, right: clips of the source as it is, that meet.
        grid: `N` beats of the source.
        log_odds: [N] of each beat's belonging in the edit.
        keeps_length: the edges move alike.
    """
    if left.reverse or right.reverse or left.fade_out_s or right.fade_in_s:
        return
    edges_s = grid.edges_s
    times_s = (left.source_start_s, left.source_end_s, right.source_start_s, right.source_end_s)
    first, end, start, last = (int(np.abs(edges_s - time_s).argmin()) for time_s in times_s)
    worth = np.concatenate([[0.0], np.cumsum(log_odds)])
    found: list[tuple[float, int, int]] = []
    reach = range(-MAX_BEATS, MAX_BEATS + 1)
    for a, b in ((a, b) for a in reach for b in reach):
        if a == b == 0 or (a - b) % grid.meter or (keeps_length and a != b):
            continue
        new_end, new_start = end + a, start + b
        is_short = new_end - first < MIN_CLIP_BEATS or last - new_start < MIN_CLIP_BEATS
        if is_short or new_start < 0 or new_end > grid.n_beats:
            continue
        if end <= start and new_end >= new_start:  # nothing twice, and no join without a gap
            continue
        gained = worth[new_end] - worth[end] + worth[start] - worth[new_start]
        cost = COST_PER_BEAT * (abs(a) + abs(b)) - float(gained)
        if cost <= MAX_COST:
            found.append((cost, new_end, new_start))
    for _, new_end, new_start in sorted(found)[:MAX_TRIES]:
        yield (
            replace(left, source_end_s=float(edges_s[new_end])),
            replace(right, source_start_s=float(edges_s[new_start])),
        )
