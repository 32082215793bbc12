"""Batches of episodes: restarts, independence, targets, observations and rewards."""

import numpy as np
import pytest

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.observation import observe
from rl_editor.rewards import total_reward
from rl_editor.tests.made_tasks import (
    KEEP_BEAT,
    allowed_action,
    made_task,
    made_track,
    play_random,
)
from rl_editor.tests.made_up import made_up_track
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment


@pytest.fixture
def problem():
    tasks = (made_task(16, 0), made_task(24, 1), Task(made_track(12, 2)))
    return EditingProblem(tasks, EpisodeConfig(max_steps=40), RewardConfig())


def test_episodes_restart_in_the_step_in_which_they_end(problem):
    results = play_random(VectorEnvironment(problem, 3, seed=5), 120, 0)
    ends = 0
    for result in results:
        ended = result.terminated | result.truncated
        assert [r.episode for r in result.finished] == np.flatnonzero(ended).tolist()
        assert len(result.final.cursor) == result.truncated.sum()
        assert np.all(result.reward[~result.terminated] == 0.0)
        assert np.all(result.observations.cursor[ended] == 0)
        assert np.all(result.observations.type_mask.any(axis=1))
        for episode in result.finished:
            paid = result.reward[episode.episode]
            assert episode.reward is None or paid == pytest.approx(episode.reward.total)
        ends += ended.sum()
    assert ends > 10


def test_an_episode_does_not_depend_on_the_others(problem):
    """Each episode has its own random numbers: the second of three is the first of one."""
    several, alone = VectorEnvironment(problem, 3, 5), VectorEnvironment(problem, 1, 5, 1)
    seen, seen_alone = several.reset(), alone.reset()
    for _ in range(60):
        assert seen.task[1] == seen_alone.task[0]
        assert np.array_equal(seen.context[1], seen_alone.context[0])
        seen = several.step(np.tile(KEEP_BEAT, (3, 1))).observations
        seen_alone = alone.step(KEEP_BEAT[None]).observations


def test_a_masked_action_raises_in_training(problem):
    environment = VectorEnvironment(problem, 1)
    environment.reset()
    with pytest.raises(ValueError, match="not allowed"):
        environment.step(np.array([[ActionType.KEEP, Size.BEAT, Amount.POS_LARGE]]))


def test_a_step_before_the_first_reset_is_refused(problem):
    with pytest.raises(ValueError, match="reset the environment"):
        VectorEnvironment(problem, 1).step(KEEP_BEAT[None])


def test_targets_lie_around_a_known_edit():
    known, other = made_task(64, 3), made_task(32, 4)
    problem = EditingProblem((known, Task(other.track)), EpisodeConfig(), RewardConfig())
    segments = known.demonstration.truth.segments
    share = sum(s.end_s - s.start_s for s in segments if s.wanted) / 32.0
    tasks, targets = problem.draw(np.random.default_rng(0).random((400, 3)))
    assert 160 < tasks.sum() < 240
    asked = targets[(tasks == 0) & ~np.isnan(targets)]
    assert 60 < len(asked) < 140
    assert np.all(np.abs(asked - share) <= 0.1 + 1e-9)
    assert np.all((targets[tasks == 1] >= 0.2) & (targets[tasks == 1] <= 0.95))


def test_observations_and_rewards_are_those_of_single_edits():
    """Each row is what `observe`, `masks` and `total_reward` say of that edit alone."""
    tasks = (made_task(40, 0), Task(made_up_track(60, 1)), Task(made_up_track(25, 2)))
    problem = EditingProblem(tasks, EpisodeConfig(), RewardConfig())
    environment, rng = VectorEnvironment(problem, 6, seed=2), np.random.default_rng(0)
    seen, n_paid = environment.reset(), 0
    for _ in range(60):
        for row in range(6):
            state, task = environment.batch.state(row), tasks[seen.task[row]]
            target = None if np.isnan(seen.target[row]) else seen.target[row]
            alone = observe(task.track, state, target)
            np.testing.assert_allclose(seen.context[row], alone, atol=1e-6)
            np.testing.assert_array_equal(seen.size_mask[row], state.masks().size)
        masks = (seen.type_mask, seen.size_mask, seen.amount_mask)
        actions = np.stack([allowed_action(*m, rng) for m in zip(*masks, strict=True)])
        terminated, _ = environment.advance(actions)
        done = np.flatnonzero(terminated)
        for row, result in zip(done, environment.finish(done), strict=True):
            task, state = tasks[result.task], environment.batch.state(row)
            paid = total_reward(
                task.track, state, result.target_keep_ratio, task.demonstration, RewardConfig()
            )
            assert result.actions == state.actions
            assert result.reward.total == pytest.approx(paid.total)
            assert result.reward.terms == pytest.approx(paid.terms)
            n_paid += 1
        environment.restart(done)
        seen = environment.observe(np.arange(6))
    assert n_paid > 10
