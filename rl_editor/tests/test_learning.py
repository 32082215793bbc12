"""PPO solves a small editing task by itself, and as well as MaskablePPO does.

The task is of real sound: bars of noise between bars of music, analysed, with the default reward.
"""

import dataclasses
import functools

import numpy as np
import pytest
import torch

from rl_editor.agent import Agent
from rl_editor.analysis import analyze_signal
from rl_editor.beat_hints import BeatHints
from rl_editor.config import AgentConfig, EpisodeConfig, RewardConfig, TrainConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.policy_inputs import N_INPUTS, Normalisation, policy_inputs
from rl_editor.ppo import PPO
from rl_editor.rollout import EncodedTasks, TaskInputs, collect, episode_seeds
from rl_editor.tests.made_tasks import BEAT_S, SR, made_music
from rl_editor.truth import Segment, Truth
from rl_editor.vector_environment import EditingProblem, Task, VectorEnvironment

N_BARS, N_NOISE_BARS, BAR_S = 8, 3, 4 * BEAT_S
CPU = torch.device("cpu")
NO_TARGET_KL = 1e9


@functools.cache
def noisy_task(seed):
    """Return a recording of music in which three of eight bars are noise, and its right edit."""
    rng, n_bar = np.random.default_rng(seed), round(BAR_S * SR)
    signal = made_music(N_BARS * BAR_S, seed)[:, 0]
    is_noise = np.zeros(N_BARS, dtype=bool)
    is_noise[rng.choice(N_BARS, N_NOISE_BARS, replace=False)] = True
    segments, place_s = [], 0.0
    for bar in range(N_BARS):
        span_s = bar * BAR_S, (bar + 1) * BAR_S
        if is_noise[bar]:
            signal[bar * n_bar : (bar + 1) * n_bar] = rng.normal(0.0, 0.1, n_bar)
            segments.append(Segment(*span_s, Material.NOISE, False))
        else:
            segments.append(Segment(*span_s, Material.MUSIC, True, piece_start_s=place_s))
            place_s += BAR_S
    heard = analyze_signal(signal, BeatHints(tempo_bpm=60.0 / BEAT_S, meter=4))
    # bar lines are known here: what is learnt must not hang on whether they were heard
    track = dataclasses.replace(heard, grid=steady_grid(heard.duration_s))
    return Task(track, demonstrate(track, Truth(track.duration_s, tuple(segments))))


def learn(agent, problem, normalisation, config, seed, entropy_coef):
    """Return the mean reward of the episodes that ended in each of `config.epochs` rollouts."""
    tasks = problem.tasks
    environment = VectorEnvironment(problem, config.n_envs)
    environment.seed(episode_seeds(seed, slice(0, config.n_envs), config.group_size))
    inputs = TaskInputs(tasks, normalisation, CPU)
    ppo = PPO(agent, torch.optim.Adam(agent.parameters(), config.lr, eps=1e-5), inputs, config)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    seen, means = environment.reset(), []
    for epoch in range(config.epochs):
        rollout, seen = collect(agent, environment, seen, inputs, config.steps, generator)
        ppo.update(rollout, rng, entropy_coef(epoch))
        means.append(np.mean([episode.reward.total for episode in rollout.finished]))
    return np.array(means)


@torch.no_grad()
def greedy_beats(agent, task, normalisation):
    """Return the beats of the recording that the likeliest actions play, in their order."""
    problem = EditingProblem((task,), EpisodeConfig(), RewardConfig())
    alone, only = VectorEnvironment(problem, 1), np.array([0])
    encoded = EncodedTasks(agent, TaskInputs((task,), normalisation, CPU))
    seen, terminated = alone.reset(targets=np.array([np.nan])), [False]
    while not terminated[0]:
        out = agent.act(*encoded.step_inputs(seen), greedy=True)
        terminated, _ = alone.advance(out.actions.numpy())
        if not terminated[0]:
            seen = alone.observe(only)
    return [beat for span in alone.batch.state(0).spans() for beat in range(span.start, span.end)]


def learned_from_scratch(seed):
    """Return what the last drawn edits earned, and which of nine recordings are edited rightly.

    Eight recordings are learned from, the ninth is new. Nearly a minute of CPU time. With few
    episodes at a time the policy is sure of two bars at once before it has tried one, and every
    single step away from that costs reward; with many fewer seeds end there.
    """
    torch.manual_seed(seed)
    tasks = tuple(noisy_task(number) for number in range(8))
    normalisation = Normalisation.fit([task.track for task in tasks])
    network = AgentConfig(
        hidden_dim=32, n_heads=2, kernel_size=5, dilations=(1, 2), n_global_tokens=2
    )
    agent = Agent(network, N_INPUTS)
    config = TrainConfig(epochs=58, steps=24, n_envs=256, group_size=16, lr=2e-3, target_kl=0.05)
    problem = EditingProblem(tasks, EpisodeConfig(), RewardConfig())
    rewards = learn(
        agent,
        problem,
        normalisation,
        config,
        seed,
        lambda epoch: 0.2 * (1.0 - epoch / config.epochs) ** 2,
    )
    assert rewards[0] < 1.0
    right = [
        greedy_beats(agent, task, normalisation)
        == np.flatnonzero(task.demonstration.wanted >= 0.5).tolist()
        for task in (*tasks, noisy_task(100))
    ]
    return rewards[-5:].mean(), right


@pytest.mark.slow
def test_ppo_alone_finds_the_music_between_the_noise():
    """From scratch, the edit of the new recording too. True edits earn 6.2, random actions 0.2.

    Of six seeds three get all nine right, these two among them, the others eight, seven and five.
    Asked is one of two, since what a seed finds hangs on the rounding of floats.
    """
    rewards, right = zip(*(learned_from_scratch(seed) for seed in (0, 1)), strict=True)
    assert min(rewards) > 4.5
    assert any(all(edits) for edits in right)


def maskable_ppo_rewards(problem, config, seed, hidden_dim, entropy_coef):
    """Return what `learn` does, of sb3-contrib's MaskablePPO."""
    sb3_contrib = pytest.importorskip("sb3_contrib")
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rl_editor.environment import MusicEditingEnv
    from rl_editor.flat_environment import FlatEnv

    class Watched(DummyVecEnv):
        paid: list[float] = []  # noqa: RUF012

        def step_wait(self):
            out = super().step_wait()
            self.paid.extend(out[1][out[2]].tolist())
            return out

    made = functools.partial(
        MusicEditingEnv, problem.tasks, problem.episode_config, problem.reward_config
    )
    environment = Watched([lambda: FlatEnv(made())] * config.n_envs)
    model = sb3_contrib.MaskablePPO(
        "MlpPolicy",
        environment,
        learning_rate=config.lr,
        n_steps=config.steps,
        batch_size=config.steps * config.n_envs // config.minibatches,
        n_epochs=config.ppo_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=entropy_coef,
        policy_kwargs={"net_arch": [hidden_dim, hidden_dim]},
        seed=seed,
        device="cpu",
    )
    means = []
    for epoch in range(config.epochs):
        model.learn(config.steps * config.n_envs, reset_num_timesteps=epoch == 0)
        means.append(np.mean(environment.paid))
        environment.paid.clear()
    return np.array(means)


@pytest.mark.slow
def test_our_ppo_reaches_the_return_of_maskable_ppo():
    """The same network, recording and settings, whole rollouts as batches; five seeds.

    Which seeds stall on their way hangs on the rounding of floats (of six, two of ours and two to
    three of theirs on two machines): ours must reach as much in the median, theirs with one seed.

    Paid is agreement alone: under the default reward some seeds of both stay where all is kept.

    Our value loss is half the squared error and MaskablePPO's all of it: a coefficient of 1
    here is 0.5 there. The flat agent's entropy is in nats, as MaskablePPO's.
    """
    flat_agent = pytest.importorskip("benchmarks.flat_agent", reason="part of a checkout only")
    task = noisy_task(0)
    tasks = (normalised(task, Normalisation.fit([task.track])),)
    weights = dict.fromkeys(RewardConfig.__dataclass_fields__, 0.0)
    reward = RewardConfig(**{**weights, "reference_agreement": 1.0})
    problem = EditingProblem(tasks, EpisodeConfig(), reward)
    as_it_is = Normalisation(np.zeros(N_INPUTS, np.float32), np.ones(N_INPUTS, np.float32))
    config = TrainConfig(
        epochs=40,
        group_size=1,  # measured by the value function, as MaskablePPO's are
        steps=16,
        n_envs=32,
        lr=3e-3,
        ppo_epochs=8,
        minibatches=1,
        target_kl=NO_TARGET_KL,
        value_coef=1.0,
    )
    ours, theirs = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        agent = flat_agent.FlatAgent(64)
        ours.append(learn(agent, problem, as_it_is, config, seed, lambda epoch: 0.003))
        theirs.append(maskable_ppo_rewards(problem, config, seed, 64, 0.003))
    ours_reach, theirs_reach = (
        [np.mean(curve[-10:]) for curve in curves] for curves in (ours, theirs)
    )
    assert max(curve[0] for curve in (*ours, *theirs)) < 0.2
    assert np.median(ours_reach) > 0.6
    assert max(theirs_reach) > 0.6
    assert np.median(ours_reach) > np.median(theirs_reach) - 0.1


def normalised(task, normalisation):
    """Return a task whose features are what the policy reads of them, so that FlatEnv shows it."""
    track = task.track
    features = policy_inputs(track, normalisation)[:, : track.features.shape[1]]
    return dataclasses.replace(task, track=dataclasses.replace(track, features=features))
