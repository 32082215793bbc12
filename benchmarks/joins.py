"""How well joins are hidden, over the development benchmark's edits.

    python -m benchmarks.joins FOLDER [--checkpoint models/best.pt]

Each recording is edited as the editor likes and at five shares of its length, for more joins. Every
join's four measures are percentiles among the same recording's own beat changes. At the true
cuts, what is chosen is set against a plain crossfade of 10 ms there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.development.truth_file import Described, read_truths
from rl_editor import audio, checkpoint
from rl_editor.analysis import analyze
from rl_editor.baselines import oracle
from rl_editor.cache import Cache
from rl_editor.deciding import EditOptions, decide
from rl_editor.edl import Join, back_to_back
from rl_editor.fitted_plan import fit_plan
from rl_editor.infer import default_checkpoint
from rl_editor.join_choice import JoinChoice
from rl_editor.join_measures import (
    INAUDIBLE,
    MAX_PERCENTILE,
    is_within_limits,
    ordinary_beat_changes,
)
from rl_editor.join_search import Place
from rl_editor.joins import merged_clips

SHARES = (None, 0.3, 0.4, 0.5, 0.6, 0.7)
PLAIN_S = 0.01
IN_TIME_MS = 10.0
AS_GOOD = 5.0
"""Percentiles by which the worst measure of a join may lie above that of the plain one."""


def edit_joins(case: Described, loaded: checkpoint.Checkpoint) -> dict[str, list[Join]]:
    """Return the joins of the edits of a case, by what was asked for."""
    track = analyze(case.path, cache=Cache())
    found: dict[str, list[Join]] = {}
    with audio.AudioReader(case.path) as reader:
        for share in SHARES:
            made = decide(loaded, track, EditOptions(keep_ratio=share))
            fitted = fit_plan(made, reader, track.grid, keeps_length=share is not None)
            found["as it likes" if share is None else f"{share:.0%}"] = list(fitted.joins)
    return found


def true_cuts(case: Described) -> list[tuple[Join, Join]]:
    """Return the join that is chosen, and the plain one, at each true cut of a case."""
    track = analyze(case.path, cache=Cache())
    pairs: list[tuple[Join, Join]] = []
    with audio.AudioReader(case.path) as reader:
        sr = reader.info.sample_rate
        clips = merged_clips(back_to_back(oracle(case.truth), sr))
        if len(clips) < 2:
            return []
        choice = JoinChoice(reader, track.grid, ordinary_beat_changes(reader, track.grid))
        plain = Place(0, 0, round(PLAIN_S * sr) // 2 * 2, "equal_power")
        for left, right in pairwise(clips):
            is_on_time = True  # the truth cuts where the piece goes on
            pairs.append(
                (choice.best(left, right, is_on_time)[1], choice.at(left, right, plain, is_on_time))
            )
    return pairs


def worst(join: Join) -> float:
    """Return the highest percentile of a join's measures that can be heard, 0 if none can."""
    return max(
        getattr(join, f"{name}_percentile") if abs(getattr(join, name)) > size else 0.0
        for name, size in INAUDIBLE.items()
    )


def line(label: str, joins: Sequence[Join]) -> str:
    """Return a line of the table."""
    percentiles = np.array([[getattr(j, f"{n}_percentile") for n in INAUDIBLE] for j in joins])
    medians = " ".join(f"{median:8.0f}" for median in np.median(percentiles, axis=0))
    within = np.mean([is_within_limits(join) for join in joins])
    strictly = np.mean((percentiles <= MAX_PERCENTILE).all(axis=1))
    clicks = sum(join.click_energy_percentile > 99.9 for join in joins)
    in_time = np.mean([abs(join.beat_phase_error_ms) <= IN_TIME_MS for join in joins])
    return (
        f"{label:12s} {len(joins):5d} {within:7.1%} {strictly:7.1%} {clicks:6d} {in_time:7.1%}  "
        f"{medians}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default=str(default_checkpoint()))
    arguments = parser.parse_args()
    loaded = checkpoint.load(arguments.checkpoint)
    cases = read_truths(arguments.folder)
    found: dict[str, list[Join]] = {}
    pairs: list[tuple[Join, Join]] = []
    for case in cases:
        for label, joins in edit_joins(case, loaded).items():
            found.setdefault(label, []).extend(joins)
        pairs += true_cuts(case)
    head = (
        f"{'edit':12s} {'joins':>5s} {'within':>7s} {'all<=95':>7s} {'clicks':>6s} {'in time':>7s}"
    )
    print(head, end="  ")
    print("median percentile of", ", ".join(INAUDIBLE))
    for label, joins in found.items():
        print(line(label, joins))
    print(line("all", [join for joins in found.values() for join in joins]))
    as_good = np.mean([worst(ours) <= worst(plain) + AS_GOOD for ours, plain in pairs])
    print(f"\ntrue cuts: {len(pairs)}; at least as good as a plain crossfade: {as_good:.1%}")
    print(line("chosen", [ours for ours, _ in pairs]))
    print(line("plain", [plain for _, plain in pairs]))


if __name__ == "__main__":
    main()
