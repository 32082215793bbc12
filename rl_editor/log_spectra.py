"""Spectra on a logarithmic frequency axis, where a change of pitch is a shift.

Input: a mono signal `[S]`; output: power in thirds of a semitone, 50 frames a second, and from it
the frame vectors (`frame_vectors`) of the signal as it would sound at another pitch. The bins
share out the power of the one Fourier transform (`spectrogram`) by overlap, as a constant-Q
transform would be read from it (Brown and Puckette 1992) without its finer bass.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig
from rl_editor.frame_vectors import FRAME_STEP, FrameVectors, frame_vectors
from rl_editor.spectrogram import magnitude_blocks

FRAMES_A_SECOND = 25
"""Frame vectors a second; spectra come `FRAME_STEP` times as often."""
STEPS_A_SEMITONE = 3
MAX_SHIFT_STEPS = 7
"""Largest change of pitch that is looked for: two semitones and a third, either way."""
LOWEST_HZ, N_OCTAVES = 80.0, 6.8
"""The axis at pitch 0; it ends below 9 kHz, which the coarsest MP3 still holds."""
CHROMA_HZ = (180.0, 4000.0)
"""Range that chroma listens to: below, thirds of a semitone cannot be told apart."""
_STEPS_AN_OCTAVE = 12 * STEPS_A_SEMITONE
_N_STEPS = round(N_OCTAVES * _STEPS_AN_OCTAVE)


def log_spectra(signal: NDArray[np.float32], sr: int) -> NDArray[np.float32]:
    """Return power [T, 245 + 14] of a mono signal [S] in thirds of a semitone."""
    config = replace(AnalysisConfig(), sr=sr, hop_length=sr // (FRAMES_A_SECOND * FRAME_STEP))
    bank = _bank(config.n_fft, sr)
    return np.concatenate([block**2 @ bank for _, block in magnitude_blocks(signal, config)])


def shifted_vectors(
    spectra: NDArray[np.float32], shift_steps: int = 0, mean_db: NDArray[np.float32] | None = None
) -> FrameVectors:
    """Return the frame vectors of spectra after a change of pitch by thirds of a semitone.

    Args:
        spectra: [T, 259], of `log_spectra`.
        shift_steps: in [-7, 7], how much higher the sound is made.
        mean_db: as for `frame_vectors`.
    """
    start = MAX_SHIFT_STEPS - shift_steps
    power = spectra[:, start : start + _N_STEPS]
    chroma = np.sqrt(power) @ _chroma_folding()
    return frame_vectors(power, chroma, mean_db)


@lru_cache(maxsize=4)
def _bank(n_fft: int, sr: int) -> NDArray[np.float32]:
    """Return [1 + n_fft / 2, 259] the share of each transform bin that falls into each step."""
    steps = np.arange(-MAX_SHIFT_STEPS, _N_STEPS + MAX_SHIFT_STEPS + 1) - 0.5
    edges = LOWEST_HZ * 2.0 ** (steps / _STEPS_AN_OCTAVE) * n_fft / sr
    bins = np.arange(1 + n_fft // 2)[:, None]
    overlap = np.minimum(bins + 0.5, edges[1:]) - np.maximum(bins - 0.5, edges[:-1])
    return np.maximum(overlap, 0.0).astype(np.float32)


@lru_cache(maxsize=1)
def _chroma_folding() -> NDArray[np.float32]:
    """Return [245, 12] which steps belong to which pitch class, counted from 80 Hz."""
    steps = np.arange(_N_STEPS)
    frequencies_hz = LOWEST_HZ * 2.0 ** (steps / _STEPS_AN_OCTAVE)
    heard = (frequencies_hz >= CHROMA_HZ[0]) & (frequencies_hz <= CHROMA_HZ[1])
    classes = np.round(steps / STEPS_A_SEMITONE).astype(int) % 12
    return ((classes[:, None] == np.arange(12)) & heard[:, None]).astype(np.float32)
