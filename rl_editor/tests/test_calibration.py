"""Confidence that holds: the fit finds what made the data, and the table counts it."""

import numpy as np
import pytest

from rl_editor.calibration import Calibration, fit, log_odds, reliability, sigmoid


def made_decisions(n=60_000, slope=0.6, intercept=-0.3, against=0.7, seed=0):
    """Return (probability, is_right, seconds) of decisions that are right as often as given."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(3.0, 2.5, n)
    truth = np.where(odds < 0.0, against, intercept + slope * odds)
    return sigmoid(odds), rng.random(n) < sigmoid(truth), rng.uniform(0.5, 20.0, n)


def test_without_a_fit_the_confidence_is_the_probability():
    p = np.array([1e-3, 0.2, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(Calibration().confidence(p), p)


def test_a_temperature_of_two_halves_the_log_odds():
    made = Calibration(slope=0.5).confidence([0.9])
    np.testing.assert_allclose(log_odds(made), log_odds([0.9]) / 2)


def test_certainty_stays_finite():
    made = Calibration(0.7, 0.1, 0.0).confidence([0.0, 1.0])
    assert np.all((made > 0.0) & (made < 1.0))


def test_a_fit_finds_what_made_the_decisions():
    made = fit(*made_decisions())
    assert made.slope == pytest.approx(0.6, abs=0.03)
    assert made.intercept == pytest.approx(-0.3, abs=0.08)
    assert made.against == pytest.approx(0.7, abs=0.12)


def test_a_decision_counts_by_its_seconds():
    p, is_right, _ = made_decisions(4000)
    seconds = np.random.default_rng(3).integers(1, 5, 4000)
    once = fit(p, is_right, seconds.astype(float))
    often = fit(p.repeat(seconds), is_right.repeat(seconds), np.ones(seconds.sum()))
    assert once.slope == pytest.approx(often.slope, rel=0.01)
    assert once.intercept == pytest.approx(often.intercept, abs=0.01)


def test_a_few_decisions_without_a_mistake_are_not_certain():
    made = fit(np.array([0.6, 0.9, 0.99, 0.3]), np.array([False, True, True, True]), np.ones(4))
    assert made.confidence([0.3])[0] == pytest.approx(2 / 3)
    assert made.confidence([0.99])[0] < 0.97


def test_a_fit_needs_what_is_right():
    with pytest.raises(ValueError, match="right"):
        fit(np.array([0.9, 0.2]), np.array([False, True]), np.ones(2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_right", [True, False])
def test_a_fit_needs_what_is_right_and_what_is_wrong(is_right, seed):
    rng = np.random.default_rng(seed)
    p, seconds = rng.uniform(0.6, 0.99, 50), rng.uniform(1.0, 9.0, 50)
    with pytest.raises(ValueError, match="right and others that are wrong"):
        fit(p, np.full(50, is_right), seconds)


@pytest.mark.parametrize("p", [np.full(20, 0.9), np.linspace(0.99, 0.6, 20)])
def test_a_fit_needs_odds_that_rise_with_what_is_right(p):
    is_right = np.arange(20) >= 8
    with pytest.raises(ValueError, match="odds that rise"):
        fit(p, is_right, np.ones(20))


def test_fitted_confidence_is_right_as_often_as_it_says():
    calibration = fit(*made_decisions(seed=1))
    p, is_right, seconds = made_decisions(seed=2)
    table = reliability(calibration.confidence(p), is_right, seconds, np.linspace(0, 1, 11))
    raw = reliability(p, is_right, seconds, np.linspace(0, 1, 11))
    assert table.expected_error < 0.01 < 0.08 < raw.expected_error


def test_the_table_counts_seconds():
    confidence = np.array([0.1, 0.8, 0.9, 1.0, 0.3])
    right = np.array([0.0, 1.0, 0.5, 1.0, 1.0])
    seconds = np.array([1.0, 1.0, 3.0, 4.0, 2.0])
    table = reliability(confidence, right, seconds, [0.0, 0.2, 0.5, 0.8, 1.0])
    assert table.count.tolist() == [1, 1, 0, 3]
    assert table.seconds.tolist() == [1.0, 2.0, 0.0, 8.0]
    np.testing.assert_allclose(table.right, [0.0, 1.0, np.nan, 6.5 / 8])
    np.testing.assert_allclose(table.confidence, [0.1, 0.3, np.nan, 7.5 / 8])
    assert table.expected_error == pytest.approx((0.1 + 2 * 0.7 + 8 * 0.125) / 11)


def test_what_lies_outside_of_the_bins_is_left_out():
    table = reliability(np.array([0.2, 0.9]), np.ones(2), np.ones(2), [0.85, 0.95])
    assert (table.count.tolist(), table.right.tolist()) == ([1], [1.0])


def test_json_and_back():
    made = Calibration(0.7, -0.2, None)
    values = {"slope": 0.7, "intercept": -0.2, "against": None}
    assert Calibration.of_values(values) == made


@pytest.mark.parametrize(
    "values",
    [
        {},
        [],
        {"slope": 1.0, "intercept": 0.0},
        {"slope": "1", "intercept": 0.0, "against": None},
        {"slope": None, "intercept": 0.0, "against": None},
        {"slope": True, "intercept": 0.0, "against": None},
        {"slope": -1.0, "intercept": 0.0, "against": None},
        {"slope": 1.0, "intercept": float("nan"), "against": 0.0},
        {"slope": 10**400, "intercept": 0.0, "against": None},
        {"slope": 1.0, "intercept": 0.0, "against": -(10**400)},
    ],
)
def test_what_is_no_calibration_is_refused(values):
    with pytest.raises(ValueError, match="calibration"):
        Calibration.of_values(values)
