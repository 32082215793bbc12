"""Made-up tracks and truths that need no audio, for tests of rewards, environment and training."""

import numpy as np

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.demonstrations import demonstrate
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid, steady_grid
from rl_editor.materials import Material
from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth
from rl_editor.vector_environment import Task

BEAT_S = 0.5
SR = 22050
KEEP_BEAT = np.array([ActionType.KEEP, Size.BEAT, Amount.NEUTRAL])


def made_track(n_beats: int, seed: int) -> Track:
    """Return a track whose features wander from beat to beat; no beat has a copy."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_beats, len(FEATURE_NAMES))).cumsum(axis=0) / 8
    features[:, FEATURE_NAMES.index("rms_db")] = rng.uniform(-40.0, -10.0, n_beats)
    return Track(
        path="",
        sha256="",
        sample_rate=SR,
        channels=1,
        n_samples=round(n_beats * BEAT_S * SR),
        grid=steady_grid(n_beats * BEAT_S),
        features=features.astype(np.float32),
        recurrence=np.zeros((n_beats, len(RECURRENCE_NAMES)), dtype=np.float32),
        match_later=np.full(n_beats, -1, dtype=np.int64),
        match_earlier=np.full(n_beats, -1, dtype=np.int64),
        schema="made",
    )


def made_truth(grid: BeatGrid, rng: np.random.Generator) -> Truth:
    """Return wanted passages of one to six bars, with junk or an equally good copy between them."""
    edges_s, beat, place_s = grid.edges_s, 0, 0.0
    segments: list[Segment] = []
    wanted = bool(rng.random() < 0.5)
    while beat < grid.n_beats:
        n_beats = int(rng.integers(4, 25)) if wanted else int(rng.integers(2, 17))
        end = min(beat + n_beats, grid.n_beats)
        start_s, end_s = float(edges_s[beat]), float(edges_s[end])
        if wanted:
            segments.append(Segment(start_s, end_s, Material.MUSIC, True, piece_start_s=place_s))
            place_s += end_s - start_s
        elif segments and rng.random() < 0.4:
            copy_s = max(0.0, place_s - (end_s - start_s))
            repeat = Material.REDUNDANT_REPEAT
            segments.append(Segment(start_s, end_s, repeat, False, True, piece_start_s=copy_s))
        else:
            segments.append(Segment(start_s, end_s, Material.TALK, False))
        beat, wanted = end, not wanted
    return Truth(grid.duration_s, tuple(segments))


def made_task(n_beats: int, seed: int) -> Task:
    """Return a track with a known edit."""
    track = made_track(n_beats, seed)
    truth = made_truth(track.grid, np.random.default_rng(seed))
    return Task(track, demonstrate(track, truth))


def made_music(duration_s: float, seed: int, sr: int = SR) -> np.ndarray:
    """Return [S, 1] float32: a chord for each bar at 120 bpm, with a drum on each beat."""
    rng = np.random.default_rng(seed)
    n_beat = round(BEAT_S * sr)
    time_s = np.arange(4 * n_beat) / sr
    bars = []
    for _ in range(-(-round(duration_s * sr) // (4 * n_beat))):
        notes_hz = 110.0 * 2.0 ** (rng.choice(24, 3, replace=False) / 12.0)
        chord = sum(np.sin(2 * np.pi * hz * k * time_s) / k for hz in notes_hz for k in (1, 2, 3))
        bar = 0.05 * chord * np.exp(-time_s)
        for beat in range(4):
            hit = rng.normal(size=n_beat) * np.exp(-np.arange(n_beat) / (0.03 * sr))
            bar[beat * n_beat : (beat + 1) * n_beat] += (0.4 if beat == 0 else 0.2) * hit
        bars.append(bar)
    return np.concatenate(bars)[: round(duration_s * sr), None].astype(np.float32)


def allowed_action(type_mask, size_mask, amount_mask, rng):
    """Return [3] a random action under one episode's masks."""
    kind = rng.choice(np.flatnonzero(type_mask))
    size = rng.choice(np.flatnonzero(size_mask[kind]))
    return np.array([kind, size, rng.choice(np.flatnonzero(amount_mask[kind]))])


def play_random(environment, n_steps, seed):
    """Return all step results under random allowed actions."""
    rng = np.random.default_rng(seed)
    seen = environment.reset()
    results = []
    for _ in range(n_steps):
        masks = zip(seen.type_mask, seen.size_mask, seen.amount_mask, strict=True)
        result = environment.step(np.stack([allowed_action(*m, rng) for m in masks]))
        results.append(result)
        seen = result.observations
    return results
