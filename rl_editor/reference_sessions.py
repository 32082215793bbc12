"""Demonstrations out of finished tracks: an excerpt, a session that could have led to it, truth.

In: a finished track and a number. Out: a `Demonstration`; the same inputs give the same one.
Excerpts and a small change of speed turn each piece into many, none of them like another.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor import session_instruments, session_speech
from rl_editor.analysis import ANALYSIS_VERSION, analyze, analyze_signal, schema_name
from rl_editor.audio import read_mono
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.config import AnalysisConfig
from rl_editor.demonstrations import Demonstration, demonstrate
from rl_editor.grid import BeatGrid
from rl_editor.materials import Material
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import Session, make_medley, make_session
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth
from rl_editor.truth_store import store_truth, stored_demonstration

VERSION = 9
"""Raised with every change that makes other sessions out of the same track."""
EXCERPT_S = (15.0, 240.0)
"""Range of the excerpts' lengths, drawn evenly on a logarithmic scale, s."""
WHOLE_SHARE = 0.25
"""Share of the tracks up to the longest excerpt that are taken whole."""
MEDLEY_SHARE = 0.15
"""Share of the excerpts of some length that are parted in two and played as two pieces."""
MEDLEY_SHORTEST_S = 60.0
LINE_SHARE = 0.8
"""Share of the excerpts that begin and end on bar lines; the others on any beat."""
SPEED_SHARE = 0.6
"""Share of the excerpts played faster or slower, as a tape would be."""
SPEED_SEMITONES = 3.0
"""Largest change of speed, semitones either way."""


@dataclass(frozen=True)
class Reference:
    """A finished track: its analysis and its samples at the analysis rate, mono [S]."""

    track: Track
    signal: NDArray[np.float32]


def load_reference(path: str | Path, cache: Cache | None) -> Reference:
    """Return a finished track."""
    return Reference(analyze(path, cache=cache), read_mono(path, AnalysisConfig().sr))


def reference_session(reference: Reference, number: int, seed: int) -> Session:
    """Return session `number` made out of a finished track, at the analysis rate."""
    rng = np.random.default_rng([seed, number, int(reference.track.sha256[:8], 16)])
    sr = AnalysisConfig().sr
    signal, grid = excerpt(reference.signal, reference.track.grid, sr, rng)
    settings = SessionSettings.draw(rng)
    if grid.duration_s < MEDLEY_SHORTEST_S or rng.random() >= MEDLEY_SHARE:
        signal, grid = at_another_speed(signal, grid, sr, rng)
        return make_session(signal[:, None], sr, grid, rng, settings)
    pieces = [at_another_speed(*half, sr, rng) for half in in_two(signal, grid, sr, rng)]
    return make_medley([(signal[:, None], grid) for signal, grid in pieces], sr, rng, settings)


def reference_demonstrations(
    path: str | Path, count: int, seed: int, cache: Cache | None
) -> list[Demonstration]:
    """Return a finished track as it is, and sessions 0 to `count` - 1 made out of it.

    The track shows what needs no change. Sessions whose analysis and truth are in the cache are
    not made again.

    Raises:
        UserError: the file cannot be used.
    """
    sha256, schema = file_sha256(path), schema_name()
    reference: Reference | None = None
    made = [untouched_demonstration(analyze(path, cache=cache))]
    for number in range(count):
        demonstration = stored_demonstration(_session_key(sha256, schema, number, seed), cache)
        if demonstration is None:
            reference = load_reference(path, cache) if reference is None else reference
            demonstration = session_demonstration(reference, number, seed, cache)
        made.append(demonstration)
    return made


def untouched_demonstration(track: Track) -> Demonstration:
    """Return the demonstration of a finished track: all of it is wanted."""
    whole = Segment(0.0, track.duration_s, Material.MUSIC, wanted=True, piece_start_s=0.0)
    return demonstrate(track, Truth(track.duration_s, (whole,)))


def session_demonstration(
    reference: Reference, number: int, seed: int, cache: Cache | None
) -> Demonstration:
    """Return the demonstration of session `number` made out of a finished track."""
    session = reference_session(reference, number, seed)
    track = session_track(reference, session, number, seed, cache)
    key = _session_key(reference.track.sha256, reference.track.schema, number, seed)
    store_truth(key, session.truth, cache, _track_key(reference, session, number, seed))
    return demonstrate(track, session.truth)


def session_track(
    reference: Reference, session: Session, number: int, seed: int, cache: Cache | None
) -> Track:
    """Return the analysis of a session of `reference_session`."""
    key = _track_key(reference, session, number, seed)
    track = cache.load_track(key) if cache is not None else None
    if track is None:
        track = analyze_signal(session.signal.mean(axis=1))
        if cache is not None:
            cache.store_track(key, track)
    return track


def _session_key(sha256: str, schema: str, number: int, seed: int) -> str:
    return track_key(sha256, _what_decides(schema) | {"number": number, "seed": seed})


def _track_key(reference: Reference, session: Session, number: int, seed: int) -> str:
    own = {"number": number, "seed": seed, "samples": len(session.signal)}
    return track_key(reference.track.sha256, _what_decides(reference.track.schema) | own)


def _what_decides(schema: str) -> dict[str, str | int | bool | None]:
    """Return what the sound of a session and its analysis depend on, besides its number."""
    return {
        "session": VERSION,
        "analysis": ANALYSIS_VERSION,
        "features": schema,
        "soundfont": session_instruments.soundfont_sha256(),
        "speech program": session_speech.has_speech_program(),
    }


def excerpt(
    signal: NDArray[np.float32], grid: BeatGrid, sr: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], BeatGrid]:
    """Return a stretch of a track, drawn at random, and its grid."""
    longest = min(EXCERPT_S[1], grid.duration_s)
    if grid.duration_s <= EXCERPT_S[0] or (
        grid.duration_s <= EXCERPT_S[1] and rng.random() < WHOLE_SHARE
    ):
        return signal, grid
    length_s = float(np.exp(rng.uniform(*np.log([EXCERPT_S[0], longest]))))
    start_s = rng.uniform(0.0, max(grid.duration_s - length_s, 0.0))
    lines = grid.bar_lines() if rng.random() < LINE_SHARE else np.arange(grid.n_beats + 1)
    edges_s = grid.edges_s
    start, end = np.searchsorted(edges_s[lines], [start_s, start_s + length_s])
    first, last = int(lines[start]), int(lines[min(end, len(lines) - 1)])
    if last - first < 8:
        return signal, grid
    samples = np.rint(edges_s[[first, last]] * sr).astype(int)
    cut = signal[samples[0] : samples[1]]
    return cut, part_of_grid(grid, first, last, len(cut) / sr)


def in_two(
    signal: NDArray[np.float32], grid: BeatGrid, sr: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.float32], BeatGrid]]:
    """Return a track in two, parted at a bar line in its middle half, as two pieces."""
    bars = grid.bar_lines()
    inner = bars[(bars > grid.n_beats // 4) & (bars < grid.n_beats - grid.n_beats // 4)]
    if len(inner) == 0:
        return [(signal, grid)]
    at = int(rng.choice(inner))
    sample = round(float(grid.beats_s[at]) * sr)
    first, second = signal[:sample], signal[sample:]
    return [
        (first, part_of_grid(grid, 0, at, len(first) / sr)),
        (second, part_of_grid(grid, at, grid.n_beats, len(second) / sr)),
    ]


def part_of_grid(grid: BeatGrid, first: int, last: int, duration_s: float) -> BeatGrid:
    """Return the grid of beats [first, last) on their own, `duration_s` long."""
    return dataclasses.replace(
        grid,
        beats_s=grid.beats_s[first:last] - grid.beats_s[first],
        duration_s=duration_s,
        is_downbeat=grid.is_downbeat[first:last],
        is_phrase_start=grid.is_phrase_start[first:last],
        confidence=grid.confidence[first:last],
    )


def at_another_speed(
    signal: NDArray[np.float32], grid: BeatGrid, sr: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], BeatGrid]:
    """Return a track played as by a tape at another speed, pitch and all, or as it is."""
    if rng.random() >= SPEED_SHARE:
        return signal, grid
    import soxr

    rate = 2.0 ** (rng.uniform(-SPEED_SEMITONES, SPEED_SEMITONES) / 12.0)
    changed = soxr.resample(signal, sr * rate, sr)
    duration_s = len(changed) / sr
    scale = duration_s / grid.duration_s
    return changed, dataclasses.replace(
        grid,
        beats_s=grid.beats_s * scale,
        duration_s=duration_s,
        tempo_bpm=grid.tempo_bpm / scale,
        runner_up_tempi_bpm=tuple(bpm / scale for bpm in grid.runner_up_tempi_bpm),
    )
