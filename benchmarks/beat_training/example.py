"""One made recording whose beats are known: what the beat network learns from.

In: nothing. Out: `BeatExample`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST_HELD_OUT_SEED = 999_000_000
"""Examples with seeds from here on are for judging: their scores are played in no others."""


@dataclass(frozen=True)
class BeatExample:
    """A recording with its beats.

    Attributes:
        signal: [S] float32, mono, at `AnalysisConfig.sr` (22,050 Hz).
        beats_s: [B] float64, times of the beats in seconds, rising; none where nothing is played.
        place_in_bar: [B] int64, 0 is the downbeat.
        stretches_s: [P, 2] float64, starts and ends of the stretches of playing; what lies outside
            of them (silence, talk, noise, tuning) has no beat.
    """

    signal: NDArray[np.float32]
    beats_s: NDArray[np.float64]
    place_in_bar: NDArray[np.int64]
    stretches_s: NDArray[np.float64]
