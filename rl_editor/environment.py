"""The editing task as a Gymnasium environment, `rl_editor/MusicEditing-v0`.

One episode is one edit of one recording: each step says what happens to the span at the cursor,
and the reward comes once, at the end (`rewards`). The stepping is `vector_environment`'s, the
same that training uses, for a batch of one.

    import gymnasium, rl_editor.environment
    env = gymnasium.make("rl_editor/MusicEditing-v0", tasks=[Task(track)])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import (
    N_AMOUNTS,
    N_SIZES,
    N_TYPES,
    Action,
    ActionType,
    Amount,
    Size,
)
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.features import FEATURE_NAMES
from rl_editor.observation import N_CONTEXT
from rl_editor.vector_environment import EditingProblem, Episode, Task, to_action

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as error:
    raise UserError(
        f"the environment needs Gymnasium, which is not installed; run {install_hint('train')}."
    ) from error

ENV_ID = "rl_editor/MusicEditing-v0"

Obs = dict[str, NDArray]


class MusicEditingEnv(gymnasium.Env):
    """One edit at a time.

    Action: `MultiDiscrete([20, 5, 5])`, a row (type, size, amount) of `actions`. What is allowed
    is in the observation's masks. A masked action does not raise, so that any sample of the
    space can be stepped: it acts as KEEP BEAT, and `info["illegal"]` is True. A policy that
    samples under the masks never meets this.

    Observation, a dictionary; after the recording's end, where nothing is left to decide, all
    its numbers are 0:

    - `beat`: [121] float32, the features of the beat at the cursor, not normalised;
    - `context`: [K] float32, the edit so far, columns `observation.CONTEXT_NAMES`;
    - `type_mask`: [20], `size_mask`: [20, 5], `amount_mask`: [20, 5] int8, 1 = allowed.

    An episode is `terminated` when the cursor has passed the recording's end; the reward is paid
    then, with `info["reward_terms"]` holding each term. It is `truncated`, without a reward, after
    `episode_config.max_steps` steps.

    `info` always holds `task`, `cursor`, `target_keep_ratio` (-1 when nothing was asked for) and
    `illegal`. `reset(options=...)` takes `task` and `target_keep_ratio` instead of drawing them.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        tasks: Sequence[Task],
        episode_config: EpisodeConfig | None = None,
        reward_config: RewardConfig | None = None,
    ) -> None:
        self.problem = EditingProblem(
            tuple(tasks), episode_config or EpisodeConfig(), reward_config or RewardConfig()
        )
        self.action_space = spaces.MultiDiscrete([N_TYPES, N_SIZES, N_AMOUNTS])
        self.observation_space = spaces.Dict(
            {
                "beat": _numbers(len(FEATURE_NAMES)),
                "context": _numbers(N_CONTEXT),
                "type_mask": spaces.MultiBinary(N_TYPES),
                "size_mask": spaces.MultiBinary([N_TYPES, N_SIZES]),
                "amount_mask": spaces.MultiBinary([N_TYPES, N_AMOUNTS]),
            }
        )
        self._episode: Episode | None = None

    @property
    def episode(self) -> Episode:
        """The episode under way; raises RuntimeError before the first `reset`."""
        if self._episode is None:
            raise RuntimeError("reset the environment before its first step")
        return self._episode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Return the first observation of a new episode and its info."""
        super().reset(seed=seed)
        options = options or {}
        episode = self.problem.start(self.np_random)
        if options:
            self._episode = self.problem.start_task(
                options.get("task", episode.task),
                options.get("target_keep_ratio", episode.target_keep_ratio),
            )
        else:
            self._episode = episode
        return self._observation(), self._info(illegal=False)

    def step(self, action: NDArray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated and info after one action."""
        chosen = to_action(action)
        illegal = not self._is_allowed(chosen)
        if illegal:
            chosen = Action(ActionType.KEEP, Size.BEAT, Amount.NEUTRAL)
        self._episode = self.problem.step(self.episode, chosen)
        info, reward = self._info(illegal=illegal), 0.0
        terminated = self._episode.state.done
        if terminated:
            breakdown = self.problem.pay(self._episode)
            reward, info["reward_terms"] = breakdown.total, dict(breakdown.terms)
        truncated = self.problem.is_truncated(self._episode)
        return self._observation(), reward, terminated, truncated, info

    def _is_allowed(self, action: Action) -> bool:
        masks = self.episode.state.masks()
        return bool(
            masks.type[action.type]
            and masks.size[action.type, action.size]
            and masks.amount[action.type, action.amount]
        )

    def _observation(self) -> Obs:
        episode = self.episode
        if episode.state.done:
            return {
                name: np.zeros(space.shape or (), dtype=space.dtype)
                for name, space in self.observation_space.spaces.items()  # type: ignore[attr-defined]
            }
        seen = self.problem.observe(episode)
        return {
            "beat": self.problem.tasks[episode.task].track.features[episode.state.cursor].copy(),
            "context": seen.context[0],
            "type_mask": seen.type_mask[0].astype(np.int8),
            "size_mask": seen.size_mask[0].astype(np.int8),
            "amount_mask": seen.amount_mask[0].astype(np.int8),
        }

    def _info(self, *, illegal: bool) -> dict[str, Any]:
        episode = self.episode
        target = episode.target_keep_ratio
        return {
            "task": episode.task,
            "cursor": episode.state.cursor,
            "target_keep_ratio": -1.0 if target is None else target,
            "illegal": illegal,
        }


def _numbers(n: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape=(n,), dtype=np.float32)


if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="rl_editor.environment:MusicEditingEnv")
