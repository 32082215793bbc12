"""The result of analysing one recording: what every later stage knows about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.grid import BeatGrid


@dataclass(frozen=True, eq=False)
class Track:
    """A recording on its beat grid.

    Attributes:
        path: where the audio was read from ("" for audio made in memory).
        sha256: of the file's bytes, hexadecimal ("" for audio made in memory).
        sample_rate: of the file, in Hz; analysis works on its own rate.
        channels: of the file.
        n_samples: length of the file in its own sample rate.
        grid: beats, bars, phrases.
        features: [N, 121] float32, not normalised, columns `features.FEATURE_NAMES`.
        recurrence: [N, R] float32, columns `recurrence.RECURRENCE_NAMES`.
        match_later: [N] int64, beat of the best later copy of this place, or -1.
        match_earlier: [N] int64, beat of the best earlier copy, or -1.
        schema: name and version of the feature tables and the source of the stems.
    """

    path: str
    sha256: str
    sample_rate: int
    channels: int
    n_samples: int
    grid: BeatGrid
    features: NDArray[np.float32]
    recurrence: NDArray[np.float32]
    match_later: NDArray[np.int64]
    match_earlier: NDArray[np.int64]
    schema: str

    def __post_init__(self) -> None:
        n_beats = self.grid.n_beats
        for name in ("features", "recurrence", "match_later", "match_earlier"):
            array = getattr(self, name)
            if len(array) != n_beats:
                raise ValueError(f"{name} has {len(array)} rows for {n_beats} beats")
            if not np.all(np.isfinite(array)):
                raise ValueError(f"{name} holds a value that is not finite")

    @property
    def n_beats(self) -> int:
        """Number of beats, `N`."""
        return self.grid.n_beats

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_samples / self.sample_rate
