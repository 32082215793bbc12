"""A tiny training run on made tasks; as a command it runs in a process that can be killed."""

import json
import sys
from pathlib import Path

import numpy as np

from rl_editor import checkpoint, train
from rl_editor.config import AgentConfig, Config, EpisodeConfig, TrainConfig
from rl_editor.tests.made_tasks import made_task
from rl_editor.training_data import TrainingData

SMALL = AgentConfig(hidden_dim=16, n_heads=2, kernel_size=5, dilations=(1, 2), n_global_tokens=2)


def made_data():
    """Return three made tasks to train on and a fourth to be judged by."""
    return TrainingData(tuple(made_task(16, s) for s in range(3)), (made_task(20, 3),), "made")


def small_config(folder, **train_settings):
    """Return the settings of a run that takes a second."""
    settings = {
        "save_dir": str(folder / "models"),
        "data_dir": str(folder),
        "epochs": 2,
        "steps": 8,
        "n_envs": 2,
        "bc_epochs": 2,
        "eval_every": 1,
    }
    settings.update(train_settings)
    return Config(agent=SMALL, episode=EpisodeConfig(max_steps=64), train=TrainConfig(**settings))


def log_lines(config):
    """Return the lines of a run's log."""
    text = Path(config.train.save_dir, "log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def outcome(config):
    """Return all arrays of `latest.pt` and the log, less the seconds that things took."""
    latest = checkpoint.load(Path(config.train.save_dir, "latest.pt"), with_run=True)
    lines = [{k: v for k, v in x.items() if "seconds" not in k} for x in log_lines(config)]
    return {**latest.weights, **latest.run.arrays}, lines


def assert_same(one, other):
    """Assert that two outcomes are equal, bit for bit."""
    assert one[1] == other[1]
    assert one[0].keys() == other[0].keys()
    for name, array in one[0].items():
        np.testing.assert_array_equal(array, other[0][name], err_msg=name)


def main(folder, settings):
    """Train in a folder with some settings; return the exit code."""
    import torch

    torch.set_num_threads(1)
    train.load_training_data = lambda config, say: made_data()
    config = small_config(Path(folder), **json.loads(settings))
    return train.run_command(lambda: (config, None))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
