"""The folder of a run: room for it, what is kept in it, what is set aside."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rl_editor import train
from rl_editor.checkpoint import Checkpoint, RunState, load
from rl_editor.config import Config
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.run_folder import bytes_needed, save_folder, save_latest, set_aside
from rl_editor.run_log import RunLog
from rl_editor.tests.made_run import made_data, small_config


@pytest.fixture
def little_room():
    """Let no file grow beyond 200 kB, as a full disk would."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def made(number):
    normalisation = Normalisation(np.zeros(N_INPUTS, np.float32), np.ones(N_INPUTS, np.float32))
    state = RunState({"number": number}, {"moments": np.zeros(10)})
    return Checkpoint(Config(), "made", normalisation, {}, {}, state)


def test_the_last_few_are_kept(tmp_path):
    for number in range(1, 6):
        save_latest(tmp_path, f"ppo-{number:06d}", made(number), 3)
    names = [f"checkpoint-ppo-00000{n}.pt" for n in (3, 4, 5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "latest.pt"]
    numbers = [load(tmp_path / n, with_run=True).run.facts["number"] for n in names]
    assert numbers == [3, 4, 5]
    assert load(tmp_path / "latest.pt", with_run=True).run.facts["number"] == 5
    save_latest(tmp_path, "ppo-000005", made(6), 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "latest.pt"]
    save_latest(tmp_path, "ppo-000007", made(7), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["latest.pt"]


def test_a_file_system_without_links_gets_copies(tmp_path, monkeypatch):
    def no_links(*arguments):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    save_latest(tmp_path, "ppo-000001", made(1), 3)
    one, other = tmp_path / "latest.pt", tmp_path / "checkpoint-ppo-000001.pt"
    assert one.read_bytes() == other.read_bytes()


def test_too_little_room_is_told_at_the_start(tmp_path, little_room, monkeypatch, capsys):
    with pytest.raises(UserError, match=r"need 1 MB in the folder .* no room"):
        save_folder(tmp_path / "new", 1_000_000).__enter__()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(train, "load_training_data", lambda config, say: 1 / 0)
    flags = ["--data_dir", str(tmp_path), "--save_dir", str(tmp_path / "models")]
    assert train.main(flags) == 2
    printed = capsys.readouterr().err
    assert "make room" in printed
    assert printed.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_folder_without_permission_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="choose another with --save_dir"):
        save_folder(tmp_path / "models").__enter__()


def test_a_log_that_cannot_grow_is_told_later(tmp_path, little_room):
    values = {f"number_{i}": 1.0 for i in range(1000)}
    with RunLog(tmp_path) as log:
        for epoch in range(7):
            log.write(epoch, "ppo", values)
        with pytest.raises(UserError, match="the log should be written"):
            log.write(8, "ppo", {name * 3: 1.0 for name in values})


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path, monkeypatch, little_room
):
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    monkeypatch.setattr("rl_editor.run_folder.bytes_needed", lambda *arguments: 0)
    config = small_config(tmp_path, epochs=2, bc_epochs=0, eval_every=5)
    with pytest.raises(UserError, match="the checkpoint should be written"):
        train.train(config)
    folder = tmp_path / "models"
    assert sorted(path.name for path in folder.glob("*.pt*")) == ["best.pt"]
    assert not list(folder.glob(".*"))


def test_the_room_that_is_tried_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    config = small_config(tmp_path, epochs=4, bc_epochs=4, checkpoint_minutes=0)
    train.train(config)
    folder = tmp_path / "models"
    written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    weights = load(folder / "best.pt").weights
    n_weights = sum(array.size for array in weights.values())
    assert written < bytes_needed(n_weights, config.train.keep_checkpoints)


def test_what_a_killed_process_left_is_removed(tmp_path):
    old, young = tmp_path / ".rl_editor-old.part", tmp_path / ".rl_editor-young.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    with save_folder(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", young.name]


def test_two_runs_do_not_share_a_folder(tmp_path):
    code = (
        "import sys; from rl_editor.run_folder import save_folder\n"
        "with save_folder(sys.argv[1]): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"in"
        with pytest.raises(UserError, match="another run is at work in the folder"):
            save_folder(tmp_path).__enter__()
        other.kill()
    with save_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_setting_aside_never_replaces(tmp_path):
    path = tmp_path / "log.jsonl"
    assert set_aside(path) is None
    for content in ("first", "second"):
        path.write_text(content)
        set_aside(path)
    found = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert found == {"log.1.jsonl": "first", "log.2.jsonl": "second"}
