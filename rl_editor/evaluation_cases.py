"""Recordings with a known truth, out of the folders that hold them.

A folder is either one of training data (`pairs`: made sessions, pairs that are aligned, corrected
edit lists, and if asked for its finished tracks, of which nothing is to go), or one of cases, each
a `NAME.truth.json` that names its audio beside it:

    {"kind": "...", "tags": [...], "audio": "NAME.wav", "duration_s": 12.5,
     "segments": [...]}

with segments as in `session_files`. In: folders. Out: `Case`s, and the `Truth` of each.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_editor.cache import Cache
from rl_editor.demonstrations import MAX_LENGTH_ERROR_S
from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.pairs import (
    AUDIO_SUFFIXES,
    EDIT_FOLDER,
    RAW_FOLDER,
    REFERENCE_FOLDER,
    TRUTH_SUFFIX,
    find_pairs,
    list_files,
)
from rl_editor.session_files import read_origin, truth_from
from rl_editor.track import Track
from rl_editor.training_items import Item, find_items, pair_truth
from rl_editor.truth import Segment, Truth

FINISHED = "finished"
"""Kind of a finished track."""


@dataclass(frozen=True)
class Case:
    """A recording and where its truth is.

    Attributes:
        name: unique among the cases.
        kind: of case, for the table: the difficulty of a session, or "pair", "edit list", or
            what a file of a case says.
        path: of the recording.
        item: of a training folder; None for others.
        truth_path: of a case's file; None for others.
        tags: what goes wrong in it, where that is known.
    """

    name: str
    kind: str
    path: Path
    item: Item | None = None
    truth_path: Path | None = None
    tags: tuple[str, ...] = ()


def find_cases(
    folders: Sequence[Path], has_finished: bool, on_problem: Callable[[str], None]
) -> list[Case]:
    """Return the cases of some folders, in order.

    Args:
        folders: of training data or of cases.
        has_finished: whether finished tracks of training folders are cases.
        on_problem: hears of files that cannot be used.

    Raises:
        UserError: a folder is missing or holds nothing of use.
    """
    cases: list[tuple[Path, Case]] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"recordings with a known edit should be in {folder}, but there is no such folder; "
                "name another one."
            )
        is_training = any((folder / n).is_dir() for n in (RAW_FOLDER, EDIT_FOLDER))
        is_training |= has_finished and (folder / REFERENCE_FOLDER).is_dir()
        found = (
            _training_cases(folder, has_finished, on_problem) if is_training else _described(folder)
        )
        cases += [(folder, case) for case in found]
    if not cases:
        raise UserError(
            f"{', '.join(map(str, folders))} should hold recordings with a known edit, but none "
            "is there; make some with rl-editor sessions make, or name another folder."
        )
    counts = Counter(case.name for _, case in cases)
    return [
        dataclasses.replace(case, name=f"{folder}/{case.name}") if counts[case.name] > 1 else case
        for folder, case in cases
    ]


def _training_cases(
    folder: Path, has_finished: bool, on_problem: Callable[[str], None]
) -> list[Case]:
    listing = find_pairs(folder)
    for problem in listing.problems:
        on_problem(problem)
    items = find_items(listing, has_sessions=False, on_problem=on_problem)
    cases = [Case(item.name, _kind(item), item.path, item) for item in items]
    if has_finished:
        tracks = list_files(folder / REFERENCE_FOLDER, AUDIO_SUFFIXES, [])
        cases += [Case(path.name, FINISHED, path) for path in tracks]
    return cases


def _kind(item: Item) -> str:
    """Return the difficulty that a session was made with, of other items what they are."""
    if item.kind != "session" or item.pair is None or item.pair.truth_path is None:
        return item.kind
    origin = read_origin(item.pair.truth_path)
    return item.kind if origin is None else origin.recipe.split(",")[0]


def _described(folder: Path) -> list[Case]:
    cases = []
    for path in sorted(folder.glob(f"*{TRUTH_SUFFIX}")):
        values = _decoded(path)
        audio_path = folder / Path(str(values.get("audio", ""))).name
        if not audio_path.is_file():
            raise UserError(
                f'{path} should name its recording as "audio", but {audio_path} is no file; mend '
                "it or put the recording there."
            )
        name = path.name.removesuffix(TRUTH_SUFFIX)
        tags = tuple(map(str, values.get("tags", ())))
        kind = str(values.get("kind", "case"))
        cases.append(Case(name, kind, audio_path, truth_path=path, tags=tags))
    return cases


def case_truth(case: Case, track: Track, cache: Cache | None) -> tuple[Truth, bool]:
    """Return what is true about a case, and whether that says anything about levels.

    Raises:
        UserError: the truth cannot be read, or is about another recording.
    """
    if case.item is not None and case.item.pair is not None:
        truth_path = case.item.pair.truth_path
        is_exact = case.item.kind == "session" and truth_path is not None
        levels = _has_levels(_decoded(truth_path)) if is_exact and truth_path else True
        return pair_truth(case.item.pair, cache), levels
    if case.truth_path is None:
        whole = Segment(0.0, track.duration_s, Material.MUSIC, wanted=True, piece_start_s=0.0)
        return Truth(track.duration_s, (whole,)), True
    values = _decoded(case.truth_path)
    try:
        for segment in values["segments"]:
            segment["material"] = str(segment["material"]).upper()
        truth = truth_from(values)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{case.truth_path} does not describe a recording ({error}); mend it."
        ) from error
    if abs(truth.duration_s - track.duration_s) > MAX_LENGTH_ERROR_S:
        raise UserError(
            f"{case.truth_path} should be about {case.path}, but is about a recording of "
            f"{truth.duration_s:.2f} s, and this one lasts {track.duration_s:.2f} s; mend it."
        )
    return truth, _has_levels(values)


def _has_levels(values: dict) -> bool:
    return any("gain_db" in segment for segment in values.get("segments", ()))


def _decoded(path: Path) -> dict:
    """Return the JSON object in a file; raises `UserError` where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from error
    except ValueError as error:
        raise UserError(f"{path} should be JSON, but is not ({error}); mend it.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} should describe a recording, but holds no object; mend it.")
    return values
