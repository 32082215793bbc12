import numpy as np
import pytest
import soundfile

from rl_editor.audio import AudioWriter
from rl_editor.dither import Dither

STEP = 2.0**-15


def test_the_same_noise_for_every_stream_and_in_any_blocks():
    silence = np.zeros((5000, 2), dtype=np.float32)
    whole = Dither(16).added(silence)
    stream = Dither(16)
    parts = [stream.added(silence[at : at + 333]) for at in range(0, 5000, 333)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert np.abs(whole).max() < STEP
    assert whole.std() == pytest.approx(STEP / 6**0.5, rel=0.03)


@pytest.mark.parametrize("bits", [None, 32])
def test_formats_that_need_none(bits):
    audio = np.ones((10, 1), dtype=np.float32)
    assert Dither(bits).added(audio) is audio


def written(path, audio, dither):
    with AudioWriter(path, 8000, audio.shape[1], "PCM_16", dither=dither) as writer:
        writer.write(audio)
    return soundfile.read(path, always_2d=True)[0]


def test_a_tone_below_half_a_step_survives(tmp_path):
    wave = np.sin(2 * np.pi * 1000 * np.arange(80_000) / 8000)
    audio = (0.4 * STEP * wave)[:, None]
    assert not written(tmp_path / "plain.wav", audio, False).any()
    heard = written(tmp_path / "dithered.wav", audio, True)[:, 0]
    assert 2 * np.mean(heard * wave) == pytest.approx(0.4 * STEP, rel=0.05)
    again = written(tmp_path / "again.wav", audio, True)[:, 0]
    np.testing.assert_array_equal(again, heard)


def test_rounding_errors_do_not_follow_the_signal(tmp_path):
    audio = np.linspace(-0.5, 0.5, 100_000)[:, None] * 4 * STEP
    for name, dither in (("plain.wav", False), ("dithered.wav", True)):
        error = written(tmp_path / name, audio, dither) - audio
        by_level = error.reshape(100, -1).mean(axis=1)
        assert (np.abs(by_level).max() < 0.1 * STEP) == dither
