"""How long a passage rings on after it is cut off: a cymbal, a held chord, the room.

What follows a cut in the source counts as ringing as long as its level falls, no new attack comes,
and it is well above what remains. Where the music simply goes on, or another sound begins, nothing
rings.

In: the samples of a source and a place. Out: a length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.join_measures import read_mono
from rl_editor.sample_readers import SampleReader
from rl_editor.units import gain_to_db, seconds_to_samples

MIN_RINGING_S, MAX_RINGING_S = 0.08, 2.5
"""Shorter ones are not worth it, longer ones fade out by then."""

_FRAME_S = 0.02
_BEFORE_S = 0.1
"""Whose level the ringing must not exceed."""
_AHEAD_S = 0.3
_MIN_AHEAD_DB = 1.5
"""What falls less in the time ahead is what remains when the ringing is over."""
_MAX_RISE_DB = 2.5
"""Within a decay; more is an attack."""
_MIN_FALL_DB_PER_S = 10.0
"""A sound that falls more slowly is held, not ringing."""
_MIN_FALL_DB = 8.0
"""Over all of the ringing; what falls less goes on."""
_AUDIBLE_DB = -60.0


def ringing_samples(reader: SampleReader, place: int) -> int:
    """Return how many samples ring on after sample `place` of a source, 0 if none do."""
    sr = reader.info.sample_rate
    frame = max(1, seconds_to_samples(_FRAME_S, sr))
    n_before, n_ahead = round(_BEFORE_S / _FRAME_S), round(_AHEAD_S / _FRAME_S)
    n_after = round(MAX_RINGING_S / _FRAME_S) + n_ahead
    n_after = min(n_after, (reader.info.n_samples - place) // frame)
    if place < n_before * frame or n_after <= n_ahead:
        return 0
    signal = read_mono(reader, place - n_before * frame, place + n_after * frame)
    power = np.square(signal, dtype=np.float64).reshape(-1, frame).mean(axis=1)
    levels_db = gain_to_db(np.sqrt(power))
    before_db, after_db = float(levels_db[:n_before].max()), levels_db[n_before:]
    n_frames = _falling_frames(before_db, after_db, n_ahead)
    has_fallen = n_frames > 0 and before_db - float(after_db[n_frames - 1]) >= _MIN_FALL_DB
    return n_frames * frame if has_fallen and n_frames * _FRAME_S >= MIN_RINGING_S else 0


def _falling_frames(before_db: float, after_db: NDArray[np.float64], n_ahead: int) -> int:
    """Return over how many of the frames [K] after a cut the level goes on falling.

    The last `n_ahead` of them only say whether those before fall.
    """
    lowest_db, n_frames = before_db, len(after_db) - n_ahead
    for k in range(n_frames):
        level_db, ahead_db = after_db[k], after_db[k + 1 : k + 1 + n_ahead]
        falling_db = before_db - _MIN_FALL_DB_PER_S * k * _FRAME_S
        is_attack = level_db > min(lowest_db, falling_db) + _MAX_RISE_DB
        is_steady = np.ptp(ahead_db) <= _MAX_RISE_DB and ahead_db.min() > level_db - _MIN_AHEAD_DB
        if is_attack or is_steady or level_db < _AUDIBLE_DB:
            return k
        lowest_db = min(lowest_db, level_db)
    return n_frames
