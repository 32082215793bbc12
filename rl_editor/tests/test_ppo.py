"""Laws of the rollout and of PPO on made tracks, and a task that it must solve."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from rl_editor.agent import Agent
from rl_editor.config import AgentConfig, EpisodeConfig, RewardConfig, TrainConfig
from rl_editor.episodes import EpisodeResult, no_observations
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.ppo import PPO, Batch, explained_variance, losses, whole_track_minibatches
from rl_editor.rewards import RewardBreakdown
from rl_editor.rollout import (
    EncodedTasks,
    Rollout,
    TaskInputs,
    advantages,
    collect,
    episode_seeds,
    group_advantages,
)
from rl_editor.tests.made_tasks import made_task, made_track
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

SMALL = AgentConfig(hidden_dim=16, n_heads=2, kernel_size=5, dilations=(1, 2), n_global_tokens=2)


def made_rollout(reward, value, next_value, ended):
    reward, value, next_value = (np.array(a, dtype=np.float32) for a in (reward, value, next_value))
    return Rollout(
        observations=no_observations(),
        actions=np.zeros((0, 3), dtype=np.int64),
        log_prob=np.zeros(0, dtype=np.float32),
        entropy=np.zeros_like(value),
        value=value,
        next_value=next_value,
        reward=reward,
        ended=np.array(ended),
        finished=(),
    )


def random_rollout(rng, n_steps=20, n_envs=3):
    value = rng.normal(size=(n_steps + 1, n_envs))
    ended = rng.random((n_steps, n_envs)) < 0.2
    next_value = np.where(ended, 0.0, value[1:])
    reward = rng.normal(size=(n_steps, n_envs))
    return made_rollout(reward, value[:-1], next_value, ended)


def test_gae_equals_the_closed_form():
    rollout, gamma, lam = random_rollout(np.random.default_rng(0)), 0.9, 0.8
    estimates = advantages(rollout, gamma, lam)
    n_steps, n_envs = rollout.reward.shape
    delta = rollout.reward + gamma * rollout.next_value - rollout.value
    for e in range(n_envs):
        for t in range(n_steps):
            total, factor = 0.0, 1.0
            for k in range(t, n_steps):
                total += factor * delta[k, e]
                factor *= gamma * lam
                if rollout.ended[k, e]:
                    break
            assert estimates[t, e] == pytest.approx(total, abs=1e-5)


def test_returns_are_monte_carlo_and_never_cross_an_episodes_end():
    rng = np.random.default_rng(1)
    rollout = random_rollout(rng)
    before = advantages(rollout, 1.0, 1.0) + rollout.value
    t, e = map(int, np.argwhere(rollout.ended)[0])
    start = int(np.flatnonzero(rollout.ended[:t, e])[-1]) + 1 if rollout.ended[:t, e].any() else 0
    assert before[start : t + 1, e] == pytest.approx(
        np.cumsum(rollout.reward[start : t + 1, e][::-1])[::-1], abs=1e-5
    )
    rollout.reward[t + 1 :, e] += 100.0
    rollout.value[t + 1 :, e] -= 7.0
    after = advantages(rollout, 1.0, 1.0) + rollout.value
    assert np.array_equal(before[: t + 1, e], after[: t + 1, e])


def test_a_truncated_episode_goes_on_with_its_value():
    rollout = made_rollout([[0.0], [0.0]], [[1.0], [2.0]], [[2.0], [5.0]], [[False], [True]])
    assert (advantages(rollout, 1.0, 1.0) + rollout.value)[:, 0].tolist() == [5.0, 5.0]


@pytest.fixture
def setting():
    """Return agent, problem, inputs, environment on three short tasks."""
    torch.manual_seed(0)
    tasks = (made_task(16, 0), made_task(24, 1), Task(made_track(12, 2)))
    problem = EditingProblem(tasks, EpisodeConfig(max_steps=30), RewardConfig())
    inputs = TaskInputs(tasks, Normalisation.fit([t.track for t in tasks]), torch.device("cpu"))
    agent = Agent(SMALL, N_INPUTS)
    return agent, problem, inputs, VectorEnvironment(problem, 4, seed=0)


def roll(agent, inputs, environment, n_steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return collect(agent, environment, environment.reset(), inputs, n_steps, generator)[0]


def test_the_ratio_is_one_before_the_first_update(setting):
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 40)
    batch = Batch.from_rollout(rollout, TrainConfig())
    for rows in whole_track_minibatches(rollout.observations.task, 3, np.random.default_rng(0)):
        part = losses(agent, inputs, batch, rows, clip_coef=1e-4)
        assert part.clip_fraction == 0.0
        assert abs(part.approx_kl) < 1e-6
        assert part.policy.item() == pytest.approx(-batch.advantage[rows].mean(), abs=1e-4)


def test_the_ratio_is_exactly_one_at_the_steps_as_they_were_taken(setting):
    """In minibatches sums are taken in another order; the same rows give the same bits."""
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 40)
    log_prob = torch.from_numpy(rollout.log_prob)
    with torch.no_grad():
        tasks = EncodedTasks(agent, inputs)
        for t in range(40):
            rows = np.arange(t * 4, t * 4 + 4)
            encoded, step = tasks.step_inputs(rollout.observations.rows(rows))
            out = agent.evaluate(encoded, step, torch.from_numpy(rollout.actions[rows]))
            assert torch.equal((out.log_prob - log_prob[rows]).exp(), torch.ones(4))
        encoded, step = tasks.step_inputs(rollout.observations)
        together = agent.evaluate(encoded, step, torch.from_numpy(rollout.actions))
    torch.testing.assert_close(together.log_prob, log_prob, atol=5e-6, rtol=0)


def test_returns_of_played_episodes_are_their_own_rewards(setting):
    """At every step of an episode that terminated, whatever came before and after it."""
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 80)
    returns = advantages(rollout, 1.0, 1.0) + rollout.value
    terminated = rollout.ended & (rollout.next_value == 0.0)
    assert terminated.sum() > 4
    for e in range(environment.n_envs):
        begin = 0
        for t in np.flatnonzero(rollout.ended[:, e]):
            if terminated[t, e]:
                assert returns[begin : t + 1, e] == pytest.approx(rollout.reward[t, e], abs=1e-5)
            begin = t + 1


def test_rollout_records_what_happened(setting):
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 60)
    seen, actions = rollout.observations, rollout.actions
    rows = np.arange(len(actions))
    assert seen.type_mask[rows, actions[:, 0]].all()
    assert seen.size_mask[rows, actions[:, 0], actions[:, 1]].all()
    assert seen.amount_mask[rows, actions[:, 0], actions[:, 2]].all()
    assert rollout.ended.sum() == len(rollout.finished)
    paid = sum(e.reward.total for e in rollout.finished if e.reward is not None)
    assert rollout.reward.sum() == pytest.approx(paid, rel=1e-5)
    following = rollout.next_value[:-1][~rollout.ended[:-1]]
    assert np.array_equal(following, rollout.value[1:][~rollout.ended[:-1]])
    terminated = rollout.ended & (rollout.next_value == 0.0)
    assert terminated.sum() == sum(e.reward is not None for e in rollout.finished)


def test_minibatches_are_whole_tracks_of_about_equal_size():
    rng = np.random.default_rng(0)
    tasks = rng.integers(0, 9, size=400)
    parts = whole_track_minibatches(tasks, 4, rng)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(400))
    owners = [set(tasks[rows].tolist()) for rows in parts]
    assert sum(len(o) for o in owners) == len(set().union(*owners))
    assert max(len(rows) for rows in parts) < 2 * min(len(rows) for rows in parts)
    assert len(whole_track_minibatches(np.zeros(5, dtype=int), 4, rng)) == 1


@pytest.mark.parametrize("group_size", [1, 8])
def test_advantages_are_normalised(setting, group_size):
    agent, _, inputs, environment = setting
    config = TrainConfig(group_size=group_size)
    rollout = roll(agent, inputs, environment, 40)
    batch = Batch.from_rollout(rollout, config)
    if group_size == 1:
        assert batch.advantage.mean() == pytest.approx(0.0, abs=1e-5)
    known = np.ones(batch.advantage.shape, dtype=bool)
    if group_size > 1:
        known = group_advantages(rollout, config.gamma)[1].reshape(-1)
    assert batch.credited == known.mean() > 0.0
    assert batch.advantage[known].std() == pytest.approx(1.0, abs=1e-3)
    assert not batch.advantage[~known].any()
    of_value_function = advantages(rollout, config.gamma, config.gae_lambda) + rollout.value
    assert batch.returns == pytest.approx(of_value_function.reshape(-1))


def test_episodes_are_measured_by_others_of_the_same_task_and_target():
    """Columns: episodes; the first one goes on with another task after step 1."""
    ended = [[False, False, True, False], [True, False, False, False], [True, True, False, False]]

    def result(episode, task, target, total):
        paid = None if total is None else RewardBreakdown(total, {})
        return EpisodeResult(episode, task, target, (), paid)

    finished = (result(2, 0, None, 1.0), result(0, 0, None, 4.0), result(0, 1, 0.5, 2.0),
                result(1, 0, None, 3.0))  # fmt: skip
    nothing = np.zeros((3, 4))
    rollout = dataclasses.replace(made_rollout(nothing, nothing, nothing, ended), finished=finished)
    expected = [[2.0, 0.5, -2.5, 0.0], [2.0, 0.5, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0]]
    estimates, is_known = group_advantages(rollout, 1.0)
    assert estimates.tolist() == expected
    assert is_known.tolist() == (np.array(expected) != 0.0).tolist()
    discounted, _ = group_advantages(rollout, 0.5)
    assert discounted[:, 1].tolist() == [0.125, 0.25, 0.5]
    other_wish = (*finished[:3], result(1, 0, 0.5, 3.0))
    apart, _ = group_advantages(dataclasses.replace(rollout, finished=other_wish), 1.0)
    assert apart[:, :3].tolist() == [[3.0, 0.0, -3.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    unpaid = (*finished[:3], result(1, 0, None, None))
    apart, _ = group_advantages(dataclasses.replace(rollout, finished=unpaid), 1.0)
    assert apart[:, :3].tolist() == [[3.0, 0.0, -3.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_where_no_episode_has_others_the_value_function_is_the_measure(setting):
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 1)
    assert not group_advantages(rollout, 1.0)[1].any()
    by_value = Batch.from_rollout(rollout, TrainConfig(group_size=1)).advantage
    assert np.array_equal(Batch.from_rollout(rollout, TrainConfig()).advantage, by_value)


def test_episodes_of_a_group_get_the_same_tasks_and_targets(setting):
    _, problem, _, _ = setting
    environment = VectorEnvironment(problem, 5)
    environment.seed(episode_seeds(7, slice(3, 8), group_size=4))  # groups 0 1 1 1 1
    first, drawn = environment.reset(), []
    for _ in range(6):
        drawn.append(np.stack([first.task, first.target]))
        environment.restart(np.arange(5))
        first = environment.observe(np.arange(5))
    drawn = np.nan_to_num(np.array(drawn), nan=-1.0)
    assert (drawn[:, :, 1:] == drawn[:, :, 1:2]).all()
    assert (drawn[:, :, 0] != drawn[:, :, 1]).any()


def test_episodes_that_all_earned_the_same_have_no_advantage():
    """The value function is not asked then: nothing was better than anything else."""
    paid = RewardBreakdown(5.0, {})
    finished = tuple(EpisodeResult(e, 0, None, (), paid) for e in range(4))
    value = np.random.default_rng(0).normal(size=(1, 4))
    rollout = made_rollout(np.full((1, 4), 5.0), value, np.zeros((1, 4)), np.ones((1, 4), bool))
    batch = Batch.from_rollout(dataclasses.replace(rollout, finished=finished), TrainConfig())
    assert not batch.advantage.any()
    assert batch.credited == 1.0


def test_episodes_that_are_seeded_anew_for_each_update_stay_together(setting):
    """Some episodes of a group are far ahead; seeded anew, all of them draw the same again."""
    _, problem, _, _ = setting
    environment = VectorEnvironment(problem, 4)
    environment.reset()
    for update in (1, 2):
        environment.restart(np.array([0]))
        environment.seed(episode_seeds(7, slice(0, 4), group_size=4, update=update))
        drawn = []
        for _ in range(5):
            environment.restart(np.arange(4))
            seen = environment.observe(np.arange(4))
            drawn.append(np.stack([seen.task, np.nan_to_num(seen.target, nan=-1.0)]))
        assert (np.array(drawn) == np.array(drawn)[:, :, :1]).all()


def test_varied_inputs_are_the_same_for_the_same_seed(setting):
    _, _, inputs, _ = setting
    plain = inputs[0]
    inputs.vary(1)
    once = inputs[0]
    assert inputs[0] is once
    inputs.vary(2)
    assert not torch.equal(inputs[0].values, once.values)
    inputs.vary(1)
    assert torch.equal(inputs[0].values, once.values)
    assert not torch.equal(plain.values, once.values)
    assert torch.equal(plain.match_later, once.match_later)


def test_explained_variance_of_perfect_and_of_constant_values():
    reward, ended = [[1.0], [3.0]], [[True], [True]]
    nothing = [[0.0], [0.0]]
    perfect = made_rollout(reward, reward, nothing, ended)
    constant = made_rollout(reward, [[2.0], [2.0]], nothing, ended)
    config = TrainConfig(group_size=1)
    assert explained_variance(perfect, Batch.from_rollout(perfect, config)) == pytest.approx(1.0)
    assert explained_variance(constant, Batch.from_rollout(constant, config)) == pytest.approx(0.0)


def test_an_update_changes_the_policy_and_logs_finite_numbers(setting):
    agent, _, inputs, environment = setting
    config = TrainConfig(ppo_epochs=2, target_kl=10.0)
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
    rollout = roll(agent, inputs, environment, 40)
    numbers = PPO(agent, optimizer, inputs, config).update(rollout, np.random.default_rng(0), 0.01)
    assert all(np.isfinite(value) for value in numbers.values())
    assert numbers["approx_kl"] > 0.0
    assert 0.0 < numbers["entropy"] <= 1.0
    assert numbers["explained_variance"] <= 1.0


def test_without_weights_nothing_is_learnt(setting):
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 32)
    before = {name: weight.copy() for name, weight in agent.arrays().items()}
    config = TrainConfig(policy_coef=0.0, value_coef=0.0, ppo_epochs=1)
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
    PPO(agent, optimizer, inputs, config).update(rollout, np.random.default_rng(0), 0.0)
    assert all(np.array_equal(before[name], weight) for name, weight in agent.arrays().items())


@pytest.mark.parametrize("by_value", [True, False])
def test_a_value_function_that_measures_nothing_learns_alone(setting, by_value):
    agent, _, inputs, environment = setting
    rollout = roll(agent, inputs, environment, 32)
    batch = dataclasses.replace(
        Batch.from_rollout(rollout, TrainConfig(group_size=1)), by_value=by_value
    )
    losses(agent, inputs, batch, np.arange(32), clip_coef=0.2).value.backward()
    changed = {
        name.split(".")[0]
        for name, weights in agent.named_parameters()
        if weights.grad is not None and weights.grad.abs().sum() > 0.0
    }
    shared = {"encoder", "heads_in", "context_in", "trunk"}
    assert changed == {"value_in", "value_head"} | (shared if by_value else set())


def updated_policy(agent, inputs, rollout, group_size, value_coef):
    """Return the weights after an update, those of the value function left out."""
    own = copy.deepcopy(agent)
    config = TrainConfig(group_size=group_size, value_coef=value_coef, minibatches=2)
    optimizer = torch.optim.Adam(own.parameters(), lr=1e-3)
    PPO(own, optimizer, inputs, config).update(rollout, np.random.default_rng(0), 0.01)
    return {n: p.detach() for n, p in own.named_parameters() if not n.startswith("value_")}


@pytest.mark.parametrize(("group_size", "changes"), [(1, True), (2, False)])
def test_only_a_value_function_that_measures_changes_the_policys_steps(
    setting, group_size, changes
):
    """Not by clipping either, although its gradient is by far the longer one."""
    agent, _, inputs, environment = setting
    environment.seed(episode_seeds(0, slice(0, environment.n_envs), group_size))
    rollout = roll(agent, inputs, environment, 200)
    with_it, without = (updated_policy(agent, inputs, rollout, group_size, c) for c in (10.0, 0.0))
    differs = [not torch.equal(with_it[name], without[name]) for name in with_it]
    assert any(differs) == changes


@pytest.mark.parametrize(("group_size", "by_value"), [(1, True), (2, False)])
def test_the_value_function_measures_where_no_episode_has_others(setting, group_size, by_value):
    agent, _, inputs, environment = setting
    environment.seed(episode_seeds(0, slice(0, environment.n_envs), group_size))
    rollout = roll(agent, inputs, environment, 200)
    batch = Batch.from_rollout(rollout, TrainConfig(group_size=group_size))
    assert batch.by_value == by_value


def test_updates_stop_at_the_target_kl(setting):
    agent, _, inputs, environment = setting
    config = TrainConfig(ppo_epochs=50, target_kl=1e-4, minibatches=1)
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3)
    calls = []

    def count():
        calls.append(1)
        return torch.zeros(())

    rollout = roll(agent, inputs, environment, 20)
    PPO(agent, optimizer, inputs, config).update(rollout, np.random.default_rng(0), 0.0, count)
    assert 1 < len(calls) < 10


@pytest.mark.slow
def test_ppo_learns_to_keep_what_the_reward_pays_for():
    """Paid for agreement alone, the policy finds where the piece begins by itself."""
    torch.manual_seed(0)
    task = made_task(16, 0)  # junk up to beat 9, then the piece
    weights = dict.fromkeys(RewardConfig.__dataclass_fields__, 0.0)
    reward = RewardConfig(**{**weights, "reference_agreement": 1.0})
    problem = EditingProblem((task,), EpisodeConfig(jump_budget=0, repeat_budget=0), reward)
    inputs = TaskInputs((task,), Normalisation.fit([task.track]), torch.device("cpu"))
    agent = Agent(SMALL, N_INPUTS)
    environment = VectorEnvironment(problem, 16, seed=0)
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
    ppo = PPO(agent, optimizer, inputs, TrainConfig(target_kl=0.05))
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    seen, means = environment.reset(), []
    for _ in range(30):
        rollout, seen = collect(agent, environment, seen, inputs, 24, generator)
        ppo.update(rollout, rng, entropy_coef=0.003)
        means.append(np.mean([e.reward.total for e in rollout.finished]))
    assert means[0] < 0.1
    assert np.mean(means[-3:]) > 0.8
    alone, encoded = VectorEnvironment(problem, 1), EncodedTasks(agent, inputs)
    seen, terminated = alone.reset(targets=np.array([np.nan])), np.array([False])
    while not terminated[0]:
        out = agent.act(*encoded.step_inputs(seen), greedy=True)
        terminated, _ = alone.advance(out.actions.numpy())
        if not terminated[0]:
            seen = alone.observe(np.array([0]))
    assert [span.start for span in alone.batch.state(0).spans()] == [8]
