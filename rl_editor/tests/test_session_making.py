"""Folders of finished tracks and scores become training pairs with their exact truth."""

import os

import numpy as np
import pytest
import soundfile as sf

from rl_editor import session_making
from rl_editor.cli import main
from rl_editor.errors import UserError
from rl_editor.pairs import find_pairs
from rl_editor.session_files import read_origin, read_truth, session_paths
from rl_editor.session_making import SessionOrder, find_jobs, make_one, read_track
from rl_editor.tests.made_scores import sine_renderer, write_midi, write_soundfont
from rl_editor.tests.made_tasks import made_music

SR = 32_000


@pytest.fixture
def tracks(tmp_path):
    """A folder with one finished track, stereo at 32 kHz."""
    folder = tmp_path / "tracks"
    folder.mkdir()
    write_track(folder / "song.wav", 0)
    return folder


def write_track(path, seed, duration_s=8.0):
    mono = made_music(duration_s, seed, SR)
    # Not "FLOAT": such a file holds the time it was written at, and sessions follow from its bytes.
    sf.write(path, np.concatenate([mono, 0.5 * mono], axis=1), SR, "PCM_24")


def contents(folder):
    """Return the bytes of every file below a folder by its path."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make(tracks, out, *flags):
    return main(["sessions", "make", "--from", str(tracks), "--out", str(out), *flags])


def test_a_session_has_the_rate_of_its_track_and_its_edit_is_the_track(tracks, tmp_path):
    assert make(tracks, tmp_path / "out", "--difficulty", "easy", "--jobs", "1") == 0
    raw, edit, truth = session_paths(tmp_path / "out", "song-easy-s0-01")
    track, _ = sf.read(tracks / "song.wav", always_2d=True)
    edited, sr = sf.read(edit, always_2d=True)
    assert sr == sf.info(raw).samplerate == SR
    assert len(edited) == len(track)
    assert np.corrcoef(edited.mean(axis=1), track.mean(axis=1))[0, 1] > 0.9
    assert read_truth(truth).duration_s * SR == pytest.approx(sf.info(raw).frames)
    assert read_origin(truth).piece == "song"
    listing = find_pairs(tmp_path / "out")
    assert listing.problems == ()
    assert [pair.truth_path for pair in listing.pairs] == [truth]


def test_the_same_seed_gives_the_same_bytes(tracks, tmp_path):
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        make(tracks, tmp_path / out, "--seed", seed, "--jobs", "1")
    first, again, other = (contents(tmp_path / out) for out in "abc")
    assert len(first) == 3
    assert first == again
    assert not set(first.values()) & set(other.values())


@pytest.mark.slow
def test_any_number_of_processes_makes_the_same_files(tracks, tmp_path):
    write_track(tracks / "other.wav", 1)
    for out, jobs in (("a", "1"), ("b", "2")):
        assert make(tracks, tmp_path / out, "--count", "2", "--jobs", jobs) == 0
    made = contents(tmp_path / "a")
    assert made == contents(tmp_path / "b")
    raws = {content for path, content in made.items() if path.name.endswith("_raw.wav")}
    assert (len(made), len(raws)) == (12, 4)


def test_what_is_complete_stays_and_what_is_missing_is_made(tracks, tmp_path, capsys):
    out = tmp_path / "out"
    make(tracks, out, "--count", "2", "--jobs", "1")
    made = contents(out)
    _, edit, truth = session_paths(out, "song-s0-02")
    truth.unlink()  # as an interruption leaves it
    edit.unlink()
    before_ns = {p: p.stat().st_mtime_ns for p in session_paths(out, "song-s0-01")}
    capsys.readouterr()
    assert make(tracks, out, "--count", "2", "--jobs", "1") == 0
    assert "sessions: 1 made, 1 were there, 0 left out" in capsys.readouterr().out
    assert contents(out) == made
    assert {p: p.stat().st_mtime_ns for p in before_ns} == before_ns


def test_files_of_the_user_are_never_replaced(tracks, tmp_path, capsys):
    raw, _, truth = session_paths(tmp_path / "out", "song-s0-01")
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"mine")
    assert make(tracks, tmp_path / "out", "--jobs", "1") == 2
    assert "another file stands there" in capsys.readouterr().out
    assert raw.read_bytes() == b"mine"
    assert not truth.exists()
    assert os.listdir(raw.parent) == [raw.name]


def test_another_track_of_the_same_name_is_told(tracks, tmp_path, capsys):
    out = tmp_path / "out"
    make(tracks, out, "--jobs", "1")
    made = contents(out)
    write_track(tracks / "song.wav", 5)
    assert make(tracks, out, "--jobs", "1") == 2
    assert "is about another one" in capsys.readouterr().out
    assert contents(out) == made


def test_an_interrupted_session_leaves_no_truth(tracks, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("rl_editor.session_files.perfect_edit", interrupt)
    (job,), _ = find_jobs(SessionOrder(tracks, tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        make_one(job)
    assert {p.name for p in contents(tmp_path / "out")} == {"song-s0-01_raw.wav"}


def test_files_that_cannot_be_used_are_named(tracks, tmp_path, capsys):
    write_track(tracks / "song.flac.wav", 1, 2.0)
    (tracks / "broken.wav").write_bytes(b"RIFF")
    (tracks / "notes.txt").touch()
    sf.write(tracks / "SONG.flac", made_music(2.0, 2, SR), SR)
    assert make(tracks, tmp_path / "out", "--jobs", "1") == 0
    printed = capsys.readouterr().out
    for words in ("broken.wav", "notes.txt is not an audio file", "has the same name"):
        assert words in printed
    assert "sessions: 2 made, 0 were there, 1 left out" in printed


def test_surround_becomes_stereo(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, (SR, 6))
    sf.write(tmp_path / "six.wav", sound, SR)
    signal, sr = read_track(tmp_path / "six.wav")
    assert (signal.shape, signal.dtype, sr) == ((SR, 2), np.float32, SR)


def test_pieces_that_are_too_long_are_refused(tracks, monkeypatch):
    monkeypatch.setattr(session_making, "MAX_PIECE_S", 5.0)
    with pytest.raises(UserError, match="cut it into its pieces"):
        read_track(tracks / "song.wav")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--count", "0"], "--count must be at least 1"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--jobs", "0"], "--jobs must be at least 1"),
    ],
)
def test_numbers_out_of_range_are_told(tracks, tmp_path, flags, words, capsys):
    assert make(tracks, tmp_path / "out", *flags) == 2
    assert words in capsys.readouterr().err


def test_folders_without_pieces_are_told(tmp_path, capsys):
    assert make(tmp_path / "none", tmp_path / "out") == 2
    assert "that is not there" in capsys.readouterr().err
    assert make(tmp_path, tmp_path / "out") == 2
    assert "holds neither" in capsys.readouterr().err


@pytest.fixture
def score(tracks, tmp_path, monkeypatch):
    """A score beside the track, and a soundfont of sine waves."""
    pytest.importorskip("mido")
    monkeypatch.setenv("RL_EDITOR_SOUNDFONT", str(write_soundfont(tmp_path / "sine.sf2")))
    return write_midi(tracks / "tune.mid", n_bars=6)


@pytest.fixture
def player(monkeypatch):
    """A player of scores that needs no package and no soundfont."""
    monkeypatch.setattr(session_making, "check_synthesizer", lambda: None)
    monkeypatch.setattr("rl_editor.score_rendering.soundfont_renderer", lambda: sine_renderer)


def test_scores_are_played(score, player, tracks, tmp_path):
    assert make(tracks, tmp_path / "out", "--jobs", "1") == 0
    raw, edit, truth = session_paths(tmp_path / "out", "tune-s0-01")
    assert sf.info(raw).samplerate == 44_100
    assert sf.info(edit).duration == pytest.approx(12.0, rel=0.3)
    assert any(s.wanted for s in read_truth(truth).segments)


def test_a_soundfont_without_an_instrument_of_the_score_is_told(score, tracks, tmp_path, capsys):
    pytest.importorskip("tinysoundfont")
    assert make(tracks, tmp_path / "out", "--jobs", "1") == 0
    assert "has no instrument 33" in capsys.readouterr().out


def test_scores_that_nothing_can_play_are_left_out_in_one_line(
    score, tracks, tmp_path, monkeypatch, capsys
):
    write_midi(tracks / "second.mid", n_bars=6)
    monkeypatch.setenv("RL_EDITOR_SOUNDFONT", str(tmp_path / "none.sf2"))
    assert make(tracks, tmp_path / "out", "--jobs", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("MIDI scores (2)" in line for line in lines) == 1
    assert lines[-1].startswith("sessions: 1 made, 0 were there, 0 left out")


def test_of_a_track_and_a_score_of_one_name_the_track_stays(score, player, tracks, tmp_path):
    score.rename(tracks / "song.mid")
    jobs, problems = find_jobs(SessionOrder(tracks, tmp_path / "out"))
    assert [job.path.name for job in jobs] == ["song.wav"]
    assert len(problems) == 1
    assert "song.mid is left out: song.wav has the same name" in problems[0]
