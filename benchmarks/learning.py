"""What PPO adds to cloning: editors trained four ways, judged on held-out sessions.

    python -m benchmarks.learning DATA_DIR --out models/learning

For each seed an editor is cloned, another is trained by PPO from scratch, and the cloned one is
improved by PPO; for comparison it also goes through the same run without PPO's own loss, so that it
is cloned for as long. All are judged by
the last weights (no choice by the held-out sessions) on the pieces that the runs held out: by the
edits that users get (the planner's), by the likeliest action at each step, and by actions drawn as
the policy says. Runs that were stopped go on; editors that lie in the folder are only judged.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rl_editor.checkpoint import Checkpoint, agent_from, load
from rl_editor.config import Config, EpisodeConfig, RewardConfig, TrainConfig
from rl_editor.edit_state import EditState
from rl_editor.errors import UserError
from rl_editor.evaluate import score_edit
from rl_editor.features import FEATURE_NAMES
from rl_editor.finished_edits import FinishedEdits
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import REWARD_TERMS, total_rewards
from rl_editor.training_data import load_training_data
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

if TYPE_CHECKING:
    import torch

CLONED, LONGER, SCRATCH, IMPROVED = "cloned", "cloned longer", "PPO alone", "cloned, then PPO"
EDITORS = (CLONED, LONGER, SCRATCH, IMPROVED)
WAYS = ("planned", "likeliest", "drawn")
"""How an editor's edits are made: by the planner, or action by action."""
COLUMNS = ("reward", "F1", "precision", "recall", "order", "joins", "audio_flow")


def start_of(task: Task) -> EditState:
    """Return the untouched edit of a task."""
    level_db = task.track.features[:, FEATURE_NAMES.index("rms_db")]
    return EditState.start(task.track.grid, level_db, EpisodeConfig())


def planned(editor: Checkpoint, tasks: Sequence[Task]) -> list[EditState]:
    """Return the edits that users of an editor would get."""
    policy = NumpyPolicy(editor.weights, editor.config.agent)
    config = editor.config.planner
    return [
        plan(policy, editor.normalisation, task.track, start_of(task), config=config).state
        for task in tasks
    ]


def played(editor: Checkpoint, tasks: Sequence[Task], seed: int | None) -> list[EditState]:
    """Return the edits of the likeliest action at each step, or with a seed, of drawn actions.

    Nothing is asked for; every task is edited once.
    """
    import torch

    from rl_editor.rollout import EncodedTasks, TaskInputs

    agent = agent_from(editor).eval()
    inputs = TaskInputs(tasks, editor.normalisation, torch.device("cpu"))
    problem = EditingProblem(tuple(tasks), EpisodeConfig(), RewardConfig())
    environment = VectorEnvironment(problem, len(tasks))
    seen = environment.reset(np.arange(len(tasks)), np.full(len(tasks), np.nan))
    generator: torch.Generator | None = None
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
    edits: dict[int, EditState] = {}
    with torch.no_grad():
        encoded = EncodedTasks(agent, inputs)
        while len(edits) < len(tasks):
            step = encoded.step_inputs(seen)
            acted = agent.act(*step, greedy=seed is None, generator=generator)
            result = environment.step(acted.actions.numpy())
            for episode in result.finished:
                if episode.episode not in edits:
                    state = start_of(tasks[episode.episode])
                    for action in episode.actions:
                        state = state.step(action)
                    edits[episode.episode] = state
            seen = result.observations
    return [edits[index] for index in range(len(tasks))]


def judged(edits: Sequence[EditState], tasks: Sequence[Task]) -> NDArray[np.float64]:
    """Return [tasks, columns] what each edit is worth; columns as `COLUMNS`."""
    rows = []
    for state, task in zip(edits, tasks, strict=True):
        assert task.demonstration is not None
        truth = task.demonstration.truth
        tables = RewardTables.of([task.track], [truth])
        edit = FinishedEdits.of([state], [0], [None])
        total, terms = total_rewards(tables, edit, RewardConfig())
        clips = state.clips()
        score = score_edit(clips, truth)
        flow = terms[0, REWARD_TERMS.index("audio_flow")]
        scores = (score.f1, score.precision, score.recall, score.order_tau)
        rows.append((total[0], *scores, max(0, len(clips) - 1), flow))
    return np.array(rows)


def edits_of(editor: Checkpoint, tasks: Sequence[Task], way: str) -> list[EditState]:
    """Return an editor's edits made in one of `WAYS`."""
    if way == "planned":
        return planned(editor, tasks)
    return played(editor, tasks, seed=0 if way == "drawn" else None)


def trained(config: TrainConfig, folder: Path, path: Path) -> Path:
    """Train in a folder, unless `path` exists; return `path`, the last weights of the run.

    A run with a `checkpoint` begins with its weights.
    """
    from rl_editor.run_folder import LATEST
    from rl_editor.train import train

    if not path.exists():
        start = None if config.checkpoint is None else load(config.checkpoint)
        train(Config(train=dataclasses.replace(config, save_dir=str(folder))), start)
        shutil.copy(folder / LATEST, path)
    return path


def editors_of(seed: int, settings: TrainConfig, out: Path) -> dict[str, Path]:
    """Return the paths of the editors of one seed, trained where they are missing."""
    mine = dataclasses.replace(settings, seed=seed, data_seed=seed)
    names = {way: out / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}.pt" for way in EDITORS}
    cloned = trained(dataclasses.replace(mine, epochs=0), out / f"cloned-{seed}", names[CLONED])
    improving = dataclasses.replace(mine, bc_epochs=0, checkpoint=str(cloned))
    without = dataclasses.replace(improving, policy_coef=0.0)
    return {
        CLONED: cloned,
        IMPROVED: trained(improving, out / f"improved-{seed}", names[IMPROVED]),
        LONGER: trained(without, out / f"longer-{seed}", names[LONGER]),
        SCRATCH: trained(
            dataclasses.replace(mine, bc_epochs=0, bc_coef=0.0),
            out / f"scratch-{seed}",
            names[SCRATCH],
        ),
    }


Scores: TypeAlias = "dict[str, dict[str, list[NDArray[np.float64]]]]"
"""By editor and way: for each seed what `judged` returns."""


def table(scores: Scores) -> str:
    """Return means and standard deviations over the seeds as a Markdown table."""
    rule = "|" + " --- |" * 2 + " ---: |" * len(COLUMNS)
    lines = [f"| editor | edits | {' | '.join(COLUMNS)} |", rule]
    for name, ways in scores.items():
        for way, runs in ways.items():
            means = np.array([run.mean(axis=0) for run in runs])
            spread = means.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(len(COLUMNS))
            cells = [f"{m:.3f} +- {s:.3f}" for m, s in zip(means.mean(axis=0), spread, strict=True)]
            lines.append(f"| {name} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gains(scores: Scores) -> str:
    """Return what PPO added to cloning, session by session, with its standard error.

    Sessions of one piece and of several seeds count as independent, so the error is a little small.
    """
    lines = []
    for other in (CLONED, LONGER):
        for way in WAYS:
            pairs = zip(scores[IMPROVED][way], scores[other][way], strict=True)
            gained = np.concatenate([a[:, :2] - b[:, :2] for a, b in pairs])
            error = gained.std(axis=0, ddof=1) / np.sqrt(len(gained))
            cells = [
                f"{name} {mean:+.3f} +- {e:.3f}"
                for name, mean, e in zip(COLUMNS, gained.mean(axis=0), error, strict=False)
            ]
            lines.append(f"{IMPROVED} against {other}, {way}: {', '.join(cells)}")
    return "\n".join(lines)


def compare(arguments: argparse.Namespace, settings: TrainConfig) -> None:
    """Train what is missing, judge everything, print the tables and write them as JSON."""
    scores: Scores = {name: {way: [] for way in WAYS} for name in EDITORS}
    for seed in arguments.seeds:
        # which pieces are held out depends on the seed, as it does in the run
        config = Config(train=dataclasses.replace(settings, data_seed=seed))
        data = load_training_data(config, print)
        tasks = [task for task in data.validation if task.demonstration is not None]
        print(f"{len(data.train)} sessions to learn from, {len(tasks)} held out", flush=True)
        for name, path in editors_of(seed, settings, arguments.out).items():
            for way in WAYS:
                scores[name][way].append(judged(edits_of(load(path), tasks, way), tasks))
    print(table(scores), gains(scores), sep="\n\n")
    means = {
        name: {way: [run.mean(axis=0).tolist() for run in runs] for way, runs in ways.items()}
        for name, ways in scores.items()
    }
    (arguments.out / "scores.json").write_text(json.dumps({"columns": COLUMNS, "means": means}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", help="training folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained editors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--passes", type=int, default=20, help="of cloning")
    parser.add_argument("--epochs", type=int, default=100, help="updates of PPO")
    parser.add_argument("--lr", type=float, default=2e-4, help="of PPO")
    parser.add_argument("--n_envs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--ppo_epochs", type=int, default=2)
    parser.add_argument("--validation_share", type=float, default=0.2)
    arguments = parser.parse_args()
    settings = TrainConfig(
        data_dir=arguments.data_dir,
        bc_epochs=arguments.passes,
        bc_eval_every=10**6,
        epochs=arguments.epochs,
        eval_every=10**6,
        lr=arguments.lr,
        n_envs=arguments.n_envs,
        steps=arguments.steps,
        ppo_epochs=arguments.ppo_epochs,
        validation_share=arguments.validation_share,
    )
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        compare(arguments, settings)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
