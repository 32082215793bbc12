"""Edits drawn from a policy vary where it is unsure, and their mean is its belief."""

import numpy as np

from rl_editor.calibration import sigmoid
from rl_editor.config import PlannerConfig
from rl_editor.grid import steady_grid
from rl_editor.sampled_edits import (
    BENEFIT_OF_DOUBT,
    COPY_PROBABILITY,
    TEMPERATURE,
    answers,
    belief,
    sampled_edits,
)

GRID = steady_grid(60.0, 120.0)
N_BEATS = GRID.n_beats


def test_a_sure_policy_draws_one_edit():
    odds = np.where(np.arange(N_BEATS) < 60, 200.0, -200.0)
    edits = sampled_edits(lambda _: odds, GRID, PlannerConfig(), 12)
    np.testing.assert_array_equal(edits, np.tile(odds > 0, (12, 1)))


def test_an_unsure_passage_comes_and_goes_as_a_whole():
    odds = np.full(N_BEATS, 40.0)
    odds[40:72] = 0.0
    edits = sampled_edits(lambda _: odds, GRID, PlannerConfig(), 40)
    kept_share = edits[:, 44:68].mean()
    assert 0.2 < kept_share < 0.8
    # Mostly as one or two parts, never beat by beat.
    changes = (edits[:, 45:68] != edits[:, 44:67]).sum(axis=1)
    assert changes.max() <= 3
    assert edits[:, :36].all()


def test_the_same_recording_gives_the_same_edits():
    odds = np.random.default_rng(1).normal(0.0, 3.0, N_BEATS)
    first, again = (sampled_edits(lambda _: odds, GRID, PlannerConfig(), 8) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    more = sampled_edits(lambda _: odds, GRID, PlannerConfig(), 12)
    np.testing.assert_array_equal(more[:8], first)


def test_answers_are_those_given_each_edit():
    edits = np.stack([np.ones(N_BEATS, dtype=bool), np.zeros(N_BEATS, dtype=bool)])
    found = answers(lambda edit: np.where(edit, 2.0, -4.0), edits, edits)
    np.testing.assert_allclose(found[0], sigmoid(np.array(2.0 / TEMPERATURE)))
    np.testing.assert_allclose(found[1], sigmoid(np.array(-4.0 / TEMPERATURE)))


def test_a_copy_that_is_not_played_is_not_wanted_whatever_the_policy_says():
    decided = np.ones((1, N_BEATS), dtype=bool)
    played = decided.copy()
    played[0, 20:60] = False
    found = answers(lambda _: np.full(N_BEATS, 9.0), decided, played)
    np.testing.assert_array_equal(found[0, 20:60], COPY_PROBABILITY)
    assert found[0, :20].min() > 0.9
    unsure = answers(lambda _: np.full(N_BEATS, -9.0), decided, played)
    assert unsure.max() < COPY_PROBABILITY  # never more than the policy gives it


def test_belief_lies_between_both_answers_in_favour_of_keeping():
    mean, own = np.array([0.5, 0.5, 0.2]), np.array([0.5, 0.01, 0.2])
    held = belief(mean, own)
    np.testing.assert_allclose(held[0], sigmoid(np.array(BENEFIT_OF_DOUBT)))
    assert held[1] < 0.4  # given this edit, the other take is not wanted
    assert 0.2 < held[2] < 0.3
