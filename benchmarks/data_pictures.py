"""The pictures of docs/data.md: one session with its truth, one alignment with its jumps.

    python -m benchmarks.data_pictures [--folder docs/pictures]

Both are made out of the demo recording that ships (its licence lies beside it in
rl_editor/assets). The alignment's edit is made here: passages of the demo moved, played twice and
left out, a foreign beginning, another level, duller highs; `alignment` sees the two signals only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.alignment import Alignment, align
from rl_editor.audio import read_mono
from rl_editor.evaluation_pictures import (
    COLOURS,
    CONFIG,
    SPARE,
    UNWANTED,
    WANTED,
    mel_db,
    png,
    time_axis,
    use_of,
)
from rl_editor.materials import Material
from rl_editor.session_files import read_truth
from rl_editor.truth import Truth
from rl_editor.units import format_time

ASSETS = Path(__file__).parent.parent / "rl_editor" / "assets"

WIDTH_IN, DPI = 11.0, 110
SHORTEST_LABEL_S = 0.8
"""Shorter segments have a colour and no label."""
SHOWN_S = 110.0
"""How much of the session is shown: its beginning."""

FOREIGN_S = 8.0
PASSAGES_S = (
    (213.3, 240.0),
    (21.4, 32.3),
    (54.9, 73.5),
    (82.9, 93.8),
    (54.9, 66.0),
    (145.9, 161.7),
)
"""Spans of the demo recording in the order of the made edit; the fifth was played before."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    signal = read_mono(ASSETS / "demo_raw.ogg", CONFIG.sr)
    truth = read_truth(ASSETS / "demo_raw.truth.json")
    save(session_picture(signal, truth), arguments.folder / "session.png")
    edit = made_edit(signal)
    save(alignment_picture(align(signal, edit, CONFIG.sr)), arguments.folder / "alignment.png")


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG with a palette."""
    path.write_bytes(png(figure, DPI))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def session_picture(signal: NDArray[np.float32], truth: Truth) -> Any:
    """Return a figure: mel spectrogram, what each second is, and whether it is wanted."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(WIDTH_IN, 5.4), layout="constrained")
    mel, what, wanted = figure.subplots(3, 1, sharex=True, height_ratios=(6, 2.4, 0.7))
    mel.imshow(
        mel_db(signal),
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0.0, truth.duration_s, 0, CONFIG.n_mels),
    )
    mel.set_ylabel("mel band")
    mel.set_title("A session: the demo recording and what is true about it", fontsize=11)
    edge = {"edgecolor": "white", "linewidth": 0.5}
    for segment in truth.segments:
        length_s = segment.end_s - segment.start_s
        what.broken_barh(
            [(segment.start_s, length_s)], (0, 1), facecolor=COLOURS[segment.material], **edge
        )
        wanted.broken_barh([(segment.start_s, length_s)], (0, 1), facecolor=use_of(segment), **edge)
        mel.axvline(segment.start_s, color="white", linewidth=0.5, alpha=0.6)
        if length_s >= SHORTEST_LABEL_S and segment.end_s < SHOWN_S:
            words = segment.material.name.lower().replace("_", " ")
            what.text(
                segment.start_s + length_s / 2,
                0.5,
                words,
                rotation=90 if length_s < 7.0 else 0,
                fontsize=6.5,
                ha="center",
                va="center",
                color="black" if segment.material == Material.SILENCE else "white",
            )
    for axes, label in ((what, "what"), (wanted, "use")):
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
    time_axis(wanted.xaxis, 10.0)
    wanted.set_xlim(0.0, SHOWN_S)
    wanted.set_xlabel("time in the recording")
    uses = {"wanted": WANTED, "equally good copy": SPARE, "not wanted": UNWANTED}
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in uses.items()],
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure


def made_edit(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [S] a made-up human edit of the demo recording."""
    from scipy.signal import butter, sosfilt

    sr = CONFIG.sr
    foreign = signal[round(200.0 * sr) : round((200.0 + FOREIGN_S) * sr)][::-1]
    passages = [signal[round(a * sr) : round(b * sr)] for a, b in PASSAGES_S]
    edit = np.concatenate([foreign, *passages])
    dull = sosfilt(butter(2, 6000.0, fs=sr, output="sos"), edit)
    return (0.6 * dull).astype(np.float32)


def alignment_picture(found: Alignment) -> Any:
    """Return a figure: the raw time of each second of the edit, and how sure it is."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, 5.6), layout="constrained")
    path, sure = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    at_s = FOREIGN_S
    path.axvspan(0.0, at_s, color="#f0e0c8", label="foreign in truth")
    for i, (start_s, end_s) in enumerate(PASSAGES_S):
        times_s = (at_s, at_s + end_s - start_s)
        label = "truth" if i == 0 else None
        path.plot(times_s, (start_s, end_s), color="#cccccc", linewidth=7, label=label)
        at_s = times_s[1]
    for i, span in enumerate(found.spans):
        label = "found" if i == 0 else None
        times_s = (span.edit_start_s, span.edit_end_s)
        path.plot(times_s, (span.raw_start_s, span.raw_end_s), color="#1f4e9c", label=label)
        if i:
            before = found.spans[i - 1]
            path.plot(
                (before.edit_end_s, span.edit_start_s),
                (before.raw_end_s, span.raw_start_s),
                color="#c0504d",
                linestyle=":",
                label="jump" if i == 1 else None,
            )
        path.annotate(
            f"{format_time(span.raw_start_s)} to {format_time(span.raw_end_s)}\n"
            f"{span.gain_db:+.1f} dB",
            (sum(times_s) / 2, (span.raw_start_s + span.raw_end_s) / 2),
            xytext=(0, 12),
            textcoords="offset points",
            fontsize=8,
            ha="center",
        )
    path.set_ylim(0, found.raw_duration_s + 25.0)
    path.set_ylabel("time in the raw recording")
    path.set_title("An alignment: where each second of an edit comes from", fontsize=11)
    path.legend(loc="upper right", fontsize=8)
    time_axis(path.yaxis, 30.0)
    edges_s = np.minimum(np.arange(len(found.confidence) + 1), found.edit_duration_s)
    sure.stairs(found.confidence, edges_s, fill=True, color="#1f4e9c", alpha=0.6)
    sure.set_ylim(0, 1.05)
    sure.set_ylabel("confidence")
    sure.set_xlabel("time in the edit")
    time_axis(sure.xaxis, 10.0)
    return figure


if __name__ == "__main__":
    main()
