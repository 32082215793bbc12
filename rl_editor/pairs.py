"""Which recordings a training folder holds: pairs of raw and edited files, and references.

Input: a folder; output: `PairListing`. Only names are read here; whether the two files of a
pair belong together is for `alignment` to say.
"""

from __future__ import annotations

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

LAYOUT = (
    "{folder}/input/NAME_raw.wav with {folder}/desired_output/NAME_edit.wav, "
    "or finished tracks or MIDI scores in {folder}/reference/"
)


@dataclass(frozen=True)
class Pair:
    """A raw recording and the same edited by a person."""

    name: str
    raw_path: Path
    edit_path: Path


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
    raws = _by_name(folder / RAW_FOLDER, RAW_ENDING, problems)
    edits = _by_name(folder / EDIT_FOLDER, EDIT_ENDING, problems)
    files = _files(folder / REFERENCE_FOLDER, AUDIO_SUFFIXES + SCORE_SUFFIXES, problems)
    scores = tuple(path for path in files if path.suffix.lower() in SCORE_SUFFIXES)
    references = tuple(path for path in files if path not in scores)
    for name in sorted(raws.keys() ^ edits.keys()):
        path = raws.get(name) or edits[name]
        other, ending = (EDIT_FOLDER, EDIT_ENDING) if name in raws else (RAW_FOLDER, RAW_ENDING)
        problems.append(f"{path} has no partner: {folder / other / (name + ending)}.* is missing.")
    names = sorted(raws.keys() & edits.keys())
    if not names and not files:
        found = f" ({problems[0].rstrip('.')})" if problems else ""
        raise UserError(
            f"{folder} should hold {LAYOUT.format(folder=folder)}, but no usable recording was "
            f"found there{found}; put recordings there or name another folder with --data_dir."
        )
    pairs = tuple(Pair(name, raws[name], edits[name]) for name in names)
    return PairListing(pairs, references, scores, tuple(problems))


def _by_name(folder: Path, ending: str, problems: list[str]) -> dict[str, Path]:
    """Return the audio files of a folder by their names without the ending."""
    files: dict[str, Path] = {}
    for path in _files(folder, AUDIO_SUFFIXES, problems):
        name = path.stem.removesuffix(ending)
        if not name or name == path.stem:
            problems.append(f"{path} should be called NAME{ending}{path.suffix}.")
        elif name in files:
            problems.append(f"{path} is left out: {files[name].name} has the same name.")
        else:
            files[name] = path
    return files


def _files(folder: Path, suffixes: tuple[str, ...], problems: list[str]) -> list[Path]:
    """Return the files of some kinds in a folder, sorted; none if there is no such folder."""
    if not folder.is_dir():
        return []
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    problems += [f"{p} is not an audio file." for p in files if p.suffix.lower() not in suffixes]
    return [p for p in files if p.suffix.lower() in suffixes]
