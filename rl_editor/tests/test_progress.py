import io
import sys

import numpy as np
import pytest

from rl_editor.progress import STAGES, Counting, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run_through(monkeypatch, screen, visible=True):
    """Return what is on the screen after every stage was shown in three steps."""
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(visible) as progress:
        for name in STAGES:
            for fraction in (0.0, 0.5, 1.0):
                progress.stage(name, fraction)
    return screen.getvalue()


def test_shares_of_the_time_add_up_to_one():
    assert sum(share for _, share in STAGES.values()) == pytest.approx(1.0)


def test_every_stage_is_shown_however_short_it_is(monkeypatch):
    shown = run_through(monkeypatch, Terminal())
    places = [shown.index(words) for words, _ in STAGES.values()]
    assert places == sorted(places)
    percents = [int(part.split("%")[0][-3:]) for part in shown.split("\r") if "%" in part]
    assert percents == sorted(percents)
    begins = np.cumsum([0.0, *(100 * share for _, share in STAGES.values())])
    assert set(np.rint(begins[:-1])) <= set(percents)


def test_the_bar_goes_when_the_work_is_done(monkeypatch):
    shown = run_through(monkeypatch, Terminal())
    assert shown.split("\r")[-2].strip() == ""


@pytest.mark.parametrize(("screen", "visible"), [(io.StringIO(), True), (Terminal(), False)])
def test_nothing_is_shown_where_nobody_watches(screen, visible, monkeypatch):
    assert run_through(monkeypatch, screen, visible) == ""


def test_a_second_pass_does_not_go_back(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress() as progress:
        progress.stage("render", 1.0)
        done = progress._bar.n
        progress.stage("render", 0.2)
        assert progress._bar.n == done == pytest.approx(1.0)


def test_items_are_counted_on_a_terminal_and_lines_stand_above(monkeypatch, capsys):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Counting(lines=True) as counting:
        for number, name in enumerate(("one", "two"), start=1):
            counting.show(number, 2, name)
            counting.say(f"{name} is done")
        assert counting._bar.n == counting._bar.total == 2
    assert "2/2" in screen.getvalue()
    assert capsys.readouterr().out.splitlines() == ["one is done", "two is done"]


@pytest.mark.parametrize(("lines", "told"), [(True, "1/3 one\n"), (False, "")])
def test_items_are_lines_where_nobody_watches(lines, told, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with Counting(lines) as counting:
        counting.show(0, 3, "")
        counting.show(1, 3, "one")
    assert screen.getvalue() == told
