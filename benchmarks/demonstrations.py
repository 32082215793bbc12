"""How much of edits drawn at random their demonstrations replay.

    python -m benchmarks.demonstrations

Each edit keeps and cuts spans of any size, except for a share of actions of any type; its clips,
all on beats, become actions again. Printed: the share of the edit's seconds that those play in
its order and with its sound (mean, least), edits that are the same clip by clip, and seconds.
"""

from __future__ import annotations

import time

import numpy as np

from rl_editor.demonstrations import demonstrate, edit_context
from rl_editor.edit_state import EditState
from rl_editor.materials import Material
from rl_editor.tests.made_edits import random_edit, uneven_track
from rl_editor.truth import Segment, Truth

N_EDITS, N_BEATS = 60, 600
OTHER_SHARES = (0.05, 0.1, 0.2, 0.3, 1.0)
"""Shares of the actions that are of any type."""


def measure(seed: int, other_share: float) -> tuple[float, bool, float] | None:
    """Return share, sameness and seconds of one edit; None if it plays nothing."""
    rng = np.random.default_rng(seed)
    track = uneven_track(N_BEATS, rng)
    edit = random_edit(track, rng, other_share)
    if not edit.spans():
        return None
    duration_s = track.grid.duration_s
    segment = Segment(0.0, duration_s, Material.MUSIC, True, piece_start_s=0.0)
    started = time.perf_counter()
    made = demonstrate(track, Truth(duration_s, (segment,), edit.clips()))
    taken_s = time.perf_counter() - started
    state = EditState.begin(edit_context(track))
    for action in made.actions:
        state = state.step(action)
    return made.replayed_share, state.spans() == edit.spans(), taken_s


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
