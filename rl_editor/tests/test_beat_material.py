"""Made recordings with known beats: what the beat network learns from."""

import numpy as np
import pytest

from benchmarks.beat_training.composition import compose
from benchmarks.beat_training.grooves import GROOVES
from benchmarks.beat_training.material import make_example, midi_files
from benchmarks.beat_training.performing import perform
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.score_rendering import find_soundfont, soundfont_renderer
from rl_editor.score_takes import Take
from rl_editor.scores import CONTROL, DRUMS, NOTE

SR = AnalysisConfig().sr


def needs_soundfont():
    pytest.importorskip("tinysoundfont")
    try:
        find_soundfont()
    except UserError:
        pytest.skip("no soundfont is installed")


@pytest.mark.parametrize("name", GROOVES)
def test_every_groove_has_patterns_of_a_bar_and_sounds_at_its_bars(name):
    groove = GROOVES[name]
    n_steps = groove.meter * groove.steps
    patterns = [*groove.drums.values(), *groove.bass, *groove.chords]
    assert {len(pattern) for pattern in patterns} == {n_steps}
    assert set("".join(patterns)) <= set("Xxo.")
    score = compose(groove, 30.0, np.random.default_rng(0))
    low, high = groove.tempo_bpm
    assert low - 1e-6 <= score.grid.tempo_bpm <= high + 1e-6
    assert score.grid.duration_s == pytest.approx(30.0, abs=2 * groove.meter * 60.0 / low)
    assert len(score.notes) > score.grid.n_beats / groove.meter
    assert (score.notes["end_s"] > score.notes["start_s"]).all()


def test_beats_are_where_the_notes_on_them_are_played():
    groove = GROOVES["house"]
    score = compose(groove, 30.0, np.random.default_rng(1))
    for seed in range(5):
        take, beats_s = perform(score, np.random.default_rng(seed), swing=0.3)
        assert len(beats_s) == score.grid.n_beats
        assert (np.diff(beats_s) > 0.05).all()
        kicks = take.notes["start_s"][(take.notes["channel"] == DRUMS) & (take.notes["key"] == 36)]
        nearest = np.abs(kicks[:, None] - beats_s).min(axis=1)
        assert np.median(nearest) < 0.02
        assert nearest.max() < 0.08


def test_swing_delays_every_second_step_only():
    score = compose(GROOVES["rock"], 20.0, np.random.default_rng(2))
    beat_s = score.grid.durations_s[0]
    straight, swung = (
        perform(score, np.random.default_rng(0), swing=swing, steps=2)[0].notes["start_s"]
        for swing in (0.0, 0.3)
    )
    later = np.sort(swung) - np.sort(straight)
    assert later.min() > -0.02 * beat_s
    assert later.max() == pytest.approx(0.15 * beat_s, rel=0.5)


def test_the_synthesizer_has_no_delay():
    needs_soundfont()
    at_s = np.arange(1, 8) * 0.5 + 0.0123
    notes = np.array([(t, t + 0.1, DRUMS, 37, 120) for t in at_s], dtype=NOTE)
    ends = np.array([[0.0, 4.5], [0.0, 4.5]])
    take = Take(notes, np.zeros(0, dtype=CONTROL), np.zeros(16), np.zeros(16), (ends,))
    sound = np.abs(soundfont_renderer()(take, SR, 5 * SR).mean(axis=1))
    for moment_s in at_s:
        near = sound[round((moment_s - 0.05) * SR) : round((moment_s + 0.05) * SR)]
        onset = np.flatnonzero(near > 0.2 * near.max())[0] / SR - 0.05
        assert abs(onset) < 0.005  # the sample has an attack of its own


@pytest.mark.parametrize("seed", range(4))
def test_an_example_is_the_same_for_the_same_seed_and_keeps_its_promises(seed):
    needs_soundfont()
    example, again = make_example(seed, 20.0), make_example(seed, 20.0)
    np.testing.assert_array_equal(example.signal, again.signal)
    np.testing.assert_array_equal(example.beats_s, again.beats_s)
    assert example.signal.shape == (20 * SR,)
    assert example.signal.dtype == np.float32
    assert 0.0 < np.abs(example.signal).max() <= 1.0
    assert (np.diff(example.beats_s) > 0.0).all()
    assert len(example.place_in_bar) == len(example.beats_s)
    assert (example.place_in_bar >= 0).all()
    starts, ends = example.stretches_s.T
    assert (starts < ends).all()
    assert (starts[1:] >= ends[:-1]).all()
    inside = (example.beats_s[:, None] >= starts - 1e-9) & (example.beats_s[:, None] <= ends)
    assert inside.any(axis=1).all()


def test_scores_that_are_held_out_are_played_for_judging_only(tmp_path):
    folder = tmp_path / "scores"
    folder.mkdir()
    for name in ("one.mid", "notes.mid"):
        (folder / name).touch()
    assert [path.name for path in midi_files(folder)] == ["one.mid"]
    with pytest.raises(UserError, match="held-out MIDI files"):
        midi_files(folder, is_held_out=True)


def test_a_folder_without_scores_is_told(tmp_path):
    with pytest.raises(UserError, match="MIDI files should be in"):
        make_example(0, 20.0, tmp_path)
