"""Takes that break off are told from takes that go on."""

import dataclasses

import numpy as np

from rl_editor.take_ends import LOOKED_AT, TAKE_END_NAMES, take_ends
from rl_editor.tests.made_up import made_up_track


def told(match_later, match_earlier, plays):
    track = made_up_track(len(plays))
    grid = dataclasses.replace(track.grid, confidence=np.asarray(plays, dtype=np.float32))
    track = dataclasses.replace(
        track,
        grid=grid,
        match_later=np.asarray(match_later, dtype=np.int64),
        match_earlier=np.asarray(match_earlier, dtype=np.int64),
    )
    values = take_ends(track)
    return {name: values[:, index] for index, name in enumerate(TAKE_END_NAMES)}


def test_a_take_that_breaks_off_stops_where_the_good_one_goes_on():
    # beats 0-7 broken off, 8-11 talk, 12-27 the whole piece, 28-31 nothing
    plays = np.ones(32)
    plays[8:12] = plays[28:] = 0.0
    later, earlier = np.full(32, -1), np.full(32, -1)
    later[:8], earlier[12:20] = np.arange(12, 20), np.arange(8)
    said = told(later, earlier, plays)
    assert (said["later_goes_on"][:8] == 0.0).all()
    assert (said["later_copy_goes_on"][:8] == 1.0).all()
    assert (said["earlier_goes_on"][12:20] == 1.0).all()
    assert (said["earlier_copy_goes_on"][12:20] == 0.0).all()
    for name in TAKE_END_NAMES:
        if "was_going" in name:
            assert (said[name] == 0.0).all(), name
    without = (later < 0) & (earlier < 0)
    assert all((column[without] == 0.0).all() for column in said.values())


def test_a_retake_from_the_middle_says_that_the_first_take_had_begun_before():
    # beats 0-11 played on to a mistake, 12-15 nothing, 16-27 from beat 8 on to the end
    plays = np.ones(32)
    plays[12:16] = plays[28:] = 0.0
    later, earlier = np.full(32, -1), np.full(32, -1)
    later[8:12], earlier[16:20] = np.arange(16, 20), np.arange(8, 12)
    said = told(later, earlier, plays)
    assert (said["later_was_going_on"][8:12] == 1.0).all()
    assert (said["later_copy_was_going_on"][8:12] == 0.0).all()
    assert (said["earlier_copy_was_going_on"][16:20] == 1.0).all()
    assert (said["earlier_was_going_on"][16:20] == 0.0).all()


def test_a_copy_may_slip_by_a_beat_but_not_jump():
    plays = np.ones(40)
    later = np.full(40, -1)
    later[:4], later[4:8] = np.arange(20, 24), np.arange(25, 29)  # a beat is left out
    plays[8:12] = 0.0
    slipped = told(later, np.full(40, -1), plays)["later_goes_on"]
    assert (slipped[:8] == 0.0).all()
    later[4:8] = np.arange(30, 34)
    jumped = told(later, np.full(40, -1), plays)["later_goes_on"]
    assert (jumped[:4] == 1.0).all()
    assert (jumped[4:8] == 0.0).all()


def test_ends_of_the_recording_count_as_silence_and_short_recordings_are_fine():
    for n_beats in (1, 2, LOOKED_AT, LOOKED_AT + 1):
        later, earlier = np.full(n_beats, -1), np.full(n_beats, -1)
        if n_beats > 1:
            later[0], earlier[n_beats - 1] = n_beats - 1, 0
        said = told(later, earlier, np.ones(n_beats))
        assert said["later_copy_goes_on"][0] == 0.0
        assert said["later_was_going_on"][0] == 0.0
        assert np.isfinite(list(said.values())).all()
