"""What the gate judges and what it tells: training folders in, a table and a file of findings out.

In: folders as `pairs` describes them. Out: named `Demonstration`s; text and JSON of a `GateResult`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rl_editor.atomic import atomic_path
from rl_editor.cache import Cache
from rl_editor.demonstrations import Demonstration
from rl_editor.errors import UserError
from rl_editor.gate import LEAST_CORRELATION, GateResult
from rl_editor.pairs import find_pairs
from rl_editor.training_items import Item, SessionDraw, demonstrations, find_items

Say = Callable[[str], None]
Show = Callable[[int, int, str], None]


def folder_items(folders: Sequence[str | Path], draw: SessionDraw, say: Say) -> list[Item]:
    """Return the recordings of training folders; `say` hears of those that cannot be used.

    Raises:
        UserError: a folder is missing or holds nothing of use.
    """
    items: list[Item] = []
    for folder in folders:
        listing = find_pairs(folder)
        for problem in listing.problems:
            say(f"left out: {problem}")
        items += find_items(listing, draw.count > 0, lambda problem: say(f"left out: {problem}"))
    return items


def item_demonstrations(
    items: Sequence[Item], draw: SessionDraw, say: Say, show: Show
) -> Iterator[tuple[str, Demonstration]]:
    """Yield what the items show, one after the other: a name and a demonstration."""
    cache = Cache()
    for number, item in enumerate(items):
        show(number, len(items), item.name)
        try:
            shown = demonstrations(item, draw, cache)
        except UserError as error:
            say(f"left out: {error}")
            continue
        for part, demonstration in enumerate(shown):
            yield f"{item.kind} {item.name}" + (f" {part}" if len(shown) > 1 else ""), demonstration


def gate_table(result: GateResult) -> str:
    """Return the gate's findings as a table in Markdown, one line for each kind of edit."""
    lines = [
        "| the true edit against | comparisons | won | smallest margin |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, row in result.comparisons.items():
        lines.append(f"| {name} | {row.n} | {row.won:.1%} | {row.smallest_margin:+.3f} |")
    lines.append("")
    if result.correlations:
        lines.append(
            "Spearman correlation of the reward with the share of bars left right: "
            f"{np.median(result.correlations):.3f} (median), {min(result.correlations):.3f} "
            f"(least); at least {LEAST_CORRELATION} on {result.monotone_share:.1%} of the "
            "recordings."
        )
    lines.append(
        f"Largest change by spelling: {max(result.spelling, default=0.0):.2%} of the reward."
    )
    return "\n".join(lines)


def write_findings(path: Path, result: GateResult) -> None:
    """Write the gate's findings as JSON; an `OSError` of the file comes through."""
    values = {
        "recordings": result.n_recordings,
        "passed": result.passed,
        "comparisons": {
            name: {"n": row.n, "won": row.won, "smallest_margin": row.smallest_margin}
            for name, row in result.comparisons.items()
        },
        "correlations": result.correlations,
        "spelling": result.spelling,
        "failures": result.failures,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
