"""What is asked for is understood, refused where it cannot be, and granted on the beats."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.actions import ActionType, Amount
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.wishes import (
    BeatWishes,
    Wishes,
    merged_spans,
    parse_span,
    total_s,
    without_spans,
)

GRID = steady_grid(60.0, 120.0)
"""120 beats of half a second, 4 to a bar."""
TIMES = st.integers(0, 100).map(lambda tenths: tenths / 10)
SPANS = st.lists(st.tuples(TIMES, TIMES).filter(lambda s: s[0] < s[1]), max_size=6)


def test_a_span_is_two_times():
    assert parse_span("1:20-1:45.5") == (80.0, 105.5)
    assert parse_span(" 3 - 4 ") == (3.0, 4.0)
    for text in ("", "3", "a-b", "3-", "1:99-2:00"):
        with pytest.raises(ValueError, match="is no"):
            parse_span(text)


@given(SPANS, SPANS)
def test_spans_are_sets_of_moments(some, others):
    moments = np.arange(0.05, 10.0, 0.1)

    def inside(spans):
        return np.array([any(a <= t < b for a, b in spans) for t in moments])

    merged = merged_spans(some)
    np.testing.assert_array_equal(inside(merged), inside(some))
    assert all(before[1] < after[0] for before, after in pairwise(merged))
    left = [part for span in merged for part in without_spans(span, others)]
    np.testing.assert_array_equal(inside(left), inside(some) & ~inside(others))
    assert total_s(merged) == pytest.approx(0.1 * inside(some).sum())


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(keep_ratio=0.0), "share to keep must lie above 0"),
        (Wishes(keep_ratio=float("nan")), "share to keep"),
        (Wishes(duration_s=0.0), "above 0"),
        (Wishes(duration_s=9.0, keep_ratio=0.5), "choose one"),
        (Wishes(exact=True), "needs a duration"),
        (Wishes(effects="loud"), "off, gentle, all"),
        (Wishes(style="x"), "conservative, balanced, tight"),
        (Wishes(min_clip="long"), "such as 2 bars"),
        (Wishes(min_clip="0 bars"), "above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(wishes, words):
    with pytest.raises(UserError, match=words):
        wishes.check()


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(keep_s=((70.0, 80.0),)), "ends at 1:00.0"),
        (Wishes(drop_s=((5.0, 70.0),)), "should lie in the recording"),
        (Wishes(keep_s=((5.0, 4.0),)), "ends before it begins"),
        (Wishes(keep_s=((5.0, 9.0),), drop_s=((8.0, 12.0),)), "0:08.0-0:09.0 is to be kept and"),
        (Wishes(drop_s=((0.0, 60.0),)), "all of the recording"),
        (Wishes(keep_s=((5.0, 25.0),), duration_s=10.0), "--duration 0:20.0 or more"),
        (Wishes(keep_s=((5.0, 25.0),), keep_ratio=0.2), "--keep-ratio 0.334 or more"),
        (Wishes(duration_s=61.0), "--duration 1:00.0 at most"),
        (Wishes(duration_s=55.0, drop_s=((0.0, 10.0),)), "--duration 0:50.0 at most"),
    ],
)
def test_what_a_recording_cannot_grant_is_refused(wishes, words):
    with pytest.raises(UserError, match=words):
        wishes.on_recording(60.0)


def test_the_nearest_possible_length_that_is_told_is_possible():
    Wishes(keep_s=((5.0, 25.0),), duration_s=20.0).on_recording(60.0)
    Wishes(keep_s=((5.0, 25.0),), keep_ratio=0.334).on_recording(60.0)
    Wishes(duration_s=50.0, drop_s=((0.0, 10.0),)).on_recording(60.0)
    Wishes(duration_s=61.7, exact=True).on_recording(60.0)


def test_spans_of_a_recording_are_in_order_and_end_with_it():
    wishes = Wishes(keep_s=((50.0, 60.5), (3.0, 4.0), (3.5, 5.0)), style="tight")
    found = wishes.on_recording(60.0)
    assert found.keep_s == ((3.0, 5.0), (50.0, 60.0))
    assert found.style == "tight"


def test_beats_of_which_something_is_asked_for_stay_and_half_dropped_ones_go():
    beats = Wishes(keep_s=((10.1, 12.0),), drop_s=((20.2, 21.2), (12.0, 12.4))).on_beats(GRID)
    assert np.flatnonzero(beats.keep).tolist() == [20, 21, 22, 23]
    assert np.flatnonzero(beats.drop).tolist() == [24, 40, 41]
    odds = beats.odds(np.zeros(GRID.n_beats))
    assert np.all(odds[beats.keep] > 30.0)
    assert np.all(odds[beats.drop] < -30.0)
    assert not odds[~beats.is_forced].any()


@pytest.mark.parametrize(
    ("text", "beats"), [("2 bars", 8), ("1 bar", 4), ("6 beats", 6), ("2.2 s", 5), ("3", 6)]
)
def test_the_shortest_clip_is_counted_in_beats(text, beats):
    wishes = Wishes(min_clip=text)
    wishes.check()
    assert wishes.least_beats(GRID) == beats


def test_what_may_not_happen_is_not_allowed():
    assert Wishes().on_beats(GRID).allowed[ActionType.REVERB].any()
    plain = Wishes(reorder=False, loops=False, effects="off").on_beats(GRID).allowed.any(axis=1)
    kinds = {ActionType(k).name for k in np.flatnonzero(plain)}
    assert kinds == {"KEEP", "CUT", "SKIP", "FADE_IN", "FADE_OUT"}
    gentle = Wishes(effects="gentle").on_beats(GRID).allowed
    assert gentle[ActionType.GAIN, Amount.POS_SMALL]
    assert not gentle[ActionType.GAIN, Amount.POS_LARGE]
    assert not gentle[ActionType.PITCH_UP].any()
    assert gentle[ActionType.LOOP].any()


BITS = st.lists(st.booleans(), min_size=24, max_size=24).map(np.array)


@settings(deadline=None)
@given(BITS, BITS, BITS, st.integers(1, 8))
def test_wishes_are_granted(keep, asked, unwanted, least):
    wishes = BeatWishes(asked & ~unwanted, unwanted & ~asked, least, np.ones((20, 5), bool))
    granted = wishes.granted(keep)
    assert np.all(granted[wishes.keep])
    assert not granted[wishes.drop].any()
    padded = np.concatenate([[False], granted, [False]])
    for start, end in np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2):
        if end - start < least:  # only where it cannot grow
            assert wishes.keep[start:end].any()
            assert start == 0 or wishes.drop[start - 1]
            assert end == 24 or wishes.drop[end]
    np.testing.assert_array_equal(BeatWishes.none(24).granted(keep), keep)


def test_a_duration_is_a_share_of_its_recording():
    assert Wishes(duration_s=15.0).share_of(60.0) == 0.25
    assert Wishes(duration_s=61.0, exact=True).share_of(60.0) == 1.0
    assert Wishes(keep_ratio=0.5).share_of(60.0) == 0.5
    assert Wishes().share_of(60.0) is None
