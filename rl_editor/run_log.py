"""What a training run writes down: one JSON line an epoch, and the same in TensorBoard.

`log.jsonl` in the save folder holds flat names with numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.episodes import EpisodeResult
from rl_editor.errors import UserError
from rl_editor.event_file import EventFile
from rl_editor.rewards import REWARD_TERMS
from rl_editor.run_folder import set_aside

LOG, BOARDS = "log.jsonl", "tensorboard"


@dataclass(frozen=True)
class LogPosition:
    """How far a log was written when a checkpoint was made.

    Attributes:
        n_bytes: of `log.jsonl`.
        epochs: last epoch of each stage.
    """

    n_bytes: int = 0
    epochs: dict[str, int] = field(default_factory=dict)


class RunLog:
    """The log of one run; a context manager.

    A run that goes on from a checkpoint continues the log where the checkpoint was made: what came
    after it is dropped, so that each epoch is there once. The log of an earlier run is set aside.

    Attributes:
        path: of the JSON lines.
    """

    def __init__(self, save_dir: str | Path, goes_on_at: LogPosition | None = None) -> None:
        """Choose the folder; files are made with the first line, TensorBoard's where installed.

        Args:
            save_dir: folder of the run.
            goes_on_at: of the checkpoint; None for a run that begins.
        """
        self.path = Path(save_dir) / LOG
        self._goes_on_at = goes_on_at
        self._epochs = dict(goes_on_at.epochs) if goes_on_at else {}
        self._file: BinaryIO | None = None
        self._boards: dict[str, EventFile] = {}

    def write(self, epoch: int, stage: str, values: dict[str, float]) -> None:
        """Write the numbers of one epoch of a stage, such as "cloning" or "ppo".

        Raises:
            UserError: nothing can be written.
        """
        not_finite = [name for name, value in values.items() if not np.isfinite(value)]
        if not_finite:
            raise FloatingPointError(f"epoch {epoch} logs what is not finite: {not_finite}")
        line = json.dumps({"stage": stage, "epoch": epoch, **values}) + "\n"
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(line.encode("utf-8"))
            self._file.flush()
            board = self._board(stage)
            if board is not None:
                board.write(epoch, {f"{stage}/{name}": value for name, value in values.items()})
        except OSError as error:
            raise UserError(
                f"the log should be written to {self.path.parent}, but that failed: "
                f"{error.strerror}; make room there, then the same command goes on from the last "
                "checkpoint."
            ) from error
        self._epochs[stage] = epoch

    def position(self) -> LogPosition:
        """Return how far the log is written."""
        if self._file is None:
            return self._goes_on_at or LogPosition()
        return LogPosition(self._file.tell(), dict(self._epochs))

    def close(self) -> None:
        """Close the files; what a full disk did not take was told by `write`."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        for board in self._boards.values():
            board.close()

    def __enter__(self) -> RunLog:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close."""
        self.close()

    def _open(self) -> BinaryIO:
        """Return the file to append to; nothing before is touched until there is a line."""
        if self._goes_on_at is None:
            set_log_aside(self.path.parent)
        if self._goes_on_at is None or not self.path.exists():
            return self.path.open("wb")
        file = self.path.open("r+b")
        file.truncate(min(self._goes_on_at.n_bytes, self.path.stat().st_size))
        file.seek(0, SEEK_END)
        return file

    def _board(self, stage: str) -> EventFile | None:
        """Return the events of one stage, or None where TensorBoard is not installed.

        Each stage has its own, since each counts its epochs from 1: what came after a checkpoint
        is forgotten by its epoch.
        """
        if stage not in self._boards:
            first = None if self._goes_on_at is None else self._epochs.get(stage, 0) + 1
            try:
                board = EventFile(self.path.with_name(BOARDS) / stage, first)
            except ImportError:
                return None
            self._boards[stage] = board
        return self._boards[stage]


def set_log_aside(save_dir: Path) -> None:
    """Give the log of another run in a folder a name of its own."""
    for name in (LOG, BOARDS):
        set_aside(save_dir / name)


class NoLog(RunLog):
    """The log of a process that writes none: another one of its run does."""

    def write(self, epoch: int, stage: str, values: dict[str, float]) -> None:
        """Write nothing."""


class Stopwatch:
    """Seconds spent in each stage of an epoch, as `seconds/STAGE`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        yield
        key = f"seconds/{name}"
        self.seconds[key] = self.seconds.get(key, 0.0) + time.perf_counter() - start


def episode_numbers(finished: Sequence[EpisodeResult]) -> dict[str, float]:
    """Return what to log of finished episodes: counts, mean reward and mean of each term.

    Names: `episodes`, `truncated_episodes`, and where an episode was paid, `reward/total`,
    `reward/TERM` (before its weight) and `episode_actions`.
    """
    paid = [result.reward for result in finished if result.reward is not None]
    numbers = {
        "episodes": float(len(finished)),
        "truncated_episodes": float(len(finished) - len(paid)),
    }
    if not paid:
        return numbers
    numbers["episode_actions"] = float(np.mean([len(result.actions) for result in finished]))
    numbers["reward/total"] = float(np.mean([reward.total for reward in paid]))
    for term in REWARD_TERMS:
        numbers[f"reward/{term}"] = float(np.mean([reward.terms[term] for reward in paid]))
    return numbers


def action_shares(actions: NDArray[np.integer]) -> dict[str, float]:
    """Return the shares of types, sizes and amounts among actions [B, 3].

    Names: `actions/TYPE`, `sizes/SIZE` and `amounts/AMOUNT`, all of them.
    """
    shares = {}
    kinds = (("actions", ActionType), ("sizes", Size), ("amounts", Amount))
    for column, (group, kind) in enumerate(kinds):
        counts = np.bincount(actions[:, column], minlength=len(kind))
        for value in kind:
            shares[f"{group}/{value.name}"] = float(counts[value] / max(1, len(actions)))
    return shares
