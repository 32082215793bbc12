"""The policy on NumPy alone: what `agent.Agent` computes, equal to it within 1e-4.

It makes the base install light: editing needs no torch. Weights come by the names of
`Agent.state_dict()`, out of a checkpoint. Shapes as in `encoder` and `agent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_TYPES
from rl_editor.config import AgentConfig
from rl_editor.errors import UserError
from rl_editor.observation import N_CONTEXT, mean_ahead
from rl_editor.policy_inputs import AHEAD_SUMMARY_BEATS, N_INPUTS, ROTARY_BASE

Array = NDArray[np.float32]

QUERY_BLOCK = 1024
"""Queries whose keys are gathered at once; bounds the memory for long recordings."""


def linear(weights: Mapping[str, Array], name: str, x: Array) -> Array:
    """Return `x @ W.T + b` of the layer `name`."""
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(weights: Mapping[str, Array], name: str, x: Array) -> Array:
    """Return layer normalisation over the last axis (Ba et al., 2016)."""
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """Return the tanh form of the GELU (Hendrycks & Gimpel, 2016)."""
    return 0.5 * x * (1.0 + np.tanh(np.float32(0.7978845608) * (x + 0.044715 * x * x * x)))


def softmax(x: Array, axis: int) -> Array:
    """Return the softmax along an axis."""
    exponent = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponent / exponent.sum(axis=axis, keepdims=True)


def neighbourhood(n_beats: int, kernel_size: int, dilation: int) -> tuple[NDArray, NDArray]:
    """Return the keys of each beat [N, kernel_size] and which of them exist (bool, same shape).

    The border behaviour is described in `attention`.
    """
    beat = np.arange(n_beats)
    group, place = beat % dilation, beat // dilation
    length = -(-(n_beats - group) // dilation)
    start = np.minimum(np.maximum(place - kernel_size // 2, 0), np.maximum(length - kernel_size, 0))
    keys = start[:, None] + np.arange(kernel_size)
    exists = keys < length[:, None]
    keys = np.minimum(keys, length[:, None] - 1)
    return keys * dilation + group[:, None], exists


def rotate(x: Array) -> Array:
    """Return [N, H, D] under the rotary position code of the encoder."""
    half = x.shape[2] // 2
    rate = ROTARY_BASE ** (-np.arange(half, dtype=np.float32) / np.float32(half))
    angle = np.arange(len(x), dtype=np.float32)[:, None, None] * rate
    cosine, sine = np.cos(angle), np.sin(angle)
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cosine - second * sine, first * sine + second * cosine, rest)
    return np.concatenate(turned, axis=2).astype(np.float32)


def attention(query: Array, key: Array, value: Array, kernel_size: int, dilation: int) -> Array:
    """Return [N, H, D] neighbourhood attention, all inputs [N, H, D]."""
    keys, exists = neighbourhood(len(query), kernel_size, dilation)
    scale = np.float32(1.0 / np.sqrt(query.shape[2]))
    out = np.empty_like(value)
    for start in range(0, len(query), QUERY_BLOCK):
        block = slice(start, start + QUERY_BLOCK)
        gathered = key[keys[block]].transpose(0, 2, 3, 1)  # [n, H, D, k]
        scores = (query[block][:, :, None, :] @ gathered)[:, :, 0, :] * scale
        scores = np.where(exists[block][:, None, :], scores, -np.inf)
        weights = softmax(scores, axis=2)[:, :, None, :]
        out[block] = (weights @ value[keys[block]].transpose(0, 2, 1, 3))[:, :, 0, :]
    return out


@dataclass(frozen=True)
class EncodedTrack:
    """heads_in [N, D]: what the heads read at each beat; materials [N, 10]: probabilities."""

    heads_in: Array
    materials: Array


@dataclass(frozen=True)
class StepLogits:
    """Unmasked logits: types [B, 20], sizes and amounts given the type [B, 20, 5]."""

    types: Array
    sizes: Array
    amounts: Array


class NumpyPolicy:
    """The policy of one checkpoint.

    Args:
        weights: arrays by the names of `Agent.state_dict()`.
        config: of the network.

    Raises:
        UserError: the weights do not make up the network.
    """

    def __init__(self, weights: Mapping[str, Array], config: AgentConfig) -> None:
        self.weights, self.config = weights, config
        self._check()

    def _check(self) -> None:
        """Raise `UserError` unless two silent beats can be decided on with these weights."""
        inputs = np.zeros((2, N_INPUTS), dtype=np.float32)
        no_match, cursor = np.full(2, -1), np.zeros(1, dtype=np.int64)
        try:
            encoded = self.encode(inputs, no_match, no_match)
            made = self.step(encoded, cursor, np.zeros((1, N_CONTEXT), dtype=np.float32))
            fits = made.types.shape == (1, N_TYPES)
        except (KeyError, ValueError):  # a name or a shape
            fits = False
        if not fits:
            raise UserError(
                "the checkpoint should hold the weights of the policy that its config describes, "
                "but does not; train it again or use another checkpoint."
            )

    def encode(self, inputs: Array, match_later: NDArray, match_earlier: NDArray) -> EncodedTrack:
        """Return the encoded track; inputs [N, I], matches [N] beats or -1."""
        hidden = linear(self.weights, "encoder.input", inputs)
        for index, dilation in enumerate(self.config.dilations):
            hidden = self._layer(
                f"encoder.layers.{index}", dilation, hidden, match_later, match_earlier
            )
        beats = layer_norm(self.weights, "encoder.norm", hidden)
        pooled = self._pool("encoder.pool_scores", beats)
        summaries = [beats, *(mean_ahead(beats, width) for width in AHEAD_SUMMARY_BEATS)]
        everything = [*summaries, np.broadcast_to(pooled, (len(beats), len(pooled)))]
        heads_in = linear(self.weights, "heads_in", np.concatenate(everything, axis=1))
        material = linear(self.weights, "auxiliary.material", beats)
        return EncodedTrack(heads_in, softmax(material, axis=1))

    def step(self, encoded: EncodedTrack, cursor: NDArray, context: Array) -> StepLogits:
        """Return the logits at `cursor` [B] with the edit so far as `context` [B, K]."""
        weights, hidden = self.weights, self._hidden(encoded, cursor, context)
        given_type = [
            linear(
                weights,
                f"{head}_head",
                gelu(linear(weights, f"{head}_in", hidden)[:, None, :] + weights["type_code"]),
            )
            for head in ("size", "amount")
        ]
        return StepLogits(linear(weights, "type_head", hidden), *given_type)

    def type_logits(self, encoded: EncodedTrack, cursor: NDArray, context: Array) -> Array:
        """Return [B, 20] the types of `step` alone, without the cost of sizes and amounts.

        For the 7200 beats of an hour that is 5 ms instead of 0.8 s and 190 MB.
        """
        return linear(self.weights, "type_head", self._hidden(encoded, cursor, context))

    def _hidden(self, encoded: EncodedTrack, cursor: NDArray, context: Array) -> Array:
        """Return [B, D] what all heads read at `cursor`."""
        weights = self.weights
        hidden = gelu(encoded.heads_in[cursor] + linear(weights, "context_in", context))
        return gelu(linear(weights, "trunk", hidden))

    def _layer(
        self, name: str, dilation: int, hidden: Array, match_later: NDArray, match_earlier: NDArray
    ) -> Array:
        weights, n_heads = self.weights, self.config.n_heads
        normed = layer_norm(weights, f"{name}.attention_norm", hidden)
        n_beats, dim = normed.shape
        split = linear(weights, f"{name}.query_key_value", normed)
        query, key, value = split.reshape(n_beats, 3, n_heads, dim // n_heads).transpose(1, 0, 2, 3)
        attended = attention(rotate(query), rotate(key), value, self.config.kernel_size, dilation)
        mixed = linear(weights, f"{name}.attention_out", attended.reshape(n_beats, dim))
        matches = [
            normed[np.maximum(match, 0)] * (match >= 0).astype(np.float32)[:, None]
            for match in (match_later, match_earlier)
        ]
        mixed = mixed + linear(weights, f"{name}.match", np.concatenate(matches, axis=1))
        hidden = (
            hidden
            + mixed
            + linear(weights, f"{name}.pool_out", self._pool(f"{name}.pool_scores", normed))
        )
        inner = layer_norm(weights, f"{name}.feed_forward_norm", hidden)
        inner = gelu(linear(weights, f"{name}.feed_forward_in", inner))
        return hidden + linear(weights, f"{name}.feed_forward_out", inner)

    def _pool(self, name: str, x: Array) -> Array:
        return (softmax(linear(self.weights, name, x), axis=0).T @ x).ravel()
