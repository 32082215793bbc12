import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from rl_editor.actions import Action, ActionType, Amount, Size
from rl_editor.agent import Agent
from rl_editor.calibration import log_odds, sigmoid
from rl_editor.config import AgentConfig, EpisodeConfig, PlannerConfig
from rl_editor.edit_search import ExpectedReward
from rl_editor.edit_state import EditState
from rl_editor.grid import steady_grid
from rl_editor.heard_twice import without_heard_twice
from rl_editor.kept_runs import runs_of
from rl_editor.likeliest_edit import change_cost, decide, likeliest_path
from rl_editor.materials import Material
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.planner import (
    carry_out,
    dead_share,
    keep_everything,
    material_changes,
    plan,
)
from rl_editor.policy_inputs import N_INPUTS, Normalisation, policy_inputs
from rl_editor.sampled_edits import BENEFIT_OF_DOUBT, TEMPERATURE
from rl_editor.tests.made_up import made_up_track

FREE = PlannerConfig(beat_change_cost=0.0, bar_change_cost=0.0, phrase_change_cost=0.0, effort=1)


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
    weights = Agent(config, N_INPUTS).arrays()
    weights["type_head.bias"][2:] = -50.0  # only KEEP and CUT
    policy = NumpyPolicy(weights, config)
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


def test_the_keep_bias_shifts_every_answer():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1, 2))
    policy = NumpyPolicy(Agent(config, N_INPUTS).arrays(), config)
    track = made_up_track(80)
    normalisation = Normalisation.fit([track])
    start = EditState.start(track.grid, None, EpisodeConfig())
    shares = [
        plan(
            policy, normalisation, track, start, config=replace(FREE, keep_bias=bias)
        ).keep_probability.mean()
        for bias in (-30.0, -1.0, 1.0, 30.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert shares[-1] > 0.99


def only_keep_and_cut(seed=13):
    """Return a random policy that is sure of its answers and knows no other action.

    Most would keep or cut all of a made-up track; that of seed 13 has a choice.
    """
    torch.manual_seed(seed)
    config = AgentConfig(hidden_dim=24, dilations=(1, 2))
    weights = Agent(config, N_INPUTS).arrays()
    weights["type_head.weight"] *= 20.0
    weights["type_head.bias"][2:] = -1000.0
    return NumpyPolicy(weights, config)


@pytest.mark.parametrize("seed", range(3))
def test_a_share_that_is_asked_for_is_delivered(seed):
    track, policy = made_up_track(120, seed), only_keep_and_cut(seed)
    start = EditState.start(track.grid, None, EpisodeConfig())
    normalisation = Normalisation.fit([track])
    wishes, delivered = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0), []
    for share in wishes:
        made = plan(policy, normalisation, track, start, target_keep_ratio=share)
        again = plan(policy, normalisation, track, start, target_keep_ratio=share)
        assert made.state.actions == again.state.actions
        assert min(span.n_beats for span in made.state.spans()) >= 4
        delivered.append(made.state.output_s / track.duration_s)
    np.testing.assert_allclose(delivered, wishes, atol=0.5 * 4 / 120 + 1e-3)
    assert delivered == sorted(delivered)


def test_without_a_share_the_policy_decides_alone():
    track, policy, config = made_up_track(120), only_keep_and_cut(), PlannerConfig(effort=1)
    normalisation = Normalisation.fit([track])
    start = EditState.start(track.grid, None, EpisodeConfig())
    encoded = policy.encode(
        policy_inputs(track, normalisation), track.match_later, track.match_earlier
    )
    table, cursors = CopyTable.from_track(track), np.arange(120)

    def odds_given(edit):
        seen = context(table, prefixes(edit, table.durations_s), None)
        types = policy.type_logits(encoded, cursors, seen)
        return (types[:, ActionType.KEEP] - types[:, ActionType.CUT]).astype(np.float64)

    keep = without_heard_twice(decide(odds_given, track.grid, config)[0], table)
    assert 0.1 < keep.mean() < 0.9
    for dead_cost in (0.0, 50.0):
        made = plan(
            policy, normalisation, track, start, config=replace(config, dead_cost=dead_cost)
        )
        np.testing.assert_array_equal(made.state.played > 0, keep)


def of_effort(effort: int, target_keep_ratio: float | None = None):
    track, policy = made_up_track(120), only_keep_and_cut()
    start = EditState.start(track.grid, None, EpisodeConfig())
    return plan(
        policy,
        Normalisation.fit([track]),
        track,
        start,
        target_keep_ratio=target_keep_ratio,
        config=PlannerConfig(effort=effort),
    )


def test_more_effort_promises_more():
    track, plain = made_up_track(120), of_effort(1)
    for effort in (2, 3, 4):
        made = of_effort(effort)
        again = of_effort(effort)
        np.testing.assert_array_equal(made.state.played, again.state.played)
        np.testing.assert_array_equal(made.keep_probability, again.keep_probability)
        odds = log_odds(made.keep_probability) / TEMPERATURE
        reward = ExpectedReward.of(track, sigmoid(odds + BENEFIT_OF_DOUBT))
        promised = [reward(runs_of(m.state.played > 0)[None])[0] for m in (made, plain)]
        assert promised[0] > promised[1] + 0.01


def test_effort_changes_nothing_where_a_share_is_asked_for():
    edits = [of_effort(effort, 0.5).state.played for effort in (1, 5)]
    np.testing.assert_array_equal(edits[0], edits[1])


def test_what_needs_no_cut_is_not_searched():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1, 2))
    weights = Agent(config, N_INPUTS).arrays()
    weights["type_head.bias"][ActionType.KEEP] += 3.0
    track = made_up_track(80)
    start = EditState.start(track.grid, None, EpisodeConfig())
    made = plan(NumpyPolicy(weights, config), Normalisation.fit([track]), track, start)
    assert np.all(made.state.played > 0)
    assert len(made.state.clips()) == 1


def test_a_share_is_delivered_where_all_is_played_faster():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1,))
    weights = Agent(config, N_INPUTS).arrays()
    weights["type_head.bias"][ActionType.SPEED_UP] = 50.0
    weights["amount_head.bias"][Amount.POS_LARGE] = 50.0
    track = made_up_track(120)
    start = EditState.start(track.grid, None, EpisodeConfig())
    made = plan(
        NumpyPolicy(weights, config),
        Normalisation.fit([track]),
        track,
        start,
        target_keep_ratio=0.5,
    )
    assert (made.state.played > 0).mean() == pytest.approx(0.75, abs=0.05)
    assert made.state.output_s / track.duration_s == pytest.approx(0.5, abs=0.03)


def test_beats_are_dead_by_the_mean_of_three():
    materials = np.zeros((9, 10), np.float32)
    materials[:, Material.MUSIC] = 1.0
    materials[4] = 0.25 * np.eye(10)[[0, 1, 2, 3]].sum(axis=0)
    np.testing.assert_allclose(dead_share(materials), [0, 0, 0, 0.25, 0.25, 0.25, 0, 0, 0])


def test_another_action_of_the_policy_is_taken():
    """An action that is asked for inside a long KEEP is not passed over."""
    track = made_up_track(64)
    start = EditState.start(track.grid, None, EpisodeConfig())
    loop = Action(ActionType.LOOP, Size.BAR, Amount.NEUTRAL)
    keep = np.arange(64) >= 16
    stops = np.arange(64) == 32
    state, spans = carry_out(start, keep, lambda s: loop if s.cursor == 32 else None, stops)
    assert state.done
    assert (state.played[:16] == 0).all()
    assert (state.played[32:36] == 2).all()
    assert (state.played[36:] == 1).all()
    assert (32, 36) in spans


def test_an_effect_stays_inside_what_is_kept():
    start = EditState.start(steady_grid(32.0), None, EpisodeConfig())
    keep = (np.arange(64) < 22) | (np.arange(64) >= 40)
    effect = Action(ActionType.REVERB, Size.TWO_PHRASES, Amount.NEUTRAL)
    state, _ = carry_out(start, keep, lambda s: effect, np.zeros(64, dtype=bool))
    np.testing.assert_array_equal(state.played > 0, keep)
    assert {action.type for action in state.actions} == {ActionType.REVERB, ActionType.CUT}


def test_what_is_kept_is_not_skipped():
    start = EditState.start(steady_grid(32.0), None, EpisodeConfig())
    keep = (np.arange(64) < 24) | (np.arange(64) >= 40)
    skip = Action(ActionType.SKIP, Size.PHRASE)
    state, _ = carry_out(start, keep, lambda s: skip, np.zeros(64, dtype=bool))
    np.testing.assert_array_equal(state.played > 0, keep)


def test_nothing_changes_places_with_what_is_cut():
    start = EditState.start(steady_grid(32.0), None, EpisodeConfig())
    keep = np.arange(64) < 24
    swap = Action(ActionType.SWAP_NEXT, Size.PHRASE, Amount.NEUTRAL)
    state, _ = carry_out(start, keep, lambda s: swap, np.zeros(64, dtype=bool))
    assert {action.type for action in state.actions} == {ActionType.KEEP, ActionType.CUT}
    np.testing.assert_array_equal(state.played > 0, keep)


def test_a_jump_back_is_told_at_its_cursor():
    start = EditState.start(steady_grid(32.0), None, EpisodeConfig(jump_budget=1))
    keep = np.ones(64, dtype=bool)
    jump = Action(ActionType.JUMP_BACK, Size.BAR, Amount.NEG_SMALL)

    def other(state):
        return jump if state.cursor == 32 and not state.n_jumps else None

    state, spans = carry_out(start, keep, other, np.arange(64) == 32)
    at = state.actions.index(jump)
    assert spans[at] == (32, 33)
    assert spans[at + 1][0] == 28


def test_keeping_everything_plays_straight_through():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1,))
    policy = NumpyPolicy(Agent(config, N_INPUTS).arrays(), config)
    track = made_up_track(50)
    start = EditState.start(track.grid, None, EpisodeConfig())
    rejected = plan(policy, Normalisation.fit([track]), track, start)
    made = keep_everything(start, rejected)
    assert not made.music_found
    assert len(made.state.clips()) == 1
    assert made.state.output_s == pytest.approx(track.duration_s)


def test_a_policy_that_likes_an_effect_gets_it():
    torch.manual_seed(0)
    config = AgentConfig(hidden_dim=24, dilations=(1,))
    weights = Agent(config, N_INPUTS).arrays()
    weights["type_head.bias"][ActionType.REVERB] = 50.0
    track = made_up_track(50)
    start = EditState.start(track.grid, None, EpisodeConfig())
    made = plan(NumpyPolicy(weights, config), Normalisation.fit([track]), track, start)
    assert {action.type for action in made.state.actions} == {ActionType.REVERB}


def test_materials_change_where_most_of_three_beats_do():
    materials = np.zeros((12, 10), np.float32)
    materials[:6, 1] = 1.0
    materials[6:, 3] = 1.0
    materials[9] = np.eye(10)[2]  # one odd beat is no change
    assert np.flatnonzero(material_changes(materials)).tolist() == [6]
