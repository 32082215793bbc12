"""Checkpoints: one safetensors file that holds a policy and everything needed to use it.

Tensors: `policy.*` (weights by the names of `Agent.state_dict()`), `normalisation.mean` and
`normalisation.std`. The header's metadata holds the format, its version, the full config, the
feature schema and the metrics as JSON, and where it was measured how sure the policy may be
(`calibration`), which other weights do not inherit. A checkpoint of a run under way also holds
what the run needs to go on: `run.*` and the metadata `run`, JSON; who uses the policy does not read
them.
Loading reads numbers and text and never runs code, and never allocates more than the file holds.
No torch is needed, except to get an `Agent`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path
from rl_editor.calibration import Calibration
from rl_editor.config import Config, from_dict, to_dict
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS, Normalisation

if TYPE_CHECKING:
    import torch

    from rl_editor.agent import Agent

FORMAT = "rl-editor-checkpoint"
VERSION = "1"
TENSOR_TYPES = ("F16", "F32", "F64")
"""Types that are read, in the words of safetensors; written is float32."""


RUN_TYPES = (*TENSOR_TYPES, "BOOL", "U8", "I64", "U64")
"""Types of what a run needs to go on."""


@dataclass(frozen=True)
class RunState:
    """What a run needs to go on, beside its policy; `run_state` knows what is in it.

    Attributes:
        facts: what JSON can hold.
        arrays: the rest, by name.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        config: full settings of the run that made it.
        schema: features and recurrence it was trained on, as `Track.schema`.
        normalisation: of the policy's inputs.
        metrics: numbers of the run that made it, such as the held-out agreement.
        weights: float32 arrays by the names of `Agent.state_dict()`.
        run: of a run under way; None where there is none, or where it was not asked for.
        calibration: how sure the policy may be, measured on recordings that it was not trained
            on; None where nobody has.
    """

    config: Config
    schema: str
    normalisation: Normalisation
    metrics: dict[str, Any]
    weights: dict[str, NDArray[np.float32]]
    run: RunState | None = None
    calibration: Calibration | None = None


def save(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the target is replaced only by a complete file.

    Raises:
        UserError: the folder cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    path = Path(path)
    tensors = {f"policy.{name}": array for name, array in checkpoint.weights.items()}
    tensors["normalisation.mean"] = checkpoint.normalisation.mean
    tensors["normalisation.std"] = checkpoint.normalisation.std
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "schema": checkpoint.schema,
        "config": json.dumps(to_dict(checkpoint.config)),
        "metrics": json.dumps(checkpoint.metrics),
    }
    if checkpoint.calibration is not None:
        metadata["calibration"] = json.dumps(asdict(checkpoint.calibration))
    if checkpoint.run is not None:
        tensors |= {f"run.{name}": array for name, array in checkpoint.run.arrays.items()}
        metadata["run"] = json.dumps(checkpoint.run.facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(to_bytes(contiguous, metadata))
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name without the content
    except OSError as error:
        raise UserError(
            f"the checkpoint should be written to {path}, but that failed: {error.strerror}; "
            "choose a folder that can be written and has space left."
        ) from error


def load(path: str | Path, with_run: bool = False) -> Checkpoint:
    """Return the checkpoint in a file.

    Args:
        path: of the file.
        with_run: read what a run needs to go on as well.

    Raises:
        UserError: the file is missing, is no checkpoint, or is one of another version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if os.path.isdir(path):
        raise UserError(
            f"a checkpoint file was expected at {path}, but that is a folder; name the file in it, "
            "such as best.pt."
        )
    if not os.path.isfile(path):  # False where Path.is_file raises: a name that is too long
        raise UserError(
            f"a checkpoint file was expected at {path}, but there is none; check the name, or "
            "leave --checkpoint out to use the one that ships with rl_editor."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            of_run = [name for name in file.keys() if name.startswith("run.")]  # noqa: SIM118
            of_policy = [name for name in file.keys() if name not in set(of_run)]  # noqa: SIM118
            _check_types(path, {file.get_slice(n).get_dtype() for n in of_policy}, TENSOR_TYPES)
            tensors = {name: file.get_tensor(name) for name in of_policy}
            arrays = {}
            if with_run and "run" in metadata:
                _check_types(path, {file.get_slice(n).get_dtype() for n in of_run}, RUN_TYPES)
                arrays = {n.removeprefix("run."): file.get_tensor(n) for n in of_run}
    except SafetensorError as error:
        raise UserError(
            f"{path} should be a checkpoint of rl_editor, but is damaged, cut off or of another "
            "program; copy it again, or name another file."
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} should be a checkpoint of rl_editor, but cannot be opened "
            f"({error.strerror or error}); check its permissions."
        ) from error
    loaded = _parse(path, metadata, tensors)
    if not with_run or "run" not in metadata:
        return loaded
    return replace(loaded, run=RunState(_facts(path, metadata["run"]), arrays))


def load_agent(path: str | Path) -> tuple[Agent, Checkpoint]:
    """Return the trained `Agent` on the CPU and the checkpoint it came from; needs torch."""
    checkpoint = load(path)
    return agent_from(checkpoint), checkpoint


def agent_from(checkpoint: Checkpoint) -> Agent:
    """Return an `Agent` with the weights of a checkpoint."""
    import torch

    from rl_editor.agent import Agent

    agent = Agent(checkpoint.config.agent, len(checkpoint.normalisation.mean))
    state: dict[str, torch.Tensor] = {
        name: torch.from_numpy(array.copy()) for name, array in checkpoint.weights.items()
    }
    try:
        agent.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            "the checkpoint's weights should fit the network that its config describes, but "
            f"do not ({str(error).splitlines()[-1].strip()}); train it again."
        ) from error
    return agent


def check_schema(checkpoint: Checkpoint, schema: str) -> None:
    """Raise `UserError` when tracks are analysed in another way than the policy was trained on."""
    if checkpoint.schema != schema:
        raise UserError(
            f"the checkpoint was trained on the analysis '{checkpoint.schema}', but this "
            f"recording is analysed as '{schema}'; choose the same kind of stems (--stems), or "
            "a checkpoint trained on this analysis."
        )


def _check_format(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise UserError(
            f"{path} should be a checkpoint of rl_editor, version {VERSION}, but says "
            f"format '{metadata.get('format')}', version '{metadata.get('version')}'; train it "
            "again with this version."
        )


def _facts(path: Path, text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} should say how its run goes on, but what it says is malformed; name another "
            "checkpoint of the run."
        ) from error


def _check_types(path: Path, types: set[str], allowed: Sequence[str]) -> None:
    """Raise `UserError` unless all tensors are of types that NumPy knows."""
    if not types <= set(allowed):
        raise UserError(
            f"{path} should hold numbers of the types {', '.join(allowed)}, but holds "
            f"{', '.join(sorted(types))}; store it in float32 again."
        )


def _parse(path: Path, metadata: dict[str, str], tensors: dict[str, NDArray]) -> Checkpoint:
    try:
        config = from_dict(Config, json.loads(metadata["config"]))
        metrics = json.loads(metadata["metrics"])
        normalisation = Normalisation(tensors["normalisation.mean"], tensors["normalisation.std"])
        schema = metadata["schema"]
        calibration = None
        if "calibration" in metadata:
            calibration = Calibration.of_values(json.loads(metadata["calibration"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} should hold config, schema, metrics and normalisation, but {error} is "
            "missing or malformed; the checkpoint is damaged, train or fetch it again."
        ) from error
    if normalisation.mean.shape != (N_INPUTS,) or normalisation.std.shape != (N_INPUTS,):
        raise UserError(
            f"{path} was trained on {normalisation.mean.shape} inputs a beat with the analysis "
            f"'{schema}', but this version has {N_INPUTS}; use a checkpoint of this version."
        )
    weights = {}
    for name, array in tensors.items():
        if not np.all(np.isfinite(array)):
            raise UserError(f"{path} holds a weight that is not finite ({name}); train it again.")
        if name.startswith("policy."):
            weights[name.removeprefix("policy.")] = array.astype(np.float32)
    return Checkpoint(config, schema, normalisation, metrics, weights, calibration=calibration)
