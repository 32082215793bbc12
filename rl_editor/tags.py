"""What a file says about its music: title, artist, cover, chapters; and what of it is carried over.

Tags are pairs of a name and a text. Names are those of Vorbis comments in upper case (TITLE,
ARTIST, TRACKNUMBER, ...), whatever file they come from; a name may occur more than once. In: what
the readers of the file formats find (`id3`, `vorbis_comments`, `chunk_tags`, `tag_reader`). Out:
`Tags`, bounded in number and size, since a file may say anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PICTURE_BYTES = 10_000_000
"""Largest cover that is carried over: FLAC has room for 16 MB, less than that in base 64."""
MAX_VALUE_BYTES = 65_536
"""Longest text of one tag, bytes; the lyrics of an opera fit."""
MAX_FIELDS = 256
"""Most tags that are carried over."""
MAX_TEXT_BYTES = 1_000_000
"""Most that their texts are together, bytes."""
FRONT_COVER, OTHER_PICTURE = 3, 0
"""Kinds of pictures (ID3v2.4, section 4.14) that may be the cover."""

ALIASES = {
    "ALBUM ARTIST": "ALBUMARTIST",
    "ALBUM_ARTIST": "ALBUMARTIST",
    "DESCRIPTION": "COMMENT",
    "DISC": "DISCNUMBER",
    "DISCTOTAL": "TOTALDISCS",
    "INITIALKEY": "KEY",
    "ORGANIZATION": "PUBLISHER",
    "TEMPO": "BPM",
    "TRACK": "TRACKNUMBER",
    "TRACKTOTAL": "TOTALTRACKS",
    "UNSYNCEDLYRICS": "LYRICS",
    "YEAR": "DATE",
}
"""Other words for the same."""
TOTALS = {"TRACKNUMBER": "TOTALTRACKS", "DISCNUMBER": "TOTALDISCS"}
"""Numbers that may be written as 3/12, and the name of the 12."""

_LANGUAGE = re.compile(r"^(LYRICS|COMMENT|TITLE)-[A-Z]{3}$")
_LEGAL = re.compile(r"^[ -<>-}]{1,64}$")
"""Names that a Vorbis comment may have."""
_NOT_CARRIED = re.compile(
    # loudness, length and places in time of the recording, not of the edited track
    r"REPLAYGAIN_.*|R128_.*|MP3GAIN_.*|ITUN.*|TLEN|LENGTH|DURATION|CUESHEET|CHAPTER\d.*"
    r"|SYNCEDLYRICS|TIME_REFERENCE|UMID|CODING_HISTORY|ACCURATERIP.*"
    # who the recording is to a catalogue: the edited track is another one
    r"|ISRC|TSRC|ACOUSTID_.*|MUSICBRAINZ_.*|DISCID|CDDB.*"
    # what made or held the file
    r"|ENCODE.*|ENCODING.*|SOFTWARE|TSSE|TENC|TOOL|MAJOR_BRAND|MINOR_VERSION|COMPATIBLE_BRANDS"
    r"|HANDLER_NAME|VENDOR_ID|CREATION_TIME|GAPLESS_PLAYBACK|DEVICE_CONFORMANCE_TEMPLATE|WMFSDK.*"
    r"|WM/.*|ISVBR|WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
    # pictures in the shape of a text
    r"|METADATA_BLOCK_PICTURE|COVERART.*|COVER ART.*"
)
_TIMED_LINE = re.compile(r"^\s*\[\d+:\d", re.MULTILINE)
"""Lyrics with a time before each line, which the edit has moved."""
_NO_LANGUAGE = ("und", "xxx")
"""What stands for none (ISO 639-2)."""
_PICTURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


@dataclass(frozen=True)
class Picture:
    """A cover: the bytes of a JPEG, PNG, GIF, BMP or WebP file, and which of them it is."""

    mime: str
    data: bytes


@dataclass(frozen=True)
class Chapter:
    """A section of a track that a player can jump to: half-open [start_s, end_s) and its title."""

    start_s: float
    end_s: float
    title: str


@dataclass(frozen=True)
class Tags:
    """What is carried over from one file to another.

    Attributes:
        fields: (name, text), names as in Vorbis comments, upper case.
        cover: the front cover, if there is one.
        lost: what was found but cannot be carried over, a few words each.
    """

    fields: tuple[tuple[str, str], ...] = ()
    cover: Picture | None = None
    lost: tuple[str, ...] = ()

    def values(self, name: str) -> tuple[str, ...]:
        """Return the texts under a name, in their order."""
        return tuple(value for found, value in self.fields if found == name)


@dataclass(frozen=True)
class Metadata:
    """What a file holds besides its samples.

    Attributes:
        tags: texts and cover.
        chapters: in the order of time; empty where nobody asked for them.
    """

    tags: Tags = Tags()
    chapters: tuple[Chapter, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tags.fields or self.tags.cover or self.chapters)


def canonical(name: str) -> str | None:
    """Return the name under which a tag is carried over, or None where it is not."""
    upper = name.strip().upper()
    upper = _LANGUAGE.sub(r"\1", upper)
    upper = ALIASES.get(upper, upper)
    if not _LEGAL.match(upper) or _NOT_CARRIED.fullmatch(upper):
        return None
    return upper


def picture_of(data: bytes) -> Picture | None:
    """Return the bytes of a picture file as a picture, None if they are none that players show."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Picture("image/webp", data)
    found = next((mime for start, mime in _PICTURES if data.startswith(start)), None)
    return None if found is None else Picture(found, data)


def numbered(tags: Tags, name: str) -> tuple[str | None, str | None]:
    """Return a track or disc number and how many there are, as texts; None where not known."""
    number = next(iter(tags.values(name)), None)
    total = next(iter(tags.values(TOTALS[name])), None)
    return number, total


class TagCollector:
    """Gathers what the readers find, within bounds; see `Tags`.

    A file may say the same in several places. The first place that gives a name decides:
    `next_place` is called before each.
    """

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []
        self._pictures: dict[int, Picture] = {}
        self._lost: dict[str, None] = {}
        self._names: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._seen: set[tuple[str, str]] = set()
        self._n_bytes, self._is_full = 0, False

    def next_place(self) -> None:
        """Begin with another place of the file that holds tags."""
        self._known = frozenset(self._names)

    def add(self, name: str, value: str) -> None:
        """Take a text under any spelling of its name; what is not carried over is passed over."""
        if self._is_full:
            return
        known = canonical(name)
        value = value.replace("\0", " ").strip()
        if known is None or not value or known in self._known:
            return
        if known == "LYRICS" and _TIMED_LINE.search(value):
            return
        if known == "LANGUAGE" and value.lower() in _NO_LANGUAGE:
            return
        if len(value.encode("utf-8", "replace")) > MAX_VALUE_BYTES:
            self.lose(f"{known}, longer than {MAX_VALUE_BYTES // 1024} kB")
            return
        if known in TOTALS:
            value, _, total = (part.strip() for part in value.partition("/"))
            if total:
                self._append(TOTALS[known], total)
        if value:
            self._append(known, value)

    def _append(self, name: str, value: str) -> None:
        if (name, value) in self._seen:
            return
        encoded = value.encode("utf-8", "replace")  # "?" for half a surrogate pair
        if len(self._fields) == MAX_FIELDS or self._n_bytes + len(encoded) > MAX_TEXT_BYTES:
            self.lose(f"what is beyond {MAX_FIELDS} tags or {MAX_TEXT_BYTES // 10**6} MB")
            self._is_full = True
            return
        value = encoded.decode("utf-8")
        self._n_bytes += len(encoded)
        self._seen.add((name, value))
        self._names.add(name)
        self._fields.append((name, value))

    def add_picture(self, kind: int, data: bytes) -> None:
        """Take a picture of a kind (ID3v2.4, section 4.14); others than the cover are passed over.

        `data` may be cut off after `MAX_PICTURE_BYTES`, which counts as too large.
        """
        if kind not in (FRONT_COVER, OTHER_PICTURE) or kind in self._pictures:
            return
        if len(data) > MAX_PICTURE_BYTES:
            self.lose_large_cover()
            return
        picture = picture_of(data)
        if picture is None:
            self.lose("the cover, which is no JPEG, PNG, GIF, BMP or WebP picture")
            return
        self._pictures[kind] = picture

    def lose_large_cover(self) -> None:
        """Remember that a cover is not carried over because of its size."""
        self.lose(f"the cover, larger than {MAX_PICTURE_BYTES // 10**6} MB")

    def lose(self, what: str) -> None:
        """Remember, in a few words, what is not carried over."""
        if len(self._lost) < MAX_FIELDS:
            self._lost[what] = None

    def result(self) -> Tags:
        """Return what was gathered."""
        cover = self._pictures.get(FRONT_COVER) or self._pictures.get(OTHER_PICTURE)
        lost = [what for what in self._lost if cover is None or not what.startswith("the cover")]
        return Tags(tuple(self._fields), cover, tuple(lost))


def tag_notes(tags: Tags) -> tuple[str, ...]:
    """Return a line where something that a user may miss is not carried over."""
    if not tags.lost:
        return ()
    shown = list(tags.lost[:3])
    if len(tags.lost) > len(shown):
        shown.append(f"{len(tags.lost) - len(shown)} more")
    return (f"of the recording's tags not carried over: {'; '.join(shown)}",)
