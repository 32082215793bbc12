import numpy as np
import pytest

from rl_editor.limiter import MAX_LOSS_LU, LevelCurve, level_curve, limiter_curve
from rl_editor.loudness import LoudnessMeter
from rl_editor.units import gain_to_db

SR = 44_100
CEILING_DB = -1.0


def measured(audio, sr=SR):
    meter = LoudnessMeter(sr, audio.shape[1])
    meter.add(audio)
    return meter.close(), meter.steps()


def applied(curve, audio, block=9999):
    parts = [curve.applied(audio[at : at + block], at) for at in range(0, len(audio), block)]
    return np.concatenate(parts)


def drums(duration_s=6.0, sr=SR):
    """Hits that die away over soft noise: peaks 18 dB above the loudness, float32 [S, 2]."""
    rng = np.random.default_rng(0)
    times = np.arange(round(duration_s * sr)) / sr
    hits = (
        np.exp(-(times % 0.5) / 0.03)
        * rng.choice([0.5, 1.0], len(times) // (sr // 2) + 1)[(times / 0.5).astype(int)]
    )
    left, right = rng.uniform(-1, 1, (2, len(times)))
    noise = 0.02 * rng.standard_normal(len(times))
    return np.stack([0.5 * hits * left + noise, 0.3 * hits * right + noise], 1).astype(np.float32)


def test_a_gain_alone_where_no_peak_is_in_the_way():
    audio = drums()
    before, steps = measured(audio)
    curve = level_curve(before, steps, before.lufs - 7.0, CEILING_DB)
    assert (curve.gain_db, curve.deepest_db, curve.is_short) == (-7.0, 0.0, False)
    np.testing.assert_array_equal(applied(curve, audio), audio * np.float32(10 ** (-7 / 20)))


@pytest.mark.parametrize("sr", [8000, 44_100, 96_000])
@pytest.mark.parametrize("target_lufs", [-18.0, -14.0])
def test_loudness_and_ceiling_are_met_together(sr, target_lufs):
    audio = drums(sr=sr)
    curve = level_curve(*measured(audio, sr), target_lufs, CEILING_DB)
    assert curve.deepest_db > 1.0
    after = measured(applied(curve, audio), sr)[0]
    assert after.lufs == pytest.approx(target_lufs, abs=0.05)
    assert CEILING_DB - 0.3 < after.true_peak_db <= CEILING_DB


def test_the_ceiling_wins():
    audio = drums()
    before, steps = measured(audio)
    curve = level_curve(before, steps, -5.0, CEILING_DB)
    after = measured(applied(curve, audio))[0]
    assert curve.is_short
    assert curve.gain_db == pytest.approx(-5.0 - before.lufs + MAX_LOSS_LU)
    assert after.lufs < -5.5
    assert after.true_peak_db <= CEILING_DB


def test_nothing_overshoots_and_both_channels_move_alike():
    audio = drums(3.0).astype(np.float64)
    for gain_db in (6.0, 20.0, 40.0):
        limits = limiter_curve(measured(audio)[1].peaks, CEILING_DB - gain_db)
        made = applied(LevelCurve(gain_db, 44, limits), audio)
        assert measured(made)[0].true_peak_db <= CEILING_DB
        np.testing.assert_allclose(made[:, 0] * audio[:, 1], made[:, 1] * audio[:, 0], atol=1e-9)


def test_it_falls_before_a_peak_and_comes_back_smoothly():
    peaks = np.full(1000, 0.1, dtype=np.float32)
    peaks[500] = 1.0
    level_db = gain_to_db(limiter_curve(peaks, -12.0))
    assert level_db[500] <= -12.0
    assert level_db[501] <= -12.0
    assert np.all(level_db[:494] == 0.0)
    assert np.all(level_db[495:500] < 0.0)
    assert np.all(level_db[750:] == 0.0)
    rise_db = np.diff(level_db[505:])
    assert rise_db.min() >= 0.0
    assert rise_db.max() <= 0.061


def test_a_steady_bass_is_hardly_distorted():
    audio = np.sin(2 * np.pi * 55.0 * np.arange(4 * SR) / SR)[:, None]
    limits = limiter_curve(measured(audio)[1].peaks, -6.0)
    made = applied(LevelCurve(0.0, 44, limits), audio)[SR : 3 * SR, 0]
    power = np.abs(np.fft.rfft(made * np.blackman(len(made)))) ** 2
    tone = power[104:117].sum()
    assert 10 * np.log10((power[20:].sum() - tone) / tone) < -60.0


def test_a_track_without_loudness_is_refused():
    before, steps = measured(np.zeros((SR, 1)))
    with pytest.raises(ValueError, match="without a loudness"):
        level_curve(before, steps, -14.0, CEILING_DB)
