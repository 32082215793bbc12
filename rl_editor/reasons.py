"""Why the editor did what it did, in words that a musician understands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import LEAVING_TYPES, Action, ActionType
from rl_editor.calibration import Calibration
from rl_editor.decision_times import LEAST_S, MAX_MOVED_S, at_the_sound, heard_seconds
from rl_editor.edl import Clip, Decision
from rl_editor.grid import BeatGrid
from rl_editor.materials import Material
from rl_editor.planner import Plan
from rl_editor.track import Track
from rl_editor.units import format_time

WORDS: dict[Material, str] = {
    Material.MUSIC: "weaker passage",
    Material.TALK: "talk",
    Material.NOISE: "noise",
    Material.SILENCE: "silence",
    Material.COUNT_IN: "count-in",
    Material.TUNING: "tuning",
    Material.NOODLING: "noodling",
    Material.FALSE_START: "false start",
    Material.FLAWED_TAKE: "flawed take",
    Material.REDUNDANT_REPEAT: "needless repeat",
}
"""What a removed passage is called; removed MUSIC is music that the edit does without."""

ASKED_KIND, ASKED_WORD = len(Material), "what you dropped"
"""Kind of a passage, and what it is called, that went because the user said so."""
KEPT_AS_ASKED = "kept: you asked for it"
DROPPED_AS_ASKED = "cut: you asked for it to go"

_TAKES = (Material.FALSE_START, Material.FLAWED_TAKE, Material.MUSIC)

_VERBS = {
    ActionType.KEEP: "kept",
    ActionType.LOOP: "played several times",
    ActionType.REORDER: "moved to another place",
    ActionType.JUMP_BACK: "played again from an earlier place",
    ActionType.FADE_IN: "faded in",
    ActionType.FADE_OUT: "faded out",
    ActionType.GAIN: "changed in level",
    ActionType.SPEED_UP: "played faster",
    ActionType.SPEED_DOWN: "played slower",
    ActionType.REVERSE: "played backwards",
    ActionType.PITCH_UP: "raised in pitch",
    ActionType.PITCH_DOWN: "lowered in pitch",
    ActionType.EQ_LOW: "equalised in the lows",
    ActionType.EQ_HIGH: "equalised in the highs",
    ActionType.DISTORTION: "distorted",
    ActionType.REVERB: "given reverb",
    ActionType.REPEAT_PREV: "followed by what was heard last, again",
    ActionType.SWAP_NEXT: "swapped with the passage after it",
}


def decisions(
    plan: Plan,
    track: Track,
    calibration: Calibration | None = None,
    clips: Sequence[Clip] | None = None,
) -> tuple[Decision, ...]:
    """Return one decision for each action of a plan, with its confidence, material and reason.

    Args:
        plan: of the track. Where the policy found no music in it, no confidence is given: nobody
            chose what was kept.
        track: the recording.
        calibration: of the policy; None gives its own probabilities, which are too sure.
        clips: of the finished edit: decisions are where they are heard there, and those of which
            nothing remains are left out (`decision_times`). None leaves them on their beats.
    """
    heard = _heard_beats(plan, track.grid, clips)
    sure = (calibration or Calibration()).confidence(decision_probabilities(plan))
    out = []
    for number, (action, (start, end)) in enumerate(
        zip(plan.state.actions, plan.action_spans, strict=True)
    ):
        material = span_material(plan, start, end, action.type in LEAVING_TYPES)
        asked = _asked(plan, action, start, end)
        is_chosen = plan.music_found and asked is None
        out.append(
            Decision(
                beat=start,
                time_s=float(track.grid.beats_s[start]),
                type=action.type.name,
                size=action.size.name,
                amount=action.amount.name,
                probability=float(sure[number]) if is_chosen else None,
                material=material.name,
                reason=asked or reason(action, material, track, (start, end), heard),
            )
        )
    if clips is None:
        return tuple(out)
    spans_s = track.grid.edges_s[np.array(plan.action_spans)]
    return at_the_sound(out, spans_s, clips, track.duration_s)


def _asked(plan: Plan, action: Action, start: int, end: int) -> str | None:
    """Return the reason of an action if it does to its beats [start, end) what was asked for."""
    if plan.wishes is None:
        return None
    if action.type in LEAVING_TYPES:
        return DROPPED_AS_ASKED if plan.wishes.drop[start:end].all() else None
    return KEPT_AS_ASKED if plan.wishes.keep[start:end].all() else None


def decision_probabilities(plan: Plan) -> NDArray[np.float64]:
    """Return [D] the policy's probability of each action of a plan: the mean over its beats."""
    keep = [float(plan.keep_probability[start:end].mean()) for start, end in plan.action_spans]
    removes = np.array([action.type in LEAVING_TYPES for action in plan.state.actions])
    return np.where(removes, 1.0 - np.array(keep), keep)


def span_material(plan: Plan, start: int, end: int, removed: bool) -> Material:
    """Return what the beats [start, end) are; a removed span is MUSIC only if nothing else fits."""
    mean = plan.materials[start:end].mean(axis=0)
    if removed and mean[Material.MUSIC] < 0.8:
        mean = np.where(np.arange(len(mean)) == Material.MUSIC, 0.0, mean)
    return Material(int(mean.argmax()))


def reason(
    action: Action,
    material: Material,
    track: Track,
    span: tuple[int, int],
    heard: NDArray[np.bool_],
) -> str:
    """Return one sentence that says what the span was and why it went, stayed or changed.

    Where the same is heard elsewhere, it says where: at a beat of `heard` [N] outside the span.
    """
    if action.type not in LEAVING_TYPES:
        return f"{_VERBS[action.type]}: part of the track"
    word = WORDS[material]
    later_s = _copy_s(track.match_later, track.grid, span, heard)
    earlier_s = _copy_s(track.match_earlier, track.grid, span, heard)
    if material in _TAKES and later_s is not None:
        word = "earlier take" if material == Material.MUSIC else word
        return f"cut: {word}; it is played again around {format_time(later_s)} of the recording"
    if material in _TAKES and earlier_s is not None:
        word = "later take" if material == Material.MUSIC else word
        return (
            f"cut: {word}; it was played before, around {format_time(earlier_s)} of the recording"
        )
    copy_s = later_s if earlier_s is None else earlier_s
    if material == Material.REDUNDANT_REPEAT and copy_s is not None:
        return f"cut: {word} of what is heard around {format_time(copy_s)} of the recording"
    return f"cut: {word}"


def _copy_s(
    match: NDArray[np.int64], grid: BeatGrid, span: tuple[int, int], heard: NDArray[np.bool_]
) -> float | None:
    """Return where the middle of what is heard of a span's copy lies, if that is half of it."""
    start, end = span
    copies = match[start:end]
    copies = copies[(copies >= 0) & ((copies < start) | (copies >= end))]
    copies = copies[heard[copies]]
    if 2 * len(copies) < end - start:
        return None
    return float(grid.beats_s[copies[len(copies) // 2]])


def _heard_beats(plan: Plan, grid: BeatGrid, clips: Sequence[Clip] | None) -> NDArray[np.bool_]:
    """Return [N] the beats that are heard as a whole."""
    if clips is None:
        return plan.state.played > 0
    spans_s = ((clip.source_start_s, clip.source_end_s) for clip in clips)
    return heard_seconds(spans_s, grid.edges_s) > 0.999 * grid.durations_s


def removed_seconds(
    plan: Plan, grid: BeatGrid, clips: Sequence[Clip] | None = None
) -> dict[str, float]:
    """Return the seconds removed by kind of material in a musician's words, longest first.

    Args:
        plan: of the edit.
        grid: of the recording.
        clips: of the finished edit, whose cuts may lie beside the beats of the decisions; what
            they leave out of a beat that was to stay is of the kind of the nearest that was not.
            None counts whole beats.
    """
    kind = np.full(grid.n_beats, -1)
    for action, (start, end) in zip(plan.state.actions, plan.action_spans, strict=True):
        if action.type in LEAVING_TYPES:
            kind[start:end] = span_material(plan, start, end, True)
    if plan.wishes is not None:
        kind[plan.wishes.drop] = ASKED_KIND
    left_out_s = grid.durations_s * (kind >= 0) if clips is None else _left_out_s(clips, grid)
    kind = _with_outer_silence(kind, left_out_s, grid)
    removed = np.flatnonzero(kind >= 0)
    if not len(removed):
        return {}
    seconds: dict[str, float] = defaultdict(float)
    for beat in np.flatnonzero(left_out_s > 0.0):
        nearest = removed[np.abs(removed - beat).argmin()]
        word = ASKED_WORD if kind[nearest] == ASKED_KIND else WORDS[Material(kind[nearest])]
        seconds[word] += float(left_out_s[beat])
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _with_outer_silence(
    kind: NDArray[np.int64], left_out_s: NDArray[np.float64], grid: BeatGrid
) -> NDArray[np.int64]:
    """Return the kind of each beat [N] with silence where the ends lost more than a cut moves."""
    played = np.flatnonzero(left_out_s < grid.durations_s - LEAST_S)
    if not len(played):
        return kind
    kind = kind.copy()
    for end in (slice(0, played[0] + 1), slice(played[-1], None)):
        undecided = (kind[end] < 0) & (left_out_s[end] > LEAST_S)
        least_s = MAX_MOVED_S if np.any(kind[end] >= 0) else LEAST_S
        if left_out_s[end][undecided].sum() > least_s:
            kind[end] = np.where(undecided, Material.SILENCE, kind[end])
    return kind


def _left_out_s(clips: Sequence[Clip], grid: BeatGrid) -> NDArray[np.float64]:
    """Return [N] the seconds of each beat that no clip plays; a crossfade is half of each side."""
    ends_s = [c.timeline_start_s + (c.source_end_s - c.source_start_s) / c.rate for c in clips]
    half_s = [
        max(0.0, end_s - after.timeline_start_s) / 2.0
        for end_s, after in zip(ends_s, clips[1:], strict=False)
    ]
    played = []
    for clip, lead_s, tail_s in zip(clips, [0.0, *half_s], [*half_s, 0.0], strict=False):
        first_s, last_s = (tail_s, lead_s) if clip.reverse else (lead_s, tail_s)
        start_s = clip.source_start_s + first_s * clip.rate
        played.append((start_s, clip.source_end_s - last_s * clip.rate))
    return np.maximum(grid.durations_s - heard_seconds(played, grid.edges_s), 0.0)
