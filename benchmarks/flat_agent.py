"""The network of Stable-Baselines3's `MlpPolicy`, in the form of an agent.

Rollout and PPO of this project take it in place of `Agent`: so the loops can be compared with
MaskablePPO's at the same network, and MaskablePPO can stand as an oracle for ours. It reads what
`FlatEnv` shows, except that features are normalised: features, context and masks, 368 numbers.
It answers with one number out of 500.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES
from rl_editor.agent import ActOutput, Encoded, EvaluateOutput, StepInputs, TrackInputs
from rl_editor.features import FEATURE_NAMES
from rl_editor.flat_environment import N_ACTIONS
from rl_editor.observation import N_CONTEXT

N_FEATURES = len(FEATURE_NAMES)
N_NUMBERS = N_FEATURES + N_CONTEXT + N_TYPES * (1 + N_SIZES + N_AMOUNTS)
"""Length of `FlatEnv`'s observation."""


class FlatAgent(nn.Module):
    """Two networks of two hidden layers, one for the policy and one for the value.

    Initialised as Stable-Baselines3 does: orthogonal, gains sqrt 2 inside, 0.01 before the
    actions and 1 before the value.
    """

    def __init__(self, hidden_dim: int = 256) -> None:
        super().__init__()
        self.policy = _network(hidden_dim, N_ACTIONS, last_gain=0.01)
        self.value = _network(hidden_dim, 1, last_gain=1.0)

    def value_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the value's network."""
        return list(self.value.parameters())

    def encode(self, tracks: Sequence[TrackInputs]) -> Encoded:
        """Return the features themselves: nothing is learnt of a track as a whole."""
        features = torch.cat([track.values[:, :N_FEATURES] for track in tracks])
        lengths = torch.tensor([0, *(len(track.values) for track in tracks)])
        return Encoded(features, features, lengths.cumsum(0))

    def act(
        self,
        encoded: Encoded,
        step: StepInputs,
        *,
        greedy: bool = False,
        generator: torch.Generator | None = None,
    ) -> ActOutput:
        """Return one action for each step, drawn at random or the likeliest."""
        log_probs, value = self._answer(encoded, step)
        if greedy:
            chosen = log_probs.argmax(dim=1)
        else:
            chosen = torch.multinomial(log_probs.exp(), 1, generator=generator).squeeze(1)
        size_and_amount = chosen % (N_SIZES * N_AMOUNTS)
        columns = [
            chosen // (N_SIZES * N_AMOUNTS),
            size_and_amount // N_AMOUNTS,
            size_and_amount % N_AMOUNTS,
        ]
        log_prob = log_probs.gather(1, chosen[:, None]).squeeze(1)
        return ActOutput(torch.stack(columns, dim=1), log_prob, _entropy(log_probs), value)

    def evaluate(
        self, encoded: Encoded, step: StepInputs, actions: Tensor, *, value_alone: bool = False
    ) -> EvaluateOutput:
        """Return log-probability, entropy in nats (as MaskablePPO weighs it) and value.

        The value has a network of its own, so it is alone anyway.
        """
        log_probs, value = self._answer(encoded, step)
        kind, size, amount = actions.unbind(dim=1)
        chosen = (kind * N_SIZES + size) * N_AMOUNTS + amount
        entropy = _entropy(log_probs)
        log_prob = log_probs.gather(1, chosen[:, None]).squeeze(1)
        return EvaluateOutput(log_prob, entropy, value, entropy.detach()[:, None].expand(-1, 3))

    def _answer(self, encoded: Encoded, step: StepInputs) -> tuple[Tensor, Tensor]:
        """Return masked log-probabilities [B, 500] and values [B]."""
        masks = [step.type_mask, step.size_mask.flatten(1), step.amount_mask.flatten(1)]
        features = encoded.beats[encoded.offsets[step.track] + step.cursor]
        seen = torch.cat([features, step.context, *(mask.float() for mask in masks)], dim=1)
        allowed = (
            step.type_mask[:, :, None, None]
            & step.size_mask[:, :, :, None]
            & step.amount_mask[:, :, None, :]
        ).flatten(1)
        logits = self.policy(seen).masked_fill(~allowed, torch.finfo(torch.float32).min)
        return logits.log_softmax(dim=1), self.value(seen).squeeze(1)


def _entropy(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs).sum(dim=1)


def _network(hidden_dim: int, n_outputs: int, last_gain: float) -> nn.Sequential:
    sizes = [N_NUMBERS, hidden_dim, hidden_dim, n_outputs]
    layers: list[nn.Module] = []
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(n_in, n_out)
        nn.init.orthogonal_(linear.weight, last_gain if index == 2 else math.sqrt(2.0))
        nn.init.zeros_(linear.bias)
        layers += [linear] if index == 2 else [linear, nn.Tanh()]
    return nn.Sequential(*layers)
