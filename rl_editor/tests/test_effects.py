"""Each effect's measured effect on the sound."""

from dataclasses import replace

import numpy as np
import pytest

from rl_editor.actions import PITCH_SEMITONES, SPEED_DOWN_RATES, SPEED_UP_RATES
from rl_editor.edl import CURVES, Clip
from rl_editor.effects import (
    FADE_CURVES,
    HIGH_SHELF_HZ,
    LOW_SHELF_HZ,
    clip_envelope,
    distort,
    fade_weights,
    process_clip,
    reverberate,
    shelves,
    stretch,
)

SR = 44100
PLAIN = Clip(0.0, 1.0)


def tone(frequency_hz, duration_s=1.0, sr=SR, amplitude=0.3, channels=1):
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * sr)) / sr)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def rms_db(audio):
    return 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))


def frequency_of(wave, sr=SR):
    """Frequency of the strongest partial, by parabolic interpolation of a zero-padded spectrum."""
    n_fft = 1 << 20
    power = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)), n_fft)) + 1e-12)
    k = int(np.argmax(power))
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * sr / n_fft


def test_every_curve_of_the_edl_has_a_formula():
    assert tuple(FADE_CURVES) == CURVES


@pytest.mark.parametrize("curve", FADE_CURVES)
def test_fade_curve_rises_from_0_to_1(curve):
    x = np.linspace(0.0, 1.0, 1001)
    y = FADE_CURVES[curve](x)
    assert y[0] == 0.0
    assert y[-1] == pytest.approx(1.0, abs=1e-12)
    assert np.all(np.diff(y) >= 0)


@pytest.mark.parametrize("curve", ["linear", "s", "gentle_s"])
def test_equal_gain_fades_are_complements(curve):
    weights = fade_weights(curve, 100)
    np.testing.assert_allclose(weights + weights[::-1], 1.0, atol=1e-12)


def test_equal_power_fades_keep_power():
    weights = fade_weights("equal_power", 100)
    np.testing.assert_allclose(weights**2 + weights[::-1] ** 2, 1.0, atol=1e-12)


def test_curves_bend_as_they_are_named():
    assert FADE_CURVES["convex"](0.5) < FADE_CURVES["gentle_convex"](0.5) < 0.5
    assert FADE_CURVES["s"](0.25) < FADE_CURVES["gentle_s"](0.25) < 0.25
    assert FADE_CURVES["s"](0.75) > FADE_CURVES["gentle_s"](0.75) > 0.75


def test_nothing_set_returns_the_input_itself():
    audio = tone(440)
    assert process_clip(audio, PLAIN, SR) is audio


@pytest.mark.parametrize("gain_db", [-6.0, 3.0, 6.0])
def test_gain_measures_what_it_says(gain_db):
    audio = tone(440, channels=2)
    louder = process_clip(audio, replace(PLAIN, gain_db=gain_db), SR)
    assert rms_db(louder) - rms_db(audio) == pytest.approx(gain_db, abs=1e-4)


def test_fades_have_their_curve():
    ones = np.ones((1000, 2), dtype=np.float32)
    clip = Clip(0, 1, fade_in_s=0.3, fade_in_curve="s", fade_out_s=0.2, fade_out_curve="convex")
    heard = process_clip(ones, clip, 1000)[:, 0]
    np.testing.assert_allclose(heard[:300], fade_weights("s", 300), atol=1e-6)
    np.testing.assert_array_equal(heard[300:800], 1.0)
    np.testing.assert_allclose(heard[800:], fade_weights("convex", 200)[::-1], atol=1e-6)


def test_envelope_in_pieces_equals_the_whole():
    clip = Clip(0, 1, gain_db=-3, fade_in_s=0.7, fade_out_s=0.6, fade_out_curve="equal_power")
    whole = clip_envelope(clip, 1000, 1000, 0, 1000)
    pieces = [clip_envelope(clip, 1000, 1000, i, i + 125) for i in range(0, 1000, 125)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_envelope_is_none_between_the_fades():
    clip = Clip(0, 1, fade_in_s=0.1, fade_out_s=0.1)
    assert clip_envelope(clip, 1000, 1000, 100, 900) is None


def test_reverse_flips_the_samples():
    audio = np.random.default_rng(0).standard_normal((999, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        process_clip(audio, replace(PLAIN, reverse=True), SR), audio[::-1]
    )


@pytest.mark.parametrize("rate", SPEED_UP_RATES + SPEED_DOWN_RATES)
def test_speed_keeps_pitch_and_has_its_length(rate):
    audio = tone(220, channels=2)
    heard = stretch(audio, SR, rate, 0.0)
    assert heard.shape == (round(SR / rate), 2)
    assert 1200 * np.log2(frequency_of(heard[:, 0]) / 220) == pytest.approx(0.0, abs=1.0)
    assert rms_db(heard) == pytest.approx(rms_db(audio), abs=0.3)


@pytest.mark.parametrize("frequency_hz", [55.0, 440.0, 1760.0])
@pytest.mark.parametrize("semitones", [*PITCH_SEMITONES, -0.25, -2.0, -5.0])
def test_pitch_is_within_a_cent_at_the_same_length(frequency_hz, semitones):
    audio = tone(frequency_hz)
    heard = stretch(audio, SR, 1.0, semitones)
    assert len(heard) == len(audio)
    cents = 1200 * np.log2(frequency_of(heard[:, 0]) / frequency_hz)
    assert cents == pytest.approx(100 * semitones, abs=1.0)


@pytest.mark.parametrize(("rate", "semitones"), [(1.5, 0), (0.67, 0), (1.25, 2), (1.0, -5), (1, 5)])
def test_a_click_lands_at_its_time(rate, semitones):
    for time_s in (0.02, 0.5, 1.9):
        audio = np.zeros((2 * SR, 1), dtype=np.float32)
        audio[round(time_s * SR)] = 1.0
        heard = stretch(audio, SR, rate, semitones)
        assert np.argmax(np.abs(heard)) / SR == pytest.approx(time_s / rate, abs=0.002)


@pytest.mark.parametrize("n_samples", [0, 1, 7, 500])
def test_short_clips_stretch_to_their_length(n_samples):
    heard = stretch(np.ones((n_samples, 2), np.float32), SR, 0.8, 1.0)
    assert heard.shape == (round(n_samples / 0.8), 2)


def analogue_shelf_db(frequency_hz, middle_hz, level_db, is_high):
    """Return the levels of the analogue shelf of slope 1 that the filters stand for."""
    a, s = 10 ** (level_db / 40), 1j * frequency_hz / middle_hz
    one, other = s**2 + np.sqrt(2 * a) * s + a, a * s**2 + np.sqrt(2 * a) * s + 1
    return 20 * np.log10(np.abs(a * (other / one if is_high else one / other)))


@pytest.mark.parametrize("sr", [44100, 96000])
@pytest.mark.parametrize("level_db", [-6.0, -3.0, 3.0, 6.0])
@pytest.mark.parametrize("is_high", [False, True])
def test_shelves_have_the_curve_that_is_stated(sr, level_db, is_high):
    impulse = np.zeros((sr, 1))
    impulse[0] = 1.0
    levels = (0.0, level_db) if is_high else (level_db, 0.0)
    spectrum = np.fft.rfft(shelves(impulse, sr, *levels)[:, 0])
    frequency_hz = np.geomspace(20, 20_000, 100).round()
    found_db = 20 * np.log10(np.abs(spectrum[frequency_hz.astype(int)]))
    middle_hz = HIGH_SHELF_HZ if is_high else LOW_SHELF_HZ
    expected_db = analogue_shelf_db(frequency_hz, middle_hz, level_db, is_high)
    np.testing.assert_allclose(found_db, expected_db, atol=0.25)
    assert found_db[-1 if is_high else 0] == pytest.approx(level_db, abs=0.25)
    assert found_db[0 if is_high else -1] == pytest.approx(0.0, abs=0.05)


def test_high_shelf_above_nyquist_is_left_out():
    audio = tone(1000, sr=8000)
    assert shelves(audio, 8000, 0.0, 6.0) is audio


def harmonic_distortion(audio):
    spectrum = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio)))) ** 2
    fundamental = slice(990, 1011)
    return np.sqrt((spectrum.sum() - spectrum[fundamental].sum()) / spectrum[fundamental].sum())


@pytest.mark.parametrize("amplitude", [0.01, 0.5])
def test_distortion_rises_with_strength_at_the_same_level(amplitude):
    audio = tone(1000, amplitude=amplitude)
    heard = [distort(audio, strength) for strength in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    distortion = [harmonic_distortion(wave[100:-100]) for wave in heard]
    assert np.all(np.diff(distortion) > 0.002)
    assert distortion[-1] > 0.2
    for wave in heard:
        assert rms_db(wave) == pytest.approx(rms_db(audio), abs=0.01)


@pytest.mark.parametrize("frequency_hz", [3001.7, 9001.3, 15013.9])
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_distortion_aliases_little(frequency_hz, strength):
    heard = distort(tone(frequency_hz), strength)[1000:-1000, 0]
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(heard * np.blackman(len(heard)))) + 1e-9)
    found_hz = np.fft.rfftfreq(len(heard), 1 / SR)
    from_harmonic_hz = np.abs(found_hz - frequency_hz * np.round(found_hz / frequency_hz))
    assert spectrum[from_harmonic_hz > 20].max() < spectrum.max() - 60


def test_the_stereo_image_stays():
    left = 0.1 * np.random.default_rng(0).standard_normal((2 * SR, 1)).astype(np.float32)
    audio = np.hstack([left, 0.5 * left])
    settings = {"rate": 1.06, "semitones": 1.0, "eq_low_db": 3.0, "eq_high_db": -3.0}
    heard = process_clip(audio, replace(PLAIN, source_end_s=2.0, gain_db=-2.0, **settings), SR)
    np.testing.assert_allclose(heard[:, 1], 0.5 * heard[:, 0], atol=1e-5)


def test_reverb_adds_a_decaying_tail():
    audio = np.zeros((2 * SR, 2), dtype=np.float32)
    audio[:100] = np.random.default_rng(0).standard_normal((100, 2)) * 0.3
    heard = reverberate(audio, SR, 0.6)
    assert heard.shape == audio.shape
    level_db = [rms_db(heard[round(t * SR) : round((t + 0.2) * SR)]) for t in (0.1, 0.5, 0.9, 1.3)]
    assert np.all(np.diff(level_db) < -8)
    assert level_db[0] > -70
    assert np.abs(np.corrcoef(heard[SR // 2 : SR].T)[0, 1]) < 0.1


def test_reverb_grows_with_strength_and_keeps_level():
    audio = (0.1 * np.random.default_rng(0).standard_normal((3 * SR, 1))).astype(np.float32)
    wet = [rms_db(reverberate(audio, SR, s) - np.cos(np.pi / 4 * s) * audio) for s in (0.2, 0.6, 1)]
    assert np.all(np.diff(wet) > 3)
    assert rms_db(reverberate(audio, SR, 1.0)) == pytest.approx(rms_db(audio), abs=1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sr", [8000, 48000])
def test_everything_at_once_keeps_type_length_and_input(dtype, sr):
    audio = (0.1 * np.random.default_rng(0).standard_normal((sr // 2, 3))).astype(dtype)
    before = audio.copy()
    clip = Clip(
        0, 0.5, gain_db=-2, fade_in_s=0.1, fade_out_s=0.1, rate=1.12, semitones=1, reverse=True,
        eq_low_db=3, eq_high_db=-3, distortion=0.4, reverb=0.4,
    )  # fmt: skip
    heard = process_clip(audio, clip, sr)
    assert heard.dtype == dtype
    assert heard.shape == (round(len(audio) / 1.12), 3)
    assert np.all(np.isfinite(heard))
    np.testing.assert_array_equal(audio, before)
    np.testing.assert_array_equal(heard, process_clip(audio, clip, sr))
