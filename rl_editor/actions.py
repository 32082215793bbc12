"""The factored action space: what an editor can say at the cursor.

An action is (type, size, amount) with 20 x 5 x 5 values; it acts on the span that begins at
the cursor. What an action does to the edit is in `edit_state` and nowhere else; this module
only names the values and says which combinations exist.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ActionType(IntEnum):
    """What happens to the span."""

    KEEP = 0
    CUT = 1
    LOOP = 2
    REORDER = 3
    JUMP_BACK = 4
    SKIP = 5
    FADE_IN = 6
    FADE_OUT = 7
    GAIN = 8
    SPEED_UP = 9
    SPEED_DOWN = 10
    REVERSE = 11
    PITCH_UP = 12
    PITCH_DOWN = 13
    EQ_LOW = 14
    EQ_HIGH = 15
    DISTORTION = 16
    REVERB = 17
    REPEAT_PREV = 18
    SWAP_NEXT = 19


class Size(IntEnum):
    """How far the span reaches: always to a line of the grid, never a fixed number of beats."""

    BEAT = 0
    BAR = 1
    TWO_BARS = 2
    PHRASE = 3
    TWO_PHRASES = 4


class Amount(IntEnum):
    """How strong, in which direction; the meaning depends on the type."""

    NEG_LARGE = 0
    NEG_SMALL = 1
    NEUTRAL = 2
    POS_SMALL = 3
    POS_LARGE = 4


class Action(NamedTuple):
    """One decision; as a tuple of ints it is a row of `MultiDiscrete([20, 5, 5])`."""

    type: ActionType
    size: Size
    amount: Amount = Amount.NEUTRAL


N_TYPES, N_SIZES, N_AMOUNTS = len(ActionType), len(Size), len(Amount)

LEAVING_TYPES = (ActionType.CUT, ActionType.SKIP)
"""Types that leave the span out."""
PLAYING_TYPES = tuple(
    kind
    for kind in ActionType
    if kind not in (*LEAVING_TYPES, ActionType.JUMP_BACK, ActionType.REPEAT_PREV)
)
"""Types that play the span, now or elsewhere, as it is or changed; the others play others."""

# Meaning of the five amounts, NEG_LARGE to POS_LARGE; None is not allowed. Units in the name.
LOOP_PLAYS = (None, None, 2, 3, 4)
GAIN_DB = (-6.0, -3.0, 0.0, 3.0, 6.0)
"""NEUTRAL is no change of 0 dB: it matches the level of the clip before (see `edit_state`)."""
EQ_DB = (-6.0, -3.0, None, 3.0, 6.0)
SPEED_UP_RATES = (1.03, 1.06, 1.12, 1.25, 1.5)
SPEED_DOWN_RATES = (0.97, 0.94, 0.88, 0.8, 0.67)
PITCH_SEMITONES = (0.25, 0.5, 1.0, 2.0, 5.0)
EFFECT_STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Strength of distortion and reverb, 0 (dry) to 1."""
FADE_CURVES = ("convex", "gentle_convex", "linear", "gentle_s", "s")

_ONLY_NEUTRAL = (False, False, True, False, False)
_ANY = (True,) * N_AMOUNTS

_ALLOWED_AMOUNTS: dict[ActionType, tuple[bool, ...]] = {
    ActionType.KEEP: _ONLY_NEUTRAL,
    ActionType.CUT: _ONLY_NEUTRAL,
    ActionType.LOOP: (False, False, True, True, True),
    ActionType.REORDER: (True, True, True, False, True),
    ActionType.JUMP_BACK: (True, True, False, False, False),
    ActionType.SKIP: _ONLY_NEUTRAL,
    ActionType.FADE_IN: _ANY,
    ActionType.FADE_OUT: _ANY,
    ActionType.GAIN: _ANY,
    ActionType.SPEED_UP: _ANY,
    ActionType.SPEED_DOWN: _ANY,
    ActionType.REVERSE: _ONLY_NEUTRAL,
    ActionType.PITCH_UP: _ANY,
    ActionType.PITCH_DOWN: _ANY,
    ActionType.EQ_LOW: (True, True, False, True, True),
    ActionType.EQ_HIGH: (True, True, False, True, True),
    ActionType.DISTORTION: _ANY,
    ActionType.REVERB: _ANY,
    ActionType.REPEAT_PREV: _ONLY_NEUTRAL,
    ActionType.SWAP_NEXT: _ONLY_NEUTRAL,
}

AMOUNT_EXISTS: NDArray[np.bool_] = np.array([_ALLOWED_AMOUNTS[t] for t in ActionType])
"""[20, 5] True where the amount has a meaning for the type, in any state."""
