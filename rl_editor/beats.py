"""Beat tracking: from the network's input frames to a `BeatGrid` that tiles the file.

Four steps: a network hears beats and downbeats (`beat_network`), a decoder finds the stretches
of playing and their beats (`beat_decoding`, `beat_stretches`), one meter is chosen for the file
and one bar phase for each stretch, and the breaks between stretches are filled with cells at
the local tempo. A better tracker replaces `activations` and keeps the rest.

Bars and phrases begin where playing begins: the first beat of a stretch and the first cell of
a break are always lines of the grid. Where a stretch begins with a pickup, the pickup is a bar
and a phrase of its own and phrases of four bars count from the first full bar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_bars import DEFAULT_METER, at_beats, bar_phase, choose_meter, downbeat_odds
from rl_editor.beat_decoding import INPUT_FPS
from rl_editor.beat_network import BLOCK_FRAMES, activations, beat_input
from rl_editor.beat_stretches import audible_activation, find_stretches, rank_tempi
from rl_editor.errors import UserError
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid, steady_grid
from rl_editor.units import gain_to_db

__all__ = ["beat_input", "frame_level_db", "grid_from_activations", "track_beats"]

FloatArray = NDArray[np.float64]

TEMPO_RANGE_BPM = (30, 300)
METER_RANGE = (1, 16)
_REACH_FRAMES = 2
"""A beat's activation is looked for within 40 ms."""
_SHORTEST_CELL = 0.5
"""Of the local beat: a shorter remainder is added to the cell before it."""


@dataclass(frozen=True)
class _Part:
    """A stretch or a break on the grid: its cells begin at `beats_s`, bars at `is_downbeat`."""

    beats_s: FloatArray
    is_downbeat: NDArray[np.bool_]
    is_phrase_start: NDArray[np.bool_]
    confidence: NDArray[np.float32]


def track_beats(
    beat_inputs: NDArray[np.float32],
    duration_s: float,
    *,
    tempo_bpm: float | None = None,
    meter: int | None = None,
) -> BeatGrid:
    """Return the beat grid of a recording.

    Args:
        beat_inputs: [T, 64] from `beat_input`, 50 frames a second.
        duration_s: length of the recording, positive; the grid ends there.
        tempo_bpm: the tempo, if it is known; beats stay within 8% of it.
        meter: beats in a bar, if known.

    Raises:
        UserError: if the tempo is not in 30-300 bpm or the meter not in 1-16.
        ValueError: if the duration is not positive.
    """
    return grid_from_activations(
        activations(beat_inputs),
        frame_level_db(beat_inputs),
        duration_s,
        tempo_bpm=tempo_bpm,
        meter=meter,
    )


def frame_level_db(beat_inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [T] level of each frame in dB against the recording's loud frames.

    The level is the mean magnitude over the mel bands; loud is its 90th percentile. It is at
    least -120 dB, and 0 dB throughout if the whole recording is digital silence.
    """
    level = np.empty(len(beat_inputs), dtype=np.float32)
    for start in range(0, len(level), BLOCK_FRAMES):
        block = beat_inputs[start : start + BLOCK_FRAMES]
        level[start : start + BLOCK_FRAMES] = np.expm1(block).mean(axis=1)
    loud = float(np.percentile(level, 90)) if len(level) else 0.0
    return gain_to_db(level / loud).astype(np.float32) if loud > 0.0 else np.zeros_like(level)


def grid_from_activations(
    beat_activations: NDArray[np.floating],
    level_db: NDArray[np.floating],
    duration_s: float,
    *,
    tempo_bpm: float | None = None,
    meter: int | None = None,
) -> BeatGrid:
    """Return the beat grid of [T, 2] beat and downbeat activations (any tracker's).

    Args:
        beat_activations: [T, 2] probabilities, 50 frames a second.
        level_db: [T] from `frame_level_db`: no beats are looked for in silence.
        duration_s: length of the recording, positive.
        tempo_bpm: as in `track_beats`.
        meter: as in `track_beats`.

    Raises:
        UserError: if the tempo is not in 30-300 bpm or the meter not in 1-16.
        ValueError: if the duration is not positive.
    """
    if not duration_s > 0:
        raise ValueError(f"a grid needs a positive duration, got {duration_s} s")
    check_hints(tempo_bpm, meter)
    values = np.asarray(beat_activations, dtype=np.float64)
    stretches = find_stretches(values, level_db, tempo_bpm)
    stretches = [times[times < duration_s] for times in stretches]
    stretches = [times for times in stretches if len(times) > 1]
    if not stretches:
        return steady_grid(duration_s, tempo_bpm or 120.0, meter or DEFAULT_METER)
    odds = [downbeat_odds(values[:, 1], _frames(times), _REACH_FRAMES) for times in stretches]
    bar = meter or choose_meter(odds)
    phases = [bar_phase(o, bar) for o in odds]
    parts = _tile(stretches, phases, values[:, 0], duration_s, bar)
    bpm = _main_tempo(stretches)
    return BeatGrid(
        beats_s=np.concatenate([part.beats_s for part in parts]),
        duration_s=duration_s,
        is_downbeat=np.concatenate([part.is_downbeat for part in parts]),
        is_phrase_start=np.concatenate([part.is_phrase_start for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        meter=bar,
        tempo_bpm=bpm,
        runner_up_tempi_bpm=rank_tempi(audible_activation(values[:, 0], level_db), bpm),
    )


def check_hints(tempo_bpm: float | None, meter: int | None) -> None:
    """Raise `UserError` for a tempo or meter that no music has; None is always fine."""
    _check_range("tempo", tempo_bpm, TEMPO_RANGE_BPM, "beats a minute")
    _check_range("meter", meter, METER_RANGE, "beats a bar")


def _check_range(name: str, value: float | None, allowed: tuple[int, int], unit: str) -> None:
    if value is not None and not allowed[0] <= value <= allowed[1]:
        raise UserError(
            f"the {name} must be {allowed[0]} to {allowed[1]} {unit}, but is {value:g}; "
            "leave it out to have it found."
        )


def _main_tempo(stretches: list[FloatArray]) -> float:
    """Return the tempo of most beats: the median over beats of their stretch's mean tempo.

    It is the tempo of some stretch: half way between two of them nothing is played.
    """
    tempi = [np.full(len(t), 60.0 * (len(t) - 1) / (t[-1] - t[0])) for t in stretches]
    return float(np.quantile(np.concatenate(tempi), 0.5, method="lower"))


def _frames(times_s: FloatArray) -> NDArray[np.int64]:
    return np.rint(times_s * INPUT_FPS).astype(np.int64)


def _tile(
    stretches: list[FloatArray], phases: list[int], beat: FloatArray, duration_s: float, bar: int
) -> list[_Part]:
    """Return stretches and the breaks between them as parts that tile [0, `duration_s`)."""
    parts: list[_Part] = []
    end_s, period_s = 0.0, float(np.median(np.diff(stretches[0])))
    for times, phase in zip(stretches, phases, strict=True):
        times, phase = _clear_of(end_s, period_s, times, phase, bar)
        if len(times) < 2:
            continue
        cells = _cells(end_s, float(times[0]), period_s)
        if not len(cells) and not parts:
            times = np.concatenate([[0.0], times[1:]])
        elif len(cells):
            parts.append(_break(cells, bar))
        parts.append(_stretch(times, phase, bar, beat))
        period_s = float(np.median(np.diff(times[-9:])))
        end_s = float(times[-1]) + period_s
    return _finish(parts, end_s, period_s, duration_s, bar)


def _clear_of(
    end_s: float, period_s: float, times: FloatArray, phase: int, bar: int
) -> tuple[FloatArray, int]:
    """Return a stretch without beats less than half a beat after the last one before it."""
    dropped = int(np.searchsorted(times, end_s - (1.0 - _SHORTEST_CELL) * period_s))
    if end_s == 0.0:
        dropped = 0
    return times[dropped:], (phase - dropped) % bar


def _finish(
    parts: list[_Part], end_s: float, period_s: float, duration_s: float, bar: int
) -> list[_Part]:
    """Return the parts with the last break, and without a sliver of a beat at the file's end."""
    cells = _cells(end_s, duration_s, period_s)
    if len(cells):
        return [*parts, _break(cells, bar)]
    last = parts[-1]
    if duration_s - last.beats_s[-1] < _SHORTEST_CELL * period_s and len(last.beats_s) > 1:
        last = _Part(
            last.beats_s[:-1],
            last.is_downbeat[:-1],
            last.is_phrase_start[:-1],
            last.confidence[:-1],
        )
    return [*parts[:-1], last]


def _cells(start_s: float, stop_s: float, period_s: float) -> FloatArray:
    """Return starts of equal cells near `period_s` that fill a break; none if it is too short."""
    n_cells = int((stop_s - start_s) / period_s + (1.0 - _SHORTEST_CELL))
    index = np.arange(n_cells, dtype=np.float64)
    return start_s + index * ((stop_s - start_s) / max(n_cells, 1))


def _break(cells_s: FloatArray, bar: int) -> _Part:
    index = np.arange(len(cells_s))
    return _Part(
        beats_s=cells_s,
        is_downbeat=index % bar == 0,
        is_phrase_start=index % (bar * BARS_PER_PHRASE) == 0,
        confidence=np.zeros(len(cells_s), dtype=np.float32),
    )


def _stretch(times_s: FloatArray, phase: int, bar: int, beat: FloatArray) -> _Part:
    index = np.arange(len(times_s)) - phase
    first = index == -phase
    strength = at_beats(beat, _frames(times_s), _REACH_FRAMES)
    smooth = np.convolve(np.pad(strength, 4, mode="edge"), np.full(9, 1.0 / 9.0), mode="valid")
    return _Part(
        beats_s=times_s,
        is_downbeat=first | (index % bar == 0),
        is_phrase_start=first | ((index >= 0) & (index % (bar * BARS_PER_PHRASE) == 0)),
        confidence=np.clip(smooth, 0.0, 1.0).astype(np.float32),
    )
