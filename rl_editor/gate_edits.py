"""The edits that a known one must out-score: of those who know nothing, and itself a little wrong.

An edit is `PlayedBeats`: the beats of the recording in the order they are heard, each with the
span of the known edit whose sound it has. So a passage is moved, dropped, kept or repeated by
slicing, whatever the known edit does to its sound.

In: a grid, a known edit. Out: `PlayedBeats`, and `FinishedEdits` of many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType, Size
from rl_editor.edit_state import EditState
from rl_editor.finished_edits import FinishedEdits
from rl_editor.grid import BeatGrid
from rl_editor.spans import AS_IT_IS, Sound, Span

KEEP_RATIOS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))
"""Shares that the random editors keep."""
MOST_BARS = 4
"""Longest passage that a small corruption drops, moves or repeats, bars."""
_LOOP = Action(ActionType.LOOP, Size.BAR)
_MOVE = Action(ActionType.REORDER, Size.BAR)


@dataclass(frozen=True, eq=False)
class PlayedBeats:
    """An edit, beat by beat.

    Attributes:
        beats: [n] int64, beats of the recording as they are heard.
        sound: [n] int64, index into `sounds`; 0 is as recorded.
        sounds: of the known edit's spans, after `AS_IT_IS`.
        actions: that spell it, sizes aside.
    """

    beats: NDArray[np.int64]
    sound: NDArray[np.int64]
    sounds: tuple[Sound, ...]
    actions: tuple[Action, ...]

    @classmethod
    def of(cls, state: EditState) -> PlayedBeats:
        """Return what a finished edit plays."""
        sounds, beats, index = [AS_IT_IS], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for span in state.spans():
            played = np.arange(span.start, span.end)
            beats.append(played[::-1] if span.sound.reverse else played)
            index.append(np.full(span.n_beats, 0 if span.sound == AS_IT_IS else len(sounds)))
            if span.sound != AS_IT_IS:
                sounds.append(span.sound)
        return cls(np.concatenate(beats), np.concatenate(index), tuple(sounds), state.actions)

    @classmethod
    def kept(cls, keep: NDArray[np.bool_]) -> PlayedBeats:
        """Return the edit that plays the beats of `keep` [N] as they are."""
        beats = np.flatnonzero(keep)
        kinds = keep[np.flatnonzero(np.diff(keep, prepend=~keep[:1]))]
        actions = [Action(ActionType.KEEP if k else ActionType.CUT, Size.BEAT) for k in kinds]
        return cls(beats, np.zeros(len(beats), np.int64), (AS_IT_IS,), tuple(actions))

    def plays_as(self, other: PlayedBeats) -> bool:
        """Return whether both sound the same."""
        return (
            np.array_equal(self.beats, other.beats)
            and self.sounds == other.sounds
            and np.array_equal(self.sound, other.sound)
        )

    def picked(self, order: NDArray[np.int64], *more: Action) -> PlayedBeats:
        """Return the edit that plays what this one plays at the places `order`."""
        return PlayedBeats(
            self.beats[order], self.sound[order], self.sounds, (*self.actions, *more)
        )

    def with_beats(self, added: NDArray[np.int64]) -> PlayedBeats:
        """Return the edit with more beats, each as recorded after the last one played before it."""
        place_of = np.full(max(self.beats.max(initial=0), added.max(initial=0)) + 1, -1)
        place_of[self.beats] = np.arange(len(self.beats))
        played = np.sort(self.beats)
        before = np.searchsorted(played, added) - 1
        place = np.where(before >= 0, place_of[played[before]] if len(played) else -1, -1)
        order = np.lexsort(
            (
                np.concatenate([np.full(len(self.beats), -1), added]),
                np.concatenate([np.arange(len(self.beats)), place]),
            )
        )
        beats = np.concatenate([self.beats, added])[order]
        sound = np.concatenate([self.sound, np.zeros(len(added), np.int64)])[order]
        return PlayedBeats(beats, sound, self.sounds, self.actions)

    def spans(self) -> list[Span]:
        """Return what is played as spans of the recording."""
        if len(self.beats) == 0:
            return []
        backwards = np.array([sound.reverse for sound in self.sounds])[self.sound]
        goes_on = self.beats[1:] == self.beats[:-1] + np.where(backwards[1:], -1, 1)
        goes_on &= self.sound[1:] == self.sound[:-1]
        first = np.flatnonzero(np.append(True, ~goes_on))
        last = np.append(first[1:], len(self.beats)) - 1
        ends = np.sort(np.stack([self.beats[first], self.beats[last]]), axis=0)
        return [
            Span(start, end + 1, self.sounds[sound])
            for start, end, sound in zip(*ends.tolist(), self.sound[first].tolist(), strict=True)
        ]


def finished(
    edits: Sequence[PlayedBeats], task: int, targets: Sequence[float | None]
) -> FinishedEdits:
    """Return edits of one recording as arrays."""
    return FinishedEdits.of_spans(
        [edit.spans() for edit in edits],
        [edit.actions for edit in edits],
        [task] * len(edits),
        targets,
    )


def ignorant_edits(
    grid: BeatGrid, level_db: NDArray[np.floating], true: PlayedBeats, rng: np.random.Generator
) -> dict[str, PlayedBeats]:
    """Return the edits of policies that know nothing of what the recording needs.

    Some know how much of it stays. Random ones choose by beats and, harder to tell from an edit,
    by bars; the longest run is the one of its length that holds most of the known edit.
    """
    n_beats, index, bar = grid.n_beats, np.arange(grid.n_beats), grid.bar
    n_keep = len(np.unique(true.beats))
    wanted = np.isin(index, true.beats)
    inside = np.convolve(wanted, np.ones(max(1, n_keep)), mode="valid")
    best = int(inside.argmax())
    keeps = {
        "keep all": np.ones(n_beats, dtype=bool),
        "cut all": np.zeros(n_beats, dtype=bool),
        "alternating beats": index % 2 == 0,
        "alternating bars": bar % 2 == 0,
        "loudest first": np.isin(index, np.argsort(-level_db, kind="stable")[:n_keep]),
        "longest run": (index >= best) & (index < best + n_keep),
        "first part only": index < n_keep,
    }
    for ratio in KEEP_RATIOS:
        keeps[f"random beats, {ratio:.0%}"] = rng.random(n_beats) < ratio
        keeps[f"random bars, {ratio:.0%}"] = (rng.random(int(bar.max()) + 1) < ratio)[bar]
    return {name: PlayedBeats.kept(keep) for name, keep in keeps.items()}


def corrupted(
    kind: str, grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator
) -> PlayedBeats | None:
    """Return the known edit with one thing wrong, of `CORRUPTIONS`; None where there is no room."""
    edit = CORRUPTIONS[kind](grid, true, rng)
    return None if edit is None or edit.plays_as(true) else edit


def half_random(
    grid: BeatGrid, true: PlayedBeats, chosen: NDArray[np.bool_], keep: NDArray[np.bool_]
) -> PlayedBeats:
    """Return the known edit in which the `chosen` bars [bars] are decided by `keep` [bars]."""
    beats = np.arange(grid.n_beats)
    stays = ~(chosen & ~keep)[grid.bar]
    edit = true.picked(np.flatnonzero(stays[true.beats]))
    new = (chosen & keep)[grid.bar] & ~np.isin(beats, true.beats)
    return edit.with_beats(beats[new])


def gaps(n_beats: int, true: PlayedBeats) -> list[tuple[int, int]]:
    """Return the half-open stretches of the recording that an edit leaves out."""
    silent = np.zeros(n_beats + 2, dtype=bool)
    silent[1:-1] = ~np.isin(np.arange(n_beats), true.beats)
    edges = np.flatnonzero(np.diff(silent)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _runs(true: PlayedBeats) -> list[tuple[int, int]]:
    """Return the half-open ranges of places that play the recording straight on."""
    breaks = np.flatnonzero(np.diff(true.beats) != 1) + 1
    return list(zip([0, *breaks.tolist()], [*breaks.tolist(), len(true.beats)], strict=True))


def _moved_cut(grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator) -> PlayedBeats | None:
    """Move the start or end of a run by a bar: into it, or out into what was left out."""
    bar = _bar(grid)
    first, stop = _pick(_runs(true), rng)
    at_start, inwards = rng.random(2) < 0.5
    if inwards:
        if stop - first <= bar:
            return None
        return _without(true, slice(first, first + bar) if at_start else slice(stop - bar, stop))
    edge = int(true.beats[first] if at_start else true.beats[stop - 1] + 1)
    added = np.arange(edge - bar, edge) if at_start else np.arange(edge, edge + bar)
    if added[0] < 0 or added[-1] >= grid.n_beats or np.any(np.isin(added, true.beats)):
        return None
    place, plain = first if at_start else stop, np.zeros(bar, np.int64)
    beats, sound = np.insert(true.beats, place, added), np.insert(true.sound, place, plain)
    return PlayedBeats(beats, sound, true.sounds, true.actions)


def _bad_take_kept(
    grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator
) -> PlayedBeats | None:
    """Keep a stretch of at least a bar that was left out."""
    long = [gap for gap in gaps(grid.n_beats, true) if gap[1] - gap[0] >= _bar(grid)]
    return true.with_beats(np.arange(*_pick(long, rng))) if long else None


def _passage_dropped(
    grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator
) -> PlayedBeats | None:
    """Drop one to four bars of a run."""
    passage = _passage(grid, _runs(true), true, rng)
    return None if passage is None else _without(true, passage)


def _passages_swapped(
    grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator
) -> PlayedBeats | None:
    """Swap two neighbouring runs, or a passage of one to four bars and as much after it."""
    bar, runs, n_played = _bar(grid), _runs(true), len(true.beats)
    if len(runs) > 1 and rng.random() < 0.5:
        after = int(rng.integers(1, len(runs)))
        (first, middle), (_, stop) = runs[after - 1], runs[after]
    else:
        length = bar * int(rng.integers(1, MOST_BARS + 1))
        passage = _passage(grid, [(0, n_played - length)], true, rng)
        if passage is None:
            return None
        first, middle = passage.start, passage.stop
        stop = min(n_played, middle + length)
    if min(middle - first, stop - middle) < bar:
        return None
    order = np.arange(n_played)
    order[first:stop] = np.roll(order[first:stop], stop - middle)
    return true.picked(order, _MOVE)


def _loop_added(grid: BeatGrid, true: PlayedBeats, rng: np.random.Generator) -> PlayedBeats | None:
    """Play one to four bars of a run twice."""
    passage = _passage(grid, _runs(true), true, rng)
    if passage is None:
        return None
    order = np.arange(len(true.beats))
    return true.picked(np.insert(order, passage.stop, order[passage]), _LOOP)


Corruption = Callable[[BeatGrid, PlayedBeats, np.random.Generator], "PlayedBeats | None"]

CORRUPTIONS: dict[str, Corruption] = {
    "a cut moved by a bar": _moved_cut,
    "a bad take kept": _bad_take_kept,
    "a good passage dropped": _passage_dropped,
    "two passages swapped": _passages_swapped,
    "a loop added": _loop_added,
}
"""Small corruptions of a known edit, by name."""


def _bar(grid: BeatGrid) -> int:
    return min(grid.meter, grid.n_beats)


def _passage(
    grid: BeatGrid, ranges: Sequence[tuple[int, int]], true: PlayedBeats, rng: np.random.Generator
) -> slice | None:
    """Return one to four bars of one of the ranges of places, from a bar line where there is one.

    Passages between bar lines are the hardest to tell from what a musician would do.
    """
    bar = _bar(grid)
    long = [chosen for chosen in ranges if chosen[1] - chosen[0] >= bar]
    if not long:
        return None
    first, stop = _pick(long, rng)
    length = min(stop - first, bar * int(rng.integers(1, MOST_BARS + 1)))
    begins = np.arange(first, stop - length + 1)
    on_bars = begins[grid.is_downbeat[true.beats[begins]]]
    begin = int(rng.choice(on_bars if len(on_bars) else begins))
    return slice(begin, begin + length)


def _pick(choices: Sequence[tuple[int, int]], rng: np.random.Generator) -> tuple[int, int]:
    return choices[int(rng.integers(len(choices)))]


def _without(true: PlayedBeats, places: slice) -> PlayedBeats:
    return true.picked(np.delete(np.arange(len(true.beats)), places))
