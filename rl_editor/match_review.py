"""The lines of all coarse matches of an edit, doubtful ones compared with other places.

Input: `CoarseMatches`; output: matches on their exact lines. Long matches come first: their speeds
are tried on the short ones, whose own speed says little. Then a match that is less alike than the
others is compared with places that sound alike, each with its twins (`twin_choice`), and so is a
part in which the correlation breaks off: there the path has gone past a cut. What has no line as
a whole is looked for in parts.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from rl_editor.coarse_match import CoarseMatches
from rl_editor.line_search import (
    LONG_S,
    SPEED_STEP,
    Signals,
    at_speed,
    exact_match,
    is_good,
    local_correlations,
    rank,
)
from rl_editor.log_spectra import STEPS_A_SEMITONE
from rl_editor.matches import Match
from rl_editor.twin_choice import likeliest_twins
from rl_editor.units import ratio_to_semitones

Speeds = list[tuple[float, int]]
"""Speeds and changes of pitch, in steps, that occur in an edit."""

MAX_KNOWN_SPEEDS = 4
RIVAL_DOUBT = 0.05
"""Matches less alike than the median by more than this are compared with other places,"""
RIVAL_GAIN = 0.02
"""which must be better by this."""
OTHER_SPEEDS = (0.95, 1.0, 1.05)
"""Speeds tried on short matches in doubt: with the doubt of each, all within 8%."""
PART_S = 4.0
"""Long matches that do not fit are looked for in parts of about this length."""
PART_SHARE = 0.8
"""They are one after all if the line of the best part fits the whole nearly as well as that."""
BREAK_SHARE = 0.65
"""A correlation below this share of a match's median is a break, if it lasts"""
BREAK_SECONDS = 2
BREAK_GAIN = 0.2
"""and another place is better by this."""


def reviewed_matches(coarse: CoarseMatches, signals: Signals) -> list[Match]:
    """Return the coarse matches on their lines, in the order of the edit.

    Those that do not fit stay in the list: `is_good` tells.
    """
    lines, speeds = _first_lines(coarse, signals)
    good = [m.confidence for m in lines if is_good(m)]
    usual = float(np.median(good)) if good else 1.0
    for i, (coarse_match, line) in enumerate(zip(coarse.matches, lines, strict=True)):
        if line.confidence < usual - RIVAL_DOUBT or _should_be_copy(line):
            lines[i] = _better_place(coarse_match, line, speeds, coarse, signals)
    found: list[Match] = []
    for i, line in enumerate(lines):
        is_lost = not is_good(line) and line.stop - line.start >= 1.5 * PART_S * signals[2]
        around = (found[-1:], lines[i + 1 : i + 2])
        parts = _found_parts(coarse.matches[i], around, speeds, coarse, signals) if is_lost else []
        found += parts or [line]
    reviewed: list[Match] = []
    for line in likeliest_twins(found, coarse, signals):
        reviewed += _parts(line, speeds, coarse, signals) if is_good(line) else [line]
    return reviewed


def _first_lines(coarse: CoarseMatches, signals: Signals) -> tuple[list[Match], Speeds]:
    """Return the line of each coarse match, and the speeds of the long ones."""
    matches = coarse.matches
    found: dict[int, Match] = {}
    speeds: Speeds = []
    for i in sorted(range(len(matches)), key=lambda i: matches[i].start - matches[i].stop):
        found[i] = line = exact_match(matches[i], coarse.frame, signals, speeds)
        is_known = any(
            abs(speed - line.speed) < SPEED_STEP and shift_steps == line.shift_steps
            for speed, shift_steps in speeds
        )
        is_long = line.stop - line.start >= LONG_S * signals[2]
        if is_long and is_good(line) and not is_known and len(speeds) < MAX_KNOWN_SPEEDS:
            speeds.append((line.speed, line.shift_steps))
    return [found[i] for i in range(len(matches))], speeds


def _should_be_copy(match: Match) -> bool:
    """Return whether speed and pitch go together, as of a tape, but the waveforms do not."""
    of_speed = ratio_to_semitones(match.speed) * STEPS_A_SEMITONE
    return not match.is_copy and abs(of_speed - match.shift_steps) <= 0.5


def _better_place(
    match: Match, line: Match, speeds: Speeds, coarse: CoarseMatches, signals: Signals
) -> Match:
    """Return the line of a coarse match, or that of another place or speed that fits better."""
    tries = coarse.rivals(match)
    if not line.is_copy and match.stop - match.start < LONG_S * signals[2]:
        tries += [at_speed(match, speed) for speed in OTHER_SPEEDS]
    known = [*speeds, (line.speed, line.shift_steps)]
    tried = [exact_match(other, coarse.frame, signals, known) for other in tries]
    best = max(tried, key=rank, default=line)
    return best if rank(best) > rank(line) + RIVAL_GAIN else line


def _found_parts(
    match: Match,
    around: tuple[list[Match], list[Match]],
    speeds: Speeds,
    coarse: CoarseMatches,
    signals: Signals,
) -> list[Match]:
    """Return the lines of a coarse match that has none as a whole, in parts that may have some.

    Its speed was told wrong, or it goes past a cut between places that sound alike. `around` are
    the lines before and after it, if any, on which its parts may lie.
    """
    n_parts = max(2, round((match.stop - match.start) / (PART_S * signals[2])))
    edges = np.linspace(match.start, match.stop, n_parts + 1).astype(int).tolist()
    lines: list[Match] = []
    for part in (match.moved(a, b) for a, b in pairwise(edges)):
        tries = [part, *(at_speed(part, s) for s, n in speeds if abs(n - part.shift_steps) <= 1)]
        tried = [(t, exact_match(t, coarse.frame, signals, speeds)) for t in tries]
        lines.append(max((_better_place(*t, speeds, coarse, signals) for t in tried), key=rank))
    lines = [*around[0], *lines, *around[1]]
    own = range(len(around[0]), len(lines) - len(around[1]))
    for i, neighbour in [*((i, i - 1) for i in own), *((i, i + 1) for i in reversed(own))]:
        if 0 <= neighbour < len(lines) and is_good(lines[neighbour]):
            longer = lines[neighbour].moved(lines[i].start, lines[i].stop)
            longer = exact_match(longer, coarse.frame, signals, speeds)
            lines[i] = longer if rank(longer) > rank(lines[i]) + RIVAL_GAIN else lines[i]
    lines = [lines[i] for i in own]
    best = max(lines, key=rank)
    whole = exact_match(best.moved(match.start, match.stop), coarse.frame, signals, speeds)
    return [whole] if is_good(whole) and rank(whole) >= PART_SHARE * rank(best) else lines


def _parts(line: Match, speeds: Speeds, coarse: CoarseMatches, signals: Signals) -> list[Match]:
    """Return a match in the parts between its breaks, those at the places where they fit."""
    sr = signals[2]
    places, values = local_correlations(line, signals)
    broken = values < BREAK_SHARE * np.median(values)
    edges = np.flatnonzero(np.diff(np.pad(broken.astype(int), 1)))
    parts: list[Match] = []
    start = line.start
    for first, last in edges.reshape(-1, 2).tolist():
        if last - first < BREAK_SECONDS:
            continue
        low = line.start if first == 0 else int(places[first] - sr // 2)
        high = line.stop if last == len(places) else int(places[last - 1] + sr // 2)
        dip = replace(line.moved(low, high), confidence=float(values[first:last].mean()))
        best = _better_place(dip, dip, speeds, coarse, signals)
        if is_good(best) and best.confidence > dip.confidence + BREAK_GAIN:
            parts += [line.moved(start, low)] if low > start else []
            parts.append(best)
            start = high
    return [*parts, line.moved(start, line.stop)] if start < line.stop else parts
