"""A passage of one recording that lies in another: the unit that alignment works on.

Frozen data and the geometry of lines; samples are those of the analysis rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MIN_MATCH_S = 0.2
"""Shorter matches are chance."""
SAME_PLACE_S = 0.0005
"""Neighbours whose lines differ by less where they meet are one match, if copies;"""
SAME_PLACE_STRETCHED_S = 0.02
"""and by less than this where the speed or pitch was changed, which is known less exactly."""
SAME_SPEED = 0.003
"""Neighbours whose speeds differ by more stay two."""


@dataclass(frozen=True)
class Match:
    """Edit samples `[start, stop)` that are a copy of the raw recording along a line.

    Attributes:
        start, stop: half-open range of samples of the edit.
        raw_start: sample of the raw recording, with fractions, that became sample `start`.
        speed: samples of the raw recording for each one of the edit.
        shift_steps: change of pitch in thirds of a semitone.
        confidence: mean correlation along the line, in [0, 1].
        is_copy: the waveforms are alike; without, only the course of the sound is (the speed was
            changed and the pitch was not, or the other way round).
    """

    start: int
    stop: int
    raw_start: float
    speed: float = 1.0
    shift_steps: int = 0
    confidence: float = 0.0
    is_copy: bool = False

    def raw_at(self, samples: NDArray) -> NDArray[np.float64]:
        """Return the raw samples that became samples of the edit, inside or outside the match."""
        return self.raw_start + self.speed * (np.asarray(samples, dtype=np.float64) - self.start)

    def moved(self, start: int, stop: int) -> Match:
        """Return the match with other ends, on the same line."""
        raw_start = self.raw_start + self.speed * (start - self.start)
        return replace(self, start=start, stop=stop, raw_start=raw_start)

    def on_line(self, offset: float, slope: float) -> Match:
        """Return the match with its place corrected.

        Args:
            offset: samples of the edit by which the raw sound lags, in the middle.
            slope: change of that lag for each sample.
        """
        middle = (self.start + self.stop) / 2
        raw_middle = self.raw_start + self.speed * (middle - self.start + offset)
        speed = self.speed * (1.0 + slope)
        return replace(self, raw_start=raw_middle - speed * (middle - self.start), speed=speed)


def merged(matches: list[Match], sr: int) -> list[Match]:
    """Return the matches with neighbours on one line joined, and those too short left out."""
    joined: list[Match] = []
    for match in matches:
        before = joined[-1] if joined else None
        if before is not None and _is_one(before, match, sr):
            longer = max(before, match, key=lambda m: m.stop - m.start)
            joined[-1] = longer.moved(before.start, match.stop)
        else:
            joined.append(match)
    return [m for m in joined if m.stop - m.start >= MIN_MATCH_S * sr]


def _is_one(left: Match, right: Match, sr: int) -> bool:
    """Return whether two neighbours lie on one line."""
    limit_s = SAME_PLACE_S if left.is_copy and right.is_copy else SAME_PLACE_STRETCHED_S
    return (
        abs(left.shift_steps - right.shift_steps) <= 1
        and abs(left.speed - right.speed) <= SAME_SPEED
        and right.start - left.stop <= MIN_MATCH_S * sr
        and abs(float(left.raw_at(np.array(right.start))) - right.raw_start) <= limit_s * sr
    )


def take(signal: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Return samples [start, stop) of a signal [S], with zeros beyond both its ends."""
    inside = signal[max(0, start) : max(0, stop)]
    before = max(0, min(-start, stop - start))
    return np.pad(inside, (before, stop - start - before - len(inside)))
