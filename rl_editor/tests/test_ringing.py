"""What rings on after a cut is heard under the next passage; what goes on is not."""

import numpy as np
import pytest

from rl_editor.edl import Clip, back_to_back
from rl_editor.grid import steady_grid
from rl_editor.joins import fit_joins
from rl_editor.ringing import MAX_RINGING_S, ringing_samples
from rl_editor.sample_readers import ArrayReader

SR = 8000
CUT_S = 10.0


def reader_of(level_after, floor=0.001, onset_s=None, duration_s=30.0):
    """A tone until 10 s, then at the level in dB that a function of the time since gives."""
    rng = np.random.default_rng(0)
    times = np.arange(round(duration_s * SR)) / SR
    after = times >= CUT_S
    level_db = np.where(after, level_after(times - CUT_S), 0.0)
    wave = 0.3 * 10 ** (level_db / 20) * np.sin(2 * np.pi * 220 * times)
    if onset_s is not None:
        later = times >= CUT_S + onset_s
        wave[later] += 0.3 * np.sin(2 * np.pi * 330 * times[later])
    wave += floor * rng.standard_normal(len(times))
    return ArrayReader(wave[:, None].astype(np.float32), SR)


def ringing_s(reader):
    return ringing_samples(reader, round(CUT_S * SR)) / SR


def test_a_chord_that_dies_away_rings_until_the_room_is_left():
    # from -13.5 dB by 30 dB a second towards a floor of -60 dB
    assert ringing_s(reader_of(lambda t: -30 * t)) == pytest.approx(1.6, abs=0.15)


@pytest.mark.parametrize(
    "reader",
    [
        reader_of(lambda t: 0 * t),
        reader_of(lambda t: -3 * t),
        reader_of(lambda t: -1000 * t),
        reader_of(lambda t: -20 * t, onset_s=0.05),
        ArrayReader(np.zeros((20 * SR, 1), dtype=np.float32), SR),
    ],
    ids=["held", "slow", "dead stop", "next beat", "silence"],
)
def test_what_does_not_ring(reader):
    assert ringing_s(reader) == 0.0


def test_ringing_ends_where_something_begins():
    reader = reader_of(lambda t: -20 * t, onset_s=0.6)
    assert ringing_s(reader) == pytest.approx(0.6, abs=0.021)


def test_the_ends_of_a_file():
    reader = reader_of(lambda t: -30 * t)
    assert ringing_samples(reader, 0) == 0
    assert ringing_samples(reader, reader.info.n_samples) == 0
    assert ringing_samples(reader_of(lambda t: -30 * t, duration_s=10.5), 10 * SR) <= 0.5 * SR


def fitted(reader, *spans):
    clips = back_to_back([Clip(start, end) for start, end in spans], SR)
    return fit_joins(clips, reader, steady_grid(reader.info.n_samples / SR, 120.0))


def test_the_left_side_rings_on_under_the_right_one():
    reader = reader_of(lambda t: np.where(t < 8, -30 * t, 0.0))
    result = fitted(reader, (0.0, 10.0), (18.0, 30.0))
    left, right = result.clips
    left_end_s = left.timeline_start_s + left.source_end_s - left.source_start_s
    assert left.fade_out_curve == "convex"
    assert 1.0 < left_end_s - right.timeline_start_s <= MAX_RINGING_S
    assert left.fade_out_s == pytest.approx(left_end_s - right.timeline_start_s)
    assert right.fade_in_s < 0.1
    assert result.joins[0].crossfade_s == right.fade_in_s
    dry = fitted(reader_of(lambda t: np.where(t < 8, -1000.0, 0.0)), (0.0, 10.0), (18.0, 30.0))
    assert dry.clips[0].fade_out_s < 0.1
    assert right.timeline_start_s == pytest.approx(dry.clips[1].timeline_start_s, abs=0.3)


def test_the_end_of_the_track_rings_on():
    (clip,) = fitted(reader_of(lambda t: -30 * t), (2.0, 10.0)).clips
    assert clip.source_end_s == pytest.approx(11.6, abs=0.15)
    assert clip.fade_out_s == pytest.approx(clip.source_end_s - 10.0)
    (faded,) = fit_joins(
        [Clip(2.0, 10.0, fade_out_s=1.0)], reader_of(lambda t: -30 * t), steady_grid(30.0, 120.0)
    ).clips
    assert (faded.source_end_s, faded.fade_out_s) == (10.0, 1.0)
