"""What belongs in the edit of a recording, beat by beat, as the reward reads it.

A beat of the recording has a place in the finished piece and a sound that it is heard with there;
a beat that the piece plays several times has several places. Where the piece is no more than
passages as they were recorded, the places follow from the segments of the `Truth`, so that any of
equally good copies has one; otherwise from its clips, on beats.

In: `Track`, `Truth`. Out: `KnownBeats`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import FADE_CURVES
from rl_editor.beat_script import Part, script
from rl_editor.demonstrations import edit_context
from rl_editor.finished_edits import KEY_COLUMNS, sound_keys
from rl_editor.grid import BeatGrid
from rl_editor.track import Track
from rl_editor.truth import Truth

_PLACE_DIGITS = 9
"""Decimals of a place in seconds: copies of one beat have one place, whatever is rounded."""


@dataclass(frozen=True, eq=False)
class KnownBeats:
    """What is known about `N` beats.

    Attributes:
        right_s: [N] seconds that are wanted or as good as a wanted copy, weighted by confidence.
        place: [N] int64, order in the finished piece.
        key: [N] int64, sound in the finished piece (`finished_edits.sound_keys`).
        again_beat, again_place, again_key: [A] int64, the same of beats heard once more in it.
        wanted_s: seconds of the finished piece, weighted by confidence.
        weight_s: [N] length of the beats, weighted by confidence.
    """

    right_s: NDArray[np.float64]
    place: NDArray[np.int64]
    key: NDArray[np.int64]
    again_beat: NDArray[np.int64]
    again_place: NDArray[np.int64]
    again_key: NDArray[np.int64]
    wanted_s: float
    weight_s: NDArray[np.float64]

    @property
    def is_plain(self) -> bool:
        """Whether the piece plays each beat once at most, as it was recorded."""
        return len(self.again_beat) == 0 and not np.any(self.key)


def known_beats(track: Track, truth: Truth | None) -> KnownBeats:
    """Return what a truth says about the beats of its recording; zeros where nothing is known."""
    grid, none = track.grid, np.zeros(0, dtype=np.int64)
    right_s, place_s = _of_segments(grid, truth)
    weight_s = np.zeros(grid.n_beats)
    wanted_s = 0.0
    if truth is not None:
        confidence = np.array([s.confidence for s in truth.segments])
        weight_s = truth.share(grid.edges_s, confidence) * grid.durations_s
        wanted_s = sum((s.end_s - s.start_s) * s.confidence for s in truth.segments if s.wanted)
    place = np.unique(np.round(place_s, _PLACE_DIGITS), return_inverse=True)[1].astype(np.int64)
    key = np.zeros(grid.n_beats, dtype=np.int64)
    known = KnownBeats(right_s, place, key, none, none, none, wanted_s, weight_s)
    if truth is None or not truth.clips:
        return known
    return _with_clips(known, place_s, _asked_parts(track, truth))


def _of_segments(
    grid: BeatGrid, truth: Truth | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [N] right seconds and [N] places of all beats, seconds, by the truth's segments.

    The place of a beat is that of the middle of the right segment that fills most of it: a beat
    which holds its edge still follows the beat before it.
    """
    right_s, most_s, place_s = np.zeros((3, grid.n_beats))
    starts_s, ends_s = grid.edges_s[:-1], grid.edges_s[1:]
    for segment in () if truth is None else truth.segments:
        if segment.piece_start_s is None or not (segment.wanted or segment.equally_good):
            continue
        first_s, last_s = np.maximum(starts_s, segment.start_s), np.minimum(ends_s, segment.end_s)
        inside_s = np.maximum(0.0, last_s - first_s) * segment.confidence
        right_s += inside_s
        middle_s = (first_s + last_s) / 2 - segment.start_s + segment.piece_start_s
        place_s = np.where(inside_s > most_s, middle_s, place_s)
        most_s = np.maximum(most_s, inside_s)
    return right_s, place_s


def _asked_parts(track: Track, truth: Truth) -> tuple[Part, ...]:
    return script(edit_context(track), truth.decision_list()).parts


def _with_clips(
    known: KnownBeats, place_s: NDArray[np.float64], parts: tuple[Part, ...]
) -> KnownBeats:
    """Return the beats with the places and sounds of parts, where those say more than segments."""
    beat, key = _in_piece_order(parts)
    if len(beat) == 0 or (not np.any(key) and len(np.unique(beat)) == len(beat)):
        return known
    places = np.arange(len(beat))
    first = np.unique(beat, return_index=True)[1]
    again = np.setdiff1d(places, first)
    # A beat that no part plays may be as good as one that is: the nearest in the piece.
    order = np.argsort(place_s[beat[first]], kind="stable")
    copied = first[order]
    near = np.searchsorted(place_s[beat[copied]], place_s - 1e-9).clip(max=len(copied) - 1)
    place, sound = places[copied][near], key[copied][near]
    place[beat[first]], sound[beat[first]] = places[first], key[first]
    return KnownBeats(
        right_s=known.right_s,
        place=place,
        key=sound,
        again_beat=beat[again],
        again_place=places[again],
        again_key=key[again],
        wanted_s=float(known.right_s[beat].sum()),
        weight_s=known.weight_s,
    )


def _in_piece_order(parts: tuple[Part, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return [n] beats and [n] keys of their sounds, as the finished piece plays them."""
    beats: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    keys: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for number, part in enumerate(parts):
        fades = {"fade_in": part.sound.fade_in, "fade_out": part.sound.fade_out}
        # A fade into the whole piece or out of it leaves the music what it is.
        fades["fade_in"] = fades["fade_in"] if number else None
        fades["fade_out"] = fades["fade_out"] if number < len(parts) - 1 else None
        columns = {
            **part.sound._asdict(),
            **{n: -1 if c is None else FADE_CURVES.index(c) for n, c in fades.items()},
        }
        key = sound_keys({name: np.array([float(columns[name])]) for name in KEY_COLUMNS})
        played = np.arange(part.start, part.end)[:: -1 if part.sound.reverse else 1]
        beats += [played] * part.plays
        keys += [np.repeat(key, len(played) * part.plays)]
    return np.concatenate(beats), np.concatenate(keys)
