"""What all sounds of a made-up session have in common: the room, the beat and the pitches.

In: the finished track. Out: `Room`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.session_settings import SessionSettings

Audio = NDArray[np.float32]

_CHROMA_WINDOW = 16384


@dataclass(frozen=True)
class Room:
    """What all sounds of one session have in common.

    Attributes:
        sr: sample rate, Hz.
        beat_s: beat period of the piece.
        pitch_classes: [P] pitch classes that the piece uses most, 0 is C.
        music: [S] mono mix of the piece, for noodling on its own sounds.
        impulse_response: [R] of the room, for what is not the piece itself.
        speech_program: probability that espeak-ng speaks, where it is installed.
        sampled: probability that who tunes or noodles has a sampled instrument, where a soundfont
            is installed.
    """

    sr: int
    beat_s: float
    pitch_classes: NDArray[np.int64]
    music: Audio
    impulse_response: Audio
    speech_program: float
    sampled: float


def make_room(
    music: Audio, sr: int, beat_s: float, settings: SessionSettings, rng: np.random.Generator
) -> Room:
    """Return a room with a reverberation time of 0.08 to 0.5 s for the piece `music` [S]."""
    n = int(sr * rng.uniform(0.08, 0.5))
    decay = np.exp(-6.9 * np.arange(n) / n).astype(np.float32)
    tail = rng.standard_normal(n, dtype=np.float32) * decay
    tail *= np.float32(rng.uniform(0.1, 1.2) / np.sqrt(np.sum(tail**2) + 1e-12))
    tail[0] += 1.0
    pitch_classes = _pitch_classes(music, sr, rng)
    return Room(sr, beat_s, pitch_classes, music, tail, settings.speech_program, settings.sampled)


def _pitch_classes(music: Audio, sr: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the seven strongest pitch classes in 12 windows of the piece, ascending."""
    chroma = np.zeros(12)
    frequency = np.fft.rfftfreq(_CHROMA_WINDOW, 1.0 / sr)
    audible = (frequency > 80.0) & (frequency < 2000.0)
    pitch_class = np.rint(69.0 + 12.0 * np.log2(frequency[audible] / 440.0)).astype(int) % 12
    for start in rng.integers(0, max(1, len(music) - _CHROMA_WINDOW), 12):
        window = music[start : start + _CHROMA_WINDOW]
        spectrum = np.abs(np.fft.rfft(window, _CHROMA_WINDOW))[audible]
        chroma += np.bincount(pitch_class, weights=spectrum, minlength=12)
    return np.sort(np.argsort(-chroma, kind="stable")[:7])
