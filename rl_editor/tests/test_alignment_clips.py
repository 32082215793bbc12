import pytest

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.alignment_clips import clips_of, notes


def aligned(*spans: EditSpan) -> Alignment:
    return Alignment(spans, 60.0, spans[-1].edit_end_s if spans else 10.0, 1.0)


def span(start_s, end_s, raw_start_s, gain_db=0.0, speed=1.0, semitones=0.0, **fades) -> EditSpan:
    return EditSpan(start_s, end_s, raw_start_s, gain_db, 1.0, speed, semitones, **fades)


def test_levels_count_from_the_level_of_the_whole():
    edit = aligned(span(0, 10, 5, 6.0), span(10, 12, 30, 3.0), span(12, 20, 40, 6.5))
    assert [clip.gain_db for clip in clips_of(edit)] == [0.0, -3.0, 0.5]
    assert notes(edit) == ()


def test_a_speed_and_pitch_of_the_whole_edit_is_told_and_belongs_to_no_clip():
    edit = aligned(span(0, 10, 5, speed=1.05, semitones=0.84), span(12, 20, 40, speed=1.05))
    first, second = clips_of(edit)
    assert (first.rate, first.semitones, second.rate) == (1.0, 0.0, 1.0)
    assert (first.source_start_s, first.source_end_s) == pytest.approx((5.0, 15.5))
    assert first.timeline_start_s == 0.0
    assert second.timeline_start_s == pytest.approx(12.6)  # 2 s from elsewhere, at its speed
    mastering, foreign = notes(edit)
    assert "1.050 times as fast, +0.84 semitones away" in mastering
    assert foreign == "0:02.0 of the edit is not from this recording."


def test_a_speed_of_one_span_is_its_own():
    edit = aligned(span(0, 10, 0), span(10, 14, 20, speed=1.06, fade_out_s=1.0))
    clip = clips_of(edit)[1]
    assert (clip.rate, clip.fade_out_s) == (1.06, 1.0)
    assert clip.source_end_s == pytest.approx(24.24)


def test_what_comes_from_elsewhere_at_the_end_is_told():
    (words,) = notes(Alignment((span(0, 10, 5),), 60.0, 30.0, 0.5))
    assert words == "0:20.0 of the edit is not from this recording."


def test_an_edit_of_nothing_has_no_clips():
    assert clips_of(aligned()) == ()
    assert notes(aligned()) == ()
