"""Ogg pages: their checksum, packets across pages, other headers before the same sound."""

import io

import pytest
import soundfile

from rl_editor.ogg_pages import PacketStream, Page, checksum, pages, with_headers
from rl_editor.tests.made_tags import noise


def bitwise_checksum(content):
    """The CRC of RFC 3533 as it is defined: bit by bit."""
    register = 0
    for byte in content:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x104C11DB7 if register & 0x80000000 else 0)
    return register


def test_the_checksum():
    content = bytes(range(256)) * 3
    assert checksum(content) == bitwise_checksum(content)


def paged(packets, per_page):
    """Return packets as pages of at most so many segments each."""
    lacing, content, made, at = b"", b"".join(packets), [], 0
    for packet in packets:
        lacing += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    for number, start in enumerate(range(0, len(lacing), per_page)):
        part = lacing[start : start + per_page]
        made.append(Page(0, 0, 7, number, part, content[at : at + sum(part)]).encoded())
        made.append(Page(0, 0, 8, number, b"\x05", b"other").encoded())
        at += sum(part)
    return io.BytesIO(b"".join(made))


@pytest.mark.parametrize("per_page", [1, 2, 3, 255])
def test_packets_are_read_across_pages(per_page):
    packets = [b"a" * 600, b"", b"b" * 255, b"c" * 254, b"d" * 510, b"e"]
    stream = PacketStream(paged(packets, per_page))
    for packet in packets:
        stream.next_packet()
        assert stream.read(10_000) == packet
    stream.next_packet()
    assert stream.read(1) == b""


@pytest.mark.parametrize("per_page", [1, 3, 255])
def test_packets_that_are_not_read_are_passed_over(per_page):
    stream = PacketStream(paged([b"a" * 600, b"b" * 255, b"c" * 254], per_page))
    stream.next_packet()
    assert stream.read(3) == b"aaa"
    stream.next_packet()
    stream.skip(250)
    assert stream.read(100) == b"b" * 5
    stream.next_packet()
    assert stream.read(1) == b"c"


@pytest.mark.parametrize("size", [10, 254, 255, 65_025, 65_026, 300_000])
def test_other_headers_before_the_same_sound(size, tmp_path):
    path = tmp_path / "a.opus"
    soundfile.write(path, noise(), 48_000, "OPUS", format="OGG")
    target = io.BytesIO()
    header = b"OpusTags" + bytes(8) + bytes(size)
    with open(path, "rb") as source:
        with_headers(source, target, [header], 2)
    before, after = (list(pages(io.BytesIO(c))) for c in (path.read_bytes(), target.getvalue()))
    assert [page.number for page in after] == list(range(len(after)))
    assert b"".join(page.encoded() for page in after) == target.getvalue()
    n_sound = len(before) - 2
    assert [page.content for page in after[-n_sound:]] == [page.content for page in before[2:]]
    stream = PacketStream(io.BytesIO(target.getvalue()))
    stream.next_packet()
    stream.next_packet()
    assert stream.read(10**6) == header
