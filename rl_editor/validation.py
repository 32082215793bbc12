"""How good a checkpoint is: the edits that its users would get of held-out recordings.

In: a checkpoint and tasks with known edits. Out: mean scores. Training chooses `best.pt` by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rl_editor.checkpoint import Checkpoint, check_schema, load
from rl_editor.distributed import ALONE, Processes
from rl_editor.edit_state import EditState
from rl_editor.errors import UserError
from rl_editor.evaluate import score_edit
from rl_editor.features import FEATURE_NAMES
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.run_folder import set_aside
from rl_editor.training_data import TrainingData
from rl_editor.vector_environment import Task

SCORES = ("f1", "precision", "recall", "keep_ratio", "order_tau")


def held_out_scores(
    checkpoint: Checkpoint, tasks: Sequence[Task], processes: Processes = ALONE
) -> dict[str, float]:
    """Return the means of `SCORES` over the planned edits of the tasks with a known edit.

    Of several processes each edits its share of the tasks; all return the same.
    """
    policy = NumpyPolicy(checkpoint.weights, checkpoint.config.agent)
    # Without the search: training looks often, and asks which policy is better.
    planner, episode = replace(checkpoint.config.planner, effort=1), checkpoint.config.episode
    known = [task for task in tasks if task.demonstration is not None]
    own: dict[int, tuple[float, ...]] = {}
    for number in processes.own([task.track.n_beats for task in known]):
        task = known[number]
        assert task.demonstration is not None
        level_db = task.track.features[:, FEATURE_NAMES.index("rms_db")]
        start = EditState.start(task.track.grid, level_db, episode)
        made = plan(policy, checkpoint.normalisation, task.track, start, config=planner)
        score = score_edit(made.state.clips(), task.demonstration.truth)
        own[number] = tuple(getattr(score, name) for name in SCORES)
    scores = {n: score for part in processes.gather(own) for n, score in part.items()}
    means = np.mean([scores[number] for number in sorted(scores)], axis=0)
    return dict(zip(SCORES, means.tolist(), strict=True))


def standing_f1(
    path: Path, data: TrainingData, say: Callable[[str], None], processes: Processes = ALONE
) -> float:
    """Return the F1 that a run has to beat before it replaces the checkpoint at `path`.

    It is what that checkpoint scores on the pieces that the run is judged by, or -1 where there is
    none. One that this version cannot use is kept under another name.
    """
    standing = processes.from_first(lambda: _usable(path, data.schema, say))
    if standing is None:
        return -1.0
    f1 = held_out_scores(standing, data.validation, processes)["f1"]
    say(
        f"{path} scores F1 {f1:.3f} on these {data.judged_on} pieces; only a better editor "
        "replaces it"
    )
    return f1


def _usable(path: Path, schema: str, say: Callable[[str], None]) -> Checkpoint | None:
    """Return the checkpoint at `path`, None where there is none that this version can use."""
    if not path.exists():
        return None
    try:
        standing = load(path)
        check_schema(standing, schema)
    except UserError as error:
        say(f"kept {path} as {set_aside(path)}: {error}")
        return None
    return standing
