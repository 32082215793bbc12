"""The comparison of spliced and performed sessions of the same scores."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mido")
material = pytest.importorskip("benchmarks.material", reason="benchmarks are part of a checkout")

from rl_editor import performance_demonstrations  # noqa: E402
from rl_editor.cache import Cache  # noqa: E402
from rl_editor.performance_demonstrations import performance_session  # noqa: E402
from rl_editor.scores import read_score  # noqa: E402
from rl_editor.tests.made_scores import sine_renderer, write_midi  # noqa: E402


@pytest.fixture
def score_path(tmp_path, monkeypatch):
    """A score, and sine waves to play it with."""
    for module in (material, performance_demonstrations):
        monkeypatch.setattr(module, "soundfont_renderer", lambda: sine_renderer)
    return write_midi(tmp_path / "made.mid", n_bars=12)


def piece_s(session):
    return sum(s.end_s - s.start_s for s in session.truth.segments if s.wanted)


def test_twins_hold_the_same_piece_and_differ_in_how_it_was_made(score_path):
    for number in range(2):
        spliced = material.spliced_session(score_path, number, 0)
        performed = performance_session(score_path, number, 0)
        assert spliced.name == performed.name  # the difficulty
        # Takes keep to the tempo within a few standard deviations of 2%.
        assert piece_s(spliced) == pytest.approx(piece_s(performed), rel=0.08)


def test_the_same_draw_gives_the_same_bytes(score_path):
    first, second, other = (
        material.spliced_session(score_path, number, 0).signal.tobytes() for number in (0, 0, 1)
    )
    assert first == second != other


def test_the_grid_of_a_finished_track_is_the_one_that_was_played(score_path):
    score = read_score(score_path)
    signal, grid = material.finished_track(score, np.random.default_rng(3))
    assert signal.shape == (round(grid.duration_s * 22050), 1)
    assert grid.n_beats == score.grid.n_beats
    assert grid.duration_s != pytest.approx(score.duration_s, rel=1e-4)
    assert grid.duration_s == pytest.approx(score.duration_s, rel=0.08)
    np.testing.assert_allclose(grid.durations_s / score.grid.durations_s, 1.0, atol=0.12)
    # Every beat of the made score is struck: it begins louder than the one before it ended.
    power = signal[:, 0] ** 2
    at = (grid.beats_s[1:] * 22050).astype(int)
    after, before = (
        np.array([power[start : start + 600].mean() for start in starts])
        for starts in (at, at - 600)
    )
    assert np.mean(after > before) > 0.9


def test_half_of_each_hears_every_excerpt_in_one_kind():
    twins = {"spliced": ["a0", "a1", "b0", "b1"], "performed": ["A0", "A1", "B0", "B1"]}
    assert material.material("half of each", twins) == ["a0", "A1", "b0", "B1"]
    assert material.material("performed", twins) == twins["performed"]


def test_the_table_tells_mean_and_spread():
    rows = {"spliced": [{"spliced": 0.8, "performed": 0.5}, {"spliced": 0.9, "performed": 0.5}]}
    assert material.table(rows).splitlines()[1].split() == [
        "spliced", "0.850", "+-", "0.071", "0.500", "+-", "0.000",
    ]  # fmt: skip


@pytest.mark.slow
def test_an_editor_is_trained_and_judged(score_path, tmp_path, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    twins = material.all_twins([score_path], 2, 0, 1)
    assert [len(twins[kind]) for kind in material.KINDS] == [2, 2]
    again = material.spliced_demonstration(score_path, 1, 0, Cache())
    assert again.truth == twins["spliced"][1].truth
    editors = [material.trained(twins["spliced"], seed, 1) for seed in (1, 1, 2)]
    f1 = [material.f1_by_kind(editor, twins) for editor in editors]
    assert f1[0] == f1[1]
    assert all(0.0 <= score <= 1.0 for scores in f1 for score in scores.values())
    same, other = (
        all(np.array_equal(editors[0].weights[k], editor.weights[k]) for k in editors[0].weights)
        for editor in editors[1:]
    )
    assert same
    assert not other
