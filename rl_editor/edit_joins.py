"""The joins of any finished edit, measured on its sound.

Every edit is measured in the same way, whoever made it: its clips are mixed as they will be
rendered, and each place where one goes over into another is compared with the recording's own
beat changes (`join_measures`).

In: clips on a timeline, the samples of their source, its grid. Out: a `Join` for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.clip_mix import mixed_blocks
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Join, Source, timeline_length
from rl_editor.grid import BeatGrid
from rl_editor.join_measures import (
    INAUDIBLE,
    NEIGHBOURHOOD_S,
    beat_error_ms,
    is_within_limits,
    measure,
    ordinary_beat_changes,
)
from rl_editor.joins import merged_clips
from rl_editor.sample_readers import SampleReader
from rl_editor.units import samples_to_seconds, seconds_to_samples

_ANY_S = 1e-3
"""Some crossfade."""


def measured_joins(clips: Sequence[Clip], reader: SampleReader, grid: BeatGrid) -> tuple[Join, ...]:
    """Return the joins of an edit, in output order.

    Clips that continue each other in the source unchanged have none between them. The beat's
    error is that of the grid: how much later than from the left side's beats the next beat comes.

    Args:
        clips: in output order, on whole samples.
        reader: the samples of the source.
        grid: beats of the source.
    """
    joined = list(itertools.pairwise(merged_clips(clips)))
    if not joined:
        return ()
    sr = reader.info.sample_rate
    overlaps = [max(0, a.timeline_samples(sr)[1] - b.timeline_samples(sr)[0]) for a, b in joined]
    middles = [
        b.timeline_samples(sr)[0] + overlap // 2
        for (_, b), overlap in zip(joined, overlaps, strict=True)
    ]
    excerpts = _excerpts(clips, reader, np.array(middles))
    errors_ms = np.array(
        [
            beat_error_ms(a, b, samples_to_seconds(overlap, sr), grid)
            for (a, b), overlap in zip(joined, overlaps, strict=True)
        ]
    )
    measures = measure(excerpts, sr, errors_ms)
    percentiles = ordinary_beat_changes(reader, grid).percentiles(measures)
    columns = {name: getattr(measures, name) for name in INAUDIBLE}
    columns |= {f"{name}_percentile": values for name, values in percentiles.items()}
    return tuple(
        Join(
            timeline_s=samples_to_seconds(middle, sr),
            crossfade_s=samples_to_seconds(overlap, sr),
            curve=b.fade_in_curve,
            **{name: float(column[k]) for name, column in columns.items()},
            alternatives=(),
        )
        for k, (middle, overlap, (_, b)) in enumerate(zip(middles, overlaps, joined, strict=True))
    )


def stands_out(join: Join) -> bool:
    """Return whether a join is heard as one: by any of its four measures.

    Unlike `join_measures.is_within_limits`, a cut without a crossfade is no excuse.
    """
    return not is_within_limits(replace(join, crossfade_s=max(join.crossfade_s, _ANY_S)))


def _excerpts(
    clips: Sequence[Clip], reader: SampleReader, middles: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mono output around some samples of it, [K, 2 * NEIGHBOURHOOD_S * sr].

    The output is mixed block by block: an hour of it at once would take a gigabyte.
    """
    info = reader.info
    half = seconds_to_samples(NEIGHBOURHOOD_S, info.sample_rate)
    edl = EditDecisionList(
        source=Source("", "", info.sample_rate, info.channels, info.duration_s),
        duration_s=samples_to_seconds(timeline_length(clips, info.sample_rate), info.sample_rate),
        clips=tuple(clips),
        decisions=(),
        grid=EdlGrid((), (), 4, 120.0),
    )
    excerpts = np.zeros((len(middles), 2 * half), dtype=np.float32)
    start = 0
    for block in mixed_blocks(edl, reader):
        mono, stop = block.mean(axis=1), start + len(block)
        for k in np.flatnonzero((middles + half > start) & (middles - half < stop)):
            first = middles[k] - half
            low, high = max(first, start), min(first + 2 * half, stop)
            excerpts[k, low - first : high - first] = mono[low - start : high - start]
        start = stop
    return excerpts
