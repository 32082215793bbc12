"""Of places that sound alike the edit's own is found, by what is left of it or by the order."""

from dataclasses import replace

import numpy as np
import pytest

from rl_editor.alignment import align
from rl_editor.coarse_match import coarse_matches
from rl_editor.effects import stretch
from rl_editor.match_review import reviewed_matches
from rl_editor.tests.made_recordings import SR, cut_together, music
from rl_editor.twin_choice import likeliest_twins


def unit(signal: np.ndarray) -> np.ndarray:
    return (signal / np.sqrt(np.mean(np.square(signal)))).astype(np.float32)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    """6 s of music, a loop of 4 s, 6 s of music, the same loop, 6 s of music."""
    loop = music(4.0, 2)
    return unit(np.concatenate([music(6.0, 3), loop, music(6.0, 4), loop, music(6.0, 5)]))


def lines_at_the_wrong_loop(raw, edit):
    coarse = coarse_matches(raw, edit, SR)
    first, loop, last = reviewed_matches(coarse, (raw, edit, SR))
    off_s = -10.0 if loop.raw_start > 10 * SR else 10.0
    wrong = replace(loop, raw_start=loop.raw_start + off_s * SR)
    return coarse, [first, wrong, last]


@pytest.mark.parametrize(
    ("cuts", "loop_s"),
    [
        ([(12.0, 15.0, 0), (17.0, 19.5, 0), (21.0, 24.0, 0)], 17.0),
        ([(1.0, 5.0, 0), (7.0, 9.5, 0), (11.0, 14.0, 0)], 7.0),
    ],
)
def test_of_loops_that_are_equal_the_one_in_order_is_taken(raw, cuts, loop_s):
    edit = cut_together(raw, cuts)
    coarse, lines = lines_at_the_wrong_loop(raw, edit)
    chosen = likeliest_twins(lines, coarse, (raw, edit, SR))
    assert chosen[1].raw_start / SR == pytest.approx(loop_s, abs=1e-4)
    assert [chosen[0], chosen[2]] == [lines[0], lines[2]]


@pytest.mark.parametrize("loop_s", [7.0, 17.0])
def test_noise_far_below_the_music_outweighs_the_order(raw, loop_s):
    noisy = (raw + np.random.default_rng(0).normal(0, 3e-3, len(raw))).astype(np.float32)
    edit = cut_together(noisy, [(12.0, 15.0, 0), (loop_s, loop_s + 2.5, 0), (21.0, 24.0, 0)])
    coarse, lines = lines_at_the_wrong_loop(noisy, edit)
    chosen = likeliest_twins(lines, coarse, (noisy, edit, SR))
    assert chosen[1].raw_start / SR == pytest.approx(loop_s, abs=1e-4)


def test_stretched_loops_keep_the_order(raw):
    edit = cut_together(raw, [(1.0, 5.0, 0), (7.0, 9.5, 0), (11.0, 15.0, 0), (16.5, 19.5, 0)])
    edit = stretch(edit[:, None], SR, 1.05, 0.0)[:, 0]
    spans = align(raw, edit, SR).spans
    assert [s.raw_start_s for s in spans] == pytest.approx([1.0, 7.0, 11.0, 16.5], abs=0.04)


def test_chance_stays_where_it_is(raw):
    edit = music(5.0, 9)
    coarse = coarse_matches(raw, edit, SR)
    lines = [replace(m, confidence=0.1) for m in coarse.matches]
    assert likeliest_twins(lines, coarse, (raw, edit, SR)) == lines
