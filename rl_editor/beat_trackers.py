"""Which tracker hears the beats: the network that ships, or a package that users may install.

In: a mono signal at the analysis rate. Out: the probabilities of a beat and of a downbeat in each
frame, as `beat_network.activations` gives them, so that whatever tracker is chosen, `beats` decodes
the same way. Packages are imported when their tracker is loaded, not before.

- own: `beat_network`.
- beat_this: a transformer (Foscarin, Schlüter and Widmer, "Beat This! Accurate beat tracking
  without DBN postprocessing", ISMIR 2024). Its frames are ours: 50 a second, the first at 0 s.
- librosa: dynamic programming over onset strength (Ellis, "Beat tracking by dynamic programming",
  Journal of New Music Research 2007). It gives times and no bars.
"""

from __future__ import annotations

import importlib.util
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_decoding import INPUT_FPS
from rl_editor.cache import file_sha256
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.extras import install_hint

FloatArray = NDArray[np.float32]

Hear = Callable[[FloatArray, int], FloatArray]
"""Called with a mono signal [S] at the analysis rate and the number of frames `T`; returns [T, 2]
float32 probabilities of a beat and of a downbeat, 50 frames a second."""

OWN, BEAT_THIS, LIBROSA = "own", "beat_this", "librosa"
TRACKERS = (OWN, BEAT_THIS, LIBROSA)

_EXTRAS = {BEAT_THIS: "beats", LIBROSA: "librosa"}
_DEFAULT_CHECKPOINT = "final0"
"""Name in the package beat_this of the network that its authors recommend."""

_PEAK = 0.9
"""Activation at a beat that came as a mere time; with the own tracker half of all sessions have a
mean confidence of at least that."""
_PEAK_FRAMES = 1.0
"""Standard deviation of the peak; its skirts fill the sixteenth of a beat that the decoder sums."""
_PEAK_REACH = 3
_LIBROSA_LATE_S = 0.02
"""How late librosa's beats are: 18 to 21 ms on clicks at 13 tempi from 60 to 200 bpm."""
_DOWNBEAT_UNKNOWN = 0.5
"""Activation of downbeats throughout, where nothing is known of them."""


_NO_CHECKPOINT = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    pickle.UnpicklingError,
)
"""What loading raises, as a file can be another thing than a checkpoint in each of these ways."""


@dataclass(frozen=True)
class BeatTracker:
    """The tracker that a user chose.

    Attributes:
        name: one of `TRACKERS`.
        checkpoint: of beat_this: a file, or a name that the package fetches by itself; None is the
            network that its authors recommend.
    """

    name: str = OWN
    checkpoint: str | None = None

    def check(self, beats_from: str | Path | None = None) -> None:
        """Check, before anything slow is done, that this tracker can be used.

        Args:
            beats_from: the file that the beats come from, if they do; then none is needed.

        Raises:
            UserError: there is no tracker of this name, its package or its checkpoint is missing,
                or something contradicts the choice.
        """
        if self.name not in TRACKERS:
            raise UserError(
                f"the beat tracker should be {OWN}, {BEAT_THIS} or {LIBROSA}, but is "
                f"'{self.name}'; choose one of these."
            )
        if self.checkpoint is not None and self.name != BEAT_THIS:
            raise UserError(
                f"a beat checkpoint is for the beat tracker {BEAT_THIS}, but {self.checkpoint} is "
                f"named for the tracker {self.name}; choose {BEAT_THIS}, or leave the checkpoint "
                "out."
            )
        if self.name == OWN:
            return
        if beats_from is not None:
            raise UserError(
                f"the beats come from {beats_from}, for which nothing is listened to, but the beat "
                f"tracker {self.name} is asked for too; leave out one of the two."
            )
        if importlib.util.find_spec(self.name) is None:
            raise _missing(self.name, self.name)
        _check_file(self.file)

    @property
    def file(self) -> Path | None:
        """The checkpoint's file, or None where it is a name that the package knows."""
        if self.checkpoint is None:
            return None
        path = Path(self.checkpoint)
        is_name = path.name == self.checkpoint and not path.suffix
        return None if is_name and not path.is_file() else path

    def settings(self) -> dict[str, Any]:
        """Return what the beats depend on, as JSON values for the key of a cached analysis.

        Nothing for the own tracker: analyses that were kept before there were others are still
        found. Raises `UserError` for a checkpoint that cannot be read.
        """
        if self.name == OWN:
            return {}
        said = {"name": self.name, "version": _version(self.name)}
        if self.name == BEAT_THIS:
            file = self.file
            named = self.checkpoint or _DEFAULT_CHECKPOINT
            said["checkpoint"] = named if file is None else file_sha256(file)
        return {"beat_tracker": said}

    def words(self) -> tuple[str, ...]:
        """Return the choice as options of the command; none for the own tracker."""
        if self.name == OWN:
            return ()
        named = () if self.checkpoint is None else (shlex.quote(self.checkpoint),)
        return (f"--beat-tracker {self.name}", *(f"--beat-checkpoint {name}" for name in named))


OWN_TRACKER = BeatTracker()


def load_tracker(tracker: BeatTracker) -> Hear | None:
    """Return what hears the beats, or None for the own tracker, which hears them in its frames.

    Raises `UserError` when the package or the checkpoint is missing or cannot be loaded.
    """
    if tracker.name == BEAT_THIS:
        return _beat_this(tracker)
    if tracker.name == LIBROSA:
        return _librosa()
    return None


def _beat_this(tracker: BeatTracker) -> Hear:
    network = _network(tracker)

    def hear(signal: FloatArray, n_frames: int) -> FloatArray:
        logits = network(signal, AnalysisConfig().sr)
        columns = [_fitted(np.asarray(column.cpu()), n_frames) for column in logits]
        return np.stack([_sigmoid(column) for column in columns], axis=1)

    return hear


def _network(tracker: BeatTracker) -> Any:
    """Return the package's `Audio2Frames` with the checkpoint in it."""
    try:
        import torch
        from beat_this.inference import Audio2Frames
    except ImportError as error:
        raise _missing(BEAT_THIS, error.name or BEAT_THIS) from error
    except (OSError, RuntimeError) as error:  # torchaudio, for another torch than there is
        raise UserError(
            f"the package of the beat tracker {BEAT_THIS} cannot be loaded ({_reason(error)}); "
            "install the torchaudio that goes with your torch, or use another beat tracker."
        ) from error
    file = tracker.file
    _check_file(file)
    name = str(file or tracker.checkpoint or _DEFAULT_CHECKPOINT)
    try:
        return Audio2Frames(name, "cuda" if torch.cuda.is_available() else "cpu")
    except _NO_CHECKPOINT as error:
        raise _unreadable(name, file, error) from error


def _librosa() -> Hear:
    try:
        from librosa.beat import beat_track
    except ImportError as error:
        raise _missing(LIBROSA, error.name or LIBROSA) from error

    def hear(signal: FloatArray, n_frames: int) -> FloatArray:
        _, beats_s = beat_track(y=signal, sr=AnalysisConfig().sr, units="time")
        beat = peaks(np.maximum(np.asarray(beats_s) - _LIBROSA_LATE_S, 0.0), n_frames)
        return np.stack([beat, np.full_like(beat, _DOWNBEAT_UNKNOWN)], axis=1)

    return hear


def peaks(beats_s: NDArray[np.float64], n_frames: int) -> FloatArray:
    """Return [T] float32 activation in [0, 1) with a peak at each beat.

    Args:
        beats_s: [N] times from the first frame, not negative; those after the last frame are lost.
        n_frames: `T`, 50 a second.
    """
    position = beats_s[:, None] * INPUT_FPS
    frames = np.rint(position).astype(np.int64) + np.arange(-_PEAK_REACH, _PEAK_REACH + 1)
    height = _PEAK * np.exp(-0.5 * ((frames - position) / _PEAK_FRAMES) ** 2)
    inside = (frames >= 0) & (frames < n_frames)
    result = np.zeros(n_frames, dtype=np.float32)
    np.maximum.at(result, frames[inside], height[inside].astype(np.float32))
    return result


def _fitted(logits: NDArray[np.floating], n_frames: int) -> FloatArray:
    """Return [T] of the logits, cut or filled with "surely none" to `n_frames`."""
    if not np.isfinite(logits).all():
        raise UserError(
            f"the beat tracker {BEAT_THIS} should give finite numbers, but some are not; try "
            "another checkpoint."
        )
    result = np.full(n_frames, -1000.0, dtype=np.float32)
    result[: len(logits)] = logits[:n_frames]
    return result


def _sigmoid(logits: FloatArray) -> FloatArray:
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)


def _check_file(path: Path | None) -> None:
    if path is None or (path.is_file() and path.stat().st_size > 0):
        return
    came = f"{path} is empty" if path.is_file() else f"there is no file {path}"
    raise UserError(
        f"the checkpoint of {BEAT_THIS} should be a file or a name that the package knows (such as "
        f"{_DEFAULT_CHECKPOINT}), but {came}; check the name and the folder."
    )


def _missing(tracker: str, package: str) -> UserError:
    return UserError(
        f"the beat tracker {tracker} needs the package {package}, which is not installed; run "
        f"{install_hint(_EXTRAS[tracker])}, or use the beat tracker {OWN}."
    )


def _unreadable(name: str, file: Path | None, error: BaseException) -> UserError:
    if file is None:
        return UserError(
            f"the checkpoint {name} should be fetched by {BEAT_THIS}, but could not be; check the "
            "name and the network, or download it yourself and give the file."
        )
    # others, such as those of pickles, tell the user nothing
    reason = f" ({_reason(error)})" if isinstance(error, (OSError, RuntimeError)) else ""
    return UserError(
        f"{file} should be a checkpoint of {BEAT_THIS}, but cannot be loaded as one{reason}; give "
        f"one that the package can read, such as its {_DEFAULT_CHECKPOINT}."
    )


def _reason(error: BaseException) -> str:
    """Return the first sentence of an error's message."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".:")
    return first or type(error).__name__


def _version(package: str) -> str:
    """Return the version of a package, empty where it lies on the path without being installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
