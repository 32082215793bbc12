"""The vector environment in worker processes: the same contract, the same numbers.

Each worker runs a `VectorEnvironment` over a contiguous share of the episodes, so one message
carries many steps. Workers are spawned, not forked, and import neither torch nor gymnasium. An
error in a worker is raised in the parent with the worker's traceback.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.vector_environment import (
    EditingProblem,
    Observations,
    StepResult,
    VectorEnvironment,
)

JOIN_TIMEOUT_S = 5.0
"""How long `close` waits for a worker before it ends it."""


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
        bounds = np.linspace(0, n_envs, n_workers + 1).round().astype(int)
        self.problem, self.n_envs = problem, n_envs
        self._slices = [slice(a, b) for a, b in pairwise(bounds)]
        self._connections: list[Connection] = []
        self._workers: list[Any] = []
        context = multiprocessing.get_context("spawn")
        for part in self._slices:
            ours, theirs = context.Pipe()
            arguments = (theirs, problem, int(part.stop - part.start), seed, int(part.start))
            worker = context.Process(target=_work, args=arguments, daemon=True)
            self._connections.append(ours)
            self._workers.append(worker)
            worker.start()
            theirs.close()

    def reset(self) -> Observations:
        """Return the first observations of `E` new episodes."""
        return Observations.join(self._call("reset", [None] * len(self._slices)))

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Act in every episode; see `VectorEnvironment.step`."""
        if len(actions) != self.n_envs:
            raise ValueError(f"{self.n_envs} episodes run, but {len(actions)} actions came")
        parts = self._call("step", [actions[part] for part in self._slices])
        return StepResult(
            observations=Observations.join([p.observations for p in parts]),
            reward=np.concatenate([p.reward for p in parts]),
            terminated=np.concatenate([p.terminated for p in parts]),
            truncated=np.concatenate([p.truncated for p in parts]),
            final=Observations.join([p.final for p in parts]),
            finished=tuple(result for p in parts for result in p.finished),
        )

    def close(self) -> None:
        """End the workers; safe to call twice."""
        for connection in self._connections:
            with suppress(OSError):
                connection.send(("close", None))
        for worker, connection in zip(self._workers, self._connections, strict=True):
            worker.join(JOIN_TIMEOUT_S)
            if worker.is_alive():
                worker.terminate()
                worker.join()
            connection.close()
        self._connections, self._workers = [], []

    def __enter__(self) -> SubprocessVectorEnvironment:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()

    def _call(self, command: str, arguments: list[Any]) -> list[Any]:
        if not self._connections:
            raise WorkerError("the worker processes are closed")
        for index, argument in enumerate(arguments):
            with suppress(OSError):  # a dead worker is told by `_receive`
                self._connections[index].send((command, argument))
        answers = [self._receive(index) for index in range(len(arguments))]
        errors = [error for _, error in answers if error]
        if errors:
            self.close()
            raise WorkerError("a worker process failed:\n" + "\n".join(errors))
        return [answer for answer, _ in answers]

    def _receive(self, index: int) -> tuple[Any, str | None]:
        try:
            return self._connections[index].recv()
        except (EOFError, OSError):
            self._workers[index].join(JOIN_TIMEOUT_S)
            return None, f"worker {index} ended with exit code {self._workers[index].exitcode}"


def _work(
    connection: Connection, problem: EditingProblem, n_envs: int, seed: int, first_episode: int
) -> None:
    """Answer commands with (result, traceback or None) until told to close."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    environment = VectorEnvironment(problem, n_envs, seed, first_episode)
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            command, argument = connection.recv()
            if command == "close":
                return
            try:
                connection.send((_answer(environment, command, argument), None))
            except Exception:  # forwarded: the parent raises it
                connection.send((None, traceback.format_exc()))


def _answer(environment: VectorEnvironment, command: str, argument: Any) -> Any:
    if command == "reset":
        return environment.reset()
    if command == "step":
        return environment.step(argument)
    raise ValueError(f"unknown command {command!r}")
