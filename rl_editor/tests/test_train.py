"""The training command: its flags, its flow on made tasks, its complaints, and a real run."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch

from rl_editor import checkpoint, train
from rl_editor.agent import Agent
from rl_editor.auxiliary_tasks import TASKS
from rl_editor.cache import Cache
from rl_editor.cloning_examples import example
from rl_editor.config import AgentConfig, Config, TrainConfig
from rl_editor.distributed import ALONE
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.grid import steady_grid
from rl_editor.infer import edit
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.session_files import write_session
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import make_session
from rl_editor.tests.made_run import SMALL, log_lines, made_data, small_config
from rl_editor.tests.made_tasks import SR, made_music, made_task, made_track
from rl_editor.training_data import load_training_data, split
from rl_editor.training_run import Run
from rl_editor.validation import standing_f1
from rl_editor.vector_environment import Task


@pytest.fixture
def made_tasks(monkeypatch):
    """Let the run train on made tasks."""
    data = made_data()
    monkeypatch.setattr(train, "load_training_data", lambda config, say: data)
    return data


def test_flags_are_the_fields_of_the_settings():
    flags = "--save_dir a --epochs 3 --n-envs 2 --lr 1e-4 --subprocess"
    others = "--agent.hidden-dim 32 --reward.audio_flow 2.5"
    config, start = train.parse([*flags.split(), *others.split()])
    assert start is None
    assert config.train == TrainConfig(save_dir="a", epochs=3, n_envs=2, lr=1e-4, subprocess=True)
    assert config.agent == AgentConfig(hidden_dim=32)
    assert config.reward.audio_flow == 2.5
    assert train.parse([])[0] == Config()


def test_a_bad_network_is_told(capsys):
    assert train.main(["--agent.hidden-dim", "33"]) == 2
    assert "divisible by n_heads" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--lr", "nan"),
        ("--bc-lr", "inf"),
        ("--steps", "0"),
        ("--gamma", "-1"),
        ("--seed", "-1"),
        ("--episode.max-steps", "0"),
        ("--reward.audio-flow", "nan"),
        ("--agent.dropout", "1"),
    ],
)
def test_a_number_out_of_its_range_is_told_before_anything_is_made(flag, value, tmp_path, capsys):
    folders = ["--data_dir", str(tmp_path), "--save_dir", str(tmp_path / "m")]
    assert train.main([*folders, flag, value]) == 2
    printed = capsys.readouterr().err
    name = flag.lstrip("-").split(".")[-1].replace("-", "_")
    assert f"the setting {name} must be" in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_checkpoints_and_a_log(tmp_path, made_tasks):
    config = small_config(tmp_path)
    best = train.train(config)
    agent, loaded = checkpoint.load_agent(best)
    assert loaded.config == config
    assert loaded.schema == "made"
    assert agent.config == SMALL
    latest = checkpoint.load(tmp_path / "models" / "latest.pt")
    assert latest.metrics["epoch"] == 2
    assert 0.0 <= loaded.metrics["validation_f1"] <= 1.0
    lines = log_lines(config)
    assert [line["stage"] for line in lines] == ["cloning"] * 2 + ["ppo"] * 2
    expected = {"approx_kl", "clip_fraction", "entropy", "explained_variance", "cloning_loss"}
    expected |= {"actions/KEEP", "seconds/rollout", "seconds/update", "validation/f1", "episodes"}
    expected |= {f"entropy/{head}" for head in ("type", "size", "amount")}
    expected |= {"sizes/BAR", "amounts/NEUTRAL", "gradient_norm", "gradient_norm_max"}
    expected |= {"samples/rollout", "samples/update", "seconds/evaluation"}
    assert expected <= set(lines[-1])
    assert lines[-1]["samples/rollout"] == 16  # 8 steps of 2 episodes, learnt from 4 times
    assert lines[-1]["samples/update"] == 64
    of_cloning = {"loss", "lr", "gradient_norm", "samples/cloning", "seconds/cloning"}
    assert of_cloning <= set(lines[0])
    assert max(line.get("validation/f1", 0.0) for line in lines) == pytest.approx(
        loaded.metrics["validation_f1"]
    )


def test_every_epoch_is_told_and_a_collapse_when_it_begins(
    tmp_path, made_tasks, monkeypatch, capsys, recwarn
):
    answers = iter(["warning: one", None, None, "warning: three"])
    monkeypatch.setattr("rl_editor.collapse.CollapseWatch.see", lambda *arguments: next(answers))
    train.train(small_config(tmp_path, epochs=4, bc_epochs=0, eval_every=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("warning")] == [
        "warning: one",
        "warning: three",
    ]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert [line.split(":")[0] for line in epochs] == [f"epoch {e}/4" for e in (1, 2, 3, 4)]
    assert ["F1" in line for line in epochs] == [False, True, False, True]
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize("workers", [False, True])
def test_the_same_seed_gives_the_same_run(tmp_path, made_tasks, workers):
    runs = []
    for name, in_workers in (("a", False), ("b", workers)):
        config = small_config(
            tmp_path, save_dir=str(tmp_path / name), epochs=1, subprocess=in_workers
        )
        train.train(config)
        lines = log_lines(config)
        runs.append([{k: v for k, v in line.items() if "seconds" not in k} for line in lines])
    assert runs[0] == runs[1]


def test_zero_epochs_only_clone(tmp_path, made_tasks):
    config = small_config(tmp_path, epochs=0)
    assert checkpoint.load(train.train(config)).metrics["epoch"] == 0
    assert {line["stage"] for line in log_lines(config)} == {"cloning"}


def test_a_run_goes_on_from_a_checkpoint(tmp_path, made_tasks):
    train.train(small_config(tmp_path, epochs=1, lr=1e-3))
    path = tmp_path / "models" / "latest.pt"
    config, start = train.parse(["--checkpoint", str(path), "--save_dir", str(tmp_path / "more")])
    assert config.agent == SMALL
    assert config.train.lr == 1e-3
    more = small_config(tmp_path, save_dir=str(tmp_path / "more"), checkpoint=str(path))
    train.train(more, start)
    assert checkpoint.load(tmp_path / "more" / "latest.pt").metrics["epoch"] == 2
    lines = log_lines(more)
    assert [line["epoch"] for line in lines if line["stage"] == "ppo"] == [2]
    assert not any("loss" in line for line in lines if line["stage"] == "cloning")


def test_a_better_checkpoint_in_the_folder_stays(tmp_path, made_tasks, monkeypatch, capsys):
    config = small_config(tmp_path, epochs=0)
    best = train.train(config)
    content = best.read_bytes()
    monkeypatch.setattr("rl_editor.validation.standing_f1", lambda *arguments: 2.0)
    train.train(config)
    assert best.read_bytes() == content


def test_what_stands_in_the_folder_has_to_be_beaten(tmp_path, made_tasks):
    said = []
    path = train.train(small_config(tmp_path, epochs=0))
    expected = checkpoint.load(path).metrics["validation_f1"]
    other = dataclasses.replace(made_tasks, schema="another analysis")
    assert standing_f1(path, made_tasks, said.append) == pytest.approx(expected)
    assert standing_f1(path, other, said.append) == -1.0
    assert not path.exists()
    assert path.with_name("best.1.pt").exists()
    assert standing_f1(path, made_tasks, said.append) == -1.0
    assert len(said) == 2


def test_another_network_than_the_checkpoints_is_told(tmp_path, made_tasks, capsys):
    train.train(small_config(tmp_path, epochs=0))
    path = str(tmp_path / "models" / "best.pt")
    assert train.main(["--checkpoint", path, "--agent.hidden-dim", "32"]) == 2
    assert "leave the --agent flags out" in capsys.readouterr().err


def test_an_interrupt_leaves_the_latest_checkpoint(tmp_path, made_tasks, monkeypatch, capsys):
    calls = []

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(train, "entropy_coef", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train.train(small_config(tmp_path, epochs=5))
    assert checkpoint.load(tmp_path / "models" / "latest.pt").metrics["epoch"] == 1
    assert "interrupted after epoch 1" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
def test_a_terminated_run_leaves_the_latest_checkpoint(tmp_path, made_tasks, monkeypatch):
    config = small_config(tmp_path, epochs=5)
    monkeypatch.setattr(train, "parse", lambda argv: (config, None))
    monkeypatch.setattr(train, "_improve", lambda *a: signal.raise_signal(signal.SIGTERM))
    assert train.main([]) == 143
    assert checkpoint.load(tmp_path / "models" / "latest.pt").metrics["epoch"] == 0


@pytest.fixture
def joined_loss():
    """Return what makes the loss that PPO is joined by, at some settings, epoch and seed."""
    tasks = made_data().train
    normalisation = Normalisation.fit([task.track for task in tasks])
    examples = [example(task.demonstration, normalisation) for task in tasks]
    config = Config(agent=SMALL)
    torch.manual_seed(0)
    agent = Agent(config.agent, N_INPUTS)

    def loss(epoch=0, seed=0, dropout_seed=0, **settings):
        own = dataclasses.replace(config.train, epochs=10, **settings)
        run = SimpleNamespace(
            agent=agent,
            config=dataclasses.replace(config, train=own),
            epoch=epoch,
            rng=np.random.default_rng(seed),
            processes=ALONE,
        )
        torch.manual_seed(dropout_seed)
        value = train._cloning_loss(run, examples).item()
        assert not agent.training
        return value

    return loss


def test_what_joins_ppo_is_weighed(joined_loss):
    assert joined_loss(bc_coef=1.0) > 0.0
    assert joined_loss(bc_coef=0.5) == pytest.approx(0.5 * joined_loss(bc_coef=1.0))
    assert joined_loss(bc_coef=0.0) == 0.0


def test_only_the_cloning_loss_of_what_joins_ppo_fades(joined_loss):
    none = {f"{task}_coef": 0.0 for task in TASKS}
    begin, end = (joined_loss(epoch, bc_coef=1.0, bc_fade=1.0) for epoch in (0, 10))
    auxiliary = joined_loss(0, bc_coef=1.0) - joined_loss(0, bc_coef=1.0, **none)
    assert begin > end
    assert end == pytest.approx(auxiliary, rel=1e-4)
    assert joined_loss(10, bc_coef=1.0, bc_fade=1.0, **none) == pytest.approx(0.0, abs=1e-7)


def test_what_joins_ppo_is_learned_with_dropout_and_of_medleys(joined_loss, monkeypatch):
    assert joined_loss(dropout_seed=1) != joined_loss(dropout_seed=2)
    joined = []

    def with_another(own, examples, rng):
        joined.append(own)
        return own

    monkeypatch.setattr("rl_editor.behavioral_cloning.with_another", with_another)
    joined_loss()
    assert joined


def test_schedules():
    config = TrainConfig(epochs=100, bc_fade=0.5, entropy_coef=0.6, stable_entropy_coef=0.1)
    assert [train.cloning_share(config, e) for e in (0, 50, 100)] == [1.0, 0.75, 0.5]
    entropy = [train.entropy_coef(config, e, is_stable=False) for e in (0, 50, 75, 100)]
    assert entropy == pytest.approx([0.6, 0.6, 0.35, 0.1])
    assert train.entropy_coef(config, 0, is_stable=True) == 0.1
    config = TrainConfig(epochs=100, lr=1e-3)
    rates = [train.learning_rate(config, e) for e in (0, 50, 95, 99)]
    assert rates == pytest.approx([1e-3, 5e-4, 5e-5, 5e-5])


@pytest.mark.parametrize(
    ("cloned", "entropies", "is_stable"),
    [(3, [0.9, 0.1, 0.9], True), (3, [0.9, 0.5], False), (0, [0.9, 0.1], False)],
)
def test_a_policy_that_was_trained_is_stable_once_it_is_sure(cloned, entropies, is_stable):
    nothing = dict.fromkeys(("config", "data", "agent", "normalisation", "rng", "view", "descent"))
    run = Run(**nothing, cloned=cloned)
    for entropy in entropies:
        run.judge_stability(entropy)
    assert run.is_stable == is_stable


def test_missing_folders_and_packages_are_told_at_the_start(tmp_path, monkeypatch, capsys):
    assert train.main(["--data_dir", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert train.main(["--data_dir", str(tmp_path), "--save_dir", str(tmp_path / "file")]) == 2
    assert "choose another with --save_dir" in capsys.readouterr().err
    assert train.main(["--data_dir", str(tmp_path), "--save_dir", str(tmp_path / "m")]) == 2
    assert "no usable recording" in capsys.readouterr().err
    for module in ("torch", "tyro"):
        with monkeypatch.context() as context:
            context.setitem(sys.modules, module, None)
            assert train.main(["--data_dir", str(tmp_path), "--save_dir", str(tmp_path)]) == 2
            assert f"run {install_hint('train')}." in capsys.readouterr().err


def test_pieces_are_split_whole():
    pieces = [[made_task(8, 10 * i + j) for j in range(3)] for i in range(5)]
    data = split(pieces, TrainConfig(validation_share=0.4), lambda text: None)
    assert (len(data.train), len(data.validation)) == (9, 6)
    seen = {id(task) for task in data.train} & {id(task) for task in data.validation}
    assert not seen
    for piece in pieces:
        assert len({any(task is t for t in data.train) for task in piece}) == 1


def test_runs_of_other_seeds_learn_from_the_same_pieces_unless_others_are_asked_for():
    pieces = [[made_task(8, i)] for i in range(12)]

    def held_out(**settings):
        data = split(pieces, TrainConfig(validation_share=0.25, **settings), lambda text: None)
        return [id(task) for task in data.validation]

    assert held_out(seed=1) == held_out(seed=2)
    assert len({tuple(held_out(data_seed=seed)) for seed in range(5)}) > 1


def test_a_single_piece_is_judged_by_itself_with_a_warning():
    told = []
    data = split([[made_task(8, 0)]], TrainConfig(), told.append)
    assert data.validation == data.train
    assert data.judged_on == "training"
    assert "only one piece" in told[0]
    assert told[-1] == "1 recordings to learn from"


@pytest.mark.parametrize(("n_pieces", "n_told"), [(1, 1), (4, 1), (5, 0)])
def test_too_few_pieces_to_learn_from_are_told_once(n_pieces, n_told):
    told = []
    split([[made_task(8, i)] for i in range(n_pieces)], TrainConfig(), told.append)
    assert (
        sum(
            f"so little: at least 5 pieces are needed to begin with, better dozens, but there "
            f"are {n_pieces};" in line
            for line in told
        )
        == n_told
    )


def test_with_a_single_piece_all_scores_are_of_training(tmp_path, monkeypatch, capsys):
    def load(config, say):
        return split([[made_task(16, 0)]], config.train, say)

    monkeypatch.setattr(train, "load_training_data", load)
    config = small_config(tmp_path)
    for _ in range(2):  # the second run meets the checkpoint of the first
        best = train.train(config)
    train.train(small_config(tmp_path, epochs=0, bc_epochs=0))
    told = capsys.readouterr().out
    assert "training F1" in told
    assert "on these training pieces" in told
    logged = (tmp_path / "models" / "log.jsonl").read_text(encoding="utf-8")
    for word in ("held", "validation"):
        assert word not in told
        assert word not in logged
        assert not any(word in name for name in checkpoint.load(best).metrics)


def test_a_run_that_fails_leaves_no_folder(tmp_path, monkeypatch):
    def fail(config, say):
        raise UserError("nothing usable.")

    monkeypatch.setattr(train, "load_training_data", fail)
    deep = small_config(tmp_path, save_dir=str(tmp_path / "a" / "b" / "models"))
    with pytest.raises(UserError, match="nothing usable"):
        train.train(deep)
    assert list(tmp_path.iterdir()) == []
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "best.pt.note").write_text("mine")
    for name in ("empty", "full"):
        with pytest.raises(UserError, match="nothing usable"):
            train.train(small_config(tmp_path, save_dir=str(tmp_path / name)))
        assert (tmp_path / name).is_dir()


def test_recordings_analysed_in_two_ways_are_refused():
    task = made_task(8, 0)
    other = Task(dataclasses.replace(made_track(8, 1), schema="another"))
    with pytest.raises(UserError, match="in one way"):
        split([[task], [other]], TrainConfig(), lambda text: None)


def test_worker_processes_can_import_the_command_without_torch():
    code = "import sys, rl_editor.train; print({'torch', 'gymnasium'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def write_pair(folder, name, seed):
    """Write a session of about 20 s and its perfect edit."""
    rng, settings = np.random.default_rng(seed), SessionSettings.named("easy")
    session = make_session(made_music(16.0, seed), SR, steady_grid(16.0), rng, settings)
    write_session(session, folder, name)


@pytest.mark.slow
def test_two_pairs_train_to_a_checkpoint_that_edits(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    data, models = tmp_path / "data", tmp_path / "models"
    write_pair(data, "one", 0)
    write_pair(data, "two", 1)
    sf.write(data / "input" / "odd_raw.wav", made_music(8.0, 2), SR)
    sf.write(data / "desired_output" / "odd_edit.wav", made_music(6.0, 3), SR)
    folders = ["--save_dir", str(models), "--data_dir", str(data)]
    start_s = time.perf_counter()
    assert train.main([*folders, "--epochs", "2", "--steps", "64", "--n_envs", "2"]) == 0
    assert time.perf_counter() - start_s < 100.0
    said = capsys.readouterr().out
    assert "left out" in said
    assert "odd_edit.wav" in said
    assert "1 recordings to learn from, 1 held out" in said
    assert checkpoint.load(models / "best.pt").metrics["validation_f1"] > 0.0
    output = tmp_path / "edited.wav"
    edited = edit(data / "input" / "one_raw.wav", output, checkpoint=str(models / "best.pt"))
    assert sf.info(output).duration == pytest.approx(edited.edl.duration_s)


@pytest.mark.slow
def test_references_become_sessions(tmp_path, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "reference"
    folder.mkdir(parents=True)
    for seed in range(2):
        sf.write(folder / f"{seed}.wav", made_music(16.0, seed), SR)
    config = small_config(tmp_path, data_dir=str(tmp_path / "data"), sessions_per_reference=2)
    first = load_training_data(config, print)
    assert (len(first.train), len(first.validation)) == (3, 3)  # the track itself, two sessions
    again = load_training_data(config, print)
    for a, b in zip(first.train, again.train, strict=True):
        assert np.array_equal(a.track.features, b.track.features)
        assert a.demonstration.actions == b.demonstration.actions
    assert Cache().info().entries == 2 + 2 * 4  # sessions have a truth beside their analysis
