"""Vorbis comments: what is written is read, and a stranger's block does no harm."""

import base64
import io
import os
import struct

import pytest

from rl_editor.tags import Chapter, Metadata, TagCollector, Tags
from rl_editor.tests.made_tags import COVER, TAGS, png
from rl_editor.vorbis_comments import comment_block, picture_block, read_comments, read_picture


class Stream(io.BytesIO):
    def skip(self, n):
        self.seek(n, os.SEEK_CUR)


def read(block):
    collector = TagCollector()
    vendor = read_comments(Stream(block), collector)
    return collector.result(), vendor


def sized(content):
    return struct.pack("<I", len(content)) + content


def block_of(*comments, n_comments=None):
    n_comments = len(comments) if n_comments is None else n_comments
    return sized(b"vendor") + struct.pack("<I", n_comments) + b"".join(map(sized, comments))


def test_what_is_written_is_read():
    chapters = (Chapter(0.0, 3661.5, "one"), Chapter(3661.5, 4000.0, "two"))
    block = comment_block("vendor", Metadata(TAGS, chapters), with_cover=True)
    found, vendor = read(block)
    assert vendor == "vendor"
    assert found.cover == TAGS.cover
    assert found.fields == TAGS.fields
    for text in (b"CHAPTER001=00:00:00.000", b"CHAPTER002=01:01:01.500", b"CHAPTER002NAME=two"):
        assert sized(text) in block
    assert sized(b"TRACKTOTAL=12") in block


def test_names_in_any_case():
    assert read(block_of(b"Title=Song", b"tracktotal=9"))[0].fields == (
        ("TITLE", "Song"),
        ("TOTALTRACKS", "9"),
    )


@pytest.mark.parametrize("length", range(60))
def test_a_block_that_is_cut_off_gives_what_is_there(length):
    block = block_of(b"TITLE=Song", b"ARTIST=Ada", b"NO SIGN")[:length]
    fields = dict(read(block)[0].fields)
    assert fields.items() <= {"TITLE": "Song", "ARTIST": "Ada"}.items()
    assert len(fields) == (length >= 28) + (length >= 42)


def test_counts_and_lengths_that_are_lies():
    block = block_of(b"TITLE=Song", n_comments=2**32 - 1) + struct.pack("<I", 2**32 - 1) + b"A=b"
    found, _ = read(block)
    assert found.fields == (("TITLE", "Song"),)
    assert read(struct.pack("<I", 2**32 - 1))[0] == Tags()


def test_what_is_too_large_is_passed_over():
    huge = b"METADATA_BLOCK_PICTURE=" + b"A" * 14_000_000
    found, _ = read(block_of(huge, b"COMMENT=" + b"x" * 70_000, b"TITLE=Song"))
    assert found.fields == (("TITLE", "Song"),)
    assert found.lost == ("the cover, larger than 10 MB", "COMMENT, longer than 64 kB")


@pytest.mark.parametrize(
    ("value", "word"),
    [(b"A", "damaged"), (base64.b64encode(picture_block(COVER))[:80], "cut off")],
)
def test_a_damaged_cover_is_told(value, word):
    found, _ = read(block_of(b"METADATA_BLOCK_PICTURE=" + value))
    assert word in found.lost[0]


def test_a_picture_block_has_the_layout_of_flac():
    block = picture_block(COVER)
    assert block[:8] == struct.pack(">II", 3, len("image/png"))
    assert block.endswith(struct.pack(">I", len(png())) + png())
    collector = TagCollector()
    read_picture(Stream(block), collector)
    assert collector.result().cover == TAGS.cover
