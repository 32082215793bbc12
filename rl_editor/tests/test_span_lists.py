"""Lists of spans as arrays follow the laws of `spans`, whatever is in the other lists."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor import spans
from rl_editor.sound_table import N_STEADY, SOUNDS, sound
from rl_editor.span_lists import SpanLists, ranges
from rl_editor.spans import AS_IT_IS, Span

N_LISTS = 3
SPANS = st.tuples(
    st.integers(0, 3), st.integers(1, 3), st.sampled_from([0, 0, 0, 1, N_STEADY]), st.just(0)
).map(lambda s: (s[0], s[0] + s[1], s[2], s[3]))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "insert_first", "push", "drop_first"]),
        st.sets(st.integers(0, N_LISTS - 1), min_size=1),
        st.lists(SPANS, min_size=N_LISTS, max_size=N_LISTS),
    ),
    max_size=40,
)


def as_span(row):
    start, end, sound_row, gain = row
    return Span(start, end, sound(sound_row, gain))


def expected(listed, name, span):
    if name == "append":
        return spans.append(listed, span)
    if name == "insert_first":
        return spans.insert(listed, 0, span) if listed else (span,)
    return (*listed, span) if name == "push" else listed[1:]


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_lists_grow_and_join_as_single_ones_do(steps):
    lists, singly = SpanLists(N_LISTS), [()] * N_LISTS
    for name, chosen, rows in steps:
        index = np.array(sorted(chosen))
        if name == "drop_first":
            lists.drop_first(index, np.minimum(1, lists.count[index]))
        else:
            getattr(lists, name)(index, np.array(rows, dtype=np.int32)[index])
        for row in index:
            singly[row] = expected(singly[row], name, as_span(rows[row]))
    for row in range(N_LISTS):
        assert lists.spans(row) == singly[row]
    together = lists.concatenated(np.arange(N_LISTS)).tolist()
    assert [as_span(row) for row in together] == [span for listed in singly for span in listed]


def test_extending_puts_as_many_as_asked_for_at_each_end():
    lists = SpanLists(2)
    lists.append(np.array([0, 1]), np.array([[0, 4, 0, 0], [8, 9, 0, 0]], dtype=np.int32))
    more = np.array([[20, 21, 0, 0], [30, 31, 0, 0], [40, 41, 0, 0]], dtype=np.int32)
    lists.extend(np.array([1, 0]), np.array([2, 1]), more)
    assert lists.spans(0) == (Span(0, 4), Span(40, 41))
    assert lists.spans(1) == (Span(8, 9), Span(20, 21), Span(30, 31))


def test_the_table_of_sounds_begins_with_music_as_it_is_and_ends_with_what_is_not_steady():
    assert SOUNDS[0] == AS_IT_IS
    assert [s.steady for s in SOUNDS] == [row < N_STEADY for row in range(len(SOUNDS))]
    assert sound(0, -3_000_000).gain_db == -3.0


def test_ranges_follow_each_other():
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
