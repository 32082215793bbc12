"""Edits drawn from a policy, and what they say about each beat.

A policy's answer at a beat holds for one edit before it. Whether the beat belongs in the *best*
edit is the mean of its answers over the edits that may come before it. Those are drawn by
perturbing the policy's log-odds and taking the likeliest edit each time (perturb-and-MAP,
Papandreou and Yuille, ICCV 2011): whole edits that hold together, at the cost of one plan each.
The noise is the same over a passage, so that whole passages come and go, and each draw has a
twin with the opposite noise (antithetic variates; Hammersley and Morton 1956).

In: a policy's log-odds [N] given an edit. Out: edits [K, N], probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rl_editor.calibration import log_odds, sigmoid
from rl_editor.config import PlannerConfig
from rl_editor.grid import BeatGrid
from rl_editor.likeliest_edit import OddsGiven, decide

TEMPERATURE = 2.0
"""By which a policy's log-odds are divided: it is surer than it is right (`calibration`)."""
NOISE_SCALE = 2.5
"""Scale of the logistic noise, nats of the divided log-odds. Of 1, 1.5, 2.5 and 4 on 129 held-out
recordings 2.5 and 4 were best."""
NOISE_BEATS = 32
"""Beats in which the noise is the same; 8 were worse, 16 and 64 as good."""
BENEFIT_OF_DOUBT = 0.4
"""Added to the log-odds of KEEP in the end, nats: after a cut in a drawn edit a policy is readier
to cut what follows than it should be. Of 0 to 1 on the same recordings 0.25 to 0.5 were best."""
COPY_PROBABILITY = 0.1
"""That a copy belongs in an edit which plays the passage already, whatever the policy says."""
SEED = 0
"""Of the noise: the same recording gives the same edit."""


def sampled_edits(
    odds_given: OddsGiven,
    grid: BeatGrid,
    config: PlannerConfig,
    count: int,
) -> NDArray[np.bool_]:
    """Return edits [count, N] drawn from a policy.

    Args:
        odds_given: the policy's log-odds [N] of KEEP against CUT, given an edit [N].
        grid: of the recording.
        config: of the smoothing.
        count: edits to draw.
    """
    rng = np.random.default_rng(SEED)
    edits = np.empty((count, grid.n_beats), dtype=bool)
    noise = np.zeros(grid.n_beats)
    for draw in range(count):
        noise = -noise if draw % 2 else _passage_noise(grid.n_beats, rng)
        keep, _ = decide(lambda edit: odds_given(edit) / TEMPERATURE + noise, grid, config)  # noqa: B023
        edits[draw] = keep
    return edits


def answers(
    odds_given: OddsGiven, decided: NDArray[np.bool_], played: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return [K, N] the probability of KEEP given each of some edits.

    Args:
        odds_given: the policy's log-odds [N] of KEEP against CUT, given an edit [N].
        decided: [K, N] what the policy would keep.
        played: [K, N] what of it is not heard twice, the edits. About the rest its answer does
            not count: `COPY_PROBABILITY` does.
    """
    given = np.stack([sigmoid(odds_given(edit) / TEMPERATURE) for edit in played])
    return np.where(decided & ~played, np.minimum(given, COPY_PROBABILITY), given)


def belief(mean: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [N] how likely each beat belongs in an edit that is like a certain one.

    Args:
        mean: [N] of the policy's answers given the drawn edits.
        own: [N] its answer given that edit. Two equal takes are as likely each over all edits, but
            given the one, the other is not.
    """
    return sigmoid(log_odds(0.5 * (mean + own)) + BENEFIT_OF_DOUBT)


def _passage_noise(n_beats: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return logistic noise [N] that is the same over `NOISE_BEATS`, which begin anywhere."""
    first = int(rng.integers(NOISE_BEATS))
    passage = (np.arange(n_beats) + first) // NOISE_BEATS
    return rng.logistic(0.0, NOISE_SCALE, int(passage[-1]) + 1)[passage]
