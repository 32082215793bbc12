"""How well an edit restores the track that is hidden in a recording, in seconds.

Every second of the output is right once: if it plays a wanted second of the recording, or an
equally good copy of it, of a place in the piece that no earlier output second plays. All else
leaks. The scores are time-weighted precision, recall and F1 at a resolution of 10 ms, and the
order as Kendall's tau (Kendall 1938).

In: the clips of an edit and the truth about its recording. Out: `EditScores`, and what became of
each second of the recording (`marks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

RESOLUTION_S = 0.01
_TIE = 1e-6
"""Cells; far above the rounding of floats, far below a cell."""
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
        foreign_s: seconds of output that are not from the recording; they are not right either.
    """

    precision: float
    recall: float
    f1: float
    wanted_lost_s: float
    duration_error_s: float
    order_tau: float
    keep_ratio: float
    leaked_s: dict[Material, float] = field(default_factory=dict)
    foreign_s: float = 0.0


class Mark(IntEnum):
    """What an edit did with a moment of the recording."""

    RIGHTLY_CUT = 0
    RIGHT = 1
    LEAKED = 2
    TWICE = 3
    """Right, but it plays more than once."""
    LOST = 4


@dataclass(frozen=True)
class Run:
    """A stretch of output that plays one segment of the recording without a break.

    Attributes:
        segment: of the truth.
        source_start_s, source_end_s: span of the recording.
        output_s: seconds of output.
        is_reversed: it plays backwards.
        gain_db: of its clip.
    """

    segment: Segment
    source_start_s: float
    source_end_s: float
    output_s: float
    is_reversed: bool
    gain_db: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether it plays wanted music or an equally good copy of it, forwards."""
        return (self.segment.wanted or self.segment.equally_good) and not self.is_reversed

    def place_s(self, source_s: float) -> float:
        """Return where a time of the recording belongs in the piece, seconds."""
        return (self.segment.piece_start_s or 0.0) - self.segment.start_s + source_s

    def place_cells(self) -> tuple[int, int]:
        """Return the places of the piece that it plays, in cells of the resolution."""
        return _cell(self.place_s(self.source_start_s)), _cell(self.place_s(self.source_end_s))


def score_edit(clips: Sequence[Clip], truth: Truth, foreign_s: float = 0.0) -> EditScores:
    """Return the scores of an edit.

    Args:
        clips: in timeline order; where two overlap, the first counts up to the middle.
        truth: of the recording that the clips play.
        foreign_s: seconds of output that no clip plays, since they are not from the recording.
    """
    credited = _credited(clips, truth)
    leaked_s = dict.fromkeys(Material, 0.0)
    output_s, places = foreign_s, []
    for run, is_new in zip(credited.runs, credited.new, strict=True):
        output_s += run.output_s
        if is_new is None:
            leaked_s[run.segment.material] += run.output_s
            continue
        extra_share = 1.0 - is_new.sum() / len(is_new) if len(is_new) else 0.0
        leaked_s[Material.REDUNDANT_REPEAT] += run.output_s * extra_share
        places.append(run.place_cells()[0] + np.flatnonzero(is_new))
    is_place, is_covered = credited.is_place, credited.is_covered
    piece_s = float(is_place.sum()) * RESOLUTION_S
    right_s = output_s - foreign_s - sum(leaked_s.values())
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
        foreign_s=foreign_s,
    )


def marks(clips: Sequence[Clip], truth: Truth) -> NDArray[np.uint8]:
    """Return what became of the recording: a `Mark` for each 10 ms of it, [cells].

    A wanted moment that is not played is lost only if no copy of it is played instead.
    """
    credited = _credited(clips, truth)
    result = np.full(_cell(truth.duration_s), Mark.RIGHTLY_CUT, dtype=np.uint8)
    for segment in truth.segments:
        if segment.wanted:
            run = Run(segment, segment.start_s, segment.end_s, 0.0, is_reversed=False)
            start, stop = run.place_cells()
            own = result[_cell(segment.start_s) : _cell(segment.end_s)]
            is_lost = ~credited.is_covered[start:stop][: len(own)]
            own[: len(is_lost)][is_lost] = Mark.LOST
    for run, is_new in zip(credited.runs, credited.new, strict=True):
        own = result[_cell(run.source_start_s) : _cell(run.source_end_s)]
        if is_new is None:
            own[:] = Mark.LEAKED
            continue
        is_new = is_new[: len(own)]
        own = own[: len(is_new)]
        own[~is_new] = np.where(own[~is_new] == Mark.RIGHT, Mark.TWICE, Mark.LEAKED)
        own[is_new] = Mark.RIGHT
    return result


@dataclass(frozen=True)
class _Credited:
    """The runs of an edit and what of each counts.

    Attributes:
        runs: in output order.
        new: for each run the places [cells] that it plays first; None if it is not good.
        is_place: [cells] the places of the piece.
        is_covered: [cells] the places that the output plays.
    """

    runs: list[Run]
    new: list[NDArray[np.bool_] | None]
    is_place: NDArray[np.bool_]
    is_covered: NDArray[np.bool_]


def _credited(clips: Sequence[Clip], truth: Truth) -> _Credited:
    is_place = np.zeros(_piece_cells(truth), dtype=bool)
    for segment in truth.segments:
        if segment.wanted and segment.piece_start_s is not None:
            start_s = segment.piece_start_s
            length_s = segment.end_s - segment.start_s
            is_place[_cell(start_s) : _cell(start_s + length_s)] = True
    is_covered = np.zeros_like(is_place)
    new: list[NDArray[np.bool_] | None] = []
    runs = played_runs(clips, truth)
    for run in runs:
        if not run.is_good:
            new.append(None)
            continue
        start, stop = run.place_cells()
        new.append(is_place[start:stop] & ~is_covered[start:stop])
        is_covered[start:stop] = True
    return _Credited(runs, new, is_place, is_covered)


def _cell(time_s: float) -> int:
    """Return the cell nearest a time; half a cell goes up, however the time was added up."""
    return math.floor(time_s / RESOLUTION_S + 0.5 + _TIE)


def _piece_cells(truth: Truth) -> int:
    ends = [
        s.piece_start_s + s.end_s - s.start_s for s in truth.segments if s.piece_start_s is not None
    ]
    return _cell(max(ends, default=0.0)) + 1


def played_runs(clips: Sequence[Clip], truth: Truth) -> list[Run]:
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
            length_s = (b - a) / clip.rate
            runs.append(Run(truth.segments[index], a, b, length_s, clip.reverse, clip.gain_db))
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
