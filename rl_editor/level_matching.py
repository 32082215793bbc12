"""The same level for takes of one passage that meet at a join.

A verse is softer than its chorus on purpose. But where a join goes from one take into another one
of the same passage, both play the same notes around it, and what differs then is the distance to
the microphone or a knob that was turned. That difference goes, up to 3 dB, by the gain of whole
clips: of all that hang together by such joins the longest stays as it is.

In: clips back to back, which of their joins are such ones (`boundary_refinement.Refined`), and the
samples of the source. Out: the clips, some with another gain.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.join_measures import read_mono
from rl_editor.sample_readers import SampleReader
from rl_editor.units import gain_to_db, seconds_to_samples

MAX_GAIN_DB = 3.0
"""A larger difference is more than level: another sound, or a take that is not what it seems."""
MIN_GAIN_DB = 0.5
"""Less than that nobody hears."""
HEADROOM_DB = 0.1
"""Distance from full scale that a clip keeps when it is made louder."""

_REACH_S = 6.0
"""What is compared on each side of a join."""
_FRAME_S = 0.2
_DYNAMICS_DB = 25.0
"""Frames that are softer than the loudest by more are pauses."""
_FLOOR_DB = -70.0
_SPREAD_DB = 2.0
"""Frames of two takes whose differences of level lie that close together agree."""
_MIN_FRAMES = 12
_MIN_AGREEMENT = 0.5
"""Share of the frames that must agree: takes differ by more than level otherwise."""
_BLOCK_SAMPLES = 2**20


def matched_levels(
    clips: Sequence[Clip], goes_on: Sequence[bool], reader: SampleReader
) -> tuple[Clip, ...]:
    """Return the clips with gains that bring takes of one passage to one level.

    Args:
        clips: [K] in output order, hard cuts; those that are processed stay as they are.
        goes_on: [K - 1] whether both sides of a join are takes of one passage that meet at the
            same place of it.
        reader: the samples of the source.
    """
    sr = reader.info.sample_rate
    steps_db: list[float | None] = []
    for k, same_passage in enumerate(goes_on):
        left, right = clips[k], clips[k + 1]
        comparable = same_passage and _is_plain(left) and _is_plain(right)
        places = left.source_samples(sr)[1], right.source_samples(sr)[0]
        steps_db.append(take_difference_db(reader, *places) if comparable else None)
    result = list(clips)
    for group in _groups(steps_db):
        for k, gain_db in zip(group, _group_gains(clips, group, steps_db), strict=True):
            gain_db = min(gain_db, _headroom_db(clips[k], reader)) if gain_db > 0.0 else gain_db
            if abs(gain_db) >= MIN_GAIN_DB:
                result[k] = replace(clips[k], gain_db=clips[k].gain_db + round(gain_db, 2))
    return tuple(result)


def take_difference_db(reader: SampleReader, left: int, right: int) -> float | None:
    """Return how much louder one take is than another, in dB, or None where that is not clear.

    Around the two samples of the source both play the same passage. Each 200 ms have a difference
    of level; of the 2 dB into which most of them fall it is the median.
    """
    sr = reader.info.sample_rate
    levels_db = np.stack([_frame_levels(reader, place, sr) for place in (left, right)])
    floor_db = np.maximum(levels_db.max(axis=1, keepdims=True) - _DYNAMICS_DB, _FLOOR_DB)
    heard = (levels_db > floor_db).all(axis=0)
    differences = np.sort((levels_db[0] - levels_db[1])[heard])
    if len(differences) < _MIN_FRAMES:
        return None
    ends = np.searchsorted(differences, differences + _SPREAD_DB, side="right")
    first = int(np.argmax(ends - np.arange(len(ends))))
    agreeing = differences[first : ends[first]]
    if len(agreeing) < max(_MIN_FRAMES, _MIN_AGREEMENT * len(differences)):
        return None
    return float(np.median(agreeing))


def _frame_levels(reader: SampleReader, place: int, sr: int) -> NDArray[np.float64]:
    """Return the levels [60] in dB of the frames around a sample; the floor outside the source."""
    n_frame, n_side = seconds_to_samples(_FRAME_S, sr), round(_REACH_S / _FRAME_S)
    signal = read_mono(reader, place - n_side * n_frame, place + n_side * n_frame)
    power = np.square(signal, dtype=np.float64).reshape(2 * n_side, -1).mean(axis=1)
    return np.asarray(gain_to_db(np.sqrt(power)))


def _is_plain(clip: Clip) -> bool:
    """Return whether a clip plays the source as it is."""
    plain = Clip(clip.source_start_s, clip.source_end_s, clip.timeline_start_s)
    return clip == plain


def _groups(steps_db: Sequence[float | None]) -> list[range]:
    """Return the clips, of [K - 1] steps between them, that hang together by known steps."""
    breaks = [k + 1 for k, step_db in enumerate(steps_db) if step_db is None]
    edges = [0, *breaks, len(steps_db) + 1]
    groups = [range(start, stop) for start, stop in itertools.pairwise(edges)]
    return [group for group in groups if len(group) > 1]


def _group_gains(
    clips: Sequence[Clip], group: range, steps_db: Sequence[float | None]
) -> list[float]:
    """Return the gain of each clip of a group in dB; its longest one has none."""
    gains_db = [0.0]
    for k in group[:-1]:
        gains_db.append(gains_db[-1] + (steps_db[k] or 0.0))
    lengths_s = [clips[k].source_end_s - clips[k].source_start_s for k in group]
    longest_db = gains_db[int(np.argmax(lengths_s))]
    return [float(np.clip(g - longest_db, -MAX_GAIN_DB, MAX_GAIN_DB)) for g in gains_db]


def _headroom_db(clip: Clip, reader: SampleReader) -> float:
    """Return by how much a clip can be made louder before it clips, in dB, at least 0."""
    start, stop = clip.source_samples(reader.info.sample_rate)
    peak = max(
        float(np.abs(reader.read(at, min(at + _BLOCK_SAMPLES, stop))).max(initial=0.0))
        for at in range(start, stop, _BLOCK_SAMPLES)
    )
    return max(0.0, -HEADROOM_DB - float(gain_to_db(peak)))
