"""The editing environment with flat observations and actions, for libraries that want them so.

sb3-contrib's MaskablePPO masks each part of a MultiDiscrete action by itself, but which sizes and
amounts exist depends on the type. `FlatEnv` numbers the 500 combinations instead, so that
`action_masks` is exact.

    from sb3_contrib import MaskablePPO
    model = MaskablePPO("MlpPolicy", FlatEnv(MusicEditingEnv(tasks)))
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES
from rl_editor.environment import Obs

N_ACTIONS = N_TYPES * N_SIZES * N_AMOUNTS


class FlatEnv(gymnasium.Wrapper):
    """`rl_editor/MusicEditing-v0` with one vector as observation and one number as action.

    Observation: [368] float32, `beat`, `context`, `type_mask`, `size_mask` and `amount_mask` one
    after the other, row by row. Action: type * 25 + size * 5 + amount.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, spaces.Dict)
        n_numbers = sum(int(np.prod(part.shape or ())) for part in env.observation_space.values())
        self.observation_space = spaces.Box(-np.inf, np.inf, (n_numbers,), np.float32)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self._masks: tuple[NDArray, NDArray, NDArray] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the first observation of a new episode and its info."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self._flat(obs), info

    def step(self, action: int) -> tuple[NDArray[np.float32], Any, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated and info after one action."""
        row = np.array(np.unravel_index(int(action), (N_TYPES, N_SIZES, N_AMOUNTS)))
        obs, reward, terminated, truncated, info = self.env.step(row)
        return self._flat(obs), reward, terminated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return [500] True where an action is allowed now; none is behind the recording's end."""
        if self._masks is None:
            raise RuntimeError("reset the environment before asking for its masks")
        kind, size, amount = (mask.astype(bool) for mask in self._masks)
        return (kind[:, None, None] & size[:, :, None] & amount[:, None, :]).reshape(-1)

    def _flat(self, obs: Obs) -> NDArray[np.float32]:
        self._masks = obs["type_mask"], obs["size_mask"], obs["amount_mask"]
        return np.concatenate([part.reshape(-1) for part in obs.values()], dtype=np.float32)
