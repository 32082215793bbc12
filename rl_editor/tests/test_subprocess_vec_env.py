"""Worker processes: equal to the serial environment, errors in the parent, a clean end."""

import sys
from dataclasses import fields

import numpy as np
import pytest

from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.episodes import Observations
from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment, WorkerError
from rl_editor.tests.made_tasks import KEEP_BEAT, made_task, play_random
from rl_editor.vector_environment import EditingProblem, VectorEnvironment

N_ENVS = 3


class ForbiddenModulesProblem(EditingProblem):
    """Fails when the process it starts an episode in has imported torch or gymnasium."""

    def draw(self, draws):
        loaded = {"torch", "gymnasium"} & set(sys.modules)
        raise LookupError(f"the worker has loaded {sorted(loaded)}")


def make(problem_class=EditingProblem):
    tasks = (made_task(16, 0), made_task(24, 1))
    return problem_class(tasks, EpisodeConfig(max_steps=40), RewardConfig())


def test_workers_equal_the_serial_environment():
    serial = play_random(VectorEnvironment(make(), N_ENVS, seed=3), 80, seed=1)
    with SubprocessVectorEnvironment(make(), N_ENVS, seed=3, n_workers=2) as environment:
        parallel = play_random(environment, 80, seed=1)
        workers = environment._workers
    assert all(not worker.is_alive() and worker.exitcode == 0 for worker in workers)
    assert sum(len(result.finished) for result in serial) > 5
    for a, b in zip(serial, parallel, strict=True):
        assert list(a.finished) == list(b.finished)
        assert np.array_equal(a.reward, b.reward)
        assert np.array_equal(a.terminated, b.terminated)
        assert np.array_equal(a.truncated, b.truncated)
        for name in [f.name for f in fields(Observations)]:
            for seen_a, seen_b in ((a.observations, b.observations), (a.final, b.final)):
                assert np.array_equal(getattr(seen_a, name), getattr(seen_b, name), equal_nan=True)


def test_a_workers_error_is_raised_with_its_traceback_and_workers_import_no_torch():
    environment = SubprocessVectorEnvironment(make(ForbiddenModulesProblem), 1)
    with pytest.raises(WorkerError, match=r"LookupError: the worker has loaded \[\]"):
        environment.reset()
    with pytest.raises(WorkerError, match="closed"):
        environment.step(KEEP_BEAT[None])


def test_a_dead_worker_is_told():
    environment = SubprocessVectorEnvironment(make(), 1)
    environment.reset()
    environment._workers[0].terminate()
    environment._workers[0].join()
    with pytest.raises(WorkerError, match="worker 0 ended with exit code -15"):
        environment.step(KEEP_BEAT[None])
    environment.close()
