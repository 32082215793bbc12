import numpy as np
import pytest

from rl_editor.loudness import LoudnessMeter, gated_loudness
from rl_editor.units import db_to_gain


def measured(audio, sr, block=65_536, speakers=()):
    meter = LoudnessMeter(sr, audio.shape[1], speakers)
    for start in range(0, len(audio), block):
        meter.add(audio[start : start + block])
    return meter.close(), meter


def tone(sr, duration_s, frequency_hz, channels=2, phase=0.0):
    wave = np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * sr)) / sr + phase)
    return np.repeat(wave[:, None], channels, axis=1)


def swelling(sr, channels):
    """Noise from silence to loud and back, so that both gates have something to leave out."""
    noise = 0.2 * np.random.default_rng(1).standard_normal((round(9.73 * sr), channels))
    return noise * (np.sin(np.arange(len(noise)) / sr) ** 8)[:, None]


def test_a_tone_has_the_loudness_that_the_standard_says():
    full = measured(tone(48_000, 5, 997.0, 1), 48_000)[0]
    assert full.lufs == pytest.approx(-3.01, abs=0.01)
    quiet = measured(db_to_gain(-20.0) * tone(48_000, 5, 997.0, 2), 48_000)[0]
    assert quiet.lufs == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("sr", [8000, 11_025, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_the_loudness_of_pyloudnorm(sr, channels):
    # "DeMan" are the filters of the standard; its own default reads 0.04 LU less at 48 kHz
    pyloudnorm = pytest.importorskip("pyloudnorm")
    for audio in (swelling(sr, channels), tone(sr, 1.0, 100.0, channels)):
        expected = pyloudnorm.Meter(sr, filter_class="DeMan").integrated_loudness(audio)
        assert measured(audio, sr, 7001)[0].lufs == pytest.approx(expected, abs=0.01)


def test_the_same_in_any_blocks():
    audio = swelling(44_100, 2).astype(np.float32)
    whole, meter = measured(audio, 44_100, len(audio))
    for block in (44, 999, 65_536):
        parts, other = measured(audio, 44_100, block)
        assert parts.lufs == pytest.approx(whole.lufs, abs=1e-9)
        assert parts.true_peak_db == pytest.approx(whole.true_peak_db, abs=1e-4)
        np.testing.assert_allclose(other.steps().peaks, meter.steps().peaks, atol=1e-6)
        np.testing.assert_allclose(other.steps().energies, meter.steps().energies, rtol=1e-5)


@pytest.mark.parametrize("sr", [44_100, 96_000, 192_000])
def test_a_peak_between_the_samples_is_found(sr):
    audio = tone(sr, 1.0, sr / 4, 1, phase=np.pi / 4)
    audio *= np.hanning(len(audio))[:, None]
    loudness, meter = measured(audio, sr)
    assert float(np.abs(audio).max()) == pytest.approx(0.5**0.5, abs=1e-3)
    expected_db = -3.01 if sr == 192_000 else 0.0  # not resampled there
    assert loudness.true_peak_db == pytest.approx(expected_db, abs=0.05)
    assert len(meter.steps().peaks) == -(-len(audio) // round(sr / 1000))


def test_channels_weigh_as_their_loudspeakers():
    sr, rng = 48_000, np.random.default_rng(0)
    speakers = ("L", "R", "C", "LFE", "Ls", "Rs")

    def only(name):
        audio = np.zeros((sr, 6))
        audio[:, speakers.index(name)] = 0.1 * rng.standard_normal(sr)
        return measured(audio, sr, speakers=speakers)[0].lufs

    assert only("Ls") - only("C") == pytest.approx(1.5, abs=0.2)
    assert only("LFE") is None


@pytest.mark.parametrize(
    "audio", [np.zeros((48_000, 2)), tone(48_000, 0.39, 440), tone(48000, 0, 1)]
)
def test_silence_and_what_is_too_short_have_no_loudness(audio):
    loudness = measured(audio, 48_000)[0]
    assert loudness.lufs is None
    assert np.isfinite(loudness.true_peak_db)


def test_the_gates():
    assert gated_loudness(np.full(10, 1e-8)) is None
    loud, quiet = np.full(10, 0.1), np.full(90, 5e-4)
    assert gated_loudness(np.concatenate([loud, quiet])) == pytest.approx(-10.691)
