"""Several processes give what one gives, and end cleanly."""

import os
import subprocess
import sys
import time

import pytest

from rl_editor.errors import UserError
from rl_editor.parallel import WorkerError, default_jobs, parallel_map


def square(number):
    if number < 0:
        raise ValueError("below nothing")
    return number * number


def vanish(number):
    if number == 3:
        os._exit(9)
    return number


def test_workers_give_what_one_process_gives():
    items = list(range(7))
    alone = dict(parallel_map(square, items, 1))
    assert alone == {i: i * i for i in items}
    assert dict(parallel_map(square, items, 3)) == alone


def test_no_items_are_no_work():
    assert list(parallel_map(square, [], 4)) == []


def test_what_a_worker_raises_is_raised_here():
    with pytest.raises(WorkerError, match="below nothing"):
        list(parallel_map(square, [1, -1, 2], 2))


def test_a_worker_that_vanishes_is_told_with_its_item():
    with pytest.raises(UserError, match=r"at 3, .*--jobs"):
        list(parallel_map(vanish, [1, 2, 3], 2))


def test_there_is_a_core_to_work_on():
    assert default_jobs() >= 1


STOPPED = """
import os, signal, sys, time
from pathlib import Path
from rl_editor.atomic import atomic_path
from rl_editor.cli import run_command
from rl_editor.parallel import parallel_map

def write(name):
    with atomic_path(name) as temporary:
        temporary.write_text("half")
        if name != "quick":
            Path(name + ".began").touch()
            time.sleep(60)

def stop_when_both_began():
    for index, result in parallel_map(write, ["quick", "one", "two"], 3):
        while not (Path("one.began").exists() and Path("two.began").exists()):
            time.sleep(0.02)
        print(sum(name.endswith(".part") for name in os.listdir()), flush=True)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        time.sleep(60)
    return 0

if __name__ == "__main__":
    # what is started in the background of a script ignores it, and so do its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise SystemExit(run_command(stop_when_both_began))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_stopped_workers_leave_nothing_half_written(tmp_path, name, code):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    folder = tmp_path / "folder"
    folder.mkdir()
    start_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(script), name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, "2\n")
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(folder)) == ["one.began", "quick", "two.began"]
    assert time.perf_counter() - start_s < 30
