"""The recording as it grows, and what is true about every sample of it.

All sound fades in and out over `TAIL_S`, linearly, since nothing in a room begins or ends within
a sample; a performance that goes on in the next one overlaps it by that much, and the two fades
add up to one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from benchmarks.development.performance import TAIL_S, Passage, Stereo
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

_MAX_DRIFT_S = 0.006
"""Of a copy at another tempo against the wanted one, before it gets a segment of its own."""
_STEP_S = 0.25
"""Steps in which such a copy is followed."""


class Worth(Enum):
    """Whether what is played belongs in the edit."""

    WANTED = "wanted"
    AS_GOOD = "as good"


@dataclass(frozen=True)
class _Span:
    """Samples [first, last) about which one thing is true; knots only of wanted and as good."""

    first: int
    last: int
    material: Material
    worth: Worth | None = None
    piece: int = 0
    raw_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    piece_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class Tape:
    """Sound is appended at the end; `overlay` adds sound over what is there."""

    def __init__(self, sr: int) -> None:
        self.sr = sr
        self.n_samples = 0
        self._parts: list[tuple[int, Stereo]] = []
        self._spans: list[_Span] = []

    def play(self, passage: Passage, piece: int, until: list[tuple[float, Worth]]) -> None:
        """Append a performance; `until` gives places in the piece and what ends there."""
        start = self.n_samples
        self._put(start, passage.audio)
        first = 0
        for place_s, worth in until:
            last = round(float(np.interp(place_s, passage.piece_s, passage.raw_s)) * self.sr)
            last = min(last, passage.n_samples)
            if last > first:
                material = Material.MUSIC if worth is Worth.WANTED else Material.REDUNDANT_REPEAT
                raw_s = start / self.sr + passage.raw_s
                span = _Span(start + first, start + last, material, worth, piece)
                self._spans.append(_with_knots(span, raw_s, passage.piece_s))
                first = last
        self.n_samples = start + passage.n_samples

    def junk(self, audio: NDArray, material: Material) -> None:
        """Append what does not belong in the edit, [S] or [S, 2]."""
        if len(audio) == 0:
            return
        self.overlay(self.n_samples, audio)
        last = self.n_samples + len(audio)
        self._spans.append(_Span(self.n_samples, last, material))
        self.n_samples = last

    def overlay(self, first: int, audio: NDArray) -> None:
        """Add sound [S] or [S, 2] from a sample on."""
        self._put(first, np.repeat(audio[:, None], 2, axis=1) if audio.ndim == 1 else audio)

    def _put(self, first: int, audio: Stereo) -> None:
        n_fade = min(round(TAIL_S * self.sr), len(audio) // 2)
        ramp = np.linspace(0, 1, n_fade, dtype=np.float32)[:, None]
        faded = audio.astype(np.float32, copy=True)
        faded[:n_fade] *= ramp
        faded[len(audio) - n_fade :] *= ramp[::-1]
        self._parts.append((first, faded))

    def audio(self) -> Stereo:
        """Return the sound of the whole tape, [S, 2]."""
        mix = np.zeros((self.n_samples, 2), dtype=np.float32)
        for first, part in self._parts:
            mix[first : first + len(part)] += part[: max(0, self.n_samples - first)]
        return mix

    def played(self) -> list[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
        """Return (piece, raw times, places in the piece) of all good performances, seconds."""
        found = []
        for span in self._spans:
            if span.worth is not None:
                ends_s = np.array([span.first, span.last]) / self.sr
                inside = (span.raw_s > ends_s[0]) & (span.raw_s < ends_s[1])
                raw_s = np.concatenate([ends_s[:1], span.raw_s[inside], ends_s[1:]])
                found.append((span.piece, raw_s, np.interp(raw_s, span.raw_s, span.piece_s)))
        return found

    def truth(self) -> Truth:
        """Return the truth of the whole tape."""
        places = _Places([s for s in self._spans if s.worth is Worth.WANTED], self.sr)
        segments: list[Segment] = []
        for span in self._spans:
            start_s, end_s = span.first / self.sr, span.last / self.sr
            if span.worth is None:
                last = segments[-1] if segments else None
                if last and last.material == span.material and last.piece_start_s is None:
                    segments[-1] = Segment(last.start_s, end_s, span.material, wanted=False)
                else:
                    segments.append(Segment(start_s, end_s, span.material, wanted=False))
            elif span.worth is Worth.WANTED:
                place_s = places.of_wanted(span)
                segments.append(Segment(start_s, end_s, span.material, True, False, place_s))
            else:
                segments += places.copy_segments(span)
        return Truth(self.n_samples / self.sr, tuple(segments))


def _with_knots(span: _Span, raw_s: NDArray, piece_s: NDArray) -> _Span:
    return _Span(span.first, span.last, span.material, span.worth, span.piece, raw_s, piece_s)


class _Places:
    """Places in the finished edit: the wanted performances one after the other."""

    def __init__(self, wanted: list[_Span], sr: int) -> None:
        self._sr = sr
        self._wanted = sorted(wanted, key=lambda s: (s.piece, self._from(s)))
        lengths = [s.last - s.first for s in self._wanted]
        self._starts = np.concatenate([[0], np.cumsum(lengths)]) / sr

    def _from(self, span: _Span) -> float:
        return float(np.interp(span.first / self._sr, span.raw_s, span.piece_s))

    def of_wanted(self, span: _Span) -> float:
        """Return where a wanted span begins in the finished edit."""
        return float(self._starts[next(k for k, s in enumerate(self._wanted) if s is span)])

    def of(self, piece: int, piece_s: float) -> float:
        """Return where a place of a piece is in the finished edit."""
        own = [k for k, s in enumerate(self._wanted) if s.piece == piece]
        index = max((k for k in own if self._from(self._wanted[k]) <= piece_s + 1e-9), default=None)
        span = self._wanted[own[0] if index is None else index]
        start_s = float(self._starts[own[0] if index is None else index])
        raw_s = float(np.interp(piece_s, span.piece_s, span.raw_s))
        return start_s + min(
            max(0.0, raw_s - span.first / self._sr), (span.last - span.first) / self._sr
        )

    def copy_segments(self, span: _Span) -> list[Segment]:
        """Return a copy in segments that each follow the wanted one at speed 1."""
        start_s, end_s = span.first / self._sr, span.last / self._sr
        grid_s = np.append(np.arange(start_s, end_s - _STEP_S / 2, _STEP_S), end_s)
        places_s = [
            self.of(span.piece, float(np.interp(t, span.raw_s, span.piece_s))) for t in grid_s
        ]
        segments, first = [], 0
        for k in range(1, len(grid_s)):
            drift_s = (places_s[k] - places_s[first]) - (grid_s[k] - grid_s[first])
            is_last = k == len(grid_s) - 1
            if is_last or abs(drift_s) > _MAX_DRIFT_S:
                segments.append(
                    Segment(
                        float(grid_s[first]),
                        float(grid_s[k]),
                        span.material,
                        wanted=False,
                        equally_good=True,
                        piece_start_s=places_s[first],
                    )
                )
                first = k
        return segments
