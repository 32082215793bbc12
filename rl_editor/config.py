"""Every default of the project, once, with its unit and range.

The dataclasses are frozen; commands derive their flags from them and checkpoints store them.
`from_dict` rejects unknown keys, so that a checkpoint or file of another version is noticed.
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rl_editor.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class AnalysisConfig:
    """Frame analysis; one short-time Fourier transform serves features and beat tracking."""

    sr: int = 22050
    """Sample rate of the analysis, Hz."""
    n_fft: int = 2048
    """Window of the transform, samples."""
    hop_length: int = 441
    """Hop, samples: 50 frames a second."""
    n_mels: int = 128
    """Mel bands under MFCC, onset strength and the offline stems."""


@dataclass(frozen=True)
class AgentConfig:
    """The policy network."""

    hidden_dim: int = 96
    """Width; divisible by `n_heads`."""
    n_heads: int = 4
    kernel_size: int = 31
    """Neighbourhood of one attention layer, beats; odd."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1)
    """One attention layer each; growing, so that another take is in reach."""
    n_global_tokens: int = 4
    """Pooling tokens that summarise the whole track."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.n_heads < 1 or self.hidden_dim % self.n_heads:
            raise UserError(
                f"hidden_dim must be divisible by n_heads, but {self.hidden_dim} is not "
                f"divisible by {self.n_heads}; change one of them."
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise UserError(
                f"kernel_size must be a positive odd number of beats, but is {self.kernel_size}; "
                f"try {self.kernel_size + 1}."
            )
        if not self.dilations or min(self.dilations) < 1:
            raise UserError("dilations must hold one positive number for each layer.")


@dataclass(frozen=True)
class EpisodeConfig:
    """Limits that guarantee that every episode ends."""

    jump_budget: int = 16
    """JUMP_BACK actions an episode may hold."""
    repeat_budget: int = 16
    """REPEAT_PREV actions an episode may hold."""
    max_steps: int = 8192
    """Steps after which an episode is cut off without a reward."""


@dataclass(frozen=True)
class PlannerConfig:
    """How the policy's answers become one edit; costs in nats of the policy's log-odds."""

    beat_change_cost: float = 4.0
    """Changing between KEEP and CUT inside a bar."""
    bar_change_cost: float = 2.5
    phrase_change_cost: float = 2.0
    keep_bias: float = 0.0
    """Added to the log-odds of KEEP; below 0 where training recordings were cleaner than life."""
    max_rounds: int = 12
    """Rounds of the fixed-point iteration."""
    max_bias: float = 20.0
    """Most that a share to keep shifts the log-odds, nats."""
    bias_steps: int = 14
    """Bisections of that shift."""


@dataclass(frozen=True)
class RewardConfig:
    """Weights of the reward's terms; each reward term is in [0, 1], each penalty in [-1, 0]."""

    keep_ratio: float = 1.0
    section_coherence: float = 1.0
    phrase_alignment: float = 1.0
    edit_structure: float = 1.0
    audio_flow: float = 1.0
    action_diversity: float = 0.1
    reference_agreement: float = 6.0
    loop_penalty: float = 1.0
    jump_penalty: float = 1.0
    leak_penalty: float = 2.0


@dataclass(frozen=True)
class TrainConfig:
    """One training run; each field is a flag of `python -m rl_editor.train`."""

    save_dir: str = "models"
    """Folder for checkpoints and logs."""
    data_dir: str = "training_data"
    """Folder with input/, desired_output/ and reference/."""
    checkpoint: str | None = None
    """Start from this checkpoint."""
    epochs: int = 30000
    """PPO updates."""
    steps: int = 512
    """Steps each environment takes between updates."""
    n_envs: int = 16
    """Episodes in parallel."""
    lr: float = 5e-5
    """Learning rate of PPO."""
    subprocess: bool = False
    """Step the environments in worker processes."""
    seed: int = 0
    bc_epochs: int = 30
    """Passes of behavioural cloning over the demonstrations before PPO."""
    bc_eval_every: int = 3
    """Passes of cloning between two looks at the held-out pieces."""
    bc_batch_tracks: int = 4
    """Whole tracks in one update of behavioural cloning."""
    bc_lr: float = 1e-3
    """Peak learning rate of behavioural cloning."""
    bc_coef: float = 0.5
    """Weight of the cloning loss in PPO at the start; fades to 0 half way."""
    sessions_per_reference: int = 3
    """Sessions made out of each finished track in reference/."""
    validation_share: float = 0.15
    """Share of the pieces held out; at least one where there are two or more."""
    eval_every: int = 20
    """PPO updates between two looks at the held-out pieces; checkpoints are written then."""
    ppo_epochs: int = 4
    """Passes over one rollout."""
    minibatches: int = 4
    """Parts of a rollout between gradient steps; each part is whole tracks."""
    clip_coef: float = 0.2
    gamma: float = 1.0
    gae_lambda: float = 1.0
    """1 is Monte Carlo returns."""
    entropy_coef: float = 0.5
    """Weight of the entropy, normalised by its maximum; 0.5-0.75 until the policy is stable."""
    value_coef: float = 0.5
    auxiliary_coef: float = 0.2
    max_grad_norm: float = 0.5
    target_kl: float = 0.03


@dataclass(frozen=True)
class Config:
    """Everything that a checkpoint stores."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a (nested) settings dataclass as plain dictionaries, for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: Any) -> T:
    """Return the settings dataclass `cls` with `values`, names and what they are set to.

    Raises:
        UserError: a name is unknown, or a value is not of its setting's type.
    """
    if not isinstance(values, dict):
        raise _malformed(cls.__name__, "names and values", values)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise UserError(
            f"{cls.__name__} knows {', '.join(fields)}, but not {', '.join(unknown)}; "
            "the settings were probably written by another version of rl_editor."
        )
    defaults = cls()
    return cls(**{n: _parsed(n, getattr(defaults, n), value) for n, value in values.items()})


def _parsed(name: str, default: Any, value: Any) -> Any:
    """Return a value that was read as JSON in the type of its setting's default."""
    if dataclasses.is_dataclass(default):
        return from_dict(type(default), value)  # type: ignore[arg-type]
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise _malformed(name, "a list", value)
        return tuple(_parsed(name, default[0], item) for item in value)
    allowed: tuple[type, ...] = (float, int) if isinstance(default, float) else (type(default),)
    if default is None:  # a path or nothing
        allowed = (str, type(None))
    if not isinstance(value, allowed) or isinstance(value, bool) != isinstance(default, bool):
        raise _malformed(name, " or ".join(t.__name__ for t in allowed), value)
    return value


def _malformed(name: str, expected: str, value: Any) -> UserError:
    return UserError(
        f"the setting {name} should be {expected}, but is {reprlib.repr(value)}; the file that "
        "holds it is damaged or of another version, make it again."
    )
