"""Scores of edits whose answer can be counted by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from rl_editor.baselines import clips_of_spans, keep_all, oracle
from rl_editor.edl import Clip
from rl_editor.evaluate import Mark, marks, score_edit
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import make_session
from rl_editor.track import Track
from rl_editor.truth import Segment, Truth

TRUTH = Truth(
    40.0,
    (
        Segment(0.0, 4.0, Material.TALK, wanted=False),
        Segment(4.0, 14.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
        Segment(14.0, 18.0, Material.REDUNDANT_REPEAT, False, True, piece_start_s=6.0),
        Segment(18.0, 28.0, Material.FLAWED_TAKE, wanted=False),
        Segment(28.0, 38.0, Material.MUSIC, wanted=True, piece_start_s=10.0),
        Segment(38.0, 40.0, Material.SILENCE, wanted=False),
    ),
)


def track_of(duration_s):
    grid = steady_grid(duration_s)
    rows = np.zeros((grid.n_beats, 1), np.float32)
    match = np.full(grid.n_beats, -1)
    return Track("", "", 8000, 1, round(duration_s * 8000), grid, rows, rows, match, match, "")


def test_oracle_is_perfect():
    scores = score_edit(oracle(TRUTH), TRUTH)
    assert (scores.f1, scores.precision, scores.recall, scores.order_tau) == (1.0, 1.0, 1.0, 1.0)
    assert scores.duration_error_s == pytest.approx(0.0)
    assert scores.wanted_lost_s == 0.0
    assert scores.keep_ratio == pytest.approx(0.5)


def test_keep_all_has_the_wanted_share_as_precision():
    scores = score_edit(keep_all(track_of(40.0)), TRUTH)
    assert scores.precision == pytest.approx(0.5)
    assert scores.recall == 1.0
    assert scores.leaked_s[Material.TALK] == pytest.approx(4.0)
    assert scores.leaked_s[Material.FLAWED_TAKE] == pytest.approx(10.0)
    assert scores.leaked_s[Material.REDUNDANT_REPEAT] == pytest.approx(4.0)
    assert scores.duration_error_s == pytest.approx(20.0)


def test_an_equally_good_copy_counts_once():
    instead = score_edit(clips_of_spans([(4.0, 10.0), (14.0, 18.0), (28.0, 38.0)]), TRUTH)
    assert instead.f1 == 1.0
    both = score_edit(clips_of_spans([(4.0, 18.0), (28.0, 38.0)]), TRUTH)
    assert both.precision == pytest.approx(20.0 / 24.0)
    assert both.leaked_s[Material.REDUNDANT_REPEAT] == pytest.approx(4.0)


def test_playing_a_wanted_second_twice_leaks():
    scores = score_edit(clips_of_spans([(4.0, 14.0), (4.0, 14.0)]), TRUTH)
    assert scores.precision == pytest.approx(0.5)
    assert scores.recall == pytest.approx(0.5)
    assert scores.wanted_lost_s == pytest.approx(10.0)


def test_order_reversed_in_two_blocks():
    scores = score_edit(clips_of_spans([(28.0, 38.0), (4.0, 14.0)]), TRUTH)
    assert scores.f1 == 1.0
    # of 2n points, pairs across the blocks are wrong: n^2 of n(2n - 1)
    assert scores.order_tau == pytest.approx(1 - 2 * 200 / 399, abs=1e-6)


def test_a_crossfade_belongs_half_to_each_side():
    clips = [Clip(4.0, 14.1), Clip(27.9, 38.0, timeline_start_s=9.9)]
    scores = score_edit(clips, TRUTH)
    assert scores.f1 == 1.0
    assert scores.duration_error_s == pytest.approx(0.0)


def test_speed_changes_the_length_but_not_the_places_and_reverse_is_wrong():
    faster = score_edit([Clip(4.0, 14.0, rate=2.0), Clip(28.0, 38.0, 5.0)], TRUTH)
    assert faster.recall == 1.0
    assert faster.duration_error_s == pytest.approx(-5.0)
    backwards = score_edit([Clip(4.0, 14.0, reverse=True)], TRUTH)
    assert backwards.recall == 0.0


def test_nothing_kept_scores_zero():
    scores = score_edit([], TRUTH)
    assert (scores.f1, scores.precision, scores.recall) == (0.0, 0.0, 0.0)
    assert scores.wanted_lost_s == pytest.approx(20.0)


def test_clips_on_fine_beats_score_as_their_union():
    edges = np.linspace(4.0, 14.0, 774)
    fine = score_edit(clips_of_spans(list(itertools.pairwise(edges))), TRUTH)
    assert fine.recall == pytest.approx(0.5)
    assert fine.precision == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_oracle_and_keep_all_on_made_sessions(seed):
    sr = 4000
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((sr * 20, 1)).astype(np.float32) * 0.1
    settings = dataclasses.replace(SessionSettings.named("hard"), speech_program=0.0)
    made = make_session(signal, sr, steady_grid(20.0), rng, settings)
    assert score_edit(oracle(made.truth), made.truth).f1 == pytest.approx(1.0, abs=1e-12)
    everything = score_edit(keep_all(track_of(made.truth.duration_s)), made.truth)
    wanted_s = sum(s.end_s - s.start_s for s in made.truth.segments if s.wanted)
    assert everything.precision == pytest.approx(wanted_s / made.truth.duration_s, abs=2e-3)
    assert everything.recall == 1.0


def test_output_from_elsewhere_is_not_right():
    scores = score_edit(oracle(TRUTH), TRUTH, foreign_s=5.0)
    assert scores.precision == pytest.approx(20.0 / 25.0)
    assert scores.recall == 1.0
    assert scores.duration_error_s == pytest.approx(5.0)


def spans_of(cells):
    edges = [0, *(np.flatnonzero(np.diff(cells)) + 1), len(cells)]
    return [(Mark(cells[a]).name, a / 100, b / 100) for a, b in itertools.pairwise(edges)]


def test_marks_say_what_became_of_each_second():
    spans = spans_of(marks(clips_of_spans([(2.0, 10.0), (28.0, 38.0), (30.0, 32.0)]), TRUTH))
    assert spans == [
        ("RIGHTLY_CUT", 0.0, 2.0),
        ("LEAKED", 2.0, 4.0),
        ("RIGHT", 4.0, 10.0),
        ("LOST", 10.0, 14.0),
        ("RIGHTLY_CUT", 14.0, 28.0),
        ("RIGHT", 28.0, 30.0),
        ("TWICE", 30.0, 32.0),
        ("RIGHT", 32.0, 38.0),
        ("RIGHTLY_CUT", 38.0, 40.0),
    ]


def test_marks_of_a_copy_in_place_of_the_wanted_one():
    spans = spans_of(marks(clips_of_spans([(4.0, 10.0), (14.0, 18.0), (28.0, 38.0)]), TRUTH))
    assert [name for name, *_ in spans if name not in ("RIGHT", "RIGHTLY_CUT")] == []


def test_evaluate_does_not_import_torch():
    import subprocess
    import sys

    code = "import sys, rl_editor.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
