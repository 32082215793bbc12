"""The interpreter of actions for one edit: what each does to it, and which are allowed.

`EditState.step` returns a new state. The demonstrations, the planner and every exporter use it. Its
twin for whole batches, `edit_batch.EditBatch`, reads the same tables and is tested equal; a batch
of one would take seven times as long. `docs/actions.md` says in words what the actions do.

In: `BeatGrid`, levels [N] in dB, actions. Out: `Clip`s with hard cuts on beats, back to back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import (
    AMOUNT_EXISTS,
    LOOP_PLAYS,
    N_SIZES,
    N_TYPES,
    Action,
    ActionType,
    Amount,
    Size,
)
from rl_editor.config import EpisodeConfig
from rl_editor.edl import Clip
from rl_editor.grid import BeatGrid
from rl_editor.grid_lines import GridLines
from rl_editor.sound_table import GAIN_STEPS_PER_DB, PLAYED_SOUNDS
from rl_editor.spans import Arrangement, Sound, Span, Spans, last_beats
from rl_editor.units import SILENCE_DB, db_to_gain

MAX_MATCH_DB = 12.0
"""Most that GAIN NEUTRAL changes the level by: a larger step is a different sound, not a level
that drifted."""


class ActionMasks(NamedTuple):
    """Allowed choices, `True` = allowed: type; size given type; amount given type.

    Any allowed type with any of its sizes and any of its amounts is a legal action.

    Attributes:
        type: [20]
        size: [20, 5]
        amount: [20, 5]
    """

    type: NDArray[np.bool_]
    size: NDArray[np.bool_]
    amount: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EditContext:
    """What all states of one recording share.

    Attributes:
        lines: where spans end.
        edges_s: [N + 1] starts of all beats and the end of the file.
        power: [N] mean power of each beat, or None when levels are not known.
        n_audible: [N + 1] number of beats above silence before each one (all 0 without levels).
        episode: budgets.
    """

    lines: GridLines
    edges_s: NDArray[np.float64]
    power: NDArray[np.float64] | None
    n_audible: NDArray[np.int64]
    episode: EpisodeConfig

    @classmethod
    def of(
        cls, grid: BeatGrid, level_db: NDArray[np.floating] | None, episode: EpisodeConfig
    ) -> EditContext:
        """Return the context of a recording; `level_db` is [N], mean power of each beat in dB.

        Without levels (None) nothing can be matched to the clip before.

        Raises:
            ValueError: levels that are not finite or not one for each beat.
        """
        audible = np.zeros(grid.n_beats, dtype=bool)
        power = None
        if level_db is not None:
            level_db = np.asarray(level_db, dtype=np.float64)
            if level_db.shape != (grid.n_beats,) or not np.all(np.isfinite(level_db)):
                raise ValueError(f"level_db must hold {grid.n_beats} finite numbers, one a beat")
            audible = level_db > SILENCE_DB
            power = db_to_gain(level_db) ** 2
        n_audible = np.concatenate([[0], np.cumsum(audible)])
        return cls(GridLines.of(grid), grid.edges_s, power, n_audible, episode)

    def length_s(self, span: Span) -> float:
        """Return how long a span lasts in the output."""
        return (self.edges_s.item(span.end) - self.edges_s.item(span.start)) / span.sound.rate

    def is_audible(self, start: int, end: int) -> bool:
        """Return whether some beat of `[start, end)` has a level."""
        return self.n_audible.item(end) > self.n_audible.item(start)

    def matching_gain_db(self, before: Span, span: Span) -> float:
        """Return the gain that brings a span to the level of the one before, with its gain."""
        step_db = self._level_db(before) + before.sound.gain_db - self._level_db(span)
        limited_db = min(max(step_db, -MAX_MATCH_DB), MAX_MATCH_DB)
        return round(limited_db * GAIN_STEPS_PER_DB) / GAIN_STEPS_PER_DB

    def _level_db(self, span: Span) -> float:
        assert self.power is not None, "masks forbid matching without levels"
        edges_s = self.edges_s[span.start : span.end + 1]
        energy = float(self.power[span.start : span.end] @ np.diff(edges_s))
        return 10.0 * math.log10(energy / (edges_s[-1] - edges_s[0]))


@dataclass(frozen=True, eq=False)
class EditState:
    """An edit under way.

    Attributes:
        context: shared by all states of the recording.
        cursor: beat where the next action acts; `N` when the edit is done.
        actions: history.
        played: [N] int64, how often each source beat is in the output; read-only.
        output_s: length of the output in seconds.
        arrangement: spans so far and where they go.
        n_jumps, n_repeats: budgeted actions that were taken.
    """

    context: EditContext
    cursor: int
    actions: tuple[Action, ...]
    played: NDArray[np.int64]
    output_s: float
    arrangement: Arrangement
    n_jumps: int = 0
    n_repeats: int = 0

    @classmethod
    def start(
        cls, grid: BeatGrid, level_db: NDArray[np.floating] | None, episode: EpisodeConfig
    ) -> EditState:
        """Return the empty edit of a recording; arguments as in `EditContext.of`."""
        return cls.begin(EditContext.of(grid, level_db, episode))

    @classmethod
    def begin(cls, context: EditContext) -> EditState:
        """Return the empty edit in a context that other edits of the recording share."""
        played = np.zeros(context.lines.n_beats, dtype=np.int64)
        played.flags.writeable = False
        return cls(context, 0, (), played, 0.0, Arrangement())

    @property
    def done(self) -> bool:
        """Whether the end of the recording was reached."""
        return self.cursor >= self.context.lines.n_beats

    def spans(self) -> Spans:
        """Return the output in beats of the source, as if the edit ended here."""
        return self.arrangement.ended()

    def clips(self) -> tuple[Clip, ...]:
        """Return the output as clips with hard cuts on beats, back to back.

        Times are not on whole samples yet (`edl.back_to_back` and `joins` do that).
        """
        clips, position_s = [], 0.0
        for span in self.spans():
            length_s = self.context.length_s(span)
            clips.append(_clip(span, self.context.edges_s, position_s, length_s))
            position_s += length_s
        return tuple(clips)

    def masks(self) -> ActionMasks:
        """Return which choices are allowed; all are False when the edit is done."""
        if self.done:
            none = np.zeros((N_TYPES, N_SIZES), dtype=bool)
            return ActionMasks(np.zeros(N_TYPES, dtype=bool), none, none.copy())
        size = self.context.lines.size_allowed[self.cursor].copy()
        amount = AMOUNT_EXISTS.copy()
        if self.n_jumps >= self.context.episode.jump_budget:
            size[ActionType.JUMP_BACK] = False
        if self.n_repeats >= self.context.episode.repeat_budget:
            size[ActionType.REPEAT_PREV] = False
        else:
            n_span = self.context.lines.span_end[self.cursor] - self.cursor
            size[ActionType.REPEAT_PREV] &= n_span <= self.arrangement.n_placed
        if not self.arrangement.placed:
            amount[ActionType.REORDER, : Amount.NEUTRAL] = False
        if not self._level_can_match():
            amount[ActionType.GAIN, Amount.NEUTRAL] = False
        return ActionMasks(size.any(axis=1), size, amount)

    def step(self, action: Action | tuple[int, int, int]) -> EditState:
        """Return the state after one action.

        Raises:
            ValueError: the action is not allowed here; says why.
        """
        action = Action(ActionType(action[0]), Size(action[1]), Amount(action[2]))
        problem = self._problem(action)
        if problem is not None:
            spelled = f"{action.type.name} {action.size.name} {action.amount.name}"
            raise ValueError(f"{spelled} is not allowed at beat {self.cursor}: {problem}")
        return _INTERPRETERS[action.type](self, action)

    def _problem(self, action: Action) -> str | None:
        """Return why an action is not allowed, or None; the same rules as `masks`."""
        kind, size, amount = action
        lines, budget = self.context.lines, self.context.episode
        if self.done:
            return "the end of the recording was reached"
        if not AMOUNT_EXISTS[kind, amount]:
            return "the type has no such amount"
        if not lines.size_allowed[self.cursor, kind, size]:
            return "the size leads nowhere that a smaller one does not"
        if kind == ActionType.JUMP_BACK and self.n_jumps >= budget.jump_budget:
            return f"all {budget.jump_budget} jumps are spent"
        if kind == ActionType.REPEAT_PREV:
            if self.n_repeats >= budget.repeat_budget:
                return f"all {budget.repeat_budget} repeats are spent"
            if self.span_end(size) - self.cursor > self.arrangement.n_placed:
                return f"the output has only {self.arrangement.n_placed} beats"
        elif kind == ActionType.REORDER:
            if amount < Amount.NEUTRAL and not self.arrangement.placed:
                return "there is no clip before"
        elif kind == ActionType.GAIN and amount == Amount.NEUTRAL and not self._level_can_match():
            return "there is no level to match"
        return None

    def span_end(self, size: Size) -> int:
        """Return the beat where a span of this size ends that begins at the cursor."""
        return self.context.lines.span_end.item(self.cursor, size)

    def _level_can_match(self) -> bool:
        """Return whether the last clip and the beat at the cursor both have a level."""
        placed = self.arrangement.placed
        return (
            bool(placed)
            and self.context.is_audible(placed[-1].start, placed[-1].end)
            and self.context.is_audible(self.cursor, self.cursor + 1)
        )

    def _after(
        self, action: Action, cursor: int, arrangement: Arrangement, heard: Spans
    ) -> EditState:
        """Return the next state; `heard` are the spans that the action adds to the output."""
        played, output_s = self.played, self.output_s
        if heard:
            played = played.copy()
            for span in heard:
                played[span.start : span.end] += 1
                output_s += self.context.length_s(span)
            played.flags.writeable = False
        return EditState(
            self.context,
            cursor,
            (*self.actions, action),
            played,
            output_s,
            arrangement,
            self.n_jumps + (action.type == ActionType.JUMP_BACK),
            self.n_repeats + (action.type == ActionType.REPEAT_PREV),
        )

    def _playing(self, action: Action, cursor: int, heard: Spans) -> EditState:
        """Return the next state when the action plays spans one after the other."""
        arrangement = self.arrangement
        for span in heard:
            arrangement = arrangement.play(span)
        return self._after(action, cursor, arrangement, heard)


def _clip(
    span: Span, edges_s: NDArray[np.float64], timeline_start_s: float, length_s: float
) -> Clip:
    processing = span.sound._asdict()
    fade_in, fade_out = processing.pop("fade_in"), processing.pop("fade_out")
    return Clip(
        source_start_s=edges_s.item(span.start),
        source_end_s=edges_s.item(span.end),
        timeline_start_s=timeline_start_s,
        fade_in_s=length_s if fade_in else 0.0,
        fade_out_s=length_s if fade_out else 0.0,
        fade_in_curve=fade_in or "linear",
        fade_out_curve=fade_out or "linear",
        **processing,
    )


def _play(state: EditState, action: Action) -> EditState:
    end = state.span_end(action.size)
    span = Span(state.cursor, end, PLAYED_SOUNDS[action.type][action.amount])
    if action.type == ActionType.GAIN and action.amount == Amount.NEUTRAL:
        gain_db = state.context.matching_gain_db(state.arrangement.placed[-1], span)
        span = Span(state.cursor, end, Sound(gain_db=gain_db))
    return state._playing(action, end, (span,))


def _leave_out(state: EditState, action: Action) -> EditState:
    return state._after(action, state.span_end(action.size), state.arrangement, ())


def _skip(state: EditState, action: Action) -> EditState:
    end = state.context.lines.second_end.item(state.cursor, action.size)
    return state._after(action, end, state.arrangement, ())


def _loop(state: EditState, action: Action) -> EditState:
    end, plays = state.span_end(action.size), LOOP_PLAYS[action.amount]
    assert plays is not None, "masks forbid a loop without plays"
    return state._playing(action, end, (Span(state.cursor, end),) * plays)


def _reorder(state: EditState, action: Action) -> EditState:
    span = Span(state.cursor, state.span_end(action.size))
    put = _REORDER_TO[action.amount]
    return state._after(action, span.end, put(state.arrangement, span), (span,))


def _jump_back(state: EditState, action: Action) -> EditState:
    lines = state.context.lines
    table = lines.back_to if action.amount == Amount.NEG_SMALL else lines.second_back_to
    target = table.item(state.cursor, action.size)
    return state._after(action, target, state.arrangement, ())


def _repeat_previous(state: EditState, action: Action) -> EditState:
    n_beats = state.span_end(action.size) - state.cursor
    return state._playing(action, state.cursor, last_beats(state.arrangement.placed, n_beats))


def _swap_next(state: EditState, action: Action) -> EditState:
    middle = state.span_end(action.size)
    end = state.context.lines.second_end.item(state.cursor, action.size)
    return state._playing(action, end, (Span(middle, end), Span(state.cursor, middle)))


_REORDER_TO: dict[Amount, Callable[[Arrangement, Span], Arrangement]] = {
    Amount.NEG_LARGE: Arrangement.put_first,
    Amount.NEG_SMALL: Arrangement.put_before_last,
    Amount.NEUTRAL: Arrangement.put_after_next,
    Amount.POS_LARGE: Arrangement.put_last,
}

_INTERPRETERS: dict[ActionType, Callable[[EditState, Action], EditState]] = {
    **dict.fromkeys(PLAYED_SOUNDS, _play),
    ActionType.CUT: _leave_out,
    ActionType.SKIP: _skip,
    ActionType.LOOP: _loop,
    ActionType.REORDER: _reorder,
    ActionType.JUMP_BACK: _jump_back,
    ActionType.REPEAT_PREV: _repeat_previous,
    ActionType.SWAP_NEXT: _swap_next,
}
