import json

import numpy as np
import pytest

from rl_editor.actions import N_AMOUNTS, N_SIZES, N_TYPES, Action, ActionType, Size
from rl_editor.episodes import EpisodeResult
from rl_editor.rewards import REWARD_TERMS, RewardBreakdown
from rl_editor.run_log import (
    RunLog,
    Stopwatch,
    action_shares,
    episode_numbers,
)


def finished_episode(total, **terms):
    breakdown = RewardBreakdown(total, {**dict.fromkeys(REWARD_TERMS, 0.0), **terms})
    return EpisodeResult(0, 0, None, (Action(ActionType.KEEP, Size.BEAT),) * 4, breakdown)


def test_each_epoch_is_one_line_that_reads_back(tmp_path):
    with RunLog(tmp_path) as log:
        log.write(0, "cloning", {"loss": 1.5})
        log.write(1, "ppo", {"entropy": 0.5, "reward/total": 2.0})
        position = log.position()
        log.write(2, "ppo", {"entropy": 0.125})
    with RunLog(tmp_path, position) as log:
        assert log.position() == position
        log.write(2, "ppo", {"entropy": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {"stage": "cloning", "epoch": 0, "loss": 1.5},
        {"stage": "ppo", "epoch": 1, "entropy": 0.5, "reward/total": 2.0},
        {"stage": "ppo", "epoch": 2, "entropy": 0.25},
    ]
    assert any((tmp_path / "tensorboard").iterdir())


def test_what_is_not_finite_is_refused(tmp_path):
    with RunLog(tmp_path) as log, pytest.raises(FloatingPointError, match="entropy"):
        log.write(0, "ppo", {"entropy": float("nan")})


def test_episode_numbers_are_means_over_paid_episodes():
    truncated = EpisodeResult(0, 0, None, (), None)
    episodes = [finished_episode(1.0, audio_flow=0.5), finished_episode(3.0), truncated]
    numbers = episode_numbers(episodes)
    assert numbers["episodes"] == 3
    assert numbers["truncated_episodes"] == 1
    assert numbers["reward/total"] == 2.0
    assert numbers["reward/audio_flow"] == 0.25
    assert {f"reward/{term}" for term in REWARD_TERMS} <= set(numbers)
    assert set(episode_numbers([truncated])) == {"episodes", "truncated_episodes"}


def test_shares_of_types_sizes_and_amounts_each_sum_to_one():
    shares = action_shares(np.array([[0, 1, 2]] * 3 + [[1, 0, 2]]))
    assert len(shares) == N_TYPES + N_SIZES + N_AMOUNTS
    assert shares["actions/KEEP"] == shares["sizes/BAR"] == 0.75
    assert shares["amounts/NEUTRAL"] == 1.0
    assert sum(shares.values()) == pytest.approx(3.0)


def test_stopwatch_adds_up_stages():
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("rollout"):
            pass
    assert set(watch.seconds) == {"seconds/rollout"}
    assert watch.seconds["seconds/rollout"] >= 0.0
