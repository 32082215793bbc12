"""ID3 tags: of MP3 files, and as a chunk of WAV and AIFF files.

In: an open file and where the tag begins. Out: what it says, into a `TagCollector`, and the other
way round the bytes of a tag. Read are ID3v1, v2.2, v2.3 and v2.4; written is v2.4 with UTF-8 text,
chapters as CHAP frames under one CTOC (ID3v2 Chapter Frame Addendum 1.0). Frames that are
compressed or encrypted are not opened.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from rl_editor.id3_genres import GENRES, genre_name
from rl_editor.tags import (
    FRONT_COVER,
    MAX_FIELDS,
    MAX_PICTURE_BYTES,
    MAX_VALUE_BYTES,
    TOTALS,
    Chapter,
    Metadata,
    TagCollector,
    Tags,
    numbered,
)

MAX_TAG_BYTES = 16 * 2**20
"""Of a tag that must be undone as a whole (unsynchronisation), so much is read."""
MAX_FRAMES = 10_000
"""Frames that are looked at; tags hold a few dozen."""
MAX_CHAPTERS = 255
"""A CTOC frame counts its chapters in one byte."""

TEXT_FRAMES = {
    "TITLE": "TIT2",
    "ARTIST": "TPE1",
    "ALBUM": "TALB",
    "ALBUMARTIST": "TPE2",
    "DATE": "TDRC",
    "GENRE": "TCON",
    "TRACKNUMBER": "TRCK",
    "DISCNUMBER": "TPOS",
    "COMPOSER": "TCOM",
    "COPYRIGHT": "TCOP",
    "LYRICIST": "TEXT",
    "CONDUCTOR": "TPE3",
    "REMIXER": "TPE4",
    "PUBLISHER": "TPUB",
    "LANGUAGE": "TLAN",
    "BPM": "TBPM",
    "KEY": "TKEY",
    "GROUPING": "TIT1",
    "SUBTITLE": "TIT3",
    "MOOD": "TMOO",
    "ORIGINALDATE": "TDOR",
    "DISCSUBTITLE": "TSST",
    "COMPILATION": "TCMP",
    "TITLESORT": "TSOT",
    "ARTISTSORT": "TSOP",
    "ALBUMSORT": "TSOA",
    "ALBUMARTISTSORT": "TSO2",
    "COMPOSERSORT": "TSOC",
}
"""Frame of each name that has one; COMMENT and LYRICS have frames with a language."""
_NAMES = {frame: name for name, frame in TEXT_FRAMES.items()} | {"TORY": "ORIGINALDATE"}
_LINKS = {"WCOP": "LICENSE", "WOAR": "WEBSITE"}
_V2_2: dict[str, str] = dict(
    re.findall(
        r"(\w+):(\w+)",
        """TT1:TIT1 TT2:TIT2 TT3:TIT3 TP1:TPE1 TP2:TPE2 TP3:TPE3 TP4:TPE4 TAL:TALB TYE:TYER
    TDA:TDAT TCO:TCON TRK:TRCK TPA:TPOS TCM:TCOM TCR:TCOP TXT:TEXT TPB:TPUB TLA:TLAN TBP:TBPM
    TKE:TKEY TOR:TORY TCP:TCMP TXX:TXXX COM:COMM ULT:USLT PIC:APIC WCP:WCOP WAR:WOAR""",
    )
)
"""Frames of ID3v2.2 by their later names."""
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


@dataclass(frozen=True)
class _Frame:
    """A frame: its name in ID3v2.3 and later, what it holds, and the version of the tag."""

    name: str
    content: bytes
    version: int


def read_id3(file: BinaryIO, start: int, stop: int, collector: TagCollector) -> int:
    """Take the ID3v2 tag that begins at `start`; return where it ends, `start` if there is none.

    Args:
        file: open for reading.
        start: of the tag, bytes.
        stop: where the file or chunk ends that holds it.
        collector: what is found goes there.
    """
    file.seek(start)
    header = file.read(10)
    if len(header) < 10 or header[:3] != b"ID3" or header[3] not in (2, 3, 4):
        return start
    collector.next_place()
    version, flags = header[3], header[5]
    end = start + 10 + _syncsafe(header[6:10])
    begin, last, source = start + 10, min(end, stop), file
    if flags & 0x80 and version < 4:
        content = file.read(min(last - begin, MAX_TAG_BYTES)).replace(b"\xff\0", b"\xff")
        begin, last, source = 0, len(content), io.BytesIO(content)
    if flags & 0x40 and version > 2:
        source.seek(begin)
        size = source.read(4)
        begin += _syncsafe(size) if version == 4 else 4 + int.from_bytes(size, "big")
    if not _read_frames(source, begin, last, version, collector):
        collector.lose("what is beyond a place that is damaged, or too large")
    return end + (10 if flags & 0x10 else 0)


def _read_frames(
    file: BinaryIO, position: int, stop: int, version: int, collector: TagCollector
) -> bool:
    """Take the frames of a tag, up to its padding; return False where one is cut off."""
    n_header = 6 if version == 2 else 10
    dates: dict[str, str] = {}
    is_whole = True
    for _ in range(MAX_FRAMES):
        if position + n_header > stop:
            break
        file.seek(position)
        header = file.read(n_header)
        name, size = _frame_header(header, version)
        position += n_header + size
        if not (name.isascii() and name.isalnum()) or len(header) < n_header:
            break
        if position > stop:
            is_whole = False
            break
        limit = MAX_PICTURE_BYTES + 1000 if name == "APIC" else MAX_VALUE_BYTES + 1000
        if size > limit:
            _lose_large(name, collector)
            continue
        content = _frame_content(file.read(size), header, version)
        if content:
            _take(_Frame(name, content, version), collector, dates)
    if "TYER" in dates:
        collector.add("DATE", _old_date(dates["TYER"], dates.get("TDAT", "")))
    return is_whole


def _frame_header(header: bytes, version: int) -> tuple[str, int]:
    """Return a frame's name, in the words of ID3v2.3 and later, and its size."""
    if version == 2:
        name = header[:3].decode("latin-1")
        return _V2_2.get(name, name), int.from_bytes(header[3:6], "big")
    size = header[4:8]
    # some programs write plain numbers into v2.4 tags
    is_plain = version == 3 or any(byte & 0x80 for byte in size)
    return header[:4].decode("latin-1"), int.from_bytes(size, "big") if is_plain else _syncsafe(
        size
    )


def _frame_content(content: bytes, header: bytes, version: int) -> bytes:
    """Return what a frame holds, nothing where it is compressed or encrypted."""
    flags = header[9] if version > 2 else 0
    if version == 3:
        return b"" if flags & 0xC0 else content[1:] if flags & 0x20 else content
    if flags & 0x0C:
        return b""
    content = content[1:] if flags & 0x40 else content
    content = content[4:] if flags & 0x01 else content
    return content.replace(b"\xff\0", b"\xff") if flags & 0x02 else content


def _lose_large(name: str, collector: TagCollector) -> None:
    if name == "APIC":
        collector.lose_large_cover()
    elif name in _NAMES or name in ("COMM", "USLT"):
        word = {"COMM": "COMMENT", "USLT": "LYRICS"}.get(name) or _NAMES[name]
        collector.lose(f"{word}, longer than {MAX_VALUE_BYTES // 1024} kB")


def _take(frame: _Frame, collector: TagCollector, dates: dict[str, str]) -> None:
    """Take one frame; dates of ID3v2.3 stand in two frames, so they are gathered first."""
    name, content = frame.name, frame.content
    if name in ("TYER", "TDAT"):
        dates.setdefault(name, next(iter(_texts(content)), ""))
    elif name in _NAMES:
        for text in _texts(content):
            collector.add(_NAMES[name], genre_name(text) if name == "TCON" else text)
    elif name == "TXXX":
        key, *values = [*_texts(content, keep_empty=True), ""]
        for value in values:
            collector.add(key, value)
    elif name in ("COMM", "USLT"):
        key, value = _described(content[:1] + content[4:])
        if not key.upper().startswith("ITUN"):
            collector.add("COMMENT" if name == "COMM" else "LYRICS", value)
    elif name in _LINKS:
        collector.add(_LINKS[name], content.decode("latin-1"))
    elif name == "APIC":
        _take_picture(frame, collector)


def _texts(content: bytes, *, keep_empty: bool = False) -> list[str]:
    """Return the texts of a frame that begins with the byte of its encoding."""
    encoding = _ENCODINGS[content[0]] if content[0] < len(_ENCODINGS) else "latin-1"
    texts = content[1:].decode(encoding, "replace").split("\0", MAX_FIELDS)[:MAX_FIELDS]
    texts = [text.lstrip("\ufeff") for text in texts]
    return texts if keep_empty else [text for text in texts if text.strip()]


def _described(content: bytes) -> tuple[str, str]:
    """Return the description of a text, and the text."""
    description, *texts = _texts(content, keep_empty=True)
    return (description, " ".join(texts)) if texts else ("", description)


def _take_picture(frame: _Frame, collector: TagCollector) -> None:
    content = frame.content
    kind_at = 4 if frame.version == 2 else content.find(b"\0", 1) + 1
    if not 0 < kind_at < len(content):
        collector.lose("the cover, which is damaged")
        return
    rest = content[kind_at + 1 :]
    if content[0] in (1, 2):  # two bytes a character
        end = next((at for at in range(0, len(rest) - 1, 2) if rest[at : at + 2] == b"\0\0"), -2)
        rest = rest[end + 2 :]
    else:
        rest = rest[rest.find(b"\0") + 1 :]
    collector.add_picture(content[kind_at], rest)


def _old_date(year: str, day_month: str) -> str:
    """Return a date of ID3v2.3 (year, and DDMM) as 2021-05-03."""
    if len(day_month) == 4 and day_month.isdecimal() and len(year) == 4:
        return f"{year}-{day_month[2:]}-{day_month[:2]}"
    return year


def read_id3v1(file: BinaryIO, size: int, collector: TagCollector) -> None:
    """Take the ID3v1 tag at the end of a file of `size` bytes, if there is one."""
    if size < 128:
        return
    file.seek(size - 128)
    content = file.read(128)
    if content[:3] != b"TAG":
        return
    collector.next_place()
    spans = {"TITLE": (3, 33), "ARTIST": (33, 63), "ALBUM": (63, 93), "DATE": (93, 97)}
    for name, (start, stop) in spans.items():
        collector.add(name, _padded(content[start:stop]))
    has_track = content[125] == 0 and content[126] != 0
    collector.add("COMMENT", _padded(content[97 : 125 if has_track else 127]))
    if has_track:
        collector.add("TRACKNUMBER", str(content[126]))
    if content[127] < len(GENRES):
        collector.add("GENRE", GENRES[content[127]])


def _padded(content: bytes) -> str:
    return content.split(b"\0")[0].decode("latin-1")


def _syncsafe(content: bytes) -> int:
    """Return a number of seven bits a byte."""
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
    return number


def id3_tag(metadata: Metadata) -> bytes:
    """Return an ID3v2.4 tag with tags, cover and chapters."""
    tags = metadata.tags
    parts = [*_text_frames(tags)]
    if tags.cover is not None:
        mime = tags.cover.mime.encode("ascii")
        head = b"\x03" + mime + b"\0" + bytes([FRONT_COVER]) + b"\0"
        parts.append(_frame("APIC", head + tags.cover.data))
    parts += _chapter_frames(metadata.chapters[:MAX_CHAPTERS])
    content = b"".join(parts)
    return b"ID3\x04\0\0" + _to_syncsafe(len(content)) + content


def _text_frames(tags: Tags) -> list[bytes]:
    frames = []
    for name in dict.fromkeys(name for name, _ in tags.fields):
        values = tags.values(name)
        if name in TOTALS.values():
            continue
        if name in TOTALS:
            number, total = numbered(tags, name)
            values = (f"{number}/{total}" if total else str(number),)
        if name in ("COMMENT", "LYRICS"):
            word = "COMM" if name == "COMMENT" else "USLT"
            frames.append(_frame(word, b"\x03und\0" + "\n".join(values).encode("utf-8")))
        elif name in TEXT_FRAMES:
            frames.append(_frame(TEXT_FRAMES[name], b"\x03" + "\0".join(values).encode("utf-8")))
        else:
            text = "\0".join((name, *values))
            frames.append(_frame("TXXX", b"\x03" + text.encode("utf-8")))
    return frames


def _chapter_frames(chapters: tuple[Chapter, ...]) -> list[bytes]:
    frames, names = [], []
    for number, chapter in enumerate(chapters, 1):
        names.append(f"chp{number}".encode("ascii") + b"\0")
        start, stop = (round(1000 * at) for at in (chapter.start_s, chapter.end_s))
        times = struct.pack(">IIII", start, stop, 0xFFFFFFFF, 0xFFFFFFFF)  # no byte offsets
        title = _frame("TIT2", b"\x03" + chapter.title.encode("utf-8"))
        frames.append(_frame("CHAP", names[-1] + times + title))
    if not frames:
        return []
    is_top_and_ordered = 0x03
    content = b"toc\0" + bytes([is_top_and_ordered, len(names)]) + b"".join(names)
    return [_frame("CTOC", content), *frames]


def _frame(name: str, content: bytes) -> bytes:
    return name.encode("ascii") + _to_syncsafe(len(content)) + b"\0\0" + content


def _to_syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
