"""A short recording and tiny checkpoints, for tests of the commands."""

import numpy as np
import soundfile
import torch

from rl_editor import checkpoint
from rl_editor.actions import ActionType
from rl_editor.agent import Agent
from rl_editor.analysis import analyze_signal, schema_name
from rl_editor.config import AgentConfig, Config, PlannerConfig
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.observation import CopyTable, context, prefixes
from rl_editor.policy_inputs import N_INPUTS, Normalisation, policy_inputs
from rl_editor.tests.made_tasks import made_music

SR = 22050
DURATION_S = 8.0
FREE = PlannerConfig(beat_change_cost=0.0, bar_change_cost=0.0, phrase_change_cost=0.0)
SURE = 1000.0
"""Log-odds that no input outweighs."""


def groove(channels=2, duration_s=DURATION_S, sr=SR):
    """Return [S, C] float32 of music whose channels differ in level."""
    mono = made_music(duration_s, seed=3, sr=sr)
    return (0.7 * mono * np.linspace(1.0, 0.5, channels)).astype(np.float32)


def write_groove(path, subtype="PCM_16", **settings):
    """Write `groove` to a file and return its path."""
    soundfile.write(path, groove(**settings), settings.get("sr", SR), subtype)
    return path


def write_checkpoint(path, keep_bias=None, schema=None, favourite=None):
    """Write a tiny random policy and return its path.

    `keep_bias` is what the log-odds of KEEP against CUT get on top: `SURE` keeps everything,
    `-SURE` cuts everything; with None the policy keeps about half of `groove`. Other types are
    never taken, but for a `favourite`, which is taken wherever it is allowed.
    """
    torch.manual_seed(4)
    config = Config(agent=AgentConfig(hidden_dim=24, kernel_size=5, dilations=(1, 2)), planner=FREE)
    agent = Agent(config.agent, N_INPUTS)
    track = analyze_signal(groove(channels=1)[:, 0])
    normalisation = Normalisation.fit([track])
    with torch.no_grad():
        if keep_bias is None:
            agent.type_head.weight *= 20.0
            keep_bias = -median_log_odds(agent, normalisation, track)
        agent.type_head.bias[ActionType.KEEP] += keep_bias
        agent.type_head.bias[[ActionType.KEEP, ActionType.CUT]] += 5 * SURE
        if favourite is not None:
            agent.type_head.bias[favourite] += 10 * SURE
    schema = schema or schema_name("offline")
    made = checkpoint.Checkpoint(config, schema, normalisation, {}, agent.arrays())
    checkpoint.save(path, made)
    return path


def median_log_odds(agent, normalisation, track):
    """Return the median over the beats of the log-odds of KEEP against CUT, all beats kept."""
    policy = NumpyPolicy(agent.arrays(), agent.config)
    inputs = policy_inputs(track, normalisation)
    encoded = policy.encode(inputs, track.match_later, track.match_earlier)
    table, cursors = CopyTable.from_track(track), np.arange(track.n_beats)
    edit = prefixes(np.ones(track.n_beats, dtype=bool), table.durations_s)
    types = policy.step(encoded, cursors, context(table, edit, None)).types
    return float(np.median(types[:, ActionType.KEEP] - types[:, ActionType.CUT]))
