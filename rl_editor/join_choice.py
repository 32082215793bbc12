"""Which of the places where two clips can meet is heard least.

`join_search` proposes places by how well the waveforms continue each other; each is also tried with
the beat exactly where it belongs. All are measured as they will sound. Of those within the limits
that one counts which stands out least among the recording's own beat changes and is near its beat.

In: two clips that meet, with hard cuts, and the samples of their source. Out: a `Place` and its
measured `Join`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.clip_edges import keeps_time, with_end, with_start
from rl_editor.edl import MAX_ALTERNATIVES, Clip, Join, JoinAlternative
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
    read_mono,
)
from rl_editor.join_search import APART_S, Place, Room, best_places, crossfaded, window_reach
from rl_editor.ringing import ringing_samples
from rl_editor.sample_readers import NearbyReader, SampleReader
from rl_editor.units import samples_to_seconds, seconds_to_samples

STILL_CROSSFADE_S = 0.02
"""Crossfade where the cut stays on its beat."""
PLAIN_CROSSFADE_S = 0.01
"""What is tried on the cut itself, as it was decided."""
MIN_CROSSFADE_S = 0.003
"""What does not leave room for this much overlap is not crossfaded but declicked."""
MAX_ALIGNMENT_S = 0.06
"""By which the output may become longer or shorter at a join, so that its beat goes on."""
CLIP_MARGIN_S = 0.08
"""What stays of a short clip beside the middle when both of its ends move inwards."""
MAX_PLACED_SHIFT_S = 0.02
"""Movement of a cut that does not lie on its beat."""
NEARBY_S = 1.5
"""Around both edges, within which nearly all that is measured lies."""
N_PLACES = 16
"""Places to try for each join."""
ORDINARY_PERCENTILE = 50.0
"""What is smoother than that is not worth moving for."""
SHIFT_COST_PER_S = 50.0
"""Percentiles, in the mean of the four measures, that a movement away from the beat must gain."""
INAUDIBLE_WEIGHT = 0.5
"""Of a measure of which nothing can be heard, against one that can."""
UNLIKE_COST = 5.0
"""The same, for a place where the waveforms of the two sides do not go together."""


@dataclass(frozen=True)
class JoinChoice:
    """Chooses the joins of one recording.

    Attributes:
        reader: the samples of the source.
        grid: beats of the source.
        ordinary: measures at the recording's own beat changes.
    """

    reader: SampleReader
    grid: BeatGrid
    ordinary: Reference

    def best(self, left: Clip, right: Clip, is_on_time: bool) -> tuple[Place, Join]:
        """Return where two clips meet best, and the join there; its `timeline_s` is not known yet.

        Args:
            left, right: clips with hard cuts.
            is_on_time: they are known to go on in time, whatever the grid says.
        """
        offset_s = 0.0 if is_on_time else self._beat_offset(left, right)
        places = self._candidates(left, right, offset_s)
        joins = self._measured(left, right, places, offset_s)
        ranked = sorted(range(len(places)), key=lambda k: self._cost(places[k], joins[k]))
        place = places[ranked[0]]
        join = replace(
            joins[ranked[0]],
            alternatives=self._alternatives(left, right, [(places[k], joins[k]) for k in ranked]),
        )
        ringing = self._ringing(left, right, place)
        if ringing is not None:
            rung = self._measured(left, right, [ringing], offset_s)[0]
            rung = replace(rung, alternatives=join.alternatives)
            if is_within_limits(rung) or not is_within_limits(join):
                return ringing, rung
        return place, join

    def _alternatives(
        self, left: Clip, right: Clip, ranked: Sequence[tuple[Place, Join]]
    ) -> tuple[JoinAlternative, ...]:
        """Return what could be chosen in place of the first: other places, or other laws there."""
        sr = self.reader.info.sample_rate
        known, found = [ranked[0][0]], []
        for place, join in ranked[1:]:
            if any(_is_same(place, other, APART_S * sr) for other in known):
                continue
            known.append(place)
            end, start = left.source_samples(sr)[1], right.source_samples(sr)[0]
            half = place.overlap // 2
            percentiles = {
                f"{name}_percentile": getattr(join, f"{name}_percentile") for name in INAUDIBLE
            }
            found.append(
                JoinAlternative(
                    left_end_s=samples_to_seconds(end + place.shift + half, sr),
                    right_start_s=samples_to_seconds(
                        start + place.shift + place.alignment - half, sr
                    ),
                    crossfade_s=join.crossfade_s,
                    curve=join.curve,
                    **percentiles,
                )
            )
        return tuple(found[:MAX_ALTERNATIVES])

    def as_it_is(self, left: Clip, right: Clip, is_on_time: bool) -> tuple[Place, Join]:
        """Return the place and the join of two clips whose cut must not move."""
        overlap = round(PLAIN_CROSSFADE_S * self.reader.info.sample_rate) // 2 * 2
        if left.fade_out_s > 0.0 or right.fade_in_s > 0.0:
            overlap = 0
        plain = Place(0, 0, overlap, "equal_power")
        place = self._with_possible_overlap(left, right, plain)
        return place, self.at(left, right, place, is_on_time)

    def _ringing(self, left: Clip, right: Clip, place: Place) -> Place | None:
        """Return the place with the left side ringing on under the right one, if it does."""
        sr = self.reader.info.sample_rate
        if not place.overlap or not keeps_time(left):
            return None
        stop = left.source_samples(sr)[1] + place.shift + place.overlap // 2
        first, last = right.timeline_samples(sr)
        n_samples = min(ringing_samples(self.reader, stop), (last - first) // 2)
        return replace(place, ringing=n_samples) if n_samples else None

    def at(self, left: Clip, right: Clip, place: Place, is_on_time: bool) -> Join:
        """Return the join of two clips at a place that is given."""
        offset_s = 0.0 if is_on_time else self._beat_offset(left, right)
        return self._measured(left, right, [place], offset_s)[0]

    def _cost(self, place: Place, join: Join) -> tuple[float, float]:
        """Return what a place costs: first how far it is beyond the limits, then how it sounds.

        What is too small to be heard counts less, whatever its percentile.
        """
        percentiles = np.array([getattr(join, f"{name}_percentile") for name in INAUDIBLE])
        sizes = [abs(getattr(join, name)) / size for name, size in INAUDIBLE.items()]
        beyond = 0.0 if is_within_limits(join) else float(percentiles.max())
        weighed = percentiles * np.interp(sizes, (0.0, 1.0), (INAUDIBLE_WEIGHT, 1.0))
        heard = np.mean(np.maximum(weighed, ORDINARY_PERCENTILE))
        shift_s = abs(place.shift) / self.reader.info.sample_rate
        is_unlike = place.curve == "equal_power"
        return beyond, float(heard) + SHIFT_COST_PER_S * shift_s + UNLIKE_COST * is_unlike

    def _measured(
        self, left: Clip, right: Clip, places: Sequence[Place], offset_s: float
    ) -> list[Join]:
        """Return the join of a pair at each place."""
        sr = self.reader.info.sample_rate
        edges = [left.source_samples(sr)[not left.reverse], right.source_samples(sr)[right.reverse]]
        nearby = NearbyReader(self.reader, edges, seconds_to_samples(NEARBY_S, sr))
        excerpts = np.array([_excerpt(left, right, place, nearby) for place in places])
        error_ms = [1000.0 * (offset_s - place.alignment / sr) for place in places]
        measures = measure(excerpts, sr, np.array(error_ms))
        columns: dict[str, NDArray[np.float64]] = {}
        for name, percentile in self.ordinary.percentiles(measures).items():
            columns |= {name: getattr(measures, name), f"{name}_percentile": percentile}
        return [
            Join(
                0.0,
                place.overlap / sr,
                place.curve,
                **{name: float(column[k]) for name, column in columns.items()},
                alternatives=(),
            )
            for k, place in enumerate(places)
        ]

    def _beat_offset(self, left: Clip, right: Clip) -> float:
        """Return how much too late the beat after a cut would come, in s of the output.

        Beside the beat the grid says it, since there is no onset to measure.
        """
        if left.reverse or right.reverse:
            return 0.0
        if not self._is_on_beats(left, right):
            return float(beat_error_ms(left, right, 0.0, self.grid)) / 1000.0
        times_s = np.array([left.source_end_s, right.source_start_s])
        before_s, after_s = beat_offsets(self.reader, times_s) / [left.rate, right.rate]
        return float(offset_between(np.array([before_s]), np.array([after_s]))[0])

    def _is_on_beats(self, left: Clip, right: Clip) -> bool:
        """Return whether both sides of a join were cut on beats."""
        times_s = np.array([left.source_end_s, right.source_start_s])
        return bool(np.all(np.abs(times_s[:, None] - self.grid.edges_s).min(axis=1) < 1e-3))

    def _candidates(self, left: Clip, right: Clip, offset_s: float) -> list[Place]:
        """Return the places to try, those where the waveforms go on best first."""
        sr = self.reader.info.sample_rate
        if left.fade_out_s > 0.0 or right.fade_in_s > 0.0:
            return [Place(0, 0, 0, "linear")]
        keep_time = keeps_time(left) and keeps_time(right)
        if not keep_time or left.source_end_s == right.source_start_s:
            overlap = round(STILL_CROSSFADE_S * sr) // 2 * 2
            places = [Place(0, 0, overlap, "linear" if keep_time else "equal_power")]
        else:
            room = self._room(left, right, offset_s)
            reach = window_reach(room, sr)
            before, after = (
                read_mono(self.reader, cut - reach, cut + reach)
                for cut in (left.source_samples(sr)[1], right.source_samples(sr)[0])
            )
            found = best_places(before, after, sr, room, N_PLACES)
            overlap = round(PLAIN_CROSSFADE_S * sr) // 2 * 2
            plain = Place(0, 0, overlap, "equal_power")
            others = [replace(p, alignment=room.onset_alignment) for p in (*found, plain)]
            tried = [crossfaded(before, after, sr, place) for place in (plain, *others)]
            places = list(dict.fromkeys([*found, *tried]))
        return [self._with_possible_overlap(left, right, place) for place in places]

    def _room(self, left: Clip, right: Clip, offset_s: float) -> Room:
        """Return how far the cut may move: half a beat, half of either clip, in the source."""
        sr, n_source = self.reader.info.sample_rate, self.reader.info.n_samples
        (left_start, left_stop), (right_start, right_stop) = (
            clip.source_samples(sr) for clip in (left, right)
        )
        before = self.grid.beat_at(left.source_end_s - 1e-3)
        after = self.grid.beat_at(right.source_start_s)
        lengths_s = self.grid.durations_s
        half_beat = round(0.5 * sr * float(min(lengths_s[before], lengths_s[after])))
        if not self._is_on_beats(left, right):
            half_beat = round(MAX_PLACED_SHIFT_S * sr)
        margin, edge = round(CLIP_MARGIN_S * sr), round(MIN_CROSSFADE_S * sr)
        max_alignment = round(MAX_ALIGNMENT_S * sr)
        shift_min = -min(half_beat, max(0, (left_stop - left_start) // 2 - margin))
        shift_max = min(half_beat, max(0, (right_stop - right_start) // 2 - margin))
        shift_min = max(shift_min, edge + max_alignment - right_start)
        shift_max = min(shift_max, n_source - left_stop - edge)
        if shift_min > shift_max:
            shift_min = shift_max = 0
        alignment = min(max(round(offset_s * sr), -max_alignment), max_alignment)
        return Room(shift_min, shift_max, half_beat, alignment, max_alignment)

    def _with_possible_overlap(self, left: Clip, right: Clip, place: Place) -> Place:
        """Return the place with no more overlap than the source and a quarter of a clip allow."""
        sr, n_source = self.reader.info.sample_rate, self.reader.info.n_samples
        shift = place.shift
        left_start, left_stop = left.source_samples(sr)
        right_start, right_stop = right.source_samples(sr)
        right_edge = right_start + shift + place.alignment
        beyond_left = left_start if left.reverse else n_source - left_stop - shift
        beyond_right = n_source - right_stop if right.reverse else right_edge
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


def _is_same(place: Place, other: Place, apart: float) -> bool:
    """Return whether two places differ by less than `apart` samples, and not in their law."""
    return abs(place.shift - other.shift) < apart and place.curve == other.curve


def _excerpt(left: Clip, right: Clip, place: Place, reader: SampleReader) -> NDArray[np.float64]:
    """Return the mono sound around a join as it will be rendered, the join in its middle."""
    sr = reader.info.sample_rate
    reach, half = seconds_to_samples(NEIGHBOURHOOD_S, sr), place.overlap // 2
    left, right = with_end(left, place, sr), with_start(right, place, sr)
    result = np.zeros(2 * reach)
    n_left = reach + half + place.ringing
    result[: min(n_left, 2 * reach)] = _heard(left, reader, n_left, at_end=True)[: 2 * reach]
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
