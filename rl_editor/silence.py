"""Keeping a C library from writing to standard error.

libsndfile reads MP3s with mpg123, which prints notes about odd files ("Trying to resync...") and
offers no way to be asked not to. What matters reaches the user as an error or not at all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
"""Held while standard error is away: two threads at once could lose it for good."""


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Send what the process writes to file descriptor 2 nowhere while the block runs.

    That holds for the whole process, so the block should be one short call into the library.
    Where there is no standard error, nothing is done.
    """
    with _LOCK:
        try:
            kept = os.dup(2)
        except OSError:
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, 2)
            finally:
                os.close(nowhere)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
