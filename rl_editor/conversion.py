"""Sample format, rate and channels of an output that differ from the source's.

In: blocks [S, C] at the source's rate. Out: blocks at the output's, together exactly
round(S * sr_out / sr_in) samples. Resampling is soxr's, very high quality, as a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio_decoders import AudioInfo
from rl_editor.audio_writer import fitting_rate
from rl_editor.errors import UserError

RATES = (8000, 192_000)
"""Sample rates that may be asked for, Hz."""

_HALF_POWER = 0.5**0.5
_TO_STEREO = {
    "L": (1.0, 0.0),
    "R": (0.0, 1.0),
    "C": (_HALF_POWER, _HALF_POWER),
    "LFE": (0.0, 0.0),
    "Ls": (_HALF_POWER, 0.0),
    "Rs": (0.0, _HALF_POWER),
}
"""Gain of each loudspeaker of 5.1 surround in left and right (ITU-R BS.775, 3/2 to 2/0)."""


@dataclass(frozen=True)
class OutputFormat:
    """What the user asks of an output file; None is as in the source, where the format allows it.

    Attributes:
        subtype: sample format, one of `audio.SUBTYPES`.
        sample_rate: Hz.
        channels: 1 (the mean of all) or 2 (out of 1: both the same; out of 5.1 surround: as
            ITU-R BS.775 says; out of others: both the mean of all).
    """

    subtype: str | None = None
    sample_rate: int | None = None
    channels: int | None = None

    def applied(self, info: AudioInfo, path: str | Path | None = None) -> AudioInfo:
        """Return what the output of a source will be; its length is the source's in seconds.

        Args:
            info: of the source.
            path: of the output. Where nobody asked for a rate and its format cannot hold the
                source's, the nearest that it can is taken (`fitting_rate`).

        Raises:
            UserError: the rate or the channels cannot be made.
        """
        rate = info.sample_rate if self.sample_rate is None else self.sample_rate
        if self.sample_rate is None and path is not None:
            rate = fitting_rate(path, rate)
        channels = info.channels if self.channels is None else self.channels
        if self.sample_rate is not None and not RATES[0] <= rate <= RATES[1]:
            raise UserError(
                f"the sample rate must lie from {RATES[0]} to {RATES[1]} Hz, but is {rate}; "
                "leave it out to keep the recording's own."
            )
        if channels not in (info.channels, 1, 2):
            raise UserError(
                f"a recording of {info.channels} channels can be written with {info.channels} "
                f"channels, as mono or as stereo, but {channels} were asked for; leave --channels "
                "out, or give 1 or 2."
            )
        return replace(
            info,
            sample_rate=rate,
            channels=channels,
            speakers=info.speakers if channels == info.channels else (),
            subtype=self.subtype or info.subtype,
            n_samples=converted_length(info.n_samples, info.sample_rate, rate),
        )


def conversion_notes(
    source: AudioInfo, output: AudioInfo, wanted: OutputFormat, path: str | Path
) -> tuple[str, ...]:
    """Return what a user should know about a conversion, a line for each thing.

    Args:
        source: the recording.
        output: as `wanted.applied` says.
        wanted: what the user asked for.
        path: of the output.
    """
    notes = []
    if wanted.sample_rate is None and output.sample_rate != source.sample_rate:
        notes.append(
            f"written at {output.sample_rate} Hz, since {Path(path).suffix} files cannot hold "
            f"{source.sample_rate} Hz"
        )
    if output.channels == 2 < source.channels and source.speakers:
        lfe = source.speakers.index("LFE") + 1
        notes.append(
            f"mixed from 5.1 surround to stereo; channel {lfe}, the low-frequency effects, is left "
            "out"
        )
    elif output.channels == 2 < source.channels:
        notes.append(f"both channels are the mean of the recording's {source.channels}")
    return tuple(notes)


def converted_length(n_samples: int, rate_in: int, rate_out: int) -> int:
    """Return the number of samples at `rate_out` that last as long as `n_samples`."""
    return round(n_samples * rate_out / rate_in)


def converted(
    blocks: Iterable[NDArray[np.floating]], source: AudioInfo, output: AudioInfo
) -> Iterator[NDArray[np.floating]]:
    """Yield the blocks [S, C] of a source in the rate and channels of the output."""
    mixed = (_with_channels(block, source, output.channels) for block in blocks)
    if source.sample_rate == output.sample_rate:
        yield from mixed
        return
    yield from _resampled(mixed, source, output)


def _with_channels(
    block: NDArray[np.floating], source: AudioInfo, channels: int
) -> NDArray[np.floating]:
    if block.shape[1] == channels:
        return block
    if channels == 2 and source.speakers:
        weights = np.array([_TO_STEREO[name] for name in source.speakers], dtype=block.dtype)
        return block @ weights
    mean = block.mean(axis=1, keepdims=True, dtype=block.dtype)
    return np.repeat(mean, channels, axis=1)


def _resampled(
    blocks: Iterable[NDArray[np.floating]], source: AudioInfo, output: AudioInfo
) -> Iterator[NDArray[np.floating]]:
    """Yield resampled blocks; the last one makes the length exact, the resampler's is off by 1."""
    import soxr

    dtype = source.dtype
    stream = soxr.ResampleStream(
        source.sample_rate, output.sample_rate, output.channels, dtype=dtype.name, quality="VHQ"
    )
    n_in = n_out = 0
    for block in blocks:
        n_in += len(block)
        made = stream.resample_chunk(np.ascontiguousarray(block, dtype=dtype))
        made = made.reshape(-1, output.channels)
        n_out += len(made)
        yield made
    length = converted_length(n_in, source.sample_rate, output.sample_rate)
    rest = stream.resample_chunk(np.zeros((0, output.channels), dtype=dtype), last=True)
    rest = rest.reshape(-1, output.channels)[: max(length - n_out, 0)]
    missing = length - n_out - len(rest)
    yield np.concatenate([rest, np.zeros((max(missing, 0), output.channels), dtype=dtype)])
