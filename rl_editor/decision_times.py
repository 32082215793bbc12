"""The times of decisions: from the beats on which they were taken to where the sound changes.

Decisions are taken on beats, and `boundary_refinement` and `joins` then move the cuts. What was
kept is what is heard, so the borders between what is kept and what is left out are those of the
clips. A decision of whose kind nothing remains there is left out.

In: decisions on beats and the finished clips. Out: the same decisions at the times of the sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import LEAVING_TYPES, ActionType, Amount, Size
from rl_editor.edl import Clip, Decision
from rl_editor.materials import Material

REMOVING_NAMES = tuple(kind.name for kind in LEAVING_TYPES)
JOIN_REASON = "cut: left out where two passages meet"
"""Of what a join leaves out between passages that were both to be heard."""
LEAD_REASON = "cut: silence before the first sound"
TAIL_REASON = "cut: silence after the last sound"
"""Of what `outer_silence` leaves out of a passage that was to be heard."""
LEAST_S = 1e-3
"""Shorter stretches count as nothing."""
MAX_AWAY_S = 1.0
"""A join that moves takes a short cut with it, half a beat at most."""
MAX_MOVED_S = 2.0
"""No cut moves further for the sake of a change of the sound or of a join."""
_WITHOUT_SPAN = (ActionType.JUMP_BACK.name, ActionType.REPEAT_PREV.name)


@dataclass(frozen=True)
class Stretch:
    """A stretch [start_s, end_s) of the recording that is heard throughout, or not at all."""

    start_s: float
    end_s: float
    is_heard: bool


def at_the_sound(
    made: Sequence[Decision],
    spans_s: NDArray[np.float64],
    clips: Sequence[Clip],
    duration_s: float,
) -> tuple[Decision, ...]:
    """Return decisions that cover the recording, each up to the next: kept is what clips play.

    Each decision is where most of what remains of it is. Decisions that jump back have the source
    decided about twice; an edit with one stays on its beats.

    Args:
        made: the decisions, in the order they were taken.
        spans_s: [D, 2] what each decided about, in s of the recording.
        clips: of the finished edit, crossfades included.
        duration_s: of the recording.
    """
    if any(decision.type == ActionType.JUMP_BACK.name for decision in made):
        return tuple(made)
    stretches = heard_stretches(clips, duration_s)
    timed: list[tuple[int, Decision]] = []
    for stretch, members in zip(stretches, _members(made, spans_s, stretches), strict=True):
        begins_s = [stretch.start_s, *(spans_s[i, 0] for i in members[1:])][: len(members)]
        here = [(i, _at(made[i], s)) for i, s in zip(members, begins_s, strict=True)]
        timed += here if stretch.is_heard else _with_undecided(here, spans_s, stretch, clips, made)
    return _with_repeats(made, timed, duration_s)


def _at(decision: Decision, time_s: float) -> Decision:
    return replace(decision, time_s=float(time_s))


def _with_undecided(
    here: list[tuple[int, Decision]],
    spans_s: NDArray[np.float64],
    stretch: Stretch,
    clips: Sequence[Clip],
    made: Sequence[Decision],
) -> list[tuple[int, Decision]]:
    """Return the decisions in a stretch that is not heard with what none of them is about."""
    is_lead = bool(clips) and clips[0].source_start_s == stretch.end_s
    is_tail = bool(clips) and clips[-1].source_end_s == stretch.start_s
    if not here:
        around = int(_overlap_s(spans_s, stretch).argmax())
        reason = LEAD_REASON if is_lead else TAIL_REASON if is_tail else JOIN_REASON
        return [(around, _undecided(made[around], stretch.start_s, reason))]
    first, last = here[0][0], here[-1][0]
    if is_tail and spans_s[first, 0] - stretch.start_s > MAX_MOVED_S:
        silence = _undecided(made[first], stretch.start_s, TAIL_REASON)
        here = [(first, silence), (first, _at(made[first], spans_s[first, 0])), *here[1:]]
    if is_lead and stretch.end_s - spans_s[last, 1] > MAX_MOVED_S:
        here = [*here, (last, _undecided(made[last], spans_s[last, 1], LEAD_REASON))]
    return here


def _undecided(around: Decision, time_s: float, reason: str) -> Decision:
    """Return what was left out without having been decided, at a decision nearby."""
    return Decision(
        beat=around.beat,
        time_s=float(time_s),
        type=ActionType.CUT.name,
        size=Size.BEAT.name,
        amount=Amount.NEUTRAL.name,
        material=None if reason == JOIN_REASON else Material.SILENCE.name,
        reason=reason,
    )


def heard_stretches(clips: Sequence[Clip], duration_s: float) -> list[Stretch]:
    """Return the recording as stretches in order, each heard by some clip or by none."""
    edges_s = [0.0]
    for start_s, end_s in heard_spans((c.source_start_s, c.source_end_s) for c in clips):
        if start_s - edges_s[-1] < LEAST_S and len(edges_s) > 1:
            edges_s[-1] = end_s
        else:
            edges_s += [start_s, end_s]
    edges_s.append(duration_s)
    kinds = [number % 2 == 1 for number in range(len(edges_s) - 1)]
    found = [
        Stretch(start_s, end_s, is_heard)
        for start_s, end_s, is_heard in zip(edges_s[:-1], edges_s[1:], kinds, strict=True)
        if end_s - start_s >= LEAST_S
    ]
    found[0] = replace(found[0], start_s=0.0)
    return found


def heard_spans(spans_s: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the union of spans [start, end) as spans in order that do not touch."""
    union: list[tuple[float, float]] = []
    for start_s, end_s in sorted(spans_s):
        if union and start_s <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end_s))
        elif end_s > start_s:
            union.append((start_s, end_s))
    return union


def heard_seconds(
    spans_s: Iterable[tuple[float, float]], edges_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return [N] the seconds of each cell of `edges_s` [N + 1] that lie in some span."""
    seconds = np.zeros(len(edges_s) - 1)
    for start_s, end_s in heard_spans(spans_s):
        seconds += np.diff(np.clip(edges_s, start_s, end_s))
    return seconds


def _members(
    made: Sequence[Decision], spans_s: NDArray[np.float64], stretches: Sequence[Stretch]
) -> list[list[int]]:
    """Return the decisions in each stretch: of its kind, and nowhere else more of them.

    A stretch that is left without one takes the nearest of its kind. There is none for what a
    join leaves out far from any cut.
    """
    is_span = np.array([decision.type not in _WITHOUT_SPAN for decision in made])
    removes = np.array([decision.type in REMOVING_NAMES for decision in made])
    overlap_s = np.array([_overlap_s(spans_s, stretch) for stretch in stretches])
    is_heard = np.array([stretch.is_heard for stretch in stretches])
    possible = is_span & (is_heard[:, None] != removes)
    overlap_s[~possible] = -np.inf
    best = overlap_s.argmax(axis=0)
    remains = overlap_s.max(axis=0) >= LEAST_S
    members = [np.flatnonzero(remains & (best == k)).tolist() for k in range(len(stretches))]
    for k, stretch in enumerate(stretches):
        nearest = int(overlap_s[k].argmax())
        least_s = 0.0 if remains[nearest] else -MAX_AWAY_S
        if not members[k] and (stretch.is_heard or overlap_s[k, nearest] >= least_s):
            members[k] = [nearest]
    return members


def _overlap_s(spans_s: NDArray[np.float64], stretch: Stretch) -> NDArray[np.float64]:
    """Return [D] what each span shares with a stretch, in s; below 0 how far it is away."""
    latest_start = np.maximum(spans_s[:, 0], stretch.start_s)
    return np.asarray(np.minimum(spans_s[:, 1], stretch.end_s) - latest_start)


def _with_repeats(
    made: Sequence[Decision], timed: Sequence[tuple[int, Decision]], duration_s: float
) -> tuple[Decision, ...]:
    """Return decisions with those without a span of their own before what was decided next."""
    out: list[Decision] = []
    waiting = [i for i, decision in enumerate(made) if decision.type in _WITHOUT_SPAN]
    for i, decision in timed:
        while waiting and waiting[0] < i:
            out.append(_at(made[waiting.pop(0)], decision.time_s))
        out.append(decision)
    return (*out, *(_at(made[i], duration_s) for i in waiting))
