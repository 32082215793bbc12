"""Level and fades of matched passages.

Input: a `Match` and both signals `[S]`; output: `SpanLevels`. Method: the ratio of the levels of
edit and raw recording in blocks of 10 ms; its median is the gain, and a fade is the straight ramp
of amplitude from zero that its beginning follows best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.matches import Match
from rl_editor.units import db_to_gain, gain_to_db

BLOCK_S = 0.01
SOUNDING_DB = -40.0
"""Blocks of the raw sound that far below its mean say nothing about the gain."""
LONGEST_FADE_S = 10.0
SHORTEST_FADE_BLOCKS = 3
MAX_FADE_ERROR = 0.5
"""A ramp must leave at most this share of the squared error that no ramp leaves."""
MIN_FADED = 0.05
"""And that error must be at least this for each block of the ramp: the first ones are quieter."""


@dataclass(frozen=True)
class SpanLevels:
    """What happened to the level of a passage: gain in dB, lengths of the fades (0 is none)."""

    gain_db: float
    fade_in_s: float
    fade_out_s: float


def span_levels(
    match: Match, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int
) -> SpanLevels:
    """Return gain and fades of a match; signals [S] at their own levels."""
    block = round(BLOCK_S * sr)
    n_blocks = (match.stop - match.start) // block
    if n_blocks < SHORTEST_FADE_BLOCKS:
        return SpanLevels(0.0, 0.0, 0.0)
    wet = _block_power(edit[match.start : match.start + n_blocks * block], block)
    places = np.rint(match.raw_at(match.start + np.arange(n_blocks + 1) * block)).astype(int)
    places = np.clip(places, 0, len(raw))
    energy = np.concatenate(
        [[0.0], np.cumsum(np.square(raw[places[0] : places[-1]], dtype=np.float64))]
    )
    dry = np.diff(energy[places - places[0]]) / np.maximum(np.diff(places), 1)
    sounding = dry > max(float(dry.mean()) * db_to_gain(2 * SOUNDING_DB), 1e-12)
    if not sounding.any():
        return SpanLevels(0.0, 0.0, 0.0)
    ratio = np.sqrt(wet / np.maximum(dry, 1e-12))
    gain = max(float(np.median(ratio[sounding])), 1e-6)
    relative = np.minimum(ratio / gain, 2.0)
    half = min(n_blocks // 2, round(LONGEST_FADE_S / BLOCK_S))
    return SpanLevels(
        float(gain_to_db(gain)),
        _fade_blocks(relative[:half], sounding[:half]) * BLOCK_S,
        _fade_blocks(relative[::-1][:half], sounding[::-1][:half]) * BLOCK_S,
    )


def _block_power(signal: NDArray[np.float32], block: int) -> NDArray[np.float64]:
    return np.square(signal, dtype=np.float64).reshape(-1, block).mean(axis=1)


def _fade_blocks(relative: NDArray[np.float64], sounding: NDArray[np.bool_]) -> int:
    """Return the length in blocks of the ramp that relative amplitudes begin with, or 0."""
    places = np.flatnonzero(sounding) + 0.5
    values = relative[sounding]
    best, error_share = 0, MAX_FADE_ERROR
    lengths = np.unique(np.geomspace(SHORTEST_FADE_BLOCKS, max(4, len(relative)), 40).astype(int))
    for length in lengths.tolist():
        # Twice the ramp is looked at: behind it the level must be back.
        near = places < 2 * length
        ramp = np.minimum(places[near] / length, 1.0)
        flat_error = float(np.square(values[near] - 1.0).sum())
        error = float(np.square(values[near] - ramp).sum())
        if flat_error >= MIN_FADED * length and error < error_share * flat_error:
            best, error_share = length, error / flat_error
    return best
