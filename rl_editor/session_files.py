"""Sessions and truths as files, in the layout of training data.

    FOLDER/input/NAME_raw.wav              the raw recording
    FOLDER/desired_output/NAME_edit.wav    its wanted segments in the order of the piece, every
                                           take at the level of the first
    FOLDER/input/NAME.truth.json           what is true about the raw recording:

    {"format": "rl-editor-truth", "version": 1, "sample_rate": 44100, "duration_s": 12.5,
     "summary": "...", "origin": {"piece", "sha256", "recipe"} or null,
     "segments": [{"start_s", "end_s", "material", "wanted", "equally_good", "piece_start_s",
                   "confidence", "gain_db"}, ...]}

Segments tile the recording; `material` is a name of `Material`, `piece_start_s` a time in the
finished piece or null. See `truth.Segment` for what each field means, and `Origin`.
"""

from __future__ import annotations

import dataclasses
import filecmp
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path
from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.pairs import EDIT_ENDING, EDIT_FOLDER, RAW_ENDING, RAW_FOLDER, TRUTH_SUFFIX
from rl_editor.sessions import Session
from rl_editor.truth import Segment, Truth
from rl_editor.units import db_to_gain, seconds_to_samples

FORMAT, VERSION = "rl-editor-truth", 1
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Origin:
    """What a session was made out of.

    Attributes:
        piece: name of the finished track or score, without its ending.
        sha256: of that file's bytes.
        recipe: what else the session depends on, such as "mixed, seed 0, number 1".
    """

    piece: str
    sha256: str
    recipe: str


def session_paths(folder: str | Path, name: str) -> tuple[Path, Path, Path]:
    """Return where a session is kept in a training data folder: raw, edit, truth."""
    inputs, outputs = Path(folder) / RAW_FOLDER, Path(folder) / EDIT_FOLDER
    return (
        inputs / f"{name}{RAW_ENDING}.wav",
        outputs / f"{name}{EDIT_ENDING}.wav",
        inputs / f"{name}{TRUTH_SUFFIX}",
    )


def write_session(
    session: Session, folder: str | Path, name: str, origin: Origin | None = None
) -> tuple[Path, Path, Path]:
    """Write a session into a training data folder and return the paths: raw, edit, truth.

    Each file appears whole or not at all, the truth as the last one: where it stands, the
    session is complete. Nothing is replaced.

    Raises:
        UserError: other content stands in a place, or nothing can be written there.
    """
    raw, edit, truth = session_paths(folder, name)
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        edit.parent.mkdir(parents=True, exist_ok=True)
        with _new_file(raw) as temporary:
            _write_wav(temporary, session.signal, session.sr)
        with _new_file(edit) as temporary:
            _write_wav(temporary, perfect_edit(session), session.sr)
        with _new_file(truth) as temporary:
            write_truth(session.truth, temporary, session.sr, session.summary, origin)
    except (OSError, sf.LibsndfileError) as error:
        raise UserError(
            f"the session {name} should be written to {folder}, but cannot be ({error}); make room "
            "there or choose another folder."
        ) from error
    return raw, edit, truth


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes `path`; other content that stands there stays."""
    with atomic_path(path) as temporary:
        yield temporary
        if os.path.lexists(path) and not filecmp.cmp(temporary, path, shallow=False):
            raise UserError(
                f"{path} should become part of a session, but another file stands there; move it "
                "away or choose another folder."
            )


def perfect_edit(session: Session) -> NDArray[np.float32]:
    """Return [S, C] the wanted segments in piece order, every take at the level of the first.

    Without noise this is the finished track at one level. Peaks above 1 are avoided by lowering
    the whole edit.
    """
    wanted = [segment for segment in session.truth.segments if segment.wanted]
    wanted.sort(key=lambda segment: segment.piece_start_s or 0.0)
    pieces = []
    for segment in wanted:
        start = seconds_to_samples(segment.start_s, session.sr)
        stop = seconds_to_samples(segment.end_s, session.sr)
        pieces.append(session.signal[start:stop] * np.float32(db_to_gain(segment.gain_db)))
    edit = np.concatenate(pieces)
    peak = np.abs(edit).max()
    return edit / peak if peak > 1.0 else edit


def write_truth(
    truth: Truth,
    path: str | Path,
    sample_rate: int,
    summary: str = "",
    origin: Origin | None = None,
) -> None:
    """Write a truth as JSON, in the schema of this module."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "sample_rate": sample_rate,
        "duration_s": truth.duration_s,
        "summary": summary,
        "origin": None if origin is None else dataclasses.asdict(origin),
        "segments": segment_values(truth),
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_truth(path: str | Path) -> Truth:
    """Return the truth in a JSON file; raises `UserError` if it is none."""
    document = _document(path)
    try:
        return truth_from(document)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not describe a recording ({error}); mend it.") from error


def read_origin(path: str | Path) -> Origin | None:
    """Return what the session was made out of of which a file holds the truth; None if unknown.

    Raises `UserError` if the file is no truth.
    """
    origin = _document(path).get("origin")
    if origin is None:
        return None
    try:
        return Origin(**{field: str(origin[field]) for field in ("piece", "sha256", "recipe")})
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} should name a piece, its hash and a recipe as its origin, but does not "
            f"({error}); mend it."
        ) from error


def segment_values(truth: Truth) -> list[dict[str, Any]]:
    """Return the segments of a truth as values of JSON."""
    return [dataclasses.asdict(s) | {"material": s.material.name} for s in truth.segments]


def truth_from(values: Mapping[str, Any]) -> Truth:
    """Return the truth with the `duration_s` and `segments` of a decoded JSON object.

    Raises `KeyError`, `TypeError` or `ValueError` where they do not make one.
    """
    segments = tuple(
        Segment(**(entry | {"material": Material[entry["material"]]}))
        for entry in values["segments"]
    )
    return Truth(float(values["duration_s"]), segments)


def _document(path: str | Path) -> dict[str, Any]:
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except ValueError as error:
        raise UserError(f"{path} should be JSON, but is not ({error}); mend it.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(
            f'{path} should have "format": "{FORMAT}", but is another kind of file; name a truth.'
        )
    if document.get("version") != VERSION:
        raise UserError(
            f"{path} has version {document.get('version')}, but this program reads version "
            f"{VERSION}; make the session again."
        )
    return document


def _write_wav(path: Path, signal: NDArray[np.float32], sr: int) -> None:
    """Write 16 bits block by block: a long write in one call can exhaust the library's stack."""
    with sf.SoundFile(path, "w", sr, signal.shape[1], "PCM_16", format="WAV") as file:
        for start in range(0, len(signal), _BLOCK):
            file.write(signal[start : start + _BLOCK])
