import numpy as np
import pytest
from hypothesis import given, settings

from rl_editor.actions import ActionType, Size
from rl_editor.grid import steady_grid
from rl_editor.grid_lines import GridLines
from rl_editor.tests.made_grids import grids

# 38 beats of 0.5 s: bars at 0, 4, ..., 36; phrases at 0, 16, 32; the last bar has two beats.
LINES = GridLines.of(steady_grid(19.0))


@pytest.mark.parametrize(
    ("cursor", "ends"),
    [
        (0, [1, 4, 8, 16, 32]),
        (3, [4, 4, 8, 16, 32]),
        (16, [17, 20, 24, 32, 38]),
        (33, [34, 36, 38, 38, 38]),
        (37, [38, 38, 38, 38, 38]),
        (38, [38, 38, 38, 38, 38]),
    ],
)
def test_sizes_end_on_lines_of_the_grid(cursor, ends):
    assert LINES.span_end[cursor].tolist() == ends


@pytest.mark.parametrize(
    ("cursor", "targets"),
    [
        (0, [0, 0, 0, 0, 0]),
        (1, [0, 0, 0, 0, 0]),
        (18, [17, 16, 12, 16, 0]),
        (16, [15, 12, 8, 0, 0]),
    ],
)
def test_the_boundary_before_is_strictly_before(cursor, targets):
    assert LINES.back_to[cursor].tolist() == targets


def test_the_second_span_follows_the_first():
    assert LINES.second_end[3].tolist() == [5, 8, 16, 32, 38]
    assert LINES.second_back_to[18].tolist() == [16, 12, 4, 0, 0]


def test_a_size_that_says_the_same_as_a_smaller_one_is_masked():
    allowed = LINES.size_allowed
    assert allowed[0, ActionType.KEEP].tolist() == [True] * 5
    assert allowed[3, ActionType.KEEP].tolist() == [True, False, True, True, True]
    assert allowed[33, ActionType.KEEP].tolist() == [True, True, True, False, False]
    assert allowed[37, ActionType.KEEP].tolist() == [True, False, False, False, False]


def test_jumps_need_a_boundary_before_and_swaps_a_span_after():
    allowed = LINES.size_allowed
    assert not allowed[0, ActionType.JUMP_BACK].any()
    assert allowed[18, ActionType.JUMP_BACK].tolist() == [True] * 5
    assert allowed[1, ActionType.JUMP_BACK].tolist() == [True] + [False] * 4
    assert not allowed[37, ActionType.SWAP_NEXT].any()
    assert allowed[33, ActionType.SWAP_NEXT].tolist() == [True, True, False, False, False]
    # The second span tells two sizes apart even where the first one does not.
    assert allowed[3, ActionType.SWAP_NEXT].tolist() == [True] * 5


@settings(max_examples=60, deadline=None)
@given(grid=grids())
def test_tables_agree_with_counting_lines_one_by_one(grid):
    lines, n_beats = GridLines.of(grid), grid.n_beats
    kinds = {
        Size.BEAT: (list(range(n_beats + 1)), 1),
        Size.BAR: (grid.bar_lines().tolist(), 1),
        Size.TWO_BARS: (grid.bar_lines().tolist(), 2),
        Size.PHRASE: (grid.phrase_lines().tolist(), 1),
        Size.TWO_PHRASES: (grid.phrase_lines().tolist(), 2),
    }
    for size, (marks, count) in kinds.items():
        for cursor in range(n_beats + 1):
            after = [mark for mark in marks if mark > cursor]
            before = [mark for mark in marks if mark < cursor]
            end = n_beats if len(after) < count else after[count - 1]
            assert lines.span_end[cursor, size] == end
            assert lines.back_to[cursor, size] == (0 if len(before) < count else before[-count])
            assert lines.second_end[cursor, size] == lines.span_end[end, size]
            back = lines.back_to[cursor, size]
            assert lines.second_back_to[cursor, size] == lines.back_to[back, size]


@settings(max_examples=40, deadline=None)
@given(grid=grids())
def test_allowed_sizes_reach_every_place_once(grid):
    lines = GridLines.of(grid)
    for cursor in range(grid.n_beats):
        allowed = lines.size_allowed[cursor, ActionType.KEEP]
        ends = lines.span_end[cursor]
        assert allowed[Size.BEAT]
        assert sorted(ends[allowed]) == sorted(set(ends.tolist()))
    assert not np.any(lines.size_allowed[0, ActionType.JUMP_BACK])
