"""The people in the room, and what they do when they do not play the piece.

A scene appends something that is not the piece: talk, tuning, silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.development import sounds, speech
from benchmarks.development.performance import Stereo, Take, draw_take, perform
from benchmarks.development.piece import Piece
from benchmarks.development.tape import Tape, Worth
from rl_editor.materials import Material


@dataclass
class Stage:
    """Everybody in the room, and the tape that runs.

    Attributes:
        pieces: what is played, in order; `number` is the one that is played now.
        speakers: who talks.
        spread: how unlike the takes are, see `performance.draw_take`.
        faintness_db: how far below the piece what people say and do is heard, about.
        topic: what is talked about next.
    """

    pieces: list[Piece]
    speakers: list[speech.Speaker]
    spread: str
    rng: np.random.Generator
    faintness_db: float = 8.0
    number: int = 0
    topic: str = "before"
    take: Take = field(default_factory=Take)

    def __post_init__(self) -> None:
        self.tape = Tape(self.piece.sr)

    @property
    def piece(self) -> Piece:
        """The piece that is played now."""
        return self.pieces[self.number]

    @property
    def sr(self) -> int:
        """Rate of the session, Hz."""
        return self.tape.sr

    def put(self, signal: NDArray, material: Material, above_db: float = 0.0) -> None:
        """Append a mono sound from somewhere in the room, at about the session's faintness."""
        level_db = above_db - self.faintness_db + self.rng.uniform(-3, 3)
        self.tape.junk(self.panned(sounds.levelled(signal, self.sr, level_db)), material)

    def panned(self, signal: NDArray) -> Stereo:
        """Return [S, 2] a mono sound at some place between left and right."""
        angle = self.rng.uniform(0.25, 0.75) * np.pi / 2
        return (signal[:, None] * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32)

    def play(self, start_s: float, until: list[tuple[float, Worth]]) -> None:
        """Play the piece from a place through others."""
        passage = perform(self.piece, (start_s, until[-1][0]), self.take, self.rng)
        self.tape.play(passage, self.number, until)

    def new_take(self) -> None:
        """Play differently from now on."""
        self.take = draw_take(self.spread, self.rng)

    def quiet(self, low_s: float, high_s: float) -> None:
        """Let a while pass."""
        length = round(self.rng.uniform(low_s, high_s) * self.sr)
        self.tape.junk(np.zeros(length, np.float32), Material.SILENCE)


# Scenes


def _talk(stage: Stage, low: int = 1, high: int = 4) -> None:
    stage.quiet(0.3, 1.2)
    lines = speech.draw_lines(stage.topic, int(stage.rng.integers(low, high)), stage.rng)
    if stage.topic == "stopped":
        lines += speech.draw_lines("again", 1, stage.rng)
    said = speech.conversation(stage.speakers, lines, stage.sr, stage.rng)
    stage.put(said, Material.TALK)


def _long_talk(stage: Stage) -> None:
    _talk(stage, 4, 8)


def _one_more_time(stage: Stage) -> None:
    said = speech.conversation(stage.speakers, ["One more time."], stage.sr, stage.rng)
    stage.put(said, Material.TALK)


def _laugh(stage: Stage) -> None:
    stage.quiet(0.2, 0.6)
    stage.put(sounds.laugh(stage.sr, stage.rng), Material.TALK)


def _tuning(stage: Stage) -> None:
    stage.put(sounds.tuning(stage.sr, stage.rng), Material.TUNING, 2.0)
    stage.quiet(0.3, 1.5)


def _noodling(stage: Stage, player: str = "") -> None:
    signal = sounds.noodling(stage.sr, stage.rng, stage.rng.uniform(6, 18), player)
    stage.put(signal, Material.NOODLING, 3.0)
    stage.quiet(0.4, 1.5)


def _drummer(stage: Stage) -> None:
    _noodling(stage, "drums")


def _chatter(stage: Stage) -> None:
    """Append talk while somebody tunes or plays to himself."""
    first = stage.tape.n_samples
    _talk(stage, 3, 6)
    length = stage.tape.n_samples - first
    if stage.rng.random() < 0.5:
        under = sounds.tuning(stage.sr, stage.rng)
    else:
        under = sounds.noodling(stage.sr, stage.rng, length / stage.sr)
    under = sounds.levelled(under, stage.sr, -stage.faintness_db - 7)[:length]
    stage.tape.overlay(first, stage.panned(under))


def _slam(stage: Stage) -> None:
    stage.quiet(0.2, 1.5)
    stage.put(sounds.slam(stage.sr, stage.rng), Material.NOISE, 6.0)


def _applause(stage: Stage) -> None:
    stage.quiet(0.1, 0.8)
    clapping = sounds.applause(stage.sr, stage.rng, stage.rng.uniform(5, 13))
    stage.put(clapping, Material.NOISE, 2.0)


def _dead_air(stage: Stage) -> None:
    stage.quiet(4, 12)


def _long_dead_air(stage: Stage) -> None:
    stage.quiet(22, 50)


def _count(stage: Stage, how: str) -> None:
    """Append a count-in, after the last number of which the piece comes in on the next beat."""
    rng, sr = stage.rng, stage.sr
    beat_s = stage.piece.pulse.period_s()
    beat_s *= 2 if beat_s < 0.36 else 1
    numbers = int(rng.choice([4, 4, 8])) if how != "voice" else 4
    if how == "voice":
        signal = speech.counted(stage.speakers[0], numbers, beat_s, sr, rng)
    else:
        hits = [
            sounds.stick(sr, rng) if how == "sticks" else sounds.metronome_click(sr, k % 4 == 0)
            for k in range(numbers)
        ]
        late_s = rng.normal(0, 0.006 if how == "sticks" else 0.0, numbers).clip(-0.02, 0.02)
        late_s[0] = 0.0
        places = [(max(0.0, k * beat_s + late_s[k]), hit) for k, hit in enumerate(hits)]
        signal = sounds.placed(places, sr)
    whole = np.zeros(round(numbers * beat_s * sr), dtype=np.float32)
    whole[: len(signal)] = signal[: len(whole)]
    stage.quiet(0.5, 2.0)
    stage.put(whole, Material.COUNT_IN, 1.0)


SCENES: dict[str, Callable[[Stage], None]] = {
    "talk": _talk,
    "long_talk": _long_talk,
    "one_more_time": _one_more_time,
    "laugh": _laugh,
    "tuning": _tuning,
    "noodling": _noodling,
    "drummer": _drummer,
    "chatter": _chatter,
    "slam": _slam,
    "applause": _applause,
    "dead_air": _dead_air,
    "long_dead_air": _long_dead_air,
    "count_sticks": lambda stage: _count(stage, "sticks"),
    "count_voice": lambda stage: _count(stage, "voice"),
    "count_clicks": lambda stage: _count(stage, "clicks"),
}


def run_scenes(stage: Stage, names: str, topic: str) -> None:
    """Append scenes, named with blanks between them."""
    for name in names.split():
        stage.topic = topic
        SCENES[name](stage)
