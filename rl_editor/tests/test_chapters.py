"""Sections of an edited track: where the recording does not go on."""

from itertools import pairwise

import pytest

from rl_editor.chapters import MIN_SECTION_S, chapters_of
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Source, back_to_back, timeline_length
from rl_editor.grid import steady_grid
from rl_editor.id3 import MAX_CHAPTERS

SR = 1000


def edl_of(clips):
    return EditDecisionList(
        source=Source("", "", SR, 1, 100_000.0),
        duration_s=timeline_length(clips, SR) / SR,
        clips=tuple(clips),
        decisions=(),
        grid=EdlGrid.of(steady_grid(1000.0, 120.0)),
    )


def starts(*spans):
    edl = edl_of(back_to_back([Clip(*span) for span in spans], SR))
    found = chapters_of(edl)
    ends = [chapter.end_s for chapter in found]
    assert ends == [*(chapter.start_s for chapter in found[1:]), edl.duration_s]
    return [chapter.start_s for chapter in found]


def test_a_track_that_stays_whole_is_one_section():
    edl = edl_of(back_to_back([Clip(2, 30), Clip(30, 60)], SR))
    (chapter,) = chapters_of(edl)
    assert (chapter.start_s, chapter.end_s) == (0.0, 58.0)
    assert chapter.title == "1 (recording 0:02.0)"


def test_a_section_begins_where_the_edit_goes_elsewhere():
    assert starts((0, 20), (30, 60), (10, 40)) == [0.0, 20.0, 50.0]


def test_less_than_a_bar_is_no_new_section():
    assert starts((0, 20), (21.9, 60)) == [0.0]
    assert starts((0, 20), (22.0, 60)) == [0.0, 20.0]


def test_of_borders_near_to_each_other_the_widest_stays():
    assert starts((0, 20), (23, 27), (80, 110)) == [0.0, 24.0]
    assert starts((0, 9.9), (20, 50)) == [0.0]
    assert starts((0, 50), (60, 69.9)) == [0.0]


def test_a_border_lies_in_the_middle_of_the_crossfade():
    clips = [Clip(0, 20), Clip(30, 60, timeline_start_s=19.0, fade_in_s=1.0)]
    assert [chapter.start_s for chapter in chapters_of(edl_of(clips))] == [0.0, 19.5]
    clips = [Clip(0, 20), Clip(19, 60, timeline_start_s=19.0, fade_in_s=1.0)]
    assert len(chapters_of(edl_of(clips))) == 1


def test_backwards_and_faster():
    clips = back_to_back([Clip(0, 20), Clip(0, 20, reverse=True), Clip(0, 40, rate=2.0)], SR)
    assert [chapter.start_s for chapter in chapters_of(edl_of(clips))] == [0.0]
    clips = back_to_back([Clip(0, 20), Clip(40, 60, reverse=True), Clip(60, 80)], SR)
    second, third = chapters_of(edl_of(clips))[1:]
    assert (second.title, third.title) == ("2 (recording 1:00.0)", "3 (recording 1:00.0)")


def test_there_are_no_more_than_players_can_count():
    step = 2 * MIN_SECTION_S
    found = starts(*((step * n, step * n + MIN_SECTION_S) for n in range(400)))
    assert len(found) == MAX_CHAPTERS
    assert min(b - a for a, b in pairwise(found)) >= MIN_SECTION_S


def test_without_clips_there_is_no_section():
    assert chapters_of(edl_of([])) == ()


@pytest.mark.parametrize("length_s", [1.0, 9.0])
def test_a_short_track_has_one_section_all_the_same(length_s):
    assert starts((5, 5 + length_s)) == [0.0]
