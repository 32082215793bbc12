"""Every bad file is one clear sentence, and leaves nothing behind."""

import builtins
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rl_editor.audio import (
    AudioReader,
    AudioWriter,
    check_output,
    check_signal,
    check_writable,
    probe,
    read_mono,
)
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.tests.test_audio import SR, noise, write, write_av


def sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def refuses(path: Path, expected: str) -> None:
    """Assert that every way to decode `path` to its end refuses it with the same sentence."""
    with pytest.raises(UserError, match=expected) as error:
        read_mono(path, 22_050)
    message = sentence(error)
    assert str(path) in message
    with pytest.raises(UserError, match=expected), AudioReader(path) as reader:
        list(reader.blocks(10_000))


def test_missing_file(tmp_path):
    refuses(tmp_path / "nowhere.wav", "there is no file")


def test_folder(tmp_path):
    refuses(tmp_path, "is a folder")


def test_name_that_is_too_long(tmp_path):
    refuses(tmp_path / ("x" * 300 + ".wav"), "cannot be opened")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_name_that_is_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(b"RIFF")
    with pytest.raises(UserError, match="no text; rename"):
        probe(path)


def test_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    refuses(tmp_path / "a.wav", "is empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX")
def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    refuses(tmp_path / "a.wav", "not an ordinary file")


PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"
    + struct.pack(">I", zlib.crc32(b"IHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"))
    + b"\0\0\0\0IEND\xaeB`\x82"
)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".txt", ".m4a", ".au", ""])
@pytest.mark.parametrize(
    "content",
    [b"no music, only words\n" * 500, np.random.default_rng(0).bytes(50_000), PNG],
    ids=["text", "random", "png"],
)
def test_what_is_no_audio(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    refuses(path, "is not an audio file")


def test_raw_samples(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    refuses(tmp_path / "a.raw", "no header")


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.opus", "a.mp3"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_file(tmp_path, name, share):
    path = write(tmp_path / name, noise(8 * 48_000), 48_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    refuses(path, "cut off|is not an audio file")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_header_cut_in_the_middle(tmp_path, name):
    path = write(tmp_path / name, noise(SR))
    path.write_bytes(path.read_bytes()[:20])
    refuses(path, "is not an audio file|cut off")


def test_truncated_rf64(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(SR), SR, "PCM_16", format="RF64")
    assert probe(path).n_samples == SR
    path.write_bytes(path.read_bytes()[:50_000])
    refuses(path, "cut off")


def test_damage_in_the_middle_of_a_flac(tmp_path):
    path = write(tmp_path / "a.flac", noise(10 * SR))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60_000] = bytes(60_000)
    path.write_bytes(content)
    refuses(path, "damaged or cut off")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_no_samples(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, np.zeros((0, 2)), SR)
    refuses(path, "holds no sound|is empty")


def test_flac_that_hides_its_length(tmp_path):
    path = write(tmp_path / "a.flac", noise(SR), SR, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: a length of 0 samples stands for "unknown"
    content[22:26] = bytes(4)
    path.write_bytes(content)
    refuses(path, "does not say how long it is")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_no_numbers(tmp_path, value, subtype):
    samples = np.zeros((3 * SR, 2))
    samples[2 * SR + 100 :, 1] = value
    soundfile.write(tmp_path / "a.wav", samples, SR, subtype)
    refuses(tmp_path / "a.wav", r"not a number .*0:02\.0 in channel 2")


def test_codec_that_nothing_decodes(tmp_path):
    path = write(tmp_path / "a.wav", noise(SR), SR, "PCM_16")
    content = bytearray(path.read_bytes())
    content[20:22] = b"\x34\x12"  # a WAVE format tag that nobody has registered
    path.write_bytes(content)
    refuses(path, "in a codec that can be decoded")


def test_sample_rate_out_of_reason(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1000), 10)
    refuses(tmp_path / "a.wav", "8 to 192 kHz")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.m4a", re.escape(install_hint("codecs"))), ("a.txt", "is not an audio file")],
)
def test_without_pyav(tmp_path, monkeypatch, name, expected):
    real_import = builtins.__import__

    def without_av(module, *rest):
        if module == "av":
            raise ImportError(module)
        return real_import(module, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(5000))
    refuses(tmp_path / name, expected)


@pytest.mark.parametrize("options", [{"movflags": "faststart"}, {}])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.98])
def test_truncated_m4a(tmp_path, options, share):
    pytest.importorskip("av")
    path = write_av(tmp_path / "a.m4a", noise(10 * SR), "aac", **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    refuses(path, "is cut off: its header promises up to")


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\x08mdat",
        b"\x1a\x45\xdf\xa3" + bytes(100),
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(100),
    ],
)
def test_a_codec_container_without_its_contents_is_damaged(tmp_path, content):
    pytest.importorskip("av")
    (tmp_path / "a.m4a").write_bytes(content)
    refuses(tmp_path / "a.m4a", "is damaged or cut off")


def test_tags_behind_an_m4a_are_no_loss(tmp_path):
    pytest.importorskip("av")
    path = write_av(tmp_path / "a.m4a", noise(SR), "aac")
    n_samples = probe(path).n_samples
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert probe(path).n_samples == n_samples


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_silence(level):
    with pytest.raises(UserError, match="silent from start to end") as error:
        check_signal(level * noise(SR), SR, "a.wav")
    sentence(error)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [0.5, -0.5])
def test_a_constant_is_silence(tmp_path, level, channels):
    constant = level * np.linspace(0.5, 1.0, channels, dtype=np.float32)
    signal = np.tile(constant, (SR, 1))
    with pytest.raises(UserError, match="silent from start to end"):
        check_signal(signal, SR, "a.wav")
    write(tmp_path / "constant.wav", signal)
    resampled = read_mono(tmp_path / "constant.wav", SR // 2)
    with pytest.raises(UserError, match="silent from start to end"):
        check_signal(resampled, SR // 2, "a.wav")
    check_signal(signal + 1e-3 * noise(SR)[:, :channels], SR, "a.wav")


def test_too_short():
    with pytest.raises(UserError, match=r"a\.wav is 0\.30 s long") as error:
        check_signal(noise(round(0.3 * SR)), SR, "a.wav")
    sentence(error)
    with pytest.raises(UserError, match=r"0\.00 s long"):
        check_signal(np.zeros(0), SR, "a.wav")


@pytest.fixture
def source(tmp_path) -> Path:
    return write(tmp_path / "source.wav", noise(SR), SR, "PCM_16")


def test_a_good_output_passes_and_nothing_is_made(tmp_path, source):
    before = sorted(os.listdir(tmp_path))
    for name in ("b.wav", "b.FLAC", "b.ogg", "b.mp3", "b.aif"):
        check_output(source, tmp_path / name, probe(source))
    for name in ("b.wav", "b.FLAC", "b.aif"):
        check_output(source, tmp_path / name, probe(source), "PCM_24")
    assert sorted(os.listdir(tmp_path)) == before


def refuses_output(source: Path, output: Path, expected: str) -> None:
    before = sorted(os.listdir(source.parent))
    with pytest.raises(UserError, match=expected) as error:
        check_output(source, output, probe(source))
    sentence(error)
    assert sorted(os.listdir(source.parent)) == before


def test_output_that_is_the_input(tmp_path, source):
    (tmp_path / "symbolic.wav").symlink_to(source)
    os.link(source, tmp_path / "hard.wav")
    (tmp_path / "folder").mkdir()
    for name in ("source.wav", "symbolic.wav", "hard.wav", "folder/../source.wav"):
        refuses_output(source, tmp_path / name, "is the recording itself")


def test_output_folder_that_is_missing(tmp_path, source):
    refuses_output(source, tmp_path / "nowhere" / "b.wav", "does not exist")


def test_output_folder_that_is_a_file(source):
    refuses_output(source, source / "b.wav", "cannot be written|does not exist")


def test_output_that_is_read_only_stays(tmp_path, source):
    output = write(tmp_path / "b.wav", noise(SR))
    output.chmod(0o444)
    content = output.read_bytes()
    refuses_output(source, output, "stands there read-only")
    with pytest.raises(UserError, match="stands there read-only"):
        check_writable(source, output)
    source.chmod(0o444)
    refuses_output(source, source, "is the recording itself")
    assert output.read_bytes() == content


def test_output_that_is_a_folder(tmp_path, source):
    (tmp_path / "b.wav").mkdir()
    refuses_output(source, tmp_path / "b.wav", "is a folder")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_output_folder_that_cannot_be_written(source):
    refuses_output(source, Path("/proc/self/b.wav"), "cannot be written")
    with pytest.raises(UserError, match="cannot be written"):
        check_writable(source, "/proc/b.edl.json")
    with (
        pytest.raises(UserError, match="cannot be written") as error,
        AudioWriter("/proc/self/b.wav", SR, 2),
    ):
        pass
    sentence(error)


def test_output_name_that_is_too_long(tmp_path, source):
    refuses_output(source, tmp_path / ("x" * 300 + ".wav"), "cannot be written")


@pytest.mark.parametrize("name", ["b", "b.m4a", "b.xyz", "b.edl.json"])
def test_output_suffix_that_cannot_be_written(tmp_path, source, name):
    refuses_output(source, tmp_path / name, "rename the output")


@pytest.mark.parametrize(
    ("name", "subtype", "expected"),
    [
        ("b.mp3", "PCM_24", r"\.mp3 files have no bit depth, but PCM_24"),
        ("b.ogg", "PCM_16", "leave --bit-depth out"),
        ("b.flac", "FLOAT", r"\.flac files hold PCM_S8, PCM_16, PCM_24, but FLOAT"),
        ("b.FLAC", "PCM_32", "choose one of these with --bit-depth"),
        ("b.wav", "PCM_S8", "hold PCM_U8, PCM_16"),
    ],
)
def test_bit_depth_that_the_format_cannot_hold(tmp_path, source, name, subtype, expected):
    with pytest.raises(UserError, match=expected) as error:
        check_output(source, tmp_path / name, probe(source), subtype)
    sentence(error)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_formats_that_cannot_hold_the_recording(tmp_path):
    many = write(tmp_path / "many.wav", noise(SR, channels=9))
    refuses_output(many, tmp_path / "b.flac", "up to 8 channels")
    refuses_output(many, tmp_path / "b.mp3", "up to 2 channels")
    fast = write(tmp_path / "fast.wav", noise(SR), 96_000)
    refuses_output(fast, tmp_path / "b.mp3", "choose one of these with --sample-rate")
    refuses_output(fast, tmp_path / "b.opus", "8000, 12000, 16000, 24000, 48000 Hz")


def test_unknown_bit_depth(tmp_path, source):
    with pytest.raises(UserError, match="must be one of PCM_U8") as error:
        check_output(source, tmp_path / "b.wav", probe(source), "PCM_12")
    sentence(error)


@pytest.fixture
def small_files():
    """Let no file grow beyond 100 kB, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("name", ["b.wav", "b.flac", "b.ogg", "b.mp3"])
def test_disk_that_is_full(tmp_path, small_files, name):
    with pytest.raises(UserError, match="the disk has room") as error:
        write(tmp_path / name, noise(10 * SR))
    sentence(error)
    assert os.listdir(tmp_path) == []


def test_temporary_folder_that_is_full(ogg, small_files):
    with pytest.raises(UserError, match="TMPDIR") as error:
        AudioReader(ogg)
    sentence(error)


@pytest.fixture
def ogg(tmp_path) -> Path:
    return write(tmp_path / "a.ogg", noise(SR))
