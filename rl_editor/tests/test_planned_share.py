import itertools
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rl_editor.config import PlannerConfig
from rl_editor.grid import steady_grid
from rl_editor.likeliest_edit import change_cost, likeliest_path
from rl_editor.planned_share import MOST_OFF, ShareSearch, kept_share, path_of_share
from rl_editor.tests.made_grids import grids
from rl_editor.wishes import BeatWishes

PHRASES = np.repeat(np.random.default_rng(0).normal(0, 4, 16), 16)
"""Log-odds of 256 beats: each phrase is as sure as a whole."""


def search(grid, log_odds, without_copies=lambda keep: keep, drawback=0.0, wishes=None):
    return ShareSearch(
        lambda keep: log_odds,
        np.full(grid.n_beats, drawback),
        without_copies,
        grid,
        change_cost(grid, PlannerConfig()),
        12,
        wishes or BeatWishes.none(grid.n_beats),
    )


def passages(keep):
    """Return the lengths of the kept passages."""
    return [len(list(run)) for kept, run in itertools.groupby(keep) if kept]


def worth_of(path, value, cost):
    changes = np.concatenate([[False], path[1:] != path[:-1]])
    return value[path].sum() - cost[changes].sum()


@pytest.mark.parametrize("meter", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_the_path_is_worth_most_of_all_of_its_length(meter, seed):
    rng = np.random.default_rng(seed)
    grid = steady_grid(50.0, 12.0, meter)  # 10 beats of 5 s: half a bar is more than `MOST_OFF`
    value, cost, share = rng.normal(0, 3, 10), rng.uniform(0, 3, 10), rng.uniform(0.05, 1)
    paths = [np.array(p) for p in itertools.product([False, True], repeat=10) if any(p)]
    paths = [path for path in paths if min(passages(path)) >= meter]
    limit = max(min(MOST_OFF, 1 - share), min(abs(path.mean() - share) for path in paths)) + 1e-9
    best = max(worth_of(p, value, cost) for p in paths if abs(p.mean() - share) <= limit)
    found = path_of_share(value, cost, grid, share)
    assert abs(found.mean() - share) <= limit
    assert min(passages(found)) >= meter
    assert worth_of(found, value, cost) == pytest.approx(best)


def test_the_path_of_its_own_share_is_the_likeliest_path():
    grid = steady_grid(128.0, 120.0)
    cost = change_cost(grid, PlannerConfig())
    free = likeliest_path(PHRASES, cost)
    assert 0.2 < free.mean() < 0.8
    np.testing.assert_array_equal(path_of_share(PHRASES, cost, grid, free.mean()), free)


@pytest.mark.parametrize("log_odds", [PHRASES, np.full(256, 7.0), np.full(256, -7.0)])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_any_share_is_met_to_half_a_bar(log_odds, share):
    """One bias would keep all or nothing of what is equally sure."""
    grid = steady_grid(128.0, 120.0)
    keep, answered = search(grid, log_odds).edit(share)
    assert kept_share(keep, grid) == pytest.approx(share, abs=0.5 * 4 / 256 + 1e-3)
    assert min(passages(keep)) >= 4
    np.testing.assert_array_equal(answered, log_odds)


def test_what_is_surest_stays():
    grid = steady_grid(128.0, 120.0)
    keep, _ = search(grid, PHRASES).edit(0.25)
    np.testing.assert_array_equal(
        np.flatnonzero(keep), np.flatnonzero(np.sort(PHRASES)[-64] <= PHRASES)
    )


@settings(deadline=None, max_examples=15)
@given(grid=grids(max_beats=100), seed=st.integers(0, 2**32 - 1))
def test_the_share_rises_with_the_wish(grid, seed):
    assume(grid.n_beats >= 16)
    log_odds = np.repeat(np.random.default_rng(seed).normal(0, 4, 13), 8)[: grid.n_beats]
    searched = search(grid, log_odds)
    bar = grid.meter * float(np.median(grid.durations_s)) / grid.duration_s
    kept = [kept_share(searched.edit(share)[0], grid) for share in np.linspace(0.1, 1.0, 10)]
    assert min(np.diff(kept)) >= -bar
    assert kept[-1] == pytest.approx(1.0)


def test_what_must_leave_is_made_up_for():
    grid = steady_grid(128.0, 120.0)
    copy = np.arange(256) // 16 == int(PHRASES.argmax()) // 16

    def without_copy(keep):
        return keep & ~copy

    keep, _ = search(grid, PHRASES, without_copy).edit(0.5)
    assert not keep[copy].any()
    assert kept_share(keep, grid) == pytest.approx(0.5, abs=0.01)


def test_no_snippet_is_left_beside_a_copy():
    grid = steady_grid(128.0, 120.0)
    sure = np.where(np.arange(256) < 128, 9.0, -9.0)

    def all_but_a_beat(keep):
        return keep & ~((np.arange(256) > 0) & (np.arange(256) < 64))

    keep, _ = search(grid, sure, all_but_a_beat).edit(0.4)
    assert not keep[:64].any()
    assert kept_share(keep, grid) == pytest.approx(0.4, abs=0.01)


def test_music_in_which_every_join_repeats_something_stays_in_one_piece():
    grid = steady_grid(128.0, 120.0)

    def last_passage(keep):
        ends = np.flatnonzero(keep[:-1] & ~keep[1:])
        return keep & (np.arange(256) > ends[-1]) if len(ends) and keep[-1] else keep

    keep, _ = search(grid, PHRASES, last_passage).edit(0.9)
    assert len(passages(keep)) == 1
    assert kept_share(keep, grid) == pytest.approx(0.9, abs=0.01)


def test_a_drawback_comes_last():
    grid = steady_grid(128.0, 120.0)
    searched = search(grid, np.zeros(256))
    dead = np.arange(256) < 128
    keep, _ = replace(searched, drawback=4.0 * dead).edit(0.5)
    np.testing.assert_array_equal(keep, ~dead)


def test_who_asks_for_little_does_not_get_nothing():
    grid = steady_grid(32.0, 120.0)
    keep, _ = search(grid, np.full(64, -9.0)).edit(0.01)
    assert passages(keep) == [4]


def test_a_recording_shorter_than_a_bar_stays_whole():
    grid = steady_grid(1.0, 120.0)
    keep, _ = search(grid, np.full(2, -9.0)).edit(0.5)
    assert keep.all()


def test_no_beat_of_a_long_recording_costs_nothing():
    """Of a thousand parts of 6,000 beats, five in six would be rounded away and taken."""
    grid = steady_grid(3000.0, 120.0)
    log_odds = np.random.default_rng(0).normal(0, 9, 6000)
    path = path_of_share(log_odds, change_cost(grid, PlannerConfig()), grid, 0.3)
    assert kept_share(path, grid) == pytest.approx(0.3, abs=0.5 * 4 / 6000 + 1e-9)


def test_a_share_of_a_long_recording_with_uneven_beats_is_met_to_half_a_bar():
    """The lengths of beats are rounded, and the edit still comes out as long as it should be."""
    steady, rng = steady_grid(2500.0, 120.0), np.random.default_rng(0)
    ends_s = np.cumsum(rng.uniform(0.42, 0.58, 5000))
    beats_s = np.concatenate([[0.0], ends_s[:-1]])
    grid = replace(steady, beats_s=beats_s, duration_s=float(ends_s[-1]))
    keep, _ = search(grid, rng.normal(0, 9, 5000)).edit(0.3)
    half_bar_s = 2 * np.median(grid.durations_s)
    assert abs(kept_share(keep, grid) - 0.3) * grid.duration_s <= half_bar_s
    assert min(passages(keep)) >= 4


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_the_rendered_track_is_as_long_as_was_asked_for(tmp_path, share):
    pytest.importorskip("torch")
    from rl_editor.infer import edit
    from rl_editor.tests.made_editor import write_checkpoint, write_groove

    recording = write_groove(tmp_path / "groove.wav", duration_s=24.0)
    checkpoint = write_checkpoint(tmp_path / "made.pt")
    made = edit(recording, checkpoint=str(checkpoint), keep_ratio=share, use_cache=False)
    assert soundfile.info(made.output_path).duration / 24.0 == pytest.approx(share, abs=0.05)
