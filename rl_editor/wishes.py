"""What a musician asks of an edit: parts to keep and drop, a length, what may be done to the sound.

In: times and words as they are asked for. Out: the same, checked against the recording
(`Wishes.check`), and what they mean on its beats (`BeatWishes`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import AMOUNT_EXISTS, N_AMOUNTS, N_TYPES, ActionType, Amount
from rl_editor.errors import UserError
from rl_editor.grid import BeatGrid
from rl_editor.kept_runs import runs_of
from rl_editor.units import format_time, parse_time

if TYPE_CHECKING:
    from typing_extensions import Self

Span = tuple[float, float]
"""Start and end in s of the recording."""

STYLES = {"conservative": 2.0, "balanced": 0.0, "tight": -2.0}
"""Nats that every beat gains: what the policy is less sure of than that stays, or goes."""
EFFECTS = ("off", "gentle", "all")
MAX_STRETCH = 0.03
"""Relative change of speed by which a length is reached exactly."""
FORCED = 60.0
"""Nats of a beat that is asked for: far beyond all doubts of a policy and costs of a change."""
_END_TOLERANCE_S = 1.0
"""A time so little after the end of the recording is its end: who reads 4:02.2 may say 4:03."""
_TENTH_S = 0.1

_REORDERING = (ActionType.REORDER, ActionType.JUMP_BACK, ActionType.SWAP_NEXT)
_LOOPING = (ActionType.LOOP, ActionType.JUMP_BACK, ActionType.REPEAT_PREV)
_CHANGING = (
    ActionType.SPEED_UP,
    ActionType.SPEED_DOWN,
    ActionType.REVERSE,
    ActionType.PITCH_UP,
    ActionType.PITCH_DOWN,
    ActionType.DISTORTION,
    ActionType.REVERB,
)
_LEVELLING = (ActionType.GAIN, ActionType.EQ_LOW, ActionType.EQ_HIGH)
_LARGE = (Amount.NEG_LARGE, Amount.POS_LARGE)
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(bars?|beats?|s|seconds?)?\s*")


def parse_span(text: str) -> Span:
    """Return the span of a text such as `1:20-1:45`; `ValueError` for anything else."""
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no span")
    return parse_time(start), parse_time(end)


def merged_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order of time, those that touch in one."""
    merged: list[Span] = []
    for start_s, end_s in sorted(spans):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end_s)
        else:
            merged.append((start_s, end_s))
    return tuple(merged)


def without_spans(span: Span, others: Iterable[Span]) -> tuple[Span, ...]:
    """Return what is left of a span without others."""
    left = [span]
    for start_s, end_s in others:
        left = [
            part
            for first_s, last_s in left
            for part in ((first_s, min(last_s, start_s)), (max(first_s, end_s), last_s))
            if part[0] < part[1]
        ]
    return tuple(left)


def total_s(spans: Iterable[Span]) -> float:
    """Return the length of spans that do not overlap."""
    return sum(end_s - start_s for start_s, end_s in spans)


@dataclass(frozen=True)
class Wishes:
    """What is asked for; nothing, unless it is named.

    Attributes:
        keep_ratio: share of the recording that the track lasts, in (0, 1].
        duration_s: how long the track lasts, within a bar.
        exact: it lasts that long to the sample.
        keep_s, drop_s: spans of the recording that are heard, or not heard, whatever the editor
            thinks of them.
        reorder: passages may change places.
        loops: passages may be heard several times in a row.
        effects: "off" leaves the sound as it is but for fades, "gentle" allows small changes of
            level and tone, "all" everything.
        min_clip: shortest passage that is kept, such as "2 bars", "8 beats" or "4 s".
        style: "conservative" cuts only what is surely unwanted, "tight" all that may be.
    """

    keep_ratio: float | None = None
    duration_s: float | None = None
    exact: bool = False
    keep_s: tuple[Span, ...] = ()
    drop_s: tuple[Span, ...] = ()
    reorder: bool = True
    loops: bool = True
    effects: str = "all"
    min_clip: str | None = None
    style: str = "balanced"

    @property
    def has_length(self) -> bool:
        """Whether a length or a share is asked for."""
        return self.duration_s is not None or self.keep_ratio is not None

    def share_of(self, duration_s: float) -> float | None:
        """Return the share of a recording of `duration_s` that is asked for, if one is."""
        if self.duration_s is None:
            return self.keep_ratio
        return min(self.duration_s / duration_s, 1.0)

    def check(self) -> None:
        """Raise UserError if the wishes cannot be meant, whatever the recording."""
        ratio, length_s = self.keep_ratio, self.duration_s
        if ratio is not None and not 0.0 < ratio <= 1.0:
            _refuse(
                f"the share to keep must lie above 0 and up to 1, but is {ratio:g}",
                "0.5 keeps half of the recording",
            )
        if length_s is not None and not 0.0 < length_s < np.inf:
            _refuse(f"the duration must be above 0, but is {length_s:g}", "such as 3:30")
        if ratio is not None and length_s is not None:
            _refuse("a share and a duration are both asked for", "choose one of them")
        if self.exact and length_s is None:
            _refuse("an exact length needs a duration", "say how long, such as --duration 3:30")
        for name, value, known in (
            ("effects", self.effects, EFFECTS),
            ("style", self.style, tuple(STYLES)),
        ):
            if value not in known:
                _refuse(f"{name} can be {', '.join(known)}, but not {value!r}", "choose one")
        if self.min_clip is not None and not self._min_clip():
            _refuse(
                f"the shortest clip should be a length above 0, but is {self.min_clip!r}",
                "such as 2 bars, 8 beats or 4 s",
            )

    def on_recording(self, duration_s: float) -> Self:
        """Return the wishes with their spans in order and inside a recording of `duration_s`.

        Raises:
            UserError: a span lies outside, or the wishes contradict each other; names the nearest
                possible one.
        """
        keep_s, drop_s = (
            merged_spans(_inside(span, duration_s, name) for span in spans)
            for name, spans in (("keep", self.keep_s), ("drop", self.drop_s))
        )
        wishes = replace(self, keep_s=keep_s, drop_s=drop_s)
        wishes._check_spans(duration_s)
        wishes._check_length(duration_s)
        return wishes

    def _check_spans(self, duration_s: float) -> None:
        for start_s, end_s in self.keep_s:
            for first_s, last_s in self.drop_s:
                both = max(start_s, first_s), min(end_s, last_s)
                if both[0] < both[1]:
                    _refuse(
                        f"{_told(both)} is to be kept and to be dropped",
                        "leave it out of one of them",
                    )
        if total_s(self.drop_s) > duration_s - _TENTH_S:
            _refuse("all of the recording is to be dropped", "leave something of it")

    def _check_length(self, duration_s: float) -> None:
        asked_s = self.duration_s
        if self.keep_ratio is not None:
            asked_s = self.keep_ratio * duration_s
        if asked_s is None:
            return
        least_s, most_s = total_s(self.keep_s), duration_s - total_s(self.drop_s)
        if asked_s < least_s:
            _refuse(
                f"the parts to keep last {format_time(least_s)}, but the track is to last "
                f"{format_time(asked_s)}",
                f"ask for {self._of_length(least_s, duration_s, math.ceil)} or more, or keep less",
            )
        longest_s = most_s * (1.0 + MAX_STRETCH if self.exact else 1.0)
        if asked_s > longest_s + _TENTH_S:
            _refuse(
                f"there are {format_time(most_s)} to choose from, but the track is to last "
                f"{format_time(asked_s)}",
                f"ask for {self._of_length(most_s, duration_s, math.floor)} at most",
            )

    def _of_length(
        self, length_s: float, duration_s: float, rounded: Callable[[float], int]
    ) -> str:
        """Return the option that asks for a length, in the words of the one that was used."""
        if self.keep_ratio is not None:
            return f"--keep-ratio {rounded(1000 * length_s / duration_s) / 1000:g}"
        return f"--duration {format_time(rounded(10 * length_s) / 10)}"

    def _min_clip(self) -> tuple[float, str] | None:
        """Return the number and the unit of the shortest clip, None if it is neither."""
        found = _LENGTH.fullmatch(self.min_clip or "")
        if found is None or not float(found[1]) > 0.0:
            return None
        return float(found[1]), (found[2] or "s").rstrip("s") or "s"

    def least_beats(self, grid: BeatGrid) -> int:
        """Return how many beats a passage that is kept has at least."""
        if self.min_clip is None:
            return 1
        asked = self._min_clip()
        assert asked is not None
        number, unit = asked
        beats = {"bar": grid.meter, "beat": 1}
        if unit in beats:
            return max(1, round(number * beats[unit]))
        return max(1, int(np.ceil(number / float(np.median(grid.durations_s)))))

    def on_beats(self, grid: BeatGrid) -> BeatWishes:
        """Return what the wishes mean on the beats of a recording.

        A beat of which anything is to be heard is kept; one of which half is to go, goes.
        """
        kept_s, dropped_s = (_overlap_s(spans, grid) for spans in (self.keep_s, self.drop_s))
        keep = kept_s > 1e-6
        drop = ~keep & (dropped_s >= 0.5 * grid.durations_s)
        return BeatWishes(keep, drop, self.least_beats(grid), self._allowed())

    def _allowed(self) -> NDArray[np.bool_]:
        """Return [20, 5] True where an action is allowed."""
        allowed = AMOUNT_EXISTS.copy()
        if not self.reorder:
            allowed[list(_REORDERING)] = False
        if not self.loops:
            allowed[list(_LOOPING)] = False
        if self.effects != "all":
            allowed[list(_CHANGING)] = False
        if self.effects == "off":
            allowed[list(_LEVELLING)] = False
        elif self.effects == "gentle":
            allowed[np.ix_(_LEVELLING, _LARGE)] = False
        return allowed


@dataclass(frozen=True)
class BeatWishes:
    """Wishes on the beats of a recording.

    Attributes:
        keep, drop: [N] beats that are in the edit, and beats that are not; never both.
        least_beats: of a passage that is kept, as far as `drop` allows.
        allowed: [20, 5] action types and amounts that may happen.
    """

    keep: NDArray[np.bool_]
    drop: NDArray[np.bool_]
    least_beats: int
    allowed: NDArray[np.bool_]

    @classmethod
    def none(cls, n_beats: int) -> BeatWishes:
        """Return no wishes."""
        nothing = np.zeros(n_beats, dtype=bool)
        return cls(nothing, nothing, 1, np.ones((N_TYPES, N_AMOUNTS), dtype=bool))

    @property
    def is_forced(self) -> NDArray[np.bool_]:
        """[N] whether a beat was asked for, or asked to go."""
        return self.keep | self.drop

    def odds(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-odds [N] of keeping with those of beats that were asked about beyond doubt."""
        return np.where(self.keep, FORCED, np.where(self.drop, -FORCED, log_odds))

    def granted(self, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return an edit [N] with what is asked for, without what is not, and without snippets.

        A passage that is asked for and too short grows on both sides; others that are too short go.
        """
        granted = (keep | self.keep) & ~self.drop
        if self.least_beats <= 1:
            return granted
        for start, end in runs_of(granted).tolist():
            if end - start < self.least_beats and not self.keep[start:end].any():
                granted[start:end] = False
        for start, end in runs_of(granted).tolist():
            granted[slice(*self._grown(granted, start, end))] = True
        return granted

    def _grown(self, keep: NDArray[np.bool_], start: int, end: int) -> tuple[int, int]:
        """Return a passage of an edit [N] grown to the least length, as far as it may."""
        while True:
            while end < len(keep) and keep[end]:  # it has met the next one
                end += 1
            while start > 0 and keep[start - 1]:
                start -= 1
            if end - start >= self.least_beats:
                return start, end
            if end < len(keep) and not self.drop[end]:
                end += 1
            elif start > 0 and not self.drop[start - 1]:
                start -= 1
            else:
                return start, end


def _overlap_s(spans: Iterable[Span], grid: BeatGrid) -> NDArray[np.float64]:
    """Return [N] how much of each beat lies in spans that do not overlap."""
    edges_s, overlap_s = grid.edges_s, np.zeros(grid.n_beats)
    for start_s, end_s in spans:
        overlap_s += np.maximum(
            np.minimum(edges_s[1:], end_s) - np.maximum(edges_s[:-1], start_s), 0.0
        )
    return overlap_s


def _inside(span: Span, duration_s: float, name: str) -> Span:
    start_s, end_s = span
    if not 0.0 <= start_s < duration_s or end_s > duration_s + _END_TOLERANCE_S:
        _refuse(
            f"the part to {name}, {_told(span)}, should lie in the recording, which ends at "
            f"{format_time(duration_s)}",
            "give times before that",
        )
    if not start_s < end_s:
        _refuse(f"the part to {name}, {_told(span)}, ends before it begins", "give the start first")
    return start_s, min(end_s, duration_s)


def _told(span: Span) -> str:
    return f"{format_time(span[0])}-{format_time(span[1])}"


def _refuse(what: str, help_words: str) -> NoReturn:
    raise UserError(f"{what}; {help_words}.")
