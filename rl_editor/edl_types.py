"""The parts of an edit decision list and their place on the timeline.

Frozen data only; `edl` reads and writes them as a file. All times are whole samples of the
source's rate, written as seconds; `Clip.timeline_samples` is where lengths are rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rl_editor.actions import FADE_CURVES
from rl_editor.grid import BeatGrid
from rl_editor.units import samples_to_seconds, seconds_to_samples

CURVES = (*FADE_CURVES, "equal_power")
"""Fade laws: "linear" and the S curves of the two sides of a crossfade add up to equal gain,
"equal_power" to equal power."""


@dataclass(frozen=True)
class Clip:
    """A span of the source, placed on the timeline and processed.

    Attributes:
        source_start_s, source_end_s: half-open span of the source.
        timeline_start_s: where its first sample lands in the output.
        gain_db: level change.
        fade_in_s, fade_out_s: lengths of the fades at its ends, on the timeline; 0 is none.
        fade_in_curve, fade_out_curve: one of `CURVES`.
        rate: speed, 1.25 plays in 1/1.25 of the time at the same pitch.
        semitones: pitch shift at the same speed.
        reverse: played backwards.
        eq_low_db, eq_high_db: shelves at 200 Hz and 4 kHz; 0 is flat.
        distortion, reverb: strength in [0, 1]; 0 is dry.
    """

    source_start_s: float
    source_end_s: float
    timeline_start_s: float = 0.0
    gain_db: float = 0.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    fade_in_curve: str = "linear"
    fade_out_curve: str = "linear"
    rate: float = 1.0
    semitones: float = 0.0
    reverse: bool = False
    eq_low_db: float = 0.0
    eq_high_db: float = 0.0
    distortion: float = 0.0
    reverb: float = 0.0

    def source_samples(self, sample_rate: int) -> tuple[int, int]:
        """Return the half-open range of source samples."""
        start = seconds_to_samples(self.source_start_s, sample_rate)
        return start, seconds_to_samples(self.source_end_s, sample_rate)

    def timeline_samples(self, sample_rate: int) -> tuple[int, int]:
        """Return the half-open range of output samples.

        `n` source samples at speed `rate` are round(n / rate) output samples. Joins, the
        renderer and exporters take lengths from here, so that they agree to the sample.
        """
        start, stop = self.source_samples(sample_rate)
        first = seconds_to_samples(self.timeline_start_s, sample_rate)
        return first, first + round((stop - start) / self.rate)


@dataclass(frozen=True)
class Source:
    """The recording that clips are taken from.

    Attributes:
        path: as the user gave it; only a label, it is never opened because a list names it.
        sha256: of the file's bytes, hexadecimal ("" when there is no file).
        sample_rate: Hz.
        channels: number of channels.
        duration_s: its length.
    """

    path: str
    sha256: str
    sample_rate: int
    channels: int
    duration_s: float


@dataclass(frozen=True)
class Decision:
    """Why: one action of the editor.

    Attributes:
        beat: the cursor, as index into the grid.
        time_s: from where on it holds, in s of the source; up to the next one's. At a cut this is
            where the sound changes, not the beat (`decision_times`).
        type, size, amount: names of the action, as in `actions`.
        probability: that the policy gave it, in [0, 1]; None when no policy chose it.
        material: name of what the span is (`Material`), None when not known.
        reason: one sentence for the musician.
    """

    beat: int
    time_s: float
    type: str
    size: str
    amount: str
    probability: float | None = None
    material: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class JoinAlternative:
    """Another place at which the two sides of a join can meet.

    Attributes:
        left_end_s, right_start_s: where the clip before would end in the source, and the one after
            begin, their shares of the crossfade included.
        crossfade_s, curve: its length and its law.
        click_energy_percentile, level_step_db_percentile, beat_phase_error_ms_percentile,
        harmonic_distance_percentile: as of the join itself.
    """

    left_end_s: float
    right_start_s: float
    crossfade_s: float
    curve: str
    click_energy_percentile: float
    level_step_db_percentile: float
    beat_phase_error_ms_percentile: float
    harmonic_distance_percentile: float

    @property
    def worst_percentile(self) -> float:
        """The highest of the four."""
        return max(
            self.click_energy_percentile,
            self.level_step_db_percentile,
            self.beat_phase_error_ms_percentile,
            self.harmonic_distance_percentile,
        )


@dataclass(frozen=True)
class Join:
    """How one clip goes over into the next, measured on the output.

    Each percentile, in [0, 100], is the place of the number before it among the same
    recording's own ordinary beat changes.

    Attributes:
        timeline_s: middle of the crossfade in the output.
        crossfade_s: its length; 0 is a hard cut.
        curve: its law, one of `CURVES`.
        click_energy: energy of the discontinuity.
        level_step_db: level after minus level before.
        beat_phase_error_ms: how far the beat after is from where the beat before leads.
        harmonic_distance: between the two sides.
        alternatives: up to three other places, the one that is heard least first.
    """

    timeline_s: float
    crossfade_s: float
    curve: str
    click_energy: float
    click_energy_percentile: float
    level_step_db: float
    level_step_db_percentile: float
    beat_phase_error_ms: float
    beat_phase_error_ms_percentile: float
    harmonic_distance: float
    harmonic_distance_percentile: float
    alternatives: tuple[JoinAlternative, ...] = ()


@dataclass(frozen=True)
class EdlGrid:
    """The beat grid of the source: beats in s, downbeats as indices into them.

    `hints` are what the user said about the beat, as options of the command ("--half").
    """

    beats_s: tuple[float, ...]
    downbeats: tuple[int, ...]
    meter: int
    tempo_bpm: float
    hints: tuple[str, ...] = ()

    @classmethod
    def of(cls, grid: BeatGrid, hints: tuple[str, ...] = ()) -> EdlGrid:
        """Return what an EDL keeps of a grid that was made with some hints."""
        return cls(
            beats_s=tuple(grid.beats_s.tolist()),
            downbeats=tuple(grid.is_downbeat.nonzero()[0].tolist()),
            meter=int(grid.meter),
            tempo_bpm=float(grid.tempo_bpm),
            hints=hints,
        )


@dataclass(frozen=True)
class Finish:
    """What is done to the whole output, the sum of the clips.

    Attributes:
        lufs: integrated loudness that it is brought to, its true peaks limited; None leaves its
            level as it is.
        dc_offset: constant that is taken away from each channel of the source, full scale at 1;
            empty takes none away.
        dither: add dither where samples are rounded to a sample format with fewer bits.
    """

    lufs: float | None = None
    dc_offset: tuple[float, ...] = ()
    dither: bool = False


@dataclass(frozen=True)
class EditDecisionList:
    """A finished edit.

    Attributes:
        source: the recording.
        duration_s: of the output; the latest end of a clip, to the sample.
        clips: in the order of the output.
        decisions: the actions that led here, in the order they were taken.
        grid: beats of the source.
        joins: one for each place where a clip goes over into the next; may be empty.
        finish: what is done to the sum of the clips; by default nothing.
    """

    source: Source
    duration_s: float
    clips: tuple[Clip, ...]
    decisions: tuple[Decision, ...]
    grid: EdlGrid
    joins: tuple[Join, ...] = ()
    finish: Finish = Finish()


def timeline_length(clips: Iterable[Clip], sample_rate: int) -> int:
    """Return the output's length in samples: the latest end of a clip, 0 without clips."""
    return max((clip.timeline_samples(sample_rate)[1] for clip in clips), default=0)


def back_to_back(clips: Iterable[Clip], sample_rate: int) -> tuple[Clip, ...]:
    """Return the clips on whole samples, each starting where the one before ends.

    Source times go to the nearest sample, fades become no longer than their clip.
    """
    placed: list[Clip] = []
    position = 0
    for clip in clips:
        start, stop = clip.source_samples(sample_rate)
        length = round((stop - start) / clip.rate)
        fade_in, fade_out = (
            min(seconds_to_samples(fade_s, sample_rate), length)
            for fade_s in (clip.fade_in_s, clip.fade_out_s)
        )
        placed.append(
            replace(
                clip,
                source_start_s=samples_to_seconds(start, sample_rate),
                source_end_s=samples_to_seconds(stop, sample_rate),
                timeline_start_s=samples_to_seconds(position, sample_rate),
                fade_in_s=samples_to_seconds(fade_in, sample_rate),
                fade_out_s=samples_to_seconds(fade_out, sample_rate),
            )
        )
        position += length
    return tuple(placed)
