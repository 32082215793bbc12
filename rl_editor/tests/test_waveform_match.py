import numpy as np
import pytest
import soxr

from rl_editor.matches import Match
from rl_editor.tests.made_recordings import SR, music
from rl_editor.waveform_match import refine_by_waveform, sample_at, waveform_correlations


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return music(12.0, 1)


def test_reading_between_samples():
    signal = np.sin(0.5 * np.arange(200)).astype(np.float32)
    whole = np.arange(20, 40).astype(float)
    np.testing.assert_array_equal(sample_at(signal, whole), signal[20:40])
    for places in (whole + 0.3, 20 + 1.07 * np.arange(50)):
        np.testing.assert_allclose(sample_at(signal, places), np.sin(0.5 * places), atol=0.01)


def test_beyond_the_ends_lies_silence():
    signal = np.ones(10, np.float32)
    assert not sample_at(signal, np.array([-30.0, -20.5, 25.0])).any()
    assert not sample_at(signal, np.array([1000.0, 1001.0])).any()


@pytest.mark.parametrize("error", [-900, 0, 431])
def test_a_plain_copy_is_found_to_the_sample(raw, error):
    edit = 0.5 * raw[3 * SR : 8 * SR]
    guess = Match(0, len(edit), 3.0 * SR + error)
    found = refine_by_waveform(guess, raw, edit, 1000, (SR, 2e-4))
    assert found is not None
    assert (found.raw_start, found.speed) == (3.0 * SR, 1.0)
    assert found.is_copy
    assert found.confidence > 0.999


def test_a_copy_half_a_sample_late_correlates_as_well(raw):
    fine = soxr.resample(raw, SR, 2 * SR)
    edit = fine[2 * 3 * SR + 1 : 2 * 8 * SR : 2].astype(np.float32)
    found = refine_by_waveform(Match(0, len(edit), 3.0 * SR), raw, edit, 100, (SR, 2e-4))
    assert found is not None
    assert found.raw_start == pytest.approx(3 * SR + 0.5, abs=0.1)
    assert found.confidence > 0.95


def test_the_speed_of_a_tape_is_found(raw):
    edit = soxr.resample(raw[2 * SR : 9 * SR], SR * 1.04, SR).astype(np.float32)
    guess = Match(0, len(edit), 2.0 * SR + 60, 1.0405, 2)
    found = refine_by_waveform(guess, raw, edit, SR // 50, (SR // 6, 0.002))
    assert found is not None
    assert found.speed == pytest.approx(1.04, abs=1e-5)
    assert found.raw_start == pytest.approx(2 * SR, abs=2)
    starts = np.arange(0, 6 * SR, SR)
    assert waveform_correlations(found, raw, edit, starts, SR).min() > 0.95


def test_another_recording_is_no_copy(raw):
    edit = music(4.0, 2)
    assert refine_by_waveform(Match(0, len(edit), 2.0 * SR), raw, edit, 2000, (SR, 2e-4)) is None
