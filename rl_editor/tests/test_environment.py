"""The Gymnasium environment and the batch of episodes that it shares its stepping with."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.environment import ENV_ID, MusicEditingEnv
from rl_editor.rewards import REWARD_TERMS
from rl_editor.tests.made_tasks import (
    KEEP_BEAT,
    allowed_action,
    made_task,
    made_track,
    play_random,
)
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment, draw_target


@pytest.fixture
def env():
    return MusicEditingEnv([made_task(24, 0), Task(made_track(12, 1))])


@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
def test_gymnasium_accepts_the_environment(env):
    check_env(env, skip_render_check=True)


def test_the_registered_environment_plays_an_episode_under_its_masks():
    env = gymnasium.make(ENV_ID, tasks=[made_task(32, 2)])
    rng = np.random.default_rng(0)
    obs, info = env.reset(seed=1)
    for _ in range(2000):
        masks = (obs["type_mask"], obs["size_mask"], obs["amount_mask"])
        obs, reward, terminated, truncated, info = env.step(allowed_action(*masks, rng))
        assert not info["illegal"]
        if terminated:
            break
    assert terminated
    assert not truncated
    assert set(info["reward_terms"]) == set(REWARD_TERMS)
    weights = RewardConfig()
    total = sum(getattr(weights, name) * v for name, v in info["reward_terms"].items())
    assert reward == pytest.approx(total)
    assert not any(np.any(value) for value in obs.values())


def test_a_masked_action_acts_as_keep_beat_and_says_so(env):
    env.reset(seed=0, options={"task": 0, "target_keep_ratio": 0.5})
    keep_with_an_amount = np.array([ActionType.KEEP, Size.BEAT, Amount.POS_LARGE])
    _, _, _, _, info = env.step(keep_with_an_amount)
    assert info["illegal"]
    assert info["cursor"] == 1
    assert info["target_keep_ratio"] == 0.5
    assert env.episode.state.actions[-1] == tuple(KEEP_BEAT)


def test_the_step_limit_truncates_without_a_reward():
    env = MusicEditingEnv([made_task(24, 0)], EpisodeConfig(max_steps=3))
    env.reset(seed=0)
    for expected in (False, False, True):
        _, reward, terminated, truncated, info = env.step(KEEP_BEAT)
        assert (reward, terminated, truncated) == (0.0, False, expected)
        assert "reward_terms" not in info


def test_stepping_before_reset_says_so(env):
    with pytest.raises(RuntimeError, match="reset"):
        env.step(KEEP_BEAT)


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


def test_targets_lie_around_a_known_edit():
    task, rng = made_task(64, 3), np.random.default_rng(0)
    segments = task.demonstration.truth.segments
    share = sum(s.end_s - s.start_s for s in segments if s.wanted) / 32.0
    targets = [draw_target(task, rng) for _ in range(200)]
    asked = [t for t in targets if t is not None]
    assert 60 < len(asked) < 140
    assert all(abs(t - share) <= 0.1 + 1e-9 for t in asked)
    assert all(0.2 <= draw_target(Task(task.track), rng) <= 0.95 for _ in range(50))
