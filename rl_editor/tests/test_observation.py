import dataclasses

import numpy as np
import pytest

from rl_editor.actions import Action, ActionType, Size
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.observation import (
    AHEAD_BEATS,
    CONTEXT_NAMES,
    FURTHEST,
    CopyTable,
    context,
    edit_so_far,
    mean_ahead,
    observe,
    prefixes,
)
from rl_editor.tests.made_up import made_up_track


def column(values, name):
    return values[:, CONTEXT_NAMES.index(name)]


@pytest.mark.parametrize("seed", range(5))
def test_every_cursor_at_once_equals_one_episode_step_by_step(seed):
    track = made_up_track(60, seed)
    keep = np.random.default_rng(seed).random(60) < 0.6
    table = CopyTable.from_track(track)
    at_once = context(table, prefixes(keep, table.durations_s), 0.4)
    state = EditState.start(track.grid, None, EpisodeConfig())
    for beat in range(60):
        np.testing.assert_allclose(observe(track, state, 0.4), at_once[beat], atol=1e-6)
        kind = ActionType.KEEP if keep[beat] else ActionType.CUT
        state = state.step(Action(kind, Size.BEAT))
    assert state.done


def test_a_copy_of_what_is_in_the_output_is_seen_ahead():
    track = made_up_track(40)
    table = CopyTable(
        durations_s=track.grid.durations_s,
        match_later=np.full(40, -1),
        match_earlier=np.where(np.arange(40) >= 20, np.arange(40) - 20, -1),
        later=np.zeros(40, np.float32),
        earlier=np.where(np.arange(40) >= 20, 2.0, 0.0).astype(np.float32),
        later_ahead=np.zeros((40, 4), np.float32),
    )
    played = np.arange(40) < 20
    values = context(table, prefixes(played, table.durations_s), None)
    assert column(values, "copy_in_output_16")[20] == 1.0
    assert column(values, "copy_in_output_similarity_16")[20] == pytest.approx(2.0)
    assert column(values, "copy_in_output_16")[0] == 0.0
    assert column(values, "nothing_kept")[0] == 1.0
    assert column(values, "target_known").max() == 0.0


def test_a_retake_of_what_should_follow_is_a_continuation():
    track = made_up_track(40)
    earlier = np.full(40, -1)
    earlier[30:] = np.arange(10, 20)
    table = CopyTable(
        durations_s=track.grid.durations_s,
        match_later=np.full(40, -1),
        match_earlier=earlier,
        later=np.zeros(40, np.float32),
        earlier=np.zeros(40, np.float32),
        later_ahead=np.zeros((40, 4), np.float32),
    )
    values = context(table, prefixes(np.arange(40) < 10, table.durations_s), None)
    assert column(values, "continuation_closeness")[30] == 1.0
    assert column(values, "continuation_offset")[30] == 0.0
    assert column(values, "continuation_offset")[34] > 0.0
    assert column(values, "continuation_exists")[20] == 0.0


@pytest.mark.parametrize("n_cursors", [1, 2, 400])
def test_what_is_ahead_is_counted_and_added_beat_by_beat(n_cursors):
    rng, n_beats = np.random.default_rng(n_cursors), 400
    table = CopyTable(
        durations_s=np.full(n_beats, 0.5),
        match_later=np.full(n_beats, -1),
        match_earlier=np.where(rng.random(n_beats) < 0.7, rng.integers(0, n_beats, n_beats), -1),
        later=np.zeros(n_beats, np.float32),
        earlier=rng.random(n_beats, dtype=np.float32),
        later_ahead=np.zeros((n_beats, 4), np.float32),
    )
    whole = prefixes(rng.random(n_beats) < 0.6, table.durations_s)
    chosen = np.sort(rng.choice(n_beats, n_cursors, replace=False))
    rows = {n: getattr(whole, n)[chosen] for n in ("last_kept", "output_s", "run_beats")}
    edit = dataclasses.replace(whole, cursor=chosen, causal=False, **rows)
    values = context(table, edit, None)
    is_heard = (table.match_earlier >= 0) & edit.played[table.match_earlier]
    for width in AHEAD_BEATS:
        for row, cursor in enumerate(chosen):
            ahead = slice(cursor, cursor + width)
            share = is_heard[ahead].mean()
            likeness = table.earlier[ahead][is_heard[ahead]]
            mean = likeness.mean() if len(likeness) else 0.0
            assert column(values, f"copy_in_output_{width}")[row] == pytest.approx(share)
            found = column(values, f"copy_in_output_similarity_{width}")[row]
            assert found == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("offset", [-700, -FURTHEST, -40, -1, 0, 1, 40, FURTHEST, 700])
def test_the_offset_of_a_copy_is_told_however_far_it_is(offset):
    n_beats, cursor, last_kept = 2000, 1000, 900
    matches = np.full(n_beats, -1)
    matches[cursor] = last_kept + 1 + offset
    table = CopyTable(
        durations_s=np.full(n_beats, 0.5),
        match_later=np.full(n_beats, -1),
        match_earlier=matches,
        later=np.zeros(n_beats, np.float32),
        earlier=np.zeros(n_beats, np.float32),
        later_ahead=np.zeros((n_beats, 4), np.float32),
    )
    values = context(table, prefixes(np.arange(n_beats) <= last_kept, table.durations_s), None)
    closeness = column(values, "continuation_closeness")[cursor]
    assert closeness == np.float32(np.exp(-abs(offset) / 2.0))
    assert column(values, "continuation_offset")[cursor] == np.float32(np.tanh(offset / 16.0))
    assert column(values, "continuation_exists")[cursor] == 1.0
    assert column(values, "resumption_exists")[cursor] == 0.0


def test_after_a_jump_back_what_was_played_ahead_of_the_cursor_counts():
    track = made_up_track(64)
    state = EditState.start(track.grid, None, EpisodeConfig())
    state = state.step(Action(ActionType.KEEP, Size.PHRASE))
    edit = edit_so_far(state)
    assert edit.last_kept[0] == state.cursor - 1
    assert edit.run_beats[0] == state.cursor
    assert edit.output_s[0] == pytest.approx(state.output_s)
    assert not edit.causal


def test_mean_ahead_is_a_plain_mean():
    values = np.arange(12.0).reshape(6, 2)
    means = mean_ahead(values, 4)
    np.testing.assert_allclose(means[1], values[1:5].mean(axis=0))
    np.testing.assert_allclose(means[5], values[5])
