"""A known edit of a recording as actions: what behavioural cloning and the reward learn from.

Labels come from the `Truth` for each beat. The actions keep the wanted beats and, where the
finished piece has them in another order, move them as far as the actions can; they replay
through `EditState` to that edit. What no action can say is reported, never forced.

In: `Track`, `Truth`. Out: `Demonstration`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType, Amount, Size
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditContext, EditState
from rl_editor.grid import BeatGrid
from rl_editor.spelling import ACCEPTABLE_TYPES, largest_sizes, spell
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth
from rl_editor.units import format_time

WANTED_SHARE = 0.5
"""A beat is in the edit when at least this share of it is wanted."""
SAME_PLACE_BEATS = 0.5
"""Two passages follow each other in the piece when their times agree within this many beats."""
MAX_LENGTH_ERROR_S = 0.1
"""Decoders pad compressed files by less than this; more means another recording."""
BEAM_WIDTH = 16
"""Part-spelled edits that are followed at a time; one is enough unless passages moved."""


@dataclass(frozen=True)
class Demonstration:
    """What is known about one recording, on its beats.

    Attributes:
        track: the recording.
        truth: what is known about its seconds.
        wanted: [N] share of the beat that belongs in the edit.
        confidence: [N] in [0, 1], how sure the truth is.
        material: [N] index of `Material`.
        equally_good: [N] share of the beat that is left out only because another copy is in.
        actions: replay through `EditState` to the edit.
        unexpressed: sentences about what the actions do not do.
    """

    track: Track
    truth: Truth
    wanted: NDArray[np.float64]
    confidence: NDArray[np.float64]
    material: NDArray[np.int64]
    equally_good: NDArray[np.float64]
    actions: tuple[Action, ...]
    unexpressed: tuple[str, ...]

    @property
    def keep(self) -> NDArray[np.bool_]:
        """[N] True for the beats of the edit."""
        return self.wanted >= WANTED_SHARE

    @property
    def off_beat_loss(self) -> float:
        """Seconds that whole beats add to the edit or take from it, as a share of the edit.

        0 when all cuts lie on beats; what no action can say in any order is not in it.
        """
        lengths_s = np.diff(self.track.grid.edges_s)
        wrong = np.where(self.keep, 1.0 - self.wanted, self.wanted)
        edit_s = float(self.wanted @ lengths_s)
        return float(wrong @ lengths_s) / edit_s if edit_s > 0 else 0.0


@dataclass(frozen=True)
class Passage:
    """Kept beats that follow each other in the piece as they do in the recording.

    Attributes:
        parts: half-open ranges of beats; what lies between them is cut.
        source_s, piece_s: where one and the same moment of the first beat is in the recording
            and in the piece.
        rank: rises in the order of the piece.
    """

    parts: tuple[tuple[int, int], ...]
    source_s: float
    piece_s: float
    rank: int = 0

    @property
    def start(self) -> int:
        """First beat."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """Beat after the last one."""
        return self.parts[-1][1]


def demonstrate(track: Track, truth: Truth) -> Demonstration:
    """Return the demonstration of a track whose truth is known.

    Raises:
        ValueError: the truth is about a recording of another length.
    """
    if abs(track.duration_s - truth.duration_s) > MAX_LENGTH_ERROR_S:
        raise ValueError(
            f"the truth is about {truth.duration_s:.2f} s, the track lasts {track.duration_s:.2f} s"
        )
    edges_s = track.grid.edges_s
    wanted = truth.wanted_share(edges_s)
    keep = wanted >= WANTED_SHARE
    actions, unexpressed = _actions(track.grid, truth, keep)
    return Demonstration(
        track=track,
        truth=truth,
        wanted=wanted,
        confidence=_share(truth, edges_s, (s.confidence for s in truth.segments)),
        material=truth.materials(edges_s),
        equally_good=_share(truth, edges_s, (s.equally_good for s in truth.segments)),
        actions=actions,
        unexpressed=unexpressed,
    )


def _share(truth: Truth, edges_s: NDArray[np.float64], values: Iterable[float]) -> NDArray:
    return truth.share(edges_s, np.array([float(v) for v in values]))


def _actions(
    grid: BeatGrid, truth: Truth, keep: NDArray[np.bool_]
) -> tuple[tuple[Action, ...], tuple[str, ...]]:
    """Return the actions of the edit, and sentences about what they leave undone."""
    passages = _in_piece_order(_stretches(grid, truth, keep))
    if len(passages) <= 1:
        return spell(grid, keep), ()
    state = _best_order(grid, passages)
    return state.actions, tuple(
        f"The passage from {format_time(grid.edges_s[start])} to "
        f"{format_time(grid.edges_s[end])} belongs elsewhere in the finished piece, but no action "
        "can bring it there."
        for start, end in _misplaced(state, passages)
    )


def _stretches(grid: BeatGrid, truth: Truth, keep: NDArray[np.bool_]) -> list[Passage]:
    """Return the kept stretches without a break in the recording or the piece, in its order."""
    edges_s = grid.edges_s
    starts_s = np.array([s.start_s for s in truth.segments])
    last = Passage(((-1, -1),), 0.0, -math.inf)
    stretches: list[Passage] = []
    for beat in np.flatnonzero(keep).tolist():
        start_s, end_s = edges_s.item(beat), edges_s.item(beat + 1)
        first = int(np.searchsorted(starts_s, start_s, side="right")) - 1
        past = int(np.searchsorted(starts_s, end_s, side="left"))
        source_s, piece_s = _place_in_piece(truth.segments[first:past], start_s, end_s)
        if last.end == beat:
            expected_s = last.piece_s + source_s - last.source_s
            tolerance_s = SAME_PLACE_BEATS * (end_s - start_s)
            if abs(piece_s - expected_s) <= tolerance_s:
                stretches[-1] = last = replace(last, parts=((last.start, beat + 1),))
                continue
        last = Passage(((beat, beat + 1),), source_s, piece_s)
        stretches.append(last)
    return stretches


def _place_in_piece(
    segments: Sequence[Segment], start_s: float, end_s: float
) -> tuple[float, float]:
    """Return the middle of the wanted part of a beat: in the recording and in the piece.

    `segments` are those that overlap the beat; the one that fills most of it counts.
    """

    def overlap_s(segment: Segment) -> float:
        return min(segment.end_s, end_s) - max(segment.start_s, start_s)

    segment = max((s for s in segments if s.wanted), key=overlap_s)
    middle_s = (min(segment.end_s, end_s) + max(segment.start_s, start_s)) / 2
    assert segment.piece_start_s is not None  # a `Truth` holds no wanted segment without
    return middle_s, segment.piece_start_s + middle_s - segment.start_s


def _in_piece_order(stretches: Sequence[Passage]) -> list[Passage]:
    """Return the stretches with their ranks; those that stay neighbours become one passage."""
    order = sorted(range(len(stretches)), key=lambda i: (stretches[i].piece_s, i))
    place = {i: rank for rank, i in enumerate(order)}
    passages: list[Passage] = []
    for i, stretch in enumerate(stretches):
        if i and place[i] == place[i - 1] + 1:
            passages[-1] = replace(passages[-1], parts=passages[-1].parts + stretch.parts)
        else:
            passages.append(replace(stretch, rank=place[i]))
    return passages


def _best_order(grid: BeatGrid, passages: Sequence[Passage]) -> EditState:
    """Return the finished edit whose order is nearest to the ranks, found by beam search."""
    context = EditContext.of(grid, None, EpisodeConfig())
    # Part-spelled edits by the number of passages that they have dealt with.
    beams: list[list[EditState]] = [[] for _ in range(len(passages) + 1)]
    beams[0] = [EditState.begin(context)]
    for i, passage in enumerate(passages):
        for state in _nearest(beams[i], passages):
            state = _cover(state, ActionType.CUT, Amount.NEUTRAL, passage.start)
            for n_done, following in _placements(state, passages[i : i + 2]):
                beams[i + n_done].append(following)
    finished = [_cover(s, ActionType.CUT, Amount.NEUTRAL, grid.n_beats) for s in beams[-1]]
    return _nearest(finished, passages)[0]


def _nearest(states: Sequence[EditState], passages: Sequence[Passage]) -> list[EditState]:
    """Return the states with the fewest beats out of order, then those that move the least."""

    def cost(state: EditState) -> tuple[int, int, int]:
        n_misplaced = sum(end - start for start, end in _misplaced(state, passages))
        n_moves = sum(action.type not in ACCEPTABLE_TYPES for action in state.actions)
        return n_misplaced, n_moves, len(state.actions)

    return sorted(states, key=cost)[:BEAM_WIDTH]


def _placements(state: EditState, passages: Sequence[Passage]) -> Iterator[tuple[int, EditState]]:
    """Yield each way to place the passage at the cursor, and how many passages that dealt with."""
    passage, *following = passages
    lines = state.context.lines
    yield 1, _place(state, ActionType.KEEP, Amount.NEUTRAL, passage)
    n_spans = sum(len(largest_sizes(lines, *part)) for part in passage.parts)
    for amount in np.flatnonzero(state.masks().amount[ActionType.REORDER]).tolist():
        # One span after the other at the front would turn the passage around.
        if amount != Amount.NEG_LARGE or n_spans == 1:
            yield 1, _place(state, ActionType.REORDER, Amount(amount), passage)
    if following and len(passage.parts) == len(following[0].parts) == 1:
        allowed = lines.size_allowed[passage.start, ActionType.SWAP_NEXT]
        middle, end = lines.span_end[passage.start], lines.second_end[passage.start]
        adjacent = following[0].start == passage.end
        for size in np.flatnonzero(
            allowed & adjacent & (middle == passage.end) & (end == following[0].end)
        ).tolist():
            yield 2, state.step(Action(ActionType.SWAP_NEXT, Size(size)))


def _place(state: EditState, kind: ActionType, amount: Amount, passage: Passage) -> EditState:
    """Return the state after one kind of action on all parts of a passage, cuts between them."""
    for start, end in passage.parts:
        state = _cover(state, ActionType.CUT, Amount.NEUTRAL, start)
        state = _cover(state, kind, amount, end)
    return state


def _cover(state: EditState, kind: ActionType, amount: Amount, end: int) -> EditState:
    """Return the state after actions of one kind from the cursor to beat `end`."""
    for size in largest_sizes(state.context.lines, state.cursor, end):
        state = state.step(Action(kind, size, amount))
    return state


def _misplaced(state: EditState, passages: Sequence[Passage]) -> list[tuple[int, int]]:
    """Return parts of the output outside its heaviest share that is in the right order."""
    # The right order of two parts is that of (rank of the passage, place in the passage).
    parts = [(p.rank, i, part) for p in passages for i, part in enumerate(p.parts)]
    heard = [p for span in state.spans() for p in parts if span.start <= p[2][0] < span.end]
    weight: list[int] = []  # beats of the heaviest rising share that ends with each part
    link: list[int] = []
    for i, (rank, place, (start, end)) in enumerate(heard):
        earlier = [j for j in range(i) if heard[j][:2] < (rank, place)]
        link.append(max(earlier, key=weight.__getitem__, default=-1))
        weight.append(end - start + (weight[link[i]] if earlier else 0))
    i = max(range(len(heard)), key=weight.__getitem__, default=-1)
    in_order: set[int] = set()
    while i >= 0:
        in_order.add(i)
        i = link[i]
    return [part for i, (_, _, part) in enumerate(heard) if i not in in_order]
