"""The collapse warning: one action type makes up nearly all of what the policy does, and why.

Why is measured, not guessed: over paid episodes of the latest updates, how each reward term (times
its weight) goes with the share of that type. A term whose correlation with it is beyond chance and
positive pays for it.

In: finished episodes and the actions of a rollout. Out: a sentence, or None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_TYPES, ActionType
from rl_editor.config import RewardConfig
from rl_editor.episodes import EpisodeResult
from rl_editor.rewards import REWARD_TERMS

DOMINANT_SHARE = 0.9
"""One action type above this share of the actions means that the policy has collapsed."""
OVER_SHARE = 0.8
"""Below this it is over, and told again when it comes back."""
REMEMBERED_UPDATES = 200
"""Updates whose episodes are compared; those before a collapse are what it is measured by."""
REMEMBERED_EPISODES = 50
"""Paid episodes of an update that are remembered, spread evenly over it."""
FEWEST = 8
"""With fewer of them nothing is said about the cause."""
CHANCE_Z = 2.0
"""A correlation r over n episodes counts from |r| sqrt(n) of this, about 1 in 20 by chance."""
N_NAMED = 3
LEAST_PART = 0.05
"""Terms that pay less than this part of what the first one pays are not named."""

Row: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
Table: TypeAlias = "list[Row]"


class CollapseWatch:
    """Remembers paid episodes, warns when a collapse begins."""

    def __init__(self, weights: RewardConfig) -> None:
        """Watch under these weights of the reward terms."""
        self._weights = np.array([getattr(weights, term) for term in REWARD_TERMS])
        self._seen: deque[Table] = deque(maxlen=REMEMBERED_UPDATES)
        self._is_collapsed = False

    def see(self, actions: NDArray[np.integer], finished: Iterable[EpisodeResult]) -> str | None:
        """Return a warning when one type passes 90% of the actions [B, 3], once until it is over.

        Args:
            actions: of a rollout.
            finished: the episodes that ended in it.
        """
        paid = [e for e in finished if e.reward is not None and e.actions]
        chosen = np.unique(np.linspace(0, len(paid) - 1, REMEMBERED_EPISODES).astype(int))
        if paid:
            self._seen.append([self._row(paid[index]) for index in chosen])
        counts = np.bincount(actions[:, 0], minlength=N_TYPES)
        kind, share = int(counts.argmax()), counts.max() / max(1, len(actions))
        began = share > DOMINANT_SHARE and not self._is_collapsed
        self._is_collapsed = bool(share > (OVER_SHARE if self._is_collapsed else DOMINANT_SHARE))
        if not began:
            return None
        return (
            f"warning: the policy has collapsed: {share:.0%} of its actions are "
            f"{ActionType(kind).name}; {self._cause(kind)}."
        )

    def _row(self, episode: EpisodeResult) -> Row:
        """Return ([20] share of each type among an episode's actions, [T] weighted terms)."""
        assert episode.reward is not None
        kinds = [int(action.type) for action in episode.actions]
        terms = [episode.reward.terms[term] for term in REWARD_TERMS]
        return np.bincount(kinds, minlength=N_TYPES) / len(kinds), self._weights * terms

    def _cause(self, kind: int) -> str:
        """Return which terms pay for a type, in words."""
        rows = [row for rows in self._seen for row in rows]
        if len(rows) < FEWEST:
            return "too few finished episodes yet to tell what pays for it"
        share = np.array([shares[kind] for shares, _ in rows])
        slope, z = slopes(share, np.array([paid for _, paid in rows]))
        if share.std() < 1e-9:
            return "all finished episodes are alike, so what pays for it cannot be measured"
        pays = (slope > 0) & (z > CHANCE_Z) & (slope > LEAST_PART * slope.max())
        payers = [i for i in np.argsort(-slope) if pays[i]][:N_NAMED]
        if not payers:
            return (
                f"no reward term pays for it over {len(share)} episodes, so it comes from the "
                "start (cloning), from too little entropy or from too fast learning"
            )
        named = ", ".join(f"{REWARD_TERMS[i]} ({0.1 * slope[i]:+.3f})" for i in payers)
        return f"what pays for it, per 10% more of it, over {len(share)} episodes: {named}"


def slopes(
    share: NDArray[np.float64], paid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ([T] least-squares slopes, [T] correlation times sqrt(n)) of what is paid on a share.

    Args:
        share: [n] of an action type among the actions of an episode.
        paid: [n, T] weighted reward terms of the episode.
    """
    share_off, paid_off = share - share.mean(), paid - paid.mean(axis=0)
    spread = float(share_off @ share_off)
    if spread == 0.0:
        return np.zeros(paid.shape[1]), np.zeros(paid.shape[1])
    slope = share_off @ paid_off / spread
    size = np.sqrt(spread * np.square(paid_off).sum(axis=0))
    correlation = np.divide(share_off @ paid_off, size, out=np.zeros_like(slope), where=size > 0)
    return slope, correlation * np.sqrt(len(share))
