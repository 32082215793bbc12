"""Tags and chapters into a finished audio file, whose samples stay as they are.

In: the path of a file that nobody else sees yet (`audio_writer` renames it afterwards) and its
format. WAV and AIFF files get chunks behind the samples; FLAC, Ogg and MP3 files are copied with
other headers in front of the same sound, byte for byte.
"""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from rl_editor.chunk_tags import aiff_chunks, riff_chunks
from rl_editor.id3 import id3_tag
from rl_editor.ogg_pages import MAX_SEGMENTS, pages, with_headers
from rl_editor.tags import Metadata, TagCollector
from rl_editor.vorbis_comments import comment_block, picture_block, read_comments

_LAST_BLOCK, _COMMENTS, _PADDING, _PICTURE = 0x80, 4, 1, 6
"""Of FLAC: the flag of the last metadata block, and kinds of blocks."""
_RF64_SIZE_AT = 20
"""Where an RF64 file holds its size: first in the chunk ds64, which comes first."""


def write_metadata(path: Path, suffix: str, sample_rate: int, metadata: Metadata) -> None:
    """Put tags and chapters into a finished file.

    Args:
        path: of the file; replaced as a whole, so that a failure leaves it or nothing.
        suffix: tells its format: .wav, .aiff, .aif, .flac, .ogg, .opus or .mp3.
        sample_rate: of the file, Hz.
        metadata: what to put in; nothing happens where there is nothing.

    Raises:
        OSError: the disk is full.
    """
    if not metadata:
        return
    if suffix == ".wav":
        _append_chunks(path, riff_chunks(metadata, sample_rate), "<")
    elif suffix in (".aiff", ".aif"):
        _append_chunks(path, aiff_chunks(metadata, sample_rate), ">")
    else:
        copied = path.with_suffix(".tags.part")
        try:
            with open(path, "rb") as source, open(copied, "wb") as target:
                _copy(source, target, suffix, metadata)
            os.replace(copied, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(copied)


def _append_chunks(path: Path, chunks: bytes, order: str) -> None:
    """Append chunks to a RIFF, RF64 or AIFF file and correct the size in its header."""
    with open(path, "r+b") as file:
        is_rf64 = file.read(4) == b"RF64"
        size = file.seek(0, os.SEEK_END)
        file.write(b"\0" * (size % 2) + chunks)
        size = file.tell() - 8
        if is_rf64:
            file.seek(_RF64_SIZE_AT)
            file.write(struct.pack("<Q", size))
        else:
            file.seek(4)
            file.write(struct.pack(f"{order}I", size))


def _copy(source: BinaryIO, target: BinaryIO, suffix: str, metadata: Metadata) -> None:
    if suffix == ".mp3":
        target.write(id3_tag(metadata))
        shutil.copyfileobj(source, target)
    elif suffix == ".flac":
        _copy_flac(source, target, metadata)
    else:
        _copy_ogg(source, target, metadata)


def _copy_flac(source: BinaryIO, target: BinaryIO, metadata: Metadata) -> None:
    """Copy a FLAC file with other comments and a picture among its metadata blocks."""
    blocks, vendor, is_last = [], "", False
    source.seek(4)
    while not is_last:
        header = source.read(4)
        is_last = bool(header[0] & _LAST_BLOCK)
        kind, length = header[0] & 0x7F, int.from_bytes(header[1:], "big")
        if kind == _COMMENTS:
            end = source.tell() + length
            vendor = read_comments(_Open(source), TagCollector())
            source.seek(end)
        elif kind == _PADDING:
            source.seek(length, os.SEEK_CUR)
        else:
            blocks.append((kind, source.read(length)))
    blocks.append((_COMMENTS, comment_block(vendor, metadata, with_cover=False)))
    if metadata.tags.cover is not None:
        blocks.append((_PICTURE, picture_block(metadata.tags.cover)))
    target.write(b"fLaC")
    for number, (kind, content) in enumerate(blocks, 1):
        flag = _LAST_BLOCK if number == len(blocks) else 0
        target.write(bytes([kind | flag]) + len(content).to_bytes(3, "big") + content)
    shutil.copyfileobj(source, target)


def _copy_ogg(source: BinaryIO, target: BinaryIO, metadata: Metadata) -> None:
    """Copy an Ogg file of one stream, Vorbis or Opus, with another comment header."""
    packets = _first_packets(source, 3)
    is_vorbis = packets[0].startswith(b"\x01vorbis")
    start = b"\x03vorbis" if is_vorbis else b"OpusTags"
    vendor_length = struct.unpack_from("<I", packets[1], len(start))[0]
    vendor = packets[1][len(start) + 4 :][:vendor_length].decode("utf-8", "replace")
    block = comment_block(vendor, metadata, with_cover=True)
    source.seek(0)
    if is_vorbis:
        with_headers(source, target, [start + block + b"\x01", packets[2]], 3)
    else:
        with_headers(source, target, [start + block], 2)


def _first_packets(source: BinaryIO, n: int) -> list[bytes]:
    """Return the first packets of an Ogg file that was just made, whose headers are small."""
    packets, begun = [], b""
    for page in pages(source):
        offset = 0
        for length in page.lacing:
            begun += page.content[offset : offset + length]
            offset += length
            if length < MAX_SEGMENTS:
                packets.append(begun)
                begun = b""
        if len(packets) >= n:
            break
    return packets[:n]


class _Open:
    """An open file as a `vorbis_comments.ByteStream`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, n: int) -> bytes:
        return self._file.read(n)

    def skip(self, n: int) -> None:
        self._file.seek(n, os.SEEK_CUR)
