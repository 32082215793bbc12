"""Takes of one passage get one level; what is louder on purpose stays so."""

import numpy as np
import pytest

from rl_editor.edl import Clip, back_to_back
from rl_editor.level_matching import MAX_GAIN_DB, matched_levels, take_difference_db
from rl_editor.sample_readers import ArrayReader
from rl_editor.units import db_to_gain

SR = 8000
TAKE_S = 20.0


def passage(seed=0):
    """Notes of changing level over soft noise, float32 [S, 1], peak near 0.15."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(TAKE_S * SR)) / SR
    loudness = 0.1 * rng.uniform(0.3, 1.0, 40)[(times / 0.5).astype(int)]
    notes = loudness * np.exp(-(times % 0.5) / 0.2)
    wave = notes * np.sin(2 * np.pi * 330 * times) + 0.001 * rng.standard_normal(len(times))
    return wave[:, None].astype(np.float32)


def takes(*levels_db, noise=2e-4):
    """A reader of takes of one passage one after the other, each at its level."""
    rng = np.random.default_rng(1)
    parts = [db_to_gain(db) * passage() for db in levels_db]
    audio = np.concatenate(parts).astype(np.float32)
    return ArrayReader(audio + noise * rng.standard_normal(audio.shape).astype(np.float32), SR)


def joined(*spans):
    return back_to_back([Clip(start, end) for start, end in spans], SR)


def gains(clips, goes_on, reader):
    return [clip.gain_db for clip in matched_levels(clips, goes_on, reader)]


@pytest.mark.parametrize("step_db", [-2.5, -1.0, 0.0, 1.8, 8.0])
def test_the_difference_of_two_takes(step_db):
    reader = takes(0.0, -step_db)
    found = take_difference_db(reader, 10 * SR, 30 * SR)
    assert found == pytest.approx(step_db, abs=0.15)


def test_the_shorter_clip_comes_to_the_level_of_the_longer_one():
    clips = joined((0.0, 8.0), (28.0, 40.0))
    assert gains(clips, [True], takes(0.0, -2.0)) == pytest.approx([-2.0, 0.0], abs=0.15)
    clips = joined((0.0, 12.0), (32.0, 40.0))
    assert gains(clips, [True], takes(0.0, -2.0)) == pytest.approx([0.0, 2.0], abs=0.15)


def test_takes_hang_together_over_several_joins():
    clips = joined((0.0, 5.0), (25.0, 35.0), (55.0, 60.0))
    made = gains(clips, [True, True], takes(1.5, 0.0, -1.0))
    assert made == pytest.approx([-1.5, 0.0, 1.0], abs=0.15)
    made = gains(clips, [True, False], takes(1.5, 0.0, -1.0))
    assert made == pytest.approx([-1.5, 0.0, 0.0], abs=0.15)


def test_small_differences_stay_and_large_ones_go_in_part():
    clips = joined((0.0, 8.0), (28.0, 40.0))
    assert gains(clips, [True], takes(0.0, 0.4)) == [0.0, 0.0]
    assert gains(clips, [True], takes(0.0, -9.0)) == [-MAX_GAIN_DB, 0.0]


def test_a_louder_clip_does_not_clip():
    reader = takes(22.0, 18.5)
    peak = float(np.abs(reader.read(32 * SR, 40 * SR)).max())
    room_db = -20 * np.log10(peak) - 0.1
    assert 0.5 < room_db < 2.0
    clips = joined((0.0, 12.0), (32.0, 40.0))
    assert gains(clips, [True], reader) == pytest.approx([0.0, room_db], abs=0.01)


def test_other_music_is_no_evidence():
    quiet = ArrayReader(np.concatenate([passage(0), 0.5 * passage(3)]), SR)
    clips = joined((0.0, 8.0), (28.0, 40.0))
    assert gains(clips, [True], quiet) == [0.0, 0.0]
    assert gains(clips, [False], takes(0.0, -2.0)) == [0.0, 0.0]
    silence = ArrayReader(np.zeros((40 * SR, 1), dtype=np.float32), SR)
    assert gains(clips, [True], silence) == [0.0, 0.0]


def test_processed_clips_stay():
    left, right = joined((0.0, 8.0), (28.0, 40.0))
    reader = takes(0.0, -2.0)
    for changed in (Clip(0.0, 8.0, gain_db=-6.0), Clip(0.0, 8.0, rate=1.25)):
        made = matched_levels([changed, right], [True], reader)
        assert made == (changed, right)
    assert matched_levels([left], [], reader) == (left,)
