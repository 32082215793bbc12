"""Episodes that go on from a saved state play as if nothing had happened."""

from dataclasses import fields

import numpy as np
import pytest

from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.episode_state import EpisodeState, generator_from, generator_words
from rl_editor.episodes import Observations
from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment
from rl_editor.tests.made_tasks import allowed_action, made_task, made_track, play_random
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment


@pytest.fixture
def problem():
    tasks = (made_task(16, 0), made_task(24, 1), Task(made_track(1, 2)), Task(made_track(12, 3)))
    return EditingProblem(tasks, EpisodeConfig(max_steps=40), RewardConfig())


def same(one, other):
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True)
        for f in fields(Observations)
        if getattr(one, f.name).dtype != bool
    ) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("type_mask", "size_mask", "amount_mask")
    )


def go_on(environment, seen, n_steps):
    """Play on with random actions; return all rewards and the last observations."""
    rng, rewards = np.random.default_rng(9), []
    for _ in range(n_steps):
        masks = zip(seen.type_mask, seen.size_mask, seen.amount_mask, strict=True)
        result = environment.step(np.stack([allowed_action(*m, rng) for m in masks]))
        seen = result.observations
        rewards.append(result.reward)
    return np.array(rewards), seen


@pytest.mark.parametrize("n_steps", [0, 1, 37, 150])
def test_episodes_go_on_bit_for_bit(problem, n_steps):
    environment = VectorEnvironment(problem, 5, seed=3)
    seen = environment.reset()
    if n_steps:
        seen = play_random(environment, n_steps, 1)[-1].observations
    state = environment.snapshot()
    other = VectorEnvironment(problem, 5, seed=99)
    again = other.restore(state)
    assert same(again, seen)
    expected, last = go_on(environment, seen, 120)
    found, other_last = go_on(other, again, 120)
    assert np.array_equal(expected, found)
    assert np.count_nonzero(expected) > 5
    assert same(last, other_last)


def test_a_state_moves_between_processes(problem):
    alone = VectorEnvironment(problem, 3, seed=3)
    play_random(alone, 50, 1)
    with SubprocessVectorEnvironment(problem, 3, seed=7, n_workers=2) as workers:
        seen = workers.restore(alone.snapshot())
        moved = workers.snapshot()
        for f in fields(EpisodeState):
            assert np.array_equal(
                getattr(moved, f.name), getattr(alone.snapshot(), f.name), equal_nan=True
            ), f.name
        expected, _ = go_on(alone, seen, 60)
        found, _ = go_on(workers, seen, 60)
    assert np.array_equal(expected, found)


def test_a_state_of_another_number_of_episodes_is_refused(problem):
    environment = VectorEnvironment(problem, 3)
    environment.reset()
    with pytest.raises(ValueError, match="3 episodes"):
        VectorEnvironment(problem, 2).restore(environment.snapshot())


def test_a_generator_goes_on_from_its_words():
    generator = np.random.default_rng([4, 2])
    generator.random(7)
    generator.integers(5, dtype=np.uint32)  # leaves half of a 64-bit draw over
    copy = generator_from(generator_words(generator))
    assert np.array_equal(
        generator.integers(9, size=9, dtype=np.uint32), copy.integers(9, size=9, dtype=np.uint32)
    )
    assert np.array_equal(generator.random(9), copy.random(9))
    with pytest.raises(ValueError, match="PCG64"):
        generator_words(np.random.Generator(np.random.MT19937(0)))
