"""What a training run writes down: one JSON line an epoch, the same in TensorBoard, and warnings.

`log.jsonl` in the save folder holds flat names with numbers; an interrupted run appends to it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from rl_editor.actions import ActionType
from rl_editor.config import RewardConfig
from rl_editor.episodes import EpisodeResult
from rl_editor.errors import UserError
from rl_editor.rewards import REWARD_TERMS

DOMINANT_SHARE = 0.9
"""One action type above this share of the actions means that the policy has collapsed."""


class RunLog:
    """The log of one run; a context manager.

    Attributes:
        path: of the JSON lines.
    """

    def __init__(self, save_dir: str | Path) -> None:
        """Choose the folder; files are made with the first line, TensorBoard's where installed."""
        self.path = Path(save_dir) / "log.jsonl"
        self._file: TextIO | None = None
        self._board: Any | None = None

    def write(self, epoch: int, stage: str, values: dict[str, float]) -> None:
        """Write the numbers of one epoch of a stage, such as "cloning" or "ppo"."""
        not_finite = [name for name, value in values.items() if not np.isfinite(value)]
        if not_finite:
            raise FloatingPointError(f"epoch {epoch} logs what is not finite: {not_finite}")
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
            self._board = _tensorboard(self.path.parent)
        self._file.write(json.dumps({"stage": stage, "epoch": epoch, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{stage}/{name}", value, epoch)

    def close(self) -> None:
        """Write what is left and close."""
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> RunLog:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


@contextmanager
def save_folder(path: str | Path) -> Iterator[Path]:
    """Yield the folder of a run, made where it is missing; a run that fails leaves none empty.

    Raises:
        UserError: nothing can be written there.
    """
    folder = Path(path)
    missing = list(takewhile(lambda place: not place.exists(), (folder, *folder.parents)))
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UserError(
                f"checkpoints should go to the folder {path}, but nothing can be written there "
                f"({error.strerror}); choose another with --save_dir."
            ) from error
        yield folder
    except BaseException:
        for place in missing:
            with suppress(OSError):  # holds something, or was never made
                place.rmdir()
        raise


def _tensorboard(folder: Path) -> Any | None:
    """Return a TensorBoard writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


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


def action_shares(types: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Return the share of each action type among `types`, as `actions/NAME`, all 20 of them."""
    counts = Counter(int(kind) for kind in types)
    total = max(1, sum(counts.values()))
    return {f"actions/{kind.name}": counts[kind.value] / total for kind in ActionType}


def collapse_warning(numbers: dict[str, float], weights: RewardConfig) -> str | None:
    """Return a warning when one action type makes up more than 90% of the actions, else None.

    It names the type and the reward terms that pay most for what the policy does, as weight x mean
    of the term.

    Args:
        numbers: of one epoch, with the names of `action_shares` and `episode_numbers`.
        weights: of the reward.
    """
    shares = {n: v for n, v in numbers.items() if n.startswith("actions/")}
    name = max(shares, key=lambda n: shares[n])
    if shares[name] <= DOMINANT_SHARE:
        return None
    paid = {
        term: getattr(weights, term) * numbers[f"reward/{term}"]
        for term in REWARD_TERMS
        if f"reward/{term}" in numbers
    }
    best = [term for term in sorted(paid, key=lambda t: -paid[t]) if paid[term] > 0][:3]
    payers = ", ".join(f"{term} ({paid[term]:+.2f})" for term in best)
    return (
        f"warning: the policy has collapsed: {shares[name]:.0%} of its actions are "
        f"{name.removeprefix('actions/')}; what pays for it: {payers or 'no finished episode yet'}."
    )
