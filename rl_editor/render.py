"""From an edit decision list to a file: the sum of all clips, finished as the list says.

In: an `EditDecisionList` and the samples of its source. Out: a file, or an array, of exactly the
list's length. Blocks of the output are made in order (`clip_mix`), so memory does not grow with
the length. Without a finish nothing but clipping is prevented; a loudness that is asked for takes
a pass that measures, one that writes, and a look at what was written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rl_editor.audio import AudioInfo, AudioReader, AudioWriter, check_output
from rl_editor.audio_writer import choose_subtype, pcm_bits
from rl_editor.chapters import chapters_of
from rl_editor.clip_mix import BLOCK_SAMPLES, mixed_blocks
from rl_editor.conversion import OutputFormat, conversion_notes, converted, converted_length
from rl_editor.edl import EditDecisionList
from rl_editor.errors import UserError
from rl_editor.limiter import LevelCurve, level_curve
from rl_editor.loudness import Loudness, LoudnessMeter, Steps
from rl_editor.sample_readers import ArrayReader, Audio, CentredReader, SampleReader
from rl_editor.tag_reader import read_tags
from rl_editor.tags import Chapter, Metadata, tag_notes
from rl_editor.units import db_to_gain, gain_to_db, seconds_to_samples

HEADROOM_DB = 0.1
"""Distance from full scale of a result that had to be made quieter."""
TRUE_PEAK_DB = -1.0
"""Highest true peak of a track that is brought to a loudness (EBU R 128), dB of full scale."""
METERS_DIFFER_DB = 0.2
"""Room below it: meters oversample with other filters (FFmpeg's reads 0.15 dB more of drums)."""
WRITING_TRIES = 5
"""How often such a track is written: what a lossy format adds to its peaks is known afterwards."""
UNLIMITED_SUBTYPES = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_LAYER_III")
"""Sample formats that hold peaks beyond full scale."""


@dataclass(frozen=True)
class RenderResult:
    """What was written.

    Attributes:
        path: the file.
        duration_s, n_samples: its length.
        peak_db: highest sample, in dB of full scale.
        gain_applied_db: change of the whole track, which kept it from clipping or brought it to
            the loudness that was asked for; usually 0.
        loudness_before, loudness: of the sum of the clips, and of the file as it was written;
            None unless the list asks for a loudness.
        limited_db: by how much the highest peak was held back for it, at least 0.
        notes: what was converted without being asked for, or left out, a sentence each.
        chapters: that were written, in the order of time.
    """

    path: Path
    duration_s: float
    n_samples: int
    peak_db: float
    gain_applied_db: float
    loudness_before: Loudness | None = None
    loudness: Loudness | None = None
    limited_db: float = 0.0
    notes: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = ()


class _TooLoudError(Exception):
    """Leaves a writer without finishing its file."""

    def __init__(self, excess_db: float) -> None:
        super().__init__(excess_db)
        self.excess_db = excess_db


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
    of the source. A list that asks for a loudness gets it, with true peaks up to `TRUE_PEAK_DB`.

    Args:
        edl: the edit.
        source_path: the recording that the list was made for.
        output_path: its suffix chooses the format; overwritten if it exists.
        output_format: sample format, rate and channels; None takes the source's. The nearest
            sample format and rate that the file format can hold are written.
        chapters: write one for each section of the track (`chapters`).
        on_progress: called with the share done, in [0, 1]; begins again for another pass.

    Raises:
        UserError: the list does not fit the source, or a file cannot be read or written.
    """
    source_path, output_path = Path(source_path), Path(output_path)
    with AudioReader(source_path) as reader:
        wanted = output_format or OutputFormat()
        output = wanted.applied(reader.info, output_path)
        check_output(source_path, output_path, output, wanted.subtype)
        check_fit(edl, reader.info)
        metadata = Metadata(read_tags(reader.info), chapters_of(edl) if chapters else ())
        centred = CentredReader(reader, edl.finish.dc_offset) if edl.finish.dc_offset else reader
        job = _Job(edl, centred, output_path, output, metadata, on_progress or (lambda share: None))
        lufs = edl.finish.lufs
        written = job.without_clipping() if lufs is None else job.at_loudness(lufs)
    n_samples = converted_length(_n_samples(edl), edl.source.sample_rate, output.sample_rate)
    return RenderResult(
        path=output_path,
        duration_s=n_samples / output.sample_rate,
        n_samples=n_samples,
        peak_db=float(gain_to_db(written.peak)),
        gain_applied_db=written.curve.gain_db,
        loudness_before=written.before,
        loudness=written.after,
        limited_db=written.curve.deepest_db,
        notes=(
            *written.notes,
            *conversion_notes(reader.info, output, wanted, output_path),
            *tag_notes(metadata.tags),
        ),
        chapters=metadata.chapters,
    )


@dataclass(frozen=True)
class _Written:
    """What became of a file: its highest sample and, where a loudness was asked for, more."""

    peak: float
    curve: LevelCurve
    before: Loudness | None = None
    after: Loudness | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    """One file to write; see `render`."""

    edl: EditDecisionList
    reader: SampleReader
    output_path: Path
    output: AudioInfo
    metadata: Metadata
    on_progress: Callable[[float], None]

    def without_clipping(self) -> _Written:
        """Write the file, again and quieter if it would clip."""
        curve = LevelCurve()
        try:
            return _Written(self._write(curve, self._check_clipping), curve)
        except _TooLoudError as error:
            curve = LevelCurve(-error.excess_db)
            return _Written(self._write(curve), curve)

    def at_loudness(self, lufs: float) -> _Written:
        """Write the file at an integrated loudness, its true peaks held back."""
        before, steps = self._measured()
        if before.lufs is None:
            written = self.without_clipping()
            note = "too short or too quiet to have a loudness, so its level was left as it is"
            return _Written(written.peak, written.curve, before, notes=(note,))
        ceiling_db = TRUE_PEAK_DB - METERS_DIFFER_DB
        for _ in range(WRITING_TRIES - 1):
            curve = level_curve(before, steps, lufs, ceiling_db)
            inspection = _Inspection(TRUE_PEAK_DB - METERS_DIFFER_DB)
            try:
                peak = self._write(curve, inspect=inspection)
            except _TooLoudError as error:
                ceiling_db -= error.excess_db
            else:
                break
        else:
            curve, inspection = level_curve(before, steps, lufs, ceiling_db), _Inspection(math.inf)
            peak = self._write(curve, inspect=inspection)
        after = inspection.found
        return _Written(peak, curve, before, after, _loudness_notes(lufs, curve, after))

    def _measured(self) -> tuple[Loudness, Steps]:
        meter = LoudnessMeter(self.output.sample_rate, self.output.channels, self.output.speakers)
        for block in self._blocks():
            meter.add(block)
        return meter.close(), meter.steps()

    def _write(
        self,
        curve: LevelCurve,
        check: Callable[[float, str], None] = lambda peak, subtype: None,
        inspect: Callable[[Path], None] | None = None,
    ) -> float:
        """Write the file at the levels of a curve and return its peak.

        Args:
            curve: levels over the time of the output.
            check: is given the peak and the sample format when all is written.
            inspect: is given the whole file under its temporary name; both may raise.
        """
        output, peak, start = self.output, 0.0, 0
        with AudioWriter(
            self.output_path,
            output.sample_rate,
            output.channels,
            output.subtype,
            self.metadata,
            dither=self._needs_dither(),
            inspect=inspect,
        ) as writer:
            for block in self._blocks():
                levelled = curve.applied(block, start)
                peak = max(peak, _peak(levelled))
                writer.write(levelled)
                start += len(block)
            check(peak, writer.subtype)
        return peak

    def _blocks(self) -> Iterator[Audio]:
        """Yield the sum of the clips in the rate and channels of the output."""
        return converted(
            self._watched(mixed_blocks(self.edl, self.reader)), self.reader.info, self.output
        )

    def _watched(self, blocks: Iterator[Audio]) -> Iterator[Audio]:
        """Yield the blocks and tell how far they have come."""
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            self.on_progress(done / _n_samples(self.edl))

    def _needs_dither(self) -> bool:
        """Return whether dither is asked for and samples lose bits that they have."""
        finish = self.edl.finish
        bits = pcm_bits(choose_subtype(self.output_path.suffix, self.output.subtype))
        if not finish.dither or bits is None:
            return False
        source_bits = pcm_bits(self.reader.info.subtype)
        is_changed = finish.lufs is not None or bool(finish.dc_offset)
        return is_changed or source_bits is None or source_bits > bits

    def _check_clipping(self, peak: float, subtype: str) -> None:
        """Raise `_TooLoudError` if samples of a peak would clip."""
        ceiling = _ceiling(peak, self.edl, self.reader, subtype in UNLIMITED_SUBTYPES)
        if peak > ceiling:
            raise _TooLoudError(float(gain_to_db(peak / ceiling)) + HEADROOM_DB)


@dataclass
class _Inspection:
    """Measures a written file, and refuses it if its true peak is above a ceiling in dB.

    Attributes:
        found: what was measured; set when it is called.
    """

    ceiling_db: float
    found: Loudness = field(init=False)

    def __call__(self, path: Path) -> None:
        with AudioReader(path) as reader:
            info = reader.info
            meter = LoudnessMeter(info.sample_rate, info.channels, info.speakers)
            for start in range(0, info.n_samples, BLOCK_SAMPLES):
                meter.add(reader.read(start, min(start + BLOCK_SAMPLES, info.n_samples)))
        self.found = meter.close()
        if self.found.true_peak_db > self.ceiling_db:
            raise _TooLoudError(self.found.true_peak_db - self.ceiling_db)


def _loudness_notes(lufs: float, curve: LevelCurve, after: Loudness) -> tuple[str, ...]:
    """Return what a musician should know about a track that was brought to a loudness."""
    notes = []
    if curve.is_short:
        notes.append(
            f"{lufs:g} LUFS would need its peaks to be squashed; it was left at "
            f"{after.lufs or -math.inf:.1f}, the limiter's most"
        )
    if after.true_peak_db > TRUE_PEAK_DB:
        notes.append(f"the file's format lifts its true peak to {after.true_peak_db:.1f} dBTP")
    return tuple(notes)


def render_array(edl: EditDecisionList, audio: Audio) -> Audio:
    """Return the sum of the clips [S, C] of a source [S, C] in memory, of the source's dtype.

    It is not finished, but kept from peaking above full scale, or above the source where that is
    higher.
    """
    reader = ArrayReader(audio, edl.source.sample_rate)
    check_fit(edl, reader.info)
    result = np.concatenate(list(mixed_blocks(edl, reader)))
    peak = _peak(result)
    ceiling = _ceiling(peak, edl, reader, may_exceed=True)
    if peak <= ceiling:
        return result
    return result * result.dtype.type(ceiling * db_to_gain(-HEADROOM_DB) / peak)


def _n_samples(edl: EditDecisionList) -> int:
    return seconds_to_samples(edl.duration_s, edl.source.sample_rate)


def _peak(audio: Audio) -> float:
    peak = float(np.max(np.abs(audio), initial=0.0))
    if not math.isfinite(peak):
        raise UserError("the recording holds samples that are no numbers (NaN); repair it first.")
    return peak


def _ceiling(peak: float, edl: EditDecisionList, reader: SampleReader, may_exceed: bool) -> float:
    """Return the highest peak that a result may have; a source beyond full scale may keep it."""
    if peak <= 1.0 or not may_exceed:
        return 1.0
    return max(1.0, _source_peak(edl, reader))


def _source_peak(edl: EditDecisionList, reader: SampleReader) -> float:
    """Return the highest sample in what the clips take from the source."""
    spans = [clip.source_samples(edl.source.sample_rate) for clip in edl.clips]
    return max(
        _peak(reader.read(at, min(at + BLOCK_SAMPLES, stop)))
        for start, stop in spans
        for at in range(start, stop, BLOCK_SAMPLES)
    )


def check_fit(edl: EditDecisionList, info: AudioInfo) -> None:
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
