"""Tags and markers in WAV and AIFF chunks, as other programs write and read them."""

import io
import struct

import pytest

from rl_editor.chunk_tags import aiff_chunks, chunks, read_aiff, read_riff, riff_chunks
from rl_editor.id3 import id3_tag
from rl_editor.tags import Chapter, Metadata, TagCollector, Tags
from rl_editor.tests.made_tags import FIELDS, TAGS

CHAPTERS = (Chapter(0.0, 1.5, "one"), Chapter(1.5, 3.0, "zwö"))


def chunk(order, name, content):
    return struct.pack(f"{order}4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def read(reader, content):
    collector = TagCollector()
    reader(io.BytesIO(content), len(content), collector)
    return collector.result()


def wav(*parts):
    return b"RIFF\0\0\0\0WAVE" + chunk("<", b"data", b"abc") + b"".join(parts)


def info(*fields):
    return chunk("<", b"LIST", b"INFO" + b"".join(chunk("<", *field) for field in fields))


def aiff(*parts):
    return b"FORM\0\0\0\0AIFF" + chunk(">", b"SSND", b"abc") + b"".join(parts)


@pytest.mark.parametrize("text", ["Größe".encode(), "Größe".encode("cp1252")])
def test_a_list_of_texts(text):
    found = read(read_riff, wav(info((b"INAM", text + b"\0"), (b"ITRK", b"3/12"), (b"ISFT", b"x"))))
    fields = (("TITLE", "Größe"), ("TOTALTRACKS", "12"), ("TRACKNUMBER", "3"))
    assert found.fields == fields


def test_who_recorded_it():
    found = read(read_riff, wav(info((b"IENG", b"Eve"), (b"ISBJ", b"live"))))
    assert found.fields == (("ENGINEER", "Eve"), ("SUBTITLE", "live"))


def test_id3_goes_before_the_list():
    tagged = id3_tag(Metadata(Tags((("TITLE", "a title longer than the list has"),))))
    listed = info((b"INAM", b"a title"), (b"IART", b"Ada"))
    found = read(read_riff, wav(listed, chunk("<", b"id3 ", tagged)))
    assert found.fields == (("TITLE", "a title longer than the list has"), ("ARTIST", "Ada"))


def test_texts_of_aiff():
    parts = [chunk(">", b"NAME", b"Song"), chunk(">", b"(c) ", b"2021 Ada")]
    parts += [chunk(">", b"ANNO", b"one"), chunk(">", b"ANNO", b"two")]
    fields = (("TITLE", "Song"), ("COPYRIGHT", "2021 Ada"), ("COMMENT", "one"), ("COMMENT", "two"))
    assert read(read_aiff, aiff(*parts)).fields == fields


def test_what_is_written_is_read():
    found = read(read_riff, wav(riff_chunks(Metadata(TAGS, CHAPTERS), 1000)))
    assert (dict(found.fields), found.cover) == (dict(FIELDS), TAGS.cover)
    found = read(read_aiff, aiff(aiff_chunks(Metadata(TAGS, CHAPTERS), 1000)))
    assert (dict(found.fields), found.cover) == (dict(FIELDS), TAGS.cover)


def test_without_tags_there_are_markers_alone():
    content = wav(riff_chunks(Metadata(chapters=CHAPTERS), 1000))
    names = [name for name, *_ in chunks(io.BytesIO(content), len(content), "<")]
    assert names == [b"data", b"cue ", b"LIST"]


def test_cues_and_their_names():
    content = riff_chunks(Metadata(chapters=CHAPTERS), 1000)
    cues = struct.pack("<I", 2)
    cues += struct.pack("<II4sIII", 1, 0, b"data", 0, 0, 0)
    cues += struct.pack("<II4sIII", 2, 1500, b"data", 0, 0, 1500)
    labels = chunk("<", b"labl", struct.pack("<I", 1) + b"one\0")
    labels += chunk("<", b"labl", struct.pack("<I", 2) + "zwö\0".encode())
    assert content == chunk("<", b"cue ", cues) + chunk("<", b"LIST", b"adtl" + labels)


def test_markers_of_aiff():
    content = aiff_chunks(Metadata(chapters=CHAPTERS), 1000)
    markers = struct.pack(">H", 2) + struct.pack(">HI", 1, 0) + b"\x03one"
    markers += struct.pack(">HI", 2, 1500) + b"\x04" + "zwö".encode() + b"\0"
    assert content.endswith(chunk(">", b"MARK", markers))


@pytest.mark.parametrize("order", ["<", ">"])
def test_chunks_that_promise_too_much(order):
    content = b"RIFF\0\0\0\0WAVE" + b"LIST" + b"\xff\xff\xff\xff" + b"INFOINAM\xff\xff\xff\xffSong"
    assert len(list(chunks(io.BytesIO(content), len(content), order))) == 1
    assert read(read_riff, content).fields == (("TITLE", "Song"),)


def test_tags_behind_more_than_4_gb_of_samples():
    big = 2**32 + 1
    head = b"RF64\xff\xff\xff\xffWAVE" + chunk("<", b"ds64", struct.pack("<QQQI", 0, big, 0, 0))
    head += b"data\xff\xff\xff\xff"

    class Sparse(io.BytesIO):
        """A file whose samples take no memory."""

        def seek(self, position, whence=0):
            beyond = position > len(head) + big
            return super().seek(position - big - 1 if beyond or position == end else position)

    tail = info((b"INAM", b"Song"))
    end = len(head) + big + 1
    file = Sparse(head + tail)
    collector = TagCollector()
    read_riff(file, end + len(tail), collector)
    assert collector.result().fields == (("TITLE", "Song"),)
