import dataclasses

import numpy as np
import pytest
import soundfile

from rl_editor.audio import probe
from rl_editor.audio_containers import OGG_5_1, WAVE_5_1
from rl_editor.audio_decoders import AudioInfo
from rl_editor.conversion import (
    OutputFormat,
    conversion_notes,
    converted,
    converted_length,
)
from rl_editor.errors import UserError


def info(sample_rate=44100, channels=2, n_samples=44100, subtype="PCM_16"):
    return AudioInfo("a.wav", sample_rate, channels, n_samples, subtype, "WAV")


def in_blocks(audio, size=7000):
    return (audio[start : start + size] for start in range(0, len(audio), size))


def tone(rate, n_samples, channels=1, frequency_hz=1000.0):
    wave = np.sin(2 * np.pi * frequency_hz * np.arange(n_samples) / rate)
    return np.repeat(0.5 * wave[:, None], channels, axis=1).astype(np.float32)


def test_nothing_asked_changes_nothing():
    source = info()
    output = OutputFormat().applied(source)
    audio = tone(44100, 20000, 2)
    assert output == source
    np.testing.assert_array_equal(
        np.concatenate(list(converted(in_blocks(audio), source, output))), audio
    )


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000, 192000])
@pytest.mark.parametrize("n_samples", [44100, 44101, 12345, 3])
def test_another_rate_has_its_exact_length_and_the_same_tone(rate, n_samples):
    source = info(channels=1, n_samples=n_samples)
    output = OutputFormat(sample_rate=rate).applied(source)
    made = np.concatenate(list(converted(in_blocks(tone(44100, n_samples)), source, output)))
    assert len(made) == converted_length(n_samples, 44100, rate) == output.n_samples
    if n_samples > 40000:
        inner = slice(rate // 20, -rate // 20)
        expected = tone(rate, len(made))
        np.testing.assert_allclose(made[inner], expected[inner], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "rate", "expected"),
    [
        ("a.opus", 44100, 48000),
        ("a.OPUS", 22050, 24000),
        ("a.opus", 24000, 24000),
        ("a.mp3", 96000, 48000),
        ("a.mp3", 4000, 8000),
        ("a.wav", 96000, 96000),
        ("a.ogg", 37800, 37800),
    ],
)
def test_a_rate_that_the_format_cannot_hold_becomes_the_nearest(name, rate, expected):
    source, wanted = info(rate), OutputFormat()
    output = wanted.applied(source, name)
    assert output.sample_rate == expected
    told = " ".join(conversion_notes(source, output, wanted, name))
    assert (f"written at {expected} Hz" in told) == (expected != rate)


def test_a_rate_that_was_asked_for_stays():
    wanted = OutputFormat(sample_rate=22050)
    output = wanted.applied(info(), "a.opus")
    assert output.sample_rate == 22050
    assert conversion_notes(info(), output, wanted, "a.opus") == ()


def test_mono_is_the_mean_and_stereo_is_twice_the_same():
    stereo = np.stack([np.full(100, 0.4), np.full(100, -0.2)], axis=1).astype(np.float32)
    mono = OutputFormat(channels=1).applied(info())
    (made,) = converted([stereo], info(), mono)
    np.testing.assert_allclose(made, 0.1, atol=1e-7)
    doubled = OutputFormat(channels=2).applied(info(channels=1))
    (made,) = converted([stereo[:, :1]], info(channels=1), doubled)
    np.testing.assert_array_equal(made, stereo[:, [0, 0]])


LEVELS = {"L": 0.1, "R": 0.2, "C": 0.04, "LFE": 0.5, "Ls": 0.02, "Rs": 0.03}


@pytest.mark.parametrize("speakers", [WAVE_5_1, OGG_5_1])
def test_surround_becomes_stereo_by_the_standard(speakers):
    source = dataclasses.replace(info(channels=6), speakers=speakers)
    block = np.tile(np.array([LEVELS[name] for name in speakers], dtype=np.float32), (50, 1))
    wanted = OutputFormat(channels=2)
    output = wanted.applied(source)
    (made,) = converted([block], source, output)
    left, right = 0.1 + 0.70711 * (0.04 + 0.02), 0.2 + 0.70711 * (0.04 + 0.03)
    np.testing.assert_allclose(made, np.tile([left, right], (50, 1)), atol=1e-5)
    assert (made.dtype, output.channels, output.speakers) == (np.float32, 2, ())
    (told,) = conversion_notes(source, output, wanted, "a.wav")
    assert f"channel {speakers.index('LFE') + 1}," in told


def test_other_channels_become_their_mean():
    source, wanted = info(channels=4), OutputFormat(channels=2)
    block = np.tile(np.array([0.1, 0.2, 0.3, 0.8], dtype=np.float32), (50, 1))
    (made,) = converted([block], source, wanted.applied(source))
    np.testing.assert_allclose(made, np.full((50, 2), 0.35), atol=1e-6)
    assert (
        "mean of the recording's 4"
        in conversion_notes(source, wanted.applied(source), wanted, "a.wav")[0]
    )


def speakers_of(path, channels=6, **settings):
    """Return the loudspeakers of a file of half a second of silence."""
    soundfile.write(path, np.zeros((8000, channels)), 16000, **settings)
    return probe(path).speakers


def test_which_files_are_surround(tmp_path):
    assert speakers_of(tmp_path / "a.wav") == WAVE_5_1
    assert speakers_of(tmp_path / "a.flac") == WAVE_5_1
    assert speakers_of(tmp_path / "a.ogg") == OGG_5_1
    assert speakers_of(tmp_path / "a.wav", channels=5) == ()
    for mask, expected in ((0x3F, WAVE_5_1), (0x60F, WAVE_5_1), (0, ())):
        path = tmp_path / "b.wav"
        soundfile.write(path, np.zeros((800, 6)), 16000, format="WAVEX", subtype="PCM_16")
        content = bytearray(path.read_bytes())
        content[40:44] = mask.to_bytes(4, "little")
        path.write_bytes(content)
        assert probe(path).speakers == expected


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        (OutputFormat(sample_rate=10), "sample rate"),
        (OutputFormat(sample_rate=0), "sample rate"),
        (OutputFormat(channels=0), "channels"),
        (OutputFormat(sample_rate=10_000_000), "sample rate"),
        (OutputFormat(channels=6), "channels"),
        (OutputFormat(channels=-1), "channels"),
    ],
)
def test_what_cannot_be_made_is_refused(wish, word):
    with pytest.raises(UserError, match=word):
        wish.applied(info())
