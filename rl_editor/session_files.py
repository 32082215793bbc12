"""Sessions and truths as files, in the layout of training data.

    FOLDER/input/NAME_raw.wav              the raw recording
    FOLDER/desired_output/NAME_edit.wav    its wanted segments in the order of the piece, every
                                           take at the level of the first
    FOLDER/input/NAME.truth.json           what is true about the raw recording:

    {"format": "rl-editor-truth", "version": 1, "sample_rate": 44100, "duration_s": 12.5,
     "summary": "...", "segments": [{"start_s", "end_s", "material", "wanted", "equally_good",
                                     "piece_start_s", "confidence"}, ...]}

Segments tile the recording; `material` is a name of `Material`, `piece_start_s` a time in the
finished piece or null. See `truth.Segment` for what each field means.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.sessions import Session
from rl_editor.truth import Segment, Truth
from rl_editor.units import seconds_to_samples

FORMAT, VERSION = "rl-editor-truth", 1
_BLOCK = 1 << 18


def write_session(session: Session, folder: str | Path, name: str) -> tuple[Path, Path, Path]:
    """Write a session into a training data folder and return the paths: raw, edit, truth."""
    inputs, outputs = Path(folder) / "input", Path(folder) / "desired_output"
    inputs.mkdir(parents=True, exist_ok=True)
    outputs.mkdir(parents=True, exist_ok=True)
    raw, edit = inputs / f"{name}_raw.wav", outputs / f"{name}_edit.wav"
    truth = inputs / f"{name}.truth.json"
    _write_wav(raw, session.signal, session.sr)
    _write_wav(edit, perfect_edit(session), session.sr)
    write_truth(session.truth, truth, session.sr, session.summary)
    return raw, edit, truth


def perfect_edit(session: Session) -> NDArray[np.float32]:
    """Return [S, C] the wanted segments in piece order, every take at the level of the first.

    Without noise this is the finished track at one level. Peaks above 1 are avoided by lowering
    the whole edit.
    """
    wanted = [
        (segment, gain)
        for segment, gain in zip(session.truth.segments, session.gains, strict=True)
        if segment.wanted
    ]
    wanted.sort(key=lambda pair: pair[0].piece_start_s or 0.0)
    pieces = []
    for segment, gain in wanted:
        start = seconds_to_samples(segment.start_s, session.sr)
        stop = seconds_to_samples(segment.end_s, session.sr)
        pieces.append(session.signal[start:stop] * np.float32(wanted[0][1] / gain))
    edit = np.concatenate(pieces)
    peak = np.abs(edit).max()
    return edit / peak if peak > 1.0 else edit


def write_truth(truth: Truth, path: str | Path, sample_rate: int, summary: str = "") -> None:
    """Write a truth as JSON, in the schema of this module."""
    segments = [dataclasses.asdict(s) | {"material": s.material.name} for s in truth.segments]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "sample_rate": sample_rate,
        "duration_s": truth.duration_s,
        "summary": summary,
        "segments": segments,
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_truth(path: str | Path) -> Truth:
    """Return the truth in a JSON file; raises `UserError` if it is none."""
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
    try:
        segments = tuple(_segment(entry) for entry in document["segments"])
        return Truth(float(document["duration_s"]), segments)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not describe a recording ({error}); mend it.") from error


def _segment(entry: dict[str, Any]) -> Segment:
    return Segment(**(entry | {"material": Material[entry["material"]]}))


def _write_wav(path: Path, signal: NDArray[np.float32], sr: int) -> None:
    """Write 16 bits block by block: a long write in one call can exhaust the library's stack."""
    with sf.SoundFile(path, "w", sr, signal.shape[1], subtype="PCM_16") as file:
        for start in range(0, len(signal), _BLOCK):
            file.write(signal[start : start + _BLOCK])
