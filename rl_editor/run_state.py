"""What a training run needs to go on as if it had not been stopped, as plain arrays and JSON.

Beside the policy's weights: the optimiser and its schedule, every random state (NumPy's, torch's,
that of the acting policy and of the environment), the episodes under way and the policy's latest
choices on the demonstrations. On one CPU thread a restored run computes the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rl_editor.checkpoint import RunState
from rl_editor.cloning_examples import CloningExample
from rl_editor.episode_state import EpisodeState, generator_from, generator_words
from rl_editor.episodes import Observations
from rl_editor.training_data import TrainingData
from rl_editor.vector_environment import Task

VERSION = 4
"""Of what `capture` keeps; a state of another version only gives its policy."""


class ResumableEnvironment(Protocol):
    """An environment whose episodes can go on elsewhere."""

    def snapshot(self) -> EpisodeState:
        """Return what `restore` needs."""

    def restore(self, state: EpisodeState) -> Observations:
        """Go on from a snapshot."""


@dataclass(frozen=True)
class Learner:
    """What learning changes beside the agent.

    Attributes:
        optimizer: of the agent's parameters.
        rng: of cloning and minibatches.
        examples: their latest choices change.
        schedule: of the optimiser, where there is one.
        acting: random numbers of the acting policy, in PPO.
        environment: in PPO.
    """

    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    examples: Sequence[CloningExample]
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    acting: torch.Generator | None = None
    environment: ResumableEnvironment | None = None


def capture(learner: Learner) -> RunState:
    """Return copies of everything that learning has changed, beside the agent's weights."""
    saved = learner.optimizer.state_dict()
    facts: dict[str, Any] = {"version": VERSION, "optimizer": saved["param_groups"]}
    arrays: dict[str, NDArray] = {
        f"optimizer.{number}.{name}": _copied(value)
        for number, values in saved["state"].items()
        for name, value in values.items()
    }
    arrays["random.numpy"] = generator_words(learner.rng)
    arrays["random.torch"] = torch.get_rng_state().numpy().copy()
    if torch.cuda.is_available():
        arrays["random.cuda"] = torch.cuda.get_rng_state().numpy().copy()
    own = [example.own for example in learner.examples]
    arrays["own_choices"] = np.concatenate([np.zeros(0, dtype=bool), *own])
    if learner.schedule is not None:
        facts["schedule"] = learner.schedule.state_dict()
    if learner.acting is not None:
        arrays["random.acting"] = learner.acting.get_state().numpy().copy()
    if learner.environment is not None:
        episodes = learner.environment.snapshot()
        for field in fields(EpisodeState):
            arrays[f"episodes.{field.name}"] = getattr(episodes, field.name)
    return RunState(facts, arrays)


def restore(learner: Learner, state: RunState) -> Observations | None:
    """Take everything to where `capture` found it; return what the environment shows, if any."""
    arrays = state.arrays
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            moments.setdefault(int(number), {})[moment] = torch.from_numpy(array.copy())
    rates = [group["lr"] for group in learner.optimizer.param_groups]
    learner.optimizer.load_state_dict({"state": moments, "param_groups": state.facts["optimizer"]})
    if learner.schedule is not None:
        learner.schedule.load_state_dict(state.facts["schedule"])
    else:  # a setting, which may be another one now
        for group, rate in zip(learner.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
    learner.rng.bit_generator.state = generator_from(arrays["random.numpy"]).bit_generator.state
    torch.set_rng_state(torch.from_numpy(arrays["random.torch"].copy()))
    if torch.cuda.is_available() and "random.cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"].copy()))
    ends = np.cumsum([len(example.own) for example in learner.examples])[:-1]
    for example, own in zip(learner.examples, np.split(arrays["own_choices"], ends), strict=False):
        example.own = own.copy()
    if learner.acting is not None:
        learner.acting.set_state(torch.from_numpy(arrays["random.acting"].copy()))
    if learner.environment is None:
        return None
    episodes = {field.name: arrays[f"episodes.{field.name}"] for field in fields(EpisodeState)}
    return learner.environment.restore(EpisodeState(**episodes))


def fingerprint(data: TrainingData) -> str:
    """Return what tells one set of training data from another: a hash of all that is learnt from.

    Recordings that were added, analysed in another way or edited differently change it, and so
    does another split.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{data.schema} {len(data.train)} {len(data.validation)}".encode())
    for task in (*data.train, *data.validation):
        for array in _learnt_from(task):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _learnt_from(task: Task) -> list[NDArray]:
    track, shown = task.track, task.demonstration
    arrays: list[NDArray] = [track.features, track.recurrence, track.match_later]
    arrays.append(track.grid.beats_s)
    if shown is not None:
        arrays += [shown.wanted, shown.equally_good, shown.confidence, shown.material]
        arrays.append(np.array(shown.actions, dtype=np.int64))
    return arrays


def _copied(value: torch.Tensor) -> NDArray:
    return value.detach().cpu().numpy().copy()
