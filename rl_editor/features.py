"""The 121 numbers that describe each beat, and the one table of their names.

Input: the frames of a recording and its grid. Output: `[N, 121]` float32, not normalised, in
the columns of `FEATURE_NAMES`; levels are dB of full scale of the signal that the frames were
measured on, which `analysis` brings to one loudness. Nothing else in the project writes down an
index or the number 121. A beat's value is the mean over the frames whose centres lie in it (the
frame at its start if none does), of levels the mean power in dB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor import units
from rl_editor.config import AnalysisConfig
from rl_editor.frame_features import FRAME_NAMES, FrameFeatures
from rl_editor.grid import BeatGrid
from rl_editor.stems import STEM_NAMES, StemFrames

SCHEMA_VERSION = 2
"""Raised with every change of the names, their order or what they mean."""

SOUND_NAMES: tuple[str, ...] = tuple("rms_db" if n == "rms" else n for n in FRAME_NAMES)
"""The 52 of sound: those of the frames, but RMS in dB."""

RHYTHM_NAMES = ("bar_sine", "bar_cosine", "phrase_place", "tempo_octaves", "grid_confidence")

FEATURE_NAMES: tuple[str, ...] = (
    *SOUND_NAMES,
    *(f"{name}_change" for name in SOUND_NAMES),
    *RHYTHM_NAMES,
    *(f"{stem}_{what}" for stem in STEM_NAMES for what in ("level_db", "onset", "share")),
)
"""52 of sound, their 52 differences from the beat before, 5 of rhythm, 12 of stems."""

MAX_TEMPO_OCTAVES = 2.0
"""A beat this many octaves from the track's tempo is a remnant at the file's end, no tempo."""

_RMS = FRAME_NAMES.index("rms")


def beat_features(
    frames: FrameFeatures, stems: StemFrames, grid: BeatGrid, config: AnalysisConfig
) -> NDArray[np.float32]:
    """Return the features `[N, 121]` of all beats, columns `FEATURE_NAMES`.

    Differences of the first beat are 0. In silence levels are `units.SILENCE_DB` and the
    shares of the stems 0.
    """
    sound = beat_means(frames.values, grid, config)
    sound[:, _RMS] = power_to_level_db(beat_means(frames.power[:, None], grid, config)[:, 0])
    change = np.diff(sound, axis=0, prepend=sound[:1])
    columns = [sound, change, rhythm_features(grid), _stem_features(stems, grid, config)]
    return np.hstack(columns).astype(np.float32)


def beat_means(
    values: NDArray[np.float32], grid: BeatGrid, config: AnalysisConfig
) -> NDArray[np.float64]:
    """Return the mean `[N, K]` of frame values `[T, K]` over the frames of each beat."""
    first = units.seconds_to_frames(grid.beats_s, config.hop_length, config.sr)
    first = np.minimum(first, len(values) - 1)
    count = np.diff(first, append=len(values))
    # reduceat gives the frame itself where the next beat begins at the same one.
    sums = np.add.reduceat(values, first, axis=0, dtype=np.float64)
    return sums / np.maximum(count, 1)[:, None]


def power_to_level_db(power: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return mean square amplitude as a level in dB, floored at `units.SILENCE_DB`."""
    return units.gain_to_db(np.sqrt(power))


def rhythm_features(grid: BeatGrid) -> NDArray[np.float64]:
    """Return `[N, 5]`, columns `RHYTHM_NAMES`.

    `bar_sine`, `bar_cosine`: place in the bar as an angle, downbeats at 0; a pickup counts
    back from the first downbeat. `phrase_place`: part of the phrase that is over, in [0, 1).
    `tempo_octaves`: log2 of the beat's tempo over the track's, in +-2. `grid_confidence`: 0-1.
    """
    beat = np.arange(grid.n_beats)
    downbeats = np.flatnonzero(grid.is_downbeat)
    first_downbeat = int(downbeats[0]) if len(downbeats) else 0
    place = np.where(beat < first_downbeat, beat - first_downbeat, grid.place_in_bar)
    angle = 2.0 * np.pi * place / grid.meter
    lines = grid.phrase_lines()
    phrase_start = lines[np.searchsorted(lines, beat, side="right") - 1]
    phrase_end = lines[np.searchsorted(lines, beat, side="right")]
    phrase_place = (beat - phrase_start) / (phrase_end - phrase_start)
    tempo = np.log2(60.0 / grid.durations_s / grid.tempo_bpm)
    tempo = np.clip(tempo, -MAX_TEMPO_OCTAVES, MAX_TEMPO_OCTAVES)
    return np.stack([np.sin(angle), np.cos(angle), phrase_place, tempo, grid.confidence], axis=1)


def _stem_features(
    stems: StemFrames, grid: BeatGrid, config: AnalysisConfig
) -> NDArray[np.float64]:
    """Return `[N, 12]`: level in dB, onset and share of the summed power for each stem."""
    power = beat_means(stems.power, grid, config)
    onset = beat_means(stems.onset, grid, config)
    total = power.sum(axis=1, keepdims=True)
    audible = total > 10.0 ** (units.SILENCE_DB / 10.0)
    share = np.divide(power, total, out=np.zeros_like(power), where=audible)
    return np.stack([power_to_level_db(power), onset, share], axis=2).reshape(grid.n_beats, -1)
