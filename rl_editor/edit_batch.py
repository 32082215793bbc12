"""The interpreter of actions for whole batches: many edits under way, stepped at once as arrays.

What an action does is said by the tables of `sound_table`, `grid_lines` and `actions`, which
`edit_state.EditState` reads too. That one steps a single edit, immutably, seven times as fast as a
batch of one would; this one steps a thousand in the time of forty. Tests hold the two equal on
random actions of all types: spans, clips, masks, lengths and refusals.

Rows are grouped by what their actions have in common (playing a span, waiting spans, insertions),
so the number of NumPy calls does not grow with the number of edits.

Shapes: `E` edits, `R` rows of them, `M` rows of the tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import (
    AMOUNT_EXISTS,
    LOOP_PLAYS,
    N_AMOUNTS,
    N_SIZES,
    N_TYPES,
    Action,
    ActionType,
    Amount,
    Size,
)
from rl_editor.batch_arrangement import BatchArrangement, span_array
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import MAX_MATCH_DB, ActionMasks, EditContext, EditState
from rl_editor.edit_tables import N_PLACES, PLACE_OF, SPAN_END, EditTables
from rl_editor.heard_beats import HeardBeats, LaterCopies
from rl_editor.sound_table import GAIN_OF, GAIN_STEPS_PER_DB, RATE, REVERSE, SOUND_OF
from rl_editor.span_lists import END, GAIN, NOTHING, SOUND, START, Rows, SpanArray, as_items, ranges

FIRST_STEPS = 64
"""Actions of history that a batch has room for at first."""

_LEAVES_OUT = [ActionType.CUT, ActionType.SKIP, ActionType.JUMP_BACK]
HEARD: NDArray[np.int64] = np.ones((N_TYPES, N_AMOUNTS), dtype=np.int64)
"""[20, 5] how often the beats up to the new cursor are heard."""
HEARD[[*_LEAVES_OUT, ActionType.REPEAT_PREV]] = 0
HEARD[ActionType.LOOP] = [plays or 0 for plays in LOOP_PLAYS]
PLACED: NDArray[np.int64] = HEARD.copy()
"""[20, 5] how often they take their place in the output at once; for REPEAT_PREV, its beats."""
PLACED[ActionType.REPEAT_PREV] = 1
PLACED[ActionType.REORDER, [Amount.NEUTRAL, Amount.POS_LARGE]] = 0
_PLAYS_NEXT: NDArray[np.bool_] = np.ones(N_TYPES, dtype=bool)
"""[20] types whose first span comes next in the output."""
_PLAYS_NEXT[[*_LEAVES_OUT, ActionType.REORDER]] = False
_PLACE_STEP = PLACE_OF * N_SIZES
_RATE_OF = RATE.take(SOUND_OF)
"""[20, 5] speed at which an action plays its span."""
_SHAPE = (N_TYPES, N_SIZES, N_AMOUNTS)
_LIMITS = np.array(_SHAPE, dtype=np.uint64)[:, None]
_DECODED = np.stack(np.unravel_index(np.arange(math.prod(_SHAPE)), _SHAPE), axis=1)
# As plain integers, with which NumPy compares several times as fast as with enumerations.
_KEEP, _JUMP_BACK = int(ActionType.KEEP), int(ActionType.JUMP_BACK)
_REPEAT_PREV, _SWAP_NEXT = int(ActionType.REPEAT_PREV), int(ActionType.SWAP_NEXT)
_FIRST, _BEFORE_LAST, _AFTER_NEXT, _AT_END = (
    ActionType.REORDER * N_AMOUNTS + int(amount)
    for amount in (Amount.NEG_LARGE, Amount.NEG_SMALL, Amount.NEUTRAL, Amount.POS_LARGE)
)
_MATCH = ActionType.GAIN * N_AMOUNTS + int(Amount.NEUTRAL)
_FIRST_LOOP, _LAST_LOOP = (ActionType.LOOP * N_AMOUNTS + a for a in (0, N_AMOUNTS - 1))


def _amount_masks() -> NDArray[np.bool_]:
    """Return [5, 20, 5] amounts by whether a clip is placed and a level matches; then none."""
    masks = np.repeat(AMOUNT_EXISTS[None], 5, axis=0)
    masks[[0, 1], ActionType.REORDER, : Amount.NEUTRAL] = False
    masks[[0, 2], ActionType.GAIN, Amount.NEUTRAL] = False
    masks[4] = False
    return masks


_AMOUNT_MASKS = _amount_masks()


class EditBatch:
    """`E` edits under way.

    Attributes:
        tables: of the recordings.
        recording: [E] int64, which of them each edit is of.
        cursor: [E] int64, beat where the next action acts; `N` when the edit is done.
        row: [E] int64, row of the tables that the cursor is at.
        output_s: [E] float64, length of the output.
        n_steps, n_jumps, n_repeats: [E] int64, actions so far, and the budgeted ones.
        arrangement: what the edits play so far.
        heard: which beats of the source they play.
        last: [E, 4] the last placed span of each.
    """

    def __init__(
        self,
        contexts: Sequence[EditContext],
        episode: EpisodeConfig,
        n_edits: int,
        copies: LaterCopies | None = None,
    ) -> None:
        """Set up `n_edits` edits of the first recording; `begin` starts others.

        `copies` are those that `heard` can be asked for; without them it knows of none.
        """
        self.tables = EditTables.of(contexts, episode)
        self._contexts = contexts
        self._all = np.arange(n_edits)
        self._n_beats = np.zeros(n_edits, dtype=np.int64)
        self._counts = np.zeros((4, n_edits), dtype=np.int64)
        self.cursor, self.n_steps, self.n_jumps, self.n_repeats = self._counts
        self.recording, self.row = np.zeros((2, n_edits), dtype=np.int64)
        self.output_s = np.zeros(n_edits)
        self.arrangement = BatchArrangement(n_edits)
        self.last = np.empty((n_edits, 4), dtype=np.int32)
        self._history = np.zeros((n_edits, FIRST_STEPS), dtype=np.int16)
        copies = copies or LaterCopies.none(len(self.tables.edges_s))
        self.heard = HeardBeats(n_edits, int(self.tables.n_beats.max()), copies)
        self.begin(self._all, np.zeros(n_edits, dtype=np.int64))

    @property
    def done(self) -> NDArray[np.bool_]:
        """[E] whether the end of the recording was reached."""
        return self.cursor >= self._n_beats

    def begin(self, rows: Rows, recordings: NDArray[np.int64]) -> None:
        """Start empty edits of some recordings [R] in some rows [R]."""
        self.heard.clear(rows, int(self._n_beats[rows].max(initial=0)))
        self.recording[rows] = recordings
        self.row[rows] = self.tables.first_row.take(recordings)
        self._n_beats[rows] = self.tables.n_beats.take(recordings)
        self._counts[:, rows] = 0
        self.output_s[rows] = 0.0
        self.arrangement.clear(rows)
        self.last[rows] = NOTHING
        self._masks: ActionMasks | None = None

    def masks(self) -> ActionMasks:
        """Return [E, ...] which choices are allowed, none where an edit is done; read only."""
        if self._masks is None:
            self._masks = self._find_masks()
        return self._masks

    def step(self, actions: NDArray[np.integer]) -> None:
        """Act in every edit.

        Args:
            actions: [E, 3] type, size, amount.

        Raises:
            ValueError: one of them is not allowed; says why.
        """
        actions = np.asarray(actions, dtype=np.int64)
        self._check(actions)
        kind, size, amount = actions.T.copy()
        choice = kind * N_AMOUNTS + amount
        place = self.row * (N_PLACES * N_SIZES) + size
        span_end = self.tables.place.take(place + SPAN_END * N_SIZES)
        following = self.tables.place.take(place + _PLACE_STEP.take(choice))
        self._arrange(choice, span_end, following)
        self._hear(choice, following.astype(np.int64))
        self._remember((kind * N_SIZES + size) * N_AMOUNTS + amount)
        self.n_jumps += kind == _JUMP_BACK
        self.n_repeats += kind == _REPEAT_PREV
        self.row += following - self.cursor
        self.cursor[:] = following
        self.last = self.arrangement.lists.last(self._all)
        self._masks = None

    def history(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ([R] numbers of actions, [A, 3] the actions of some edits, edit by edit)."""
        counts = self.n_steps[rows]
        codes = self._history.reshape(-1)[ranges(rows * self._history.shape[1], counts)]
        return counts, _DECODED.take(codes, axis=0)

    def state(self, row: int) -> EditState:
        """Return one edit as an immutable state of its own."""
        played = np.zeros(self.tables.n_beats[self.recording[row]], dtype=np.int64)
        arrangement = self.arrangement.of(row)
        waiting = (w.span for w in arrangement.waiting)
        for span in (*arrangement.placed, *waiting, *arrangement.tail):
            played[span.start : span.end] += 1
        played.flags.writeable = False
        actions = self.history(np.array([row]))[1].tolist()
        return EditState(
            self._contexts[self.recording[row]],
            int(self.cursor[row]),
            tuple(Action(ActionType(t), Size(s), Amount(a)) for t, s, a in actions),
            played,
            float(self.output_s[row]),
            arrangement,
            int(self.n_jumps[row]),
            int(self.n_repeats[row]),
        )

    def _find_masks(self) -> ActionMasks:
        tables, episode = self.tables, self.tables.episode
        n_placed = self.arrangement.n_placed
        no_repeats = (self.n_repeats >= episode.repeat_budget) | (n_placed == 0)
        without = 2 * no_repeats + (self.n_jumps >= episode.jump_budget)
        pattern = tables.pattern.take(self.row) + tables.n_patterns * without
        type_mask = tables.type_pattern.take(pattern, axis=0)
        size_mask = tables.size_pattern.take(pattern, axis=0)
        short = ((n_placed < tables.longest_span.take(self.row)) & ~no_repeats).nonzero()[0]
        if len(short):
            fits = tables.n_span.take(self.row.take(short), axis=0)
            fits = fits <= n_placed.take(short)[:, None]
            size_mask[short, _REPEAT_PREV] &= fits
            # The shortest span fits first, and BEAT is allowed wherever any size is.
            type_mask[short, _REPEAT_PREV] &= fits[:, 0]
        which = 2 * (self.arrangement.n_clips > 0) + self._can_match()
        which[~type_mask[:, _KEEP]] = 4
        return ActionMasks(type_mask, size_mask, _AMOUNT_MASKS.take(which, axis=0))

    def _can_match(self) -> NDArray[np.bool_]:
        """Return [E] whether the last placed clip and the beat at the cursor both have a level."""
        first = self.row - self.cursor
        start = self.tables.n_audible.take(first + self.last[:, START])
        end = self.tables.n_audible.take(first + self.last[:, END])
        return (end > start) & self.tables.audible.take(self.row)

    def _check(self, actions: NDArray[np.integer]) -> None:
        if actions.shape != (len(self.row), 3):
            raise ValueError(
                f"{len(self.row)} actions of 3 numbers are needed, not {actions.shape}"
            )
        allowed = choices_allowed(self.masks(), actions)
        if not allowed.all():
            row = int(np.argmin(allowed))
            self.state(row).step(tuple(actions[row].tolist()))
            raise AssertionError(f"the interpreters disagree on {actions[row]}")

    def _arrange(
        self, choice: NDArray[np.int64], span_end: NDArray[np.int32], following: NDArray[np.int32]
    ) -> None:
        """Put the spans of all actions where they belong."""
        kind, arrangement = choice // N_AMOUNTS, self.arrangement
        spans = span_array(self.cursor, span_end, SOUND_OF.take(choice), GAIN_OF.take(choice))
        matched = (choice == _MATCH).nonzero()[0]
        if len(matched):
            spans[matched, GAIN] = self._matching_gain(matched, spans.take(matched, axis=0))
        self._reorder(choice, spans)
        swapped = (kind == _SWAP_NEXT).nonzero()[0]
        earlier = spans.take(swapped, axis=0)
        spans[swapped, START], spans[swapped, END] = span_end[swapped], following[swapped]
        repeating = (kind == _REPEAT_PREV).nonzero()[0]
        counts, pieces = self._last_beats(repeating, span_end[repeating])
        first = counts.cumsum() - counts
        as_items(spans)[repeating] = as_items(pieces)[first]
        looped = ((choice >= _FIRST_LOOP) & (choice <= _LAST_LOOP)).nonzero()[0]
        before = (choice == _BEFORE_LAST).nonzero()[0]
        last = arrangement.take_last(before)
        at_end = (choice == _AT_END).nonzero()[0]
        playing = _PLAYS_NEXT.take(kind).nonzero()[0]
        lists = np.concatenate([playing, before, arrangement.tail + at_end])
        rows = np.concatenate([playing, before, at_end])
        arrangement.play(lists, spans.take(rows, axis=0), len(playing))
        several = (counts > 1).nonzero()[0]
        rows = np.concatenate([looped, swapped, repeating[several], before])
        loops = spans.take(looped, axis=0)
        second = np.concatenate([loops, earlier, pieces[first[several] + 1], last])
        arrangement.play(rows, second, len(rows) - len(before))
        self._extend(looped, HEARD.take(choice[looped]) - 2, loops, repeating, counts, pieces)
        n_beats = np.where(kind == _REPEAT_PREV, span_end, following) - self.cursor
        arrangement.n_placed += PLACED.take(choice) * n_beats

    def _reorder(self, choice: NDArray[np.int64], spans: SpanArray) -> None:
        """Put spans to the front of the output, or where they wait for the end of a clip."""
        first, after = (choice == _FIRST).nonzero()[0], (choice == _AFTER_NEXT).nonzero()[0]
        lists, waiting = self.arrangement.lists, self.arrangement.waiting
        if len(first):
            lists.insert_first(first, spans.take(first, axis=0))
        if len(after):
            lists.push(waiting + after, spans.take(after, axis=0))

    def _extend(
        self,
        looped: Rows,
        plays: NDArray[np.int64],
        loops: SpanArray,
        repeating: Rows,
        counts: NDArray[np.int64],
        pieces: SpanArray,
    ) -> None:
        """Play what comes behind the second span of loops and repeats.

        Nothing of it is joined or released: the second span released all that waited, a loop
        never continues itself, and a placed span never continues the one before it.
        """
        order = np.arange(len(pieces)) - (counts.cumsum() - counts).repeat(counts)
        self.arrangement.lists.extend(
            np.concatenate([looped, repeating]),
            np.concatenate([plays, np.maximum(counts - 2, 0)]),
            np.concatenate([loops.repeat(plays, axis=0), pieces.compress(order > 1, axis=0)]),
        )

    def _matching_gain(self, rows: Rows, spans: SpanArray) -> NDArray[np.int64]:
        """Return [R] the gain that brings spans to the level of the one before, as it is heard."""
        before = self.last[rows]
        both = self._level_db(np.concatenate([rows, rows]), np.concatenate([before, spans]))
        step_db = both[: len(rows)] - both[len(rows) :]
        step_db += before[:, GAIN] / GAIN_STEPS_PER_DB
        limited_db = np.minimum(np.maximum(step_db, -MAX_MATCH_DB), MAX_MATCH_DB)
        return np.rint(limited_db * GAIN_STEPS_PER_DB).astype(np.int64)

    def _level_db(self, rows: Rows, spans: SpanArray) -> NDArray[np.float64]:
        """Return [R] the mean power of source spans over time, in dB."""
        first = self.row[rows] - self.cursor[rows]
        start, end = first + spans[:, START], first + spans[:, END]
        offsets = (end - start).cumsum() - (end - start)
        beats = ranges(start, end - start)
        energy = np.add.reduceat(self.tables.energy.take(beats), offsets)
        length_s = self.tables.edges_s.take(end) - self.tables.edges_s.take(start)
        return 10.0 * np.log10(energy / length_s)

    def _last_beats(
        self, rows: Rows, span_end: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], SpanArray]:
        """Return the last beats of outputs, [R] numbers of spans and [K, 4] the spans.

        Their length is added to the output at once.
        """
        if not len(rows):
            return np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.int32)
        n_beats, n_clips = span_end - self.cursor[rows], self.arrangement.n_clips[rows]
        n_back = int(min(n_beats.max(), n_clips.max()))
        slot = n_clips[:, None] - np.arange(n_back)[::-1]
        spans = self.arrangement.lists.at(rows[:, None], np.maximum(slot, 0))
        lengths = spans[..., END] - spans[..., START]
        following = lengths[:, ::-1].cumsum(axis=1)[:, ::-1] - lengths
        taken = np.minimum(np.maximum(n_beats[:, None] - following, 0), lengths)
        backwards = REVERSE.take(spans[..., SOUND])
        start = np.where(backwards, spans[..., START], spans[..., END] - taken)
        spans[..., START], spans[..., END] = start, start + taken
        some = taken > 0
        counts = np.add.reduce(some, axis=1, dtype=np.int64)
        pieces = spans.reshape(-1, 4).take(some.reshape(-1).nonzero()[0], axis=0)
        origin = (self.row[rows] - self.cursor[rows]).repeat(counts)
        length_s = self.tables.edges_s.take(origin + pieces[:, END])
        length_s -= self.tables.edges_s.take(origin + pieces[:, START])
        length_s /= RATE.take(pieces[:, SOUND])
        self.output_s[rows] += np.add.reduceat(length_s, counts.cumsum() - counts)
        return counts, pieces

    def _hear(self, choice: NDArray[np.int64], following: NDArray[np.int64]) -> None:
        """Mark the beats up to the next cursor as heard, and add their length to the output."""
        edges_s, plays = self.tables.edges_s, HEARD.take(choice)
        n_beats = following - self.cursor
        length_s = edges_s.take(self.row + n_beats) - edges_s.take(self.row)
        self.output_s += plays * length_s / _RATE_OF.take(choice)
        self.heard.go_on(self.cursor, following, plays > 0, self.row)

    def _remember(self, codes: NDArray[np.int64]) -> None:
        room = self._history.shape[1]
        if self.n_steps.max() >= room:
            more = np.zeros((len(self.row), room), dtype=np.int16)
            self._history = np.concatenate([self._history, more], axis=1)
        self._history[self._all, self.n_steps] = codes
        self.n_steps += 1


def choices_allowed(masks: ActionMasks, actions: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return [E] whether the masks [E, ...] allow each action [E, 3]; no number outside is."""
    columns = np.array(actions.T, dtype=np.int64, order="C")
    # Without a sign, numbers below 0 are above all limits.
    outside = columns.view(np.uint64) >= _LIMITS
    if outside.any():
        is_known = np.logical_not(outside.any(axis=0))
        return is_known & choices_allowed(masks, actions * is_known[:, None])
    kind, size, amount = columns
    pair = np.arange(len(actions)) * N_TYPES + kind
    allowed = masks.type.take(pair)
    allowed &= masks.size.take(pair * N_SIZES + size)
    allowed &= masks.amount.take(pair * N_AMOUNTS + amount)
    return allowed
