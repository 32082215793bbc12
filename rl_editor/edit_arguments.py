"""The arguments of `rl-editor edit`, and what they ask for.

In: a parser, parsed arguments. Out: `EditOptions`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rl_editor.conversion import OutputFormat
    from rl_editor.deciding import EditOptions


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of the file."""
    parser.add_argument("--bit-depth", help="such as PCM_16, PCM_24 or FLOAT; else the source's")
    parser.add_argument("--sample-rate", type=int, help="of the output, Hz; else the source's")
    parser.add_argument("--channels", type=int, help="1 or 2; else the source's")
    parser.add_argument(
        "--chapters", action="store_true", help="a chapter or marker for each section"
    )
    parser.add_argument(
        "--lufs", type=float, help="loudness of the output, such as -14; its peaks stay below -1 dB"
    )


def add_edit_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all that can be asked of an edit."""
    parser.add_argument("input", help="the raw recording")
    parser.add_argument("--output", help="the edited track; its suffix is the format")
    parser.add_argument("--checkpoint", help="trained editor; by default the one that ships")
    parser.add_argument("--edl", help="edit decision list; by default beside the output")
    parser.add_argument("--report", help="report page; by default beside the output")
    _add_wish_arguments(parser)
    parser.add_argument(
        "--effort", type=int, default=3, help="1 is fast, 5 searches longest for a better edit"
    )
    _add_beat_arguments(parser)
    parser.add_argument(
        "--stems", default="offline", help="offline, demucs or a Demucs model (extra [stems])"
    )
    add_format_arguments(parser)
    parser.add_argument(
        "--finish",
        action="store_true",
        help="-14 LUFS (or --lufs), a fade where the track stops dead, no constant, dither",
    )
    parser.add_argument(
        "--no-level-match", action="store_true", help="takes that meet keep their own levels"
    )
    parser.add_argument(
        "--export",
        help="projects to make too: reaper, otio, dawproject, ardour, bundle, with commas",
    )
    parser.add_argument("--no-cache", action="store_true", help="neither read nor keep analyses")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_wish_arguments(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_argument_group("what is wanted")
    asked.add_argument(
        "--keep-ratio", type=float, help="share of the recording to keep, above 0, up to 1"
    )
    asked.add_argument(
        "--duration", type=_moment, help="how long the track lasts, such as 3:30, within a bar"
    )
    asked.add_argument(
        "--exact",
        action="store_true",
        help="the duration to the sample, by a fade or at most 3%% of speed",
    )
    for name, what in (("--keep", "is heard"), ("--drop", "is not heard")):
        asked.add_argument(
            name,
            type=_span,
            action="append",
            default=[],
            metavar="START-END",
            help=f"a part of the recording that {what}, such as 1:20-1:45; as many as you like",
        )
    asked.add_argument("--no-reorder", action="store_true", help="nothing changes places")
    asked.add_argument("--no-loops", action="store_true", help="nothing is played in a loop")
    asked.add_argument(
        "--effects", default="all", help="off, gentle (level and tone, a little) or all"
    )
    asked.add_argument(
        "--min-clip",
        nargs="+",
        metavar=("LENGTH", "UNIT"),
        help="shortest passage that is kept, such as 2 bars, 8 beats or 4 s",
    )
    asked.add_argument(
        "--style",
        default="balanced",
        help="conservative cuts only what is surely unwanted, tight all that may be",
    )


def _add_beat_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a user can say about the beat; `docs/beats.md` has an example of each."""
    beat = parser.add_argument_group("the beat, when it is heard wrong")
    beat.add_argument(
        "--beat-tracker",
        default="own",
        help="own, beat_this (extra [beats]) or librosa (extra [librosa])",
    )
    beat.add_argument(
        "--beat-checkpoint", metavar="FILE_OR_NAME", help="of beat_this; else its final0"
    )
    beat.add_argument("--tempo", type=float, help="beats a minute")
    beat.add_argument("--half", action="store_true", help="half the tempo that is heard")
    beat.add_argument("--double", action="store_true", help="twice the tempo that is heard")
    beat.add_argument("--shift-beat", action="store_true", help="half a beat later")
    beat.add_argument("--meter", type=int, help="beats in a bar")
    beat.add_argument(
        "--downbeat",
        type=_moment,
        action="append",
        default=[],
        metavar="TIME",
        help="a bar begins here: 12.3 (s) or 1:05.2; may be given several times",
    )
    beat.add_argument("--beats", metavar="FILE", help="take the beats from a file")
    beat.add_argument(
        "--write-beats", metavar="FILE", help="write them; as labels if named NAME.labels.txt"
    )


def _moment(text: str) -> float:
    from rl_editor.units import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"should be a time such as 12.3 (seconds) or 1:05.2, but is {text!r}"
        ) from error


def _span(text: str) -> tuple[float, float]:
    from rl_editor.wishes import parse_span

    try:
        return parse_span(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"should be a start and an end such as 1:20-1:45, but is {text!r}"
        ) from error


def output_format(arguments: argparse.Namespace) -> OutputFormat:
    """Return the sample format, rate and channels that are asked for."""
    from rl_editor.conversion import OutputFormat

    return OutputFormat(arguments.bit_depth, arguments.sample_rate, arguments.channels)


def edit_options(arguments: argparse.Namespace) -> EditOptions:
    """Return what is asked for."""
    from rl_editor.deciding import EditOptions
    from rl_editor.exporters.project_files import parse_formats

    return EditOptions(
        checkpoint=arguments.checkpoint,
        keep_ratio=arguments.keep_ratio,
        duration_s=arguments.duration,
        exact=arguments.exact,
        keep_s=tuple(arguments.keep),
        drop_s=tuple(arguments.drop),
        reorder=not arguments.no_reorder,
        loops=not arguments.no_loops,
        effects=arguments.effects,
        min_clip=arguments.min_clip and " ".join(arguments.min_clip),
        style=arguments.style,
        effort=arguments.effort,
        tempo_bpm=arguments.tempo,
        meter=arguments.meter,
        half=arguments.half,
        double=arguments.double,
        shift_beat=arguments.shift_beat,
        downbeats_s=tuple(arguments.downbeat),
        beats_path=arguments.beats,
        write_beats_path=arguments.write_beats,
        beat_tracker=arguments.beat_tracker,
        beat_checkpoint=arguments.beat_checkpoint,
        stems=arguments.stems,
        output_format=output_format(arguments),
        chapters=arguments.chapters,
        lufs=arguments.lufs,
        finish=arguments.finish,
        match_levels=not arguments.no_level_match,
        exports=parse_formats(arguments.export) if arguments.export else (),
        use_cache=not arguments.no_cache,
        quiet=arguments.quiet,
    )
