"""What the policy knows at the cursor about the edit so far.

The encoder has read the whole recording once; these `K` numbers are what changes from step to
step. Most of them say how the span ahead relates, through its copies elsewhere in the recording,
to what is already in the output: choosing one of several takes, but not two, depends on it.

The same function serves one cursor (an episode) and all cursors of a track at once (cloning,
planning), where the output before each cursor is a prefix of one known edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.track import Track

if TYPE_CHECKING:
    from rl_editor.edit_state import EditState

AHEAD_BEATS = (1, 4, 16, 48)
"""Lengths of the spans ahead over which copies are summarised, beats."""
NO_COPY = -1
"""`match_later` and `match_earlier` of a beat without a copy."""
_WIDTHS = np.array(AHEAD_BEATS, dtype=np.float32)[:, None]
_ADD_BYTES = np.uint32(0x01010101)
FURTHEST = 512
"""Offsets between copies from which on the context says the same to the last bit, beats."""

CONTEXT_NAMES = (
    "progress",
    "kept_ratio",
    "target_known",
    "target_keep_ratio",
    "needed_ratio",
    "last_beat_kept",
    "run_length",
    "nothing_kept",
    "beats_since_kept",
    "continuation_exists",
    "continuation_closeness",
    "continuation_offset",
    "resumption_exists",
    "resumption_closeness",
    "resumption_offset",
    *(f"copy_in_output_{w}" for w in AHEAD_BEATS),
    *(f"copy_in_output_similarity_{w}" for w in AHEAD_BEATS),
    *(f"later_copy_similarity_{w}" for w in AHEAD_BEATS),
)
N_CONTEXT = len(CONTEXT_NAMES)


@dataclass(frozen=True)
class CopyTable:
    """What the context needs of a track, computed once.

    Attributes:
        durations_s: [N] length of each beat.
        match_later, match_earlier: [N] beats, or -1.
        later, earlier: [N] likeness to that copy, as in `recurrence`.
        later_ahead: [N, W] mean of `later` over each of `AHEAD_BEATS`.
    """

    durations_s: NDArray[np.float64]
    match_later: NDArray[np.int64]
    match_earlier: NDArray[np.int64]
    later: NDArray[np.float32]
    earlier: NDArray[np.float32]
    later_ahead: NDArray[np.float32]

    @classmethod
    def from_track(cls, track: Track) -> CopyTable:
        """Return the table of one track."""
        later = match_similarity(track, "later")
        return cls(
            durations_s=track.grid.durations_s,
            match_later=track.match_later,
            match_earlier=track.match_earlier,
            later=later,
            earlier=match_similarity(track, "earlier"),
            later_ahead=np.stack([mean_ahead(later, w) for w in AHEAD_BEATS], axis=1),
        )


def match_similarity(track: Track, side: str) -> NDArray[np.float32]:
    """Return [N] how alike each beat is to its tracked copy on one side, 0 without a copy."""
    return track.recurrence[:, RECURRENCE_NAMES.index(f"{side}_match")]


def mean_ahead(values: NDArray, width: int) -> NDArray[np.float32]:
    """Return the mean of `values` [N, ...] over the next `width` beats, fewer at the end."""
    total = np.cumsum(values, axis=0, dtype=np.float64)
    total = np.concatenate([np.zeros_like(total[:1]), total])
    start = np.arange(len(values))
    end = np.minimum(start + width, len(values))
    count = (end - start).reshape(-1, *[1] * (values.ndim - 1))
    return ((total[end] - total[start]) / count).astype(np.float32)


@dataclass(frozen=True)
class EditSoFar:
    """The output before each of `B` cursors.

    Attributes:
        cursor: [B] beat where the next action acts.
        played: [N] True for source beats in the output.
        causal: the output of each cursor is only what `played` holds before that cursor.
        last_kept: [B] source beat that the output ends with, -1 when there is none.
        output_s: [B] length of the output.
        run_beats: [B] beats since the edit last changed between keeping and cutting.
    """

    cursor: NDArray[np.int64]
    played: NDArray[np.bool_]
    causal: bool
    last_kept: NDArray[np.int64]
    output_s: NDArray[np.float64]
    run_beats: NDArray[np.int64]


def prefixes(played: NDArray[np.bool_], durations_s: NDArray[np.float64]) -> EditSoFar:
    """Return the edit before every beat of a track, for an edit in source order."""
    n_beats = len(played)
    index = np.arange(n_beats)
    kept_until = np.maximum.accumulate(np.where(played, index, -1))
    change = np.concatenate([[True], played[1:] != played[:-1]])
    run_start = np.maximum.accumulate(np.where(change, index, 0))
    return EditSoFar(
        cursor=index,
        played=played,
        causal=True,
        last_kept=np.concatenate([[-1], kept_until[:-1]]),
        output_s=np.concatenate([[0.0], np.cumsum(durations_s * played)[:-1]]),
        run_beats=np.concatenate([[0], (index - run_start + 1)[:-1]]),
    )


def context(
    table: CopyTable, edit: EditSoFar, target_keep_ratio: float | None
) -> NDArray[np.float32]:
    """Return [B, K] the context at each cursor, columns `CONTEXT_NAMES`.

    Args:
        table: of the track.
        edit: the output before each cursor.
        target_keep_ratio: share of the recording that should stay, or None when nobody asked.
    """
    cursor, n_beats = edit.cursor, len(table.later)
    copy = windows(table.match_earlier, NO_COPY)[cursor]
    heard = (copy != NO_COPY) & edit.played[copy]
    if edit.causal:
        heard &= copy < cursor[:, None]
    following = np.clip(edit.last_kept + 1, 0, n_beats - 1)
    target = np.nan if target_keep_ratio is None else target_keep_ratio
    return context_columns(
        Situations(
            cursor=cursor,
            beats_left=n_beats - cursor,
            passed_s=np.concatenate([[0.0], np.cumsum(table.durations_s)])[cursor],
            total_s=np.full(len(cursor), float(table.durations_s.sum())),
            target=np.full(len(cursor), target),
            last_kept=edit.last_kept,
            output_s=edit.output_s,
            run_beats=edit.run_beats,
            earlier_here=table.match_earlier[cursor],
            following=following,
            later_of_following=table.match_later[following],
            heard=heard,
            likeness=heard * windows(table.earlier, 0.0)[cursor],
            later_ahead=table.later_ahead[cursor],
        )
    )


def windows(values: NDArray, beyond: float) -> NDArray:
    """Return [N, 48] each value [N] and those after it, `beyond` after the last; a view."""
    padded = np.append(values, np.full(AHEAD_BEATS[-1] - 1, beyond, dtype=values.dtype))
    return np.lib.stride_tricks.sliding_window_view(padded, AHEAD_BEATS[-1])


class Situations(NamedTuple):
    """What the context of `B` cursors is computed from, whatever recordings they are in.

    Attributes:
        cursor, last_kept, output_s, run_beats: [B] as in `EditSoFar`.
        beats_left: [B] beats of the recording from the cursor on.
        passed_s, total_s: [B] seconds of the recording before the cursor, and in all.
        target: [B] share that should stay, NaN where nobody asked.
        earlier_here: [B] the cursor's earlier copy, or -1.
        following: [B] the beat that would follow the output; behind the recording's end, its last.
        later_of_following: [B] later copy of that beat, or -1.
        heard: [B, 48] True where the earlier copy of a beat ahead is in the output.
        likeness: [B, 48] float32, how like that copy each of them is, 0 where it is not heard.
        later_ahead: [B, W] as in `CopyTable`.
    """

    cursor: NDArray[np.int64]
    beats_left: NDArray[np.int64]
    passed_s: NDArray[np.float64]
    total_s: NDArray[np.float64]
    target: NDArray[np.float64]
    last_kept: NDArray[np.int64]
    output_s: NDArray[np.float64]
    run_beats: NDArray[np.int64]
    earlier_here: NDArray[np.int64]
    following: NDArray[np.int64]
    later_of_following: NDArray[np.int64]
    heard: NDArray[np.bool_]
    likeness: NDArray[np.float32]
    later_ahead: NDArray[np.float32]


def context_columns(seen: Situations) -> NDArray[np.float32]:
    """Return [B, K] the context, columns `CONTEXT_NAMES`; a row depends on no other row."""
    cursor, last_kept = seen.cursor, seen.last_kept
    known, started = ~np.isnan(seen.target), last_kept >= 0
    target = np.where(known, seen.target, 0.0)
    left_s = np.maximum(seen.total_s - seen.passed_s, 1e-3)
    needed = (target * seen.total_s - seen.output_s) / left_s
    since = cursor - 1 - last_kept
    columns = (
        seen.passed_s / seen.total_s,
        seen.output_s / np.maximum(seen.passed_s, 1.0),
        known,
        target,
        np.minimum(np.maximum(needed, 0.0), 2.0),
        (since == 0) & (cursor > 0),
        np.log1p(seen.run_beats) / 5.0,
        ~started,
        started * np.log1p(np.maximum(since, 0)) / 5.0,
    )
    context = np.empty((len(cursor), N_CONTEXT), dtype=np.float32)
    for index, column in enumerate(columns):
        context[:, index] = column
    n_columns, n_widths = len(columns), len(AHEAD_BEATS)
    _continuation(seen, ~started, context[:, n_columns : n_columns + 6])
    _copies_in_output(seen, context[:, n_columns + 6 : -n_widths])
    context[:, -n_widths:] = seen.later_ahead
    return context


def _continuation(
    seen: Situations, is_empty: NDArray[np.bool_], columns: NDArray[np.float32]
) -> None:
    """Write how the cursor's copies relate to what should follow the end of the output: [B, 6].

    `continuation`: the earlier copy of this place against the place that would come next;
    0 means that this is a retake of just what is missing, negative that it winds back.
    `resumption`: the later copy of the place that would come next against this place.
    """
    sides = (
        (seen.earlier_here, seen.earlier_here - seen.following),
        (seen.later_of_following, seen.cursor - seen.later_of_following),
    )
    for first, (copy, offset) in zip((0, 3), sides, strict=True):
        place = np.minimum(np.maximum(offset, -FURTHEST), FURTHEST) + FURTHEST
        np.putmask(place, is_empty | (copy == NO_COPY), len(_OF_OFFSET) - 1)
        columns[:, first : first + 3] = _OF_OFFSET.take(place, axis=0)


def _of_offsets() -> NDArray[np.float32]:
    """Return [2 FURTHEST + 2, 3] what the context says of each offset, and last of no copy."""
    offset = np.arange(-FURTHEST, FURTHEST + 1)
    exists, closeness = np.ones(len(offset)), np.exp(np.abs(offset) / -2.0)
    numbers = np.stack([exists, closeness, np.tanh(offset / 16.0)], axis=1)
    return np.append(numbers, np.zeros((1, 3)), axis=0).astype(np.float32)


_OF_OFFSET = _of_offsets()


def _copies_in_output(seen: Situations, columns: NDArray[np.float32]) -> None:
    """Write, for each span ahead, the share already heard as a copy, and how close those are."""
    n_widths = len(AHEAD_BEATS)
    count, similarity = _counts_ahead(seen.heard), _sums_ahead(seen.likeness)
    width = np.minimum(_WIDTHS, seen.beats_left)
    columns[:, :n_widths] = (count / width).T
    np.maximum(count, 1.0, out=count)
    similarity /= count
    columns[:, n_widths:] = similarity.T


def _counts_ahead(values: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return [W, B] how many of the first 1, 4, 16 and 48 columns of values [B, 48] are True.

    Four columns are added at once, as the bytes of one number; the product gathers the sum of
    its bytes, at most 48, in the highest.
    """
    fours = np.ascontiguousarray(values.view(np.uint32).T)
    sums = np.empty((len(AHEAD_BEATS), len(values)), dtype=np.uint32)
    for row, beats in enumerate(AHEAD_BEATS[1:], 1):
        np.add.reduce(fours[: beats // 4], axis=0, out=sums[row])
    sums *= _ADD_BYTES
    sums >>= 24
    sums[0] = values[:, 0]
    return sums.astype(np.float32)


def _sums_ahead(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [W, B] the sums of the first 1, 4, 16 and 48 columns of values [B, 48].

    Sums over the first axis add row to row, for all columns at once and in one order however
    many there are; a single column would be added up in another order.
    """
    if len(values) == 1:
        return _sums_ahead(np.repeat(values, 2, axis=0))[:, :1]
    across = np.ascontiguousarray(values.T)
    sums, added = np.empty((len(AHEAD_BEATS), len(values)), dtype=np.float32), 0
    for row, beats in enumerate(AHEAD_BEATS):
        np.add.reduce(across[added:beats], axis=0, out=sums[row])
        added = beats - 1
        across[added] = sums[row]
    return sums


_TABLES: WeakKeyDictionary[Track, CopyTable] = WeakKeyDictionary()


def observe(track: Track, state: EditState, target_keep_ratio: float | None) -> NDArray[np.float32]:
    """Return [K] the context at the cursor of one episode that is not done."""
    if track not in _TABLES:
        _TABLES[track] = CopyTable.from_track(track)
    return context(_TABLES[track], edit_so_far(state), target_keep_ratio)[0]


def edit_so_far(state: EditState) -> EditSoFar:
    """Return the output of an episode before its cursor."""
    cursor, placed = state.cursor, state.arrangement.placed
    before = state.played[:cursor] > 0
    changes = np.flatnonzero(before != before[-1]) if cursor else np.array([-1])
    run_beats = cursor - 1 - (changes[-1] if len(changes) else -1) if cursor else 0
    return EditSoFar(
        cursor=np.array([cursor]),
        played=state.played > 0,
        causal=False,
        last_kept=np.array([placed[-1].end - 1 if placed else -1]),
        output_s=np.array([state.output_s]),
        run_beats=np.array([run_beats]),
    )
