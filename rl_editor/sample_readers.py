"""Random access to the samples of a recording, wherever they are.

Everything that makes or measures sound takes a `SampleReader`: a file (`audio.AudioReader`), an
array, or either of them without its constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import AudioInfo

Audio = NDArray[np.floating]
"""[S, C] float32 or float64."""


class SampleReader(Protocol):
    """Random access to samples, as `audio.AudioReader` and `ArrayReader` give it."""

    info: AudioInfo

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""


class ArrayReader:
    """A `SampleReader` of audio [S, C] in memory at `sr` Hz."""

    def __init__(self, audio: Audio, sr: int) -> None:
        subtype = "DOUBLE" if audio.dtype == np.float64 else "FLOAT"
        self.info = AudioInfo("", sr, audio.shape[1], len(audio), subtype, "memory")
        self._audio = audio

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""
        return self._audio[start:stop]


class CentredReader:
    """Another reader's samples without the constant of each channel."""

    def __init__(self, reader: SampleReader, dc_offset: Sequence[float]) -> None:
        """Take `dc_offset` [C], full scale at 1, away from all samples of a reader."""
        self.info = reader.info
        self._reader, self._dc_offset = reader, np.array(dc_offset)

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""
        block = self._reader.read(start, stop)
        return np.asarray(block - self._dc_offset.astype(block.dtype))


class NearbyReader:
    """Another reader, of which the samples around some places are read once and kept."""

    def __init__(self, reader: SampleReader, places: Sequence[int], reach: int) -> None:
        """Keep the samples up to `reach` before and after each of the places."""
        self.info = reader.info
        self._reader = reader
        n_samples = reader.info.n_samples
        spans = [(max(0, at - reach), min(n_samples, at + reach)) for at in places]
        self._kept = [(start, reader.read(start, stop)) for start, stop in spans if start < stop]

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""
        for first, audio in self._kept:
            if first <= start and stop <= first + len(audio):
                return audio[start - first : stop - first]
        return self._reader.read(start, stop)
