"""Parts of a beat grid: stretches that are played and rests between them, tiling a recording.

Bars and phrases begin where playing begins: the first beat of a stretch and the first cell of a
rest are always lines of the grid. Where a stretch begins with a pickup, the pickup is a bar and
a phrase of its own, and phrases of four bars count from the first full bar.

In: beat times and where bars begin. Out: a `BeatGrid`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.errors import UserError
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid

FloatArray = NDArray[np.float64]

SHORTEST_CELL = 0.5
"""Of the local beat: a shorter remainder is added to the cell before it."""
_ROUNDING = 1e-9
"""Of a beat: a remainder of just half a beat is one, however the times were rounded."""


@dataclass(frozen=True)
class Part:
    """A stretch or a rest on the grid.

    Attributes:
        beats_s: [N] starts of its cells, s.
        is_downbeat, is_phrase_start: [N] where bars and phrases begin.
        confidence: [N] in [0, 1]; 0 in a rest.
        is_played: False for a rest.
    """

    beats_s: FloatArray
    is_downbeat: NDArray[np.bool_]
    is_phrase_start: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    is_played: bool

    def without_last(self) -> Part:
        """Return the part without its last cell."""
        return Part(
            self.beats_s[:-1],
            self.is_downbeat[:-1],
            self.is_phrase_start[:-1],
            self.confidence[:-1],
            self.is_played,
        )


def rest(cells_s: FloatArray, meter: int) -> Part:
    """Return the part of cells [N] in which nothing is played; bars count from its start."""
    is_downbeat, is_phrase_start = bars_through(len(cells_s), [0], meter)
    confidence = np.zeros(len(cells_s), dtype=np.float32)
    return Part(cells_s, is_downbeat, is_phrase_start, confidence, is_played=False)


def stretch(
    beats_s: FloatArray, ones: Sequence[int], meter: int, confidence: NDArray[np.float32]
) -> Part:
    """Return the part of a stretch of beats [N] whose bars go through `ones` (`bars_through`)."""
    is_downbeat, is_phrase_start = bars_through(len(beats_s), ones, meter)
    return Part(beats_s, is_downbeat, is_phrase_start, confidence, is_played=True)


def cells(start_s: float, stop_s: float, period_s: float) -> FloatArray:
    """Return starts of equal cells near `period_s` that fill a rest; none if it is too short."""
    n_cells = int((stop_s - start_s) / period_s + (1.0 - SHORTEST_CELL) + _ROUNDING)
    index = np.arange(n_cells, dtype=np.float64)
    return start_s + index * ((stop_s - start_s) / max(n_cells, 1))


def bars_through(
    n_beats: int, ones: Sequence[int], meter: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return [N] where bars and [N] where phrases begin in a stretch.

    Args:
        n_beats: of the stretch.
        ones: beats at which a bar begins, increasing, at least one; the first may lie before the
            stretch. One that does not fit the bars before it cuts the last of them short, and
            phrases count anew from there.
        meter: beats in a bar.
    """
    anchors = [ones[0] % meter]
    for one in ones[1:]:
        if (one - anchors[-1]) % meter:
            anchors.append(one)
    index = np.arange(n_beats)
    last = np.maximum(np.searchsorted(anchors, index, side="right") - 1, 0)
    place = index - np.asarray(anchors)[last]
    is_phrase_start = (place >= 0) & (place % (meter * BARS_PER_PHRASE) == 0)
    return (index == 0) | (place % meter == 0), (index == 0) | is_phrase_start


def with_downbeats(
    parts: list[Part], moments_s: Sequence[float], meter: int, duration_s: float
) -> list[Part]:
    """Return the parts with a bar at the played beat nearest to each moment.

    The stretch of playing around a moment takes its bar phase from it; with several moments in
    one stretch each holds up to the next. A moment belongs to a stretch from half a beat before
    its first beat to the end of its last.

    Raises:
        UserError: nothing is played at one of the moments.
    """
    if not moments_s:
        return parts
    number = np.concatenate([np.full(len(p.beats_s), i) for i, p in enumerate(parts)])
    beat = np.concatenate([np.arange(len(part.beats_s)) for part in parts])
    start_s = np.concatenate([part.beats_s for part in parts])
    lengths_s = np.diff(start_s, append=duration_s)
    played = np.flatnonzero([parts[i].is_played for i in number])
    ones: dict[int, set[int]] = {}
    for moment_s in moments_s:
        away_s = np.abs(start_s[played] - moment_s)
        nearest = played[np.argmin(away_s)] if len(played) else -1
        late_s = moment_s - start_s[nearest]
        if nearest < 0 or not -0.5 * lengths_s[nearest] <= late_s <= lengths_s[nearest]:
            raise UserError(
                f"a bar should begin at {moment_s:g} s, but nothing is played there that has a "
                "beat; name a moment inside the music."
            )
        ones.setdefault(int(number[nearest]), set()).add(int(beat[nearest]))
    return [
        _with_bars(part, sorted(ones[i]), meter) if i in ones else part
        for i, part in enumerate(parts)
    ]


def _with_bars(part: Part, ones: Sequence[int], meter: int) -> Part:
    is_downbeat, is_phrase_start = bars_through(len(part.beats_s), ones, meter)
    return dataclasses.replace(part, is_downbeat=is_downbeat, is_phrase_start=is_phrase_start)


def grid_of(
    parts: list[Part],
    duration_s: float,
    meter: int,
    tempo_bpm: float,
    runners_up: Sequence[tuple[float, float]] = (),
) -> BeatGrid:
    """Return the grid of parts that tile [0, `duration_s`).

    Args:
        parts: in order; the first begins at 0.
        duration_s: of the recording.
        meter: beats in most bars.
        tempo_bpm: most common tempo.
        runners_up: other tempi that fit and their scores, best first.
    """
    return BeatGrid(
        beats_s=np.concatenate([part.beats_s for part in parts]),
        duration_s=duration_s,
        is_downbeat=np.concatenate([part.is_downbeat for part in parts]),
        is_phrase_start=np.concatenate([part.is_phrase_start for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        meter=meter,
        tempo_bpm=tempo_bpm,
        runner_up_tempi_bpm=tuple(bpm for bpm, _ in runners_up),
        runner_up_scores=tuple(score for _, score in runners_up),
    )
