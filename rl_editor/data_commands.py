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
    with Counting(len(jobs)) as counting:
        for problem in problems:
            counting.say(f"left out: {problem}")

        def tell(result: SessionResult) -> None:
            words = "is there already" if result.outcome == "stands" else result.words
            name = "left out" if result.outcome == "left out" else result.name
            counting.done(result.name)
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
