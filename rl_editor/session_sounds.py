"""Sounds that fill a session between the takes: count-ins, tuning, noodling, talk, noise.

In: a material, a length in samples and a `Room` (what the session sounds like). Out: mono float32
[n] with a peak of 1, made from the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rl_editor import session_instruments, session_speech
from rl_editor.materials import Material
from rl_editor.session_noises import noise
from rl_editor.session_noodling import noodling, tuning
from rl_editor.session_room import Room
from rl_editor.session_tones import add, hit, note

Audio = NDArray[np.float32]


def make_sound(material: Material, n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Return [n] of talk, noise, count-in, tuning or noodling in the room; silence is zeros."""
    if material == Material.SILENCE:
        return np.zeros(n, dtype=np.float32)
    from scipy.signal import oaconvolve

    # What a sound draws is its own affair: the plan is the same with and without the programs
    # and instruments that a machine may have.
    rng = np.random.default_rng(rng.integers(2**63))
    dry = _MAKERS[material](n, room, rng)
    out = oaconvolve(dry, room.impulse_response)[:n].astype(np.float32)
    n_fade = min(n // 2, room.sr // 50)
    out[n - n_fade :] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)
    return session_speech.peak_one(out)


def _talk(n: int, room: Room, rng: np.random.Generator) -> Audio:
    return session_speech.talk(n, room.sr, rng, room.speech_program)


def _count_in(n: int, room: Room, rng: np.random.Generator) -> Audio:
    """Strokes at the tempo of the piece; the last is one interval before the end."""
    every = float(rng.choice([1.0, 1.0, 1.0, 2.0, 0.5])) * room.beat_s
    count = max(1, min(16, int(n / room.sr / every)))
    onsets_s = n / room.sr - every * np.arange(count, 0, -1)
    onsets_s[:-1] += rng.normal(0.0, rng.uniform(0.0, 0.015), count - 1)
    style = rng.choice(["stick", "clap", "voice", "beep", "hum", "kit"])
    if style == "voice":
        strokes = session_speech.numbers(count, room.sr, rng, room.speech_program)
    elif style == "stick":
        strokes = [hit(room.sr, rng, 1800, 5000)] * count
    elif style == "clap":
        strokes = [hit(room.sr, rng, 700, 1800) for _ in range(count)]
    elif style == "kit" and session_instruments.are_there():
        strokes = session_instruments.strokes(count, room.sr, rng)
    elif style in ("hum", "kit"):
        strokes = [hit(room.sr, rng, 60, 220)] * count
    else:
        beep = note(float(rng.uniform(76, 95)), int(0.06 * room.sr), room.sr, rng)
        strokes = [beep] * count
    out = np.zeros(n, dtype=np.float32)
    for onset_s, stroke in zip(onsets_s, strokes, strict=True):
        add(out, stroke, round(float(onset_s) * room.sr), float(rng.uniform(0.6, 1.0)))
    return out


def _noise(n: int, room: Room, rng: np.random.Generator) -> Audio:
    return noise(n, room.sr, rng)


_MAKERS: dict[Material, Callable[[int, Room, np.random.Generator], Audio]] = {
    Material.TALK: _talk,
    Material.NOISE: _noise,
    Material.COUNT_IN: _count_in,
    Material.TUNING: tuning,
    Material.NOODLING: noodling,
}
