"""What is decided about a recording: the plan of an editor, and its clips.

In: an editor, an analysed recording, what is asked for. Out: a `Plan`, and the `FittedPlan` that is
rendered.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rl_editor import audio, checkpoint
from rl_editor.asked_spans import AskedSpans
from rl_editor.conversion import OutputFormat
from rl_editor.dc_offset import dc_offset
from rl_editor.edit_state import EditState
from rl_editor.edl import Finish
from rl_editor.ending_fade import faded_ending
from rl_editor.exact_length import fit_to_length, with_exact_length
from rl_editor.features import FEATURE_NAMES
from rl_editor.fitted_plan import FittedPlan, fit_plan
from rl_editor.music_detection import music_evidence
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import Plan, keep_everything, plan
from rl_editor.progress import Progress
from rl_editor.track import Track
from rl_editor.wishes import STYLES, Wishes

FINISHED_LUFS = -14.0
"""Loudness of a finished track unless another one is asked for: what streaming services play."""
MIN_KEPT_SHARE = 0.02
"""An edit that keeps less of the recording than this found no music in it."""


@dataclass(frozen=True)
class EditOptions(Wishes):
    """What a user may ask of an edit, besides what `Wishes` has.

    Attributes:
        checkpoint: file; None is the one that ships with rl_editor.
        effort: how long a better edit than the likeliest is searched for, 1 (not at all) to 5;
            without effect where a share is asked for.
        tempo_bpm: of the music in beats a minute, 30 to 300, when the editor hears it wrong.
        meter: beats in a bar, 1 to 16, when the editor hears it wrong.
        half, double: the beats at half or twice the tempo that is heard; not with a tempo.
        shift_beat: the beats half a beat later than they are heard.
        downbeats_s: moments in s, inside the recording and while something is played, at which a
            bar begins.
        beats_path: file with the beats (`docs/beats.md`); not with a tempo, half or double.
        write_beats_path: where the beats of the recording are written to; Audacity labels if the
            name ends in `.labels.txt`, else times and places in the bar.
        beat_tracker: "own", "beat_this" or "librosa" hears the beats; not with `beats_path`.
        beat_checkpoint: of beat_this: a file, or a name that the package fetches.
        stems: "offline", "demucs" (its default model), or a Demucs model: NAME or FOLDER/NAME.
        output_format: sample format, rate and channels of the output; those of the source
            unless asked otherwise.
        chapters: write a chapter or marker for each section of the edited track.
        lufs: integrated loudness of the output, -40 to -5, its true peaks held to -1 dBTP; None
            leaves its level as it is.
        finish: a finished sound: -14 LUFS unless another loudness is asked for, a fade where the
            track would stop dead, no constant under it, and dither where samples lose bits.
        match_levels: takes of one passage that meet at a join get the same level.
        exports: names of `exporters.project_files.FORMATS`, of which projects are made beside the
            output.
        use_cache: keep and reuse the analysis.
        quiet: no progress bar.
    """

    checkpoint: str | None = None
    effort: int = 3
    tempo_bpm: float | None = None
    meter: int | None = None
    half: bool = False
    double: bool = False
    shift_beat: bool = False
    downbeats_s: tuple[float, ...] = ()
    beats_path: str | Path | None = None
    write_beats_path: str | Path | None = None
    beat_tracker: str = "own"
    beat_checkpoint: str | Path | None = None
    stems: str = "offline"
    output_format: OutputFormat = field(default_factory=OutputFormat)
    chapters: bool = False
    lufs: float | None = None
    finish: bool = False
    match_levels: bool = True
    exports: tuple[str, ...] = ()
    use_cache: bool = True
    quiet: bool = True


def decide(
    loaded: checkpoint.Checkpoint,
    track: Track,
    options: EditOptions,
    share: float | None = None,
) -> Plan:
    """Return what an editor decides about a track; everything where it finds no music.

    A length that is asked for is kept all the same, as far as the policy finds anything to keep.

    Args:
        loaded: the editor.
        track: the recording.
        options: what is asked for.
        share: of the recording that the track lasts; None is what the options say.
    """
    level_db = track.features[:, FEATURE_NAMES.index("rms_db")]
    start = EditState.start(track.grid, level_db, loaded.config.episode)
    planner = loaded.config.planner
    made = plan(
        NumpyPolicy(loaded.weights, loaded.config.agent),
        loaded.normalisation,
        track,
        start,
        target_keep_ratio=options.share_of(track.duration_s) if share is None else share,
        config=dataclasses.replace(
            planner, effort=options.effort, keep_bias=planner.keep_bias + STYLES[options.style]
        ),
        wishes=options.on_recording(track.duration_s).on_beats(track.grid),
    )
    has_music = music_evidence(track, made.materials).has_music
    is_asked = has_music or options.has_length
    if is_asked and made.state.output_s >= MIN_KEPT_SHARE * track.duration_s:
        return dataclasses.replace(made, music_found=has_music)
    return keep_everything(start, made)


def decided_edit(
    loaded: checkpoint.Checkpoint, track: Track, options: EditOptions, progress: Progress
) -> tuple[Plan, FittedPlan, Finish]:
    """Return what was decided, the clips of that, and what is done to their sum."""
    wishes = options.on_recording(track.duration_s)
    asked = AskedSpans(wishes.keep_s, wishes.drop_s, track.duration_s)

    def attempt(share: float | None) -> tuple[Plan, FittedPlan]:
        progress.stage("decide", 0.0)
        made = decide(loaded, track, options, share)
        progress.stage("join", 0.0)
        fitted = fit_plan(
            made,
            reader,
            track.grid,
            match_levels=options.match_levels,
            keeps_length=options.has_length,
            asked=asked,
        )
        return made, fitted

    with audio.AudioReader(track.path) as reader:
        sr, wanted_s = track.sample_rate, options.duration_s
        if wanted_s is None:
            made, fitted = attempt(None)
        else:
            half_bar_s = 0.5 * track.grid.meter * float(np.median(track.grid.durations_s))
            aim_s = wanted_s + half_bar_s * options.exact  # what is too long can be faded out
            made, fitted = fit_to_length(attempt, aim_s, track.duration_s, half_bar_s, sr)
            if options.exact:
                fitted = with_exact_length(fitted, wanted_s, asked, sr)
        finish = Finish(lufs=options.lufs)
        if options.finish:
            fitted = dataclasses.replace(fitted, clips=faded_ending(fitted.clips, reader))
            lufs = FINISHED_LUFS if options.lufs is None else options.lufs
            finish = Finish(lufs, dc_offset(fitted.clips, reader), dither=True)
    return made, fitted, finish
