"""What is carried over, what is not, and what is told of it."""

import pytest

from rl_editor import tags
from rl_editor.tags import FRONT_COVER, OTHER_PICTURE, TagCollector, canonical, tag_notes
from rl_editor.tests.made_tags import png


def collected(*fields):
    collector = TagCollector()
    for name, value in fields:
        collector.add(name, value)
    return collector.result()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("title", "TITLE"),
        ("Album Artist", "ALBUMARTIST"),
        ("album_artist", "ALBUMARTIST"),
        ("track", "TRACKNUMBER"),
        ("lyrics-eng", "LYRICS"),
        ("mood", "MOOD"),
        ("REPLAYGAIN_TRACK_GAIN", None),
        ("R128_ALBUM_GAIN", None),
        ("iTunNORM", None),
        ("encoder", None),
        ("Encoded-By", None),
        ("CHAPTER001NAME", None),
        ("MusicBrainz_TrackId", None),
        ("isrc", None),
        ("A=B", None),
        ("ü", None),
        ("", None),
    ],
)
def test_names(name, known):
    assert canonical(name) == known


def test_a_number_out_of_how_many_is_two_fields():
    found = collected(("TRACK", "3 / 12"), ("DISCNUMBER", "1"))
    assert found.fields == (("TOTALTRACKS", "12"), ("TRACKNUMBER", "3"), ("DISCNUMBER", "1"))


def test_the_first_place_that_gives_a_name_decides():
    collector = TagCollector()
    collector.next_place()
    collector.add("ARTIST", "Ada")
    collector.add("ARTIST", "Bea")
    collector.next_place()
    collector.add("ARTIST", "Ad")
    collector.add("ALBUM", "Rehearsal")
    fields = collector.result().fields
    assert fields == (("ARTIST", "Ada"), ("ARTIST", "Bea"), ("ALBUM", "Rehearsal"))


def test_lyrics_with_times_do_not_hold_after_an_edit():
    assert collected(("LYRICS", "[00:12.50]la\n[00:14.00]la")).fields == ()
    assert collected(("LYRICS", "la [twice]")).fields == (("LYRICS", "la [twice]"),)


def test_texts_are_bounded(monkeypatch):
    monkeypatch.setattr(tags, "MAX_VALUE_BYTES", 2048)
    monkeypatch.setattr(tags, "MAX_FIELDS", 3)
    found = collected(("TITLE", "x" * 3000), *(("MOOD", f"{number}") for number in range(5)))
    assert found.values("MOOD") == ("0", "1", "2")
    assert found.lost[0] == "TITLE, longer than 2 kB"
    assert len(found.lost) == 2


def test_half_a_surrogate_pair_can_be_written():
    assert collected(("TITLE", "a\ud800")).fields == (("TITLE", "a?"),)


def test_the_front_cover_goes_before_any_other_picture():
    collector = TagCollector()
    collector.add_picture(OTHER_PICTURE, b"\xff\xd8\xffother")
    collector.add_picture(4, b"\xff\xd8\xffback")
    collector.add_picture(FRONT_COVER, png())
    assert collector.result().cover == tags.Picture("image/png", png())


@pytest.mark.parametrize(
    ("data", "word"), [(b"<svg/>", "no JPEG"), (png() + bytes(10**7), "10 MB")]
)
def test_a_cover_that_cannot_be_carried_over_is_told(data, word):
    collector = TagCollector()
    collector.add_picture(FRONT_COVER, data)
    (note,) = tag_notes(collector.result())
    assert word in note


def test_a_cover_that_is_lost_in_one_place_but_found_in_another_is_not_told():
    collector = TagCollector()
    collector.lose_large_cover()
    collector.add_picture(FRONT_COVER, png())
    assert tag_notes(collector.result()) == ()


def test_a_note_is_one_line_whatever_is_lost():
    collector = TagCollector()
    for number in range(1000):
        collector.lose(f"number {number}")
    (note,) = tag_notes(collector.result())
    assert note.endswith("number 2; 253 more")
