"""What is known about a raw recording: which of its seconds belong in the edit.

Session makers write it exactly; alignment of a raw recording with its human edit finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.materials import Material


@dataclass(frozen=True)
class Segment:
    """A half-open span of the raw recording about which one thing is true.

    Attributes:
        start_s, end_s: span of the raw recording.
        material: what it is.
        wanted: it belongs in the edit.
        equally_good: not wanted, but only because another copy of the same passage is; an
            edit that uses this one instead is as right.
        piece_start_s: where, in the finished piece, the audio at `start_s` belongs; the rest of
            the segment follows at speed 1. None for what is not part of the piece; what is
            wanted or equally good has a place, since nobody could say of what it is a copy.
        confidence: in [0, 1], of all of the above.
        gain_db: by how much the piece is louder than this segment of the recording.
    """

    start_s: float
    end_s: float
    material: Material
    wanted: bool
    equally_good: bool = False
    piece_start_s: float | None = None
    confidence: float = 1.0
    gain_db: float = 0.0


@dataclass(frozen=True)
class Truth:
    """Segments that tile a raw recording, in its order.

    The finished piece is the wanted segments in the order of their `piece_start_s`, unless
    `clips` say more.

    Attributes:
        duration_s: length of the recording.
        segments: what each of its seconds is.
        clips: the finished piece in the order of its output, where it is more than that: passages
            heard twice, effects, fades.
        notes: sentences about the finished piece that are not in the above.

    Raises:
        ValueError: the segments do not tile the recording, or one that is wanted or equally good
            has no place in the piece.
    """

    duration_s: float
    segments: tuple[Segment, ...]
    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        edges = [0.0]
        for segment in self.segments:
            if abs(segment.start_s - edges[-1]) > 1e-6 or segment.end_s <= segment.start_s:
                raise ValueError(f"segments must tile the recording, but {segment} does not follow")
            if (segment.wanted or segment.equally_good) and segment.piece_start_s is None:
                raise ValueError(f"{segment} is wanted, and needs a place in the piece")
            edges.append(segment.end_s)
        if abs(edges[-1] - self.duration_s) > 1e-6:
            raise ValueError(f"segments end at {edges[-1]} s of {self.duration_s} s")

    def decision_list(self) -> tuple[Clip, ...]:
        """Return the finished piece as clips in the order of its output."""
        if self.clips:
            return self.clips
        wanted = [s for s in self.segments if s.wanted]
        wanted.sort(key=lambda s: (s.piece_start_s, s.start_s))
        starts_s = np.cumsum([0.0, *(s.end_s - s.start_s for s in wanted)]).tolist()
        return tuple(
            Clip(s.start_s, s.end_s, start_s, gain_db=s.gain_db)
            for s, start_s in zip(wanted, starts_s, strict=False)
        )

    def share(self, edges_s: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray:
        """Return [N] the mean of a per-segment value over each cell of `edges_s` [N + 1]."""
        starts = np.array([s.start_s for s in self.segments] + [self.duration_s])
        integral = np.concatenate([[0.0], np.cumsum(values * np.diff(starts))])
        return np.diff(np.interp(edges_s, starts, integral)) / np.diff(edges_s)

    def wanted_share(self, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [N] the share of each cell that belongs in the edit."""
        return self.share(edges_s, np.array([float(s.wanted) for s in self.segments]))

    def materials(self, edges_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return [N] the material that fills most of each cell."""
        shares = np.stack(
            [
                self.share(edges_s, np.array([float(s.material == m) for s in self.segments]))
                for m in Material
            ]
        )
        return shares.argmax(axis=0)
