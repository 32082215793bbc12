"""The commands: `rl-editor edit`, `demo`, `render`, `sessions`, `prepare`, `gate` and so on.

Heavy modules are imported by the command that needs them, so that `--help` answers at once.
Errors of the user print one sentence and exit with code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from rl_editor import __version__
from rl_editor.data_commands import add_data_commands
from rl_editor.edit_arguments import (
    add_edit_arguments,
    add_format_arguments,
    edit_options,
    output_format,
)
from rl_editor.errors import UserError
from rl_editor.evaluation_command import add_evaluate_command
from rl_editor.export_command import add_export_command
from rl_editor.learn_command import add_learn_command
from rl_editor.run_pictures import add_runs_command
from rl_editor.stopping import EXIT_TERMINATED, EXIT_USER_ERROR, exit_code, terminable

if TYPE_CHECKING:
    from rl_editor.edl import Source
    from rl_editor.infer import EditResult

SAME_LENGTH_S = 0.005
"""Recordings whose lengths differ by less may be the same: a list may hold rounded seconds."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage of all flags before it."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and exit with code 2."""
        self.exit(EXIT_USER_ERROR, f"{self.prog}: {message}; {self.prog} --help tells more.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rl-editor` and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["train"]:  # its flags come from the settings dataclasses
        return run_command(lambda: _train(arguments[1:]))
    parsed = build_parser().parse_args(arguments)
    return run_command(lambda: parsed.run(parsed))


def infer_main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m rl_editor.infer` and return its exit code."""
    parser = OneLineParser(
        prog="python -m rl_editor.infer",
        description="Edit a raw recording into the track that is hidden in it.",
    )
    add_edit_arguments(parser)
    parsed = parser.parse_args(argv)
    return run_command(lambda: _edit(parsed))


def run_command(command: Callable[[], int]) -> int:
    """Return a command's exit code; a `UserError` is one sentence on standard error and 2."""
    try:
        with terminable():
            code = command()
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # who read the summary has stopped; the files are written (Python's docs on SIGPIPE)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        print(f"rl-editor: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as interrupt:
        code = exit_code(interrupt)
        word = "stopped" if code == EXIT_TERMINATED else "interrupted"
        print(f"rl-editor: {word}; no half-written file was left.", file=sys.stderr)
        return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `rl-editor`."""
    parser = OneLineParser(
        prog="rl-editor", description="Turn raw music recordings into polished tracks."
    )
    parser.add_argument("--version", action="version", version=f"rl_editor {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    edit = commands.add_parser("edit", help="edit a recording")
    add_edit_arguments(edit)
    edit.set_defaults(run=_edit)

    demo = commands.add_parser("demo", help="edit the recording that ships with rl_editor")
    demo.add_argument("--folder", default="demo_output", help="where the results go")
    demo.set_defaults(run=_demo)

    render = commands.add_parser("render", help="render an edit decision list again")
    render.add_argument("edl", help="NAME.edl.json, perhaps corrected by hand")
    render.add_argument("recording", help="the recording that the list was made for")
    render.add_argument("--output", required=True, help="the track; its suffix is the format")
    add_format_arguments(render)
    render.set_defaults(run=_render)

    add_export_command(commands)
    add_learn_command(commands)
    add_data_commands(commands)
    add_runs_command(commands)
    add_evaluate_command(commands)

    cache = commands.add_parser("cache", help="the stored analyses")
    cache.add_argument("what", choices=("info", "clear"))
    cache.set_defaults(run=_cache)

    commands.add_parser("train", help="train an editor (rl-editor train --help)", add_help=False)
    return parser


def _edit(arguments: argparse.Namespace) -> int:
    from rl_editor.infer import edit

    result = edit(
        arguments.input,
        arguments.output,
        edl_path=arguments.edl,
        report_path=arguments.report,
        options=edit_options(arguments),
    )
    if not arguments.quiet:
        print(summary(result))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from importlib import resources
    from pathlib import Path

    from rl_editor.infer import EditOptions, edit

    folder = Path(arguments.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the results should go to the folder {folder}, but it cannot be made "
            f"({error.strerror}); choose another with --folder."
        ) from error
    recording = resources.files("rl_editor.assets") / "demo_raw.ogg"
    with resources.as_file(recording) as path:
        result = edit(path, folder / "demo_edited.wav", options=EditOptions(quiet=False))
    print(f"recording    {path}\n{summary(result)}")
    return 0


def _render(arguments: argparse.Namespace) -> int:
    from rl_editor.edl import check_lufs, read_edl
    from rl_editor.notes import finish_notes
    from rl_editor.render import render

    check_lufs(arguments.lufs)
    edl = read_edl(arguments.edl, _note)
    if arguments.lufs is not None:
        edl = replace(edl, finish=replace(edl.finish, lufs=arguments.lufs))
    wanted = output_format(arguments)
    result = render(
        edl,
        arguments.recording,
        arguments.output,
        output_format=wanted,
        chapters=arguments.chapters,
    )
    print(f"wrote {result.path} ({result.duration_s:.1f} s)")
    for note in (*finish_notes(edl, result), *result.notes):
        print(f"note: {note}")
    _note_another_recording(edl.source, arguments.recording)
    return 0


def _note_another_recording(source: Source, recording: str) -> None:
    """Tell when a recording, although long enough, is not the one that a list was made for."""
    from rl_editor.audio import probe
    from rl_editor.cache import file_sha256

    advice = "if the track sounds wrong, give the original"
    duration_s = probe(recording).duration_s
    if abs(duration_s - source.duration_s) > SAME_LENGTH_S:
        _note(
            f"{recording} lasts {duration_s:.2f} s, but the recording that the list was made for "
            f"{source.duration_s:.2f} s; {advice}"
        )
    elif source.sha256 not in ("", file_sha256(recording)):
        _note(
            f"{recording} is not byte for byte the recording that the list was made for; {advice}"
        )


def _note(text: str) -> None:
    print(f"rl-editor: note: {text}.", file=sys.stderr)


def _cache(arguments: argparse.Namespace) -> int:
    from rl_editor.cache import Cache

    cache = Cache()
    if arguments.what == "clear":
        print(f"removed {cache.clear()} analyses from {cache.info().folder}")
        return 0
    info = cache.info()
    print(f"{info.folder}: {info.entries} analyses, {info.bytes / 1e6:.1f} MB")
    return 0


def _train(arguments: list[str]) -> int:
    from rl_editor.train import main as train_main

    return train_main(arguments)


def summary(result: EditResult) -> str:
    """Return what a musician wants to know about an edit, a few lines of text."""
    from rl_editor.report import other_tempi, tempo_words
    from rl_editor.units import format_time

    edl = result.edl
    n_joins = len(edl.joins)
    others = other_tempi(result.track.grid, edl.grid.hints, most=3)
    lines = [
        f"edited track {result.output_path}",
        f"edit list    {result.edl_path}",
        f"report       {result.report_path}",
        *((f"beats        {result.beats_path}",) if result.beats_path else ()),
        *(f"project      {path}" for path in result.export_paths),
        "",
        f"length       {format_time(edl.source.duration_s)} before, "
        f"{format_time(edl.duration_s)} after",
        f"tempo        {tempo_words(result.track.grid, edl=edl)}",
        *((f"other tempi  {others}",) if others else ()),
        *((f"beat hints   {', '.join(edl.grid.hints)}",) if edl.grid.hints else ()),
        f"joins        {n_joins}",
        *((f"chapters     {len(result.chapters)}",) if result.chapters else ()),
    ]
    if result.removed_s:
        went = ", ".join(f"{word} {format_time(s)}" for word, s in result.removed_s.items())
        lines.append(f"went         {went}")
    elif result.music_found:
        lines.append("went         nothing")
    lines += [f"note         {note}" for note in result.notes]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
