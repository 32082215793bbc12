"""`rl-editor prepare`: everything is worked out once, and problems are named."""

import os
import signal
import subprocess
import sys

import pytest
import soundfile as sf

from rl_editor.cache import Cache
from rl_editor.cli import main
from rl_editor.preparation import Preparation, Prepared, prepare, table
from rl_editor.tests.made_tasks import SR, made_music
from rl_editor.tests.test_training_items import write_made
from rl_editor.training_items import SessionDraw


@pytest.fixture
def folder(tmp_path):
    """Training data: a session, a track and a file that is neither."""
    data = tmp_path / "data"
    write_made(data, "made", 0)
    (data / "reference").mkdir()
    sf.write(data / "reference" / "song.wav", made_music(6.0, 1), SR)
    (data / "input" / "broken_raw.wav").write_bytes(b"RIFF")
    (data / "desired_output" / "broken_edit.wav").write_bytes(b"RIFF")
    (data / "input" / "notes.txt").touch()
    return data


def run(folder, *flags):
    return main(["prepare", str(folder), "--jobs", "1", "--sessions-per-reference", "1", *flags])


def test_a_table_of_all_items_and_their_problems(folder, capsys):
    assert run(folder) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["kind", "name", "minutes", "kept", "confidence", "problems"]
    cells = {line.split()[1]: line.split() for line in lines[2:5]}
    assert cells["broken"] == ["pair", "broken", "left", "out"]
    assert cells["made"][0] == "session"
    assert cells["made"][4] == "1.00"
    assert cells["song.wav"][0] == "track"
    assert lines[6].startswith("total    2 of 3, pieces: 2")
    said = lines[lines.index("problems:") + 1 :]
    assert len(said) == 2
    assert "broken" in said[0]
    assert "notes.txt is not an audio file" in said[1]
    assert printed.err.splitlines() == ["1/3 broken", "2/3 made", "3/3 song.wav"]


def test_a_second_run_works_nothing_out_again(folder, capsys, monkeypatch):
    run(folder)
    first, entries = capsys.readouterr().out, Cache().info().entries
    monkeypatch.setattr("rl_editor.reference_sessions.analyze_signal", None)
    monkeypatch.setattr("rl_editor.analysis._hear", None)
    assert run(folder) == 0
    assert capsys.readouterr().out == first
    assert Cache().info().entries == entries == 1 + 1 + 2


@pytest.mark.slow
def test_two_processes_find_what_one_finds(folder, capsys):
    alone = prepare(folder, SessionDraw(2, 0), 1, lambda *progress: None)
    Cache().clear()
    assert prepare(folder, SessionDraw(2, 0), 2, lambda *progress: None) == alone


def test_nothing_usable_is_an_error(folder, capsys):
    for path in (folder / "reference" / "song.wav", folder / "input" / "made.truth.json"):
        path.unlink()
    (folder / "desired_output" / "made_edit.wav").unlink()
    assert run(folder) == 2
    printed = capsys.readouterr()
    assert "left out" in printed.out
    assert "none could be used" in printed.err
    assert main(["prepare", str(folder / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--sessions-per-reference", "--seed", "--jobs"])
def test_numbers_out_of_range_are_told(folder, flag, capsys):
    assert main(["prepare", str(folder), flag, "-1"]) == 2
    assert f"{flag} must be at least" in capsys.readouterr().err


def test_totals_weigh_items_by_their_length():
    items = (
        Prepared("pair", "long", 90.0, 45.0, 90.0, frozenset("a")),
        Prepared("pair", "x" * 80, 30.0, 15.0, 0.0, frozenset("a"), ("x: moved.",)),
        Prepared("pair", "bad", problems=("bad is damaged.",), is_usable=False),
    )
    lines = table(Preparation(items, ())).splitlines()
    assert lines[-5].split() == ["total", "2", "of", "3,", "pieces:", "1", "2.0", "50%", "0.75"]
    assert lines[-2:] == ["x: moved.", "left out: bad is damaged."]
    assert len(lines[0]) < 90


STOPPED = """
import os, signal, sys
from rl_editor import preparation
from rl_editor.cli import main

def stop(n_done, n, name):
    if n_done == 1:
        os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    real = preparation.prepare
    preparation.prepare = lambda folder, draw, jobs, on_item: real(folder, draw, jobs, stop)
    raise SystemExit(main(["prepare", *sys.argv[1:]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
def test_a_stopped_run_goes_on_where_it_was(folder, tmp_path, monkeypatch, capsys):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    command = [sys.executable, str(script), str(folder), "--sessions-per-reference", "1"]
    done = subprocess.run([*command, "--jobs", "2"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "rl-editor: stopped; no half-written file was left.\n"
    assert not list(Cache().folder.glob(".*.part"))
    assert run(folder) == 0
    assert Cache().info().entries == 4
