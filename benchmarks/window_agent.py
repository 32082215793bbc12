"""The agent with its encoder turned into a window encoder: what whole-track encoding is against.

The same layers read the 64 beats around the cursor, anew at every step and for every row of a
minibatch, instead of the whole recording once. Windows are encoded together, in one batch.

Shapes: `B` windows, `W` beats of each, `D` hidden size, `H` heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from rl_editor.agent import Agent, Encoded, FactoredDistribution, StepInputs, TrackInputs
from rl_editor.attention import dense_attention
from rl_editor.encoder import Encoder, EncoderLayer, rotate
from rl_editor.policy_inputs import AHEAD_SUMMARY_BEATS

WINDOW_BEATS = 64
BEFORE = WINDOW_BEATS // 2
"""Beats of the window before the cursor."""


class WindowAgent(Agent):
    """An agent that knows of a recording what is in the window around the cursor."""

    def encode(self, tracks: Sequence[TrackInputs]) -> Encoded:
        """Return inputs and matches side by side: encoding comes with each step."""
        rows = []
        for track in tracks:
            matches = torch.stack([track.match_later, track.match_earlier], dim=1)
            rows.append(torch.cat([track.values, matches.to(track.values.dtype)], dim=1))
        lengths = torch.tensor([0, *(len(r) for r in rows)])
        together = torch.cat(rows)
        return Encoded(together, together, lengths.cumsum(0))

    def distribution(
        self,
        encoded: Encoded,
        step: StepInputs,
        *,
        kinds: Tensor | None = None,
        value_alone: bool = False,
    ) -> tuple[FactoredDistribution, Tensor]:
        """Return the masked distribution over actions and the value [B], as `Agent` does."""
        first, end = encoded.offsets[step.track, None], encoded.offsets[step.track + 1, None]
        beat = step.cursor[:, None] + torch.arange(-BEFORE, WINDOW_BEATS - BEFORE)
        row = first + beat
        inside = (row >= first) & (row < end)
        seen = encoded.beats[row.clamp(0, len(encoded.beats) - 1)] * inside[:, :, None]
        matches = [
            _inside(torch.where(inside, seen[:, :, column], -1.0).long(), beat[:, :1])
            for column in (-2, -1)
        ]
        beats, pooled = encode_windows(self.encoder, seen[:, :, :-2], *matches)
        ahead = [beats[:, BEFORE : BEFORE + width].mean(dim=1) for width in AHEAD_SUMMARY_BEATS]
        heads_in = self.heads_in(torch.cat([beats[:, BEFORE], *ahead, pooled], dim=1))
        n_rows = len(heads_in)
        at = StepInputs(
            torch.zeros(n_rows, dtype=torch.int64),
            torch.arange(n_rows),
            step.context,
            step.type_mask,
            step.size_mask,
            step.amount_mask,
        )
        read = Encoded(heads_in, heads_in, torch.tensor([0, n_rows]))
        return super().distribution(read, at, kinds=kinds, value_alone=value_alone)


def encode_windows(
    encoder: Encoder, inputs: Tensor, match_later: Tensor, match_earlier: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `encoder` makes of each window alone: beats [B, W, D] and tokens [B, G * D].

    Args:
        encoder: the layers; dropout is left out.
        inputs: [B, W, I].
        match_later, match_earlier: [B, W] places in the window, -1 where there is no match.
    """
    hidden = encoder.input(inputs)
    for layer in encoder.layers:
        hidden = _layer(cast(EncoderLayer, layer), hidden, match_later, match_earlier)
    hidden = encoder.norm(hidden)
    return hidden, _pool(encoder.pool_scores(hidden), hidden)


def _layer(
    layer: EncoderLayer, hidden: Tensor, match_later: Tensor, match_earlier: Tensor
) -> Tensor:
    normed = layer.attention_norm(hidden)
    n_windows, n_beats, dim = normed.shape
    shape = (n_windows, n_beats, 3, layer.n_heads, dim // layer.n_heads)
    split = layer.query_key_value(normed).view(shape).permute(2, 0, 3, 1, 4).flatten(1, 2)
    query, key, value = split.unbind(0)
    # over 64 beats dense attention is faster than banded
    query, key = rotate(query, [n_beats]), rotate(key, [n_beats])
    out = dense_attention(query, key, value, layer.kernel_size, layer.dilation)
    by_head = out.view(n_windows, layer.n_heads, n_beats, -1)
    mixed = layer.attention_out(by_head.transpose(1, 2).flatten(2))
    matches = [_read_at(normed, match) for match in (match_later, match_earlier)]
    mixed = mixed + layer.match(torch.cat(matches, dim=-1))
    mixed = mixed + layer.pool_out(_pool(layer.pool_scores(normed), normed))[:, None]
    hidden = hidden + mixed
    inner = F.gelu(layer.feed_forward_in(layer.feed_forward_norm(hidden)), approximate="tanh")
    return hidden + layer.feed_forward_out(inner)


def _pool(scores: Tensor, values: Tensor) -> Tensor:
    return (scores.softmax(dim=1).transpose(1, 2) @ values).flatten(1)


def _read_at(values: Tensor, match: Tensor) -> Tensor:
    places = match.clamp(min=0)[:, :, None].expand_as(values)
    return values.gather(1, places) * (match >= 0).to(values.dtype)[:, :, None]


def _inside(match: Tensor, first_beat: Tensor) -> Tensor:
    """Return matches [B, W] as places in the window, -1 where they lie outside of it."""
    place = match - first_beat
    return torch.where((match >= 0) & (place >= 0) & (place < match.shape[1]), place, -1)
