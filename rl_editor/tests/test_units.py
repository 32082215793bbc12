import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_editor.units import (
    SILENCE_DB,
    db_to_gain,
    format_time,
    gain_to_db,
    parse_time,
    ratio_to_semitones,
    samples_to_seconds,
    seconds_to_frames,
    seconds_to_samples,
    semitones_to_ratio,
)


@given(st.integers(0, 2**40), st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000]))
def test_samples_survive_seconds(sample, sample_rate):
    assert seconds_to_samples(samples_to_seconds(sample, sample_rate), sample_rate) == sample
    samples = np.array([0, sample])
    back = seconds_to_samples(samples_to_seconds(samples, sample_rate), sample_rate)
    np.testing.assert_array_equal(back, samples)
    assert back.dtype == np.int64


def test_seconds_go_to_the_nearest_sample():
    assert seconds_to_samples(1.00001, 44100) == 44100
    assert seconds_to_samples(np.array([0.99998, 0.5]), 44100).tolist() == [44099, 22050]


@given(st.integers(0, 10**7))
def test_frames_survive_seconds(frame):
    assert seconds_to_frames(frame * 441 / 22050, 441, 22050) == frame


def test_fifty_frames_are_a_second():
    assert seconds_to_frames([1.0, 1.009, 1.011], 441, 22050).tolist() == [50, 50, 51]


@given(st.floats(-119.0, 60.0))
def test_levels_survive_gains(level_db):
    assert gain_to_db(db_to_gain(level_db)) == pytest.approx(level_db, abs=1e-9)


def test_known_levels():
    assert db_to_gain(0.0) == 1.0
    assert db_to_gain(20.0) == pytest.approx(10.0)
    assert gain_to_db(2.0) == pytest.approx(6.0206, abs=1e-4)
    assert gain_to_db([0.0, -1.0]).tolist() == [SILENCE_DB, 0.0]


@given(st.floats(-48.0, 48.0))
def test_semitones_survive_ratios(semitones):
    assert ratio_to_semitones(semitones_to_ratio(semitones)) == pytest.approx(semitones, abs=1e-9)


def test_an_octave_doubles_the_frequency():
    assert semitones_to_ratio(12.0) == 2.0
    assert ratio_to_semitones(0.5) == -12.0


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0.0, "0:00.0"), (7.46, "0:07.5"), (59.96, "1:00.0"), (187.5, "3:07.5"), (3600.0, "60:00.0")],
)
def test_times_as_a_musician_reads_them(time_s, text):
    assert format_time(time_s) == text


@pytest.mark.parametrize(
    ("text", "time_s"),
    [("12.3", 12.3), ("0", 0.0), ("75", 75.0), ("3:07.5", 187.5), (" 1:02:03 ", 3723.0), ("9.", 9)],
)
def test_times_as_a_musician_writes_them(text, time_s):
    assert parse_time(text) == pytest.approx(time_s)
    assert parse_time(format_time(time_s)) == pytest.approx(time_s, abs=0.05)


@pytest.mark.parametrize("text", ["", "-1", "nan", "1e3", "1:75", "1:60:00", "1:-2", "1,5", "x"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="is no time"):
        parse_time(text)
