"""Generated recordings that sound like music to alignment: no two places are alike."""

import numpy as np

SR = 22050


def music(duration_s: float, seed: int) -> np.ndarray:
    """Chords of varied notes and knocks, and a little noise: float32 [S] at 22,050 Hz."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.002, round(duration_s * SR))
    start = 0
    while start < len(signal):
        step = round(rng.choice([0.2, 0.3, 0.4, 0.6]) * SR)
        times = np.arange(min(2 * step, len(signal) - start)) / SR
        decay = np.exp(-times / rng.uniform(0.1, 0.5))
        for note in rng.choice(np.arange(40, 88), 4, replace=False):
            frequency, level = 440 * 2 ** ((note - 69) / 12), rng.uniform(0.02, 0.1)
            for partial in range(1, 5):
                wave = np.sin(2 * np.pi * frequency * partial * times + rng.uniform(0, 6))
                signal[start : start + len(times)] += level / partial * wave * decay
        knock = rng.normal(0, 0.1, len(times)) * np.exp(-times / 0.015)
        signal[start : start + len(times)] += knock
        start += step
    return signal.astype(np.float32)


def cut_together(raw: np.ndarray, cuts: list[tuple[float, float, float]]) -> np.ndarray:
    """Spans (start_s, end_s, gain_db) of a raw recording one after another."""
    parts = [raw[round(a * SR) : round(b * SR)] * 10 ** (g / 20) for a, b, g in cuts]
    return np.concatenate(parts).astype(np.float32)
