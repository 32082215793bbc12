"""A training run between its updates: judging the policy, checkpoints, and going on from one.

After each pass of cloning and each PPO update a run is at a boundary: everything that it needs to
go on is taken into memory, and to the disk when the policy was judged or enough time has passed.
An interrupt writes the last boundary, so a run always goes on as if it had not been stopped.
Where a run has several processes, all of them call what is here and the first one writes.

In: settings, data, a checkpoint perhaps. Out: `Run`.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from rl_editor.agent import Agent
from rl_editor.attention import backend_name
from rl_editor.auxiliary_tasks import TASKS
from rl_editor.checkpoint import (
    Checkpoint,
    RunState,
    agent_from,
    check_schema,
    load,
    save,
)
from rl_editor.config import Config, to_dict
from rl_editor.distributed import Descent, Processes
from rl_editor.episodes import Observations
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.run_folder import BEST, LATEST, runs_set_aside, save_latest, set_aside
from rl_editor.run_log import LogPosition, NoLog, RunLog, set_log_aside
from rl_editor.run_state import VERSION, Learner, capture, fingerprint, restore
from rl_editor.run_view import RunView
from rl_editor.training_data import TrainingData
from rl_editor.validation import held_out_scores, standing_f1

STABLE_ENTROPY = 0.2
"""Entropy, as a share of its maximum, below which a trained policy counts as stable; after cloning
it is 0.02 to 0.1, after two passes over six recordings 0.9."""
FREE = ("save_dir", "data_dir", "checkpoint", "epochs", "subprocess", "checkpoint_minutes",
        "keep_checkpoints")  # fmt: skip
"""Settings of training that may differ when the same command goes on with its run."""
OF_CLONING = ("bc_epochs", "bc_batch_tracks", "bc_lr", "seed",
              *(f"{task}_coef" for task in TASKS))  # fmt: skip
"""Settings that cloning under way depends on."""


@dataclass
class Run:
    """A training run: what it works on, and what has become of it.

    Attributes:
        config: all settings.
        data: tasks to train on and held-out tasks.
        agent: changed in place.
        normalisation: of the policy's inputs.
        rng: cloning and minibatches.
        view: what one sees of it.
        descent: gradient steps of the agent, together with the other processes.
        cloned: passes of cloning done.
        epoch: PPO updates done.
        best_f1: of `best.pt` in the save folder, -1 where there is none yet.
        goes_on_from: state of the run that this one continues; None for one that begins.
        stays: it continues the run whose `latest.pt` and log are in the save folder.
        began_trained: the run began with the weights of a checkpoint.
        is_stable: PPO's policy was trained before and knows what it wants.
    """

    config: Config
    data: TrainingData
    agent: Agent
    normalisation: Normalisation
    rng: np.random.Generator
    view: RunView
    descent: Descent
    cloned: int = 0
    epoch: int = 0
    best_f1: float = -1.0
    goes_on_from: RunState | None = None
    stays: bool = False
    began_trained: bool = False
    is_stable: bool = False
    _fingerprint: str = ""
    _scores: dict[str, float] = field(default_factory=dict)
    _boundary: Checkpoint | None = None
    _written_s: float = field(default_factory=time.monotonic)

    @classmethod
    def start(
        cls,
        config: Config,
        data: TrainingData,
        start_from: Checkpoint | None,
        view: RunView,
        processes: Processes,
    ) -> Run:
        """Return a run that begins, goes on, or begins with the weights of a checkpoint.

        Raises:
            UserError: the checkpoint is of another analysis, or does not fit its own config; or
                the processes have unlike data.
        """
        torch.manual_seed(config.train.seed)
        rng = np.random.default_rng(config.train.seed)
        if start_from is None:
            normalisation = Normalisation.fit([task.track for task in data.train])
            agent = Agent(config.agent, N_INPUTS)
        else:
            processes.together(partial(check_schema, start_from, data.schema))
            normalisation = start_from.normalisation
            agent = processes.together(partial(agent_from, start_from))
        descent = Descent(agent.to(processes.device), processes)
        view.say(f"computes on {processes.device}, attention: {backend_name(processes.device)}")
        run = cls(config, data, agent, normalisation, rng, view, descent)
        run._fingerprint = _common_fingerprint(data, processes)
        if start_from is not None:
            run.epoch = int(start_from.metrics.get("epoch", 0))
            run._go_on(start_from)
        run.stays = processes.from_first(lambda: run._is_of_the_run_there(start_from))
        if start_from is not None and not run.stays and processes.is_first:
            _keep(run.save_dir / LATEST, "since this is another run", view)
        run.best_f1 = standing_f1(run.save_dir / BEST, data, view.say, processes)
        return run

    @property
    def save_dir(self) -> Path:
        """Where checkpoints and logs go."""
        return Path(self.config.train.save_dir)

    @property
    def processes(self) -> Processes:
        """Those that the run has."""
        return self.descent.processes

    @property
    def scope(self) -> str:
        """What scores are filed under: "validation", or "training" where nothing is held out."""
        return "validation" if self.data.judged_on == "held-out" else "training"

    @property
    def is_done(self) -> bool:
        """Whether the run goes on from another and nothing is left to do."""
        train = self.config.train
        has_cloned = self.epoch > 0 or self.cloned >= train.bc_epochs
        return self.goes_on_from is not None and has_cloned and self.epoch >= train.epochs

    @property
    def done_words(self) -> str:
        """What was done last, in words."""
        return f"epoch {self.epoch}" if self.epoch else f"pass {self.cloned} of cloning"

    def judge_stability(self, entropy: float) -> None:
        """Take note of a policy's entropy, a share of its maximum.

        From scratch a low one would be a collapse, so only who was cloned or given can be stable.
        """
        was_trained = self.began_trained or self.cloned > 0
        self.is_stable |= was_trained and entropy < STABLE_ENTROPY

    def goes_on_in(self, stage: str) -> bool:
        """Return whether the run goes on from a state that was saved in this stage."""
        return self.goes_on_from is not None and self.goes_on_from.facts["stage"] == stage

    def log(self) -> RunLog:
        """Return the run's log; that of the run that it continues, where it stays in its folder."""
        if not self.processes.is_first:
            return NoLog(self.save_dir)
        state = self.goes_on_from
        if state is None or not self.stays:
            return RunLog(self.save_dir)
        return RunLog(self.save_dir, LogPosition(**state.facts["log"]))

    def resume(self, learner: Learner, stage: str) -> Observations | None:
        """Take a learner to where the run that this one continues had it, if it was in that stage.

        Returns what the environment shows then, None where there is none or nothing to resume.
        """
        if self.goes_on_from is None or not self.goes_on_in(stage):
            return None
        return restore(learner, self.goes_on_from)

    def look(self) -> dict[str, float]:
        """Return the scores of the planned edits of the pieces that count; save a better policy."""
        checkpoint = self._checkpoint(None)
        scores = held_out_scores(checkpoint, self.data.validation, self.processes)
        self._scores = {f"{self.scope}_{name}": value for name, value in scores.items()}
        if scores["f1"] > self.best_f1:
            self.best_f1 = scores["f1"]
            if self.processes.is_first:
                save(self.save_dir / BEST, self._checkpoint(None))
        return {f"{self.scope}/{name}": value for name, value in scores.items()}

    def f1_words(self, numbers: dict[str, float]) -> str:
        """Return the held-out score among the numbers of `look`, in words."""
        f1 = numbers[f"{self.scope}/f1"]
        return f"{self.data.judged_on} F1 {f1:.3f} (best {self.best_f1:.3f})"

    def boundary(self, stage: str, learner: Learner, log: RunLog, is_due: bool = False) -> None:
        """Remember everything that the run needs to go on from here.

        Args:
            stage: "cloning" or "ppo".
            learner: of that stage.
            log: with all numbers up to here.
            is_due: write it even if the last checkpoint was written a moment ago.
        """
        state = capture(learner)
        if not self.processes.is_first:
            return
        state.facts.update(
            stage=stage,
            cloned=self.cloned,
            epoch=self.epoch,
            began_trained=self.began_trained,
            is_stable=self.is_stable,
            data=self._fingerprint,
            log=dataclasses.asdict(log.position()),
        )
        self._boundary, self._scores = self._checkpoint(state), {}
        passed_s = time.monotonic() - self._written_s
        if is_due or passed_s >= 60.0 * self.config.train.checkpoint_minutes:
            self.write_boundary()

    def write_boundary(self) -> Path | None:
        """Write `latest.pt` as of the last boundary; return its path, None where there is none."""
        if self._boundary is None:
            return None
        facts = self._boundary.run.facts if self._boundary.run else {}
        number = facts["cloned"] if facts["stage"] == "cloning" else facts["epoch"]
        name = f"{facts['stage']}-{number:06d}"
        save_latest(self.save_dir, name, self._boundary, self.config.train.keep_checkpoints)
        self._written_s = time.monotonic()
        return self.save_dir / LATEST

    def _checkpoint(self, state: RunState | None) -> Checkpoint:
        """Return the policy as it is now; with a state, it does not change with the agent."""
        weights = self.agent.arrays()
        if state is not None:
            weights = {name: array.copy() for name, array in weights.items()}
        metrics = {**self._scores, "epoch": self.epoch}
        return Checkpoint(
            self.config, self.data.schema, self.normalisation, metrics, weights, state
        )

    def _go_on(self, start_from: Checkpoint) -> None:
        """Go on with the run of a checkpoint, if it can; else it only gives its weights."""
        state = start_from.run
        self.began_trained = True
        if state is None:
            return
        reason = self._obstacle(start_from.config, state)
        if reason is not None:
            self.view.say(f"starts from the weights, but cannot go on with the run: {reason}")
            return
        self.goes_on_from = state
        self.cloned, self.epoch = state.facts["cloned"], state.facts["epoch"]
        self.began_trained = state.facts["began_trained"]
        self.is_stable = state.facts["is_stable"]

    def _is_of_the_run_there(self, start_from: Checkpoint | None) -> bool:
        """Return whether this goes on with the run whose `latest.pt` and log are in the folder."""
        given, latest = self.config.train.checkpoint, self.save_dir / LATEST
        if start_from is None or self.goes_on_from is None or not _is_in(given, self.save_dir):
            return False
        try:
            there = load(latest, with_run=True) if latest.exists() else start_from
        except UserError:
            return False
        data = None if there.run is None else there.run.facts["data"]
        is_same_data = data == self.goes_on_from.facts["data"]
        return is_same_data and _difference(there.config, start_from.config) is None

    def _obstacle(self, before: Config, state: RunState) -> str | None:
        """Return why a run cannot go on as it was, None where it can."""
        reason = _state_obstacle(state, self._fingerprint)
        if reason is not None:
            return reason
        names = ["n_envs", "group_size"] if state.facts["stage"] == "ppo" else list(OF_CLONING)
        for name in names:
            old, new = getattr(before.train, name), getattr(self.config.train, name)
            if old != new:
                return f"{name} was {old} and is {new}"
        if before.episode != self.config.episode:
            return "the limits of episodes are others"
        return None


def unfinished(config: Config, data: TrainingData, view: RunView) -> Checkpoint | None:
    """Return the checkpoint in the save folder if it is of the run with these settings and data.

    One of another run is kept under a number, so that nothing is lost. Where the run was given
    such a number before, it becomes `latest.pt` again.
    """
    path = Path(config.train.save_dir) / LATEST
    if not path.exists():
        return None
    found, reason = _of_run(path, config, data)
    if found is not None:
        return found
    earlier = {place: _of_run(place, config, data)[0] for place in runs_set_aside(path.parent)}
    own = {place: checkpoint for place, checkpoint in earlier.items() if checkpoint is not None}
    if not own:
        _keep(path, f"a run begins anew: {reason}", view)
        return None
    place = max(own, key=lambda place: _progress(own[place]))
    _keep(path, f"{reason}; {place} is the run with these settings and is {path} again", view)
    place.replace(path)
    set_log_aside(path.parent)
    return own[place]


def _of_run(path: Path, config: Config, data: TrainingData) -> tuple[Checkpoint | None, str]:
    """Return a checkpoint if a run with these settings and data can go on from it, else why not."""
    try:
        found = load(path, with_run=True)
    except UserError as error:
        return None, str(error)
    reason = _difference(found.config, config)
    if found.run is None:
        reason = "it cannot go on"
    elif reason is None:
        reason = _state_obstacle(found.run, fingerprint(data))
    return (found, "") if reason is None else (None, reason)


def _progress(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return the updates and the passes of cloning that a run has behind it."""
    facts = checkpoint.run.facts if checkpoint.run else {}
    return facts.get("epoch", 0), facts.get("cloned", 0)


def _common_fingerprint(data: TrainingData, processes: Processes) -> str:
    """Return the fingerprint of the data, which all processes must have alike."""
    marks = processes.gather(fingerprint(data))
    unlike = [rank for rank, mark in enumerate(marks) if mark != marks[0]]
    if unlike:
        raise processes.error(
            f"all processes should have the same training data, but process {unlike[0]} has "
            "other data than process 0; copy the folder to every machine."
        )
    return marks[0]


def _state_obstacle(state: RunState, mark: str) -> str | None:
    """Return why a run cannot go on from a state with data of this fingerprint, None if it can."""
    if state.facts.get("version") != VERSION:
        return "another version of rl_editor saved it"
    return None if state.facts["data"] == mark else "the training data has changed"


def _keep(path: Path, reason: str, view: RunView) -> None:
    """Give a checkpoint that would be replaced a number."""
    kept = set_aside(path)
    if kept is not None:
        view.say(f"kept {path} as {kept}, {reason}")


def _difference(before: Config, now: Config) -> str | None:
    """Return how the settings of two runs differ, None where one is the other."""
    for part, values in to_dict(now).items():
        for name, value in values.items():
            was = to_dict(before)[part][name]
            if was != value and not (part == "train" and name in FREE):
                return f"{name} was {was} and is {value}"
    return None


def _is_in(path: str | None, folder: Path) -> bool:
    return path is not None and Path(path).resolve().parent == folder.resolve()
