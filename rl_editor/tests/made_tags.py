"""Tags, a cover and tagged files for the tests."""

import struct
import zlib

import numpy as np
import soundfile

from rl_editor.audio import AudioWriter
from rl_editor.tags import Metadata, Picture, Tags

SR = 48_000
FORMATS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff")
FIELDS = (
    ("TITLE", "Größe 大"),
    ("ARTIST", "Ada"),
    ("ARTIST", "Bea"),
    ("ALBUM", "Rehearsal"),
    ("ALBUMARTIST", "The Two"),
    ("DATE", "2021-05-03"),
    ("GENRE", "Rock"),
    ("TRACKNUMBER", "3"),
    ("TOTALTRACKS", "12"),
    ("DISCNUMBER", "1"),
    ("COMMENT", "first line\nsecond line"),
    ("COMPOSER", "Cyd"),
    ("COPYRIGHT", "2021 Ada"),
    ("LYRICS", "la la"),
    ("BPM", "96"),
    ("MY OWN FIELD", "kept"),
)


def png() -> bytes:
    """Return the smallest PNG: one black pixel."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


COVER = Picture("image/png", png())
TAGS = Tags(FIELDS, COVER)


def noise(n_samples: int = 30_000, channels: int = 2):
    """Return audio [S, C] float32."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.2, 0.2, (n_samples, channels)).astype(np.float32)


def write_tagged(path, tags=TAGS, chapters=(), audio=None, subtype="PCM_16"):
    """Write audio [S, C] with tags and chapters and return the path."""
    audio = noise() if audio is None else audio
    with AudioWriter(path, SR, audio.shape[1], subtype, Metadata(tags, tuple(chapters))) as writer:
        writer.write(audio)
    return path


def samples(path):
    """Return all samples [S, C] of a file as libsndfile decodes them."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0]
