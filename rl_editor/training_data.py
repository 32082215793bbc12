"""From a training folder to tasks with known edits, split into training and held-out pieces.

Pairs are aligned, finished tracks and MIDI scores become sessions with exact truth. Every recording
is analysed before training begins, through the cache.

In: a folder as `pairs` describes it. Out: `TrainingData`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rl_editor import alignment, alignment_truth
from rl_editor.analysis import analyze
from rl_editor.audio import read_mono
from rl_editor.cache import Cache
from rl_editor.config import AnalysisConfig, Config, TrainConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.errors import UserError
from rl_editor.pairs import Pair, find_pairs
from rl_editor.performance_demonstrations import check_synthesizer, performance_demonstration
from rl_editor.reference_sessions import load_reference, session_demonstration
from rl_editor.session_files import read_truth
from rl_editor.vector_environment import Task

Say = Callable[[str], None]


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
    makers: list[tuple[str, Callable[[], list[Task]]]] = [
        (pair.name, partial(pair_tasks, pair, cache)) for pair in listing.pairs
    ]
    if config.train.sessions_per_reference > 0:
        makers += [
            (path.name, partial(session_tasks, path, config.train, cache))
            for path in listing.references
        ]
        makers += [
            (path.name, partial(performance_tasks, path, config.train, cache))
            for path in _playable(listing.scores, say)
        ]
    pieces: list[list[Task]] = []
    for number, (name, make) in enumerate(makers, start=1):
        say(f"preparing {number}/{len(makers)}: {name}")
        try:
            pieces.append(make())
        except UserError as error:
            say(f"left out: {error}")
    if not pieces:
        raise UserError(
            f"{folder} should hold at least one recording to learn from, but none of its "
            f"{len(makers)} could be used; the lines above say why."
        )
    return split(pieces, config.train, say)


def pair_tasks(pair: Pair, cache: Cache) -> list[Task]:
    """Return the task of a raw recording and its edit; `UserError` if they do not match."""
    track = analyze(pair.raw_path, cache=cache)
    if pair.truth_path is not None:
        return [Task(track, demonstrate(track, read_truth(pair.truth_path)))]
    assert pair.edit_path is not None
    aligned = alignment.align_files(pair.raw_path, pair.edit_path)
    sr = AnalysisConfig().sr
    truth = alignment_truth.truth(aligned, read_mono(pair.raw_path, sr), sr)
    return [Task(track, demonstrate(track, truth))]


def session_tasks(path: Path, config: TrainConfig, cache: Cache) -> list[Task]:
    """Return tasks on sessions that could have led to a finished track.

    They depend on the audio and on `config.seed` alone.
    """
    reference = load_reference(path, cache)
    made = [
        session_demonstration(reference, number, config.seed, cache)
        for number in range(config.sessions_per_reference)
    ]
    return [Task(demonstration.track, demonstration) for demonstration in made]


def performance_tasks(path: Path, config: TrainConfig, cache: Cache) -> list[Task]:
    """Return tasks on sessions in which a MIDI score was played.

    They depend on the score, the soundfont and `config.seed` alone.
    """
    made = [
        performance_demonstration(path, number, config.seed, cache)
        for number in range(config.sessions_per_reference)
    ]
    return [Task(demonstration.track, demonstration) for demonstration in made]


def _playable(scores: Sequence[Path], say: Say) -> Sequence[Path]:
    """Return the scores, or none where nothing can play them, which `say` tells once."""
    if not scores:
        return scores
    try:
        check_synthesizer()
    except UserError as error:
        say(f"left out: the MIDI scores ({len(scores)}), {scores[0]} first: {error}")
        return ()
    return scores


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
    order = np.random.default_rng(config.seed).permutation(len(pieces))
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
