"""Demonstrations prepared for cloning: what is right at each beat, given the output before it.

In: `Demonstration` and the inputs' normalisation. Out: `CloningExample`, and two of them played
one after the other as one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rl_editor.agent import TrackInputs
from rl_editor.demonstrations import Demonstration
from rl_editor.grid import BeatGrid
from rl_editor.observation import AHEAD_BEATS, CopyTable, match_similarity, mean_ahead
from rl_editor.played_acts import PlayedActs, played_acts
from rl_editor.policy_inputs import Normalisation
from rl_editor.track import Track

SAME_PLACE_BEATS = 0.5
"""Beats closer than this in the piece are copies of each other."""

RETAKE_LIKENESS = 1.0
"""Likeness (as in `recurrence`; a cosine of 0.9) from which a repeat could be a retake."""
RETAKE_BEATS = 4
"""Shortest repeat that could be one."""
RETAKE_START_BEATS = 3
"""It begins so soon after an interruption."""
RETAKE_WEIGHT = 0.2
"""Weight of beats whose label nobody could tell; see `looks_like_retake`."""


@dataclass
class CloningExample:
    """A demonstration as tensors, and the policy's latest choices on it.

    Attributes:
        inputs: of the encoder.
        table: of its copies.
        grid: of the recording.
        material: [N] index of `Material`, what the beats are.
        place: [N] where the middle of each beat belongs in the finished piece, s, or NaN.
        wanted, spare: [N] beats that belong in the edit, and equally good copies of such.
        weight: [N] confidence, small for beats that are partly wanted.
        copies: [P, 2] pairs (beat, earlier beat) at the same place of the piece.
        has_later_copy: [N] a wanted copy comes later.
        acts: what plays each beat that is kept.
        keep_ratio: share that the demonstration keeps.
        own: [N] the policy's latest choices.
    """

    inputs: TrackInputs
    table: CopyTable
    grid: BeatGrid
    material: NDArray[np.int64]
    place: NDArray[np.float64]
    wanted: NDArray[np.bool_]
    spare: NDArray[np.bool_]
    weight: NDArray[np.float32]
    copies: NDArray[np.int64]
    has_later_copy: NDArray[np.bool_]
    acts: PlayedActs
    keep_ratio: float
    own: NDArray[np.bool_]


def example(demonstration: Demonstration, normalisation: Normalisation) -> CloningExample:
    """Return a demonstration prepared for cloning."""
    track = demonstration.track
    wanted = demonstration.wanted >= 0.5
    spare = ~wanted & (demonstration.equally_good >= 0.5)
    part = np.maximum(demonstration.wanted, demonstration.equally_good)
    place = piece_places(demonstration)
    copies, has_later_copy = _copies(place, wanted, spare, float(np.median(track.grid.durations_s)))
    durations_s = track.grid.durations_s
    weight = demonstration.confidence * np.abs(2.0 * part - 1.0)
    weight[looks_like_retake(track, wanted)] *= RETAKE_WEIGHT
    return CloningExample(
        inputs=TrackInputs.from_track(track, normalisation),
        table=CopyTable.from_track(track),
        grid=track.grid,
        material=demonstration.material,
        place=place,
        wanted=wanted,
        spare=spare,
        weight=weight.astype(np.float32),
        copies=copies,
        has_later_copy=has_later_copy,
        acts=played_acts(demonstration),
        keep_ratio=float((durations_s * wanted).sum() / durations_s.sum()),
        own=wanted.copy(),
    )


def looks_like_retake(track: Track, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return [N] wanted beats that repeat others right after an interruption, and those others.

    Music repeats itself, and where a made-up session is interrupted between a passage and its
    repeat, all of it is wanted; yet it sounds like a passage that was tried again. Most listeners
    would take it for that, and so should the editor: such beats must not teach the contrary.
    """
    lag = np.arange(track.n_beats) - track.match_earlier
    repeats = wanted & (track.match_earlier >= 0) & wanted[track.match_earlier]
    repeats &= match_similarity(track, "earlier") >= RETAKE_LIKENESS
    goes_on = repeats[1:] & repeats[:-1] & (np.abs(np.diff(lag)) <= 1)
    starts = np.flatnonzero(repeats & ~np.append(False, goes_on))
    ends = np.flatnonzero(repeats & ~np.append(goes_on, False)) + 1
    found = np.zeros(track.n_beats, dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        interrupted = not wanted[max(0, start - RETAKE_START_BEATS) : start].all()
        if interrupted and end - start >= RETAKE_BEATS:
            found[start:end] = True
            found[track.match_earlier[start:end]] = True
    return found


def piece_places(demonstration: Demonstration) -> NDArray[np.float64]:
    """Return [N] where the middle of each beat belongs in the finished piece, s; NaN if nowhere."""
    edges_s = demonstration.track.grid.edges_s
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    segments = demonstration.truth.segments
    starts = np.array([segment.start_s for segment in segments])
    found = np.searchsorted(starts, middle_s, side="right") - 1
    pieces = np.array(
        [np.nan if s.piece_start_s is None else s.piece_start_s for s in segments], dtype=float
    )
    return pieces[found] + middle_s - starts[found]


def _copies(
    place: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    spare: NDArray[np.bool_],
    beat_s: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return pairs (beat, earlier beat) of good copies, and which beats have a later wanted one."""
    good = np.flatnonzero((wanted | spare) & np.isfinite(place))
    order = good[np.argsort(place[good], kind="stable")]
    sorted_places = place[order]
    pairs = []
    for position, beat in enumerate(order):
        limit = np.searchsorted(sorted_places, sorted_places[position] + SAME_PLACE_BEATS * beat_s)
        for other in order[position + 1 : limit]:
            pairs.append((max(beat, other), min(beat, other)))
    copies = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    has_later_copy = np.zeros(len(place), dtype=bool)
    later_wanted = wanted[copies[:, 0]]
    has_later_copy[copies[later_wanted, 1]] = True
    return copies, has_later_copy


def right_choices(
    item: CloningExample, played: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return [N] where KEEP is right and [N] where CUT is, given the output before each beat.

    A wanted beat whose equal copy is already in the output is to be cut; an equal copy that is
    not in the output yet may be kept, and must be when no wanted copy follows.
    """
    heard = np.zeros(len(played), dtype=bool)
    heard[item.copies[played[item.copies[:, 1]], 0]] = True
    keep = (item.wanted | item.spare) & ~heard
    return keep, ~keep | (item.spare & item.has_later_copy)


def one_after_the_other(first: CloningExample, second: CloningExample) -> CloningExample:
    """Return two recordings of unlike pieces as one recording: nothing of one is in the other.

    What is wrong with one then says nothing about the other, and where a recording begins
    and ends matters less.
    """
    n_first = len(first.wanted)
    durations_s = np.concatenate([first.table.durations_s, second.table.durations_s])
    kept_s = first.keep_ratio * first.table.durations_s.sum()
    kept_s += second.keep_ratio * second.table.durations_s.sum()
    apart_s = np.nanmax(first.place, initial=0.0) + first.grid.duration_s
    return CloningExample(
        inputs=TrackInputs(
            torch.cat([first.inputs.values, second.inputs.values]),
            _shifted(first.inputs.match_later, second.inputs.match_later, torch.cat, torch.where),
            _shifted(
                first.inputs.match_earlier, second.inputs.match_earlier, torch.cat, torch.where
            ),
        ),
        table=_joined_tables(first.table, second.table),
        grid=_joined_grids(first.grid, second.grid),
        material=np.concatenate([first.material, second.material]),
        place=np.concatenate([first.place, second.place + apart_s]),
        wanted=np.concatenate([first.wanted, second.wanted]),
        spare=np.concatenate([first.spare, second.spare]),
        weight=np.concatenate([first.weight, second.weight]),
        copies=np.concatenate([first.copies, second.copies + n_first]),
        has_later_copy=np.concatenate([first.has_later_copy, second.has_later_copy]),
        acts=PlayedActs(*map(np.concatenate, zip(first.acts, second.acts, strict=True))),
        keep_ratio=float(kept_s / durations_s.sum()),
        own=np.concatenate([first.own, second.own]),
    )


def _shifted(first, second, concatenate, where):
    """Return the matches of both, those of the second counted from the first one's start."""
    return concatenate([first, where(second >= 0, second + len(first), second)])


def _joined_tables(first: CopyTable, second: CopyTable) -> CopyTable:
    later = np.concatenate([first.later, second.later])
    return CopyTable(
        durations_s=np.concatenate([first.durations_s, second.durations_s]),
        match_later=_shifted(first.match_later, second.match_later, np.concatenate, np.where),
        match_earlier=_shifted(first.match_earlier, second.match_earlier, np.concatenate, np.where),
        later=later,
        earlier=np.concatenate([first.earlier, second.earlier]),
        later_ahead=np.stack([mean_ahead(later, width) for width in AHEAD_BEATS], axis=1),
    )


def _joined_grids(first: BeatGrid, second: BeatGrid) -> BeatGrid:
    begins = np.arange(second.n_beats) == 0  # a recording's end is a line, so spans end there
    return dataclasses.replace(
        first,
        beats_s=np.concatenate([first.beats_s, first.duration_s + second.beats_s]),
        duration_s=first.duration_s + second.duration_s,
        is_downbeat=np.concatenate([first.is_downbeat, begins | second.is_downbeat]),
        is_phrase_start=np.concatenate([first.is_phrase_start, begins | second.is_phrase_start]),
        confidence=np.concatenate([first.confidence, second.confidence]),
    )
