import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from rl_editor.audio import probe
from rl_editor.errors import UserError
from rl_editor.silence import silenced_stderr


def odd_mp3s(folder):
    """Return paths of three MP3s that mpg123 has something to say about."""
    rng = np.random.default_rng(0)
    soundfile.write(folder / "whole.mp3", 0.1 * rng.standard_normal((44100, 2)), 44100)
    whole, middle = (folder / "whole.mp3").read_bytes(), 12_000
    odd = {
        "tag.mp3": b"ID3\x04\x00\x40\x00\x00\x02\x00" + rng.bytes(256) + whole,
        "junk.mp3": whole[:middle] + rng.bytes(3000) + whole[middle:],
        "short.mp3": whole[: 2 * len(whole) // 3],
    }
    for name, content in odd.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in odd]


def test_odd_mp3s_are_read_in_silence(tmp_path, capfd):
    paths = odd_mp3s(tmp_path)
    for path in paths:
        with suppress(soundfile.LibsndfileError):
            soundfile.read(path)
    assert "mpg123" in capfd.readouterr().err  # there is something to keep quiet
    assert probe(paths[0]).n_samples == 44100
    for path in paths[1:]:
        with pytest.raises(UserError):
            probe(path)
    assert capfd.readouterr() == ("", "")


def test_standard_error_comes_back(capfd):
    with suppress(KeyError), silenced_stderr():
        os.write(2, b"unheard\n")
        raise KeyError
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_without_standard_error_nothing_happens():
    code = "import os\nfrom rl_editor.silence import silenced_stderr\nos.close(2)\n"
    code += "with silenced_stderr(): print('done')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n"
