"""What training runs logged, as curves: the folders of runs in, names with numbers over epochs out.

A run that a later one set aside (`log.1.jsonl`) is not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.errors import UserError

LOG = "log.jsonl"


@dataclass(frozen=True)
class Curve:
    """`n` numbers of one name.

    Attributes:
        epoch: [n] int64, growing.
        value: [n] float64, finite.
    """

    epoch: NDArray[np.int64]
    value: NDArray[np.float64]

    def smoothed(self, width: int) -> Curve:
        """Return means over `width` epochs that follow each other, at the last of each."""
        if width <= 1 or len(self.value) < 2 * width:
            return self
        n = len(self.value) // width
        first = len(self.value) - n * width
        means = self.value[first:].reshape(n, width).mean(axis=1)
        return Curve(self.epoch[first + width - 1 :: width], means)


@dataclass(frozen=True)
class RunCurves:
    """The log of one run.

    Attributes:
        name: of its folder.
        stages: the curves of each stage ("cloning", "ppo") by their names.
    """

    name: str
    stages: dict[str, dict[str, Curve]] = field(default_factory=dict)

    def curve(self, stage: str, name: str) -> Curve | None:
        """Return a curve, None where the run has no such numbers."""
        return self.stages.get(stage, {}).get(name)

    def last(self, stage: str) -> int:
        """Return the last epoch of a stage, 0 where there is none."""
        ends = (int(curve.epoch[-1]) for curve in self.stages.get(stage, {}).values())
        return max(ends, default=0)


def read_runs(folders: Iterable[str | Path]) -> list[RunCurves]:
    """Return the curves of runs, in the order of their folders.

    Raises:
        UserError: a folder holds no run, or its log is not one.
    """
    paths = [Path(folder) for folder in folders]
    return [RunCurves(name, _read(path)) for path, name in zip(paths, _names(paths), strict=True)]


def _read(folder: Path) -> dict[str, dict[str, Curve]]:
    path = folder / LOG
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} should be the folder of a training run, but holds no {LOG}; name the "
            "--save_dir of a run."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the log {path} cannot be read ({error}); name another run.") from error
    points: dict[str, dict[str, dict[int, float]]] = {}
    for number, line in enumerate(lines, start=1):
        entry = _parse(path, number, line, is_last=number == len(lines))
        for name, value in entry.items():
            if name not in ("stage", "epoch"):
                stage = points.setdefault(entry["stage"], {})
                stage.setdefault(name, {})[entry["epoch"]] = float(value)
    if not points:
        raise UserError(f"the log {path} is still empty; wait for the first epoch of the run.")
    return {
        stage: {name: _curve(values) for name, values in curves.items()}
        for stage, curves in points.items()
    }


def _parse(path: Path, number: int, line: str, is_last: bool) -> dict[str, Any]:
    """Return the entry of a line; the last one may be half written, then it is empty."""
    try:
        entry = json.loads(line)
        numbers = {n: v for n, v in entry.items() if n != "stage"}
        is_right = isinstance(entry["stage"], str) and isinstance(entry["epoch"], int)
        is_right = is_right and all(math.isfinite(value) for value in numbers.values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if is_last and isinstance(error, ValueError):
            return {}
        is_right = False
    if not is_right:
        raise UserError(
            f"line {number} of {path} should be the numbers of an epoch, but is not; name the "
            "--save_dir of a run, or take that line out."
        )
    return entry


def _curve(values: dict[int, float]) -> Curve:
    epochs = sorted(values)
    return Curve(np.array(epochs, dtype=np.int64), np.array([values[epoch] for epoch in epochs]))


def _names(paths: list[Path]) -> list[str]:
    """Return short names that differ: the last parts of the paths, as many as it takes."""
    parts = [path.resolve().parts for path in paths]
    for n in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-n:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError("each run should be named once, but one folder came twice; leave one out.")
