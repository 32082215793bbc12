import itertools

import numpy as np
import pytest
import torch

from rl_editor.actions import ActionType
from rl_editor.agent import Agent
from rl_editor.config import AgentConfig, EpisodeConfig, PlannerConfig
from rl_editor.edit_state import EditState
from rl_editor.grid import steady_grid
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.planner import change_cost, decide, likeliest_path, plan
from rl_editor.policy_inputs import N_INPUTS, Normalisation, policy_inputs
from rl_editor.tests.made_up import made_up_track

FREE = PlannerConfig(beat_change_cost=0.0, bar_change_cost=0.0, phrase_change_cost=0.0)


def path_score(path, log_odds, cost):
    signs = np.where(path, 0.5, -0.5)
    changes = np.concatenate([[False], path[1:] != path[:-1]])
    return (signs * log_odds).sum() - cost[changes].sum()


@pytest.mark.parametrize("seed", range(10))
def test_likeliest_path_is_the_best_of_all_paths(seed):
    rng = np.random.default_rng(seed)
    log_odds, cost = rng.normal(0, 2, 9), rng.uniform(0, 3, 9)
    best = max(
        path_score(np.array(path), log_odds, cost)
        for path in itertools.product([False, True], repeat=9)
    )
    assert path_score(likeliest_path(log_odds, cost), log_odds, cost) == pytest.approx(best)


def test_changes_cost_least_on_phrase_lines():
    grid = steady_grid(32.0, 120.0)
    cost = change_cost(grid, PlannerConfig(4.0, 2.5, 2.0))
    assert cost[1] == 4.0
    assert cost[4] == 2.5
    assert cost[16] == 2.0


def test_a_plan_is_a_fixed_point_of_the_policy():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1, 2))
    policy = NumpyPolicy(Agent(config, N_INPUTS).arrays(), config)
    track = made_up_track(80)
    normalisation = Normalisation.fit([track])
    start = EditState.start(track.grid, None, EpisodeConfig())
    made = plan(policy, normalisation, track, start, config=FREE)
    played = made.state.played > 0
    assert made.state.done
    encoded = policy.encode(
        policy_inputs(track, normalisation), track.match_later, track.match_earlier
    )
    table = CopyTable.from_track(track)
    types = policy.step(
        encoded, np.arange(80), context(table, prefixes(played, table.durations_s), None)
    ).types
    np.testing.assert_array_equal(types[:, 0] >= types[:, 1], played)
    assert made.action_spans[0][0] == 0
    assert made.action_spans[-1][1] == 80


def test_smoothing_removes_a_lone_beat():
    grid = steady_grid(16.0, 120.0)
    log_odds = np.full(grid.n_beats, 3.0)
    log_odds[13] = -1.0
    keep, _ = decide(lambda _: log_odds, grid, PlannerConfig())
    assert keep.all()
    log_odds[8:16] = -3.0
    keep, _ = decide(lambda _: log_odds, grid, PlannerConfig())
    assert not keep[8:16].any()
    assert keep[:8].all()
    assert keep[16:].all()


def test_a_policy_may_be_sure_beyond_the_range_of_exp():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1, 2))
    agent = Agent(config, N_INPUTS)
    with torch.no_grad():
        agent.type_head.bias[ActionType.CUT] += 1000.0
    track = made_up_track(20)
    start = EditState.start(track.grid, None, EpisodeConfig())
    policy = NumpyPolicy(agent.arrays(), config)
    with np.errstate(all="raise", under="ignore"):
        made = plan(policy, Normalisation.fit([track]), track, start)
    assert not made.keep_probability.any()
