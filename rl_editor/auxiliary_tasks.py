"""Auxiliary tasks: what each beat's embedding must also be able to tell.

They keep the encoder honest about the music when the editing signal is thin, and `material` is
what tells the user why a passage went. Jaderberg et al., "Reinforcement Learning with
Unsupervised Auxiliary Tasks" (2017), in supervised form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from rl_editor.features import FEATURE_NAMES
from rl_editor.materials import N_MATERIALS

N_MEL_COEFFICIENTS = 13
"""The mel spectrum is reconstructed as its 13 cepstral coefficients, which the features hold."""

TASKS = ("tempo", "energy", "phrase", "mel", "material")

_TEMPO = FEATURE_NAMES.index("tempo_octaves")
_ENERGY = FEATURE_NAMES.index("rms_db")
_MEL = FEATURE_NAMES.index("mfcc_1")


@dataclass(frozen=True)
class AuxiliaryTargets:
    """Targets for the beats of some tracks.

    Attributes:
        inputs: [M, I] normalised inputs, which hold tempo, energy and mel targets.
        is_phrase_start: [M] float. material: [M] int64, -1 where unknown.
    """

    inputs: Tensor
    is_phrase_start: Tensor
    material: Tensor


class AuxiliaryHeads(nn.Module):
    """Linear readouts of the beat embeddings [M, D]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.tempo = nn.Linear(dim, 1)
        self.energy = nn.Linear(dim, 1)
        self.phrase = nn.Linear(dim, 1)
        self.mel = nn.Linear(dim, N_MEL_COEFFICIENTS)
        self.material = nn.Linear(dim, N_MATERIALS)

    def losses(self, beats: Tensor, targets: AuxiliaryTargets) -> dict[str, Tensor]:
        """Return the loss of each of `TASKS`: squared errors of normalised targets, cross-entropy.

        Without a beat of known material there is none for that.
        """
        inputs = targets.inputs
        losses = {
            "tempo": F.mse_loss(self.tempo(beats).squeeze(1), inputs[:, _TEMPO]),
            "energy": F.mse_loss(self.energy(beats).squeeze(1), inputs[:, _ENERGY]),
            "phrase": F.binary_cross_entropy_with_logits(
                self.phrase(beats).squeeze(1), targets.is_phrase_start
            ),
            "mel": F.mse_loss(self.mel(beats), inputs[:, _MEL : _MEL + N_MEL_COEFFICIENTS]),
        }
        known = targets.material >= 0
        if bool(known.any()):
            losses["material"] = F.cross_entropy(
                self.material(beats[known]), targets.material[known]
            )
        return losses
