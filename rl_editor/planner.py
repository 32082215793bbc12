"""From a policy and an analysed track to a whole edit.

The policy is asked about every beat at once. Its answer at a beat depends on what the edit
holds before that beat, so the plan is a fixed point: the edit that the policy chooses when each
beat's context is that very edit (Jacobi iteration; since a context looks back only, without
smoothing the fixed point equals deciding beat after beat). Between the rounds the choice is
smoothed by the likeliest two-state path (Viterbi), where changing between KEEP and CUT costs
least on phrase and bar lines. The result is spelled in the largest actions that fit and goes
through the one interpreter, `EditState`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import ActionType
from rl_editor.config import PlannerConfig
from rl_editor.edit_state import EditState
from rl_editor.grid import BeatGrid
from rl_editor.numpy_policy import EncodedTrack, NumpyPolicy
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.policy_inputs import Normalisation, policy_inputs
from rl_editor.spelling import spell
from rl_editor.track import Track


@dataclass(frozen=True)
class Plan:
    """An edit and how sure the policy was of it.

    Attributes:
        state: the finished edit.
        action_spans: the beats [start, end) that each action of `state.actions` decided about.
        keep_probability: [N] probability that the beat belongs in the edit, given the edit
            before it.
        materials: [N, 10] probabilities of `materials.Material`.
        music_found: False when the policy would have cut everything.
    """

    state: EditState
    action_spans: tuple[tuple[int, int], ...]
    keep_probability: NDArray[np.float64]
    materials: NDArray[np.float32]
    music_found: bool = True


def plan(
    policy: NumpyPolicy,
    normalisation: Normalisation,
    track: Track,
    start: EditState,
    *,
    target_keep_ratio: float | None = None,
    config: PlannerConfig | None = None,
) -> Plan:
    """Return the policy's edit of a track.

    Args:
        policy, normalisation: from one checkpoint.
        track: analysed with the checkpoint's schema.
        start: the untouched edit of this track.
        target_keep_ratio: share of the recording to keep, or None to leave it to the policy.
        config: of the smoothing.
    """
    config = config or PlannerConfig()
    inputs = policy_inputs(track, normalisation)
    encoded = policy.encode(inputs, track.match_later, track.match_earlier)
    odds_given = _odds_function(policy, encoded, track, target_keep_ratio)
    keep, log_odds = decide(odds_given, track.grid, config)
    keep_probability = np.exp(-np.logaddexp(0.0, -log_odds))
    return Plan(*_carry_out(start, track.grid, keep), keep_probability, encoded.materials)


def keep_everything(start: EditState, grid: BeatGrid, rejected: Plan) -> Plan:
    """Return a plan that changes nothing, for a recording in which the policy found no music."""
    state, action_spans = _carry_out(start, grid, np.ones(grid.n_beats, dtype=bool))
    return replace(rejected, state=state, action_spans=action_spans, music_found=False)


def _carry_out(
    start: EditState, grid: BeatGrid, keep: NDArray[np.bool_]
) -> tuple[EditState, tuple[tuple[int, int], ...]]:
    """Return the edit that keeps exactly the beats of `keep`, and the span of each action."""
    state, action_spans = start, []
    for action in spell(grid, keep):
        before, state = state.cursor, state.step(action)
        action_spans.append((before, state.cursor))
    return state, tuple(action_spans)


def decide(
    odds_given: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
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


def _odds_function(
    policy: NumpyPolicy, encoded: EncodedTrack, track: Track, target_keep_ratio: float | None
) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    table = CopyTable.from_track(track)
    cursors = np.arange(track.n_beats)

    def odds_given(played: NDArray[np.bool_]) -> NDArray[np.float64]:
        edit = prefixes(played, table.durations_s)
        types = policy.step(encoded, cursors, context(table, edit, target_keep_ratio)).types
        return (types[:, ActionType.KEEP] - types[:, ActionType.CUT]).astype(np.float64)

    return odds_given
