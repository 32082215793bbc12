"""Changes of a recording's inputs under which the right edit stays the right edit.

In and out: normalised inputs `[N, I]` of the encoder, columns `policy_inputs.INPUT_NAMES`. They
act on features, so they cost nothing beside a new recording: another level and tone, another
key, noise, holes in time, and inputs that are missing altogether.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rl_editor.policy_inputs import INPUT_NAMES

OFFSET = 0.25
"""Standard deviation of the constant offset of an input."""
NOISE = 0.1
"""Standard deviation of the noise from beat to beat."""
MISSING_INPUTS = 0.1
"""Largest share of the inputs that are held at their mean."""
MASK_RATE = 0.01
"""Spans held at their mean that begin at a beat."""
MASK_BEATS = 4
"""Longest of these."""

_N_CLASSES = 12
_CHROMA = INPUT_NAMES.index("chroma_c")
_CHROMA_CHANGE = INPUT_NAMES.index("chroma_c_change")


def augmented(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Return [N, I] inputs as another recording of the same session would give them."""
    n_beats, n_inputs = inputs.shape
    values = transposed(inputs.cpu().numpy(), int(rng.integers(_N_CLASSES)))
    # A constant offset of each input is another level, tone or microphone.
    values += rng.normal(0.0, OFFSET, n_inputs) * (rng.random(n_inputs) < 0.5)
    values += rng.normal(0.0, NOISE, (n_beats, n_inputs))
    values *= rng.random(n_inputs) >= rng.uniform(0.0, MISSING_INPUTS)
    for start in np.flatnonzero(rng.random(n_beats) < MASK_RATE):
        values[start : start + int(rng.integers(1, MASK_BEATS + 1))] = 0.0
    return torch.from_numpy(values.astype(np.float32)).to(inputs.device)


def transposed(inputs: np.ndarray, semitones: int) -> np.ndarray:
    """Return a copy of [N, I] inputs with all pitch classes moved up."""
    moved = inputs.copy()
    for first in (_CHROMA, _CHROMA_CHANGE):
        classes = slice(first, first + _N_CLASSES)
        moved[:, classes] = np.roll(inputs[:, classes], semitones, axis=1)
    return moved
