"""The table of 121 features, and what a beat's numbers mean."""

from dataclasses import replace

import numpy as np
import pytest

from rl_editor import units
from rl_editor.config import AnalysisConfig
from rl_editor.features import (
    FEATURE_NAMES,
    RHYTHM_NAMES,
    SOUND_NAMES,
    beat_features,
    beat_means,
    rhythm_features,
)
from rl_editor.frame_features import frame_features
from rl_editor.grid import steady_grid
from rl_editor.stems import STEM_NAMES, offline_stems

CONFIG = AnalysisConfig()


def features_of(signal, grid):
    frames = frame_features(signal, CONFIG)
    stems = offline_stems(frames.mel_power, frames.power, CONFIG)
    table = beat_features(frames, stems, grid, CONFIG)
    return {name: table[:, column] for column, name in enumerate(FEATURE_NAMES)}


def noise(duration_s, seed=0):
    n_samples = int(duration_s * CONFIG.sr)
    return 0.1 * np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32)


def test_the_table_has_121_different_names_in_the_order_of_the_design():
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 121
    assert FEATURE_NAMES[:52] == SOUND_NAMES
    assert FEATURE_NAMES[52:104] == tuple(f"{name}_change" for name in SOUND_NAMES)
    assert FEATURE_NAMES[104:109] == RHYTHM_NAMES
    assert FEATURE_NAMES[109:112] == ("drums_level_db", "drums_onset", "drums_share")
    assert SOUND_NAMES[1] == "rms_db"


def test_level_is_the_mean_power_in_db():
    signal = noise(8.0)
    signal[: len(signal) // 2] *= 0.1
    features = features_of(signal, steady_grid(8.0, 60.0))
    np.testing.assert_allclose(features["rms_db"][[1, 2, 5, 6]], [-40, -40, -20, -20], atol=0.2)
    assert features["rms_db_change"][0] == 0.0
    expected = np.diff(features["rms_db"])
    np.testing.assert_allclose(features["rms_db_change"][1:], expected, atol=1e-4)


def test_shares_of_the_stems_add_up_to_one():
    features = features_of(noise(4.0), steady_grid(4.0))
    total = sum(features[f"{stem}_share"] for stem in STEM_NAMES)
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


@pytest.mark.parametrize("duration_s", [0.05, 0.3, 3.0])
def test_silence_is_finite_and_at_the_floor(duration_s):
    signal = np.zeros(int(duration_s * CONFIG.sr), dtype=np.float32)
    features = features_of(signal, steady_grid(duration_s))
    assert all(np.isfinite(values).all() for values in features.values())
    for name in ("rms_db", *(f"{stem}_level_db" for stem in STEM_NAMES)):
        np.testing.assert_array_equal(features[name], units.SILENCE_DB)
    assert not features["drums_share"].any()


def test_beat_means_cover_each_frame_once():
    values = np.arange(101, dtype=np.float32)[:, None]
    grid = steady_grid(2.0, 120.0)
    expected = [[12.0], [37.0], [62.0], [87.5]]
    np.testing.assert_allclose(beat_means(values, grid, CONFIG), expected)


def test_a_beat_shorter_than_a_frame_takes_the_frame_at_its_start():
    values = np.arange(11, dtype=np.float32)[:, None]
    means = beat_means(values, steady_grid(0.2, 60.0 / 0.005), CONFIG)
    assert len(means) == 40
    assert np.isfinite(means).all()
    np.testing.assert_allclose(means[[0, 20]], [[0.0], [5.0]])


def rhythm(grid):
    return dict(zip(RHYTHM_NAMES, rhythm_features(grid).T, strict=True))


def test_place_in_bar_is_an_angle_and_place_in_phrase_a_part():
    columns = rhythm(steady_grid(16.0, 120.0))
    np.testing.assert_allclose(columns["bar_sine"][:4], [0, 1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(columns["bar_cosine"][:4], [1, 0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(columns["phrase_place"], np.arange(32) % 16 / 16)
    np.testing.assert_allclose(columns["tempo_octaves"], 0.0, atol=1e-9)


def test_a_pickup_counts_back_from_the_first_downbeat():
    steady = steady_grid(8.0, 120.0)
    index = np.arange(16)
    grid = replace(steady, is_downbeat=index % 4 == 1, is_phrase_start=index == 1)
    columns = rhythm(grid)
    np.testing.assert_allclose(columns["bar_sine"][:3], [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(columns["phrase_place"][:3], [0, 0, 1 / 15])


def test_a_beat_at_double_speed_is_one_octave_up():
    steady = steady_grid(4.0, 60.0)
    grid = replace(steady, beats_s=np.array([0.0, 1.0, 1.5, 3.99]))
    np.testing.assert_allclose(rhythm(grid)["tempo_octaves"][:2], [0.0, 1.0], atol=1e-9)
    assert rhythm(grid)["tempo_octaves"][3] == 2.0
