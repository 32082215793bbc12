"""What the policy knows at the cursor about the edit so far.

The encoder has read the whole recording once; these `K` numbers are what changes from step to
step. Most of them say how the span ahead relates, through its copies elsewhere in the recording,
to what is already in the output: choosing one of several takes, but not two, depends on it.

The same function serves one cursor (an episode) and all cursors of a track at once (cloning,
planning), where the output before each cursor is a prefix of one known edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.track import Track

if TYPE_CHECKING:
    from rl_editor.edit_state import EditState

AHEAD_BEATS = (1, 4, 16, 48)
"""Lengths of the spans ahead over which copies are summarised, beats."""

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
    cursor = edit.cursor
    total_s = float(table.durations_s.sum())
    passed_s = np.concatenate([[0.0], np.cumsum(table.durations_s)])[cursor]
    target = -1.0 if target_keep_ratio is None else target_keep_ratio
    known = float(target_keep_ratio is not None)
    needed = (target * total_s - edit.output_s) / np.maximum(total_s - passed_s, 1e-3)
    since = cursor - 1 - edit.last_kept
    ones = np.ones(len(cursor))
    columns = [
        passed_s / total_s,
        edit.output_s / np.maximum(passed_s, 1.0),
        known * ones,
        known * target * ones,
        known * np.clip(needed, 0.0, 2.0),
        (edit.last_kept == cursor - 1) & (cursor > 0),
        np.log1p(edit.run_beats) / 5.0,
        edit.last_kept < 0,
        np.where(edit.last_kept >= 0, np.log1p(np.maximum(since, 0)) / 5.0, 0.0),
        *_continuation(table, edit),
        *_copies_in_output(table, edit),
        *table.later_ahead[cursor].T,
    ]
    return np.stack([np.asarray(c, dtype=np.float32) for c in columns], axis=1)


def _continuation(table: CopyTable, edit: EditSoFar) -> list[NDArray]:
    """Return how the cursor's copies relate to what should follow the end of the output.

    `continuation`: the earlier copy of this place against the place that would come next;
    0 means that this is a retake of just what is missing, negative that it winds back.
    `resumption`: the later copy of the place that would come next against this place.
    """
    following = np.clip(edit.last_kept + 1, 0, len(table.match_later) - 1)
    started = edit.last_kept >= 0
    columns: list[NDArray] = []
    for exists, offset in (
        (
            started & (table.match_earlier[edit.cursor] >= 0),
            table.match_earlier[edit.cursor] - following,
        ),
        (started & (table.match_later[following] >= 0), edit.cursor - table.match_later[following]),
    ):
        columns += [
            exists,
            exists * np.exp(-np.abs(offset) / 2.0),
            exists * np.tanh(offset / 16.0),
        ]
    return columns


def _copies_in_output(table: CopyTable, edit: EditSoFar) -> list[NDArray]:
    """Return, for each span ahead, the share already heard as a copy and how close those are."""
    n_beats, longest = len(table.later), AHEAD_BEATS[-1]
    ahead = edit.cursor[:, None] + np.arange(longest)
    inside = ahead < n_beats
    ahead = np.minimum(ahead, n_beats - 1)
    copy = table.match_earlier[ahead]
    heard = inside & (copy >= 0) & edit.played[copy]
    if edit.causal:
        heard &= copy < edit.cursor[:, None]
    count = np.cumsum(heard, axis=1)
    similarity = np.cumsum(heard * table.earlier[ahead], axis=1)
    last = np.array(AHEAD_BEATS) - 1
    width = np.minimum(np.array(AHEAD_BEATS), (n_beats - edit.cursor)[:, None])
    return [
        *(count[:, last] / width).T,
        *(similarity[:, last] / np.maximum(count[:, last], 1)).T,
    ]


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
