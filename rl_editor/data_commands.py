"""The commands about training data: `rl-editor sessions make`, `align`, `prepare` and `gate`.

In: parsed arguments. Out: exit codes; files that cannot be used are named and left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_editor.errors import UserError

if TYPE_CHECKING:
    from rl_editor.gate import GateResult
    from rl_editor.training_items import SessionDraw

EXIT_FAILED = 1
"""Exit code of a check that found what it looked for."""


def add_data_commands(commands: Any) -> None:
    """Add the parsers of the commands to the subparsers of `rl-editor`."""
    sessions = commands.add_parser("sessions", help="make sessions out of finished tracks")
    what = sessions.add_subparsers(title="commands", required=True, metavar="COMMAND")
    make = what.add_parser("make", help="write pairs of sessions and edits with their exact truth")
    make.add_argument("--from", dest="source", required=True, help="folder of tracks and scores")
    make.add_argument("--out", default="training_data", help="folder of training data")
    make.add_argument("--count", type=int, default=1, help="sessions of each piece")
    make.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes")
    make.add_argument(
        "--difficulty",
        default="mixed",
        choices=("clean", "easy", "session", "hard", "mixed"),
        help="how much goes wrong",
    )
    _add_jobs(make)
    make.set_defaults(run=_make_sessions)

    align = commands.add_parser("align", help="show where an edit's passages are in its recording")
    align.add_argument("raw", help="the raw recording")
    align.add_argument("edit", help="the edit of it")
    align.set_defaults(run=_align)

    prepare = commands.add_parser("prepare", help="analyse and align training data")
    prepare.add_argument("folder", nargs="?", default="training_data", help="of training data")
    prepare.add_argument(
        "--sessions-per-reference", type=int, help="as in training; else its default"
    )
    prepare.add_argument("--seed", type=int, help="the data_seed of training; else its default")
    _add_jobs(prepare)
    prepare.set_defaults(run=_prepare)

    gate = commands.add_parser("gate", help="check that no edit is worth more than the true one")
    gate.add_argument(
        "folders", nargs="*", default=["training_data"], metavar="DATA_DIR", help="training data"
    )
    gate.add_argument("--json", metavar="FILE", help="write the findings there as well")
    gate.add_argument("--corruptions", type=int, default=200, help="of each true edit")
    gate.add_argument("--sessions-per-reference", type=int, help="as in training; else its default")
    gate.add_argument("--seed", type=int, help="the data_seed of training; else its default")
    gate.set_defaults(run=_gate)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, help="processes at a time; else one for each core")


def n_processes(arguments: argparse.Namespace) -> int:
    """Return how many processes `--jobs` asks for: one for each core by default."""
    from rl_editor.parallel import default_jobs

    if arguments.jobs is None:
        return default_jobs()
    _check_at_least("--jobs", arguments.jobs, 1)
    return int(arguments.jobs)


def _check_at_least(flag: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{flag} must be at least {least}, but is {value}.")


def _make_sessions(arguments: argparse.Namespace) -> int:
    from rl_editor.progress import Counting
    from rl_editor.session_making import SessionOrder, SessionResult, find_jobs, make_sessions

    _check_at_least("--count", arguments.count, 1)
    _check_at_least("--seed", arguments.seed, 0)
    jobs_at_a_time = n_processes(arguments)
    order = SessionOrder(
        source=Path(arguments.source),
        folder=Path(arguments.out),
        count=arguments.count,
        seed=arguments.seed,
        difficulty=arguments.difficulty,
    )
    jobs, problems = find_jobs(order)
    n_done = 0
    with Counting() as counting:
        for problem in problems:
            counting.say(f"left out: {problem}")

        def tell(result: SessionResult) -> None:
            nonlocal n_done
            n_done += 1
            words = "is there already" if result.outcome == "stands" else result.words
            name = "left out" if result.outcome == "left out" else result.name
            counting.show(n_done, len(jobs), result.name)
            counting.say(f"{name}: {words}")

        results = make_sessions(jobs, jobs_at_a_time, tell)
    outcomes = Counter(result.outcome for result in results)
    if outcomes["made"] + outcomes["stands"] == 0:
        raise UserError(
            f"{order.source} should hold finished tracks or MIDI scores, but no session could be "
            "made out of what is there; the lines above say why."
        )
    print(
        f"sessions: {outcomes['made']} made, {outcomes['stands']} were there, "
        f"{outcomes['left out']} left out; {order.folder}"
    )
    return 0


def _align(arguments: argparse.Namespace) -> int:
    from rl_editor.alignment import align_files, check_related
    from rl_editor.alignment_table import alignment_lines

    found = align_files(arguments.raw, arguments.edit)
    check_related(arguments.raw, arguments.edit, found.matched_share)
    print("\n".join(alignment_lines(found)))
    return 0


def _session_draw(arguments: argparse.Namespace) -> SessionDraw:
    """Return which sessions are made out of tracks and scores: those of training by default."""
    from rl_editor.config import TrainConfig
    from rl_editor.training_items import SessionDraw

    defaults = TrainConfig()
    count, seed = arguments.sessions_per_reference, arguments.seed
    draw = SessionDraw(
        defaults.sessions_per_reference if count is None else count,
        defaults.data_seed if seed is None else seed,
    )
    _check_at_least("--sessions-per-reference", draw.count, 0)
    _check_at_least("--seed", draw.seed, 0)
    return draw


def _gate(arguments: argparse.Namespace) -> int:
    from rl_editor.config import RewardConfig
    from rl_editor.gate import GateSettings, run_gate
    from rl_editor.gate_report import folder_items, gate_table, item_demonstrations
    from rl_editor.progress import Counting

    _check_at_least("--corruptions", arguments.corruptions, 1)
    draw = _session_draw(arguments)
    _write_findings(arguments.json, None)
    with Counting(lines=True) as counting:
        items = folder_items(arguments.folders, draw, counting.say)
        shown = item_demonstrations(items, draw, counting.say, counting.show)
        result = run_gate(shown, RewardConfig(), GateSettings(arguments.corruptions, draw.seed))
    if result.n_recordings == 0:
        raise UserError(
            f"{', '.join(arguments.folders)} should hold recordings with a known edit, but none "
            "could be used; the lines above say why."
        )
    for failure in result.failures:
        print(f"lost: {failure}")
    words = "passes" if result.passed else "fails"
    print(
        f"{gate_table(result)}\n\nThe reward {words} the gate ({result.n_recordings} recordings)."
    )
    _write_findings(arguments.json, result)
    return 0 if result.passed else EXIT_FAILED


def _write_findings(path: str | None, result: GateResult | None) -> None:
    """Write what the gate found, or only see whether it can be written, where a path is given."""
    from rl_editor.atomic import try_beside
    from rl_editor.gate_report import write_findings

    if path is None:
        return
    try:
        if result is None:
            try_beside(path)
        else:
            write_findings(Path(path), result)
    except OSError as error:
        raise UserError(
            f"the findings should go to {path}, but no file can be made there "
            f"({error.strerror}); choose another path with --json."
        ) from error


def _prepare(arguments: argparse.Namespace) -> int:
    from rl_editor.preparation import prepare, table
    from rl_editor.progress import Counting

    draw = _session_draw(arguments)
    jobs_at_a_time = n_processes(arguments)
    if not Path(arguments.folder).is_dir():
        raise UserError(
            f"the training data should be in the folder {arguments.folder}, but there is no such "
            "folder; name another one."
        )
    with Counting(lines=True) as counting:
        prepared = prepare(arguments.folder, draw, jobs_at_a_time, counting.show)
    print(table(prepared))
    if not any(item.is_usable for item in prepared.items):
        raise UserError(
            f"{arguments.folder} should hold at least one recording to learn from, but none could "
            "be used; the lines above say why."
        )
    return 0
