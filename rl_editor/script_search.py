"""Actions that replay to a script: the fewest steps out of its order, found by beam search.

Passages that are played in the order of the recording need no search. Others are moved as they
come (REORDER, SWAP_NEXT), or left for later and gone back to (JUMP_BACK); what is heard again
is a LOOP, a REPEAT_PREV or gone back to as well. Budgets and masks are the interpreter's.

In: `EditContext`, the `Part`s of a script. Out: the finished `EditState`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rl_editor.actions import LOOP_PLAYS, Action, ActionType, Amount, Size
from rl_editor.beat_script import Part
from rl_editor.edit_state import EditContext, EditState
from rl_editor.spans import Span, last_beats
from rl_editor.spelling import largest_sizes

BEAM_WIDTH = 12
"""Part-spelled edits that are followed at a time."""
ALTERED_COST, MISSING_COST = 0.5, 2.0
"""Of a beat in its place without its effect, and of one that is not heard; one that is heard out
of its place costs 1."""
_MOVES = {
    ActionType.REORDER: 1,
    ActionType.SWAP_NEXT: 1,
    ActionType.REPEAT_PREV: 2,
    ActionType.JUMP_BACK: 2,
}
"""Price of a move where several lead to the same order; those with a budget cost more."""


@dataclass(frozen=True)
class Run:
    """Parts that follow each other in the output as they do in the recording.

    Attributes:
        parts: what lies between them is cut.
        rank: rises in the order of the output.
    """

    parts: tuple[Part, ...]
    rank: int

    @property
    def start(self) -> int:
        """First beat."""
        return self.parts[0].start

    @property
    def end(self) -> int:
        """Beat after the last one."""
        return self.parts[-1].end

    @property
    def n_beats(self) -> int:
        """Beats heard."""
        return sum(part.n_beats for part in self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether all of it is heard as it is, once."""
        return all(part.is_plain for part in self.parts)

    @property
    def can_move(self) -> bool:
        """Whether all of it can be heard as it is, if need be without its effects."""
        return all(part.plays == 1 and part.sound.steady for part in self.parts)


class _Node(NamedTuple):
    """A part-spelled edit.

    Attributes:
        state: so far.
        done: bits of the runs that were dealt with.
        n_missing: beats of runs that were given up.
        n_altered: beats that were moved and so lost their effect.
    """

    state: EditState
    done: int = 0
    n_missing: int = 0
    n_altered: int = 0

    def after(self, state: EditState, *indices: int) -> _Node:
        """Return the node after runs were played."""
        return self._replace(state=state, done=self.done | sum(1 << i for i in indices))


def spell_script(context: EditContext, parts: Sequence[Part]) -> EditState:
    """Return the finished edit that is nearest to playing `parts`, which are in output order."""
    parts = [part for run in with_loops(context, divided(parts)) for part in run]
    runs = in_runs(parts)
    if len(runs) <= 1:
        state = EditState.begin(context)
        for run in runs:
            state = _play(state, run)
        return _leave_out(state, context.lines.n_beats)
    return _search(context, runs)


def divided(parts: Sequence[Part]) -> list[Part]:
    """Return the parts, divided so that two of them are the same beats or share none."""
    lines = sorted({line for part in parts for line in (part.start, part.end)})
    atoms = []
    for part in parts:
        if part.is_whole:
            atoms.append(part)
            continue
        inside = [line for line in lines if part.start < line < part.end]
        for start, end in pairwise([part.start, *inside, part.end]):
            atoms.append(part._replace(start=start, end=end))
    return atoms


def with_loops(context: EditContext, parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield the parts, those that one LOOP plays as one."""
    longest = max(plays for plays in LOOP_PLAYS if plays is not None)
    first = 0
    while first < len(parts):
        part, last = parts[first], first + 1
        if part.is_plain and np.any(context.lines.span_end[part.start] == part.end):
            while last < len(parts) and parts[last] == part and last - first < longest:
                last += 1
        if last - first > 1:
            plays = last - first
            amount = Amount(LOOP_PLAYS.index(plays))
            yield [part._replace(kind=ActionType.LOOP, amount=amount, plays=plays)]
        else:
            yield [part]
        first = last


def in_runs(parts: Sequence[Part]) -> list[Run]:
    """Return the runs of a script in the order of the recording."""
    order = sorted(range(len(parts)), key=lambda rank: (parts[rank].start, rank))
    runs: list[Run] = []
    for before, rank in zip([None, *order], order, strict=False):
        part = parts[rank]
        if before is None or rank != before + 1 or part.start < parts[before].end:
            runs.append(Run((part,), rank))
        elif part.continues(runs[-1].parts[-1]):
            last = runs[-1].parts[-1]._replace(end=part.end)
            runs[-1] = Run((*runs[-1].parts[:-1], last), runs[-1].rank)
        else:
            runs[-1] = Run((*runs[-1].parts, part), runs[-1].rank)
    return runs


def _search(context: EditContext, runs: Sequence[Run]) -> EditState:
    # Part-spelled edits by the number of runs that they have dealt with.
    beams: list[list[_Node]] = [[] for _ in range(len(runs) + 1)]
    beams[0] = [_Node(EditState.begin(context))]
    by_rank = sorted(range(len(runs)), key=lambda i: runs[i].rank)
    first_runs = 0
    for n_done, beam in enumerate(beams[:-1]):
        nodes = _nearest(beam, runs)
        # Never lost: who has played the runs in their order so far can always jump to the next.
        in_order = [node for node in nodes[BEAM_WIDTH:] if node.done == first_runs]
        first_runs |= 1 << by_rank[n_done]
        for node in (*nodes[:BEAM_WIDTH], *in_order[:1]):
            for following in _followers(node, runs):
                beams[n_done + (following.done ^ node.done).bit_count()].append(following)
        beam.clear()
    ends = [
        node._replace(state=_leave_out(node.state, context.lines.n_beats)) for node in beams[-1]
    ]
    return _nearest(ends, runs)[0].state


def _nearest(nodes: Sequence[_Node], runs: Sequence[Run]) -> list[_Node]:
    """Return the nodes with the fewest beats out of order, then those that move the least."""

    def cost(node: _Node) -> tuple[float, int, int]:
        actions = node.state.actions
        moves = sum(_MOVES.get(action.type, 0) for action in actions)
        n_misplaced = misplaced_beats(node.state, node.done, runs)
        wrong = n_misplaced + ALTERED_COST * node.n_altered + (MISSING_COST - 1) * node.n_missing
        return wrong, moves, len(actions)

    best: dict[tuple, tuple[tuple[float, int, int], _Node]] = {}
    for node in nodes:
        key = (node.done, node.state.cursor, node.state.arrangement)
        priced = (cost(node), node)
        if key not in best or priced[0] < best[key][0]:
            best[key] = priced
    return [node for _, node in sorted(best.values(), key=lambda pair: pair[0])]


def misplaced_beats(state: EditState, done: int, runs: Sequence[Run]) -> int:
    """Return the beats of the runs dealt with that are not in the heaviest part in order."""
    # Of parts with the same beats only one is this one: falling ranks cannot both count.
    parts = sorted(
        (part.start, -(run.rank + place), part.n_beats, part.sound.reverse)
        for i, run in enumerate(runs)
        if done >> i & 1
        for place, part in enumerate(run.parts)
    )
    heard: list[tuple[int, int]] = []  # rank, beats
    for span in state.spans():
        first, last = (bisect_left(parts, (line,)) for line in (span.start, span.end))
        heard += [
            (-minus_rank, n_beats)
            for _, minus_rank, n_beats, reverse in parts[first:last]
            if reverse == span.sound.reverse
        ]
    best = np.zeros(1 - min((part[1] for part in parts), default=0), dtype=np.int64)  # by rank
    for rank, n_beats in heard:
        best[rank] = max(best[rank], n_beats + best[:rank].max(initial=0))
    dealt = sum(run.n_beats for i, run in enumerate(runs) if done >> i & 1)
    return dealt - int(best.max())


def _followers(node: _Node, runs: Sequence[Run]) -> Iterator[_Node]:
    """Yield each way to deal with a run next."""
    left = [i for i in range(len(runs)) if not node.done >> i & 1]
    first = min(left, key=lambda i: runs[i].rank)
    ahead = [i for i in left if runs[i].start >= node.state.cursor]
    if node.state.done or first not in ahead:
        given_up = node.after(node.state, first)
        yield given_up._replace(n_missing=node.n_missing + runs[first].n_beats)
    if node.state.done:
        return
    if ahead:
        yield from _placed(node, runs, ahead)
    if first in ahead[1:]:
        yield node.after(_play(node.state, runs[first]), first)
    short = _short_of_the_end(node.state.context, runs[first])
    if short is not None and first in ahead and len(left) > 1:
        shortened = node.after(_play(node.state, short), first)
        yield shortened._replace(n_missing=node.n_missing + 1)
    again = _repeated(node.state, runs[first])
    if again is not None:
        yield node.after(again, first)
    if first not in ahead:
        back = _gone_back(node.state, runs[first].start)
        if back is not None:
            yield node.after(_play(back, runs[first]), first)


def _short_of_the_end(context: EditContext, run: Run) -> Run | None:
    """Return a run that ends with the recording, without its last beat.

    Nobody can go back from the recording's end, since there the edit is finished.
    """
    last = run.parts[-1]
    if run.end < context.lines.n_beats or last.is_whole or last.n_beats == 1:
        return None
    return Run((*run.parts[:-1], last._replace(end=last.end - 1)), run.rank)


def _placed(node: _Node, runs: Sequence[Run], ahead: Sequence[int]) -> Iterator[_Node]:
    """Yield each way to place the next run of the recording, alone or with the one after it."""
    index = ahead[0]
    run, lines = runs[index], node.state.context.lines
    yield node.after(_play(node.state, run), index)
    if not run.can_move:
        return
    n_altered = sum(part.n_beats for part in run.parts if not part.is_plain)
    state = _leave_out(node.state, run.start)
    n_spans = sum(len(largest_sizes(lines, part.start, part.end)) for part in run.parts)
    for amount in np.flatnonzero(state.masks().amount[ActionType.REORDER]).tolist():
        # One span after the other at the front would turn the passage around.
        if amount != Amount.NEG_LARGE or n_spans == 1:
            moved = node.after(_play(state, run, ActionType.REORDER, Amount(amount)), index)
            yield moved._replace(n_altered=node.n_altered + n_altered)
    if len(ahead) > 1 and len(run.parts) == 1 and run.is_plain:
        swapped = _swapped(state, run, runs[ahead[1]])
        if swapped is not None:
            yield node.after(swapped, index, ahead[1])


def _swapped(state: EditState, run: Run, following: Run) -> EditState | None:
    """Return the state after two neighbours of one size changed places, or None."""
    if not following.is_plain or len(following.parts) > 1 or following.start != run.end:
        return None
    lines = state.context.lines
    fits = lines.span_end[run.start] == run.end
    fits &= lines.second_end[run.start] == following.end
    fits &= lines.size_allowed[run.start, ActionType.SWAP_NEXT]
    if not fits.any():
        return None
    return state.step(Action(ActionType.SWAP_NEXT, Size(int(np.argmax(fits)))))


def _repeated(state: EditState, run: Run) -> EditState | None:
    """Return the state after the end of the output was played again, if that is the run."""
    masks = state.masks()
    for size in np.flatnonzero(masks.size[ActionType.REPEAT_PREV]).tolist():
        n_beats = state.span_end(Size(size)) - state.cursor
        wanted = tuple(
            Span(part.start, part.end, part.sound) for part in run.parts for _ in range(part.plays)
        )
        if last_beats(state.arrangement.placed, n_beats) == wanted:
            return state.step(Action(ActionType.REPEAT_PREV, Size(size)))
    return None


def _gone_back(state: EditState, target: int) -> EditState | None:
    """Return the state after the fewest jumps to `target` or before it, or None without budget."""
    while state.cursor > target:
        masks, lines = state.masks(), state.context.lines
        landings = [
            (int(table[state.cursor, size]), size, amount)
            for amount, table in (
                (Amount.NEG_SMALL, lines.back_to),
                (Amount.NEG_LARGE, lines.second_back_to),
            )
            for size in np.flatnonzero(masks.size[ActionType.JUMP_BACK]).tolist()
        ]
        if not landings:
            return None
        reaching = [landing for landing in landings if landing[0] <= target]
        _, size, amount = max(reaching, key=lambda x: x[0]) if reaching else min(landings)
        state = state.step(Action(ActionType.JUMP_BACK, Size(size), amount))
    return state


def _play(
    state: EditState,
    run: Run,
    kind: ActionType | None = None,
    amount: Amount = Amount.NEUTRAL,
) -> EditState:
    """Return the state after a run was played, by its own actions or all by one other kind."""
    for part in run.parts:
        state = _leave_out(state, part.start)
        if kind is not None:
            state = _cover(state, kind, amount, part.end)
        elif part.is_matched and not state.masks().amount[part.kind, part.amount]:
            state = _cover(state, ActionType.KEEP, Amount.NEUTRAL, part.end)
        else:
            state = _cover(state, part.kind, part.amount, part.end)
    return state


def _cover(state: EditState, kind: ActionType, amount: Amount, end: int) -> EditState:
    """Return the state after actions of one kind from the cursor to beat `end`."""
    for size in largest_sizes(state.context.lines, state.cursor, end):
        state = state.step(Action(kind, size, amount))
    return state


def _leave_out(state: EditState, end: int) -> EditState:
    """Return the state after cuts from the cursor to beat `end`, skips where they reach farther."""
    lines = state.context.lines
    while state.cursor < end:
        best = max(
            (
                (int(reach), kind == ActionType.CUT, -size, kind, size)
                for kind, table in (
                    (ActionType.CUT, lines.span_end),
                    (ActionType.SKIP, lines.second_end),
                )
                for size, reach in enumerate(table[state.cursor].tolist())
                if reach <= end and lines.size_allowed[state.cursor, kind, size]
            )
        )
        state = state.step(Action(best[3], Size(best[4])))
    return state
