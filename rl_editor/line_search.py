"""The exact line of each coarse match, from its waveform or from the course of its levels.

Input: coarse matches, right to some frames; output: the same on their lines, without those that
were chance. Long matches come first: the speeds that they have are tried on the short ones, whose
own speed says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.coarse_match import CoarseMatches
from rl_editor.envelope_match import envelope_correlations, refine_by_envelope
from rl_editor.log_spectra import STEPS_A_SEMITONE
from rl_editor.matches import Match
from rl_editor.units import ratio_to_semitones
from rl_editor.waveform_match import refine_by_waveform, waveform_correlations

MIN_CONFIDENCE = 0.4
"""A passage whose levels run less alike is foreign: unrelated recordings of one kind reach 0.31,
the right passage, stretched and as MP3, 0.5 or more."""
LONG_S = 6.0
"""Matches of that length tell their speed by themselves."""
MAX_KNOWN_SPEEDS = 4
KNOWN_BONUS = 0.05
"""Correlation by which a speed of its own must be better than a known one."""
SPEED_STEP = 0.0015
"""Speeds closer than this are one."""
MAX_DOUBT = 0.03
"""Largest error of a coarse match's speed."""
SURE_COPY, COPY_BONUS = 0.75, 0.2
"""A waveform that correlates less than the first is taken only if the levels correlate no better
than it by the second."""
RIVAL_DOUBT = 0.05
"""Matches less alike than the median by more than this are compared with other places,"""
RIVAL_GAIN = 0.02
"""which must be better by this."""

Signals = tuple[NDArray[np.float32], NDArray[np.float32], int]
"""Raw recording [S] and edit [S], both of unit power, and their sample rate."""


def exact_matches(coarse: CoarseMatches, signals: Signals) -> list[Match]:
    """Return the coarse matches on their lines, in their order.

    Those that do not fit stay in the list, with a confidence below `MIN_CONFIDENCE`.
    """
    matches = coarse.matches
    by_length = sorted(range(len(matches)), key=lambda i: matches[i].start - matches[i].stop)
    found: dict[int, Match] = {}
    known: list[tuple[float, int]] = [(1.0, 0)]
    for i in by_length:
        found[i] = exact = exact_match(matches[i], coarse.frame, signals, known)
        is_long = exact.stop - exact.start >= LONG_S * signals[2]
        is_known = any(
            abs(speed - exact.speed) < SPEED_STEP and shift_steps == exact.shift_steps
            for speed, shift_steps in known
        )
        if is_long and is_good(exact) and not is_known and len(known) <= MAX_KNOWN_SPEEDS:
            known.append((exact.speed, exact.shift_steps))
    good = [m.confidence for m in found.values() if is_good(m)]
    usual = float(np.median(good)) if good else 1.0
    for i, exact in found.items():
        if exact.confidence < usual - RIVAL_DOUBT or _should_be_copy(exact):
            speeds = [*known, (exact.speed, exact.shift_steps)]
            rivals = coarse.rivals(matches[i])
            tried = [exact_match(rival, coarse.frame, signals, speeds) for rival in rivals]
            best = max(tried, key=_rank, default=exact)
            if _rank(best) > _rank(exact) + RIVAL_GAIN:
                found[i] = best
    return [found[i] for i in range(len(matches))]


def is_good(match: Match) -> bool:
    """Return whether a match is more than chance."""
    return match.is_copy or match.confidence >= MIN_CONFIDENCE


def _rank(match: Match) -> float:
    """Return what better matches have more of: a waveform that is the same is no chance."""
    return match.confidence + COPY_BONUS * match.is_copy


def _should_be_copy(match: Match) -> bool:
    """Return whether speed and pitch go together, as of a tape, but the waveforms do not."""
    of_speed = ratio_to_semitones(match.speed) * STEPS_A_SEMITONE
    return not match.is_copy and abs(of_speed - match.shift_steps) <= 0.5


def confirmed(match: Match, signals: Signals) -> Match:
    """Return a match with its confidence measured anew, between the ends that it has now."""
    return replace(match, confidence=float(np.mean(local_correlations(match, signals)[1])))


def local_correlations(
    match: Match, signals: Signals
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return edit samples [K], one in each second of a match, and the correlation [K] there.

    Of the waveforms of a second if the match is a copy, else of the course of the levels in two.
    """
    raw, edit, sr = signals
    length = min(sr if match.is_copy else 2 * sr, match.stop - match.start)
    n_windows = max(1, round((match.stop - match.start) / sr))
    places = match.start + (np.arange(n_windows) + 0.5) * (match.stop - match.start) / n_windows
    starts = np.clip(places - length / 2, match.start, match.stop - length).astype(np.int64)
    if match.is_copy:
        values = waveform_correlations(match, raw, edit, starts, length)
    else:
        values = envelope_correlations(match, raw, edit, starts, (length, sr))
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
        plain = refine_by_waveform(_at_speed(match, 1.0), raw, edit, 3 * frame, (sr, 2e-4))
        if plain is not None and plain.confidence >= SURE_COPY:
            return plain
    best = _by_levels(match, min(MAX_DOUBT, doubt), signals)
    if match.stop - match.start < LONG_S * sr:
        for speed, shift_steps in known:
            if abs(shift_steps - match.shift_steps) > 1 or abs(speed - match.speed) > doubt:
                continue
            other = _by_levels(_at_speed(match, speed), 0.0, signals)
            if other.confidence + KNOWN_BONUS > best.confidence:
                best = other
    # A tone correlates with any of its periods: its levels must not say otherwise.
    if plain is not None and _rank(plain) >= best.confidence:
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


def _at_speed(match: Match, speed: float) -> Match:
    """Return the match turned about its middle."""
    return replace(match.on_line(0.0, speed / match.speed - 1.0), speed=speed)
