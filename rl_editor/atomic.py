"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY_PREFIX = ".rl_editor-"
"""Begins the name of every unfinished file; short, so that any legal target name still fits."""


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield an empty temporary file beside `target` that becomes `target` on a clean exit.

    On any exception, an interrupt included, the temporary file is removed and an earlier
    `target` stays as it was. A symbolic link is followed, so the file that it names is replaced.
    The file has the permissions that the user's umask gives to a new file.

    Raises:
        OSError: the folder is missing or cannot be written, or the target cannot be replaced.
    """
    temporary = _create_beside(target)
    try:
        yield temporary
        os.replace(temporary, os.path.realpath(target))
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def try_beside(target: str | Path) -> None:
    """Make and remove a temporary file beside `target`.

    This is how to know whether a file can be made: permission bits mislead, above all as root.

    Raises:
        OSError: no file can be made there.
    """
    os.unlink(_create_beside(target))


def _create_beside(target: str | Path) -> Path:
    resolved = Path(os.path.realpath(target))
    temporary = resolved.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return temporary
