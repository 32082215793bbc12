"""What a device and a room do to a whole recording: echo, tone, levelling, noise, hum, overload.

All of it happens to wanted and unwanted parts alike, so no label changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.session_settings import SessionSettings
from rl_editor.units import db_to_gain

Audio = NDArray[np.float32]

_BLOCK = 1 << 19
"""Samples that are coloured at a time."""
_AGC_STEP_S = 0.05


def colour_recording(
    raw: Audio, sr: int, rng: np.random.Generator, settings: SessionSettings
) -> bool:
    """Change `raw` [S, C] in place as `settings` allow; its level stays about the same.

    Returns whether the device evened out the levels of loud and quiet takes.
    """
    if rng.random() < settings.room:
        _reverberate(raw, sr, rng)
    if rng.random() < settings.tone:
        _tilt(raw, sr, rng)
    colour = _Colour(raw.shape[1], sr, rng, settings)
    for start in range(0, len(raw), _BLOCK):
        colour.add_noise(raw[start : start + _BLOCK], start)
    is_evened_out = rng.random() < settings.automatic_gain
    if is_evened_out:
        _level_automatically(raw, sr, rng)
    peak = max(float(raw.max()), -float(raw.min()))
    for start in range(0, len(raw), _BLOCK):
        colour.limit(raw[start : start + _BLOCK], peak)
    return is_evened_out


def _reverberate(raw: Audio, sr: int, rng: np.random.Generator) -> None:
    """Add a room with a reverberation time of 0.15 to 1.5 s to everything."""
    from scipy.signal import oaconvolve

    n = int(sr * 10.0 ** rng.uniform(-0.8, 0.18))
    tail = rng.standard_normal(n, dtype=np.float32) * np.exp(-6.9 * np.arange(n) / n)
    tail *= rng.uniform(0.1, 0.7) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[: int(sr * rng.uniform(0.0, 0.03)) + 1] = 0.0
    for channel in range(raw.shape[1]):
        echo = oaconvolve(raw[:, channel], tail.astype(np.float32))[: len(raw)]
        raw[:, channel] += echo.astype(np.float32)


def _tilt(raw: Audio, sr: int, rng: np.random.Generator) -> None:
    """Raise or lower everything above some pitch by up to 9 dB."""
    from scipy.signal import butter, sosfilt

    split_hz = min(float(10.0 ** rng.uniform(2.0, 3.7)), 0.4 * sr)
    sos = butter(1, split_hz, fs=sr, output="sos").astype(np.float32)
    low = sosfilt(sos, raw, axis=0)
    raw[:] = low + np.float32(db_to_gain(rng.uniform(-9.0, 9.0))) * (raw - low)


def _level_automatically(raw: Audio, sr: int, rng: np.random.Generator) -> None:
    """Even out levels as a telephone does: fast down, slowly up, in part or almost wholly."""
    step = int(_AGC_STEP_S * sr)
    n_steps = -(-len(raw) // step)
    loud = np.array([np.abs(raw[i * step : (i + 1) * step]).max() for i in range(n_steps)])
    release = float(np.exp(-_AGC_STEP_S / rng.uniform(0.5, 4.0)))
    envelope, held = np.empty(n_steps), 0.0
    for i, value in enumerate(loud):
        held = max(float(value), held * release)
        envelope[i] = held
    floor = db_to_gain(-rng.uniform(20.0, 45.0)) * float(loud.max(initial=0.0)) + 1e-9
    gain_at_step = np.maximum(envelope, floor) ** -rng.uniform(0.3, 0.9)
    gain_at_step *= float(loud.max(initial=0.0)) / float((envelope * gain_at_step).max() + 1e-9)
    at = (np.arange(n_steps) + 0.5) * step
    for start in range(0, len(raw), _BLOCK):
        block = raw[start : start + _BLOCK]
        gain = np.interp(np.arange(start, start + len(block)), at, gain_at_step)
        block *= gain.astype(np.float32)[:, None]


class _Colour:
    """Noise, hum, overload and band limits of one recording, applied block by block."""

    def __init__(
        self, channels: int, sr: int, rng: np.random.Generator, settings: SessionSettings
    ) -> None:
        from scipy.signal import butter

        self.sr, self.rng = sr, rng
        has_noise = rng.random() < settings.noise_floor
        self.noise = db_to_gain(rng.uniform(*settings.noise_floor_db)) if has_noise else 0.0
        darkness_hz = min(float(10.0 ** rng.uniform(2.5, 4.3)), 0.45 * sr)
        self.noise_filter = butter(1, darkness_hz, fs=sr, output="sos").astype(np.float32)
        self.noise_state = np.zeros((1, 2, channels), dtype=np.float32)
        self.noise *= np.sqrt(0.5 * sr / darkness_hz) * 0.8
        has_hum = rng.random() < settings.hum
        self.hum = db_to_gain(rng.uniform(-75.0, -42.0)) if has_hum else 0.0
        self.hum_hz = float(rng.choice([50.0, 60.0]))
        self.hum_mix = rng.uniform(0.1, 1.0, 6) / np.arange(1, 7)
        self.clip = rng.uniform(0.3, 0.9) if rng.random() < settings.clipping else None
        self.band = None
        if rng.random() < settings.band_pass:
            low_hz, high_hz = rng.uniform(60, 350), min(rng.uniform(2800, 9000), 0.45 * sr)
            self.band = butter(2, [low_hz, high_hz], "band", fs=sr, output="sos").astype(np.float32)
            self.band_state = np.zeros((len(self.band), 2, channels), dtype=np.float32)

    def add_noise(self, block: Audio, start: int) -> None:
        """Add noise and hum to `block` [n, C] in place; `start` is its first sample."""
        from scipy.signal import sosfilt

        if self.noise > 0.0:
            white = self.rng.standard_normal(block.shape, dtype=np.float32)
            noise, self.noise_state = sosfilt(self.noise_filter, white, axis=0, zi=self.noise_state)
            block += np.float32(self.noise) * noise
        if self.hum > 0.0:
            block += np.float32(self.hum) * self._hum(start, len(block))[:, None]

    def limit(self, block: Audio, peak: float) -> None:
        """Clip and narrow `block` [n, C] of a recording with that peak in place."""
        from scipy.signal import sosfilt

        if self.clip is not None:
            np.clip(block, -self.clip * peak, self.clip * peak, out=block)
        if self.band is not None:
            block[:], self.band_state = sosfilt(self.band, block, axis=0, zi=self.band_state)

    def _hum(self, start: int, n: int) -> Audio:
        phase = np.arange(start, start + n) * (self.hum_hz / self.sr) % 1.0
        table_phase = np.arange(1025) / 1024
        harmonics = np.arange(1, 7)[:, None]
        table = self.hum_mix @ np.sin(2 * np.pi * harmonics * table_phase)
        return np.interp(phase, table_phase, table).astype(np.float32)
