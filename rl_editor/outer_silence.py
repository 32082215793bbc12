"""Silence before the first sound of an edit and after its last one goes.

A policy decides by beats and may keep a few seconds of an empty room at either end, which nobody
wants in a track. Where an edit changes anything, its outer ends are where its sound begins and
ends; a finished track that stays whole keeps its own silence.

In: clips, the recording. Out: the clips, the first and last of which may be shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import AudioReader
from rl_editor.edl import Clip

FRAME_S = 0.02
LEAD_S = 0.1
"""Silence that stays before the first sound."""
TAIL_S = 0.5
"""Silence that stays after the last one: what still rings is below the threshold by then."""
PROBES = 400
"""Frames, evenly over the recording, that tell how loud its music and its pauses are."""
ABOVE_FLOOR_DB, BELOW_MUSIC_DB, LEAST_DB = 6.0, 45.0, -80.0
"""What is silent: less than this above the pauses, and this below the music (whatever the room is
like); digital silence has some dither."""
MOST_S = 60.0
"""Longest silence that is looked for at an end."""
BLOCK_S = 1.0


def without_outer_silence(
    clips: Sequence[Clip], goes_on: Sequence[bool], reader: AudioReader
) -> tuple[tuple[Clip, ...], tuple[bool, ...]]:
    """Return an edit without silence at the beginning and at the end: its clips and `goes_on`.

    Clips at the ends that are silent throughout are left out, unless no other is left.

    Args:
        clips: [K] in output order; ends that are processed or reversed stay as they are.
        goes_on: [K - 1] something about each join.
        reader: of the recording.
    """
    total_s = reader.info.n_samples / reader.info.sample_rate
    left, joins = list(clips), list(goes_on)
    if not left or (len(left) == 1 and _length_s(left[0]) >= total_s - FRAME_S):
        return tuple(left), tuple(joins)
    limit_db = silence_limit_db(reader)
    while len(left) > 1 and _is_silent(reader, left[0], limit_db):
        del left[0], joins[0]
    while len(left) > 1 and _is_silent(reader, left[-1], limit_db):
        del left[-1], joins[-1]
    if _is_plain(left[0]):
        lead_s = _silent_s(reader, left[0], limit_db, from_end=False) - LEAD_S
        start_s = left[0].source_start_s + max(0.0, lead_s)
        left[0] = replace(left[0], source_start_s=start_s)
    if _is_plain(left[-1]):
        tail_s = _silent_s(reader, left[-1], limit_db, from_end=True) - TAIL_S
        left[-1] = replace(left[-1], source_end_s=left[-1].source_end_s - max(0.0, tail_s))
    return tuple(left), tuple(joins)


def silence_limit_db(reader: AudioReader) -> float:
    """Return the level below which a frame of `FRAME_S` counts as silent, dB of full scale."""
    n_samples, n = reader.info.n_samples, _frame(reader)
    starts = np.unique(np.linspace(0, max(0, n_samples - n), PROBES).astype(int))
    levels = [
        _levels_db(reader.read(start, min(start + n, n_samples)), n)[0] for start in starts.tolist()
    ]
    pauses_db, music_db = np.percentile(levels, [5, 90])
    return max(LEAST_DB, min(pauses_db + ABOVE_FLOOR_DB, music_db - BELOW_MUSIC_DB))


def _is_plain(clip: Clip) -> bool:
    return clip.rate == 1.0 and not clip.reverse and clip.reverb == 0.0


def _length_s(clip: Clip) -> float:
    return clip.source_end_s - clip.source_start_s


def _frame(reader: AudioReader) -> int:
    return max(1, round(FRAME_S * reader.info.sample_rate))


def _levels_db(block: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    """Return the level of each frame of `n` samples of a block [S, C], the last one shorter."""
    power = np.square(block, dtype=np.float64).mean(axis=1)
    starts = np.arange(0, len(power), n)
    sums = np.add.reduceat(power, starts) / np.diff(np.append(starts, len(power)))
    return np.asarray(10.0 * np.log10(np.maximum(sums, 1e-20)))


def _silent_s(reader: AudioReader, clip: Clip, limit_db: float, from_end: bool) -> float:
    """Return how much of a clip at its start or its end is silent.

    0 where nothing is heard in `MOST_S`, or in all of the clip.
    """
    sr, n = reader.info.sample_rate, _frame(reader)
    start, stop = clip.source_samples(sr)
    stop = min(stop, reader.info.n_samples)
    block = max(n, round(BLOCK_S * sr) // n * n)
    for passed in range(0, min(stop - start, round(MOST_S * sr)), block):
        length = min(block, stop - start - passed)
        first = stop - passed - length if from_end else start + passed
        levels = _levels_db(reader.read(first, first + length), n)
        loud = np.flatnonzero((levels[::-1] if from_end else levels) >= limit_db)
        if len(loud):
            return (passed + int(loud[0]) * n) / sr
    return 0.0


def _is_silent(reader: AudioReader, clip: Clip, limit_db: float) -> bool:
    """Return whether nothing is heard in a clip of up to `MOST_S`."""
    start, stop = clip.source_samples(reader.info.sample_rate)
    stop = min(stop, reader.info.n_samples)
    if not _is_plain(clip) or not 0 < stop - start <= round(MOST_S * reader.info.sample_rate):
        return False
    return bool(_levels_db(reader.read(start, stop), _frame(reader)).max() < limit_db)
