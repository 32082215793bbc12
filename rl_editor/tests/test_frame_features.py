"""Frame features equal librosa's, and known answers without it."""

import os
from pathlib import Path

import numpy as np
import pytest

from rl_editor.config import AnalysisConfig
from rl_editor.frame_features import (
    CHROMA,
    CONTRAST,
    FRAME_NAMES,
    MFCC,
    MFCC_DELTA,
    delta,
    frame_features,
    mean_rise,
)

CONFIG = AnalysisConfig()
TOLERANCE = 1e-4


def rich_signal(duration_s=6.0, seed=0):
    """Chords with partials, drum hits, a noise floor, and one second that is very quiet."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(duration_s * CONFIG.sr)) / CONFIG.sr
    sound = 1e-4 * rng.standard_normal(len(time_s))
    for start, pitch_hz in enumerate(rng.uniform(80, 900, size=2 * int(duration_s))):
        age_s = np.maximum(time_s - start / 2, 0.0)
        for partial in range(1, 9):
            if partial * pitch_hz < CONFIG.sr / 2:
                envelope = np.exp(-2.0 * age_s) * (time_s >= start / 2)
                sound += 0.1 / partial * envelope * np.sin(2 * np.pi * partial * pitch_hz * age_s)
        burst = np.exp(-60.0 * age_s) * (time_s >= start / 2)
        sound += 0.2 * burst * rng.standard_normal(len(time_s))
    sound[CONFIG.sr : 2 * CONFIG.sr] *= 1e-3
    return sound.astype(np.float32)


def librosa_features(signal):
    import librosa

    framing = {"n_fft": CONFIG.n_fft, "hop_length": CONFIG.hop_length}
    in_time = {"frame_length": CONFIG.n_fft, "hop_length": CONFIG.hop_length}
    both = {"y": signal, "sr": CONFIG.sr, **framing}
    feature = librosa.feature
    mfcc = feature.mfcc(n_mfcc=13, **both)
    rows = [
        librosa.onset.onset_strength(**both)[None],
        feature.rms(y=signal, **in_time),
        feature.spectral_centroid(**both),
        feature.spectral_bandwidth(**both),
        feature.spectral_rolloff(**both),
        feature.spectral_flatness(y=signal, **framing),
        feature.zero_crossing_rate(signal, **in_time),
        feature.spectral_contrast(**both),
        mfcc,
        feature.delta(mfcc, width=9),
        feature.chroma_stft(tuning=0.0, **both),
    ]
    return np.concatenate(rows).T


def assert_equals_librosa(signal, allowed_share=0.0):
    """Every value within 1e-4 of librosa's, relative to it plus its column's RMS.

    The column's RMS stands in where signed values cross zero. `allowed_share` is the share of
    frames that may miss it in a column.
    """
    ours, expected = frame_features(signal, CONFIG).values, librosa_features(signal)
    assert ours.shape == expected.shape
    scale = np.sqrt(np.mean(np.square(expected), axis=0))
    misses = np.abs(ours - expected) > TOLERANCE * (np.abs(expected) + scale)
    share = dict(zip(FRAME_NAMES, misses.mean(axis=0), strict=True))
    wrong = {name: value for name, value in share.items() if value > allowed_share}
    assert not wrong


def test_equal_to_librosa_on_a_rich_signal():
    pytest.importorskip("librosa")
    assert_equals_librosa(rich_signal())


@pytest.mark.slow
def test_equal_to_librosa_on_real_music():
    pytest.importorskip("librosa")
    folder = os.environ.get("RL_EDITOR_MUSIC")
    if not folder:
        pytest.skip("RL_EDITOR_MUSIC names no folder with music")
    import soundfile
    import soxr

    tracks = [path for path in Path(folder).rglob("*.ogg") if path.stat().st_size > 500_000]
    assert tracks, f"no .ogg file of more than 500 kB in {folder}"
    for path in sorted(tracks)[:: 1 + len(tracks) // 8]:
        with soundfile.SoundFile(path) as file:
            sound = file.read(40 * file.samplerate, dtype="float32", always_2d=True)
            rate = file.samplerate
        signal = soxr.resample(sound.mean(axis=1), rate, CONFIG.sr)
        # A roll-off threshold may fall on the border between two bins once in a while.
        assert_equals_librosa(signal, allowed_share=2e-3)


def column(signal, name):
    return frame_features(signal, CONFIG).values[:, FRAME_NAMES.index(name)]


def sine(frequency_hz, amplitude=0.5, duration_s=1.0):
    time_s = np.arange(int(duration_s * CONFIG.sr)) / CONFIG.sr
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_there_are_52_names_and_the_slices_fit_them():
    assert len(FRAME_NAMES) == len(set(FRAME_NAMES)) == 52
    assert FRAME_NAMES[CONTRAST][0] == "contrast_0_db"
    assert FRAME_NAMES[MFCC][0] == "mfcc_1"
    assert FRAME_NAMES[MFCC_DELTA][-1] == "mfcc_13_delta"
    assert FRAME_NAMES[CHROMA] == tuple(n for n in FRAME_NAMES if n.startswith("chroma"))


def test_a_sine_has_the_numbers_of_a_sine():
    signal = sine(1000.0)
    middle = slice(5, -5)
    np.testing.assert_allclose(column(signal, "rms")[middle], 0.5 / np.sqrt(2), rtol=2e-3)
    np.testing.assert_allclose(column(signal, "centroid_hz")[middle], 1000.0, rtol=2e-3)
    crossing_rate = column(signal, "zero_crossing_rate")[middle]
    np.testing.assert_allclose(crossing_rate, 2000 / 22050, atol=1e-3)
    assert column(signal, "flatness")[middle].max() < 1e-3
    assert frame_features(signal, CONFIG).chroma[20].argmax() == 11  # 1000 Hz is close to B5


def test_noise_is_flat_and_broad():
    noise = np.random.default_rng(0).standard_normal(CONFIG.sr).astype(np.float32)
    assert column(noise, "flatness")[5:-5].min() > 0.4
    np.testing.assert_allclose(column(noise, "centroid_hz")[5:-5], 22050 / 4, rtol=0.1)


def test_an_onset_is_where_the_sound_begins():
    signal = np.concatenate([np.zeros(CONFIG.sr, dtype=np.float32), sine(500.0)])
    assert abs(int(column(signal, "onset_strength").argmax()) - 50) <= 2


@pytest.mark.parametrize("n_samples", [1, 300, 441, 1000, 5000])
def test_silence_of_any_length_is_finite(n_samples):
    features = frame_features(np.zeros(n_samples, dtype=np.float32), CONFIG)
    assert features.values.shape == (1 + n_samples // 441, 52)
    assert np.isfinite(features.values).all()
    assert not features.power.any()


def test_delta_of_a_ramp_is_its_slope_at_every_length():
    for n_frames in (3, 4, 8, 9, 10, 30):
        ramp = np.arange(n_frames, dtype=np.float32)[:, None] * np.float32([2.0, -0.5])
        np.testing.assert_allclose(delta(ramp), np.tile([2.0, -0.5], (n_frames, 1)), rtol=1e-5)
    assert not delta(np.ones((2, 3), dtype=np.float32)).any()


def test_only_rises_count():
    level = np.array([[0.0, 0.0], [4.0, -10.0], [4.0, -10.0]], dtype=np.float32)
    np.testing.assert_array_equal(mean_rise(level), [0.0, 2.0, 0.0])


def test_the_visitor_sees_every_block_of_the_same_transform():
    signal = rich_signal(2.0)
    seen = []
    frame_features(signal, CONFIG, visit=lambda first, block: seen.append((first, len(block))))
    assert sum(length for _, length in seen) == 1 + len(signal) // 441
    assert seen[0][0] == 0
