"""Where exactly, and how, each clip goes over into the next.

In: clips with hard cuts, back to back, and the samples of their source. Out: clips with
crossfades on whole samples, and a measured `Join` for each place where the source is left.

Where two passages at their own speed meet, the cut moves, on both sides alike, to where they
continue each other best (`join_search`), so the output's length and the beat change by no more
than the fine alignment. Where both sides are the same stretch of source with different
processing, or one is stretched, shifted in pitch or reversed, the cut stays and is crossfaded.
A cut beside its beat was put where the sound changes (`boundary_refinement`): it moves by 20 ms
at most.
Fades that the editor asked for stay; a hard edge into silence gets a short declick fade.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.clip_edges import placed
from rl_editor.edl import Clip, Join, back_to_back
from rl_editor.grid import BeatGrid
from rl_editor.join_choice import JoinChoice
from rl_editor.join_measures import Reference, is_within_limits, ordinary_beat_changes
from rl_editor.join_repair import other_beats
from rl_editor.join_search import Place
from rl_editor.sample_readers import SampleReader
from rl_editor.units import samples_to_seconds

Stays = Callable[[float], bool]
"""Whether an edge at a time of the source, in s, must not move."""


def moves_freely(time_s: float) -> bool:
    """Return False: no edge has to stay."""
    return False


@dataclass(frozen=True)
class JoinResult:
    """Clips that are ready to render, and how they meet.

    Attributes:
        clips: in output order, with crossfades.
        joins: one for each place where a clip goes over into another, in output order;
            `join_measures.is_within_limits` tells which stand out.
    """

    clips: tuple[Clip, ...]
    joins: tuple[Join, ...]


@dataclass(frozen=True)
class Certainty:
    """How sure an editor was of each beat, for joins that have to move by whole beats.

    Attributes:
        log_odds: [N] of each beat's belonging in the edit.
        keeps_length: the output must stay as long as it is.
    """

    log_odds: NDArray[np.floating]
    keeps_length: bool = False


def fit_joins(
    clips: Sequence[Clip],
    reader: SampleReader,
    grid: BeatGrid,
    goes_on: Sequence[bool] | None = None,
    *,
    ordinary: Reference | None = None,
    certainty: Certainty | None = None,
    stays: Stays = moves_freely,
) -> JoinResult:
    """Return the clips with fitted, measured joins.

    The output's length changes by the alignments, 60 ms at most for each join, and by whole bars
    where a join moved.

    Args:
        clips: in output order; hard cuts, back to back.
        reader: the samples of the source.
        grid: beats of the source.
        goes_on: for each join whether its sides are known to be takes of one passage that meet
            at the same place of it, so that the beat holds whatever the grid says; then no clip
            continues the one before.
        ordinary: measures at the source's own beat changes, where they are known already.
        certainty: a join beyond the limits may move by whole beats of which the editor was not
            sure (`join_repair`); None keeps all on their beats.
        stays: where edges must stay; a join at one has a short crossfade around the cut itself, and
            nothing rings on.
    """
    sr = reader.info.sample_rate
    merged = merged_clips(back_to_back(clips, sr))
    if not merged:
        return JoinResult((), ())
    chosen: list[tuple[Place, Join]] = []
    if len(merged) > 1:
        choice = JoinChoice(reader, grid, ordinary or ordinary_beat_changes(reader, grid))
    for k in range(len(merged) - 1):  # one after the other: excerpts are large
        is_on_time = bool(goes_on is not None and goes_on[k])
        if stays(merged[k].source_end_s) or stays(merged[k + 1].source_start_s):
            chosen.append(choice.as_it_is(merged[k], merged[k + 1], is_on_time))
            continue
        best = choice.best(merged[k], merged[k + 1], is_on_time)
        if certainty is not None and not is_within_limits(best[1]):
            best = _moved(merged, k, choice, certainty) or best
        chosen.append(best)
    places = [place for place, _ in chosen]
    fitted = placed(merged, places, reader, rings_on=not stays(merged[-1].source_end_s))
    n_halves = [place.overlap // 2 for place in places]
    joins = tuple(
        replace(join, timeline_s=clip.timeline_start_s + samples_to_seconds(n_half, sr))
        for (_, join), clip, n_half in zip(chosen, fitted[1:], n_halves, strict=True)
    )
    return JoinResult(fitted, joins)


def _moved(
    clips: list[Clip], k: int, choice: JoinChoice, certainty: Certainty
) -> tuple[Place, Join] | None:
    """Move the edges of clips `k` and `k + 1` to beats on which they meet within the limits.

    Returns where they meet; None, and the clips as they were, if there are no such beats.
    """
    pairs = other_beats(
        clips[k], clips[k + 1], choice.grid, certainty.log_odds, certainty.keeps_length
    )
    for left, right in pairs:
        place, join = choice.best(left, right, is_on_time=False)
        if is_within_limits(join):
            clips[k], clips[k + 1] = left, right
            return place, join
    return None


def merged_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips with those in one that continue each other in the source unchanged."""
    merged: list[Clip] = []
    for clip in clips:
        before = merged[-1] if merged else None
        if before is not None and _continues(before, clip):
            merged[-1] = replace(
                before,
                source_end_s=clip.source_end_s,
                fade_out_s=clip.fade_out_s,
                fade_out_curve=clip.fade_out_curve,
            )
        else:
            merged.append(clip)
    return merged


def _continues(before: Clip, clip: Clip) -> bool:
    return (
        before.source_end_s == clip.source_start_s
        and before.fade_out_s == clip.fade_in_s == 0.0
        and not clip.reverse
        and _processing(before) == _processing(clip)
    )


def _processing(clip: Clip) -> Clip:
    """Return a clip with the same processing and nothing else of its own."""
    return replace(
        clip,
        source_start_s=0.0,
        source_end_s=0.0,
        timeline_start_s=0.0,
        fade_in_s=0.0,
        fade_out_s=0.0,
        fade_in_curve="linear",
        fade_out_curve="linear",
    )
