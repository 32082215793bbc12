"""The beat grid: where a recording may be cut.

A grid of `N` beats tiles the file: beat `i` is the half-open span
`[edges_s[i], edges_s[i + 1])`, `edges_s[0] == 0` and `edges_s[N]` is the file's end. Where
no pulse can be heard the cells go on at the local tempo, with confidence 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BARS_PER_PHRASE = 4
"""A phrase is four bars unless the structure of the music says otherwise."""
LOCAL_TEMPO_BEATS = 9
"""Beats whose median is a local tempo; odd."""


@dataclass(frozen=True)
class BeatGrid:
    """Beats, bars and phrases of one recording.

    Attributes:
        beats_s: [N] start of each beat in seconds, strictly increasing, first one 0.
        duration_s: end of the file, and of the last beat.
        is_downbeat: [N] True where a bar begins. Bars are counted from here, never from 0.
        is_phrase_start: [N] True where a phrase begins; implies `is_downbeat`.
        confidence: [N] in [0, 1]; 0 where no pulse was heard.
        meter: beats in most bars.
        tempo_bpm: most common tempo.
        runner_up_tempi_bpm: other tempi that fit, best first (half and double are common).
        runner_up_scores: how well each of them fits, in (0, 1]: 1 is the tempo that fits best,
            which may be `tempo_bpm`. Empty where it is not known.
    """

    beats_s: NDArray[np.float64]
    duration_s: float
    is_downbeat: NDArray[np.bool_]
    is_phrase_start: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    meter: int
    tempo_bpm: float
    runner_up_tempi_bpm: tuple[float, ...] = field(default=())
    runner_up_scores: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        n_beats = len(self.beats_s)
        if n_beats == 0 or self.beats_s[0] != 0.0:
            raise ValueError("a grid needs at least one beat and begins at 0 s")
        if np.any(np.diff(self.beats_s) <= 0) or self.duration_s <= self.beats_s[-1]:
            raise ValueError("beats must be strictly increasing and end before the file's end")
        for name in ("is_downbeat", "is_phrase_start", "confidence"):
            if getattr(self, name).shape != (n_beats,):
                raise ValueError(f"{name} must have one entry for each of {n_beats} beats")
        if np.any(self.is_phrase_start & ~self.is_downbeat):
            raise ValueError("a phrase can only begin at a downbeat")
        if len(self.runner_up_scores) not in (0, len(self.runner_up_tempi_bpm)):
            raise ValueError("runner_up_scores must have one entry for each runner-up, or none")

    @property
    def n_beats(self) -> int:
        """Number of beats, `N`."""
        return len(self.beats_s)

    @property
    def edges_s(self) -> NDArray[np.float64]:
        """[N + 1] starts of all beats and the end of the file, in seconds."""
        return np.append(self.beats_s, self.duration_s)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """[N] length of each beat in seconds."""
        return np.diff(self.edges_s)

    @property
    def bar(self) -> NDArray[np.int64]:
        """[N] index of the bar; beats before the first downbeat are bar 0 or a pickup bar."""
        return np.cumsum(self.is_downbeat) - int(self.is_downbeat[0])

    @property
    def place_in_bar(self) -> NDArray[np.int64]:
        """[N] beats since the last downbeat (since the start, before the first downbeat)."""
        index = np.arange(self.n_beats)
        return index - np.maximum.accumulate(np.where(self.is_downbeat, index, 0))

    def tempo_span_bpm(self, heard: NDArray[np.bool_] | None = None) -> tuple[float, float]:
        """Return the 10th and 90th percentile of the local tempo over the beats of the music.

        Of the beats `heard` [N] alone, where given: who noodles in between has another tempo.
        The local tempo is that of the median beat of nine, so that a beat which is played or
        placed unevenly does not count as another tempo. Both are `tempo_bpm` without a pulse.
        """
        counted = self.confidence > 0.0
        lengths_s = self.durations_s[counted if heard is None else counted & heard]
        if not len(lengths_s):
            return self.tempo_bpm, self.tempo_bpm
        padded = np.pad(lengths_s, LOCAL_TEMPO_BEATS // 2, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, LOCAL_TEMPO_BEATS)
        slow, fast = np.percentile(60.0 / np.median(windows, axis=1), (10, 90))
        return float(slow), float(fast)

    def bar_lines(self) -> NDArray[np.int64]:
        """Return the beats where bars begin, with 0 and N at the ends: sorted, unique."""
        return self._lines(self.is_downbeat)

    def phrase_lines(self) -> NDArray[np.int64]:
        """Return the beats where phrases begin, with 0 and N at the ends: sorted, unique."""
        return self._lines(self.is_phrase_start)

    def beat_at(self, time_s: float) -> int:
        """Return the beat that contains `time_s`, clipped to the file."""
        beat = int(np.searchsorted(self.beats_s, time_s, side="right")) - 1
        return min(max(beat, 0), self.n_beats - 1)

    def _lines(self, starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.unique(np.concatenate([[0], np.flatnonzero(starts), [self.n_beats]]))


def steady_grid(duration_s: float, tempo_bpm: float = 120.0, meter: int = 4) -> BeatGrid:
    """Return a grid at one tempo with a downbeat at 0, for recordings without a pulse and tests."""
    beat_s = 60.0 / tempo_bpm
    n_beats = max(1, round(duration_s / beat_s))
    index = np.arange(n_beats)
    return BeatGrid(
        beats_s=np.linspace(0.0, duration_s, n_beats, endpoint=False, dtype=np.float64),
        duration_s=duration_s,
        is_downbeat=index % meter == 0,
        is_phrase_start=index % (meter * BARS_PER_PHRASE) == 0,
        confidence=np.zeros(n_beats, dtype=np.float32),
        meter=meter,
        tempo_bpm=60.0 * n_beats / duration_s,
    )
