"""What an alignment found, as a table to read: `rl-editor align RAW EDIT`.

In: `Alignment`. Out: lines.
"""

from __future__ import annotations

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.units import format_time

_HEADER = ("edit", "recording", "level", "speed", "pitch", "fades", "sure")
MIN_GAP_S = 0.05
"""A shorter stretch between spans is a crossfade."""


def alignment_lines(alignment: Alignment) -> list[str]:
    """Return a table of the edit in its order: where each passage was, and what was done to it."""
    rows: list[tuple[str, ...]] = [_HEADER]
    end_s = 0.0
    for span in alignment.spans:
        rows += _foreign(end_s, span.edit_start_s)
        rows.append(_row(span))
        end_s = span.edit_end_s
    rows += _foreign(end_s, alignment.edit_duration_s)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _foreign(start_s: float, end_s: float) -> list[tuple[str, ...]]:
    if end_s - start_s < MIN_GAP_S:
        return []
    return [(_times(start_s, end_s), "not from here", "", "", "", "", "")]


def _row(span: EditSpan) -> tuple[str, ...]:
    fades = [
        f"{side} {length_s:.1f} s"
        for side, length_s in (("in", span.fade_in_s), ("out", span.fade_out_s))
        if length_s > 0
    ]
    return (
        _times(span.edit_start_s, span.edit_end_s),
        _times(span.raw_start_s, span.raw_end_s),
        f"{span.gain_db:+.1f} dB",
        f"{span.speed:.3f}",
        f"{span.pitch_semitones:+.2f}",
        ", ".join(fades),
        f"{span.confidence:.2f}",
    )


def _times(start_s: float, end_s: float) -> str:
    return f"{format_time(start_s)} to {format_time(end_s)}"
