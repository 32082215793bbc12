"""A track of the length that was asked for: within a bar by planning, to the sample by force.

What moves cuts and joins off their beats, and silence that goes at the ends, make a track longer or
shorter than its plan, so that more or less is asked for until it fits. What is then a little too
long is faded out, what is too short is stretched.

In: a way to plan and fit a share of a recording. Out: the plan and the clips nearest to the length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rl_editor.asked_spans import AskedSpans
from rl_editor.edl import Clip, Join, timeline_length
from rl_editor.errors import UserError
from rl_editor.fitted_plan import FittedPlan
from rl_editor.planner import Plan
from rl_editor.units import format_time, samples_to_seconds
from rl_editor.wishes import MAX_STRETCH

Attempt = Callable[[float], tuple[Plan, FittedPlan]]
"""A plan of a share of the recording, and its clips."""

TRIES = 5
LEAST_SHARE = 0.001
FADE_S = 2.0
"""Longest fade at an end that is cut for the sake of the length."""
FADE_CURVE = "gentle_s"


def fit_to_length(
    attempt: Attempt, wanted_s: float, recording_s: float, tolerance_s: float, sr: int
) -> tuple[Plan, FittedPlan]:
    """Return the plan and the clips that come nearest to a length, of up to five attempts.

    Args:
        attempt: plans and fits a share.
        wanted_s: length of the track.
        recording_s: length of the recording.
        tolerance_s: no further attempt is made within that.
        sr: sample rate, Hz.
    """
    tried: list[tuple[float, tuple[Plan, FittedPlan]]] = []
    share = wanted_s / recording_s
    for _ in range(TRIES):
        share = min(max(share, LEAST_SHARE), 1.0)
        made = attempt(share)
        length_s = timeline_length(made[1].clips, sr) / sr
        tried.append((abs(length_s - wanted_s), made))
        if abs(length_s - wanted_s) <= tolerance_s:
            break
        share += (wanted_s - length_s) / recording_s
    return min(tried, key=lambda one: one[0])[1]


def with_exact_length(
    fitted: FittedPlan, wanted_s: float, asked: AskedSpans, sr: int
) -> FittedPlan:
    """Return clips that last `wanted_s` to the sample.

    What is too long fades out over up to 2 s, unless that took from what is to be kept; it is then
    played faster, and what is too short slower, by 3% at most.

    Raises:
        UserError: that is not enough; says which length is.
    """
    length, target = timeline_length(fitted.clips, sr), round(wanted_s * sr)
    if length == target:
        return fitted
    if length > target:
        cut = _cut_off(fitted, target, sr)
        if asked.are_kept(cut.clips):
            return cut
    if not fitted.clips or abs(length / target - 1.0) > MAX_STRETCH:
        raise UserError(
            f"the nearest track that could be made lasts {format_time(length / sr)}, which is too "
            f"far from {format_time(wanted_s)} to be stretched; ask for that length, or leave "
            "--exact out."
        )
    return _stretched(fitted, target, sr)


def _cut_off(fitted: FittedPlan, target: int, sr: int) -> FittedPlan:
    """Return the clips up to a sample of the output, the last one faded out.

    A clip that would only begin to fade in goes. One before the last may ring on beyond the end.
    """
    clips = list(fitted.clips)
    while len(clips) > 1 and target - clips[-1].timeline_samples(sr)[0] <= clips[-1].fade_in_s * sr:
        clips.pop()
    clips[:-1] = [_ending_by(clip, target, sr) for clip in clips[:-1]]
    first = clips[-1].timeline_samples(sr)[0]
    last = _of_length(clips[-1], target - first, sr)
    fade_s = samples_to_seconds(min(round(FADE_S * sr), (target - first) // 2), sr)
    in_s = min(last.fade_in_s, samples_to_seconds(target - first, sr))
    clips[-1] = replace(last, fade_in_s=in_s, fade_out_s=fade_s, fade_out_curve=FADE_CURVE)
    joins = tuple(sorted(fitted.joins, key=lambda join: join.timeline_s)[: len(clips) - 1])
    return replace(fitted, clips=tuple(clips), joins=joins)


def _ending_by(clip: Clip, target: int, sr: int) -> Clip:
    """Return a clip that ends at a sample of the output at the latest, faded as it was."""
    first, last = clip.timeline_samples(sr)
    if last <= target:
        return clip
    length_s = samples_to_seconds(target - first, sr)
    ended = _of_length(clip, target - first, sr)
    return replace(ended, fade_out_s=min(clip.fade_out_s, length_s))


def _stretched(fitted: FittedPlan, target: int, sr: int) -> FittedPlan:
    """Return the clips at another speed, so that they end at a sample of the output."""
    speed = timeline_length(fitted.clips, sr) / target
    made: list[Clip] = []
    end_before = 0
    for clip in fitted.clips:
        start, end = clip.timeline_samples(sr)
        overlap = round((end_before - start) / speed) if made else 0
        end_before = end
        start = made[-1].timeline_samples(sr)[1] - overlap if made else 0
        made.append(
            replace(
                clip,
                rate=clip.rate * speed,
                timeline_start_s=samples_to_seconds(start, sr),
                fade_in_s=clip.fade_in_s / speed,
                fade_out_s=clip.fade_out_s / speed,
            )
        )
    made[-1] = _of_length(made[-1], target - made[-1].timeline_samples(sr)[0], sr)
    joins = tuple(_slower(join, speed) for join in fitted.joins)
    return replace(fitted, clips=tuple(made), joins=joins)


def _slower(join: Join, speed: float) -> Join:
    return replace(join, timeline_s=join.timeline_s / speed, crossfade_s=join.crossfade_s / speed)


def _of_length(clip: Clip, n_samples: int, sr: int) -> Clip:
    """Return a clip of so many samples of the output, its end moved, or its speed by a hair.

    Where the source ends, the speed makes up for what is missing.
    """
    start, stop = clip.source_samples(sr)
    n_source = round(n_samples * clip.rate)
    longer = n_source - (stop - start)
    if longer > 0:
        exact = replace(clip, rate=(stop - start) / n_samples)
    elif clip.reverse:
        exact = replace(clip, source_start_s=samples_to_seconds(stop - n_source, sr))
    else:
        exact = replace(clip, source_end_s=samples_to_seconds(start + n_source, sr))
    return exact
