"""Many episodes at once: the stepping code that every environment shares.

A `Task` is a recording with, where one is known, its edit. An episode draws a task and a target
share, starts an `EditState` and ends when the cursor passes the recording's end (`terminated`,
the reward is paid then) or after `max_steps` (`truncated`, nothing is paid: a learner goes on
with the value of `final`). Nothing here imports torch or gymnasium: worker processes run it.

Shapes: `E` episodes, `K` context numbers. Masks are True where allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES, Action, ActionType, Amount, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.demonstrations import Demonstration
from rl_editor.edit_state import EditContext, EditState
from rl_editor.features import FEATURE_NAMES
from rl_editor.observation import N_CONTEXT, observe
from rl_editor.rewards import RewardBreakdown, total_reward
from rl_editor.track import Track

_RMS_DB = FEATURE_NAMES.index("rms_db")
UNKNOWN_TARGET_SHARE = 0.5
"""Share of the episodes with a known edit in which nobody asks for a share."""
TARGET_JITTER = 0.1
"""How far the target may lie from a known edit's own share, either way."""
TARGET_RANGE = (0.2, 0.95)
"""Targets drawn where no edit is known."""


@dataclass(frozen=True)
class Task:
    """What an episode is about: a recording and, where one is known, its edit."""

    track: Track
    demonstration: Demonstration | None = None


@dataclass(frozen=True)
class Observations:
    """What the policy sees of `E` episodes.

    Attributes:
        task: [E] int64, index of the episode's task.
        cursor: [E] int64, beat where the next action acts.
        context: [E, K] float32, columns `observation.CONTEXT_NAMES`.
        type_mask: [E, 20] bool.
        size_mask: [E, 20, 5] bool, given the type.
        amount_mask: [E, 20, 5] bool, given the type.
    """

    task: NDArray[np.int64]
    cursor: NDArray[np.int64]
    context: NDArray[np.float32]
    type_mask: NDArray[np.bool_]
    size_mask: NDArray[np.bool_]
    amount_mask: NDArray[np.bool_]

    def rows(self, index: NDArray | slice) -> Observations:
        """Return the episodes at `index`."""
        return Observations(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Observations]) -> Observations:
        """Return the episodes of all parts, one after the other."""
        arrays = ([getattr(part, f.name) for part in parts] for f in fields(cls))
        return cls(*(np.concatenate(a) for a in arrays))


@dataclass(frozen=True)
class EpisodeResult:
    """A finished episode.

    Attributes:
        episode: index in the batch.
        task: index of its task.
        target_keep_ratio: what was asked for, None when nothing was.
        actions: the whole history.
        reward: total and terms; None for a truncated episode.
    """

    episode: int
    task: int
    target_keep_ratio: float | None
    actions: tuple[Action, ...]
    reward: RewardBreakdown | None


@dataclass(frozen=True)
class StepResult:
    """What one step of `E` episodes returns.

    Attributes:
        observations: of the next step; for an episode that ended, the first of its next one.
        reward: [E] float32, paid where `terminated`, else 0.
        terminated: [E] bool, the recording's end was reached.
        truncated: [E] bool, the step limit was.
        final: what the truncated episodes saw last, in the order of their index.
        finished: the episodes that ended in this step, in the order of their index.
    """

    observations: Observations
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final: Observations
    finished: tuple[EpisodeResult, ...]


@dataclass(frozen=True)
class Episode:
    """One episode under way; `step` returns the next one."""

    task: int
    target_keep_ratio: float | None
    state: EditState
    n_steps: int = 0


@dataclass(frozen=True)
class EditingProblem:
    """The decision process: what episodes start from, what an action does, what an end pays."""

    tasks: tuple[Task, ...]
    episode_config: EpisodeConfig
    reward_config: RewardConfig
    _contexts: dict[int, EditContext] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("an environment needs at least one task")

    def start(self, rng: np.random.Generator) -> Episode:
        """Return a new episode on a task and with a target drawn by `rng`."""
        task = int(rng.integers(len(self.tasks)))
        return self.start_task(task, draw_target(self.tasks[task], rng))

    def start_task(self, task: int, target_keep_ratio: float | None) -> Episode:
        """Return a new episode on one task."""
        if task not in self._contexts:
            track = self.tasks[task].track
            level_db = track.features[:, _RMS_DB]
            self._contexts[task] = EditContext.of(track.grid, level_db, self.episode_config)
        return Episode(task, target_keep_ratio, EditState.begin(self._contexts[task]))

    def step(self, episode: Episode, action: Action) -> Episode:
        """Return the episode after one action; a masked one raises ValueError."""
        return replace(episode, state=episode.state.step(action), n_steps=episode.n_steps + 1)

    def is_truncated(self, episode: Episode) -> bool:
        """Return whether the step limit ended the episode before the recording's end did."""
        return not episode.state.done and episode.n_steps >= self.episode_config.max_steps

    def pay(self, episode: Episode) -> RewardBreakdown:
        """Return the reward of a finished episode."""
        task = self.tasks[episode.task]
        return total_reward(
            task.track,
            episode.state,
            episode.target_keep_ratio,
            task.demonstration,
            self.reward_config,
        )

    def observe(self, episode: Episode) -> Observations:
        """Return what the policy sees, as a batch of one."""
        masks = episode.state.masks()
        track = self.tasks[episode.task].track
        context = observe(track, episode.state, episode.target_keep_ratio)
        return Observations(
            task=np.array([episode.task]),
            cursor=np.array([episode.state.cursor]),
            context=context[None],
            type_mask=masks.type[None],
            size_mask=masks.size[None],
            amount_mask=masks.amount[None],
        )


def draw_target(task: Task, rng: np.random.Generator) -> float | None:
    """Return the share that an episode asks for, in [0, 1], or None.

    Where an edit is known, half of the episodes ask for nothing, the others for its own share
    plus or minus 0.1, so that the target never pays for leaving a good edit; elsewhere any
    share from 0.2 to 0.95.
    """
    if task.demonstration is None:
        return float(rng.uniform(*TARGET_RANGE))
    asks, jitter = rng.random() >= UNKNOWN_TARGET_SHARE, rng.uniform(-TARGET_JITTER, TARGET_JITTER)
    truth = task.demonstration.truth
    wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
    return float(np.clip(wanted_s / truth.duration_s + jitter, 0.0, 1.0)) if asks else None


def to_action(row: NDArray[np.integer] | Sequence[int]) -> Action:
    """Return the action of a row (type, size, amount) of `MultiDiscrete([20, 5, 5])`."""
    return Action(ActionType(int(row[0])), Size(int(row[1])), Amount(int(row[2])))


def no_observations() -> Observations:
    """Return a batch of no episodes."""
    return Observations(
        task=np.zeros(0, dtype=np.int64),
        cursor=np.zeros(0, dtype=np.int64),
        context=np.zeros((0, N_CONTEXT), dtype=np.float32),
        type_mask=np.zeros((0, N_TYPES), dtype=bool),
        size_mask=np.zeros((0, N_TYPES, N_SIZES), dtype=bool),
        amount_mask=np.zeros((0, N_TYPES, N_AMOUNTS), dtype=bool),
    )


class VectorEnvironment:
    """`E` episodes of one problem, each with its own random numbers.

    Episodes restart by themselves in the step in which they end (same-step autoreset): the
    reward and the flags belong to the episode that ended, the observation to the next one.
    Episode `e` depends only on the seed, on `e` and on its actions, never on the other
    episodes, so that any split over processes gives equal results.
    """

    def __init__(
        self, problem: EditingProblem, n_envs: int, seed: int = 0, first_episode: int = 0
    ) -> None:
        """Set up `n_envs` episodes; `first_episode` is the number of the first in the batch."""
        if n_envs < 1:
            raise ValueError(f"an environment needs at least one episode, but {n_envs} were asked")
        self.problem, self.n_envs, self.first_episode = problem, n_envs, first_episode
        self._rngs = [np.random.default_rng([seed, first_episode + e]) for e in range(n_envs)]
        self._episodes: list[Episode] = []

    def reset(self) -> Observations:
        """Return the first observations of `E` new episodes."""
        self._episodes = [self.problem.start(rng) for rng in self._rngs]
        return self._observe()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Act in every episode.

        Args:
            actions: [E, 3] type, size, amount.

        Raises:
            ValueError: a masked action, or a step before the first `reset`.
        """
        if len(actions) != len(self._episodes):
            raise ValueError(f"{len(self._episodes)} episodes run, but {len(actions)} actions came")
        reward = np.zeros(self.n_envs, dtype=np.float32)
        terminated, truncated = np.zeros((2, self.n_envs), dtype=bool)
        final, finished = [no_observations()], []
        for e, row in enumerate(actions):
            episode = self.problem.step(self._episodes[e], to_action(row))
            terminated[e] = episode.state.done
            truncated[e] = self.problem.is_truncated(episode)
            if truncated[e]:
                final.append(self.problem.observe(episode))
            if terminated[e] or truncated[e]:
                result = self._result(e, episode)
                reward[e] = result.reward.total if result.reward else 0.0
                finished.append(result)
                episode = self.problem.start(self._rngs[e])
            self._episodes[e] = episode
        return StepResult(
            observations=self._observe(),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            final=Observations.join(final),
            finished=tuple(finished),
        )

    def close(self) -> None:
        """Do nothing: part of the contract that worker processes need."""

    def _observe(self) -> Observations:
        return Observations.join([self.problem.observe(episode) for episode in self._episodes])

    def _result(self, e: int, episode: Episode) -> EpisodeResult:
        return EpisodeResult(
            episode=self.first_episode + e,
            task=episode.task,
            target_keep_ratio=episode.target_keep_ratio,
            actions=tuple(episode.state.actions),
            reward=self.problem.pay(episode) if episode.state.done else None,
        )
