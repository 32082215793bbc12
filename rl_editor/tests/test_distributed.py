"""A run in several processes: how work is shared, and that it comes to one process's numbers."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from rl_editor import train
from rl_editor.agent import Agent, BatchPart, Encoded, FactoredDistribution
from rl_editor.behavioral_cloning import batch_loss
from rl_editor.cloning_examples import example
from rl_editor.config import Config, EpisodeConfig, RewardConfig, TrainConfig
from rl_editor.distributed import ALONE, Descent, Processes, ToldElsewhereError, balanced
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.ppo import PPO, Batch, own_rows, whole_track_minibatches
from rl_editor.rollout import (
    EncodedTasks,
    EpisodeShare,
    Rollout,
    TaskInputs,
    collect,
    episode_seeds,
)
from rl_editor.tests.made_run import (
    SMALL,
    assert_same,
    log_lines,
    made_data,
    outcome,
    small_config,
)
from rl_editor.tests.made_tasks import made_task
from rl_editor.vector_environment import EditingProblem, VectorEnvironment

CPU = torch.device("cpu")
SETTINGS = {
    "bc_epochs": 4,
    "bc_eval_every": 3,
    "bc_batch_tracks": 2,
    "epochs": 6,
    "lr": 1e-3,
    "steps": 32,
    "n_envs": 4,
    "eval_every": 3,
    "seed": 3,
}


class Seen(Processes):
    """One of two processes that exchange nothing, to see what depends on its rank alone."""

    def gather(self, value):
        return [value]


def both():
    """Return two processes that exchange nothing."""
    return [Seen(rank, 2, rank, 2, CPU) for rank in range(2)]


@pytest.fixture
def setting():
    """Return an agent, three tasks of unlike length, their problem and inputs."""
    torch.manual_seed(0)
    tasks = tuple(made_task(n_beats, n_beats) for n_beats in (16, 24, 40))
    normalisation = Normalisation.fit([task.track for task in tasks])
    problem = EditingProblem(tasks, EpisodeConfig(max_steps=30), RewardConfig())
    return Agent(SMALL, N_INPUTS), problem, TaskInputs(tasks, normalisation, CPU), normalisation


def test_items_are_shared_by_what_they_cost():
    assert balanced(np.array([5, 4, 3, 3, 3]), 2).tolist() == [0, 1, 1, 0, 1]
    shares = [process.own([3, 1, 7, 2, 2]) for process in both()]
    assert shares == [[1, 2], [0, 3, 4]]
    assert both()[1].own([5]) == []
    assert ALONE.own([3, 1]) == [0, 1]


def test_episodes_are_shared_equally_or_the_first_process_says_why_not():
    assert [process.part(6) for process in both()] == [slice(0, 3), slice(3, 6)]
    first, second = both()
    with pytest.raises(UserError, match="5 is not divisible by 2; try --n_envs 6"):
        first.part(5)
    with pytest.raises(ToldElsewhereError):
        second.part(5)


def test_one_process_exchanges_nothing():
    assert ALONE.gather("x") == ["x"]
    assert ALONE.sums({"a": 2.0}) == {"a": 2.0}
    for way in (ALONE.from_first, ALONE.together, ALONE.in_turn):
        assert way(lambda: 7) == 7


def test_part_of_a_batch_draws_what_the_batch_draws():
    torch.manual_seed(0)
    logits = [torch.randn(6, 20), torch.randn(6, 20, 5), torch.randn(6, 20, 5)]
    log_probs = [x.log_softmax(-1) for x in logits]
    whole = FactoredDistribution(*log_probs).sample(torch.Generator().manual_seed(5))
    for rows in (slice(0, 2), slice(2, 6)):
        part = FactoredDistribution(*(x[rows] for x in log_probs))
        generator = torch.Generator().manual_seed(5)
        drawn = part.sample(generator, BatchPart(rows, 6))
        assert torch.equal(drawn, whole[rows])


def test_joined_tracks_are_those_encoded_together(setting):
    agent, _, inputs, _ = setting
    agent.eval()
    whole = agent.encode([inputs[0], inputs[1], inputs[2]])
    parts = [agent.encode([inputs[0], inputs[1]]), agent.encode([inputs[2]])]
    joined = Encoded.join(parts)
    assert joined.offsets.tolist() == whole.offsets.tolist() == [0, 16, 40, 80]
    torch.testing.assert_close(joined.beats, whole.beats)
    torch.testing.assert_close(joined.heads_in, whole.heads_in)


def test_what_a_task_looks_like_does_not_depend_on_the_others(setting):
    agent, problem, inputs, _ = setting
    agent.eval()
    seen = VectorEnvironment(problem, 6).reset()
    tasks = np.unique(seen.task)
    together = EncodedTasks(agent, inputs)
    encoded, step = together.step_inputs(seen)
    assert len(tasks) > 1
    for row, task in enumerate(seen.task.tolist()):
        alone = agent.encode([inputs[task]])
        first, end = encoded.offsets[step.track[row]], encoded.offsets[step.track[row] + 1]
        assert torch.equal(encoded.beats[first:end], alone.beats)
        assert torch.equal(encoded.heads_in[first:end], alone.heads_in)


def test_shares_of_a_rollout_are_the_rollout(setting):
    agent, problem, inputs, _ = setting
    n_steps, seed = 40, 11

    def play(environment, episodes):
        environment.seed(episode_seeds(seed, episodes, group_size=2))
        generator = torch.Generator().manual_seed(seed)
        return collect(agent, environment, environment.reset(), inputs, n_steps, generator)[0]

    whole = play(VectorEnvironment(problem, 6), slice(0, 6))
    joined = Rollout.join(
        [
            play(EpisodeShare(VectorEnvironment(problem, 3), process), process.part(6))
            for process in both()
        ]
    )
    assert len(joined.finished) > 6
    assert joined.finished == whole.finished
    np.testing.assert_array_equal(joined.actions, whole.actions)
    np.testing.assert_array_equal(joined.observations.context, whole.observations.context)
    np.testing.assert_array_equal(joined.observations.task, whole.observations.task)
    np.testing.assert_array_equal(joined.reward, whole.reward)
    np.testing.assert_array_equal(joined.ended, whole.ended)
    for name in ("log_prob", "entropy", "value", "next_value"):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name), atol=1e-6)


def test_rows_are_shared_by_whole_tracks(setting):
    _, _, inputs, _ = setting
    tasks = np.random.default_rng(0).integers(0, 3, 200)
    for rows in whole_track_minibatches(tasks, 1, np.random.default_rng(0)):
        shares = [own_rows(rows, tasks, inputs, process) for process in both()]
        assert np.array_equal(np.sort(np.concatenate(shares)), np.sort(rows))
        assert set(tasks[shares[0]]) == {2}  # as long as the others together
        assert set(tasks[shares[1]]) == {0, 1}
    alone = np.flatnonzero(tasks == 1)
    assert [len(own_rows(alone, tasks, inputs, process)) for process in both()] == [len(alone), 0]


def gradients(agent, shares):
    """Return the sum of shares of a loss, its gradient and the sums of the numbers."""
    agent.zero_grad()
    total, sums = 0.0, {}
    for share in shares:
        loss, numbers = share()
        if loss.requires_grad:
            loss.backward()
        total += loss.item()
        sums = {name: sums.get(name, 0.0) + value for name, value in numbers.items()}
    grads = {n: p.grad.clone() for n, p in agent.named_parameters() if p.grad is not None}
    return total, grads, sums


def assert_alike(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[1].keys() == other[1].keys()
    for name, gradient in one[1].items():
        assert torch.allclose(gradient, other[1][name], rtol=1e-3, atol=1e-6), name
    assert one[2] == pytest.approx(other[2], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("n_minibatches", [1, 3])  # with 3, a process has nothing to do
def test_shares_of_a_ppo_loss_add_up_to_it(setting, n_minibatches):
    agent, problem, inputs, _ = setting
    environment = VectorEnvironment(problem, 4, 0)
    generator = torch.Generator().manual_seed(0)
    rollout, _ = collect(agent, environment, environment.reset(), inputs, 30, generator)
    config = TrainConfig()
    ppo = PPO(agent, torch.optim.Adam(agent.parameters()), inputs, config)
    batch, tasks = Batch.from_rollout(rollout, config), rollout.observations.task
    for rows in whole_track_minibatches(tasks, n_minibatches, np.random.default_rng(0)):

        def share_of(processes, rows=rows):
            own = own_rows(rows, tasks, inputs, processes)
            return lambda: ppo._share_of_loss(batch, own, len(own) / len(rows), 0.3, None)

        whole = gradients(agent, [share_of(ALONE)])
        assert_alike(gradients(agent, [share_of(process) for process in both()]), whole)


@pytest.mark.parametrize("n_items", [1, 3])
def test_shares_of_a_cloning_loss_add_up_to_it(setting, n_items):
    """With dropout, augmentation and errors: they do not depend on who draws them."""
    agent, problem, _, normalisation = setting
    agent.train()
    assert SMALL.dropout > 0.0

    def share_of(processes, items):
        rng = np.random.default_rng(4)
        loss = batch_loss(agent, items, Config(agent=SMALL), rng, processes)
        return loss, {}

    made = [[example(t.demonstration, normalisation) for t in problem.tasks] for _ in range(3)]
    whole, *parts = (items[:n_items] for items in made)
    expected = gradients(agent, [lambda: share_of(ALONE, whole)])
    pairs = list(zip(both(), parts, strict=True))
    shares = [lambda p=process, i=items: share_of(p, i) for process, items in pairs]
    assert_alike(gradients(agent, shares), expected)
    for process, items in pairs:
        for place in process.own([len(item.wanted) for item in items]):
            np.testing.assert_array_equal(items[place].own, whole[place].own)


def test_a_gradient_that_is_not_finite_is_told(setting):
    agent = setting[0]
    optimizer = torch.optim.Adam(agent.parameters())

    def broken():
        loss = next(agent.parameters()).sum() * torch.inf
        return loss, {}

    with pytest.raises(FloatingPointError, match="not finite"):
        Descent(agent).step(optimizer, 1.0, broken)


def start(folder, settings, n_processes=2):
    """Start a tiny run in several processes."""
    folder.mkdir(exist_ok=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(n_processes)]
    command = [*launcher, "-m", "rl_editor.tests.made_run", str(folder), json.dumps(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Return what a run printed, on standard output and error."""
    printed = process.communicate(timeout=200)
    assert process.returncode == 0, printed[1]
    return printed


def one_process(folder, settings, monkeypatch):
    """Train in this process and return the settings."""
    folder.mkdir()
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    config = small_config(folder, **settings)
    train.train(config)
    return config


@pytest.fixture
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def assert_log_alike(one, other):
    """Assert that two logs hold the same numbers, but for the order of float sums."""
    assert [(x["stage"], x["epoch"]) for x in one] == [(x["stage"], x["epoch"]) for x in other]
    for line, expected in zip(one, other, strict=True):
        numbers, known = (
            {k: v for k, v in x.items() if k != "stage" and "seconds" not in k}
            for x in (line, expected)
        )
        assert numbers == pytest.approx(known, rel=1e-4, abs=1e-6), line["epoch"]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_come_to_the_numbers_of_one(tmp_path, monkeypatch, capsys):
    running = start(tmp_path / "two", SETTINGS)
    config = one_process(tmp_path / "one", SETTINGS, monkeypatch)
    told = capsys.readouterr().out.splitlines()
    printed, errors = finish(running)
    expected = log_lines(config)
    assert len(expected) == 10
    assert_log_alike(log_lines(small_config(tmp_path / "two")), expected)
    assert len(printed.splitlines()) == len(told)  # told once
    assert "Warning" not in errors
    two, one = (outcome(small_config(tmp_path / name))[0] for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in ("random.numpy", "random.acting", "episodes.actions", "own_choices"):
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_run_that_was_stopped_goes_on_in_any_number_of_processes(tmp_path, monkeypatch):
    """To the same bits in as many processes, to the same numbers in one."""
    settings = {**SETTINGS, "epochs": 8, "steps": 64, "subprocess": True}
    finish(start(tmp_path / "whole", settings))
    whole, stopped = (tmp_path / name for name in ("whole", "stopped"))
    log = stopped / "models" / "log.jsonl"
    for n_lines, number in ((2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGKILL)):
        running, end_s = start(stopped, settings), time.monotonic() + 100
        while not (log.exists() and log.read_bytes().count(b"\n") >= n_lines):
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < end_s
            time.sleep(0.005)
        running.send_signal(number)
        printed, _ = running.communicate(timeout=60)  # ends with the last of the processes
        assert printed.count("interrupted after") == 1
        assert (stopped / "models" / "latest.pt").exists()
        assert not (stopped / "models" / ".lock").exists()
    in_one = tmp_path / "in_one"
    subprocess.run(["cp", "-r", stopped, in_one], check=True)
    finish(start(stopped, settings))
    assert_same(outcome(small_config(stopped)), outcome(small_config(whole)))
    monkeypatch.setattr(train, "load_training_data", lambda config, say: made_data())
    config = small_config(in_one, **settings)
    train.train(config)
    assert_log_alike(log_lines(config), log_lines(small_config(whole)))


@pytest.mark.slow
def test_what_is_wrong_is_told_in_one_sentence(tmp_path):
    running = start(tmp_path, {**SETTINGS, "n_envs": 5})
    printed, errors = running.communicate(timeout=100)
    assert running.returncode != 0
    assert printed == ""
    told = [line for line in errors.splitlines() if line.startswith("rl-editor train")]
    assert len(told) == 1
    assert "5 is not divisible by 2" in told[0]
    assert "exitcode  : 2" in errors
