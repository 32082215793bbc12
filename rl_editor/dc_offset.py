"""A constant that lies under a recording, such as a bad sound card adds.

It makes no sound, but it takes headroom away and clicks where sound begins and ends.

In: the samples of a source. Out: the constant of each channel; or the source without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rl_editor.edl import Clip
from rl_editor.sample_readers import SampleReader

LEAST = 10.0 ** (-70.0 / 20.0)
"""A smaller mean is that of the music itself: 0.03% of full scale."""
_BLOCK_SAMPLES = 65_536


def dc_offset(clips: Sequence[Clip], reader: SampleReader) -> tuple[float, ...]:
    """Return the mean of each channel of what the clips play; empty where none is worth removing.

    Args:
        clips: of an edit.
        reader: the samples of their source.
    """
    sr, total, n_samples = reader.info.sample_rate, np.zeros(reader.info.channels), 0
    for start, stop in (clip.source_samples(sr) for clip in clips):
        n_samples += stop - start
        for at in range(start, stop, _BLOCK_SAMPLES):
            block = reader.read(at, min(at + _BLOCK_SAMPLES, stop))
            total += block.sum(axis=0, dtype=np.float64)
    mean = total / max(n_samples, 1)
    return tuple(mean.tolist()) if np.abs(mean).max(initial=0.0) >= LEAST else ()
