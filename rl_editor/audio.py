"""Audio files in: what they are, their samples at any place, their mono mix at another rate.

A path goes in; blocks [S, C] of `AudioInfo.dtype` or a mono signal [S] come out. Formats are
the business of `audio_decoders`, writing that of `audio_writer`, whose names this module
hands on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio_decoders import AudioInfo, Decoder, open_decoder
from rl_editor.audio_writer import (
    SUBTYPES,
    WRITABLE_SUFFIXES,
    AudioWriter,
    check_output,
    check_writable,
)
from rl_editor.errors import UserError
from rl_editor.units import db_to_gain

__all__ = [
    "BLOCK_SAMPLES",
    "SUBTYPES",
    "WRITABLE_SUFFIXES",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "check_output",
    "check_signal",
    "check_writable",
    "probe",
    "read_mono",
]

BLOCK_SAMPLES = 65_536
"""Samples that are decoded at a time."""
MIN_DURATION_S = 0.5
"""Shortest recording that can be edited, s."""
SILENT_PEAK_DB = -80.0
"""A recording that never exceeds this level holds no music, dB of full scale."""
_EDGE_S = 0.05
"""Left out at both ends when silence is looked for: resampling a constant rings there, s."""

_RESERVED_S = 7200.0
"""Longest recording that memory is reserved for before it is read: a header may lie."""


def probe(path: str | Path) -> AudioInfo:
    """Return what a file holds; `n_samples` is exact.

    MP3, Opus and PyAV's formats only tell their length by being decoded (0.1 to 0.3 s a minute);
    within a process that happens once for each file.

    Raises:
        UserError: the file is missing, empty, cut off or no audio.
    """
    with closing(open_decoder(path)) as decoder:
        if decoder.is_seekable:
            return decoder.info
        status = os.stat(path)
        n_samples = _count_samples(str(path), status.st_size, status.st_mtime_ns)
        return replace(decoder.info, n_samples=n_samples)


@lru_cache(maxsize=256)
def _count_samples(path: str, size: int, modified_ns: int) -> int:
    """Return the decoded length; size and time of change make a new file a new question."""
    with closing(open_decoder(path)) as decoder:
        return sum(len(block) for block in decoder.blocks(BLOCK_SAMPLES))


def read_mono(path: str | Path, sr: int) -> NDArray[np.float32]:
    """Return the mean of all channels at `sr` Hz: [round(S * sr / sample_rate)] float32.

    The file is decoded and resampled (soxr, high quality) in blocks, so little more memory is
    used than the result takes.

    Raises:
        UserError: the file cannot be read, is cut off, or holds a sample that is no number.
    """
    with closing(open_decoder(path)) as decoder:
        claim_s = min(decoder.info.duration_s, _RESERVED_S)
        signal = _Accumulator(round((claim_s + 1.0) * sr))
        n_read = 0
        for n, chunk in _resampled(decoder, sr):
            n_read += n
            signal.append(chunk)
        return signal.result(round(n_read * sr / decoder.info.sample_rate))


def _resampled(decoder: Decoder, sr: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (samples read, what they give at `sr`); the two are not in step."""
    import soxr

    info = decoder.info
    weights = np.full(info.channels, 1.0 / info.channels, dtype=np.float32)
    mono = (
        block.astype(np.float32, copy=False) @ weights for block in decoder.blocks(BLOCK_SAMPLES)
    )
    if info.sample_rate == sr:
        yield from ((len(chunk), chunk) for chunk in mono)
        return
    stream = soxr.ResampleStream(info.sample_rate, sr, 1, dtype="float32", quality="HQ")
    for chunk in mono:
        yield len(chunk), stream.resample_chunk(chunk)
    yield 0, stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


class _Accumulator:
    """A float32 signal that grows; reserves memory once if the first guess was right."""

    def __init__(self, capacity: int) -> None:
        self._values = np.zeros(capacity, dtype=np.float32)
        self._length = 0

    def append(self, chunk: NDArray[np.float32]) -> None:
        end = self._length + len(chunk)
        if end > len(self._values):
            more = np.zeros(max(len(chunk), len(self._values) // 2), dtype=np.float32)
            self._values = np.concatenate([self._values[: self._length], more])
        self._values[self._length : end] = chunk
        self._length = end

    def result(self, length: int) -> NDArray[np.float32]:
        """Return `length` values; the resampler's own count differs by one at most."""
        if length > self._length + 1:
            raise AssertionError(f"resampling gave {self._length} samples instead of {length}")
        return self._values[:length]


def check_signal(signal: NDArray[np.floating], sr: int, name: str | Path) -> None:
    """Check that a recording is long and loud enough to be edited.

    Args:
        signal: [S] or [S, C], any rate.
        sr: its sample rate, Hz.
        name: of the recording, for the message.

    Raises:
        UserError: it is shorter than 0.5 s, or never further than -80 dB of full scale from its
            mean.
    """
    duration_s = len(signal) / sr
    if duration_s < MIN_DURATION_S:
        raise UserError(
            f"{name} is {duration_s:.2f} s long, but at least {MIN_DURATION_S} s is needed; "
            "choose a longer recording."
        )
    edge = round(_EDGE_S * sr)
    inner = signal[edge : len(signal) - edge]
    mean = inner.mean(axis=0, dtype=np.float64)  # a constant voltage cannot be heard
    swing = np.maximum(inner.max(axis=0) - mean, mean - inner.min(axis=0))
    if float(np.max(swing)) < db_to_gain(SILENT_PEAK_DB):
        raise UserError(
            f"{name} is silent from start to end (below {SILENT_PEAK_DB:.0f} dB); check that the "
            "right file or track was exported."
        )


class AudioReader:
    """Sample-exact random access to a file; a context manager.

    PCM and FLAC files are read in place. Formats that cannot be sought exactly (MP3, Ogg, Opus,
    all of PyAV's) are decoded once, at opening, to a temporary file without a name: 4 bytes a
    sample and channel in the system's temporary folder, gone when the reader is closed.

    Attributes:
        info: what the file holds; `n_samples` is exact.
    """

    info: AudioInfo

    def __init__(self, path: str | Path) -> None:
        """Open `path`; raises `UserError` as `probe` does, or when the temporary folder is full."""
        decoder = open_decoder(path)
        self._source: Decoder | _Spool = decoder
        if decoder.is_seekable:
            self.info = decoder.info
            return
        with closing(decoder):
            self._source = _Spool(decoder)
        self.info = replace(decoder.info, n_samples=self._source.n_samples)

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return the samples of the half-open range: [stop - start, C] of `info.dtype`.

        Raises:
            ValueError: the range is not inside the file.
            UserError: the file is damaged there, or holds a sample that is no number.
        """
        if not 0 <= start <= stop <= self.info.n_samples:
            raise ValueError(
                f"samples [{start}, {stop}) are not inside the file's {self.info.n_samples}"
            )
        return self._source.read(start, stop)

    def blocks(self, n: int) -> Iterator[NDArray[np.floating]]:
        """Yield the whole file in blocks [n, C], the last one shorter."""
        for start in range(0, self.info.n_samples, n):
            yield self.read(start, min(start + n, self.info.n_samples))

    def close(self) -> None:
        """Close the file and drop the temporary one."""
        self._source.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Spool:
    """The decoded samples of a file in a temporary one."""

    def __init__(self, decoder: Decoder) -> None:
        self._channels, self._dtype = decoder.info.channels, decoder.info.dtype
        self._file = tempfile.TemporaryFile(prefix="rl_editor-")  # noqa: SIM115
        self.n_samples = 0
        try:
            for block in decoder.blocks(BLOCK_SAMPLES):
                self._write(block)
        except BaseException:
            self.close()
            raise

    def _write(self, block: NDArray[np.floating]) -> None:
        try:
            self._file.write(np.ascontiguousarray(block, dtype=self._dtype).tobytes())
        except OSError as error:
            raise UserError(
                f"the decoded recording does not fit into the temporary folder "
                f"{tempfile.gettempdir()} ({error.strerror}); make room there, or name another "
                "folder in the variable TMPDIR."
            ) from error
        self.n_samples += len(block)

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return the samples [stop - start, C]."""
        frame_bytes = self._channels * self._dtype.itemsize
        self._file.seek(start * frame_bytes)
        content = self._file.read((stop - start) * frame_bytes)
        return np.frombuffer(content, dtype=self._dtype).reshape(-1, self._channels).copy()

    def close(self) -> None:
        """Close the temporary file, which removes it."""
        self._file.close()
