"""Phrases follow the music where it plainly changes, and are four bars where it does not."""

import dataclasses

import numpy as np
import pytest

from rl_editor.grid import BeatGrid
from rl_editor.phrases import novelty, with_phrases

METER, BEAT_S, VECTOR_S, D = 4, 0.5, 0.05, 8


def made_grid(n_beats, *, rests=(), downbeats=None):
    """Return a grid of phrases of four bars; `rests` are spans of beats that are not played."""
    confidence = np.ones(n_beats, dtype=np.float32)
    for first, last in rests:
        confidence[first:last] = 0.0
    index = np.arange(n_beats)
    is_downbeat = index % METER == 0 if downbeats is None else np.isin(index, downbeats)
    return BeatGrid(
        beats_s=index * BEAT_S,
        duration_s=n_beats * BEAT_S,
        is_downbeat=is_downbeat,
        is_phrase_start=is_downbeat & ((np.cumsum(is_downbeat) - 1) % 4 == 0),
        confidence=confidence,
        meter=METER,
        tempo_bpm=60.0 / BEAT_S,
    )


def made_vectors(n_beats, changes, seed=0, noise=0.05):
    """Return vectors of sections that begin at the beats `changes`, each with its own sound."""
    rng = np.random.default_rng(seed)
    per_beat = round(BEAT_S / VECTOR_S)
    section = np.searchsorted(changes, np.arange(n_beats), side="right")
    sounds = np.eye(D)[np.arange(len(changes) + 1) % D]
    vectors = np.repeat(sounds[section], per_beat, axis=0)
    return (vectors + noise * rng.normal(size=vectors.shape)).astype(np.float32)


def phrase_bars(grid, vectors):
    return np.flatnonzero(with_phrases(grid, vectors, VECTOR_S).is_phrase_start) / METER


def test_phrases_are_four_bars_where_nothing_changes():
    grid = made_grid(30 * METER)
    assert phrase_bars(grid, made_vectors(30 * METER, [])).tolist() == list(range(0, 30, 4))
    same = np.ones((30 * METER * 10, D), dtype=np.float32)
    assert phrase_bars(grid, same).tolist() == list(range(0, 30, 4))


def test_a_phrase_begins_where_the_music_changes():
    """A section of six bars: the phrases after it count from its end."""
    lines = phrase_bars(made_grid(30 * METER), made_vectors(30 * METER, [14 * METER]))
    assert 14.0 in lines
    assert {18.0, 22.0, 26.0} <= set(lines.tolist())
    assert 16.0 not in lines


def test_a_change_within_a_phrase_of_four_bars_needs_no_other_phrases():
    changes = [8 * METER, 16 * METER, 24 * METER]
    lines = phrase_bars(made_grid(32 * METER), made_vectors(32 * METER, changes))
    assert lines.tolist() == list(range(0, 32, 4))


def test_bars_stay_and_phrases_begin_at_bars():
    grid = made_grid(40 * METER)
    changed = with_phrases(grid, made_vectors(40 * METER, [45, 101], noise=0.5), VECTOR_S)
    assert np.array_equal(changed.is_downbeat, grid.is_downbeat)
    assert (changed.is_downbeat[changed.is_phrase_start]).all()
    assert changed.is_phrase_start[0]


def test_a_rest_keeps_its_phrases_and_playing_begins_one():
    rest = (9 * METER, 12 * METER)
    grid = made_grid(32 * METER, rests=[rest])
    starts = np.zeros(grid.n_beats, dtype=bool)
    starts[[0, 16, 32, *rest]] = True
    grid = dataclasses.replace(grid, is_phrase_start=starts & grid.is_downbeat)
    changed = with_phrases(grid, made_vectors(32 * METER, []), VECTOR_S)
    inside = slice(*rest)
    assert np.array_equal(changed.is_phrase_start[inside], grid.is_phrase_start[inside])
    lines = np.flatnonzero(changed.is_phrase_start[rest[1] :]) / METER
    assert lines.tolist() == [0, 4, 8, 12, 16]


def test_a_pickup_is_a_phrase_of_its_own():
    n_beats = 2 + 16 * METER
    downbeats = [0, *range(2, n_beats, METER)]
    grid = made_grid(n_beats, downbeats=downbeats)
    changed = with_phrases(grid, made_vectors(n_beats, []), VECTOR_S)
    assert np.flatnonzero(changed.is_phrase_start).tolist() == [0, 2, 18, 34, 50]


def test_novelty_is_zero_where_nothing_is_before_or_after_and_largest_at_a_change():
    n_beats = 24 * METER
    grid = made_grid(n_beats)
    lines = np.flatnonzero(grid.is_downbeat)
    found = novelty(grid, made_vectors(n_beats, [10 * METER], noise=0.0), VECTOR_S, lines)
    assert found[0] == 0.0
    assert found.argmax() == 10
    # two unit vectors at right angles: half of the squared distance is 1
    assert found[10] == pytest.approx(1.0)
    assert found[15:] == pytest.approx(0.0, abs=1e-9)


def test_a_recording_of_one_beat_or_without_a_sound():
    grid = made_grid(1)
    assert with_phrases(grid, np.zeros((1, D), np.float32), VECTOR_S).is_phrase_start.tolist() == [
        True
    ]
    grid = made_grid(9 * METER)
    silent = with_phrases(grid, np.zeros((360, D), np.float32), VECTOR_S)
    assert np.array_equal(silent.is_phrase_start, grid.is_phrase_start)
