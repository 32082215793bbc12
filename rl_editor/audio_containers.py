"""What a file says about itself before any audio is decoded.

Takes a path; finds files that cannot be audio, and files that end before their own header
says they do, which decoders read without a word. Layouts: RIFF/WAVE (Microsoft, IBM 1991),
RF64 (EBU Tech 3306), AIFF 1.3 (Apple), Ogg pages (RFC 3533), MP4 boxes (ISO 14496-12).
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

from rl_editor.errors import UserError

STREAM_SLACK = 4096
"""Bytes around 2^31 and 2^32: recorders that cannot seek back write such a data size."""
PADDING_SLACK = 64
"""Missing bytes that are no loss: some writers count padding that they leave out."""
OGG_PAGE_MAX = 27 + 255 + 255 * 255
"""Longest Ogg page, bytes."""
WAVE_5_1 = ("L", "R", "C", "LFE", "Ls", "Rs")
"""Loudspeakers of 5.1 surround in the order of WAV, FLAC and FFmpeg."""
OGG_5_1 = ("L", "C", "R", "Ls", "Rs", "LFE")
"""The same in the order of Vorbis and Opus."""

_MP4_BOXES = frozenset(
    b"ftyp styp free skip wide pnot mdat moov moof mfra meta uuid sidx ssix emsg".split()
)
"""What an MP4 is made of; tags that others put behind it are something else."""
_CODEC_STARTS = (b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")
"""First bytes of Matroska and WebM, and of ASF (WMA)."""

_MASKS_5_1 = (0x3F, 0x60F)
"""Masks of WAVE_FORMAT_EXTENSIBLE for 5.1 with the surrounds at the back or at the sides."""


def check_file(path: str | Path) -> None:
    """Check that `path` is a file with content that can be opened.

    Raises:
        UserError: it is missing, a folder, no ordinary file, unreadable or empty, or has a name
            that is no text.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path} is a folder, not a recording; name one audio file.")
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is not an ordinary file; save the recording to a file first.")
        with open(path, "rb"):
            pass
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}; check its name and folder.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be opened ({error.strerror}); check its name and permissions."
        ) from error
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:  # libsndfile, reports and lists could not name it
        raise UserError(
            f"the name {os.fspath(path)!r} holds bytes that are no text; rename the file."
        ) from error
    if status.st_size == 0:
        raise UserError(f"{path} is empty (0 bytes); copy or export the recording again.")


def check_complete(path: str | Path) -> None:
    """Check that a WAV, AIFF, Ogg or MP4 (M4A) file is as long as its header promises.

    Files of other kinds pass; their decoders notice. A WAV whose size was left open by a
    recorder that cannot seek back passes too.

    Raises:
        UserError: the file was cut off; says how many bytes are missing.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        kind = file.read(12)
        missing = 0
        if kind[:4] in (b"RIFF", b"RF64") and kind[8:] == b"WAVE":
            missing = _missing_in_chunks(file, size, "<", b"data")
        elif kind[:4] == b"FORM" and kind[8:] in (b"AIFF", b"AIFC"):
            missing = _missing_in_chunks(file, size, ">", b"SSND")
        elif kind[:4] == b"OggS":
            missing = _missing_in_ogg(file, size)
        elif kind[4:8] == b"ftyp":
            missing = _missing_in_boxes(file, size)
    if missing > PADDING_SLACK:
        raise UserError(
            f"{path} is cut off: its header promises up to {missing} more bytes than the "
            "file holds; copy or export the recording again."
        )


def is_codec_container(path: str | Path) -> bool:
    """Return whether a file begins as MP4 (M4A), Matroska, WebM or ASF (WMA) files do."""
    with open(path, "rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" or start.startswith(_CODEC_STARTS)


def find_chunk(file: BinaryIO, size: int, order: str, wanted: bytes) -> tuple[int, int] | None:
    """Return where the content of a RIFF or AIFF chunk begins and its stated size, or None.

    Args:
        file: open file of `size` bytes.
        size: bytes in the file.
        order: "<" for RIFF, ">" for AIFF.
        wanted: the chunk's four-letter name.
    """
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == wanted:
            return position + 8, length
        position += 8 + length + length % 2
    return None


def surround_speakers(path: str | Path, container: str, channels: int) -> tuple[str, ...]:
    """Return the loudspeaker of each channel of a 5.1 file that libsndfile reads, else ().

    Vorbis and Opus have an order of their own (Vorbis I, section 4.3.9; RFC 7845, 5.1.1.2), which
    libsndfile keeps. A WAV may name its loudspeakers (WAVE_FORMAT_EXTENSIBLE); six channels that
    nobody named are taken for 5.1, as FFmpeg does.

    Args:
        path: of the file.
        container: its format in libsndfile's words.
        channels: how many it has.
    """
    if channels != 6:
        return ()
    if container == "OGG":
        return OGG_5_1
    if container in ("WAV", "WAVEX", "RF64") and _speaker_mask(path) not in (None, *_MASKS_5_1):
        return ()
    return WAVE_5_1


def _speaker_mask(path: str | Path) -> int | None:
    """Return the mask of loudspeakers of a WAV, None where its header has none."""
    with open(path, "rb") as file:
        found = find_chunk(file, os.path.getsize(path), "<", b"fmt ")
        if found is None:
            return None
        file.seek(found[0])
        content = file.read(min(found[1], 40))
    if len(content) < 24 or content[:2] != b"\xfe\xff":  # WAVE_FORMAT_EXTENSIBLE is 0xFFFE
        return None
    return int.from_bytes(content[20:24], "little")


def _missing_in_chunks(file: BinaryIO, size: int, order: str, wanted: bytes) -> int:
    """Return the bytes that the chunk with the samples lacks; 0 without such a chunk."""
    found = find_chunk(file, size, order, wanted)
    if found is None:
        return 0
    begin, length = found
    if wanted == b"data" and length == 0xFFFFFFFF:
        extended = find_chunk(file, size, order, b"ds64")
        if extended is None:
            return 0
        file.seek(extended[0] + 8)
        length = int.from_bytes(file.read(8), "little")
    elif wanted == b"data" and _is_open_size(length):
        return 0
    return max(0, begin + length - size)


def _is_open_size(length: int) -> bool:
    return abs(length - 2**31) <= STREAM_SLACK or length >= 2**32 - STREAM_SLACK


def _missing_in_ogg(file: BinaryIO, size: int) -> int:
    """Return the bytes that the last Ogg page lacks."""
    file.seek(max(0, size - OGG_PAGE_MAX))
    tail = file.read()
    begin = tail.rfind(b"OggS\0")
    if begin < 0:
        return 0
    page = tail[begin:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return OGG_PAGE_MAX
    return max(0, 27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page))


def _missing_in_boxes(file: BinaryIO, size: int) -> int:
    """Return the bytes that the last box of an MP4 lacks."""
    position = 0
    while position + 16 <= size:
        file.seek(position)
        length, name, long_length = struct.unpack(">I4sQ", file.read(16))
        length = long_length if length == 1 else length
        if name not in _MP4_BOXES or length < 8:  # 0 is up to the end, wherever that is
            return 0
        position += length
    return max(0, position - size)
