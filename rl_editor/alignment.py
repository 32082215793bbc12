"""Which seconds of a raw recording a human edit of it uses, in which order and how changed.

Input: two mono signals `[S]` at one sample rate; output: `Alignment`, the spans of the edit with
their places in the raw recording, their level, fades, speed and pitch, and a confidence for
each second.

Method: passages from a path through the similarity of both files that may jump
(`coarse_match`, `match_review`); the line of each (`line_search`) from its waveform
(`waveform_match`), or where that was changed from the course of its levels (`envelope_match`),
which must agree beyond what any music of the same rhythm or the same drum samples does; then the
cuts (`cut_points`) and levels (`span_levels`). Out of scope: a speed that changes within a passage.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import read_mono
from rl_editor.coarse_match import coarse_matches
from rl_editor.config import AnalysisConfig
from rl_editor.cut_points import refine_cuts
from rl_editor.errors import UserError
from rl_editor.line_search import (
    Signals,
    confirmed,
    explained,
    is_proven,
    is_sure_copy,
    sure_correlations,
)
from rl_editor.log_spectra import FRAMES_A_SECOND, STEPS_A_SEMITONE
from rl_editor.match_review import reviewed_matches
from rl_editor.matches import Match, merged
from rl_editor.span_levels import span_levels
from rl_editor.units import ratio_to_semitones

MIN_MATCHED_SHARE = 0.5
"""Share of the edit that must be found in the raw recording of a pair."""


@dataclass(frozen=True)
class EditSpan:
    """A span of the edit that is a copy of a span of the raw recording.

    Attributes:
        edit_start_s, edit_end_s: half-open span of the edit.
        raw_start_s: where its first sample lies in the raw recording.
        gain_db: level of the edit over the raw recording.
        confidence: in [0, 1], correlation of the waveforms, or where the speed or pitch was
            changed of the levels, each band by what the others do not tell.
        speed: seconds of the raw recording for each one of the edit.
        pitch_semitones: how much higher the edit is.
        fade_in_s, fade_out_s: lengths of the fades at its ends.
    """

    edit_start_s: float
    edit_end_s: float
    raw_start_s: float
    gain_db: float
    confidence: float
    speed: float = 1.0
    pitch_semitones: float = 0.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0

    @property
    def raw_end_s(self) -> float:
        """Where the span ends in the raw recording."""
        return self.raw_start_s + self.speed * (self.edit_end_s - self.edit_start_s)


@dataclass(frozen=True)
class Alignment:
    """A human edit as spans of its raw recording.

    Attributes:
        spans: in the order of the edit; what lies between them is foreign.
        raw_duration_s, edit_duration_s: lengths of both files.
        matched_share: share of the edit's sounding time that the spans explain, in [0, 1].
        confidence: in [0, 1] for each second of the edit: how well the spans fit there; where
            they say foreign, 1 less how well the best passage fits that was refused.
    """

    spans: tuple[EditSpan, ...]
    raw_duration_s: float
    edit_duration_s: float
    matched_share: float
    confidence: tuple[float, ...] = ()

    @property
    def belongs_together(self) -> bool:
        """Whether enough of the edit comes from the raw recording."""
        return self.matched_share >= MIN_MATCHED_SHARE


def align_files(raw_path: Path | str, edit_path: Path | str) -> Alignment:
    """Return the alignment of two audio files, whether or not they belong together."""
    sr = AnalysisConfig().sr
    return align(read_mono(raw_path, sr), read_mono(edit_path, sr), sr)


def check_related(raw_path: Path | str, edit_path: Path | str, matched_share: float) -> None:
    """Raise `UserError` if too small a share of an edit was found in a raw recording."""
    if matched_share < MIN_MATCHED_SHARE:
        raise UserError(
            f"{edit_path} should be an edit of {raw_path}, but only {matched_share:.0%} of it was "
            "found there; check that the two files belong together and are longer than a second."
        )


def align(raw_signal: NDArray[np.float32], edit_signal: NDArray[np.float32], sr: int) -> Alignment:
    """Return where each part of the edit comes from.

    Args:
        raw_signal: [S] mono.
        edit_signal: [S] mono; level, equalisation, dynamics, speed (8%) and pitch (2 semitones)
            may differ.
        sr: sample rate of both, Hz; 22050 is what the settings were tuned for.
    """
    coarse = coarse_matches(raw_signal, edit_signal, sr)
    signals = (_unit_power(raw_signal), _unit_power(edit_signal), sr)
    lines = reviewed_matches(coarse, signals)
    lines = [m if is_sure_copy(m) else confirmed(m, signals) for m in lines]
    lines = [explained(m, signals) for m in lines]
    proven = [is_proven(m, signals) for m in lines]
    matches = refine_cuts(merged(list(compress(lines, proven)), sr), signals)
    matches = [confirmed(m, signals) for m in merged(matches, sr)]
    refused = [m for m, is_kept in zip(lines, proven, strict=True) if not is_kept]
    spans = tuple(_edit_span(m, raw_signal, edit_signal, sr) for m in matches)
    return Alignment(
        spans=spans,
        raw_duration_s=len(raw_signal) / sr,
        edit_duration_s=len(edit_signal) / sr,
        matched_share=_matched_share(spans, coarse.sounding),
        confidence=_second_confidence(matches, refused, signals),
    )


def _second_confidence(
    matches: list[Match], refused: list[Match], signals: Signals
) -> tuple[float, ...]:
    """Return how sure each second of the edit is."""
    sr = signals[2]
    n_seconds = -(-len(signals[1]) // sr)
    edges = np.arange(n_seconds + 1) * sr
    foreign = np.ones(n_seconds)
    for match in refused:
        covers = (edges[1:] > match.start) & (edges[:-1] < match.stop)
        foreign[covers] = np.minimum(foreign[covers], 1.0 - match.confidence)
    total, share = np.zeros(n_seconds), np.zeros(n_seconds)
    for match in matches:
        places, correlations = sure_correlations(match, signals)
        overlap = np.minimum(edges[1:], match.stop) - np.maximum(edges[:-1], match.start)
        overlap = np.maximum(overlap, 0) / sr
        middles = np.clip(edges[:-1] + sr / 2, match.start, match.stop)
        total += overlap * np.interp(middles, places, correlations)
        share += overlap
    return tuple((total + np.maximum(0.0, 1.0 - share) * foreign).tolist())


def _edit_span(
    match: Match, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int
) -> EditSpan:
    levels = span_levels(match, raw, edit, sr)
    semitones = match.shift_steps / STEPS_A_SEMITONE
    return EditSpan(
        edit_start_s=match.start / sr,
        edit_end_s=match.stop / sr,
        raw_start_s=match.raw_start / sr,
        gain_db=levels.gain_db,
        confidence=match.confidence,
        speed=match.speed,
        pitch_semitones=ratio_to_semitones(match.speed) if match.is_copy else semitones,
        fade_in_s=levels.fade_in_s,
        fade_out_s=levels.fade_out_s,
    )


def _unit_power(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return signal * np.float32(1.0 / np.sqrt(max(power, 1e-12)))


def _matched_share(spans: tuple[EditSpan, ...], sounding: NDArray[np.bool_]) -> float:
    times_s = np.flatnonzero(sounding) / FRAMES_A_SECOND
    found = np.zeros(len(times_s), bool)
    for span in spans:
        found |= (times_s >= span.edit_start_s) & (times_s < span.edit_end_s)
    return float(found.mean()) if len(found) else 0.0
