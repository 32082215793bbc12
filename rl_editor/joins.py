"""Where exactly, and how, each clip goes over into the next.

In: clips with hard cuts, back to back, and the samples of their source. Out: clips with
crossfades on whole samples, and a measured `Join` for each place where the source is left.

Where two passages at their own speed meet, the cut moves, on both sides alike, to where they
continue each other best (`join_search`), so the output's length and the beat change by no more
than the fine alignment. Where both sides are the same stretch of source with different
processing, or one is stretched, shifted in pitch or reversed, the cut stays and is crossfaded.
A cut beside its beat was put where the sound changes (`boundary_refinement`): it moves by 20 ms
at most.
Fades that the editor asked for stay; a hard edge into silence gets a short declick fade.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip, Join, back_to_back
from rl_editor.effects import clip_envelope, transform
from rl_editor.grid import BeatGrid
from rl_editor.join_measures import (
    INAUDIBLE,
    NEIGHBOURHOOD_S,
    Reference,
    beat_error_ms,
    beat_offsets,
    is_within_limits,
    measure,
    offset_between,
    ordinary_beat_changes,
    read_mono,
)
from rl_editor.join_search import Place, Room, best_places, window_reach
from rl_editor.sample_readers import SampleReader
from rl_editor.units import samples_to_seconds, seconds_to_samples

DECLICK_S = 0.004
"""Fade at an edge that meets silence or another fade."""
STILL_CROSSFADE_S = 0.02
"""Crossfade where the cut stays on its beat."""
MIN_CROSSFADE_S = 0.003
"""What does not leave room for this much overlap is not crossfaded but declicked."""
MAX_ALIGNMENT_S = 0.02
CLIP_MARGIN_S = 0.08
"""What stays of a short clip beside the middle when both of its ends move inwards."""
MAX_PLACED_SHIFT_S = 0.02
"""Movement of a cut that does not lie on its beat."""
N_PLACES = 3
"""Places to try for each join."""


@dataclass(frozen=True)
class JoinResult:
    """Clips that are ready to render, and how they meet.

    Attributes:
        clips: in output order, with crossfades.
        joins: one for each place where a clip goes over into another, in output order;
            `join_measures.is_within_limits` tells which stand out.
    """

    clips: tuple[Clip, ...]
    joins: tuple[Join, ...]


def fit_joins(
    clips: Sequence[Clip],
    reader: SampleReader,
    grid: BeatGrid,
    goes_on: Sequence[bool] | None = None,
) -> JoinResult:
    """Return the clips with fitted, measured joins.

    The output's length changes by the alignments, 20 ms at most for each join.

    Args:
        clips: in output order; hard cuts, back to back.
        reader: the samples of the source.
        grid: beats of the source.
        goes_on: for each join whether its sides are known to be takes of one passage that meet
            at the same place of it, so that the beat holds whatever the grid says; then no clip
            continues the one before.
    """
    sr = reader.info.sample_rate
    merged = merged_clips(back_to_back(clips, sr))
    if not merged:
        return JoinResult((), ())
    pairs = list(itertools.pairwise(merged))
    on_time = np.zeros(len(pairs), dtype=bool) if goes_on is None else np.array(goes_on, dtype=bool)
    chosen = _chosen_joins(pairs, reader, grid, on_time) if pairs else []
    places = [place for place, _ in chosen]
    fitted = _placed(merged, places, reader)
    n_halves = [place.overlap // 2 for place in places]
    joins = tuple(
        replace(join, timeline_s=clip.timeline_start_s + samples_to_seconds(n_half, sr))
        for (_, join), clip, n_half in zip(chosen, fitted[1:], n_halves, strict=True)
    )
    return JoinResult(fitted, joins)


def merged_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips with those in one that continue each other in the source unchanged."""
    merged: list[Clip] = []
    for clip in clips:
        before = merged[-1] if merged else None
        if before is not None and _continues(before, clip):
            merged[-1] = replace(
                before,
                source_end_s=clip.source_end_s,
                fade_out_s=clip.fade_out_s,
                fade_out_curve=clip.fade_out_curve,
            )
        else:
            merged.append(clip)
    return merged


def _continues(before: Clip, clip: Clip) -> bool:
    return (
        before.source_end_s == clip.source_start_s
        and before.fade_out_s == clip.fade_in_s == 0.0
        and not clip.reverse
        and _processing(before) == _processing(clip)
    )


def _processing(clip: Clip) -> Clip:
    """Return a clip with the same processing and nothing else of its own."""
    return replace(
        clip,
        source_start_s=0.0,
        source_end_s=0.0,
        timeline_start_s=0.0,
        fade_in_s=0.0,
        fade_out_s=0.0,
        fade_in_curve="linear",
        fade_out_curve="linear",
    )


def _keeps_time(clip: Clip) -> bool:
    """Return whether the waveform of the source is that of the output, but for filters."""
    return clip.rate == 1.0 and clip.semitones == 0.0 and not clip.reverse


def _chosen_joins(
    pairs: Sequence[tuple[Clip, Clip]],
    reader: SampleReader,
    grid: BeatGrid,
    on_time: NDArray[np.bool_],
) -> list[tuple[Place, Join]]:
    """Return for each pair the first place within the limits, else the least conspicuous one.

    One pair after the other: the excerpts of 300 joins at once took half a gigabyte.
    """
    ordinary = ordinary_beat_changes(reader, grid)
    chosen: list[tuple[Place, Join]] = []
    offsets_s = np.where(on_time, 0.0, _beat_offsets(pairs, reader, grid))
    for pair, offset_s in zip(pairs, offsets_s.tolist(), strict=True):
        places = _candidates(*pair, reader, grid, offset_s)
        joins = _measured(pair, places, reader, ordinary, offset_s)
        chosen.append(min(zip(places, joins, strict=True), key=lambda tried: _excess(tried[1])))
    return chosen


def _measured(
    pair: tuple[Clip, Clip],
    places: Sequence[Place],
    reader: SampleReader,
    ordinary: Reference,
    offset_s: float,
) -> list[Join]:
    """Return the join of a pair at each place; its time on the timeline is not known yet."""
    sr = reader.info.sample_rate
    excerpts = np.array([_excerpt(*pair, place, reader) for place in places])
    error_ms = [1000.0 * (offset_s - place.alignment / sr) for place in places]
    measures = measure(excerpts, sr, np.array(error_ms))
    columns: dict[str, NDArray[np.float64]] = {}
    for name, percentile in ordinary.percentiles(measures).items():
        columns |= {name: getattr(measures, name), f"{name}_percentile": percentile}
    return [
        Join(0.0, place.overlap / sr, place.curve, **{n: float(c[k]) for n, c in columns.items()})
        for k, place in enumerate(places)
    ]


def _excess(join: Join) -> float:
    """Return 0 for a join within the limits, else its highest percentile."""
    if is_within_limits(join):
        return 0.0
    return max(getattr(join, f"{name}_percentile") for name in INAUDIBLE)


def _beat_offsets(
    pairs: Sequence[tuple[Clip, Clip]], reader: SampleReader, grid: BeatGrid
) -> NDArray[np.float64]:
    """Return how much too late the beat after each cut would come, in s of the output.

    Beside the beat the grid says it, since there is no onset to measure.
    """
    on_beat = np.array([_is_on_beats(left, right, grid) for left, right in pairs])
    by_grid_s = np.array([beat_error_ms(left, right, 0.0, grid) for left, right in pairs]) / 1000.0
    before_s = beat_offsets(reader, np.array([left.source_end_s for left, _ in pairs]))
    after_s = beat_offsets(reader, np.array([right.source_start_s for _, right in pairs]))
    backwards = np.array([left.reverse or right.reverse for left, right in pairs])
    rates = np.array([(left.rate, right.rate) for left, right in pairs])
    offsets_s = offset_between(before_s / rates[:, 0], after_s / rates[:, 1])
    return np.where(backwards, 0.0, np.where(on_beat, offsets_s, by_grid_s))


def _is_on_beats(left: Clip, right: Clip, grid: BeatGrid) -> bool:
    """Return whether both sides of a join were cut on beats."""
    times_s = np.array([left.source_end_s, right.source_start_s])
    return bool(np.all(np.abs(times_s[:, None] - grid.edges_s).min(axis=1) < 1e-3))


def _candidates(
    left: Clip, right: Clip, reader: SampleReader, grid: BeatGrid, offset_s: float
) -> list[Place]:
    """Return the places to try, best first."""
    sr = reader.info.sample_rate
    if left.fade_out_s > 0.0 or right.fade_in_s > 0.0:
        return [Place(0, 0, 0, "linear")]
    keep_time = _keeps_time(left) and _keeps_time(right)
    if not keep_time or left.source_end_s == right.source_start_s:
        overlap = round(STILL_CROSSFADE_S * sr) // 2 * 2
        places = [Place(0, 0, overlap, "linear" if keep_time else "equal_power")]
    else:
        room = _room(left, right, reader, grid, offset_s)
        reach = window_reach(room, sr)
        before, after = (
            read_mono(reader, cut - reach, cut + reach)
            for cut in (left.source_samples(sr)[1], right.source_samples(sr)[0])
        )
        places = best_places(before, after, sr, room, N_PLACES)
    return [_with_possible_overlap(left, right, place, reader) for place in places]


def _room(left: Clip, right: Clip, reader: SampleReader, grid: BeatGrid, offset_s: float) -> Room:
    """Return how far the cut may move: half a beat, half of either clip, inside the source."""
    sr, n_source = reader.info.sample_rate, reader.info.n_samples
    (left_start, left_stop), (right_start, right_stop) = (
        clip.source_samples(sr) for clip in (left, right)
    )
    before, after = grid.beat_at(left.source_end_s - 1e-3), grid.beat_at(right.source_start_s)
    half_beat = round(0.5 * sr * float(min(grid.durations_s[before], grid.durations_s[after])))
    if not _is_on_beats(left, right, grid):
        half_beat = round(MAX_PLACED_SHIFT_S * sr)
    margin, edge = round(CLIP_MARGIN_S * sr), round(MIN_CROSSFADE_S * sr)
    max_alignment = round(MAX_ALIGNMENT_S * sr)
    shift_min = -min(half_beat, max(0, (left_stop - left_start) // 2 - margin))
    shift_max = min(half_beat, max(0, (right_stop - right_start) // 2 - margin))
    shift_min = max(shift_min, edge + max_alignment - right_start)
    shift_max = min(shift_max, n_source - left_stop - edge)
    if shift_min > shift_max:
        shift_min = shift_max = 0
    alignment = round(offset_s * sr)
    alignment = min(max(alignment, -max_alignment), max_alignment)
    return Room(shift_min, shift_max, half_beat, alignment, max_alignment)


def _with_possible_overlap(left: Clip, right: Clip, place: Place, reader: SampleReader) -> Place:
    """Return the place with no more overlap than the source and a quarter of either clip allow."""
    sr, n_source = reader.info.sample_rate, reader.info.n_samples
    shift = place.shift
    left_start, left_stop = left.source_samples(sr)
    right_start, right_stop = right.source_samples(sr)
    beyond_left = left_start if left.reverse else n_source - left_stop - shift
    beyond_right = n_source - right_stop if right.reverse else right_start + shift + place.alignment
    possible = min(
        2 * int(beyond_left / left.rate),
        2 * int(beyond_right / right.rate),
        int((left_stop + shift - left_start) / left.rate) // 4,
        int((right_stop - right_start - shift) / right.rate) // 4,
    )
    if possible < MIN_CROSSFADE_S * sr:
        alignment = max(place.alignment, -right_start - shift)
        return Place(shift, alignment, 0, "linear")
    return replace(place, overlap=min(place.overlap, possible) // 2 * 2)


def _with_end(clip: Clip, place: Place, sr: int) -> Clip:
    """Return the clip with its last edge at a place and its fade there."""
    extra = round(place.overlap // 2 * clip.rate) + place.shift
    start, stop = clip.source_samples(sr)
    start, stop = (start - extra, stop) if clip.reverse else (start, stop + extra)
    moved = _with_span(clip, start, stop, sr)
    if place.overlap:
        return replace(moved, fade_out_s=place.overlap / sr, fade_out_curve=place.curve)
    return moved if moved.fade_out_s > 0.0 else replace(moved, fade_out_s=_declick_s(moved, sr))


def _with_start(clip: Clip, place: Place, sr: int) -> Clip:
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


def _excerpt(left: Clip, right: Clip, place: Place, reader: SampleReader) -> NDArray[np.float64]:
    """Return the mono sound around a join as it will be rendered, the join in its middle."""
    sr = reader.info.sample_rate
    reach, half = seconds_to_samples(NEIGHBOURHOOD_S, sr), place.overlap // 2
    left, right = _with_end(left, place, sr), _with_start(right, place, sr)
    result = np.zeros(2 * reach)
    result[: reach + half] = _heard(left, reader, reach + half, at_end=True)
    result[reach - half :] += _heard(right, reader, reach + half, at_end=False)
    return result


def _heard(clip: Clip, reader: SampleReader, n_samples: int, at_end: bool) -> NDArray[np.floating]:
    """Return the mono output [n_samples] of a clip at its end or start.

    If the clip is shorter than that, it goes on in the source.
    """
    sr = reader.info.sample_rate
    start, stop = clip.source_samples(sr)
    n_source = round(n_samples * clip.rate)
    if at_end != clip.reverse:
        start = stop - n_source
    else:
        stop = start + n_source
    audio = transform(read_mono(reader, start, stop)[:, None], clip, sr)[:n_samples]
    audio = np.pad(audio, ((0, n_samples - len(audio)), (0, 0)))
    clip = replace(clip, fade_in_s=0.0) if at_end else replace(clip, fade_out_s=0.0)
    envelope = clip_envelope(clip, sr, n_samples, 0, n_samples)
    return audio[:, 0] if envelope is None else audio[:, 0] * envelope


def _placed(
    clips: Sequence[Clip], places: Sequence[Place], reader: SampleReader
) -> tuple[Clip, ...]:
    """Return the clips at their places, on the timeline, with declick fades at hard edges."""
    sr, n_source = reader.info.sample_rate, reader.info.n_samples
    fitted = list(clips)
    for i, place in enumerate(places):
        fitted[i] = _with_end(fitted[i], place, sr)
        fitted[i + 1] = _with_start(fitted[i + 1], place, sr)
    first, last = fitted[0], fitted[-1]
    if first.fade_in_s == 0.0 and (first.reverse or first.source_samples(sr)[0] > 0):
        fitted[0] = replace(first, fade_in_s=_declick_s(first, sr))
    last = fitted[-1]
    if last.fade_out_s == 0.0 and (last.reverse or last.source_samples(sr)[1] < n_source):
        fitted[-1] = replace(last, fade_out_s=_declick_s(last, sr))
    position, overlaps = 0, [place.overlap for place in places]
    for i, overlap in enumerate([0, *overlaps]):
        start = position - overlap
        fitted[i] = replace(fitted[i], timeline_start_s=samples_to_seconds(start, sr))
        position = fitted[i].timeline_samples(sr)[1]
    return tuple(fitted)
