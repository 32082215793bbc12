"""The tags of a recording, whatever its format.

In: what `audio.probe` knows of a file. Out: `Tags`. WAV, AIFF, FLAC, MP3 and Ogg files are read
here, within bounds of memory and time whatever the file says; for other formats the library that
decodes them is asked (libsndfile for CAF and the like, PyAV for m4a, wma, mka). Tags that are
damaged or missing give what there is, never an error: they are no reason not to edit a recording.
"""

from __future__ import annotations

import os
from typing import BinaryIO

import soundfile

from rl_editor.audio_decoders import AudioInfo
from rl_editor.chunk_tags import read_aiff, read_riff
from rl_editor.id3 import read_id3, read_id3v1
from rl_editor.ogg_pages import PacketStream
from rl_editor.silence import silenced_stderr
from rl_editor.tags import FRONT_COVER, MAX_FIELDS, MAX_PICTURE_BYTES, TagCollector, Tags
from rl_editor.vorbis_comments import read_comments, read_picture

MAX_BLOCKS = 1000
"""Metadata blocks of a FLAC file, or ID3 tags in a row, that are looked at."""
_FLAC_COMMENTS, _FLAC_PICTURE = 4, 6


def read_tags(info: AudioInfo) -> Tags:
    """Return what a file says about its music.

    Args:
        info: of the file, which can be decoded.
    """
    if not info.path:
        return Tags()
    collector = TagCollector()
    if info.container in ("WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"):
        with open(info.path, "rb") as file:
            _read_own(file, os.path.getsize(info.path), collector)
    elif info.container in soundfile.available_formats():
        _read_strings(info.path, collector)
    else:
        _read_av(info.path, collector)
    return collector.result()


def _read_own(file: BinaryIO, size: int, collector: TagCollector) -> None:
    """Take the tags of a format that is read here, which its first bytes tell."""
    kind = file.read(12)
    if kind[8:] == b"WAVE":
        read_riff(file, size, collector)
    elif kind[:4] == b"FORM":
        read_aiff(file, size, collector)
    elif kind[:4] == b"OggS":
        _read_ogg(file, collector)
    else:
        _read_id3_and_flac(file, size, collector)


def _read_id3_and_flac(file: BinaryIO, size: int, collector: TagCollector) -> None:
    """Take the tags of an MP3, or of a FLAC that somebody put an ID3 tag in front of."""
    position = 0
    for _ in range(MAX_BLOCKS):
        end = read_id3(file, position, size, collector)
        if end == position:
            break
        position = end
    file.seek(position)
    if file.read(4) == b"fLaC":
        _read_flac(file, position + 4, collector)
    else:
        read_id3v1(file, size, collector)


class _Span:
    """A part of a file that ends somewhere, as a `vorbis_comments.ByteStream`."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def read(self, n: int) -> bytes:
        content = self._file.read(max(min(n, self._left), 0))
        self._left -= len(content)
        return content

    def skip(self, n: int) -> None:
        n = max(min(n, self._left), 0)
        self._file.seek(n, os.SEEK_CUR)
        self._left -= n


def _read_flac(file: BinaryIO, position: int, collector: TagCollector) -> None:
    """Take the comments and pictures among the metadata blocks of a FLAC (RFC 9639, 8.1)."""
    collector.next_place()
    for _ in range(MAX_BLOCKS):
        file.seek(position)
        header = file.read(4)
        if len(header) < 4:
            return
        kind, length = header[0] & 0x7F, int.from_bytes(header[1:], "big")
        if kind == _FLAC_COMMENTS:
            read_comments(_Span(file, length), collector)
        elif kind == _FLAC_PICTURE:
            read_picture(_Span(file, length), collector)
        position += 4 + length
        if header[0] & 0x80:
            return


def _read_ogg(file: BinaryIO, collector: TagCollector) -> None:
    """Take the comments of the first stream: Vorbis, Opus, or FLAC in Ogg."""
    file.seek(0)
    packets = PacketStream(file)
    packets.next_packet()
    start = packets.read(8)
    n_before = {b"\x01vorbis": 7, b"OpusHea": 8, b"\x7fFLAC\x01\0": 4}.get(start[:7])
    if n_before is None:
        return
    packets.next_packet()
    packets.skip(n_before)
    collector.next_place()
    read_comments(packets, collector)


def _read_strings(path: str, collector: TagCollector) -> None:
    """Take the few texts that libsndfile knows of a format such as CAF."""
    with silenced_stderr(), soundfile.SoundFile(path) as file:
        for name, value in file.copy_metadata().items():
            collector.add(name, value)


def _read_av(path: str, collector: TagCollector) -> None:
    """Take the tags and the cover of a file that PyAV decodes."""
    import av

    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            sound = container.streams.audio[0]
            for metadata in (container.metadata, sound.metadata):
                collector.next_place()
                for name, value in list(metadata.items())[: 4 * MAX_FIELDS]:
                    collector.add(name, value)
            _read_av_cover(container, collector)
    except av.error.FFmpegError:
        collector.lose("what is in a damaged part of the file")


def _read_av_cover(container, collector: TagCollector) -> None:
    """Take the picture that FFmpeg shows as a stream of one frame."""
    import av

    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            continue
        packet = next(container.demux(stream), None)
        if packet is not None and packet.size:
            if packet.size > MAX_PICTURE_BYTES:
                collector.lose_large_cover()
            else:
                collector.add_picture(FRONT_COVER, bytes(packet))
            return
