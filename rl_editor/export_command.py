"""The command `rl-editor export`: a project for an audio workstation out of an edit list.

In: parsed arguments. Out: an exit code; the files are named.
"""

from __future__ import annotations

import argparse
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from rl_editor.errors import UserError

if TYPE_CHECKING:
    from rl_editor.edl import EditDecisionList


def add_export_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of `rl-editor`."""
    export = commands.add_parser("export", help="make a project for an audio workstation")
    export.add_argument("edl", help="NAME.edl.json")
    export.add_argument(
        "--to",
        required=True,
        help="reaper, otio, dawproject, ardour or bundle; several with commas",
    )
    export.add_argument("--recording", help="the recording; by default the one beside the list")
    export.add_argument("--output", help="name of the project; by default that of the list")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from rl_editor.edl import read_edl
    from rl_editor.exporters.project_files import export, parse_formats

    formats = parse_formats(arguments.to)
    path = Path(arguments.edl)
    edl = read_edl(path)
    recording = Path(arguments.recording) if arguments.recording else _recording_beside(path, edl)
    for written in export(edl, recording, formats, arguments.output or path):
        print(f"wrote {written}")
    return 0


def _recording_beside(path: Path, edl: EditDecisionList) -> Path:
    """Return the recording of a list in the list's own folder; a list may name any file elsewhere.

    Raises:
        UserError: there is none.
    """
    name = PureWindowsPath(edl.source.path).name  # parts at both kinds of slashes
    beside = path.with_name(name) if name else path
    if not name or not beside.is_file():
        raise UserError(
            f"the recording of {path} should lie beside it as {name or 'an audio file'}, but does "
            "not; name it with --recording."
        )
    return beside
