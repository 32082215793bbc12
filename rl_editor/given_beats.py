"""From the beats of a file to a `BeatGrid`: every beat of the file is a beat of the grid.

Where the file says so, nothing is played; if it says that nowhere, then where it has no beats for
long, and cells go on at the tempo beside. Bars are as the file counts them, unless the user says
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_bars import DEFAULT_METER
from rl_editor.beat_hints import METER_RANGE, BeatHints, shifted
from rl_editor.beat_parts import Part, bars_through, cells, grid_of, rest, with_downbeats
from rl_editor.beats_file import NOT_PLAYED, SHORTEST_BEAT_S, UNKNOWN, GivenBeats
from rl_editor.errors import UserError
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LONGEST_BEAT_S = 6.0
"""10 beats a minute: a file of rarer times does not hold beats."""
_GAP_BEATS = 2.5
"""Longer intervals, in beats of the neighbourhood, hold cells in which nothing is played."""
_NEIGHBOURS = 4
"""Intervals on either side that are the neighbourhood."""
_SHORTEST_FILLED_S = 0.2
"""Cells that fill a gap are no shorter: 300 beats a minute."""


@dataclass(frozen=True)
class _Line:
    """Beats in a row: their times [N] in s and places in the bar [N], as in `GivenBeats`."""

    times_s: FloatArray
    places: IntArray


def grid_from_given(given: GivenBeats, duration_s: float, hints: BeatHints) -> BeatGrid:
    """Return the grid of a recording whose beats come from a file.

    Confidence is 1 at the beats of the file and 0 in cells where nothing is played.

    Args:
        given: the beats, inside the recording.
        duration_s: of the recording.
        hints: `meter` counts the bars anew from the first downbeat of each stretch of playing,
            `shift_beat` and `downbeats_s` do what they do without a file.

    Raises:
        UserError: the times are too far apart to be beats, or nothing is played at a moment at
            which a bar should begin.
    """
    line = _Line(np.array(given.times_s), np.array(given.places))
    typical_s = _typical_s(line)
    if typical_s > LONGEST_BEAT_S:
        raise UserError(
            f"{given.name} should hold beats, but its times are typically {typical_s:.1f} s apart; "
            f"give every beat, at most {LONGEST_BEAT_S:g} s after the one before."
        )
    line = _from_zero(_shift(line, typical_s) if hints.shift_beat else line)
    # a file that tells rests tells them all, unless a beat would be none without one more
    shortest_gap_s = LONGEST_BEAT_S if NOT_PLAYED in given.places else 0.0
    line = _filled(line, typical_s, duration_s, shortest_gap_s)
    edges = np.flatnonzero(np.diff(line.places == NOT_PLAYED)) + 1
    runs = [
        _Line(times_s, places)
        for times_s, places in zip(
            np.split(line.times_s, edges), np.split(line.places, edges), strict=True
        )
    ]
    meter = hints.meter or _meter(runs)
    parts = [_part(run, meter, counts_anew=hints.meter is not None) for run in runs]
    parts = with_downbeats(parts, hints.downbeats_s, meter, duration_s)
    return grid_of(parts, duration_s, meter, 60.0 / typical_s)


def _typical_s(line: _Line) -> float:
    """Return the median beat between two played ones; of all where fewer are played."""
    lengths_s = np.diff(line.times_s)
    played = (line.places[:-1] != NOT_PLAYED) & (line.places[1:] != NOT_PLAYED)
    return float(np.median(lengths_s[played] if played.any() else lengths_s))


def _neighbourhood_s(times_s: FloatArray) -> FloatArray:
    """Return [N - 1] the beat around each interval: the longer of the medians beside it."""
    lengths_s = np.diff(times_s)
    padded = np.pad(lengths_s, _NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS)
    before, after = windows[: len(lengths_s)], windows[_NEIGHBOURS + 1 :]
    beside = np.stack([_medians(before), _medians(after)])
    longer = np.fmax(beside[0], beside[1])
    return np.where(np.isnan(longer), lengths_s, longer)


def _medians(windows: FloatArray) -> FloatArray:
    """Return the median of each row without its NaN, NaN for a row of nothing else."""
    ordered = np.sort(windows, axis=1)  # NaN last
    known = np.count_nonzero(~np.isnan(windows), axis=1)
    rows = np.arange(len(windows))
    low, high = np.maximum((known - 1) // 2, 0), known // 2
    return 0.5 * (ordered[rows, low] + ordered[rows, np.minimum(high, _NEIGHBOURS - 1)])


def _shift(line: _Line, typical_s: float) -> _Line:
    """Return the line with each played beat half a beat later, and its rests.

    A beat moves less where it would come closer than `SHORTEST_BEAT_S` to what follows.
    """
    times_s = line.times_s.copy()
    edges = np.flatnonzero(np.diff(line.places == NOT_PLAYED)) + 1
    for run in np.split(np.arange(len(times_s)), edges):
        if line.places[run[0]] == NOT_PLAYED:
            continue
        beats_s = line.times_s[run]
        half_s = np.array([0.5 * typical_s])
        if len(run) > 1:
            half_s = shifted(beats_s) - beats_s
            half_s[:-1] = np.minimum(half_s[:-1], 0.5 * _neighbourhood_s(beats_s))
        if run[-1] + 1 < len(times_s):
            half_s[-1] = min(half_s[-1], 0.5 * (line.times_s[run[-1] + 1] - beats_s[-1]))
        times_s[run] += half_s
    steps_s = SHORTEST_BEAT_S * np.arange(len(times_s))
    latest_s = np.minimum.accumulate((times_s - steps_s)[::-1])[::-1] + steps_s
    return _Line(np.maximum(latest_s, line.times_s), line.places)


def _from_zero(line: _Line) -> _Line:
    """Return the line from 0 on: a beat at once after the start lies on it."""
    first_s = line.times_s[0]
    if first_s < SHORTEST_BEAT_S:
        return _Line(np.append(0.0, line.times_s[1:]), line.places)
    return line


def _filled(line: _Line, typical_s: float, duration_s: float, shortest_gap_s: float) -> _Line:
    """Return the line with cells in which nothing is played: before it, in gaps and after it.

    A gap lasts `_GAP_BEATS` of the beats around it and `shortest_gap_s`.
    """
    inside = line.times_s <= duration_s - SHORTEST_BEAT_S
    times_s, places = line.times_s[inside], line.places[inside]
    lately_s = np.median(np.diff(times_s)[-_NEIGHBOURS:]) if len(times_s) > 1 else typical_s
    around_s = np.append(_neighbourhood_s(times_s), lately_s)
    lengths_s = np.append(np.diff(times_s), duration_s - times_s[-1])
    gaps = (lengths_s > _GAP_BEATS * around_s) & (lengths_s > shortest_gap_s)
    pieces: list[FloatArray] = []
    if times_s[0] > 0.0:
        n_cells = max(1, round(times_s[0] / max(typical_s, _SHORTEST_FILLED_S)))
        pieces.append(np.linspace(0.0, times_s[0], n_cells, endpoint=False))
    begin = 0
    for gap in np.flatnonzero(gaps):
        period_s = max(float(around_s[gap]), _SHORTEST_FILLED_S)
        start_s = times_s[gap] + float(around_s[gap])
        stop_s = times_s[gap + 1] if gap + 1 < len(times_s) else duration_s
        pieces += [times_s[begin : gap + 1], cells(start_s, stop_s, period_s)]
        begin = gap + 1
    all_s = np.concatenate([*pieces, times_s[begin:]])
    all_places = np.full(len(all_s), NOT_PLAYED)
    all_places[np.searchsorted(all_s, times_s)] = places
    return _Line(all_s, all_places)


def _meter(runs: list[_Line]) -> int:
    """Return the beats of most bars that the file counts, `DEFAULT_METER` if it counts none."""
    bars = [np.diff(np.flatnonzero(run.places == 1)) for run in runs]
    lengths = np.concatenate(bars)
    lengths = lengths[lengths <= METER_RANGE[1]]
    if len(lengths):
        return int(np.bincount(lengths).argmax())
    longest = max(int(run.places.max()) for run in runs)
    return longest if longest > 1 else DEFAULT_METER


def _part(run: _Line, meter: int, *, counts_anew: bool) -> Part:
    """Return a run of beats that are all played, or all not, with its bars.

    Bars are those of the file where it counts all beats of the run. Else they go on by the meter
    from its downbeats, from the first beat that it does count, or from the first of all.
    """
    if run.places[0] == NOT_PLAYED:
        return rest(run.times_s, meter)
    n_beats = len(run.times_s)
    counted = np.flatnonzero(run.places != UNKNOWN)
    ones = np.flatnonzero(run.places == 1)
    if counts_anew:
        is_downbeat, is_phrase_start = bars_through(n_beats, ones[:1].tolist() or [0], meter)
    elif len(counted) == n_beats and len(ones):
        is_downbeat = run.places == 1
        is_phrase_start = np.zeros(n_beats, dtype=np.bool_)
        is_phrase_start[ones[::BARS_PER_PHRASE]] = True
        is_downbeat[0] = is_phrase_start[0] = True
    else:
        first = [int(beat - (run.places[beat] - 1)) for beat in counted[:1]]
        is_downbeat, is_phrase_start = bars_through(n_beats, ones.tolist() or first or [0], meter)
    confidence = np.ones(n_beats, dtype=np.float32)
    return Part(run.times_s, is_downbeat, is_phrase_start, confidence, is_played=True)
