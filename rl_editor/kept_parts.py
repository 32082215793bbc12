"""What the analysis of a recording is made of and another one can be made of as well.

What the beat tracker heard and the stems do not depend on what the user says about the beat.
They are kept in the cache, exactly, under keys without the hints: other hints are a matter of
decoding again. A minute of music takes 0.13 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.cache import Cache, track_key
from rl_editor.stems import STEM_NAMES, StemFrames

_N_HEARD = 3
"""Columns of `beats.listen`."""


@dataclass(frozen=True)
class KeptParts:
    """Parts of the analysis of one recording in a cache; without one nothing is kept.

    Attributes:
        cache: where they are.
        sha256: of the recording's bytes.
        settings: what all parts depend on, as JSON values.
        stem_settings: what the stems depend on besides.
        beat_settings: what the beats that are heard depend on besides.
    """

    cache: Cache | None = None
    sha256: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stem_settings: Mapping[str, Any] = field(default_factory=dict)
    beat_settings: Mapping[str, Any] = field(default_factory=dict)

    def beats(self, n_frames: int) -> NDArray[np.float32] | None:
        """Return [T, 3] of `beats.listen` for `T` frames, or None if it is not there."""
        return _checked(self._load("beats").get("beats"), (n_frames, _N_HEARD))

    def keep_beats(self, heard: NDArray[np.float32]) -> None:
        """Keep what `beats.listen` made."""
        self._store("beats", {"beats": heard})

    def stems(self, n_frames: int) -> StemFrames | None:
        """Return the stems of `n_frames` frames, or None if they are not there."""
        arrays = self._load("stems")
        shape = (n_frames, len(STEM_NAMES))
        power, onset = (_checked(arrays.get(name), shape) for name in ("power", "onset"))
        source = arrays.get("source")
        if power is None or onset is None or source is None:
            return None
        return StemFrames(power, onset, source.tobytes().decode())

    def keep_stems(self, stems: StemFrames) -> None:
        """Keep the stems."""
        source = np.frombuffer(stems.source.encode(), dtype=np.uint8)
        self._store("stems", {"power": stems.power, "onset": stems.onset, "source": source})

    def _key(self, part: str) -> str:
        own = self.stem_settings if part == "stems" else self.beat_settings
        return track_key(self.sha256, {**self.settings, **own, "heard": part})

    def _load(self, part: str) -> dict[str, NDArray[Any]]:
        return (self.cache.load_arrays(self._key(part)) or {}) if self.cache is not None else {}

    def _store(self, part: str, arrays: dict[str, NDArray[Any]]) -> None:
        if self.cache is not None:
            self.cache.store_arrays(self._key(part), arrays)


NOTHING_KEPT = KeptParts()


def _checked(array: NDArray[Any] | None, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return an array if it is one of 32-bit floats of this shape, else None."""
    if array is None or array.shape != shape or array.dtype != np.float32:
        return None
    return array
