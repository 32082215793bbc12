"""Tags and markers in the chunks of WAV and AIFF files.

In: an open file. Out: what its chunks say, into a `TagCollector`, and the other way round the
chunks that follow the samples of a finished file. Layouts: RIFF (Microsoft, IBM 1991: LIST INFO,
cue, LIST adtl), RF64 (EBU Tech 3306), AIFF 1.3 (Apple: NAME, AUTH, ANNO, MARK); both hold an ID3
tag in a chunk of its own, which is where what they have no word for goes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from rl_editor.id3 import id3_tag, read_id3
from rl_editor.tags import MAX_VALUE_BYTES, Chapter, Metadata, TagCollector, Tags, numbered

MAX_CHUNKS = 10_000
"""Chunks that are looked at; files hold a few."""

INFO_NAMES = {
    "TITLE": b"INAM",
    "ARTIST": b"IART",
    "ALBUM": b"IPRD",
    "DATE": b"ICRD",
    "GENRE": b"IGNR",
    "TRACKNUMBER": b"ITRK",
    "COMMENT": b"ICMT",
    "COMPOSER": b"IMUS",
    "COPYRIGHT": b"ICOP",
    "LYRICIST": b"IWRI",
    "LANGUAGE": b"ILNG",
    "PUBLISHER": b"IPUB",
    "ENGINEER": b"IENG",
}
"""Chunk of a LIST INFO for each name that has one."""
_FROM_INFO = {chunk: name for name, chunk in INFO_NAMES.items()} | {
    b"IPRT": "TRACKNUMBER",
    b"IBPM": "BPM",
    b"ISBJ": "SUBTITLE",
}
_FROM_AIFF = {b"NAME": "TITLE", b"AUTH": "ARTIST", b"(c) ": "COPYRIGHT", b"ANNO": "COMMENT"}
_MAX_INFO_BYTES = 1_000_000


def chunks(file: BinaryIO, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks of a RIFF, RF64 or AIFF file: name, where its content begins and ends.

    Args:
        file: open file of `size` bytes.
        size: bytes in the file.
        order: "<" for RIFF and RF64, ">" for AIFF.
    """
    position, data_size = 12, None
    for _ in range(MAX_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        begin = position + 8
        if name == b"ds64":
            data_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and length == 0xFFFFFFFF and data_size is not None:
            length = data_size
        yield name, begin, min(begin + length, size)
        position = begin + length + length % 2


def read_riff(file: BinaryIO, size: int, collector: TagCollector) -> None:
    """Take the tags of a WAV: of its ID3 chunk first, which says more, then of its LIST INFO."""
    found = list(chunks(file, size, "<"))
    for name, begin, end in found:
        if name in (b"id3 ", b"ID3 "):
            read_id3(file, begin, end, collector)
    for name, begin, end in found:
        if name == b"LIST":
            file.seek(begin)
            content = file.read(min(end - begin, _MAX_INFO_BYTES))
            if content[:4] == b"INFO":
                _read_info(content, collector)


def _read_info(content: bytes, collector: TagCollector) -> None:
    collector.next_place()
    position = 4
    while position + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        value = content[position + 8 : position + 8 + length]
        if name in _FROM_INFO:
            collector.add(_FROM_INFO[name], _text(value))
        position += 8 + length + length % 2


def read_aiff(file: BinaryIO, size: int, collector: TagCollector) -> None:
    """Take the tags of an AIFF: of its ID3 chunk first, then of its text chunks."""
    found = list(chunks(file, size, ">"))
    for name, begin, end in found:
        if name in (b"id3 ", b"ID3 "):
            read_id3(file, begin, end, collector)
    collector.next_place()
    for name, begin, end in found:
        if name in _FROM_AIFF:
            file.seek(begin)
            collector.add(_FROM_AIFF[name], _text(file.read(min(end - begin, MAX_VALUE_BYTES))))


def _text(content: bytes) -> str:
    """Return text that nobody said the encoding of: UTF-8 where it is, else that of Windows."""
    content = content.split(b"\0")[0]
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def riff_chunks(metadata: Metadata, sample_rate: int) -> bytes:
    """Return the chunks that a WAV ends with: LIST INFO, ID3, cue and the names of the cues."""
    parts = []
    info = _info_chunks(metadata.tags)
    if info:
        parts.append(_chunk("<", b"LIST", b"INFO" + info))
    tagged = Metadata(metadata.tags)  # without chapters: players would show each twice
    if tagged:
        parts.append(_chunk("<", b"id3 ", id3_tag(tagged)))
    if metadata.chapters:
        starts = _starts(metadata.chapters, sample_rate)
        cues = [
            struct.pack("<II4sIII", number, start, b"data", 0, 0, start)
            for number, start in enumerate(starts, 1)
        ]
        labels = [
            _chunk("<", b"labl", struct.pack("<I", number) + chapter.title.encode("utf-8") + b"\0")
            for number, chapter in enumerate(metadata.chapters, 1)
        ]
        parts.append(_chunk("<", b"cue ", struct.pack("<I", len(cues)) + b"".join(cues)))
        parts.append(_chunk("<", b"LIST", b"adtl" + b"".join(labels)))
    return b"".join(parts)


def _info_chunks(tags: Tags) -> bytes:
    parts = []
    for name, chunk in INFO_NAMES.items():
        text = "; ".join(tags.values(name))
        if name == "TRACKNUMBER" and text:
            number, total = numbered(tags, name)
            text = f"{number}/{total}" if total else str(number)
        if text:
            parts.append(_chunk("<", chunk, text.encode("utf-8") + b"\0"))
    return b"".join(parts)


def aiff_chunks(metadata: Metadata, sample_rate: int) -> bytes:
    """Return the chunks that an AIFF ends with: ID3 and its markers."""
    parts = [_chunk(">", b"ID3 ", id3_tag(metadata))]
    if metadata.chapters:
        markers = [struct.pack(">H", len(metadata.chapters))]
        starts = _starts(metadata.chapters, sample_rate)
        for number, (start, chapter) in enumerate(zip(starts, metadata.chapters, strict=True), 1):
            title = chapter.title.encode("utf-8")[:255]
            text = bytes([len(title)]) + title
            text += b"\0" * (len(text) % 2)
            markers.append(struct.pack(">HI", number, start) + text)
        parts.append(_chunk(">", b"MARK", b"".join(markers)))
    return b"".join(parts)


def _starts(chapters: tuple[Chapter, ...], sample_rate: int) -> list[int]:
    """Return the first sample of each chapter, as far as 32 bits can tell."""
    return [min(round(chapter.start_s * sample_rate), 0xFFFFFFFF) for chapter in chapters]


def _chunk(order: str, name: bytes, content: bytes) -> bytes:
    return struct.pack(f"{order}4sI", name, len(content)) + content + b"\0" * (len(content) % 2)
