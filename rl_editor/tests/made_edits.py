"""Edits drawn at random, of any actions that the interpreter allows."""

import numpy as np

from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.grid import BeatGrid


def uneven_grid(n_beats: int, rng: np.random.Generator) -> BeatGrid:
    """Return a grid of bars of four beats and phrases of four bars, no two beats equally long."""
    edges_s = np.append(0.0, np.cumsum(rng.uniform(0.4, 0.6, n_beats)))
    index = np.arange(n_beats)
    ones = np.ones(n_beats, dtype=np.float32)
    return BeatGrid(edges_s[:-1], edges_s.item(-1), index % 4 == 0, index % 16 == 0, ones, 4, 120.0)


def random_edit(grid: BeatGrid, rng: np.random.Generator, other_share: float) -> EditState:
    """Return an edit of which a share of the actions is of any type, the others keep or cut."""
    state = EditState.start(grid, None, EpisodeConfig())
    while not state.done:
        masks = state.masks()
        kind = int(rng.random() < 0.4)
        if rng.random() < other_share:
            kind = int(rng.choice(np.flatnonzero(masks.type)))
        size, amount = (
            int(rng.choice(np.flatnonzero(mask[kind]))) for mask in (masks.size, masks.amount)
        )
        state = state.step((kind, size, amount))
    return state
