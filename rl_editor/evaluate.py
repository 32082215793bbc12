"""How well an edit restores the track that is hidden in a recording, in seconds.

Every second of the output is right once: if it plays a wanted second of the recording, or an
equally good copy of it, of a place in the piece that no earlier output second plays. All else
leaks. The scores are time-weighted precision, recall and F1 at a resolution of 10 ms, and the
order as Kendall's tau (Kendall 1938). Baselines that need no training are at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.grid import BeatGrid
from rl_editor.materials import Material
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth

RESOLUTION_S = 0.01
_MAX_ORDER_POINTS = 400
"""Places of the piece that are compared in pairs for the order."""


@dataclass(frozen=True)
class EditScores:
    """Scores of one edit against the truth.

    Attributes:
        precision: share of the output that is right, in [0, 1]; 0 for an empty output.
        recall: share of the piece that the output plays, in [0, 1].
        f1: harmonic mean of both.
        wanted_lost_s: seconds of the piece that the output does not play.
        leaked_s: seconds of output that are not right, by material; extra copies of good music
            count as redundant repeats.
        duration_error_s: length of the output minus length of the piece.
        order_tau: Kendall's tau of the places of the piece in output order, in [-1, 1]; 1 is right.
        keep_ratio: length of the output over length of the recording.
    """

    precision: float
    recall: float
    f1: float
    wanted_lost_s: float
    duration_error_s: float
    order_tau: float
    keep_ratio: float
    leaked_s: dict[Material, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Run:
    """A stretch of output that plays one segment of the recording without a break, seconds."""

    segment: Segment
    source_start_s: float
    source_end_s: float
    output_s: float
    is_reversed: bool

    @property
    def is_good(self) -> bool:
        return (self.segment.wanted or self.segment.equally_good) and not self.is_reversed

    def place_cells(self) -> tuple[int, int]:
        """Return the places of the piece that it plays, in cells of the resolution."""
        place_s = (self.segment.piece_start_s or 0.0) - self.segment.start_s
        return _cell(place_s + self.source_start_s), _cell(place_s + self.source_end_s)


def score_edit(clips: Sequence[Clip], truth: Truth) -> EditScores:
    """Return the scores of an edit.

    Args:
        clips: in timeline order; where two overlap, the first counts up to the middle.
        truth: of the recording that the clips play.
    """
    is_place = np.zeros(_piece_cells(truth), dtype=bool)
    for segment in truth.segments:
        if segment.wanted and segment.piece_start_s is not None:
            start_s = segment.piece_start_s
            length_s = segment.end_s - segment.start_s
            is_place[_cell(start_s) : _cell(start_s + length_s)] = True
    is_covered = np.zeros_like(is_place)
    leaked_s = dict.fromkeys(Material, 0.0)
    output_s, places = 0.0, []
    for run in _runs(clips, truth):
        output_s += run.output_s
        if not run.is_good:
            material = run.segment.material
            leaked_s[material] += run.output_s
            continue
        start, stop = run.place_cells()
        is_new = is_place[start:stop] & ~is_covered[start:stop]
        extra_share = 1.0 - is_new.sum() / (stop - start) if stop > start else 0.0
        leaked_s[Material.REDUNDANT_REPEAT] += run.output_s * extra_share
        is_covered[start:stop] = True
        places.append(start + np.flatnonzero(is_new))
    piece_s = float(is_place.sum()) * RESOLUTION_S
    right_s = output_s - sum(leaked_s.values())
    precision = right_s / output_s if output_s > 0.0 else 0.0
    recall = float((is_covered & is_place).sum()) / max(1, int(is_place.sum()))
    total = precision + recall
    return EditScores(
        precision=precision,
        recall=recall,
        f1=2.0 * precision * recall / total if total > 0.0 else 0.0,
        wanted_lost_s=piece_s * (1.0 - recall),
        duration_error_s=output_s - piece_s,
        order_tau=_kendall_tau(np.concatenate(places) if places else np.zeros(0)),
        keep_ratio=output_s / truth.duration_s,
        leaked_s=leaked_s,
    )


def _cell(time_s: float) -> int:
    return round(time_s / RESOLUTION_S)


def _piece_cells(truth: Truth) -> int:
    ends = [
        s.piece_start_s + s.end_s - s.start_s for s in truth.segments if s.piece_start_s is not None
    ]
    return _cell(max(ends, default=0.0)) + 1


def _runs(clips: Sequence[Clip], truth: Truth) -> list[_Run]:
    """Return the output as runs in order; a crossfade belongs half to each side."""
    edges = np.array([s.start_s for s in truth.segments] + [truth.duration_s])
    runs = []
    for clip, (lead_s, tail_s) in zip(clips, _overlaps(clips), strict=True):
        if clip.reverse:
            lead_s, tail_s = tail_s, lead_s
        start_s = max(clip.source_start_s + lead_s * clip.rate, 0.0)
        end_s = min(clip.source_end_s - tail_s * clip.rate, truth.duration_s)
        if end_s <= start_s:
            continue
        first = max(0, int(np.searchsorted(edges, start_s, side="right")) - 1)
        last = int(np.searchsorted(edges, end_s, side="left"))
        order = range(first, last)
        for index in reversed(order) if clip.reverse else order:
            a, b = max(start_s, float(edges[index])), min(end_s, float(edges[index + 1]))
            runs.append(_Run(truth.segments[index], a, b, (b - a) / clip.rate, clip.reverse))
    return runs


def _overlaps(clips: Sequence[Clip]) -> list[tuple[float, float]]:
    """Return for each clip half of its overlap with the one before and the one after, seconds."""
    ends = [c.timeline_start_s + (c.source_end_s - c.source_start_s) / c.rate for c in clips]
    halves = [
        max(0.0, end_s - after.timeline_start_s) / 2.0
        for end_s, after in zip(ends, clips[1:], strict=False)
    ]
    return list(zip([0.0, *halves], [*halves, 0.0], strict=True))[: len(clips)]


def _kendall_tau(places: NDArray) -> float:
    """Return tau of places that should rise, over evenly spread points; 1 for fewer than two."""
    step = max(1, -(-len(places) // _MAX_ORDER_POINTS))
    points = places[step // 2 :: step]
    if len(points) < 2:
        return 1.0
    rises = np.sign(points[None, :] - points[:, None])
    return float(rises[np.triu_indices(len(points), 1)].mean())


# Baselines and the oracle: clips with hard cuts, back to back


def clips_of_spans(spans_s: Sequence[tuple[float, float]]) -> list[Clip]:
    """Return clips that play spans of the source back to back."""
    clips, timeline_s = [], 0.0
    for start_s, end_s in spans_s:
        clips.append(Clip(start_s, end_s, timeline_start_s=timeline_s))
        timeline_s += end_s - start_s
    return clips


def oracle(truth: Truth) -> list[Clip]:
    """Return the perfect edit: the wanted segments in the order of the piece; its F1 is 1."""
    wanted = [s for s in truth.segments if s.wanted]
    wanted.sort(key=lambda s: s.piece_start_s or 0.0)
    return clips_of_spans([(s.start_s, s.end_s) for s in wanted])


def baseline_keep_all(track: Track) -> list[Clip]:
    """Return the recording as it is."""
    return clips_of_spans([(0.0, track.duration_s)])


def baseline_random(grid: BeatGrid, keep_ratio: float, rng: np.random.Generator) -> list[Clip]:
    """Return bars drawn at random, in order, up to `keep_ratio` of the recording's length."""
    lines_s = grid.edges_s[grid.bar_lines()]
    order = rng.permutation(len(lines_s) - 1)
    reached_s = np.cumsum(np.diff(lines_s)[order])
    kept = np.sort(order[reached_s <= keep_ratio * grid.duration_s + RESOLUTION_S])
    return clips_of_spans([(float(lines_s[bar]), float(lines_s[bar + 1])) for bar in kept])


def baseline_loudness_gate(
    signal: NDArray[np.float32], sr: int, threshold: float = 0.04, margin_s: float = 0.2
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


def format_table(scores: Mapping[str, EditScores]) -> str:
    """Return the scores of several edits as lines of text, one for each name."""
    width = max([len(name) for name in scores] + [len("edit")])
    titles = ("F1", "precision", "recall", "lost s", "leaked s", "length s", "order", "kept")
    lines = [f"{'edit':<{width}}" + "".join(f"{title:>11}" for title in titles)]
    for name, s in scores.items():
        seconds = (s.wanted_lost_s, sum(s.leaked_s.values()), s.duration_error_s)
        cells = [f"{100 * value:>10.1f}%" for value in (s.f1, s.precision, s.recall)]
        cells += [f"{value:>11.2f}" for value in seconds[:2]] + [f"{seconds[2]:>+11.2f}"]
        cells += [f"{s.order_tau:>11.3f}", f"{100 * s.keep_ratio:>10.1f}%"]
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)
