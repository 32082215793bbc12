"""Where the track, its edit decision list and its report go, and what may be replaced there.

A file that the user names is replaced. The list and the report that go beside the output unasked
replace only those of an earlier edit to the same output; a list that was changed by hand since,
or any other file, stays, and the new ones get a number.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from rl_editor.audio import WRITABLE_SUFFIXES
from rl_editor.errors import UserError
from rl_editor.pairs import EDL_SUFFIX

REPORT_SUFFIX = ".report.html"

_HEAD_BYTES = 4096
"""The mark stands within so many bytes of a report's start."""
_MARK = re.compile(rb'<meta name="rl-editor-edit" content="([0-9a-f]{64})">')


def output_paths(
    source: Path,
    output_path: str | Path | None,
    edl_path: str | Path | None,
    report_path: str | Path | None,
) -> tuple[Path, Path, Path]:
    """Return where the track, its decision list and its report go; None is for "beside".

    Raises:
        UserError: the output is a folder, or two of the three have the same place.
    """
    if output_path is None:
        suffix = source.suffix.lower()
        suffix = suffix if suffix in WRITABLE_SUFFIXES else ".wav"
        output = _unused(source.with_name(f"{source.stem}_edited{suffix}"))
    else:
        output = Path(output_path)
        if os.path.isdir(output):  # False where Path.is_dir raises: a name that is too long
            raise UserError(f"the output {output} is a folder; name a file in it.")
    number = 1
    while True:
        edl, report = beside(output, number)
        unnamed = [p for p, named in ((edl, edl_path), (report, report_path)) if not named]
        edl, report = Path(edl_path or edl), Path(report_path or report)
        stands = any(os.path.lexists(path) for path in unnamed)
        if not stands or _made_together(output, edl, report):
            break
        number += 1
    _check_distinct((output, edl, report))
    return output, edl, report


def beside(output: Path, number: int = 1) -> tuple[Path, Path]:
    """Return where the list and the report of an output go by default, from 2 on with a number."""
    stem = output.stem if number == 1 else f"{output.stem}-{number}"
    return output.with_name(stem + EDL_SUFFIX), output.with_name(stem + REPORT_SUFFIX)


def report_mark(output: Path, edl: Path) -> str:
    """Return the tag by which a report tells, later on, which output and list it was made with.

    Args:
        output: the track; its name counts.
        edl: the list as it was written; its bytes count.
    """
    digest = hashlib.sha256(os.fsencode(output.name) + b"\0" + edl.read_bytes()).hexdigest()
    return f'<meta name="rl-editor-edit" content="{digest}">'


def number_notes(
    paths: tuple[Path, Path, Path], edl_path: str | Path | None, report_path: str | Path | None
) -> tuple[str, ...]:
    """Return a line where the list or the report got a number.

    Args:
        paths: as `output_paths` chose them.
        edl_path, report_path: as the user named them, or None.
    """
    places = zip(beside(paths[0]), paths[1:], (edl_path, report_path), strict=True)
    stay = [first.name for first, made, named in places if not named and made != first]
    if not stay:
        return ()
    return (
        f"{' and '.join(stay)} stay, since they were changed or are not of the last edit to this "
        "output; what is new has a number",
    )


def _made_together(output: Path, edl: Path, report: Path) -> bool:
    """Return whether a list and a report were made for this output and are as they were."""
    try:
        with open(report, "rb") as file:
            mark = _MARK.search(file.read(_HEAD_BYTES))
        return mark is not None and mark.group().decode() == report_mark(output, edl)
    except OSError:
        return False


def _unused(path: Path) -> Path:
    """Return `path`, or the first `NAME-2`, `NAME-3`, ... of which no file exists yet."""
    number, candidate = 2, path
    while any(os.path.lexists(made) for made in (candidate, *beside(candidate))):
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


def _check_distinct(paths: tuple[Path, Path, Path]) -> None:
    places = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UserError(
                f"three places are needed for the track, its edit list and its report, but {path} "
                "is named twice; choose another name."
            )
