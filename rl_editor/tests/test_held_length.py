"""Moves are taken back until the length holds, those of takes that go on last."""

import numpy as np

from rl_editor.held_length import moves_within, with_moves

MOVES = np.array([[0.5, 0.3], [-0.2, 0.0], [0.1, -0.4]])
"""They change the length by -0.5 at the start, +0.5 and -0.1 at the joins, -0.4 at the end."""


def test_the_largest_that_changes_the_length_goes_first():
    none = np.zeros(2, bool)
    assert moves_within(MOVES, none, 0.5).all()
    assert moves_within(MOVES, none, 0.4).tolist() == [False, True, True, True]
    assert moves_within(MOVES[:, ::-1] * 0.0, none, 0.0).all()
    for room_s in (0.0, 0.05, 0.2, 1.0):
        moved = with_moves(MOVES, moves_within(MOVES, none, room_s))
        assert abs((moved[:, 1] - moved[:, 0]).sum()) <= room_s


def test_takes_that_go_on_are_the_last_to_lose_that():
    longer = np.array([[0.0, 0.5], [0.0, 0.3], [0.0, 0.0]])
    assert moves_within(longer, np.array([True, False]), 0.6).tolist() == [True, True, False, True]
    assert moves_within(longer, np.array([True, False]), 0.4).tolist() == [True, False, False, True]


def test_without_clips_there_is_nothing_to_hold():
    nothing, none = np.zeros((0, 2)), np.zeros(0, bool)
    assert moves_within(nothing, none, 0.0).tolist() == [True]
    assert with_moves(nothing, np.array([True])).shape == (0, 2)
