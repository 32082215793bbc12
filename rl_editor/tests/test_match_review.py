from dataclasses import replace

import numpy as np
import pytest

from rl_editor.coarse_match import coarse_matches
from rl_editor.effects import stretch
from rl_editor.line_search import exact_match, is_good, local_correlations
from rl_editor.match_review import reviewed_matches
from rl_editor.matches import Match
from rl_editor.tests.made_recordings import SR, cut_together, music


def unit(signal: np.ndarray) -> np.ndarray:
    return (signal / np.sqrt(np.mean(np.square(signal)))).astype(np.float32)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return unit(music(30.0, 1))


def test_a_path_that_goes_past_a_cut_is_broken_there(raw):
    edit = cut_together(raw, [(2, 9, 0), (20, 24, 0), (13, 17, 0)])
    coarse = coarse_matches(raw, edit, SR)
    first, _, last = coarse.matches
    past = replace(first, stop=last.start)
    lines = reviewed_matches(replace(coarse, matches=(past, last)), (raw, edit, SR))
    assert all(line.is_copy for line in lines)
    assert [round(line.raw_start / SR - line.start / SR) for line in lines] == [2, 13, 2]


def test_a_match_at_the_wrong_copy_of_a_passage_moves_to_the_right_one(raw):
    other_take = 0.8 * raw[2 * SR : 8 * SR] + 0.6 * unit(music(6.0, 4))
    both = np.concatenate([raw[: 10 * SR], other_take, raw[20 * SR :]]).astype(np.float32)
    edit = cut_together(both, [(10, 16, 0), (18, 24, 0), (26, 29, 0)])
    coarse = coarse_matches(both, edit, SR)
    wrong = Match(0, 6 * SR, 2.0 * SR)
    lines = reviewed_matches(
        replace(coarse, matches=(wrong, *coarse.matches[1:])), (both, edit, SR)
    )
    assert lines[0].raw_start / SR == pytest.approx(10.0, abs=0.001)
    assert lines[0].confidence > 0.99


def test_confidence_of_each_second_shows_where_a_match_ends(raw):
    edit = np.concatenate([raw[5 * SR : 9 * SR], music(3.0, 9)])
    match = Match(0, 7 * SR, 5.0 * SR, is_copy=True)
    places, values = local_correlations(match, (raw, edit, SR))
    assert len(places) == len(values) == 7
    assert values[:4].min() > 0.95
    assert values[4:].max() < 0.3


def test_chance_is_not_good(raw):
    edit = music(5.0, 9)
    assert not is_good(exact_match(Match(0, len(edit), 5.0 * SR), 882, (raw, edit, SR), []))


def test_a_long_match_of_a_wrong_speed_is_found_in_its_parts(raw):
    edit = unit(stretch(raw[5 * SR : 17 * SR, None], SR, 0.94, 0.0)[:, 0])
    coarse = coarse_matches(raw, edit, SR)
    middle, half = 11.0 * SR, len(edit) / 2
    wrong = Match(0, len(edit), middle - half)
    lines = reviewed_matches(replace(coarse, matches=(wrong,)), (raw, edit, SR))
    assert all(is_good(line) for line in lines)
    for line in lines:
        assert line.speed == pytest.approx(0.94, abs=0.005)
        assert line.raw_start / SR == pytest.approx(5.0 + 0.94 * line.start / SR, abs=0.03)


def test_a_match_past_many_cuts_is_found_in_its_parts(raw):
    edit = cut_together(raw, [(2, 7, 0), (20, 25, 0), (8, 13, 0), (24, 29, 0)])
    coarse = coarse_matches(raw, edit, SR)
    wrong = Match(0, len(edit), 5.0 * SR)
    lines = reviewed_matches(replace(coarse, matches=(wrong,)), (raw, edit, SR))
    found_s = {round(line.raw_start / SR - line.start / SR) for line in lines if is_good(line)}
    assert found_s == {2, 15, -2, 9}
