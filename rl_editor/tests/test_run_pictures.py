"""Curves of runs: what is read, what is drawn, what is told of bad input."""

import json

import numpy as np
import pytest

from rl_editor.cli import main
from rl_editor.errors import UserError
from rl_editor.run_curves import Curve, read_runs

pytest.importorskip("matplotlib")


def write_run(folder, n, seed=0, tail=""):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = [{"stage": "cloning", "epoch": e, "loss": 1.0 / e} for e in (1, 2)]
    for epoch in range(1, n + 1):
        line = {"stage": "ppo", "epoch": epoch, "reward/total": epoch / n + rng.normal()}
        line |= {"gradient_norm": float(rng.random()), "entropy": 0.5, "actions/CUT": 0.25}
        line |= {"reward/audio_flow": 0.5, "entropy/type": 0.5}
        lines.append(line | ({"validation/f1": 0.8} if epoch % 2 == 0 else {}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text + tail)
    return folder


def test_curves_are_what_was_logged(tmp_path):
    write_run(tmp_path / "a", 4, tail='{"stage": "ppo", "ep')  # a line that is being written
    (run,) = read_runs([tmp_path / "a"])
    assert (run.name, run.last("cloning"), run.last("ppo")) == ("a", 2, 4)
    assert run.curve("ppo", "validation/f1").epoch.tolist() == [2, 4]
    assert run.curve("cloning", "loss").value.tolist() == [1.0, 0.5]
    assert run.curve("ppo", "loss") is None


def test_names_tell_runs_apart(tmp_path):
    folders = [write_run(tmp_path / part / "models", 1) for part in "ab"]
    assert [run.name for run in read_runs(folders)] == ["a/models", "b/models"]


def test_smoothing_keeps_means_and_the_last_epoch():
    curve = Curve(np.arange(1, 12), np.arange(1, 12, dtype=float))
    smooth = curve.smoothed(3)
    assert smooth.epoch.tolist() == [5, 8, 11]
    assert smooth.value.tolist() == [4.0, 7.0, 10.0]
    assert curve.smoothed(1) is curve
    assert curve.smoothed(6) is curve


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_command_draws_one_or_several_runs(tmp_path, suffix, capsys):
    folders = [str(write_run(tmp_path / name, n)) for name, n in (("a", 3), ("b", 900))]
    one, several = tmp_path / f"one.{suffix}", tmp_path / f"several.{suffix}"
    assert main(["runs", folders[0], "--output", str(one)]) == 0
    assert main(["runs", *folders, "--output", str(several)]) == 0
    assert "b: 2 passes of cloning, 900 updates" in capsys.readouterr().out
    start = b"\x89PNG" if suffix == "png" else b"<?xml"
    for path in (one, several):
        assert path.read_bytes().startswith(start)
        assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no log.jsonl"),
        ("", "is still empty"),
        ("[]\n[]\n", "line 1 of .* should be the numbers of an epoch"),
        ('{"stage": "ppo", "epoch": 1, "a": "b"}\n', "line 1"),
        ('{"stage": "ppo", "epoch": 1, "a": NaN}\n{}\n', "line 1"),
        ("\xff\n", "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(content, words, tmp_path, capsys):
    if content is not None:
        (tmp_path / "log.jsonl").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=words):
        read_runs([tmp_path])
    assert main(["runs", str(tmp_path), "--output", str(tmp_path / "c.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "c.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "c.gif"], "should end in .png"),
        (["--output", "/nowhere/c.png"], "cannot be written there"),
        (["RUN"], "came twice"),
    ],
)
def test_bad_arguments_are_told(arguments, words, tmp_path, capsys):
    folder = str(write_run(tmp_path / "a", 2))
    assert main(["runs", folder, *(folder if a == "RUN" else a for a in arguments)]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
