"""What a made-up session is put together from: parts, and players of what will not stay.

A part is a stretch of the raw recording. All positions are samples of the finished track.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rl_editor.materials import Material

Audio = NDArray[np.float32]

_ATTEMPTS = (Material.FALSE_START, Material.FLAWED_TAKE)


@dataclass(frozen=True)
class Part:
    """What the raw recording holds for `n` samples.

    Attributes:
        material, wanted, equally_good: as in `truth.Segment`.
        n: length in samples.
        start: sample of the piece where it begins; None for what is no copy of the piece.
        audio: [n, C] sound; None for the piece itself from `start` on.
        gain: amplitude factor.
    """

    material: Material
    n: int
    wanted: bool = False
    equally_good: bool = False
    start: int | None = None
    audio: Audio | None = None
    gain: float = 1.0

    @property
    def is_gap(self) -> bool:
        """It is neither the piece nor an attempt at it."""
        return self.start is None and self.material not in _ATTEMPTS

    @property
    def stop(self) -> int | None:
        """Sample of the piece where it ends; None for what is no copy of the piece."""
        return None if self.start is None else self.start + self.n


class Performer(Protocol):
    """Plays attempts that will not stay."""

    def attempt(self, start: int, stop: int, flawed_share: float) -> Audio:
        """Return [n, C] the samples [start, stop) of the piece as played this once.

        `flawed_share` is the probability that something goes wrong.
        """
