"""Spans that were asked for are heard to the sample, and spans that were not are not.

Decisions are taken on beats, so a clip may reach into what is to be dropped by part of a beat. It
is cut off there, a little before, so that no crossfade sounds it either; what is to be kept is kept
a little longer, so that none fades it. Where one begins as the other ends, a crossfade takes 10 ms
of what is kept.

In: clips with hard cuts, and spans of the source. Out: clips with hard cuts, and which of
their edges must stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rl_editor.edl import Clip
from rl_editor.wishes import Span, merged_spans, total_s, without_spans

GUARD_S = 0.01
"""Between an edge and the span that it is there for; crossfades at such edges reach half of it."""
TOLERANCE_S = 1e-3
"""Less is rounding."""
REACH_S = 2.5
"""Edges so near to a span stay: further than `boundary_refinement` moves one and `joins` shifts
one; moves by whole beats, which go further, are looked at afterwards (`are_granted`)."""
SHORTEST_S = 0.05
"""Shorter pieces of a clip go."""


@dataclass(frozen=True)
class AskedSpans:
    """Spans of the source.

    Attributes:
        keep_s, drop_s: in order, without overlaps.
        duration_s: of the source.
    """

    keep_s: tuple[Span, ...]
    drop_s: tuple[Span, ...]
    duration_s: float

    def stays(self, time_s: float) -> bool:
        """Return whether an edge at this time of the source must not move."""
        near = (*self.keep_s, *self.drop_s)
        return any(start_s - REACH_S < time_s < end_s + REACH_S for start_s, end_s in near)

    def heard(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """Return clips without what is to be dropped, and with what is to be kept.

        What is missing of that joins the clip that ends or begins there, or becomes one of its own
        after the last one that ends before.
        """
        drop_s = [self._guarded(span, GUARD_S) for span in self.drop_s]
        never_s = [self._guarded(span, 0.5 * GUARD_S) for span in self.drop_s]
        left = [part for clip in clips for part in _without(clip, drop_s)]
        for span in self.keep_s:
            for part in without_spans(self._guarded(span, GUARD_S), never_s):
                for missing in without_spans(part, played_spans(left)):
                    left = _with(left, missing)
        return tuple(left)

    def are_kept(self, clips: Sequence[Clip]) -> bool:
        """Return whether clips play all that is to be kept."""
        played = played_spans(clips)
        missing = [part for span in self.keep_s for part in without_spans(span, played)]
        return all(end_s - start_s < TOLERANCE_S for start_s, end_s in missing)

    def are_granted(self, clips: Sequence[Clip]) -> bool:
        """Return whether clips play all that is to be kept, and nothing that is to be dropped."""
        played = played_spans(clips)
        free_s = total_s(part for span in self.drop_s for part in without_spans(span, played))
        return total_s(self.drop_s) - free_s < TOLERANCE_S and self.are_kept(clips)

    def _guarded(self, span: Span, guard_s: float) -> Span:
        start_s, end_s = span
        return max(0.0, start_s - guard_s), min(self.duration_s, end_s + guard_s)


NOTHING_ASKED = AskedSpans((), (), 0.0)


def played_spans(clips: Sequence[Clip]) -> tuple[Span, ...]:
    """Return the spans of the source that clips play, in order."""
    return merged_spans((clip.source_start_s, clip.source_end_s) for clip in clips)


def _without(clip: Clip, drop_s: Sequence[Span]) -> list[Clip]:
    """Return what is left of a clip; its fades stay at ends that it still has."""
    whole = clip.source_start_s, clip.source_end_s
    parts = without_spans(whole, drop_s)
    if parts == (whole,):
        return [clip]
    found = []
    for start_s, end_s in parts:
        if end_s - start_s < SHORTEST_S:
            continue
        has_start, has_end = start_s == whole[0], end_s == whole[1]
        if clip.reverse:
            has_start, has_end = has_end, has_start
        found.append(
            replace(
                clip,
                source_start_s=start_s,
                source_end_s=end_s,
                fade_in_s=clip.fade_in_s if has_start else 0.0,
                fade_out_s=clip.fade_out_s if has_end else 0.0,
            )
        )
    return found[::-1] if clip.reverse else found


def _with(clips: Sequence[Clip], span: Span) -> list[Clip]:
    """Return the clips with a span that none of them plays."""
    found, (start_s, end_s) = list(clips), span
    for i, clip in enumerate(found):
        if clip.reverse or clip.rate != 1.0:
            continue
        if clip.source_end_s == start_s and not clip.fade_out_s:
            found[i] = replace(clip, source_end_s=end_s)
            return found
        if clip.source_start_s == end_s and not clip.fade_in_s:
            found[i] = replace(clip, source_start_s=start_s)
            return found
    before = [i for i, clip in enumerate(found) if clip.source_end_s <= start_s]
    found.insert(max(before, default=-1) + 1, Clip(start_s, end_s))
    return found
