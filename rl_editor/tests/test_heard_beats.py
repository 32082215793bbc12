"""What was heard, its copies and its runs, against counting by hand."""

import numpy as np
import pytest

from rl_editor.heard_beats import COPIES_AHEAD, RUN_WINDOW, HeardBeats, LaterCopies

N_BEATS = 5 * RUN_WINDOW


def run_before(played, cursor):
    """Count by hand the beats before the cursor since the last change."""
    n = 0
    while n < cursor and played[cursor - 1 - n] == played[cursor - 1]:
        n += 1
    return n


@pytest.mark.parametrize("seed", range(4))
def test_runs_and_copies_are_those_that_counting_finds(seed):
    """Long stretches, and cursors that go back far, so that runs are looked up in several goes."""
    rng = np.random.default_rng(seed)
    matches = [np.where(rng.random(N_BEATS) < 0.5, rng.integers(0, N_BEATS, N_BEATS), -1)] * 2
    heard = HeardBeats(2, N_BEATS, LaterCopies.of(matches))
    played, cursor = np.zeros((2, N_BEATS), dtype=bool), np.zeros(2, dtype=np.int64)
    rows, first_row = np.arange(2), np.array([0, N_BEATS + 1])
    for _ in range(30):
        back = rng.random(2) < 0.3
        longest = rng.choice([3, 300])
        n_beats = np.where(back, -rng.integers(0, cursor + 1), rng.integers(1, longest, 2))
        following = np.minimum(cursor + n_beats, N_BEATS - 1)
        is_heard = (rng.random(2) < 0.7) & (following > cursor)
        heard.go_on(cursor, following, is_heard, first_row + cursor)
        for row in np.flatnonzero(is_heard):
            played[row, cursor[row] : following[row]] = True
        cursor = following
        np.testing.assert_array_equal(heard.beats, played)
        assert heard.run_beats.tolist() == [run_before(played[r], cursor[r]) for r in rows]
        copy_heard = heard.copies_ahead(rows, cursor)
        for row in rows:
            ahead = np.arange(cursor[row], min(cursor[row] + COPIES_AHEAD, N_BEATS))
            match = matches[row][ahead]
            expected = (match >= 0) & played[row, match]
            np.testing.assert_array_equal(copy_heard[row, : len(ahead)], expected)
            assert not copy_heard[row, len(ahead) :].any()


def test_an_edit_that_begins_anew_has_heard_nothing():
    heard = HeardBeats(2, 20, LaterCopies.of([np.arange(20) - 4]))
    start, end = np.zeros(2, dtype=np.int64), np.full(2, 10)
    heard.go_on(start, end, np.ones(2, dtype=bool), start)
    heard.clear(np.array([1]), 20)
    assert heard.beats.sum(axis=1).tolist() == [10, 0]
    assert heard.run_beats.tolist() == [10, 0]
    assert heard.copies_ahead(np.arange(2), np.array([4, 0])).sum(axis=1).tolist() == [10, 0]
