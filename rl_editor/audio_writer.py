"""Audio files out: blocks [S, C] become a file that appears whole or not at all.

The suffix of the target chooses the format. A sample format of a source that the file format cannot
hold is replaced by the nearest one that it can (`choose_subtype`), one that the user asked for is
refused (`check_output`); a sample rate or a number of
channels is never changed here, but refused (`fitting_rate` tells which rate fits). Integer formats
are rounded to the nearest value, with dither where that is asked for, and clip at full scale;
floating-point formats keep what lies beyond it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path, try_beside
from rl_editor.audio_decoders import LOSSY, AudioInfo
from rl_editor.dither import Dither
from rl_editor.errors import UserError
from rl_editor.tag_writer import write_metadata
from rl_editor.tags import MAX_PICTURE_BYTES, Metadata

BLOCK_SAMPLES = 65_536
"""Samples that go to the encoder at a time: a minute of Ogg in one call crashes libsndfile."""
RIFF_MAX_BYTES = 2**32 - 2**25 - MAX_PICTURE_BYTES
"""Samples beyond this many bytes need RF64 instead of WAV; leaves 32 MB for headers and tags."""

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


@dataclass(frozen=True)
class _Format:
    """A file format that can be written: what it holds and how it is asked for."""

    name: str
    subtypes: tuple[str, ...]
    max_channels: int
    rates: tuple[int, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)


_WIDE = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_WAV = _Format("WAV", ("PCM_U8", *_WIDE), 1024)
_AIFF = _Format("AIFF", ("PCM_S8", *_WIDE), 1024)
# Of the encoders' settings for lossy formats these are the ones near 200 kbit/s on dense music.
_OGG = _Format("OGG", ("VORBIS",), 255, None, {"compression_level": 0.2})
_OPUS = _Format("OGG", ("OPUS",), 255, _OPUS_RATES, {"compression_level": 0.6})
_MP3 = _Format(
    "MP3",
    ("MPEG_LAYER_III",),
    2,
    _MP3_RATES,
    {"compression_level": 0.0, "bitrate_mode": "VARIABLE"},
)
_FORMATS = {
    ".wav": _WAV,
    ".flac": _Format("FLAC", ("PCM_S8", "PCM_16", "PCM_24"), 8),
    ".aiff": _AIFF,
    ".aif": _AIFF,
    ".ogg": _OGG,
    ".opus": _OPUS,
    ".mp3": _MP3,
}
WRITABLE_SUFFIXES = tuple(_FORMATS)
"""Suffixes of files that can be written, lower case, with their dot."""
SUBTYPES = ("PCM_U8", "PCM_S8", *_WIDE)
"""Sample formats that a user may ask for."""

_DEFAULT_BITS = 24
"""Of a lossy source, which has no bit depth: 16 would add audible noise, 32 only size."""
_FLOAT_BITS = {"FLOAT": 24, "DOUBLE": 53, "ULAW": 16, "ALAW": 16}
"""Precision of sample formats without a number of bits in their name."""


def choose_subtype(suffix: str, wanted: str | None) -> str:
    """Return the sample format, of those that a file with `suffix` holds, nearest to `wanted`.

    That is `wanted` itself, else the smallest with at least its bits, else the widest. None and
    lossy sample formats count as 24 bits, A-law and mu-law as 16.

    Raises:
        UserError: `suffix` cannot be written.
    """
    subtypes = _format_of(suffix).subtypes
    if wanted in subtypes:
        return wanted
    bits = _bits(wanted)
    integers = [subtype for subtype in subtypes if subtype.startswith("PCM_")] or list(subtypes)
    return next((subtype for subtype in integers if _bits(subtype) >= bits), integers[-1])


def _bits(subtype: str | None) -> int:
    """Return the precision of a sample format in bits."""
    name = subtype or LOSSY
    if name in _FLOAT_BITS:
        return _FLOAT_BITS[name]
    number = re.fullmatch(r"(?:PCM|ALAC)_[US]?(\d+)", name)
    return int(number.group(1)) if number else _DEFAULT_BITS


def pcm_bits(subtype: str) -> int | None:
    """Return the bits of an integer sample format; None of any other."""
    return _bits(subtype) if subtype.startswith("PCM_") else None


def _format_of(suffix: str) -> _Format:
    found = _FORMATS.get(suffix.lower())
    if found is None:
        raise UserError(
            f"an output file ends in one of {', '.join(WRITABLE_SUFFIXES)}, but "
            f"{repr(suffix) if suffix else 'no suffix'} was given; rename the output."
        )
    return found


def check_output(
    source: str | Path, output: str | Path, info: AudioInfo, subtype: str | None = None
) -> None:
    """Check, before any work is done, that an edit of `source` can be written to `output`.

    Args:
        source: the recording.
        output: the target.
        info: of the output: its rate and channels.
        subtype: sample format that the user asked for, one of `SUBTYPES`, or None.

    Raises:
        UserError: suffix, sample format, rate or channels cannot be written, or the place cannot
            (see `check_writable`).
    """
    if subtype is not None and subtype not in SUBTYPES:
        raise UserError(
            f"the bit depth must be one of {', '.join(SUBTYPES)}, but is {subtype}; choose one."
        )
    _check_format(output, info.sample_rate, info.channels)
    if subtype is not None:
        _check_subtype(output, subtype)
    check_writable(source, output)


def fitting_rate(path: str | Path, sample_rate: int) -> int:
    """Return the rate, of those that a file with this suffix holds, nearest to `sample_rate`.

    That is `sample_rate` itself, else the next higher one, which loses nothing, else the highest.

    Raises:
        UserError: the suffix cannot be written.
    """
    rates = _format_of(Path(path).suffix).rates
    if rates is None or sample_rate in rates:
        return sample_rate
    return next((rate for rate in rates if rate > sample_rate), rates[-1])


def _check_format(path: str | Path, sample_rate: int, channels: int) -> None:
    suffix = Path(path).suffix
    chosen = _format_of(suffix)
    if chosen.rates is not None and sample_rate not in chosen.rates:
        rates = ", ".join(str(rate) for rate in chosen.rates)
        raise UserError(
            f"{suffix} files hold {rates} Hz, but this output has {sample_rate} Hz; choose one of "
            "these with --sample-rate, or leave it out."
        )
    if channels > chosen.max_channels:
        raise UserError(
            f"{suffix} files hold up to {chosen.max_channels} channels, but this output has "
            f"{channels}; write .wav, or mix down with --channels 2 or --channels 1."
        )


def _check_subtype(path: str | Path, subtype: str) -> None:
    """Raise `UserError` where a format cannot hold the sample format that the user asked for."""
    suffix = Path(path).suffix
    subtypes = [name for name in _format_of(suffix).subtypes if name in SUBTYPES]
    if not subtypes:
        raise UserError(
            f"{suffix} files have no bit depth, but {subtype} was asked for; leave --bit-depth "
            "out, or write .wav, .flac or .aiff."
        )
    if subtype not in subtypes:
        raise UserError(
            f"{suffix} files hold {', '.join(subtypes)}, but {subtype} was asked for; choose one "
            "of these with --bit-depth, or leave it out."
        )


def check_writable(source: str | Path, output: str | Path) -> None:
    """Check that a file can be made at `output` and is not the recording itself.

    Raises:
        UserError: `output` is `source` (by another name, link or spelling too), is a folder, is a
            file that is read-only, or lies in a folder that is missing or cannot be written.
    """
    output = Path(output)
    with _explained(output):
        if output.exists():
            if output.is_dir():
                raise UserError(f"{output} is a folder; name a file for the output.")
            if os.path.exists(source) and os.path.samefile(source, output):
                raise UserError(
                    f"the output {output} is the recording itself, which is never overwritten; "
                    "choose another name."
                )
            if not output.stat().st_mode & 0o222 or not os.access(output, os.W_OK):
                raise UserError(
                    f"{output} stands there read-only, so it is not replaced; choose another name, "
                    "or make it writable first."
                )
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise UserError(f"the output folder {folder} does not exist; make it or choose another.")
    with _explained(output):
        try_beside(output)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into a sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); choose another folder or name."
        ) from error
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path} cannot be written ({error.error_string.rstrip('.')}); check that the disk "
            "has room and the folder can be written."
        ) from error


class AudioWriter:
    """Writes a file block by block; a context manager.

    The file is made beside the target under another name and renamed when the `with` block ends;
    if it ends by an exception, nothing is left and an earlier target is untouched. A WAV that
    grows beyond 4 GB becomes RF64, which the same programs read.

    Attributes:
        path: the target.
        subtype: sample format that is written, see `choose_subtype`.
        n_samples: samples written so far.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        metadata: Metadata | None = None,
        *,
        dither: bool = False,
        inspect: Callable[[Path], None] | None = None,
    ) -> None:
        """Check the request; files are touched on entering the `with` block only.

        Args:
            path: the target; its suffix is one of `WRITABLE_SUFFIXES`.
            sample_rate: Hz.
            channels: `C`.
            subtype: wanted sample format, such as that of the source; None is 24 bits.
            metadata: tags and chapters to put in once all samples are there.
            dither: add it before samples are rounded to up to 24 bits (`dither`).
            inspect: is given the whole file under its temporary name; what it raises leaves an
                earlier target untouched.

        Raises:
            UserError: the format cannot hold the rate or the channels.
        """
        self.path = Path(path)
        _check_format(path, sample_rate, channels)
        self.subtype = choose_subtype(self.path.suffix, subtype)
        self.n_samples = 0
        self._format = _format_of(self.path.suffix)
        self._sample_rate, self._channels = sample_rate, channels
        self._metadata = metadata or Metadata()
        self._dither = Dither(pcm_bits(self.subtype)) if dither else None
        self._inspect = inspect
        self._max_bytes = RIFF_MAX_BYTES if self._format in (_WAV, _AIFF) else None

    def __enter__(self) -> AudioWriter:
        with _explained(self.path), ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_path(self.path))
            stack.push(self._complete)
            self._file = self._open(self._format.name)
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _explained(self.path):
            self._stack.__exit__(kind, error, trace)

    def write(self, block: NDArray[np.floating]) -> None:
        """Append samples [S, C], full scale at 1.

        Raises:
            ValueError: the shape is wrong, or a sample is NaN or infinite.
            UserError: the disk is full, or an AIFF grows beyond 4 GB.
        """
        if block.ndim != 2 or block.shape[1] != self._channels:
            raise ValueError(f"expected [S, {self._channels}], but the block is {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError(f"a sample after {self.n_samples} is not finite")
        with _explained(self.path):
            for start in range(0, len(block), BLOCK_SAMPLES):
                part = block[start : start + BLOCK_SAMPLES]
                if self._dither is not None:
                    part = self._dither.added(part)
                values = _file_values(part, self.subtype)
                self._make_room(len(values))
                self._file.write(values)
                self.n_samples += len(values)

    def _make_room(self, n_samples: int) -> None:
        """Change to RF64 before the samples outgrow a WAV."""
        n_bytes = (self.n_samples + n_samples) * self._channels * (_bits_stored(self.subtype) // 8)
        if self._max_bytes is None or n_bytes <= self._max_bytes:
            return
        if self._format is _AIFF:
            raise UserError(f"{self.path} grows beyond 4 GB, which AIFF cannot hold; write .wav.")
        self._file.close()
        wav = self._temporary.with_suffix(".wav.part")
        os.replace(self._temporary, wav)
        try:
            self._file = self._open("RF64")
            dtype = _file_values(np.zeros((0, self._channels)), self.subtype).dtype.name
            with soundfile.SoundFile(wav) as written:
                while len(values := written.read(BLOCK_SAMPLES, dtype=dtype, always_2d=True)):
                    self._file.write(values)
        finally:
            os.unlink(wav)
        self._max_bytes = None

    def _open(self, name: str) -> soundfile.SoundFile:
        return soundfile.SoundFile(
            str(self._temporary),
            "w",
            self._sample_rate,
            self._channels,
            self.subtype,
            format=name,
            **self._format.options,
        )

    def _close(self) -> None:
        self._file.close()

    def _complete(self, kind: type[BaseException] | None, *_: object) -> None:
        """Put in tags and chapters after the file is closed, unless an exception ended it."""
        if kind is None:
            suffix = self.path.suffix.lower()
            write_metadata(self._temporary, suffix, self._sample_rate, self._metadata)
            if self._inspect is not None:
                self._inspect(self._temporary)


def _bits_stored(subtype: str) -> int:
    return {"FLOAT": 32, "DOUBLE": 64}.get(subtype) or _bits(subtype)


def _file_values(block: NDArray[np.floating], subtype: str) -> NDArray[Any]:
    """Return samples as the type that libsndfile stores unchanged.

    Integers are made here, since libsndfile's own conversion cuts off instead of rounding, and
    wraps at full scale in one case (8-bit AIFF from float64).
    """
    if not subtype.startswith("PCM_"):
        return np.ascontiguousarray(block, np.float64 if subtype == "DOUBLE" else np.float32)
    bits = _bits(subtype)
    full = 2.0 ** (bits - 1)
    values = block.astype(np.float64 if bits > 24 else np.float32)
    values *= full
    np.rint(values, out=values)
    np.clip(values, -full, full - 1.0, out=values)
    container = np.dtype(np.int16 if bits <= 16 else np.int32)
    return values.astype(container) << (8 * container.itemsize - bits)
