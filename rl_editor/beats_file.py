"""Files of beats: read what other programs and people wrote, and write a grid.

The plain form is that of mir_eval and madmom: a time in seconds a line, then, if known, the
place in the bar (1 is the downbeat). Labels are those of Audacity: start, end and text between
tabs. `docs/beats.md` describes both. Reading runs nothing and is strict: what cannot be beats is
refused with its line.

In: a text file. Out: `GivenBeats`; and back from a `BeatGrid`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path
from rl_editor.errors import UserError
from rl_editor.grid import BeatGrid

MAX_FILE_BYTES = 16 * 2**20
"""Ten hours of beats with labels take a third of it."""
SHORTEST_BEAT_S = 0.06
"""1000 beats a minute: nearer beats are a mistake in the file."""
_WRITTEN_S = 2e-6
"""Two written times may be so much nearer than the beats were."""
MAX_PLACE = 16
"""Longest bar in beats; larger numbers count something else."""
LABELS_SUFFIX = ".labels.txt"
"""A file of this name is written as labels, every other one in the plain form."""

UNKNOWN, NOT_PLAYED = -1, 0
"""Places in the bar: not told; and a cell of the grid in which nothing is played."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_PLAIN_PLACE = re.compile(r"\d{1,9}", re.ASCII)
_PLACE = re.compile(r"0|(?:[1-9]\d{0,8}\.)?([1-9]\d{0,8})", re.ASCII)
"""The place in the bar, alone or after the number of the bar; 0 where nothing is played."""


@dataclass(frozen=True)
class GivenBeats:
    """Beats from a file.

    Attributes:
        name: of the file, as the user gave it.
        times_s: [N] at least two, rising by 0.06 s at least, inside the recording.
        places: [N] place in the bar from 1 to 16, `NOT_PLAYED` or `UNKNOWN`.
    """

    name: str
    times_s: tuple[float, ...]
    places: tuple[int, ...]


def read_beats(path: str | Path, duration_s: float) -> GivenBeats:
    """Return the beats in a file, plain or as Audacity labels.

    Args:
        path: of the file.
        duration_s: of the recording; a beat in its last 0.06 s is left out.

    Raises:
        UserError: the file cannot be read, or is no list of rising times inside the recording;
            names the line.
    """
    times_s: list[float] = []
    places: list[int] = []
    is_labelled = False
    for number, line in enumerate(_lines(path), start=1):
        fields = line.partition("#")[0].split(None, 2)
        if not fields or fields[0].startswith("\\"):  # frequencies of the label before it
            continue
        where = f"line {number} of {path}"
        time_s = _time(fields[0], where)
        labelled = _is_label(fields, time_s, where)
        is_labelled |= labelled
        _check_time(time_s, times_s[-1] if times_s else None, duration_s, where)
        times_s.append(time_s)
        places.append(_place(fields, labelled, where))
    if times_s and times_s[-1] > duration_s - SHORTEST_BEAT_S:
        del times_s[-1], places[-1]
    if len(times_s) < 2:
        raise UserError(
            f"{path} should hold the times of at least two beats, a line each, but holds "
            f"{len(times_s)}; name another file."
        )
    if is_labelled and max(places) > MAX_PLACE:  # the labels count beats, or something else
        places = [UNKNOWN] * len(places)
    return GivenBeats(str(path), tuple(times_s), tuple(places))


def write_beats(grid: BeatGrid, path: str | Path) -> None:
    """Write the beats of a grid; the file appears whole or not at all.

    A file whose name ends in `.labels.txt` holds Audacity labels ("bar.beat"), every other one
    the plain form: time in s, tab, place in the bar. The place is 0 where nothing is played.

    Raises:
        UserError: the file cannot be written.
    """
    places = bar_places(grid)
    if str(path).lower().endswith(LABELS_SUFFIX):
        bars = np.cumsum(places == 1)
        lines = [
            f"{start_s:.6f}\t{start_s:.6f}\t{_label(bar, place)}"
            for start_s, bar, place in zip(grid.beats_s, bars, places, strict=True)
        ]
    else:
        lines = [
            f"{time_s:.6f}" if place == UNKNOWN else f"{time_s:.6f}\t{place}"
            for time_s, place in zip(grid.beats_s, places, strict=True)
        ]
    try:
        with atomic_path(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(
            f"{path} should become the list of beats, but cannot be written ({error.strerror}); "
            "choose another place."
        ) from error


def _label(bar: int, place: int) -> str:
    return {NOT_PLAYED: "0", UNKNOWN: "beat"}.get(place, f"{bar}.{place}")


def bar_places(grid: BeatGrid) -> NDArray[np.int64]:
    """Return [N] the place of each beat in its bar, from 1; 0 where nothing is played.

    It is `UNKNOWN` from the seventeenth beat of a bar on, which a file may not tell. A first bar
    that is too short, where playing begins after a rest, is a pickup: it counts up to the end of
    a bar.
    """
    played = grid.confidence > 0.0
    places = np.where(played, grid.place_in_bar + 1, NOT_PLAYED)
    lines = grid.bar_lines()
    for start in np.flatnonzero(played & ~np.concatenate([[False], played[:-1]])):
        stop = int(lines[np.searchsorted(lines, start, side="right")])
        goes_on = stop < grid.n_beats and played[stop]
        if goes_on and stop - start < grid.meter:
            places[start:stop] += grid.meter - (stop - start)
    return np.where(places > MAX_PLACE, UNKNOWN, places)


def _lines(path: str | Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{path} should be a list of beats, but cannot be read ({error.strerror}); check its "
            "name and permissions."
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise UserError(
            f"{path} should be a list of beats, but is larger than {MAX_FILE_BYTES // 2**20} MB, "
            "which no recording needs; name another file."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} should be a text file with the time of a beat a line, but is not text in "
            "UTF-8; name another file."
        ) from error
    return re.split(r"\r\n|\n|\r", text)


def _time(text: str, where: str) -> float:
    if _NOT_FINITE.fullmatch(text) or (_NUMBER.fullmatch(text) and math.isinf(float(text))):
        raise UserError(f"{where} should begin with a finite time, but has {text:.20}; correct it.")
    if not _NUMBER.fullmatch(text):
        raise UserError(
            f"{where} should begin with a time in seconds, such as 12.345, but has "
            f"{text[:20]!r}; correct it."
        )
    return float(text)


def _is_label(fields: list[str], time_s: float, where: str) -> bool:
    """Return whether a line is a label, which has an end; raise where it is neither form."""
    if len(fields) == 1 or (len(fields) == 2 and fields[1].isdecimal()):
        return False
    end_s = _time(fields[1], where)
    if end_s < time_s:
        raise UserError(
            f"{where} should be a label that ends after its start, or a time and a place in the "
            f"bar, but has {fields[0]:.20} and then {fields[1]:.20}; correct it."
        )
    return True


def _check_time(time_s: float, before_s: float | None, duration_s: float, where: str) -> None:
    if time_s < 0.0:
        raise UserError(f"{where} has the negative time {time_s:g} s; correct it.")
    if before_s is not None and time_s <= before_s:
        raise UserError(
            f"{where} should be later than the beat before it, at {before_s:.3f} s, but has "
            f"{time_s:.3f} s; sort the times and leave out what stands twice."
        )
    if before_s is not None and time_s < before_s + SHORTEST_BEAT_S - _WRITTEN_S:
        raise UserError(
            f"{where} should be {SHORTEST_BEAT_S:g} s later than the beat before it at least, but "
            f"has {time_s:.3f} s after {before_s:.3f} s; leave out one of them."
        )
    if time_s > duration_s:
        raise UserError(
            f"{where} has a beat at {time_s:.3f} s, but the recording lasts {duration_s:.3f} s; "
            "name the file that belongs to it."
        )


def _place(fields: list[str], labelled: bool, where: str) -> int:
    """Return the place in the bar that a line tells; any number in a label, checked later."""
    if labelled:
        found = _PLACE.fullmatch(fields[2].strip()) if len(fields) == 3 else None
        return int(found.group(1) or NOT_PLAYED) if found else UNKNOWN
    if len(fields) == 1:
        return UNKNOWN
    if not _PLAIN_PLACE.fullmatch(fields[1]) or int(fields[1]) > MAX_PLACE:
        raise UserError(
            f"{where} should have the place in the bar after the time, 1 to {MAX_PLACE} (0 where "
            f"nothing is played), but has {fields[1]:.20}; correct it."
        )
    return int(fields[1])
