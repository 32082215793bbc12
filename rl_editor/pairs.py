"""Which recordings a training folder holds: pairs of raw and edited files, and references.

A raw recording's edit is known from the first of these that is there: an edit list that a user
corrected, the exact truth of a made session, the edited audio.

Input: a folder; output: `PairListing`. Only names are read here; whether the files of a pair
belong together is for those to say who read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rl_editor.errors import UserError

RAW_FOLDER, EDIT_FOLDER, REFERENCE_FOLDER = "input", "desired_output", "reference"
RAW_ENDING, EDIT_ENDING = "_raw", "_edit"
AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc"),
    *(".au", ".caf", ".w64", ".rf64", ".m4a", ".mp4", ".aac", ".wma", ".mka", ".webm", ".wv"),
)
"""Files with other endings are listed as problems."""
SCORE_SUFFIXES = (".mid", ".midi")
"""Scores may be among the references."""
TRUTH_SUFFIX, EDL_SUFFIX = ".truth.json", ".edl.json"

LAYOUT = (
    "{folder}/input/NAME_raw.wav with {folder}/desired_output/NAME_edit.wav, "
    "or finished tracks or MIDI scores in {folder}/reference/"
)


@dataclass(frozen=True)
class Pair:
    """A raw recording and what is known about its edit; one of the three paths is not None.

    Attributes:
        name: of the files, without their endings.
        raw_path: the raw recording.
        edit_path: the same edited by a person.
        truth_path: the exact truth about a made session (`session_files`).
        edl_path: an edit list of it that was corrected by a person.
    """

    name: str
    raw_path: Path
    edit_path: Path | None
    truth_path: Path | None = None
    edl_path: Path | None = None


@dataclass(frozen=True)
class PairListing:
    """What a training folder holds.

    Attributes:
        pairs: sorted by name.
        references: finished tracks without a raw version, sorted.
        scores: MIDI files to be played, sorted.
        problems: one sentence for each file that cannot be used; it names the file.
    """

    pairs: tuple[Pair, ...]
    references: tuple[Path, ...]
    scores: tuple[Path, ...]
    problems: tuple[str, ...]


def find_pairs(data_dir: str | Path) -> PairListing:
    """Return the pairs, references and problems of a training folder.

    Raises `UserError` if the folder holds neither a pair nor a reference nor a score.
    """
    folder = Path(data_dir)
    problems: list[str] = []
    inputs, outputs = folder / RAW_FOLDER, folder / EDIT_FOLDER
    raws = _by_name(inputs, RAW_ENDING, problems)
    edits = _by_name(outputs, EDIT_ENDING, problems)
    truths = _beside([inputs], TRUTH_SUFFIX, raws, problems)
    edls = _beside([inputs, outputs], EDL_SUFFIX, raws, problems)
    files = list_files(folder / REFERENCE_FOLDER, AUDIO_SUFFIXES + SCORE_SUFFIXES, problems)
    scores = tuple(path for path in files if path.suffix.lower() in SCORE_SUFFIXES)
    references = tuple(path for path in files if path not in scores)
    names = sorted(raws.keys() & (edits.keys() | truths.keys() | edls.keys()))
    for name in sorted((raws.keys() | edits.keys()) - set(names)):
        path = raws.get(name) or edits[name]
        other, ending = (EDIT_FOLDER, EDIT_ENDING) if name in raws else (RAW_FOLDER, RAW_ENDING)
        problems.append(f"{path} has no partner: {folder / other / (name + ending)}.* is missing.")
    if not names and not files:
        found = f" ({problems[0].rstrip('.')})" if problems else ""
        raise UserError(
            f"{folder} should hold {LAYOUT.format(folder=folder)}, but no usable recording was "
            f"found there{found}; put recordings there or name another folder."
        )
    pairs = tuple(
        Pair(name, raws[name], edits.get(name), truths.get(name), edls.get(name)) for name in names
    )
    return PairListing(pairs, references, scores, tuple(problems))


def _beside(
    folders: list[Path], suffix: str, raws: Mapping[str, Path], problems: list[str]
) -> dict[str, Path]:
    """Return the files that say something about a raw recording, by its name.

    They are called NAME, NAME_raw or NAME_edit and the suffix.
    """
    files: dict[str, Path] = {}
    for path in sorted(p for folder in folders for p in _visible(folder, suffix)):
        stem = path.name[: -len(suffix)]
        names = [stem, stem.removesuffix(RAW_ENDING), stem.removesuffix(EDIT_ENDING)]
        name = next((name for name in names if name in raws), None)
        if name is None:
            problems.append(f"{path} is about no recording: none is called {stem}{RAW_ENDING}.*.")
        elif name in files:
            problems.append(f"{path}: {files[name]} is about the same recording.")
        else:
            files[name] = path
    return files


def _by_name(folder: Path, ending: str, problems: list[str]) -> dict[str, Path]:
    """Return the audio files of a folder by their names without the ending."""
    files: dict[str, Path] = {}
    for path in list_files(folder, AUDIO_SUFFIXES, problems):
        name = path.stem.removesuffix(ending)
        if not name or name == path.stem:
            problems.append(f"{path} should be called NAME{ending}{path.suffix}.")
        elif name in files:
            problems.append(f"{path}: {files[name].name} has the same name.")
        else:
            files[name] = path
    return files


def list_files(folder: Path, suffixes: tuple[str, ...], problems: list[str]) -> list[Path]:
    """Return the files of some kinds in a folder, sorted; none if there is no such folder.

    Others become problems, except for truths and edit lists.
    """
    files = [p for p in _visible(folder) if not p.name.lower().endswith((TRUTH_SUFFIX, EDL_SUFFIX))]
    problems += [f"{p} is not an audio file." for p in files if p.suffix.lower() not in suffixes]
    return [p for p in files if p.suffix.lower() in suffixes]


def _visible(folder: Path, suffix: str = "") -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(suffix)
    )
