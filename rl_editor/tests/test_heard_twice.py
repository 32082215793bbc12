"""No passage is heard on both sides of a join."""

from __future__ import annotations

import numpy as np
import pytest

from rl_editor.heard_twice import without_heard_twice
from rl_editor.observation import CopyTable

N_BEATS = 64


def table(copies, likeness=1.7):
    """Return the copies (first beat, first beat of the later copy, length) of 64 beats."""
    match_later = np.full(N_BEATS, -1)
    later = np.zeros(N_BEATS, np.float32)
    for first, second, length in copies:
        match_later[first : first + length] = np.arange(second, second + length)
        later[first : first + length] = likeness
    nothing = np.zeros(N_BEATS, np.float32)
    return CopyTable(
        np.full(N_BEATS, 0.5), match_later, np.full(N_BEATS, -1), later, nothing, nothing[:, None]
    )


def keeping(*spans):
    keep = np.zeros(N_BEATS, dtype=bool)
    for start, end in spans:
        keep[start:end] = True
    return keep


def kept(keep, copies, likeness=1.7):
    return without_heard_twice(keep, table(copies, likeness)).tolist()


@pytest.mark.parametrize("length", [1, 5, 20])
def test_players_who_go_back_some_beats_are_heard_once(length):
    keep = keeping((0, 20), (30, 60))
    copies = [(20 - length, 30, length)]
    assert kept(keep, copies) == keeping((0, 20 - length), (30, 60)).tolist()


def test_of_two_whole_takes_the_last_stays():
    keep = keeping((2, 28), (34, 60))
    assert kept(keep, [(2, 34, 26)]) == keeping((34, 60)).tolist()


def test_a_third_take_replaces_the_second_as_well():
    keep = keeping((0, 10), (20, 30), (40, 50))
    assert kept(keep, [(0, 20, 10), (20, 40, 10)]) == keeping((40, 50)).tolist()


def test_music_that_repeats_itself_stays_where_nothing_was_cut():
    keep = keeping((0, 64))
    assert kept(keep, [(0, 16, 16), (16, 32, 16)]) == keep.tolist()


@pytest.mark.parametrize(
    ("copies", "likeness"),
    [
        ([(10, 34, 10)], 1.7),  # the copy is not what follows the join
        ([(4, 30, 8)], 1.7),  # the copy is over before the join
        ([(12, 30, 8)], 0.5),  # merely alike
        ([], 1.7),
    ],
)
def test_other_likeness_changes_nothing(copies, likeness):
    keep = keeping((0, 20), (30, 60))
    assert kept(keep, copies, likeness) == keep.tolist()


def test_a_beat_that_the_grid_lost_does_not_matter():
    found = table([(12, 30, 8)])
    found.match_later[16:20] += 1
    result = without_heard_twice(keeping((0, 20), (30, 60)), found)
    assert result.tolist() == keeping((0, 12), (30, 60)).tolist()
