"""Single sounds of a session: tones, notes, things that are struck, noise of a colour.

All are mono float32 [n], made with numpy from the generator alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.session_speech import peak_one

Audio = NDArray[np.float32]


def tone(
    pitch_hz: NDArray[np.float64], sr: int, amplitudes: NDArray[np.float64], decay: float
) -> Audio:
    """Return [n] harmonics of a moving pitch [n]; higher ones die away faster, `decay` in 1/s."""
    turn = np.exp(2j * np.pi * np.cumsum(pitch_hz) / sr).astype(np.complex64)
    fall = np.exp(-decay * np.arange(len(pitch_hz)) / sr).astype(np.float32)
    power = np.ones(len(turn), dtype=np.complex64)
    out = np.zeros(len(turn), dtype=np.float32)
    for harmonic, amplitude in enumerate(amplitudes, start=1):
        if harmonic * pitch_hz.max() > 0.45 * sr:
            break
        power *= turn * (fall if harmonic % 2 else 1.0)
        out += np.float32(amplitude) * power.imag
    return out


def note(midi: float, n: int, sr: int, rng: np.random.Generator, bend: float = 0.0) -> Audio:
    """Return [n] of a plucked or bowed note that bends by `bend` semitones to `midi`."""
    time = np.arange(n) / sr
    path = bend * np.exp(-time * rng.uniform(0.6, 3.0))
    bowed = rng.random() < 0.3
    if bowed:
        path = path + 0.15 * np.sin(2 * np.pi * rng.uniform(4, 6.5) * time)
    pitch = 440.0 * 2.0 ** ((midi + path - 69.0) / 12.0)
    amplitudes = np.arange(1, 13) ** -rng.uniform(0.7, 2.0) * rng.uniform(0.3, 1.0, 12)
    out = tone(pitch, sr, amplitudes, 0.0 if bowed else rng.uniform(0.5, 4.0))
    attack = min(n, int(sr * (rng.uniform(0.03, 0.15) if bowed else 0.003)) + 1)
    out[:attack] *= np.linspace(0.0, 1.0, attack, dtype=np.float32)
    release = min(n, int(sr * 0.04) + 1)
    out[n - release :] *= np.linspace(1.0, 0.0, release, dtype=np.float32)
    return out


def hit(sr: int, rng: np.random.Generator, low_hz: float, high_hz: float) -> Audio:
    """Return something struck: a burst of noise and a few damped modes between two pitches."""
    n = int(sr * rng.uniform(0.04, 0.35))
    time = np.arange(n, dtype=np.float32) / sr
    out = rng.standard_normal(n, dtype=np.float32) * np.exp(-time * rng.uniform(60, 400))
    for _ in range(int(rng.integers(2, 6))):
        pitch = low_hz * (high_hz / low_hz) ** rng.random()
        decay = np.exp(-time * rng.uniform(15, 120))
        out += np.float32(rng.uniform(0.3, 1.0)) * decay * np.sin(2 * np.pi * pitch * time)
    return peak_one(out.astype(np.float32))


def coloured_noise(
    n: int, sr: int, rng: np.random.Generator, band_hz: tuple[float, float], tilt: float
) -> Audio:
    """Return [n] of noise between two frequencies that falls by `tilt` dB an octave there."""
    frequency = np.fft.rfftfreq(n, 1.0 / sr)
    low, high = band_hz
    shape = np.maximum(frequency / low, 1.0) ** (-tilt / 6.02)
    shape *= np.minimum(1.0, frequency / low) ** 2 * np.minimum(1.0, high / (frequency + 1e-9)) ** 2
    phases = rng.standard_normal((2, len(frequency)), dtype=np.float32)
    spectrum = (shape * (phases[0] + 1j * phases[1])).astype(np.complex64)
    return peak_one(np.fft.irfft(spectrum, n).astype(np.float32))


def wavering(n: int, sr: int, rng: np.random.Generator, period_s: float, depth_db: float) -> Audio:
    """Return [n] of a gain that wanders within `depth_db`, anew about every `period_s`."""
    points = np.linspace(0.0, 1.0, max(2, int(n / sr / period_s) + 2))
    levels_db = rng.uniform(-depth_db, 0.0, len(points))
    smooth = np.interp(np.linspace(0.0, 1.0, n), points, levels_db)
    return (10.0 ** (smooth / 20.0)).astype(np.float32)


def hump(n: int) -> Audio:
    """Return [n] of a gain that rises and falls once."""
    return (np.sin(np.pi * np.linspace(0.0, 1.0, n)) ** 0.7).astype(np.float32)


def add(out: Audio, sound: Audio, start: int, gain: float) -> None:
    """Mix a sound into `out` [n] from sample `start` on, as much of it as has room."""
    start, skipped = max(0, start), max(0, -start)
    part = sound[skipped : skipped + max(0, len(out) - start)]
    out[start : start + len(part)] += np.float32(gain) * part
