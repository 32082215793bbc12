"""Vectors by which places in recordings are compared: self-similarity and alignment use them.

Input: mel power and chroma `[T, ...]` at the analysis frame rate; output: one vector for each
pair of frames, whose dot product with another is a similarity in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME_STEP = 2
"""Analysis frames averaged into one frame here: 40 ms at the default hop."""
N_BANDS = 40
MEL_WEIGHT, CHROMA_WEIGHT = 0.7, 0.3
SILENT_DB = 40.0
"""Frames that far below the loud ones (95th percentile) have no likeness to anything."""
FLOOR_DB = 80.0
"""Bands further below the loud frames' level are raised to this."""
DIGITAL_SILENCE_DB = -60.0
"""Mel power of a frame below any microphone's noise (about -115 dB of full scale)."""
LEVEL_FRAMES = 21
"""Frames (0.8 s) over which the level is averaged that is taken out of the mel bands."""


@dataclass(frozen=True)
class FrameVectors:
    """What frames are compared by.

    Attributes:
        vectors: [T, 52] float32; the dot product of two is their similarity in [-1, 1];
            zero for silent frames.
        bands_db: [T, 40] float32, mel bands in dB.
        level_db: [T] float32, mel power in dB.
        mean_db: [40] float32, the spectrum that was taken out of all bands.
    """

    vectors: NDArray[np.float32]
    bands_db: NDArray[np.float32]
    level_db: NDArray[np.float32]
    mean_db: NDArray[np.float32]


def frame_vectors(
    mel_power: NDArray[np.float32],
    chroma: NDArray[np.float32],
    mean_db: NDArray[np.float32] | None = None,
) -> FrameVectors:
    """Return comparable vectors of pairs of analysis frames: [T // 2, 52], at least one.

    The mean spectrum of the louder frames and the level of the surrounding 0.8 s are taken
    out, so that neither equalisation of the whole file nor a level change matters. `mean_db`
    [40], where given, is taken out instead of the file's own mean spectrum.
    """
    power = _average_pairs(mel_power)
    edges = np.arange(N_BANDS) * power.shape[1] // N_BANDS
    bands = np.add.reduceat(power, edges, axis=1)
    level_db = _db(bands.sum(axis=1), DIGITAL_SILENCE_DB)
    loud_db = float(np.percentile(level_db, 95))
    bands_db = _db(bands, loud_db - FLOOR_DB)
    sounding = level_db > max(loud_db - SILENT_DB, DIGITAL_SILENCE_DB)
    louder = sounding & (level_db >= np.median(level_db[sounding])) if sounding.any() else sounding
    if mean_db is None:
        mean_db = bands_db[louder].mean(axis=0) if louder.any() else np.zeros(N_BANDS, np.float32)
    mel = bands_db - mean_db
    weight = sounding.astype(np.float32)
    local = moving_mean(mel.mean(axis=1) * weight, LEVEL_FRAMES)
    mel -= (local / np.maximum(moving_mean(weight, LEVEL_FRAMES), 1e-6))[:, None]
    pitch = _average_pairs(chroma)
    pitch = pitch - pitch.mean(axis=1, keepdims=True)
    parts = [
        np.sqrt(MEL_WEIGHT) * _unit(moving_mean(mel, 3)),
        np.sqrt(CHROMA_WEIGHT) * _unit(moving_mean(_unit(pitch), 3)),
    ]
    vectors = np.concatenate(parts, axis=1) * weight[:, None]
    return FrameVectors(vectors.astype(np.float32), bands_db, level_db, mean_db)


def moving_mean(values: NDArray, width: int) -> NDArray[np.float32]:
    """Return the mean over `width` (odd) rows around each row; fewer rows count at the ends."""
    half = width // 2
    total = np.concatenate(
        [np.zeros_like(values[:1], dtype=np.float64), np.cumsum(values, 0, float)]
    )
    index = np.arange(len(values))
    start, stop = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    count = (stop - start).reshape(-1, *[1] * (values.ndim - 1))
    return ((total[stop] - total[start]) / count).astype(np.float32)


def _average_pairs(values: NDArray[np.float32]) -> NDArray[np.float32]:
    n_pairs = max(1, len(values) // FRAME_STEP)
    step = min(FRAME_STEP, len(values))
    return values[: n_pairs * step].reshape(n_pairs, step, -1).mean(axis=1)


def _db(power: NDArray[np.float32], floor_db: float) -> NDArray[np.float32]:
    return (10 * np.log10(np.maximum(power, 10 ** (floor_db / 10)))).astype(np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
