"""Behavioural cloning: make the acts of known edits likely.

Every beat of a demonstration is a cursor, so one pass of the encoder yields `N` decisions. What
is right at a cursor is a set, not one act: every size whose span is all wanted (KEEP) or all
unwanted (CUT), and, of equally good copies of a passage, either. The loss is the negative log of
the probability of that set: `-log sum exp(log p(type) + log p(size | type) + log p(amount))`.

The output so far, which is part of what the policy sees, is not only the demonstration's: it is
mixed with the policy's own latest choices and with random errors, and what is right follows from
it (Ross et al., "A Reduction of Imitation Learning to No-Regret Online Learning", 2011, with the
expert asked at every beat). Otherwise the first mistake at inference would be unlike anything
seen in training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rl_editor.actions import AMOUNT_EXISTS, N_SIZES, N_TYPES, ActionType, Amount
from rl_editor.agent import Agent, Encoded, StepInputs, TrackInputs
from rl_editor.auxiliary_tasks import AuxiliaryTargets
from rl_editor.config import Config
from rl_editor.demonstrations import Demonstration
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.policy_inputs import Normalisation
from rl_editor.spelling import acceptable_actions

KEEP, CUT = int(ActionType.KEEP), int(ActionType.CUT)

TARGET_KNOWN = 0.25
"""Share of the passes in which the policy is told the share to keep."""
OWN_CHOICES = 0.5
"""Share of the passes in which the output so far is the policy's own, not the demonstration's."""
ERROR_RATE = 0.02
"""Probability that a stretch of wrong choices begins at a beat of the output so far."""
ERROR_BEATS = 24
"""Longest such stretch."""
SAME_PLACE_BEATS = 0.5
"""Beats closer than this in the piece are copies of each other."""

WARM_UP_SHARE = 0.1
"""Share of the updates in which the learning rate rises to its peak."""
MIN_WARM_UP_UPDATES = 1.5
"""Shortest rise: at exactly one update `OneCycleLR` divides by 0."""


@dataclass
class CloningExample:
    """A demonstration as tensors, and the policy's latest choices on it.

    Attributes:
        inputs: of the encoder.
        table: of its copies.
        wanted, spare: [N] beats that belong in the edit, and equally good copies of such.
        weight: [N] confidence, small for beats that are partly wanted.
        copies: [P, 2] pairs (beat, earlier beat) at the same place of the piece.
        has_later_copy: [N] a wanted copy comes later.
        keep_ratio: share that the demonstration keeps.
        own: [N] the policy's latest choices.
    """

    demonstration: Demonstration
    inputs: TrackInputs
    table: CopyTable
    wanted: NDArray[np.bool_]
    spare: NDArray[np.bool_]
    weight: NDArray[np.float32]
    copies: NDArray[np.int64]
    has_later_copy: NDArray[np.bool_]
    keep_ratio: float
    own: NDArray[np.bool_]


def example(demonstration: Demonstration, normalisation: Normalisation) -> CloningExample:
    """Return a demonstration prepared for cloning."""
    track = demonstration.track
    wanted = demonstration.wanted >= 0.5
    spare = ~wanted & (demonstration.equally_good >= 0.5)
    part = np.maximum(demonstration.wanted, demonstration.equally_good)
    place = piece_places(demonstration)
    copies, has_later_copy = _copies(place, wanted, spare, float(np.median(track.grid.durations_s)))
    durations_s = track.grid.durations_s
    return CloningExample(
        demonstration=demonstration,
        inputs=TrackInputs.from_track(track, normalisation),
        table=CopyTable.from_track(track),
        wanted=wanted,
        spare=spare,
        weight=(demonstration.confidence * np.abs(2.0 * part - 1.0)).astype(np.float32),
        copies=copies,
        has_later_copy=has_later_copy,
        keep_ratio=float((durations_s * wanted).sum() / durations_s.sum()),
        own=wanted.copy(),
    )


def piece_places(demonstration: Demonstration) -> NDArray[np.float64]:
    """Return [N] where the middle of each beat belongs in the finished piece, s; NaN if nowhere."""
    edges_s = demonstration.track.grid.edges_s
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    segments = demonstration.truth.segments
    starts = np.array([segment.start_s for segment in segments])
    found = np.searchsorted(starts, middle_s, side="right") - 1
    pieces = np.array(
        [np.nan if s.piece_start_s is None else s.piece_start_s for s in segments], dtype=float
    )
    return pieces[found] + middle_s - starts[found]


def _copies(
    place: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    spare: NDArray[np.bool_],
    beat_s: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return pairs (beat, earlier beat) of good copies, and which beats have a later wanted one."""
    good = np.flatnonzero((wanted | spare) & np.isfinite(place))
    order = good[np.argsort(place[good], kind="stable")]
    sorted_places = place[order]
    pairs = []
    for position, beat in enumerate(order):
        limit = np.searchsorted(sorted_places, sorted_places[position] + SAME_PLACE_BEATS * beat_s)
        for other in order[position + 1 : limit]:
            pairs.append((max(beat, other), min(beat, other)))
    copies = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    has_later_copy = np.zeros(len(place), dtype=bool)
    later_wanted = wanted[copies[:, 0]]
    has_later_copy[copies[later_wanted, 1]] = True
    return copies, has_later_copy


def right_choices(
    item: CloningExample, played: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return [N] where KEEP is right and [N] where CUT is, given the output before each beat.

    A wanted beat whose equal copy is already in the output is to be cut; an equal copy that is
    not in the output yet may be kept, and must be when no wanted copy follows.
    """
    heard = np.zeros(len(played), dtype=bool)
    heard[item.copies[played[item.copies[:, 1]], 0]] = True
    keep = (item.wanted | item.spare) & ~heard
    return keep, ~keep | (item.spare & item.has_later_copy)


def acceptable(item: CloningExample, played: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return [N, 2, 5] which sizes of KEEP (0) and CUT (1) are right at each beat as cursor."""
    keep, cut = right_choices(item, played)
    grid = item.demonstration.track.grid
    kept, cuts = acceptable_actions(grid, keep)[:, 0], acceptable_actions(grid, ~cut)[:, 1]
    return np.stack([kept, cuts], axis=1)


def output_so_far(item: CloningExample, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return [N] an edit to continue: the demonstration's or the policy's, with random errors."""
    played = (item.own if rng.random() < OWN_CHOICES else item.wanted).copy()
    if rng.random() < 0.5:
        return played
    for start in np.flatnonzero(rng.random(len(played)) < ERROR_RATE):
        played[start : start + int(rng.integers(1, ERROR_BEATS + 1))] ^= True
    return played


def augmented(inputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Return [N, I] normalised inputs as another recording of the same session would give them.

    A constant offset of each input (level, tone, microphone), noise from beat to beat, and some
    inputs held at their mean, so that no single one is leaned on.
    """
    n_beats, n_inputs = inputs.shape
    offset = rng.normal(0.0, 0.25, n_inputs) * (rng.random(n_inputs) < 0.5)
    noise = rng.normal(0.0, 0.1, (n_beats, n_inputs))
    present = rng.random(n_inputs) >= rng.uniform(0.0, 0.1)
    changed = (inputs.cpu().numpy() + offset + noise) * present
    return torch.from_numpy(changed.astype(np.float32)).to(inputs.device)


def cloning_loss(
    agent: Agent, encoded: Encoded, items: Sequence[CloningExample], rng: np.random.Generator
) -> Tensor:
    """Return the mean loss over all beats of the encoded demonstrations, a scalar.

    The policy's choices are kept in each example as the output so far of later passes.
    """
    losses, weights = [], []
    device = encoded.beats.device
    for index, item in enumerate(items):
        played = output_so_far(item, rng)
        target = item.keep_ratio if rng.random() < TARGET_KNOWN else None
        step = every_beat(item.table, index, played, target, device)
        distribution, _ = agent.distribution(encoded, step)
        pairs = torch.stack(
            [
                distribution.types[:, kind, None]
                + distribution.sizes[:, kind]
                + distribution.amounts[:, kind, int(Amount.NEUTRAL), None]
                for kind in (KEEP, CUT)
            ],
            dim=1,
        )
        right = torch.from_numpy(acceptable(item, played)).to(device)
        losses.append(-torch.where(right, pairs, -torch.inf).logsumexp(dim=(1, 2)))
        weights.append(torch.from_numpy(item.weight).to(device))
        types = distribution.types.detach()
        item.own = (types[:, KEEP] > types[:, CUT]).cpu().numpy()
    weight = torch.cat(weights)
    return (torch.cat(losses) * weight).sum() / weight.sum().clamp(min=1.0)


def every_beat(
    table: CopyTable,
    track: int,
    played: NDArray[np.bool_],
    target_keep_ratio: float | None,
    device: torch.device,
) -> StepInputs:
    """Return one step for each beat of a track, all actions that exist allowed."""
    n_beats = len(played)
    values = context(table, prefixes(played, table.durations_s), target_keep_ratio)
    return StepInputs(
        track=torch.full((n_beats,), track, device=device),
        cursor=torch.arange(n_beats, device=device),
        context=torch.from_numpy(values).to(device),
        type_mask=torch.ones(n_beats, N_TYPES, dtype=torch.bool, device=device),
        size_mask=torch.ones(n_beats, N_TYPES, N_SIZES, dtype=torch.bool, device=device),
        amount_mask=torch.from_numpy(AMOUNT_EXISTS).to(device).expand(n_beats, -1, -1),
    )


def auxiliary_targets(items: Sequence[CloningExample], device: torch.device) -> AuxiliaryTargets:
    """Return what the auxiliary tasks should say about the beats of some demonstrations."""
    phrases = [item.demonstration.track.grid.is_phrase_start for item in items]
    materials = [item.demonstration.material for item in items]
    return AuxiliaryTargets(
        inputs=torch.cat([item.inputs.values for item in items]).to(device),
        is_phrase_start=torch.from_numpy(np.concatenate(phrases).astype(np.float32)).to(device),
        material=torch.from_numpy(np.concatenate(materials).astype(np.int64)).to(device),
    )


def clone(
    agent: Agent,
    items: Sequence[CloningExample],
    *,
    config: Config,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None],
) -> None:
    """Train an agent on demonstrations by cloning and the auxiliary tasks.

    AdamW (Loshchilov & Hutter, 2019), one warm-up and a cosine to zero, a few whole tracks in
    each update.

    Args:
        agent: changed in place.
        items: of the training demonstrations.
        config: `train.bc_epochs`, `bc_lr`, `bc_batch_tracks`, `auxiliary_coef`, `max_grad_norm`.
        rng: order, augmentation, outputs so far.
        on_epoch: called with the epoch and its mean loss.
    """
    train = config.train
    device = next(agent.parameters()).device
    n_updates = max(train.bc_epochs * -(-len(items) // train.bc_batch_tracks), 2)
    optimizer = torch.optim.AdamW(agent.parameters(), lr=train.bc_lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=train.bc_lr,
        total_steps=n_updates,
        pct_start=max(WARM_UP_SHARE, MIN_WARM_UP_UPDATES / n_updates),
        cycle_momentum=False,
    )
    for epoch in range(train.bc_epochs):
        agent.train()
        order = rng.permutation(len(items))
        losses = []
        for start in range(0, len(items), train.bc_batch_tracks):
            batch = [items[i] for i in order[start : start + train.bc_batch_tracks]]
            loss = batch_loss(agent, batch, config, rng, device)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(agent.parameters(), train.max_grad_norm)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        agent.eval()
        on_epoch(epoch, float(np.mean(losses)))


def batch_loss(
    agent: Agent,
    batch: Sequence[CloningExample],
    config: Config,
    rng: np.random.Generator,
    device: torch.device,
) -> Tensor:
    """Return the cloning loss and the weighted auxiliary losses of a few demonstrations."""
    inputs = [
        dataclasses.replace(
            item.inputs.to(device), values=augmented(item.inputs.values, rng).to(device)
        )
        for item in batch
    ]
    encoded = agent.encode(inputs)
    auxiliary = agent.auxiliary.total(encoded.beats, auxiliary_targets(batch, device))
    return cloning_loss(agent, encoded, batch, rng) + config.train.auxiliary_coef * auxiliary
