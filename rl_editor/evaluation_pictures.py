"""A picture of a case: what can be heard, what is true, what each editor did and where it is wrong.

Rows of up to four minutes; each holds the mel spectrogram, a strip of the truth and a strip for
each editor, over the time in the recording. Needs matplotlib.

In: a recording, the clips and scores of each editor. Out: a PNG file.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path
from rl_editor.audio import read_mono
from rl_editor.config import AnalysisConfig
from rl_editor.edl import Clip
from rl_editor.errors import UserError
from rl_editor.evaluate import RESOLUTION_S, EditScores, Mark, marks
from rl_editor.extras import install_hint
from rl_editor.materials import Material
from rl_editor.spectrogram import magnitude_blocks, mel_spectrum, power_to_db
from rl_editor.truth import Segment, Truth
from rl_editor.units import format_time

if TYPE_CHECKING:
    from rl_editor.editors import Recording

CONFIG = AnalysisConfig()
WIDTH_IN, DPI = 14.0, 100
MAX_ROW_S = 240.0
"""Longest stretch in one row of the picture."""
MEL_IN, TRUTH_IN, EDIT_IN, AXIS_IN, HEAD_IN = 1.5, 0.5, 0.36, 0.5, 0.75
"""Heights of a row's parts and of the title with the key."""
FRAMES_A_COLUMN = 10
"""Frames of the spectrogram in one column of the picture: 0.2 s."""
CHARACTER_IN = 0.065
"""Width of a letter of a label."""
N_COLOURS = 128
"""Colours of a picture's palette; photographs of sound take little room so."""

WANTED, SPARE, UNWANTED = "#2a7f4f", "#8fd0a8", "#c9c9c9"
COLOURS = {
    Material.MUSIC: "#2a7f4f",
    Material.TALK: "#c0504d",
    Material.NOISE: "#7f7f7f",
    Material.SILENCE: "#d9d9d9",
    Material.COUNT_IN: "#e08a1e",
    Material.TUNING: "#8064a2",
    Material.NOODLING: "#b58bd0",
    Material.FALSE_START: "#d6619a",
    Material.FLAWED_TAKE: "#9c6b30",
    Material.REDUNDANT_REPEAT: "#4f81bd",
}
_MARKS: dict[Mark, tuple[str, float, str, str]] = {
    Mark.RIGHT: ("#2a7f4f", 1.0, "", "kept, wanted"),
    Mark.LEAKED: ("#d62728", 1.0, "", "kept, not wanted"),
    Mark.TWICE: ("#7b3fa0", 1.0, "", "kept more than once"),
    Mark.LOST: ("#ff9d1e", 0.55, "////", "cut, but wanted"),
    Mark.RIGHTLY_CUT: ("#d9d9d9", 0.15, "", "cut, not wanted"),
}
"""Colour, height, hatching and words of what became of a second."""


def check_pictures() -> None:
    """Raise `UserError` unless pictures can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"pictures need the package matplotlib, which is missing; run {install_hint('dev')}, "
            "or leave --pictures out."
        ) from error


def draw_case(
    recording: Recording,
    edits: Mapping[str, Sequence[Clip]],
    scores: Mapping[str, EditScores],
    path: Path,
) -> None:
    """Write the picture of a case.

    Args:
        recording: with its truth.
        edits: clips by the editor's name, a strip each.
        scores: of the same editors.
        path: of the PNG file.
    """
    signal = read_mono(recording.path, CONFIG.sr)
    figure = case_picture(recording.name, signal, recording.truth, edits, scores)
    with atomic_path(path) as temporary:
        temporary.write_bytes(png(figure, DPI))


def case_picture(
    name: str,
    signal: NDArray[np.float32],
    truth: Truth,
    edits: Mapping[str, Sequence[Clip]],
    scores: Mapping[str, EditScores],
) -> Any:
    """Return the figure of a case whose mono signal [S] has the rate of the analysis."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_rows = max(1, math.ceil(truth.duration_s / MAX_ROW_S))
    row_s = truth.duration_s / n_rows
    heights = [MEL_IN, TRUTH_IN, *(EDIT_IN for _ in edits)]
    height_in = n_rows * (sum(heights) + AXIS_IN) + HEAD_IN
    layout = ConstrainedLayoutEngine(h_pad=0.025, hspace=0.0)
    figure = Figure(figsize=(WIDTH_IN, height_in), layout=layout)
    grids = figure.subfigures(n_rows, 1, squeeze=False)[:, 0]
    mel = mel_db(signal)
    verdicts = {editor: marks(clips, truth) for editor, clips in edits.items()}
    for row, part in enumerate(grids):
        axes = part.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
        top, what, *strips = axes[:, 0]
        _draw_sound(top, mel, truth)
        _draw_truth(what, truth, row_s)
        for axis, (editor, verdict) in zip(strips, verdicts.items(), strict=True):
            _draw_verdict(axis, verdict)
            _label(axis, f"{editor[-22:]}\n{_score_words(scores[editor])}")
        for axis in axes[:-1, 0]:
            axis.tick_params(bottom=False)
        last = axes[-1, 0]
        time_axis(last.xaxis, _tick_s(row_s))
        last.set_xlim(row * row_s, (row + 1) * row_s)
        last.tick_params(labelsize=8)
    grids[-1].supxlabel("time in the recording", fontsize=9)
    title = f"{name}, {format_time(truth.duration_s)}"
    figure.suptitle(title, x=0.005, ha="left", fontsize=12)
    _draw_key(figure, truth)
    return figure


def _score_words(scores: EditScores) -> str:
    words = f"F1 {scores.f1:.3f}"
    return words if scores.order_tau > 0.995 else f"{words}, order {scores.order_tau:.2f}"


def _tick_s(row_s: float) -> float:
    return next(step for step in (1.0, 2.0, 5.0, 10.0, 20.0) if row_s / step <= 26 or step == 20.0)


def _draw_sound(axis: Any, mel: NDArray[np.float32], truth: Truth) -> None:
    axis.imshow(
        mel,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0.0, truth.duration_s, 0, CONFIG.n_mels),
    )
    axis.set_yticks([])
    _label(axis, "sound, low\nto high")
    for segment in truth.segments[1:]:
        axis.axvline(segment.start_s, color="white", linewidth=0.5, alpha=0.5)


def _draw_truth(axis: Any, truth: Truth, row_s: float) -> None:
    """Draw wanted music as high as the strip, all else lower, in the colour of what it is."""
    inch_s = row_s / (0.86 * WIDTH_IN)
    for segment in truth.segments:
        length_s = segment.end_s - segment.start_s
        is_good = segment.wanted or segment.equally_good
        colour = use_of(segment) if is_good else COLOURS[segment.material]
        axis.broken_barh(
            [(segment.start_s, length_s)],
            (0, 1 if is_good else 0.72),
            facecolor=colour,
            edgecolor="white",
            linewidth=0.4,
        )
        _draw_words(axis, segment, length_s / inch_s)
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    _label(axis, "truth")


def _draw_words(axis: Any, segment: Segment, room_in: float) -> None:
    """Write what a segment is, across or upwards, where there is room."""
    if segment.wanted:
        return
    words = segment.material.name.lower().replace("_", " ")
    words = "equally good" if segment.equally_good else words
    across = len(words) * CHARACTER_IN <= room_in
    if not across and (room_in < 0.13 or len(words) > 9):
        return
    dark = segment.equally_good or segment.material == Material.SILENCE
    axis.text(
        (segment.start_s + segment.end_s) / 2,
        0.5 if segment.equally_good else 0.36,
        words,
        rotation=0 if across else 90,
        fontsize=7 if across else 5.5,
        ha="center",
        va="center",
        color="black" if dark else "white",
        clip_on=True,
    )


def _draw_verdict(axis: Any, verdict: NDArray[np.uint8]) -> None:
    """Draw what an editor did: kept as high as the strip, cut low."""
    for mark, start_s, end_s in runs_of(verdict):
        colour, height, hatch, _ = _MARKS[mark]
        axis.broken_barh(
            [(start_s, end_s - start_s)],
            (0, height),
            facecolor=colour,
            hatch=hatch,
            edgecolor="#8a3c00" if hatch else colour,
            linewidth=0.0,
        )
    axis.set_ylim(0, 1)
    axis.set_yticks([])


def runs_of(verdict: NDArray[np.uint8]) -> Iterator[tuple[Mark, float, float]]:
    """Yield the unbroken runs of marks [cells] with their times in seconds."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(verdict)) + 1, [len(verdict)]]).tolist()
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield Mark(verdict[start]), start * RESOLUTION_S, stop * RESOLUTION_S


def _label(axis: Any, words: str) -> None:
    axis.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=8)


def _draw_key(figure: Any, truth: Truth) -> None:
    """Tell what the colours mean: of the verdicts above, of the materials below the picture."""
    from matplotlib.patches import Patch

    verdicts = []
    for colour, _, hatch, words in _MARKS.values():
        edge = "#8a3c00" if hatch else colour
        verdicts.append(Patch(facecolor=colour, edgecolor=edge, hatch=hatch, label=words))
    uses = [Patch(color=WANTED, label="truth: wanted")]
    if any(segment.equally_good for segment in truth.segments):
        uses.append(Patch(color=SPARE, label="equally good"))
    unwanted = [s for s in truth.segments if not s.wanted and not s.equally_good]
    for material in sorted({segment.material for segment in unwanted}):
        words = material.name.lower().replace("_", " ")
        uses.append(Patch(color=COLOURS[material], label=words))
    for place, handles in (("upper right", verdicts), ("lower center", uses)):
        figure.legend(
            handles=handles,
            loc=f"outside {place}",
            ncols=len(handles),
            fontsize=8,
            frameon=False,
        )


# Shared with other pictures


def png(figure: Any, dpi: int) -> bytes:
    """Return a figure as a PNG file with a palette."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    image = Image.open(drawn).convert("RGB")
    image = image.quantize(N_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(small, format="PNG", optimize=True)
    return small.getvalue()


def mel_db(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [n_mels, columns] the mel spectrogram in dB, a few frames in each column."""
    blocks = magnitude_blocks(signal, CONFIG)
    power = np.concatenate([mel_spectrum(block**2, CONFIG) for _, block in blocks])
    n = len(power) // FRAMES_A_COLUMN
    columns = power[: n * FRAMES_A_COLUMN].reshape(n, FRAMES_A_COLUMN, -1).mean(axis=1)
    return power_to_db(columns, 70.0).T


def use_of(segment: Segment) -> str:
    """Return the colour of a segment by whether it is wanted."""
    if segment.wanted:
        return WANTED
    return SPARE if segment.equally_good else UNWANTED


def time_axis(axis: Any, step_s: float) -> None:
    """Let an axis show minutes and seconds, a tick each `step_s`."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    axis.set_major_locator(MultipleLocator(step_s))
    axis.set_major_formatter(FuncFormatter(lambda time_s, _: format_time(time_s)[:-2]))
    axis.axes.margins(0)
