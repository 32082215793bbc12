"""The network that hears beats: log-mel frames in, beat and downbeat activations out.

A temporal convolutional network in NumPy (Davies and Böck, "Temporal convolutional networks
for musical audio beat tracking", EUSIPCO 2019): two short layers that mix the mel bands, then
nine residual layers whose dilation doubles from 1 to 256 frames, each with layer normalisation
before it. Departures: every convolution is a set of shifted copies and one matrix product, and
the dilated part has no gates and no skip sums. Weights: `assets/beat_network.safetensors`;
where they come from is in `assets/beat_network.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError

FloatArray = NDArray[np.float32]

N_BANDS = 64
"""Mel bands that the network was trained on."""
N_LAYERS = 9
KERNEL_SIZE = 5
HALO_FRAMES = 1 + 1 + sum((KERNEL_SIZE // 2) * 2**layer for layer in range(N_LAYERS))
"""Frames on either side that an output depends on: 1024, 20.5 s."""
BLOCK_FRAMES = 8192
"""Frames computed at a time, which bounds the memory of long files (about 20 MB)."""

_MIN_HZ, _MAX_HZ = 30.0, 10000.0
_EPSILON = 1e-5
_WEIGHTS_PATH = Path(__file__).parent / "assets" / "beat_network.safetensors"


def beat_input(magnitude: FloatArray) -> FloatArray:
    """Return the network's input: log(1 + 10 x mean magnitude) in 64 mel bands.

    Args:
        magnitude: [T, 1025] magnitudes of the shared transform (`config.AnalysisConfig`).

    Returns:
        [T, 64] float32, not negative.

    Raises:
        ValueError: if the number of bins is not that of the shared transform.
    """
    filterbank = _filterbank()
    if magnitude.ndim != 2 or magnitude.shape[1] != len(filterbank):
        raise ValueError(f"expected [T, {len(filterbank)}] magnitudes, got {magnitude.shape}")
    return np.log1p(np.float32(10) * (magnitude.astype(np.float32, copy=False) @ filterbank))


def activations(
    beat_inputs: FloatArray,
    block_frames: int = BLOCK_FRAMES,
    weights: Mapping[str, FloatArray] | None = None,
) -> FloatArray:
    """Return [T, 2] float32 probabilities of a beat and of a downbeat in each frame.

    The blocks overlap by `HALO_FRAMES`, so that the result does not depend on their size.

    Args:
        beat_inputs: [T, 64] from `beat_input`.
        block_frames: frames computed at a time, positive.
        weights: float32 tensors from `read_weights`, of any width; the shipped ones if None.

    Raises:
        ValueError: if the number of bands is not 64.
    """
    if beat_inputs.ndim != 2 or beat_inputs.shape[1] != N_BANDS:
        raise ValueError(f"expected [T, {N_BANDS}] beat inputs, got {beat_inputs.shape}")
    w = _weights() if weights is None else weights
    n_frames = len(beat_inputs)
    result = np.empty((n_frames, 2), dtype=np.float32)
    for start in range(0, n_frames, block_frames):
        stop = min(start + block_frames, n_frames)
        first = max(0, start - HALO_FRAMES)
        block = _forward(beat_inputs[first : stop + HALO_FRAMES], w)
        result[start:stop] = block[start - first : stop - first]
    return result


def read_weights(path: Path) -> dict[str, FloatArray]:
    """Return the tensors of a safetensors file of the network, in float32.

    Raises:
        UserError: the file is missing or is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} should be the weights of a beat network, but cannot be read ({error}); name a "
            "file that benchmarks.beat_training made."
        ) from error
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def _forward(frames: FloatArray, w: Mapping[str, FloatArray]) -> FloatArray:
    """Return [T, 2] activations of [T, 64] frames that are computed in one go."""
    x = frames.astype(np.float32, copy=False) * w["input.scale"] + w["input.shift"]
    for name in ("front.0", "front.1"):
        x = _relu(_convolve(x, w[f"{name}.weight"], 1) + w[f"{name}.bias"])
    for layer in range(N_LAYERS):
        name = f"layer.{layer}"
        mean = x.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt(x.var(axis=1, keepdims=True) + np.float32(_EPSILON))
        normed = (x - mean) * scale * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"]
        wide = _convolve(normed, w[f"{name}.dilated.weight"], 2**layer) + w[f"{name}.dilated.bias"]
        x = x + _relu(wide) @ w[f"{name}.mix.weight"].T + w[f"{name}.mix.bias"]
    logits = _relu(x) @ w["output.weight"].T + w["output.bias"]
    return np.float32(1) / (np.float32(1) + np.exp(-logits))


def _convolve(x: FloatArray, weight: FloatArray, dilation: int) -> FloatArray:
    """Return [T, O], the centred dilated convolution of [T, I] with [O, K * I], zero padded."""
    n_frames, n_in = x.shape
    n_taps = weight.shape[1] // n_in
    reach = n_taps // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    taps = [padded[k * dilation : k * dilation + n_frames] for k in range(n_taps)]
    return np.concatenate(taps, axis=1) @ weight.T


def _relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, np.float32(0))


@lru_cache(maxsize=1)
def _weights() -> dict[str, FloatArray]:
    """Return the shipped tensors, read once."""
    return read_weights(_WEIGHTS_PATH)


@lru_cache(maxsize=1)
def _filterbank() -> FloatArray:
    """Return [1025, 64] triangular mel filters (HTK scale), each of which sums to one."""
    config = AnalysisConfig()
    lowest, highest = _hz_to_mel(_MIN_HZ), _hz_to_mel(_MAX_HZ)
    corners_hz = 700.0 * (10.0 ** (np.linspace(lowest, highest, N_BANDS + 2) / 2595.0) - 1.0)
    bins_hz = np.fft.rfftfreq(config.n_fft, 1.0 / config.sr)[:, None]
    left, centre, right = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    filters = np.minimum((bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre))
    filters = np.maximum(filters, 0.0)
    return (filters / filters.sum(axis=0)).astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hz / 700.0))
