"""Kinds of music that the material is made of: meters, tempi, drum patterns, manners of playing.

A drum pattern names a voice (`kits`) and its strokes on the steps of a bar, repeated where the bar
is longer: `X` accent, `x` stroke, `o` ghost note, `?` perhaps, `.` nothing. Tempi are those at
which people tap: slow ballads by the quarter, 6/8 by the dotted quarter, 7/8 by the eighth.

In: nothing. Out: `GROOVES`.
"""

from __future__ import annotations

from dataclasses import dataclass

Pattern = dict[str, str]


@dataclass(frozen=True)
class Groove:
    """A kind of music.

    Attributes:
        name: what it is called.
        meter: beats of a bar.
        steps: steps of a beat on which its patterns are written; 3 is ternary.
        bpm: slowest and fastest tempo, beats a minute.
        weight: how often it is drawn against the others.
        drums: patterns, each for one or two bars; none without drums.
        bass, comp: manners of playing, see `strokes`.
        palette: of instruments, see `palettes`.
        swing: range of the share of a swung pair that its first half takes; 0.5 is straight.
        pair: beats that a swung pair takes.
        free: share of performances in free time (rubato).
    """

    name: str
    meter: int
    steps: int
    bpm: tuple[float, float]
    weight: float
    drums: tuple[Pattern, ...]
    bass: tuple[str, ...]
    comp: tuple[str, ...]
    palette: str
    swing: tuple[float, float] = (0.5, 0.5)
    pair: float = 1.0
    free: float = 0.03


def _patterns(*texts: str) -> tuple[Pattern, ...]:
    """Return the strokes of each voice in texts like `voice:strokes voice:strokes`."""
    return tuple(dict(part.split(":") for part in text.split()) for text in texts)


_ROCK = _patterns(
    "k:X.......X.?..... s:....X.......X... h:x.o.x.o.x.o.x.o.",
    "k:X......xX....... s:....X.......X... h:X.x.X.x.X.x.X.x.",
    "k:X.x...x..?x..?.. s:....X..?....X... r:x.x.x.x.x.x.x.x.",
    "k:X.......x.x..... s:....X.......X..o h:x...x...x...x...",
    "k:X.x.....x.x..... s:....X.......X... o:x...x...x...x...",
    "k:X.....x...x..... s:....X.......X..? h:xxxxxxxxxxxxxxxx",
    "k:X..x..x...x..x.. s:....X.......X... a:x.x.x.x.x.x.x.x.",
    "k:X...X...X...X... s:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X..x.....xx..... s:..x.X....x..X... h:x.x.x.x.x.x.x.x.",
    "k:X.......X....... t:x..x..x.x..x..x. L:..x..x....x..x..",
)
_HALF_TIME = _patterns(
    "k:X.....?...x..?.. s:........X....... h:x.x.x.x.x.x.x.x.",
    "k:X..x..x.......x. s:........X....... c:x...x...x...x...",
    "k:X.........x..... s:........X......o r:x...x...x...x...",
)
_METAL = _patterns(
    "k:xxxxxxxxxxxxxxxx s:....X.......X... c:x...x...x...x...",
    "k:x.x.x.x.x.x.x.x. s:....X.......X... r:x...x...x...x...",
    "k:X.xxX.xxX.xxX.xx s:....X.......X... h:x...x...x...x...",
    "k:X...X...X...X... s:..X...X...X...X. r:x...x...x...x...",
    "k:X.X.X.X.X.X.X.X. s:.X.X.X.X.X.X.X.X c:x...x...x...x...",
    "k:X..x..x..x..x..x s:....X.......X... h:x...x...x...x...",
    "k:X..xx.x..xx.x... s:........X....... c:x...x...x...x...",
    "k:X.x..x.xx.x..x.x s:....X.......X... o:x...x...x...x...",
)
_BALLAD = _patterns(
    "k:X.......x....... s:....X.......X... h:x.o.x.o.x.o.x.o.",
    "k:X......xx....... s:....X.......X... h:xoxoxoxoxoxoxoxo",
    "k:X.....x.x....... m:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X.....x...x..... s:....X.......X... r:x.x.x.x.x.x.x.x.",
    "k:X.......x....... m:....X.......X... g:x.o.x.o.x.o.x.o.",
)
_FUNK = _patterns(
    "k:X..x..x...x..x.. s:....X..o.o..X..o h:xxxxxxxxxxxxxxxx",
    "k:X.x.......x..x.. s:....X..o.o.oX... h:x.x.x.x.x.x.x.x.",
    "k:X..X......X..... s:....X..x.x..X..x h:x.x.x.xxx.x.x.x.",
    "k:X.....x..x...... s:....X..o.o..X... h:x.x.x.x.x.x.x.x. o:..............x.",
    "k:X..x....x.x..... s:....X.oo....X.o. w:x...x...x...x... h:..x...x...x...x.",
)
_DISCO = _patterns(
    "k:X...X...X...X... s:....X.......X... o:..x...x...x...x. h:x.....x.....x...",
    "k:X...X...X...X... l:....X.......X... h:xxxxxxxxxxxxxxxx",
    "k:X...X...X...X... s:....X.......X... a:x.x.x.x.x.x.x.x. o:..x...x...x...x.",
)
_HOUSE = _patterns(
    "k:X...X...X...X... o:..x...x...x...x.",
    "k:X...X...X...X... l:....X.......X... o:..x...x...x...x. h:xoxoxoxoxoxoxoxo",
    "k:X...X...X...X.?. s:....x.......x..? h:..x...x...x...x. g:xxxxxxxxxxxxxxxx",
    "k:X...X...X...X... m:...x..x....x..x. h:..x...x...x...x.",
)
_BREAKBEAT = _patterns(
    "k:X.........x..... s:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X.x.......xx.... s:....X..o.o..X..o r:x.x.x.x.x.x.x.x.",
    "k:X.........x..x.. s:....X..x.x....X. h:x.x.x.x.x.x.x.x.",
    "k:X.....x...x..... s:....X.......X.o. h:xxxxxxxxxxxxxxxx",
)
_HIP_HOP = _patterns(
    "k:X.....x..?x..... s:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X..x...x..x..... s:....X.......X..o h:x.x.x.x.x.x.x.xx",
    "k:X......x.xx..... l:....X.......X... h:xoxoxoxoxoxoxoxo",
    "k:X.........x..x.. s:....X.......X... a:x...x...x...x...",
)
_TRAP = _patterns(
    "k:X.....x.......?..x......x....... l:........X...............X....... "
    "h:x.x.x.x.x.xxx.x.x.x.x.x.x.xxxxxx",
    "k:X..........x....x.....x......... s:........X...............X....... "
    "h:x.x.xxxxx.x.x.x.x.x.x.x.x.x.xxxx",
)
_SWING = _patterns(
    "r:X..x.xX..x.x p:...x.....x..",
    "r:X..x.xX..x.x p:...x.....x.. k:o..o..o..o.. s:..?..?..o..?",
    "r:x..X.xx..X.x p:...x.....x.. s:.....?..?... k:x.....?.....",
    "s:x..x.xx..x.x p:...x.....x..",
)
_SHUFFLE = _patterns(
    "k:X.....x..... s:...X.....X.. h:x.xx.xx.xx.x",
    "k:X..x..X..x.. s:...X.....X.. r:x.xx.xx.xx.x",
    "k:X....xx..... s:.o.X.o.o.X.o h:x.xx.xx.xx.x",
    "k:X..X..X..X.. s:...X.....X.. h:x.xx.xx.xx.x",
)
_TWELVE_EIGHT = _patterns(
    "k:X.....x....? s:...X.....X.. h:xxxxxxxxxxxx",
    "k:X....xx..... s:...X.....X.. r:xxxxxxxxxxxx",
    "k:X..x..X..x.. w:x.xx.x.x.x.x n:..x.xx..x.xx",
)
_BOSSA = _patterns(
    "k:X..xx..xX..xx..x m:X..x..x...x..x.. h:x.x.x.x.x.x.x.x.",
    "k:X..xx..xX..xx..x m:..x...x.x..x..x. g:xxxxxxxxxxxxxxxx",
)
_SAMBA = _patterns(
    "k:o..xX..xo..xX..x g:XxxxXxxxXxxxXxxx a:X.xxX.xxX.xxX.xx",
    "k:x..xX..xx..xX..x s:x.xx.x.xx.xx.x.x p:..x...x...x...x.",
)
_SALSA = _patterns(
    "K:x..x..x...x.x... w:x.x.x.x.x.x.x.x. n:......xx......xx b:..x...x...x...x.",
    "K:..x.x...x..x..x. w:x...x...x...x... n:......xx......xx k:...x..x....x..x.",
    "k:X..x..x.X..x..x. s:...x..x....x..x. g:x.x.x.x.x.x.x.x.",
)
_REGGAE = _patterns(
    "k:....X.......X... m:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X.......X....... m:....X.......X... h:x.x.x.x.x.x.x.x.",
    "k:X...X...X...X... s:....X.......X... h:..x...x...x...x.",
    "k:....X.......X... s:....X.......X..? h:x.xox.xox.xox.xo",
)
_WALTZ = _patterns(
    "k:X..... s:..x.x.",
    "k:X..... p:..x.x. r:x.x.x.",
    "k:X..... s:..x.x. h:x.x.x.",
    "k:X..... m:..x.x. h:xxxxxx",
    "k:X....? s:....X. h:x.x.x.",
)
_THREE_FOUR = _patterns(
    "k:X.....?..... s:....X...X... h:x.x.x.x.x.x.",
    "k:X......x.... s:........X... h:x.x.x.x.x.x.",
    "k:X..x..x..... s:....X....... r:x.x.x.x.x.x.",
)
_JAZZ_WALTZ = _patterns("r:X..x.xx.. p:...x.....", "r:X..x..x.x p:...x..x.. k:x.....?..")
_SIX_EIGHT = _patterns(
    "k:X..... s:...X.. h:xxxxxx",
    "k:X....x s:...X.. h:xxxxxx",
    "k:X.x..x s:...X.. r:x.xx.x",
    "k:X....? s:...X.. o:x..x..",
    "k:X..X.. s:..o..o a:x.xx.x",
)
_FIVE = _patterns(
    "k:X.....X... s:....x....x r:x.xxx.x.xx",
    "k:X..x..X... s:...X.....X h:xxxxxxxxxx",
    "k:X.....X... s:..X...X.X. h:x.x.x.x.x.",
    "k:X..xx.X... s:....X...X. r:x.x.x.x.x.",
)
_SEVEN = _patterns(
    "k:X...X...X..... s:..X...X...X... h:xxxxxxxxxxxxxx",
    "k:X......xX..... s:....X.......X. h:x.x.x.x.x.x.x.",
    "k:X..x..X...X... s:..X.....X...X. r:x.x.x.x.x.x.x.",
)
_SEVEN_EIGHT = _patterns(
    "k:X...X......... s:......X...X... h:x.x.x.x.x.x.x.",
    "k:X.......X..... s:....X.......X. h:x.x.x.x.x.x.x.",
    "k:X.....x....... s:....X.....X... r:x...x...x.x...",
    "n:X.....X...X... b:..x.x...x...x.",
)
_MARCH = _patterns("k:X... s:x.xxX.xx", "k:X...X... s:..xxX.xx c:X.......", "k:X... s:..X.")
_POLKA = _patterns("k:X...X... s:..X...X.", "k:X...X... h:..x...x. s:..x...xx")
_TRAIN = _patterns("k:X...X...X...X... s:xxXxxxXxxxXxxxXx", "k:X...x... s:ooXoooXo")
_TANGO = _patterns("k:X..x..x.X...X... s:............xxxx", "k:X...X...X...X.x.")
_CUMBIA = _patterns("g:x.xxx.xxx.xxx.xx k:X...X...X...X... w:..x...x...x...x.")
_REGGAETON = _patterns("k:X...X...X...X... s:...x..x....x..x. h:x.x.x.x.x.x.x.x.")

GROOVES: tuple[Groove, ...] = (
    Groove("rock", 4, 4, (72, 180), 8, _ROCK, ("eighths", "kick", "riff", "beats"),
           ("eighths", "riff", "strum", "hold", "beats"), "rock"),
    Groove("half-time rock", 4, 4, (96, 142), 1.5, _HALF_TIME, ("hold", "riff", "kick"),
           ("hold", "riff", "arp"), "rock"),
    Groove("indie pop", 4, 4, (84, 150), 4, _ROCK, ("eighths", "riff", "synco"),
           ("strum", "arp", "eighths", "synco", "hold"), "pop"),
    Groove("punk", 4, 4, (150, 215), 2, _ROCK + _METAL[3:4], ("eighths",), ("eighths", "chug"),
           "metal"),
    Groove("metal", 4, 4, (90, 215), 7, _METAL + _HALF_TIME[:2], ("riff", "kick", "eighths"),
           ("riff", "chug", "gallop", "riff"), "metal"),
    Groove("fast metal", 4, 4, (160, 220), 2, _METAL, ("riff", "eighths"),
           ("riff", "chug", "gallop"), "metal"),
    Groove("funk", 4, 4, (84, 128), 4, _FUNK, ("synco", "riff", "kick"),
           ("synco", "scratch", "two_four"), "funk", (0.5, 0.6), 0.5),
    Groove("disco", 4, 4, (104, 134), 3, _DISCO, ("octaves", "synco"),
           ("scratch", "synco", "hold"), "funk"),
    Groove("ballad", 4, 4, (56, 86), 6, _BALLAD, ("hold", "two", "kick"),
           ("arp", "hold", "strum", "beats"), "pop", free=0.1),
    Groove("soul", 4, 4, (66, 112), 2, _ROCK[:4] + _BALLAD, ("synco", "kick"),
           ("two_four", "beats", "hold", "synco"), "funk", (0.5, 0.62), 0.5),
    Groove("house", 4, 4, (112, 145), 4, _HOUSE, ("off", "synco", "eighths"),
           ("synco", "off", "hold", "arp"), "electronic"),
    Groove("techno", 4, 4, (125, 175), 2, _HOUSE, ("off", "steps"), ("arp", "steps", "synco"),
           "electronic"),
    Groove("synth pop", 4, 4, (88, 140), 2, _ROCK[:4] + _DISCO[1:2],
           ("eighths", "octaves", "steps"), ("arp", "hold", "synco"), "electronic"),
    Groove("drum and bass", 4, 4, (158, 182), 3, _BREAKBEAT, ("hold", "synco"),
           ("hold", "arp", "synco"), "electronic"),
    Groove("breakbeat", 4, 4, (96, 145), 2, _BREAKBEAT, ("synco", "riff"), ("synco", "hold"),
           "electronic"),
    Groove("hip hop", 4, 4, (70, 106), 4, _HIP_HOP, ("kick", "synco", "hold"),
           ("hold", "beats", "synco"), "hip hop", (0.5, 0.66), 0.5),
    Groove("trap", 4, 8, (60, 88), 2, _TRAP, ("kick", "hold"), ("hold", "arp"), "hip hop"),
    Groove("reggaeton", 4, 4, (84, 104), 1, _REGGAETON, ("kick", "synco"),
           ("off", "synco", "hold"), "electronic"),
    Groove("swing", 4, 3, (96, 220), 5, _SWING, ("walk", "walk", "two"),
           ("charleston", "four", "oompah"), "jazz"),
    Groove("shuffle", 4, 3, (76, 168), 3, _SHUFFLE, ("walk", "beats", "boogie"),
           ("boogie", "charleston", "two_four"), "blues"),
    Groove("slow blues", 4, 3, (48, 84), 2, _TWELVE_EIGHT, ("walk", "two", "hold"),
           ("steps", "hold", "arp"), "blues"),
    Groove("african 12/8", 4, 3, (90, 140), 1, _TWELVE_EIGHT[2:], ("synco",), ("arp", "synco"),
           "latin"),
    Groove("bossa nova", 4, 4, (60, 90), 1, _BOSSA, ("dotted",), ("bossa", "synco"), "latin"),
    Groove("bossa in eighths", 4, 2, (110, 165), 2, _BOSSA, ("dotted",), ("bossa", "synco"),
           "latin"),
    Groove("samba", 4, 4, (80, 125), 1.5, _SAMBA, ("beats", "two"), ("synco", "scratch"), "latin"),
    Groove("salsa", 4, 4, (78, 120), 2, _SALSA, ("tumbao",), ("montuno", "synco"), "latin"),
    Groove("cumbia", 4, 4, (82, 112), 1, _CUMBIA, ("two", "beats"), ("off", "arp"), "latin"),
    Groove("tango", 4, 4, (58, 70), 1, _TANGO, ("beats", "two"), ("beats", "synco"), "chamber",
           free=0.3),
    Groove("reggae", 4, 4, (62, 96), 4, _REGGAE, ("synco", "riff", "two"),
           ("skank", "skank", "off"), "reggae", (0.5, 0.6), 0.5),
    Groove("ska", 4, 4, (110, 170), 1.5, _REGGAE[1:] + _ROCK[:2], ("walk", "beats"), ("skank",),
           "reggae"),
    Groove("waltz", 3, 2, (80, 200), 5, _WALTZ, ("hold", "one"),
           ("oompah", "arp", "strum", "hold"), "folk", free=0.12),
    Groove("three four rock", 3, 4, (76, 170), 2, _THREE_FOUR, ("eighths", "riff", "hold"),
           ("riff", "strum", "eighths", "arp"), "rock"),
    Groove("jazz waltz", 3, 3, (100, 190), 2, _JAZZ_WALTZ, ("walk", "one"),
           ("charleston", "hold"), "jazz"),
    Groove("six eight", 2, 3, (42, 90), 6, _SIX_EIGHT, ("beats", "hold", "kick"),
           ("steps", "arp", "strum", "hold"), "pop", free=0.06),
    Groove("jig", 2, 3, (96, 132), 2, _SIX_EIGHT[2:], ("beats", "one"),
           ("strum", "steps", "beats"), "folk"),
    Groove("nine eight", 3, 3, (50, 110), 1, _patterns("k:X..x..x.. h:xxxxxxxxx s:...o..X.."),
           ("beats", "hold"), ("steps", "arp"), "folk"),
    Groove("five four", 5, 2, (96, 190), 2, _FIVE, ("riff", "one", "synco"),
           ("riff", "charleston", "hold", "arp"), "any"),
    Groove("seven four", 7, 2, (100, 185), 1.5, _SEVEN, ("riff", "eighths"),
           ("riff", "arp", "hold"), "rock"),
    Groove("seven eight", 7, 2, (165, 215), 1, _SEVEN_EIGHT, ("uneven",), ("uneven", "arp"),
           "any"),
    Groove("march", 2, 4, (96, 132), 2, _MARCH, ("two", "beats"), ("oompah", "beats"), "brass"),
    Groove("polka", 2, 4, (108, 148), 1.5, _POLKA, ("beats", "two"), ("oompah", "off"), "folk"),
    Groove("country", 4, 4, (84, 150), 2, _TRAIN + _ROCK[:2], ("two", "walk"),
           ("oompah", "strum", "travis"), "folk", (0.5, 0.6), 0.5),
    Groove("folk strumming", 4, 4, (72, 150), 4, (), ("two",), ("strum", "strum", "travis"),
           "strummed", (0.5, 0.58), 0.5, 0.1),
    Groove("folk in three", 3, 2, (84, 170), 1.5, (), ("one",), ("strum", "arp"), "strummed",
           free=0.12),
    Groove("solo piano", 4, 4, (56, 130), 4, (), ("hold", "beats", "two"),
           ("arp", "oompah", "beats", "alberti", "hold"), "piano", free=0.35),
    Groove("piano waltz", 3, 2, (76, 180), 2, (), ("one",), ("oompah", "arp"), "piano", free=0.3),
    Groove("solo guitar", 4, 4, (60, 140), 4, (), ("beats", "two"), ("travis", "arp", "strum"),
           "guitar", free=0.25),
    Groove("guitar in six", 2, 3, (44, 84), 1.5, (), ("beats",), ("arp", "steps"), "guitar",
           free=0.25),
    Groove("electric guitar alone", 4, 4, (80, 190), 3, (), ("none",),
           ("riff", "chug", "gallop", "eighths"), "riffs"),
    Groove("strings", 4, 2, (60, 140), 3, (), ("beats", "eighths", "hold"),
           ("eighths", "hold", "arp", "beats"), "chamber", free=0.25),
    Groove("strings in three", 3, 2, (66, 170), 1.5, (), ("one", "beats"),
           ("oompah", "eighths", "hold"), "chamber", free=0.25),
    Groove("hymn", 4, 2, (60, 116), 1.5, (), ("beats",), ("beats", "beats", "hold"), "choir",
           free=0.25),
    Groove("sequencer", 4, 4, (70, 140), 2, (), ("hold", "steps"), ("arp", "steps"),
           "electronic"),
)  # fmt: skip
"""All that can be drawn."""
