"""A run that was stopped goes on to the same numbers as one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rl_editor import checkpoint, train
from rl_editor.behavioral_cloning import Cloning
from rl_editor.tests.made_run import assert_same, log_lines, made_data, outcome, small_config

SETTINGS = {
    "bc_epochs": 4,
    "bc_eval_every": 3,
    "epochs": 4,
    "steps": 16,
    "eval_every": 3,
    "seed": 3,
}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "load_training_data", lambda config, say: made_data())
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        train.train(small_config(folder, **SETTINGS))
        torch.set_num_threads(n_threads)
    return outcome(small_config(folder, **SETTINGS))


def stop_at(monkeypatch, owner, name, call, error=KeyboardInterrupt):
    """Let the `call`-th call of a function raise."""
    calls, function = [], getattr(owner, name)

    def stopping(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise error
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, stopping)


@pytest.mark.parametrize(("where", "call"), [("cloning", 4), ("ppo", 1), ("update", 6)])
def test_a_run_that_was_interrupted_comes_to_the_same(
    where, call, tmp_path, monkeypatch, uninterrupted
):
    config = small_config(tmp_path, **SETTINGS)
    with monkeypatch.context() as patch:
        if where == "cloning":
            stop_at(patch, Cloning, "one_pass", call)
        elif where == "ppo":
            stop_at(patch, train, "entropy_coef", call)
        else:
            stop_at(patch, train, "_cloning_loss", call)
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    train.train(config)
    assert_same(outcome(config), uninterrupted)


def test_what_came_after_the_last_checkpoint_is_done_again(tmp_path, monkeypatch, uninterrupted):
    config = small_config(tmp_path, **SETTINGS)
    for owner, name, call in ((Cloning, "one_pass", 4), (train, "entropy_coef", 3)):
        with monkeypatch.context() as patch:  # a pass, then updates that no checkpoint holds
            stop_at(patch, owner, name, call, RuntimeError)
            with pytest.raises(RuntimeError):
                train.train(config)
    assert [x["epoch"] for x in log_lines(config) if x["stage"] == "ppo"] == [1, 2]
    train.train(config)
    assert_same(outcome(config), uninterrupted)


def test_the_run_of_a_kept_checkpoint_goes_on_in_another_folder(tmp_path, uninterrupted):
    config = small_config(tmp_path, **SETTINGS, checkpoint_minutes=0)
    train.train(config)
    folder = tmp_path / "models"
    kept = sorted(path.name for path in folder.glob("checkpoint-*.pt"))
    assert kept == [f"checkpoint-ppo-00000{n}.pt" for n in (2, 3, 4)]
    flags = ["--checkpoint", str(folder / kept[0]), "--save_dir", str(tmp_path / "other")]
    other, start = train.parse(flags)
    assert other.train.epochs == 4
    stood = tmp_path / "other" / "latest.pt"
    stood.parent.mkdir()
    stood.write_bytes((folder / "latest.pt").read_bytes())
    train.train(other, start)
    arrays, lines = outcome(other)
    assert_same((arrays, lines), (uninterrupted[0], uninterrupted[1][-2:]))
    assert (tmp_path / "other" / "best.pt").exists()
    assert stood.with_name("latest.1.pt").exists()


def test_a_finished_run_is_left_alone_and_goes_on_when_more_is_asked_for(
    tmp_path, capsys, monkeypatch
):
    config = small_config(tmp_path, **{**SETTINGS, "epochs": 2})
    best = train.train(config)
    before = (tmp_path / "models" / "latest.pt").read_bytes()
    assert train.train(config) == best
    assert "is finished" in capsys.readouterr().out
    assert (tmp_path / "models" / "latest.pt").read_bytes() == before
    train.train(small_config(tmp_path, **{**SETTINGS, "epochs": 3}))
    assert [x["epoch"] for x in log_lines(config) if x["stage"] == "ppo"] == [1, 2, 3]


def test_another_run_in_the_folder_is_kept_beside(tmp_path, capsys):
    config = small_config(tmp_path, epochs=1)
    train.train(config)
    train.train(small_config(tmp_path, epochs=1, lr=1e-3))
    folder = tmp_path / "models"
    assert "a run begins anew: lr was 5e-05 and is 0.001" in capsys.readouterr().out
    assert checkpoint.load(folder / "latest.1.pt").config == config
    assert len(log_lines(config)) == 3
    assert (folder / "log.1.jsonl").exists()
    assert (folder / "tensorboard.1").is_dir()


def test_a_wrong_setting_and_the_right_one_again_lose_no_run(
    tmp_path, monkeypatch, capsys, uninterrupted
):
    config = small_config(tmp_path, **SETTINGS)
    wrong = small_config(tmp_path, **{**SETTINGS, "steps": 8})
    folder = tmp_path / "models"
    for settings, call in ((config, 3), (wrong, 2)):
        with monkeypatch.context() as patch:
            stop_at(patch, train, "entropy_coef", call)
            with pytest.raises(KeyboardInterrupt):
                train.train(settings)
    assert checkpoint.load(folder / "latest.1.pt").config == config
    train.train(config)
    printed = capsys.readouterr().out
    assert "goes on after epoch 2" in printed
    assert f"{folder / 'latest.1.pt'} is the run with these settings" in printed
    arrays, lines = outcome(config)
    assert_same((arrays, lines), (uninterrupted[0], uninterrupted[1][-2:]))
    kept = checkpoint.load(folder / "latest.2.pt", with_run=True)
    assert (kept.config, kept.run.facts["epoch"]) == (wrong, 1)
    assert sorted(path.name for path in folder.glob("*.jsonl")) == [
        "log.1.jsonl",
        "log.2.jsonl",
        "log.jsonl",
    ]


def test_no_checkpoint_that_was_set_aside_is_replaced(tmp_path):
    folder, rates = tmp_path / "models", (1e-3, 2e-3, 3e-3)
    for lr in rates:
        train.train(small_config(tmp_path, epochs=1, bc_epochs=0, lr=lr))
    names = ("latest.1.pt", "latest.2.pt", "latest.pt")
    assert tuple(checkpoint.load(folder / n).config.train.lr for n in names) == rates


def test_a_run_that_was_set_aside_goes_on_by_its_name(tmp_path):
    folder = tmp_path / "models"
    for lr in (1e-3, 2e-3):
        train.train(small_config(tmp_path, epochs=1, bc_epochs=0, lr=lr))
    log = (folder / "log.jsonl").read_bytes()
    train.train(*train.parse(["--checkpoint", str(folder / "latest.1.pt"), "--epochs", "2"]))
    names = ("latest.1.pt", "latest.2.pt", "latest.pt")
    found = [checkpoint.load(folder / n, with_run=True) for n in names]
    assert [one.config.train.lr for one in found] == [1e-3, 2e-3, 1e-3]
    assert [one.run.facts["epoch"] for one in found] == [1, 1, 2]
    assert (folder / "log.2.jsonl").read_bytes() == log


def test_other_data_only_takes_the_weights(tmp_path, monkeypatch, capsys):
    train.train(small_config(tmp_path, epochs=1))
    data = made_data()
    monkeypatch.setattr(
        train,
        "load_training_data",
        lambda c, say: type(data)(data.train[:2], data.validation, "made"),
    )
    path = str(tmp_path / "models" / "latest.pt")
    config, start = train.parse(["--checkpoint", path, "--epochs", "2"])
    train.train(config, start)
    assert "cannot go on with the run: the training data has changed" in capsys.readouterr().out
    assert [x["epoch"] for x in log_lines(config)] == [2]


def test_a_state_of_another_version_only_gives_its_weights(tmp_path, monkeypatch, capsys):
    train.train(small_config(tmp_path, epochs=1))
    path = tmp_path / "models" / "latest.pt"
    with monkeypatch.context() as patch:
        patch.setattr("rl_editor.training_run.VERSION", 99)
        config, start = train.parse(["--checkpoint", str(path), "--epochs", "2"])
        train.train(config, start)
    assert "another version of rl_editor saved it" in capsys.readouterr().out
    assert [x["epoch"] for x in log_lines(config)] == [2]


def test_the_same_command_begins_anew_when_data_was_added(tmp_path, monkeypatch, capsys):
    config, data = small_config(tmp_path, epochs=1), made_data()
    less = type(data)(data.train[:2], data.validation, "made")
    with monkeypatch.context() as patch:
        patch.setattr(train, "load_training_data", lambda c, say: less)
        train.train(config)
    train.train(config)
    assert "a run begins anew: the training data has changed" in capsys.readouterr().out
    assert len(log_lines(config)) == 3
    assert (tmp_path / "models" / "log.1.jsonl").exists()


def test_weights_for_a_new_run_do_not_replace_the_run_in_the_folder(tmp_path):
    train.train(small_config(tmp_path, epochs=1))
    folder = tmp_path / "models"
    flags = ["--checkpoint", str(folder / "best.pt"), "--save_dir", str(folder), "--epochs", "1"]
    config, start = train.parse([*flags, "--data_dir", str(tmp_path), "--bc_epochs", "1"])
    train.train(config, start)
    assert checkpoint.load(folder / "latest.1.pt", with_run=True).run is not None


def test_an_interrupt_before_the_first_update_keeps_the_state(tmp_path, monkeypatch, uninterrupted):
    """Twice at the same place: what goes on in PPO must not be saved as cloning."""
    config = small_config(tmp_path, **SETTINGS)
    for owner, name in ((train, "entropy_coef"), (train, "_environment")):
        with monkeypatch.context() as patch:
            stop_at(patch, owner, name, 1)
            with pytest.raises(KeyboardInterrupt):
                train.train(config)
    train.train(config)
    assert_same(outcome(config), uninterrupted)


def test_a_checkpoint_for_use_is_small_and_holds_no_run(tmp_path):
    train.train(small_config(tmp_path, epochs=1))
    folder = tmp_path / "models"
    best, latest = folder / "best.pt", folder / "latest.pt"
    assert checkpoint.load(best, with_run=True).run is None
    assert checkpoint.load(latest).run is None
    assert checkpoint.load(latest, with_run=True).run is not None
    assert best.stat().st_size < latest.stat().st_size / 2


def start_run(folder, settings):
    command = [sys.executable, "-m", "rl_editor.tests.made_run", str(folder), json.dumps(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("subprocesses", [False, True])
def test_a_run_that_is_killed_five_times_comes_to_the_same(tmp_path, subprocesses):
    settings = {**SETTINGS, "bc_epochs": 12, "epochs": 24, "steps": 48}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    assert start_run(whole, settings).wait(timeout=200) == 0
    expected = outcome(small_config(whole, **settings))
    settings["subprocess"] = subprocesses
    if not subprocesses:  # writes all the time, so that it is killed in the middle of that too
        settings["checkpoint_minutes"] = 0
    rng = np.random.default_rng(int(subprocesses))
    log = Path(killed, "models", "log.jsonl")
    n_kills, aims = 0, sorted(rng.choice(np.arange(1, 33), 5, replace=False).tolist())
    for aim in aims:
        process = start_run(killed, settings)
        end_s = time.monotonic() + 120
        while time.monotonic() < end_s and process.poll() is None:
            if log.exists() and log.read_bytes().count(b"\n") >= aim:
                break
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0.0, 0.1)))
        process.send_signal(signal.SIGKILL)
        n_kills += process.wait() == -signal.SIGKILL
    assert n_kills == 5
    last = start_run(killed, settings)
    assert last.wait(timeout=200) == 0, last.stderr.read()
    assert_same(outcome(small_config(killed, **settings)), expected)
