import dataclasses
import json
import math

import pytest

from rl_editor.config import (
    AgentConfig,
    Config,
    EpisodeConfig,
    PlannerConfig,
    RewardConfig,
    TrainConfig,
    from_dict,
    to_dict,
)
from rl_editor.errors import UserError

CHANGED = Config(
    agent=AgentConfig(hidden_dim=24, n_heads=3, kernel_size=5, dilations=(1, 3)),
    train=TrainConfig(checkpoint="best.pt", subprocess=True, lr=1e-4),
)


@pytest.mark.parametrize("config", [Config(), CHANGED])
def test_settings_survive_json(config):
    assert from_dict(Config, json.loads(json.dumps(to_dict(config)))) == config


def test_what_an_earlier_version_set_is_passed_over():
    values = {"keep_bias": -0.5, "max_bias": 20.0, "bias_steps": 14}
    assert from_dict(PlannerConfig, values) == PlannerConfig(keep_bias=-0.5)


def test_what_is_not_given_keeps_its_default():
    assert from_dict(Config, {}) == Config()
    assert from_dict(Config, {"agent": {"dropout": 0.0}}).agent == AgentConfig(dropout=0.0)


@pytest.mark.parametrize("values", [{"louder": 1}, {"agent": {"louder": 1}}])
def test_unknown_keys_are_refused(values):
    with pytest.raises(UserError, match=r"not louder; .* another version"):
        from_dict(Config, values)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([], "Config"),
        ({"agent": 3}, "AgentConfig"),
        ({"agent": {"kernel_size": 31.0}}, "kernel_size should be int"),
        ({"agent": {"dropout": "much"}}, "dropout should be float"),
        ({"agent": {"dilations": 5}}, "dilations should be a list"),
        ({"agent": {"dilations": [1, "2"]}}, "dilations should be int"),
        ({"train": {"subprocess": 1}}, "subprocess should be bool"),
        ({"train": {"seed": True}}, "seed should be int"),
        ({"train": {"checkpoint": 1}}, "checkpoint should be str"),
    ],
)
def test_values_of_another_type_are_refused(values, name):
    with pytest.raises(UserError, match=name):
        from_dict(Config, values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"hidden_dim": 90}, "hidden_dim must be divisible by n_heads, but 90"),
        ({"n_heads": 0}, "n_heads must be at least 1, but is 0; by default it is 4"),
        ({"kernel_size": 30}, "try 31"),
        ({"kernel_size": -1}, "odd number of beats"),
        ({"dilations": []}, "dilations must hold"),
        ({"dilations": [1, 0]}, "dilations must hold"),
    ],
)
def test_a_network_that_cannot_be_is_refused(values, expected):
    with pytest.raises(UserError, match=expected):
        from_dict(AgentConfig, values)


@pytest.mark.parametrize(
    "cls", [AgentConfig, EpisodeConfig, PlannerConfig, RewardConfig, TrainConfig]
)
def test_every_number_has_a_range_and_is_finite(cls):
    for setting in dataclasses.fields(cls):
        if type(setting.default) in (int, float) and setting.name != "kernel_size":
            for value in (math.nan, math.inf, -math.inf):
                with pytest.raises(UserError, match=f"the setting {setting.name} must be"):
                    cls(**{setting.name: value})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lr": 0.0}, "lr must be above 0 and at most 1, but is 0.0; by default it is 5e-05"),
        ({"validation_share": 1.0}, "validation_share must be at least 0 and below 1"),
        ({"seed": 2**32}, "seed must be at least 0 and at most 4294967295"),
        ({"epochs": -1}, "epochs must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(values, expected):
    with pytest.raises(UserError, match=expected):
        TrainConfig(**values)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().train.lr = 1.0  # type: ignore[misc]
