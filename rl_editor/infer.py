"""Edit a recording: `python -m rl_editor.infer "input.wav" --output "output.wav"`.

In: an audio file. Out: the edited track, its edit decision list and its report. Nothing is
written before everything that can be checked has been checked, and each file appears whole or
not at all.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
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
from rl_editor.deciding import EditOptions, decided_edit
from rl_editor.demucs_stems import check_stems
from rl_editor.edl import (
    EditDecisionList,
    EdlGrid,
    Finish,
    Source,
    check_lufs,
    timeline_length,
    write_edl,
)
from rl_editor.errors import UserError
from rl_editor.exporters.project_files import export, parse_formats
from rl_editor.fitted_plan import FittedPlan
from rl_editor.loudness import Loudness
from rl_editor.output_paths import number_notes, output_paths, report_mark
from rl_editor.planner import EFFORTS, Plan
from rl_editor.progress import Progress
from rl_editor.reasons import decisions, removed_seconds
from rl_editor.render import RenderResult, render
from rl_editor.tags import Chapter
from rl_editor.track import Track


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
        export_paths: projects for audio workstations, in the order in which they were asked for.
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
    export_paths: tuple[Path, ...] = ()


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
        made, fitted, finish = decided_edit(loaded, track, chosen, progress)
        words = (*_tracker(chosen).words(), *hints.words())
        edl = _decision_list(track, made, fitted, words, loaded.calibration, finish)
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
                *notes.level_notes(fitted.level_changes_db),
                *number_notes(paths, edl_path, report_path),
            ),
            beats_path=_written_beats(track, chosen),
            chapters=rendered.chapters,
            loudness=rendered.loudness,
            export_paths=export(edl, source, chosen.exports, paths[0]) if chosen.exports else (),
        )
        mark = report_mark(result.output_path, result.edl_path)
        report.write_report(
            edl,
            track,
            result.removed_s,
            paths[2],
            notes=result.notes,
            mark=mark,
            sounds=(source, result.output_path),
        )
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
    options.on_recording(info.duration_s)
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
        *notes.kept_notes(kept, wishes.share_of(track.duration_s), made.music_found),
        *notes.tempo_notes(track.grid, wishes.tempo_bpm),
        *(notes.grid_notes(track.grid, edl.grid.hints) if made.music_found else ()),
        *notes.join_notes(edl.joins),
        *notes.finish_notes(edl, rendered),
        *rendered.notes,
    )


def _check_wishes(options: EditOptions) -> None:
    options.check()
    if options.exports:
        parse_formats(",".join(options.exports))
    if options.effort not in EFFORTS:
        raise UserError(
            f"the effort must be {EFFORTS[0]} to {EFFORTS[-1]}, but is {options.effort}; "
            "3 is the default."
        )
    check_lufs(options.lufs)
    _hints(options).check()
    _tracker(options).check(options.beats_path)
    check_stems(options.stems)


def _decision_list(
    track: Track,
    made: Plan,
    fitted: FittedPlan,
    words: tuple[str, ...],
    calibration: Calibration | None,
    finish: Finish,
) -> EditDecisionList:
    """Return the edit list; `words` are the options by which the grid was made."""
    samples = timeline_length(fitted.clips, track.sample_rate)
    return EditDecisionList(
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


if __name__ == "__main__":
    from rl_editor.cli import infer_main

    raise SystemExit(infer_main())
