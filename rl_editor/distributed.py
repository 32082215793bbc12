"""One training run in several processes, started by `torchrun` (PyTorch's launcher).

Every process holds the same policy, optimiser, data and random numbers, and computes its share of
each loss: whole recordings of a minibatch, whole episodes of a rollout. Shares add up to the loss
that one process computes of the whole batch, so a run comes to the same numbers, but for the
order in which floats are added, however many processes it has. Gradients are summed by
`DistributedDataParallel` (Li et al., "PyTorch Distributed", 2020, arXiv:2006.15704); everything
else is exchanged as plain objects on the CPU.

Only the first process writes, prints and holds the save folder. Alone, nothing is exchanged.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rl_editor.errors import UserError
from rl_editor.stopping import EXIT_USER_ERROR, Terminated

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one may analyse a large folder meanwhile.
A process that ended is noticed at once."""
EXIT_LOST = 1
"""Exit code of a process that had to end because another one did."""


class ProcessLostError(RuntimeError):
    """Another process of the run ended, so nothing can be exchanged any more."""


class ToldElsewhereError(UserError):
    """What went wrong in another process, which tells it."""


def default_device() -> torch.device:
    """Return the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them. Every method is called by all of them.

    Attributes:
        rank: number of this process, in [0, count).
        count: how many there are.
        local_rank, local_count: the same among those of this machine.
        device: where this process computes.
        launcher: process id of what started it, without which it does not go on.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    device: torch.device = field(default_factory=default_device)
    launcher: int = field(default_factory=os.getppid)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def n_workers(self) -> int:
        """Worker processes that this process may have: its share of the machine's cores."""
        return max(1, (os.cpu_count() or 1) // self.local_count)

    def error(self, text: str) -> UserError:
        """Return the error to raise for what every process finds; the first one tells it."""
        return UserError(text) if self.is_first else ToldElsewhereError(text)

    def part(self, n: int) -> slice:
        """Return this process's contiguous share of `n` episodes.

        Raises:
            UserError: they cannot be shared equally.
        """
        if n % self.count:
            raise self.error(
                f"n_envs should be divisible by the number of processes, but {n} is not divisible "
                f"by {self.count}; try --n_envs {-(-n // self.count) * self.count}."
            )
        size = n // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def own(self, costs: ArrayLike) -> list[int]:
        """Return which of some items, given what each costs, are this process's, in order."""
        costs = np.asarray(costs, dtype=float)
        if self.count == 1:
            return list(range(len(costs)))
        largest_first = np.argsort(-costs, kind="stable")
        owner = balanced(costs[largest_first], self.count)
        return np.sort(largest_first[owner == self.rank]).tolist()

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        if os.getppid() != self.launcher:
            raise ProcessLostError("torchrun ended, and its processes with it.")
        with _exchange():
            dist.all_gather_object(values, value)
        return values

    def sums(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the sums of the numbers of all processes, by name: the same bits everywhere."""
        parts = self.gather(list(numbers.values()))
        totals = np.sum(np.array(parts, dtype=float), axis=0)
        return dict(zip(numbers, totals.tolist(), strict=True))

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what the first process makes; a `UserError` or exit of it is raised by all."""
        if self.count == 1:
            return make()
        error: UserError | SystemExit | None = None
        box: list[Any] = [None, None]
        if self.is_first:
            try:
                box[0] = make()
            except (UserError, SystemExit) as raised:
                error, box = raised, [None, _told_elsewhere(raised)]
        with _exchange():
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        if box[1] is not None:
            raise error or box[1]
        return box[0]

    def together(self, make: Callable[[], T]) -> T:
        """Return what this process makes; a `UserError` of one is raised by all, told by one."""
        if self.count == 1:
            return make()
        value, error = None, None
        try:
            value = make()
        except UserError as raised:
            error = raised
        told = [rank for rank, failed in enumerate(self.gather(error is not None)) if failed]
        if told:
            raise error if error and told[0] == self.rank else ToldElsewhereError(str(error))
        return value  # type: ignore[return-value]

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return what this process makes, one process of each machine before the others of it."""
        if self.count == 1:
            return make()
        leads = self.local_rank == 0
        early = self.together(lambda: make() if leads else None)
        late = self.together(lambda: None if leads else make())
        return early if leads else late  # type: ignore[return-value]


ALONE = Processes(device=torch.device("cpu"))
"""The only process of a run, on the CPU; for what computes where its inputs are."""

ShareOfLoss = Callable[[], tuple[Tensor, dict[str, float]]]
"""Makes a process's share of a loss, with its share of numbers to log; names are the same in all
processes. A process with nothing to do returns zeros."""


class Descent:
    """Gradient steps of one agent, of losses that its processes compute in shares."""

    def __init__(self, agent: nn.Module, processes: Processes = ALONE) -> None:
        """Let the agent, the same in all processes, learn by the sum of their gradients."""
        self.agent, self.processes = agent, processes
        self._together = None
        if processes.count > 1:  # heads that nobody uses keep no gradient, as in one process
            self._together = DistributedDataParallel(_Shares(agent), find_unused_parameters=True)

    def step(
        self,
        optimizer: torch.optim.Optimizer,
        max_norm: float,
        share: ShareOfLoss,
        alone: Sequence[nn.Parameter] = (),
    ) -> dict[str, float]:
        """Take one step; return the sums of the numbers, and `gradient_norm` before clipping.

        Args:
            optimizer: of the agent's parameters.
            max_norm: longest gradient that is taken.
            share: makes this process's share of the loss.
            alone: parameters that learn something apart from the others: the length of their
                gradient is clipped by itself and is not part of `gradient_norm`.

        Raises:
            FloatingPointError: the gradient is not finite.
        """
        optimizer.zero_grad(set_to_none=True)
        loss, numbers = self._backward(share)
        apart = {id(parameter) for parameter in alone}
        others = [p for p in self.agent.parameters() if id(p) not in apart]
        norm = float(nn.utils.clip_grad_norm_(others, max_norm))
        norm_alone = float(nn.utils.clip_grad_norm_(alone, max_norm))
        if not np.isfinite(norm + norm_alone):
            raise FloatingPointError(f"the gradient is not finite (loss {loss})")
        optimizer.step()
        return {**numbers, "gradient_norm": norm}

    def _backward(self, share: ShareOfLoss) -> tuple[float, dict[str, float]]:
        if self._together is None:
            loss, numbers = share()
            loss.backward()
            return loss.item(), numbers
        loss, numbers = self._together(share)
        with _exchange():
            (loss * self.processes.count).backward()  # its gradients are averaged
        return loss.item(), self.processes.sums(numbers)


class _Shares(nn.Module):
    """What `DistributedDataParallel` wraps: an agent whose forward pass is a share of a loss."""

    def __init__(self, agent: nn.Module) -> None:
        super().__init__()
        self.agent = agent
        # Which heads a loss uses changes in a run; as long as it uses all, it would be warned of.
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, share: ShareOfLoss) -> tuple[Tensor, dict[str, float]]:
        """Return the share, with a gradient (of zeros where there is nothing to do)."""
        loss, numbers = share()
        if not loss.requires_grad:
            loss = loss + 0.0 * next(self.agent.parameters()).sum()
        return loss, numbers


def balanced(sizes: NDArray, n_parts: int) -> NDArray[np.int64]:
    """Return [n] a part for each of some items, in turn the one with the least in it so far."""
    filled, part_of = np.zeros(n_parts), np.zeros(len(sizes), dtype=np.int64)
    for index, size in enumerate(sizes):
        part_of[index] = filled.argmin()
        filled[part_of[index]] += size
    return part_of


def run_together(run: Callable[[Processes], None]) -> int:
    """Run in the processes that `torchrun` started, this one among them; return the exit code.

    Raises:
        UserError: something that this process should tell.
        KeyboardInterrupt: a signal came.
    """
    try:
        with _stopped_once(), _group() as processes:
            run(processes)
    except ToldElsewhereError:
        return EXIT_USER_ERROR
    except ProcessLostError as error:
        if int(os.environ["RANK"]) == 0:
            print(f"rl-editor train: {error}", file=sys.stderr)
        return EXIT_LOST
    return 0


@contextmanager
def _group() -> Iterator[Processes]:
    """Yield the processes that `torchrun` describes in the environment, able to exchange."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, count, local_rank, local_count = (int(os.environ.get(name, 0)) for name in names)
    device, backend = default_device(), "gloo"
    if device.type == "cuda":
        n_gpus = torch.cuda.device_count()
        if local_count > n_gpus:
            text = (
                f"each process needs a GPU of its own, but {local_count} processes have {n_gpus}; "
                f"start {n_gpus} (--nproc_per_node), or hide the GPUs (CUDA_VISIBLE_DEVICES=)."
            )
            raise UserError(text) if rank == 0 else ToldElsewhereError(text)
        device, backend = torch.device("cuda", local_rank), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=PATIENCE)
    yield Processes(rank, count, local_rank, max(1, local_count), device)
    dist.destroy_process_group()


@contextmanager
def _exchange() -> Iterator[None]:
    """Tell that a process is lost from other errors while numbers are exchanged."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise ProcessLostError(
            "another process of the run ended; its own message or torchrun's report says why."
        ) from error


@contextmanager
def _stopped_once() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM stop the block and ignore later ones.

    `torchrun` passes on what the terminal has already sent; that must not end the process while it
    writes its checkpoint. One that does not end within half a minute is killed by `torchrun`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, _stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _told_elsewhere(error: UserError | SystemExit) -> UserError | SystemExit:
    return ToldElsewhereError(str(error)) if isinstance(error, UserError) else error
