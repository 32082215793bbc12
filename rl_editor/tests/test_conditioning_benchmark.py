"""The benchmark of shares that are asked for: what it compares an edit with, and what it tells."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("benchmarks.conditioning", reason="benchmarks are part of a checkout only")

from benchmarks.conditioning import (
    SHARES,
    Editor,
    Outcome,
    added_words,
    drawn,
    length_table,
    main,
    outcomes,
    parts,
    percentile,
    random_edits,
    rank_table,
    shares_of_added,
    told,
)
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.tests.made_editor import write_checkpoint
from rl_editor.tests.made_tasks import made_task

RANKS = {"recording, bars": 90.0}
OUTCOME = Outcome("made", 0.5, 0.52, 0.6, 0.7, 3, 1.0, RANKS, RANKS)


def test_percentiles():
    others = np.array([0.0, 1.0, 1.0, 2.0])
    assert percentile(3.0, others) == 100.0
    assert percentile(1.0, others) == 50.0
    assert percentile(-1.0, others) == 0.0


def test_pieces_end_at_lines_and_gaps():
    within = np.ones(12, dtype=bool)
    within[5] = False
    pieces = parts(within, np.array([0, 4, 8, 12]))
    assert [piece.tolist() for piece in pieces] == [[0, 1, 2, 3], [4], [6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_drawn_lasts_the_share(share):
    grid, rng = steady_grid(50.0, 120.0), np.random.default_rng(0)
    pieces = parts(np.ones(100, dtype=bool), grid.bar_lines())
    draws = [drawn(pieces, grid, share, rng) for _ in range(20)]
    assert {int(keep.sum()) for keep in draws} == {round(100 * share)}
    assert len({keep.tobytes() for keep in draws}) > 10


def test_random_edits_stay_inside_the_own_edit_or_hold_it():
    grid, rng = steady_grid(50.0, 120.0), np.random.default_rng(0)
    own = np.arange(100) < 50
    shorter = random_edits(grid, own, 0.3, 5, rng)
    longer = random_edits(grid, own, 0.7, 5, rng)
    as_long = random_edits(grid, own, 0.52, 5, rng)
    assert all(not keep[50:].any() for keep in shorter["own edit, phrases"])
    assert all(keep[:50].all() for keep in longer["own edit and more, bars"])
    assert set(as_long) == {"recording, phrases", "recording, bars"}
    for edits, share in ((shorter, 0.3), (longer, 0.7), (as_long, 0.52)):
        for keeps in edits.values():
            assert {int(keep.sum()) for keep in keeps} == {round(100 * share)}


def test_what_is_added_is_told_by_its_material():
    shown = made_task(64, 0).demonstration
    n_beats = shown.track.n_beats
    shown = dataclasses.replace(
        shown,
        material=np.where(np.arange(n_beats) < 8, Material.SILENCE, Material.FLAWED_TAKE),
        wanted=np.zeros(n_beats),
    )
    own, keep = np.arange(n_beats) >= 16, np.ones(n_beats, dtype=bool)
    lengths_s = shown.track.grid.durations_s
    dead = lengths_s[:8].sum() / lengths_s[:16].sum()
    assert shares_of_added(shown, own, keep) == pytest.approx((1.0 - dead, dead))


def test_a_recording_has_an_outcome_for_each_share_it_has_enough_for(tmp_path):
    editor = Editor(write_checkpoint(tmp_path / "made.pt"))
    shown = made_task(96, 0).demonstration
    found = list(outcomes(editor, "made", shown, 4, 0))
    assert {outcome.share for outcome in found} <= set(SHARES)
    for outcome in found:
        assert outcome.delivered == pytest.approx(outcome.share, abs=0.05)
        assert {"recording, phrases", "recording, bars"} <= set(outcome.rank)
        assert outcome.shortest_bars >= 1.0
    assert list(outcomes(editor, "short", made_task(40, 0).demonstration, 4, 0)) == []


def test_it_tells_where_a_share_is_missed(tmp_path, capsys):
    editor = Editor(write_checkpoint(tmp_path / "made.pt"))
    editor.seconds = {False: [0.1], True: [0.2]}
    missed = dataclasses.replace(OUTCOME, delivered=0.6)
    assert told(editor, [OUTCOME]) == 0
    assert told(editor, [OUTCOME, missed]) == 1
    assert "200 ms with a share and 100 ms without" in capsys.readouterr().out
    assert "| 50%, shorter than the known edit | 2 | 6.0 | 50.0% | 10.0 | 1.0 |" in length_table(
        [OUTCOME, missed]
    )
    assert "| recording, bars | 1 | 90.0 | 90.0 | 0.0% |" in rank_table([OUTCOME])


def test_it_tells_what_was_added():
    assert added_words([OUTCOME]) == "Nothing had to be added."
    more = dataclasses.replace(OUTCOME, added=(0.8, 0.1), random_added=(0.5, 0.3))
    assert "80.0% is music and 10.0% talk" in added_words([OUTCOME, more])


def test_a_folder_without_recordings_is_told(tmp_path, capsys):
    (tmp_path / "input").mkdir()
    assert main([str(tmp_path)]) == 2
    assert "conditioning:" in capsys.readouterr().err
