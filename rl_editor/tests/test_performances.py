"""Laws of played sessions: truth tiles, takes differ, same seed same bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor.baselines import oracle
from rl_editor.evaluate import score_edit
from rl_editor.materials import Material
from rl_editor.performances import make_performance, make_recital
from rl_editor.scores import excerpt, read_score
from rl_editor.session_files import perfect_edit
from rl_editor.session_plan import FILLS, TAKES
from rl_editor.session_settings import DIFFICULTIES, SessionSettings
from rl_editor.tests.made_scores import sine_renderer, write_midi

pytest.importorskip("mido")

SR = 8000
CLEAN_DEVICE = dict(noise_floor=0.0, hum=0.0, clipping=0.0, band_pass=0.0, mono=1.0)
NO_KINDS = dict.fromkeys((*FILLS, *TAKES), 0.0) | dict(late_retake=0.0, out_of_order=0.0)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    return read_score(write_midi(tmp_path_factory.mktemp("midi") / "made.mid"))


def performance(score, seed, name="session", **changes):
    settings = dataclasses.replace(SessionSettings.named(name), speech_program=0.0, **changes)
    return make_performance(score, SR, np.random.default_rng(seed), settings, sine_renderer)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("seed", range(3))
def test_truth_tiles_and_the_wanted_bars_are_the_piece(score, difficulty, seed):
    made = performance(score, seed, difficulty)
    assert made.truth.duration_s == len(made.signal) / SR
    wanted = sorted((s.piece_start_s, s.end_s - s.start_s) for s in made.truth.segments if s.wanted)
    ends = np.cumsum([length for _, length in wanted])
    np.testing.assert_allclose([start for start, _ in wanted], [0.0, *ends[:-1]], atol=1e-9)
    assert ends[-1] == pytest.approx(score.duration_s, rel=0.12)
    assert len(perfect_edit(made)) == round(ends[-1] * SR)
    assert score_edit(oracle(made.truth), made.truth).f1 > 0.9995  # it counts in cells of 10 ms
    assert np.all(np.isfinite(made.signal))
    assert 0.1 < np.abs(made.signal).max() <= 1.0


def test_same_seed_same_bytes(score):
    first, second = (performance(score, 11) for _ in range(2))
    assert first.signal.tobytes() == second.signal.tobytes()
    assert first.truth == second.truth
    assert performance(score, 12).truth != first.truth


@pytest.mark.parametrize("kind", [*FILLS, *TAKES])
def test_a_kind_with_probability_one_occurs(score, kind):
    names = dict.fromkeys(("second_take", "long_repeat"), "REDUNDANT_REPEAT")
    names["safety_take"] = "FLAWED_TAKE"
    changes = NO_KINDS | {kind: 1.0, "unwanted_share": (0.6, 0.6), "pre_roll": 0.0}
    made = performance(score, 2, **changes)
    assert Material[names.get(kind, kind.upper())] in {s.material for s in made.truth.segments}


def test_rounds_of_a_riff_differ_and_lie_on_the_bars_that_they_repeat(score):
    changes = NO_KINDS | CLEAN_DEVICE | {"long_repeat": 1.0, "unwanted_share": (0.6, 0.6)}
    made = performance(score, 7, take_gain_db=(0.0, 0.0), **changes)
    copies = [s for s in made.truth.segments if s.equally_good]
    wanted = {round(s.piece_start_s, 6): s for s in made.truth.segments if s.wanted}
    assert copies
    for segment in copies:
        original = wanted[round(segment.piece_start_s, 6)]
        pair = [made.signal[round(s.start_s * SR) :, 0] for s in (segment, original)]
        n = round(SR * min(s.end_s - s.start_s for s in (segment, original)))
        one, other = (p[:n] for p in pair)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.9
        # The same notes: loudness rises and falls alike.
        levels = [np.abs(p[: n // 400 * 400]).reshape(-1, 400).mean(axis=1) for p in (one, other)]
        assert np.corrcoef(*levels)[0, 1] > 0.3


def test_broken_off_attempts_are_shorter_than_the_passage_and_end_in_silence(score):
    changes = NO_KINDS | CLEAN_DEVICE | {"false_start": 1.0, "unwanted_share": (0.3, 0.3)}
    made = performance(score, 3, gap_after_take=1.0, **changes)
    starts = [s for s in made.truth.segments if s.material == Material.FALSE_START]
    assert starts
    for segment in starts:
        assert segment.end_s - segment.start_s < 0.7 * score.duration_s
        end = round(segment.end_s * SR)
        assert np.abs(made.signal[end - 8 : end]).max() < 0.05 * np.abs(made.signal).max()


def test_joins_do_not_click(score):
    changes = NO_KINDS | CLEAN_DEVICE | {"second_take": 1.0, "flawed_take": 1.0}
    made = performance(score, 9, unwanted_share=(0.7, 0.7), broken_off=0.0, **changes)
    jumps = np.abs(np.diff(made.signal[:, 0]))
    usual = np.quantile(jumps, 0.999)
    for segment in made.truth.segments[1:]:
        at = round(segment.start_s * SR)
        assert jumps[at - 4 : at + 4].max() < 2.5 * usual


def test_a_recital_is_one_piece_after_the_other(score):
    settings = SessionSettings(speech_program=0.0)
    halves = [excerpt(score, 0, 32), excerpt(score, 32, score.grid.n_beats)]
    made = make_recital(halves, SR, np.random.default_rng(1), settings, sine_renderer)
    wanted = sorted((s.piece_start_s, s.end_s - s.start_s) for s in made.truth.segments if s.wanted)
    ends = np.cumsum([length for _, length in wanted])
    np.testing.assert_allclose([start for start, _ in wanted], [0.0, *ends[:-1]], atol=1e-9)
    assert ends[-1] == pytest.approx(score.duration_s, rel=0.12)
    assert made.truth.duration_s == len(made.signal) / SR
