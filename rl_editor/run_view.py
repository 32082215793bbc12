"""What one sees of a training run: in a terminal a bar with the remaining time, else lines."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm


class RunView:
    """The view of one run; a context manager.

    In a terminal (standard error) each stage is one bar with its latest numbers, and only news
    stays as lines above it; elsewhere every epoch is a line.
    """

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._done, self._total, self._begun_at, self._start_s = 0, 0, 0, 0.0

    def begin(self, name: str, n_done: int, n: int) -> None:
        """Begin a stage of `n` epochs, `n_done` of which were done before this process."""
        self.close()
        self._done = self._begun_at = n_done
        self._total, self._start_s = n, time.monotonic()
        self._bar = tqdm(
            total=n,
            initial=n_done,
            disable=not sys.stderr.isatty(),
            bar_format="{desc} {n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}",
            desc=name,
            leave=False,
            dynamic_ncols=True,
        )

    def epoch_done(self, line: str, is_news: bool) -> None:
        """Show what one more epoch came to.

        Args:
            line: such as "epoch 3/10: entropy 0.5"; of the part after the colon a bar shows all.
            is_news: keep the line in a terminal as well.
        """
        assert self._bar is not None, "a stage begins before its first epoch"
        self._done += 1
        if self._bar.disable:
            self.say(f"{line}{self._left()}")
            return
        self._bar.set_postfix_str(line.partition(": ")[2], refresh=False)
        self._bar.update(1)
        if is_news:
            self.say(line)

    def say(self, text: str) -> None:
        """Print a line on standard output, above the bar."""
        with tqdm.external_write_mode(sys.stdout):
            print(text, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _left(self) -> str:
        n_left = self._total - self._done
        if n_left == 0:
            return ""
        left_s = (time.monotonic() - self._start_s) / (self._done - self._begun_at) * n_left
        return f", {tqdm.format_interval(left_s)} left"

    def __enter__(self) -> RunView:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Take the bar away."""
        self.close()


class NoView(RunView):
    """The view of a process that shows nothing: another one of its run does."""

    def begin(self, name: str, n_done: int, n: int) -> None:
        """Show nothing."""

    def epoch_done(self, line: str, is_news: bool) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Print nothing."""
