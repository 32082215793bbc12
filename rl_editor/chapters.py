"""Sections of an edited track, for players and DAWs to jump to.

In: an edit list. Out: chapters that cover the edited track without a hole. A section goes on as
long as the recording does: it ends where the edit goes over to another place of the recording, a
bar or more away, as after talk, a false start or another take. (Phrase lines are no borders: a
grid knows that a phrase may begin there, not that something new does.) No section is shorter than
10 s, so of borders that are nearer to each other the one with the longest way between its two
places stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from rl_editor.edl_types import Clip, EditDecisionList
from rl_editor.id3 import MAX_CHAPTERS
from rl_editor.tags import Chapter
from rl_editor.units import format_time

MIN_SECTION_S = 10.0
"""Shortest section, unless the whole track is shorter, s."""


@dataclass(frozen=True)
class _Border:
    """Where another place of the recording begins, and how far from the place before, in s."""

    timeline_s: float
    source_s: float
    distance_s: float


def chapters_of(edl: EditDecisionList) -> tuple[Chapter, ...]:
    """Return the sections of an edited track, from its begin to its end, at most 255.

    Their titles say where in the recording they begin: "2 (recording 1:23.4)".
    """
    if not edl.clips:
        return ()
    first = edl.clips[0]
    bar_s = edl.grid.meter * 60.0 / edl.grid.tempo_bpm
    borders = [
        _Border(0.0, _enters_s(first), 0.0),
        *_spread(
            [border for border in _borders(edl.clips) if border.distance_s >= bar_s],
            edl.duration_s,
        ),
    ]
    ends_s = [*(border.timeline_s for border in borders[1:]), edl.duration_s]
    return tuple(
        Chapter(border.timeline_s, end_s, f"{number} (recording {format_time(border.source_s)})")
        for number, (border, end_s) in enumerate(zip(borders, ends_s, strict=True), 1)
    )


def _borders(clips: tuple[Clip, ...]) -> list[_Border]:
    """Return the places where one clip goes over into the next: the middles of the crossfades."""
    borders = []
    for before, after in pairwise(clips):
        overlap_s = max(0.0, _ends_s(before) - after.timeline_start_s)
        went_on_s = _enters_s(after) - _leaves_s(before) + overlap_s
        at_s = after.timeline_start_s + overlap_s / 2.0
        borders.append(_Border(at_s, _enters_s(after), abs(went_on_s)))
    return borders


def _spread(borders: list[_Border], duration_s: float) -> list[_Border]:
    """Return the widest borders that keep their distance from each other and from both ends."""
    chosen: list[_Border] = []
    for border in sorted(borders, key=lambda border: -border.distance_s):
        taken_s = [0.0, duration_s, *(other.timeline_s for other in chosen)]
        is_apart = all(abs(border.timeline_s - at_s) >= MIN_SECTION_S for at_s in taken_s)
        if is_apart and len(chosen) < MAX_CHAPTERS - 1:
            chosen.append(border)
    return sorted(chosen, key=lambda border: border.timeline_s)


def _ends_s(clip: Clip) -> float:
    """Return where a clip ends on the timeline."""
    return clip.timeline_start_s + (clip.source_end_s - clip.source_start_s) / clip.rate


def _enters_s(clip: Clip) -> float:
    """Return the place of the recording that a clip plays first."""
    return clip.source_end_s if clip.reverse else clip.source_start_s


def _leaves_s(clip: Clip) -> float:
    """Return the place of the recording that a clip plays last."""
    return clip.source_start_s if clip.reverse else clip.source_end_s
