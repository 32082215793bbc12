"""What the training benchmark compares with is what it says it is."""

import time

import numpy as np
import pytest
import torch

pytest.importorskip("benchmarks.training", reason="benchmarks are part of a checkout only")

from benchmarks.flat_agent import FlatAgent
from benchmarks.training import StageClock, agent_of_size, n_parameters
from benchmarks.window_agent import BEFORE, WINDOW_BEATS, WindowAgent, encode_windows
from rl_editor.agent import Agent, TrackInputs
from rl_editor.config import AgentConfig, EpisodeConfig, RewardConfig
from rl_editor.environment import MusicEditingEnv
from rl_editor.flat_environment import FlatEnv
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.rollout import EncodedTasks, TaskInputs
from rl_editor.tests.made_tasks import made_task
from rl_editor.tests.made_up import made_up_track
from rl_editor.vector_environment import EditingProblem, VectorEnvironment

SMALL = AgentConfig(hidden_dim=16, n_heads=2, kernel_size=5, dilations=(1, 3), n_global_tokens=2)


def made_inputs(n_beats, seed=0):
    track = made_up_track(n_beats, seed)
    return TrackInputs.from_track(track, Normalisation.fit([track]))


def test_the_window_encoder_is_the_encoder_where_the_window_is_the_recording():
    torch.manual_seed(0)
    encoder = Agent(SMALL, N_INPUTS).eval().encoder
    tracks = [made_inputs(WINDOW_BEATS, seed) for seed in range(3)]
    columns = ("values", "match_later", "match_earlier")
    together = (torch.stack([getattr(t, name) for t in tracks]) for name in columns)
    beats, pooled = encode_windows(encoder, *together)
    for index, track in enumerate(tracks):
        alone = encoder(track.values, track.match_later, track.match_earlier, [WINDOW_BEATS])
        torch.testing.assert_close(beats[index], alone[0])
        torch.testing.assert_close(pooled[index], alone[1][0])


def test_a_window_sees_nothing_of_what_lies_outside():
    torch.manual_seed(0)
    agent = WindowAgent(SMALL, N_INPUTS).eval()
    tasks = (made_task(150, 0),)
    environment = VectorEnvironment(
        EditingProblem(tasks, EpisodeConfig(), RewardConfig()), 1, seed=0
    )
    normalisation = Normalisation.fit([tasks[0].track])
    inputs = TaskInputs(tasks, normalisation, torch.device("cpu"))
    _, step = EncodedTasks(agent, inputs).step_inputs(environment.reset())
    step.cursor[:] = 70
    step.type_mask[:] = True
    track = inputs[0]

    def types(beat):
        values = track.values.clone()
        values[beat] += 1.0
        changed = TrackInputs(values, track.match_later, track.match_earlier)
        return agent.distribution(agent.encode([changed]), step)[0].types

    first, end = 70 - BEFORE, 70 - BEFORE + WINDOW_BEATS
    torch.testing.assert_close(types(first - 1), types(end), rtol=0, atol=0)
    assert not torch.equal(types(first), types(first - 1))
    assert not torch.equal(types(end - 1), types(first - 1))


def test_the_flat_agent_sees_and_may_do_what_the_flat_environment_shows():
    tasks = (made_task(40, 0),)
    alone = FlatEnv(MusicEditingEnv(tasks))
    seen, _ = alone.reset(seed=0)
    n_features = tasks[0].track.features.shape[1]
    as_it_is = Normalisation(np.zeros(N_INPUTS, np.float32), np.ones(N_INPUTS, np.float32))
    environment = VectorEnvironment(EditingProblem(tasks, EpisodeConfig(), RewardConfig()), 1)
    inputs = TaskInputs(tasks, as_it_is, torch.device("cpu"))
    agent = FlatAgent(16)
    read = []
    agent.policy.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    encoded, step = EncodedTasks(agent, inputs).step_inputs(
        environment.reset(targets=alone.unwrapped._episodes.target)
    )
    log_probs, _ = agent._answer(encoded, step)
    np.testing.assert_array_equal(read[0][0, n_features:].numpy(), seen[n_features:])
    np.testing.assert_array_equal((log_probs[0].exp() > 0).numpy(), alone.action_masks())
    acted = agent.act(encoded, step, generator=torch.Generator().manual_seed(0))
    again = agent.evaluate(encoded, step, acted.actions)
    assert torch.equal(acted.log_prob, again.log_prob)


def test_stages_inside_others_are_counted_once():
    clock = StageClock()
    started = time.process_time()
    with clock.stage("outer"):
        sum(range(200_000))
        clock.timed("inner", lambda: sum(range(400_000)))()
    passed = time.process_time() - started
    assert set(clock.seconds) == {"outer", "inner"}
    assert sum(clock.seconds.values()) == pytest.approx(passed, abs=1e-3)
    assert clock.seconds["inner"] > clock.seconds["outer"]


def test_agents_of_a_size_come_near_it():
    assert n_parameters(agent_of_size(449_269)) == pytest.approx(449_269, rel=0.05)
