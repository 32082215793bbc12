import numpy as np
import pytest

from rl_editor.line_fit import correlograms, fit_line


def test_correlogram_peaks_where_the_window_was_taken():
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(3, 80, 2)).astype(np.float32)
    places = [0, 17, 30]
    windows = np.stack([f[p : p + 50] for f, p in zip(fields, places, strict=True)])
    values = correlograms(windows, fields)
    assert values.shape == (3, 31)
    np.testing.assert_array_equal(values.argmax(axis=1), places)
    np.testing.assert_allclose(values.max(axis=1), 1.0, atol=1e-5)


def test_oversampled_correlogram_sees_half_a_sample():
    times = np.arange(400)
    wave = np.sin(0.8 * np.pi * times) * np.hanning(400)
    shifted = np.sin(0.8 * np.pi * (times - 4.5)) * np.interp(times - 4.5, times, np.hanning(400))
    field = np.pad(shifted, (0, 20))[None, :, None].astype(np.float32)
    values = correlograms(wave[None, :, None].astype(np.float32), field, 2)
    assert values.shape == (1, 41)
    assert values[0].argmax() == 9


def test_silence_correlates_with_nothing():
    zeros = np.zeros((2, 30, 1), np.float32)
    assert not correlograms(zeros[:, :20], zeros).any()


@pytest.mark.parametrize(("offset", "slope"), [(20.3, 0.0), (18.0, 0.02), (25.5, -0.015)])
def test_a_line_is_found_among_the_peaks_of_a_rhythm(offset, slope):
    rng = np.random.default_rng(1)
    times = np.linspace(-400, 400, 17)
    lags = np.arange(45)
    values = rng.uniform(0, 0.2, (17, 45))
    for k, time in enumerate(times):
        centre = offset + slope * time
        values[k] += np.exp(-(((lags - centre) / 1.5) ** 2))
        # A false peak that is higher, but on no line.
        values[k] += 1.1 * np.exp(-(((lags - rng.uniform(0, 45)) / 1.5) ** 2))
    line = fit_line(values, times, 0.03)
    assert line.offset == pytest.approx(offset, abs=0.5)
    assert line.slope == pytest.approx(slope, abs=0.001)
    assert line.score > 0.7


def test_a_flat_line_stays_flat_when_asked():
    values = np.zeros((5, 21))
    values[np.arange(5), [8, 9, 10, 11, 12]] = 1.0
    assert fit_line(values, np.linspace(-20, 20, 5), 0.0).slope == 0.0
    assert fit_line(values, np.linspace(-20, 20, 5), 0.2).slope == pytest.approx(0.1, abs=0.01)
