"""Training of the beat network: AdamW and one cycle of the learning rate over shuffled crops.

In: pieces to learn from and pieces held out. Out: a `BeatNetwork`, and its loss on the held-out
pieces after each pass. After each pass there is a checkpoint, from which the same call goes on;
a run that was stopped ends with the same weights as one that was not. All is float32.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.beat_training.augmentation import Augmentation, coloured, draw_crop
from benchmarks.beat_training.dataset import (
    Crop,
    Piece,
    TargetShape,
    band_statistics,
    crop,
    targets,
)
from benchmarks.beat_training.network import BeatNetwork
from rl_editor.atomic import atomic_path
from rl_editor.beat_network import HALO_FRAMES
from rl_editor.errors import UserError

CHECKPOINT = "checkpoint.pt"
SHORTEST_REST_FRAMES = 50
"""A shorter rest is not used as noise: repeated, it would be a rhythm."""

Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs [B, T, 64], targets [B, T, 2], weights [B, T, 2]."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training.

    Attributes:
        width: channels of the network, even.
        dropout: in [0, 1).
        passes: over the material.
        seed: of the first weights, of the crops and of their augmentation.
        crop_frames: length of the crops; an output sees 1024 frames on either side.
        batch_crops: crops in a step; small steps cost no more, and 2 learned more than 8 from
            1.5 hours.
        lr: highest learning rate.
        warm_up: share of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        clip_norm: largest norm of the gradient.
        positive_weights: how much a beat and a downbeat count against a frame without. The
            thresholds of the decoder fit (3, 6): with (1, 1) and with (5, 10) it finds fewer.
        target: how a beat looks in the targets.
        augmentation: of the crops.
    """

    width: int = 32
    dropout: float = 0.1
    passes: int = 30
    seed: int = 0
    crop_frames: int = 2 * HALO_FRAMES
    batch_crops: int = 4
    lr: float = 3e-3
    warm_up: float = 0.1
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    positive_weights: tuple[float, float] = (3.0, 6.0)
    target: TargetShape = field(default_factory=TargetShape)
    augmentation: Augmentation = field(default_factory=Augmentation)


def train(
    pieces: Sequence[Piece],
    held_out: Sequence[Piece],
    settings: TrainingSettings,
    folder: Path,
    tell: Callable[[str], None] = print,
) -> BeatNetwork:
    """Return a trained network; go on from the checkpoint in `folder`, if there is one.

    Args:
        pieces: to learn from, at least one.
        held_out: to tell the loss on after each pass.
        settings: of the training.
        folder: an existing folder, for the checkpoint.
        tell: gets a line after each pass.

    Raises:
        UserError: the checkpoint is of a training with other settings or other material.
        FloatingPointError: the loss is not finite.
    """
    torch.manual_seed(settings.seed)
    network = BeatNetwork(settings.width, settings.dropout)
    network.input.fit(*band_statistics(pieces))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    run = Run(network, optimizer, _facts(pieces, settings))
    rests = [rest for piece in pieces if len(rest := piece.rests()) >= SHORTEST_REST_FRAMES]
    for index in range(run.restore(folder / CHECKPOINT), settings.passes):
        loss = _pass(run, pieces, rests, settings, index)
        run.store(folder / CHECKPOINT, index + 1)
        held = f", held out {held_out_loss(network, held_out, settings):.4f}" if held_out else ""
        tell(f"pass {index + 1} of {settings.passes}: loss {loss:.4f}{held}")
    network.eval()
    return network


@dataclass(frozen=True)
class Run:
    """What a training changes, and the facts that must be the same when it goes on."""

    network: BeatNetwork
    optimizer: torch.optim.Optimizer
    facts: dict[str, str]

    def store(self, path: Path, passes_done: int) -> None:
        """Write the checkpoint; an earlier one stays if this is interrupted."""
        state = {
            "facts": self.facts,
            "passes_done": passes_done,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> int:
        """Return the number of passes that are done, 0 without a checkpoint."""
        if not path.exists():
            return 0
        try:
            state = torch.load(path, weights_only=True)
        except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
            raise UserError(
                f"{path} should be a checkpoint of this training, but cannot be read: remove it to "
                "begin anew."
            ) from error
        if state["facts"] != self.facts:
            differ = [name for name in self.facts if state["facts"].get(name) != self.facts[name]]
            raise UserError(
                f"{path} should be a checkpoint of this training, but it differs in its "
                f"{' and '.join(differ)}; choose another folder or remove the file."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        return int(state["passes_done"])


def _facts(pieces: Sequence[Piece], settings: TrainingSettings) -> dict[str, str]:
    n_beats = sum(len(piece.beats_s) for piece in pieces)
    n_frames = sum(len(piece.frames) for piece in pieces)
    material = f"{len(pieces)} pieces, {n_frames} frames, {n_beats} beats"
    return {"settings": repr(asdict(settings)), "material": material}


def _pass(
    run: Run,
    pieces: Sequence[Piece],
    rests: Sequence[NDArray[np.float16]],
    settings: TrainingSettings,
    index: int,
) -> float:
    """Train one pass; return its mean loss. All chance depends on seed and pass alone."""
    run.network.train()
    torch.manual_seed(settings.seed * 100_003 + index)
    rng = np.random.default_rng([settings.seed, index])
    groups = _groups(pieces, settings, rng)
    losses = []
    for step, group in enumerate(groups):
        progress = (index + step / len(groups)) / settings.passes
        for parameters in run.optimizer.param_groups:
            parameters["lr"] = settings.lr * one_cycle(progress, settings.warm_up)
        parts = [
            draw_crop(piece, settings.crop_frames, settings.augmentation, rng) for piece in group
        ]
        inputs = [coloured(part.inputs, rests, settings.augmentation, rng) for part in parts]
        loss = weighted_loss(run.network, _batch(inputs, parts, settings.target), settings)
        run.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
        run.optimizer.step()
        losses.append(loss.item())
    mean = float(np.mean(losses))
    if not np.isfinite(mean):
        raise FloatingPointError(f"the loss of pass {index + 1} is {mean}: lower the learning rate")
    return mean


def _groups(
    pieces: Sequence[Piece], settings: TrainingSettings, rng: np.random.Generator
) -> list[list[Piece]]:
    """Return the pieces of each step: every piece as often as its length holds a crop."""
    counts = [max(1, round(len(piece.frames) / settings.crop_frames)) for piece in pieces]
    order = rng.permutation(np.repeat(np.arange(len(pieces)), counts))
    n_steps = max(1, round(len(order) / settings.batch_crops))
    return [[pieces[index] for index in group] for group in np.array_split(order, n_steps)]


def _batch(
    inputs: Sequence[NDArray[np.float32]], parts: Sequence[Crop], shape: TargetShape
) -> Batch:
    made = [targets(part, shape) for part in parts]
    values, weights = zip(*made, strict=True)
    return _tensor(inputs), _tensor(values), _tensor(weights)


def _tensor(arrays: Sequence[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def one_cycle(progress: float, warm_up: float) -> float:
    """Return the factor of the learning rate at `progress` in [0, 1).

    It rises in a line and falls in a cosine, as in Smith and Topin, "Super-convergence" (2019),
    but the momentum stays.
    """
    if progress < warm_up:
        return 0.04 + 0.96 * progress / warm_up
    return 0.5 + 0.5 * float(np.cos(np.pi * (progress - warm_up) / (1.0 - warm_up)))


def weighted_loss(network: BeatNetwork, batch: Batch, settings: TrainingSettings) -> Tensor:
    """Return the mean binary cross-entropy of a batch over the frames on which is learned."""
    inputs, values, weights = batch
    losses = F.binary_cross_entropy_with_logits(
        network(inputs),
        values,
        weight=weights,
        pos_weight=torch.tensor(settings.positive_weights),
        reduction="sum",
    )
    return losses / weights.sum()


@torch.no_grad()
def held_out_loss(
    network: BeatNetwork, pieces: Sequence[Piece], settings: TrainingSettings
) -> float:
    """Return the mean loss over the frames of pieces as they are, without augmentation."""
    network.eval()
    total, count = 0.0, 0
    for batch in _whole(pieces, settings.target):
        n_frames = batch[0].shape[1]
        total += weighted_loss(network, batch, settings).item() * n_frames
        count += n_frames
    return total / count


def _whole(pieces: Sequence[Piece], shape: TargetShape) -> Iterator[Batch]:
    """Yield each piece as a batch of its own."""
    for piece in pieces:
        part = crop(piece, 0.0, len(piece.frames))
        yield _batch([part.inputs], [part], shape)
