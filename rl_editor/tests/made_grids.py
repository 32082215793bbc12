"""Grids with bars and phrases of any length, as Hypothesis strategies."""

import numpy as np
from hypothesis import strategies as st

from rl_editor.grid import BeatGrid


@st.composite
def grids(draw, max_beats: int = 40) -> BeatGrid:
    """Return a grid whose beats, bars and phrases all differ in length."""
    n_beats = draw(st.integers(1, max_beats))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges_s = np.concatenate([[0.0], np.cumsum(rng.uniform(0.3, 0.8, n_beats))])
    is_downbeat = rng.random(n_beats) < rng.choice([0.0, 0.25, 0.4])
    return BeatGrid(
        beats_s=edges_s[:-1],
        duration_s=float(edges_s[-1]),
        is_downbeat=is_downbeat,
        is_phrase_start=is_downbeat & (rng.random(n_beats) < 0.4),
        confidence=np.ones(n_beats, dtype=np.float32),
        meter=4,
        tempo_bpm=120.0,
    )
