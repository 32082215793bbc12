"""Changes of a crop under which its beats stay where they are, made on its log-mel frames.

All but the shift act on magnitudes, where gain, filters and added noise are what they are in a
recording: frames are log(1 + 10 x magnitude), so exp minus 1 is a magnitude. In and out: frames
[T, 64] float32 as of `rl_editor.beat_network.beat_input`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.dataset import Crop, Piece, crop
from rl_editor.beat_network import N_BANDS

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How often and how far crops are changed; a share of 0 leaves a change out.

    Attributes:
        stretched: share of crops at another tempo.
        rates: slowest and fastest of these.
        gain_db: lowest and highest gain.
        filtered: share with another tone: a curve through `tone_nodes` random gains.
        tone_db: standard deviation of these.
        shifted: share with all bands shifted, by at most `shift_bands`.
        noisy: share with the noise or talk of another recording added.
        noise_db: lowest and highest level of it against the crop's mean.
        narrow: share that a phone or a small loudspeaker made: bands beyond random limits are
            missing.
        holed: share with short pieces of time missing, at most `holes` of up to `hole_frames`.
    """

    stretched: float = 0.5
    rates: tuple[float, float] = (0.85, 1.18)
    gain_db: tuple[float, float] = (-18.0, 6.0)
    filtered: float = 0.6
    tone_nodes: int = 5
    tone_db: float = 5.0
    shifted: float = 0.4
    shift_bands: int = 3
    noisy: float = 0.3
    noise_db: tuple[float, float] = (-30.0, -6.0)
    narrow: float = 0.15
    holed: float = 0.15
    holes: int = 4
    hole_frames: int = 25


def draw_crop(
    piece: Piece, n_frames: int, settings: Augmentation, rng: np.random.Generator
) -> Crop:
    """Return a random part of a piece, perhaps at another tempo."""
    rate = 1.0
    if rng.random() < settings.stretched:
        rate = float(np.exp(rng.uniform(*np.log(settings.rates))))
    latest = max(0, len(piece.frames) - int(np.ceil(n_frames * rate)) - 1)
    return crop(piece, float(rng.integers(latest + 1)), n_frames, rate)


def coloured(
    inputs: FloatArray,
    rests: Sequence[NDArray[np.float16]],
    settings: Augmentation,
    rng: np.random.Generator,
) -> FloatArray:
    """Return frames [T, 64] as another room, microphone or level would give them.

    Args:
        inputs: [T, 64] frames.
        rests: frames of noise and talk, each [R, 64], some of which may be added.
        settings: what is changed how often.
        rng: where all draws come from.
    """
    if rng.random() < settings.shifted:
        inputs = _shift(inputs, int(rng.integers(-settings.shift_bands, settings.shift_bands + 1)))
    magnitudes = np.expm1(inputs)
    magnitudes *= _gains(settings, rng)
    if len(rests) and rng.random() < settings.noisy:
        _add_noise(magnitudes, rests[int(rng.integers(len(rests)))], settings, rng)
    if rng.random() < settings.narrow:
        magnitudes[:, : int(rng.integers(0, N_BANDS // 5))] = 0.0
        magnitudes[:, int(rng.integers(N_BANDS // 2, N_BANDS)) :] = 0.0
    if rng.random() < settings.holed:
        for _ in range(int(rng.integers(1, settings.holes + 1))):
            start = int(rng.integers(len(magnitudes)))
            magnitudes[start : start + int(rng.integers(2, settings.hole_frames + 1))] = 0.0
    return np.log1p(magnitudes)


def _shift(inputs: FloatArray, bands: int) -> FloatArray:
    """Return the frames with each band `bands` higher; the outermost one fills the gap."""
    return inputs[:, np.clip(np.arange(N_BANDS) - bands, 0, N_BANDS - 1)]


def _gains(settings: Augmentation, rng: np.random.Generator) -> FloatArray:
    """Return [64] factors of the bands."""
    gains_db = np.full(N_BANDS, rng.uniform(*settings.gain_db))
    if rng.random() < settings.filtered:
        nodes_db = rng.normal(0.0, settings.tone_db, settings.tone_nodes)
        at = np.linspace(0.0, N_BANDS - 1.0, settings.tone_nodes)
        gains_db += np.interp(np.arange(N_BANDS), at, nodes_db)
    return (10.0 ** (gains_db / 20.0)).astype(np.float32)


def _add_noise(
    magnitudes: FloatArray,
    rest: NDArray[np.float16],
    settings: Augmentation,
    rng: np.random.Generator,
) -> None:
    """Add a rest, repeated from a random frame on, at a random level; powers add."""
    turned = (int(rng.integers(len(rest))) + np.arange(len(magnitudes))) % len(rest)
    noise = np.expm1(rest.astype(np.float32))
    level = float(noise.mean())
    if level > 0.0:
        level_db = rng.uniform(*settings.noise_db)
        noise *= np.float32(10.0 ** (level_db / 20.0) * magnitudes.mean() / level)
        np.hypot(magnitudes, noise[turned], out=magnitudes)
