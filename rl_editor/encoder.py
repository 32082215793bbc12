"""The encoder: one pass over a whole track, read at the cursor as often as needed.

Each layer mixes four sources into every beat: its neighbourhood (dilated, see `attention`), the
hidden state at its best later and best earlier match elsewhere in the recording, pooled tokens
that summarise the track, and itself. Reading at the match is what finds takes of the same
passage: attention of any reach did not discover them from hundreds of sessions.

Shapes: `N` beats, `I` inputs, `D` hidden size, `G` global tokens.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl_editor.attention import neighbourhood_attention
from rl_editor.config import AgentConfig
from rl_editor.policy_inputs import ROTARY_BASE


def rotate(x: Tensor) -> Tensor:
    """Return [H, N, D] under a rotary position code (Su et al., "RoFormer", 2021, section 3.4)."""
    n_beats, half = x.shape[1], x.shape[2] // 2
    cosine, sine = _turns(n_beats, half, x.device, x.dtype)
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

    def forward(self, hidden: Tensor, match_later: Tensor, match_earlier: Tensor) -> Tensor:
        """Return [N, D] the next hidden state."""
        normed = self.attention_norm(hidden)
        mixed = self.attend(normed)
        matches = [read_at(normed, match_later), read_at(normed, match_earlier)]
        mixed = mixed + self.match(torch.cat(matches, dim=-1))
        mixed = mixed + self.pool_out(self.pool(normed).flatten())
        hidden = hidden + self.dropout(mixed)
        inner = F.gelu(self.feed_forward_in(self.feed_forward_norm(hidden)), approximate="tanh")
        return hidden + self.dropout(self.feed_forward_out(inner))

    def attend(self, normed: Tensor) -> Tensor:
        """Return [N, D] the attention over each beat's neighbourhood."""
        n_beats, dim = normed.shape
        split = self.query_key_value(normed).view(n_beats, 3, self.n_heads, dim // self.n_heads)
        query, key, value = split.permute(1, 2, 0, 3).unbind(0)
        out = neighbourhood_attention(
            rotate(query), rotate(key), value, self.kernel_size, self.dilation
        )
        return self.attention_out(out.transpose(0, 1).reshape(n_beats, dim))

    def pool(self, normed: Tensor) -> Tensor:
        """Return [G, D] tokens, each a weighted mean over the whole track."""
        return self.pool_scores(normed).softmax(dim=0).T @ normed


class Encoder(nn.Module):
    """Inputs of one track [N, I] to beat embeddings [N, D] and pooled tokens [G * D]."""

    def __init__(self, config: AgentConfig, n_inputs: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.input = nn.Linear(n_inputs, dim)
        self.layers = nn.ModuleList(EncoderLayer(config, dilation) for dilation in config.dilations)
        self.norm = nn.LayerNorm(dim)
        self.pool_scores = nn.Linear(dim, config.n_global_tokens)

    def forward(
        self, inputs: Tensor, match_later: Tensor, match_earlier: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return beat embeddings [N, D] and the pooled summary of the track [G * D]."""
        hidden = self.input(inputs)
        for layer in self.layers:
            hidden = layer(hidden, match_later, match_earlier)
        hidden = self.norm(hidden)
        return hidden, (self.pool_scores(hidden).softmax(dim=0).T @ hidden).flatten()
