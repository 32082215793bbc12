"""From stems to a mix: amplifier, ducking, reverberation, compression, saturation, tone.

In and out: mono float32 at 22,050 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.instruments import SR

Audio = NDArray[np.float32]

_DUCKED_S = 0.5


@dataclass(frozen=True)
class Desk:
    """What happens to a mix.

    Attributes:
        reverb_s: decay of the reverberation, 0 for none.
        wet: level of the reverberation of drums and of the others.
        squash: how far the mix is compressed, in [0, 1].
        saturation: drive of the whole mix, 0 for none.
        tilt_db: highs against lows.
    """

    reverb_s: float
    wet: tuple[float, float]
    squash: float
    saturation: float
    tilt_db: float


def draw_desk(rng: np.random.Generator) -> Desk:
    """Return settings between dry and drowned, open and crushed."""
    is_dry = rng.random() < 0.25
    wet = float(rng.uniform(0.05, 0.5))
    return Desk(
        reverb_s=0.0 if is_dry else float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))),
        wet=(wet * float(rng.uniform(0.1, 1.0)), wet),
        squash=float(rng.choice([0.0, rng.uniform(0.2, 0.9)])),
        saturation=float(rng.choice([0.0, 0.0, rng.uniform(0.5, 4.0)])),
        tilt_db=float(rng.normal(0.0, 3.0)),
    )


def duck(audio: Audio, kicks_s: list[float], depth: float) -> None:
    """Push audio away at each kick by `depth` in place; it comes back within half a second."""
    n = int(_DUCKED_S * SR)
    dip = (1.0 - depth * np.linspace(1.0, 0.0, n) ** 2).astype(np.float32)
    for kick_s in kicks_s:
        start = max(0, round(kick_s * SR))
        part = audio[start : start + n]
        part *= dip[: len(part)]


def amplified(guitar: Audio, drive: float) -> Audio:
    """Return guitars through one distorting amplifier and its loudspeaker, at a peak of 1."""
    from scipy.signal import butter, sosfilt

    level = float(np.sqrt(np.mean(guitar[guitar != 0.0] ** 2))) + 1e-9
    low = butter(1, 100.0, "high", fs=SR, output="sos").astype(np.float32)
    shaped = np.tanh(sosfilt(low, guitar) * np.float32(0.5 * drive / level))
    cabinet = butter(2, [90.0, 4500.0], "band", fs=SR, output="sos").astype(np.float32)
    out: Audio = sosfilt(cabinet, shaped).astype(np.float32)
    return out / np.float32(np.abs(out).max(initial=1e-9))


def mix(drums: Audio, others: Audio, desk: Desk, rng: np.random.Generator) -> Audio:
    """Return the sum of the stems with the desk's reverberation, compression and tone."""
    from scipy.signal import butter, oaconvolve, sosfilt

    out = drums + others
    if desk.reverb_s:
        n = int(min(desk.reverb_s, 1.5) * SR)
        tail = rng.standard_normal(n, dtype=np.float32)
        tail *= np.exp(-6.9 * np.arange(n) / (desk.reverb_s * SR)).astype(np.float32)
        tail[: int(rng.uniform(0.0, 0.03) * SR)] = 0.0
        tail /= np.float32(np.sqrt(np.sum(tail**2)) + 1e-9)
        sent = np.float32(desk.wet[0]) * drums + np.float32(desk.wet[1]) * others
        out += oaconvolve(sent, tail)[: len(out)].astype(np.float32)
    if desk.squash:
        out = _compressed(out, desk.squash)
    loud = float(np.sqrt(np.mean(out**2))) + 1e-9
    if desk.saturation:
        out = np.tanh(out * np.float32(desk.saturation / (3.0 * loud)))
    low = sosfilt(butter(1, 900.0, fs=SR, output="sos").astype(np.float32), out)
    out = (low + np.float32(10.0 ** (desk.tilt_db / 20.0)) * (out - low)).astype(np.float32)
    return out / np.float32(np.abs(out).max(initial=1e-9))


def _compressed(audio: Audio, amount: float) -> Audio:
    """Return audio whose level over some 20 ms is evened out by `amount`."""
    step = SR // 50
    n_steps = -(-len(audio) // step)
    blocks = np.pad(audio, (0, n_steps * step - len(audio))).reshape(n_steps, step)
    level = np.sqrt(np.mean(blocks**2, axis=1)) + 1e-6
    smooth = np.convolve(level, np.array([0.1, 0.3, 0.35, 0.15, 0.1]), "same")
    gain = np.maximum(smooth, 0.05 * smooth.max()) ** -amount
    at = (np.arange(n_steps) + 0.5) * step
    return audio * np.interp(np.arange(len(audio)), at, gain).astype(np.float32)
