"""Experience for PPO: episodes played by the current policy, and what their actions were worth.

Each track is encoded once and read at the cursor as often as needed. Rewards come at episode
ends; `advantages` turns them into targets, Monte Carlo by default. Where a run has several
processes, each plays its share of the episodes and all of them get the whole rollout.

Shapes: `T` steps, `E` episodes in parallel, `B` = T * E rows, step by step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rl_editor.agent import ActOutput, Agent, BatchPart, Encoded, StepInputs, TrackInputs
from rl_editor.augmentation import augmented
from rl_editor.distributed import Processes
from rl_editor.episode_state import EpisodeState
from rl_editor.episodes import EpisodeResult, Observations, StepResult
from rl_editor.policy_inputs import Normalisation
from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment
from rl_editor.vector_environment import Seed, Task, VectorEnvironment


class Environment(Protocol):
    """What `VectorEnvironment` and `SubprocessVectorEnvironment` have in common."""

    n_envs: int

    def reset(self) -> Observations:
        """Return the first observations."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Act in every episode."""

    def close(self) -> None:
        """Free what the environment holds."""


class EpisodeShare:
    """One process's share of the episodes of an environment, which goes on as the whole one.

    Attributes:
        n_envs: episodes of this process.
        processes: that have the others.
        part: which episodes of all these are.
    """

    def __init__(
        self,
        environment: VectorEnvironment | SubprocessVectorEnvironment,
        processes: Processes,
    ) -> None:
        """Take the episodes of `environment` as this process's share."""
        self.n_envs, self.processes, self._environment = environment.n_envs, processes, environment
        n_all = processes.count * self.n_envs
        self.part = BatchPart(processes.part(n_all), n_all)

    def seed(self, seeds: Sequence[Seed]) -> None:
        """Take the random numbers of each episode of the share from its own seed from now on."""
        self._environment.seed(seeds)

    def reset(self) -> Observations:
        """Return the first observations."""
        return self._environment.reset()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Act in every episode of the share."""
        return self._environment.step(actions)

    def snapshot(self) -> EpisodeState:
        """Return what `restore` needs, of the episodes of all processes."""
        return EpisodeState.join(self.processes.gather(self._environment.snapshot()))

    def restore(self, state: EpisodeState) -> Observations:
        """Go on with this share of a snapshot of all episodes, whoever took it."""
        return self._environment.restore(state.split([self.part.rows])[0])

    def close(self) -> None:
        """Free what the environment holds."""
        self._environment.close()


def episode_seeds(
    seed: int, episodes: slice, group_size: int, update: int = 0
) -> list[tuple[int, int, int]]:
    """Return the seeds of some of the episodes of a run.

    Episodes of one group draw the same recordings and the same wishes, one after the other. Since
    some get through them faster, they are seeded anew for each update, or after many updates
    hardly any would have others like it.
    """
    return [
        (seed, update, episode // group_size) for episode in range(episodes.start, episodes.stop)
    ]


class TaskInputs:
    """What the encoder reads of each task, made when first asked for and kept on the device."""

    def __init__(
        self, tasks: Sequence[Task], normalisation: Normalisation, device: torch.device
    ) -> None:
        self.device = device
        self._tasks, self._normalisation = tasks, normalisation
        self._inputs: dict[int, TrackInputs] = {}
        self._seed: int | None = None

    def vary(self, seed: int) -> None:
        """Give every task another augmented form, the same for the same seed.

        Who acts and who learns from it must see the same, so this is done between rollouts.
        """
        self._seed, self._inputs = seed, {}

    def __getitem__(self, task: int) -> TrackInputs:
        """Return the inputs of one task."""
        if task not in self._inputs:
            inputs = TrackInputs.from_track(self._tasks[task].track, self._normalisation)
            if self._seed is not None:
                rng = np.random.default_rng([self._seed, task])
                inputs = dataclasses.replace(inputs, values=augmented(inputs.values, rng))
            self._inputs[task] = inputs.to(self.device)
        return self._inputs[task]

    def n_beats(self, task: int) -> int:
        """Return the length of one task, which is what encoding it costs."""
        return self._tasks[task].track.n_beats


class EncodedTasks:
    """Embeddings of the tasks that came up so far, under one state of the agent's weights."""

    def __init__(self, agent: Agent, inputs: TaskInputs) -> None:
        self._agent, self._inputs = agent, inputs
        self._place: dict[int, int] = {}
        self._encoded: Encoded | None = None

    def step_inputs(self, observations: Observations) -> tuple[Encoded, StepInputs]:
        """Return embeddings and decisions for the agent; new tasks are encoded, once."""
        tasks = observations.task.tolist()
        missing = [task for task in dict.fromkeys(tasks) if task not in self._place]
        if missing:
            self._add(missing)
        assert self._encoded is not None
        places = np.array([self._place[task] for task in tasks], dtype=np.int64)
        return self._encoded, to_step_inputs(observations, places, self._inputs.device)

    def _add(self, tasks: list[int]) -> None:
        # one by one: in company the last bits of a track would depend on who else plays
        new = [self._agent.encode([self._inputs[task]]) for task in tasks]
        self._place.update({task: len(self._place) + i for i, task in enumerate(tasks)})
        old = [] if self._encoded is None else [self._encoded]
        self._encoded = Encoded.join([*old, *new])


def to_step_inputs(
    observations: Observations, places: NDArray[np.int64], device: torch.device
) -> StepInputs:
    """Return observations as tensors; `places` [B] index the encoded tracks."""
    seen = observations
    arrays = (
        places,
        seen.cursor,
        seen.context,
        seen.type_mask,
        seen.size_mask,
        seen.amount_mask,
    )
    return StepInputs(*(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays))


@dataclass(frozen=True)
class Rollout:
    """`T` steps of `E` episodes.

    Attributes:
        observations: [B] rows, row t * E + e.
        actions: [B, 3] int64.
        log_prob: [B] float32, under the policy that acted.
        entropy: [T, E] float32, of the policy that acted, as a share of its maximum.
        value: [T, E] float32, expected return before the step.
        next_value: [T, E] float32, expected return after it: of the same episode, so 0 where it
            terminated and the value of its last observation where it was truncated.
        reward: [T, E] float32.
        ended: [T, E] bool, terminated or truncated.
        finished: the episodes that ended.
    """

    observations: Observations
    actions: NDArray[np.int64]
    log_prob: NDArray[np.float32]
    entropy: NDArray[np.float32]
    value: NDArray[np.float32]
    next_value: NDArray[np.float32]
    reward: NDArray[np.float32]
    ended: NDArray[np.bool_]
    finished: tuple[EpisodeResult, ...]

    @classmethod
    def join(cls, parts: Sequence[Rollout]) -> Rollout:
        """Return shares of the episodes, played side by side, as one rollout."""
        n_steps = len(parts[0].ended)

        def beside(arrays: Sequence[NDArray], is_flat: bool) -> NDArray:
            if is_flat:  # [B, ...], row t * E + e
                arrays = [a.reshape(n_steps, -1, *a.shape[1:]) for a in arrays]
            joined = np.concatenate(arrays, axis=1)
            return joined.reshape(-1, *joined.shape[2:]) if is_flat else joined

        def of(name: str, is_flat: bool = False) -> NDArray:
            return beside([getattr(part, name) for part in parts], is_flat)

        seen = [part.observations for part in parts]
        return cls(
            observations=Observations(
                **{
                    f.name: beside([getattr(s, f.name) for s in seen], True)
                    for f in dataclasses.fields(Observations)
                }
            ),
            actions=of("actions", is_flat=True),
            log_prob=of("log_prob", is_flat=True),
            entropy=of("entropy"),
            value=of("value"),
            next_value=of("next_value"),
            reward=of("reward"),
            ended=of("ended"),
            finished=_finished_in_order(parts),
        )


@torch.no_grad()
def collect(
    agent: Agent,
    environment: Environment,
    observations: Observations,
    inputs: TaskInputs,
    n_steps: int,
    generator: torch.Generator,
) -> tuple[Rollout, Observations]:
    """Return `n_steps` steps of experience, and the observations to go on from.

    The agent is put into evaluation mode: dropout would make the log-probabilities another
    policy's. With an `EpisodeShare` the experience is that of all processes, the observations are
    those of this one.
    """
    agent.eval()
    act = _actor(agent, environment, generator)
    encoded_tasks = EncodedTasks(agent, inputs)
    seen, results, acted = [], [], []
    for _ in range(n_steps):
        seen.append(observations)
        acted.append(act(*encoded_tasks.step_inputs(observations)))
        results.append(environment.step(acted[-1].actions.cpu().numpy()))
        observations = results[-1].observations
    value = np.stack([out.value.cpu().numpy() for out in acted])
    terminated = np.stack([r.terminated for r in results])
    truncated = np.stack([r.truncated for r in results])

    def values_of(some: Observations) -> NDArray[np.float32]:
        encoded, step = encoded_tasks.step_inputs(some)
        return agent.act(encoded, step, greedy=True).value.cpu().numpy()

    next_value = np.concatenate([value[1:], values_of(observations)[None]])
    next_value[terminated] = 0.0
    if truncated.any():
        next_value[truncated] = values_of(Observations.join([r.final for r in results]))
    rollout = Rollout(
        observations=Observations.join(seen),
        actions=torch.cat([out.actions for out in acted]).cpu().numpy(),
        log_prob=torch.cat([out.log_prob for out in acted]).cpu().numpy(),
        entropy=np.stack([out.entropy.cpu().numpy() for out in acted]),
        value=value,
        next_value=next_value,
        reward=np.stack([r.reward for r in results]),
        ended=terminated | truncated,
        finished=tuple(episode for r in results for episode in r.finished),
    )
    if isinstance(environment, EpisodeShare):
        rollout = Rollout.join(environment.processes.gather(rollout))
    return rollout, observations


def _actor(
    agent: Agent, environment: Environment, generator: torch.Generator
) -> Callable[..., ActOutput]:
    """Return what acts at random, in a share of the episodes as it would in all of them."""
    if isinstance(environment, EpisodeShare):
        return partial(agent.act, generator=generator, part=environment.part)
    return partial(agent.act, generator=generator)


def _finished_in_order(parts: Sequence[Rollout]) -> tuple[EpisodeResult, ...]:
    """Return what ended in shares of the episodes, by the step and the number of the episode."""
    found: list[tuple[int, EpisodeResult]] = []
    first = 0
    for part in parts:
        steps = np.nonzero(part.ended)[0].tolist()
        for step, result in zip(steps, part.finished, strict=True):
            found.append((step, dataclasses.replace(result, episode=first + result.episode)))
        first += part.ended.shape[1]
    return tuple(result for _, result in sorted(found, key=lambda f: (f[0], f[1].episode)))


def advantages(rollout: Rollout, gamma: float, gae_lambda: float) -> NDArray[np.float32]:
    """Return [T, E] generalised advantage estimates (Schulman et al., 2016, equation 16).

    A_t = d_t + gamma lambda A_{t+1} within an episode, d_t = r_t + gamma V_{t+1} - V_t. With
    lambda = 1, `advantages + value` are the Monte Carlo returns of the episodes that end in the
    rollout; the others go on with the value of where the rollout stopped.
    """
    delta = rollout.reward + gamma * rollout.next_value - rollout.value
    estimates = np.zeros_like(delta)
    following = np.zeros(delta.shape[1], dtype=np.float32)
    for t in reversed(range(len(delta))):
        following = delta[t] + gamma * gae_lambda * np.where(rollout.ended[t], 0.0, following)
        estimates[t] = following
    return estimates


def group_advantages(
    rollout: Rollout, gamma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return [T, E] how much more than its like each episode earned, and which steps that says of.

    The baseline of an episode is the mean of what the others with the same task and target earned
    that ended in the rollout (leave-one-out; Kool et al., "Buy 4 REINFORCE Samples, Get a Baseline
    for Free!", 2019). How hard a recording is cancels out, which a value function would have to
    learn first. Nothing is said, and 0 returned, of an episode that has no such others, has not
    ended or was not paid, and of what it did in earlier rollouts.
    """
    earned: dict[tuple[int, float | None], list[float]] = {}
    for result in rollout.finished:
        if result.reward is not None:
            like = (result.task, result.target_keep_ratio)
            earned.setdefault(like, []).append(result.reward.total)
    estimates = np.zeros(rollout.ended.shape, dtype=np.float32)
    is_known = np.zeros(rollout.ended.shape, dtype=bool)
    begins = np.zeros(rollout.ended.shape[1], dtype=np.int64)
    ends = zip(*np.nonzero(rollout.ended), strict=True)
    for (step, episode), result in zip(ends, rollout.finished, strict=True):
        begin, begins[episode] = begins[episode], step + 1
        if result.reward is None:
            continue
        all_of_these = earned[result.task, result.target_keep_ratio]
        if len(all_of_these) > 1:
            own = result.reward.total
            others = (sum(all_of_these) - own) / (len(all_of_these) - 1)
            discounts = gamma ** np.arange(step - begin, -1, -1)
            estimates[begin : step + 1, episode] = discounts * (own - others)
            is_known[begin : step + 1, episode] = True
    return estimates, is_known
