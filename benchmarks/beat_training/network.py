"""The beat network in PyTorch, to train it: the twin of `rl_editor.beat_network`.

Frames `[B, T, 64]` in, logits `[B, T, 2]` of a beat and of a downbeat out. Parameters have the
names and shapes of the shipped tensors. The method is that of Davies and Böck, "Temporal
convolutional networks for musical audio beat tracking" (EUSIPCO 2019), with the departures that
`rl_editor.beat_network` tells; its dilated convolutions, shifted copies and one matrix product,
cost an eighth of what `torch.nn.Conv1d` costs on a CPU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rl_editor.atomic import atomic_path
from rl_editor.beat_network import KERNEL_SIZE, N_BANDS, N_LAYERS

N_OUTPUTS = 2
FRONT_TAPS = 3
FRONT_SHARE = 1.5
"""Width of the first layer over the width of the others: 72 to 48."""
MIN_DEVIATION = 0.05
"""A band that hardly sounds in training is not amplified by more than 20."""


class InputScaling(nn.Module):
    """Brings each band to about zero mean and unit variance; trained on from there."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(N_BANDS))
        self.shift = nn.Parameter(torch.zeros(N_BANDS))

    @torch.no_grad()
    def fit(self, mean: NDArray[np.floating], deviation: NDArray[np.floating]) -> None:
        """Set the 128 numbers from the bands' means [64] and standard deviations [64]."""
        scale = 1.0 / np.maximum(deviation, MIN_DEVIATION)
        self.scale.copy_(torch.from_numpy(scale))
        self.shift.copy_(torch.from_numpy(-mean * scale))

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., 64] bands of `x`, scaled and shifted."""
        return x * self.scale + self.shift


class ResidualLayer(nn.Module):
    """Layer normalisation, a dilated convolution, and a mix of the channels that is added."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.dilated = nn.Linear(KERNEL_SIZE * width, width)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, T, C] of `x` [B, T, C]."""
        wide = F.relu(self.dilated(taps(self.norm(x), KERNEL_SIZE, self.dilation)))
        return x + self.mix(self.dropout(wide))


class BeatNetwork(nn.Module):
    """Beat and downbeat logits of log-mel frames.

    Args:
        width: channels of the residual layers, even.
        dropout: share of the activations that are silenced while training, in [0, 1).
    """

    def __init__(self, width: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        front = round(FRONT_SHARE * width)
        self.input = InputScaling()
        self.front = nn.ModuleList(
            [nn.Linear(FRONT_TAPS * N_BANDS, front), nn.Linear(FRONT_TAPS * front, width)]
        )
        self.layer = nn.ModuleList(
            ResidualLayer(width, 2**layer, dropout) for layer in range(N_LAYERS)
        )
        self.output = nn.Linear(width, N_OUTPUTS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits [B, T, 2] of `frames` [B, T, 64]."""
        x = F.relu(self.front[0](taps(self.input(frames), FRONT_TAPS, 1)))
        x = F.relu(self.front[1](taps(self.dropout(x), FRONT_TAPS, 1)))
        for layer in self.layer:
            x = layer(x)
        return self.output(F.relu(x))


def taps(x: Tensor, n_taps: int, dilation: int) -> Tensor:
    """Return [B, T, n_taps * C]: frames beside those `dilation` apart, zeros beyond the ends."""
    n_frames, reach = x.shape[1], n_taps // 2 * dilation
    padded = F.pad(x, (0, 0, reach, reach))
    starts = range(0, n_taps * dilation, dilation)
    return torch.cat([padded[:, start : start + n_frames] for start in starts], dim=-1)


def tensors_of(network: BeatNetwork, half: bool = True) -> dict[str, NDArray[np.floating]]:
    """Return the network's tensors as they are shipped, by name.

    Args:
        network: a trained network.
        half: round all but the input's 128 numbers, which reach far beyond the range in which
            float16 is fine, to float16.
    """
    tensors = {}
    for name, value in network.state_dict().items():
        kept = value.detach().cpu().numpy().astype(np.float32)
        if not np.isfinite(kept).all():
            raise ValueError(f"{name} is not finite: the training diverged")
        tensors[name] = kept.astype(np.float16) if half and not name.startswith("input.") else kept
    return tensors


def export(network: BeatNetwork, path: Path, half: bool = True) -> None:
    """Write a file of tensors that `rl_editor.beat_network` can run; see `tensors_of`."""
    from safetensors.numpy import save

    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors_of(network, half)))
