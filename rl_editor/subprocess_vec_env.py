"""The vector environment in worker processes: the same contract, the same numbers.

Each worker runs a `VectorEnvironment` over a contiguous share of the episodes and writes what it
observes into shared memory; only finished episodes travel through its pipe. The memory has no name
that could outlive the processes (on POSIX it is a file that is unlinked before it is used), and a
worker ends when its pipe does, so neither is left behind by Ctrl-C or by a parent that was killed.

Workers are spawned, not forked, and import neither torch nor gymnasium. An error in a worker is
raised in the parent with the worker's traceback.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES
from rl_editor.episode_state import EpisodeState
from rl_editor.episodes import (
    FinishedEpisodes,
    Observations,
    StepResult,
    no_finished,
    no_observations,
)
from rl_editor.observation import N_CONTEXT
from rl_editor.vector_environment import EditingProblem, Seed, VectorEnvironment

JOIN_TIMEOUT_S = 5.0
"""How long `close` waits for a worker before it ends it."""
ALIGNMENT = 64
"""Arrays in the shared memory begin at multiples of this, bytes: a cache line."""

_SHARED: dict[str, tuple[tuple[int, ...], type]] = {
    "task": ((), np.int64),
    "cursor": ((), np.int64),
    "target": ((), np.float64),
    "context": ((N_CONTEXT,), np.float32),
    "type_mask": ((N_TYPES,), np.bool_),
    "size_mask": ((N_TYPES, N_SIZES), np.bool_),
    "amount_mask": ((N_TYPES, N_AMOUNTS), np.bool_),
    "actions": ((3,), np.int64),
    "reward": ((), np.float32),
    "terminated": ((), np.bool_),
    "truncated": ((), np.bool_),
}
"""Shape of one episode and type of each shared array."""
_OBSERVED = tuple(f.name for f in fields(Observations))


class WorkerError(RuntimeError):
    """A worker process failed; the message holds its traceback or its exit code."""


class SubprocessVectorEnvironment:
    """`E` episodes of one problem, stepped in worker processes.

    Drop-in for `VectorEnvironment`: for equal seeds and actions the results are equal, whatever
    the number of workers. Close it, or use it as a context manager.
    """

    def __init__(
        self, problem: EditingProblem, n_envs: int, seed: int = 0, n_workers: int | None = None
    ) -> None:
        """Start the workers: as many as there are cores, or episodes if those are fewer."""
        if n_envs < 1:
            raise ValueError(f"an environment needs at least one episode, but {n_envs} were asked")
        n_workers = min(n_envs, n_workers or os.cpu_count() or 1)
        bounds = np.linspace(0, n_envs, n_workers + 1).round().astype(int).tolist()
        self.problem, self.n_envs = problem, n_envs
        self._parts = [slice(a, b) for a, b in pairwise(bounds)]
        self._connections: list[Connection] = []
        self._workers: list[Any] = []
        context = multiprocessing.get_context("spawn")
        memory = context.RawArray("b", _n_bytes(n_envs))
        self._shared = _views(memory, n_envs)
        for part in self._parts:
            ours, theirs = context.Pipe()
            arguments = (theirs, memory, n_envs, problem, seed, part)
            worker = context.Process(target=_work, args=arguments, daemon=True)
            self._connections.append(ours)
            self._workers.append(worker)
            worker.start()
            theirs.close()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def seed(self, seeds: Sequence[Seed]) -> None:
        """Take the random numbers of each episode from its own seed from now on."""
        self._call("seed", [(list(seeds[part]),) for part in self._parts])

    def reset(
        self,
        tasks: NDArray[np.int64] | None = None,
        targets: NDArray[np.float64] | None = None,
    ) -> Observations:
        """Return the first observations of `E` new episodes; see `VectorEnvironment.reset`."""
        given = [
            tuple(None if values is None else values[part] for values in (tasks, targets))
            for part in self._parts
        ]
        self._call("reset", given)
        return self._observations()

    def step(self, actions: NDArray[np.integer]) -> StepResult:
        """Act in every episode; see `VectorEnvironment.step`."""
        if np.shape(actions) != (self.n_envs, 3):
            raise ValueError(
                f"{self.n_envs} actions of 3 numbers are needed, not {np.shape(actions)}"
            )
        self._shared["actions"][:] = actions
        ended = [part for part in self._call("step", [()] * len(self._parts)) if part is not None]
        return StepResult(
            observations=self._observations(),
            reward=self._shared["reward"].copy(),
            terminated=self._shared["terminated"].copy(),
            truncated=self._shared["truncated"].copy(),
            final=Observations.join([no_observations(), *(final for final, _ in ended)]),
            finished=FinishedEpisodes.join([no_finished(), *(done for _, done in ended)]),
        )

    def snapshot(self) -> EpisodeState:
        """Return what `restore` needs to go on from here."""
        return EpisodeState.join(self._call("snapshot", [()] * len(self._parts)))

    def restore(self, state: EpisodeState) -> Observations:
        """Go on from a snapshot; see `VectorEnvironment.restore`."""
        if len(state.task) != self.n_envs:
            raise ValueError(f"{len(state.task)} episodes cannot go on as {self.n_envs}")
        self._call("restore", [(part,) for part in state.split(self._parts)])
        return self._observations()

    def close(self) -> None:
        """End the workers; safe to call twice."""
        connections, self._connections = self._connections, []
        workers, self._workers = self._workers, []
        for connection in connections:
            with suppress(OSError):
                connection.send(("close", ()))
        for worker, connection in zip(workers, connections, strict=True):
            worker.join(JOIN_TIMEOUT_S)
            if worker.is_alive():
                worker.terminate()
                worker.join()
            connection.close()

    def __enter__(self) -> SubprocessVectorEnvironment:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def _observations(self) -> Observations:
        return Observations(**{name: self._shared[name].copy() for name in _OBSERVED})

    def _call(self, command: str, arguments: list[tuple]) -> list[Any]:
        """Return the answers of all workers; whatever goes wrong on the way ends them."""
        if not self._connections:
            raise WorkerError("the worker processes are closed")
        try:
            for connection, argument in zip(self._connections, arguments, strict=True):
                with suppress(OSError):  # a dead worker is told by `_receive`
                    connection.send((command, argument))
            answers = [self._receive(index) for index in range(len(arguments))]
            errors = [error for _, error in answers if error]
            if errors:
                raise WorkerError("a worker process failed:\n" + "\n".join(errors))
        except BaseException:  # an answer that was not fetched would be taken for the next one
            self.close()
            raise
        return [answer for answer, _ in answers]

    def _receive(self, index: int) -> tuple[Any, str | None]:
        try:
            return self._connections[index].recv()
        except (EOFError, OSError):
            self._workers[index].join(JOIN_TIMEOUT_S)
            return None, f"worker {index} ended with exit code {self._workers[index].exitcode}"


class _Worker:
    """Episodes of one share; each method is a command."""

    def __init__(self, problem: EditingProblem, seed: int, first: int, shared: dict) -> None:
        n_envs = len(shared["actions"])
        self._episodes = VectorEnvironment(problem, n_envs, seed, first)
        self._shared = shared

    def seed(self, seeds: list[Seed]) -> None:
        self._episodes.seed(seeds)

    def reset(self, tasks: NDArray | None, targets: NDArray | None) -> None:
        self._write(self._episodes.reset(tasks, targets), _OBSERVED)

    def snapshot(self) -> EpisodeState:
        return self._episodes.snapshot()

    def restore(self, state: EpisodeState) -> None:
        self._write(self._episodes.restore(state), _OBSERVED)

    def step(self) -> tuple[Observations, FinishedEpisodes] | None:
        """Return what the truncated episodes saw last, and all finished ones, where there are."""
        result = self._episodes.step(self._shared["actions"])
        self._write(result.observations, _OBSERVED)
        self._write(result, ("reward", "terminated", "truncated"))
        return (result.final, result.finished) if len(result.finished) else None

    def _write(self, arrays: object, names: Sequence[str]) -> None:
        for name in names:
            self._shared[name][:] = getattr(arrays, name)


def _work(
    connection: Connection,
    memory: Any,
    n_envs: int,
    problem: EditingProblem,
    seed: int,
    part: slice,
) -> None:
    """Answer commands with (result, traceback or None) until told to close."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    shared = {name: array[part] for name, array in _views(memory, n_envs).items()}
    worker = None
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            command, arguments = connection.recv()
            if command == "close":
                return
            try:
                worker = worker or _Worker(problem, seed, part.start, shared)
                connection.send((getattr(worker, command)(*arguments), None))
            except Exception:  # forwarded: the parent raises it
                connection.send((None, traceback.format_exc()))


def _n_bytes(n_envs: int) -> int:
    """Return the size of the shared memory."""
    return sum(_padded(n_envs, *kind) for kind in _SHARED.values())


def _padded(n_envs: int, shape: tuple[int, ...], dtype: type) -> int:
    n_bytes = n_envs * math.prod(shape) * np.dtype(dtype).itemsize
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def _views(memory: Any, n_envs: int) -> dict[str, NDArray]:
    """Return the arrays [E, ...] that lie in the shared memory."""
    views, offset = {}, 0
    for name, (shape, dtype) in _SHARED.items():
        count = n_envs * math.prod(shape)
        flat: NDArray = np.frombuffer(memory, dtype=dtype, count=count, offset=offset)
        views[name] = flat.reshape(n_envs, *shape)
        offset += _padded(n_envs, shape, dtype)
    return views
