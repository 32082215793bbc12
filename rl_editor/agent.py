"""The agent: an encoded track, a cursor and the edit so far in, an action and its value out.

One masked, factored distribution serves acting and learning: the type first, then size and
amount given the type. Its log-probability is `log p(type) + log p(size | type) + log p(amount |
type)`; masks (True = allowed) are part of the step's inputs, so no update can lose them.

Shapes: `B` steps, `M` beats of all encoded tracks one after the other, `D` hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES
from rl_editor.auxiliary_tasks import AuxiliaryHeads
from rl_editor.config import AgentConfig
from rl_editor.encoder import Encoder, at_each_beat
from rl_editor.observation import N_CONTEXT
from rl_editor.policy_inputs import AHEAD_SUMMARY_BEATS, Normalisation, policy_inputs
from rl_editor.track import Track


@dataclass(frozen=True)
class TrackInputs:
    """One track as the encoder reads it.

    Attributes:
        values: [N, I] normalised features and recurrence, float32.
        match_later, match_earlier: [N] beats, or -1.
    """

    values: Tensor
    match_later: Tensor
    match_earlier: Tensor

    @classmethod
    def from_track(cls, track: Track, normalisation: Normalisation) -> TrackInputs:
        """Return the inputs of a track under a checkpoint's normalisation."""
        return cls(
            torch.from_numpy(policy_inputs(track, normalisation)),
            torch.from_numpy(track.match_later),
            torch.from_numpy(track.match_earlier),
        )

    def to(self, device: torch.device) -> TrackInputs:
        """Return the same on another device."""
        return TrackInputs(
            self.values.to(device), self.match_later.to(device), self.match_earlier.to(device)
        )


@dataclass(frozen=True)
class Encoded:
    """Tracks after one pass of the encoder.

    Attributes:
        beats: [M, D] embeddings of all tracks, one after the other.
        heads_in: [M, D] what the action heads read at each beat, before the context is added.
        offsets: [n_tracks + 1] first row of each track.
    """

    beats: Tensor
    heads_in: Tensor
    offsets: Tensor

    @classmethod
    def join(cls, parts: Sequence[Encoded]) -> Encoded:
        """Return the tracks of all parts, one after the other."""
        ends = np.cumsum([0, *(len(part.beats) for part in parts)])
        offsets = [
            part.offsets[(0 if n == 0 else 1) :] + int(ends[n]) for n, part in enumerate(parts)
        ]
        return cls(
            torch.cat([part.beats for part in parts]),
            torch.cat([part.heads_in for part in parts]),
            torch.cat(offsets),
        )


@dataclass(frozen=True)
class StepInputs:
    """`B` decisions to be made, each in one of the encoded tracks.

    Attributes:
        track: [B] index of the track. cursor: [B] beat. context: [B, K], see `observation`.
        type_mask: [B, 20], size_mask: [B, 20, 5], amount_mask: [B, 20, 5]; True = allowed.
    """

    track: Tensor
    cursor: Tensor
    context: Tensor
    type_mask: Tensor
    size_mask: Tensor
    amount_mask: Tensor

    def __getitem__(self, rows: Tensor) -> StepInputs:
        """Return the decisions in `rows`."""
        return StepInputs(
            self.track[rows],
            self.cursor[rows],
            self.context[rows],
            self.type_mask[rows],
            self.size_mask[rows],
            self.amount_mask[rows],
        )


class BatchPart(NamedTuple):
    """Rows of a larger batch of `n_all`: who acts in them alone draws what the batch would."""

    rows: slice
    n_all: int


@dataclass(frozen=True)
class ActOutput:
    """actions [B, 3] int64; log_prob, entropy (share of its maximum), value: [B]."""

    actions: Tensor
    log_prob: Tensor
    entropy: Tensor
    value: Tensor


@dataclass(frozen=True)
class EvaluateOutput:
    """log_prob, entropy (share of its maximum), value: [B]; head_entropy: [B, 3], see below."""

    log_prob: Tensor
    entropy: Tensor
    value: Tensor
    head_entropy: Tensor


@dataclass(frozen=True)
class FactoredDistribution:
    """Masked log-probabilities: types [B, 20], sizes and amounts given the type [B, 20, 5].

    The methods need sizes and amounts of all types, which is what `Agent.distribution` gives
    unless it is asked for some.
    """

    types: Tensor
    sizes: Tensor
    amounts: Tensor

    def log_prob(self, actions: Tensor) -> Tensor:
        """Return [B] the log-probability of `actions` [B, 3]."""
        rows = torch.arange(len(actions), device=actions.device)
        kind, size, amount = actions.unbind(dim=1)
        return (
            self.types[rows, kind] + self.sizes[rows, kind, size] + self.amounts[rows, kind, amount]
        )

    def entropy(self) -> Tensor:
        """Return [B] the joint entropy as a share of its maximum over allowed actions.

        The maximum is the log of the number of allowed (type, size, amount) combinations.
        """
        given_type = _entropy(self.sizes) + _entropy(self.amounts)
        joint = _entropy(self.types) + (self.types.exp() * given_type).sum(dim=1)
        combinations = (
            self.types.isfinite() * self.sizes.isfinite().sum(2) * self.amounts.isfinite().sum(2)
        ).sum(dim=1)
        return joint / combinations.log().clamp(min=1e-6) * (combinations > 1)

    @torch.no_grad()
    def head_entropy(self) -> Tensor:
        """Return [B, 3] the entropies of type, size and amount as shares of their maxima.

        Those of size and amount are means over the types as likely as they are; 0 where there is
        no choice. For logs only: no gradient flows.
        """
        kinds = self.types.exp()
        columns = [_share(_entropy(self.types), self.types.isfinite().sum(1).log())]
        for given_type in (self.sizes, self.amounts):
            most = given_type.isfinite().sum(2).clamp(min=1).log()
            entropy = (kinds * _entropy(given_type)).sum(1)
            columns.append(_share(entropy, (kinds * most).sum(1)))
        return torch.stack(columns, dim=1)

    def sample(self, generator: torch.Generator | None, part: BatchPart | None = None) -> Tensor:
        """Return [B, 3] one random action for each row.

        Rows that are `part` of a batch get the actions that they would in the whole batch:
        `multinomial` draws a waiting time for each outcome of each row, and so is done here.
        """

        def draw(log_probs: Tensor) -> Tensor:
            if part is None:
                return torch.multinomial(log_probs.exp(), 1, generator=generator).squeeze(1)
            waits = log_probs.new_empty(part.n_all, log_probs.shape[1])
            waits.exponential_(generator=generator)
            return (log_probs.exp() / waits[part.rows]).argmax(dim=1)

        return self._conditional(draw)

    def mode(self) -> Tensor:
        """Return [B, 3] the likeliest type, then the likeliest size and amount given it."""
        return self._conditional(lambda log_probs: log_probs.argmax(dim=1))

    def _conditional(self, choose) -> Tensor:
        kind = choose(self.types)
        rows = torch.arange(len(kind), device=kind.device)
        return torch.stack(
            [kind, choose(self.sizes[rows, kind]), choose(self.amounts[rows, kind])], dim=1
        )


def _entropy(log_probs: Tensor) -> Tensor:
    """Return the entropy over the last axis, where impossible outcomes are -inf."""
    terms = log_probs.exp() * log_probs
    return -torch.where(log_probs.isfinite(), terms, 0.0).sum(dim=-1)


def _share(entropy: Tensor, most: Tensor) -> Tensor:
    return torch.where(most > 0, entropy / most.clamp(min=1e-6), 0.0)


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Return log-probabilities over the allowed outcomes, -inf elsewhere.

    Rows that allow nothing (sizes of a forbidden type) come out as -inf, without NaN gradients.
    """
    possible = mask.any(dim=-1, keepdim=True)
    safe = torch.where(mask | ~possible, logits, torch.finfo(logits.dtype).min)
    return torch.where(mask, safe.log_softmax(dim=-1), -torch.inf)


class Agent(nn.Module):
    """The policy and its value function.

    Args:
        config: of the network.
        n_inputs: inputs for each beat, `I`.
    """

    def __init__(self, config: AgentConfig, n_inputs: int) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.config, self.n_inputs = config, n_inputs
        self.encoder = Encoder(config, n_inputs)
        summaries = (1 + len(AHEAD_SUMMARY_BEATS)) * dim
        self.heads_in = nn.Linear(summaries + config.n_global_tokens * dim, dim)
        self.context_in = nn.Linear(N_CONTEXT, dim)
        self.trunk = nn.Linear(dim, dim)
        self.type_head = nn.Linear(dim, N_TYPES)
        self.type_code = nn.Parameter(0.1 * torch.randn(N_TYPES, dim))
        self.size_in = nn.Linear(dim, dim)
        self.size_head = nn.Linear(dim, N_SIZES)
        self.amount_in = nn.Linear(dim, dim)
        self.amount_head = nn.Linear(dim, N_AMOUNTS)
        self.value_in = nn.Linear(dim, dim)
        self.value_head = nn.Linear(dim, 1)
        self.auxiliary = AuxiliaryHeads(dim)

    def value_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the value function that it does not share with the policy."""
        return [*self.value_in.parameters(), *self.value_head.parameters()]

    def encode(self, tracks: Sequence[TrackInputs]) -> Encoded:
        """Return the embeddings of whole tracks; gradients flow through them."""
        lengths = [len(track.values) for track in tracks]
        starts = np.cumsum([0, *lengths])
        matches = [
            torch.cat(
                [
                    torch.where(match < 0, match, match + start)
                    for match, start in zip(side, starts.tolist(), strict=False)
                ]
            )
            for side in (
                [track.match_later for track in tracks],
                [track.match_earlier for track in tracks],
            )
        ]
        beats, pooled = self.encoder(
            torch.cat([track.values for track in tracks]), *matches, lengths
        )
        parts = beats.split(lengths)
        ahead = [torch.cat([mean_ahead(p, w) for p in parts]) for w in AHEAD_SUMMARY_BEATS]
        of_beats, of_track = self.heads_in.weight.tensor_split([-pooled.shape[1]], dim=1)
        from_tracks = F.linear(pooled, of_track, self.heads_in.bias)  # once, not at each beat
        heads_in = F.linear(torch.cat([beats, *ahead], dim=1), of_beats)
        offsets = torch.from_numpy(starts).to(beats.device)
        return Encoded(beats, heads_in + at_each_beat(from_tracks, lengths), offsets)

    def distribution(
        self,
        encoded: Encoded,
        step: StepInputs,
        *,
        kinds: Tensor | None = None,
        value_alone: bool = False,
    ) -> tuple[FactoredDistribution, Tensor]:
        """Return the masked distribution over actions and the value [B] of each step.

        Args:
            encoded: tracks.
            step: decisions in them.
            kinds: [B, k] action types whose sizes and amounts are needed, which come out as
                [B, k, 5]; all types by default.
            value_alone: no gradient of the value reaches what it shares with the policy.
        """
        rows = encoded.offsets[step.track] + step.cursor
        hidden = F.gelu(encoded.heads_in[rows] + self.context_in(step.context), approximate="tanh")
        hidden = F.gelu(self.trunk(hidden), approximate="tanh")
        of_value = self.value_in(hidden.detach() if value_alone else hidden)
        value = self.value_head(F.gelu(of_value, approximate="tanh")).squeeze(1)
        codes: Tensor = self.type_code
        masks = [step.size_mask, step.amount_mask]
        if kinds is not None:
            codes = codes[kinds]
            masks = [mask[torch.arange(len(kinds))[:, None], kinds] for mask in masks]
        given_type = [
            masked_log_softmax(
                head(F.gelu(inner(hidden)[:, None, :] + codes, approximate="tanh")), mask
            )
            for inner, head, mask in (
                (self.size_in, self.size_head, masks[0]),
                (self.amount_in, self.amount_head, masks[1]),
            )
        ]
        types = masked_log_softmax(self.type_head(hidden), step.type_mask)
        return FactoredDistribution(types, *given_type), value

    def act(
        self,
        encoded: Encoded,
        step: StepInputs,
        *,
        greedy: bool = False,
        generator: torch.Generator | None = None,
        part: BatchPart | None = None,
    ) -> ActOutput:
        """Return one action for each step, drawn at random (see `sample`) or the likeliest."""
        distribution, value = self.distribution(encoded, step)
        actions = distribution.mode() if greedy else distribution.sample(generator, part)
        return ActOutput(actions, distribution.log_prob(actions), distribution.entropy(), value)

    def evaluate(
        self, encoded: Encoded, step: StepInputs, actions: Tensor, *, value_alone: bool = False
    ) -> EvaluateOutput:
        """Return log-probability, entropies and value (see `distribution`) of actions [B, 3]."""
        distribution, value = self.distribution(encoded, step, value_alone=value_alone)
        return EvaluateOutput(
            distribution.log_prob(actions),
            distribution.entropy(),
            value,
            distribution.head_entropy(),
        )

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights as NumPy arrays by name, for checkpoints and NumPy inference."""
        return {name: t.detach().cpu().numpy() for name, t in self.state_dict().items()}


def mean_ahead(values: Tensor, width: int) -> Tensor:
    """Return [N, D] the mean over the next `width` rows, fewer at the end."""
    n_rows = len(values)
    total = F.pad(values.double().cumsum(dim=0), (0, 0, 1, 0))
    start = torch.arange(n_rows, device=values.device)
    end = (start + width).clamp(max=n_rows)
    return ((total[end] - total[start]) / (end - start)[:, None]).to(values.dtype)
