"""Work on many items in several processes: results as they come, a clean end when stopped.

Processes are spawned, not forked, and compute with one thread each. What a worker raises is
raised in the parent with the worker's traceback. Ctrl-C is the parent's to handle; it then tells
the workers to stop, and they remove what they had half-written.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from rl_editor.errors import UserError
from rl_editor.stopping import terminable

Item = TypeVar("Item")
Result = TypeVar("Result")

JOIN_TIMEOUT_S = 10.0
"""How long a worker that was told to stop has for cleaning up."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(RuntimeError):
    """A worker failed; the message holds its traceback."""


def default_jobs() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the item, what `work` returns for it) in the order in which they are done.

    Args:
        work: a function of a module (or a `partial` of one), since workers must find it by name.
        items: whatever can be pickled.
        jobs: number of processes; with 1, or a single item, everything happens in this one.

    Raises:
        UserError: a process ended without an answer, as for want of memory.
        WorkerError: `work` raised something in a worker.
    """
    if jobs <= 1 or len(items) <= 1:
        yield from ((index, work(item)) for index, item in enumerate(items))
        return
    workers = _start(work, min(jobs, len(items)))
    try:
        waiting = list(enumerate(items))[::-1]
        busy: dict[Connection, Item] = {}
        for connection in workers:
            busy[connection] = waiting[-1][1]
            connection.send(waiting.pop())
        while busy:
            ready = wait(list(busy))
            for connection in [known for known in busy if known in ready]:
                yield _received(connection, busy.pop(connection))
                if waiting:
                    busy[connection] = waiting[-1][1]
                    connection.send(waiting.pop())
    finally:
        _stop(workers)


def _start(work: Callable[[Any], Any], n_workers: int) -> dict[Connection, Any]:
    """Return the new workers by the connections to them."""
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, Any] = {}
    with _for_workers():
        for _ in range(n_workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, work), daemon=True)
            process.start()
            theirs.close()
            workers[ours] = process
    return workers


@contextmanager
def _for_workers() -> Iterator[None]:
    """Let processes that are started in the block ignore Ctrl-C and compute with one thread."""
    added = [name for name in _THREAD_VARIABLES if name not in os.environ]
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
        if is_main:
            signal.signal(signal.SIGINT, handler)


def _received(connection: Connection, item: Any) -> tuple[int, Any]:
    try:
        index, result, error = connection.recv()
    except (EOFError, OSError) as gone:
        raise UserError(
            f"a worker process ended while it was at {item}, perhaps for want of memory; try "
            "again with fewer --jobs."
        ) from gone
    if error is not None:
        raise WorkerError(f"a worker process failed:\n{error}")
    return index, result


def _stop(workers: dict[Connection, Any]) -> None:
    for connection, process in workers.items():
        connection.close()
        process.terminate()
    for process in workers.values():
        process.join(JOIN_TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()


def _work(connection: Connection, work: Callable[[Any], Any]) -> None:
    """Answer items with (index, result, traceback or None) until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # told to stop, or the parent is gone
    with suppress(KeyboardInterrupt, EOFError, OSError), terminable():
        while True:
            index, item = connection.recv()
            answer: tuple[int, Any, str | None]
            try:
                answer = (index, work(item), None)
            except Exception:  # forwarded: the parent raises it
                answer = (index, None, traceback.format_exc())
            connection.send(answer)
