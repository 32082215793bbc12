"""Being told to stop: SIGTERM becomes an exception, so that everything is cleaned up.

A command runs inside `terminable`. Without it the process would end at once and leave
unfinished files behind.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
"""Exit codes of the commands; those of signals are 128 and the signal's number."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came; a kind of Ctrl-C, so what prepares for one is prepared for this."""


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was stopped."""
    return EXIT_TERMINATED if isinstance(interrupt, Terminated) else EXIT_INTERRUPTED


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` in the block when SIGTERM comes; a second one ends the process at once.

    Does nothing outside the main thread, which alone may handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated
