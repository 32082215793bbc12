"""Whether there is music in a recording at all, so that the editor leaves alone what it never saw.

Music has a pulse, or notes. A window of some eight seconds counts as music where the policy does
not take most of it for talk, noise or silence, and

- the beat tracker hears a pulse (the grid's confidence) in something that is not mere noise: a few
  pitch classes stand out of the window's mean chroma a little, as even a drum's do, or
- they stand out clearly (more than noise, applause or talk lets them), they change from beat to
  beat (those of a hum or a test tone do not), and something begins (nothing does in a sweep).

One such window is enough: a session may be talk for the most part. Pulse and tonality are what
music is told from speech and noise by since Scheirer and Slaney 1997, "Construction and
evaluation of a robust multifeature speech/music discriminator"; the policy alone cannot, since
rain or a hum are to it unlike anything that was ever cut. `docs/confidence.md` has the numbers.

In: a `Track`, the policy's materials. Out: `MusicEvidence`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.features import FEATURE_NAMES
from rl_editor.materials import Material
from rl_editor.track import Track

WINDOW_BEATS = 16
"""Length of the windows, beats; a shorter recording is one window."""

# Chosen on 2,200 recordings with music and 415 without (docs/confidence.md).
MOSTLY = 0.5
"""Mean probability of talk, noise and silence from which a window is mostly that. It takes a policy
that is sure of it: one that was hardly trained must not silence the music."""
PULSE = 0.55
"""Mean confidence of the grid from which a window has a pulse: half of all sessions reach 0.9."""
SOME_PITCH = 0.08
"""Spread of the mean chroma over its mean below which a pulse is one that the tracker found in
noise, or footsteps: noise stays below 0.08, drums and clapped rhythms begin there."""
TONALITY = 0.25
"""The same from which a window has notes: applause stays below 0.15, most talk below 0.25; music
that has no pulse begins at 0.31."""
MOVEMENT = 0.04
"""Mean change of the chroma from beat to beat (its largest is 1) from which notes change: hum and
tones stay below 0.01, white noise below 0.037; a slow choir is at 0.063."""
ONSETS = 0.25
"""Mean onset strength from which something begins: sweeps stay below 0.17."""

_CHROMA = [
    n
    for n, name in enumerate(FEATURE_NAMES)
    if name.startswith("chroma_") and not name.endswith("_change")
]
_ONSET = FEATURE_NAMES.index("onset_strength")
_DEAD = [Material.TALK, Material.NOISE, Material.SILENCE]


@dataclass(frozen=True)
class MusicEvidence:
    """What speaks for music in each window of a recording, [W] each.

    Attributes:
        pulse: mean confidence of the grid, in [0, 1].
        tonality: spread of the window's mean chroma over its mean, at least 0.
        movement: mean change of the chroma between beats.
        onsets: mean onset strength.
        dead: mean probability of talk, noise and silence.
    """

    pulse: NDArray[np.float64]
    tonality: NDArray[np.float64]
    movement: NDArray[np.float64]
    onsets: NDArray[np.float64]
    dead: NDArray[np.float64]

    @property
    def is_music(self) -> NDArray[np.bool_]:
        """[W] True where a window is music."""
        has_pulse = (self.pulse >= PULSE) & (self.tonality >= SOME_PITCH)
        has_notes = (self.tonality >= TONALITY) & (self.movement >= MOVEMENT)
        has_notes &= self.onsets >= ONSETS
        return (has_pulse | has_notes) & (self.dead < MOSTLY)

    @property
    def has_music(self) -> bool:
        """Whether some window is music."""
        return bool(self.is_music.any())


def music_evidence(track: Track, materials: NDArray[np.float32]) -> MusicEvidence:
    """Return what speaks for music in a recording.

    Args:
        track: the recording.
        materials: [N, 10] the policy's probabilities of `Material` at every beat.
    """
    chroma = track.features[:, _CHROMA].astype(np.float64)
    change = np.abs(np.diff(chroma, axis=0, prepend=chroma[:1])).mean(axis=1)
    mean_chroma = _window_means(chroma)
    loudest = np.maximum(mean_chroma.mean(axis=1), 1e-9)
    return MusicEvidence(
        pulse=_window_means(track.grid.confidence.astype(np.float64)),
        tonality=mean_chroma.std(axis=1) / loudest,
        movement=_window_means(change),
        onsets=_window_means(track.features[:, _ONSET].astype(np.float64)),
        dead=_window_means(materials[:, _DEAD].sum(axis=1, dtype=np.float64)),
    )


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [W, ...] the means over all windows of `values` [N, ...]."""
    length = min(WINDOW_BEATS, len(values))
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    return np.asarray((sums[length:] - sums[:-length]) / length)
