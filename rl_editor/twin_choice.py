"""Which of several places that sound alike an edit uses: what it sounds like, and in which order.

Music repeats itself, and of a loop the copies are alike to the sample but for the noise of the
recording. Input: lines of an edit; output: the same lines, each at the most likely of its twins.
Method: a path through the twins of all lines (Viterbi). A twin counts by how surely the edit
correlates better with it (a likelihood ratio over windows, so that noise far below the music
decides where it is still there), a step by how likely an editor jumps so far: going on is likelier
than a jump, a short jump than a long one, a jump ahead than one back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from rl_editor.coarse_match import CoarseMatches
from rl_editor.envelope_match import fine_correlations, refine_by_envelope
from rl_editor.line_search import Signals, is_good
from rl_editor.matches import Match
from rl_editor.waveform_match import refine_by_waveform, waveform_correlations

TWIN_LOSS, MAX_LOSS = 0.05, 0.015
"""Twins are places whose mean similarity and correlation are closer than the first; and than the
second, if their evidence is against them too."""
WINDOW_S, LEVEL_WINDOW_S, MIN_WINDOWS = 0.25, 0.5, 4
"""Windows in which two twins are compared, by their waveforms or by their levels."""
ROUNDING = 3e-5
"""Share of a sound that is left unexplained anyway,"""
MIN_DEVIATION = 0.001
"""and least deviation of its logarithm over windows: rounding is no evidence."""
LEVEL_SHARE = 0.5
"""Share that the evidence of levels counts by: they depend on how exactly a line is known."""
JUMP_COST = 1.0
"""Nats by which going on is likelier than any jump; one of s seconds costs log(1 + s) more,"""
BACK_COST = 2.0
"""and one back this, since most edits keep the order."""
GOES_ON_S = 0.05


@dataclass(frozen=True)
class _Twin:
    """A place of a line, and the log likelihood of the sound there against the first place."""

    match: Match
    evidence: float


def likeliest_twins(lines: Sequence[Match], coarse: CoarseMatches, signals: Signals) -> list[Match]:
    """Return lines of an edit, in its order, each where it most likely comes from.

    Lines that are no more than chance stay as they are.
    """
    good = [i for i, line in enumerate(lines) if is_good(line)]
    twins = [_twins(lines[i], coarse, signals) for i in good]
    chosen = list(lines)
    for i, match in zip(good, _path(twins, signals[2]), strict=True):
        chosen[i] = match
    return chosen


def _twins(line: Match, coarse: CoarseMatches, signals: Signals) -> list[_Twin]:
    """Return a line and the other places that fit about as well."""
    raw, edit, sr = signals
    found = [_Twin(line, 0.0)]
    for rival in coarse.rivals(line, TWIN_LOSS):
        if line.is_copy:
            twin = refine_by_waveform(rival, raw, edit, 3 * coarse.frame, (sr, 0.0))
        else:
            twin = refine_by_envelope(rival, raw, edit, sr, 0.0)
        if twin is not None and twin.confidence > line.confidence - TWIN_LOSS:
            twin = replace(twin, is_copy=line.is_copy)
            evidence = _evidence(twin, line, signals)
            if evidence >= 0.0 or twin.confidence > line.confidence - MAX_LOSS:
                found.append(_Twin(twin, evidence))
    return found


def _evidence(twin: Match, line: Match, signals: Signals) -> float:
    """Return the log likelihood ratio of an edit's sound coming from one place or another.

    What is compared is the logarithm, in windows, of the share of the sound that each leaves
    unexplained: how likely is its mean difference, against none, if differences are normal.
    """
    raw, edit, sr = signals
    n_samples = line.stop - line.start
    window_s = WINDOW_S if line.is_copy else LEVEL_WINDOW_S
    n_windows = max(MIN_WINDOWS, round(n_samples / (window_s * sr)))
    length = n_samples // n_windows
    starts = line.start + np.arange(n_windows) * length
    if line.is_copy:
        found = [waveform_correlations(m, raw, edit, starts, length) for m in (line, twin)]
    else:
        found = [fine_correlations(m, raw, edit, starts, (length, sr)) for m in (line, twin)]
    own, theirs = np.log(np.maximum(1.0 - np.array(found), 0.0) + ROUNDING)
    mean = float(np.mean(own - theirs))
    variance = max(float(np.var(own - theirs)), MIN_DEVIATION**2)
    ratio = 0.5 * n_windows * np.log1p(mean**2 / variance)
    return float(np.copysign(ratio, mean)) * (1.0 if line.is_copy else LEVEL_SHARE)


def _path(twins: Sequence[Sequence[_Twin]], sr: int) -> list[Match]:
    """Return the twin of each line on the likeliest path through all."""
    if not twins:
        return []
    scores = np.array([twin.evidence for twin in twins[0]])
    links = []
    for before, after in pairwise(twins):
        costs = [[_jump_cost(a.match, b.match, sr) for a in before] for b in after]
        totals = scores - np.array(costs)
        links.append(totals.argmax(axis=1))
        scores = totals.max(axis=1) + [twin.evidence for twin in after]
    index = int(scores.argmax())
    chosen = [twins[-1][index].match]
    for link, before in zip(reversed(links), reversed(twins[:-1]), strict=True):
        index = int(link[index])
        chosen.append(before[index].match)
    return chosen[::-1]


def _jump_cost(before: Match, after: Match, sr: int) -> float:
    """Return the negative log likelihood of one match following another."""
    # Foreign sound in between may lie over the raw recording or be put into it.
    ends = before.raw_at(np.array([before.stop, after.start]))
    jumps_s = (after.raw_start - ends) / sr
    jump_s = float(jumps_s[np.abs(jumps_s).argmin()])
    if abs(jump_s) <= GOES_ON_S:
        return 0.0
    return JUMP_COST + float(np.log1p(abs(jump_s))) + BACK_COST * (jump_s < 0)
