"""The curves of training runs in one picture, and the command `rl-editor runs` that draws it.

Each run has one colour in all panels; cloning is drawn beside PPO, since each counts its epochs
from 1. With a single run the reward terms and the actions have panels of their own lines. Needs
matplotlib.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_editor.atomic import atomic_path
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.run_curves import Curve, RunCurves, read_runs

FORMATS = (".png", ".svg", ".pdf")
COLUMNS = 3
PANEL_IN = (5.2, 3.1)
DPI = 100
POINTS = 200
"""A curve of more epochs is drawn as means, so that its trend is seen."""
N_NAMED = 8
"""Lines in a panel of many names; those that change most are drawn."""

LEGEND_ROOM = 0.35
"""Height that is added to a panel for the names of its lines, as a share."""


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        title: what it shows.
        stage: "cloning" or "ppo".
        names: candidates; the first that a run has is drawn.
        limits: of the value axis, None for free ends.
        is_log: a logarithmic value axis.
    """

    title: str
    stage: str
    names: tuple[str, ...]
    limits: tuple[float | None, float | None] = (None, None)
    is_log: bool = False


PANELS = (
    Panel("cloning: loss", "cloning", ("loss",)),
    Panel("cloning: F1 of planned edits", "cloning", ("validation/f1", "training/f1"), (None, 1)),
    Panel("cloning: gradient norm", "cloning", ("gradient_norm",), is_log=True),
    Panel("PPO: F1 of planned edits", "ppo", ("validation/f1", "training/f1"), (None, 1)),
    Panel("PPO: reward of an episode", "ppo", ("reward/total",)),
    Panel("PPO: agreement with known edits", "ppo", ("reward/reference_agreement",)),
    Panel("PPO: entropy (share of its maximum)", "ppo", ("entropy",), (0, None)),
    Panel("PPO: approximate KL", "ppo", ("approx_kl",), (0, None)),
    Panel("PPO: share of clipped ratios", "ppo", ("clip_fraction",), (0, None)),
    Panel("PPO: explained variance", "ppo", ("explained_variance",), (None, 1)),
    Panel("PPO: gradient norm", "ppo", ("gradient_norm",), is_log=True),
    Panel("PPO: seconds of an update", "ppo", ("seconds/update",), (0, None)),
)
GROUPS = (
    ("PPO: reward terms, before their weights", "reward/"),
    ("PPO: types of the actions", "actions/"),
    ("PPO: entropy of each head", "entropy/"),
)
"""Panels with a line for each name, for a single run: title, beginning of the names."""


def add_runs_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of `rl-editor`."""
    parser = commands.add_parser("runs", help="draw the curves of training runs")
    parser.add_argument("folders", nargs="+", metavar="DIR", help="--save_dir of a run")
    parser.add_argument(
        "--output", default="curves.png", help="the picture: .png, .svg or .pdf (curves.png)"
    )
    parser.set_defaults(run=_runs)


def _runs(arguments: argparse.Namespace) -> int:
    path = Path(arguments.output)
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"the picture should end in {', '.join(FORMATS)}, but is to be {path.name}; choose "
            "another --output."
        )
    runs = read_runs(arguments.folders)
    write_picture(runs, path)
    for run in runs:
        print(f"{run.name}: {run.last('cloning')} passes of cloning, {run.last('ppo')} updates")
    print(f"wrote {path}")
    return 0


def write_picture(runs: Sequence[RunCurves], path: Path) -> None:
    """Write the picture of some runs; the suffix of the path is the format.

    Raises:
        UserError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "curves are drawn with the Python package matplotlib, which is not installed; run "
            f"{install_hint('train')}."
        ) from error
    content = io.BytesIO()
    _figure(runs, Figure).savefig(content, format=path.suffix[1:].lower(), dpi=DPI)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getvalue())
    except OSError as error:
        raise UserError(
            f"the picture should go to {path}, but cannot be written there ({error.strerror}); "
            "choose another --output."
        ) from error


def _figure(runs: Sequence[RunCurves], new_figure: Callable[..., Any]) -> Any:
    """Return a figure with a panel for everything that a run has numbers of."""
    drawn = [panel for panel in PANELS if any(_curve(run, panel) for run in runs)]
    groups = [group for group in GROUPS if len(runs) == 1 and _group(runs[0], group[1])]
    n_rows = -(-(len(drawn) + len(groups)) // COLUMNS)
    width_in, height_in = PANEL_IN
    figure = new_figure(
        figsize=(COLUMNS * width_in, n_rows * height_in + 0.6), layout="constrained"
    )
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for number, panel in enumerate(drawn):
        _draw_panel(axes[number], panel, runs)
    for number, (title, prefix) in enumerate(groups, start=len(drawn)):
        _draw_group(axes[number], title, prefix, _group(runs[0], prefix))
    for unused in axes[len(drawn) + len(groups) :]:
        unused.set_axis_off()
    lines = [axes[0].plot([], [], color=_colour(i), lw=2)[0] for i in range(len(runs))]
    names = [run.name for run in runs]
    figure.legend(lines, names, loc="outside upper center", ncols=min(6, len(runs)), frameon=False)
    return figure


def _draw_panel(axes: Any, panel: Panel, runs: Sequence[RunCurves]) -> None:
    if panel.is_log:
        _log_axis(axes)
    for number, run in enumerate(runs):
        curve = _curve(run, panel)
        if curve is not None:
            _draw(axes, curve, color=_colour(number))
    for side, limit in zip(("bottom", "top"), panel.limits, strict=True):
        if limit is not None:
            axes.set_ylim(**{side: limit})
    _finish(axes, panel.title, panel.stage)


def _log_axis(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _draw_group(axes: Any, title: str, prefix: str, curves: dict[str, Curve]) -> None:
    change = {name: curve.value.max() - curve.value.min() for name, curve in curves.items()}
    for number, name in enumerate(sorted(curves, key=lambda n: -change[n])[:N_NAMED]):
        _draw(axes, curves[name], color=_colour(number), label=name.removeprefix(prefix))
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + LEGEND_ROOM * (top - bottom))
    axes.legend(fontsize=7, ncols=3, loc="upper left", frameon=False)
    _finish(axes, title, "ppo")


def _draw(axes: Any, curve: Curve, **style: Any) -> None:
    width = -(-len(curve.value) // POINTS)
    if width > 1:
        axes.plot(curve.epoch, curve.value, color=style["color"], lw=0.4, alpha=0.25, zorder=1)
    curve = curve.smoothed(width)
    marker = "o" if len(curve.value) <= 30 else None
    axes.plot(curve.epoch, curve.value, lw=1.4, marker=marker, markersize=3, **style)


def _finish(axes: Any, title: str, stage: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("pass" if stage == "cloning" else "update", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.grid(True, alpha=0.3, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _curve(run: RunCurves, panel: Panel) -> Curve | None:
    found = (run.curve(panel.stage, name) for name in panel.names)
    return next((curve for curve in found if curve is not None), None)


def _group(run: RunCurves, prefix: str) -> dict[str, Curve]:
    """Return the curves of a run whose names begin so, but for totals."""
    curves = run.stages.get("ppo", {})
    return {n: c for n, c in curves.items() if n.startswith(prefix) and n != "reward/total"}


def _colour(number: int) -> str:
    return f"C{number % 10}"
