import numpy as np

from rl_editor.jump_path import FOREIGN, jump_path


def test_jump_path_of_known_similarities():
    raw = np.eye(40, dtype=np.float32)
    edit = np.concatenate([raw[5:20], np.zeros((3, 40), np.float32), raw[23:30], raw[2:12]])
    expected = [*range(5, 30), *range(2, 12)]
    np.testing.assert_array_equal(jump_path(edit, raw), expected)
    stranger = np.full((20, 40), 40**-0.5, np.float32)
    path = jump_path(np.concatenate([raw[:15], stranger, raw[20:35]]), raw)
    np.testing.assert_array_equal(path, [*range(15), *[FOREIGN] * 20, *range(20, 35)])


def unit_rows(n: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, 30))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_slips_follow_another_speed():
    raw = unit_rows(200, 0)
    for speed in (0.93, 1.07):
        places = np.rint(30 + speed * np.arange(100)).astype(int)
        path = jump_path(raw[places], raw, slip_cost=0.4)
        assert np.abs(path - places).max() <= 1
        assert set(np.diff(path).tolist()) <= {0, 1, 2}


def test_without_slips_the_path_keeps_in_step():
    raw = unit_rows(100, 1)
    path = jump_path(raw[10:60], raw)
    np.testing.assert_array_equal(path, np.arange(10, 60))


def test_pitches_are_told_apart_and_never_stepped_across():
    planes = np.stack([unit_rows(50, seed) for seed in range(3)])
    edit = np.concatenate([planes[2, 10:30], planes[0, 40:50], planes[1, 0:10]])
    path = jump_path(edit, planes, slip_cost=0.4)
    expected = [*range(110, 130), *range(40, 50), *range(50, 60)]
    np.testing.assert_array_equal(path, expected)


def test_a_raw_recording_of_one_frame():
    raw = unit_rows(1, 2)
    np.testing.assert_array_equal(jump_path(raw, raw, slip_cost=0.4), [0])
