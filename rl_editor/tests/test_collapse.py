"""A collapsed policy is told once, with the terms that were measured to pay for it."""

import numpy as np
import pytest

from rl_editor.actions import Action, ActionType, Size
from rl_editor.collapse import CollapseWatch, slopes
from rl_editor.config import RewardConfig
from rl_editor.episodes import EpisodeResult
from rl_editor.rewards import REWARD_TERMS, RewardBreakdown

CUTS = np.tile([int(ActionType.CUT), 0, 2], (20, 1))
MIXED = np.array([[int(kind), 0, 2] for kind in ActionType])
WEIGHTS = RewardConfig(keep_ratio=2.0, audio_flow=1.0)


def episode(n_cuts, n=20, **terms):
    kinds = [ActionType.CUT] * n_cuts + [ActionType.KEEP] * (n - n_cuts)
    paid = RewardBreakdown(0.0, {**dict.fromkeys(REWARD_TERMS, 0.0), **terms})
    return EpisodeResult(0, 0, None, tuple(Action(kind, Size.BEAT) for kind in kinds), paid)


def test_the_term_that_rises_with_the_type_is_named():
    rng = np.random.default_rng(0)
    watch = CollapseWatch(WEIGHTS)
    episodes = []
    for n_cuts in rng.integers(0, 21, 200).tolist():
        flow = float(np.clip(0.9 - 0.5 * n_cuts / 20, 0, 1))  # high, but falls with cuts
        terms = {"keep_ratio": 0.4 * n_cuts / 20, "audio_flow": flow}
        episodes.append(episode(n_cuts, phrase_alignment=float(rng.random()), **terms))
    assert watch.see(MIXED, episodes) is None
    warning = watch.see(CUTS, [])
    assert "100% of its actions are CUT" in warning
    assert "keep_ratio (+0.080)" in warning  # 2.0 x 0.4 for all, a tenth of it for 10%
    assert "audio_flow" not in warning
    assert "phrase_alignment" not in warning


def test_it_is_told_once_until_it_is_over():
    watch = CollapseWatch(WEIGHTS)
    less = np.concatenate([CUTS[:17], MIXED[:3]])  # 85%: not over yet
    rollouts = (CUTS, CUTS, less, CUTS, MIXED, less, CUTS)
    found = [watch.see(actions, []) is not None for actions in rollouts]
    assert found == [True, False, False, False, False, False, True]


def test_episodes_from_before_a_long_collapse_are_remembered():
    """Within the collapse itself all are alike; what pays shows against the updates before it."""
    watch = CollapseWatch(WEIGHTS)
    for n_cuts in (2, 6, 12, 18):
        episodes = [episode(n_cuts, keep_ratio=n_cuts / 20, phrase_alignment=0.9)] * 500
        assert watch.see(MIXED, episodes) is None
    warning = watch.see(CUTS, [episode(20, keep_ratio=1.0, phrase_alignment=0.9)] * 500)
    assert warning.endswith("over 250 episodes: keep_ratio (+0.200).")


@pytest.mark.parametrize(
    ("episodes", "words"),
    [
        ([], "too few finished episodes"),
        ([episode(20, keep_ratio=1.0)] * 30, "are alike"),
        ([episode(n % 21, audio_flow=0.5) for n in range(30)], "no reward term pays"),
        ([EpisodeResult(0, 0, None, (), None)] * 30, "too few finished episodes"),
    ],
)
def test_what_cannot_be_measured_is_not_claimed(episodes, words):
    assert words in CollapseWatch(WEIGHTS).see(CUTS, episodes)


def test_slopes_of_known_lines():
    share = np.linspace(0.0, 1.0, 11)
    paid = np.stack([3.0 * share + 1.0, -share, np.ones(11)], axis=1)
    slope, z = slopes(share, paid)
    assert slope == pytest.approx([3.0, -1.0, 0.0])
    assert z == pytest.approx([np.sqrt(11), -np.sqrt(11), 0.0])
    assert not np.any(slopes(np.full(4, 0.5), np.eye(4))[0])
