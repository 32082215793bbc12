"""How often an editor is right where it says how sure it is, and the scaling that makes it hold.

    OMP_NUM_THREADS=1 python -m benchmarks.calibration FOLDER ... [--fit] [--store]
        [--checkpoint best.pt] [--plot FILE.png] [--json FILE]

FOLDER is training data with known edits, or has finished tracks in reference/, out of which
sessions are made, or holds cases (`NAME.truth.json`, such as the development benchmark). Each is
edited; each decision has the confidence that the edit list would tell, and is right when more than
half of its seconds are on the right side of the truth (an equally good copy counts, once). The same
is told of single beats. All shares are of seconds; intervals are 95%, by the bootstrap (Efron
1979) over pieces, of which all recordings are drawn together.

`--fit` fits the calibration on every other piece and measures it on the rest; `--store` writes it
into the checkpoint. Without, the checkpoint's own calibration is measured on everything. What the
policy itself would say is told beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor import checkpoint
from rl_editor.analysis import analyze
from rl_editor.cache import Cache
from rl_editor.calibration import Calibration, Reliability, fit, reliability
from rl_editor.checkpoint import Checkpoint
from rl_editor.deciding import EditOptions, decide
from rl_editor.errors import UserError
from rl_editor.evaluate import RESOLUTION_S, Mark, marks
from rl_editor.evaluation_cases import case_truth, find_cases
from rl_editor.gate_report import folder_items, item_demonstrations
from rl_editor.infer import default_checkpoint
from rl_editor.pairs import EDIT_FOLDER, RAW_FOLDER, REFERENCE_FOLDER
from rl_editor.planner import Plan
from rl_editor.reasons import decision_probabilities
from rl_editor.track import Track
from rl_editor.training_items import SessionDraw
from rl_editor.truth import Truth

SEED = 1_000_003
"""Of the sessions; training uses small seeds."""
EDGES = (0.0, 0.55, 0.65, 0.75, 0.85, 0.95, 0.99, 1.0)
"""Bins of confidence: around 0.6, 0.7, 0.8, 0.9, and what is surer."""
ASKED = (0.85, 0.95)
"""What counts as a confidence of 0.9."""
N_BOOTSTRAP = 1000

Shown = tuple[str, str, Track, Truth]
"""Piece, name, recording, truth."""


@dataclass(frozen=True)
class Judged:
    """What was decided in some recordings, and whether it was right; [D] each.

    Attributes:
        piece: number of the piece.
        probability: that the policy gave.
        is_right: whether most of its seconds are on the right side.
        seconds: length.
    """

    piece: NDArray[np.int64]
    probability: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    def of(self, chosen: NDArray[np.bool_]) -> Judged:
        """Return those that are chosen [D]."""
        return Judged(*(values[chosen] for values in vars(self).values()))


def judge(
    plan: Plan, track: Track, truth: Truth
) -> tuple[tuple[NDArray, NDArray, NDArray], tuple[NDArray, NDArray, NDArray]]:
    """Return (probability, is_right, seconds) of all decisions of a plan, and of all beats."""
    found = marks(plan.state.clips(), truth)
    on_right_side = np.isin(found, (Mark.RIGHT, Mark.RIGHTLY_CUT))
    before = np.concatenate([[0], np.cumsum(on_right_side)])
    edges_s = track.grid.edges_s
    cells = np.minimum(np.round(edges_s / RESOLUTION_S).astype(int), len(found))
    starts, ends = np.array(plan.action_spans).T
    is_played = plan.state.played > 0
    keep = plan.keep_probability
    beats = np.arange(track.n_beats)
    out = []
    for probability, first, last in (
        (decision_probabilities(plan), starts, ends),
        (np.where(is_played, keep, 1.0 - keep), beats, beats + 1),
    ):
        n_cells = np.maximum(cells[last] - cells[first], 1)
        right = (before[cells[last]] - before[cells[first]]) / n_cells
        out.append((probability, right > 0.5, edges_s[last] - edges_s[first]))
    return out[0], out[1]


def judged(loaded: Checkpoint, recordings: Iterable[Shown]) -> tuple[Judged, Judged, list[str]]:
    """Return all decisions, all beats, and the pieces that their numbers mean.

    Recordings in which the editor finds no music have no confidence and are left out.
    """
    pieces: list[str] = []
    rows: tuple[list, list] = ([], [])
    for piece, name, track, truth in recordings:
        made = decide(loaded, track, EditOptions())
        if not made.music_found:
            tell(f"{name}: no music")
            continue
        if piece not in pieces:
            pieces.append(piece)
        for kept, part in zip(rows, judge(made, track, truth), strict=True):
            kept.append((np.full(len(part[0]), pieces.index(piece)), *part))
    if len(pieces) < 2:
        raise UserError(
            f"confidence is measured over pieces, but the recordings with music and a known edit "
            f"are of {len(pieces)}; name more folders."
        )
    first, second = (
        Judged(*(np.concatenate(column) for column in zip(*kept, strict=True))) for kept in rows
    )
    return first, second, pieces


@dataclass(frozen=True)
class Measured:
    """A reliability table with its intervals.

    Attributes:
        table: by `EDGES`.
        low, high: [K] ends of the intervals of what is right.
        error: expected calibration error, with the ends of its interval.
        asked: what is right around 0.9, with the ends of its interval.
        said: mean confidence there.
        log_loss: mean negative log-likelihood, nats.
    """

    table: Reliability
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    error: tuple[float, float, float]
    asked: tuple[float, float, float]
    said: float
    log_loss: float


def measured(rows: Judged, calibration: Calibration, seed: int = 0) -> Measured:
    """Return how far the confidence of some decisions holds."""
    confidence = calibration.confidence(rows.probability)
    table, near = _tables(rows, confidence)
    rng = np.random.default_rng(seed)
    places = [np.flatnonzero(rows.piece == piece) for piece in np.unique(rows.piece)]
    drawn: list[tuple[NDArray, float, float]] = []
    for _ in range(N_BOOTSTRAP):
        chosen = rng.integers(len(places), size=len(places))
        index = np.concatenate([places[i] for i in chosen])
        again = Judged(*(values[index] for values in vars(rows).values()))
        some, some_near = _tables(again, confidence[index])
        drawn.append((some.right, some.expected_error, float(some_near.right[0])))
    bins = [_interval([right[k] for right, _, _ in drawn]) for k in range(len(EDGES) - 1)]
    low, high = np.array(bins).T
    error = _interval([e for _, e, _ in drawn])
    asked = _interval([a for _, _, a in drawn])
    likelihood = np.where(rows.is_right, confidence, 1.0 - confidence)
    loss = float(-np.log(likelihood) @ rows.seconds / rows.seconds.sum())
    return Measured(
        table,
        low,
        high,
        (table.expected_error, *error),
        (float(near.right[0]), *asked),
        float(near.confidence[0]),
        loss,
    )


def _interval(drawn: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of what was drawn, NaN where it never was."""
    values = np.array(drawn)[~np.isnan(drawn)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _tables(rows: Judged, confidence: NDArray[np.float64]) -> tuple[Reliability, Reliability]:
    values = confidence, rows.is_right, rows.seconds
    return reliability(*values, EDGES), reliability(*values, ASKED)


def table(found: Measured) -> str:
    """Return the reliability as a table in Markdown."""
    lines = [
        "| confidence | decisions | seconds | says | is right | 95% |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    rows = found.table
    for k, count in enumerate(rows.count):
        if count:
            lines.append(
                f"| {EDGES[k]:.2f} to {EDGES[k + 1]:.2f} | {count} | {rows.seconds[k]:.0f} "
                f"| {rows.confidence[k]:.3f} | {rows.right[k]:.3f} "
                f"| {found.low[k]:.3f} to {found.high[k]:.3f} |"
            )
    return "\n".join(lines)


def line(name: str, found: Measured) -> str:
    """Return the numbers of a measurement in one line."""
    return (
        f"{name}: at 0.9 (mean {found.said:.3f}) right {found.asked[0]:.3f} "
        f"({found.asked[1]:.3f} to {found.asked[2]:.3f}); expected calibration error "
        f"{found.error[0]:.3f} ({found.error[1]:.3f} to {found.error[2]:.3f}); "
        f"log loss {found.log_loss:.3f}"
    )


def as_json(found: Measured) -> dict[str, object]:
    """Return the numbers of a measurement for JSON; bins without a decision are left out."""
    rows = found.table
    columns = {
        "from": EDGES[:-1],
        "to": EDGES[1:],
        "decisions": rows.count.tolist(),
        "seconds": rows.seconds.tolist(),
        "says": rows.confidence.tolist(),
        "right": rows.right.tolist(),
        "low": found.low.tolist(),
        "high": found.high.tolist(),
    }
    bins = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {
        "bins": [one for one in bins if one["decisions"]],
        "expected_calibration_error": found.error,
        "right_at_0.9": None if np.isnan(found.said) else found.asked,
        "says_at_0.9": None if np.isnan(found.said) else found.said,
        "log_loss": found.log_loss,
    }


def plot(path: Path, panels: Sequence[tuple[str, Measured, Measured]]) -> None:
    """Draw reliability, of the policy itself and calibrated, one panel each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.4), squeeze=False, layout="constrained"
    )
    for axis, (title, raw, scaled) in zip(axes[0], panels, strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", lw=1)
        axis.axvspan(*ASKED, color="0.93", zorder=0)
        for found, colour, label in (
            (raw, "tab:red", "policy"),
            (scaled, "tab:blue", "calibrated"),
        ):
            held = found.table.count > 0
            x, y = found.table.confidence[held], found.table.right[held]
            spread = [np.maximum(y - found.low[held], 0), np.maximum(found.high[held] - y, 0)]
            label = f"{label}: error {found.error[0]:.3f}"
            axis.errorbar(x, y, spread, color=colour, marker="o", ms=4, capsize=2, label=label)
        rows = scaled.table
        held = rows.count > 0
        weight = rows.seconds[held] / rows.seconds.sum()
        label = "share of all seconds"
        axis.bar(rows.confidence[held], weight, 0.02, color="tab:blue", alpha=0.3, label=label)
        axis.set(title=title, xlabel="confidence", xlim=(0, 1.01), ylim=(0, 1.01))
        axis.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12), frameon=False, fontsize=8)
    axes[0][0].set_ylabel("share of seconds that is right")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def shown(folder: Path, draw: SessionDraw) -> Iterator[Shown]:
    """Yield the recordings of a folder."""
    if any((folder / name).is_dir() for name in (RAW_FOLDER, EDIT_FOLDER, REFERENCE_FOLDER)):
        for item in folder_items([folder], draw, tell):
            for name, demo in item_demonstrations([item], draw, tell, lambda *_: None):
                yield item.name, name, demo.track, demo.truth
        return
    cache = Cache()
    for case in find_cases([folder], False, tell):
        track = analyze(case.path, cache=cache)
        yield case.name, case.name, track, case_truth(case, track, cache)[0]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def halves(rows: Judged) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return [D] which decisions are of the pieces to fit on, and which of the others."""
    to_fit = rows.piece % 2 == 0
    return to_fit, ~to_fit


def fitted(rows: Judged) -> Calibration:
    """Return the calibration of some decisions.

    Raises:
        UserError: they say nothing about it.
    """
    try:
        return fit(rows.probability, rows.is_right, rows.seconds)
    except ValueError as error:
        raise UserError(
            f"a calibration should be fitted on {len(rows.seconds)} decisions, but {error}; name "
            "more recordings."
        ) from error


def report(
    decisions: Judged, beats: Judged, calibration: Calibration, path: Path | None
) -> dict[str, Measured]:
    """Print what was measured, draw it where a path is given, and return it."""
    found = {
        f"{what}, {how}": measured(rows, scaling)
        for what, rows in (("decisions", decisions), ("beats", beats))
        for how, scaling in (("policy", Calibration()), ("told", calibration))
    }
    for name, one in found.items():
        print(f"\n{line(name, one)}\n\n{table(one)}")
    if path is not None:
        panels = [(w, found[f"{w}, policy"], found[f"{w}, told"]) for w in ("decisions", "beats")]
        plot(path, panels)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint(), metavar="FILE")
    parser.add_argument("--sessions", type=int, default=3, help="of each finished track")
    parser.add_argument("--seed", type=int, default=SEED, help="of the sessions")
    parser.add_argument("--fit", action="store_true", help="on half of the pieces")
    parser.add_argument("--store", action="store_true", help="what was fitted in the checkpoint")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    draw = SessionDraw(arguments.sessions, arguments.seed)
    try:
        loaded = checkpoint.load(arguments.checkpoint)
        recordings = (one for folder in arguments.folders for one in shown(folder, draw))
        decisions, beats, pieces = judged(loaded, recordings)
        calibration = loaded.calibration or Calibration()
        if arguments.fit or arguments.store:
            to_fit, _ = halves(decisions)
            calibration = fitted(decisions.of(to_fit))
            decisions, beats = (rows.of(halves(rows)[1]) for rows in (decisions, beats))
        print(
            f"{calibration}; measured on {len(np.unique(decisions.piece))} of {len(pieces)} pieces"
        )
        found = report(decisions, beats, calibration, arguments.plot)
        if arguments.store:
            whole = checkpoint.load(arguments.checkpoint, with_run=True)
            stored = dataclasses.replace(whole, calibration=calibration)
            checkpoint.save(arguments.checkpoint, stored)
    except UserError as error:
        tell(f"calibration: {error}")
        return 2
    if arguments.json:
        values = {name: as_json(one) for name, one in found.items()}
        arguments.json.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
