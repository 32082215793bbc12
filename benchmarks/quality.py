"""How well an editor restores finished tracks out of sessions that it has not seen.

    python -m benchmarks.quality FOLDER --checkpoint best.pt [--sessions 3]

FOLDER holds finished tracks that were not in training. Each becomes a few sessions (the maker of
`rl_editor.sessions`, a seed that training does not use); the table compares the editor with
keeping everything, with a loudness gate (4% of the peak, 0.2 s margin) and with random bars at
the true share, by difficulty and over all. F1 is time-weighted, an equally good copy counts.
Sessions are drawn as training draws them and are never written; `rl-editor evaluate` measures more,
on recordings that lie in a folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import defaultdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from rl_editor import checkpoint
from rl_editor.baselines import keep_all, loudness_gate, random_bars
from rl_editor.cache import Cache
from rl_editor.config import PlannerConfig
from rl_editor.edit_state import EditState
from rl_editor.evaluate import EditScores, score_edit
from rl_editor.features import FEATURE_NAMES
from rl_editor.infer import default_checkpoint
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.reference_sessions import load_reference, reference_session, session_track

SEED = 1_000_003
"""Of the sessions; training uses small seeds."""

Row = tuple[str, str, EditScores]


def scores_of_piece(job: tuple[Path, str, int, PlannerConfig | None]) -> list[Row]:
    """Return (difficulty, editor, scores) of all sessions of one finished track."""
    path, checkpoint_path, n_sessions, planner = job
    cache = Cache()
    loaded = checkpoint.load(checkpoint_path)
    policy = NumpyPolicy(loaded.weights, loaded.config.agent)
    reference = load_reference(path, cache)
    rows: list[Row] = []
    for number in range(n_sessions):
        session = reference_session(reference, number, SEED)
        track = session_track(reference, session, number, SEED, cache)
        level_db = track.features[:, FEATURE_NAMES.index("rms_db")]
        start = EditState.start(track.grid, level_db, loaded.config.episode)
        made = plan(
            policy, loaded.normalisation, track, start, config=planner or loaded.config.planner
        )
        wanted_s = sum(s.end_s - s.start_s for s in session.truth.segments if s.wanted)
        edits = {
            "editor": made.state.clips(),
            "keep all": keep_all(track),
            "loudness gate": loudness_gate(session.signal, session.sr),
            "random bars": random_bars(
                track.grid, wanted_s / track.duration_s, np.random.default_rng(number)
            ),
        }
        rows += [
            (session.name, editor, score_edit(clips, session.truth))
            for editor, clips in edits.items()
        ]
    return rows


def table(rows: list[Row]) -> str:
    """Return the means as text, one line for each editor and difficulty."""
    groups: dict[tuple[str, str], list[EditScores]] = defaultdict(list)
    for difficulty, editor, scores in rows:
        groups[difficulty, editor].append(scores)
        groups["all", editor].append(scores)
    lines = ["sessions   editor            n     F1     +-   prec recall"]
    for difficulty in ("clean", "easy", "session", "hard", "all"):
        for editor in ("editor", "loudness gate", "keep all", "random bars"):
            found = groups.get((difficulty, editor), [])
            if not found:
                continue
            f1 = np.array([s.f1 for s in found])
            error = f1.std() / np.sqrt(len(f1))
            lines.append(
                f"{difficulty:10} {editor:14} {len(f1):4d} {f1.mean():6.3f} {error:6.3f} "
                f"{np.mean([s.precision for s in found]):6.3f} "
                f"{np.mean([s.recall for s in found]):6.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default=str(default_checkpoint()))
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every score here")
    parser.add_argument("--change-costs", type=float, nargs=3, help="beat, bar, phrase")
    arguments = parser.parse_args()
    planner = PlannerConfig(*arguments.change_costs) if arguments.change_costs else None
    jobs = [
        (path, arguments.checkpoint, arguments.sessions, planner)
        for path in sorted(arguments.folder.iterdir())
    ]
    with get_context("spawn").Pool(2) as pool:
        rows = [row for rows in pool.imap(scores_of_piece, jobs) for row in rows]
    print(table(rows))
    if arguments.json:
        everything = [[d, e, dataclasses.asdict(s)] for d, e, s in rows]
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
