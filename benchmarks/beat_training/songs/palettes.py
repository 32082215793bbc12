"""Which instruments play what in which kind of music, and how high.

Names are those of `instruments.make_instrument`; `voice` is a singer (`voices`). In: a palette's
name. Out: `Palette`.
"""

from __future__ import annotations

from typing import NamedTuple


class Palette(NamedTuple):
    """Names of the instruments that may play each part, and the shares of songs with it."""

    bass: tuple[str, ...]
    comp: tuple[str, ...]
    second: tuple[str, ...]
    lead: tuple[str, ...]
    shares: tuple[float, float, float]
    """Of bass, second and lead; comp always plays."""


def _gm(*programs: int) -> tuple[str, ...]:
    return tuple(f"gm:{program}" for program in programs)


_BASSES = (*_gm(32, 33, 34, 35, 36), "plucked", "sub")
_VOICES = ("voice", "voice", "voice")
PALETTES: dict[str, Palette] = {
    "rock": Palette(
        _gm(33, 34, 33, 34, 35),
        (*_gm(27, 28, 29, 30, 26, 25, 18), "electric", "electric"),
        (*_gm(0, 4, 16, 18, 25, 30, 48), "electric", "organ"),
        (*_VOICES, *_gm(29, 30, 27, 65), "electric"),
        (0.9, 0.5, 0.6),
    ),
    "metal": Palette(
        _gm(33, 34, 34),
        (*_gm(29, 30, 30), "electric", "electric", "electric"),
        (*_gm(30, 48, 50, 52, 29), "electric", "pad"),
        (*_VOICES, *_gm(30, 29, 81), "electric"),
        (0.85, 0.4, 0.45),
    ),
    "pop": Palette(
        _BASSES,
        (*_gm(0, 1, 4, 5, 24, 25, 26, 27), "fm", "plucked", "struck"),
        (*_gm(48, 50, 88, 89, 52, 18, 25), "pad", "organ"),
        (*_VOICES, *_gm(65, 73, 40, 11, 22), "lead"),
        (0.85, 0.6, 0.75),
    ),
    "funk": Palette(
        (*_gm(33, 36, 37, 34, 38), "sub"),
        (*_gm(27, 28, 4, 5, 7, 16, 26), "plucked", "fm"),
        (*_gm(61, 62, 48, 16, 4), "organ", "lead"),
        (*_VOICES, *_gm(65, 66, 56), "lead"),
        (0.95, 0.6, 0.55),
    ),
    "electronic": Palette(
        (*_gm(38, 39, 87), "sub", "acid", "acid"),
        ("lead", "lead", "struck", "fm", *_gm(81, 80, 90, 62, 4, 0)),
        ("pad", "pad", *_gm(88, 89, 50, 94)),
        ("voice", "lead", "lead", "fm", *_gm(80, 81, 87)),
        (0.85, 0.6, 0.5),
    ),
    "hip hop": Palette(
        ("sub", "sub", *_gm(33, 38, 32)),
        ("fm", "struck", "plucked", *_gm(0, 4, 11, 26, 48, 46, 108)),
        ("pad", *_gm(48, 52, 89)),
        (*_VOICES, "voice", *_gm(73, 56, 80), "lead"),
        (0.9, 0.4, 0.6),
    ),
    "jazz": Palette(
        _gm(32, 32, 32, 35, 33),
        _gm(0, 0, 26, 26, 4, 11, 16),
        _gm(26, 0, 61, 48),
        ("voice", *_gm(65, 66, 56, 57, 71, 64, 11, 0, 26, 59)),
        (0.95, 0.3, 0.8),
    ),
    "blues": Palette(
        _gm(32, 33, 34),
        (*_gm(25, 26, 27, 28, 29, 0, 16), "electric", "organ"),
        _gm(0, 16, 61, 25),
        (*_VOICES, *_gm(22, 27, 29, 65), "electric"),
        (0.9, 0.4, 0.7),
    ),
    "latin": Palette(
        _gm(32, 33, 35),
        (*_gm(24, 24, 0, 25, 1), "plucked"),
        (*_gm(61, 48, 24, 12), "organ"),
        (*_VOICES, *_gm(73, 56, 40, 65, 21)),
        (0.9, 0.4, 0.65),
    ),
    "reggae": Palette(
        (*_gm(33, 34, 35), "sub"),
        (*_gm(27, 28, 16, 17, 0, 25), "organ", "plucked"),
        (*_gm(16, 61, 18), "organ"),
        (*_VOICES, *_gm(57, 56, 22, 65)),
        (0.95, 0.5, 0.6),
    ),
    "folk": Palette(
        _gm(32, 32, 33, 58),
        (*_gm(25, 24, 21, 105, 0, 15), "plucked"),
        _gm(21, 40, 48, 105),
        (*_VOICES, *_gm(40, 110, 21, 73, 22, 72, 109, 105, 71)),
        (0.8, 0.4, 0.75),
    ),
    "strummed": Palette(
        _gm(32, 33),
        (*_gm(25, 25, 24, 26), "plucked"),
        (*_gm(25, 105, 21), "plucked"),
        (*_VOICES, "voice", *_gm(22, 73, 40)),
        (0.15, 0.15, 0.7),
    ),
    "piano": Palette(
        _gm(0, 0, 1, 4, 6),
        (*_gm(0, 0, 0, 1, 2, 3, 4, 6), "struck", "fm"),
        _gm(48, 42, 0),
        ("voice", "voice", *_gm(0, 0, 40, 42, 73)),
        (0.6, 0.08, 0.6),
    ),
    "guitar": Palette(
        _gm(24, 25, 26),
        (*_gm(24, 24, 25, 25, 26, 27), "plucked", "plucked"),
        _gm(25, 24),
        (*_VOICES, *_gm(24, 25, 73), "plucked"),
        (0.3, 0.08, 0.4),
    ),
    "riffs": Palette(
        _gm(
            33,
        ),
        (*_gm(27, 28, 29, 30, 30), "electric", "electric", "electric"),
        (*_gm(29, 30), "electric"),
        (*_gm(29, 30), "electric"),
        (0.05, 0.3, 0.3),
    ),
    "chamber": Palette(
        (*_gm(42, 43, 48, 49), "bowed"),
        (*_gm(48, 48, 49, 45, 40, 41, 46, 6), "bowed"),
        _gm(48, 60, 71, 45),
        (*_gm(40, 40, 41, 73, 68, 71, 42, 21), "bowed"),
        (0.8, 0.4, 0.75),
    ),
    "choir": Palette(
        (*_gm(52, 19, 48, 43), "voice"),
        (*_gm(52, 52, 19, 53, 16, 0), "organ"),
        _gm(19, 52, 48),
        (*_VOICES, *_gm(52, 53, 19)),
        (0.7, 0.3, 0.7),
    ),
    "brass": Palette(
        _gm(58, 58, 57, 43),
        _gm(61, 57, 60, 62, 58),
        _gm(71, 60, 64, 48),
        _gm(56, 59, 71, 72, 61, 60),
        (0.9, 0.5, 0.85),
    ),
}
"""The palettes; `any` draws one of them."""
OTHER_PALETTE = 0.12
"""Share of the songs that are played on the instruments of another kind of music."""
SYNTHETIC = {
    "bass": ("sub", "acid", "plucked"),
    "comp": ("plucked", "fm", "struck", "electric", "organ", "lead"),
    "second": ("pad", "organ", "bowed"),
    "lead": ("voice", "lead", "bowed", "fm", "plucked"),
}
"""What plays each part where there is no soundfont."""
REGISTERS = {"bass": (28, 47), "comp": (48, 72), "second": (55, 79), "lead": (60, 84)}
"""Lowest and highest keys of each part."""
