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
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import MAX_MATCH_DB, ActionMasks, EditContext, EditState
from rl_editor.edit_tables import PLACE_OF, SPAN_END, EditTables
from rl_editor.sound_table import GAIN_OF, GAIN_STEPS_PER_DB, RATE, REVERSE, SOUND_OF
from rl_editor.span_lists import END, GAIN, SOUND, START, Rows, SpanArray, SpanLists, continues
from rl_editor.spans import Arrangement, Waiting

RUN_WINDOW = 64
"""Beats that a search for the last change between kept and cut looks at in one go."""
FIRST_STEPS = 64
"""Actions of history that a batch has room for at first."""

_LEAVES_OUT = [ActionType.CUT, ActionType.SKIP, ActionType.JUMP_BACK]
PLAYS: NDArray[np.int64] = np.ones((N_TYPES, N_AMOUNTS), dtype=np.int64)
"""[20, 5] how often the beats up to the new cursor are heard."""
PLAYS[[*_LEAVES_OUT, ActionType.REPEAT_PREV]] = 0
PLAYS[ActionType.LOOP] = [plays or 0 for plays in LOOP_PLAYS]
_PLAYS_NEXT: NDArray[np.bool_] = np.ones(N_TYPES, dtype=bool)
"""[20] types whose first span comes next in the output."""
_PLAYS_NEXT[[*_LEAVES_OUT, ActionType.REORDER]] = False


class EditBatch:
    """`E` edits under way.

    Attributes:
        tables: of the recordings.
        recording: [E] int64, which of them each edit is of.
        cursor: [E] int64, beat where the next action acts; `N` when the edit is done.
        row: [E] int64, row of the tables that the cursor is at.
        output_s: [E] float64, length of the output.
        run_beats: [E] int64, beats before the cursor since the edit last changed between
            beats that are in the output and beats that are not.
        n_steps, n_jumps, n_repeats: [E] int64, actions so far, and the budgeted ones.
        n_placed: [E] int64, beats in `placed`.
        placed, waiting, tail: as in `spans.Arrangement`; the first `n_begun` [E] waiting spans
            wait for the end of a clip that has begun.
        last: [E, 4] the last placed span.
    """

    def __init__(self, contexts: Sequence[EditContext], episode: EpisodeConfig, n_edits: int):
        """Set up `n_edits` edits of the first recording; `begin` starts others."""
        self.tables = EditTables.of(contexts, episode)
        self._contexts = contexts
        self._all = np.arange(n_edits)
        counts = np.zeros((8, n_edits), dtype=np.int64)
        self.recording, self.cursor, self.row, self.run_beats = counts[:4]
        self.n_steps, self.n_jumps, self.n_repeats, self.n_placed = counts[4:]
        self.n_begun = np.zeros(n_edits, dtype=np.int64)
        self.output_s = np.zeros(n_edits)
        self.placed, self.waiting, self.tail = (SpanLists(n_edits) for _ in range(3))
        self._history = np.zeros((n_edits, FIRST_STEPS, 3), dtype=np.int8)
        # False before the first beat, where searches and missing copies look.
        self._heard = np.zeros((n_edits, RUN_WINDOW + int(self.tables.n_beats.max())), dtype=bool)
        self.begin(self._all, np.zeros(n_edits, dtype=np.int64))

    @property
    def done(self) -> NDArray[np.bool_]:
        """[E] whether the end of the recording was reached."""
        return self.cursor >= self.tables.n_beats[self.recording]

    @property
    def heard(self) -> NDArray[np.bool_]:
        """[E, longest N] whether each beat of the source is in the output; a view."""
        return self._heard[:, RUN_WINDOW:]

    def is_heard(self, rows: Rows, beats: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return [R, W] whether beats of the source [R, W] are in the output; -1 never is."""
        first = rows * self._heard.shape[1] + RUN_WINDOW
        return self._heard.reshape(-1).take(first[:, None] + beats)

    def begin(self, rows: Rows, recordings: NDArray[np.int64]) -> None:
        """Start empty edits of some recordings [R] in some rows [R]."""
        self.recording[rows] = recordings
        self.row[rows] = self.tables.first_row[recordings]
        for state in (self.cursor, self.run_beats, self.n_steps, self.n_jumps, self.n_repeats,
                      self.n_placed, self.n_begun, self.output_s, self.placed.count,
                       self.waiting.count, self.tail.count):  # fmt: skip
            state[rows] = 0
        self._heard[rows] = False
        self.last = self.placed.last(self._all)
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
        kind, size, amount = actions.T
        choice = kind * N_AMOUNTS + amount
        place = self.row * 25 + PLACE_OF.take(choice) * 5 + size
        following = self.tables.place.take(place).astype(np.int64)
        plays = PLAYS.take(choice)
        self._arrange(actions, choice, following)
        self._hear(following, plays, RATE.take(SOUND_OF.take(choice)))
        self._remember(actions)
        self.n_jumps += kind == ActionType.JUMP_BACK
        self.n_repeats += kind == ActionType.REPEAT_PREV
        self.row += following - self.cursor
        self.cursor[:] = following
        self._find_runs()
        self.last = self.placed.last(self._all)
        self._masks = None

    def ended(self, rows: Rows) -> SpanLists:
        """Return the spans of some edits in output order, as if nothing more came."""
        lists = self.placed.copy(rows)
        for more in (self.waiting, self.tail):
            for index in range(int(more.count[rows].max(initial=0))):
                left = np.flatnonzero(more.count[rows] > index)
                lists.append(left, more.slots[rows[left], index + 1])
        return lists

    def history(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ([R] numbers of actions, [A, 3] the actions of some edits, edit by edit)."""
        counts = self.n_steps[rows]
        step = np.arange(int(counts.max(initial=0)))
        listed = self._history[rows, : len(step)][step < counts[:, None]]
        return counts, listed.astype(np.int64)

    def state(self, row: int) -> EditState:
        """Return one edit as an immutable state of its own."""
        waiting = tuple(
            Waiting(span, index < self.n_begun[row])
            for index, span in enumerate(self.waiting.spans(row))
        )
        placed, tail = self.placed.spans(row), self.tail.spans(row)
        played = np.zeros(self.tables.n_beats[self.recording[row]], dtype=np.int64)
        for span in (*placed, *(w.span for w in waiting), *tail):
            played[span.start : span.end] += 1
        played.flags.writeable = False
        history = self._history[row, : self.n_steps[row]].tolist()
        return EditState(
            self._contexts[self.recording[row]],
            int(self.cursor[row]),
            tuple(Action(ActionType(t), Size(s), Amount(a)) for t, s, a in history),
            played,
            float(self.output_s[row]),
            Arrangement(placed, waiting, tail, int(self.n_placed[row])),
            int(self.n_jumps[row]),
            int(self.n_repeats[row]),
        )

    def _find_masks(self) -> ActionMasks:
        tables, episode = self.tables, self.tables.episode
        pattern = tables.pattern.take(self.row)
        type_mask = tables.type_pattern.take(pattern, axis=0)
        size_mask = tables.size_pattern.take(pattern, axis=0)
        no_jumps = np.flatnonzero(self.n_jumps >= episode.jump_budget)
        if len(no_jumps):
            size_mask[no_jumps, ActionType.JUMP_BACK] = False
            type_mask[no_jumps, ActionType.JUMP_BACK] = False
        n_span = tables.place.take(self.row, axis=0)[:, SPAN_END] - self.cursor[:, None]
        n_left = np.where(self.n_repeats < episode.repeat_budget, self.n_placed, -1)
        repeats = size_mask[:, ActionType.REPEAT_PREV]
        repeats &= n_span <= n_left[:, None]
        # The shortest span fits first, and BEAT is allowed wherever any size is.
        type_mask[:, ActionType.REPEAT_PREV] = repeats[:, Size.BEAT]
        amount_mask = np.empty((len(self.row), N_TYPES, N_AMOUNTS), dtype=bool)
        amount_mask[:] = AMOUNT_EXISTS
        started = self.placed.count > 0
        amount_mask[:, ActionType.REORDER, : Amount.NEUTRAL] = started[:, None]
        amount_mask[:, ActionType.GAIN, Amount.NEUTRAL] = self._can_match()
        done = np.flatnonzero(~type_mask[:, ActionType.KEEP])
        if len(done):
            amount_mask[done] = False
        return ActionMasks(type_mask, size_mask, amount_mask)

    def _can_match(self) -> NDArray[np.bool_]:
        """Return [E] whether the last placed clip and the beat at the cursor both have a level."""
        first = self.row - self.cursor
        before = self.tables.n_audible.take(self.last[:, [START, END]] + first[:, None])
        return (before[:, 1] > before[:, 0]) & self.tables.audible.take(self.row)

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
        self, actions: NDArray[np.integer], choice: NDArray[np.int64], following: NDArray[np.int64]
    ) -> None:
        """Put the spans of all actions where they belong."""
        kind, _, amount = actions.T
        place = self.row * 25 + 5 * SPAN_END + actions[:, 1]
        span_end = self.tables.place.take(place)
        spans = np.empty((len(choice), 4), dtype=np.int32)
        spans[:, START], spans[:, END] = self.cursor, span_end
        spans[:, SOUND], spans[:, GAIN] = SOUND_OF.take(choice), GAIN_OF.take(choice)
        matched = np.flatnonzero(choice == ActionType.GAIN * N_AMOUNTS + Amount.NEUTRAL)
        if len(matched):
            spans[matched, GAIN] = self._matching_gain(matched, spans[matched])
        moved = np.flatnonzero(kind == ActionType.REORDER)
        if len(moved):
            self._reorder(moved, spans[moved], amount[moved])
        swapped = np.flatnonzero(kind == ActionType.SWAP_NEXT)
        later = spans[swapped]
        spans[swapped, START], spans[swapped, END] = span_end[swapped], following[swapped]
        repeating = np.flatnonzero(kind == ActionType.REPEAT_PREV)
        pieces = counts = None
        if len(repeating):
            counts, pieces = self._last_beats(repeating, span_end[repeating])
            spans[repeating] = pieces[np.cumsum(counts) - counts]
        playing = np.flatnonzero(_PLAYS_NEXT.take(kind))
        self._play(playing, spans[playing])
        self._play_on(choice, spans, swapped, later)
        if pieces is not None and counts is not None:
            self._play_pieces(repeating, counts, pieces)

    def _play_on(
        self, choice: NDArray[np.int64], spans: SpanArray, swapped: Rows, later: SpanArray
    ) -> None:
        """Play the other spans of loops, and those that were swapped with their next one."""
        loop = ActionType.LOOP * N_AMOUNTS
        looped = np.flatnonzero((choice >= loop) & (choice < loop + N_AMOUNTS))
        again = np.concatenate([looped, swapped])
        if len(again):
            self._play(again, np.concatenate([spans[looped], later]))
        for plays in (3, 4):
            again = looped[PLAYS.take(choice[looped]) >= plays]
            if len(again):
                self._play(again, spans[again])

    def _play(self, rows: Rows, spans: SpanArray) -> None:
        """Play one span next in each of some edits, as `Arrangement.play`."""
        waits = np.flatnonzero(self.waiting.count[rows])
        if len(waits):
            self._release(rows[waits], spans[waits])
        self.placed.append(rows, spans)
        self.n_placed[rows] += spans[:, END] - spans[:, START]

    def _release(self, rows: Rows, spans: SpanArray) -> None:
        """Place what waited for the end of the last clip, where `spans` begin a new one."""
        fresh = ~continues(spans, self.placed.last(rows))
        ready = rows[fresh & (self.n_begun[rows] > 0)]
        counts = self.n_begun[ready]
        for index in range(int(counts.max(initial=0))):
            now = ready[counts > index]
            waited = self.waiting.slots[now, index + 1]
            self.placed.append(now, waited)
            self.n_placed[now] += waited[:, END] - waited[:, START]
        if len(ready):
            self.waiting.drop_first(ready, counts)
        self.n_begun[rows] = self.waiting.count[rows]

    def _reorder(self, rows: Rows, spans: SpanArray, amount: NDArray[np.integer]) -> None:
        first, before = amount == Amount.NEG_LARGE, amount == Amount.NEG_SMALL
        after, tail = amount == Amount.NEUTRAL, amount == Amount.POS_LARGE
        self.placed.insert_first(rows[first], spans[first])
        self.placed.insert_before_last(rows[before], spans[before])
        self.waiting.push(rows[after], spans[after])
        self.tail.append(rows[tail], spans[tail])
        inside = first | before
        self.n_placed[rows[inside]] += spans[inside, END] - spans[inside, START]

    def _matching_gain(self, rows: Rows, spans: SpanArray) -> NDArray[np.int64]:
        """Return [R] the gain that brings spans to the level of the one before, as it is heard."""
        before = self.last[rows]
        step_db = self._level_db(rows, before) - self._level_db(rows, spans)
        step_db += before[:, GAIN] / GAIN_STEPS_PER_DB
        limited_db = np.clip(step_db, -MAX_MATCH_DB, MAX_MATCH_DB)
        return np.rint(limited_db * GAIN_STEPS_PER_DB).astype(np.int64)

    def _level_db(self, rows: Rows, spans: SpanArray) -> NDArray[np.float64]:
        """Return [R] the mean power of source spans over time, in dB."""
        first = self.row[rows] - self.cursor[rows]
        start, end = first + spans[:, START], first + spans[:, END]
        offsets = np.cumsum(end - start) - (end - start)
        beats = _ranges(start, end - start)
        energy = np.add.reduceat(self.tables.energy.take(beats), offsets)
        length_s = self.tables.edges_s.take(end) - self.tables.edges_s.take(start)
        return 10.0 * np.log10(energy / length_s)

    def _last_beats(
        self, rows: Rows, span_end: NDArray[np.integer]
    ) -> tuple[NDArray[np.int64], SpanArray]:
        """Return the last beats of each output: ([R] numbers of spans, [K, 4] the spans)."""
        n_beats = span_end - self.cursor[rows]
        n_back = int(min(n_beats.max(), self.placed.count[rows].max()))
        slot = self.placed.count[rows, None] - np.arange(n_back)[::-1]
        spans = self.placed.slots[rows[:, None], np.maximum(slot, 0)]
        lengths = spans[..., END] - spans[..., START]
        following = np.cumsum(lengths[:, ::-1], axis=1)[:, ::-1] - lengths
        taken = np.clip(n_beats[:, None] - following, 0, lengths)
        backwards = REVERSE.take(spans[..., SOUND])
        start = np.where(backwards, spans[..., START], spans[..., END] - taken)
        spans[..., START], spans[..., END] = start, start + taken
        return np.count_nonzero(taken, axis=1), spans[taken > 0]

    def _play_pieces(self, rows: Rows, counts: NDArray[np.int64], pieces: SpanArray) -> None:
        """Play what follows the first piece of each repeat, and add the length of them all.

        A placed span never continues the one before it, so behind the second piece, which also
        releases all that waited, nothing is joined.
        """
        first = np.cumsum(counts) - counts
        several = counts > 1
        if several.any():
            self._play(rows[several], pieces[first[several] + 1])
            order = np.arange(len(pieces)) - np.repeat(first, counts)
            rest = pieces[order > 1]
            n_rest = np.maximum(counts - 2, 0)
            self.placed.extend(rows, n_rest, rest)
            owner = np.repeat(rows, n_rest)
            np.add.at(self.n_placed, owner, rest[:, END] - rest[:, START])
        owner = np.repeat(rows, counts)
        origin = self.row[owner] - self.cursor[owner]
        length_s = self.tables.edges_s.take(origin + pieces[:, END])
        length_s -= self.tables.edges_s.take(origin + pieces[:, START])
        np.add.at(self.output_s, owner, length_s / RATE.take(pieces[:, SOUND]))

    def _hear(
        self, following: NDArray[np.int64], plays: NDArray[np.int64], rate: NDArray[np.float64]
    ) -> None:
        """Mark the beats up to the next cursor as heard, and add their length to the output."""
        edges_s, first = self.tables.edges_s, self.row - self.cursor
        length_s = edges_s.take(first + following) - edges_s.take(self.row)
        self.output_s += plays * length_s / rate
        n_heard = np.where(plays > 0, following - self.cursor, 0)
        start = self._all * self._heard.shape[1] + RUN_WINDOW + self.cursor
        heard = self._heard.reshape(-1)
        heard[_ranges(start, n_heard)] = True

    def _remember(self, actions: NDArray[np.integer]) -> None:
        n_steps = int(self.n_steps.max()) + 1
        if n_steps > self._history.shape[1]:
            room = np.zeros((len(self.row), n_steps, 3), dtype=np.int8)
            self._history = np.concatenate([self._history, room], axis=1)
        self._history[self._all, self.n_steps] = actions
        self.n_steps += 1

    def _find_runs(self) -> None:
        """Count back from each cursor to the last change between heard and not."""
        rows, run = self._all, np.zeros_like(self.cursor)
        window = np.lib.stride_tricks.sliding_window_view(self._heard, RUN_WINDOW, axis=1)
        until = self.cursor.copy()
        value = self._heard[rows, RUN_WINDOW + self.cursor - 1]
        while len(rows):
            seen = window[rows, until[rows]] != value[rows, None]
            change = seen[:, ::-1].argmax(axis=1)
            none = ~seen[np.arange(len(rows)), RUN_WINDOW - 1 - change]
            run[rows] += np.where(none, RUN_WINDOW, change)
            until[rows] -= RUN_WINDOW
            rows = rows[none & (until[rows] > 0)]
        self.run_beats[:] = np.minimum(run, self.cursor)


def choices_allowed(masks: ActionMasks, actions: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return [E] whether the masks [E, ...] allow each action [E, 3]; no number outside is."""
    inside = np.all((actions >= 0) & (actions < (N_TYPES, N_SIZES, N_AMOUNTS)), axis=1)
    if not inside.all():
        actions = np.where(inside[:, None], actions, 0)
    kind, size, amount = actions.T
    pair = np.arange(len(actions)) * N_TYPES + kind
    inside &= masks.type.take(pair)
    inside &= masks.size.take(pair * N_SIZES + size)
    inside &= masks.amount.take(pair * N_AMOUNTS + amount)
    return inside


def _ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `start[i], start[i] + 1, ...`, `length[i]` of them, for each i in turn."""
    end = np.cumsum(length)
    return np.repeat(start - end + length, length) + np.arange(end[-1] if len(end) else 0)
