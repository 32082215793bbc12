"""What goes in and out of episodes: observations, step results, finished episodes, all as arrays.

Shapes: `E` episodes, `K` context numbers, `D` episodes that ended. Masks are True where allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES, Action, ActionType, Amount, Size
from rl_editor.observation import N_CONTEXT
from rl_editor.rewards import REWARD_TERMS, RewardBreakdown


@dataclass(frozen=True)
class Observations:
    """What the policy sees of `E` episodes.

    Attributes:
        task: [E] int64, index of the episode's task.
        cursor: [E] int64, beat where the next action acts.
        target: [E] float64, share of the recording that should stay, NaN where nobody asked.
        context: [E, K] float32, columns `observation.CONTEXT_NAMES`.
        type_mask: [E, 20] bool.
        size_mask: [E, 20, 5] bool, given the type.
        amount_mask: [E, 20, 5] bool, given the type.
    """

    task: NDArray[np.int64]
    cursor: NDArray[np.int64]
    target: NDArray[np.float64]
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


@dataclass(frozen=True, eq=False)
class FinishedEpisodes:
    """`D` finished episodes as arrays, in the order of their index; iterates over results.

    Attributes:
        episode, task: [D] int64.
        target: [D] float64, NaN where nothing was asked for.
        terminated: [D] bool, whether the episode was paid.
        total: [D] float64, 0 where it was not.
        terms: [D, T] float64, columns `rewards.REWARD_TERMS`, 0 where it was not.
        n_actions: [D] int64.
        actions: [A, 3] int64, episode by episode.
    """

    episode: NDArray[np.int64]
    task: NDArray[np.int64]
    target: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    total: NDArray[np.float64]
    terms: NDArray[np.float64]
    n_actions: NDArray[np.int64]
    actions: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of episodes, `D`."""
        return len(self.episode)

    def __iter__(self) -> Iterator[EpisodeResult]:
        """Return the episodes one by one."""
        parts = np.split(self.actions, np.cumsum(self.n_actions)[:-1])
        for index, actions in enumerate(parts if len(self) else []):
            terms = dict(zip(REWARD_TERMS, self.terms[index].tolist(), strict=True))
            paid = RewardBreakdown(float(self.total[index]), terms)
            target = float(self.target[index])
            yield EpisodeResult(
                episode=int(self.episode[index]),
                task=int(self.task[index]),
                target_keep_ratio=None if np.isnan(target) else target,
                actions=tuple(to_action(row) for row in actions),
                reward=paid if self.terminated[index] else None,
            )

    @classmethod
    def join(cls, parts: Sequence[FinishedEpisodes]) -> FinishedEpisodes:
        """Return the episodes of all parts, one after the other."""
        arrays = ([getattr(part, f.name) for part in parts] for f in fields(cls))
        return cls(*(np.concatenate(a) for a in arrays))


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
    finished: FinishedEpisodes


def to_action(row: NDArray[np.integer] | Sequence[int]) -> Action:
    """Return the action of a row (type, size, amount) of `MultiDiscrete([20, 5, 5])`."""
    return Action(ActionType(int(row[0])), Size(int(row[1])), Amount(int(row[2])))


@cache
def no_observations() -> Observations:
    """Return a batch of no episodes, always the same."""
    return Observations(
        task=np.zeros(0, dtype=np.int64),
        cursor=np.zeros(0, dtype=np.int64),
        target=np.zeros(0),
        context=np.zeros((0, N_CONTEXT), dtype=np.float32),
        type_mask=np.zeros((0, N_TYPES), dtype=bool),
        size_mask=np.zeros((0, N_TYPES, N_SIZES), dtype=bool),
        amount_mask=np.zeros((0, N_TYPES, N_AMOUNTS), dtype=bool),
    )


def no_finished() -> FinishedEpisodes:
    """Return no finished episodes."""
    none = np.zeros(0, dtype=np.int64)
    return FinishedEpisodes(
        episode=none,
        task=none,
        target=np.zeros(0),
        terminated=np.zeros(0, dtype=bool),
        total=np.zeros(0),
        terms=np.zeros((0, len(REWARD_TERMS))),
        n_actions=none,
        actions=np.zeros((0, 3), dtype=np.int64),
    )
