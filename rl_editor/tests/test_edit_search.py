"""The search finds the edit that promises most, and counts the same promise as the reward."""

from itertools import pairwise

import numpy as np
import pytest

from rl_editor.config import RewardConfig
from rl_editor.edit_search import (
    AGREEMENT_WEIGHT,
    ExpectedReward,
    best_nearby,
    moves,
)
from rl_editor.finished_edits import FinishedEdits
from rl_editor.kept_runs import kept, runs_of
from rl_editor.materials import Material
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import REWARD_TERMS, total_rewards
from rl_editor.spans import Span
from rl_editor.tests.made_up import made_up_track
from rl_editor.truth import Segment, Truth

N_BEATS = 96


def random_keep(rng: np.random.Generator) -> np.ndarray:
    keep = np.zeros(N_BEATS, dtype=bool)
    for start in rng.choice(N_BEATS - 20, 3, replace=False):
        keep[start : start + int(rng.integers(4, 20))] = True
    return keep


@pytest.mark.parametrize("seed", range(5))
def test_runs_and_beats_say_the_same(seed):
    keep = random_keep(np.random.default_rng(seed))
    np.testing.assert_array_equal(kept(runs_of(keep), N_BEATS), keep)
    assert len(runs_of(np.zeros(5, dtype=bool))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_runs_become_the_edits_that_spans_become(seed):
    rng = np.random.default_rng(seed)
    runs = runs_of(random_keep(rng))
    batch = np.stack([runs, runs])
    batch[1, 0, 1] = batch[1, 0, 0]  # of no length
    spans = [[Span(a, b) for a, b in edit.tolist() if b > a] for edit in batch]
    expected = FinishedEdits.of_spans(spans, [[], []], [0, 0], [None, None])
    made = FinishedEdits.of_runs(batch)
    for name in vars(expected):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name), err_msg=name)


def test_certainty_promises_what_the_reward_pays():
    track = made_up_track(N_BEATS)
    edge_s = track.grid.edges_s
    wanted = kept(np.array([[8, 40], [60, 90]]), N_BEATS)
    parts = [0, 8, 40, 60, 90, N_BEATS]
    segments = tuple(
        Segment(
            float(edge_s[a]),
            float(edge_s[b]),
            Material.MUSIC if wanted[a] else Material.TALK,
            wanted=bool(wanted[a]),
            piece_start_s=float(edge_s[a]) if wanted[a] else None,
        )
        for a, b in pairwise(parts)
    )
    truth = Truth(track.duration_s, segments)
    reward = ExpectedReward.of(track, wanted.astype(float))
    edit = np.array([[[4, 44], [60, 80]]])
    finished = FinishedEdits.of_runs(edit)
    tables = RewardTables.of([track], [truth])
    _, terms = total_rewards(tables, finished, RewardConfig())
    label_free, _ = total_rewards(RewardTables.of([track], [None]), finished, RewardConfig())
    agreement = terms[0, REWARD_TERMS.index("reference_agreement")]
    assert 0.3 < agreement < 0.95
    assert reward(edit)[0] == pytest.approx(AGREEMENT_WEIGHT * agreement + label_free[0])


def test_the_batch_size_changes_nothing(monkeypatch):
    track = made_up_track(N_BEATS)
    rng = np.random.default_rng(3)
    reward = ExpectedReward.of(track, rng.random(N_BEATS))
    edits, _ = moves(np.array([[8, 40], [60, 90]]), N_BEATS, 4)
    whole = reward(edits)
    monkeypatch.setattr("rl_editor.edit_search.MOST_RUNS", 6)
    np.testing.assert_array_equal(reward(edits), whole)


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_what_is_surely_wanted(seed):
    rng = np.random.default_rng(seed)
    track = made_up_track(N_BEATS)
    wanted = kept(np.array([[8, 40], [60, 88]]), N_BEATS)
    reward = ExpectedReward.of(track, np.where(wanted, 0.999, 0.001))
    off = np.array([[8, 40], [60, 88]]) + rng.integers(-6, 7, (2, 2))
    runs, value = best_nearby(off, reward)
    assert value >= reward(off[None])[0]
    np.testing.assert_array_equal(runs, [[8, 40], [60, 88]])


def test_nothing_is_better_than_what_the_search_returns():
    rng = np.random.default_rng(7)
    track = made_up_track(N_BEATS)
    reward = ExpectedReward.of(track, rng.beta(0.5, 0.5, N_BEATS // 8).repeat(8))
    runs, value = best_nearby(np.array([[0, N_BEATS]]), reward)
    assert len(runs) > 0
    around, _ = moves(runs, N_BEATS, 4)
    assert reward(around).max() <= value + 1e-9


def test_moves_are_all_and_only_the_allowed_ones():
    runs = np.array([[0, 4], [6, 20]])
    edits, places = moves(runs, 22, 4)
    assert len(edits) == len(places) == len({edit.tobytes() for edit in edits})
    for edit, place in zip(edits, places, strict=True):
        changed = np.flatnonzero((edit != runs).any(axis=1))
        assert place in changed
        assert changed.max() <= place + 1
        heard = edit[edit[:, 1] > edit[:, 0]]
        assert len(heard)
        assert heard.min() >= 0
        assert heard.max() <= 22
        assert np.all(heard[:, 1] - heard[:, 0] >= 4)  # a bar
        assert np.all(heard[1:, 0] > heard[:-1, 1])
    found = {tuple(edit.ravel().tolist()) for edit in edits}
    assert (0, 20, 20, 20) in found  # the cut closed
    assert (0, 0, 6, 20) in found  # the first run left out
    assert (0, 5, 6, 20) in found
    assert (0, 5, 7, 20) in found
    assert (0, 6, 6, 20) not in found  # they would touch
    assert (1, 4, 6, 20) not in found  # shorter than a bar


def test_a_short_run_may_stay_short():
    edits, _ = moves(np.array([[4, 6]]), 20, 4)
    lengths = edits[:, 0, 1] - edits[:, 0, 0]
    assert lengths.min() == 3  # none shorter than it was


def test_one_run_is_never_left_out():
    edits, _ = moves(np.array([[0, 12]]), 12, 4)
    assert np.all(edits[:, 0, 1] > edits[:, 0, 0])
