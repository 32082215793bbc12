"""The commands about training data: `rl-editor sessions make` and `rl-editor prepare`.

In: parsed arguments. Out: exit codes; files that cannot be used are named and left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from rl_editor.errors import UserError


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

    prepare = commands.add_parser("prepare", help="analyse and align training data")
    prepare.add_argument("folder", nargs="?", default="training_data", help="of training data")
    prepare.add_argument(
        "--sessions-per-reference", type=int, help="as in training; else its default"
    )
    prepare.add_argument("--seed", type=int, help="as in training; else its default")
    _add_jobs(prepare)
    prepare.set_defaults(run=_prepare)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, help="processes at a time; else one for each core")


def _n_processes(arguments: argparse.Namespace) -> int:
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
    n_processes = _n_processes(arguments)
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

        results = make_sessions(jobs, n_processes, tell)
    outcomes = Counter(result.outcome for result in results)
    if outcomes["made"] + outcomes["stands"] == 0:
        raise UserError(
            f"{order.source} should hold finished tracks or MIDI scores, but no session could be "
            "made out of what is there; the lines above say why."
        )
    print(
        f"{outcomes['made']} sessions made, {outcomes['stands']} were there, "
        f"{outcomes['left out']} left out; {order.folder}"
    )
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from rl_editor.config import TrainConfig
    from rl_editor.preparation import prepare, table
    from rl_editor.progress import Counting
    from rl_editor.training_items import SessionDraw

    defaults = TrainConfig()
    count, seed = arguments.sessions_per_reference, arguments.seed
    draw = SessionDraw(
        defaults.sessions_per_reference if count is None else count,
        defaults.seed if seed is None else seed,
    )
    _check_at_least("--sessions-per-reference", draw.count, 0)
    _check_at_least("--seed", draw.seed, 0)
    n_processes = _n_processes(arguments)
    if not Path(arguments.folder).is_dir():
        raise UserError(
            f"the training data should be in the folder {arguments.folder}, but there is no such "
            "folder; name another one."
        )
    with Counting(lines=True) as counting:
        prepared = prepare(arguments.folder, draw, n_processes, counting.show)
    print(table(prepared))
    if not any(item.is_usable for item in prepared.items):
        raise UserError(
            f"{arguments.folder} should hold at least one recording to learn from, but none could "
            "be used; the lines above say why."
        )
    return 0
