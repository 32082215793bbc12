"""The Gymnasium vector environment: its contract, and equal to SyncVectorEnv over single edits."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.config import EpisodeConfig
from rl_editor.environment import ENV_ID, MusicEditingEnv
from rl_editor.gymnasium_vector import MusicEditingVectorEnv
from rl_editor.tests.made_tasks import KEEP_BEAT, allowed_action, made_task, made_track
from rl_editor.vector_environment import Task

N_ENVS = 4
TASKS = (made_task(16, 0), made_task(24, 1), Task(made_track(12, 2)))
EPISODE = EpisodeConfig(max_steps=4)


def assert_equal(ours, theirs, path=""):
    """Nested dictionaries, arrays and arrays of observations are the same, types included."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), path
        for name in theirs:
            assert_equal(ours[name], theirs[name], f"{path}/{name}")
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(a, b, f"{path}[{index}]")
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype, path
        np.testing.assert_array_equal(ours, theirs, err_msg=path)
    else:
        assert ours is theirs is None, path


def some_actions(obs, rng):
    """Return [E, 3] actions, most of them allowed."""
    masks = zip(obs["type_mask"], obs["size_mask"], obs["amount_mask"], strict=True)
    actions = np.stack([allowed_action(*m, rng) for m in masks])
    wild = rng.random(len(actions)) < 0.1
    actions[wild] = rng.integers((20, 5, 5), size=(wild.sum(), 3))
    return actions


def test_it_equals_gymnasiums_own_vector_environment_step_by_step():
    single = partial(MusicEditingEnv, TASKS, EPISODE)
    theirs = SyncVectorEnv([single] * N_ENVS, autoreset_mode=AutoresetMode.SAME_STEP)
    ours = MusicEditingVectorEnv(N_ENVS, TASKS, EPISODE)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    rng, ends = np.random.default_rng(0), np.zeros(2)
    (obs, infos), expected = ours.reset(seed=3), theirs.reset(seed=3)
    assert_equal(obs, expected[0])
    assert_equal(infos, expected[1])
    for _ in range(60):
        actions = some_actions(obs, rng)
        obs, *ours_rest = ours.step(actions)
        expected_obs, *theirs_rest = theirs.step(actions)
        assert ours.observation_space.contains(obs)
        assert_equal(obs, expected_obs)
        for a, b in zip(ours_rest, theirs_rest, strict=True):
            assert_equal(a, b)
        ends += [ours_rest[1].sum(), ours_rest[2].sum()]
    assert ends.min() > 5
    # Without a seed the episodes' random numbers go on, in both.
    assert_equal(ours.reset()[1], theirs.reset()[1])


def test_make_vec_makes_it_and_workers_do_not_change_it():
    serial = gymnasium.make_vec(ENV_ID, num_envs=N_ENVS, tasks=TASKS, episode_config=EPISODE)
    assert isinstance(serial.unwrapped, MusicEditingVectorEnv)
    parallel = MusicEditingVectorEnv(N_ENVS, TASKS, EPISODE, n_workers=2)
    try:
        (obs, infos), (seen, told) = serial.reset(seed=[4, 5, 6, 7]), parallel.reset(seed=4)
        rng = np.random.default_rng(0)
        for _ in range(40):
            assert_equal(seen, obs)
            assert_equal(told, infos)
            actions = some_actions(obs, rng)
            obs, reward, *_, infos = serial.step(actions)
            seen, paid, *_, told = parallel.step(actions)
            np.testing.assert_array_equal(reward, paid)
        told = parallel.reset(options={"task": 1, "target_keep_ratio": 0.25})[1]
        assert told["task"].tolist() == [1] * N_ENVS
        assert told["target_keep_ratio"].tolist() == [0.25] * N_ENVS
    finally:
        parallel.close()
        serial.close()


def test_wrappers_of_gymnasium_go_around_it():
    environment = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        MusicEditingVectorEnv(2, TASKS[:1], EPISODE)
    )
    environment.reset(seed=0)
    for _ in range(4):
        *_, infos = environment.step(np.tile(KEEP_BEAT, (2, 1)))
    assert infos["episode"]["l"].tolist() == [4, 4]


def test_wrong_use_is_told():
    environment = MusicEditingVectorEnv(2, TASKS)
    with pytest.raises(RuntimeError, match="reset the environment"):
        environment.step(np.tile(KEEP_BEAT, (2, 1)))
    with pytest.raises(ValueError, match="2 seeds are needed"):
        environment.reset(seed=[1, 2, 3])
    environment.reset(seed=0)
    forbidden = [ActionType.KEEP, Size.BEAT, Amount.POS_LARGE]
    infos = environment.step(np.array([forbidden, KEEP_BEAT]))[4]
    assert infos["illegal"].tolist() == [True, False]
    assert infos["cursor"].tolist() == [1, 1]
