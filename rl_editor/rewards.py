"""What an edit is worth: the terms of the reward, each a small pure function.

An episode is paid once, at its end (Monte Carlo). Every term looks at the edit itself, as the
clips that would be heard (`Output`), never at the actions that spelled it; only the two budgets
on loops and jumps and the mild bonus for variety count actions. Reward terms lie in [0, 1],
penalties in [-1, 0]; an empty output earns 0 on every term but that bonus. Weights:
`RewardConfig`.

Input: a `Track`, its finished `EditState`, the target share and, where one is known, the
`Demonstration`. Output: `RewardBreakdown`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType
from rl_editor.config import RewardConfig
from rl_editor.demonstrations import Demonstration
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid
from rl_editor.track import Track
from rl_editor.truth import Truth

REWARD_TERMS = (
    "keep_ratio",
    "section_coherence",
    "phrase_alignment",
    "edit_structure",
    "audio_flow",
    "action_diversity",
    "reference_agreement",
    "loop_penalty",
    "jump_penalty",
    "leak_penalty",
)
"""Every term, named like its function and its weight in `RewardConfig`."""

KEEP_RATIO_TOLERANCE = 0.5
"""Distance from the target share at which `keep_ratio` reaches 0."""
DIVERSE_TYPES = 3
"""Equally used types at which `action_diversity` is full."""
FREE_LOOPS, CUTS_PER_LOOP = 2, 3
FREE_JUMP_SHARE = 0.25
MIN_UNWANTED_SHARE = 0.1
"""Unwanted share that `reference_agreement` assumes at least: without it, chance correction
divides by nothing on a recording that needs (almost) no cut."""
_TIMBRE = [i for i, name in enumerate(FEATURE_NAMES) if name.startswith("mfcc_")]
_HARMONY = [i for i, name in enumerate(FEATURE_NAMES) if name.startswith("chroma_")]
_LEVEL = [FEATURE_NAMES.index("rms_db")]


@dataclass(frozen=True)
class RewardBreakdown:
    """The reward of one finished edit.

    Attributes:
        total: sum of weight x term.
        terms: each of `REWARD_TERMS`, before its weight; 0 where it does not apply.
    """

    total: float
    terms: dict[str, float]


@dataclass(frozen=True)
class Run:
    """Beats `[start, end)` of the source, heard without a break."""

    start: int
    end: int
    reverse: bool = False


@dataclass(frozen=True)
class Output:
    """The output of an edit in beats of the source.

    Attributes:
        grid: of the recording, `N` beats.
        clips: hard cuts on beats, back to back, as `EditState.clips` returns them.
    """

    grid: BeatGrid
    clips: tuple[Clip, ...]

    @cached_property
    def spans(self) -> tuple[Run, ...]:
        """The source beats of each clip, one for one."""
        lines = self.grid.edges_s
        middle_s = lines[:-1] + np.diff(lines) / 2
        return tuple(
            Run(
                int(np.searchsorted(middle_s, clip.source_start_s)),
                int(np.searchsorted(middle_s, clip.source_end_s)),
                clip.reverse,
            )
            for clip in self.clips
        )

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Clips that continue each other in the source, merged: between runs there is a join."""
        runs: list[Run] = []
        for span in self.spans:
            previous = runs[-1] if runs else None
            forward = previous is not None and not (previous.reverse or span.reverse)
            if previous is not None and forward and previous.end == span.start:
                runs[-1] = Run(previous.start, span.end)
            else:
                runs.append(span)
        return tuple(runs)

    @property
    def duration_s(self) -> float:
        """Length of the output in seconds."""
        return sum((c.source_end_s - c.source_start_s) / c.rate for c in self.clips)


def total_reward(
    track: Track,
    state: EditState,
    target_keep_ratio: float | None,
    demonstration: Demonstration | None,
    config: RewardConfig,
) -> RewardBreakdown:
    """Return the reward of a finished edit: sum over the terms of weight x term.

    `target_keep_ratio` is in [0, 1]. Terms that do not apply are 0: `keep_ratio` without a
    target, `reference_agreement` and `leak_penalty` without a demonstration.
    """
    output, target = Output(track.grid, state.clips()), target_keep_ratio
    truth = None if demonstration is None else demonstration.truth
    terms = {
        "keep_ratio": 0.0 if target is None else keep_ratio(output, target),
        "section_coherence": section_coherence(output),
        "phrase_alignment": phrase_alignment(output),
        "edit_structure": edit_structure(output),
        "audio_flow": audio_flow(output, track.features),
        "action_diversity": action_diversity(state.actions),
        "reference_agreement": 0.0 if truth is None else reference_agreement(output, truth),
        "loop_penalty": loop_penalty(state.actions),
        "jump_penalty": jump_penalty(state.actions),
        "leak_penalty": 0.0 if truth is None else leak_penalty(output, truth),
    }
    total = sum(getattr(config, name) * value for name, value in terms.items())
    if not math.isfinite(total):
        raise ValueError(f"the reward of an edit must be finite, but its terms are {terms}")
    return RewardBreakdown(total=total, terms=terms)


def keep_ratio(output: Output, target: float) -> float:
    """Return max(0, 1 - |r - target| / 0.5), r = output seconds / input seconds; in [0, 1]."""
    if not output.clips:
        return 0.0
    distance = abs(output.duration_s / output.grid.duration_s - target)
    return max(0.0, 1.0 - distance / KEEP_RATIO_TOLERANCE)


def section_coherence(output: Output) -> float:
    """Return the mean over output beats of min(1, length of their run / a phrase); in [0, 1].

    A phrase is four bars of the grid's meter, or the whole recording where that is shorter.
    """
    phrase = min(output.grid.meter * BARS_PER_PHRASE, output.grid.n_beats)
    lengths = np.array([run.end - run.start for run in output.runs], dtype=np.float64)
    if lengths.sum() == 0:
        return 0.0
    return float(np.average(np.minimum(1.0, lengths / phrase), weights=lengths))


def phrase_alignment(output: Output) -> float:
    """Return the mean over cut points of 1 on a phrase line, 0.5 on a bar line, else 0.

    Cut points are the starts and ends of all runs, less the ends of the recording; an output
    without a cut point earns 1. In [0, 1].
    """
    if not output.runs:
        return 0.0
    n_beats = output.grid.n_beats
    lines = _line_values(output.grid)
    points = [p for run in output.runs for p in (run.start, run.end) if 0 < p < n_beats]
    return float(np.mean(lines[points])) if points else 1.0


def edit_structure(output: Output) -> float:
    """Return the mean of four shares, each in [0, 1].

    - the output starts at a beginning: 1 at a phrase line (or the recording's start), 0.5 at a
      bar line, else 0;
    - it ends at an ending, in the same way;
    - no orphans: share of the output's beats in runs of at least a bar;
    - in order: share of the joins that go forward in the recording (1 without joins).
    """
    runs, grid = output.runs, output.grid
    if not runs:
        return 0.0
    lines = _line_values(grid)
    lengths = np.array([run.end - run.start for run in runs], dtype=np.float64)
    whole = float(lengths[lengths >= min(grid.meter, grid.n_beats)].sum() / lengths.sum())
    forward = [b.start >= a.end for a, b in pairwise(runs)]
    in_order = float(np.mean(forward)) if forward else 1.0
    return float(np.mean([lines[runs[0].start], lines[runs[-1].end], whole, in_order]))


def audio_flow(output: Output, features: NDArray[np.float32]) -> float:
    """Return how ordinary the output's joins sound, in [0, 1]; 1 without joins.

    For a join from beat a to beat b, and for each of timbre (MFCC), harmony (chroma) and level
    (dB): p is the share of the recording's own beat-to-beat changes that are at least as large
    as the change from a to b, and the join scores min(1, 2 p): 1 up to the median change, 0
    beyond the largest. The term is max(0, 1 - sum over joins of (1 - mean score) / P), P the
    output's length in phrases, at least 1: a rough join every phrase leaves nothing, a single
    one in a long track costs little.

    Args:
        output: the edit.
        features: [N, 121] columns `FEATURE_NAMES`.
    """
    runs = output.runs
    if not runs:
        return 0.0
    before = np.array([run.start if run.reverse else run.end - 1 for run in runs[:-1]], dtype=int)
    after = np.array([run.end - 1 if run.reverse else run.start for run in runs[1:]], dtype=int)
    if len(before) == 0 or len(features) < 2:
        return 1.0
    scores = []
    for columns in (_TIMBRE, _HARMONY, _LEVEL):
        values = features[:, columns].astype(np.float64)
        values = values / np.maximum(values.std(axis=0), 1e-6)
        own = np.sort(np.linalg.norm(np.diff(values, axis=0), axis=1))
        change = np.linalg.norm(values[after] - values[before], axis=1)
        at_least = 1.0 - np.searchsorted(own, change * (1 - 1e-9)) / len(own)
        scores.append(np.minimum(1.0, 2.0 * at_least))
    phrases = sum(run.end - run.start for run in runs) / (output.grid.meter * BARS_PER_PHRASE)
    roughness = float(np.sum(1.0 - np.mean(scores, axis=0)))
    return max(0.0, 1.0 - roughness / max(1.0, phrases))


def action_diversity(actions: Sequence[Action]) -> float:
    """Return min(1, H / log 3), H the entropy of the action types used; in [0, 1]."""
    if not actions:
        return 0.0
    counts = np.array(list(Counter(action.type for action in actions).values()))
    shares = counts / counts.sum()
    entropy = float(-(shares * np.log(shares)).sum())
    return max(0.0, min(1.0, entropy / math.log(DIVERSE_TYPES)))


def reference_agreement(output: Output, truth: Truth) -> float:
    """Return the chance-corrected, order-aware agreement with a known edit; in [0, 1].

    Cohen's kappa, floored at 0, between "is in the output" and "belongs in it", in seconds,
    weighted by the truth's confidence. A second of the output is right if it is wanted, or as
    good a copy of what is, and lies on the heaviest chain of output beats whose places in the
    finished piece increase: so playing a passage twice, or out of order, counts once, and any
    of equally good copies is right. Beats that are played backwards, at another speed or pitch,
    through a shelf or an effect, or under a fade inside the output are not the seconds that the
    reference kept. Silence, everything, or a random choice agree by chance only: 0.

    TP are right output seconds, FP the others, FN wanted seconds that are not right, TN the
    rest of the recording, and the unwanted side counts as 10% of it at least:
    kappa = 2 (TP TN - FN FP) / ((TP + FP)(FP + TN) + (TP + FN)(FN + TN)).
    """
    good_s, weight_s, piece_s = _beats_of_truth(output.grid, truth)
    beats = [
        beat
        for index, (clip, span) in enumerate(zip(output.clips, output.spans, strict=True))
        if _is_plain(clip, first=index == 0, last=index == len(output.clips) - 1)
        for beat in range(span.start, span.end)
        if good_s[beat] > 0
    ]
    played_s = sum(float(weight_s[span.start : span.end].sum()) for span in output.spans)
    wanted_s = sum((s.end_s - s.start_s) * s.confidence for s in truth.segments if s.wanted)
    right = min(heaviest_increasing(piece_s[beats], good_s[beats]), wanted_s)
    wrong, missed = played_s - right, wanted_s - right
    total_s = float(weight_s.sum())
    spare = max(0.0, MIN_UNWANTED_SHARE * total_s - (total_s - wanted_s))
    rest = max(0.0, total_s - right - wrong - missed) + spare
    chance = (right + wrong) * (wrong + rest) + (right + missed) * (missed + rest)
    return max(0.0, 2.0 * (right * rest - missed * wrong) / chance) if chance > 0 else 0.0


def loop_penalty(actions: Sequence[Action]) -> float:
    """Return -(share of the loops beyond 2 + 1 for every 3 cuts); in [-1, 0].

    LOOP and REPEAT_PREV are loops, CUT and SKIP are cuts.
    """
    loops = sum(action.type in (ActionType.LOOP, ActionType.REPEAT_PREV) for action in actions)
    cuts = sum(action.type in (ActionType.CUT, ActionType.SKIP) for action in actions)
    excess = max(0, loops - FREE_LOOPS - cuts // CUTS_PER_LOOP)
    return -excess / loops if excess else 0.0


def jump_penalty(actions: Sequence[Action]) -> float:
    """Return -(share of JUMP_BACK beyond 25% of the actions) / 75%; in [-1, 0]."""
    if not actions:
        return 0.0
    share = sum(action.type == ActionType.JUMP_BACK for action in actions) / len(actions)
    return -max(0.0, share - FREE_JUMP_SHARE) / (1.0 - FREE_JUMP_SHARE)


def leak_penalty(output: Output, truth: Truth) -> float:
    """Return -(share of the output's source seconds that are known to be bad); in [-1, 0].

    Bad is what is neither wanted nor as good as a wanted copy, weighted by confidence.
    """
    bad = np.array([(not (s.wanted or s.equally_good)) * s.confidence for s in truth.segments])
    bad_s = truth.share(output.grid.edges_s, bad) * output.grid.durations_s
    played_s = sum(float(output.grid.durations_s[r.start : r.end].sum()) for r in output.spans)
    leaked_s = sum(float(bad_s[r.start : r.end].sum()) for r in output.spans)
    return -min(1.0, leaked_s / played_s) if played_s > 0 else 0.0


def heaviest_increasing(places: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the largest total weight of a subsequence whose places strictly increase.

    Args:
        places: [n] in the order heard.
        weights: [n], positive.

    One pass with a Fenwick tree of prefix maxima: O(n log n).
    """
    ranks = sorted(set(places.tolist()))
    best = [0.0] * (len(ranks) + 1)
    for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
        rank = bisect_left(ranks, place)
        total, node = 0.0, rank
        while node > 0:
            total = max(total, best[node])
            node -= node & -node
        total, node = total + weight, rank + 1
        while node < len(best):
            best[node] = max(best[node], total)
            node += node & -node
    return max(best)


def _line_values(grid: BeatGrid) -> NDArray[np.float64]:
    """Return [N + 1] 1 on phrase lines and the recording's ends, 0.5 on bar lines, else 0."""
    values = np.zeros(grid.n_beats + 1)
    values[grid.bar_lines()] = 0.5
    values[grid.phrase_lines()] = 1.0
    return values


def _beats_of_truth(grid: BeatGrid, truth: Truth) -> tuple[NDArray, NDArray, NDArray]:
    """Return ([N] right seconds, [N] seconds, [N] place in the piece) of each beat.

    Seconds are weighted by confidence. The place is that of the middle of the right segment
    that fills most of the beat: a beat which holds its edge still follows the beat before it.
    """
    starts_s, ends_s = grid.edges_s[:-1], grid.edges_s[1:]
    good_s, most_s, place_s = np.zeros((3, grid.n_beats))
    for segment in truth.segments:
        if segment.piece_start_s is None or not (segment.wanted or segment.equally_good):
            continue
        first_s, last_s = np.maximum(starts_s, segment.start_s), np.minimum(ends_s, segment.end_s)
        inside_s = np.maximum(0.0, last_s - first_s) * segment.confidence
        good_s += inside_s
        middle_s = (first_s + last_s) / 2 - segment.start_s + segment.piece_start_s
        place_s = np.where(inside_s > most_s, middle_s, place_s)
        most_s = np.maximum(most_s, inside_s)
    confidence = truth.share(grid.edges_s, np.array([s.confidence for s in truth.segments]))
    return good_s, confidence * grid.durations_s, place_s


def _is_plain(clip: Clip, *, first: bool, last: bool) -> bool:
    """Return whether the clip is heard as recorded, but for its level and fades at the ends."""
    untouched = clip.rate == 1.0 and clip.semitones == 0.0 and not clip.reverse
    dry = clip.distortion == 0.0 and clip.reverb == 0.0
    flat = clip.eq_low_db == 0.0 and clip.eq_high_db == 0.0
    unfaded = (first or clip.fade_in_s == 0.0) and (last or clip.fade_out_s == 0.0)
    return untouched and dry and flat and unfaded
