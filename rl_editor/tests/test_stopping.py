"""SIGTERM leaves nothing half-written."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from rl_editor.cli import run_command
from rl_editor.stopping import Terminated, terminable
from rl_editor.tests.made_editor import write_groove

STOPPED = """
import os, signal, sys
from rl_editor import render
from rl_editor.cli import infer_main

real = render.mixed_blocks

def stop_after_a_block(*arguments):
    yield next(real(*arguments))
    print(*sorted(name for name in os.listdir() if name.endswith(".part")), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    yield from real(*arguments)

render.mixed_blocks = stop_after_a_block
raise SystemExit(infer_main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
def test_a_terminated_edit_leaves_nothing(tmp_path, checkpoints):
    folder = tmp_path / "folder"
    folder.mkdir()
    write_groove(folder / "take.wav")
    arguments = ["take.wav", "--output", "a.wav", "--checkpoint", checkpoints["mix"]]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 143
    assert done.stdout.startswith(".rl_editor-")  # there was something to clean up
    assert done.stderr == "rl-editor: stopped; no half-written file was left.\n"
    assert os.listdir(folder) == ["take.wav"]


def test_the_earlier_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_command_runs_in_any_thread():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(run_command(lambda: 0)))
    thread.start()
    thread.join()
    assert codes == [0]
