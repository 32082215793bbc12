"""How good a checkpoint is: the edits that its users would get of held-out recordings.

In: a checkpoint and tasks with known edits. Out: mean scores. Training chooses `best.pt` by them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rl_editor.checkpoint import Checkpoint, check_schema, load
from rl_editor.edit_state import EditState
from rl_editor.errors import UserError
from rl_editor.evaluate import score_edit
from rl_editor.features import FEATURE_NAMES
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.training_data import TrainingData
from rl_editor.vector_environment import Task

SCORES = ("f1", "precision", "recall", "keep_ratio", "order_tau")


def held_out_scores(checkpoint: Checkpoint, tasks: Sequence[Task]) -> dict[str, float]:
    """Return the means of `SCORES` over the planned edits of the tasks with a known edit."""
    policy = NumpyPolicy(checkpoint.weights, checkpoint.config.agent)
    planner, episode = checkpoint.config.planner, checkpoint.config.episode
    scores = []
    for task in tasks:
        if task.demonstration is None:
            continue
        level_db = task.track.features[:, FEATURE_NAMES.index("rms_db")]
        start = EditState.start(task.track.grid, level_db, episode)
        made = plan(policy, checkpoint.normalisation, task.track, start, config=planner)
        scores.append(score_edit(made.state.clips(), task.demonstration.truth))
    return {name: float(np.mean([getattr(score, name) for score in scores])) for name in SCORES}


def standing_f1(path: Path, data: TrainingData, say: Callable[[str], None]) -> float:
    """Return the F1 that a run has to beat before it replaces the checkpoint at `path`.

    It is what that checkpoint scores on the pieces that the run is judged by, or -1 where there is
    none. One that this version cannot use is kept under another name.
    """
    if not path.exists():
        return -1.0
    try:
        standing = load(path)
        check_schema(standing, data.schema)
    except UserError as error:
        kept = path.with_name(f"{path.stem}.old{path.suffix}")
        os.replace(path, kept)
        say(f"kept {path} as {kept}: {error}")
        return -1.0
    f1 = held_out_scores(standing, data.validation)["f1"]
    say(
        f"{path} scores F1 {f1:.3f} on these {data.judged_on} pieces; only a better editor "
        "replaces it"
    )
    return f1
