"""What a passage of a recording is: the kinds that the editor names when it cuts."""

from __future__ import annotations

from enum import IntEnum


class Material(IntEnum):
    """Kinds of material in a session; the order is part of every checkpoint."""

    MUSIC = 0
    TALK = 1
    NOISE = 2
    SILENCE = 3
    COUNT_IN = 4
    TUNING = 5
    NOODLING = 6
    FALSE_START = 7
    FLAWED_TAKE = 8
    REDUNDANT_REPEAT = 9


N_MATERIALS = len(Material)
