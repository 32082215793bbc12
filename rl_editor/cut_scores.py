"""How exactly an edit cuts, and how well it sets the levels of what it keeps.

A cut is right where the truth has one: where wanted music begins or ends, or the piece goes on
elsewhere. Of two equally good copies an edit may change over at any place, if the piece goes on
in the other one; what is missing or heard twice there is then the error.

In: the clips of an edit and the truth about its recording. Out: `CutScores`, decibels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.evaluate import Run, played_runs
from rl_editor.truth import Segment, Truth

NEAR_S = 0.05
"""A boundary within this distance of the true one is found."""
_CONTINUES_S = 0.02
"""Places of the piece that differ by less follow each other; so near to its ends nothing is cut
off a file."""


@dataclass(frozen=True)
class CutScores:
    """How far an edit's cuts are from the true ones.

    Attributes:
        errors_s: for each boundary between what the edit plays and what it leaves out, distance
            from the nearest true one.
        n_true: true boundaries that an edit must have.
        found_near: share of them that have a boundary within 50 ms; None without any.
        found_beat: within a beat.
    """

    errors_s: tuple[float, ...]
    n_true: int
    found_near: float | None
    found_beat: float | None

    @property
    def median_ms(self) -> float | None:
        """Median of the errors; None without any boundary."""
        return 1000.0 * float(np.median(self.errors_s)) if self.errors_s else None


def cut_scores(clips: Sequence[Clip], truth: Truth, beat_s: float) -> CutScores:
    """Return how far an edit's cuts are from the true ones.

    Args:
        clips: in timeline order.
        truth: of the recording that they play.
        beat_s: length of a beat.
    """
    runs = played_runs(clips, truth)
    cuts = _cuts(runs, truth.duration_s)
    places = np.array(_true_places(truth))
    errors_s = [
        min(float(np.abs(places - time_s).min()), seam_s) for time_s, seam_s in cuts.tolist()
    ]
    needed = np.array(_needed_places(truth, runs))
    found_near = found_beat = None
    if len(needed):
        away_s = np.full(len(needed), np.inf)
        if len(cuts):
            away_s = np.abs(needed[:, None] - cuts[None, :, 0]).min(axis=1)
        found_near, found_beat = float((away_s <= NEAR_S).mean()), float((away_s <= beat_s).mean())
    return CutScores(tuple(errors_s), len(needed), found_near, found_beat)


def _cuts(runs: Sequence[Run], duration_s: float) -> NDArray[np.float64]:
    """Return [K, 2] the times of the edit's boundaries, and the error of the seam that they are.

    The error is infinite for all but changes from good music to good music.
    """
    if not runs:
        return np.zeros((0, 2))
    cuts = []
    first_s, last_s = _begin_s(runs[0]), _end_s(runs[-1])
    if first_s > _CONTINUES_S:
        cuts.append((first_s, np.inf))
    for before, after in itertools.pairwise(runs):
        end_s, begin_s = _end_s(before), _begin_s(after)
        if abs(end_s - begin_s) < 1e-6 and before.is_reversed == after.is_reversed:
            continue
        seam_s = np.inf
        if before.is_good and after.is_good:
            seam_s = abs(after.place_s(begin_s) - before.place_s(end_s))
        cuts += [(end_s, seam_s), (begin_s, seam_s)]
    if last_s < duration_s - _CONTINUES_S:
        cuts.append((last_s, np.inf))
    return np.array(cuts, dtype=np.float64).reshape(-1, 2)


def _begin_s(run: Run) -> float:
    return run.source_end_s if run.is_reversed else run.source_start_s


def _end_s(run: Run) -> float:
    return run.source_start_s if run.is_reversed else run.source_end_s


def _goes_on(before: Segment, after: Segment) -> bool:
    """Return whether the piece goes on from one segment in the next."""
    if before.piece_start_s is None or after.piece_start_s is None:
        return False
    end_s = before.piece_start_s + before.end_s - before.start_s
    return abs(after.piece_start_s - end_s) <= _CONTINUES_S


def _true_places(truth: Truth) -> list[float]:
    """Return the times where a cut may be right, the ends of the file among them."""
    inside = [
        after.start_s
        for before, after in itertools.pairwise(truth.segments)
        if (before.wanted, before.equally_good) != (after.wanted, after.equally_good)
        or (after.wanted and not _goes_on(before, after))
    ]
    return [0.0, *inside, truth.duration_s]


def _needed_places(truth: Truth, runs: Sequence[Run]) -> list[float]:
    """Return the times where an edit must have a boundary, given which copies it plays.

    These are the ends of wanted music against what is no copy of it, unless the edit plays that
    end out of a copy, and places where the piece goes on elsewhere.
    """
    needed = []
    for before, after in itertools.pairwise(truth.segments):
        good = [s.wanted or s.equally_good for s in (before, after)]
        if all(good):
            if before.wanted and after.wanted and not _goes_on(before, after):
                needed.append(after.start_s)
        elif before.wanted or after.wanted:
            segment, at_s = (before, before.end_s) if before.wanted else (after, after.start_s)
            inwards_s = -NEAR_S if before.wanted else NEAR_S
            if not _plays_copy(segment, at_s + inwards_s, runs):
                needed.append(at_s)
    return needed


def _plays_copy(segment: Segment, time_s: float, runs: Sequence[Run]) -> bool:
    """Return whether the place of the piece of a wanted moment is played out of another segment."""
    place_s = Run(segment, segment.start_s, segment.end_s, 0.0, is_reversed=False).place_s(time_s)
    return any(
        run.is_good
        and run.segment is not segment
        and run.place_s(run.source_start_s) <= place_s < run.place_s(run.source_end_s)
        for run in runs
    )


def level_error_db(clips: Sequence[Clip], truth: Truth) -> float | None:
    """Return by how many dB the levels of the kept takes are off on the mean; None without any.

    What the whole edit is louder or softer by (the median over its seconds) is no error.
    """
    runs = [run for run in played_runs(clips, truth) if run.is_good and run.output_s > 0.0]
    if not runs:
        return None
    middles_s = [(run.source_start_s + run.source_end_s) / 2 for run in runs]
    true_db = [
        true_gain_db(truth, run.segment, middle_s)
        for run, middle_s in zip(runs, middles_s, strict=True)
    ]
    off_db = np.array([run.gain_db for run in runs]) - true_db
    weights_s = np.array([run.output_s for run in runs])
    order = np.argsort(off_db, kind="stable")
    passed_s = np.cumsum(weights_s[order])
    usual_db = off_db[order[np.searchsorted(passed_s, passed_s[-1] / 2)]]
    return float(np.average(np.abs(off_db - usual_db), weights=weights_s))


def true_gain_db(truth: Truth, segment: Segment, time_s: float) -> float:
    """Return the gain that the truth has at a time: of the clip that plays it, or its segment."""
    for clip in truth.clips:
        if clip.source_start_s <= time_s < clip.source_end_s:
            return clip.gain_db
    return segment.gain_db
