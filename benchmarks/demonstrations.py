"""How much of edits drawn at random their demonstrations replay.

    python -m benchmarks.demonstrations

Each edit keeps and cuts spans of any size, except for a share of actions of any type; its clips,
all on beats, become actions again. Printed: the share of the edit's seconds that those play in
its order and with its sound (mean, least), edits that are the same clip by clip, and seconds.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from rl_editor.demonstrations import demonstrate
from rl_editor.edit_state import EditState
from rl_editor.materials import Material
from rl_editor.tests.made_edits import random_edit, uneven_grid
from rl_editor.tests.made_up import made_up_track
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth

N_EDITS, N_BEATS = 60, 600
OTHER_SHARES = (0.05, 0.1, 0.2, 0.3, 1.0)
"""Shares of the actions that are of any type."""


def measure(seed: int, other_share: float) -> tuple[float, bool, float] | None:
    """Return share, sameness and seconds of one edit; None if it plays nothing."""
    rng = np.random.default_rng(seed)
    grid = uneven_grid(N_BEATS, rng)
    edit = random_edit(grid, rng, other_share)
    if not edit.spans():
        return None
    segment = Segment(0.0, grid.duration_s, Material.MUSIC, True, piece_start_s=0.0)
    started = time.perf_counter()
    made = demonstrate(_on(grid), Truth(grid.duration_s, (segment,), edit.clips()))
    taken_s = time.perf_counter() - started
    state = EditState.begin(edit.context)
    for action in made.actions:
        state = state.step(action)
    return made.replayed_share, state.spans() == edit.spans(), taken_s


def _on(grid) -> Track:
    track = made_up_track(grid.n_beats)
    n_samples = round(grid.duration_s * track.sample_rate)
    return replace(track, grid=grid, n_samples=n_samples, features=track.features[:, :1])


def main() -> None:
    """Print the table."""
    print(f"{N_EDITS} edits of {N_BEATS} beats each")
    print(f"{'any type':>9}  {'mean':>7}  {'least':>7}  {'>= 99%':>7}  {'same':>5}  {'s':>6}")
    for other_share in OTHER_SHARES:
        rows = [measure(seed, other_share) for seed in range(N_EDITS)]
        shares, same, taken_s = map(np.array, zip(*(r for r in rows if r), strict=True))
        print(
            f"{other_share:9.0%}  {shares.mean():7.2%}  {shares.min():7.2%}  "
            f"{np.mean(shares >= 0.99):7.0%}  {same.mean():5.0%}  {taken_s.mean():6.3f}"
        )


if __name__ == "__main__":
    main()
