"""Edit a recording: `python -m rl_editor.infer "input.wav" --output "output.wav"`.

In: an audio file. Out: the edited track, its edit decision list and its report. Nothing is
written before everything that can be checked has been checked, and each file appears whole or
not at all.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from rl_editor import audio, checkpoint, notes, report
from rl_editor.analysis import analyze, schema_name
from rl_editor.audio_containers import check_file
from rl_editor.beat_hints import BeatHints
from rl_editor.beat_trackers import BeatTracker
from rl_editor.beats_file import GivenBeats, read_beats, write_beats
from rl_editor.cache import Cache
from rl_editor.calibration import Calibration
from rl_editor.conversion import OutputFormat
from rl_editor.dc_offset import dc_offset
from rl_editor.demucs_stems import check_stems
from rl_editor.edit_state import EditState
from rl_editor.edl import (
    EditDecisionList,
    EdlGrid,
    Finish,
    Source,
    check_lufs,
    timeline_length,
    write_edl,
)
from rl_editor.ending_fade import faded_ending
from rl_editor.errors import UserError
from rl_editor.features import FEATURE_NAMES
from rl_editor.fitted_plan import fit_plan
from rl_editor.loudness import Loudness
from rl_editor.music_detection import music_evidence
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.output_paths import number_notes, output_paths, report_mark
from rl_editor.planner import EFFORTS, Plan, keep_everything, plan
from rl_editor.progress import Progress
from rl_editor.reasons import decisions, removed_seconds
from rl_editor.render import RenderResult, render
from rl_editor.tags import Chapter
from rl_editor.track import Track

FINISHED_LUFS = -14.0
"""Loudness of a finished track unless another one is asked for: what streaming services play."""
MIN_KEPT_SHARE = 0.02
"""An edit that keeps less of the recording than this found no music in it."""


@dataclass(frozen=True)
class EditOptions:
    """What a user may ask of an edit.

    Attributes:
        checkpoint: file; None is the one that ships with rl_editor.
        keep_ratio: share of the recording to keep, in (0, 1]; None leaves it to the editor.
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
        use_cache: keep and reuse the analysis.
        quiet: no progress bar.
    """

    checkpoint: str | None = None
    keep_ratio: float | None = None
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
    use_cache: bool = True
    quiet: bool = True


@dataclass(frozen=True)
class EditResult:
    """What `edit` made.

    Attributes:
        output_path, edl_path, report_path: the files.
        edl: the edit decision list.
        track: the analysis of the recording.
        removed_s: seconds removed by kind of material, longest first.
        gain_db: change of the whole track that kept it from clipping, or brought it to the loudness
            that was asked for; usually 0.
        loudness: of the file that was written, if a loudness was asked for.
        music_found: False when the editor found no music, and so kept everything unless a share
            was asked for.
        notes: what the musician should know besides, a line each.
        beats_path: the file of beats that was written, if one was asked for.
        chapters: that were written into the track, if they were asked for.
    """

    output_path: Path
    edl_path: Path
    report_path: Path
    edl: EditDecisionList
    track: Track
    removed_s: dict[str, float]
    gain_db: float
    music_found: bool
    notes: tuple[str, ...] = ()
    beats_path: Path | None = None
    chapters: tuple[Chapter, ...] = ()
    loudness: Loudness | None = None


def edit(
    input_path: str | Path,
    output_path: str | Path | None = None,
    *,
    edl_path: str | Path | None = None,
    report_path: str | Path | None = None,
    options: EditOptions | None = None,
    **wishes,
) -> EditResult:
    """Edit a recording and return what was made.

    Args:
        input_path: the raw recording.
        output_path: the edited track; its suffix chooses the format. By default
            `NAME_edited.wav` (or the source's own format, where it can be written) beside it,
            under a name that is not taken; a file that is named here is replaced at the end.
        edl_path, report_path: by default beside the output, `.edl.json` and `.report.html`;
            there only those of an earlier edit to this output are replaced (`output_paths`).
        options: all wishes at once.
        wishes: single fields of `EditOptions`, such as `keep_ratio=0.5` or `half=True`.

    Raises:
        UserError: something about the files or the wishes is wrong; says what to do.
    """
    chosen = dataclasses.replace(options or EditOptions(), **wishes)
    check_file(input_path)
    source = Path(input_path)
    paths = output_paths(source, output_path, edl_path, report_path)
    loaded, hints = _checked(source, paths, chosen)
    with Progress(visible=not chosen.quiet) as progress:
        track = _analysed(source, chosen, hints, progress)
        progress.stage("decide", 0.0)
        made = decide(loaded, track, chosen)
        words = (*_tracker(chosen).words(), *hints.words())
        edl, changed_levels = _decision_list(
            track, made, words, loaded.calibration, chosen, progress
        )
        rendered = render(
            edl,
            source,
            paths[0],
            output_format=chosen.output_format,
            chapters=chosen.chapters,
            on_progress=lambda share: progress.stage("render", share),
        )
        write_edl(edl, paths[1])
        result = EditResult(
            *paths,
            edl=edl,
            track=track,
            removed_s=removed_seconds(made, track.grid, edl.clips),
            gain_db=rendered.gain_applied_db,
            music_found=made.music_found,
            notes=(
                *_notes(edl, made, chosen, track, rendered),
                *notes.level_notes(changed_levels),
                *number_notes(paths, edl_path, report_path),
            ),
            beats_path=_written_beats(track, chosen),
            chapters=rendered.chapters,
            loudness=rendered.loudness,
        )
        mark = report_mark(result.output_path, result.edl_path)
        report.write_report(edl, track, result.removed_s, paths[2], notes=result.notes, mark=mark)
    return result


def _checked(
    source: Path, paths: tuple[Path, Path, Path], options: EditOptions
) -> tuple[checkpoint.Checkpoint, BeatHints]:
    """Return the editor that is asked for and the hints, once nothing stands in the way."""
    _check_wishes(options)
    loaded = checkpoint.load(options.checkpoint or default_checkpoint())
    checkpoint.check_schema(loaded, schema_name(options.stems))
    info, wanted = audio.probe(source), options.output_format
    audio.check_output(source, paths[0], wanted.applied(info, paths[0]), wanted.subtype)
    extra = [] if options.write_beats_path is None else [options.write_beats_path]
    for path in (*paths[1:], *extra):
        audio.check_writable(source, path)
    _check_beats_place(options, paths)
    return loaded, _beat_hints(options, info.duration_s)


def _check_beats_place(options: EditOptions, paths: tuple[Path, Path, Path]) -> None:
    """Raise UserError if the beats would replace another file of the same edit."""
    if options.write_beats_path is None:
        return
    given = () if options.beats_path is None else (options.beats_path,)
    for path in (*paths, *given):
        if os.path.realpath(path) == os.path.realpath(options.write_beats_path):
            raise UserError(
                f"the beats need a place of their own, but {options.write_beats_path} is another "
                "file of this edit; choose another name."
            )


def _beat_hints(options: EditOptions, duration_s: float) -> BeatHints:
    """Return what the user says about the beat of a recording of `duration_s`, checked."""
    hints = _hints(options)
    hints.check_moments(duration_s)
    if options.beats_path is None:
        return hints
    return dataclasses.replace(hints, given=read_beats(options.beats_path, duration_s))


def _hints(options: EditOptions) -> BeatHints:
    """Return what the user says; the beats of a file that is named are still to be read."""
    path = options.beats_path
    return BeatHints(
        given=None if path is None else GivenBeats(str(path), (), ()),
        tempo_bpm=options.tempo_bpm,
        meter=options.meter,
        half=options.half,
        double=options.double,
        shift_beat=options.shift_beat,
        downbeats_s=tuple(float(moment_s) for moment_s in options.downbeats_s),
    )


def _tracker(options: EditOptions) -> BeatTracker:
    named = options.beat_checkpoint
    return BeatTracker(options.beat_tracker, None if named is None else str(named))


def _analysed(source: Path, options: EditOptions, hints: BeatHints, progress: Progress) -> Track:
    return analyze(
        source,
        cache=Cache() if options.use_cache else None,
        hints=hints,
        stems=options.stems,
        on_stage=progress.stage,
        tracker=_tracker(options),
    )


def _written_beats(track: Track, options: EditOptions) -> Path | None:
    """Write the beats where they are wanted, and return where that is."""
    if options.write_beats_path is None:
        return None
    write_beats(track.grid, options.write_beats_path)
    return Path(options.write_beats_path)


def default_checkpoint() -> Path:
    """Return the checkpoint that ships with the package."""
    return Path(str(resources.files("rl_editor.assets") / "best.pt"))


def _notes(
    edl: EditDecisionList, made: Plan, wishes: EditOptions, track: Track, rendered: RenderResult
) -> tuple[str, ...]:
    """Return what the musician should know besides the numbers."""
    kept = notes.kept_share(edl, track.grid)
    return (
        *notes.kept_notes(kept, wishes.keep_ratio, made.music_found),
        *notes.tempo_notes(track.grid, wishes.tempo_bpm),
        *(notes.grid_notes(track.grid, edl.grid.hints) if made.music_found else ()),
        *notes.join_notes(edl.joins),
        *notes.finish_notes(edl, rendered),
        *rendered.notes,
    )


def _check_wishes(options: EditOptions) -> None:
    if options.keep_ratio is not None and not 0.0 < options.keep_ratio <= 1.0:
        raise UserError(
            f"the share to keep must lie above 0 and up to 1, but is {options.keep_ratio:g}; "
            "0.5 keeps half of the recording."
        )
    if options.effort not in EFFORTS:
        raise UserError(
            f"the effort must be {EFFORTS[0]} to {EFFORTS[-1]}, but is {options.effort}; "
            "3 is the default."
        )
    check_lufs(options.lufs)
    _hints(options).check()
    _tracker(options).check(options.beats_path)
    check_stems(options.stems)


def decide(loaded: checkpoint.Checkpoint, track: Track, options: EditOptions) -> Plan:
    """Return what an editor decides about a track; everything where it finds no music.

    A share that is asked for is kept all the same, as far as the policy finds anything to keep.
    """
    level_db = track.features[:, FEATURE_NAMES.index("rms_db")]
    start = EditState.start(track.grid, level_db, loaded.config.episode)
    made = plan(
        NumpyPolicy(loaded.weights, loaded.config.agent),
        loaded.normalisation,
        track,
        start,
        target_keep_ratio=options.keep_ratio,
        config=dataclasses.replace(loaded.config.planner, effort=options.effort),
    )
    has_music = music_evidence(track, made.materials).has_music
    is_asked = has_music or options.keep_ratio is not None
    if is_asked and made.state.output_s >= MIN_KEPT_SHARE * track.duration_s:
        return dataclasses.replace(made, music_found=has_music)
    return keep_everything(start, made)


def _decision_list(
    track: Track,
    made: Plan,
    words: tuple[str, ...],
    calibration: Calibration | None,
    options: EditOptions,
    progress: Progress,
) -> tuple[EditDecisionList, tuple[float, ...]]:
    """Return the edit list, and the gains in dB by which takes were brought to one level.

    `words` are the options by which the grid was made.
    """
    progress.stage("join", 0.0)
    with audio.AudioReader(track.path) as reader:
        fitted = fit_plan(
            made,
            reader,
            track.grid,
            match_levels=options.match_levels,
            keeps_length=options.keep_ratio is not None,
        )
        finish = Finish(lufs=options.lufs)
        if options.finish:
            fitted = dataclasses.replace(fitted, clips=faded_ending(fitted.clips, reader))
            lufs = FINISHED_LUFS if options.lufs is None else options.lufs
            finish = Finish(lufs, dc_offset(fitted.clips, reader), dither=True)
    samples = timeline_length(fitted.clips, track.sample_rate)
    edl = EditDecisionList(
        source=Source(
            track.path, track.sha256, track.sample_rate, track.channels, track.duration_s
        ),
        duration_s=samples / track.sample_rate,
        clips=fitted.clips,
        decisions=decisions(made, track, calibration, fitted.clips),
        grid=EdlGrid.of(track.grid, words),
        joins=fitted.joins,
        finish=finish,
    )
    return edl, fitted.level_changes_db


if __name__ == "__main__":
    from rl_editor.cli import infer_main

    raise SystemExit(infer_main())
