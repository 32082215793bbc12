"""Vorbis comments and FLAC pictures: the tags of FLAC, Ogg Vorbis and Opus files.

In: an open stream that stands where the comments begin. Out: what it says, into a
`TagCollector`, and the other way round the bytes of a comment block. Layouts: Vorbis I, section
5; RFC 9639, sections 8.6 and 8.8; RFC 7845, section 5.2. Chapters are written as the comments
CHAPTER001=00:00:00.000 and CHAPTER001NAME=... (Xiph's chapter extension).
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Protocol

from rl_editor.tags import (
    FRONT_COVER,
    MAX_PICTURE_BYTES,
    MAX_VALUE_BYTES,
    Chapter,
    Metadata,
    Picture,
    TagCollector,
    canonical,
)

MAX_COMMENTS = 10_000
"""Comments that are looked at; files hold a few dozen."""
PICTURE_KEY = "METADATA_BLOCK_PICTURE"
_MAX_BASE64 = (MAX_PICTURE_BYTES + 1000) * 4 // 3 + 4
_MAX_VENDOR = 1024
_WRITTEN_TOTALS = {"TOTALTRACKS": "TRACKTOTAL", "TOTALDISCS": "DISCTOTAL"}
"""The spelling that FLAC and Ogg players know better."""


class ByteStream(Protocol):
    """What tags are read from: a part of a file, or a packet that is spread over pages."""

    def read(self, n: int) -> bytes:
        """Return the next bytes, `n` unless the stream ends before."""

    def skip(self, n: int) -> None:
        """Pass over bytes."""


def read_comments(stream: ByteStream, collector: TagCollector) -> str:
    """Take all comments of a block and return the vendor text.

    A block that ends too early, or says nonsense, gives what could be read before that.
    """
    vendor_length = _number(stream, "<I")
    vendor = stream.read(min(vendor_length, _MAX_VENDOR)).decode("utf-8", "replace")
    stream.skip(max(vendor_length - _MAX_VENDOR, 0))
    n_comments = _number(stream, "<I")
    if n_comments > MAX_COMMENTS:
        collector.lose(f"what is beyond {MAX_COMMENTS} comments")
    for _ in range(min(n_comments, MAX_COMMENTS)):
        header = stream.read(4)
        if len(header) < 4:
            break
        _read_comment(stream, struct.unpack("<I", header)[0], collector)
    return vendor


def _read_comment(stream: ByteStream, length: int, collector: TagCollector) -> None:
    head = stream.read(min(length, 4 * 64))  # longer than any legal name
    name, found, _ = head.partition(b"=")
    key = name.decode("ascii", "replace").upper()
    is_picture = key == PICTURE_KEY
    limit = _MAX_BASE64 if is_picture else MAX_VALUE_BYTES + 100
    if not found or length > limit:
        stream.skip(length - len(head))
        if found and is_picture:
            collector.lose_large_cover()
        elif found and canonical(key) is not None:
            collector.lose(f"{key}, longer than {MAX_VALUE_BYTES // 1024} kB")
        return
    content = head + stream.read(length - len(head))
    value = content[len(name) + 1 :]
    if len(content) < length:
        collector.lose("what is beyond a place that is cut off")
        return
    if not is_picture:
        collector.add(key, value.decode("utf-8", "replace"))
        return
    try:
        block = base64.b64decode(value, validate=False)
    except binascii.Error:
        collector.lose("the cover, which is damaged")
        return
    read_picture(_Bytes(block), collector)


def read_picture(stream: ByteStream, collector: TagCollector) -> None:
    """Take the picture of a FLAC picture block."""
    kind = _number(stream, ">I")
    stream.skip(_number(stream, ">I"))  # the type is told by the picture itself
    stream.skip(_number(stream, ">I"))
    stream.skip(16)
    length = _number(stream, ">I")
    data = stream.read(min(length, MAX_PICTURE_BYTES + 1))
    if data and len(data) < min(length, MAX_PICTURE_BYTES + 1):
        collector.lose("the cover, which is cut off")
        return
    collector.add_picture(kind, data)


def _number(stream: ByteStream, layout: str) -> int:
    content = stream.read(4)
    return int(struct.unpack(layout, content)[0]) if len(content) == 4 else 0


class _Bytes:
    """A `ByteStream` of bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def read(self, n: int) -> bytes:
        start, self._position = self._position, self._position + n
        return self._content[start : start + n]

    def skip(self, n: int) -> None:
        self._position += n


def comment_block(vendor: str, metadata: Metadata, *, with_cover: bool) -> bytes:
    """Return the bytes of a comment block, without the framing bit of Vorbis.

    Args:
        vendor: what encoded the file.
        metadata: tags and chapters.
        with_cover: put the cover into a comment; FLAC has a block of its own for it.
    """
    comments = [
        f"{_WRITTEN_TOTALS.get(name, name)}={value}" for name, value in metadata.tags.fields
    ]
    comments += _chapter_comments(metadata.chapters)
    if with_cover and metadata.tags.cover is not None:
        encoded = base64.b64encode(picture_block(metadata.tags.cover)).decode("ascii")
        comments.append(f"{PICTURE_KEY}={encoded}")
    parts = [_sized(vendor), struct.pack("<I", len(comments)), *map(_sized, comments)]
    return b"".join(parts)


def _sized(text: str) -> bytes:
    content = text.encode("utf-8")
    return struct.pack("<I", len(content)) + content


def _chapter_comments(chapters: tuple[Chapter, ...]) -> list[str]:
    comments = []
    for number, chapter in enumerate(chapters, 1):
        milliseconds = round(chapter.start_s * 1000)
        minutes, milliseconds = divmod(milliseconds, 60_000)
        hours, minutes = divmod(minutes, 60)
        time = f"{hours:02d}:{minutes:02d}:{milliseconds / 1000:06.3f}"
        comments += [f"CHAPTER{number:03d}={time}", f"CHAPTER{number:03d}NAME={chapter.title}"]
    return comments


def picture_block(picture: Picture) -> bytes:
    """Return a front cover as a FLAC picture block; its size in pixels is left open (0)."""
    mime = picture.mime.encode("ascii")
    return b"".join(
        [
            struct.pack(">II", FRONT_COVER, len(mime)),
            mime,
            struct.pack(">I16x", 0),  # no description
            struct.pack(">I", len(picture.data)),
            picture.data,
        ]
    )
