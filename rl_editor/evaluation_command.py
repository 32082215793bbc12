"""The command `rl-editor evaluate`: editors side by side over recordings with a known edit.

In: parsed arguments. Out: exit codes; tables, and if asked for JSON and pictures.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_editor.errors import UserError

if TYPE_CHECKING:
    from rl_editor.editors import Editor
    from rl_editor.evaluation_cases import Case

DEFAULT_EDITORS = ("rl-editor", "keep-all", "gate")
LEAST_WIDTH, PIPED_WIDTH = 60, 200
"""Columns of the table at least, and where no terminal says how many there are."""


def add_evaluate_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of `rl-editor`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure editors on recordings with a known edit",
        description="Measure editors side by side on recordings with a known edit.",
    )
    parser.add_argument(
        "folders",
        nargs="*",
        default=["training_data"],
        metavar="FOLDER",
        help="training data (sessions, pairs, corrected lists) or benchmark cases",
    )
    parser.add_argument(
        "--editor",
        action="append",
        metavar="EDITOR",
        help="rl-editor (the one that ships), a checkpoint, keep-all, gate, novelty, random, "
        "repeats, oracle, or a command line with {input} and {output} (or {edl}); NAME=EDITOR "
        f"names it; may be given several times (default: {', '.join(DEFAULT_EDITORS)})",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a single recording; may be given several times",
    )
    parser.add_argument(
        "--finished",
        action="store_true",
        help="finished tracks in FOLDER/reference count too: nothing of them is to go",
    )
    parser.add_argument("--each", action="store_true", help="a line for each recording and flaw")
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    parser.add_argument("--pictures", metavar="DIR", help="draw a picture of each recording there")
    parser.add_argument("--jobs", type=int, help="processes at a time; else one for each core")
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from rl_editor.data_commands import n_processes
    from rl_editor.evaluation import evaluate_cases
    from rl_editor.evaluation_report import (
        case_table,
        findings,
        tables,
        tag_table,
        write_findings,
    )
    from rl_editor.progress import Counting

    jobs = n_processes(arguments)
    editors = _editors(arguments.editor or DEFAULT_EDITORS)
    pictures = _pictures_folder(arguments.pictures)
    _check_place(arguments.json)
    with Counting(lines=True) as counting:
        cases = _cases(arguments, counting.say)
        results, problems = evaluate_cases(
            cases,
            editors,
            jobs,
            pictures,
            lambda n_done, name: counting.show(n_done, len(cases), name),
        )
        for problem in problems:
            counting.say(f"left out: {problem}")
    names = [editor.name for editor in editors]
    if not any(result.results for result in results):
        raise UserError(
            "at least one recording should be edited and measured, but none could be; the lines "
            "above say why."
        )
    if arguments.each:
        for part in (case_table(results, names), tag_table(results, names)):
            print(part, end="\n\n" if part else "")
    print(tables(results, names, _width()))
    if arguments.json is not None:
        write_findings(Path(arguments.json), findings(results, names, problems))
    return 0


def _editors(texts: Sequence[str]) -> list[Editor]:
    from rl_editor.editors import parse_editor

    editors = [parse_editor(text) for text in texts]
    names = [editor.name for editor in editors]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"editors need different names, but two are called {name}; write NAME=EDITOR for "
                "one of them."
            )
    return editors


def _cases(arguments: argparse.Namespace, say: Any) -> list[Case]:
    from rl_editor.evaluation_cases import find_cases

    cases = find_cases(
        [Path(folder) for folder in arguments.folders],
        arguments.finished,
        lambda problem: say(f"left out: {problem}"),
    )
    if arguments.only is None:
        return cases
    names = [case.name for case in cases]
    for name in arguments.only:
        if name not in names:
            raise UserError(
                f"--only should name recordings that are there, but {name} is none of "
                f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}; correct it."
            )
    return [case for case in cases if case.name in arguments.only]


def _pictures_folder(named: str | None) -> Path | None:
    from rl_editor.evaluation_pictures import check_pictures

    if named is None:
        return None
    check_pictures()
    folder = Path(named)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the pictures should go to the folder {folder}, but it cannot be made "
            f"({error.strerror}); choose another with --pictures."
        ) from error
    return folder


def _check_place(json_path: str | None) -> None:
    from rl_editor.atomic import try_beside

    if json_path is None:
        return
    try:
        if Path(json_path).is_dir():
            raise IsADirectoryError(0, "it is a folder")
        try_beside(json_path)
    except OSError as error:
        raise UserError(
            f"the numbers should go to {json_path}, but no file can be made there "
            f"({error.strerror}); choose another path with --json."
        ) from error


def _width() -> int:
    return max(LEAST_WIDTH, shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)
