"""Grooves: how drums, bass and chords share a bar in many styles.

A pattern has one letter for each step of a bar, `meter * steps` of them: `x` a stroke, `X` an
accent, `o` a soft one, `.` nothing. The beat is what people tap: 6/8 has two, a ballad is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KICK, SNARE, RIM, CLAP, HAT, OPEN_HAT, RIDE, CRASH, TOM, SHAKER, COWBELL = (
    36, 38, 37, 39, 42, 46, 51, 49, 45, 70, 56,
)  # fmt: skip
"""Keys of General MIDI's drums."""


@dataclass(frozen=True)
class Groove:
    """One style.

    Attributes:
        meter: beats in a bar.
        steps: of a beat.
        tempo_bpm: range, drawn log-uniformly.
        drums: patterns by key; none for music without drums.
        bass: patterns to choose from, empty for none.
        chords: the same.
        swing: range of how late every second step comes, as a share of a step.
        rubato: largest change of tempo within a phrase, relative.
    """

    meter: int
    steps: int
    tempo_bpm: tuple[float, float]
    drums: dict[int, str] = field(default_factory=dict)
    bass: tuple[str, ...] = ()
    chords: tuple[str, ...] = ()
    swing: tuple[float, float] = (0.0, 0.0)
    rubato: float = 0.0


_ROOTS = ("X...x...X...x...", "X.x.x.x.X.x.x.x.", "X.....x.X.....x.", "X..x..x.x..x..x.")
_COMPS = ("X...............", "X...x...x...x...", "X.x.x.x.x.x.x.x.", "..x...x...x...x.",
          "X..x..x.........", "x..x..x..x..x.x.")  # fmt: skip
_LONG = ("X...............", "X.......X.......")

GROOVES = {
    "rock": Groove(
        4, 4, (90, 160),
        {KICK: "X.......x.x.....", SNARE: "....X.......X...", HAT: "x.x.x.x.x.x.x.x."},
        _ROOTS, _COMPS,
    ),
    "rock with a ride": Groove(
        4, 4, (100, 170),
        {KICK: "X.....x...x.....", SNARE: "....X.......X..o", RIDE: "x.x.x.x.x.x.x.x."},
        _ROOTS, _COMPS,
    ),
    "punk": Groove(
        4, 2, (150, 215),
        {KICK: "X..xX..x", SNARE: "..X...X.", HAT: "x.x.x.x."},
        ("xxxxxxxx",), ("xxxxxxxx", "X...X..."),
    ),
    "metal": Groove(
        4, 4, (100, 200),
        {KICK: "xxxxxxxxxxxxxxxx", SNARE: "....X.......X...", CRASH: "x...x...x...x..."},
        ("xxxxxxxxxxxxxxxx", "X.xxX.xxX.xxX.xx"), ("X..x..x.X..x..x.", "X.xxX.xxX.xxX.xx"),
    ),
    "half time": Groove(
        4, 4, (110, 180),
        {KICK: "X.....x...x...x.", SNARE: "........X.......", HAT: "x...x...x...x..."},
        _ROOTS, _COMPS,
    ),
    "funk": Groove(
        4, 4, (90, 122),
        {KICK: "X..x......x..x..", SNARE: "....X..o.o..X..o", HAT: "xxxxxxxxxxxxxxox"},
        ("X..x..x...x..x..", "X.....xx..x...x.", "X..X....x.xx...."),
        ("..x..x....x..x..", "x..x..x.....x..x"), (0.0, 0.12),
    ),
    "disco": Groove(
        4, 4, (108, 132),
        {KICK: "X...X...X...X...", SNARE: "....X.......X...", OPEN_HAT: "..x...x...x...x."},
        ("x.X.x.X.x.X.x.X.",), ("..x...x...x...x.", "X..x..x.X..x..x."),
    ),
    "house": Groove(
        4, 4, (116, 130),
        {KICK: "X...X...X...X...", CLAP: "....x.......x...", HAT: "..x...x...x...x."},
        ("..x...x...x...x.", "x..x..x...x..x.."), ("..x..x....x..x..", *_LONG),
    ),
    "techno": Groove(
        4, 4, (124, 145),
        {KICK: "X...X...X...X...", HAT: "..x...x...x...x.", RIDE: "x.x.x.x.x.x.x.x."},
        ("xxxxxxxxxxxxxxxx", "..x...x...x...x."), _LONG,
    ),
    "drum and bass": Groove(
        4, 4, (160, 180),
        {KICK: "X.........X.....", SNARE: "....X.......X...", HAT: "x.x.x.xox.x.x.x."},
        ("X.........X.....", "X...............", "X.....x...x....."), _LONG,
    ),
    "hip hop": Groove(
        4, 4, (72, 104),
        {KICK: "X.....x..xx.....", SNARE: "....X.......X...", HAT: "x.x.x.x.x.x.x.x."},
        ("X.....x..xx.....", "X..............."), _LONG, (0.0, 0.3),
    ),
    "ballad": Groove(
        4, 2, (58, 86),
        {KICK: "X...x...", SNARE: "..X...X.", HAT: "xxxxxxxx"},
        ("X...x...", "X..xx..x"), ("X.......", "X.x.x.x.", "xxxxxxxx"),
    ),
    "twelve eight": Groove(
        4, 3, (52, 84),
        {KICK: "X.....x....x", SNARE: "...X.....X..", HAT: "xxxxxxxxxxxx"},
        ("X.....X.....", "X..x..X..x.."), ("X..x..x..x..", "xxxxxxxxxxxx"),
    ),
    "shuffle": Groove(
        4, 3, (90, 170),
        {KICK: "X..x..X..x..", SNARE: "...X.....X..", HAT: "x.xx.xx.xx.x"},
        ("X..x..x..x..", "X.xX.xX.xX.x"), ("X.....x.....", "..x..x..x..x"),
    ),
    "swing": Groove(
        4, 3, (110, 220),
        {RIDE: "X..x.xX..x.x", HAT: "...x.....x..", KICK: "o...........", SNARE: "..o.....o..."},
        ("x..x..x..x..",), ("..x.....x...", "x....x......", "X.....x....."),
    ),
    "bossa": Groove(
        4, 4, (110, 160),
        {KICK: "X.....xx......x.", RIM: "x..x..x....x..x.", HAT: "xxxxxxxxxxxxxxxx"},
        ("X.....x.X.....x.",), ("x..x..x....x..x.", "x.....x..x..x..."),
    ),
    "salsa": Groove(
        4, 4, (88, 112),
        {COWBELL: "X...x...X...x...", RIM: "x..x..x...x.x...", TOM: "............x.xx"},
        ("......x...x.....", "..x...x...x...x."), ("x.xx.xx.xx.xx.x.",),
    ),
    "reggae": Groove(
        4, 4, (66, 92),
        {KICK: "........X.......", RIM: "........x.......", HAT: "x.x.x.x.x.x.x.x."},
        ("X..x..x.....x.x.", "....x.x.X...x.x."), ("....x.......x...", "..x...x...x...x."),
        (0.0, 0.3),
    ),
    "waltz": Groove(
        3, 2, (84, 190), {KICK: "X.....", SNARE: "..o.o.", HAT: "..x.x."},
        ("X.....",), ("..x.x.", "X.x.x."),
    ),
    "jazz waltz": Groove(
        3, 3, (110, 190), {RIDE: "X..x.xx..", HAT: "...x.....", KICK: "x........"},
        ("X........", "x..x..x.."), ("X........", "..x..x..."),
    ),
    "six eight": Groove(
        2, 3, (50, 108), {KICK: "X..x..", SNARE: "...X..", HAT: "xxxxxx"},
        ("X..x..", "X.xx.x"), ("xxxxxx", "X.xx.x", "X....."),
    ),
    "jig": Groove(2, 3, (100, 140), {SHAKER: "X.xx.x"}, ("X..x..",), ("X.xx.x", "X..x..")),
    "march": Groove(
        2, 4, (100, 132), {KICK: "X...x...", SNARE: "..x...xx"},
        ("X...x...",), ("..x...x.",),
    ),
    "polka": Groove(
        2, 4, (108, 140), {KICK: "X...X...", SNARE: "..x...x."},
        ("X...X...",), ("..x...x.",),
    ),
    "five four": Groove(
        5, 2, (90, 180), {KICK: "X..x..X...", SNARE: "....X...X.", RIDE: "x.x.x.x.x."},
        ("X..x..X...", "X.....X..."), ("X..x..X.X.", "X........."),
    ),
    "seven four": Groove(
        7, 2, (100, 190),
        {KICK: "X...X...X.....", SNARE: "..X...X...X.X.", HAT: "x.x.x.x.x.x.x."},
        ("X...X...X.....", "X.x.x.x.X.x.x."), ("X...X...X.x.x.", "X............."),
    ),
    "seven eight": Groove(
        7, 2, (160, 230), {KICK: "X...X...X.....", SNARE: "..x...x...x.x."},
        ("X...X...X.....",), ("X...X...X.x.x.", "x.x.x.x.x.x.x."),
    ),
    "folk": Groove(
        4, 4, (80, 150), {}, ("X.......X.......",), ("X...x.x...x.x.x.", "X.xxX.xxX.xxX.xx"),
    ),
    "fingerpicking": Groove(
        4, 4, (64, 120), {}, ("X.......x.......",), ("x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx"),
        rubato=0.05,
    ),
    "piano": Groove(
        4, 2, (58, 120), {}, ("X...X...",), ("X.x.x.x.", "xxxxxxxx", "X......."), rubato=0.12,
    ),
    "piano in three": Groove(3, 2, (70, 150), {}, ("X.....",), ("..x.x.", "xxxxxx"), rubato=0.12),
    "strings": Groove(4, 2, (56, 110), {}, ("X.......",), ("X.......", "X...X..."), rubato=0.1),
    "riff": Groove(4, 4, (84, 150), {}, ("X.xx..X.x.x..x..", "X..X..X...X.X..."), ()),
}  # fmt: skip
"""Styles, from dense to sparse."""
