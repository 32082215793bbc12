"""Stems from a Demucs model, for whoever has installed the `[stems]` extra.

Input: a mono signal at the model's own rate. Output: the `StemFrames` of `stems`, measured on
the separated sound. Models are read by the loading code of the demucs package, from its hub or
from a local folder (`NAME.yaml` and `SIGNATURE-CHECKSUM.th`). Such files are unpickled, which
runs code: use folders you trust.

Method: Rouard, Massa, Défossez, "Hybrid transformers for music source separation", ICASSP
2023. The signal is fed in mono, without the random shifts, so that the result repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.frame_features import centre_onsets, mean_rise
from rl_editor.spectrogram import frame_blocks, magnitude_blocks, mel_bank
from rl_editor.stems import OFFLINE, STEM_NAMES, StemFrames, stem_level_db

PREFIX = "demucs:"
DEFAULT_MODEL = "htdemucs"

_CHUNK_FRAMES = 3000
"""Separated at a time: a minute, so that an hour of four stems is never held."""
_CONTEXT_FRAMES = 100
"""Two seconds on each side that are separated and thrown away."""


@dataclass(frozen=True)
class DemucsModel:
    """A loaded separation model.

    Attributes:
        name: the model's name, without its folder.
        network: the demucs module or bag of modules.
    """

    name: str
    network: Any

    @property
    def sample_rate(self) -> int:
        """Rate of the sound that the model takes and gives, Hz."""
        return int(self.network.samplerate)


def check_stems(stems: str) -> None:
    """Check, before anything slow is done, that stems can be made as the user wants them.

    Args:
        stems: "offline", "demucs" or a Demucs model, as `analysis.analyze` takes it.

    Raises:
        UserError: the package is missing, its hub knows no model of the name (`hf://NAME` is not
            looked up), or the folder of FOLDER/NAME holds none.
    """
    if stems in (OFFLINE, PREFIX):  # a prefix without a name is refused by `analysis.schema_name`
        return
    try:
        from demucs.pretrained import REMOTE_ROOT
    except ImportError as error:
        raise _missing(stems) from error
    name, folder = split_model(stems.removeprefix(PREFIX))
    if name.startswith("hf://") or name == PREFIX.rstrip(":"):
        return
    if folder is not None:
        _check_folder(name, folder)
        return
    bags = {path.stem for path in REMOTE_ROOT.glob("*.yaml")}
    listed = (REMOTE_ROOT / "files.txt").read_text(encoding="utf-8").splitlines()
    if name not in bags and name not in {line.split("-", 1)[0] for line in listed}:
        raise UserError(
            f"stems should be {OFFLINE}, demucs or a Demucs model (such as {DEFAULT_MODEL} or mdx, "
            f"FOLDER/NAME or hf://NAME), but '{stems}' is none of these; choose one."
        )


def _check_folder(name: str, folder: Path) -> None:
    """Raise `UserError` unless a folder holds a model, alone or as a bag."""
    if not folder.is_dir():
        raise UserError(
            f"The Demucs model {name} should be in the folder {folder}, which does not exist; "
            "check the path, or give a name alone to use Demucs's hub."
        )
    signatures = {path.stem.split("-", 1)[0] for path in folder.glob("*.th")}
    if not (folder / f"{name}.yaml").is_file() and name not in signatures:
        raise UserError(
            f"A Demucs model called {name} was expected in {folder}, but there is neither "
            f"{name}.yaml nor {name}-CHECKSUM.th; check the name, or use the offline stems."
        )


def _missing(stems: str) -> UserError:
    return UserError(
        f"stems '{stems}' would be made by Demucs, whose package demucs is not installed; run "
        f"{install_hint('stems')}, or use the offline stems."
    )


def load_demucs(model: str) -> DemucsModel:
    """Return a model by its name in Demucs's hub, or by path: `folder/name`.

    Raises `UserError` when the package is missing, when the folder or hub has no such model,
    or when the model does not separate drums, bass and vocals.
    """
    try:
        from demucs.pretrained import get_model
        from demucs.repo import ModelLoadingError
    except ImportError as error:
        raise _missing(model) from error
    name, folder = split_model(model)
    if folder is not None:
        _check_folder(name, folder)
    try:
        network = get_model(name, repo=folder)
    except (ModelLoadingError, OSError) as error:
        place = "Demucs's hub" if folder is None else str(folder)
        raise UserError(
            f"A Demucs model called {name} was expected in {place}, but could not be loaded "
            f"({error}); check the name, or use the offline stems."
        ) from error
    missing = sorted({"drums", "bass", "vocals"} - set(network.sources))
    if missing:
        raise UserError(
            f"A Demucs model for drums, bass and vocals is needed, but {name} does not separate "
            f"{', '.join(missing)}; try {DEFAULT_MODEL}."
        )
    return DemucsModel(name=name, network=network)


def split_model(model: str) -> tuple[str, Path | None]:
    """Return (name, folder) of `folder/name`; the folder is None for a name of the hub."""
    path = Path(model)
    if model.startswith("hf://") or path.name == model:  # "./name" is a path, "name" is not
        return model, None
    return path.name, path.parent


def demucs_stems(
    signal: NDArray[np.float32],
    model: DemucsModel,
    n_frames: int,
    floor: float,
    config: AnalysisConfig,
    on_progress: Callable[[float], None] | None = None,
) -> StemFrames:
    """Return the stems of a mono signal `[S]` at `model.sample_rate`.

    `n_frames` and `floor` (`stems.onset_floor`) are those of the mix at the analysis rate.
    `on_progress` hears the part that is done, up to 1.
    """
    seconds_a_frame = config.hop_length / config.sr
    mean, deviation = float(signal.mean()), float(signal.std()) or 1.0
    power = np.empty((n_frames, len(STEM_NAMES)), dtype=np.float32)
    rise = np.empty_like(power)
    for start in range(0, n_frames, _CHUNK_FRAMES):
        stop = min(start + _CHUNK_FRAMES, n_frames)
        low, high = max(0, start - _CONTEXT_FRAMES), min(n_frames, stop + _CONTEXT_FRAMES)
        first = round(low * seconds_a_frame * model.sample_rate)
        last = round(high * seconds_a_frame * model.sample_rate)
        sound = _separate((signal[first:last] - mean) / deviation, model) * deviation
        rows, inner = slice(start, stop), slice(start - low, stop - low)
        for column, stem in enumerate(sound):
            stem = _resampled(stem, model.sample_rate, config, high - low)
            stem_power, level_db = _measure(stem, floor, config)
            power[rows, column] = stem_power[inner]
            rise[rows, column] = mean_rise(level_db)[inner]
        if on_progress is not None:
            on_progress(stop / n_frames)
    return StemFrames(power, centre_onsets(rise, config), PREFIX + model.name)


def _separate(mix: NDArray[np.float32], model: DemucsModel) -> NDArray[np.float32]:
    """Return [4, S] mono stems in the order of `STEM_NAMES`; sources it lacks go to other."""
    import torch
    from demucs.apply import apply_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    channels = torch.from_numpy(mix).expand(1, model.network.audio_channels, -1).contiguous()
    with torch.no_grad():
        separated = apply_model(model.network, channels, shifts=0, device=device)
    sound = np.zeros((len(STEM_NAMES), len(mix)), dtype=np.float32)
    for source, stem in zip(model.network.sources, separated[0].cpu().numpy(), strict=True):
        known = source if source in STEM_NAMES else "other"
        sound[STEM_NAMES.index(known)] += stem.mean(axis=0)
    return sound


def _resampled(
    stem: NDArray[np.float32], sample_rate: int, config: AnalysisConfig, n_frames: int
) -> NDArray[np.float32]:
    """Return the stem at the analysis rate, as long as `n_frames` frames are.

    The last frame may lie a little beyond the sound's end: zeros follow there.
    """
    import soxr

    resampled = soxr.resample(stem, sample_rate, config.sr)
    n_samples = n_frames * config.hop_length - 1
    return np.pad(resampled[:n_samples], (0, max(0, n_samples - len(resampled))))


def _measure(
    stem: NDArray[np.float32], floor: float, config: AnalysisConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the power [T] and the mel level in dB [T, n_mels] of one stem."""
    blocks = frame_blocks(stem, config)
    squares = np.concatenate([np.einsum("ts,ts->t", frames, frames) for _, frames in blocks])
    bank = mel_bank(config)
    mel_power = np.concatenate(
        [np.square(magnitude) @ bank for _, magnitude in magnitude_blocks(stem, config)]
    )
    return squares / np.float32(config.n_fft), stem_level_db(mel_power, floor)
