"""Ogg pages (RFC 3533): packets that are spread over pages, and pages made out of packets.

In: an open file. Out: its header packets as a stream that is never held in memory as a whole, or
another file with other header packets in front of the same sound.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

MAX_SEGMENTS = 255
CONTINUED = 0x01
"""Flag of a page that begins inside a packet."""
NO_PACKET_ENDS = 2**64 - 1
"""Position of a page on which no packet ends."""

_HEADER = struct.Struct("<4sBBQIIIB")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        flags: continued, first and last of its stream (1, 2, 4).
        position: sample that it ends at.
        serial: of its stream.
        number: of the page.
        lacing: the lengths of its segments, a byte each.
        content: what the segments hold.
    """

    flags: int
    position: int
    serial: int
    number: int
    lacing: bytes
    content: bytes

    def encoded(self) -> bytes:
        """Return the bytes of the page, with its checksum."""
        fields = (b"OggS", 0, self.flags, self.position, self.serial, self.number)
        without = _HEADER.pack(*fields, 0, len(self.lacing)) + self.lacing + self.content
        return without[:22] + struct.pack("<I", checksum(without)) + without[26:]


def checksum(content: bytes) -> int:
    """Return the CRC of Ogg, which is that of zlib with all bits the other way round."""
    mirrored = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def pages(file: BinaryIO) -> Iterator[Page]:
    """Yield the pages of a file from where it stands; ends where none is."""
    while True:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(b"OggS\0"):
            return
        _, _, flags, position, serial, number, _, n_segments = _HEADER.unpack(header)
        lacing = file.read(n_segments)
        content = file.read(sum(lacing))
        yield Page(flags, position, serial, number, lacing, content)


class PacketStream:
    """The packets of the first stream of a file, read in order; a `ByteStream` of the current one.

    A packet that is not read to its end is passed over page by page.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._pages = pages(file)
        self._serial: int | None = None
        self._page: Page | None = None
        self._segment = self._offset = 0
        self._rest = 0
        self._ended = True

    def next_packet(self) -> None:
        """Go to the next packet, which is empty where the file ends."""
        while not self._ended:
            self.skip(65_536)
        self._offset += self._rest
        self._rest, self._ended = 0, False
        self._next_run()

    def read(self, n: int) -> bytes:
        """Return the next bytes of the packet, `n` unless it ends before."""
        parts = []
        while n > 0 and (self._rest or self._next_run()):
            assert self._page is not None
            taken = min(n, self._rest)
            parts.append(self._page.content[self._offset : self._offset + taken])
            self._offset, self._rest, n = self._offset + taken, self._rest - taken, n - taken
        return b"".join(parts)

    def skip(self, n: int) -> None:
        """Pass over bytes of the packet."""
        while n > 0:
            passed = len(self.read(min(n, 65_536)))
            if not passed:
                return
            n -= passed

    def _next_run(self) -> bool:
        """Find the packet's next bytes: the rest of it on this page, or on the next."""
        while not self._ended:
            if self._page is None or self._segment == len(self._page.lacing):
                if not self._next_page():
                    self._ended = True
                    return False
                continue
            lacing = self._page.lacing
            while self._segment < len(lacing) and not self._ended:
                self._rest += lacing[self._segment]
                self._ended = lacing[self._segment] < MAX_SEGMENTS
                self._segment += 1
            if self._rest or self._ended:
                return self._rest > 0
        return False

    def _next_page(self) -> bool:
        """Go to the next page of the first stream."""
        for page in self._pages:
            self._serial = page.serial if self._serial is None else self._serial
            if page.serial == self._serial:
                self._page, self._segment, self._offset = page, 0, 0
                return True
        return False


def with_headers(source: BinaryIO, target: BinaryIO, headers: list[bytes], n_headers: int) -> None:
    """Copy an Ogg file of one stream with other packets in place of its second, third, ... one.

    Args:
        source: stands at the file's begin.
        target: is written to.
        headers: the new packets, which may be of any length.
        n_headers: packets in front of the sound, the first one, which stays, included.
    """
    stream = pages(source)
    first = next(stream)
    target.write(first.encoded())
    n_old, n_passed = 0, 1
    for page in stream:
        n_old += 1
        n_passed += sum(length < MAX_SEGMENTS for length in page.lacing)
        if n_passed >= n_headers:
            break
    made = list(_paged(headers, first))
    for page in made:
        target.write(page.encoded())
    moved = len(made) - n_old
    for page in stream:
        target.write(replace(page, number=page.number + moved).encoded())


def _paged(packets: list[bytes], first: Page) -> Iterator[Page]:
    """Yield the pages of header packets, which follow the first page of a stream."""
    lacing = b"".join(
        b"\xff" * (len(packet) // MAX_SEGMENTS) + bytes([len(packet) % MAX_SEGMENTS])
        for packet in packets
    )
    content, number, offset, flags = b"".join(packets), first.number, 0, 0
    for start in range(0, len(lacing), MAX_SEGMENTS):
        part = lacing[start : start + MAX_SEGMENTS]
        length, number = sum(part), number + 1
        ends = any(segment < MAX_SEGMENTS for segment in part)
        position = 0 if ends else NO_PACKET_ENDS
        yield Page(flags, position, first.serial, number, part, content[offset : offset + length])
        offset += length
        flags = CONTINUED if part[-1] == MAX_SEGMENTS else 0
