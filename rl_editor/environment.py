"""The editing task for Gymnasium: `rl_editor/MusicEditing-v0`, one edit or many at a time.

One episode is one edit of one recording: each step says what happens to the span at the cursor,
and the reward comes once, at the end (`rewards`). The stepping is `vector_environment`'s, the
same that training uses; the single environment is a batch of one. `docs/environment.md` describes
observations, actions and infos.

    import gymnasium, rl_editor.environment
    env = gymnasium.make("rl_editor/MusicEditing-v0", tasks=[Task(track)])
    envs = gymnasium.make_vec("rl_editor/MusicEditing-v0", num_envs=64, tasks=[Task(track)])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES, ActionType, Amount, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.edit_batch import choices_allowed
from rl_editor.edit_picture import draw_edit
from rl_editor.edit_state import ActionMasks, EditState
from rl_editor.episodes import Observations
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.features import FEATURE_NAMES
from rl_editor.observation import N_CONTEXT
from rl_editor.rewards import REWARD_TERMS
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

try:
    import gymnasium
    from gymnasium import spaces
except ImportError as error:
    raise UserError(
        f"the environment needs Gymnasium, which is not installed; run {install_hint('train')}."
    ) from error

ENV_ID = "rl_editor/MusicEditing-v0"
KEEP_BEAT = (ActionType.KEEP, Size.BEAT, Amount.NEUTRAL)
"""What a masked action acts as; allowed until the recording's end."""
NO_TARGET = -1.0
"""`info["target_keep_ratio"]` of an episode in which nothing was asked for."""

Obs = dict[str, NDArray]
_ONLY = np.array([0])
_RMS_DB = FEATURE_NAMES.index("rms_db")


_FORM: dict[str, tuple[tuple[int, ...], type]] = {
    "beat": ((len(FEATURE_NAMES),), np.float32),
    "context": ((N_CONTEXT,), np.float32),
    "type_mask": ((N_TYPES,), np.int8),
    "size_mask": ((N_TYPES, N_SIZES), np.int8),
    "amount_mask": ((N_TYPES, N_AMOUNTS), np.int8),
}
"""Shape and type of each part of one episode's observation."""


def observation_space() -> spaces.Dict:
    """Return the space of one episode's observations: masks are bits, the rest any numbers."""
    return spaces.Dict(
        {
            name: spaces.MultiBinary(shape)
            if dtype is np.int8
            else spaces.Box(-np.inf, np.inf, shape, np.float32)
            for name, (shape, dtype) in _FORM.items()
        }
    )


def action_space() -> spaces.MultiDiscrete:
    """Return the space of actions: type, size and amount."""
    return spaces.MultiDiscrete([N_TYPES, N_SIZES, N_AMOUNTS])


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

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        tasks: Sequence[Task],
        episode_config: EpisodeConfig | None = None,
        reward_config: RewardConfig | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.problem = problem_of(tasks, episode_config, reward_config)
        self.render_mode = _checked_mode(render_mode)
        self.action_space, self.observation_space = action_space(), observation_space()
        self._episodes = VectorEnvironment(self.problem, 1)
        self._features = Features(self.problem.tasks)
        self._started = False

    @property
    def state(self) -> EditState:
        """The edit under way; raises RuntimeError before the first `reset`."""
        self._check_started()
        return self._episodes.batch.state(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Return the first observation of a new episode and its info."""
        super().reset(seed=seed)
        if seed is not None or not self._started:
            self._episodes.seed([self.np_random])
            self._started = True
        self._episodes.restart(_ONLY, *chosen(options or {}, len(self.problem.tasks), 1))
        return self._observation(), self._info(illegal=False)

    def step(self, action: NDArray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated and info after one action."""
        self._check_started()
        actions, illegal = under_masks(np.array([action]), self._episodes.batch.masks())
        terminated, truncated = self._episodes.advance(actions)
        info, reward = self._info(illegal=bool(illegal[0])), 0.0
        if terminated[0]:
            paid = self._episodes.finish(_ONLY)
            reward = float(paid.total[0])
            info["reward_terms"] = dict(zip(REWARD_TERMS, paid.terms[0].tolist(), strict=True))
        return self._observation(), reward, bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> NDArray[np.uint8] | None:
        """Return [H, W, 3] a picture of the edit so far where `render_mode` is "rgb_array"."""
        if self.render_mode is None:
            return None
        level_db = self.problem.tasks[self._episodes.batch.recording[0]].track.features[:, _RMS_DB]
        return draw_edit(self.state, level_db)

    def _check_started(self) -> None:
        if not self._started:
            raise RuntimeError("reset the environment before its first step")

    def _observation(self) -> Obs:
        if self._episodes.batch.done[0]:
            return blank_observation()
        seen = as_dict(self._episodes.observe(_ONLY), self._features)
        return {name: values[0] for name, values in seen.items()}

    def _info(self, *, illegal: bool) -> dict[str, Any]:
        batch, target = self._episodes.batch, float(self._episodes.target[0])
        return {
            "task": int(batch.recording[0]),
            "cursor": int(batch.cursor[0]),
            "target_keep_ratio": NO_TARGET if np.isnan(target) else target,
            "illegal": illegal,
        }


class Features:
    """The features of all beats of some tasks in one array, to take those at the cursors from."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._values = np.concatenate([task.track.features for task in tasks])
        lengths = np.array([task.track.n_beats for task in tasks])
        self._first = np.cumsum(lengths) - lengths

    def at(self, tasks: NDArray[np.int64], cursors: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return [E, 121] the features of the beats at the cursors."""
        return self._values.take(self._first[tasks] + cursors, axis=0)


def as_dict(seen: Observations, features: Features) -> Obs:
    """Return observations in the form of `observation_space`, batched."""
    return {
        "beat": features.at(seen.task, seen.cursor),
        "context": seen.context,
        "type_mask": seen.type_mask.view(np.int8),
        "size_mask": seen.size_mask.view(np.int8),
        "amount_mask": seen.amount_mask.view(np.int8),
    }


def blank_observation() -> Obs:
    """Return what is seen behind the recording's end: zeros."""
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in _FORM.items()}


def under_masks(
    actions: NDArray[np.integer], masks: ActionMasks
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return actions [E, 3] with KEEP BEAT for forbidden ones, and which [E] those are."""
    illegal = ~choices_allowed(masks, actions)
    if illegal.any():
        actions = np.where(illegal[:, None], KEEP_BEAT, actions)
    return actions.astype(np.int64), illegal


def problem_of(
    tasks: Sequence[Task], episode: EpisodeConfig | None, reward: RewardConfig | None
) -> EditingProblem:
    """Return the decision process of an environment's arguments."""
    return EditingProblem(tuple(tasks), episode or EpisodeConfig(), reward or RewardConfig())


def chosen(
    options: dict[str, Any], n_tasks: int, n_episodes: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Return tasks [E] and targets [E] that the options of `reset` ask for, None to draw them.

    Raises:
        ValueError: no such task, or a share outside [0, 1].
    """
    tasks = targets = None
    if "task" in options:
        if not 0 <= options["task"] < n_tasks:
            raise ValueError(f"task must be from 0 to {n_tasks - 1}, but is {options['task']}")
        tasks = np.full(n_episodes, options["task"])
    if "target_keep_ratio" in options:
        target = options["target_keep_ratio"]
        if target is not None and not 0.0 <= target <= 1.0:
            raise ValueError(f"target_keep_ratio must be in [0, 1] or None, but is {target}")
        targets = np.full(n_episodes, np.nan if target is None else target)
    return tasks, targets


def _checked_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, *MusicEditingEnv.metadata["render_modes"]):
        raise UserError(f'render_mode must be "rgb_array" or None, but is {render_mode!r}.')
    return render_mode


if ENV_ID not in gymnasium.registry:
    gymnasium.register(
        ENV_ID,
        entry_point="rl_editor.environment:MusicEditingEnv",
        vector_entry_point="rl_editor.gymnasium_vector:MusicEditingVectorEnv",
    )
