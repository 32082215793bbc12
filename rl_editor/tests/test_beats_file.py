"""Beats from a file and to one: the same beats come back, and what is none is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_editor import beats_file
from rl_editor.beat_hints import BeatHints
from rl_editor.beats_file import UNKNOWN, read_beats, write_beats
from rl_editor.errors import UserError
from rl_editor.given_beats import LONGEST_BEAT_S, grid_from_given
from rl_editor.grid import steady_grid

DURATION_S = 30.0


@pytest.fixture
def file(tmp_path):
    """Return what writes a file of beats and returns its path."""

    def write(content, name="take.beats"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def grid_of(path, duration_s=DURATION_S, **hints):
    return grid_from_given(read_beats(path, duration_s), duration_s, BeatHints(**hints))


def made_grid():
    """Return a grid with a pickup, two stretches and rests before, between and after."""
    played = np.r_[np.zeros(5), np.ones(22), np.zeros(4), np.ones(19), np.zeros(10)] > 0
    is_one = np.zeros(60, bool)
    is_one[[0, 4, *range(5, 27, 4), 27, *range(31, 50, 4), 50, 54, 58]] = True
    is_one[[5, *range(7, 27, 4)]] = True  # the first stretch begins with a pickup of two
    is_one[[9 + 4 * k + 0 for k in range(-1, 5)]] = False
    is_one[5] = True
    is_phrase = np.zeros(60, bool)
    is_phrase[[0, 5, 7, 23, 27, 31, 47, 50]] = True
    return dataclasses.replace(
        steady_grid(DURATION_S),
        is_downbeat=is_one,
        is_phrase_start=is_phrase,
        confidence=played.astype(np.float32),
    )


@pytest.mark.parametrize("name", ["a.beats", "a.txt", "a.labels.txt", "A.Labels.TXT"])
def test_a_written_grid_comes_back(name, tmp_path):
    grid = made_grid()
    write_beats(grid, tmp_path / name)
    back = grid_of(tmp_path / name)
    np.testing.assert_allclose(back.beats_s, grid.beats_s, atol=1e-3)
    for field in ("is_downbeat", "is_phrase_start", "confidence"):
        np.testing.assert_array_equal(getattr(back, field), getattr(grid, field))
    assert (back.meter, back.tempo_bpm) == (4, pytest.approx(120.0))


def test_the_two_forms(tmp_path):
    write_beats(made_grid(), tmp_path / "a.beats")
    lines = (tmp_path / "a.beats").read_text().splitlines()
    assert lines[0] == "0.000000\t0"
    assert [line.split("\t")[1] for line in lines[4:13]] == list("034123412"), "a pickup counts up"
    write_beats(made_grid(), tmp_path / "a.labels.txt")
    lines = (tmp_path / "a.labels.txt").read_text().splitlines()
    assert lines[4:9] == [
        "2.000000\t2.000000\t0",
        "2.500000\t2.500000\t0.3",
        "3.000000\t3.000000\t0.4",
        "3.500000\t3.500000\t1.1",
        "4.000000\t4.000000\t1.2",
    ]


@pytest.mark.parametrize(
    ("content", "times_s", "places"),
    [
        ("0.5\n1\n1.5\n", [0.5, 1.0, 1.5], [UNKNOWN] * 3),
        ("# by hand\n\n0.5 1\r\n1.0\t2 # so\n 1.5 3 \n", [0.5, 1.0, 1.5], [1, 2, 3]),
        ("\ufeff0.5 2\n.75 1\n1e0 2", [0.5, 0.75, 1.0], [2, 1, 2]),
        ("0.5\t0.5\t7.4\n1.0\t1.1\t8.1\n", [0.5, 1.0], [4, 1]),
        ("0.5\t0.5\t1\n1.0\t1.0\t2\n", [0.5, 1.0], [1, 2]),
        ("0.5\t0.5\tverse 1\n1.0\t1.0\t\n1.5\t1.5\n", [0.5, 1.0, 1.5], [UNKNOWN] * 3),
        ("0.5\t0.5\t16\n1.0\t1.0\t17\n", [0.5, 1.0], [UNKNOWN] * 2),
        ("0.5\t0.5\t1.1\n\\\t100\t200\n1.0\t1.0\t1.2\n", [0.5, 1.0], [1, 2]),
        ("0.5\n1.0\n29.99\n", [0.5, 1.0], [UNKNOWN] * 2),
    ],
)
def test_forms_that_are_read(content, times_s, places, file):
    beats = read_beats(file(content), DURATION_S)
    assert (list(beats.times_s), list(beats.places)) == (times_s, places)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "at least two beats, a line each, but holds 0"),
        ("1.0\n", "but holds 1"),
        ("1.0\n2.0\n1.5\n", "line 3 of .* later than the beat before it, at 2.000 s"),
        ("1.0\n1.0\n", "line 2 of .* later than the beat before"),
        ("1.0\n1.01\n", "line 2 of .* 0.06 s later"),
        ("# a\n-1.0\n2.0\n", "line 2 of .* the negative time -1 s"),
        ("1.0\nnan\n", "line 2 of .* finite time, but has nan"),
        ("1.0\n-Infinity\n", "line 2 of .* finite"),
        ("1.0\n1e999\n", "line 2 of .* finite"),
        ("1.0\n" + "9" * 400, "line 2 of .* finite"),
        ("1.0\n31.0\n", "line 2 of .* 31.000 s, but the recording lasts 30.000 s"),
        ("1.0\nverse\n", "line 2 of .* such as 12.345, but has 'verse'"),
        ("1,5\n2,5\n", "line 1 of .* has '1,5'"),
        ("1_0\n2_0\n", "line 1 of .* has '1_0'"),
        ("1.0 one\n2.0 two\n", "line 1 of .* has 'one'"),
        ("1.0 17\n2.0 18\n", "line 1 of .* the place in the bar"),
        ("1.0 " + "9" * 5000 + "\n", "line 1 of .* the place in the bar"),
        ("1.0\t0.5\tintro\n", "line 1 of .* label that ends after its start"),
        (b"\x00\x01\xff\xfe", "not text in UTF-8"),
        ("1.0\n2.0\n".encode("utf-16"), "not text in UTF-8"),
        (b"RIFF\x00\x00WAVE", "line 1 of .* such as 12.345"),
    ],
)
def test_files_that_are_refused(content, expected, file):
    with pytest.raises(UserError, match=expected) as refused:
        read_beats(file(content), DURATION_S)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_huge_file_and_one_that_is_not_there(file, tmp_path, monkeypatch):
    monkeypatch.setattr(beats_file, "MAX_FILE_BYTES", 100)
    with pytest.raises(UserError, match="larger than"):
        read_beats(file("1.0\n" * 26), DURATION_S)
    for path in (tmp_path / "none.beats", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            read_beats(path, DURATION_S)


def test_beats_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        write_beats(made_grid(), tmp_path / "none" / "a.beats")


def text_of(times_s, places=None):
    places = [""] * len(times_s) if places is None else places
    return "".join(f"{t:.6f} {p}\n" for t, p in zip(times_s, places, strict=True))


def test_every_beat_of_the_file_is_a_beat(file):
    times_s = np.concatenate([2.2 + 0.5 * np.arange(12), 15.1 + 0.7 * np.arange(8)])
    grid = grid_of(file(text_of(times_s)))
    found = np.searchsorted(grid.beats_s, times_s - 1e-9)
    np.testing.assert_allclose(grid.beats_s[found], times_s)
    assert (grid.confidence[found] == 1.0).all()
    assert np.count_nonzero(grid.confidence) == len(times_s)
    assert grid.durations_s.max() < 1.1
    assert grid.is_downbeat[found].tolist() == ([True, False, False, False] * 3)[:12] + (
        [True, False, False, False] * 2
    )


def test_bars_are_those_of_the_file_unless_the_user_says_otherwise(file):
    times_s = 0.5 * np.arange(20)
    places = [3, *([1, 2, 3] * 6), 1]
    path = file(text_of(times_s, places))
    grid = grid_of(path, 10.0)
    assert grid.meter == 3
    assert np.flatnonzero(grid.is_downbeat).tolist() == [0, 1, 4, 7, 10, 13, 16, 19]
    grid = grid_of(path, 10.0, meter=4)
    assert np.flatnonzero(grid.is_downbeat).tolist() == [0, 1, 5, 9, 13, 17]
    grid = grid_of(path, 10.0, downbeats_s=(1.0,))
    assert np.flatnonzero(grid.is_downbeat).tolist() == [0, 2, 5, 8, 11, 14, 17]
    some = file(text_of(times_s, ["", "", 1] + [""] * 17))
    assert np.flatnonzero(grid_of(some, 10.0).is_downbeat).tolist() == [0, 2, 6, 10, 14, 18]
    with pytest.raises(UserError, match="nothing is played there"):
        grid_of(file(text_of(times_s)), 30.0, downbeats_s=(25.0,))


def test_a_shift_moves_the_beats_of_the_file(file):
    times_s = np.concatenate([1.0 + 0.5 * np.arange(12), 15.0 + 0.5 * np.arange(8)])
    grid = grid_of(file(text_of(times_s)), shift_beat=True)
    np.testing.assert_allclose(grid.beats_s[grid.confidence > 0], times_s + 0.25)


def test_a_shift_keeps_the_rests_that_the_file_tells(file):
    times_s = [0.0, *(4.0 + 0.5 * np.arange(8)), 8.0, *(8.5 + 0.5 * np.arange(8))]
    places = [0, *([1, 2, 3, 4] * 2), 0, *([1, 2, 3, 4] * 2)]
    grid = grid_of(file(text_of(times_s, places)), 13.0, shift_beat=True)
    shifted_s = np.array(times_s) + np.where(np.array(places) > 0, 0.25, 0.0)
    np.testing.assert_allclose(grid.beats_s, shifted_s)
    assert ((grid.confidence == 0.0) == (np.array(places) == 0)).all()


@pytest.mark.parametrize("last", [20.5, 280.0])
def test_no_beat_of_a_file_with_rests_lasts_for_minutes(last, file):
    times_s = [0.0, 0.5, *(1.0 + 0.5 * np.arange(20)), last]
    places = [0, 0, *([1, 2, 3, 4] * 5), 1]
    grid = grid_of(file(text_of(times_s, places)), 300.0)
    played = grid.confidence > 0.0
    assert grid.durations_s[played].max() <= LONGEST_BEAT_S
    assert np.isin(times_s, grid.beats_s).all()


@pytest.mark.parametrize("label", ["120.0", "0.9", "verse 1", "1.2.3"])
def test_a_label_that_is_no_place_is_a_beat_of_unknown_place(label, file):
    lines = [f"{t}\t{t}\t{label}" for t in (1.0, 1.5, 2.0)]
    given = read_beats(file("\n".join(lines)), DURATION_S)
    assert given.places == (UNKNOWN,) * 3


@pytest.mark.parametrize("name", ["long.beats", "long.labels.txt"])
def test_a_bar_that_is_too_long_for_a_file_can_be_written_and_read(name, file, tmp_path):
    times_s, places = 0.5 * np.arange(40), [1, *([2, 3, 4] * 13)]
    grid = grid_of(file(text_of(times_s, places)))
    write_beats(grid, tmp_path / name)
    again = grid_of(tmp_path / name)
    np.testing.assert_allclose(again.beats_s, grid.beats_s, atol=1e-5)


def test_times_that_are_no_beats(file):
    with pytest.raises(UserError, match=r"typically 8\.0 s apart"):
        grid_of(file(text_of(8.0 * np.arange(4))))


TOKENS = st.sampled_from(
    ["0", "0.1", "1", "1.5", "2.25", "7", "19.999", "29", "1e1", "-1", "nan", "x", "1.1", "3.4"]
)
LINES = st.lists(st.lists(TOKENS, max_size=3).map("\t".join), max_size=8).map("\n".join)
RISING = st.lists(
    st.tuples(st.floats(0.05, 9.0), st.sampled_from(["", "0", "1", "2", "16"])), max_size=40
).map(
    lambda steps: "\n".join(
        f"{t} {p}" for t, (_, p) in zip(np.cumsum([s for s, _ in steps]), steps, strict=True)
    )
)


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(LINES, RISING, st.text(max_size=30)), shift=st.booleans())
@example(content="0.06\n29.9\n", shift=True)
@example(content="0\n0.06\n", shift=True)
@example(content="1\n1.06 0", shift=True)
@example(content="1\n1.06\n1.12 0", shift=True)
def test_any_file_gives_a_grid_or_one_sentence(content, shift, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "odd.beats"
    path.write_text(content, encoding="utf-8", newline="")
    try:
        grid = grid_of(path, shift_beat=shift)
    except UserError:
        return
    assert grid.edges_s[0] == 0.0
    assert grid.edges_s[-1] == DURATION_S
    assert grid.durations_s.min() > 0.02
    assert 1 <= grid.meter <= 16
    assert 1.0 <= grid.tempo_bpm <= 1001.0
    write_beats(grid, path)
    if grid.n_beats > 1 and grid.durations_s.max() <= LONGEST_BEAT_S:
        np.testing.assert_allclose(grid_of(path).beats_s, grid.beats_s, atol=1e-3)
