"""The command `rl-editor learn`: what a musician corrected becomes training data.

In: a corrected project or edit list and its recording. Out: both in the folder of training data, as
`NAME_raw` and `NAME.edl.json`, which training and `rl-editor gate` read.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_editor.errors import UserError

if TYPE_CHECKING:
    from rl_editor.edl import Clip, EditDecisionList

BEAT_S = 0.5
"""Of the grid of a project that has none: training analyses the recording anyway."""


def add_learn_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of `rl-editor`."""
    learn = commands.add_parser("learn", help="make training data of a corrected project")
    learn.add_argument("project", help="corrected .rpp, .otio or .edl.json")
    learn.add_argument("--recording", required=True, help="the raw recording that it is of")
    learn.add_argument("--data_dir", default="training_data", help="folder of training data")
    learn.add_argument(
        "--replace", action="store_true", help="in place of an earlier list of this recording"
    )
    learn.set_defaults(run=_learn)


def _learn(arguments: argparse.Namespace) -> int:
    from rl_editor.edl import write_edl

    recording = Path(arguments.recording)
    edl, notes = corrected_list(Path(arguments.project), recording)
    raw, listed = places(recording, Path(arguments.data_dir))
    if listed.exists() and not arguments.replace:
        raise UserError(
            f"{listed} is there already, from an earlier correction; --replace puts this one in "
            "its place."
        )
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        if not raw.exists():
            _copy(recording, raw)
    except OSError as error:
        raise UserError(
            f"the recording should go to {raw}, but cannot be written there ({error.strerror}); "
            "choose another folder with --data_dir."
        ) from error
    write_edl(edl, listed)
    print(f"recording    {raw}\nedit list    {listed}\nclips        {len(edl.clips)}")
    for note in notes:
        print(f"note         {note}")
    return 0


def corrected_list(project: Path, recording: Path) -> tuple[EditDecisionList, tuple[str, ...]]:
    """Return the edit list that a corrected project comes to, and what was left out, in words.

    Raises:
        UserError: the project or the recording cannot be read, or they do not belong together.
    """
    from rl_editor.audio import probe
    from rl_editor.cache import file_sha256
    from rl_editor.corrected_projects import read_corrected
    from rl_editor.edl import EditDecisionList, EdlGrid, Source, read_edl, timeline_length
    from rl_editor.grid import steady_grid
    from rl_editor.pairs import EDL_SUFFIX
    from rl_editor.render import check_fit

    info, sha256 = probe(recording), file_sha256(recording)
    source = Source(recording.name, sha256, info.sample_rate, info.channels, info.duration_s)
    if project.name.lower().endswith(EDL_SUFFIX):
        edl = read_edl(project)
        if edl.source.sha256 not in ("", sha256):
            raise UserError(
                f"{project} is of another recording than {recording}; name that one with "
                "--recording."
            )
        check_fit(edl, info)
        return replace(edl, source=source), ()
    found = read_corrected(project, recording)
    clips = tuple(_inside(clip, info.duration_s) for clip in found.clips)
    kept = tuple(clip for clip in clips if clip is not None)
    if not kept:
        raise UserError(f"{project} plays nothing that {recording} holds; check --recording.")
    notes = (
        (f"{found.other_clips} clips of other files were left out",) if found.other_clips else ()
    )
    grid = EdlGrid.of(steady_grid(info.duration_s, 60.0 / BEAT_S))
    length_s = timeline_length(kept, info.sample_rate) / info.sample_rate
    return EditDecisionList(source, length_s, kept, (), grid), notes


def places(recording: Path, folder: Path) -> tuple[Path, Path]:
    """Return where a recording and its list go in a folder of training data.

    A recording that lies there already stays, and another one of the same name gets a number.
    """
    from rl_editor.cache import file_sha256
    from rl_editor.pairs import EDL_SUFFIX, RAW_ENDING, RAW_FOLDER

    inputs = folder / RAW_FOLDER
    stem, number = recording.stem.removesuffix(RAW_ENDING), 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        raw = inputs / f"{name}{RAW_ENDING}{recording.suffix.lower()}"
        if not raw.exists() or file_sha256(raw) == file_sha256(recording):
            return raw, inputs / f"{name}{EDL_SUFFIX}"
        number += 1


def _copy(source: Path, target: Path) -> None:
    from rl_editor.atomic import atomic_path

    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _inside(clip: Clip, duration_s: float) -> Clip | None:
    """Return what of a clip lies in its recording; None if nothing does."""
    from rl_editor.corrected_projects import SHORTEST_S

    start_s, end_s = max(clip.source_start_s, 0.0), min(clip.source_end_s, duration_s)
    if end_s - start_s < SHORTEST_S:
        return None
    late_s = (start_s - clip.source_start_s) / clip.rate
    length_s = (end_s - start_s) / clip.rate
    return replace(
        clip,
        source_start_s=start_s,
        source_end_s=end_s,
        timeline_start_s=clip.timeline_start_s + late_s,
        fade_in_s=min(clip.fade_in_s, length_s),
        fade_out_s=min(clip.fade_out_s, length_s),
    )
