"""Laws of the short-time Fourier transform and the filter banks."""

import numpy as np
import pytest

from rl_editor.config import AnalysisConfig
from rl_editor.spectrogram import (
    BLOCK_FRAMES,
    bin_frequencies_hz,
    chroma_bank,
    frame_blocks,
    frame_count,
    magnitude_blocks,
    mel_bank,
    mel_densities,
    power_to_db,
)

CONFIG = AnalysisConfig()


def tone(frequency_hz, duration_s, amplitude=0.5):
    time_s = np.arange(int(duration_s * CONFIG.sr)) / CONFIG.sr
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def whole(signal):
    return np.concatenate([block for _, block in magnitude_blocks(signal, CONFIG)])


def test_blocks_cover_every_frame_once():
    n_samples = 2 * BLOCK_FRAMES * CONFIG.hop_length + 700
    signal = np.zeros(n_samples, dtype=np.float32)
    expected = 0
    for first, block in magnitude_blocks(signal, CONFIG):
        assert first == expected
        assert block.dtype == np.float32
        expected += len(block)
    assert expected == frame_count(n_samples, CONFIG) == 1 + n_samples // 441


@pytest.mark.parametrize("n_samples", [1, 440, 441, 442, 3000])
def test_a_frame_is_centred_on_its_sample(n_samples):
    signal = np.arange(1, n_samples + 1, dtype=np.float32)
    frames = np.concatenate([block for _, block in frame_blocks(signal, CONFIG)])
    centres = frames[:, CONFIG.n_fft // 2]
    positions = np.arange(len(frames)) * CONFIG.hop_length
    padded = np.append(signal, np.zeros(CONFIG.hop_length, dtype=np.float32))
    np.testing.assert_array_equal(centres, padded[positions])


@pytest.mark.parametrize("shape", [(0,), (100, 2)])
def test_a_signal_that_is_empty_or_not_mono_is_refused(shape):
    with pytest.raises(ValueError, match="signal"):
        next(frame_blocks(np.zeros(shape, dtype=np.float32), CONFIG))


def test_a_tone_peaks_at_its_bin_with_half_the_windows_sum():
    frequency = bin_frequencies_hz(CONFIG)[100]
    magnitude = whole(tone(frequency, 0.5))[10]
    assert magnitude.argmax() == 100
    assert magnitude[100] == pytest.approx(0.5 * CONFIG.n_fft / 2 / 2, rel=1e-3)


def test_energy_is_kept():
    signal = np.random.default_rng(0).standard_normal(CONFIG.sr).astype(np.float32)
    magnitude = whole(signal)[10:-10].astype(np.float64)
    two_sided = 2 * np.sum(magnitude**2, axis=1) - magnitude[:, 0] ** 2 - magnitude[:, -1] ** 2
    assert two_sided.mean() / CONFIG.n_fft == pytest.approx(3 / 8 * CONFIG.n_fft, rel=0.02)


def test_equals_librosa():
    librosa = pytest.importorskip("librosa")
    signal = np.random.default_rng(1).standard_normal(9000).astype(np.float32)
    expected = np.abs(librosa.stft(signal, n_fft=2048, hop_length=441)).T
    np.testing.assert_allclose(whole(signal), expected, rtol=1e-4, atol=1e-5)
    mel = librosa.filters.mel(sr=22050, n_fft=2048, n_mels=128)
    np.testing.assert_allclose(mel_bank(CONFIG), mel.T, rtol=1e-4, atol=1e-9)
    chroma = librosa.filters.chroma(sr=22050, n_fft=2048, tuning=0.0)
    np.testing.assert_allclose(chroma_bank(CONFIG), chroma.T, rtol=1e-4, atol=1e-9)
    power = np.square(expected)
    np.testing.assert_allclose(power_to_db(power), librosa.power_to_db(power), atol=1e-4)


def test_densities_undo_the_equal_area_of_mel_bands():
    flat = mel_bank(CONFIG) / mel_densities(CONFIG)
    inside = flat[20:970].sum(axis=1)
    np.testing.assert_allclose(inside, 1.0, atol=1e-5)


def test_chroma_hears_a_as_a():
    magnitude = whole(tone(440.0, 0.5))[10]
    assert (np.square(magnitude) @ chroma_bank(CONFIG)).argmax() == 9


def test_power_to_db_has_a_range_of_80_db_and_is_finite_in_silence():
    level = power_to_db(np.array([1.0, 1e-4, 1e-9], dtype=np.float32))
    np.testing.assert_allclose(level, [0.0, -40.0, -80.0], atol=1e-4)
    silence = power_to_db(np.zeros(3, dtype=np.float32))
    np.testing.assert_allclose(silence, -100.0, atol=1e-4)
