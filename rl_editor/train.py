"""Training: `python -m rl_editor.train --save_dir models --data_dir training_data`.

Behavioural cloning of the known edits first, then PPO with the cloning loss mixed in and fading.
In: a folder of pairs and references (`training_data`). Out, in the save folder: `best.pt` (highest
F1 of the planned edit on held-out pieces), `latest.pt`, `log.jsonl` and TensorBoard's files.

This module's own imports are free of torch: worker processes import it.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from rl_editor.config import Config, TrainConfig
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.stopping import EXIT_USER_ERROR, exit_code, terminable
from rl_editor.training_data import TrainingData, check_data_dir, load_training_data
from rl_editor.vector_environment import EditingProblem, VectorEnvironment

if TYPE_CHECKING:
    from rl_editor.agent import Agent
    from rl_editor.checkpoint import Checkpoint
    from rl_editor.cloning_examples import CloningExample
    from rl_editor.rollout import Environment
    from rl_editor.run_log import RunLog


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        with terminable():
            train(*parse(argv))
    except UserError as error:
        print(f"rl-editor train: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as interrupt:
        return exit_code(interrupt)
    return 0


def parse(argv: Sequence[str] | None = None) -> tuple[Config, Checkpoint | None]:
    """Return the settings of the flags, and the checkpoint that they name.

    Flags are the fields of `TrainConfig` (`--save_dir` or `--save-dir`) and, with a prefix, those
    of the other settings (`--agent.hidden-dim`). With `--checkpoint` the settings stored in it are
    the defaults, all but its folders and epochs: a flag that is not given overrides nothing.
    """
    config = _parse_flags(argv, Config())
    if config.train.checkpoint is None:
        return config, None
    from rl_editor import checkpoint

    loaded = checkpoint.load(config.train.checkpoint)
    fresh = TrainConfig()
    train_config = dataclasses.replace(
        loaded.config.train,
        save_dir=fresh.save_dir,
        data_dir=fresh.data_dir,
        epochs=fresh.epochs,
        checkpoint=None,
    )
    config = _parse_flags(argv, dataclasses.replace(loaded.config, train=train_config))
    if config.agent != loaded.config.agent:
        raise UserError(
            f"the network of {config.train.checkpoint} is {loaded.config.agent}, but the flags ask "
            f"for {config.agent}; leave the --agent flags out, or start without --checkpoint."
        )
    return config, loaded


def _parse_flags(argv: Sequence[str] | None, defaults: Config) -> Config:
    try:
        import tyro
    except ImportError as error:
        raise _missing("tyro") from error
    parts = []
    for field in dataclasses.fields(Config):
        value = getattr(defaults, field.name)
        kind: Any = type(value)
        if field.name == "train":  # its flags have no prefix
            kind = Annotated[kind, tyro.conf.arg(name="")]
        if field.name != "analysis":  # recordings are analysed in one way
            parts.append((field.name, kind, dataclasses.field(default=value)))
    flags: Any = tyro.cli(
        dataclasses.make_dataclass("Flags", parts, frozen=True),
        prog="python -m rl_editor.train",
        description="Train an editor on pairs of raw recordings and edits.",
        args=argv,
    )
    return dataclasses.replace(defaults, **{name: getattr(flags, name) for name, _, _ in parts})


def _missing(module: str) -> UserError:
    return UserError(
        f"training needs the Python package {module}, which is not installed; run "
        f"{install_hint('train')}."
    )


@dataclass
class Run:
    """A training run: what it works on, and what has become of it.

    Attributes:
        config: all settings.
        data: tasks to train on and held-out tasks.
        agent: changed in place.
        normalisation: of the policy's inputs.
        rng: cloning and minibatches.
        epoch: PPO updates done.
        best_f1: of `best.pt` in the save folder, -1 where there is none yet.
    """

    config: Config
    data: TrainingData
    agent: Agent
    normalisation: Normalisation
    rng: np.random.Generator
    epoch: int = 0
    best_f1: float = -1.0

    @property
    def save_dir(self) -> Path:
        """Where checkpoints and logs go."""
        return Path(self.config.train.save_dir)

    @property
    def scope(self) -> str:
        """What scores are filed under: "validation", or "training" where nothing is held out."""
        return "validation" if self.data.judged_on == "held-out" else "training"


def train(config: Config, start_from: Checkpoint | None = None) -> Path:
    """Train as the settings say and return the path of `best.pt`.

    An interrupt (Ctrl-C, SIGTERM) leaves `latest.pt` as far as it came and is raised again. A
    run that starts from a checkpoint of an earlier PPO run goes on at its epoch, with the
    optimiser's moments new.

    Raises:
        UserError: about the folders, the data, the settings or a package that is missing.
    """
    check_data_dir(config.train.data_dir)
    try:
        import torch
    except ImportError as error:
        raise _missing("torch") from error
    from rl_editor.run_log import RunLog, save_folder
    from rl_editor.validation import standing_f1

    with save_folder(config.train.save_dir) as folder, RunLog(folder) as log:
        data = load_training_data(config, say)
        torch.manual_seed(config.train.seed)
        run = _start(config, data, start_from)
        run.best_f1 = standing_f1(folder / "best.pt", data, say)
        try:
            _clone(run, log)
            _improve(run, log)
        except KeyboardInterrupt:
            _save(run, "latest.pt", {})
            say(f"interrupted after epoch {run.epoch}; saved {run.save_dir / 'latest.pt'}")
            raise
    best = run.save_dir / "best.pt"
    say(f"best F1 on {data.judged_on} pieces: {max(run.best_f1, 0.0):.3f}; {best}")
    return best


def say(text: str) -> None:
    """Tell the user what happens."""
    print(text, flush=True)


def _start(config: Config, data: TrainingData, start_from: Checkpoint | None) -> Run:
    import torch

    from rl_editor.agent import Agent
    from rl_editor.checkpoint import agent_from, check_schema

    if start_from is None:
        normalisation = Normalisation.fit([task.track for task in data.train])
        agent, epoch = Agent(config.agent, N_INPUTS), 0
    else:
        check_schema(start_from, data.schema)
        normalisation, agent = start_from.normalisation, agent_from(start_from)
        epoch = int(start_from.metrics.get("epoch", 0))
    agent.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return Run(config, data, agent, normalisation, np.random.default_rng(config.train.seed), epoch)


def _clone(run: Run, log: RunLog) -> None:
    """Imitate the known edits; left out when the run goes on from an earlier PPO run."""
    from rl_editor.behavioral_cloning import clone

    if run.epoch == 0 and run.config.train.bc_epochs > 0:
        clone(
            run.agent,
            _examples(run),
            config=run.config,
            rng=run.rng,
            on_epoch=lambda epoch, loss: _after_cloning_epoch(run, log, epoch + 1, loss),
        )
    else:
        say(f"at the start: {_f1_words(run, _look(run))}")


def _after_cloning_epoch(run: Run, log: RunLog, epoch: int, loss: float) -> None:
    """Log the epoch; look at the held-out pieces every `bc_eval_every` epochs."""
    config, numbers = run.config.train, {"loss": loss}
    line = f"cloning epoch {epoch}/{config.bc_epochs}: loss {loss:.3f}"
    if epoch % config.bc_eval_every == 0 or epoch == config.bc_epochs:
        numbers |= _look(run)
        line += f", {_f1_words(run, numbers)}"
    log.write(epoch, "cloning", numbers)
    say(line)


def _improve(run: Run, log: RunLog) -> None:
    """Improve the policy by PPO: roll out, update, log, look at the held-out pieces."""
    import torch

    from rl_editor.ppo import PPO
    from rl_editor.rollout import TaskInputs, collect
    from rl_editor.run_log import Stopwatch, action_shares, collapse_warning, episode_numbers

    config, device = run.config.train, next(run.agent.parameters()).device
    if run.epoch >= config.epochs:
        return
    inputs = TaskInputs([task for task in run.data.train], run.normalisation, device)
    optimizer = torch.optim.Adam(run.agent.parameters(), lr=config.lr, eps=1e-5)
    ppo = PPO(run.agent, optimizer, inputs, config)
    generator = torch.Generator(device).manual_seed(config.seed)
    examples = _examples(run)
    environment = _environment(run)
    was_collapsed = False
    try:
        observations = environment.reset()
        while run.epoch < config.epochs:
            watch = Stopwatch()
            with watch.stage("rollout"):
                rollout, observations = collect(
                    run.agent, environment, observations, inputs, config.steps, generator
                )
            with watch.stage("update"):
                numbers = ppo.update(
                    rollout,
                    run.rng,
                    entropy_coef(config, run.epoch),
                    lambda: _cloning_loss(run, examples),
                )
            numbers |= episode_numbers(rollout.finished) | action_shares(rollout.actions[:, 0])
            run.epoch += 1
            warning = collapse_warning(numbers, run.config.reward)
            if warning is not None and not was_collapsed:  # told when it begins
                say(warning)
            was_collapsed = warning is not None
            if run.epoch % config.eval_every == 0 or run.epoch == config.epochs:
                with watch.stage("evaluation"):
                    numbers |= _look(run)
            say(_line(run, numbers))
            log.write(run.epoch, "ppo", {**numbers, **watch.seconds})
    finally:
        environment.close()


def cloning_coef(config: TrainConfig, epoch: int) -> float:
    """Return the weight of the cloning loss: `bc_coef` at first, 0 from half way on."""
    return config.bc_coef * max(0.0, 1.0 - 2.0 * epoch / config.epochs)


def entropy_coef(config: TrainConfig, epoch: int) -> float:
    """Return the weight of the entropy: `entropy_coef` until half way, then falling to 0.

    It comes down only when the cloning loss is gone, so that not both hold the policy at once
    and neither lets go before it has settled.
    """
    return config.entropy_coef * min(1.0, 2.0 * (1.0 - epoch / config.epochs))


def _environment(run: Run) -> Environment:
    """Return the training environment, in this process or in workers."""
    problem = EditingProblem(run.data.train, run.config.episode, run.config.reward)
    config = run.config.train
    if not config.subprocess:
        return VectorEnvironment(problem, config.n_envs, config.seed)
    from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment

    return SubprocessVectorEnvironment(problem, config.n_envs, config.seed)


def _examples(run: Run) -> list[CloningExample]:
    from rl_editor.cloning_examples import example

    return [
        example(task.demonstration, run.normalisation)
        for task in run.data.train
        if task.demonstration is not None
    ]


def _cloning_loss(run: Run, examples: Sequence[CloningExample]) -> Any:
    """Return the weighted cloning loss of a few demonstrations, a scalar tensor."""
    import torch

    from rl_editor.behavioral_cloning import batch_loss

    device = next(run.agent.parameters()).device
    weight = cloning_coef(run.config.train, run.epoch)
    if weight == 0.0:
        return torch.zeros((), device=device)
    n_tracks = min(run.config.train.bc_batch_tracks, len(examples))
    batch = [examples[i] for i in run.rng.choice(len(examples), n_tracks, replace=False)]
    run.agent.train()
    loss = batch_loss(run.agent, batch, run.config, run.rng, device)
    run.agent.eval()
    return weight * loss


def _look(run: Run) -> dict[str, float]:
    """Return the scores of the planned edits of the pieces that count; save the checkpoints."""
    from rl_editor.validation import held_out_scores

    scores = held_out_scores(_checkpoint(run, {}), run.data.validation)
    metrics = {f"{run.scope}_{name}": value for name, value in scores.items()}
    if scores["f1"] > run.best_f1:
        run.best_f1 = scores["f1"]
        _save(run, "best.pt", metrics)
    _save(run, "latest.pt", metrics)
    return {f"{run.scope}/{name}": value for name, value in scores.items()}


def _checkpoint(run: Run, metrics: dict[str, float]) -> Checkpoint:
    from rl_editor.checkpoint import Checkpoint

    everything = {**metrics, "epoch": run.epoch}
    weights = run.agent.arrays()
    return Checkpoint(run.config, run.data.schema, run.normalisation, everything, weights)


def _save(run: Run, name: str, metrics: dict[str, float]) -> None:
    from rl_editor.checkpoint import save

    save(run.save_dir / name, _checkpoint(run, metrics))


def _f1_words(run: Run, numbers: dict[str, float]) -> str:
    f1 = numbers[f"{run.scope}/f1"]
    return f"{run.data.judged_on} F1 {f1:.3f} (best {run.best_f1:.3f})"


def _line(run: Run, numbers: dict[str, float]) -> str:
    """Return what is told of an epoch, with the held-out score where it was looked at."""
    reward = numbers.get("reward/total")
    paid = "no episode ended" if reward is None else f"reward {reward:.2f}"
    line = f"epoch {run.epoch}/{run.config.train.epochs}: {paid}, entropy {numbers['entropy']:.2f}"
    judged = f"{run.scope}/f1" in numbers
    return f"{line}, {_f1_words(run, numbers)}" if judged else line


if __name__ == "__main__":
    raise SystemExit(main())
