"""The collapse warning: one action type makes up nearly all of what the policy does, and why.

Why is measured, not guessed: over the latest paid episodes, how each reward term (times its weight)
goes with the share of that type. A term whose correlation with it is beyond chance and positive
pays for it.

In: finished episodes and the actions of a rollout. Out: a sentence, or None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_TYPES, ActionType
from rl_editor.config import RewardConfig
from rl_editor.episodes import EpisodeResult
from rl_editor.rewards import REWARD_TERMS

DOMINANT_SHARE = 0.9
"""One action type above this share of the actions means that the policy has collapsed."""
REMEMBERED = 2000
"""Latest paid episodes that are compared; those before a collapse are what it is measured by."""
FEWEST = 8
"""With fewer of them nothing is said about the cause."""
CHANCE_Z = 2.0
"""A correlation r over n episodes counts from |r| sqrt(n) of this, about 1 in 20 by chance."""
N_NAMED = 3


class CollapseWatch:
    """Remembers paid episodes, warns when a collapse begins."""

    def __init__(self, weights: RewardConfig) -> None:
        """Watch under these weights of the reward terms."""
        self._weights = np.array([getattr(weights, term) for term in REWARD_TERMS])
        self._shares: deque[NDArray[np.float64]] = deque(maxlen=REMEMBERED)
        self._paid: deque[NDArray[np.float64]] = deque(maxlen=REMEMBERED)
        self._is_collapsed = False

    def see(self, actions: NDArray[np.integer], finished: Iterable[EpisodeResult]) -> str | None:
        """Return a warning when one type passes 90% of the actions [B, 3], once until it is over.

        Args:
            actions: of a rollout.
            finished: the episodes that ended in it.
        """
        for episode in finished:
            if episode.reward is not None and episode.actions:
                kinds = [int(action.type) for action in episode.actions]
                terms = [episode.reward.terms[term] for term in REWARD_TERMS]
                self._shares.append(np.bincount(kinds, minlength=N_TYPES) / len(kinds))
                self._paid.append(self._weights * terms)
        counts = np.bincount(actions[:, 0], minlength=N_TYPES)
        kind, share = int(counts.argmax()), counts.max() / max(1, len(actions))
        began = share > DOMINANT_SHARE and not self._is_collapsed
        self._is_collapsed = bool(share > DOMINANT_SHARE)
        if not began:
            return None
        return (
            f"warning: the policy has collapsed: {share:.0%} of its actions are "
            f"{ActionType(kind).name}; {self._cause(kind)}."
        )

    def _cause(self, kind: int) -> str:
        """Return which terms pay for a type, in words."""
        if len(self._paid) < FEWEST:
            return "too few finished episodes yet to tell what pays for it"
        share = np.array(self._shares)[:, kind]
        slope, z = slopes(share, np.array(self._paid))
        if share.std() < 1e-9:
            return "all finished episodes are alike, so what pays for it cannot be measured"
        payers = [i for i in np.argsort(-slope) if slope[i] > 0 and z[i] > CHANCE_Z][:N_NAMED]
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
