from rl_editor.spans import Arrangement, Sound, Span, append, insert, last_beats

LOUD, BACKWARDS, FADED = Sound(gain_db=3.0), Sound(reverse=True), Sound(fade_in="linear")


def test_spans_that_play_straight_on_are_one():
    assert append((Span(0, 4),), Span(4, 8)) == (Span(0, 8),)
    assert append((Span(0, 4, LOUD),), Span(4, 8, LOUD)) == (Span(0, 8, LOUD),)


def test_spans_stay_apart_at_a_break_or_where_the_sound_changes():
    for second in (Span(5, 8), Span(3, 8), Span(4, 8, LOUD)):
        assert append((Span(0, 4),), second) == (Span(0, 4), second)
    for sound in (BACKWARDS, FADED):
        both = (Span(0, 4, sound), Span(4, 8, sound))
        assert append(both[:1], both[1]) == both


def test_an_inserted_span_joins_both_neighbours():
    assert insert((Span(0, 4), Span(8, 12)), 1, Span(4, 8)) == (Span(0, 12),)
    assert insert((Span(4, 8),), 0, Span(0, 4)) == (Span(0, 8),)
    assert insert((Span(8, 9),), 0, Span(0, 4)) == (Span(0, 4), Span(8, 9))


def test_last_beats_cross_clips_and_keep_their_sound():
    spans = (Span(0, 8), Span(20, 24, LOUD))
    assert last_beats(spans, 3) == (Span(21, 24, LOUD),)
    assert last_beats(spans, 6) == (Span(6, 8), Span(20, 24, LOUD))


def test_the_last_beats_of_a_reversed_clip_are_its_first_in_the_source():
    assert last_beats((Span(0, 8, BACKWARDS),), 2) == (Span(0, 2, BACKWARDS),)


def test_a_waiting_span_comes_after_the_whole_next_clip():
    waiting = Arrangement().play(Span(0, 4)).put_after_next(Span(4, 6))
    one = waiting.play(Span(8, 12))
    assert one.ended() == (Span(0, 4), Span(8, 12), Span(4, 6))
    grown = one.play(Span(12, 16))
    assert grown.ended() == (Span(0, 4), Span(8, 16), Span(4, 6))
    assert grown.play(Span(20, 24)).placed == (Span(0, 4), Span(8, 16), Span(4, 6), Span(20, 24))


def test_without_a_next_clip_a_waiting_span_comes_last_but_before_the_tail():
    arrangement = Arrangement().play(Span(0, 1)).put_last(Span(1, 2)).put_after_next(Span(2, 3))
    assert arrangement.ended() == (Span(0, 1), Span(2, 3), Span(1, 2))


def test_placed_beats_are_counted():
    arrangement = Arrangement().play(Span(0, 4)).put_after_next(Span(4, 6)).put_last(Span(6, 7))
    assert arrangement.n_placed == 4
    arrangement = arrangement.play(Span(8, 9)).play(Span(10, 11)).put_first(Span(12, 15))
    assert arrangement.n_placed == 4 + 1 + 2 + 1 + 3
    assert arrangement.n_placed == sum(span.n_beats for span in arrangement.placed)
