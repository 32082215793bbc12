"""The sound that each action type gives to the span it plays, by amount.

Both interpreters of actions, `edit_state` for one edit and `edit_batch` for many, read these
tables; nothing else says how loud, how fast or how high an action plays.

A sound is a number here, a row of `SOUNDS`, and a gain beside it: the gain alone takes any value
(GAIN NEUTRAL matches the level of the clip before).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import (
    EFFECT_STRENGTHS,
    EQ_DB,
    FADE_CURVES,
    GAIN_DB,
    N_AMOUNTS,
    N_TYPES,
    PITCH_SEMITONES,
    SPEED_DOWN_RATES,
    SPEED_UP_RATES,
    ActionType,
)
from rl_editor.spans import AS_IT_IS, Sound

GAIN_STEPS_PER_DB = 1_000_000
"""Gains are whole millionths of a dB: matching two equal levels is then exactly no change, and
clips of one level are one clip."""

PLAYED_SOUNDS: dict[ActionType, tuple[Sound, ...]] = {
    ActionType.KEEP: (AS_IT_IS,) * N_AMOUNTS,
    ActionType.FADE_IN: tuple(Sound(fade_in=curve) for curve in FADE_CURVES),
    ActionType.FADE_OUT: tuple(Sound(fade_out=curve) for curve in FADE_CURVES),
    ActionType.GAIN: tuple(Sound(gain_db=db) for db in GAIN_DB),
    ActionType.SPEED_UP: tuple(Sound(rate=rate) for rate in SPEED_UP_RATES),
    ActionType.SPEED_DOWN: tuple(Sound(rate=rate) for rate in SPEED_DOWN_RATES),
    ActionType.REVERSE: (Sound(reverse=True),) * N_AMOUNTS,
    ActionType.PITCH_UP: tuple(Sound(semitones=up) for up in PITCH_SEMITONES),
    ActionType.PITCH_DOWN: tuple(Sound(semitones=-down) for down in PITCH_SEMITONES),
    ActionType.EQ_LOW: tuple(Sound(eq_low_db=db or 0.0) for db in EQ_DB),
    ActionType.EQ_HIGH: tuple(Sound(eq_high_db=db or 0.0) for db in EQ_DB),
    ActionType.DISTORTION: tuple(Sound(distortion=s) for s in EFFECT_STRENGTHS),
    ActionType.REVERB: tuple(Sound(reverb=s) for s in EFFECT_STRENGTHS),
}
"""Types that play the span once, where it is, by amount; GAIN NEUTRAL depends on the edit."""


def _ungained(sound: Sound) -> Sound:
    return sound._replace(gain_db=0.0)


_played = [AS_IT_IS, *(_ungained(s) for sounds in PLAYED_SOUNDS.values() for s in sounds)]
SOUNDS: tuple[Sound, ...] = tuple(sorted(dict.fromkeys(_played), key=lambda s: not s.steady))
"""Every sound there is, without its gain; `AS_IT_IS` first, those that are not steady last."""
N_STEADY = sum(s.steady for s in SOUNDS)
"""Rows of `SOUNDS` before this one are steady: two halves of a span are the same as the whole."""

SOUND_OF: NDArray[np.int32] = np.zeros((N_TYPES, N_AMOUNTS), dtype=np.int32)
"""[20, 5] row of `SOUNDS` that an action plays; types that are not in `PLAYED_SOUNDS` play the
music as it is, or not at all."""
GAIN_OF: NDArray[np.int32] = np.zeros((N_TYPES, N_AMOUNTS), dtype=np.int32)
"""[20, 5] its gain, in millionths of a dB."""
for _kind, _sounds in PLAYED_SOUNDS.items():
    SOUND_OF[_kind] = [SOUNDS.index(_ungained(s)) for s in _sounds]
    GAIN_OF[_kind] = [round(s.gain_db * GAIN_STEPS_PER_DB) for s in _sounds]

REVERSE: NDArray[np.bool_] = np.array([s.reverse for s in SOUNDS])
"""[R]"""
RATE: NDArray[np.float64] = np.array([s.rate for s in SOUNDS])
"""[R] speed, 1 is as recorded."""


def sound(row: int, gain: int) -> Sound:
    """Return the sound of a row of `SOUNDS` at a gain in millionths of a dB."""
    return SOUNDS[row]._replace(gain_db=gain / GAIN_STEPS_PER_DB) if gain else SOUNDS[row]


def _column(name: str) -> NDArray:
    """Return [R] one property of all sounds, fades as an index into `FADE_CURVES` or -1."""
    values = [getattr(s, name) for s in SOUNDS]
    if name in ("fade_in", "fade_out"):
        return np.array([-1 if curve is None else FADE_CURVES.index(curve) for curve in values])
    return np.array(values)


SOUND_COLUMNS: dict[str, NDArray] = {n: _column(n) for n in Sound._fields if n != "gain_db"}
"""[R] each property of all sounds but the gain; fades as an index into `FADE_CURVES` or -1."""
