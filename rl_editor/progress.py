"""Progress bars with remaining time, silent where nobody watches.

`Progress` follows the stages of one edit, `Counting` the items of a long list.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

STAGES: dict[str, tuple[str, float]] = {
    "read": ("reading", 0.10),
    "analyse": ("listening", 0.60),
    "decide": ("deciding", 0.05),
    "join": ("fitting joins", 0.10),
    "render": ("writing", 0.15),
}
"""What the user reads for each stage, and its usual share of the time."""


class Progress:
    """One bar over all stages of an edit; a context manager.

    Args:
        visible: False shows nothing; nor is anything shown when standard error is no terminal.
    """

    def __init__(self, visible: bool = True) -> None:
        self._bar = tqdm(
            total=1.0,
            disable=not (visible and sys.stderr.isatty()),
            bar_format="{desc:<14}{percentage:3.0f}% |{bar}| {elapsed}<{remaining}",
            leave=False,
        )
        self._done = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.close()

    def stage(self, name: str, fraction: float) -> None:
        """Show that `fraction` in [0, 1] of the stage `name` (of `STAGES`) is done."""
        names = list(STAGES)
        before = sum(STAGES[earlier][1] for earlier in names[: names.index(name)])
        done = before + STAGES[name][1] * fraction
        self._bar.update(max(done - self._done, 0.0))
        self._done = max(done, self._done)
        # The bar itself waits for time and progress enough, and a stage may take long to make any.
        is_next = not self._bar.disable and self._bar.desc != STAGES[name][0]
        self._bar.set_description_str(STAGES[name][0], refresh=is_next)


class Counting:
    """A bar over the items of a list, and lines above it; a context manager.

    Args:
        lines: tell each item in a line on standard error where that is no terminal.
    """

    def __init__(self, lines: bool = False) -> None:
        self._lines = lines and not sys.stderr.isatty()
        self._bar = tqdm(
            total=0,
            disable=not sys.stderr.isatty(),
            bar_format="{n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining} {desc}",
            leave=False,
        )

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.close()

    def show(self, n_done: int, n: int, name: str) -> None:
        """Show that `n_done` of `n` items are done, the last of them called `name`."""
        if self._lines and n_done:
            print(f"{n_done}/{n} {name}", file=sys.stderr, flush=True)
        self._bar.total = n
        self._bar.set_description_str(name[-40:], refresh=False)
        self._bar.update(n_done - self._bar.n)

    def say(self, text: str) -> None:
        """Print a line on standard output, above the bar."""
        with tqdm.external_write_mode(sys.stdout):
            print(text, flush=True)
