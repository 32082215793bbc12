"""The offline stems hear what is plainly drums, bass, a lead, or none of them."""

import numpy as np
import pytest

from rl_editor.config import AnalysisConfig
from rl_editor.frame_features import frame_features
from rl_editor.stems import STEM_NAMES, offline_stems

CONFIG = AnalysisConfig()
DURATION_S = 4.0
TIME_S = np.arange(int(DURATION_S * CONFIG.sr)) / CONFIG.sr


def partials(pitch_hz, count):
    """Return a harmonic sound whose pitch `pitch_hz` may change with time."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch_hz, TIME_S.shape)) / CONFIG.sr
    return sum(0.1 / k * np.sin(k * phase) for k in range(1, count + 1))


def hits():
    rng = np.random.default_rng(0)
    return 0.3 * np.exp(-80.0 * (TIME_S % 0.5)) * rng.standard_normal(len(TIME_S))


def melody():
    """A voice-like line: four notes a second, some semitones apart."""
    steps = np.array([0, 4, 7, 2, 9, 5, 12, 3])[(TIME_S * 4).astype(int) % 8]
    return partials(440.0 * 2.0 ** (steps / 12), 4)


SOUNDS = {
    "drums": hits,
    "bass": lambda: partials(60.0, 2),
    "vocals": melody,
    "other": lambda: partials(523.0, 3) + partials(659.0, 3) + partials(784.0, 3),
}


def stems_of(sound):
    frames = frame_features(sound.astype(np.float32), CONFIG)
    return frames, offline_stems(frames.mel_power, frames.power, CONFIG)


@pytest.mark.parametrize("name", STEM_NAMES)
def test_each_stem_is_heard_as_itself(name):
    _, stems = stems_of(SOUNDS[name]())
    share = stems.power.sum(axis=0) / stems.power.sum()
    assert share[STEM_NAMES.index(name)] > 0.6


def test_powers_add_up_to_that_of_the_mix():
    frames, stems = stems_of(sum(sound() for sound in SOUNDS.values()))
    np.testing.assert_allclose(stems.power.sum(axis=1), frames.power, rtol=1e-4)
    assert stems.power.min() >= 0.0
    assert stems.source == "offline"


def test_drum_onsets_are_at_the_hits():
    _, stems = stems_of(SOUNDS["drums"]() + SOUNDS["other"]())
    onset = stems.onset[:, STEM_NAMES.index("drums")]
    near_hits = np.add.outer(np.arange(25, 176, 25), [-2, -1, 0, 1, 2])
    assert onset[near_hits].max(axis=1).min() > 5 * np.median(onset)


def test_blocks_change_nothing(monkeypatch):
    frames, whole = stems_of(sum(sound() for sound in SOUNDS.values()))
    monkeypatch.setattr("rl_editor.stems._BLOCK_FRAMES", 64)
    parts = offline_stems(frames.mel_power, frames.power, CONFIG)
    np.testing.assert_allclose(parts.power, whole.power, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(parts.onset, whole.onset, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 500, 22050])
def test_silence_is_silent_and_finite(n_samples):
    frames = frame_features(np.zeros(n_samples, dtype=np.float32), CONFIG)
    stems = offline_stems(frames.mel_power, frames.power, CONFIG)
    assert not stems.power.any()
    assert not stems.onset.any()
