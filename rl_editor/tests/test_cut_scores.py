"""Cuts and levels whose errors can be counted by hand."""

from __future__ import annotations

import pytest

from rl_editor.baselines import clips_of_spans, oracle
from rl_editor.cut_scores import cut_scores, level_error_db
from rl_editor.edl import Clip
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

BEAT_S = 0.5
TRUTH = Truth(
    40.0,
    (
        Segment(0.0, 4.0, Material.TALK, wanted=False),
        Segment(4.0, 14.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
        Segment(14.0, 18.0, Material.REDUNDANT_REPEAT, False, True, piece_start_s=6.0),
        Segment(18.0, 28.0, Material.FLAWED_TAKE, wanted=False),
        Segment(28.0, 38.0, Material.MUSIC, wanted=True, piece_start_s=10.0, gain_db=-4.0),
        Segment(38.0, 40.0, Material.SILENCE, wanted=False),
    ),
)


def scores_of(*spans_s):
    return cut_scores(clips_of_spans(spans_s), TRUTH, BEAT_S)


def test_the_perfect_edit_has_every_cut():
    scores = cut_scores(oracle(TRUTH), TRUTH, BEAT_S)
    assert scores.errors_s == pytest.approx((0.0, 0.0, 0.0, 0.0))
    assert (scores.n_true, scores.found_near, scores.found_beat) == (3, 1.0, 1.0)
    assert scores.median_ms == pytest.approx(0.0)


def test_errors_are_distances_from_the_nearest_true_place():
    scores = scores_of((4.03, 14.0), (28.3, 39.0))
    assert scores.errors_s == pytest.approx((0.03, 0.0, 0.3, 1.0))
    assert scores.found_near == pytest.approx(1 / 3)
    assert scores.found_beat == pytest.approx(2 / 3)
    assert scores.median_ms == pytest.approx(165.0)


def test_between_equal_copies_any_place_will_do():
    """The end comes out of the copy, from anywhere on: 12 s in the first is 16 s in the second."""
    scores = scores_of((4.0, 12.0), (16.1, 18.0), (28.0, 38.0))
    assert scores.errors_s == pytest.approx((0.0, 0.1, 0.1, 0.0, 0.0, 0.0))


def test_an_end_that_is_played_out_of_a_copy_is_not_missed():
    truth = Truth(
        20.0,
        (
            Segment(0.0, 10.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
            Segment(10.0, 12.0, Material.TALK, wanted=False),
            Segment(12.0, 20.0, Material.REDUNDANT_REPEAT, False, True, piece_start_s=2.0),
        ),
    )
    other = cut_scores(clips_of_spans([(0.0, 2.0), (12.0, 20.0)]), truth, BEAT_S)
    assert other.n_true == 0
    assert other.found_near is None
    assert cut_scores(oracle(truth), truth, BEAT_S).n_true == 1


def test_nothing_cut_and_nothing_kept():
    everything = scores_of((0.0, 40.0))
    assert everything.errors_s == ()
    assert everything.median_ms is None
    assert everything.found_beat == 0.0
    assert scores_of().errors_s == ()


def test_a_passage_from_later_comes_first():
    truth = Truth(
        20.0,
        (
            Segment(0.0, 10.0, Material.MUSIC, wanted=True, piece_start_s=10.0),
            Segment(10.0, 20.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
        ),
    )
    assert cut_scores(clips_of_spans([(0.0, 20.0)]), truth, BEAT_S).found_beat == 0.0
    moved = cut_scores(clips_of_spans([(10.02, 20.0), (0.0, 10.0)]), truth, BEAT_S)
    assert moved.found_near == 1.0


def test_levels_are_compared_without_that_of_the_whole():
    as_it_is = clips_of_spans([(4.0, 14.0), (28.0, 38.0)])
    assert level_error_db(as_it_is, TRUTH) == pytest.approx(2.0)
    assert level_error_db(oracle(TRUTH), TRUTH) == pytest.approx(0.0)
    louder = [Clip(4.0, 14.0, gain_db=6.0), Clip(28.0, 38.0, 10.0, gain_db=2.0)]
    assert level_error_db(louder, TRUTH) == pytest.approx(0.0)
    assert level_error_db([], TRUTH) is None


def test_levels_of_an_aligned_edit_come_from_its_clips():
    segment = Segment(0.0, 10.0, Material.MUSIC, wanted=True, piece_start_s=0.0)
    clips = (Clip(0.0, 6.0, gain_db=0.0), Clip(6.0, 10.0, 6.0, gain_db=5.0))
    truth = Truth(10.0, (segment,), clips)
    assert level_error_db(clips_of_spans([(0.0, 5.0), (6.0, 10.0)]), truth) == pytest.approx(20 / 9)
