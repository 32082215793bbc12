"""A finished track as the piece that is played in a session.

Silence around it is cut off, a passage of it may be chosen, and its loud parts get the level
that everything else on tape is measured against.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.development.pulse import Pulse, find_pulse
from benchmarks.development.sounds import REFERENCE_RMS, loud_rms
from rl_editor.errors import UserError

FADE_OUT_S = 3.0
"""Of a piece that ends before its track does."""
_SILENT_DB = -55.0
"""Relative to the peak; what is quieter at the ends is not part of the piece."""


@dataclass(frozen=True)
class Piece:
    """A piece: stereo audio [S, 2] at the rate of the session, and its pulse."""

    audio: NDArray[np.float32]
    sr: int
    pulse: Pulse

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.audio) / self.sr


def read_track(path: Path, sr: int) -> NDArray[np.float32]:
    """Return a finished track as stereo [S, 2] at another rate."""
    try:
        audio, own_sr = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(
            f"{path} should be a finished track, but cannot be read ({error}); put the folder of "
            "tracks that the benchmark is made of there."
        ) from error
    audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
    return audio if own_sr == sr else soxr.resample(audio, own_sr, sr)


def make_piece(
    track: NDArray[np.float32], sr: int, passage_s: tuple[float, float] | None, ring_s: float
) -> Piece:
    """Return a piece.

    Args:
        track: [S, 2] at `sr`.
        sr: rate of the session.
        passage_s: which part to play, from one bar line to another; None is all.
        ring_s: silence after the end that belongs to the piece, in which the room rings.
    """
    loud = np.flatnonzero(np.abs(track).max(axis=1) > np.abs(track).max() * 10 ** (_SILENT_DB / 20))
    audio = track[loud[0] : loud[-1] + 1]
    if passage_s is not None:
        audio = audio[: round((passage_s[1] + 10) * sr)]
        pulse = find_pulse(audio, sr)
        first, last = (round(pulse.bar_before(t) * sr) for t in passage_s)
        ends_early = last < len(audio) - sr
        audio = audio[first:last].copy()
        if ends_early:
            n_fade = min(len(audio), round(FADE_OUT_S * sr))
            audio[-n_fade:] *= np.cos(np.linspace(0, np.pi / 2, n_fade))[:, None] ** 2
    audio = audio * (REFERENCE_RMS / loud_rms(audio, sr))
    audio = np.pad(audio, ((0, round(ring_s * sr)), (0, 0))).astype(np.float32)
    return Piece(audio, sr, find_pulse(audio, sr))
