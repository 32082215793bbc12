"""Behavioural cloning: make the acts of known edits likely.

Every beat of a demonstration is a cursor, so one pass of the encoder yields `N` decisions. What
is right at a cursor is a set, not one act: every size whose span is all wanted (KEEP, or the effect
or move that the edit has there) or all unwanted (CUT), and, of equally good copies of a passage,
either. The loss is the negative log of the weighted probability of that set,
`-log sum w(size) p(type) p(size | type) p(amount | type)`, where a larger size weighs more. With
equal weights the surest act is the smallest one, and the policy goes beat by beat. The log makes
the policy bet as Kelly does ("A new interpretation of information rate", 1956): between a size that
is surely right and a larger one that weighs w times as much and is right with probability q, it
takes the larger one with probability q - (1 - q) / (w - 1), if that is above 0: 3q - 2 for the next
size, nearly q for the largest.

The output so far, which is part of what the policy sees, is not only the demonstration's: it is
mixed with the policy's own latest choices and with random errors, and what is right follows from
it (Ross et al., "A Reduction of Imitation Learning to No-Regret Online Learning", 2011, with the
expert asked at every beat). Otherwise the first mistake at inference would be unlike anything
seen in training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rl_editor.actions import (
    AMOUNT_EXISTS,
    LEAVING_TYPES,
    N_SIZES,
    N_TYPES,
    PLAYING_TYPES,
    ActionType,
    Amount,
)
from rl_editor.agent import Agent, Encoded, StepInputs
from rl_editor.augmentation import augmented
from rl_editor.auxiliary_tasks import AuxiliaryTargets
from rl_editor.cloning_examples import CloningExample, one_after_the_other, right_choices
from rl_editor.config import Config, TrainConfig
from rl_editor.distributed import ALONE, Descent, Processes
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.played_acts import ANY_SIZE
from rl_editor.spelling import sizes_within

CUT = int(ActionType.CUT)

TARGET_KNOWN = 0.25
"""Share of the passes in which the policy is told the share to keep."""
OWN_CHOICES = 0.5
"""Share of the passes in which the output so far is the policy's own, not the demonstration's."""
ERROR_RATE = 0.02
"""Probability that a stretch of wrong choices begins at a beat of the output so far."""
ERROR_BEATS = 24
"""Longest such stretch."""
MEDLEY_SHARE = 0.25
"""Share of the recordings that are heard together with another one."""
MEDLEY_BEATS = 2000
"""Longest such pair."""

LARGER_SIZE_WEIGHT = 1.5
"""How much more a size weighs than the next smaller one when both are right.
Edits take 20 actions in place of 150, so PPO tries whole passages; planned ones stay as good."""

WARM_UP_SHARE = 0.1
"""Share of the updates in which the learning rate rises to its peak."""
MIN_WARM_UP_UPDATES = 1.5
"""Shortest rise: at exactly one update `OneCycleLR` divides by 0."""


def acceptable(item: CloningExample, played: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return [N, 2, 5] which sizes of `item.acts` (0) and of CUT (1) are right at each cursor."""
    keep, cut = right_choices(item, played)
    kept = sizes_within(item.grid, item.acts.labels(keep))
    whole = item.acts.size != ANY_SIZE
    kept[whole] = item.acts.size[whole, None] == np.arange(N_SIZES)
    return np.stack(
        [kept & keep[:, None], sizes_within(item.grid, cut.astype(int)) & cut[:, None]], axis=1
    )


def log_size_weights(right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return [N, 1, 5] the log-weights of the sizes at each cursor, 0 for the largest right one.

    Args:
        right: [N, 2, 5] as `acceptable` returns it.
    """
    sizes = np.arange(N_SIZES)
    largest = np.where(right.any(axis=1), sizes, 0).max(axis=1)
    weights: NDArray[np.float32] = np.log(LARGER_SIZE_WEIGHT, dtype=np.float32) * (
        sizes - largest[:, None]
    ).astype(np.float32)
    return weights[:, None, :]


def output_so_far(item: CloningExample, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return [N] an edit to continue: the demonstration's or the policy's, with random errors."""
    played = (item.own if rng.random() < OWN_CHOICES else item.wanted).copy()
    if rng.random() < 0.5:
        return played
    for start in np.flatnonzero(rng.random(len(played)) < ERROR_RATE):
        played[start : start + int(rng.integers(1, ERROR_BEATS + 1))] ^= True
    return played


def cloning_loss(
    agent: Agent,
    encoded: Encoded,
    items: Sequence[CloningExample],
    rngs: Sequence[np.random.Generator],
) -> Tensor:
    """Return the weighted sum of the losses of all beats of the encoded demonstrations, a scalar.

    The policy's choices are kept in each example as the output so far of later passes. Each
    demonstration has its own random numbers.
    """
    losses = []
    device = encoded.beats.device
    for index, (item, rng) in enumerate(zip(items, rngs, strict=True)):
        played = output_so_far(item, rng)
        target = item.keep_ratio if rng.random() < TARGET_KNOWN else None
        step = every_beat(item.table, index, played, target, device)
        kinds, amounts = (
            torch.stack([torch.from_numpy(own), torch.full((len(own),), cut)], dim=1).to(device)
            for own, cut in ((item.acts.kind, CUT), (item.acts.amount, int(Amount.NEUTRAL)))
        )
        distribution, _ = agent.distribution(encoded, step, kinds=kinds)
        pairs = (
            distribution.types.gather(1, kinds)[:, :, None]
            + distribution.sizes
            + distribution.amounts.gather(2, amounts[:, :, None])
        )
        right = acceptable(item, played)
        weighted = pairs + torch.from_numpy(log_size_weights(right)).to(device)
        right_pairs = torch.where(torch.from_numpy(right).to(device), weighted, -torch.inf)
        loss = -right_pairs.logsumexp(dim=(1, 2))
        losses.append((loss * torch.from_numpy(item.weight).to(device)).sum())
        types = distribution.types.detach()
        plays = types[:, PLAYING_TYPES].logsumexp(dim=1)
        item.own = (plays > types[:, LEAVING_TYPES].logsumexp(dim=1)).cpu().numpy()
    return torch.stack(losses).sum()


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
    phrases = [item.grid.is_phrase_start for item in items]
    materials = [item.material for item in items]
    return AuxiliaryTargets(
        inputs=torch.cat([item.inputs.values for item in items]).to(device),
        is_phrase_start=torch.from_numpy(np.concatenate(phrases).astype(np.float32)).to(device),
        material=torch.from_numpy(np.concatenate(materials).astype(np.int64)).to(device),
    )


class Cloning:
    """Training on demonstrations by cloning and the auxiliary tasks, pass by pass.

    AdamW (Loshchilov & Hutter, 2019), one warm-up and a cosine to zero, a few whole tracks in
    each update.

    Attributes:
        items: of the training demonstrations.
        optimizer: of all parameters of the agent.
        schedule: of its learning rate.
    """

    def __init__(
        self,
        agent: Agent,
        items: Sequence[CloningExample],
        config: Config,
        descent: Descent | None = None,
    ) -> None:
        """Prepare `train.bc_epochs` passes.

        Args:
            agent: changed in place.
            items: of the training demonstrations.
            config: `train.bc_epochs`, `bc_lr`, `bc_batch_tracks`, `max_grad_norm` and the weights
                of the auxiliary tasks.
            descent: of the agent, where several processes learn together.
        """
        self.items = items
        self._descent = descent or Descent(agent)
        self._agent, self._config = agent, config
        train = config.train
        n_updates = max(train.bc_epochs * -(-len(items) // train.bc_batch_tracks), 2)
        self.optimizer = torch.optim.AdamW(agent.parameters(), lr=train.bc_lr, weight_decay=0.05)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=train.bc_lr,
            total_steps=n_updates,
            pct_start=max(WARM_UP_SHARE, MIN_WARM_UP_UPDATES / n_updates),
            cycle_momentum=False,
        )

    def one_pass(self, rng: np.random.Generator) -> dict[str, float]:
        """Learn from every demonstration once; return what to log.

        Names: `loss`, `gradient_norm` (before it is clipped), their means over the updates,
        `gradient_norm_max`, `lr` of the last update, and `samples/cloning`, the beats that were
        learnt from.

        Args:
            rng: order, augmentation, outputs so far.
        """
        train, agent = self._config.train, self._agent
        agent.train()
        order = rng.permutation(len(self.items))
        processes = self._descent.processes
        losses, norms, n_beats, lr = [], [], 0, 0.0
        for start in range(0, len(self.items), train.bc_batch_tracks):
            batch = [self.items[i] for i in order[start : start + train.bc_batch_tracks]]
            batch = [with_another(item, self.items, rng) for item in batch]
            loss = partial(batch_loss, agent, batch, self._config, rng, processes)
            lr = float(self.schedule.get_last_lr()[0])
            share = partial(_with_its_value, loss)
            numbers = self._descent.step(self.optimizer, train.max_grad_norm, share)
            self.schedule.step()
            losses.append(numbers["loss"])
            norms.append(numbers["gradient_norm"])
            n_beats += sum(len(item.wanted) for item in batch)
        agent.eval()
        return {
            "loss": float(np.mean(losses)),
            "gradient_norm": float(np.mean(norms)),
            "gradient_norm_max": float(np.max(norms)),
            "lr": lr,
            "samples/cloning": float(n_beats),
        }


def clone(
    agent: Agent,
    items: Sequence[CloningExample],
    *,
    config: Config,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None],
) -> None:
    """Train an agent by all passes of `Cloning`.

    Args:
        agent: changed in place.
        items: of the training demonstrations.
        config: see `Cloning`.
        rng: order, augmentation, outputs so far.
        on_epoch: called with the epoch and its mean loss.
    """
    cloning = Cloning(agent, items, config)
    for epoch in range(config.train.bc_epochs):
        on_epoch(epoch, cloning.one_pass(rng)["loss"])


def with_another(
    item: CloningExample, items: Sequence[CloningExample], rng: np.random.Generator
) -> CloningExample:
    """Return an example, or now and then a medley of it and a random other one."""
    if rng.random() >= MEDLEY_SHARE:
        return item
    other = items[int(rng.integers(len(items)))]
    if other is item or len(item.wanted) + len(other.wanted) > MEDLEY_BEATS:
        return item
    pair = (item, other) if rng.random() < 0.5 else (other, item)
    return one_after_the_other(*pair)


def batch_loss(
    agent: Agent,
    batch: Sequence[CloningExample],
    config: Config,
    rng: np.random.Generator,
    processes: Processes = ALONE,
    cloning_weight: float = 1.0,
) -> Tensor:
    """Return the weighted cloning loss and auxiliary losses of a few demonstrations.

    Of several processes each returns its share: the losses of its demonstrations as parts of the
    means over the whole batch. Augmentation, outputs so far and dropout of a demonstration are
    drawn from a seed of its own, so they are the same whoever computes it.
    """
    device = next(agent.parameters()).device
    seeds = rng.integers(2**63, size=len(batch)).tolist()
    own = processes.own([len(item.wanted) for item in batch])
    items = [batch[place] for place in own]
    loss = torch.zeros((), device=device)
    if items:
        rngs = [np.random.default_rng(seeds[place]) for place in own]
        encoded = Encoded.join(
            [_encoded(agent, item, rng, device) for item, rng in zip(items, rngs, strict=True)]
        )
        weight = max(1.0, sum(float(item.weight.sum()) for item in batch))
        if cloning_weight > 0.0:
            loss = cloning_weight * cloning_loss(agent, encoded, items, rngs) / weight
        loss = loss + _auxiliary_loss(agent, encoded, items, batch, config.train)
    for choices in processes.gather({place: batch[place].own for place in own}):
        for place, choice in choices.items():
            batch[place].own = choice
    return loss


def _encoded(
    agent: Agent, item: CloningExample, rng: np.random.Generator, device: torch.device
) -> Encoded:
    """Return an augmented demonstration after the encoder."""
    values = augmented(item.inputs.values, rng).to(device)
    torch.manual_seed(int(rng.integers(2**63)))
    return agent.encode([dataclasses.replace(item.inputs.to(device), values=values)])


def _auxiliary_loss(
    agent: Agent,
    encoded: Encoded,
    items: Sequence[CloningExample],
    batch: Sequence[CloningExample],
    config: TrainConfig,
) -> Tensor:
    """Return the part of some demonstrations in the weighted auxiliary losses of their batch."""
    device = encoded.beats.device
    losses = agent.auxiliary.losses(encoded.beats, auxiliary_targets(items, device))
    share = len(encoded.beats) / sum(len(item.material) for item in batch)
    known, known_in_batch = (
        sum(int((item.material >= 0).sum()) for item in some) for some in (items, batch)
    )
    return torch.stack(
        [
            getattr(config, f"{name}_coef")
            * loss
            * (known / known_in_batch if name == "material" else share)
            for name, loss in losses.items()
        ]
    ).sum()


def _with_its_value(make_loss: Callable[[], Tensor]) -> tuple[Tensor, dict[str, float]]:
    loss = make_loss()
    return loss, {"loss": loss.item()}
