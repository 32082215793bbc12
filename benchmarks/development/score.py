"""Let an editor loose on the recordings of the benchmark and compare its edits with the truth.

    python -m benchmarks.development.score --cases FOLDER [--checkpoint best.pt] [--jobs 2]

The edit is decided as `rl_editor.infer` does, up to the places of the cuts (`--joins` moves
those as well), and not rendered. Analyses are kept in the cache of rl_editor. F1 is
time-weighted, see `rl_editor.evaluate`; seconds are of all cases of a kind together, so the
share of the wanted that is lost and of the unwanted that is kept weigh long recordings more.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.development.case import KINDS
from benchmarks.development.truth_file import Described, read_truths
from rl_editor import audio, checkpoint
from rl_editor.analysis import analyze
from rl_editor.baselines import keep_all
from rl_editor.cache import Cache
from rl_editor.deciding import MIN_KEPT_SHARE
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip
from rl_editor.errors import UserError
from rl_editor.evaluate import EditScores, score_edit
from rl_editor.features import FEATURE_NAMES
from rl_editor.fitted_plan import fit_plan
from rl_editor.infer import default_checkpoint
from rl_editor.materials import Material
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import Plan, keep_everything, plan
from rl_editor.track import Track


@dataclass(frozen=True)
class Row:
    """One case: the scores of the editor and of keeping everything."""

    name: str
    kind: str
    tags: tuple[str, ...]
    duration_s: float
    wanted_s: float
    editor: EditScores
    keep_all: EditScores


def score_case(job: tuple[Described, str, bool]) -> Row:
    """Return the scores of one case, for (case, checkpoint file, whether cuts are fitted)."""
    case, checkpoint_path, fits_joins = job
    track = analyze(case.path, cache=Cache())
    made = decided(track, checkpoint_path)
    clips: Sequence[Clip] = made.state.clips()
    if fits_joins:
        with audio.AudioReader(case.path) as reader:
            clips = fit_plan(made, reader, track.grid).clips
    truth = case.truth
    return Row(
        case.name,
        case.kind,
        case.tags,
        truth.duration_s,
        sum(s.end_s - s.start_s for s in truth.segments if s.wanted),
        score_edit(clips, truth),
        score_edit(keep_all(track), truth),
    )


def decided(track: Track, checkpoint_path: str) -> Plan:
    """Return what an editor decides about a track."""
    loaded = checkpoint.load(checkpoint_path)
    level_db = track.features[:, FEATURE_NAMES.index("rms_db")]
    start = EditState.start(track.grid, level_db, loaded.config.episode)
    policy = NumpyPolicy(loaded.weights, loaded.config.agent)
    made = plan(policy, loaded.normalisation, track, start, config=loaded.config.planner)
    if made.state.output_s < MIN_KEPT_SHARE * track.duration_s:
        made = keep_everything(start, made)
    return made


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return the numbers of a line of the table."""
    wanted_s = sum(row.wanted_s for row in rows)
    unwanted_s = sum(row.duration_s for row in rows) - wanted_s
    leaked_s = sum(sum(row.editor.leaked_s.values()) for row in rows)
    return {
        "n": len(rows),
        "f1": sum(row.editor.f1 for row in rows) / len(rows),
        "wanted_lost": sum(row.editor.wanted_lost_s for row in rows) / wanted_s,
        "unwanted_kept": leaked_s / unwanted_s if unwanted_s > 0.01 else 0.0,
        "keep_all_f1": sum(row.keep_all.f1 for row in rows) / len(rows),
    }


def table(rows: Sequence[Row]) -> str:
    """Return the scores by kind as text."""
    groups = {kind: [row for row in rows if row.kind == kind] for kind in KINDS}
    groups = {kind: found for kind, found in groups.items() if found} | {"all": list(rows)}
    lines = ["kind       n     F1  wanted lost  unwanted kept  F1 of keeping all"]
    for kind, found in groups.items():
        s = summary(found)
        lines.append(
            f"{kind:<8}{s['n']:>4}{100 * s['f1']:>7.1f}{100 * s['wanted_lost']:>12.1f}%"
            f"{100 * s['unwanted_kept']:>14.1f}%{100 * s['keep_all_f1']:>19.1f}"
        )
    lines += ["", f"{'leaked, s':<17}" + "".join(f"{kind:>9}" for kind in groups)]
    for material in Material:
        leaked = [sum(row.editor.leaked_s[material] for row in found) for found in groups.values()]
        name = material.name.lower().replace("_", " ")
        lines.append(f"{name:<17}" + "".join(f"{seconds:>9.1f}" for seconds in leaked))
    return "\n".join(lines)


def tag_table(rows: Sequence[Row]) -> str:
    """Return the mean F1 of the cases that contain a flaw, worst first."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for tag in row.tags:
            groups[tag].append(row.editor.f1)
    means = sorted((sum(found) / len(found), tag, len(found)) for tag, found in groups.items())
    lines = ["flaw               n     F1"]
    lines += [f"{tag:<16}{n:>4}{100 * mean:>7.1f}" for mean, tag, n in means]
    return "\n".join(lines)


def case_table(rows: Sequence[Row]) -> str:
    """Return the scores of every case as text."""
    lines = ["case                   length s     F1  keep all  lost s  leaked s, most of it"]
    for row in rows:
        leaked = sorted(row.editor.leaked_s.items(), key=lambda item: -item[1])
        most = ", ".join(f"{m.name.lower()} {s:.1f}" for m, s in leaked[:3] if s > 0.05)
        lines.append(
            f"{row.name:<22}{row.duration_s:>9.1f}{100 * row.editor.f1:>7.1f}"
            f"{100 * row.keep_all.f1:>10.1f}{row.editor.wanted_lost_s:>8.1f}"
            f"{sum(row.editor.leaked_s.values()):>8.1f}  {most}"
        )
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return all scores as JSON, materials by name."""
    values = []
    for row in rows:
        value = dataclasses.asdict(row)
        for editor in ("editor", "keep_all"):
            leaked = value[editor]["leaked_s"]
            value[editor]["leaked_s"] = {m.name.lower(): s for m, s in leaked.items()}
        values.append(value)
    kinds = {
        kind: summary(found) for kind in KINDS if (found := [r for r in rows if r.kind == kind])
    }
    return json.dumps({"kinds": kinds, "all": summary(rows), "cases": values}, indent=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, required=True, help="folder that build made")
    parser.add_argument("--checkpoint", help="by default the one that ships with rl_editor")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="+", help="names of single cases")
    parser.add_argument("--joins", action="store_true", help="move the cuts as rendering does")
    parser.add_argument("--verbose", action="store_true", help="every case and every flaw")
    parser.add_argument("--json", action="store_true", help="print JSON and no tables")
    arguments = parser.parse_args()
    checkpoint_path = arguments.checkpoint or str(default_checkpoint())
    try:
        cases = read_truths(arguments.cases)
        chosen = [c for c in cases if arguments.only is None or c.name in arguments.only]
        jobs = [(case, checkpoint_path, arguments.joins) for case in chosen]
        with get_context("spawn").Pool(arguments.jobs) as pool:
            rows = list(pool.imap(score_case, jobs))
    except UserError as error:
        sys.exit(str(error))
    if arguments.json:
        print(as_json(rows))
        return
    if arguments.verbose:
        print(case_table(rows), tag_table(rows), sep="\n\n", end="\n\n")
    print(table(rows))


if __name__ == "__main__":
    main()
