"""What the recordings of a batch have in common with `EditContext`, one after the other in arrays.

Every beat of every recording is a row, and each recording has one more row for its end; the row
of a cursor is `first_row[recording] + beat`.

In: `EditContext`s. Out: `EditTables`. Shapes: `R` recordings, `M` rows, `P` patterns of masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES, ActionType, Amount
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditContext

STAY, SPAN_END, SECOND_END, BACK, SECOND_BACK = range(5)
"""Where an action may move the cursor."""
N_PLACES = 5

PLACE_OF: NDArray[np.int64] = np.full((N_TYPES, N_AMOUNTS), SPAN_END)
"""[20, 5] where each type with each amount moves it."""
PLACE_OF[[ActionType.SKIP, ActionType.SWAP_NEXT]] = SECOND_END
PLACE_OF[ActionType.REPEAT_PREV] = STAY
PLACE_OF[ActionType.JUMP_BACK, Amount.NEG_SMALL] = BACK
PLACE_OF[ActionType.JUMP_BACK, Amount.NEG_LARGE] = SECOND_BACK


@dataclass(frozen=True, eq=False)
class EditTables:
    """The tables of all recordings.

    Attributes:
        episode: budgets.
        first_row: [R + 1] int64.
        n_beats: [R] int64.
        place: [M, 5, 5] int32, beat that each of the five places is at, for each size.
        n_span: [M, 5] int32, beats of the span of each size.
        longest_span: [M] int32, beats of the longest.
        edges_s: [M] float64, start of the beat; the file's end in a recording's last row.
        energy: [M] float64, power times seconds of the beat, 0 where levels are not known.
        n_audible: [M] int64, audible beats before this one.
        audible: [M] bool, whether this beat is.
        pattern: [M] int64, which of the patterns holds here.
        n_patterns: P.
        size_pattern: [4 P, 20, 5] bool, sizes that the grid allows; then those without
            JUMP_BACK; then all of them without REPEAT_PREV.
        type_pattern: [4 P, 20] bool, types with an allowed size.
    """

    episode: EpisodeConfig
    first_row: NDArray[np.int64]
    n_beats: NDArray[np.int64]
    place: NDArray[np.int32]
    n_span: NDArray[np.int32]
    longest_span: NDArray[np.int32]
    edges_s: NDArray[np.float64]
    energy: NDArray[np.float64]
    n_audible: NDArray[np.int64]
    audible: NDArray[np.bool_]
    pattern: NDArray[np.int64]
    n_patterns: int
    size_pattern: NDArray[np.bool_]
    type_pattern: NDArray[np.bool_]

    @classmethod
    def of(cls, contexts: Sequence[EditContext], episode: EpisodeConfig) -> EditTables:
        """Return the tables of some recordings."""
        n_beats = np.array([c.lines.n_beats for c in contexts], dtype=np.int64)
        pattern, sizes = _patterns([c.lines.size_allowed for c in contexts])
        size_pattern = _without(_without(sizes, ActionType.JUMP_BACK), ActionType.REPEAT_PREV)
        place = np.concatenate([_places(c) for c in contexts])
        n_span = place[:, SPAN_END] - place[:, STAY]
        audible = [np.append(np.diff(c.n_audible) > 0, False) for c in contexts]
        return cls(
            episode=episode,
            first_row=np.concatenate([[0], np.cumsum(n_beats + 1)]),
            n_beats=n_beats,
            place=place,
            n_span=n_span,
            longest_span=n_span.max(axis=1),
            edges_s=np.concatenate([c.edges_s for c in contexts]),
            energy=np.concatenate([_energy(c) for c in contexts]),
            n_audible=np.concatenate([c.n_audible for c in contexts]),
            audible=np.concatenate(audible),
            pattern=pattern,
            n_patterns=len(sizes),
            size_pattern=size_pattern,
            type_pattern=np.any(size_pattern, axis=2),
        )


def _places(context: EditContext) -> NDArray[np.int32]:
    """Return [N + 1, 5, 5] the beat of each place for each size."""
    lines = context.lines
    stay = np.broadcast_to(np.arange(lines.n_beats + 1)[:, None], lines.span_end.shape)
    places = [stay, lines.span_end, lines.second_end, lines.back_to, lines.second_back_to]
    return np.stack(places, axis=1).astype(np.int32)


def _energy(context: EditContext) -> NDArray[np.float64]:
    """Return [N + 1] power times seconds of each beat, 0 for the end."""
    if context.power is None:
        return np.zeros(context.lines.n_beats + 1)
    return np.append(context.power * np.diff(context.edges_s), 0.0)


def _without(sizes: NDArray[np.bool_], kind: ActionType) -> NDArray[np.bool_]:
    """Return [2 P, 20, 5] the patterns [P, 20, 5], then the same without a type of action."""
    without = sizes.copy()
    without[:, kind] = False
    return np.concatenate([sizes, without])


def _patterns(allowed: list[NDArray[np.bool_]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ([M] pattern of each row, [P, 20, 5] the patterns) of [N, 20, 5] a recording.

    Grids allow few patterns of sizes, so a batch copies them from a small table.
    """
    none = np.zeros((1, N_TYPES, N_SIZES), dtype=bool)
    rows = np.concatenate([part for sizes in allowed for part in (sizes, none)])
    packed = np.packbits(rows.reshape(len(rows), -1), axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return inverse.reshape(-1).astype(np.int64), rows[first]
