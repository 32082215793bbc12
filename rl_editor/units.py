"""Every conversion of units in the project: time, level and pitch.

All functions take and return Python floats or NumPy arrays of the same shape.
"""

from __future__ import annotations

import math
import re
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:\.\d*)?)", re.ASCII)
"""Seconds, alone or after minutes, these alone or after hours."""

SILENCE_DB = -120.0
"""Level that stands for digital silence, in dB; below the noise floor of 16-bit audio."""


@overload
def seconds_to_samples(time_s: float, sample_rate: int) -> int: ...
@overload
def seconds_to_samples(time_s: NDArray[np.floating], sample_rate: int) -> NDArray[np.int64]: ...
def seconds_to_samples(time_s, sample_rate):
    """Return the nearest sample index of `time_s`."""
    if isinstance(time_s, np.ndarray):
        return np.rint(time_s * sample_rate).astype(np.int64)
    return round(float(time_s) * sample_rate)


def samples_to_seconds(samples, sample_rate: int):
    """Return the time of a sample index in seconds; inverse of `seconds_to_samples`."""
    return samples / sample_rate


def seconds_to_frames(time_s: ArrayLike, hop_length: int, sample_rate: int) -> NDArray[np.int64]:
    """Return the index of the analysis frame nearest to each time."""
    return np.rint(np.asarray(time_s, dtype=np.float64) * sample_rate / hop_length).astype(np.int64)


def db_to_gain(level_db):
    """Return the amplitude factor of a level in dB: 6.02 dB is 2.0."""
    return 10.0 ** (level_db / 20.0)


def gain_to_db(gain: ArrayLike) -> NDArray[np.float64]:
    """Return the level in dB of an amplitude, floored at `SILENCE_DB`."""
    floor = 10.0 ** (SILENCE_DB / 20.0)
    return 20.0 * np.log10(np.maximum(np.abs(np.asarray(gain, dtype=np.float64)), floor))


def semitones_to_ratio(semitones):
    """Return the frequency ratio of a pitch shift: 12 semitones are 2.0."""
    return 2.0 ** (semitones / 12.0)


def ratio_to_semitones(ratio: float) -> float:
    """Return the pitch shift of a frequency ratio in semitones."""
    return 12.0 * math.log2(ratio)


def format_time(time_s: float) -> str:
    """Return a time as minutes and seconds, such as `3:07.5`."""
    tenths = round(time_s * 10)
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def parse_time(text: str) -> float:
    """Return the seconds of a time such as `12.3`, `3:07.5` or `1:02:03`.

    Raises `ValueError` for anything else, seconds or minutes of 60 and more after a colon included.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time")
    hours, minutes, seconds = (float(part) if part else 0.0 for part in found.groups())
    if (found[2] and seconds >= 60.0) or (found[1] and minutes >= 60.0):
        raise ValueError(f"{text!r} is no time")
    return 3600.0 * hours + 60.0 * minutes + seconds
