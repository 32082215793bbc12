"""Editors that need no training: what any editor must beat, and the perfect one.

Each returns clips with hard cuts, back to back. None knows the truth but `oracle`, and
`random_bars`, which is told how much of the recording is wanted.

In: a track, or a signal. Out: clips.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rl_editor.cut_scores import true_gain_db
from rl_editor.edl import Clip
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid
from rl_editor.observation import match_similarity
from rl_editor.track import Track
from rl_editor.truth import Truth

_RMS_DB = FEATURE_NAMES.index("rms_db")
_ROUNDING_S = 0.01
GATE_THRESHOLD, GATE_MARGIN_S = 0.04, 0.2
NOVELTY_BEATS = 8
"""Beats on each side of a place whose levels are compared."""
NOVELTY_LEAST_DB = 3.0
"""Smaller changes of the level begin no new part."""
NOVELTY_RANGE_DB = 12.0
"""A part fainter than the loudest one by more goes."""
REPEAT_LIKENESS = 0.8
"""Likeness (as in `recurrence`; a cosine of 0.84) from which on two passages are similar."""


def clips_of_spans(spans_s: Sequence[tuple[float, float]]) -> list[Clip]:
    """Return clips that play spans of the source back to back."""
    clips, timeline_s = [], 0.0
    for start_s, end_s in spans_s:
        clips.append(Clip(start_s, end_s, timeline_start_s=timeline_s))
        timeline_s += end_s - start_s
    return clips


def clips_of_beats(grid: BeatGrid, keep: NDArray[np.bool_]) -> list[Clip]:
    """Return clips that play the beats of `keep` [N], one for each unbroken run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]])))
    times_s = grid.edges_s[edges].tolist()
    return clips_of_spans(list(zip(times_s[::2], times_s[1::2], strict=True)))


def oracle(truth: Truth) -> list[Clip]:
    """Return the perfect edit: the wanted segments in the order of the piece; its F1 is 1."""
    clips, timeline_s = [], 0.0
    for s in sorted((s for s in truth.segments if s.wanted), key=lambda s: s.piece_start_s or 0.0):
        gain_db = true_gain_db(truth, s, (s.start_s + s.end_s) / 2)
        clips.append(Clip(s.start_s, s.end_s, timeline_start_s=timeline_s, gain_db=gain_db))
        timeline_s += s.end_s - s.start_s
    return clips


def keep_all(track: Track) -> list[Clip]:
    """Return the recording as it is."""
    return clips_of_spans([(0.0, track.duration_s)])


def random_bars(grid: BeatGrid, keep_ratio: float, rng: np.random.Generator) -> list[Clip]:
    """Return bars drawn at random, in order, up to `keep_ratio` of the recording's length."""
    lines_s = grid.edges_s[grid.bar_lines()]
    order = rng.permutation(len(lines_s) - 1)
    reached_s = np.cumsum(np.diff(lines_s)[order])
    kept = np.sort(order[reached_s <= keep_ratio * grid.duration_s + _ROUNDING_S])
    return clips_of_spans([(float(lines_s[bar]), float(lines_s[bar + 1])) for bar in kept])


def loudness_gate(
    signal: NDArray[np.float32],
    sr: int,
    threshold: float = GATE_THRESHOLD,
    margin_s: float = GATE_MARGIN_S,
) -> list[Clip]:
    """Return what is louder than a share of the peak, with a margin on both sides.

    Args:
        signal: [S] or [S, C], the recording.
        sr: sample rate, Hz.
        threshold: share of the recording's peak, in [0, 1].
        margin_s: kept before and after what is loud.
    """
    level = np.abs(signal) if signal.ndim == 1 else np.abs(signal).max(axis=1)
    loud = np.flatnonzero((level >= threshold * level.max(initial=0.0)) & (level > 0.0))
    if len(loud) == 0:
        return []
    margin = round(margin_s * sr)
    breaks = np.flatnonzero(np.diff(loud) > 2 * margin)
    starts = np.maximum(loud[np.concatenate([[0], breaks + 1])] - margin, 0)
    ends = np.minimum(loud[np.concatenate([breaks, [-1]])] + 1 + margin, len(level))
    return clips_of_spans([(a / sr, b / sr) for a, b in zip(starts, ends, strict=True)])


def energy_novelty(track: Track) -> list[Clip]:
    """Return the loud parts of a recording that is divided where its level changes most.

    Parts begin where the level of the next 8 beats differs most from that of the last 8 (the
    novelty of Foote, "Automatic audio segmentation using a measure of audio novelty", 2000, of
    the level alone); those within 12 dB of the loudest part stay.
    """
    level_db = track.features[:, _RMS_DB].astype(np.float64)
    edges = np.concatenate([[0], _novelty_peaks(level_db), [len(level_db)]])
    spans = [slice(a, b) for a, b in itertools.pairwise(edges)]
    means_db = [float(level_db[span].mean()) for span in spans]
    keep = np.zeros(len(level_db), dtype=bool)
    for span, mean_db in zip(spans, means_db, strict=True):
        keep[span] = mean_db >= max(means_db) - NOVELTY_RANGE_DB
    return clips_of_beats(track.grid, keep)


def _novelty_peaks(level_db: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the beats where the level changes by 3 dB at least and most within 8 beats."""
    n, width = len(level_db), NOVELTY_BEATS
    padded = np.pad(level_db, width, mode="edge")
    means = np.convolve(padded, np.full(width, 1.0 / width), mode="valid")
    novelty = np.abs(means[width : width + n] - means[:n])
    wide = np.pad(novelty, width // 2, mode="edge")
    local_max = np.lib.stride_tricks.sliding_window_view(wide, width // 2 * 2 + 1).max(axis=1)
    is_peak = (novelty == local_max) & (novelty >= NOVELTY_LEAST_DB)
    is_peak[0] = False
    return np.flatnonzero(is_peak & ~np.concatenate([[False], is_peak[:-1]]))


def last_of_repeats(track: Track) -> list[Clip]:
    """Return the recording without what comes again: the last of each set of similar passages.

    Runs shorter than a bar, of either kind, count as their surroundings.
    """
    comes_again = (match_similarity(track, "later") >= REPEAT_LIKENESS) & (track.match_later >= 0)
    width = track.grid.meter // 2 * 2 + 1
    padded = np.pad(comes_again.astype(float), width // 2, mode="edge")
    keep = np.convolve(padded, np.ones(width), mode="valid") <= width / 2
    return clips_of_beats(track.grid, keep)
