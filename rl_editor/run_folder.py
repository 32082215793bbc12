"""The folder of a training run: whether it can be written, and the checkpoints in it.

`best.pt` is for use and small; `latest.pt` holds what the run needs to go on, and the last few of
its kind are kept as `checkpoint-STAGE-NUMBER.pt`. Every one appears whole or not at all. The
`latest.pt` of another run becomes `latest.NUMBER.pt`, which nothing replaces.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from rl_editor.atomic import TEMPORARY_PREFIX, atomic_path
from rl_editor.checkpoint import Checkpoint, save
from rl_editor.errors import UserError

BEST, LATEST = "best.pt", "latest.pt"
LOCK = ".lock"
LOG_BYTES = 4_000_000
"""Room for the logs of some thousand updates (1.5 kB each as text, as much in TensorBoard)."""
_KEPT = re.compile(r"checkpoint-[a-z]+-\d+\.pt")
_SET_ASIDE = re.compile(r"latest\.(\d+|old)\.pt")
"""One was called "old" before they had numbers."""
_ABANDONED_S = 600.0
"""An unfinished file that nobody has written to for so long is of a process that was killed."""


@contextmanager
def save_folder(path: str | Path, n_bytes: int = 0) -> Iterator[Path]:
    """Yield the folder of a run, made where it is missing; a run that fails leaves none empty.

    Args:
        path: of the folder.
        n_bytes: what the run will need there; as much is written once and removed again.

    Raises:
        UserError: nothing can be written there, or not that much, or another run is at work there.
    """
    folder = Path(path)
    missing = list(takewhile(lambda place: not place.exists(), (folder, *folder.parents)))
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            _try_to_write(folder, 0)
        except OSError as error:
            raise UserError(
                f"checkpoints should go to the folder {path}, but nothing can be written there "
                f"({error.strerror}); choose another with --save_dir."
            ) from error
        try:
            _try_to_write(folder, n_bytes)
        except OSError as error:
            raise UserError(
                f"checkpoints and logs need {n_bytes / 1e6:.0f} MB in the folder {path}, but there "
                f"is no room for that ({error.strerror}); make room, choose another folder with "
                "--save_dir or keep fewer checkpoints (--keep_checkpoints)."
            ) from error
        with _alone(folder):
            yield folder
    except BaseException:
        for place in missing:
            with suppress(OSError):  # holds something, or was never made
                place.rmdir()
        raise


def bytes_needed(n_weights: int, keep_checkpoints: int) -> int:
    """Return what a run writes, bytes: its checkpoints, one of each as it is written, and logs.

    A checkpoint for use holds the weights, float32; one to go on from the optimiser's two moments
    as well, and some random states and actions.
    """
    to_use, to_go_on = 4 * n_weights, 3 * 4 * n_weights + 1_000_000
    return 2 * to_use + (2 + keep_checkpoints) * to_go_on + LOG_BYTES


def save_latest(folder: Path, name: str, checkpoint: Checkpoint, n_kept: int) -> None:
    """Write `latest.pt`, keep it under a name of its own too, and the `n_kept` last of those.

    Args:
        folder: of the run.
        name: such as "ppo-000120".
        checkpoint: with its run's state.
        n_kept: 0 keeps none.

    Raises:
        UserError: it cannot be written.
    """
    latest = folder / LATEST
    save(latest, checkpoint)
    if n_kept > 0:
        own_name = folder / f"checkpoint-{name}.pt"
        try:
            with atomic_path(own_name) as temporary:
                _same_file(latest, temporary)
        except OSError as error:
            raise UserError(
                f"the checkpoint should be kept as {own_name}, but that failed: "
                f"{error.strerror}; make room there, or keep none (--keep_checkpoints 0)."
            ) from error
    kept = sorted(
        (path for path in folder.iterdir() if _KEPT.fullmatch(path.name)),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
    )
    for path in kept[: max(0, len(kept) - n_kept)]:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> Path | None:
    """Give what an earlier run left at `path` another name and return it; None if nothing is there.

    `log.jsonl` becomes `log.1.jsonl`, or the next number that is free.
    """
    if not path.exists():
        return None
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    os.replace(path, aside)
    return aside


def runs_set_aside(folder: Path) -> list[Path]:
    """Return what were `latest.pt` of other runs in a folder."""
    return sorted(path for path in folder.iterdir() if _SET_ASIDE.fullmatch(path.name))


def _same_file(source: Path, target: Path) -> None:
    """Let the empty file `target` be `source`: a second name for it, or else a copy."""
    target.unlink()
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        target.write_bytes(source.read_bytes())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock ends with the process, however that ends.

    Raises:
        UserError: another run is at work there.
    """
    path = folder / LOCK
    with path.open("ab") as file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise UserError(
                f"another run is at work in the folder {folder}; wait for it, or choose another "
                "folder with --save_dir."
            ) from error
        try:
            yield
        finally:
            if sys.platform != "win32":  # there a file that is open cannot be removed
                path.unlink(missing_ok=True)


def _lock(descriptor: int) -> None:
    """Lock a file, as far as its file system can."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise


def _try_to_write(folder: Path, n_bytes: int) -> None:
    block = bytes(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(-(-n_bytes // len(block))):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            path.unlink(missing_ok=True)
