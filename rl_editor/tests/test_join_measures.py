"""The four measures on sounds whose answer is known."""

import numpy as np
import pytest

from rl_editor.edl import Join
from rl_editor.grid import steady_grid
from rl_editor.join_measures import (
    NEIGHBOURHOOD_S,
    JoinMeasures,
    Reference,
    beat_offsets,
    is_within_limits,
    measure,
    offset_between,
    ordinary_beat_changes,
    read_mono,
)
from rl_editor.sample_readers import ArrayReader

SR = 44100
HALF = round(NEIGHBOURHOOD_S * SR)


def sides(before, after, sr=SR):
    half = round(NEIGHBOURHOOD_S * sr)
    time_s = (np.arange(2 * half) - half) / sr
    return np.where(time_s < 0, before(time_s), after(time_s))[None]


def tone(frequency_hz, amplitude=0.2):
    return lambda time_s: amplitude * np.sin(2 * np.pi * frequency_hz * time_s)


def measured(excerpts, sr=SR):
    return measure(excerpts, sr, np.zeros(len(excerpts)))


@pytest.mark.parametrize("sr", [8000, 44100, 48000, 192000])
def test_steady_tone_has_no_step_no_click_no_distance(sr):
    values = measured(sides(tone(440), tone(440), sr), sr)
    assert values.level_step_db[0] == pytest.approx(0.0, abs=0.01)
    assert values.click_energy[0] == pytest.approx(0.0, abs=0.5)
    assert values.harmonic_distance[0] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("step_db", [-6.0, 6.0, 12.0])
def test_level_step_is_signed(step_db):
    values = measured(sides(tone(440), tone(440, 0.2 * 10 ** (step_db / 20))))
    assert values.level_step_db[0] == pytest.approx(step_db, abs=0.05)


def test_click_of_a_phase_jump_is_found():
    smooth = measured(sides(tone(440), tone(440))).click_energy[0]
    jump = sides(tone(440), lambda t: 0.2 * np.sin(2 * np.pi * 440 * t + 2.0))
    assert measured(jump).click_energy[0] > smooth + 15


def test_harmonic_distance_of_octave_fifth_and_same_class():
    octave = measured(sides(tone(440), tone(880))).harmonic_distance[0]
    tritone = measured(sides(tone(440), tone(622.25))).harmonic_distance[0]
    assert octave < 0.01
    assert tritone > 0.9


def test_silence_has_no_step_and_no_distance():
    values = measured(np.zeros((2, 2 * HALF)))
    for column in (values.click_energy, values.level_step_db, values.harmonic_distance):
        np.testing.assert_allclose(column, 0.0, atol=1e-9)


def bursts(times_s, duration_s, sr=SR):
    wave = 1e-4 * np.random.default_rng(0).standard_normal(round(duration_s * sr))
    burst = np.random.default_rng(1).standard_normal(sr // 20) * 0.3
    burst *= np.exp(-np.arange(len(burst)) / (0.01 * sr))
    for time_s in times_s:
        wave[round(time_s * sr) :][: len(burst)] += burst
    return ArrayReader(wave[:, None].astype(np.float32), sr)


@pytest.mark.parametrize("sr", [22050, 44100, 96000])
def test_beat_offsets_find_onsets_to_a_frame(sr):
    offsets_s = np.array([-0.02, -0.007, 0.004, 0.025])
    beats_s = np.arange(1.0, 5.0)
    found_s = beat_offsets(bursts(beats_s + offsets_s, 6, sr), beats_s)
    np.testing.assert_allclose(found_s, offsets_s, atol=0.004)


def test_no_onset_is_no_offset():
    reader = bursts([], 3)
    assert beat_offsets(reader, np.array([1.0, 2.5])).tolist() == [0.0, 0.0]


def test_offset_between_needs_both_onsets():
    between = offset_between(np.array([0.01, 0.0, 0.01]), np.array([0.03, 0.03, 0.0]))
    np.testing.assert_allclose(between, [0.02, 0.0, 0.0])


def test_read_mono_is_the_mean_and_silent_outside():
    audio = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    mono = read_mono(ArrayReader(audio, SR), -2, 4)
    np.testing.assert_array_equal(mono, [0, 0, 0.5, 0.5, 0, 0])
    assert not read_mono(ArrayReader(audio, SR), 5, 9).any()


def test_percentiles_count_ties_half():
    own = np.array([1.0, 2.0, 2.0, 3.0])
    reference = Reference(dict.fromkeys(JoinMeasures.__dataclass_fields__, own))
    column = np.array([0.5, -2.0, 9.0])
    ranks = reference.percentiles(JoinMeasures(column, column, column, column))
    np.testing.assert_allclose(ranks["level_step_db"], [0.0, 50.0, 100.0])


def test_ordinary_beat_changes_of_a_steady_pulse_are_steady():
    reference = ordinary_beat_changes(bursts(np.arange(0, 30, 0.5), 30), steady_grid(30.0))
    assert set(reference.sizes) == set(JoinMeasures.__dataclass_fields__)
    assert len(reference.sizes["click_energy"]) == 58
    assert np.median(reference.sizes["beat_phase_error_ms"]) < 1.0
    assert np.median(reference.sizes["harmonic_distance"]) < 0.1


def test_without_beats_to_compare_every_percentile_is_50():
    reference = ordinary_beat_changes(bursts([0.2], 0.6), steady_grid(0.6))
    values = measured(np.zeros((3, 2 * HALF)))
    for ranks in reference.percentiles(values).values():
        np.testing.assert_array_equal(ranks, 50.0)


def join(crossfade_s=0.02, **changes):
    values = {
        name: value
        for measure_name in JoinMeasures.__dataclass_fields__
        for name, value in ((measure_name, 20.0), (f"{measure_name}_percentile", 50.0))
    }
    return Join(1.0, crossfade_s, "linear", **(values | changes))


def test_limits():
    assert is_within_limits(join())
    assert not is_within_limits(join(level_step_db_percentile=96.0))
    assert is_within_limits(join(level_step_db_percentile=96.0, level_step_db=-0.9))
    assert is_within_limits(join(crossfade_s=0.0, level_step_db_percentile=96.0))
    assert not is_within_limits(join(crossfade_s=0.0, click_energy_percentile=96.0))
