"""Made-up raw sessions: from a finished track to a recording that could have led to it.

`make_session` plans what goes wrong (`session_plan`), lays it out in one array and records it as a
device would: room tone, hum, clipping, a narrow band. The truth is exact: wanted segments are the
track's own samples times the level of their take, before the recording's colour is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.grid import BeatGrid
from rl_editor.materials import Material
from rl_editor.session_colour import colour_recording
from rl_editor.session_parts import Part
from rl_editor.session_plan import plan_session
from rl_editor.session_settings import SessionSettings
from rl_editor.truth import Segment, Truth
from rl_editor.units import db_to_gain, format_time, gain_to_db, samples_to_seconds

Audio = NDArray[np.float32]

_SEAM_CROSSFADE_S = (0.003, 0.02)
"""Range of crossfades between copies of the piece."""


@dataclass(frozen=True)
class Session:
    """A raw recording and what is true about it.

    Attributes:
        signal: [S', C'] float32, the raw recording.
        sr: sample rate, Hz.
        truth: which of it belongs in the edit; times are whole samples over `sr`.
        level: amplitude factor from the track to the piece's first take; the other takes are
            as loud once they are given their `gain_db`.
        name: of the settings it was made with.
        summary: one line about what went wrong.
    """

    signal: Audio
    sr: int
    truth: Truth
    level: float
    name: str
    summary: str


def make_session(
    signal: Audio, sr: int, grid: BeatGrid, rng: np.random.Generator, settings: SessionSettings
) -> Session:
    """Return a session that could have led to a finished track.

    The same generator state gives the same bytes (on machines that agree on espeak-ng).

    Args:
        signal: [S, C] float32, the finished track.
        sr: sample rate, Hz.
        grid: of the finished track; its end is the track's end.
        rng: source of everything that is random.
        settings: how hard, see `SessionSettings.draw`.

    Raises:
        ValueError: if the signal is empty, not finite or not [S, C].
    """
    if signal.ndim != 2 or len(signal) == 0 or not np.all(np.isfinite(signal)):
        raise ValueError(f"a track is finite audio [S, C], but has the shape {signal.shape}")
    if signal.shape[1] > 1 and rng.random() < settings.mono:
        signal = signal.mean(axis=1, keepdims=True)
    parts = plan_session(signal, sr, grid, rng, settings)
    return _recorded(parts, signal, sr, rng, settings)


def make_medley(
    pieces: Sequence[tuple[Audio, BeatGrid]],
    sr: int,
    rng: np.random.Generator,
    settings: SessionSettings,
) -> Session:
    """Return a session in which several pieces were played one after the other.

    Places in the piece are counted through all of them. Arguments are those of `make_session`,
    and `pieces` have equally many channels.
    """
    signal = np.concatenate([piece for piece, _ in pieces])
    parts: list[Part] = []
    offset = 0
    for piece, grid in pieces:
        for part in plan_session(piece, sr, grid, rng, settings):
            start = None if part.start is None else part.start + offset
            parts.append(replace(part, start=start))
        offset += len(piece)
    return _recorded(parts, signal, sr, rng, settings)


def _recorded(
    parts: list[Part], signal: Audio, sr: int, rng: np.random.Generator, settings: SessionSettings
) -> Session:
    raw = _lay_out(parts, signal, sr, rng)
    recorded = record(raw, _peak(signal), sr, rng, settings)
    return session_of(raw, sr, parts, recorded, settings)


def session_of(
    raw: Audio, sr: int, parts: list[Part], recorded: Recorded, settings: SessionSettings
) -> Session:
    """Return the session of a recording and the parts that tile it."""
    wanted = [part for part in parts if part.wanted]
    first_gain = min(wanted, key=lambda part: part.start or 0).gain if wanted else 1.0
    truth = truth_of(parts, len(raw), sr, first_gain if recorded.has_takes_levels else None)
    return Session(raw, sr, truth, first_gain * recorded.scale, settings.name, summary(truth))


def _lay_out(parts: list[Part], signal: Audio, sr: int, rng: np.random.Generator) -> Audio:
    """Return [S', C] all parts one after the other, faded into each other where not wanted."""
    offsets = np.concatenate([[0], np.cumsum([p.n for p in parts])])
    raw = np.zeros((int(offsets[-1]), signal.shape[1]), dtype=np.float32)
    for part, offset in zip(parts, offsets, strict=False):
        source = signal[part.start : part.stop] if part.audio is None else part.audio
        np.multiply(source, np.float32(part.gain), out=raw[offset : offset + part.n])
    ring_s = float(rng.choice([0.0, 0.01, 0.1, 0.6]))
    for before, after, offset in zip(parts, parts[1:], offsets[1:], strict=False):
        is_continuous = before.stop is not None and before.stop == after.start
        if not is_continuous:
            _ring_out(raw, int(offset), before, after, signal, _seam(after, ring_s, sr, rng))
            _ring_in(raw, int(offset), before, after, signal, _seam(before, ring_s * 0.1, sr, rng))
    return raw


def _seam(unwanted: Part, ring_s: float, sr: int, rng: np.random.Generator) -> int:
    """Return the length of a fade into a gap, or of a crossfade into another take, samples."""
    seconds = ring_s * rng.uniform(0.3, 1.5) if unwanted.is_gap else rng.uniform(*_SEAM_CROSSFADE_S)
    return int(sr * seconds)


def _ring_out(raw: Audio, offset: int, before: Part, after: Part, signal: Audio, n: int) -> None:
    """Let the piece go on under the unwanted part that follows it, dying away."""
    if before.stop is None or after.wanted:
        return
    n = min(n, after.n, len(signal) - before.stop)
    fade = np.linspace(1.0, 0.0, n, dtype=np.float32)[:, None]
    if not after.is_gap:
        raw[offset : offset + n] *= 1.0 - fade
        fade = np.sqrt(fade) if after.start is None else fade
    else:
        fade = fade**3
    raw[offset : offset + n] += (
        signal[before.stop : before.stop + n] * fade * np.float32(before.gain)
    )


def _ring_in(raw: Audio, offset: int, before: Part, after: Part, signal: Audio, n: int) -> None:
    """Fade the piece in under the end of the unwanted part before it."""
    if not after.wanted or before.wanted or after.start is None:
        return
    n = min(n, before.n, after.start)
    fade = np.linspace(0.0, 1.0, n, dtype=np.float32)[:, None]
    if not before.is_gap:
        raw[offset - n : offset] *= 1.0 - fade
    raw[offset - n : offset] += (
        signal[after.start - n : after.start] * fade * np.float32(after.gain)
    )


class Recorded(NamedTuple):
    """What a device did to the level: a factor, and whether it is the same for all takes."""

    scale: float
    has_takes_levels: bool


def record(
    raw: Audio, track_peak: float, sr: int, rng: np.random.Generator, settings: SessionSettings
) -> Recorded:
    """Add the colour of a device to `raw` in place and return what it did to the level."""
    peak = max(_peak(raw), track_peak, 1e-6)
    scale = float(db_to_gain(rng.uniform(*settings.peak_db))) / peak
    raw *= np.float32(scale)
    is_evened_out = colour_recording(raw, sr, rng, settings)
    top = _peak(raw)
    if top > 1.0:
        raw /= np.float32(top)
        scale /= top
    return Recorded(scale, not is_evened_out)


def _peak(signal: Audio) -> float:
    return max(float(signal.max()), -float(signal.min()))


def truth_of(parts: list[Part], n_samples: int, sr: int, level_gain: float | None = None) -> Truth:
    """Return what is true about the parts of a recording of `n_samples` in all.

    In the piece every take has the gain `level_gain`, or (None) the level it was recorded at.
    """
    edges_s = samples_to_seconds(np.concatenate([[0], np.cumsum([p.n for p in parts])]), sr)
    segments = tuple(
        Segment(
            start_s=float(start_s),
            end_s=float(end_s),
            material=part.material,
            wanted=part.wanted,
            equally_good=part.equally_good,
            piece_start_s=None if part.start is None else samples_to_seconds(part.start, sr),
            gain_db=_levelling_db(part, level_gain),
        )
        for part, start_s, end_s in zip(parts, edges_s[:-1], edges_s[1:], strict=True)
    )
    return Truth(samples_to_seconds(n_samples, sr), segments)


def _levelling_db(part: Part, level_gain: float | None) -> float:
    """Return the gain that brings a part of the piece to the level of the others, in dB."""
    if level_gain is None or not (part.wanted or part.equally_good):
        return 0.0
    return float(gain_to_db(level_gain / part.gain))


def summary(truth: Truth) -> str:
    """Return one line such as `3:10.0 of 5:02.1 wanted; talk 0:40.2, tuning 0:12.0`."""
    wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
    line = f"{format_time(wanted_s)} of {format_time(truth.duration_s)} wanted"
    seconds = {
        m: sum(s.end_s - s.start_s for s in truth.segments if s.material == m and not s.wanted)
        for m in Material
    }
    parts = [
        f"{m.name.lower().replace('_', ' ')} {format_time(t)}" for m, t in seconds.items() if t
    ]
    return f"{line}; {', '.join(parts) if parts else 'nothing went wrong'}"
