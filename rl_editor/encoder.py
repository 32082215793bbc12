"""The encoder: one pass over whole tracks, read at the cursor as often as needed.

Each layer mixes four sources into every beat: its neighbourhood (dilated, see `attention`), the
hidden state at its best later and best earlier match elsewhere in the recording, pooled tokens
that summarise the track, and itself. Reading at the match is what finds takes of the same
passage: attention of any reach did not discover them from hundreds of sessions.

Several tracks are encoded together, one after the other; attention and pooling take them apart.

Shapes: `N` beats of all tracks, `T` tracks, `I` inputs, `D` hidden size, `G` global tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl_editor.attention import neighbourhood_attention
from rl_editor.config import AgentConfig
from rl_editor.policy_inputs import ROTARY_BASE


def rotate(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return [..., N, D] under a rotary position code that begins anew in each track.

    Su et al., "RoFormer", 2021, section 3.4.
    """
    half = x.shape[-1] // 2
    turns = [_turns(n_beats, half, x.device, x.dtype) for n_beats in lengths]
    cosine, sine = (torch.cat(parts) for parts in zip(*turns, strict=True))
    first, second = x[..., :half], x[..., half : 2 * half]
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return torch.cat([*turned, x[..., 2 * half :]], dim=-1)


@functools.lru_cache(maxsize=64)
def _turns(
    n_beats: int, half: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines [N, half] of the angles by which each beat is turned."""
    rate = ROTARY_BASE ** (-torch.arange(half, device=device, dtype=dtype) / half)
    angle = torch.arange(n_beats, device=device, dtype=dtype)[:, None] * rate
    return angle.cos(), angle.sin()


def read_at(hidden: Tensor, match: Tensor) -> Tensor:
    """Return [N, D] the hidden state at each beat's match, zeros where `match` is -1."""
    return hidden[match.clamp(min=0)] * (match >= 0).to(hidden.dtype)[:, None]


def at_each_beat(of_tracks: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return [N, D] the row [T, D] of its track at each beat."""
    return torch.cat([row.expand(n, -1) for row, n in zip(of_tracks, lengths, strict=True)])


def pool_each(scores: Tensor, values: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """Return for each track [G, D] means of `values` [N, D], weighted by `scores` [N, G]."""
    parts = zip(scores.split(list(lengths)), values.split(list(lengths)), strict=True)
    return [score.softmax(dim=0).T @ value for score, value in parts]


class EncoderLayer(nn.Module):
    """One layer: neighbourhood attention, reading at the matches, pooled tokens, feed-forward."""

    def __init__(self, config: AgentConfig, dilation: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.n_heads, self.kernel_size, self.dilation = config.n_heads, config.kernel_size, dilation
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.attention_out = nn.Linear(dim, dim)
        self.match = nn.Linear(2 * dim, dim)
        self.pool_scores = nn.Linear(dim, config.n_global_tokens)
        self.pool_out = nn.Linear(config.n_global_tokens * dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward_in = nn.Linear(dim, 2 * dim)
        self.feed_forward_out = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Tensor, match_later: Tensor, match_earlier: Tensor, lengths: Sequence[int]
    ) -> Tensor:
        """Return [N, D] the next hidden state."""
        normed = self.attention_norm(hidden)
        mixed = self.attend(normed, lengths)
        matches = [read_at(normed, match_later), read_at(normed, match_earlier)]
        mixed = mixed + self.match(torch.cat(matches, dim=-1))
        pooled = torch.stack([part.flatten() for part in self.pool(normed, lengths)])
        mixed = mixed + at_each_beat(self.pool_out(pooled), lengths)
        hidden = hidden + self.dropout(mixed)
        inner = F.gelu(self.feed_forward_in(self.feed_forward_norm(hidden)), approximate="tanh")
        return hidden + self.dropout(self.feed_forward_out(inner))

    def attend(self, normed: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return [N, D] the attention over each beat's neighbourhood in its track."""
        n_beats, dim = normed.shape
        shape = (n_beats, 3, self.n_heads, dim // self.n_heads)
        split = self.query_key_value(normed).view(shape).permute(1, 2, 0, 3)
        query, key = rotate(split[:2], lengths).unbind(0)
        parts = (x.split(list(lengths), dim=1) for x in (query, key, split[2]))
        out = [
            neighbourhood_attention(q, k, v, self.kernel_size, self.dilation)
            for q, k, v in zip(*parts, strict=True)
        ]
        return self.attention_out(torch.cat(out, dim=1).transpose(0, 1).reshape(n_beats, dim))

    def pool(self, normed: Tensor, lengths: Sequence[int]) -> list[Tensor]:
        """Return for each track [G, D] tokens, each a weighted mean over the whole of it."""
        return pool_each(self.pool_scores(normed), normed, lengths)


class Encoder(nn.Module):
    """Inputs of tracks [N, I] to beat embeddings [N, D] and pooled tokens [T, G * D]."""

    def __init__(self, config: AgentConfig, n_inputs: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.input = nn.Linear(n_inputs, dim)
        self.layers = nn.ModuleList(EncoderLayer(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(dim)
        self.pool_scores = nn.Linear(dim, config.n_global_tokens)

    def forward(
        self, inputs: Tensor, match_later: Tensor, match_earlier: Tensor, lengths: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return beat embeddings [N, D] and the pooled summary of each track [T, G * D].

        Args:
            inputs: [N, I] of all tracks, one after the other.
            match_later, match_earlier: [N] rows of all beats' matches, or -1.
            lengths: beats of each track.
        """
        hidden = self.input(inputs)
        for layer in self.layers:
            hidden = layer(hidden, match_later, match_earlier, lengths)
        hidden = self.norm(hidden)
        pooled = pool_each(self.pool_scores(hidden), hidden, lengths)
        return hidden, torch.stack([tokens.flatten() for tokens in pooled])
