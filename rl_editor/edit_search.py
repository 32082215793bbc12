"""The edit that promises the highest reward: a search around the edits of a policy.

No label is at hand, so its agreement with the edit that a person would make is the expected one,
under the probability that each beat belongs in it; the terms of the reward about the music are
those of training. The search climbs from an edit by moving one end of a kept passage, both sides
of a join, or by closing a cut or leaving out a passage (steepest ascent; Russell and Norvig,
"Artificial Intelligence", ch. 4), all moves of a round scored as one batch.

Edits here are runs [R, 2], half-open ranges of beats in the order of the recording; a batch is
[E, R, 2], where a run of no length is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import RewardConfig
from rl_editor.finished_edits import FinishedEdits
from rl_editor.reward_agreement import MIN_UNWANTED_SHARE
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import total_rewards
from rl_editor.track import Track

AGREEMENT_WEIGHT = 3.0
"""Weight of the expected agreement; half of what a known one has. Of 1.5 to 12 on 129 held-out
recordings all gave the same F1; 6 and more left the joins rougher."""
REACH_BEATS = 4
"""Furthest that an end of a passage moves at once."""
MOST_ROUNDS = 40
"""Rounds of moves; the search stands still after 2 to 8 of them."""
MOST_RUNS = 200_000
"""Runs that are scored in one batch."""
LEAST_GAIN = 1e-9
"""What rounding may add to a score."""


@dataclass(frozen=True)
class ExpectedReward:
    """What edits of one recording are expected to earn.

    Attributes:
        tables: of the recording, without a known edit.
        edge_s: [N + 1] seconds of the recording before each line of its grid.
        wanted_s: [N + 1] seconds that are expected to belong in the edit before each line.
        bar_beats: runs become shorter than this only where they were.
    """

    tables: RewardTables
    edge_s: NDArray[np.float64]
    wanted_s: NDArray[np.float64]
    bar_beats: int

    @classmethod
    def of(cls, track: Track, probability: NDArray[np.float64]) -> ExpectedReward:
        """Return the reward of edits of a track, of whose beats [N] each is this likely wanted."""
        edge_s = track.grid.edges_s
        tables = RewardTables.of([track], [None])
        return cls(tables, edge_s, _before(probability, edge_s), min(track.grid.meter, 4))

    def believing(self, probability: NDArray[np.float64]) -> ExpectedReward:
        """Return the reward under another probability [N] that each beat is wanted."""
        return replace(self, wanted_s=_before(probability, self.edge_s))

    def __call__(self, edits: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the expected reward [E] of edits [E, R, 2].

        It is `AGREEMENT_WEIGHT` x Cohen's kappa of the expected seconds (as in
        `reward_agreement.agreement`) + the weighted terms that need no label.
        """
        per_batch = max(1, MOST_RUNS // max(1, edits.shape[1]))
        parts = [edits[i : i + per_batch] for i in range(0, len(edits), per_batch)]
        return np.concatenate([self._of_batch(part) for part in parts])

    def _of_batch(self, edits: NDArray[np.int64]) -> NDArray[np.float64]:
        played_s, right_s = (
            (before[edits[..., 1]] - before[edits[..., 0]]).sum(axis=1)
            for before in (self.edge_s, self.wanted_s)
        )
        finished = FinishedEdits.of_runs(edits)
        about_music = total_rewards(self.tables, finished, RewardConfig())[0]
        return AGREEMENT_WEIGHT * self._kappa(played_s, right_s) + about_music

    def _kappa(
        self, played_s: NDArray[np.float64], right_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return [E] the agreement with what is wanted, of seconds played and expected right."""
        total_s, wanted_s = self.edge_s[-1] - self.edge_s[0], self.wanted_s[-1]
        spare_s = max(0.0, MIN_UNWANTED_SHARE * total_s - (total_s - wanted_s))
        wrong, missed = played_s - right_s, wanted_s - right_s
        rest = total_s - right_s - wrong - missed + spare_s
        chance = (right_s + wrong) * (wrong + rest) + (right_s + missed) * (missed + rest)
        return 2.0 * (right_s * rest - missed * wrong) / np.maximum(chance, 1e-12)


def _before(probability: NDArray[np.float64], edge_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [N + 1] the expected wanted seconds before each line."""
    return np.concatenate([[0.0], np.cumsum(probability * np.diff(edge_s))])


def best_nearby(runs: NDArray[np.int64], reward: ExpectedReward) -> tuple[NDArray[np.int64], float]:
    """Return the edit [R, 2] at which no single move gains any more, and its reward.

    Args:
        runs: [R, 2] where the search begins; at least one.
        reward: what is sought.
    """
    best = float(reward(runs[None])[0])
    for _ in range(MOST_ROUNDS):
        moved, places = moves(runs, len(reward.edge_s) - 1, reward.bar_beats)
        if not len(moved):
            break
        values = reward(moved)
        together = _all_at_once(runs, moved, places, values - best)
        tried = np.stack([moved[values.argmax()], together])
        found = reward(tried)
        if found.max() <= best + LEAST_GAIN:
            break
        runs, best = _without_empty(tried[found.argmax()]), float(found.max())
    return runs, best


def moves(
    runs: NDArray[np.int64], n_beats: int, bar_beats: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every edit one move away [E, R, 2], and the first run that each move changes [E].

    Moves shift a start, an end, or an end together with the next start by up to `REACH_BEATS`,
    close the cut after a run, or leave a run out. No edit becomes empty, no run becomes shorter
    than `bar_beats` unless it was, and none meets another but by closing a cut.
    """
    every = np.arange(len(runs))
    before_last = every[:-1]
    made = [
        _shifted(runs, every, ((0, 0),)),
        _shifted(runs, every, ((0, 1),)),
        _shifted(runs, before_last, ((0, 1), (1, 0))),
    ]
    made = [_staying_apart(edits, places, runs, n_beats, bar_beats) for edits, places in made]
    closed = np.repeat(runs[None], len(before_last), axis=0)
    closed[before_last, before_last, 1] = runs[1:, 1]
    closed[before_last, before_last + 1, 0] = runs[1:, 1]
    made.append((closed, before_last))
    if len(runs) > 1:
        left_out = np.repeat(runs[None], len(runs), axis=0)
        left_out[every, every, 1] = runs[:, 0]
        made.append((left_out, every))
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made])


def _shifted(
    runs: NDArray[np.int64], places: NDArray[np.int64], ends: tuple[tuple[int, int], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return edits [E, R, 2] in which some ends are shifted, and the place of each [E].

    `ends` are (runs after the place, 0 for its start or 1 for its end), shifted together.
    """
    steps = np.array([s for s in range(-REACH_BEATS, REACH_BEATS + 1) if s])
    edits = np.repeat(runs[None], len(places) * len(steps), axis=0)
    where, rows = np.repeat(places, len(steps)), np.arange(len(edits))
    for after, side in ends:
        edits[rows, where + after, side] += np.tile(steps, len(places))
    return edits, where


def _staying_apart(
    edits: NDArray[np.int64],
    places: NDArray[np.int64],
    runs: NDArray[np.int64],
    n_beats: int,
    bar_beats: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return those of edits [E, R, 2] whose runs are long enough and apart, and their places."""
    least = np.minimum(bar_beats, runs[:, 1] - runs[:, 0])
    is_right = np.all(edits[..., 1] - edits[..., 0] >= least, axis=1)
    is_right &= (edits[:, 0, 0] >= 0) & (edits[:, -1, 1] <= n_beats)
    is_right &= np.all(edits[:, 1:, 0] > edits[:, :-1, 1], axis=1)
    return edits[is_right], places[is_right]


def _all_at_once(
    runs: NDArray[np.int64],
    moved: NDArray[np.int64],
    places: NDArray[np.int64],
    gains: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the runs [R, 2] with the best moves that gain, at most one of any two neighbours."""
    new, is_free = runs.copy(), np.ones(len(runs), dtype=bool)
    for move in np.argsort(-gains, kind="stable"):
        if gains[move] <= LEAST_GAIN:
            break
        place = int(places[move])
        if is_free[place]:  # a move changes the run at its place, and the next one at most
            new[place : place + 2] = moved[move, place : place + 2]
            is_free[max(0, place - 1) : place + 2] = False
    return new


def _without_empty(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return runs [R, 2] without those that have no length."""
    return runs[runs[:, 1] > runs[:, 0]]
