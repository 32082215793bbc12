"""The Gymnasium environment: one edit at a time."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.edit_picture import BACKGROUND, GAP, HEIGHT, LANE_HEIGHT, WIDTH
from rl_editor.environment import ENV_ID, MusicEditingEnv
from rl_editor.errors import UserError
from rl_editor.flat_environment import N_ACTIONS, FlatEnv
from rl_editor.rewards import REWARD_TERMS
from rl_editor.tests.made_tasks import KEEP_BEAT, allowed_action, made_task, made_track
from rl_editor.vector_environment import Task


@pytest.fixture
def env():
    return gymnasium.make(ENV_ID, tasks=[made_task(24, 0), Task(made_track(12, 1))]).unwrapped


@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
def test_gymnasium_accepts_the_environment(env):
    check_env(env)


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
    assert env.state.actions[-1] == tuple(KEEP_BEAT)


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


def test_stable_baselines3_accepts_the_environment(env):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(env, warn=False)


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"task": 2}, "from 0 to 1, but is 2"), ({"target_keep_ratio": 1.5}, "in .0, 1. or None")],
)
def test_options_outside_their_range_are_refused(env, options, problem):
    with pytest.raises(ValueError, match=problem):
        env.reset(options=options)


def test_nothing_can_be_asked_for(env):
    assert env.reset(options={"target_keep_ratio": None})[1]["target_keep_ratio"] == -1.0


def test_after_the_end_nothing_can_be_stepped(env):
    env.reset(seed=0, options={"task": 1})
    for _ in range(12):
        terminated = env.step(KEEP_BEAT)[2]
    assert terminated
    with pytest.raises(ValueError, match="end of the recording"):
        env.step(KEEP_BEAT)


def test_equal_seeds_start_equal_episodes(env):
    starts = [[env.reset(seed=seed)[1], env.reset()[1]] for seed in (5, 5, 6)]
    assert starts[0] == starts[1]
    assert starts[0] != starts[2]
    with pytest.raises(UserError, match="rgb_array"):
        MusicEditingEnv([made_task(24, 0)], render_mode="human")


def test_the_picture_shows_the_edit_so_far():
    env = MusicEditingEnv([Task(made_track(32, 0))], render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (HEIGHT, WIDTH, 3)
    assert before.dtype == np.uint8
    output_lane = slice(HEIGHT - GAP - LANE_HEIGHT, HEIGHT - GAP)
    middle = HEIGHT - GAP - LANE_HEIGHT // 2
    assert np.all(before[output_lane] == BACKGROUND)
    env.step(np.array([ActionType.CUT, Size.PHRASE, Amount.NEUTRAL]))
    env.step(np.array([ActionType.KEEP, Size.BAR, Amount.NEUTRAL]))
    lane = env.render()[middle]
    heard = np.any(lane != BACKGROUND, axis=1)
    assert heard[: WIDTH // 8].all()  # a bar of eight
    assert not heard[WIDTH // 8 :].any()


def test_flat_masks_are_the_three_masks_together(env):
    flat = FlatEnv(env)
    with pytest.raises(RuntimeError, match="reset"):
        flat.action_masks()
    obs, _ = flat.reset(seed=0)
    assert flat.observation_space.contains(obs)
    rng = np.random.default_rng(0)
    for _ in range(30):
        allowed = flat.action_masks()
        masks = env.state.masks()
        for action in rng.integers(N_ACTIONS, size=50):
            kind, size, amount = np.unravel_index(action, (20, 5, 5))
            legal = masks.type[kind] & masks.size[kind, size] & masks.amount[kind, amount]
            assert allowed[action] == legal
        obs, _, terminated, _, info = flat.step(rng.choice(np.flatnonzero(allowed)))
        assert not info["illegal"]
        if terminated:
            assert not obs.any()
            assert not flat.action_masks().any()
            flat.reset()


@pytest.mark.slow
def test_maskable_ppo_trains_on_the_flat_environment():
    sb3_contrib = pytest.importorskip("sb3_contrib")
    env = FlatEnv(MusicEditingEnv([made_task(24, 0), made_task(32, 1)]))
    model = sb3_contrib.MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=32, seed=0)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(256)
    assert any(not (a == b).all() for a, b in zip(before, model.policy.parameters(), strict=True))
    obs, _ = env.reset(seed=0)
    for _ in range(200):
        action, _ = model.predict(obs, action_masks=env.action_masks())
        obs, _, terminated, _, info = env.step(action)
        assert not info["illegal"]
        if terminated:
            break
    assert terminated
