"""Every default of the project, once, with its unit and range.

The dataclasses are frozen; commands derive their flags from them and checkpoints store them.
`from_dict` rejects unknown keys, so that a checkpoint or file of another version is noticed.
A number with a range is a `_number`; whatever makes the settings, one outside of it is refused.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rl_editor.errors import UserError

T = TypeVar("T")

_RETIRED = {"PlannerConfig": ("max_bias", "bias_steps"), "TrainConfig": ("auxiliary_coef",)}
"""Settings that checkpoints of earlier versions hold, and that the edits of these do not need."""


def _number(
    default: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """Return a field whose value is finite and lies in a range; without limits any value does."""
    limits = {"at least": least, "above": above, "at most": most, "below": below}
    given = {words: limit for words, limit in limits.items() if limit is not None}
    return field(default=default, metadata={"limits": given})


def _lies(value: float, words: str, limit: float) -> bool:
    """Return whether a value keeps to one limit of `_number`."""
    if words in ("at least", "at most"):
        return value >= limit if words == "at least" else value <= limit
    return value > limit if words == "above" else value < limit


class _Checked:
    """Settings that refuse numbers outside the ranges of their fields."""

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):  # type: ignore[arg-type]
            limits, value = setting.metadata.get("limits"), getattr(self, setting.name)
            if limits is None:
                continue
            if math.isfinite(value) and all(_lies(value, *limit) for limit in limits.items()):
                continue
            expected = " and ".join(f"{words} {limit}" for words, limit in limits.items())
            raise UserError(
                f"the setting {setting.name} must be {expected or 'a finite number'}, but is "
                f"{value}; by default it is {setting.default}."
            )


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
class AgentConfig(_Checked):
    """The policy network."""

    hidden_dim: int = _number(96, least=1)
    """Width, at least 1; divisible by `n_heads`."""
    n_heads: int = _number(4, least=1)
    """At least 1."""
    kernel_size: int = 31
    """Neighbourhood of one attention layer, beats; odd."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1)
    """One attention layer each; growing, so that another take is in reach."""
    n_global_tokens: int = _number(4, least=1)
    """Pooling tokens that summarise the whole track; at least 1."""
    dropout: float = _number(0.1, least=0, below=1)
    """Share of the values left out while learning, in [0, 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_dim % self.n_heads:
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
class EpisodeConfig(_Checked):
    """Limits that guarantee that every episode ends."""

    jump_budget: int = _number(16, least=0)
    """JUMP_BACK actions an episode may hold; at least 0."""
    repeat_budget: int = _number(16, least=0)
    """REPEAT_PREV actions an episode may hold; at least 0."""
    max_steps: int = _number(8192, least=1)
    """Steps after which an episode is cut off without a reward; at least 1."""


@dataclass(frozen=True)
class PlannerConfig(_Checked):
    """How the policy's answers become one edit.

    Costs are in nats of the policy's log-odds, at least 0.
    """

    beat_change_cost: float = _number(4.0, least=0)
    """Changing between KEEP and CUT inside a bar."""
    bar_change_cost: float = _number(2.5, least=0)
    """At a bar line."""
    phrase_change_cost: float = _number(2.0, least=0)
    """At a phrase line."""
    keep_bias: float = _number(0.0)
    """Added to the log-odds of KEEP; below 0 where training recordings were cleaner than life."""
    max_rounds: int = _number(12, least=1)
    """Rounds of the fixed-point iteration; at least 1."""
    effort: int = _number(3, least=1, most=5)
    """How long a better edit than the likeliest is searched for, 1 (not at all) to 5."""
    dead_cost: float = _number(4.0, least=0)
    """Taken off the log-odds of KEEP where all is talk, noise or silence and a share is asked for.
    Of what fills up a share on 72 sessions it halved those three, from 19% to 10%."""


@dataclass(frozen=True)
class RewardConfig(_Checked):
    """Weights of the reward's terms, at least 0.

    Each reward term is in [0, 1], each penalty in [-1, 0]. Where an edit is known it decides: a
    search that started from 36 known edits found the musical terms to pay for leaving out a
    single wanted beat at 0.1, and for nothing at 0.05 (`docs/reward.md`).
    """

    keep_ratio: float = _number(0.15, least=0)
    section_coherence: float = _number(0.05, least=0)
    phrase_alignment: float = _number(0.05, least=0)
    edit_structure: float = _number(0.05, least=0)
    audio_flow: float = _number(0.05, least=0)
    action_diversity: float = _number(0.01, least=0)
    reference_agreement: float = _number(6.0, least=0)
    loop_penalty: float = _number(0.15, least=0)
    jump_penalty: float = _number(0.15, least=0)
    leak_penalty: float = _number(0.15, least=0)


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """One training run; each field is a flag of `python -m rl_editor.train`."""

    save_dir: str = "models"
    """Folder for checkpoints and logs."""
    data_dir: str = "training_data"
    """Folder with input/, desired_output/ and reference/."""
    checkpoint: str | None = None
    """Go on with the run that this checkpoint holds, or start from its weights."""
    epochs: int = _number(30000, least=0)
    """PPO updates; at least 0."""
    steps: int = _number(512, least=1)
    """Steps each environment takes between updates; at least 1."""
    n_envs: int = _number(16, least=1)
    """Episodes in parallel; at least 1."""
    group_size: int = _number(8, least=1)
    """Episodes side by side that edit the same recordings with the same wishes, so that each is
    measured by the others; at least 1, where the value function is the measure."""
    lr: float = _number(5e-5, above=0, most=1)
    """Learning rate of PPO at the start, in (0, 1]; falls to a twentieth."""
    subprocess: bool = False
    """Step the environments in worker processes."""
    seed: int = _number(0, least=0, most=2**32 - 1)
    """Of the weights at the start and everything that learning draws by chance, 0 to 2^32 - 1."""
    data_seed: int = _number(0, least=0, most=2**32 - 1)
    """Of the sessions that are made and of which pieces are held out, from 0 to 2^32 - 1."""
    bc_epochs: int = _number(30, least=0)
    """Passes of behavioural cloning over the demonstrations before PPO; at least 0."""
    bc_eval_every: int = _number(3, least=1)
    """Passes of cloning between two looks at the held-out pieces; at least 1."""
    bc_batch_tracks: int = _number(4, least=1)
    """Whole tracks in one update of behavioural cloning; at least 1."""
    bc_lr: float = _number(1e-3, above=0, most=1)
    """Peak learning rate of behavioural cloning, in (0, 1]."""
    bc_coef: float = _number(0.06, least=0)
    """Weight in PPO of what is learned from known edits, the auxiliary tasks among it; at least 0,
    where the reasons that users read are no longer learned. At 0.5 PPO added less
    (docs/training.md)."""
    bc_fade: float = _number(0.0, least=0, most=1)
    """Share of the cloning loss that is lost by the end, in a straight line, in [0, 1].
    A policy that loses it drifts to short, timid actions and loses what planned edits gain."""
    sessions_per_reference: int = _number(3, least=0)
    """Sessions made out of each finished track in reference/; at least 0."""
    validation_share: float = _number(0.15, least=0, below=1)
    """Share of the pieces held out, in [0, 1); at least one piece where there are two or more."""
    eval_every: int = _number(20, least=1)
    """PPO updates between two looks at the held-out pieces, at least 1.
    Checkpoints are written then."""
    checkpoint_minutes: float = _number(5.0, least=0)
    """Longest time between two checkpoints, minutes, at least 0.
    0 writes one after every update and every pass of cloning."""
    keep_checkpoints: int = _number(3, least=0)
    """Latest checkpoints that are kept beside latest.pt; at least 0."""
    ppo_epochs: int = _number(4, least=1)
    """Passes over one rollout; at least 1."""
    minibatches: int = _number(4, least=1)
    """Parts of a rollout between gradient steps, at least 1; each part is whole tracks."""
    clip_coef: float = _number(0.2, above=0, below=1)
    """Most that the ratio of two policies moves away from 1, in (0, 1)."""
    gamma: float = _number(1.0, least=0, most=1)
    """Discount of later rewards, in [0, 1]."""
    gae_lambda: float = _number(1.0, least=0, most=1)
    """In [0, 1]; 1 is Monte Carlo returns."""
    entropy_coef: float = _number(0.5, least=0)
    """Weight of the entropy, normalised by its maximum, until the policy is stable; at least 0.
    0.5-0.75 is usual; where PPO begins from scratch it holds until half way and then falls."""
    stable_entropy_coef: float = _number(0.01, least=0)
    """The same for a stable policy: at the end, and at once where it was cloned or given and is
    sure of what it does; at least 0. At 0.5 what PPO adds to cloning was lost."""
    policy_coef: float = _number(1.0, least=0)
    """Weight of PPO's clipped loss, at least 0; 0 shows what the rest of a run does."""
    value_coef: float = _number(0.5, least=0)
    """Weight of the value function's loss; at least 0."""
    tempo_coef: float = _number(0.2, least=0)
    """Weight of an auxiliary task, to tell the tempo of a beat from its embedding; at least 0. In
    PPO it is taken times `bc_coef`."""
    energy_coef: float = _number(0.2, least=0)
    """The same for its level; at least 0."""
    phrase_coef: float = _number(0.2, least=0)
    """The same for whether a phrase begins; at least 0."""
    mel_coef: float = _number(0.2, least=0)
    """The same for its mel spectrum; at least 0."""
    material_coef: float = _number(0.2, least=0)
    """The same for its material, which gives the reasons that users read; at least 0."""
    max_grad_norm: float = _number(0.5, above=0)
    """Longest gradient that is taken, above 0."""
    target_kl: float = _number(0.03, above=0)
    """No further pass over a rollout begins once the mean change of the policy in a pass, nats, is
    one and a half times this; above 0."""


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
    retired = _RETIRED.get(cls.__name__, ())
    values = {name: value for name, value in values.items() if name not in retired}
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
        "holds it is wrong, damaged or of another version; correct it or make it again."
    )
