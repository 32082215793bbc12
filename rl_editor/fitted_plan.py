"""From a plan on beats to clips that are ready to render.

Each cut moves to where the sound changes (`boundary_refinement`), silence at the outer ends goes
(`outer_silence`), takes that meet get one level (`level_matching`), and each clip goes over into
the next where that is heard least (`joins`).

In: a plan, the samples of its recording. Out: clips and measured joins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from rl_editor.asked_spans import NOTHING_ASKED, AskedSpans
from rl_editor.audio import AudioReader
from rl_editor.boundary_refinement import refine_boundaries
from rl_editor.calibration import log_odds
from rl_editor.edl import Clip, Join, timeline_length
from rl_editor.grid import BeatGrid
from rl_editor.join_measures import ordinary_beat_changes
from rl_editor.joins import Certainty, fit_joins
from rl_editor.level_matching import matched_levels
from rl_editor.outer_silence import without_outer_silence
from rl_editor.planner import Plan

LENGTH_ROOM = 0.01
"""Share of the output's length by which edges that move may change what somebody asked for."""


@dataclass(frozen=True)
class FittedPlan:
    """What a plan became.

    Attributes:
        clips: in output order, with crossfades.
        joins: one for each place where a clip goes over into another.
        level_changes_db: gains by which takes were brought to one level; clips without one are
            not in it.
    """

    clips: tuple[Clip, ...]
    joins: tuple[Join, ...]
    level_changes_db: tuple[float, ...] = ()


def fit_plan(
    made: Plan,
    reader: AudioReader,
    grid: BeatGrid,
    *,
    match_levels: bool = True,
    keeps_length: bool = False,
    asked: AskedSpans = NOTHING_ASKED,
) -> FittedPlan:
    """Return the clips and joins of a plan.

    Args:
        made: the plan.
        reader: of the recording.
        grid: of the recording.
        match_levels: takes of one passage that meet get the same level.
        keeps_length: somebody asked for the length that the plan has; edges that move change it
            by 1%, and by half a bar, at most, beside the alignment of the joins.
        asked: spans that are heard, or not, to the sample; edges near them stay.
    """
    clips = asked.heard(made.state.clips())
    ordinary = ordinary_beat_changes(reader, grid) if len(clips) > 1 else None
    room_s = math.inf
    if keeps_length:
        bar_s = grid.meter * float(np.median(np.diff(grid.edges_s)))
        length_s = timeline_length(clips, reader.info.sample_rate) / reader.info.sample_rate
        room_s = min(0.5 * bar_s, LENGTH_ROOM * length_s)
    refined = refine_boundaries(clips, reader, grid, ordinary, room_s, asked.stays)
    found = refined.clips, tuple(refined.goes_on.tolist())
    heard, goes_on = without_outer_silence(*found, reader)
    if not asked.are_kept(heard):
        heard, goes_on = found
    levelled = matched_levels(heard, goes_on, reader) if match_levels else heard
    sureness = log_odds(made.keep_probability)
    certainty = Certainty(np.minimum(sureness, 0.0) if keeps_length else sureness, keeps_length)
    join = partial(fit_joins, levelled, reader, grid, goes_on, ordinary=ordinary, stays=asked.stays)
    fitted = join(certainty=certainty)
    if not asked.are_granted(fitted.clips):  # a join moved by whole beats
        fitted = join()
    changes_db = (new.gain_db - old.gain_db for new, old in zip(levelled, heard, strict=True))
    return FittedPlan(fitted.clips, fitted.joins, tuple(c for c in changes_db if c != 0.0))
