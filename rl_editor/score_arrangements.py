"""Other arrangements of a score: key, tempo, instruments, and who plays at all.

A few dozen scores become many pieces that share neither their chroma nor their sounds.
"""

from __future__ import annotations

import numpy as np

from rl_editor.scores import CONTROL, DRUMS, PROGRAM, Score, stretched

LOG_TEMPO = (-0.18, 0.18)
"""Range of the natural logarithm of the tempo's factor."""
SEMITONES = (-5, 6)
OTHER_PROGRAM, OTHER_FAMILY = 0.45, 0.1
"""Share of the channels that get another instrument of their family, or any at all."""
MUTED, MUTED_DRUMS = 0.15, 0.2
DRUM_KITS = (0, 8, 16, 24, 25, 32, 40)
_FAMILY = 8
_LAST_MUSICAL_PROGRAM = 111
"""Programs after it are percussion and sound effects."""
_LOWEST_KEY, _HIGHEST_KEY = 24, 108


def arranged(score: Score, rng: np.random.Generator) -> Score:
    """Return a score as another band would play it."""
    score = stretched(score, float(np.exp(rng.uniform(*LOG_TEMPO))))
    notes, controls = _thinned(score, rng)
    pitched = notes["channel"] != DRUMS
    moved = notes["key"] + int(rng.integers(SEMITONES[0], SEMITONES[1] + 1))
    moved = np.where(
        moved < _LOWEST_KEY, moved + 12, np.where(moved > _HIGHEST_KEY, moved - 12, moved)
    )
    notes["key"] = np.clip(np.where(pitched, moved, notes["key"]), 0, 127)
    present = sorted({int(c) for c in notes["channel"]})
    first = []
    for channel in present:
        is_program = (controls["channel"] == channel) & (controls["kind"] == PROGRAM)
        if not is_program.any():
            first.append((0.0, channel, PROGRAM, 0))
    controls = np.concatenate([np.array(first, dtype=CONTROL), controls])
    for channel in present:
        is_program = (controls["channel"] == channel) & (controls["kind"] == PROGRAM)
        if channel == DRUMS:
            controls["value"][is_program] = int(rng.choice(DRUM_KITS))
            continue
        draw, other = rng.random(), int(rng.integers(_FAMILY))
        if draw < OTHER_FAMILY:
            controls["value"][is_program] = int(rng.integers(_LAST_MUSICAL_PROGRAM + 1))
        elif draw < OTHER_FAMILY + OTHER_PROGRAM:
            family = controls["value"][is_program] // _FAMILY * _FAMILY
            controls["value"][is_program] = family + other
    return Score(notes, controls, score.grid)


def _thinned(score: Score, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return notes and controls without some channels; the two busiest stay."""
    notes = score.notes
    channels, counts = np.unique(notes["channel"], return_counts=True)
    busiest = set(channels[np.argsort(-counts, kind="stable")][:2].tolist())
    share = np.where(channels == DRUMS, MUTED_DRUMS, MUTED)
    is_muted = rng.random(len(channels)) < share
    muted = [c for c, m in zip(channels.tolist(), is_muted, strict=True) if m and c not in busiest]
    kept = ~np.isin(notes["channel"], muted)
    return notes[kept].copy(), score.controls.copy()
