import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rl_editor import audio, audio_writer
from rl_editor.audio import AudioReader, AudioWriter, probe, read_mono
from rl_editor.errors import UserError

SR = 44_100
LOSSY = {".ogg": 44_100, ".opus": 48_000, ".mp3": 44_100}


def noise(n_samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    """Return noise without its highest frequencies, which lossy formats would drop."""
    white = np.random.default_rng(seed).standard_normal((n_samples + 15, channels))
    smooth = np.stack([np.convolve(column, np.hanning(16), "valid") for column in white.T], 1)
    return (0.9 * smooth / np.abs(smooth).max()).astype(np.float32)


def write(path: Path, samples: np.ndarray, sr: int = SR, subtype: str | None = None) -> Path:
    with AudioWriter(path, sr, samples.shape[1], subtype) as writer:
        writer.write(samples)
    return path


def write_av(path: Path, samples: np.ndarray, codec: str, **options: str) -> Path:
    """Write stereo samples [S, 2] at `SR` with PyAV."""
    import av

    with av.open(f"file:{path}", "w", options=options) as container:
        stream = container.add_stream(codec, rate=SR, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SR, 0, Fraction(1, SR)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format.name, "stereo", SR, context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def copy(source: Path, target: Path) -> None:
    with (
        AudioReader(source) as reader,
        AudioWriter(
            target, reader.info.sample_rate, reader.info.channels, reader.info.subtype
        ) as writer,
    ):
        for block in reader.blocks(1000):
            writer.write(block)


@pytest.mark.parametrize(
    ("suffix", "subtype", "bits"),
    [
        (".wav", "PCM_U8", 8),
        (".wav", "PCM_16", 16),
        (".wav", "PCM_24", 24),
        (".wav", "PCM_32", 32),
        (".flac", "PCM_S8", 8),
        (".flac", "PCM_16", 16),
        (".flac", "PCM_24", 24),
        (".aiff", "PCM_S8", 8),
        (".aiff", "PCM_16", 16),
        (".aiff", "PCM_24", 24),
        (".aiff", "PCM_32", 32),
    ],
)
def test_copying_integer_formats_is_bit_identical(tmp_path, suffix, subtype, bits):
    full = 2 ** (bits - 1)
    values = np.random.default_rng(bits).integers(-full, full, size=(3001, 2))
    values[:2] = [[-full, full - 1], [full - 1, -full]]
    stored = (values << (32 - bits)).astype(np.int32)
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    soundfile.write(source, stored, SR, subtype)
    copy(source, target)
    again, sr = soundfile.read(target, dtype="int32")
    np.testing.assert_array_equal(again, stored)
    assert (sr, soundfile.info(target).subtype) == (SR, subtype)


@pytest.mark.parametrize(
    ("subtype", "dtype"), [("FLOAT", np.float32), ("DOUBLE", np.float64), ("PCM_32", np.float64)]
)
def test_copying_wide_formats_keeps_every_bit(tmp_path, subtype, dtype):
    samples = np.random.default_rng(1).uniform(-1, 1, (3001, 3)).astype(dtype)
    if subtype != "PCM_32":
        samples[5] = 1.75  # beyond full scale
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    soundfile.write(source, samples, SR, subtype)
    copy(source, target)
    expected, _ = soundfile.read(source, dtype="float64")
    again, _ = soundfile.read(target, dtype="float64")
    np.testing.assert_array_equal(again, expected)
    assert probe(source).dtype == dtype


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.aiff"])
def test_random_access_equals_a_whole_read(tmp_path, name):
    path = write(tmp_path / name, noise(200_000), LOSSY.get(Path(name).suffix, SR))
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    rng = np.random.default_rng(0)
    with AudioReader(path) as reader:
        assert reader.info.n_samples == len(whole) == 200_000
        assert reader.info == probe(path)
        assert reader.read(0, 0).shape == (0, 2)
        for start in rng.integers(0, 190_000, 40):
            stop = start + int(rng.integers(0, 10_000))
            np.testing.assert_array_equal(reader.read(start, stop), whole[start:stop])
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(7777))), whole)


def test_reading_outside_the_file_is_refused(tmp_path):
    with AudioReader(write(tmp_path / "a.wav", noise(1000))) as reader:
        for start, stop in [(-1, 5), (5, 4), (0, 1001)]:
            with pytest.raises(ValueError, match="not inside"):
                reader.read(start, stop)


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
def test_lossy_files_keep_length_place_and_sound(tmp_path, suffix):
    samples = noise(150_001)
    with AudioReader(write(tmp_path / f"a{suffix}", samples, LOSSY[suffix])) as reader:
        decoded = reader.read(0, reader.info.n_samples)
    assert decoded.shape == samples.shape
    middle = slice(20_000, 120_000)
    error = decoded[middle] - samples[middle]
    assert np.mean(error**2) < 0.02 * np.mean(samples[middle] ** 2)


def test_a_long_ogg_in_one_call_does_not_crash(tmp_path):
    path = write(tmp_path / "a.ogg", np.tile(noise(SR, 1), (70, 1)))
    assert soundfile.info(path).frames == 70 * SR


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_integers_clip_at_full_scale_and_never_wrap(tmp_path, subtype, dtype):
    loud = np.array([[1.0], [1.5], [1e9], [0.9999999999], [-1.0], [-1.5], [-1e9]], dtype)
    path = write(tmp_path / "a.wav", loud, SR, subtype)
    values, _ = soundfile.read(path, dtype="float64")
    step = 2.0 ** (1 - int(subtype[-2:].strip("U_")))
    np.testing.assert_allclose(values[:4], 1.0 - step, atol=1.01e-9)
    np.testing.assert_array_equal(values[4:], -1.0)


def test_integers_are_rounded_to_the_nearest(tmp_path):
    steps = np.array([0.4, 0.6, -0.4, -0.6, 100.49, -100.51])
    path = write(tmp_path / "a.wav", (steps / 2**15)[:, None], SR, "PCM_16")
    values, _ = soundfile.read(path, dtype="int16")
    assert values.tolist() == [0, 1, 0, -1, 100, -101]


@pytest.mark.parametrize(
    ("suffix", "wanted", "chosen"),
    [
        (".wav", "PCM_16", "PCM_16"),
        (".wav", "PCM_S8", "PCM_U8"),
        (".wav", "VORBIS", "PCM_24"),
        (".wav", "LOSSY", "PCM_24"),
        (".wav", "ULAW", "PCM_16"),
        (".wav", "ALAC_20", "PCM_24"),
        (".wav", None, "PCM_24"),
        (".WAV", "FLOAT", "FLOAT"),
        (".flac", "PCM_U8", "PCM_S8"),
        (".flac", "PCM_32", "PCM_24"),
        (".flac", "DOUBLE", "PCM_24"),
        (".aif", "PCM_U8", "PCM_S8"),
        (".ogg", "PCM_16", "VORBIS"),
        (".opus", "FLOAT", "OPUS"),
        (".mp3", "PCM_16", "MPEG_LAYER_III"),
    ],
)
def test_the_nearest_sample_format_is_chosen(suffix, wanted, chosen):
    assert audio_writer.choose_subtype(suffix, wanted) == chosen


@pytest.mark.parametrize("sr", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_mono_mix_has_its_length_and_its_tone(tmp_path, sr, channels):
    n_samples = sr + 37
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(n_samples) / sr)
    path = write(tmp_path / "a.wav", np.outer(tone, np.arange(channels)), sr, "FLOAT")
    mono = read_mono(path, 22_050)
    assert mono.dtype == np.float32
    assert mono.shape == (round(n_samples * 22_050 / sr),)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(mono)) / 22_050) * (channels - 1) / 2
    np.testing.assert_allclose(mono[500:-500], expected[500:-500], atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 2, 44_101, 12_345, 200_000])
def test_mono_mix_equals_resampling_in_one_piece(tmp_path, n_samples):
    import soxr

    samples = noise(n_samples)
    mono = read_mono(write(tmp_path / "a.wav", samples, SR, "FLOAT"), 22_050)
    whole = soxr.resample(samples.mean(axis=1), SR, 22_050)[: len(mono)]
    assert len(mono) == round(n_samples / 2)
    np.testing.assert_allclose(mono, whole, atol=1e-6)


def test_wav_with_its_size_left_open_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "a.wav", noise(5000), SR, "PCM_16")
    content = bytearray(path.read_bytes())
    begin = content.index(b"data") + 4
    content[begin : begin + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert probe(path).n_samples == 5000


def test_memory_of_a_mono_mix_is_that_of_the_result(tmp_path):
    path = tmp_path / "a.flac"
    with AudioWriter(path, SR, 2, "PCM_16") as writer:
        for _ in range(300):
            writer.write(np.zeros((SR, 2), np.float32))
    code = (
        "import sys, resource, soxr\n"
        "from rl_editor.audio import read_mono\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "signal = read_mono(sys.argv[1], 22050)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(grown * 1024 / signal.nbytes)\n"
    )
    pytest.importorskip("resource")
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert float(ran.stdout) < 1.5


def test_no_temporary_file_stays(tmp_path, monkeypatch):
    path = write(tmp_path / "a.ogg", noise(50_000))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    os.mkdir(tmp_path / "temporary")
    with AudioReader(path) as reader:
        reader.read(5, 10)
    with pytest.raises(ZeroDivisionError), AudioReader(path):
        _ = 1 / 0
    assert os.listdir(tmp_path / "temporary") == []


def test_an_exception_while_writing_leaves_nothing(tmp_path):
    def write_some() -> None:
        with AudioWriter(tmp_path / "a.wav", SR, 2) as writer:
            writer.write(noise(1000))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_some()
    assert os.listdir(tmp_path) == []


def test_a_failed_write_keeps_the_earlier_file(tmp_path):
    path = write(tmp_path / "a.wav", noise(1000))
    before = path.read_bytes()
    with (
        pytest.raises(ValueError, match="not finite"),
        AudioWriter(path, SR, 2) as writer,
    ):
        writer.write(np.full((10, 2), np.nan))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.wav"]


def test_the_target_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    with AudioWriter(path, SR, 2) as writer:
        writer.write(noise(1000))
        assert not path.exists()
    assert probe(path).n_samples == writer.n_samples == 1000


def test_a_link_is_followed_when_written(tmp_path):
    real = write(tmp_path / "real.wav", noise(10))
    link = tmp_path / "link.wav"
    link.symlink_to(real)
    write(link, noise(20))
    assert link.is_symlink()
    assert probe(real).n_samples == 20


@pytest.mark.skipif(os.name == "nt", reason="permission bits of POSIX")
def test_the_file_has_ordinary_permissions(tmp_path):
    path = write(tmp_path / "a.wav", noise(10))
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_that_outgrows_its_header_becomes_rf64(tmp_path, monkeypatch, subtype):
    samples = noise(50_000)
    plain = write(tmp_path / "plain.wav", samples, SR, subtype)
    monkeypatch.setattr(audio_writer, "RIFF_MAX_BYTES", 90_000)
    with AudioWriter(tmp_path / "large.wav", SR, 2, subtype) as writer:
        for start in range(0, len(samples), 3000):
            writer.write(samples[start : start + 3000])
    assert (tmp_path / "plain.wav").read_bytes()[:4] == b"RIFF"
    assert (tmp_path / "large.wav").read_bytes()[:4] == b"RF64"
    assert sorted(os.listdir(tmp_path)) == ["large.wav", "plain.wav"]
    with AudioReader(plain) as first, AudioReader(tmp_path / "large.wav") as second:
        np.testing.assert_array_equal(first.read(0, 50_000), second.read(0, 50_000))


def test_an_aiff_that_outgrows_its_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_writer, "RIFF_MAX_BYTES", 90_000)
    with pytest.raises(UserError, match=r"write \.wav"):
        write(tmp_path / "large.aiff", noise(50_000))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("codec", "name", "subtype"),
    [
        ("aac", "Take 1: a.m4a", "LOSSY"),
        ("alac", "a.m4a", "PCM_24"),
        ("pcm_s16le", "a.mka", "PCM_16"),
    ],
)
def test_pyav_files_are_read_in_place(tmp_path, codec, name, subtype):
    pytest.importorskip("av")
    time_s = np.arange(100_000) / SR
    chirp = 0.5 * np.sin(2 * np.pi * (200 + 1500 * time_s) * time_s)
    samples = np.stack([chirp, 0.5 * chirp], axis=1).astype(np.float32)
    path = write_av(tmp_path / name, samples, codec)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.subtype) == (SR, 2, subtype)
    assert 0 <= info.n_samples - 100_000 < 2048
    with AudioReader(path) as reader:
        assert reader.info == info
        decoded = np.concatenate(list(reader.blocks(30_000)))
        np.testing.assert_array_equal(reader.read(70_001, 70_010), decoded[70_001:70_010])
    middle = slice(5000, 95_000)
    error = decoded[middle] - samples[middle]
    assert np.mean(error**2) < 1e-2 * np.mean(samples[middle] ** 2)
    assert len(read_mono(path, 22_050)) == round(info.n_samples / 2)


def test_a_signal_can_be_checked(tmp_path):
    audio.check_signal(noise(SR), SR, "a.wav")
    audio.check_signal(noise(SR)[:, 0], SR, "a.wav")


@pytest.mark.slow
def test_real_music_is_read_the_same_from_anywhere():
    folder = os.environ.get("RL_EDITOR_MUSIC")
    if not folder:
        pytest.skip("RL_EDITOR_MUSIC names no folder")
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".ogg", ".mp3", ".opus"))
    rng = np.random.default_rng(0)
    for path in rng.choice(np.array(paths, dtype=object), min(5, len(paths)), replace=False):
        whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
        with AudioReader(path) as reader:
            assert reader.info.n_samples == len(whole) == probe(path).n_samples
            for start in rng.integers(0, len(whole) - 500, 50):
                np.testing.assert_array_equal(
                    reader.read(start, start + 500), whole[start : start + 500]
                )
