"""Proximal policy optimisation on whole tracks (Schulman et al., 2017, arXiv:1707.06347).

Departures from the paper: minibatches are made of whole tracks, each encoded once per gradient
step and read at every cursor; the entropy is a share of its maximum over the allowed actions; a
cloning loss can be mixed in; a value function that measures nothing learns apart, its gradient
clipped by itself; no further pass begins when the policy has moved too far
(approximate KL).
float32 throughout: the value loss of an episode-end reward overflows half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rl_editor.agent import Agent
from rl_editor.config import TrainConfig
from rl_editor.distributed import Descent, Processes, balanced
from rl_editor.rollout import (
    Rollout,
    TaskInputs,
    advantages,
    group_advantages,
    to_step_inputs,
)

STOP_KL_FACTOR = 1.5
"""No further pass over the rollout begins once the mean approximate KL of a pass exceeds this many
times the target."""
ROWS_PER_BEAT = 4.0
"""How many rows take as long to learn from as encoding one beat does, about."""


@dataclass(frozen=True)
class Batch:
    """A rollout with its learning targets, `B` rows.

    Attributes:
        rollout: the experience.
        advantage: [B] float32, of standard deviation 1 where it is known.
        returns: [B] float32, targets of the value function.
        credited: share of the rows whose advantage is known; the others have 0.
        by_value: the value function is the measure of the advantages.
    """

    rollout: Rollout
    advantage: NDArray[np.float32]
    returns: NDArray[np.float32]
    credited: float = 1.0
    by_value: bool = True

    @classmethod
    def from_rollout(cls, rollout: Rollout, config: TrainConfig) -> Batch:
        """Return the batch under the config's `gamma`, `gae_lambda` and `group_size`.

        With Monte-Carlo returns and groups, an episode is measured by others like it, and by the
        value function only where no episode of the rollout has any.
        """
        estimates = advantages(rollout, config.gamma, config.gae_lambda)
        returns = (estimates + rollout.value).reshape(-1)
        if config.group_size > 1 and config.gae_lambda == 1.0:
            by_group, is_known = group_advantages(rollout, config.gamma)
            if is_known.any():
                normalised = by_group / (by_group[is_known].std() + 1e-8)
                credited = float(is_known.mean())
                return cls(rollout, normalised.reshape(-1), returns, credited, by_value=False)
        normalised = (estimates - estimates.mean()) / (estimates.std() + 1e-8)
        return cls(rollout, normalised.reshape(-1), returns)


@dataclass(frozen=True)
class Losses:
    """Losses of some rows (scalars that carry gradients) and what to log of them (floats)."""

    policy: Tensor
    value: Tensor
    entropy: Tensor
    approx_kl: float
    clip_fraction: float
    head_entropy: dict[str, float]


HEADS = ("type", "size", "amount")
LOGGED = (
    "policy_loss",
    "value_loss",
    "entropy",
    "cloning_loss",
    "approx_kl",
    "clip_fraction",
    *(f"entropy/{head}" for head in HEADS),
)
"""What is logged of a gradient step beside the gradient's norm; all means over its rows."""


def losses(
    agent: Agent, inputs: TaskInputs, batch: Batch, rows: NDArray[np.int64], clip_coef: float
) -> Losses:
    """Return the losses over `rows` of the batch; their tracks are encoded with gradients.

    `policy` is the clipped surrogate, negated; `entropy` the mean share of the maximum;
    `approx_kl` is mean(ratio - 1 - log ratio) (Schulman, "Approximating KL divergence", 2020).
    Where the value function measures nothing, it learns without changing what the policy reads.
    """
    seen = batch.rollout.observations.rows(rows)
    tasks, places = np.unique(seen.task, return_inverse=True)
    encoded = agent.encode([inputs[task] for task in tasks.tolist()])
    step = to_step_inputs(seen, places, inputs.device)

    def tensor(array: NDArray) -> Tensor:
        return torch.from_numpy(array[rows]).to(inputs.device)

    actions = tensor(batch.rollout.actions)
    out = agent.evaluate(encoded, step, actions, value_alone=not batch.by_value)
    log_ratio = out.log_prob - tensor(batch.rollout.log_prob)
    ratio, advantage = log_ratio.exp(), tensor(batch.advantage)
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    with torch.no_grad():
        approx_kl = float((ratio - 1 - log_ratio).mean())
        clip_fraction = float(((ratio - 1).abs() > clip_coef).float().mean())
    return Losses(
        policy=-torch.minimum(ratio * advantage, clipped * advantage).mean(),
        value=0.5 * (out.value - tensor(batch.returns)).square().mean(),
        entropy=out.entropy.mean(),
        approx_kl=approx_kl,
        clip_fraction=clip_fraction,
        head_entropy=dict(zip(HEADS, out.head_entropy.mean(0).tolist(), strict=True)),
    )


def whole_track_minibatches(
    tasks: NDArray[np.int64], n_minibatches: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return rows split into at most `n_minibatches` parts of about equal size.

    Args:
        tasks: [B] task of each row; rows of one task are never split.
        n_minibatches: parts wanted; fewer come out when there are fewer tasks.
        rng: shuffles the tasks.
    """
    names, counts = np.unique(tasks, return_counts=True)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    n_parts = min(n_minibatches, len(names))
    part_of = np.zeros(len(names), dtype=np.int64)
    part_of[order] = balanced(counts[order], n_parts)
    row_part = part_of[np.searchsorted(names, tasks)]
    return [np.flatnonzero(row_part == part) for part in rng.permutation(n_parts)]


def own_rows(
    rows: NDArray[np.int64], tasks: NDArray[np.int64], inputs: TaskInputs, processes: Processes
) -> NDArray[np.int64]:
    """Return the rows of a minibatch that this process learns from: whole tracks.

    Args:
        rows: of the minibatch.
        tasks: [B] task of each row of the batch.
        inputs: of the tasks.
        processes: that share the minibatch so that each has about as much to do.
    """
    if processes.count == 1:
        return rows
    names, counts = np.unique(tasks[rows], return_counts=True)
    beats = np.array([inputs.n_beats(task) for task in names.tolist()])
    own = processes.own(beats + counts / ROWS_PER_BEAT)
    return rows[np.isin(tasks[rows], names[own])]


@dataclass(frozen=True)
class PPO:
    """The optimiser of one agent.

    Attributes:
        agent: what learns.
        optimizer: of its parameters.
        inputs: of the tasks.
        config: of the run.
        descent: of the agent, where several processes learn together.
    """

    agent: Agent
    optimizer: torch.optim.Optimizer
    inputs: TaskInputs
    config: TrainConfig
    descent: Descent | None = None

    def update(
        self,
        rollout: Rollout,
        rng: np.random.Generator,
        entropy_coef: float,
        extra_loss: Callable[[], Tensor] | None = None,
    ) -> dict[str, float]:
        """Learn from one rollout; return what to log, means over the gradient steps.

        `extra_loss` (cloning, already weighted) is added to the loss of every gradient step; in
        several processes it is this one's share. `samples/update` is how many rows were learnt
        from, those of each pass counted.
        """
        config, batch = self.config, Batch.from_rollout(rollout, self.config)
        descent = self.descent or Descent(self.agent)
        alone = () if batch.by_value else self.agent.value_parameters()
        log: dict[str, list[float]] = {}
        n_rows = 0
        for _ in range(config.ppo_epochs):
            tasks = rollout.observations.task
            parts = whole_track_minibatches(tasks, config.minibatches, rng)
            for rows in parts:
                own = own_rows(rows, tasks, self.inputs, descent.processes)
                share = len(own) / len(rows)
                loss = partial(self._share_of_loss, batch, own, share, entropy_coef, extra_loss)
                values = descent.step(self.optimizer, config.max_grad_norm, loss, alone)
                n_rows += len(rows)
                for name, value in values.items():
                    log.setdefault(name, []).append(value)
            if np.mean(log["approx_kl"][-len(parts) :]) > STOP_KL_FACTOR * config.target_kl:
                break
        means = {name: float(np.mean(values)) for name, values in log.items()}
        return {
            **means,
            "gradient_norm_max": max(log["gradient_norm"]),
            "explained_variance": explained_variance(rollout, batch),
            "credited": batch.credited,
            "samples/update": float(n_rows),
        }

    def _share_of_loss(
        self,
        batch: Batch,
        rows: NDArray[np.int64],
        share: float,
        entropy_coef: float,
        extra_loss: Callable[[], Tensor] | None,
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of the rows that are this `share` of a minibatch, and what to log."""
        self.agent.eval()  # dropout would change the policy that is compared
        loss, numbers = torch.zeros((), device=self.inputs.device), dict.fromkeys(LOGGED, 0.0)
        if len(rows):
            part = losses(self.agent, self.inputs, batch, rows, self.config.clip_coef)
            policy_loss = self.config.policy_coef * part.policy
            value_loss = self.config.value_coef * part.value
            loss = share * (policy_loss + value_loss - entropy_coef * part.entropy)
            of_losses = (part.policy.item(), part.value.item(), part.entropy.item(), 0.0)
            logged = (*of_losses, part.approx_kl, part.clip_fraction, *part.head_entropy.values())
            numbers = {n: share * value for n, value in zip(LOGGED, logged, strict=True)}
        if extra_loss is not None:
            extra = extra_loss()
            loss, numbers["cloning_loss"] = loss + extra.to(loss.device), extra.item()
        return loss, numbers


def explained_variance(rollout: Rollout, batch: Batch) -> float:
    """Return 1 - Var(returns - value) / Var(returns), at most 1; 0 where returns do not vary."""
    variance = float(batch.returns.var())
    if variance < 1e-12:
        return 0.0
    return 1.0 - float((batch.returns - rollout.value.reshape(-1)).var()) / variance
