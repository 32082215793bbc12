"""Arrays of finished edits hold what the interpreter plays."""

from itertools import pairwise

import numpy as np
import pytest

from rl_editor.actions import FADE_CURVES
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.finished_edits import (
    BACKWARDS,
    COLOURED,
    FADED,
    MOVED,
    NO_FADE,
    PLAIN,
    FinishedEdits,
    sound_keys,
)
from rl_editor.spans import Sound
from rl_editor.tests.made_tasks import allowed_action, made_track


def random_edit(track, seed: int) -> EditState:
    """Return a finished edit of random allowed actions."""
    rng = np.random.default_rng(seed)
    state = EditState.start(track.grid, track.features[:, 0], EpisodeConfig())
    while not state.done:
        masks = state.masks()
        state = state.step(allowed_action(masks.type, masks.size, masks.amount, rng))
    return state


def key_of(sound: Sound) -> int:
    """Return the key of one sound."""
    fades = {n: getattr(sound, n) for n in ("fade_in", "fade_out")}
    numbers = {n: NO_FADE if f is None else FADE_CURVES.index(f) for n, f in fades.items()}
    columns = {n: np.array([float(v)]) for n, v in {**sound._asdict(), **numbers}.items()}
    return int(sound_keys(columns)[0])


def treatment_of(sound: Sound) -> int:
    """Return what is done to the beats of one sound."""
    if sound._replace(gain_db=0.0) == Sound():
        return PLAIN
    if sound.reverse:
        return BACKWARDS
    if sound.rate != 1.0 or sound.semitones != 0.0:
        return MOVED
    coloured = (sound.eq_low_db, sound.eq_high_db, sound.distortion, sound.reverb)
    return COLOURED if any(coloured) else FADED


def test_arrays_hold_the_spans_their_sounds_and_the_actions():
    states = [random_edit(made_track(48, seed), seed) for seed in range(6)]
    edits = FinishedEdits.of(states, range(6), [None, 0.5] * 3)
    assert len(edits) == 6
    assert np.isnan(edits.target[0])
    assert edits.target[1] == 0.5
    for e, state in enumerate(states):
        rows = range(edits.first_span[e], edits.first_span[e + 1])
        for row, span in zip(rows, state.spans(), strict=True):
            assert (edits.start[row], edits.end[row]) == (span.start, span.end)
            for name in ("rate", "gain_db", "reverse"):
                assert getattr(edits, name)[row] == getattr(span.sound, name)
            assert edits.sound_key[row] == key_of(span.sound)
            for name in ("fade_in", "fade_out"):
                without = span.sound._replace(**{name: None})
                faded_key = edits.sound_key[row] - getattr(edits, f"{name}_key")[row]
                assert faded_key == key_of(without)
            assert edits.treatment[row] == treatment_of(span.sound)
        actions = edits.actions[edits.first_action[e] : edits.first_action[e + 1]]
        np.testing.assert_array_equal(actions, np.array(state.actions))


def test_an_edit_without_spans_keeps_its_place():
    track = made_track(8, 0)
    nothing = EditState.start(track.grid, None, EpisodeConfig())
    edits = FinishedEdits.of([nothing, random_edit(track, 1), nothing], [0, 0, 0], [None] * 3)
    assert edits.first_span[0] == edits.first_span[1] == 0
    assert edits.first_span[2] == edits.first_span[3] == len(edits.start)


@pytest.mark.parametrize("n_parts", [1, 3])
def test_joined_edits_are_those_of_one_batch(n_parts):
    states = [random_edit(made_track(32, seed), seed) for seed in range(6)]
    whole = FinishedEdits.of(states, range(6), [None] * 6)
    cuts = np.linspace(0, 6, n_parts + 1, dtype=int)
    joined = FinishedEdits.join(
        [FinishedEdits.of(states[a:b], range(a, b), [None] * (b - a)) for a, b in pairwise(cuts)]
    )
    for name in FinishedEdits.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
