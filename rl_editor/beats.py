"""Beat tracking: from the network's input frames to a `BeatGrid` that tiles the file.

Four steps: a network hears beats and downbeats (`beat_network`), a decoder finds the stretches
of playing and their beats (`beat_decoding`, `beat_stretches`), one meter is chosen for the file
and one bar phase for each stretch, and the rests between stretches are filled with cells at
the local tempo (`beat_parts`). Another tracker (`beat_trackers`) replaces the first step and keeps
the rest. What the user says about the beat (`BeatHints`) changes the second and third step alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rl_editor.beat_bars import (
    DEFAULT_METER,
    REACH_FRAMES,
    at_beats,
    bar_odds,
    bar_phase,
    choose_meter,
    frames_of,
    harmonic_change,
)
from rl_editor.beat_hints import NO_HINTS, BeatHints, as_asked, check_changed_tempo
from rl_editor.beat_network import BLOCK_FRAMES, activations, beat_input
from rl_editor.beat_parts import (
    SHORTEST_CELL,
    Part,
    cells,
    grid_of,
    rest,
    stretch,
    with_downbeats,
)
from rl_editor.beat_stretches import audible_activation, find_stretches, rank_tempi
from rl_editor.errors import UserError
from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.units import gain_to_db

__all__ = ["beat_input", "frame_level_db", "grid_from_activations", "listen", "track_beats"]

FloatArray = NDArray[np.float64]

NO_PULSE_BPM = 120.0
"""Tempo of the cells where no pulse is heard in the whole recording."""


def track_beats(
    beat_inputs: NDArray[np.float32], duration_s: float, hints: BeatHints = NO_HINTS
) -> BeatGrid:
    """Return the beat grid of a recording.

    Args:
        beat_inputs: [T, 64] from `beat_input`, 50 frames a second.
        duration_s: length of the recording, positive; the grid ends there.
        hints: what the user says about the beat; no `given` beats.

    Raises:
        UserError: a hint is out of range or does not fit the recording.
        ValueError: the duration is not positive.
    """
    return grid_from_activations(listen(beat_inputs), duration_s, hints)


def listen(
    beat_inputs: NDArray[np.float32], heard: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return [T, 3] float32, all that a grid is decoded from.

    Of each frame the probabilities of a beat and of a downbeat, and the level (`frame_level_db`).

    Args:
        beat_inputs: [T, 64] from `beat_input`, 50 frames a second.
        heard: [T, 2] probabilities that another tracker gave (`beat_trackers`); None has the
            network hear them.
    """
    values = activations(beat_inputs) if heard is None else heard
    return np.concatenate([values, frame_level_db(beat_inputs)[:, None]], axis=1)


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
    heard: NDArray[np.floating],
    duration_s: float,
    hints: BeatHints = NO_HINTS,
    chroma: NDArray[np.floating] | None = None,
) -> BeatGrid:
    """Return the beat grid of what was heard in each frame (by any tracker).

    Args:
        heard: [T, 3] from `listen`, 50 frames a second; no beats are looked for in silence.
        duration_s: length of the recording, positive.
        hints: as in `track_beats`.
        chroma: [T, 12] of the same frames, in which bar lines are looked for besides; its scale
            does not matter.

    Raises:
        UserError: a hint is out of range or does not fit the recording.
        ValueError: the duration is not positive.
    """
    if not duration_s > 0:
        raise ValueError(f"a grid needs a positive duration, got {duration_s} s")
    hints.check()
    hints.check_moments(duration_s)
    values, level_db = np.asarray(heard[:, :2], dtype=np.float64), heard[:, 2]
    found = _inside(find_stretches(values, level_db, hints.tempo_bpm), duration_s)
    stretches = _inside(as_asked(found, values, hints), duration_s)
    if not stretches:
        return _without_pulse(duration_s, hints)
    change = None if chroma is None else harmonic_change(chroma)
    odds = [bar_odds(values[:, 1], change, frames_of(times)) for times in stretches]
    bar = hints.meter or choose_meter(odds)
    phases = [bar_phase(o, bar) for o in odds]
    confidence = partial(_confidence, beat=values[:, 0])
    if hints.changes_beats:  # the pulse is as clear as at the beats that were heard
        confidence = partial(_of_nearby, found=found, confidence=confidence)
    parts = _tile(stretches, phases, confidence, duration_s, bar)
    parts = with_downbeats(parts, hints.downbeats_s, bar, duration_s)
    bpm = _main_tempo(stretches)
    check_changed_tempo(bpm, hints)
    runners_up = rank_tempi(audible_activation(values[:, 0], level_db), bpm)
    return grid_of(parts, duration_s, bar, bpm, runners_up)


def _inside(stretches: list[FloatArray], duration_s: float) -> list[FloatArray]:
    """Return the stretches of at least two beats before the end of the recording."""
    inside = [times[times < duration_s] for times in stretches]
    return [times for times in inside if len(times) > 1]


def _without_pulse(duration_s: float, hints: BeatHints) -> BeatGrid:
    """Return a steady grid for a recording in which no pulse is heard."""
    if hints.downbeats_s:
        raise UserError(
            f"a bar should begin at {hints.downbeats_s[0]:g} s, but no beat is heard in the whole "
            "recording; give the beats in a file."
        )
    factor = 0.5 if hints.half else 2.0 if hints.double else 1.0
    bpm = factor * (hints.tempo_bpm or NO_PULSE_BPM)
    return steady_grid(duration_s, bpm, hints.meter or DEFAULT_METER)


def _main_tempo(stretches: list[FloatArray]) -> float:
    """Return the tempo of most beats: the median over beats of their stretch's mean tempo.

    It is the tempo of some stretch: half way between two of them nothing is played.
    """
    tempi = [np.full(len(t), 60.0 * (len(t) - 1) / (t[-1] - t[0])) for t in stretches]
    return float(np.quantile(np.concatenate(tempi), 0.5, method="lower"))


def _tile(
    stretches: list[FloatArray],
    phases: list[int],
    confidence: Callable[[FloatArray], NDArray[np.float32]],
    duration_s: float,
    bar: int,
) -> list[Part]:
    """Return stretches and the rests between them as parts that tile [0, `duration_s`)."""
    parts: list[Part] = []
    end_s, period_s = 0.0, float(np.median(np.diff(stretches[0])))
    for times, phase in zip(stretches, phases, strict=True):
        times, phase = _clear_of(end_s, period_s, times, phase, bar)
        if len(times) < 2:
            continue
        before = cells(end_s, float(times[0]), period_s)
        if not len(before) and not parts:
            times = np.concatenate([[0.0], times[1:]])
        elif len(before):
            parts.append(rest(before, bar))
        parts.append(stretch(times, [phase], bar, confidence(times)))
        period_s = float(np.median(np.diff(times[-9:])))
        end_s = float(times[-1]) + period_s
    return _finish(parts, end_s, period_s, duration_s, bar)


def _clear_of(
    end_s: float, period_s: float, times: FloatArray, phase: int, bar: int
) -> tuple[FloatArray, int]:
    """Return a stretch without beats less than half a beat after the last one before it."""
    dropped = int(np.searchsorted(times, end_s - (1.0 - SHORTEST_CELL) * period_s))
    if end_s == 0.0:
        dropped = 0
    return times[dropped:], (phase - dropped) % bar


def _finish(
    parts: list[Part], end_s: float, period_s: float, duration_s: float, bar: int
) -> list[Part]:
    """Return the parts with the last rest, and without a sliver of a beat at the file's end."""
    after = cells(end_s, duration_s, period_s)
    if len(after):
        return [*parts, rest(after, bar)]
    last = parts[-1]
    if duration_s - last.beats_s[-1] < SHORTEST_CELL * period_s and len(last.beats_s) > 1:
        last = last.without_last()
    return [*parts[:-1], last]


def _confidence(times_s: FloatArray, beat: FloatArray) -> NDArray[np.float32]:
    """Return [N] how clearly each beat is heard: the mean activation at nine beats around it."""
    strength = at_beats(beat, frames_of(times_s), REACH_FRAMES)
    smooth = np.convolve(np.pad(strength, 4, mode="edge"), np.full(9, 1.0 / 9.0), mode="valid")
    return np.clip(smooth, 0.0, 1.0).astype(np.float32)


def _of_nearby(
    times_s: FloatArray,
    found: list[FloatArray],
    confidence: Callable[[FloatArray], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return [N] the confidence of the beats that were found around each time, interpolated."""
    heard_s = np.concatenate(found)
    order = np.argsort(heard_s, kind="stable")
    heard = np.concatenate([confidence(beats_s) for beats_s in found])
    return np.interp(times_s, heard_s[order], heard[order]).astype(np.float32)
