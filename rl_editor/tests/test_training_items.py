"""What a training folder holds becomes demonstrations, and pieces stay together."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from rl_editor import training_items
from rl_editor.cache import Cache
from rl_editor.config import Config, TrainConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.pairs import find_pairs
from rl_editor.session_files import Origin, read_origin, read_truth, write_session
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import make_session
from rl_editor.tests.made_tasks import SR, made_music, made_track
from rl_editor.tests.test_edit_list_truth import write_list
from rl_editor.training_data import load_training_data
from rl_editor.training_items import (
    Item,
    SessionDraw,
    by_piece,
    demonstrations,
    find_items,
    off_beat_words,
    pair_truth,
    piece_marks,
)
from rl_editor.truth import Segment, Truth

NONE = SessionDraw(0, 0)


def write_made(folder, name, seed, origin=None):
    """Write a session of a few seconds and return its paths."""
    rng, settings = np.random.default_rng(seed), SessionSettings.named("easy")
    session = make_session(made_music(6.0, seed), SR, steady_grid(6.0), rng, settings)
    return write_session(session, folder, name, origin)


def items_of(folder, has_sessions=False):
    return find_items(find_pairs(folder), has_sessions, print)


def test_the_exact_truth_counts_where_it_lies_beside_a_pair(tmp_path, monkeypatch):
    _, _, truth = write_made(tmp_path, "made", 0)
    monkeypatch.setattr(training_items, "aligned_truth", None)
    (item,) = items_of(tmp_path)
    assert item.kind == "session"
    (shown,) = demonstrations(item, NONE, None)
    assert shown.truth == read_truth(truth)
    assert set(shown.confidence) == {1.0}


def test_without_a_truth_the_pair_is_aligned(tmp_path, monkeypatch):
    raw, edit, truth = write_made(tmp_path, "made", 0)
    known = read_truth(truth)
    truth.unlink()
    monkeypatch.setattr(training_items, "aligned_truth", lambda *files: files)
    (item,) = items_of(tmp_path)
    assert item.kind == "pair"
    assert pair_truth(item.pair, None) == (raw, edit, None)
    assert known.duration_s == pytest.approx(sf.info(raw).duration)


def test_a_truth_of_another_recording_is_refused_by_name(tmp_path):
    raw, _, _ = write_made(tmp_path, "made", 0)
    sf.write(raw, made_music(3.0, 5), SR)
    (item,) = items_of(tmp_path)
    with pytest.raises(UserError, match=r"made\.truth\.json should be about"):
        demonstrations(item, NONE, None)


@pytest.mark.parametrize(
    "place", ["input/a.edl.json", "input/a_raw.edl.json", "desired_output/a_edit.edl.json"]
)
def test_a_corrected_list_counts_as_the_edit(tmp_path, place):
    (tmp_path / "input").mkdir()
    (tmp_path / "desired_output").mkdir()
    raw = tmp_path / "input" / "a_raw.wav"
    sf.write(raw, made_music(6.0, 0), SR)
    write_list(raw, (1.0, 4.0)).rename(tmp_path / place)
    (item,) = items_of(tmp_path)
    assert item.kind == "edit list"
    (shown,) = demonstrations(item, NONE, None)
    kept_s = float((shown.wanted * shown.track.grid.durations_s).sum())
    assert kept_s == pytest.approx(3.0, abs=0.01)


def test_a_list_counts_before_a_truth_and_an_edit(tmp_path):
    raw, _, truth = write_made(tmp_path, "made", 0)
    path = write_list(raw, (0.5, 1.5), duration_s=read_truth(truth).duration_s)
    path.rename(raw.with_name("made.edl.json"))
    (item,) = items_of(tmp_path)
    assert item.kind == "edit list"
    wanted = [s for s in pair_truth(item.pair, None).segments if s.wanted]
    assert [(s.start_s, s.end_s) for s in wanted] == [pytest.approx((0.5, 1.5), abs=1e-3)]


def test_lists_and_truths_without_a_recording_are_named(tmp_path):
    raw, _, truth = write_made(tmp_path, "made", 0)
    truth.with_name("lost.truth.json").touch()
    truth.with_name("made_raw.truth.json").touch()
    raw.with_name("made_edited.edl.json").touch()
    problems = find_pairs(tmp_path).problems
    assert len(problems) == 3
    for words in ("lost.truth.json is about no", "same recording", "made_edited.edl.json is about"):
        assert any(words in problem for problem in problems)


def test_marks_that_are_shared_make_one_piece():
    marks = [frozenset(text) for text in ("ab", "c", "d", "cd", "e", "ba")]
    assert by_piece(marks) == [[0, 5], [1, 2, 3], [4]]
    assert by_piece([]) == []


def test_sessions_of_one_track_and_the_track_are_one_piece(tmp_path):
    reference = tmp_path / "reference" / "Song.wav"
    reference.parent.mkdir()
    sf.write(reference, made_music(2.0, 9), SR)
    sha256 = training_items.file_sha256(reference)
    for number, origin in enumerate(
        [Origin("other name", sha256, ""), Origin("song", "ab", ""), Origin("else", "cd", ""), None]
    ):
        write_made(tmp_path, f"x-{number}", number, origin)
    items = items_of(tmp_path, has_sessions=True)
    assert [item.name for item in items] == ["x-0", "x-1", "x-2", "x-3", "Song.wav"]
    assert by_piece(map(piece_marks, items)) == [[0, 1, 4], [2], [3]]


def test_a_recording_that_was_edited_twice_is_one_piece(tmp_path):
    raw, _, truth = write_made(tmp_path, "one", 0)
    truth.unlink()
    raw.with_name("two_raw.wav").write_bytes(raw.read_bytes())
    sf.write(tmp_path / "desired_output" / "two_edit.wav", made_music(2.0, 9), SR)
    assert by_piece(map(piece_marks, items_of(tmp_path))) == [[0, 1]]


@pytest.mark.parametrize(("cut_s", "words"), [(2.0, []), (2.2, ["one: cuts lie off the beats"])])
def test_cuts_of_a_human_edit_that_lie_off_the_beats_are_told(cut_s, words):
    truth = Truth(
        8.0,
        (
            Segment(0.0, cut_s, Material.MUSIC, True, piece_start_s=0.0),
            Segment(cut_s, 8.0, Material.TALK, False),
        ),
    )
    shown = demonstrate(made_track(16, 0), truth)
    said = off_beat_words(Item("pair", "one", Path("one_raw.wav")), [shown])
    assert [line[: len(begin)] for line, begin in zip(said, words, strict=True)] == words
    assert all("9.1% of its length" in line for line in said)
    assert off_beat_words(Item("session", "one", Path("one_raw.wav")), [shown]) == []


def test_training_never_learns_from_a_piece_that_it_is_judged_by(tmp_path):
    for number in range(6):
        piece = f"piece {number % 3}"
        write_made(tmp_path, f"s{number}", number, Origin(piece, piece, ""))
    config = Config(train=TrainConfig(data_dir=str(tmp_path), validation_share=0.34))
    data = load_training_data(config, print)
    assert (len(data.train), len(data.validation)) == (4, 2)
    origins = {}
    for side in ("train", "validation"):
        paths = [task.track.path for task in getattr(data, side)]
        truths = [path.replace("_raw.wav", ".truth.json") for path in paths]
        origins[side] = {read_origin(path).piece for path in truths}
    assert not origins["train"] & origins["validation"]


def test_sessions_made_on_the_fly_are_not_made_again(tmp_path, monkeypatch):
    (tmp_path / "reference").mkdir()
    sf.write(tmp_path / "reference" / "song.wav", made_music(6.0, 1), SR)
    (item,) = items_of(tmp_path, has_sessions=True)
    cache = Cache(tmp_path / "cache")
    first = demonstrations(item, SessionDraw(2, 0), cache)
    monkeypatch.setattr("rl_editor.reference_sessions.make_session", None)
    monkeypatch.setattr("rl_editor.reference_sessions.analyze_signal", None)
    again = demonstrations(item, SessionDraw(2, 0), cache)
    for one, other in zip(first, again, strict=True):
        assert one.truth == other.truth
        assert one.actions == other.actions
        assert np.array_equal(one.track.features, other.track.features)
