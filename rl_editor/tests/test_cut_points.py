from dataclasses import replace

import numpy as np
import pytest

from rl_editor.cut_points import refine_cuts
from rl_editor.effects import stretch
from rl_editor.matches import Match
from rl_editor.tests.made_recordings import SR, music


def unit(signal: np.ndarray) -> np.ndarray:
    return (signal / np.sqrt(np.mean(np.square(signal)))).astype(np.float32)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return unit(music(20.0, 1))


def off_by(match: Match, start_s: float, stop_s: float) -> Match:
    return match.moved(match.start + round(start_s * SR), match.stop + round(stop_s * SR))


@pytest.mark.parametrize("error_s", [-0.4, 0.2, 0.5])
def test_the_cut_between_copies_is_found_to_some_samples(raw, error_s):
    edit = np.concatenate([raw[2 * SR : 6 * SR], raw[12 * SR : 17 * SR]])
    left = Match(0, 4 * SR, 2.0 * SR, confidence=1.0, is_copy=True)
    right = Match(4 * SR, 9 * SR, 12.0 * SR, confidence=1.0, is_copy=True)
    guess = [off_by(left, 0, error_s), off_by(right, error_s, 0)]
    found = refine_cuts(guess, (raw, edit, SR))
    assert [found[0].stop, found[1].start] == pytest.approx([4 * SR] * 2, abs=5)
    assert (found[0].start, found[1].stop) == (0, 9 * SR)


def test_foreign_sound_is_left_between_the_sides(raw):
    edit = np.concatenate([raw[: 4 * SR], unit(music(2.5, 8)), raw[9 * SR : 14 * SR]])
    copies = [
        Match(0, round(4.3 * SR), 0.0, confidence=1.0, is_copy=True),
        Match(round(6.2 * SR), len(edit), 8.7 * SR, confidence=1.0, is_copy=True),
    ]
    for matches, tolerance_s in (
        (copies, 0.005),
        ([replace(m, is_copy=False) for m in copies], 0.05),
    ):
        left, right = refine_cuts(matches, (raw, edit, SR))
        assert left.stop / SR == pytest.approx(4.0, abs=tolerance_s)
        assert right.start / SR == pytest.approx(6.5, abs=tolerance_s)


def test_levels_find_the_cut_where_the_waveform_was_changed(raw):
    edit = np.concatenate([raw[2 * SR : 6 * SR], raw[12 * SR : 17 * SR]])
    edit = unit(stretch(edit[:, None], SR, 1.05, -1.0)[:, 0])
    cut = round(4 * SR / 1.05)
    matches = [
        Match(0, cut + 5000, 2.0 * SR, 1.05, -3, 0.8),
        Match(cut + 5000, len(edit), 12.0 * SR + 5000 * 1.05, 1.05, -3, 0.8),
    ]
    left, right = refine_cuts(matches, (raw, edit, SR))
    assert left.stop == right.start
    assert left.stop == pytest.approx(cut, abs=0.02 * SR)
