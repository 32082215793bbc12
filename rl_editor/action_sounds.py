"""Which action comes nearest to what was done to a clip.

In: a `Clip`'s processing as `Sound`. Out: type and amount, and how far that is from the clip.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from rl_editor.actions import AMOUNT_EXISTS, FADE_CURVES, GAIN_DB, ActionType, Amount
from rl_editor.edl import Clip
from rl_editor.effects import FADE_CURVES as FADE_LAWS
from rl_editor.sound_table import PLAYED_SOUNDS
from rl_editor.spans import Sound

TOLERANCE = 0.5
"""Most that one effect of two sounds that pass for the same differs by, in steps (`steps`)."""
_STEP_OF_RATE = math.log(1.03)
_STEPS = {
    "level": ("gain_db", 3.0),
    "pitch": ("semitones", 0.25),
    "lows": ("eq_low_db", 3.0),
    "highs": ("eq_high_db", 3.0),
    "distortion": ("distortion", 0.2),
    "reverberation": ("reverb", 0.2),
}


SOUND_OF: dict[tuple[ActionType, Amount], Sound] = {
    (kind, amount): sounds[amount]
    for kind, sounds in PLAYED_SOUNDS.items()
    for amount in Amount
    if AMOUNT_EXISTS[kind, amount] and (kind, amount) != (ActionType.GAIN, Amount.NEUTRAL)
}
"""The sound of each action that plays its span once, in its place; of GAIN NEUTRAL it depends on
the clip before."""


def clip_sound(clip: Clip) -> Sound:
    """Return the processing of a clip, without its fades."""
    return Sound(
        clip.gain_db,
        clip.rate,
        clip.semitones,
        clip.reverse,
        clip.eq_low_db,
        clip.eq_high_db,
        clip.distortion,
        clip.reverb,
    )


def steps(one: Sound, other: Sound) -> dict[str, float]:
    """Return how far two sounds are apart in each effect, in steps of the action space.

    A step is the smallest change an action makes: 3 dB of level or of a shelf, 3% of speed, a
    quarter of a semitone, 0.2 of distortion or reverb. What has no steps is 0 or infinity.
    """
    apart = {
        name: abs(getattr(one, field) - getattr(other, field)) / step
        for name, (field, step) in _STEPS.items()
    }
    apart["speed"] = abs(math.log(one.rate / other.rate)) / _STEP_OF_RATE
    apart["direction"] = 0.0 if one.reverse == other.reverse else math.inf
    fades = (one.fade_in, one.fade_out) == (other.fade_in, other.fade_out)
    apart["fades"] = 0.0 if fades else math.inf
    return apart


def differences(one: Sound, other: Sound) -> tuple[str, ...]:
    """Return the names of the effects in which two sounds do not pass for the same."""
    return tuple(name for name, apart in steps(one, other).items() if apart > TOLERANCE)


def nearest_action(sound: Sound) -> tuple[ActionType, Amount]:
    """Return the type and amount whose sound is nearest; KEEP where nothing comes nearer."""
    keep = (ActionType.KEEP, Amount.NEUTRAL)

    def order(act: tuple[ActionType, Amount]) -> tuple[int, float, bool]:
        different = len(differences(SOUND_OF[act], sound))
        return different, sum(steps(SOUND_OF[act], sound).values()), act != keep

    return min(SOUND_OF, key=order)


def matches_level(gain_db: float, matching_db: float) -> bool:
    """Return whether a change of level matches the clip before rather than being a fixed step."""
    tolerance_db = TOLERANCE * _STEPS["level"][1]
    if abs(gain_db) <= tolerance_db:
        return False  # no change at all
    fixed_db = min(abs(gain_db - step_db) for step_db in GAIN_DB)
    return abs(gain_db - matching_db) < min(fixed_db, tolerance_db)


@lru_cache(maxsize=16)
def fade_amount(curve: str) -> Amount:
    """Return the amount whose fade is nearest to a fade law, by the mean difference of both."""
    at = (np.arange(64) + 0.5) / 64
    asked = FADE_LAWS[curve](at)
    apart = [float(np.abs(FADE_LAWS[name](at) - asked).mean()) for name in FADE_CURVES]
    return Amount(int(np.argmin(apart)))
