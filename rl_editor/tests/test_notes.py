"""What a musician is told when an edit keeps nearly all or next to nothing."""

import dataclasses

import numpy as np
import pytest

from rl_editor.edl import Clip, Join
from rl_editor.grid import steady_grid
from rl_editor.notes import (
    grid_notes,
    join_notes,
    kept_notes,
    kept_share,
    level_notes,
    tempo_notes,
)
from rl_editor.tests.test_report import TRACK, made_edl


def test_the_share_that_is_kept_counts_every_second_once():
    edl = made_edl()
    assert kept_share(edl, TRACK.grid) == pytest.approx(24 / 32)
    again = dataclasses.replace(edl, clips=(*edl.clips, Clip(0.0, 8.0, timeline_start_s=24.0)))
    assert kept_share(again, TRACK.grid) == pytest.approx(24 / 32)


@pytest.mark.parametrize(
    ("share", "wanted", "expected"),
    [
        (1.0, None, "nothing to cut was found: 100% of the recording was kept"),
        (0.992, None, "nothing to cut was found: 99.2% of the recording was kept"),
        (0.99999, None, "nothing to cut was found: 99.9% of the recording was kept"),
        (1.0, 0.5, "nothing to cut was found"),
        (0.049, None, "hardly anything was found to keep: 4.9% of the recording is left"),
        (0.03, 0.5, "hardly anything was found to keep"),
        (1.0, 1.0, None),
        (0.03, 0.03, None),
        (0.98, None, None),
        (0.05, None, None),
    ],
)
def test_an_edit_that_keeps_nearly_all_or_hardly_any_says_so(share, wanted, expected):
    told = kept_notes(share, wanted, music_found=True)
    assert len(told) == (expected is not None)
    assert all(line.startswith(expected) for line in told)


def test_without_music_only_that_is_told():
    (told,) = kept_notes(1.0, None, music_found=False)
    assert told.startswith("no music was found, so everything was kept; --keep-ratio")
    (told,) = kept_notes(0.5, 0.5, music_found=False)
    assert told.startswith("no music was found; only because it was asked for")


def test_a_beat_that_is_hard_to_hear():
    grid = steady_grid(8.0)
    unsure = dataclasses.replace(
        grid, confidence=np.full(grid.n_beats, 0.2), runner_up_tempi_bpm=(60.0, 90.0, 100.0)
    )
    (told,) = grid_notes(unsure)
    assert "hard to hear here; 60 (--half), 90 (--tempo 90) may fit too; --tempo" in told
    assert grid_notes(dataclasses.replace(unsure, confidence=np.ones(grid.n_beats))) == ()


def test_a_tempo_beside_the_one_that_was_asked_for():
    grid = steady_grid(60.0, 94.0)
    (told,) = tempo_notes(grid, 100.0)
    assert told == (
        "100 beats a minute were asked for; of the tempi near that, 94.0 fits the recording"
    )
    assert tempo_notes(grid, 96.5) == ()
    assert tempo_notes(grid, None) == ()


def test_levels_of_takes_that_were_changed():
    assert level_notes([]) == ()
    (told,) = level_notes([1.72])
    assert told.startswith("takes that meet were brought to one level: a clip by +1.7 dB (--no-")
    assert "2 clips by -0.5 dB, +3.0 dB" in level_notes([-0.52, 3.0])[0]


def test_joins_that_stand_out():
    smooth = Join(10.0, 0.02, "linear", *[0.0, 50.0] * 4)
    harsh = dataclasses.replace(
        smooth, timeline_s=83.4, level_step_db=9.0, level_step_db_percentile=98.0,
        harmonic_distance=0.5, harmonic_distance_percentile=97.0,
    )  # fmt: skip
    assert join_notes([smooth, smooth]) == ()
    (told,) = join_notes([smooth, harsh])
    assert told == (
        "in the edited track, listen to 1:23.4 (the level, the harmony): no smoother join was found"
    )
    inaudible = dataclasses.replace(harsh, level_step_db=0.5, harmonic_distance=0.01)
    assert join_notes([inaudible]) == ()
    assert " and 2 more: no" in join_notes([harsh] * 5)[0]
