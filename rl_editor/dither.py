"""Dither: noise that makes rounding errors independent of the signal.

Its distribution is triangular, one step of the sample format to each side (TPDF; S. Lipshitz,
R. Wannamaker, J. Vanderkooy, "Quantization and dither: a theoretical survey", 1992). In: blocks
[S, C] of a stream, full scale at 1. Out: the same with noise, which is the same for every stream,
however it is divided into blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_BITS = 24
"""Wider formats have steps far below any noise."""
_SEED = 1992


class Dither:
    """The noise of one stream."""

    def __init__(self, bits: int | None) -> None:
        """Begin a stream that will be rounded to so many bits; None is a format that is not."""
        self._step = 0.0 if bits is None or bits > MAX_BITS else 2.0 ** (1 - bits)
        self._generator = np.random.default_rng(_SEED)

    def added(self, block: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return a block [S, C] with noise, the next of the stream, as float64."""
        if self._step == 0.0:
            return block
        pairs = self._generator.random((*block.shape, 2), dtype=np.float32)
        return block + self._step * (pairs[..., 0] - pairs[..., 1]).astype(np.float64)
