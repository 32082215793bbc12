"""What happens to a recording on its way: rooms, phones, tape, clipping, crowds, codecs, levels.

None of it moves a beat. In and out: mono float32 at 22,050 Hz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.instruments import SR
from rl_editor.session_colour import colour_recording
from rl_editor.session_noises import noise
from rl_editor.session_settings import SessionSettings
from rl_editor.session_speech import babble, peak_one
from rl_editor.session_tones import add, wavering

Audio = NDArray[np.float32]

_CLEAN = 0.35
"""Share of the recordings to which nothing happens."""
_PEAK_DB = (-24.0, 0.0)


def damaged(signal: Audio, rng: np.random.Generator) -> Audio:
    """Return a recording as it was made: in a studio, a rehearsal room, a crowd, by a phone."""
    if rng.random() >= _CLEAN:
        if rng.random() < 0.15:
            signal = _in_company(signal, rng)
        if rng.random() < 0.15:
            signal = signal * wavering(len(signal), SR, rng, 6.0, float(rng.uniform(3.0, 15.0)))
        if rng.random() < 0.75:
            recorded = signal[:, None].copy()
            level = str(rng.choice(["easy", "session", "session", "hard"]))
            colour_recording(recorded, SR, rng, SessionSettings.named(level))
            signal = recorded[:, 0]
        if rng.random() < 0.15:
            signal = _filtered(signal, [rng.uniform(150, 400), rng.uniform(2600, 4500)], "band", 3)
        elif rng.random() < 0.25:
            signal = _filtered(signal, rng.uniform(4000, 10000), "low", 6)
        if rng.random() < 0.1:
            signal = _hissing(signal, rng)
    peak = np.float32(10.0 ** (rng.uniform(*_PEAK_DB) / 20.0))
    return (peak_one(signal) * peak).astype(np.float32)


def _in_company(signal: Audio, rng: np.random.Generator) -> Audio:
    """Add people or noises that do not mind the music."""
    out = signal.copy()
    seconds = float(rng.uniform(5.0, 20.0))
    n = min(len(signal), int(seconds * SR))
    loud = float(np.sqrt(np.mean(signal**2))) * float(10.0 ** (rng.uniform(-15.0, 3.0) / 20.0))
    if rng.random() < 0.5:
        sound = babble(n / SR, SR, rng, float(rng.uniform(90, 260)))
    else:
        sound = noise(n, SR, rng)
    level = float(np.sqrt(np.mean(sound**2))) + 1e-9
    for start in range(int(rng.integers(0, n)) - n, len(signal), n):
        add(out, sound, start, loud / level)
    return out


def _filtered(signal: Audio, hz: object, kind: str, order: int) -> Audio:
    from scipy.signal import butter, sosfilt

    out: Audio = sosfilt(butter(order, hz, kind, fs=SR, output="sos").astype(np.float32), signal)
    return out


def _hissing(signal: Audio, rng: np.random.Generator) -> Audio:
    hiss = np.diff(rng.standard_normal(len(signal) + 1, dtype=np.float32))
    loud = float(np.sqrt(np.mean(signal**2))) * float(10.0 ** (rng.uniform(-45.0, -18.0) / 20.0))
    return signal + np.float32(loud) * hiss
