"""An aligned human edit as the clips of a decision list.

What was done to the whole edit (its level, its speed, its pitch) is mastering, not editing: a clip
says what was done to its span beyond that.

In: `Alignment`. Out: `Clip`s in the order of the edit, and sentences about what is not in them.
"""

from __future__ import annotations

import numpy as np

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.edl import Clip
from rl_editor.units import format_time

MIN_SPEED_CHANGE, MIN_SEMITONES = 0.002, 0.05
"""Less of the whole edit is not told."""
MIN_FOREIGN_S = 0.5
"""Less than this from elsewhere is not told."""


def clips_of(alignment: Alignment) -> tuple[Clip, ...]:
    """Return the spans of an alignment as clips: gain, speed and pitch against the usual ones."""
    spans = alignment.spans
    if not spans:
        return ()
    usual_db, usual_speed, usual_semitones = _usual(spans)
    return tuple(
        Clip(
            source_start_s=max(0.0, span.raw_start_s),
            source_end_s=min(span.raw_end_s, alignment.raw_duration_s),
            timeline_start_s=span.edit_start_s * usual_speed,
            gain_db=span.gain_db - usual_db,
            fade_in_s=span.fade_in_s * usual_speed,
            fade_out_s=span.fade_out_s * usual_speed,
            rate=span.speed / usual_speed,
            semitones=span.pitch_semitones - usual_semitones,
        )
        for span in spans
    )


def notes(alignment: Alignment) -> tuple[str, ...]:
    """Return sentences about the speed and pitch of the whole edit, and about what is foreign."""
    if not alignment.spans:
        return ()
    found_s = sum(span.edit_end_s - span.edit_start_s for span in alignment.spans)
    foreign_s = alignment.edit_duration_s - found_s
    foreign = f"{format_time(foreign_s)} of the edit is not from this recording."
    return (*_mastering(alignment.spans), *([foreign] if foreign_s > MIN_FOREIGN_S else []))


def _mastering(spans: tuple[EditSpan, ...]) -> tuple[str, ...]:
    _, speed, semitones = _usual(spans)
    words = []
    if abs(speed - 1.0) > MIN_SPEED_CHANGE:
        words.append(f"{speed:.3f} times as fast")
    if abs(semitones) > MIN_SEMITONES:
        words.append(f"{semitones:+.2f} semitones away")
    if not words:
        return ()
    return (f"The whole edit is {', '.join(words)}, which counts as mastering, not as editing.",)


def _usual(spans: tuple[EditSpan, ...]) -> tuple[float, float, float]:
    """Return the medians over the seconds of the edit: gain in dB, speed, semitones."""
    lengths_s = np.array([span.edit_end_s - span.edit_start_s for span in spans])

    def median(values: list[float]) -> float:
        order = np.argsort(values)
        passed_s = np.cumsum(lengths_s[order])
        return values[order[np.searchsorted(passed_s, passed_s[-1] / 2)]]

    return (
        median([span.gain_db for span in spans]),
        median([span.speed for span in spans]),
        median([span.pitch_semitones for span in spans]),
    )
