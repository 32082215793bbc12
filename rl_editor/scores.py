"""MIDI files as scores: notes, controls and the beat grid, all in seconds.

In: a Standard MIDI File (type 0 or 1), read with `mido`. Out: `Score`. Pedalled notes last until
the pedal is lifted; silence before the first bar with notes and after the last one is dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.grid import BARS_PER_PHRASE, BeatGrid

NOTE = np.dtype(
    [("start_s", "f8"), ("end_s", "f8"), ("channel", "i4"), ("key", "i4"), ("velocity", "i4")]
)
CONTROL = np.dtype([("time_s", "f8"), ("channel", "i4"), ("kind", "i4"), ("value", "i4")])
"""`kind` is the number of a controller, or `PROGRAM` or `BEND`."""
PROGRAM, BEND = -1, -2
VOLUME, PAN, EXPRESSION = 7, 10, 11
DRUMS = 9
"""Channel of the drums in General MIDI, counted from 0."""
SHORTEST_NOTE_S = 0.05
"""Shorter notes are lengthened, else some sounds do not begin."""
_LAST_RING_S = 0.3
"""The last bar lets the last note ring at least this long."""
_PEDAL = 64
_DEFAULT_TEMPO = 500_000
"""Microseconds of a quarter note where the file says nothing: 120 a minute."""


@dataclass(frozen=True)
class Score:
    """Music to be played.

    Attributes:
        notes: [M] of `NOTE`, by start.
        controls: [K] of `CONTROL`, by time.
        grid: beats and bars; its end is the end of the music.
    """

    notes: NDArray[Any]
    controls: NDArray[Any]
    grid: BeatGrid

    @property
    def duration_s(self) -> float:
        """Length of the music."""
        return self.grid.duration_s

    @property
    def bars_s(self) -> NDArray[np.float64]:
        """[B + 1] bar lines, with 0 and the end."""
        return self.grid.edges_s[self.grid.bar_lines()]


def read_score(path: str | Path) -> Score:
    """Return the score in a MIDI file.

    Raises:
        UserError: `mido` is missing, or the file is damaged or holds no notes.
    """
    mido = import_mido()
    try:
        file = mido.MidiFile(path, clip=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} should be a MIDI file, but there is no such file.") from error
    except (OSError, EOFError, ValueError, LookupError, mido.KeySignatureError) as error:
        raise UserError(f"{path} should be a MIDI file, but is damaged ({error}).") from error
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise UserError(f"{path} should be MIDI of type 0 or 1 with ticks in beats, but is not.")
    messages = _merged(file.tracks)
    clock = _Clock(messages, file.ticks_per_beat)
    notes, controls = _events(messages, clock)
    if len(notes) == 0:
        raise UserError(f"{path} should hold notes, but has none; leave it out.")
    return _trimmed(notes, controls, *clock.beats(float(notes["end_s"].max()) + _LAST_RING_S))


def import_mido() -> Any:
    """Return the package `mido`; raises `UserError` where it is not installed."""
    try:
        import mido
    except ImportError as error:
        raise UserError(
            "MIDI scores are read with the package mido, which is not installed; run "
            f"{install_hint('train')}."
        ) from error
    return mido


def _merged(tracks: Iterable[Iterable[Any]]) -> list[tuple[int, Any]]:
    """Return the messages of all tracks with their ticks from the beginning, by tick."""
    messages = []
    for track in tracks:
        tick = 0
        for message in track:
            tick += message.time
            messages.append((tick, message))
    return sorted(messages, key=lambda pair: pair[0])


class _Clock:
    """Turns ticks into seconds and lays out beats, by the tempi and meters of a file."""

    def __init__(self, messages: list[tuple[int, Any]], ticks_per_quarter: int) -> None:
        self.quarter = ticks_per_quarter
        tempi = {0: _DEFAULT_TEMPO}
        self.meters = {0: (4, 4)}
        for tick, message in messages:
            if message.type == "set_tempo" and message.tempo > 0:
                tempi[tick] = message.tempo
            elif message.type == "time_signature" and message.numerator > 0:
                self.meters[tick] = (message.numerator, message.denominator)
        self.ticks = np.array(sorted(tempi), dtype=np.float64)
        self.tick_s = np.array([tempi[int(t)] for t in self.ticks]) * 1e-6 / ticks_per_quarter
        self.starts_s = np.concatenate([[0.0], np.cumsum(np.diff(self.ticks) * self.tick_s[:-1])])

    def seconds(self, tick: float) -> float:
        index = int(np.searchsorted(self.ticks, tick, side="right")) - 1
        return float(self.starts_s[index] + (tick - self.ticks[index]) * self.tick_s[index])

    def beats(self, end_s: float) -> tuple[list[float], list[bool]]:
        """Return beats up to the first bar line at or after `end_s`, and which begin a bar."""
        changes = sorted(self.meters)
        times_s: list[float] = []
        downbeats: list[bool] = []
        tick, place, current = 0.0, 0, 0
        while True:
            while current + 1 < len(changes) and tick >= changes[current + 1]:
                current, place = current + 1, 0
            beats_per_bar, beat = self._meter(*self.meters[changes[current]])
            times_s.append(self.seconds(tick))
            downbeats.append(place == 0)
            if place == 0 and times_s[-1] >= end_s:
                return times_s, downbeats
            tick, place = tick + beat, (place + 1) % beats_per_bar

    def _meter(self, numerator: int, denominator: int) -> tuple[int, float]:
        """Return the beats of a bar and the ticks of a beat; 6/8 has two beats."""
        beat = self.quarter * 4.0 / denominator
        if denominator >= 8 and numerator % 3 == 0:
            return numerator // 3, 3.0 * beat
        return numerator, beat


def _events(messages: list[tuple[int, Any]], clock: _Clock) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return notes and controls of a file, by time."""
    notes: list[list[float]] = []
    controls: list[tuple[float, int, int, int]] = []
    sounding: dict[tuple[int, int], list[int]] = {}
    held: dict[int, list[int]] = {}
    pedals: set[int] = set()
    time_s = 0.0
    for tick, message in messages:
        time_s = clock.seconds(tick)
        kind = message.type
        if kind == "note_on" and message.velocity > 0:
            sounding.setdefault((message.channel, message.note), []).append(len(notes))
            notes.append([time_s, np.nan, message.channel, message.note, message.velocity])
        elif kind in ("note_on", "note_off"):
            started = sounding.get((message.channel, message.note))
            if started and message.channel in pedals:
                held.setdefault(message.channel, []).append(started.pop(0))
            elif started:
                notes[started.pop(0)][1] = time_s
        elif kind == "control_change" and message.control == _PEDAL:
            pedals.discard(message.channel)
            if message.value >= 64:
                pedals.add(message.channel)
            else:
                for index in held.pop(message.channel, []):
                    notes[index][1] = time_s
        elif kind == "control_change" and message.control in (VOLUME, PAN, EXPRESSION):
            controls.append((time_s, message.channel, message.control, message.value))
        elif kind == "program_change":
            controls.append((time_s, message.channel, PROGRAM, message.program))
        elif kind == "pitchwheel":
            controls.append((time_s, message.channel, BEND, message.pitch + 8192))
    # What was never released ends with the last note that was, or after a second.
    ends = [note[1] for note in notes if not np.isnan(note[1])]
    for note in notes:
        if np.isnan(note[1]):
            note[1] = min(note[0] + 1.0, max([*ends, note[0] + SHORTEST_NOTE_S]))
        note[1] = max(note[1], note[0] + SHORTEST_NOTE_S)
    rows = np.array([tuple(note) for note in notes], dtype=NOTE)
    return np.sort(rows, order=["start_s", "channel", "key"]), np.array(controls, dtype=CONTROL)


def _trimmed(
    notes: NDArray[Any], controls: NDArray[Any], beats_s: list[float], downbeats: list[bool]
) -> Score:
    """Return the score from the last bar line before the first note on; the last beat is the end.

    Notes may come a little before their bar line, as people play.
    """
    first_s = float(notes["start_s"][0]) + 0.05
    first = max(
        i for i, (t, d) in enumerate(zip(beats_s, downbeats, strict=True)) if d and t <= first_s
    )
    if beats_s[first] >= beats_s[-1]:
        raise UserError("a score should last at least one bar, but this one does not.")
    edges_s = np.array(beats_s)
    is_downbeat = np.array(downbeats)
    grid = make_grid(edges_s, is_downbeat[:-1])
    return excerpt(Score(notes, controls, grid), first, len(edges_s) - 1)


def make_grid(edges_s: NDArray[np.float64], is_downbeat: NDArray[np.bool_]) -> BeatGrid:
    """Return the grid of beats between `edges_s` [N + 1]; a phrase has four bars."""
    beat_s = float(np.median(np.diff(edges_s)))
    bar = np.cumsum(is_downbeat) - 1
    lengths = np.diff(np.append(np.flatnonzero(is_downbeat), len(is_downbeat)))
    return BeatGrid(
        beats_s=edges_s[:-1] - edges_s[0],
        duration_s=float(edges_s[-1] - edges_s[0]),
        is_downbeat=is_downbeat,
        is_phrase_start=is_downbeat & (bar % BARS_PER_PHRASE == 0),
        confidence=np.ones(len(is_downbeat), dtype=np.float32),
        meter=int(np.median(lengths)) if len(lengths) else 4,
        tempo_bpm=60.0 / beat_s,
    )


def excerpt(score: Score, first: int, last: int) -> Score:
    """Return beats [first, last) as a score; notes that began before are left out."""
    edges_s = score.grid.edges_s[first : last + 1]
    start_s, end_s = float(edges_s[0]), float(edges_s[-1])
    inside = score.notes["start_s"] >= start_s - SHORTEST_NOTE_S * (first > 0)
    if first == 0:
        inside[:] = True
    notes = score.notes[inside & (score.notes["start_s"] < end_s)].copy()
    notes["start_s"] = np.maximum(notes["start_s"] - start_s, 0.0)
    notes["end_s"] = np.minimum(notes["end_s"], end_s) - start_s
    notes["end_s"] = np.maximum(notes["end_s"], notes["start_s"] + SHORTEST_NOTE_S)
    controls = chased(score.controls, start_s)
    controls = controls[controls["time_s"] < end_s]
    controls["time_s"] -= start_s
    grid = make_grid(edges_s, score.grid.is_downbeat[first:last])
    return Score(notes, controls, grid)


def chased(controls: NDArray[Any], start_s: float) -> NDArray[Any]:
    """Return the controls from `start_s` on; what was set before is set again at `start_s`."""
    before = controls[controls["time_s"] <= start_s]
    latest = {(int(c["channel"]), int(c["kind"])): c for c in before}
    state = np.array(list(latest.values()), dtype=CONTROL)
    state["time_s"] = start_s
    return np.concatenate([state, controls[controls["time_s"] > start_s]])


def stretched(score: Score, factor: float) -> Score:
    """Return the score `factor` times as long."""
    notes, controls = score.notes.copy(), score.controls.copy()
    notes["start_s"] *= factor
    notes["end_s"] *= factor
    controls["time_s"] *= factor
    grid = dataclasses.replace(
        score.grid,
        beats_s=score.grid.beats_s * factor,
        duration_s=score.grid.duration_s * factor,
        tempo_bpm=score.grid.tempo_bpm / factor,
    )
    return Score(notes, controls, grid)
