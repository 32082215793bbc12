"""What one sees of a run, in a terminal and elsewhere."""

import sys

from rl_editor import run_view
from rl_editor.run_view import RunView


def test_without_a_terminal_every_epoch_is_a_line_with_the_time_left(capsys, monkeypatch):
    now_s = iter([100.0, 110.0, 125.0])
    monkeypatch.setattr(run_view.time, "monotonic", lambda: next(now_s))
    with RunView() as view:
        view.begin("epoch", 5, 8)
        for epoch in (6, 7, 8):
            view.epoch_done(f"epoch {epoch}/8: fine", is_news=False)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "epoch 6/8: fine, 00:20 left",
        "epoch 7/8: fine, 00:12 left",
        "epoch 8/8: fine",
    ]
    assert printed.err == ""


def test_a_terminal_shows_a_bar_and_keeps_the_news(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with RunView() as view:
        view.begin("epoch", 2, 4)
        view.epoch_done("epoch 3/4: reward 1.5", is_news=False)
        view.epoch_done("epoch 4/4: reward 2.5, F1 0.9", is_news=True)
        view.say("done")
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["epoch 4/4: reward 2.5, F1 0.9", "done"]
    assert "2/4" in printed.err
