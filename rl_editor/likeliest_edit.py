"""The likeliest edit of a policy that looks back at the edit so far.

The policy's answer at a beat depends on what the edit holds before that beat, so the edit is a
fixed point: the one that the policy chooses when each beat's context is that very edit (Jacobi
iteration; since a context looks back only, without smoothing the fixed point equals deciding beat
after beat). Between the rounds the choice is smoothed by the likeliest two-state path (Viterbi),
where changing between KEEP and CUT costs least on phrase and bar lines.

In: log-odds [N] of KEEP given an edit, the grid. Out: an edit [N].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import PlannerConfig
from rl_editor.grid import BeatGrid

OddsGiven = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Log-odds [N] of KEEP against CUT at every beat, given the edit [N]."""


def decide(
    odds_given: OddsGiven,
    grid: BeatGrid,
    config: PlannerConfig,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the edit [N] that agrees with the policy's answer to it, and that answer's log-odds.

    Args:
        odds_given: log-odds [N] of KEEP against CUT at every beat, given the edit [N].
        grid: of the track.
        config: of the smoothing.
    """
    cost = change_cost(grid, config)
    weight = grid.durations_s / np.median(grid.durations_s)
    keep = np.ones(grid.n_beats, dtype=bool)
    log_odds = np.zeros(grid.n_beats)
    for _ in range(config.max_rounds):
        log_odds = odds_given(keep)
        smoothed = likeliest_path(log_odds * weight, cost)
        if np.array_equal(smoothed, keep):
            break
        keep = smoothed
    return keep, log_odds


def change_cost(grid: BeatGrid, config: PlannerConfig) -> NDArray[np.float64]:
    """Return [N] the cost of changing between KEEP and CUT at the start of each beat, in nats."""
    cost = np.full(grid.n_beats, config.beat_change_cost)
    cost[grid.is_downbeat] = config.bar_change_cost
    cost[grid.is_phrase_start] = config.phrase_change_cost
    return cost


def likeliest_path(log_odds: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return [N] the keep/cut path of the highest sum of log-odds less the costs of its changes.

    Viterbi, "Error bounds for convolutional codes" (1967), for two states.
    """
    n_beats = len(log_odds)
    score_keep, score_cut = float(log_odds[0]) / 2, -float(log_odds[0]) / 2
    came_from_keep = np.zeros((n_beats, 2), dtype=bool)  # columns: now cut, now keep
    for beat in range(1, n_beats):
        half, change = float(log_odds[beat]) / 2, float(cost[beat])
        keep_stays = score_keep >= score_cut - change
        cut_leaves = score_keep - change > score_cut
        came_from_keep[beat] = cut_leaves, keep_stays
        score_keep, score_cut = (
            (score_keep if keep_stays else score_cut - change) + half,
            (score_keep - change if cut_leaves else score_cut) - half,
        )
    path = np.empty(n_beats, dtype=bool)
    now = score_keep >= score_cut
    for beat in range(n_beats - 1, -1, -1):
        path[beat] = now
        now = came_from_keep[beat, int(now)]
    return path
