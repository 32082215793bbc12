"""From a training folder to tasks with known edits, split into training and held-out pieces.

What a folder holds is found and read by `training_items`; every recording is analysed before
training begins, through the cache (`rl-editor prepare` fills it in parallel).

In: a folder as `pairs` describes it. Out: `TrainingData`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_editor.cache import Cache
from rl_editor.config import Config, TrainConfig
from rl_editor.errors import UserError
from rl_editor.pairs import find_pairs
from rl_editor.training_items import (
    SessionDraw,
    by_piece,
    demonstrations,
    find_items,
    off_beat_words,
    piece_marks,
)
from rl_editor.vector_environment import Task

Say = Callable[[str], None]

FEWEST_PIECES = 5
"""With fewer pieces the user is told that they show single recordings, not how to edit."""


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from and what it is judged by.

    Attributes:
        train: tasks of the training pieces.
        validation: tasks of pieces that are not in training; the training tasks themselves where
            there is only one piece.
        schema: `Track.schema` of all of them.
    """

    train: tuple[Task, ...]
    validation: tuple[Task, ...]
    schema: str

    @property
    def judged_on(self) -> str:
        """Return which pieces the run is judged by: "held-out" or "training"."""
        return "training" if self.validation is self.train else "held-out"


def load_training_data(config: Config, say: Say) -> TrainingData:
    """Return the tasks of `config.train.data_dir`.

    A recording that cannot be used (a damaged file, a pair that does not belong together) is
    named through `say` and left out.

    Raises:
        UserError: nothing usable is left.
    """
    folder, cache = Path(config.train.data_dir), Cache()
    listing = find_pairs(folder)
    for problem in listing.problems:
        say(f"left out: {problem}")
    draw = SessionDraw(config.train.sessions_per_reference, config.train.data_seed)
    items = find_items(listing, draw.count > 0, lambda problem: say(f"left out: {problem}"))
    tasks: list[list[Task]] = []
    marks: list[frozenset[str]] = []
    for number, item in enumerate(items, start=1):
        say(f"preparing {number}/{len(items)}: {item.name}")
        try:
            item_marks = piece_marks(item)
            shown = demonstrations(item, draw, cache)
        except UserError as error:
            say(f"left out: {error}")
            continue
        tasks.append([Task(d.track, d) for d in shown])
        marks.append(item_marks)
        for words in off_beat_words(item, shown):
            say(words)
    if not tasks:
        raise UserError(
            f"{folder} should hold at least one recording to learn from, but none of its "
            f"{len(items)} could be used; the lines above say why."
        )
    pieces = [[task for i in piece for task in tasks[i]] for piece in by_piece(marks)]
    return split(pieces, config.train, say)


def split(pieces: list[list[Task]], config: TrainConfig, say: Say) -> TrainingData:
    """Return the pieces split at random into training and held-out ones, all of a piece together.

    At least one piece is held out where there are two or more; with a single one the run is
    judged by what it was trained on, which `say` tells.
    """
    schemas = {task.track.schema for piece in pieces for task in piece}
    if len(schemas) > 1:
        raise UserError(
            f"all recordings should be analysed in one way, but came as {sorted(schemas)}; "
            "clear the cache (rl-editor cache clear) and try again."
        )
    n_held_out = 0
    if len(pieces) > 1:
        n_held_out = min(max(1, round(config.validation_share * len(pieces))), len(pieces) - 1)
    else:
        say(
            "warning: there is only one piece, so the scores are of what was trained on and say "
            "nothing about other recordings; add a second one."
        )
    if len(pieces) < FEWEST_PIECES:
        say(
            f"warning: an editor cannot be learnt from so little: at least {FEWEST_PIECES} pieces "
            f"are needed to begin with, better dozens, but there are {len(pieces)}; add more, or "
            "start from a trained editor with --checkpoint."
        )
    order = np.random.default_rng(config.data_seed).permutation(len(pieces))
    held_out = set(order[:n_held_out].tolist())
    train = tuple(t for i, piece in enumerate(pieces) if i not in held_out for t in piece)
    validation = tuple(t for i in sorted(held_out) for t in pieces[i])
    held_out_words = f", {len(validation)} held out" if validation else ""
    say(f"{len(train)} recordings to learn from{held_out_words}")
    return TrainingData(train, validation or train, schemas.pop())


def check_data_dir(data_dir: str | Path) -> None:
    """Raise `UserError` when there is no such folder, before anything slow is done."""
    if not Path(data_dir).is_dir():
        raise UserError(
            f"the training data should be in the folder {data_dir}, but there is no such folder; "
            "name it with --data_dir."
        )
