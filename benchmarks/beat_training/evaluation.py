"""How well given weights of the beat network track pieces whose beats are known.

The beats are those of the tracker as it is used: network in NumPy, decoder, one bar phase in each
stretch. Scores are those of mir_eval (Davies, Degara and Plumbley, "Evaluation methods for musical
audio beat tracking algorithms", 2009), with a window of 70 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.dataset import Piece
from rl_editor.beat_network import activations
from rl_editor.beats import frame_level_db, grid_from_activations

WINDOW_S = 0.07
"""Beats that are nearer to each other are the same; the window of mir_eval."""


@dataclass(frozen=True)
class Scores:
    """Means over pieces, or over the beats of all pieces.

    Attributes:
        n_pieces: with beats; the scores but the last are means over these.
        f_measure: of all beats that the tracker is sure to hear, talk and noise included.
        f_inside: of those inside the stretches of playing.
        downbeat_f: of the downbeats inside the stretches of playing.
        error_ms: mean distance of the beats that were found from the true ones; None without any.
        false_beats: beats heard per minute outside of the stretches, over all pieces.
    """

    n_pieces: int
    f_measure: float
    f_inside: float
    downbeat_f: float
    error_ms: float | None
    false_beats: float


def evaluate(
    pieces: Sequence[Piece], weights: Mapping[str, NDArray[np.float32]] | None = None
) -> Scores:
    """Return the scores of the tracker with `weights` (the shipped ones if None).

    Raises:
        ValueError: no piece has beats.
    """
    from mir_eval.beat import f_measure

    rows, errors_s = [], []
    n_false, outside_s = 0, 0.0
    for piece in pieces:
        beats_s, downbeats_s = heard_beats(piece, weights)
        inside = _inside(beats_s, piece.stretches_s)
        n_false += int(np.sum(~inside))
        outside_s += piece.duration_s - float(np.sum(np.diff(piece.stretches_s, axis=1)))
        truth_s = piece.beats_s
        if not len(truth_s):
            continue
        true_downbeats_s = truth_s[piece.is_downbeat]
        down_inside_s = downbeats_s[_inside(downbeats_s, piece.stretches_s)]
        rows.append(
            (
                f_measure(truth_s, beats_s, WINDOW_S),
                f_measure(truth_s, beats_s[inside], WINDOW_S),
                f_measure(true_downbeats_s, down_inside_s, WINDOW_S),
            )
        )
        errors_s.append(_errors(truth_s, beats_s))
    if not rows:
        raise ValueError("at least one piece must have beats")
    f_all, f_inside, f_down = (float(mean) for mean in np.mean(np.array(rows), axis=0))
    errors = np.concatenate(errors_s)
    error_ms = 1000.0 * float(errors.mean()) if len(errors) else None
    per_minute = 60.0 * n_false / max(outside_s, 1.0)
    return Scores(len(rows), f_all, f_inside, f_down, error_ms, per_minute)


def heard_beats(
    piece: Piece, weights: Mapping[str, NDArray[np.float32]] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the beats and the downbeats, in seconds, that the tracker is sure to hear."""
    frames = piece.frames.astype(np.float32)
    heard = np.column_stack([activations(frames, weights=weights), frame_level_db(frames)])
    grid = grid_from_activations(heard, piece.duration_s)
    sure = grid.confidence > 0.0
    return grid.beats_s[sure], grid.beats_s[sure & grid.is_downbeat]


def _inside(times_s: NDArray[np.float64], stretches_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return [N] whether each time is in one of the stretches, or nearly."""
    inside = np.zeros(len(times_s), dtype=bool)
    for start_s, end_s in stretches_s:
        inside |= (times_s >= start_s - WINDOW_S) & (times_s <= end_s + WINDOW_S)
    return inside


def _errors(truth_s: NDArray[np.float64], beats_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances below `WINDOW_S` of each true beat from the nearest heard one."""
    if not len(beats_s):
        return np.zeros(0)
    after = np.clip(np.searchsorted(beats_s, truth_s), 0, len(beats_s) - 1)
    before = np.maximum(after - 1, 0)
    error_s = np.minimum(np.abs(beats_s[after] - truth_s), np.abs(beats_s[before] - truth_s))
    return error_s[error_s < WINDOW_S]
