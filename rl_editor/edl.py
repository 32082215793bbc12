"""The edit decision list (EDL): the contract between deciding and everything after it.

Clips lie on a timeline and overlap where they are crossfaded: the output is the sum of all
clips, each under its own fades. A clip's source range includes its share of the overlap.
All times are whole samples of the source's rate, written as seconds; the output's length is
the latest end of a clip, and what no clip covers is silence. `docs/edl.md` describes the file.

In: clips, decisions, joins. Out: `NAME.edl.json`, and the same list back from it without loss.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.atomic import atomic_path
from rl_editor.edl_fields import (
    Check,
    flag,
    integer,
    list_of,
    number,
    one_of,
    optional,
    record,
    text_up_to,
)
from rl_editor.edl_types import (
    CURVES,
    Clip,
    Decision,
    EditDecisionList,
    EdlGrid,
    Finish,
    Join,
    JoinAlternative,
    Source,
    back_to_back,
    timeline_length,
)
from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.units import samples_to_seconds, seconds_to_samples

__all__ = [
    "CURVES",
    "Clip",
    "Decision",
    "EditDecisionList",
    "EdlGrid",
    "Finish",
    "Join",
    "JoinAlternative",
    "Source",
    "back_to_back",
    "check_lufs",
    "read_edl",
    "timeline_length",
    "write_edl",
]

FORMAT = "rl-editor-edl"
VERSION = 1
MAX_FILE_BYTES = 256 * 2**20
MAX_CLIPS = 100_000
MAX_BEATS = 1_000_000
MAX_HINTS = 10_000
MAX_ALTERNATIVES = 3
MAX_CHANNELS = 1024
LUFS_RANGE = (-40.0, -5.0)
"""Integrated loudness that an output may be brought to."""
MAX_SECONDS = 1e6
"""Longest recording, s: eleven days. These bounds keep a hostile file from filling memory."""


def write_edl(edl: EditDecisionList, path: str | Path) -> None:
    """Write the list as JSON; the file appears whole or not at all.

    Raises:
        UserError: the list breaks a rule of the format, or the file cannot be written.
    """
    content = json.dumps(_to_json(edl), indent=1, allow_nan=True)
    if _from_json(json.loads(content), str(path)).duration_s != edl.duration_s:
        raise UserError(
            f"{path}.duration_s must be the latest end of a clip, but is {edl.duration_s:.9g}; "
            "correct it."
        )
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(content + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} should become the edit decision list, but cannot be written "
            f"({error.strerror}); choose another place."
        ) from error


def read_edl(path: str | Path, on_note: Callable[[str], None] = warnings.warn) -> EditDecisionList:
    """Return the list in a file that `write_edl`, another program or a person wrote.

    Nothing but the file itself is opened: `source.path` stays a string. The output's length
    follows from the clips: one that is missing or does not fit is made again. A list without clips
    is read, but nothing can be rendered from it.

    Args:
        path: of the list.
        on_note: is told of a length that did not fit.

    Raises:
        UserError: the file cannot be read or breaks a rule of the format; names the field.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{path} should be an edit decision list, but cannot be read ({error.strerror}); check "
            "its name and permissions."
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise UserError(
            f"{path} should be an edit decision list, but is larger than {MAX_FILE_BYTES} bytes, "
            "which no edit needs; name another file."
        )
    try:
        values = json.loads(content.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} should be an edit decision list in JSON, but is not ({error}); make it again."
        ) from error
    edl = _from_json(values, str(path))
    stated_s = values.get("duration_s", edl.duration_s)
    if edl.clips and stated_s != edl.duration_s:
        on_note(
            f"{path} says that the output lasts {stated_s:.9g} s, but its last clip ends at "
            f"{edl.duration_s:.9g} s, which counts"
        )
    return edl


def check_lufs(lufs: float | None) -> None:
    """Raise UserError unless an output may be brought to an integrated loudness."""
    if lufs is not None and not LUFS_RANGE[0] <= lufs <= LUFS_RANGE[1]:
        raise UserError(
            f"the loudness must lie from {LUFS_RANGE[0]:g} to {LUFS_RANGE[1]:g} LUFS, but is "
            f"{lufs:g}; -14 is what streaming services play."
        )


def _to_json(edl: EditDecisionList) -> dict[str, Any]:
    values = {"format": FORMAT, "version": VERSION, **asdict(edl)}
    if not edl.grid.hints:  # so that programs which know no hints can read the list
        del values["grid"]["hints"]
    if edl.finish == Finish():  # the same for what is done to the output
        del values["finish"]
    for join in values["joins"]:
        if not join["alternatives"]:
            del join["alternatives"]
    return values


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _from_json(values: Any, where: str) -> EditDecisionList:
    """Return the list in decoded JSON, with the length that its clips have.

    A stated length that is the same to the sample stays as it is. `where` names the file.
    """
    kind = values.get("format") if isinstance(values, dict) else None
    if kind != FORMAT:
        raise UserError(
            f"{where} should have the format {FORMAT!r}, but is something else; name a file that "
            "rl-editor wrote."
        )
    version = values.get("version")
    if type(version) is not int or version != VERSION:
        raise UserError(
            f"{where} should have version {VERSION} of the format, but has {version!r:.40}; "
            "update rl_editor or write the list again."
        )
    body = {name: value for name, value in values.items() if name not in ("format", "version")}
    edl = _CHECK_EDL({"duration_s": 0.0, **body}, where)
    _check_clips(edl, where)
    if len(edl.finish.dc_offset) not in (0, edl.source.channels):
        raise UserError(
            f"{where}.finish.dc_offset must hold a number for each of the source's "
            f"{edl.source.channels} channels, but holds {len(edl.finish.dc_offset)}; correct it."
        )
    sr = edl.source.sample_rate
    n_samples = timeline_length(edl.clips, sr)
    if seconds_to_samples(edl.duration_s, sr) != n_samples:
        edl = replace(edl, duration_s=samples_to_seconds(n_samples, sr))
    _check_grid(edl, where)
    return edl


def _check_clips(edl: EditDecisionList, where: str) -> None:
    """Raise UserError unless clips lie inside the source, in order, with fades that fit."""
    sr = edl.source.sample_rate
    n_source = seconds_to_samples(edl.source.duration_s, sr)
    latest_start = 0
    for i, clip in enumerate(edl.clips):
        name = f"{where}.clips[{i}]"
        start, stop = clip.source_samples(sr)
        if not start < stop <= n_source:
            raise UserError(
                f"{name} must be a span inside the source's {edl.source.duration_s:g} s, but goes "
                f"from source_start_s {clip.source_start_s:g} to source_end_s "
                f"{clip.source_end_s:g}; correct it."
            )
        first, last = clip.timeline_samples(sr)
        if first < latest_start or last == first:
            raise UserError(
                f"{name}.timeline_start_s must not lie before that of the clip before, and the "
                f"clip must last a sample at least, but it starts at {clip.timeline_start_s:g} s "
                f"and lasts {last - first} samples; put the clips in the order of the output."
            )
        latest_start = first
        for fade in ("fade_in_s", "fade_out_s"):
            if seconds_to_samples(getattr(clip, fade), sr) > last - first:
                raise UserError(
                    f"{name}.{fade} must not be longer than the clip's {(last - first) / sr:g} s, "
                    f"but is {getattr(clip, fade):g}; shorten it."
                )


def _check_grid(edl: EditDecisionList, where: str) -> None:
    """Raise UserError unless beats rise inside the source and indices point to beats."""
    beats, downbeats = edl.grid.beats_s, edl.grid.downbeats
    for name, items, end in (
        ("beats_s", beats, edl.source.duration_s),
        ("downbeats", downbeats, len(beats)),
    ):
        rising = all(a < b for a, b in itertools.pairwise(items))
        if not rising or (items and items[-1] >= end):
            raise UserError(
                f"{where}.grid.{name} must rise strictly and stay below {end:g}; correct it."
            )
    for i, decision in enumerate(edl.decisions):
        if decision.beat >= len(beats):
            raise UserError(
                f"{where}.decisions[{i}].beat must be one of the grid's {len(beats)} beats, but is "
                f"{decision.beat}; correct it."
            )


def _names(enum: Iterable[Any]) -> Check:
    return one_of([member.name for member in enum])


_TIME = number(0, MAX_SECONDS)
_ANY_NUMBER = number(-1e12, 1e12)
_PERCENTILE = number(0, 100)

_CHECK_CLIP = record(
    Clip,
    {
        "source_start_s": _TIME,
        "source_end_s": _TIME,
        "timeline_start_s": _TIME,
        "gain_db": number(-120, 60),
        "fade_in_s": _TIME,
        "fade_out_s": _TIME,
        "fade_in_curve": one_of(CURVES),
        "fade_out_curve": one_of(CURVES),
        "rate": number(0.25, 4),
        "semitones": number(-24, 24),
        "reverse": flag,
        "eq_low_db": number(-24, 24),
        "eq_high_db": number(-24, 24),
        "distortion": number(0, 1),
        "reverb": number(0, 1),
    },
)
_CHECK_DECISION = record(
    Decision,
    {
        "beat": integer(0, MAX_BEATS),
        "time_s": _TIME,
        "type": _names(ActionType),
        "size": _names(Size),
        "amount": _names(Amount),
        "probability": optional(number(0, 1)),
        "material": optional(_names(Material)),
        "reason": text_up_to(1000),
    },
)
_PERCENTILES = {
    "click_energy_percentile": _PERCENTILE,
    "level_step_db_percentile": _PERCENTILE,
    "beat_phase_error_ms_percentile": _PERCENTILE,
    "harmonic_distance_percentile": _PERCENTILE,
}
_CHECK_ALTERNATIVE = record(
    JoinAlternative,
    {
        "left_end_s": _TIME,
        "right_start_s": _TIME,
        "crossfade_s": _TIME,
        "curve": one_of(CURVES),
        **_PERCENTILES,
    },
)
_CHECK_JOIN = record(
    Join,
    {
        "timeline_s": _TIME,
        "crossfade_s": _TIME,
        "curve": one_of(CURVES),
        "click_energy": _ANY_NUMBER,
        "level_step_db": _ANY_NUMBER,
        "beat_phase_error_ms": _ANY_NUMBER,
        "harmonic_distance": _ANY_NUMBER,
        **_PERCENTILES,
        "alternatives": list_of(_CHECK_ALTERNATIVE, MAX_ALTERNATIVES),
    },
)
_CHECK_EDL = record(
    EditDecisionList,
    {
        "source": record(
            Source,
            {
                "path": text_up_to(4096),
                "sha256": text_up_to(64),
                "sample_rate": integer(1, 768_000),
                "channels": integer(1, MAX_CHANNELS),
                "duration_s": _TIME,
            },
        ),
        "duration_s": number(0, 100 * MAX_SECONDS),
        "clips": list_of(_CHECK_CLIP, MAX_CLIPS),
        "decisions": list_of(_CHECK_DECISION, MAX_BEATS),
        "grid": record(
            EdlGrid,
            {
                "beats_s": list_of(_TIME, MAX_BEATS),
                "downbeats": list_of(integer(0, MAX_BEATS), MAX_BEATS),
                "meter": integer(1, 64),
                "tempo_bpm": number(1, 1000),
                "hints": list_of(text_up_to(4200), MAX_HINTS),
            },
        ),
        "joins": list_of(_CHECK_JOIN, MAX_CLIPS),
        "finish": record(
            Finish,
            {
                "lufs": optional(number(*LUFS_RANGE)),
                "dc_offset": list_of(number(-1, 1), MAX_CHANNELS),
                "dither": flag,
            },
        ),
    },
)
