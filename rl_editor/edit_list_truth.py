"""What an edit list, corrected by a person, says about its recording.

The list's clips are the edit, so nothing is aligned: the same rules that read an `Alignment` read
them. Effects of the clips do not change what is wanted; they are in the clips of the truth.

In: the files of a recording and of its list. Out: its `Truth`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rl_editor import alignment_truth
from rl_editor.alignment import Alignment, EditSpan
from rl_editor.alignment_clips import MIN_FOREIGN_S
from rl_editor.audio import probe, read_mono
from rl_editor.cache import file_sha256
from rl_editor.config import AnalysisConfig
from rl_editor.edl import Clip, EditDecisionList, read_edl
from rl_editor.errors import UserError
from rl_editor.truth import Truth
from rl_editor.units import format_time, seconds_to_samples


def edit_list_truth(raw_path: str | Path, edl_path: str | Path) -> Truth:
    """Return what the edit list of a recording says about it.

    Heard seconds are wanted with confidence 1; of a passage that is heard twice, the first time
    gives its place in the piece.

    Raises:
        UserError: the list cannot be read, is of another recording or keeps nothing.
    """
    edl = read_edl(edl_path, on_note=_ignore)
    _check_source(edl, raw_path, edl_path)
    sr = AnalysisConfig().sr
    truth = alignment_truth.truth(alignment_of(edl), read_mono(raw_path, sr), sr)
    silent_s = edl.duration_s - _covered_s(edl)
    note = f"{format_time(silent_s)} of the edit is silence that is not from this recording."
    return dataclasses.replace(
        truth, clips=edl.clips, notes=(note,) if silent_s > MIN_FOREIGN_S else ()
    )


def alignment_of(edl: EditDecisionList) -> Alignment:
    """Return a list's clips as the spans of an alignment."""
    return Alignment(
        spans=tuple(_span(clip) for clip in edl.clips),
        raw_duration_s=edl.source.duration_s,
        edit_duration_s=edl.duration_s,
        matched_share=1.0,
    )


def _covered_s(edl: EditDecisionList) -> float:
    """Return how much of the output some clip plays, s."""
    end_s = covered_s = 0.0
    for span in (_span(clip) for clip in edl.clips):
        covered_s += max(0.0, span.edit_end_s - max(end_s, span.edit_start_s))
        end_s = max(end_s, span.edit_end_s)
    return covered_s


def _span(clip: Clip) -> EditSpan:
    length_s = (clip.source_end_s - clip.source_start_s) / clip.rate
    return EditSpan(
        edit_start_s=clip.timeline_start_s,
        edit_end_s=clip.timeline_start_s + length_s,
        raw_start_s=clip.source_start_s,
        gain_db=clip.gain_db,
        confidence=1.0,
        speed=clip.rate,
        pitch_semitones=clip.semitones,
        fade_in_s=clip.fade_in_s,
        fade_out_s=clip.fade_out_s,
    )


def _check_source(edl: EditDecisionList, raw_path: str | Path, edl_path: str | Path) -> None:
    """Raise `UserError` unless the list was made for this recording and keeps some of it."""
    info, source = probe(raw_path), edl.source
    n_samples = seconds_to_samples(source.duration_s, source.sample_rate)
    if (n_samples, source.sample_rate) != (info.n_samples, info.sample_rate):
        raise UserError(
            f"{edl_path} should be an edit list of {raw_path}, but is of a recording of "
            f"{format_time(source.duration_s)} at {source.sample_rate} Hz, and this one lasts "
            f"{format_time(info.duration_s)} at {info.sample_rate} Hz; move the list away."
        )
    if source.sha256 not in ("", file_sha256(raw_path)):
        raise UserError(
            f"{edl_path} should be an edit list of {raw_path}, but was made for a file with other "
            "bytes; move the list away, or put the recording there that it was made for."
        )
    if not edl.clips:
        raise UserError(
            f"{edl_path} keeps nothing of {raw_path}, so there is nothing to learn from it; add "
            "clips or move the list away."
        )


def _ignore(note: str) -> None:
    """Say nothing about a stated length that does not fit: it follows from the clips."""
