"""What the encoder reads of a track, `I` numbers a beat: features, recurrence, ends of takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.features import FEATURE_NAMES
from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.stems import STEM_NAMES
from rl_editor.take_ends import TAKE_END_NAMES, take_ends
from rl_editor.track import Track

INPUT_NAMES = (*FEATURE_NAMES, *RECURRENCE_NAMES, *TAKE_END_NAMES)
N_INPUTS = len(INPUT_NAMES)
_LEVEL, _LEVEL_CHANGE = INPUT_NAMES.index("rms_db"), INPUT_NAMES.index("rms_db_change")
_LEVELS = [_LEVEL, *(INPUT_NAMES.index(f"{stem}_level_db") for stem in STEM_NAMES)]

AHEAD_SUMMARY_BEATS = (8, 32)
"""Spans ahead of the cursor whose mean embedding the heads read, beats."""

ROTARY_BASE = 1000.0
"""Of the rotary position code: its slowest pair turns once in some 2 pi times as many beats."""

LEVEL_FLOOR_DB = -72.0
"""Levels below this are silence: digital zeros (-120 dB) and a quiet room are alike."""

LIMIT = 6.0
"""Normalised inputs beyond this many standard deviations are outliers and held there."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each input over the training beats: [I] each, float32."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def fit(cls, tracks: Sequence[Track]) -> Normalisation:
        """Return the statistics over all beats of all tracks."""
        values = np.concatenate([raw_inputs(track) for track in tracks]).astype(np.float64)
        return cls(
            values.mean(axis=0).astype(np.float32),
            np.maximum(values.std(axis=0), 1e-3).astype(np.float32),
        )


def raw_inputs(track: Track) -> NDArray[np.float32]:
    """Return [N, I] features, recurrence and ends of takes, columns `INPUT_NAMES`."""
    inputs = np.concatenate([track.features, track.recurrence, take_ends(track)], axis=1)
    inputs[:, _LEVELS] = np.maximum(inputs[:, _LEVELS], LEVEL_FLOOR_DB)
    inputs[1:, _LEVEL_CHANGE] = np.diff(inputs[:, _LEVEL])
    return inputs


def policy_inputs(track: Track, normalisation: Normalisation) -> NDArray[np.float32]:
    """Return [N, I] the normalised inputs of one track."""
    scaled = (raw_inputs(track) - normalisation.mean) / normalisation.std
    return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32)
