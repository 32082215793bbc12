"""How a score is played this once: tempo that moves, swing, and hands that are not exact.

In: `Score`. Out: `Take` for the soundfont, and the beats of the take, exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.score_takes import N_CHANNELS, Take
from rl_editor.scores import SHORTEST_NOTE_S, Score

STEADY, RITARDANDO, FERMATA, TEMPO_CHANGE = 0.45, 0.15, 0.08, 0.1
"""Probabilities: played to a click; slower at the end; a beat held in the middle; another tempo
from some beat on."""
DRIFT_SD, DRIFT_KEPT = (0.003, 0.02), 0.85
"""Change of the tempo from beat to beat, and how much of the drift stays."""
JITTER_S, LAG_SD_S = (0.0, 0.012), 0.006
TAIL_S = 2.0
"""What rings on after the last beat."""


def beat_lengths(score: Score, rubato: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return [N] how long each beat takes, seconds."""
    n_beats = score.grid.n_beats
    slower = np.zeros(n_beats)
    if rng.random() >= STEADY:
        step = rng.normal(0.0, rng.uniform(*DRIFT_SD), n_beats)
        for beat in range(1, n_beats):
            slower[beat] = DRIFT_KEPT * slower[beat - 1] + step[beat]
    if rubato > 0.0:
        period = score.grid.meter * float(rng.choice([2, 4]))
        phase = 2.0 * np.pi * (np.arange(n_beats) / period + rng.random())
        slower += rubato * rng.random() * np.sin(phase)
    if rng.random() < TEMPO_CHANGE and n_beats > 16:
        slower[int(rng.integers(8, n_beats - 8)) :] += rng.uniform(-0.25, 0.25)
    if rng.random() < RITARDANDO:
        last = min(n_beats, int(rng.integers(3, 9)))
        slower[n_beats - last :] += np.linspace(0.0, rng.uniform(0.15, 0.5), last)
    lengths = score.grid.durations_s * np.exp(slower)
    if rng.random() < FERMATA and n_beats > 8:
        lengths[int(rng.integers(4, n_beats))] *= rng.uniform(1.6, 3.0)
    return lengths


def perform(
    score: Score,
    rng: np.random.Generator,
    *,
    rubato: float = 0.0,
    swing: float = 0.0,
    steps: int = 4,
) -> tuple[Take, NDArray[np.float64]]:
    """Return a take of a whole score, and the times [N] of its beats in it.

    Args:
        score: what is played.
        rng: tempo and hands.
        rubato: largest change of the tempo within a phrase, relative.
        swing: how late every second step comes, as a share of a step.
        steps: of a beat.
    """
    edges_s = np.concatenate([[0.0], np.cumsum(beat_lengths(score, rubato, rng))])
    place = np.arange(score.grid.n_beats + 1)

    def when(score_s: NDArray[np.float64]) -> NDArray[np.float64]:
        beat = np.interp(score_s, score.grid.edges_s, place)
        if swing > 0.0:
            step = beat * steps
            late = np.abs(np.mod(step, 2.0) - 1.0) < 0.05
            beat = beat + late * swing / steps
        return np.interp(beat, place, edges_s)

    notes = score.notes.copy()
    start_s, end_s = when(notes["start_s"]), when(notes["end_s"])
    hand_s = rng.normal(0.0, 1.0, len(notes)) * rng.uniform(*JITTER_S)
    hand_s += (rng.normal(0.0, LAG_SD_S, N_CHANNELS))[notes["channel"]]
    notes["start_s"] = np.maximum(start_s + hand_s, 0.0)
    notes["end_s"] = np.maximum(end_s + hand_s, notes["start_s"] + SHORTEST_NOTE_S)
    controls = score.controls.copy()
    controls["time_s"] = when(controls["time_s"])
    take = Take(
        np.sort(notes, order=["start_s", "channel", "key"]),
        controls,
        rng.normal(0.0, 2.0, N_CHANNELS),
        np.full(N_CHANNELS, rng.normal(0.0, 0.15)),
        (np.stack([score.grid.edges_s[[0, -1]], edges_s[[0, -1]]]),),
    )
    return take, edges_s[:-1]
