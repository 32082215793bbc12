"""Demonstrations of MIDI scores, alone and in a training folder."""

from __future__ import annotations

import numpy as np
import pytest

from rl_editor import performance_demonstrations
from rl_editor.cache import Cache
from rl_editor.config import AnalysisConfig, Config, TrainConfig
from rl_editor.errors import UserError
from rl_editor.performance_demonstrations import (
    in_two,
    performance_demonstration,
    performance_session,
    random_excerpt,
)
from rl_editor.score_rendering import SOUNDFONT_VARIABLE
from rl_editor.tests.made_scores import sine_renderer, write_midi, write_soundfont
from rl_editor.training_data import load_training_data

pytest.importorskip("mido")


@pytest.fixture
def score_path(tmp_path, monkeypatch):
    """A score, and sine waves to play it with."""
    soundfont = write_soundfont(tmp_path / "sine.sf2")
    monkeypatch.setenv(SOUNDFONT_VARIABLE, str(soundfont))
    monkeypatch.setattr(performance_demonstrations, "soundfont_renderer", lambda: sine_renderer)
    (tmp_path / "data" / "reference").mkdir(parents=True)
    return write_midi(tmp_path / "data" / "reference" / "made.mid", n_bars=12)


def config_of(folder):
    return Config(train=TrainConfig(data_dir=str(folder), sessions_per_reference=2))


@pytest.mark.slow
def test_a_demonstration_is_the_same_again_from_the_cache(score_path, tmp_path):
    cache = Cache(tmp_path / "cache")
    first, second = (performance_demonstration(score_path, 1, 0, cache) for _ in range(2))
    assert cache.info().entries == 2  # its analysis and its truth
    assert first.truth == second.truth
    assert first.actions == second.actions
    np.testing.assert_array_equal(first.track.features, second.track.features)
    assert len(first.keep) == first.track.grid.n_beats
    assert first.keep.any()


def test_sessions_differ_by_number_and_seed(score_path):
    made = [performance_session(score_path, *draw) for draw in ((0, 0), (1, 0), (0, 1))]
    assert len({session.signal.tobytes() for session in made}) == 3
    again = performance_session(score_path, 0, 0)
    assert again.signal.tobytes() == made[0].signal.tobytes()
    assert all(session.sr == AnalysisConfig().sr for session in made)


def test_excerpts_are_whole_bars_with_notes(score_path):
    score = performance_demonstrations.read_score(score_path)
    rng = np.random.default_rng(0)
    for _ in range(20):
        part = random_excerpt(score, rng)
        assert part.grid.n_beats % 4 == 0
        assert len(part.notes) >= 24
        assert part.duration_s <= score.duration_s


def test_halves_of_a_score_are_all_of_it(score_path):
    score = performance_demonstrations.read_score(score_path)
    first, second = in_two(score, np.random.default_rng(0))
    assert first.grid.n_beats + second.grid.n_beats == score.grid.n_beats
    assert first.grid.n_beats % 4 == 0
    keys = np.concatenate([first.notes["key"], second.notes["key"]])
    np.testing.assert_array_equal(keys, score.notes["key"])


@pytest.mark.slow
def test_scores_in_a_training_folder_become_sessions(score_path, tmp_path, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    data = load_training_data(config_of(tmp_path / "data"), said.append)
    assert len(data.train) == 2
    assert "preparing 1/1: made.mid" in said


def test_scores_that_nothing_can_play_are_left_out_in_one_line(score_path, tmp_path, monkeypatch):
    def none() -> None:
        raise UserError("there is no soundfont.")

    monkeypatch.setattr(performance_demonstrations, "soundfont_renderer", none)
    write_midi(score_path.with_name("other.mid"))
    said: list[str] = []
    with pytest.raises(UserError, match="none of its"):
        load_training_data(config_of(tmp_path / "data"), said.append)
    named = [line for line in said if "MIDI scores (2)" in line]
    assert len(named) == 1
    assert "there is no soundfont" in named[0]
