"""Steps per CPU-second of the environment beside other ways to run many episodes, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.environment FOLDER [--tracks 10] [--sessions 2]

FOLDER holds finished tracks; episodes edit the tracks and sessions made out of them, with their
known edits (analyses are cached). Actions are uniformly random among the legal ones: a type, then a
size and an amount given the type. Every contestant returns all masks, observations and rewards; the
time to draw the actions is told apart. Contestants take turns, so that a busy moment of the machine
does not fall on one of them alone; shown are the median and the best of the rounds. CPU-seconds
count worker processes too (from /proc: Linux).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import probe
from rl_editor.cache import Cache
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.environment import MusicEditingEnv
from rl_editor.episodes import Observations
from rl_editor.gymnasium_vector import MusicEditingVectorEnv
from rl_editor.pairs import AUDIO_SUFFIXES
from rl_editor.reference_sessions import reference_demonstrations
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

N_EPISODES = 1024
N_ROUNDS = 7
SEED = 0
SHORTEST_S = 30.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

Masks = tuple[NDArray, NDArray, NDArray]


@dataclass
class Contestant:
    """One way to step `n_episodes` episodes.

    Attributes:
        reset: starts them, returns their masks.
        step: acts in all of them [E, 3], returns their masks.
        close: ends what was started.
        n_steps: steps of all episodes in one round.
        pids: worker processes.
        rates: steps per CPU-second of each round.
        sampler_us: time to draw one action, of each round.
    """

    name: str
    n_episodes: int
    n_steps: int
    reset: Callable[[], Masks]
    step: Callable[[NDArray[np.int64]], Masks]
    close: Callable[[], None]
    pids: Sequence[int] = ()
    rates: list[float] = field(default_factory=list)
    sampler_us: list[float] = field(default_factory=list)
    masks: Masks | None = None

    def play(self, rng: np.random.Generator, n_steps: int) -> None:
        """Play one round."""
        masks = self.reset() if self.masks is None else self.masks
        own_s, sampler_s, workers_s = 0.0, 0.0, self._workers_s()
        for _ in range(n_steps):
            before = time.process_time()
            actions = random_actions(*masks, rng)
            drawn = time.process_time()
            masks = self.step(actions)
            own_s += time.process_time() - drawn
            sampler_s += drawn - before
        cpu_s = own_s + self._workers_s() - workers_s
        self.masks = masks
        self.rates.append(n_steps * self.n_episodes / cpu_s)
        self.sampler_us.append(sampler_s / n_steps / self.n_episodes * 1e6)

    def _workers_s(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=10, help="finished tracks to use")
    parser.add_argument("--sessions", type=int, default=2, help="sessions made out of each")
    arguments = parser.parse_args()
    compare(tasks_of(arguments.folder, arguments.tracks, arguments.sessions))


def tasks_of(folder: Path, n_tracks: int, n_sessions: int) -> list[Task]:
    """Return finished tracks of a folder, and sessions made out of each, with their edits.

    Short files are left out: a game's music comes with its sound effects.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    found = [p for p in found if probe(p).duration_s >= SHORTEST_S]
    paths = found[:: max(1, len(found) // n_tracks)][:n_tracks]
    return [
        Task(demonstration.track, demonstration)
        for path in paths
        for demonstration in reference_demonstrations(path, n_sessions, SEED, Cache())
    ]


def compare(tasks: Sequence[Task]) -> None:
    """Print the speed of all contestants on some tasks."""
    n_beats = sorted(task.track.n_beats for task in tasks)
    print(f"{len(tasks)} recordings of {n_beats[0]} to {n_beats[-1]} beats")
    contestants = [make(tasks) for make in CONTESTANTS]
    entered = [contestant for contestant in contestants if contestant is not None]
    rng = np.random.default_rng(SEED)
    for contestant in entered:
        contestant.play(rng, 60)  # until the first episodes have ended everywhere
        contestant.rates.clear()
        contestant.sampler_us.clear()
    for _ in range(N_ROUNDS):
        for contestant in entered:
            contestant.play(rng, contestant.n_steps)
    print(f"{'steps per CPU-second':52}{'median':>10}{'best':>10}{'us to draw':>12}")
    for contestant in entered:
        median, best = np.median(contestant.rates), max(contestant.rates)
        title = f"{contestant.name}, {contestant.n_episodes} episodes"
        print(f"{title:52}{median:10.0f}{best:10.0f}{np.median(contestant.sampler_us):12.2f}")
        contestant.close()


def random_actions(
    type_mask: NDArray, size_mask: NDArray, amount_mask: NDArray, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return [E, 3] uniformly random legal actions: a type, then size and amount given the type."""
    rows, draws = np.arange(len(type_mask)), rng.random((3, len(type_mask)), dtype=np.float32)
    kind = _pick(type_mask, draws[0])
    size, amount = _pick(size_mask[rows, kind], draws[1]), _pick(amount_mask[rows, kind], draws[2])
    return np.stack([kind, size, amount], axis=1)


def _pick(mask: NDArray, draws: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return [E] one of the allowed choices of each row [E, n]; the last one where none is.

    Behind an episode's end nothing is allowed, and Gymnasium's own vector environments ignore the
    action that they are then given.
    """
    count = np.cumsum(mask, axis=1, dtype=np.int8)
    chosen = (draws * count[:, -1]).astype(np.int8)
    picked = np.add.reduce(count <= chosen[:, None], axis=1, dtype=np.int64)
    return np.minimum(picked, mask.shape[1] - 1)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and what it has waited for, from /proc."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in after_name[11:15]) / CLOCK_TICKS


def _masks_of(seen: Observations | dict[str, NDArray]) -> Masks:
    if isinstance(seen, Observations):
        return seen.type_mask, seen.size_mask, seen.amount_mask
    return seen["type_mask"], seen["size_mask"], seen["amount_mask"]


def training_batch(tasks: Sequence[Task]) -> Contestant:
    """Return what training steps: features of the beats are not copied."""
    problem = EditingProblem(tuple(tasks), EpisodeConfig(), RewardConfig())
    environment = VectorEnvironment(problem, N_EPISODES, SEED)
    return Contestant(
        "rl_editor VectorEnvironment (training)",
        N_EPISODES,
        100,
        lambda: _masks_of(environment.reset()),
        lambda actions: _masks_of(environment.step(actions).observations),
        environment.close,
    )


def gymnasium_batch(tasks: Sequence[Task], n_workers: int = 0) -> Contestant:
    """Return the Gymnasium vector environment of this project."""
    environment = MusicEditingVectorEnv(N_EPISODES, tasks, n_workers=n_workers)
    workers = f", {n_workers} workers" if n_workers else ""
    return _of_gymnasium(
        f"rl_editor MusicEditingVectorEnv{workers}", environment, 100, environment.worker_pids
    )


def sync_vector_env(tasks: Sequence[Task]) -> Contestant:
    """Return Gymnasium's SyncVectorEnv over the single environment."""
    makers = [partial(MusicEditingEnv, tasks)] * 32
    return _of_gymnasium("Gymnasium SyncVectorEnv", gymnasium.vector.SyncVectorEnv(makers), 30)


def async_vector_env(tasks: Sequence[Task]) -> Contestant:
    """Return Gymnasium's AsyncVectorEnv: a process for each episode."""
    environment = gymnasium.vector.AsyncVectorEnv([partial(MusicEditingEnv, tasks)] * 4)
    pids = [process.pid or 0 for process in environment.processes]
    return _of_gymnasium("Gymnasium AsyncVectorEnv", environment, 100, pids)


def _of_gymnasium(
    name: str, environment: Any, n_steps: int, pids: Sequence[int] = ()
) -> Contestant:
    return Contestant(
        name,
        environment.num_envs,
        n_steps,
        lambda: _masks_of(environment.reset(seed=SEED)[0]),
        lambda actions: _masks_of(environment.step(actions)[0]),
        environment.close,
        pids,
    )


def dummy_vec_env(tasks: Sequence[Task]) -> Contestant | None:
    """Return Stable-Baselines3's DummyVecEnv over the single environment, where installed."""
    try:
        from stable_baselines3.common.vec_env import DummyVecEnv
    except ImportError:
        return None
    environment = DummyVecEnv([partial(MusicEditingEnv, tasks)] * 32)
    return _of_stable_baselines("Stable-Baselines3 DummyVecEnv", environment, 30)


def subproc_vec_env(tasks: Sequence[Task]) -> Contestant | None:
    """Return its SubprocVecEnv, where installed: a process for each episode."""
    try:
        from stable_baselines3.common.vec_env import SubprocVecEnv
    except ImportError:
        return None
    environment = SubprocVecEnv([partial(MusicEditingEnv, tasks)] * 4, start_method="spawn")
    pids = [process.pid or 0 for process in environment.processes]
    return _of_stable_baselines("Stable-Baselines3 SubprocVecEnv", environment, 100, pids)


def _of_stable_baselines(
    name: str, environment: Any, n_steps: int, pids: Sequence[int] = ()
) -> Contestant:
    return Contestant(
        name,
        environment.num_envs,
        n_steps,
        lambda: _masks_of(environment.reset()),
        lambda actions: _masks_of(environment.step(actions)[0]),
        environment.close,
        pids,
    )


def puffer_serial(tasks: Sequence[Task]) -> Contestant | None:
    """Return PufferLib's serial vectorisation over the single environment, where installed."""
    try:
        import pufferlib.emulation
        import pufferlib.vector
    except ImportError:
        print("PufferLib is not installed and does not take part")
        return None
    make = partial(
        pufferlib.emulation.GymnasiumPufferEnv, env_creator=partial(MusicEditingEnv, tasks)
    )
    environment = pufferlib.vector.make(make, num_envs=32, backend=pufferlib.vector.Serial)
    structure = environment.driver_env.obs_dtype

    def masks(seen: NDArray) -> Masks:
        return _masks_of(seen.view(structure).reshape(len(seen)))

    return Contestant(
        "PufferLib Serial",
        32,
        30,
        lambda: masks(environment.reset(SEED)[0]),
        lambda actions: masks(environment.step(actions)[0]),
        environment.close,
    )


CONTESTANTS: tuple[Callable[[Sequence[Task]], Contestant | None], ...] = (
    training_batch,
    gymnasium_batch,
    partial(gymnasium_batch, n_workers=2),
    sync_vector_env,
    async_vector_env,
    dummy_vec_env,
    subproc_vec_env,
    puffer_serial,
)

if __name__ == "__main__":
    main()
