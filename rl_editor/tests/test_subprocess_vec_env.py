"""Worker processes: equal to the serial environment, errors in the parent, a clean end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

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


def test_a_masked_action_is_told_with_the_workers_traceback_and_closes_it():
    environment = SubprocessVectorEnvironment(make(), N_ENVS, n_workers=2)
    environment.reset()
    actions = np.tile(KEEP_BEAT, (N_ENVS, 1))
    actions[2, 2] = 4
    with pytest.raises(WorkerError, match=r"(?s)Traceback.*ValueError: KEEP BEAT POS_LARGE"):
        environment.step(actions)
    assert environment.worker_pids == []


def test_seeds_tasks_and_targets_reach_the_episodes_they_are_for():
    serial = VectorEnvironment(make(), N_ENVS)
    tasks, targets = np.array([0, 1, 0]), np.array([0.2, np.nan, 0.7])
    with SubprocessVectorEnvironment(make(), N_ENVS, n_workers=2) as parallel:
        for environment in (serial, parallel):
            environment.seed([7, 8, 9])
        np.testing.assert_array_equal(parallel.reset().target, serial.reset().target)
        seen = parallel.reset(tasks, targets)
    np.testing.assert_array_equal(seen.task, tasks)
    np.testing.assert_array_equal(seen.target, targets)


def test_what_was_seen_does_not_change_with_the_next_step():
    with SubprocessVectorEnvironment(make(), 1) as environment:
        first = environment.reset()
        environment.step(KEEP_BEAT[None])
        assert first.cursor.tolist() == [0]


SCRIPT = """
import os, sys, time
import numpy as np
from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment
from rl_editor.tests.test_subprocess_vec_env import KEEP_BEAT, make

if __name__ == "__main__":
    environment = SubprocessVectorEnvironment(make(), 2, n_workers=2)
    environment.reset()
    print(*environment.worker_pids, flush=True)
    while True:
        environment.step(np.tile(KEEP_BEAT, (2, 1)))
"""


def shared_segments():
    """Return the names of memory that Python's multiprocessing shares, where they can be seen."""
    memory = Path("/dev/shm")
    return {path.name for path in memory.glob("p[sy]m*")} if memory.is_dir() else set()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        getattr(signal, "SIGKILL", None),
    ],
)
def test_however_the_parent_ends_nothing_is_left(end, tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(SCRIPT)
    before = shared_segments()
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        time.sleep(0.1)
        parent.send_signal(end)
        parent.wait(20)
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)
    assert not shared_segments() - before
