"""Training: `python -m rl_editor.train --save_dir models --data_dir training_data`.

Behavioural cloning of the known edits first, then PPO with some of cloning's losses mixed in.
In: a folder of pairs and references (`training_data`). Out, in the save folder: `best.pt` (highest
F1 of the planned edit on held-out pieces), `latest.pt` (from which the run goes on after it was
stopped), the last few of its kind, `log.jsonl` and TensorBoard's files.

`torchrun --nproc_per_node 2 -m rl_editor.train ...` shares the same run among several processes
(`distributed`).

This module's own imports are free of torch: worker processes import it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rl_editor.config import Config, TrainConfig
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS
from rl_editor.stopping import EXIT_USER_ERROR, exit_code, terminable
from rl_editor.training_data import check_data_dir, load_training_data
from rl_editor.training_flags import missing_package, parse
from rl_editor.vector_environment import EditingProblem, VectorEnvironment

if TYPE_CHECKING:
    from torch import Tensor

    from rl_editor.checkpoint import Checkpoint
    from rl_editor.cloning_examples import CloningExample
    from rl_editor.distributed import Processes
    from rl_editor.rollout import EpisodeShare
    from rl_editor.run_log import RunLog
    from rl_editor.run_view import RunView
    from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment
    from rl_editor.training_run import Run

    Settings = tuple[Config, Checkpoint | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: parse(argv))


def run_command(settings: Callable[[], Settings]) -> int:
    """Train in the processes that there are and return the exit code of this one.

    Args:
        settings: returns what to train; of several processes only the first one is asked.
    """
    # The network is small: more threads wait for each other, and on busy cores for long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        with terminable():
            if int(os.environ.get("WORLD_SIZE", 1)) > 1 and "RANK" in os.environ:
                return _train_together(settings)
            train(*settings())
    except UserError as error:
        print(f"rl-editor train: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as interrupt:
        return exit_code(interrupt)
    return 0


def _train_together(settings: Callable[[], Settings]) -> int:
    """Train as one of the processes that `torchrun` started; return the exit code."""
    try:
        from rl_editor.distributed import run_together
    except ImportError as error:
        raise missing_package("torch") from error

    def run(processes: Processes) -> None:
        train(*processes.from_first(settings), processes=processes)

    return run_together(run)


def train(
    config: Config,
    start_from: Checkpoint | None = None,
    processes: Processes | None = None,
) -> Path:
    """Train as the settings say and return the path of `best.pt`.

    Where the save folder holds a run with the same settings and data, or `start_from` is one, the
    run goes on with it and comes to the same numbers as if it had not been stopped. Any other
    checkpoint gives its weights and, where it is of PPO, its epoch. An interrupt (Ctrl-C, SIGTERM)
    leaves `latest.pt` as of the last update and is raised again.

    Args:
        config: of the run.
        start_from: to go on from, or to take the weights of.
        processes: of the run; this one alone where none are given.

    Raises:
        UserError: about the folders, the data, the settings or a package that is missing.
        ProcessLostError: another process of the run ended; `latest.pt` is as after an interrupt.
    """
    check = partial(check_data_dir, config.train.data_dir)
    check() if processes is None else processes.together(check)
    n_bytes = _room_needed(config)
    from rl_editor.distributed import Processes
    from rl_editor.run_folder import BEST, save_folder
    from rl_editor.run_view import NoView, RunView

    processes = processes or Processes()
    processes.part(config.train.n_envs)
    with ExitStack() as stack:
        view = stack.enter_context(RunView() if processes.is_first else NoView())
        folder = processes.from_first(
            lambda: stack.enter_context(save_folder(config.train.save_dir, n_bytes))
        )
        run = _prepared(config, start_from, processes, view)
        if run.is_done:
            view.say(
                f"the run in {folder} is finished; more --epochs let it go on, another --seed or "
                "--save_dir begin anew"
            )
            return folder / BEST
        if run.goes_on_from is not None:
            view.say(f"goes on after {run.done_words}")
        _carry_out(run)
        view.say(
            f"best F1 on {run.data.judged_on} pieces: {max(run.best_f1, 0.0):.3f}; {folder / BEST}"
        )
    return folder / BEST


def _prepared(
    config: Config, start_from: Checkpoint | None, processes: Processes, view: RunView
) -> Run:
    """Return the run with its data, at its beginning or where it goes on."""
    from rl_editor.run_folder import LATEST
    from rl_editor.training_run import Run, unfinished

    data = processes.in_turn(lambda: load_training_data(config, view.say))
    if start_from is None:
        start_from = processes.from_first(lambda: unfinished(config, data, view))
        if start_from is not None:
            own = str(Path(config.train.save_dir) / LATEST)
            config = dataclasses.replace(
                config, train=dataclasses.replace(config.train, checkpoint=own)
            )
    return Run.start(config, data, start_from, view, processes)


def _carry_out(run: Run) -> None:
    """Clone and improve; what stops that leaves the run as of its last update."""
    from rl_editor.distributed import ProcessLostError

    with run.log() as log:
        try:
            _clone(run, log)
            _improve(run, log)
        except (KeyboardInterrupt, ProcessLostError):
            path = run.write_boundary()
            saved = f"saved {path}, the same command goes on" if path else "nothing to save yet"
            run.view.say(f"interrupted after {run.done_words}; {saved}")
            raise


def _room_needed(config: Config) -> int:
    """Return what a run writes, bytes; needs torch, which it tells where that is missing."""
    try:
        import torch
    except ImportError as error:
        raise missing_package("torch") from error
    from rl_editor.agent import Agent
    from rl_editor.run_folder import bytes_needed

    with torch.device("meta"):  # counts the weights without making them
        n_weights = sum(p.numel() for p in Agent(config.agent, N_INPUTS).parameters())
    return bytes_needed(n_weights, config.train.keep_checkpoints)


def _clone(run: Run, log: RunLog) -> None:
    """Imitate the known edits; left out when the run goes on from an earlier PPO run."""
    from rl_editor.behavioral_cloning import Cloning
    from rl_editor.run_log import Stopwatch
    from rl_editor.run_state import Learner

    config = run.config.train
    if run.epoch > 0 or config.bc_epochs == 0 or run.goes_on_in("ppo"):
        if run.goes_on_from is None:
            run.view.say(f"at the start: {run.f1_words(run.look())}")
        return
    cloning = Cloning(run.agent, _examples(run), run.config, run.descent)
    learner = Learner(cloning.optimizer, run.rng, cloning.items, cloning.schedule)
    run.resume(learner, "cloning")
    run.view.begin("cloning", run.cloned, config.bc_epochs)
    run.boundary("cloning", learner, log)
    while run.cloned < config.bc_epochs:
        watch = Stopwatch()
        with watch.stage("cloning"):
            numbers = cloning.one_pass(run.rng)
        run.cloned += 1
        is_judged = run.cloned % config.bc_eval_every == 0 or run.cloned == config.bc_epochs
        line = f"cloning epoch {run.cloned}/{config.bc_epochs}: loss {numbers['loss']:.3f}"
        if is_judged:
            with watch.stage("evaluation"):
                numbers |= run.look()
            line += f", {run.f1_words(numbers)}"
        log.write(run.cloned, "cloning", {**numbers, **watch.seconds})
        run.boundary("cloning", learner, log, is_due=is_judged)
        run.view.epoch_done(line, is_news=is_judged)


def _improve(run: Run, log: RunLog) -> None:
    """Improve the policy by PPO: roll out, update, log, look at the held-out pieces."""
    import torch

    from rl_editor.collapse import CollapseWatch
    from rl_editor.ppo import PPO
    from rl_editor.rollout import TaskInputs, collect
    from rl_editor.run_log import Stopwatch, action_shares, episode_numbers
    from rl_editor.run_state import Learner

    config, device = run.config.train, next(run.agent.parameters()).device
    if run.epoch >= config.epochs:
        return
    inputs = TaskInputs([task for task in run.data.train], run.normalisation, device)
    optimizer = torch.optim.Adam(run.agent.parameters(), lr=config.lr, eps=1e-5)
    ppo = PPO(run.agent, optimizer, inputs, config, run.descent)
    generator = torch.Generator(device).manual_seed(config.seed)
    examples = _examples(run)
    environment = _environment(run)
    learner = Learner(optimizer, run.rng, examples, acting=generator, environment=environment)
    collapse = CollapseWatch(run.config.reward)
    run.view.begin("epoch", run.epoch, config.epochs)
    try:
        observations = run.resume(learner, "ppo") or environment.reset()
        run.boundary("ppo", learner, log)
        while run.epoch < config.epochs:
            watch = Stopwatch()
            environment.seed(_episode_seeds(run, run.epoch + 1))
            inputs.vary(int(run.rng.integers(2**63)))
            optimizer.param_groups[0]["lr"] = learning_rate(config, run.epoch)
            with watch.stage("rollout"):
                rollout, observations = collect(
                    run.agent, environment, observations, inputs, config.steps, generator
                )
            run.judge_stability(float(rollout.entropy.mean()))
            with watch.stage("update"):
                numbers = ppo.update(
                    rollout,
                    run.rng,
                    entropy_coef(config, run.epoch, run.is_stable),
                    lambda: _cloning_loss(run, examples),
                )
            numbers |= episode_numbers(rollout.finished) | action_shares(rollout.actions)
            numbers["samples/rollout"] = float(len(rollout.actions))
            numbers["lr"] = learning_rate(config, run.epoch)
            run.epoch += 1
            warning = collapse.see(rollout.actions, rollout.finished)
            if warning is not None:
                run.view.say(warning)
            is_judged = run.epoch % config.eval_every == 0 or run.epoch == config.epochs
            if is_judged:
                with watch.stage("evaluation"):
                    numbers |= run.look()
            log.write(run.epoch, "ppo", {**numbers, **watch.seconds})
            run.boundary("ppo", learner, log, is_due=is_judged)
            run.view.epoch_done(_line(run, numbers), is_news=is_judged)
    finally:
        environment.close()


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Return the learning rate of PPO: from `lr` down to a twentieth of it, in a straight line."""
    return config.lr * max(0.05, 1.0 - epoch / config.epochs)


def cloning_share(config: TrainConfig, epoch: int) -> float:
    """Return what is left of the cloning loss beside the auxiliary ones: `bc_fade` fades."""
    return 1.0 - config.bc_fade * epoch / config.epochs


def entropy_coef(config: TrainConfig, epoch: int, is_stable: bool) -> float:
    """Return the weight of the entropy.

    It is `entropy_coef` until half way and then falls to `stable_entropy_coef`; that of a stable
    policy (`Run.judge_stability`) is the latter at once.
    """
    if is_stable:
        return config.stable_entropy_coef
    share = min(1.0, 2.0 * (1.0 - epoch / config.epochs))
    return config.stable_entropy_coef + share * max(
        0.0, config.entropy_coef - config.stable_entropy_coef
    )


def _environment(
    run: Run,
) -> VectorEnvironment | SubprocessVectorEnvironment | EpisodeShare:
    """Return this process's share of the training environment, in the process or in workers."""
    from rl_editor.rollout import EpisodeShare
    from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment

    problem = EditingProblem(run.data.train, run.config.episode, run.config.reward)
    config, processes = run.config.train, run.processes
    part = processes.part(config.n_envs)
    n_envs = part.stop - part.start
    environment: VectorEnvironment | SubprocessVectorEnvironment
    if config.subprocess:
        n_workers = processes.n_workers
        environment = SubprocessVectorEnvironment(problem, n_envs, config.seed, n_workers)
    else:
        environment = VectorEnvironment(problem, n_envs, config.seed)
    environment.seed(_episode_seeds(run, run.epoch))
    return environment if processes.count == 1 else EpisodeShare(environment, processes)


def _episode_seeds(run: Run, update: int) -> list[tuple[int, int, int]]:
    """Return the seeds of this process's episodes that begin in an update."""
    from rl_editor.rollout import episode_seeds

    config = run.config.train
    return episode_seeds(config.seed, run.processes.part(config.n_envs), config.group_size, update)


def _examples(run: Run) -> list[CloningExample]:
    from rl_editor.cloning_examples import example

    return [
        example(task.demonstration, run.normalisation)
        for task in run.data.train
        if task.demonstration is not None
    ]


def _cloning_loss(run: Run, examples: Sequence[CloningExample]) -> Tensor:
    """Return the losses that PPO is joined by, of a few demonstrations: a scalar tensor.

    They are made as in cloning and weighed by `bc_coef`. The cloning loss may fade, the auxiliary
    ones stay: the reasons that users read come from one of them. Of several processes each
    returns its share.
    """
    import torch

    from rl_editor.behavioral_cloning import batch_loss, with_another

    device = next(run.agent.parameters()).device
    config, epoch = run.config.train, run.epoch
    if not examples or config.bc_coef == 0.0:
        return torch.zeros((), device=device)
    n_tracks = min(config.bc_batch_tracks, len(examples))
    chosen = run.rng.choice(len(examples), n_tracks, replace=False)
    batch = [with_another(examples[i], examples, run.rng) for i in chosen]
    run.agent.train()
    stays = cloning_share(config, epoch)
    loss = batch_loss(run.agent, batch, run.config, run.rng, run.processes, stays)
    run.agent.eval()
    return config.bc_coef * loss


def _line(run: Run, numbers: dict[str, float]) -> str:
    """Return what is told of an epoch, with the held-out score where it was looked at."""
    reward = numbers.get("reward/total")
    paid = "no episode ended" if reward is None else f"reward {reward:.2f}"
    line = f"epoch {run.epoch}/{run.config.train.epochs}: {paid}, entropy {numbers['entropy']:.2f}"
    judged = f"{run.scope}/f1" in numbers
    return f"{line}, {run.f1_words(numbers)}" if judged else line


if __name__ == "__main__":
    raise SystemExit(main())
