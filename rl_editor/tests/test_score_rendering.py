"""Soundfonts: the right pitch at the right time, the same bytes again, plain errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor import score_rendering
from rl_editor.errors import UserError
from rl_editor.score_rendering import SOUNDFONT_VARIABLE, find_soundfont, soundfont_renderer
from rl_editor.score_takes import Take
from rl_editor.scores import CONTROL, NOTE, VOLUME
from rl_editor.tests.made_scores import write_soundfont

SR = 22050


@pytest.fixture(scope="module")
def renderer(tmp_path_factory):
    pytest.importorskip("tinysoundfont")
    return soundfont_renderer(write_soundfont(tmp_path_factory.mktemp("sf") / "sine.sf2"))


def one_note(key=69, start_s=0.5, **changes):
    return dataclasses.replace(
        Take(
            notes=np.array([(start_s, start_s + 1.0, 0, key, 100)], dtype=NOTE),
            controls=np.zeros(0, dtype=CONTROL),
            level_db=np.zeros(16),
            tuning=np.zeros(16),
            marks=(np.array([[0.0, 2.0], [0.0, 2.0]]),),
        ),
        **changes,
    )


def pitch_hz(audio):
    spectrum = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio)), 8 * len(audio)))
    return np.argmax(spectrum) * SR / (8 * len(audio))


@pytest.mark.parametrize(("key", "hz"), [(57, 220.0), (69, 440.0), (76, 659.255)])
def test_a_note_has_its_pitch_and_begins_on_time(renderer, key, hz):
    audio = renderer(one_note(key), SR, 2 * SR)
    assert audio.shape == (2 * SR, 2)
    assert audio.dtype == np.float32
    assert pitch_hz(audio[round(0.6 * SR) : round(1.4 * SR)]) == pytest.approx(hz, rel=0.004)
    loud = np.flatnonzero(np.abs(audio[:, 0]) > 0.05 * np.abs(audio).max())
    assert loud[0] / SR == pytest.approx(0.5, abs=0.01)
    assert loud[-1] / SR == pytest.approx(1.5, abs=0.1)


def test_tuning_and_level_of_a_channel_are_heard(renderer):
    plain = renderer(one_note(), SR, 2 * SR)
    sharp = renderer(one_note(tuning=np.full(16, 0.5)), SR, 2 * SR)
    soft = renderer(one_note(level_db=np.full(16, -12.0)), SR, 2 * SR)
    inner = slice(round(0.6 * SR), round(1.4 * SR))
    assert pitch_hz(sharp[inner]) / pitch_hz(plain[inner]) == pytest.approx(2 ** (0.5 / 12), 0.002)
    drop_db = 20 * np.log10(np.abs(plain[inner]).max() / np.abs(soft[inner]).max())
    assert drop_db == pytest.approx(12.0, abs=1.0)


def test_nothing_is_left_of_the_rendering_before(renderer):
    first = renderer(one_note(), SR, SR)
    quiet = np.array([(0.0, 0, VOLUME, 5)], dtype=CONTROL)
    renderer(one_note(72, controls=quiet, tuning=np.full(16, 0.3)), SR, SR)
    assert renderer(one_note(), SR, SR).tobytes() == first.tobytes()


def test_a_soundfont_is_found_by_argument_variable_or_folder(tmp_path, monkeypatch):
    path = write_soundfont(tmp_path / "my.sf2")
    monkeypatch.delenv(SOUNDFONT_VARIABLE, raising=False)
    monkeypatch.setattr(score_rendering, "_FOLDERS", (str(tmp_path / "none"),))
    assert find_soundfont(path) == path
    with pytest.raises(UserError, match=SOUNDFONT_VARIABLE):
        find_soundfont()
    monkeypatch.setattr(score_rendering, "_FOLDERS", (str(tmp_path),))
    assert find_soundfont() == path
    monkeypatch.setenv(SOUNDFONT_VARIABLE, str(tmp_path / "gone.sf2"))
    with pytest.raises(UserError, match=r"gone\.sf2"):
        find_soundfont()


def test_a_damaged_soundfont_is_named(tmp_path):
    pytest.importorskip("tinysoundfont")
    path = tmp_path / "bad.sf2"
    path.write_bytes(b"RIFF\4\0\0\0sfbk")
    with pytest.raises(UserError, match=r"bad\.sf2"):
        soundfont_renderer(path)
