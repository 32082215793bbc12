"""Neighbourhood attention in one dimension: each beat attends to the `kernel_size` nearest beats.

Hassani et al., "Neighborhood Attention Transformer" (CVPR 2023), with dilation as in "Dilated
Neighborhood Attention Transformer" (2022). The border behaviour is natten's: the window is
shifted at the ends so that every query sees exactly `kernel_size` keys of its dilation group
(beats with the same index modulo the dilation). Departure: natten refuses a group shorter than
the kernel; here such a query sees all keys of its group.

Shapes: `N` beats, `H` heads, `D` size of a head. Three equal implementations: natten's kernels
(CUDA), banded (the default elsewhere) and dense (the reference in tests).
"""

from __future__ import annotations

import functools
import importlib.util
import re

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 32
"""Queries that share one window of keys; 32 was the fastest of 16-128 on two CPU cores."""

MIN_NATTEN = (0, 21, 7)
"""Earlier versions can give NaN gradients on recent cards."""


def window_start(index: Tensor, group_length: Tensor, kernel_size: int) -> Tensor:
    """Return the first key of each query's window, both counted inside the dilation group."""
    last_start = (group_length - kernel_size).clamp(min=0)
    return torch.minimum((index - kernel_size // 2).clamp(min=0), last_start)


def natten_runs_on(device: torch.device) -> bool:
    """Return whether natten's compiled kernels are present and new enough for this device."""
    return device.type == "cuda" and _natten_version() is not None


def backend_name(device: torch.device) -> str:
    """Return what computes the attention on a device, for logs: such as "natten 0.21.7"."""
    return f"natten {_natten_version()}" if natten_runs_on(device) else "banded (PyTorch)"


@functools.cache
def _natten_version() -> str | None:
    """Return the version of natten where it has kernels and is new enough, else None."""
    if importlib.util.find_spec("natten") is None:
        return None
    import natten

    found = re.match(r"(\d+)\.(\d+)\.(\d+)", natten.__version__)
    is_new = found is not None and tuple(map(int, found.groups())) >= MIN_NATTEN
    return natten.__version__ if is_new and natten.HAS_LIBNATTEN else None


def fits_natten(query: Tensor, kernel_size: int, dilation: int) -> bool:
    """Return whether natten's float32 kernels take heads [H, N, D] under such a neighbourhood.

    It refuses a window that is longer than the recording or a single beat, and would leave
    heads whose size is no multiple of 8 to an uncompiled FlexAttention, which is slower than
    ours.
    """
    n_beats, head_dim = query.shape[1:]
    return kernel_size > 1 and kernel_size * dilation <= n_beats and head_dim % 8 == 0


def neighbourhood_attention(
    query: Tensor, key: Tensor, value: Tensor, kernel_size: int, dilation: int
) -> Tensor:
    """Return [H, N, D] attention of each beat over its neighbourhood.

    Args:
        query, key, value: [H, N, D] float32.
        kernel_size: odd number of keys.
        dilation: distance between neighbouring keys, in beats.
    """
    if natten_runs_on(query.device) and fits_natten(query, kernel_size, dilation):
        return natten_attention(query, key, value, kernel_size, dilation)
    return banded_attention(query, key, value, kernel_size, dilation)


def natten_attention(
    query: Tensor, key: Tensor, value: Tensor, kernel_size: int, dilation: int
) -> Tensor:
    """Return what `neighbourhood_attention` does, by natten; see `fits_natten`."""
    from natten.functional import na1d

    batched = [x.transpose(0, 1).unsqueeze(0).contiguous() for x in (query, key, value)]
    out = na1d(*batched, kernel_size=kernel_size, dilation=dilation)
    return out.squeeze(0).transpose(0, 1)


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, kernel_size: int, dilation: int
) -> Tensor:
    """Return what `neighbourhood_attention` does, in blocks of queries over one window of keys."""
    n_heads, n_beats, head_dim = query.shape
    group_length = -(-n_beats // dilation)
    n_blocks = -(-group_length // BLOCK)

    def fold(x: Tensor, length: int) -> Tensor:
        padded = F.pad(x, (0, 0, 0, length * dilation - n_beats))
        return padded.view(n_heads, length, dilation, head_dim).transpose(1, 2)

    queries = fold(query * head_dim**-0.5, n_blocks * BLOCK)
    queries = queries.reshape(n_heads, dilation, n_blocks, BLOCK, head_dim)
    keys, values = fold(key, group_length), fold(value, group_length)
    windows, bias = _bands(n_beats, kernel_size, dilation, query.device)
    # by hand: scaled_dot_product_attention also looks for queries that see nothing; there are none
    scores = queries @ keys[:, :, windows].transpose(-1, -2) + bias
    out = scores.softmax(dim=-1) @ values[:, :, windows]
    unfolded = out.reshape(n_heads, dilation, n_blocks * BLOCK, head_dim).transpose(1, 2)
    return unfolded.reshape(n_heads, -1, head_dim)[:, :n_beats]


@functools.lru_cache(maxsize=256)
def _bands(
    n_beats: int, kernel_size: int, dilation: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the keys of each block [blocks, W], and 0 for who may see them, else -inf.

    The latter is [dilation, blocks, 32, W], 250 bytes a beat with the default kernel.
    """
    group_length = -(-n_beats // dilation)
    n_blocks = -(-group_length // BLOCK)
    width = min(BLOCK + kernel_size - 1, group_length)
    first = (torch.arange(n_blocks, device=device) * BLOCK - kernel_size // 2).clamp(
        0, group_length - width
    )
    windows = first[:, None] + torch.arange(width, device=device)
    lengths = -(-(n_beats - torch.arange(dilation, device=device)) // dilation)
    lengths = lengths.clamp(min=1)[:, None]
    index = torch.arange(n_blocks * BLOCK, device=device)[None, :]
    start = window_start(torch.minimum(index, lengths - 1), lengths, kernel_size)
    end = torch.minimum(start + kernel_size, lengths)
    start = start.view(dilation, n_blocks, BLOCK, 1)
    end = end.view(dilation, n_blocks, BLOCK, 1)
    allowed = (windows[None, :, None] >= start) & (windows[None, :, None] < end)
    return windows, torch.zeros(allowed.shape, device=device).masked_fill(~allowed, -torch.inf)


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, kernel_size: int, dilation: int
) -> Tensor:
    """Return the same from one [N, N] mask: the reference that tests compare with."""
    n_beats = query.shape[1]
    index = torch.arange(n_beats, device=query.device)
    group, place = index % dilation, index // dilation
    lengths = -(-(n_beats - group) // dilation)
    start = window_start(place, lengths, kernel_size)
    allowed = (
        (group[:, None] == group[None, :])
        & (place[None, :] >= start[:, None])
        & (place[None, :] < start[:, None] + kernel_size)
    )
    return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
