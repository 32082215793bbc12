"""Settings out of a file: what wins over what, and what is wrong with a file."""

import pytest

from rl_editor import train
from rl_editor.config import AgentConfig, Config, TrainConfig
from rl_editor.config_file import read_settings, with_settings
from rl_editor.errors import UserError
from rl_editor.tests.made_run import SMALL, made_data, small_config

FILE = """
epochs = 7
lr = 1e-4
subprocess = true
[agent]
hidden_dim = 32
dilations = [1, 2]
[train]
steps = 64
[reward]
audio_flow = 2
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(FILE)
    return path


def test_a_file_sets_what_it_names_and_flags_win(path):
    config, start = train.parse(["--config", str(path), "--lr", "2e-4", "--agent.n-heads", "2"])
    assert start is None
    assert config.train == TrainConfig(epochs=7, lr=2e-4, subprocess=True, steps=64)
    assert config.agent == AgentConfig(hidden_dim=32, dilations=(1, 2), n_heads=2)
    assert config.reward.audio_flow == 2


def test_a_file_wins_over_the_settings_of_a_checkpoint(path, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    train.train(small_config(tmp_path, epochs=0, bc_epochs=1, lr=3e-3, gamma=0.5))
    best = str(tmp_path / "models" / "best.pt")
    path.write_text(f'checkpoint = "{best}"\nlr = 2e-3\nepochs = 9')
    config, start = train.parse(["--config", str(path), "--seed", "4"])
    assert start.schema == "made"
    found = config.train
    assert (found.lr, found.epochs, found.gamma, found.seed) == (2e-3, 9, 0.5, 4)
    assert config.agent == SMALL


def test_every_setting_can_be_in_a_file(tmp_path):
    lines = [f"{name} = {value}".lower() for name, value in vars(TrainConfig()).items()
             if isinstance(value, (int, float))]  # fmt: skip
    (tmp_path / "all.toml").write_text("\n".join(lines))
    read = read_settings(tmp_path / "all.toml")
    assert with_settings(Config(), read, "all.toml") == Config()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epoch = 7", "sets epoch, but there is no such setting of training; did you mean epochs?"),
        ("[agent]\nwidth = 7", r"no such setting in \[agent\]; it knows hidden_dim"),
        ("[agents]\nhidden_dim = 7", r"has the table \[agents\], but settings are in agent"),
        ("[analysis]\nsr = 7", r"has the table \[analysis\]"),
        ("epochs = 'many'", "in .*run.toml, the setting epochs should be int"),
        ("lr = -1", "in .*run.toml, the setting lr must be above 0"),
        ("lr: 1", "should hold settings as TOML"),
        ("\xff", "should hold settings as TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(content, words, tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=words):
        with_settings(Config(), read_settings(path), path)
    assert train.main(["--config", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_is_not_there_is_told(tmp_path, capsys):
    assert train.main(["--config", str(tmp_path)]) == 2
    assert train.main(["--config", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err.count("name another with --config") == 2
