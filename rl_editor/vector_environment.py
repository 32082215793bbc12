"""Many episodes at once: the stepping code that every environment shares.

A `Task` is a recording with, where one is known, its edit. An episode draws a task and a target
share, edits the recording and ends when the cursor passes the recording's end (`terminated`, the
reward is paid then) or after `max_steps` (`truncated`, nothing is paid: a learner goes on with the
value of `final`). Edits, observations, masks and rewards are arrays over all episodes. Nothing here
imports torch or gymnasium: worker processes run it.

Shapes: `E` episodes, `R` rows of them, `D` that ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rl_editor.batch_observation import ContextTables, observe_batch
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.demonstrations import Demonstration
from rl_editor.edit_batch import EditBatch
from rl_editor.edit_state import EditContext
from rl_editor.episode_state import EpisodeState, generator_from, generator_words, replay
from rl_editor.episodes import FinishedEpisodes, Observations, StepResult, no_observations
from rl_editor.features import FEATURE_NAMES
from rl_editor.finished_edits import FinishedEdits, sound_columns
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import REWARD_TERMS, total_rewards
from rl_editor.sound_table import GAIN_STEPS_PER_DB, SOUND_COLUMNS
from rl_editor.span_lists import END, GAIN, SOUND, START, Rows
from rl_editor.track import Track

_RMS_DB = FEATURE_NAMES.index("rms_db")
UNKNOWN_TARGET_SHARE = 0.5
"""Share of the episodes with a known edit in which nobody asks for a share."""
TARGET_JITTER = 0.1
"""How far the target may lie from a known edit's own share, either way."""
TARGET_RANGE = (0.2, 0.95)
"""Targets drawn where no edit is known."""
_SOUNDS = sound_columns(SOUND_COLUMNS)
N_DRAWS = 3
"""Random numbers that an episode starts from: task, whether a target is asked for, and which."""
DRAWN_AHEAD = 16
"""Episodes whose random numbers are drawn at a time."""

Seed: TypeAlias = "int | Sequence[int] | np.random.Generator | None"
"""What `numpy.random.default_rng` takes; without a seed, another one each time."""


@dataclass(frozen=True)
class Task:
    """What an episode is about: a recording and, where one is known, its edit."""

    track: Track
    demonstration: Demonstration | None = None


@dataclass(frozen=True)
class EditingProblem:
    """The decision process: what episodes start from, and what an end pays."""

    tasks: tuple[Task, ...]
    episode_config: EpisodeConfig
    reward_config: RewardConfig

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("an environment needs at least one task")

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the tables out of what worker processes are sent."""
        return type(self), (self.tasks, self.episode_config, self.reward_config)

    @cached_property
    def contexts(self) -> tuple[EditContext, ...]:
        """What edits of each task share."""
        return tuple(
            EditContext.of(t.track.grid, t.track.features[:, _RMS_DB], self.episode_config)
            for t in self.tasks
        )

    @cached_property
    def context_tables(self) -> ContextTables:
        """What observations need of the recordings."""
        return ContextTables.of([task.track for task in self.tasks])

    @cached_property
    def reward_tables(self) -> RewardTables:
        """What rewards need of them."""
        truths = [None if t.demonstration is None else t.demonstration.truth for t in self.tasks]
        return RewardTables.of([task.track for task in self.tasks], truths)

    @cached_property
    def wanted_share(self) -> NDArray[np.float64]:
        """Share of each recording that its known edit keeps, NaN where none is known."""
        shares = np.full(len(self.tasks), np.nan)
        for index, task in enumerate(self.tasks):
            if task.demonstration is not None:
                truth = task.demonstration.truth
                wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
                shares[index] = wanted_s / truth.duration_s
        return shares

    def draw(self, draws: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return tasks [D] and targets [D] that random numbers in [0, 1) [D, 3] stand for.

        Where an edit is known, half of the episodes ask for nothing (NaN), the others for its own
        share plus or minus 0.1, so that the target never pays for leaving a good edit; elsewhere
        any share from 0.2 to 0.95.
        """
        task = (draws[:, 0] * len(self.tasks)).astype(np.int64)
        share = self.wanted_share[task]
        around = share + TARGET_JITTER * (2.0 * draws[:, 2] - 1.0)
        around = np.minimum(np.maximum(around, 0.0), 1.0)
        low, high = TARGET_RANGE
        anything = low + (high - low) * draws[:, 2]
        asked = np.where(draws[:, 1] >= UNKNOWN_TARGET_SHARE, around, np.nan)
        return task, np.where(np.isnan(share), anything, asked)


class VectorEnvironment:
    """`E` episodes of one problem, each with its own random numbers.

    Episodes restart by themselves in the step in which they end (same-step autoreset): the
    reward and the flags belong to the episode that ended, the observation to the next one.
    Episode `e` depends only on the seed, on `e` and on its actions, never on the other
    episodes, so that any split over processes gives equal results.

    `advance`, `restart` and `observe` are the parts of `step`, for who restarts by other rules.

    Attributes:
        batch: the edits under way.
        target: [E] float64, share that each episode asks for, NaN when nothing.
    """

    def __init__(
        self, problem: EditingProblem, n_envs: int, seed: int = 0, first_episode: int = 0
    ) -> None:
        """Set up `n_envs` episodes; `first_episode` is the number of the first in the batch."""
        if n_envs < 1:
            raise ValueError(f"an environment needs at least one episode, but {n_envs} were asked")
        self.problem, self.n_envs, self.first_episode = problem, n_envs, first_episode
        self.batch = EditBatch(
            problem.contexts, problem.episode_config, n_envs, problem.context_tables.later_copies
        )
        self.target = np.full(n_envs, np.nan)
        self._rows = np.arange(n_envs)
        self._started = False
        self._rngs: list[np.random.Generator] = []
        self._draws = np.zeros((n_envs, DRAWN_AHEAD, N_DRAWS))
        self._n_drawn = np.zeros(n_envs, dtype=np.int64)
        self.seed([(seed, first_episode + e) for e in range(n_envs)])

    def seed(self, seeds: Sequence[Seed]) -> None:
        """Take the random numbers of each episode from its own seed or generator from now on."""
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._n_drawn[:] = DRAWN_AHEAD

    def reset(
        self,
        tasks: NDArray[np.int64] | None = None,
        targets: NDArray[np.float64] | None = None,
    ) -> Observations:
        """Return the first observations of `E` new episodes; arguments as in `restart`."""
        self.restart(self._rows, tasks, targets)
        return self.observe(self._rows)

    def step(self, actions: NDArray[np.integer]) -> StepResult:
        """Act in every episode.

        Args:
            actions: [E, 3] type, size, amount.

        Raises:
            ValueError: a masked action, or a step before the first `reset`.
        """
        terminated, truncated = self.advance(actions)
        finished = self.finish((terminated | truncated).nonzero()[0])
        cut_off = truncated.nonzero()[0]
        final = self.observe(cut_off) if len(cut_off) else no_observations()
        reward = np.zeros(self.n_envs, dtype=np.float32)
        ended = finished.episode - self.first_episode
        reward[ended] = finished.total
        self.restart(ended)
        return StepResult(
            observations=self.observe(self._rows),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            final=final,
            finished=finished,
        )

    def advance(self, actions: NDArray[np.integer]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Act in every episode and return which are terminated [E] and truncated [E] now."""
        if not self._started:
            raise ValueError("reset the environment before its first step")
        self.batch.step(actions)
        terminated = self.batch.done
        max_steps = self.problem.episode_config.max_steps
        return terminated, ~terminated & (self.batch.n_steps >= max_steps)

    def finish(self, rows: Rows) -> FinishedEpisodes:
        """Return what some episodes were and pay those that are done."""
        edits = finished_edits(self.batch, rows, self.target[rows])
        done = self.batch.done[rows]
        total, terms = np.zeros(len(rows)), np.zeros((len(rows), len(REWARD_TERMS)))
        if done.all() and len(rows):
            total, terms = self._pay(edits)
        elif done.any():
            some = finished_edits(self.batch, rows[done], self.target[rows[done]])
            total[done], terms[done] = self._pay(some)
        return FinishedEpisodes(
            episode=rows + self.first_episode,
            task=edits.task,
            target=edits.target,
            terminated=done,
            total=total,
            terms=terms,
            n_actions=edits.first_action[1:] - edits.first_action[:-1],
            actions=edits.actions,
        )

    def restart(
        self,
        rows: Rows,
        tasks: NDArray[np.int64] | None = None,
        targets: NDArray[np.float64] | None = None,
    ) -> None:
        """Start new episodes; the tasks and targets that are not given are drawn."""
        used_up = rows[self._n_drawn[rows] == DRAWN_AHEAD]
        for row in used_up.tolist():
            self._rngs[row].random(out=self._draws[row])
        self._n_drawn[used_up] = 0
        task, target = self.problem.draw(self._draws[rows, self._n_drawn[rows]])
        self._n_drawn[rows] += 1
        self._started = True
        self.batch.begin(rows, task if tasks is None else tasks)
        self.target[rows] = target if targets is None else targets

    def observe(self, rows: Rows) -> Observations:
        """Return what the policy sees of some episodes, none of them done."""
        batch, masks = self.batch, self.batch.masks()
        # Whole arrays are looked at where they lie; what others get of them is a copy.
        some = slice(None) if len(rows) == self.n_envs else rows
        return Observations(
            task=batch.recording[some].copy(),
            cursor=batch.cursor[some].copy(),
            target=self.target[some].copy(),
            context=observe_batch(self.problem.context_tables, batch, some, self.target[some]),
            type_mask=masks.type[some],
            size_mask=masks.size[some],
            amount_mask=masks.amount[some],
        )

    def snapshot(self) -> EpisodeState:
        """Return what `restore` needs to go on from here."""
        n_actions, actions = self.batch.history(self._rows)
        return EpisodeState(
            task=self.batch.recording.copy(),
            target=self.target.copy(),
            n_actions=n_actions.copy(),
            actions=actions,
            draws=self._draws.copy(),
            n_drawn=self._n_drawn.copy(),
            generator=np.stack([generator_words(rng) for rng in self._rngs]),
        )

    def restore(self, state: EpisodeState) -> Observations:
        """Go on from a snapshot of as many episodes of the same problem; return what is seen."""
        if len(state.task) != self.n_envs:
            raise ValueError(f"{len(state.task)} episodes cannot go on as {self.n_envs}")
        replay(self.batch, state)
        self.target[:] = state.target
        self._draws[:], self._n_drawn[:] = state.draws, state.n_drawn
        self._rngs = [generator_from(words) for words in state.generator]
        self._started = True
        return self.observe(self._rows)

    def close(self) -> None:
        """Do nothing: part of the contract that worker processes need."""

    def _pay(self, edits: FinishedEdits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return total_rewards(self.problem.reward_tables, edits, self.problem.reward_config)


def finished_edits(batch: EditBatch, rows: Rows, target: NDArray[np.float64]) -> FinishedEdits:
    """Return some edits of a batch, as if each ended where it is, for the reward."""
    n_spans, spans = batch.arrangement.ended(rows)
    n_actions, actions = batch.history(rows)
    sound = spans[:, SOUND].astype(np.int64)
    return FinishedEdits(
        task=batch.recording[rows],
        target=target,
        first_span=_offsets(n_spans),
        start=spans[:, START].astype(np.int64),
        end=spans[:, END].astype(np.int64),
        gain_db=spans[:, GAIN] / GAIN_STEPS_PER_DB,
        first_action=_offsets(n_actions),
        actions=actions,
        **{name: column.take(sound) for name, column in _SOUNDS.items()},
    )


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    counts.cumsum(out=offsets[1:])
    return offsets
