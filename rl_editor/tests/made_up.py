"""Analysed tracks without audio, for tests of what comes after the analysis."""

import numpy as np

from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import steady_grid
from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.track import Track


def made_up_track(n_beats=64, seed=0, beat_s=0.5):
    """Return a track of random features in which some beats have copies elsewhere."""
    rng = np.random.default_rng(seed)
    duration_s = n_beats * beat_s
    index = np.arange(n_beats)
    later = index + rng.integers(1, n_beats + 1, n_beats)
    earlier = index - rng.integers(1, n_beats + 1, n_beats)
    return Track(
        path="made_up.wav",
        sha256="",
        sample_rate=8000,
        channels=1,
        n_samples=round(duration_s * 8000),
        grid=steady_grid(duration_s, 60.0 / beat_s),
        features=rng.normal(size=(n_beats, len(FEATURE_NAMES))).astype(np.float32),
        recurrence=rng.normal(size=(n_beats, len(RECURRENCE_NAMES))).astype(np.float32),
        match_later=np.where(later < n_beats, later, -1),
        match_earlier=np.where(earlier >= 0, earlier, -1),
        schema="made-up",
    )
