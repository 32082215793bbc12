"""Everything in a training folder analysed and aligned ahead of a training: `rl-editor prepare`.

What was worked out is in the cache, so a second run takes no time and an interrupted one goes on.

In: a folder as `pairs` describes it. Out: `Preparation`, and a table of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.cache import Cache
from rl_editor.demonstrations import Demonstration
from rl_editor.errors import UserError
from rl_editor.pairs import find_pairs
from rl_editor.parallel import parallel_map
from rl_editor.training_items import (
    Item,
    SessionDraw,
    by_piece,
    demonstrations,
    find_items,
    off_beat_words,
    piece_marks,
)

_LONGEST_NAME = 40
_HEADER = ("kind", "name", "minutes", "kept", "confidence", "problems")


@dataclass(frozen=True)
class Prepared:
    """What became of an item.

    Attributes:
        kind, name: of the item.
        duration_s: of its recordings together.
        kept_s: how much of that is in the edit.
        sure_s: integral of the confidence over the recordings.
        marks: of its piece, see `training_items.piece_marks`.
        problems: sentences; of an item that is left out, the one that says why.
        is_usable: whether training can use it.
    """

    kind: str
    name: str
    duration_s: float = 0.0
    kept_s: float = 0.0
    sure_s: float = 0.0
    marks: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    is_usable: bool = True


@dataclass(frozen=True)
class Preparation:
    """What became of a folder: its items in order, and sentences about files that are none."""

    items: tuple[Prepared, ...]
    problems: tuple[str, ...]


def prepare(
    data_dir: str | Path,
    draw: SessionDraw,
    n_processes: int,
    on_item: Callable[[int, int, str], None],
) -> Preparation:
    """Work out all that a training on a folder needs.

    Args:
        data_dir: the folder.
        draw: sessions made out of tracks and scores; a training with the same finds them.
        n_processes: that work at a time.
        on_item: hears (items done, items in all, name of the last) at the start and after each.

    Raises:
        UserError: nothing usable was found.
    """
    listing = find_pairs(data_dir)
    problems = list(listing.problems)
    items = find_items(listing, draw.count > 0, problems.append)
    done: dict[int, Prepared] = {}
    on_item(0, len(items), "")
    for index, prepared in parallel_map(partial(prepare_item, draw), items, n_processes):
        done[index] = prepared
        on_item(len(done), len(items), prepared.name)
    return Preparation(tuple(done[index] for index in range(len(items))), tuple(problems))


def prepare_item(draw: SessionDraw, item: Item) -> Prepared:
    """Work out what an item shows, through the cache; a problem is part of the answer."""
    try:
        marks = piece_marks(item)
        shown = demonstrations(item, draw, Cache())
    except UserError as error:
        return Prepared(item.kind, item.name, problems=(str(error),), is_usable=False)
    return Prepared(
        item.kind,
        item.name,
        duration_s=sum(d.track.duration_s for d in shown),
        kept_s=sum(_integral_s(d, d.wanted) for d in shown),
        sure_s=sum(_integral_s(d, d.confidence) for d in shown),
        marks=marks,
        problems=(
            *(f"{item.name}: {words}" for d in shown for words in d.unexpressed),
            *off_beat_words(item, shown),
        ),
    )


def _integral_s(demonstration: Demonstration, values: NDArray[np.float64]) -> float:
    """Return the sum over the beats of a value [N] times their length."""
    return float((demonstration.track.grid.durations_s * values).sum())


def table(preparation: Preparation) -> str:
    """Return a table of the items, their sum, and the problems by file."""
    usable = [item for item in preparation.items if item.is_usable]
    n_pieces = len(by_piece([item.marks for item in usable]))
    total = Prepared(
        "total",
        f"{len(usable)} of {len(preparation.items)}, pieces: {n_pieces}",
        duration_s=sum(item.duration_s for item in usable),
        kept_s=sum(item.kept_s for item in usable),
        sure_s=sum(item.sure_s for item in usable),
    )
    rows = [_HEADER, *(_row(item) for item in preparation.items), _row(total)]
    lines = _aligned(rows)
    lines.insert(1, "-" * len(lines[0]))
    lines.insert(-1, "-" * len(lines[0]))
    problems = [
        f"left out: {words}" if not item.is_usable else words
        for item in preparation.items
        for words in item.problems
    ]
    problems += [f"left out: {words}" for words in preparation.problems]
    return "\n".join([*lines, *(["", "problems:"] if problems else []), *problems])


def _row(item: Prepared) -> tuple[str, ...]:
    name = item.name
    if len(name) > _LONGEST_NAME:
        half = (_LONGEST_NAME - 3) // 2
        name = f"{name[:half]}...{name[-half:]}"
    if not item.is_usable:
        return (item.kind, name, "", "", "", "left out")
    duration_s = max(item.duration_s, 1e-9)
    return (
        item.kind,
        name,
        f"{item.duration_s / 60:.1f}",
        f"{item.kept_s / duration_s:.0%}",
        f"{item.sure_s / duration_s:.2f}",
        str(len(item.problems)) if item.problems else "",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines with columns: words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    sides = ("<", "<", ">", ">", ">", "<")
    forms = [f"{side}{width}" for side, width in zip(sides, widths, strict=True)]
    return ["  ".join(map(format, row, forms)).rstrip() for row in rows]
