"""Corrupted edits are what their names say."""

import numpy as np
import pytest

from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.gate_edits import (
    CORRUPTIONS,
    PlayedBeats,
    corrupted,
    gaps,
    half_random,
    ignorant_edits,
)
from rl_editor.grid import steady_grid
from rl_editor.tests.made_edits import spell
from rl_editor.tests.made_tasks import allowed_action, made_track

GRID = steady_grid(32.0)  # 64 beats, 16 bars
KEEP = np.zeros(64, dtype=bool)
KEEP[8:24], KEEP[32:56] = True, True
TRUE = PlayedBeats.kept(KEEP)


def many(kind):
    rng = np.random.default_rng(0)
    made = [corrupted(kind, GRID, TRUE, rng) for _ in range(60)]
    edits = [edit.beats for edit in made if edit is not None]
    assert len(edits) > 10
    return edits


@pytest.mark.parametrize("seed", range(6))
def test_an_edit_beat_by_beat_has_the_spans_of_the_interpreter(seed):
    track, rng = made_track(48, seed), np.random.default_rng(seed)
    state = EditState.start(track.grid, track.features[:, 0], EpisodeConfig())
    while not state.done:
        masks = state.masks()
        state = state.step(allowed_action(masks.type, masks.size, masks.amount, rng))
    assert tuple(PlayedBeats.of(state).spans()) == state.spans()


def test_kept_beats_are_the_edit_that_the_spelled_actions_make():
    state = EditState.start(GRID, None, EpisodeConfig())
    for action in spell(GRID, KEEP):
        state = state.step(action)
    assert tuple(TRUE.spans()) == state.spans()
    assert PlayedBeats.of(state).plays_as(TRUE)


def test_gaps_are_what_is_left_out():
    assert gaps(64, TRUE) == [(0, 8), (24, 32), (56, 64)]
    assert gaps(64, PlayedBeats.kept(np.ones(64, dtype=bool))) == []


def test_added_beats_follow_the_one_before_them():
    moved = TRUE.picked(np.r_[16:40, 0:16])  # 32..55, then 8..23
    assert moved.with_beats(np.arange(24, 28)).beats.tolist() == [*range(32, 56), *range(8, 28)]
    assert moved.with_beats(np.arange(0, 4)).beats.tolist()[:5] == [0, 1, 2, 3, 32]
    assert PlayedBeats.kept(np.zeros(8, dtype=bool)).with_beats(np.arange(3)).beats.tolist() == [
        0,
        1,
        2,
    ]


def test_a_moved_cut_changes_a_bar_at_an_edge():
    for beats in many("a cut moved by a bar"):
        changed = set(beats.tolist()) ^ set(TRUE.beats.tolist())
        assert len(changed) == 4
        assert np.all(np.diff(beats) > 0)


def test_a_bad_take_is_a_whole_gap():
    for beats in many("a bad take kept"):
        added = sorted(set(beats.tolist()) - set(TRUE.beats.tolist()))
        assert (added[0], added[-1] + 1) in gaps(64, TRUE)
        assert len(beats) == len(TRUE.beats) + 8


def test_a_dropped_passage_is_one_to_four_bars():
    for beats in many("a good passage dropped"):
        assert set(beats) < set(TRUE.beats)
        assert 4 <= len(TRUE.beats) - len(beats) <= 16


def test_swapped_passages_are_all_there():
    for beats in many("two passages swapped"):
        assert sorted(beats) == TRUE.beats.tolist()
        assert np.count_nonzero(np.diff(beats) < 0) == 1


def test_a_loop_plays_bars_twice():
    for beats in many("a loop added"):
        assert set(beats) == set(TRUE.beats)
        assert 4 <= len(beats) - len(TRUE.beats) <= 16


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_where_there_is_no_room_nothing_is_corrupted(kind):
    tiny = steady_grid(0.5)
    whole = PlayedBeats.kept(np.ones(1, dtype=bool))
    made = corrupted(kind, tiny, whole, np.random.default_rng(0))
    assert made is None or not made.plays_as(whole)


def test_ignorant_edits_keep_what_their_names_say():
    level_db = np.random.default_rng(0).uniform(-40.0, -10.0, 64)
    made = ignorant_edits(GRID, level_db, TRUE, np.random.default_rng(0))
    assert len(made["keep all"].beats) == 64
    assert len(made["cut all"].beats) == 0
    assert made["first part only"].beats.tolist() == list(range(40))
    assert set(np.argsort(-level_db)[:40]) == set(made["loudest first"].beats)
    assert len(np.intersect1d(made["longest run"].beats, TRUE.beats)) == 32


def test_bars_decided_by_chance_leave_the_others_alone():
    chosen, keep = np.zeros(16, dtype=bool), np.zeros(16, dtype=bool)
    chosen[[0, 2, 3]] = True
    keep[[0, 3, 9]] = True
    edit = half_random(GRID, TRUE, chosen, keep)
    expected = KEEP.copy()
    expected[0:4], expected[8:12] = True, False
    assert edit.beats.tolist() == np.flatnonzero(expected).tolist()
