"""From an edit decision list to sound: the sum of all clips on the timeline.

In: an `EditDecisionList` and the samples of its source. Out: a file, or an array, of exactly the
list's length. Blocks of the output are made in order, so memory does not grow with the length:
clips without processing stream straight from the source (and keep its samples bit for bit where
no fade or gain touches them); processed clips are made whole up to about a minute and a half of
stereo at 44.1 kHz, longer ones in such pieces with context around them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import AudioInfo, AudioReader, AudioWriter, check_output
from rl_editor.chapters import chapters_of
from rl_editor.conversion import OutputFormat, conversion_notes, converted, converted_length
from rl_editor.edl import Clip, EditDecisionList, Source
from rl_editor.effects import clip_envelope, fade_weights, is_transformed, transform
from rl_editor.errors import UserError
from rl_editor.tag_reader import read_tags
from rl_editor.tags import Chapter, Metadata, tag_notes
from rl_editor.units import db_to_gain, gain_to_db, seconds_to_samples

Audio = NDArray[np.floating]
"""[S, C] float32 or float64."""

BLOCK_SAMPLES = 65_536
PIECE_VALUES = 8_000_000
"""Samples times channels of the longest piece that is processed at once: 32 MB of float32."""
PIECE_MIN_S = 8.0
PIECE_CONTEXT_S = 3.0
"""Source before and after a piece: longer than the reverb and than any filter rings."""
PIECE_CROSSFADE_S = 0.02
HEADROOM_DB = 0.1
"""Distance from full scale of a result that had to be made quieter."""
UNLIMITED_SUBTYPES = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_LAYER_III")
"""Sample formats that hold peaks beyond full scale."""


class SampleReader(Protocol):
    """Random access to samples, as `audio.AudioReader` and `ArrayReader` give it."""

    info: AudioInfo

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""


class ArrayReader:
    """A `SampleReader` of audio [S, C] in memory at `sr` Hz."""

    def __init__(self, audio: Audio, sr: int) -> None:
        subtype = "DOUBLE" if audio.dtype == np.float64 else "FLOAT"
        self.info = AudioInfo("", sr, audio.shape[1], len(audio), subtype, "memory")
        self._audio = audio

    def read(self, start: int, stop: int) -> Audio:
        """Return the samples [stop - start, C] of the half-open range."""
        return self._audio[start:stop]


@dataclass(frozen=True)
class RenderResult:
    """What was written.

    Attributes:
        path: the file.
        duration_s, n_samples: its length.
        peak_db: highest sample, in dB of full scale.
        gain_applied_db: change of the whole track that kept it from clipping, usually 0.
        notes: what was converted without being asked for, or left out, a sentence each.
        chapters: that were written, in the order of time.
    """

    path: Path
    duration_s: float
    n_samples: int
    peak_db: float
    gain_applied_db: float
    notes: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()


class _TooLoudError(Exception):
    """Leaves a writer without finishing its file."""

    def __init__(self, factor: float) -> None:
        super().__init__(factor)
        self.factor = factor


def render(
    edl: EditDecisionList,
    source_path: str | Path,
    output_path: str | Path,
    *,
    output_format: OutputFormat | None = None,
    chapters: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> RenderResult:
    """Write the edited track with the recording's tags; the file appears whole or not at all.

    A result that would clip is made again, all of it quieter by one factor, to peak 0.1 dB below
    full scale. Formats that hold peaks beyond full scale are only kept from exceeding the peak
    of the source.

    Args:
        edl: the edit.
        source_path: the recording that the list was made for.
        output_path: its suffix chooses the format; overwritten if it exists.
        output_format: sample format, rate and channels; None takes the source's. The nearest
            sample format and rate that the file format can hold are written.
        chapters: write one for each section of the track (`chapters`).
        on_progress: called with the share done, in [0, 1]; begins again for a second pass.

    Raises:
        UserError: the list does not fit the source, or a file cannot be read or written.
    """
    source_path, output_path = Path(source_path), Path(output_path)
    with AudioReader(source_path) as reader:
        wanted = output_format or OutputFormat()
        output = wanted.applied(reader.info, output_path)
        check_output(source_path, output_path, output, wanted.subtype)
        _check_fit(edl, reader.info)
        metadata = Metadata(read_tags(reader.info), chapters_of(edl) if chapters else ())
        job = _Job(edl, reader, output_path, output, metadata, on_progress or (lambda share: None))
        factor = 1.0
        try:
            peak = job.write(factor)
        except _TooLoudError as error:
            factor = error.factor
            peak = job.write(factor)
    n_samples = converted_length(_n_samples(edl), edl.source.sample_rate, output.sample_rate)
    return RenderResult(
        path=output_path,
        duration_s=n_samples / output.sample_rate,
        n_samples=n_samples,
        peak_db=float(gain_to_db(peak)),
        gain_applied_db=float(gain_to_db(factor)),
        notes=(
            *conversion_notes(reader.info, output, wanted, output_path),
            *tag_notes(metadata.tags),
        ),
        chapters=metadata.chapters,
    )


@dataclass(frozen=True)
class _Job:
    """One file to write; see `render`."""

    edl: EditDecisionList
    reader: AudioReader
    output_path: Path
    output: AudioInfo
    metadata: Metadata
    on_progress: Callable[[float], None]

    def write(self, factor: float) -> float:
        """Write the file times `factor` and return its peak, or raise `_TooLoudError`."""
        output, peak = self.output, 0.0
        with AudioWriter(
            self.output_path, output.sample_rate, output.channels, output.subtype, self.metadata
        ) as writer:
            mixed = self._watched(mixed_blocks(self.edl, self.reader))
            for block in converted(mixed, self.reader.info, output):
                scaled = block if factor == 1.0 else block * block.dtype.type(factor)
                peak = max(peak, _peak(scaled))
                writer.write(scaled)
            may_exceed = writer.subtype in UNLIMITED_SUBTYPES
            quieter = _factor(peak, self.edl, self.reader, may_exceed)
            if quieter != 1.0 and factor == 1.0:
                raise _TooLoudError(quieter)
        return peak

    def _watched(self, blocks: Iterator[Audio]) -> Iterator[Audio]:
        """Yield the blocks and tell how far they have come."""
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            self.on_progress(done / _n_samples(self.edl))


def render_array(edl: EditDecisionList, audio: Audio) -> Audio:
    """Return the edited track [S, C] of a source [S, C] in memory, of the source's dtype.

    It is kept from peaking above full scale, or above the source where that is higher.
    """
    reader = ArrayReader(audio, edl.source.sample_rate)
    _check_fit(edl, reader.info)
    result = np.concatenate(list(mixed_blocks(edl, reader)))
    factor = _factor(_peak(result), edl, reader, may_exceed=True)
    return result if factor == 1.0 else result * result.dtype.type(factor)


def mixed_blocks(edl: EditDecisionList, reader: SampleReader) -> Iterator[Audio]:
    """Yield the sum of all clips in blocks [n, C] that make up the output, in its order."""
    streams = [_ClipStream(clip, reader, edl.source) for clip in edl.clips]
    waiting = deque(sorted(streams, key=lambda stream: stream.first))
    playing: list[_ClipStream] = []
    n_samples, dtype = _n_samples(edl), reader.read(0, 0).dtype
    for start in range(0, n_samples, BLOCK_SAMPLES):
        stop = min(start + BLOCK_SAMPLES, n_samples)
        while waiting and waiting[0].first < stop:
            playing.append(waiting.popleft())
        block = np.zeros((stop - start, edl.source.channels), dtype=dtype)
        for stream in playing:
            stream.add_to(block, start)
        playing = [stream for stream in playing if stream.last > stop]
        yield block


class _ClipStream:
    """The output samples of one clip, made on demand from its first to its last."""

    def __init__(self, clip: Clip, reader: SampleReader, source: Source) -> None:
        sr = source.sample_rate
        self._clip, self._reader, self._sr = clip, reader, sr
        self._source_start, self._source_stop = clip.source_samples(sr)
        self.first, self.last = clip.timeline_samples(sr)
        self._is_transformed = is_transformed(clip)
        self._piece: Audio | None = None
        self._piece_samples = max(PIECE_VALUES // source.channels, round(PIECE_MIN_S * sr))
        self._piece_start = self._piece_stop = 0

    def add_to(self, block: Audio, start: int) -> None:
        """Add what falls into a block [n, C] of the output that begins at `start`; in order."""
        low, high = max(start, self.first), min(start + len(block), self.last)
        block[low - start : high - start] += self._read(low - self.first, high - self.first)

    def _read(self, start: int, stop: int) -> Audio:
        """Return the samples [start, stop), counted from the clip's first."""
        audio = (self._transformed if self._is_transformed else self._source)(start, stop)
        envelope = clip_envelope(self._clip, self._sr, self.last - self.first, start, stop)
        return audio if envelope is None else audio * envelope[:, None].astype(audio.dtype)

    def _source(self, start: int, stop: int) -> Audio:
        """Return source samples, counted from the end that the clip plays first."""
        if self._clip.reverse:
            return self._reader.read(self._source_stop - stop, self._source_stop - start)[::-1]
        return self._reader.read(self._source_start + start, self._source_start + stop)

    def _transformed(self, start: int, stop: int) -> Audio:
        parts = []
        while start < stop:
            if start >= self._piece_stop:
                self._make_piece()
            assert self._piece is not None
            end = min(stop, self._piece_stop)
            parts.append(self._piece[start - self._piece_start : end - self._piece_start])
            start = end
        return np.concatenate(parts)

    def _make_piece(self) -> None:
        """Process the next piece, crossfaded with what the one before holds beyond its end."""
        clip, sr, n_samples = self._clip, self._sr, self.last - self.first
        n_source = self._source_stop - self._source_start
        start = self._piece_stop
        is_last = n_samples - start <= self._piece_samples
        stop = n_samples if is_last else start + self._piece_samples
        n_context, n_fade = round(PIECE_CONTEXT_S * sr), round(PIECE_CROSSFADE_S * sr)
        source_start = max(0, round((start - n_context) * clip.rate))
        source_stop = n_source if is_last else round((stop + n_context) * clip.rate)
        source_stop = min(source_stop, n_source)
        made = transform(self._source(source_start, source_stop), replace(clip, reverse=False), sr)
        if is_last:
            made = made[len(made) - (n_samples - start) :]
        else:
            skipped = start - round(source_start / clip.rate)
            made = made[skipped : skipped + stop - start + n_fade]
        if self._piece is not None:
            rest = self._piece[start - self._piece_start :]
            weights = fade_weights("linear", len(rest))[:, None].astype(made.dtype)
            blend = made[: len(rest)] * weights + rest[: len(made)] * weights[::-1]
            made = np.concatenate([blend, made[len(rest) :]])
        self._piece, self._piece_start, self._piece_stop = made, start, stop


def _n_samples(edl: EditDecisionList) -> int:
    return seconds_to_samples(edl.duration_s, edl.source.sample_rate)


def _peak(audio: Audio) -> float:
    peak = float(np.max(np.abs(audio), initial=0.0))
    if not math.isfinite(peak):
        raise UserError("the recording holds samples that are no numbers (NaN); repair it first.")
    return peak


def _factor(peak: float, edl: EditDecisionList, reader: SampleReader, may_exceed: bool) -> float:
    """Return the factor that keeps the result from clipping; 1 where nothing is needed."""
    if peak <= 1.0:
        return 1.0
    ceiling = max(1.0, _source_peak(edl, reader)) if may_exceed else 1.0
    return 1.0 if peak <= ceiling else float(ceiling * db_to_gain(-HEADROOM_DB)) / peak


def _source_peak(edl: EditDecisionList, reader: SampleReader) -> float:
    """Return the highest sample in what the clips take from the source."""
    spans = [clip.source_samples(edl.source.sample_rate) for clip in edl.clips]
    return max(
        _peak(reader.read(at, min(at + BLOCK_SAMPLES, stop)))
        for start, stop in spans
        for at in range(start, stop, BLOCK_SAMPLES)
    )


def _check_fit(edl: EditDecisionList, info: AudioInfo) -> None:
    """Raise UserError unless the list was made for a recording like this one."""
    if not edl.clips:
        raise UserError("the edit decision list holds no clip, so there is nothing to write.")
    source, name = edl.source, info.path or "the audio"
    n_needed = max(clip.source_samples(source.sample_rate)[1] for clip in edl.clips)
    if (info.sample_rate, info.channels) != (source.sample_rate, source.channels):
        raise UserError(
            f"the edit decision list was made for a recording of {source.channels} channels at "
            f"{source.sample_rate} Hz, but {name} has {info.channels} at "
            f"{info.sample_rate} Hz; give the recording that it was made for."
        )
    if n_needed > info.n_samples:
        raise UserError(
            f"the edit decision list needs {n_needed / source.sample_rate:.1f} s of recording, but "
            f"{name} holds {info.n_samples / source.sample_rate:.1f} s; give the recording "
            "that it was made for."
        )
