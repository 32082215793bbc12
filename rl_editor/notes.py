"""What a musician should know about an edit besides its numbers: one line for each thing.

In: the finished edit. Out: lines for the summary and the report, which say the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rl_editor.edl import EditDecisionList, Join
from rl_editor.grid import BeatGrid
from rl_editor.join_measures import beyond_limits
from rl_editor.render import RenderResult
from rl_editor.report import other_tempi, played_share
from rl_editor.units import format_time

NEARLY_ALL, HARDLY_ANY = 0.99, 0.05
"""Shares of the recording: who keeps that much or that little is told."""
NEAR_TEMPO = 0.03
"""Relative distance up to which a tempo counts as the one that was asked for."""
LEAST_GAIN_DB = 0.05
"""Changes of level that are told, dB."""
MOST_JOINS = 3
"""Joins that are named."""
LOW_CONFIDENCE = 0.3
"""Mean confidence of a grid below which the beat counts as hard to hear."""

_FAULTS = {
    "click_energy": "a click",
    "level_step_db": "the level",
    "beat_phase_error_ms": "the beat",
    "harmonic_distance": "the harmony",
}


def kept_share(edl: EditDecisionList, grid: BeatGrid) -> float:
    """Return the share of the recording that some clip plays, in [0, 1]."""
    lengths_s = np.diff(grid.edges_s)
    return float(played_share(edl, grid.edges_s) @ lengths_s / lengths_s.sum())


def kept_notes(share: float, wanted: float | None, music_found: bool) -> tuple[str, ...]:
    """Return a line where nearly all or hardly anything was kept without being asked for.

    Args:
        share: of the recording that was kept, in [0, 1].
        wanted: share that the user asked for, or None.
        music_found: False when the editor found no music in the recording.
    """
    if not music_found:
        if share >= NEARLY_ALL:
            return (
                "no music was found, so everything was kept; --keep-ratio 0.5 keeps about half",
            )
        return ("no music was found; only because it was asked for did anything go",)
    if share >= NEARLY_ALL and (wanted is None or wanted < NEARLY_ALL):
        return (f"nothing to cut was found: {_percent(share)} of the recording was kept",)
    if share < HARDLY_ANY and (wanted is None or wanted >= HARDLY_ANY):
        return (
            f"hardly anything was found to keep: {_percent(share)} of the recording is left; if "
            "that is too little, --keep-ratio 0.5 keeps about half",
        )
    return ()


def tempo_notes(grid: BeatGrid, asked_bpm: float | None) -> tuple[str, ...]:
    """Return a line where the tempo is not quite the one that the user asked for, or None."""
    if asked_bpm is None or abs(grid.tempo_bpm / asked_bpm - 1.0) <= NEAR_TEMPO:
        return ()
    return (
        f"{asked_bpm:g} beats a minute were asked for; of the tempi near that, "
        f"{grid.tempo_bpm:.1f} fits the recording",
    )


def grid_notes(grid: BeatGrid, hints: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a line where the beat is hard to hear; `hints` are options that it was made with."""
    if float(grid.confidence.mean()) >= LOW_CONFIDENCE:
        return ()
    others = other_tempi(grid, hints, most=2)
    hint = f"; {others} may fit too" if others else ""
    return (f"the beat is hard to hear here{hint}; --tempo, --meter or --beats set it",)


def finish_notes(edl: EditDecisionList, rendered: RenderResult) -> tuple[str, ...]:
    """Return a line for each thing that was done to the level of the whole track or of a take."""
    lines = []
    after, gain_db = rendered.loudness, rendered.gain_applied_db
    if after is not None:
        held = f", peaks held back by up to {rendered.limited_db:.1f} dB"
        lines.append(
            f"brought to {after.lufs or -math.inf:.1f} LUFS by {gain_db:+.1f} dB"
            f"{held if rendered.limited_db >= LEAST_GAIN_DB else ''}; its true peak is "
            f"{after.true_peak_db:.1f} dBTP"
        )
    elif gain_db <= -LEAST_GAIN_DB:
        lines.append(f"turned down by {-gain_db:.1f} dB so that nothing clips")
    if edl.finish.dc_offset:
        most = 100.0 * max(abs(offset) for offset in edl.finish.dc_offset)
        lines.append(f"a constant of {most:.2g}% of full scale was taken out of the sound")
    return tuple(lines)


def level_notes(gains_db: Sequence[float]) -> tuple[str, ...]:
    """Return a line where takes were brought to one level, by gains in dB."""
    if not gains_db:
        return ()
    gains = ", ".join(f"{gain_db:+.1f} dB" for gain_db in gains_db)
    clips = "a clip" if len(gains_db) == 1 else f"{len(gains_db)} clips"
    return (
        f"takes that meet were brought to one level: {clips} by {gains} (--no-level-match keeps "
        "the level of each)",
    )


def join_notes(joins: Sequence[Join]) -> tuple[str, ...]:
    """Return a line that says where joins stand out from the music around them, and by what."""
    found = [
        f"{format_time(join.timeline_s)} ({', '.join(faults)})"
        for join in joins
        if (faults := [_FAULTS[name] for name in beyond_limits(join)])
    ]
    if not found:
        return ()
    more = f" and {len(found) - MOST_JOINS} more" if len(found) > MOST_JOINS else ""
    places = ", ".join(found[:MOST_JOINS])
    return (f"in the edited track, listen to {places}{more}: no smoother join was found",)


def _percent(share: float) -> str:
    """Return a share in per cent; 100% is all of it."""
    return "100%" if share > 1.0 - 1e-9 else f"{min(100 * share, 99.9):.1f}%"
