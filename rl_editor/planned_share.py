"""The likeliest edit that keeps a given share of a recording.

One bias on all answers of a policy (Lagrangian relaxation, Everett 1963) does not reach every
share: long passages come and go as wholes, and what is equally sure comes at once. So the path is
searched for every length that the edit can have (Viterbi over time and length, as in Bellman's
solution of the knapsack problem), which gives the best edit of that length under the same costs.
A kept passage lasts a bar at least: what only fills up a share must not become a snippet.

In: a policy's log-odds [N] given an edit. Out: the beats [N] to keep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.grid import BeatGrid
from rl_editor.kept_runs import runs_of
from rl_editor.wishes import BeatWishes

LEAST_QUANTA = 1000
QUANTA_PER_BEAT = 2
"""Parts in which a length is counted, of a recording and of a beat of a long one on average. Were
beats shorter than a part, many would be rounded to nothing, and a search would take those."""
MOST_OFF = 0.04
"""Most by which a share may be missed where half a bar is more; the promise is 0.05."""
SURE = 5.0
"""Most that a beat is worth, nats, approached smoothly: which of two beats is the surer says little
beyond a probability of 0.99, and an edit that chose among those would fall to pieces. Tuned on 72
sessions: of 3 to 10 and no limit it gave the highest rewards, and a third fewer joins than none."""
_MOST_TRIES = 8
"""Searches with what the ones before had to leave out; on 72 sessions 4 were enough."""
_NO_JOIN = 1e6
"""Cost of a change at which the edit is one passage from the start or to the end, in nats."""
_NEVER = 100.0
"""Nats by which a beat is worth less than any other that is kept where nothing else is left."""
_FORCED = 1e4
"""Nats that a beat which is asked for is worth; more than all others together can cost."""


@dataclass(frozen=True)
class ShareSearch:
    """How the edit of a given share is found.

    Attributes:
        odds_given: log-odds [N] of keeping against cutting every beat, given the edit [N].
        drawback: [N] nats by which a beat is worth less than its log-odds say.
        finished: takes out of an edit [N] what must not stay together, and grants the wishes.
        grid: of the recording.
        cost: [N] nats of changing between keeping and cutting at the start of each beat.
        max_rounds: of the fixed-point iteration.
        wishes: what is asked for, and what is not.
    """

    odds_given: Callable[[NDArray[np.bool_]], NDArray[np.float64]]
    drawback: NDArray[np.float64]
    finished: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
    grid: BeatGrid
    cost: NDArray[np.float64]
    max_rounds: int
    wishes: BeatWishes

    @property
    def _least_beats(self) -> int:
        """How many beats a kept passage has at least."""
        return max(_bar(self.grid), min(self.wishes.least_beats, self.grid.n_beats))

    def edit(self, share: float) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return the edit [N] that keeps about `share` of the time, and the odds [N] given it.

        What has to leave the likeliest edit, as a copy or as a snippet beside one, is worth nothing
        in the next search, so that something else takes its place. Of music that loops, any join
        may lie between copies: where the share is missed, it is one passage without a join.
        """
        best = self._nearest(share)
        missed = abs(kept_share(best, self.grid) - share)
        if missed > _tolerance(self.grid) + least_share(self.grid):
            whole = replace(self, cost=np.full(self.grid.n_beats, _NO_JOIN))._nearest(share)
            best = whole if abs(kept_share(whole, self.grid) - share) < missed else best
        return best, self.odds_given(best)

    def _nearest(self, share: float) -> NDArray[np.bool_]:
        """Return the edit nearest to a share of those that the tries come to."""
        grid, least = self.grid, least_share(self.grid)
        tolerance = _tolerance(grid) + least
        keep, banned = np.ones(grid.n_beats, dtype=bool), np.zeros(grid.n_beats, dtype=bool)
        best, nearest, wish = keep, np.inf, share
        for _ in range(_MOST_TRIES):
            keep = self._settled(keep, banned, wish)
            left = self._without_snippets(keep)
            banned |= keep & ~left
            off = abs(kept_share(left, grid) - share)
            if off < nearest:
                best, nearest = left, off
            if off <= tolerance:
                break
            if np.array_equal(left, keep):  # the lengths were rounded to quanta
                wish = min(max(wish + share - kept_share(keep, grid), least), 1.0)
        return best

    def _settled(
        self, keep: NDArray[np.bool_], banned: NDArray[np.bool_], share: float
    ) -> NDArray[np.bool_]:
        """Return the edit of a share that agrees with the answers to itself, or the last one."""
        weight = self.grid.durations_s / np.median(self.grid.durations_s)
        for _ in range(self.max_rounds):
            worth = _bounded(self.odds_given(keep)) - self.drawback
            worth = np.where(banned, worth.min() - _NEVER, worth) * weight
            worth += _FORCED * (self.wishes.keep * 1.0 - self.wishes.drop)
            path = path_of_share(worth, self.cost, self.grid, share, self._least_beats)
            before, keep = keep, path
            if np.array_equal(before, keep):
                break
        return keep

    def _without_snippets(self, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return an edit without copies, and without passages that are shorter than a bar."""
        while True:
            left = self.finished(keep).copy()
            for start, end in runs_of(left).tolist():
                is_short = end - start < self._least_beats
                if is_short and not self.wishes.keep[start:end].any():
                    left[start:end] = False
            if np.array_equal(left, keep):
                return left
            keep = left


def _bounded(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [N] log-odds that do not rise above `SURE`."""
    return np.where(log_odds > 0.0, SURE * np.tanh(log_odds / SURE), log_odds)


def least_share(grid: BeatGrid) -> float:
    """Return the share of a recording that one quantum is, in which lengths are counted."""
    return 1.0 / _quanta(grid)


def _quanta(grid: BeatGrid) -> int:
    """Return in how many quanta a recording is counted."""
    return max(LEAST_QUANTA, QUANTA_PER_BEAT * grid.n_beats)


def kept_share(keep: NDArray[np.bool_], grid: BeatGrid) -> float:
    """Return the share of a recording's time that an edit [N] keeps."""
    return float((grid.durations_s * keep).sum() / grid.duration_s)


def path_of_share(
    value: NDArray[np.float64],
    cost: NDArray[np.float64],
    grid: BeatGrid,
    share: float,
    least_beats: int | None = None,
) -> NDArray[np.bool_]:
    """Return [N] the edit worth most among those that keep `share` of the time to half a bar.

    That is 0.04 of the recording at most; where no edit comes so near, it is of the nearest length.
    Lengths are counted in quanta: where beats are uneven, many passages add up to some error.

    Args:
        value: [N] what keeping each beat is worth, finite; below 0 where cutting it is better.
        cost: [N] of changing between keeping and cutting at the start of each beat.
        grid: of the recording.
        share: of the recording's time, in [0, 1].
        least_beats: that a kept passage has; a bar unless more are asked for.
    """
    table = _Table.filled(value, cost, grid, least_beats or _bar(grid))
    tolerance = min(_tolerance(grid), 1.0 - share)  # all is all
    length, is_kept = table.best_end(share, tolerance)
    return table.path_to(length, is_kept)


def _tolerance(grid: BeatGrid) -> float:
    """Return by which share of the recording an edit may be too long or too short: half a bar."""
    half_bar_s = 0.5 * grid.meter * float(np.median(grid.durations_s))
    return min(half_bar_s / grid.duration_s, MOST_OFF)


def _bar(grid: BeatGrid) -> int:
    """Return the beats that a kept passage has at least."""
    return min(grid.meter, grid.n_beats)


@dataclass(frozen=True)
class _Table:
    """The best edits of the first `n` beats of every length `Q`.

    Attributes:
        edge: [N + 1] quanta before each line of the grid.
        bar: beats that a kept passage has at least.
        ends_cut, ends_kept: [Q] worth of the best whole edit that cuts or keeps the last beat.
        closed: [N + 1, Q] the best edit that cuts the beat before line n keeps the one before that.
        opened: [N + 1, Q] the best edit that keeps the bar before line n cuts the beat before that.
            Eight lengths to a byte, both: of four hours they take 0.4 GB.
    """

    edge: NDArray[np.int64]
    bar: int
    ends_cut: NDArray[np.float64]
    ends_kept: NDArray[np.float64]
    closed: NDArray[np.uint8]
    opened: NDArray[np.uint8]

    @classmethod
    def filled(
        cls, value: NDArray[np.float64], cost: NDArray[np.float64], grid: BeatGrid, bar: int
    ) -> _Table:
        """Return the table, filled line by line."""
        n_beats, quanta = grid.n_beats, _quanta(grid)
        edge = np.rint(grid.edges_s / grid.duration_s * quanta).astype(np.int64)
        worth = np.concatenate([[0.0], np.cumsum(value)])
        change = np.where(np.arange(n_beats) > 0, cost, 0.0)
        closed = np.zeros((n_beats + 1, quanta // 8 + 1), dtype=np.uint8)
        opened = np.zeros_like(closed)
        kept = np.full(quanta + 1, -np.inf)
        cut = kept.copy()
        cut[0] = 0.0
        cuts = [cut]  # of the last `bar` lines
        for line in range(1, n_beats + 1):
            longer = _later(kept, edge[line] - edge[line - 1]) + value[line - 1]
            closing = kept - change[line - 1]
            closed[line] = np.packbits(closing > cut)
            cut = np.maximum(cut, closing)
            kept = longer
            if line >= bar:
                first = line - bar
                begun = _later(cuts[0], edge[line] - edge[first])
                begun += worth[line] - worth[first] - change[first]
                opened[line] = np.packbits(begun > longer)
                kept = np.maximum(longer, begun)
            cuts = [*cuts[-bar + 1 :], cut] if bar > 1 else [cut]
        return cls(edge, bar, cut, kept, closed, opened)

    def best_end(self, share: float, tolerance: float) -> tuple[int, bool]:
        """Return how long the best edit near a share is, and whether it keeps the last beat."""
        worth = np.maximum(self.ends_cut, self.ends_kept)
        distance = np.abs(np.arange(len(worth)) / (len(worth) - 1) - share)
        reachable = np.isfinite(worth)
        reachable[0] = share <= 0.0  # who asks for little does not ask for nothing
        limit = max(tolerance, float(distance[reachable].min()))
        near = np.where(reachable & (distance <= limit), worth, -np.inf)
        length = int(near.argmax())
        return length, bool(self.ends_kept[length] > self.ends_cut[length])

    def path_to(self, length: int, is_kept: bool) -> NDArray[np.bool_]:
        """Return [N] the best edit of a length that keeps or cuts the last beat."""
        line = len(self.edge) - 1
        keep = np.zeros(line, dtype=bool)
        while line > 0:
            if not is_kept:
                is_kept = _bit(self.closed[line], length)
                line -= 1
                continue
            is_kept = not _bit(self.opened[line], length)
            first = line - 1 if is_kept else line - self.bar
            keep[first:line] = True
            length -= int(self.edge[line] - self.edge[first])
            line = first
        return keep


def _bit(packed: NDArray[np.uint8], place: int) -> bool:
    """Return the bit at a place of what `np.packbits` packed."""
    return bool(packed[place // 8] >> (7 - place % 8) & 1)


def _later(values: NDArray[np.float64], places: int) -> NDArray[np.float64]:
    """Return [Q] the values moved up by some places, -inf before."""
    moved = np.full(len(values), -np.inf)
    moved[places:] = values[: len(values) - places]
    return moved
