"""Where the edges of two clips lie once a place to join them is chosen.

In: clips with hard cuts, and a `Place` for each join. Out: the same clips with their spans moved,
crossfades, declick fades at hard edges, and their starts on the timeline, all on whole samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rl_editor.edl import Clip
from rl_editor.join_search import Place
from rl_editor.ringing import ringing_samples
from rl_editor.sample_readers import SampleReader
from rl_editor.units import samples_to_seconds

DECLICK_S = 0.004
"""Fade at an edge that meets silence or another fade."""
RINGING_CURVE = "convex"
"""Of what rings on: it dies away anyway."""


def with_end(clip: Clip, place: Place, sr: int) -> Clip:
    """Return the clip with its last edge at a place and its fade there."""
    extra = round(place.overlap // 2 * clip.rate) + place.shift + place.ringing
    start, stop = clip.source_samples(sr)
    start, stop = (start - extra, stop) if clip.reverse else (start, stop + extra)
    moved = _with_span(clip, start, stop, sr)
    if place.ringing:
        fade_s = samples_to_seconds(place.overlap + place.ringing, sr)
        return replace(moved, fade_out_s=fade_s, fade_out_curve=RINGING_CURVE)
    if place.overlap:
        return replace(moved, fade_out_s=place.overlap / sr, fade_out_curve=place.curve)
    return moved if moved.fade_out_s > 0.0 else replace(moved, fade_out_s=_declick_s(moved, sr))


def with_start(clip: Clip, place: Place, sr: int) -> Clip:
    """Return the clip with its first edge at a place and its fade there."""
    extra = round(place.overlap // 2 * clip.rate) - place.shift - place.alignment
    start, stop = clip.source_samples(sr)
    start, stop = (start, stop + extra) if clip.reverse else (start - extra, stop)
    moved = _with_span(clip, start, stop, sr)
    if place.overlap:
        return replace(moved, fade_in_s=place.overlap / sr, fade_in_curve=place.curve)
    return moved if moved.fade_in_s > 0.0 else replace(moved, fade_in_s=_declick_s(moved, sr))


def _with_span(clip: Clip, start: int, stop: int, sr: int) -> Clip:
    """Return the clip with another span of the source, its fades no longer than itself."""
    moved = replace(
        clip,
        source_start_s=samples_to_seconds(start, sr),
        source_end_s=samples_to_seconds(stop, sr),
    )
    first, last = moved.timeline_samples(sr)
    longest_s = samples_to_seconds(last - first, sr)
    return replace(
        moved,
        fade_in_s=min(clip.fade_in_s, longest_s),
        fade_out_s=min(clip.fade_out_s, longest_s),
    )


def _declick_s(clip: Clip, sr: int) -> float:
    first, last = clip.timeline_samples(sr)
    return samples_to_seconds(min(round(DECLICK_S * sr), (last - first) // 2), sr)


def keeps_time(clip: Clip) -> bool:
    """Return whether the waveform of the source is that of the output, but for filters."""
    return clip.rate == 1.0 and clip.semitones == 0.0 and not clip.reverse


def _ringing(clip: Clip, reader: SampleReader) -> int:
    return ringing_samples(reader, clip.source_samples(reader.info.sample_rate)[1])


def placed(
    clips: Sequence[Clip], places: Sequence[Place], reader: SampleReader, *, rings_on: bool = True
) -> tuple[Clip, ...]:
    """Return the clips at their places, on the timeline, with declick fades at hard edges.

    The last one rings on, where that is wanted and nothing else is done to its end.
    """
    sr, n_source = reader.info.sample_rate, reader.info.n_samples
    fitted = list(clips)
    for i, place in enumerate(places):
        fitted[i] = with_end(fitted[i], place, sr)
        fitted[i + 1] = with_start(fitted[i + 1], place, sr)
    first, last = fitted[0], fitted[-1]
    if first.fade_in_s == 0.0 and (first.reverse or first.source_samples(sr)[0] > 0):
        fitted[0] = replace(first, fade_in_s=_declick_s(first, sr))
    last = fitted[-1]
    may_ring = rings_on and keeps_time(last) and not last.fade_out_s
    n_ringing = _ringing(last, reader) if may_ring else 0
    if n_ringing:
        last = with_end(last, Place(0, 0, 0, RINGING_CURVE, n_ringing), sr)
        fitted[-1] = last
    if last.fade_out_s == 0.0 and (last.reverse or last.source_samples(sr)[1] < n_source):
        fitted[-1] = replace(last, fade_out_s=_declick_s(last, sr))
    position, overlaps = 0, [place.overlap + place.ringing for place in places]
    for i, overlap in enumerate([0, *overlaps]):
        start = position - overlap
        fitted[i] = replace(fitted[i], timeline_start_s=samples_to_seconds(start, sr))
        position = fitted[i].timeline_samples(sr)[1]
    return tuple(fitted)
