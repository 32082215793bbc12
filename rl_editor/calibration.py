"""How sure the editor is, in numbers that hold: of what it calls 90% sure, 90% is right.

A policy's probability says more than it keeps: trained networks are surer than they are right.
Platt scaling (Platt 1999, "Probabilistic outputs for support vector machines"; for networks Guo
et al. 2017, "On calibration of modern neural networks", whose temperature is the slope alone)
maps its log-odds to the share that was right on sessions it was not trained on. Decisions that go
against the policy (the smoothing and `heard_twice` make them) have one confidence of their own:
there the odds say who was overruled, not who is right.

In: probabilities that the policy gave to what was decided, and whether that was right. Out:
`Calibration`, a checkpoint's; `Reliability`, how far confidence and truth are apart.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_LOG_ODDS = 13.8
"""Probabilities beyond one in a million count as that: sums in float32 do not tell them apart."""
ROUNDS = 50
"""Newton steps of the fit; it stands still after about 8."""
PRIOR = 1.0
"""Decisions of each outcome that a fit believes to have seen besides (Platt's own correction), so
that a few decisions without a mistake do not count as sure for ever."""
LEAST_SLOPE = 1e-6
"""A slope below is none but for rounding: the odds tell nothing."""


@dataclass(frozen=True)
class Calibration:
    """From the policy's probability of a decision to the confidence in it.

    Attributes:
        slope: of the log-odds; below 1 where the policy is surer than it is right.
        intercept: added to them.
        against: log-odds that a decision is right which the policy itself found unlikely; None
            treats it like any other.

    Raises:
        ValueError: a number is not finite, or the slope is not above 0.
    """

    slope: float = 1.0
    intercept: float = 0.0
    against: float | None = None

    def __post_init__(self) -> None:
        numbers = [self.slope, self.intercept, *([] if self.against is None else [self.against])]
        if not all(math.isfinite(n) for n in numbers) or self.slope <= 0.0:
            raise ValueError(f"a calibration is finite and rises, but this is {self}")

    def confidence(self, probability: ArrayLike) -> NDArray[np.float64]:
        """Return how likely decisions are right, of the policy's probabilities of them; [...]."""
        given = log_odds(probability)
        scaled = self.intercept + self.slope * given
        if self.against is not None:
            scaled = np.where(given < 0.0, self.against, scaled)
        return np.asarray(sigmoid(scaled))

    @classmethod
    def of_values(cls, values: Any) -> Calibration:
        """Return the calibration that JSON holds.

        Raises:
            ValueError: it is something else.
        """
        names = {"slope", "intercept", "against"}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError(f"a calibration has {', '.join(sorted(names))}, but this is {values}")
        for name, value in values.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number and (value is not None or name != "against"):
                raise ValueError(f"the {name} of a calibration is a number, but is {value!r}")
            if is_number and abs(value) > sys.float_info.max:
                raise ValueError(f"the {name} of a calibration is finite, but no float is as large")
        return cls(**values)


def log_odds(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the log-odds of probabilities, at most `MOST_LOG_ODDS` either way."""
    least = 1.0 / (1.0 + math.exp(MOST_LOG_ODDS))
    p = np.clip(np.asarray(probability, dtype=np.float64), least, 1.0 - least)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -value)))


def fit(
    probability: NDArray[np.float64], is_right: NDArray[np.bool_], seconds: NDArray[np.float64]
) -> Calibration:
    """Return the calibration under which what was right is likeliest, each decision by its length.

    Args:
        probability: [D] that the policy gave to each decision.
        is_right: [D] whether it was.
        seconds: [D] how long it is.

    Raises:
        ValueError: of the decisions that the policy favoured all are right or none is, or its
            odds do not rise with what is right.
    """
    given = log_odds(probability)
    favoured = given >= 0.0
    n_right, n_favoured = int(np.sum(is_right & favoured)), int(np.sum(favoured))
    if n_right in (0, n_favoured):
        raise ValueError(
            "a fit needs decisions that are right and others that are wrong, but of "
            f"{n_favoured} that the policy favoured {n_right} are right"
        )
    weight = seconds / seconds[favoured].mean()
    intercept, slope = _logistic(given[favoured], is_right[favoured], weight[favoured])
    if slope < LEAST_SLOPE or np.ptp(given[favoured]) == 0.0:
        raise ValueError(
            "a fit needs odds that rise with what is right, but the policy is no surer of that "
            "than of what is wrong"
        )
    against = None
    if np.any(~favoured):
        right = float(weight[~favoured] @ is_right[~favoured]) + PRIOR
        wrong = float(weight[~favoured] @ ~is_right[~favoured]) + PRIOR
        against = math.log(right / wrong)
    return Calibration(slope, intercept, against)


def _logistic(
    x: NDArray[np.float64], is_right: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of `is_right` on `x` [D], by Newton."""
    total, right = float(weight.sum()), float(weight @ is_right)
    targets = np.where(
        is_right, (right + PRIOR) / (right + 2 * PRIOR), PRIOR / (total - right + 2 * PRIOR)
    )
    columns = np.stack([np.ones_like(x), x], axis=1)
    found = np.zeros(2)
    for _ in range(ROUNDS):
        expected = sigmoid(columns @ found)
        gradient = columns.T @ (weight * (targets - expected))
        curvature = (columns * (weight * expected * (1.0 - expected))[:, None]).T @ columns
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        found = found + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return float(found[0]), float(found[1])


@dataclass(frozen=True)
class Reliability:
    """Confidence against truth, in bins of confidence; time-weighted.

    Attributes:
        edges: [K + 1] of the bins, half-open, the last one closed.
        count: [K] decisions in each.
        seconds: [K] their length.
        confidence: [K] their mean confidence; NaN in an empty bin.
        right: [K] share of them that is right; NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    seconds: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """Mean distance of confidence and truth over the bins, by their seconds, in [0, 1].

        The expected calibration error of Naeini et al. 2015, "Obtaining well calibrated
        probabilities using Bayesian binning".
        """
        held = self.seconds > 0.0
        apart = np.abs(self.confidence[held] - self.right[held])
        return float(apart @ self.seconds[held] / self.seconds[held].sum())


def reliability(
    confidence: NDArray[np.float64],
    right: NDArray[np.floating] | NDArray[np.bool_],
    seconds: NDArray[np.float64],
    edges: ArrayLike,
) -> Reliability:
    """Return how often decisions [D] of each confidence are right.

    Args:
        confidence: [D] in [0, 1].
        right: [D] whether, or to what share, each is right.
        seconds: [D] how long it is, above 0.
        edges: [K + 1] of the bins, rising; what lies outside of them is left out.
    """
    limits = np.asarray(edges, dtype=np.float64)
    n_bins = len(limits) - 1
    place = np.searchsorted(limits, confidence, side="right") - 1
    place[confidence == limits[-1]] = n_bins - 1
    inside = (place >= 0) & (place < n_bins)
    place, weight = place[inside], seconds[inside]
    total = np.asarray(np.bincount(place, weight, n_bins), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return Reliability(
            limits,
            np.bincount(place, minlength=n_bins),
            total,
            np.bincount(place, weight * confidence[inside], n_bins) / total,
            np.bincount(place, weight * np.asarray(right)[inside], n_bins) / total,
        )
