"""How hard a made-up session is: probabilities and ranges that `sessions` draws from.

The ranges are wide on purpose and tuned to no style of session: an editor trained on them meets
recordings that other people made. `SessionSettings.draw` picks a difficulty at random.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

DIFFICULTIES = ("clean", "easy", "session", "hard")
DIFFICULTY_WEIGHTS = (0.08, 0.27, 0.4, 0.25)
"""How often `draw` picks each; `clean` is a finished track in which nothing is wrong."""


@dataclass(frozen=True)
class SessionSettings:
    """What may go wrong in a session.

    The probabilities of the kinds say how likely a session holds the kind at all; a kind that it
    holds occurs at least once where there is room, with a share drawn for that session.
    """

    name: str = "session"
    unwanted_share: tuple[float, float] = (0.1, 0.75)
    """Range of the share of the raw recording that does not belong in the edit, 0 to 0.85."""

    silence: float = 0.8
    talk: float = 0.7
    noise: float = 0.5
    count_in: float = 0.5
    tuning: float = 0.4
    noodling: float = 0.5
    false_start: float = 0.5
    flawed_take: float = 0.6
    second_take: float = 0.35
    """A passage played twice, both times without a flaw; the second is wanted."""
    safety_take: float = 0.15
    """A passage is played again after the take that stays: broken off, flawed, or as good."""
    long_repeat: float = 0.4
    """A riff vamped longer than the piece needs."""
    played_anew: float = 0.5
    """The attempts that do not stay are other performances, not copies of the good take."""
    late_retake: float = 0.2
    """A passage is flawed where it stands and recorded again at the end."""
    out_of_order: float = 0.12
    """A passage recorded before or after its place in the piece."""

    off_beat: float = 0.2
    """Share of the interruptions that fall between beats."""
    off_bar: float = 0.35
    """Share of the others that fall on a beat, but not on a bar line."""
    broken_off: float = 0.5
    """Share of the flawed takes that stop early."""
    gap_after_take: float = 0.8
    """Share of the takes after which something else is heard before the next."""
    whole_take: float = 0.3
    """Share of the takes that go on to the end of the piece."""
    from_the_top: float = 0.25
    """Share of the takes that begin with the piece."""
    pre_roll: float = 0.35
    """Share of the retakes that begin with the bar before."""

    take_gain_db: tuple[float, float] = (-4.0, 4.0)
    """Level of each take against the finished track."""
    peak_db: tuple[float, float] = (-12.0, -0.3)
    """Peak of the recording."""
    junk_level_db: tuple[float, float] = (-28.0, 6.0)
    """Level of talk, tuning and the like against the music."""
    noise_floor: float = 0.55
    """Probability of a noise floor through everything."""
    noise_floor_db: tuple[float, float] = (-80.0, -42.0)
    hum: float = 0.25
    """Probability of mains hum through everything."""
    clipping: float = 0.1
    """Probability that the loudest peaks of the whole recording are clipped."""
    band_pass: float = 0.12
    """Probability of the narrow band of a telephone."""
    room: float = 0.2
    """Probability that everything is heard in the echo of a room."""
    tone: float = 0.4
    """Probability that highs or lows of everything are weaker."""
    automatic_gain: float = 0.12
    """Probability that the device evens out levels, pauses included."""
    mono: float = 0.3
    """Probability that a stereo track becomes a mono recording."""
    speech_program: float = 0.7
    """Share of the talk spoken by espeak-ng where it is installed; the rest is synthesised here."""
    sampled: float = 0.6
    """Share of the noodling and tuning on sampled instruments where a soundfont is installed."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not 0.0 <= value <= 1.0:
                raise ValueError(f"{entry.name} is a probability, but is {value}")
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{entry.name} is a range (low, high), but is {value}")
        if not 0.0 <= self.unwanted_share[0] <= self.unwanted_share[1] <= 0.9:
            raise ValueError(f"unwanted_share lies in 0 to 0.9, but is {self.unwanted_share}")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SessionSettings:
        """Return the settings of a difficulty drawn at random."""
        return cls.named(str(rng.choice(DIFFICULTIES, p=DIFFICULTY_WEIGHTS)))

    @classmethod
    def named(cls, difficulty: str) -> SessionSettings:
        """Return the settings of one of `DIFFICULTIES`."""
        return _NAMED[difficulty]


# What the whole recording sounds like (noise floor, hum, clipping, band) is drawn alike for every
# difficulty: where only sessions have a noise floor, its absence gives a finished track away.
_NAMED = {
    "clean": SessionSettings(
        name="clean",
        unwanted_share=(0.0, 0.0),
        take_gain_db=(0.0, 0.0),
        late_retake=0.0,
        out_of_order=0.0,
    ),
    "easy": SessionSettings(
        name="easy",
        unwanted_share=(0.02, 0.45),
        false_start=0.4,
        flawed_take=0.2,
        second_take=0.05,
        safety_take=0.08,
        long_repeat=0.15,
        late_retake=0.0,
        out_of_order=0.0,
        off_beat=0.1,
        off_bar=0.2,
        gap_after_take=1.0,
        pre_roll=0.1,
        take_gain_db=(-2.0, 2.0),
        noise_floor_db=(-85.0, -55.0),
    ),
    "session": SessionSettings(name="session"),
    "hard": SessionSettings(
        name="hard",
        unwanted_share=(0.3, 0.85),
        false_start=0.7,
        flawed_take=0.9,
        second_take=0.5,
        safety_take=0.2,
        long_repeat=0.6,
        late_retake=0.35,
        out_of_order=0.3,
        off_beat=0.35,
        gap_after_take=0.5,
        pre_roll=0.5,
        noise_floor_db=(-70.0, -38.0),
    ),
}
