"""The exact line of a coarse match, from its waveform or from the course of its levels.

Input: a match that is right to some frames, and the speeds that are known of the same edit;
output: the match on its line, with the correlation along it as confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.envelope_match import (
    envelope_correlations,
    fine_correlations,
    lead,
    refine_by_envelope,
)
from rl_editor.log_spectra import STEPS_A_SEMITONE
from rl_editor.matches import Match
from rl_editor.units import ratio_to_semitones
from rl_editor.waveform_match import (
    refine_by_waveform,
    waveform_correlations,
    worst_correlation,
)

MIN_CONFIDENCE = 0.4
"""A passage whose levels run less alike is foreign: unrelated recordings of one kind reach 0.31,
the right passage, stretched and as MP3, 0.5 or more."""
MIN_EVIDENCE = 0.45
"""A passage that is less alike beyond its rhythm is doubtful: of 240 passages of strangers with the
same drum beats one reached this; the right passage, stretched and as MP3, has 0.55 or more unless
it is quiet."""
MIN_LEAD = 0.2
"""It is foreign if its levels do not correlate better than at other places by this: those of
strangers do by 0.05, those of the right passage by 0.3 or more where the music is no loop."""
MIN_COPY_CONFIDENCE = 0.35
"""Chords of the same notes correlate between two drum beats, in whole seconds only by 0.05, and
pieces with the same drum samples in all seconds, but between the hits by 0.15 at most; a true copy
does by 0.75 or more in both, as MP3 too."""
LONG_S = 6.0
"""Matches of that length tell their speed by themselves."""
KNOWN_BONUS = 0.05
"""Correlation by which a speed of its own must be better than a known one."""
SPEED_STEP = 0.0015
"""Speeds closer than this are one."""
MAX_DOUBT = 0.03
"""Largest error of a coarse match's speed."""
SURE_COPY, COPY_BONUS = 0.75, 0.2
"""A waveform that correlates less than the first is taken only if the levels correlate no better
than it by the second."""
SURE_STRANGER = 0.95
"""The first, where the edit is known to have other speeds only."""

Signals = tuple[NDArray[np.float32], NDArray[np.float32], int]
"""Raw recording [S] and edit [S], both of unit power, and their sample rate."""


def is_good(match: Match) -> bool:
    """Return whether a match is more than chance."""
    return match.is_copy or match.confidence >= MIN_CONFIDENCE


def is_sure_copy(match: Match) -> bool:
    """Return whether the waveforms agree so well that nothing else has to be asked."""
    return match.is_copy and match.confidence >= SURE_COPY


def is_proven(match: Match, signals: Signals) -> bool:
    """Return whether a confirmed match is more than a common rhythm, chord or drum sample."""
    if match.is_copy:
        return match.confidence >= MIN_COPY_CONFIDENCE
    return match.confidence >= MIN_EVIDENCE or lead(match, *signals) >= MIN_LEAD


def rank(match: Match) -> float:
    """Return what better matches have more of: a waveform that is the same is no chance."""
    return match.confidence + COPY_BONUS * match.is_copy


def confirmed(match: Match, signals: Signals) -> Match:
    """Return a match with its confidence by `sure_correlations`, between its ends now."""
    return replace(match, confidence=float(np.mean(sure_correlations(match, signals)[1])))


def explained(match: Match, signals: Signals) -> Match:
    """Return a match, a copy in its loudest moments only with a confidence that says so."""
    if not match.is_copy:
        return match
    worst = worst_correlation(match, *signals)
    if worst >= MIN_COPY_CONFIDENCE:
        return match
    return replace(match, confidence=min(match.confidence, max(worst, 0.0)))


def sure_correlations(
    match: Match, signals: Signals
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the same as `local_correlations`, of the levels only what is no common rhythm."""
    return _window_correlations(match, signals, fine_correlations)


def local_correlations(
    match: Match, signals: Signals
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return edit samples [K], one in each second of a match, and the correlation [K] there.

    Of the waveforms of a second if the match is a copy, else of the course of the levels in two.
    """
    return _window_correlations(match, signals, envelope_correlations)


def _window_correlations(
    match: Match, signals: Signals, of_levels: Callable[..., NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    raw, edit, sr = signals
    length = min(sr if match.is_copy else 2 * sr, match.stop - match.start)
    n_windows = max(1, round((match.stop - match.start) / sr))
    places = match.start + (np.arange(n_windows) + 0.5) * (match.stop - match.start) / n_windows
    starts = np.clip(places - length / 2, match.start, match.stop - length).astype(np.int64)
    if match.is_copy:
        values = waveform_correlations(match, raw, edit, starts, length)
    else:
        values = of_levels(match, raw, edit, starts, (length, sr))
    return places.astype(np.int64), np.clip(values, 0.0, 1.0)


def exact_match(
    match: Match, frame: int, signals: Signals, known: Sequence[tuple[float, int]]
) -> Match:
    """Return a coarse match on its line; its confidence may be that of chance.

    `known` are speeds and shifts of pitch that occur in the edit.
    """
    raw, edit, sr = signals
    plain: Match | None = None
    doubt = 4 * frame / max(1, match.stop - match.start)
    if match.shift_steps == 0 and abs(match.speed - 1.0) <= max(doubt, 0.002):
        plain = refine_by_waveform(at_speed(match, 1.0), raw, edit, 3 * frame, (sr, 2e-4))
        is_usual = not known or any(abs(s - 1.0) < SPEED_STEP and not n for s, n in known)
        sure = SURE_COPY if is_usual else SURE_STRANGER
        if plain is not None and plain.confidence >= sure:
            return plain
        # A tone correlates with any of its periods: its levels must say so too.
        plain = plain if is_usual else None
    best = _by_levels(match, min(MAX_DOUBT, doubt), signals)
    if match.stop - match.start < LONG_S * sr:
        for speed, shift_steps in known:
            if abs(shift_steps - match.shift_steps) > 1 or abs(speed - match.speed) > doubt:
                continue
            other = _by_levels(at_speed(match, speed), 0.0, signals)
            if other.confidence + KNOWN_BONUS > best.confidence:
                best = other
    if plain is not None and rank(plain) >= best.confidence:
        return plain
    if best.confidence < MIN_CONFIDENCE:
        return best
    of_speed = ratio_to_semitones(best.speed) * STEPS_A_SEMITONE
    if abs(of_speed - match.shift_steps) <= 1.5:
        doubt = min(0.005, 0.01 * sr / (match.stop - match.start))
        exact = refine_by_waveform(best, raw, edit, sr // 50, (sr // 6, doubt))
        if exact is not None:
            return exact
    return best


def _by_levels(match: Match, doubt: float, signals: Signals) -> Match:
    raw, edit, sr = signals
    match = refine_by_envelope(match, raw, edit, sr, doubt)
    return refine_by_envelope(match, raw, edit, sr, 0.5 * doubt)


def at_speed(match: Match, speed: float) -> Match:
    """Return the match turned about its middle."""
    return replace(match.on_line(0.0, speed / match.speed - 1.0), speed=speed)
