"""Demonstrations out of finished tracks."""

import dataclasses
import hashlib
import math

import numpy as np
import pytest

from rl_editor import reference_sessions
from rl_editor.analysis import analyze_signal
from rl_editor.cache import Cache
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.grid import steady_grid
from rl_editor.reference_sessions import (
    EXCERPT_S,
    SPEED_SEMITONES,
    Reference,
    at_another_speed,
    excerpt,
    load_reference,
    part_of_grid,
    session_demonstration,
)
from rl_editor.tests.made_editor import SR, write_groove
from rl_editor.tests.made_tasks import made_music


@pytest.fixture(scope="module")
def reference():
    signal = made_music(20.0, seed=1)[:, 0]
    sha256 = hashlib.sha256(signal.tobytes()).hexdigest()
    return Reference(dataclasses.replace(analyze_signal(signal), sha256=sha256), signal)


def equal(one, other):
    """Return whether two demonstrations are the same to the bit."""
    arrays = ("wanted", "material", "equally_good", "confidence")
    return (
        one.truth == other.truth
        and one.actions == other.actions
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and np.array_equal(one.track.features, other.track.features)
        and np.array_equal(one.track.grid.beats_s, other.track.grid.beats_s)
    )


def test_a_session_is_the_same_every_time_and_unlike_all_others(reference, tmp_path):
    first = session_demonstration(reference, 0, 5, None)
    cache = Cache(tmp_path)
    again = [session_demonstration(reference, 0, 5, cache) for _ in range(2)]
    assert equal(first, again[0])
    assert equal(first, again[1])
    assert cache.info().entries == 2  # its analysis and its truth
    assert not equal(first, session_demonstration(reference, 1, 5, None))
    assert not equal(first, session_demonstration(reference, 0, 6, None))


def test_a_session_in_the_cache_is_not_analysed_again(reference, tmp_path, monkeypatch):
    made = session_demonstration(reference, 2, 0, Cache(tmp_path))
    monkeypatch.setattr(reference_sessions, "analyze_signal", None)
    assert equal(made, session_demonstration(reference, 2, 0, Cache(tmp_path)))


def test_a_demonstration_replays_on_its_track(reference):
    made = session_demonstration(reference, 3, 0, None)
    assert made.track.schema == reference.track.schema
    assert made.track.duration_s == pytest.approx(made.truth.duration_s, abs=1e-6)
    state = EditState.start(made.track.grid, None, EpisodeConfig())
    for action in made.actions:
        state = state.step(action)
    assert state.done
    np.testing.assert_array_equal(state.played > 0, made.keep)


def test_a_file_becomes_a_reference(tmp_path):
    loaded = load_reference(write_groove(tmp_path / "a.wav", sr=44_100), None)
    assert loaded.signal.dtype == np.float32
    assert len(loaded.signal) == loaded.track.n_samples * SR / 44_100
    assert len(loaded.track.sha256) == 64


@pytest.mark.parametrize("seed", range(30))
def test_an_excerpt_lies_in_the_track_on_its_beats(seed):
    rng = np.random.default_rng(seed)
    sr, duration_s = 100, 400.0
    grid = steady_grid(duration_s, 120.0)
    signal = np.arange(round(sr * duration_s), dtype=np.float32)
    cut, part = excerpt(signal, grid, sr, rng)
    start = int(cut[0])
    np.testing.assert_array_equal(cut, signal[start : start + len(cut)])
    assert part.duration_s == pytest.approx(len(cut) / sr)
    beat_s = 60.0 / 120.0
    assert EXCERPT_S[0] - 8 * beat_s <= part.duration_s <= EXCERPT_S[1] + 8 * beat_s
    first = grid.beat_at(start / sr + 1e-6)
    np.testing.assert_allclose(part.beats_s + start / sr, grid.beats_s[first:][: part.n_beats])
    np.testing.assert_array_equal(part.is_downbeat, grid.is_downbeat[first:][: part.n_beats])


def test_a_short_track_is_taken_whole():
    grid, signal = steady_grid(EXCERPT_S[0]), np.zeros(1000, np.float32)
    cut, part = excerpt(signal, grid, 100, np.random.default_rng(0))
    assert cut is signal
    assert part is grid


def test_part_of_a_grid_begins_at_zero():
    grid = steady_grid(10.0, 120.0)
    part = part_of_grid(grid, 3, 9, 3.0)
    np.testing.assert_allclose(part.beats_s, np.arange(6) * 0.5)
    assert part.is_downbeat.tolist() == [False, True, False, False, False, True]


@pytest.mark.parametrize("seed", range(12))
def test_another_speed_is_that_of_a_tape(seed):
    sr, hz = 8000, 440.0
    signal = np.sin(2 * np.pi * hz * np.arange(4 * sr) / sr).astype(np.float32)
    grid = dataclasses.replace(steady_grid(4.0, 120.0), runner_up_tempi_bpm=(60.0,))
    changed, moved = at_another_speed(signal, grid, sr, np.random.default_rng(seed))
    scale = len(changed) / len(signal)
    assert abs(12 * math.log2(scale)) <= SPEED_SEMITONES + 0.01
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed)), 1 << 17))
    assert spectrum.argmax() * sr / (1 << 17) == pytest.approx(hz / scale, rel=1e-3)
    np.testing.assert_allclose(moved.edges_s, grid.edges_s * scale)
    assert moved.duration_s == pytest.approx(len(changed) / sr)
    assert moved.tempo_bpm == pytest.approx(120.0 / scale)
    assert moved.runner_up_tempi_bpm == pytest.approx((60.0 / scale,))
    if scale == 1.0:
        assert moved is grid


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (reference_sessions, "ANALYSIS_VERSION", 10**6),
        (reference_sessions.session_instruments, "soundfont_sha256", lambda: "another"),
        (reference_sessions.session_speech, "has_speech_program", lambda: "another"),
    ],
)
def test_what_changes_the_sound_or_its_analysis_has_another_key(
    module, name, value, reference, monkeypatch
):
    session = reference_sessions.reference_session(reference, 0, 5)

    def keys():
        of_session = reference_sessions._session_key("a" * 64, "schema", 0, 5)
        return of_session, reference_sessions._track_key(reference, session, 0, 5)

    before = keys()
    monkeypatch.setattr(module, name, value)
    assert all(one != other for one, other in zip(before, keys(), strict=True))
