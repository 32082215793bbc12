"""Decoding in order, from the first sample to the last: libsndfile first, PyAV for the rest.

Takes a path, gives blocks [S, C] and an `AudioInfo`. Only PCM, FLAC, A-law and mu-law files
can be sought to the sample: seeking in real Ogg Vorbis files missed its place about once in 60
times, and in MP3 and Opus the samples differ slightly from those of a whole read. So those are
only ever decoded in order, and `audio.AudioReader` keeps what came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from rl_editor.audio_containers import (
    WAVE_5_1,
    check_complete,
    check_file,
    is_codec_container,
    surround_speakers,
)
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.silence import silenced_stderr
from rl_editor.units import format_time

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4_000, 768_000
"""Hz; outside of it a header is damaged. 8 to 192 kHz is what the project is tested with."""
LOSSY = "LOSSY"
"""Stands for the sample format of files that PyAV decodes to floating point."""
CODEC_SUFFIXES = (
    *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".aac", ".wma", ".asf", ".wmv", ".mka"),
    *(".mkv", ".webm", ".ape", ".wv", ".tta", ".amr", ".ac3", ".eac3", ".dts", ".mpc", ".avi"),
)
"""Usual names of files that need PyAV."""

_MAX_CLAIM_SAMPLES = 2**50
"""A larger length in a header stands for "unknown" (FLAC written to a pipe)."""
_LIBSNDFILE_ONLY = frozenset({"mp3", "flac"})
"""Formats of FFmpeg that libsndfile reads too: what it refuses there is damaged."""
_SHORTFALL_S, _SHORTFALL_SHARE = 0.25, 0.005
"""What a lossy file may lack of the length in its header; healthy MP3s lacked 0.09%."""


@dataclass(frozen=True)
class AudioInfo:
    """What is known about an audio file without its samples.

    Attributes:
        path: of the file.
        sample_rate: Hz.
        channels: `C`.
        n_samples: length in samples, `S`.
        subtype: sample format in libsndfile's words (PCM_16, FLOAT, VORBIS, ...), or `LOSSY`.
        container: file format, in the words of the library that reads it.
        speakers: loudspeaker of each channel ("L", "R", "C", "LFE", "Ls", "Rs") of 5.1 surround;
            empty for everything else.
    """

    path: str
    sample_rate: int
    channels: int
    n_samples: int
    subtype: str
    container: str
    speakers: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples: float64 where float32 would lose bits, else float32."""
        wide = self.subtype in ("PCM_32", "DOUBLE", "ALAC_32")
        return np.dtype(np.float64 if wide else np.float32)


class Decoder(Protocol):
    """An open file that is read in order.

    `info.n_samples` is what the header says, 0 if nothing. Where `is_seekable`, it is the exact
    length, and `read` may be called for any range.
    """

    info: AudioInfo
    is_seekable: bool

    def blocks(self, n: int) -> Iterator[NDArray[np.floating]]:
        """Yield the file in blocks [about n, C], once.

        Raises:
            UserError: the file is damaged, ends too early, or holds a NaN or an infinity.
        """

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return the samples [stop - start, C]; only where `is_seekable`."""

    def close(self) -> None:
        """Close the file."""


def open_decoder(path: str | Path) -> Decoder:
    """Return a decoder for `path`.

    Raises:
        UserError: the file is missing, empty, cut off, no audio, without a sample, or needs
            PyAV, which is not installed.
    """
    check_file(path)
    check_complete(path)
    if Path(path).suffix.lower() == ".raw":
        raise UserError(f"{path} has no header that says what it holds; save it as .wav first.")
    decoder: Decoder
    try:
        decoder = SoundFileDecoder(path)
    except soundfile.LibsndfileError as error:
        decoder = _open_av(path, error)
    info = decoder.info
    try:
        if not MIN_SAMPLE_RATE <= info.sample_rate <= MAX_SAMPLE_RATE:
            raise UserError(
                f"{path} says that its sample rate is {info.sample_rate} Hz, but 8 to 192 kHz is "
                "expected; export the recording again."
            )
        if decoder.is_seekable and info.n_samples == 0:
            raise UserError(f"{path} holds no sound (0 samples); export the recording again.")
    except UserError:
        decoder.close()
        raise
    return decoder


class SoundFileDecoder:
    """Reads through libsndfile; see `Decoder`."""

    def __init__(self, path: str | Path) -> None:
        with silenced_stderr():
            self._file = soundfile.SoundFile(str(path))
        if self._file.format == "RAW":  # libsndfile guesses from names such as .au, .vox
            self._file.close()
            raise _not_audio(path)
        if self._file.frames > _MAX_CLAIM_SAMPLES:  # libsndfile fails where such a file ends
            self._file.close()
            raise UserError(
                f"{path} does not say how long it is; save it again with an audio editor."
            )
        subtype = self._file.subtype
        exact = subtype.startswith("PCM_") or subtype in ("FLOAT", "DOUBLE", "ULAW", "ALAW")
        self.is_seekable = exact
        self.info = AudioInfo(
            path=str(path),
            sample_rate=self._file.samplerate,
            channels=self._file.channels,
            n_samples=self._file.frames,
            subtype=subtype,
            container=self._file.format,
            speakers=surround_speakers(path, self._file.format, self._file.channels),
        )

    def blocks(self, n: int) -> Iterator[NDArray[np.floating]]:
        """Yield the file in blocks [n, C], the last one shorter."""
        position = 0
        while len(block := self._next(n, position)):
            yield block
            position += len(block)
        _check_length(self.info, position, exact=self.is_seekable)

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return the samples [stop - start, C]; only where `is_seekable`."""
        if self._file.tell() != start:
            self._seek(start)
        block = self._next(stop - start, start)
        if len(block) < stop - start:
            _check_length(self.info, start + len(block), exact=True)
        return block

    def close(self) -> None:
        """Close the file."""
        with silenced_stderr() if self.info.container == "MP3" else nullcontext():
            self._file.close()

    def _seek(self, position: int) -> None:
        try:
            self._file.seek(position)
        except soundfile.LibsndfileError as error:
            raise _damaged(self.info, position) from error

    def _next(self, n: int, position: int) -> NDArray[np.floating]:
        silence = silenced_stderr() if self.info.container == "MP3" else nullcontext()
        try:
            with silence:
                block = self._file.read(n, dtype=self.info.dtype.name, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _damaged(self.info, position) from error
        check_finite(block, position, self.info)
        return block


def _open_av(path: str | Path, refusal: soundfile.LibsndfileError) -> Decoder:
    """Return PyAV's decoder for a file that libsndfile refused."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        if Path(path).suffix.lower() in CODEC_SUFFIXES:
            raise UserError(
                f"{path} needs a decoder that is not installed; run {install_hint('codecs')}, or "
                "export the recording as .wav."
            ) from error
        raise _not_audio(path) from refusal
    return AvDecoder(path)


class AvDecoder:
    """Reads the first audio stream of a file through PyAV (FFmpeg); see `Decoder`.

    Integer samples become float32 with full scale at 1; the priming samples that an encoder
    put before the music are left out, where the file says how many there are.
    """

    is_seekable = False

    def __init__(self, path: str | Path) -> None:
        import av

        self._errors = av.error.FFmpegError
        try:
            # "file:" keeps names with a colon from being taken for a network address.
            self._container = av.open(f"file:{path}", metadata_errors="replace")
        except self._errors as error:
            if is_codec_container(path):
                raise UserError(
                    f"{path} is damaged or cut off; copy or export the recording again."
                ) from error
            raise _not_audio(path) from error
        try:
            self._start(path)
        except UserError:
            self.close()
            raise

    def _start(self, path: str | Path) -> None:
        """Decode the first frame: only it tells the real sample rate and channels."""
        streams = self._container.streams.audio
        name = self._container.format.name
        if not streams or name in _LIBSNDFILE_ONLY:
            raise _not_audio(path)
        self._frames = self._container.decode(streams[0])
        try:
            first = next(self._frames, None)
        except self._errors as error:
            raise _not_audio(path) from error
        if first is None:
            raise UserError(f"{path} holds no sound (0 samples); export the recording again.")
        self._frames = chain([first], self._frames)
        duration_s = (self._container.duration or 0) / 1e6
        self.info = AudioInfo(
            path=str(path),
            sample_rate=first.sample_rate,
            channels=len(first.layout.channels),
            n_samples=max(0, int(duration_s * first.sample_rate)),
            subtype=_AV_SUBTYPES.get(first.format.name.removesuffix("p"), LOSSY),
            container=name,
            speakers=WAVE_5_1 if first.layout.name in ("5.1", "5.1(side)") else (),
        )

    def blocks(self, n: int) -> Iterator[NDArray[np.floating]]:
        """Yield the file in blocks [n or a little more, C], the last one shorter."""
        position, waiting, n_waiting = 0, [], 0
        for frame in self._decoded():
            waiting.append(self._samples(frame, position))
            n_waiting += len(waiting[-1])
            if n_waiting >= n:
                yield np.concatenate(waiting)
                position, waiting, n_waiting = position + n_waiting, [], 0
        if waiting:
            yield np.concatenate(waiting)
        if "mov" in self.info.container:  # elsewhere the length is a guess from the bit rate
            _check_length(self.info, position + n_waiting, exact=False)

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Never called: `is_seekable` is False."""
        raise ValueError("this decoder reads in order only")

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        try:
            yield from self._frames
        except self._errors as error:
            raise UserError(
                f"{self.info.path} is damaged or cut off ({error.strerror}); copy or export the "
                "recording again."
            ) from error

    def _samples(self, frame: Any, position: int) -> NDArray[np.float32]:
        """Return a decoded frame as float32 [S, C]."""
        channels = len(frame.layout.channels)
        if (frame.sample_rate, channels) != (self.info.sample_rate, self.info.channels):
            raise UserError(
                f"{self.info.path} changes its sample rate or channels on the way; export the "
                "recording as .wav."
            )
        values = frame.to_ndarray()
        values = values.T if frame.format.is_planar else values.reshape(-1, channels)
        if values.dtype == np.uint8:
            block = (values.astype(np.float32) - 128.0) / 128.0
        elif np.issubdtype(values.dtype, np.integer):
            block = (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
        else:
            block = values.astype(np.float32)
        check_finite(block, position, self.info)
        return block


_AV_SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_24"}
"""Sample format of lossless files by FFmpeg's; 24-bit ones are decoded to 32 bits."""


def check_finite(block: NDArray[np.floating], start: int, info: AudioInfo) -> None:
    """Check that samples [S, C], which begin at sample `start` of the file, are numbers.

    Raises:
        UserError: one is NaN or infinite; says where the first is.
    """
    finite = np.isfinite(block)
    if finite.all():
        return
    sample, channel = np.argwhere(~finite)[0]
    raise UserError(
        f"{info.path} holds a sample that is not a number ({block[sample, channel]}), the first "
        f"at {format_time((start + sample) / info.sample_rate)} in channel {channel + 1}; "
        "export the recording again."
    )


def _check_length(info: AudioInfo, n_decoded: int, *, exact: bool) -> None:
    """Check that a file held the samples that its header promises."""
    if n_decoded == 0:
        raise UserError(f"{info.path} holds no sound (0 samples); export the recording again.")
    slack = 0 if exact else max(_SHORTFALL_S * info.sample_rate, _SHORTFALL_SHARE * info.n_samples)
    if n_decoded + slack < info.n_samples:
        found = replace(info, n_samples=n_decoded)
        raise UserError(
            f"{info.path} is cut off: its header promises {format_time(info.duration_s)}, but it "
            f"ends at {format_time(found.duration_s)}; copy or export the recording again."
        )


def _damaged(info: AudioInfo, position: int) -> UserError:
    at = format_time(position / info.sample_rate)
    return UserError(
        f"{info.path} is damaged or cut off near {at}; copy or export the recording again."
    )


def _not_audio(path: str | Path) -> UserError:
    return UserError(
        f"{path} is not an audio file in a codec that can be decoded; wav, flac, mp3, ogg, opus, "
        "aiff and, with the extra [codecs], m4a and more are expected: export it as .wav."
    )
