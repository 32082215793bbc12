import numpy as np
import pytest

from rl_editor.coarse_match import coarse_matches, coarsened, coarseness
from rl_editor.effects import stretch
from rl_editor.tests.made_recordings import SR, cut_together, music


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return music(40.0, 1)


def test_passages_are_right_to_some_frames_whatever_their_pitch_and_speed(raw):
    first = stretch(raw[5 * SR : 13 * SR, None], SR, 1.05, 1.0)[:, 0]
    second = stretch(raw[25 * SR : 33 * SR, None], SR, 1.0, -2.0)[:, 0]
    coarse = coarse_matches(raw, np.concatenate([first, second]), SR)
    assert [m.shift_steps for m in coarse.matches] == [3, -6]
    assert [m.speed for m in coarse.matches] == pytest.approx([1.05, 1.0], abs=0.02)
    for match, start_s, end_s in zip(coarse.matches, (5, 25), (13, 33), strict=True):
        middle = np.array((match.start + match.stop) / 2)
        assert abs(match.raw_at(middle) / SR - (start_s + end_s) / 2) < 3 * coarse.frame / SR


def test_a_cut_that_leaves_out_a_third_of_a_second_is_no_change_of_speed(raw):
    coarse = coarse_matches(raw, cut_together(raw, [(5, 15, 0), (15.35, 24, 0)]), SR)
    assert len(coarse.matches) == 2
    assert [m.speed for m in coarse.matches] == pytest.approx([1.0, 1.0], abs=0.01)


def test_rivals_are_the_other_places_of_the_same_sound(raw):
    twice = np.concatenate([raw[: 10 * SR], raw[2 * SR : 8 * SR], raw[20 * SR : 30 * SR]])
    coarse = coarse_matches(twice, raw[3 * SR : 7 * SR], SR)
    (match,) = coarse.matches
    places_s = sorted([match.raw_start / SR, *(m.raw_start / SR for m in coarse.rivals(match))])
    assert places_s == pytest.approx([3.0, 11.0], abs=0.1)


def test_coarser_frames_keep_within_the_cells():
    assert coarseness(1000, 1000, 1_000_000) == 1
    assert coarseness(1000, 4000, 1_000_000) == 2
    vectors = np.eye(6, dtype=np.float32)
    means = coarsened(vectors, 4)
    assert means.shape == (2, 6)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1.0, rtol=1e-5)
