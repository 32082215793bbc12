"""Edits drawn at random, of any actions that the interpreter allows."""

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType
from rl_editor.demonstrations import edit_context
from rl_editor.edit_state import EditState
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid
from rl_editor.grid_lines import GridLines
from rl_editor.spelling import largest_sizes
from rl_editor.tests.made_up import made_up_track
from rl_editor.track import Track


def uneven_track(n_beats: int, rng: np.random.Generator) -> Track:
    """Return a track of 4/4 bars and phrases of four, whose beats differ in length and level."""
    edges_s = np.append(0.0, np.cumsum(rng.uniform(0.4, 0.6, n_beats)))
    index = np.arange(n_beats)
    ones = np.ones(n_beats, dtype=np.float32)
    duration_s = edges_s.item(-1)
    grid = BeatGrid(edges_s[:-1], duration_s, index % 4 == 0, index % 16 == 0, ones, 4, 120.0)
    track = made_up_track(n_beats)
    features = track.features.copy()
    features[:, FEATURE_NAMES.index("rms_db")] = rng.uniform(-40.0, -10.0, n_beats)
    n_samples = round(duration_s * track.sample_rate)
    return dataclasses.replace(track, grid=grid, features=features, n_samples=n_samples)


def random_edit(track: Track, rng: np.random.Generator, other_share: float) -> EditState:
    """Return an edit of which a share of the actions is of any type, the others keep or cut."""
    state = EditState.begin(edit_context(track))
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


def spell(grid: BeatGrid, keep: NDArray[np.bool_]) -> tuple[Action, ...]:
    """Return the fewest KEEP and CUT actions that leave exactly the beats of `keep` [N]."""
    edges = [0, *(np.flatnonzero(np.diff(keep)) + 1).tolist(), grid.n_beats]
    lines = GridLines.of(grid)
    actions: list[Action] = []
    for start, end in itertools.pairwise(edges):
        kind = ActionType.KEEP if keep[start] else ActionType.CUT
        actions += [Action(kind, size) for size in largest_sizes(lines, start, end)]
    return tuple(actions)
