"""ID3 tags as other programs write them: three versions, their encodings and their oddities."""

import io
import struct

import pytest

from rl_editor.id3 import id3_tag, read_id3, read_id3v1
from rl_editor.id3_genres import GENRES, genre_name
from rl_editor.tags import Chapter, Metadata, Picture, TagCollector
from rl_editor.tests.made_tags import TAGS, png

LATIN, UTF_16, UTF_16_BE, UTF_8 = b"\0", b"\1", b"\2", b"\3"


def syncsafe(number):
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def tag(version, content, flags=0, unsynchronised=False):
    if unsynchronised:
        content, flags = content.replace(b"\xff", b"\xff\0"), 0x80
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(content)) + content


def frame(version, name, content, flags=b"\0\0"):
    if version == 2:
        return name + struct.pack(">I", len(content))[1:] + content
    size = syncsafe(len(content)) if version == 4 else struct.pack(">I", len(content))
    return name + size + flags + content


def read(content):
    collector = TagCollector()
    end = read_id3(io.BytesIO(content), 0, len(content), collector)
    return collector.result(), end


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [(LATIN, "latin-1"), (UTF_16, "utf-16"), (UTF_16_BE, "utf-16-be"), (UTF_8, "utf-8")],
)
def test_encodings(encoding, codec):
    text = encoding + "Größe".encode(codec)
    found, end = read(tag(4, frame(4, b"TIT2", text) + bytes(100)) + b"sound")
    assert found.fields == (("TITLE", "Größe"),)
    assert end == 10 + 10 + len(text) + 100


def test_the_oldest_version():
    content = frame(2, b"TT2", LATIN + b"Song\0") + frame(2, b"TRK", LATIN + b"3/12")
    content += frame(2, b"TYE", LATIN + b"1999") + frame(2, b"PIC", LATIN + b"PNG\3desc\0" + png())
    found, _ = read(tag(2, content))
    fields = {("TITLE", "Song"), ("TRACKNUMBER", "3"), ("TOTALTRACKS", "12"), ("DATE", "1999")}
    assert set(found.fields) == fields
    assert found.cover == Picture("image/png", png())


def test_a_date_in_two_frames():
    content = frame(3, b"TDAT", LATIN + b"0305") + frame(3, b"TYER", LATIN + b"2021")
    assert read(tag(3, content))[0].fields == (("DATE", "2021-05-03"),)


@pytest.mark.parametrize("version", [2, 3])
def test_a_tag_that_is_unsynchronised_as_a_whole(version):
    jpeg = b"\xff\xd8\xff\xe0\xff\0\xff"
    picture = {2: (b"PIC", b"JPG\3\0"), 3: (b"APIC", b"image/jpeg\0\3\0")}[version]
    content = frame(version, picture[0], LATIN + picture[1] + jpeg)
    found, _ = read(tag(version, content, unsynchronised=True))
    assert found.cover == Picture("image/jpeg", jpeg)


def test_a_frame_that_is_unsynchronised_and_tells_its_length():
    jpeg = b"\xff\xd8\xff\xe0\xff\0\xff"
    content = (UTF_8 + b"image/jpeg\0\3\0" + jpeg).replace(b"\xff", b"\xff\0")
    content = frame(4, b"APIC", syncsafe(17) + content, flags=b"\0\3")
    assert read(tag(4, content))[0].cover == Picture("image/jpeg", jpeg)


def test_a_cover_with_a_description_in_two_bytes_a_character():
    content = UTF_16 + b"image/png\0\3" + "côver".encode("utf-16") + b"\0\0" + png()
    assert read(tag(3, frame(3, b"APIC", content)))[0].cover == Picture("image/png", png())


def test_plain_sizes_in_a_tag_that_should_have_others():
    content = b"TIT2" + struct.pack(">I", 201) + b"\0\0" + LATIN + b"x" * 200
    found, _ = read(tag(4, content + frame(4, b"TALB", LATIN + b"Album")))
    assert found.values("ALBUM") == ("Album",)
    assert len(found.values("TITLE")[0]) == 200


def test_comments_lyrics_and_own_fields():
    content = frame(4, b"COMM", UTF_16 + b"eng" + "d\0text".encode("utf-16"))
    content += frame(4, b"COMM", LATIN + b"engiTunNORM\0 00001")
    content += frame(4, b"USLT", UTF_8 + b"eng\0la la")
    content += frame(4, b"TXXX", UTF_8 + b"Mood\0calm\0warm")
    content += frame(4, b"TXXX", UTF_8 + b"replaygain_track_gain\0-6 dB")
    content += frame(4, b"TSSE", UTF_8 + b"an encoder")
    fields = (("COMMENT", "text"), ("LYRICS", "la la"), ("MOOD", "calm"), ("MOOD", "warm"))
    assert read(tag(4, content))[0].fields == fields


@pytest.mark.parametrize(
    ("text", "name"),
    [("17", "Rock"), ("(17)", "Rock"), ("(17)Shoegaze", "Shoegaze"), ("Rock", "Rock"), ("999", "")],
)
def test_genres_by_number(text, name):
    assert genre_name(text) == name
    assert (len(GENRES), GENRES[79], GENRES[147]) == (148, "Hard Rock", "Synthpop")


def test_compressed_frames_are_passed_over():
    content = frame(4, b"TIT2", LATIN + b"zipped", flags=b"\0\x08")
    content += frame(4, b"TALB", LATIN + b"Album")
    assert read(tag(4, content))[0].fields == (("ALBUM", "Album"),)


def test_a_frame_longer_than_its_tag_ends_it():
    content = frame(3, b"TIT2", LATIN + b"Song") + b"TALB\x7f\xff\xff\xff\0\0"
    found, _ = read(tag(3, content + bytes(50)))
    assert found.fields == (("TITLE", "Song"),)
    assert found.lost == ("what is beyond a place that is damaged, or too large",)


def test_a_large_picture_does_not_hide_what_follows():
    content = frame(3, b"APIC", LATIN + b"image/png\0\3\0" + png() + bytes(10**7 + 2000))
    found, _ = read(tag(3, content + frame(3, b"TIT2", LATIN + b"Song")))
    assert (found.fields, found.lost) == ((("TITLE", "Song"),), ("the cover, larger than 10 MB",))


def test_a_tag_at_the_end():
    content = b"TAG" + b"Song".ljust(30) + b"Ada".ljust(30, b"\0") + b"Album".ljust(30, b"\0")
    content += b"1999" + b"hello".ljust(28, b"\0") + b"\0\x07\x11"
    collector = TagCollector()
    read_id3v1(io.BytesIO(b"sound" + content), 5 + 128, collector)
    found = collector.result()
    assert found.values("TITLE") + found.values("GENRE") == ("Song", "Rock")
    assert found.values("TRACKNUMBER") + found.values("COMMENT") == ("7", "hello")


def test_what_is_written_is_read():
    chapters = (Chapter(0.0, 1.5, "one"), Chapter(1.5, 3.0, "two"))
    written = id3_tag(Metadata(TAGS, chapters))
    found, end = read(written)
    assert (end, found.cover) == (len(written), TAGS.cover)
    assert dict(found.fields) == dict(TAGS.fields)
    assert found.values("ARTIST") == ("Ada", "Bea")


def test_chapters_are_frames_under_a_table():
    written = id3_tag(Metadata(chapters=(Chapter(0.0, 1.5, "one"), Chapter(1.5, 3.0, "two"))))
    assert b"CTOC" + syncsafe(16) + b"\0\0toc\0\x03\x02chp1\0chp2\0" in written
    assert b"chp2\0" + struct.pack(">II", 1500, 3000) + b"\xff" * 8 + b"TIT2" in written
