"""What a user says about the beat where it is heard wrong, and what follows for the beats.

In: the wishes of `rl_editor.edit` and the beats of each stretch of playing. Out: the beats at
half or twice the tempo, or half a beat later. `docs/beats.md` tells when to use which.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_bars import (
    REACH_FRAMES,
    at_beats,
    bar_phase,
    choose_meter,
    downbeat_odds,
    frames_of,
)
from rl_editor.beats_file import GivenBeats
from rl_editor.errors import UserError

FloatArray = NDArray[np.float64]

TEMPO_RANGE_BPM = (30, 300)
METER_RANGE = (1, 16)


@dataclass(frozen=True)
class BeatHints:
    """What a user says about the beat.

    Attributes:
        tempo_bpm: the tempo in beats a minute, 30 to 300; beats stay within 8% of it.
        meter: beats in a bar, 1 to 16.
        half, double: the beats at half or twice the tempo that is heard.
        shift_beat: the beats lie half a beat later than they are heard.
        downbeats_s: moments in s at which a bar begins.
        given: beats from a file; nothing is listened for then.
    """

    tempo_bpm: float | None = None
    meter: int | None = None
    half: bool = False
    double: bool = False
    shift_beat: bool = False
    downbeats_s: tuple[float, ...] = ()
    given: GivenBeats | None = None

    @property
    def changes_beats(self) -> bool:
        """Whether beats lie elsewhere than they are heard."""
        return self.half or self.double or self.shift_beat

    def check(self) -> None:
        """Raise `UserError` for what no music has, and for hints that contradict each other."""
        _check_range("tempo", self.tempo_bpm, TEMPO_RANGE_BPM, "beats a minute")
        _check_range("meter", self.meter, METER_RANGE, "beats a bar")
        for moment_s in self.downbeats_s:
            if not 0.0 <= moment_s < math.inf:
                raise UserError(
                    f"a bar should begin at a moment of the recording, but {moment_s:g} s is none; "
                    "give seconds from its start, such as 12.3."
                )
        tempi = [
            word
            for word, said in (
                ("a tempo", self.tempo_bpm is not None),
                ("half the tempo", self.half),
                ("twice the tempo", self.double),
            )
            if said
        ]
        if len(tempi) > 1:
            raise UserError(
                f"one tempo can be asked for, but {' and '.join(tempi)} are; choose one of them."
            )
        if tempi and self.given is not None:
            raise UserError(
                f"the beats come from {self.given.name}, which sets their tempo, but {tempi[0]} is "
                "asked for too; leave out one of the two."
            )

    def check_moments(self, duration_s: float) -> None:
        """Raise `UserError` for a moment outside a recording of `duration_s`."""
        for moment_s in self.downbeats_s:
            if moment_s >= duration_s:
                raise UserError(
                    f"a bar should begin at {moment_s:g} s, but the recording lasts "
                    f"{duration_s:.2f} s; name a moment inside it."
                )

    def settings(self) -> dict[str, Any]:
        """Return what an analysis depends on, as JSON values for the key of a cached one.

        Without the hints that are not used: analyses that were kept before a hint was known are
        still found.
        """
        said: dict[str, Any] = {"tempo_bpm": self.tempo_bpm, "meter": self.meter}
        for name in ("half", "double", "shift_beat", "downbeats_s"):
            if value := getattr(self, name):
                said[name] = value
        if self.given is not None:
            content = json.dumps([self.given.times_s, self.given.places])
            said["given"] = hashlib.sha256(content.encode()).hexdigest()
        return said

    def words(self) -> tuple[str, ...]:
        """Return the hints as options of the command, such as ("--half", "--downbeat 12.3")."""
        return (
            *((f"--tempo {self.tempo_bpm:g}",) if self.tempo_bpm is not None else ()),
            *(("--half",) if self.half else ()),
            *(("--double",) if self.double else ()),
            *((f"--beats {shlex.quote(self.given.name)}",) if self.given is not None else ()),
            *(("--shift-beat",) if self.shift_beat else ()),
            *((f"--meter {self.meter}",) if self.meter is not None else ()),
            *(f"--downbeat {moment_s}" for moment_s in self.downbeats_s),
        )


NO_HINTS = BeatHints()


def _check_range(name: str, value: float | None, allowed: tuple[int, int], unit: str) -> None:
    if value is not None and not allowed[0] <= value <= allowed[1]:
        raise UserError(
            f"the {name} must be {allowed[0]} to {allowed[1]} {unit}, but is {value:g}; "
            "leave it out to have it found."
        )


def as_asked(
    stretches: list[FloatArray], activations: FloatArray, hints: BeatHints
) -> list[FloatArray]:
    """Return the beats of each stretch at the tempo and place that the user asked for.

    Args:
        stretches: beat times of each, s, at least 2.
        activations: [T, 2] beat and downbeat activations, 50 a second.
        hints: with `half`, `double` and `shift_beat`.
    """
    if hints.double:
        stretches = [doubled(times_s) for times_s in stretches]
    if hints.half:
        stretches = _halved(stretches, activations, hints)
    if hints.shift_beat:
        stretches = [shifted(times_s) for times_s in stretches]
    return stretches


def _halved(
    stretches: list[FloatArray], activations: FloatArray, hints: BeatHints
) -> list[FloatArray]:
    """Return every other beat: those on which bars begin, as the user says or as is heard."""
    frames = [frames_of(times_s) for times_s in stretches]
    odds = [downbeat_odds(activations[:, 1], beats, REACH_FRAMES) for beats in frames]
    bar = choose_meter(odds) if odds else 1
    result = []
    for times_s, beats, of_downbeat in zip(stretches, frames, odds, strict=True):
        one = _first_one(times_s, hints.downbeats_s)
        if one is not None and hints.shift_beat:
            one -= 1  # half a slow beat later is one beat of these
        if one is None and bar % 2 == 0:
            one = bar_phase(of_downbeat, bar)
        if one is None:  # bars begin on either: the louder beats
            strength = at_beats(activations[:, 0], beats, REACH_FRAMES)
            one = int(strength[1::2].mean() > strength[::2].mean())
        result.append(halved(times_s, one % 2))
    return result


def _first_one(times_s: FloatArray, moments_s: tuple[float, ...]) -> int | None:
    """Return the beat of a stretch that is nearest to the earliest moment inside it, if one is."""
    half_s = 0.5 * float(np.median(np.diff(times_s)))
    inside = [m for m in moments_s if times_s[0] - half_s <= m < times_s[-1] + half_s]
    return int(np.abs(times_s - min(inside)).argmin()) if inside else None


def doubled(times_s: FloatArray) -> FloatArray:
    """Return [2 N] beats: the given ones and one in the middle after each."""
    return np.stack([times_s, shifted(times_s)], axis=1).reshape(-1)


def halved(times_s: FloatArray, first: int = 0) -> FloatArray:
    """Return every other beat from beat `first`, 0 or 1, on."""
    return times_s[first::2]


def shifted(times_s: FloatArray) -> FloatArray:
    """Return [N] beats, each half a beat later: in the middle before the next one."""
    lengths_s = np.diff(times_s)
    return times_s + 0.5 * np.append(lengths_s, np.median(lengths_s[-8:]))


def check_changed_tempo(tempo_bpm: float, hints: BeatHints) -> None:
    """Raise `UserError` if half or twice the tempo that is heard is no tempo of music."""
    if not (hints.half or hints.double):
        return
    low, high = TEMPO_RANGE_BPM
    if not low <= tempo_bpm <= high:
        word = "half" if hints.half else "twice"
        raise UserError(
            f"{word} the tempo that is heard is {tempo_bpm:.0f} beats a minute, but {low} to "
            f"{high} are possible; leave it out, or give the tempo."
        )
