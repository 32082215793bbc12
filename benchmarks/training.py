"""Samples per CPU-second of PPO training, and where the time goes, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.training [FOLDER] [--json FILE]

All contestants train on the same tasks with the same number of steps, episodes, passes and
minibatches, the defaults of a training run; a sample is one step of one episode with everything
that it costs: environment, acting, and its share of the update. Against MaskablePPO (sb3-contrib,
on `FlatEnv` in a DummyVecEnv) there are two comparisons: its own network in our loop, and our
agent, which reads the whole recording, at as many parameters. The window encoder is the agent of
default size, its layers reading 64 beats around the cursor anew at every step; it takes fewer
steps, as its cost does not depend on how many of them share a recording.

Episodes edit made tracks of 200 to 600 beats, or, with a FOLDER of finished tracks, these and
sessions made out of them. Contestants take turns; shown are the median and the best round.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.environment import tasks_of
from benchmarks.flat_agent import FlatAgent
from benchmarks.window_agent import WindowAgent
from rl_editor.agent import Agent
from rl_editor.config import AgentConfig, EpisodeConfig, RewardConfig, TrainConfig
from rl_editor.environment import MusicEditingEnv
from rl_editor.flat_environment import FlatEnv
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.ppo import PPO
from rl_editor.rollout import TaskInputs, collect, episode_seeds
from rl_editor.tests.made_tasks import made_task
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

DEFAULTS, DEFAULT_HEADS = TrainConfig(), AgentConfig().n_heads
N_MADE_TASKS, MADE_BEATS = 32, (200, 600)
WINDOW_STEPS = 16
HIDDEN_UNITS = 256
"""Of both layers of both networks of MaskablePPO."""
NO_TARGET_KL = 1e9
"""All passes over a rollout are made, as MaskablePPO makes them by default."""
SEED = 0


class StageClock:
    """CPU time by stage; what runs inside another stage counts for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside under `name`."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def timed(self, name: str | Callable[[], str], function: Callable) -> Callable:
        """Return `function` with its calls counted under `name`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name if isinstance(name, str) else name()):
                return function(*args, **kwargs)

        return call

    def _charge(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


@dataclass
class Contestant:
    """One way to train.

    Attributes:
        name: for the table.
        n_parameters: of its networks.
        n_samples: of one rollout with its update.
        train_once: makes both.
        clock: what they cost by stage.
        rates: samples per CPU-second of each round.
    """

    name: str
    n_parameters: int
    n_samples: int
    train_once: Callable[[], Any]
    clock: StageClock = field(default_factory=StageClock)
    rates: list[float] = field(default_factory=list)

    def play(self) -> None:
        """Make one rollout with its update."""
        started = time.process_time()
        self.train_once()
        self.rates.append(self.n_samples / (time.process_time() - started))


def of_agent(
    name: str, agent: Agent | FlatAgent, tasks: tuple[Task, ...], n_steps: int = DEFAULTS.steps
) -> Contestant:
    """Return our rollout and PPO of an agent."""
    config = TrainConfig(steps=n_steps, target_kl=NO_TARGET_KL)
    environment = VectorEnvironment(
        EditingProblem(tasks, EpisodeConfig(), RewardConfig()), config.n_envs, SEED
    )
    normalisation = Normalisation.fit([task.track for task in tasks])
    inputs = TaskInputs(tasks, normalisation, torch.device("cpu"))
    optimizer = torch.optim.Adam(agent.parameters(), lr=config.lr, eps=1e-5)
    ppo = PPO(cast(Agent, agent), optimizer, inputs, config)
    generator, rng = torch.Generator().manual_seed(SEED), np.random.default_rng(SEED)
    clock = StageClock()
    environment.seed(episode_seeds(SEED, slice(0, config.n_envs), config.group_size))
    seen = environment.reset()

    def encode_stage() -> str:
        return "encode, update" if torch.is_grad_enabled() else "encode, rollout"

    def train_once() -> None:
        nonlocal seen
        with ExitStack() as patches:
            for thing, attribute, stage in (
                (environment, "step", "environment step"),
                (agent, "encode", encode_stage),
                (agent, "act", "act"),
                (agent, "evaluate", "evaluate"),
                (torch.Tensor, "backward", "backward"),
                (optimizer, "step", "optimiser"),
            ):
                timed = clock.timed(stage, getattr(thing, attribute))
                patches.enter_context(patch.object(thing, attribute, timed))
            with clock.stage("rollout, rest"):
                inputs.vary(int(rng.integers(2**63)))
                rollout, seen = collect(ppo.agent, environment, seen, inputs, n_steps, generator)
            with clock.stage("update, rest"):
                ppo.update(rollout, rng, config.entropy_coef)

    return Contestant(name, n_parameters(agent), n_steps * config.n_envs, train_once, clock)


def maskable_ppo(tasks: tuple[Task, ...]) -> Contestant:
    """Return sb3-contrib's MaskablePPO on as many steps, episodes, passes and minibatches."""
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    config = DEFAULTS
    n_samples = config.steps * config.n_envs
    environment = DummyVecEnv([lambda: FlatEnv(MusicEditingEnv(tasks))] * config.n_envs)
    model = MaskablePPO(
        "MlpPolicy",
        environment,
        learning_rate=config.lr,
        n_steps=config.steps,
        batch_size=n_samples // config.minibatches,
        n_epochs=config.ppo_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=0.01,
        policy_kwargs={"net_arch": [HIDDEN_UNITS, HIDDEN_UNITS]},
        seed=SEED,
        device="cpu",
    )
    clock = StageClock()

    def train_once() -> None:
        step, train = environment.step, model.train
        with (
            patch.object(environment, "step", clock.timed("environment step", step)),
            patch.object(model, "train", clock.timed("update", train)),
            clock.stage("rollout, rest"),
        ):
            model.learn(n_samples, reset_num_timesteps=False)

    name = "MaskablePPO"
    return Contestant(name, n_parameters(model.policy), n_samples, train_once, clock)


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def agent_of_size(n_wanted: int) -> Agent:
    """Return the whole-track agent whose number of parameters comes nearest."""
    agents = []
    for hidden_dim in range(16, 129, DEFAULT_HEADS):
        with torch.device("meta"):
            count = n_parameters(Agent(AgentConfig(hidden_dim=hidden_dim), N_INPUTS))
        agents.append((abs(count - n_wanted), hidden_dim))
    return Agent(AgentConfig(hidden_dim=min(agents)[1]), N_INPUTS)


def made_tasks() -> tuple[Task, ...]:
    """Return tasks that need no audio."""
    lengths = np.random.default_rng(SEED).integers(*MADE_BEATS, size=N_MADE_TASKS)
    return tuple(made_task(int(n_beats), seed) for seed, n_beats in enumerate(lengths))


def measure(tasks: tuple[Task, ...], n_rounds: int) -> list[Contestant]:
    """Return the contestants after their rounds, the first of which is not counted."""
    torch.manual_seed(SEED)
    reference = maskable_ppo(tasks)
    contestants = [
        reference,
        of_agent("our loop, the same network", FlatAgent(HIDDEN_UNITS), tasks),
        of_agent("our loop, whole track", agent_of_size(reference.n_parameters), tasks),
        of_agent("our loop, whole track, default", Agent(AgentConfig(), N_INPUTS), tasks),
        of_agent(
            "our loop, window of 64 beats",
            WindowAgent(AgentConfig(), N_INPUTS),
            tasks,
            WINDOW_STEPS,
        ),
    ]
    for n_round in range(1 + n_rounds):
        for contestant in contestants:
            contestant.play()
            if n_round == 0:
                contestant.rates.clear()
                contestant.clock.seconds.clear()
    return contestants


def findings(contestants: Sequence[Contestant]) -> dict[str, Any]:
    """Return what was measured, for the table and for JSON."""
    reference, flat, whole, default, window = (float(np.median(c.rates)) for c in contestants)
    return {
        "settings": {
            name: getattr(DEFAULTS, name)
            for name in ("steps", "n_envs", "ppo_epochs", "minibatches")
        },
        "contestants": [
            {
                "name": c.name,
                "parameters": c.n_parameters,
                "samples_per_cpu_s": float(np.median(c.rates)),
                "best": max(c.rates),
                "us_per_sample": {
                    stage: seconds / (c.n_samples * len(c.rates)) * 1e6
                    for stage, seconds in c.clock.seconds.items()
                },
            }
            for c in contestants
        ],
        "ratios": {
            "our loop / MaskablePPO, the same network": flat / reference,
            "whole track / MaskablePPO, as many parameters": whole / reference,
            "whole track / window of 64 beats": default / window,
        },
    }


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    print(", ".join(f"{name} {value}" for name, value in found["settings"].items()))
    print(f"\n{'samples per CPU-second':34}{'parameters':>12}{'median':>10}{'best':>10}")
    for row in found["contestants"]:
        median, best = row["samples_per_cpu_s"], row["best"]
        print(f"{row['name']:34}{row['parameters']:12,}{median:10.0f}{best:10.0f}")
    print()
    for name, ratio in found["ratios"].items():
        print(f"{name:46}{ratio:8.2f}")
    print("\nCPU time of a sample by stage, microseconds")
    for row in found["contestants"]:
        parts = sorted(row["us_per_sample"].items(), key=lambda part: -part[1])
        print(f"{row['name']:34}" + ", ".join(f"{stage} {us:.0f}" for stage, us in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="finished tracks")
    parser.add_argument("--tracks", type=int, default=16, help="finished tracks to use")
    parser.add_argument("--sessions", type=int, default=1, help="sessions made out of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.folder is None:
        tasks = made_tasks()
    else:
        tasks = tuple(tasks_of(arguments.folder, arguments.tracks, arguments.sessions))
    n_beats = sorted(task.track.n_beats for task in tasks)
    print(f"{len(tasks)} recordings of {n_beats[0]} to {n_beats[-1]} beats; ", end="")
    found = findings(measure(tasks, arguments.rounds))
    show(found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
