"""Many edits at a time for Gymnasium: `gymnasium.make_vec("rl_editor/MusicEditing-v0", ...)`.

In: tasks, actions [E, 3]. Out: observations, rewards and infos as arrays over `E` episodes, equal
to those of Gymnasium's own SyncVectorEnv over `environment.MusicEditingEnv` (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.edit_state import ActionMasks
from rl_editor.environment import (
    NO_TARGET,
    Features,
    Obs,
    action_space,
    as_dict,
    blank_observation,
    chosen,
    observation_space,
    problem_of,
    under_masks,
)
from rl_editor.episodes import Observations, StepResult
from rl_editor.rewards import REWARD_TERMS
from rl_editor.subprocess_vec_env import SubprocessVectorEnvironment
from rl_editor.vector_environment import Task, VectorEnvironment


class MusicEditingVectorEnv(gymnasium.vector.VectorEnv):
    """`E` edits at a time, observations, actions and infos as in `environment.MusicEditingEnv`.

    Episodes restart in the step in which they end (Gymnasium's `SAME_STEP`): `infos["final_obs"]`
    and `infos["final_info"]` hold what their last step returned. With workers, episodes are
    stepped in as many processes, to the same numbers.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's own form
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int,
        tasks: Sequence[Task],
        episode_config: EpisodeConfig | None = None,
        reward_config: RewardConfig | None = None,
        n_workers: int = 0,
    ) -> None:
        self.problem = problem_of(tasks, episode_config, reward_config)
        self.num_envs = num_envs
        self.single_action_space = action_space()
        self.single_observation_space = observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._features = Features(self.problem.tasks)
        self._n_beats = np.array([task.track.n_beats for task in self.problem.tasks])
        self._episodes: VectorEnvironment | SubprocessVectorEnvironment = (
            SubprocessVectorEnvironment(self.problem, num_envs, n_workers=n_workers)
            if n_workers
            else VectorEnvironment(self.problem, num_envs)
        )
        self._seen: Observations | None = None

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Obs, dict[str, Any]]:
        """Return the first observations of `E` new episodes and their infos.

        Args:
            seed: of episode `e` is `seed + e`, or `seed[e]`; without one the numbers go on.
            options: `task` and `target_keep_ratio`, for all episodes, instead of drawing them.
        """
        seeds = self._seeds(seed)
        if seeds is not None:
            self._episodes.seed(seeds)
        given = chosen(options or {}, len(self.problem.tasks), self.num_envs)
        self._seen = self._episodes.reset(*given)
        illegal = np.zeros(self.num_envs, dtype=bool)
        return as_dict(self._seen, self._features), _infos(self._seen, illegal)

    def step(
        self, actions: NDArray[np.integer]
    ) -> tuple[Obs, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Return observations, rewards, terminations, truncations and infos of one step."""
        if self._seen is None:
            raise RuntimeError("reset the environment before its first step")
        before = self._seen
        masks = ActionMasks(before.type_mask, before.size_mask, before.amount_mask)
        legal, illegal = under_masks(np.asarray(actions), masks)
        result = self._episodes.step(legal)
        self._seen = result.observations
        finished, reward = result.finished, np.zeros(self.num_envs)
        reward[finished.episode] = finished.total
        ended = result.terminated | result.truncated
        infos = _infos(self._seen, illegal & ~ended)
        if len(finished):
            infos |= self._final_infos(result, ended, illegal)
        seen = as_dict(self._seen, self._features)
        return seen, reward, result.terminated, result.truncated, infos

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers, none where there are none."""
        if isinstance(self._episodes, VectorEnvironment):
            return []
        return self._episodes.worker_pids

    def close_extras(self, **kwargs: Any) -> None:
        """End the worker processes, where there are any."""
        self._episodes.close()

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None] | None:
        if seed is None:
            return [None] * self.num_envs if self._seen is None else None
        if isinstance(seed, (int, np.integer)):
            seed = range(int(seed), int(seed) + self.num_envs)
        seeds: list[int | None] = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{self.num_envs} seeds are needed, one an episode, not {len(seeds)}")
        return seeds

    def _final_infos(
        self, result: StepResult, ended: NDArray[np.bool_], illegal: NDArray[np.bool_]
    ) -> dict[str, Any]:
        """Return what the last steps of the episodes that ended returned."""
        finished, final = result.finished, result.final
        observations = np.full(self.num_envs, None, dtype=object)
        observations[result.terminated] = blank_observation()
        seen = as_dict(final, self._features)
        for index, episode in enumerate(np.flatnonzero(result.truncated)):
            observations[episode] = {name: values[index] for name, values in seen.items()}
        cursor = self._n_beats[finished.task]
        cursor[~finished.terminated] = final.cursor
        at = finished.episode
        target = np.where(np.isnan(finished.target), NO_TARGET, finished.target)
        info: dict[str, Any] = {
            "task": self._scattered(at, finished.task),
            "cursor": self._scattered(at, cursor),
            "target_keep_ratio": self._scattered(at, target),
            "illegal": illegal & ended,
        }
        info |= {f"_{name}": ended for name in tuple(info)}
        if result.terminated.any():
            paid = np.zeros((len(REWARD_TERMS), self.num_envs))
            paid[:, at] = finished.terms.T
            terms: dict[str, Any] = dict(zip(REWARD_TERMS, paid, strict=True))
            terms |= {f"_{name}": result.terminated for name in REWARD_TERMS}
            info |= {"reward_terms": terms, "_reward_terms": result.terminated}
        return {
            "final_obs": observations,
            "_final_obs": ended,
            "final_info": info,
            "_final_info": ended,
        }

    def _scattered(self, at: NDArray[np.int64], values: NDArray) -> NDArray:
        """Return [E] zeros, with values [D] at the episodes `at` [D]."""
        array = np.zeros(self.num_envs, dtype=values.dtype)
        array[at] = values
        return array


def _infos(seen: Observations, illegal: NDArray[np.bool_]) -> dict[str, Any]:
    """Return `info` of all episodes, in the form that Gymnasium's vector environments share."""
    infos = {
        "task": seen.task,
        "cursor": seen.cursor,
        "target_keep_ratio": np.where(np.isnan(seen.target), NO_TARGET, seen.target),
        "illegal": illegal,
    }
    every = np.ones(len(illegal), dtype=bool)
    return infos | {f"_{name}": every for name in infos}
