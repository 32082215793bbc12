"""MIDI files whose notes and beats are known, and damaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from rl_editor.errors import UserError
from rl_editor.score_arrangements import arranged
from rl_editor.scores import DRUMS, EXPRESSION, PROGRAM, excerpt, read_score, stretched
from rl_editor.tests.made_scores import BASS, BEAT_S, MELODY, write_midi

mido = pytest.importorskip("mido")


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    return read_score(write_midi(tmp_path_factory.mktemp("midi") / "made.mid"))


def test_notes_beats_and_bars_are_where_the_file_has_them(score):
    melody = score.notes[score.notes["channel"] == 0]
    assert len(melody) == 64
    np.testing.assert_allclose(melody["start_s"], BEAT_S * (np.arange(64) + 1 / 8))
    np.testing.assert_allclose(melody["end_s"] - melody["start_s"], BEAT_S * 6 / 8)
    assert melody["key"][0] == MELODY[0]
    # The last note ends with the last bar, so one more lets it ring.
    assert score.duration_s == pytest.approx(17 * 4 * BEAT_S)
    np.testing.assert_allclose(score.grid.durations_s, BEAT_S)
    np.testing.assert_allclose(score.bars_s, 4 * BEAT_S * np.arange(18))
    assert score.grid.meter == 4


def test_pedalled_notes_last_until_the_pedal_is_lifted(tmp_path):
    score = read_score(write_midi(tmp_path / "pedal.mid", pedal=True))
    melody = score.notes[score.notes["channel"] == 0]
    np.testing.assert_allclose(melody["end_s"][:4], BEAT_S * (3 + 7 / 8))


def test_silence_before_the_first_bar_is_dropped(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=3, denominator=4)])
    track.append(mido.Message("note_on", note=60, velocity=80, time=480 * 7))
    track.append(mido.Message("note_off", note=60, time=480))
    file.tracks.append(track)
    file.save(tmp_path / "late.mid")
    score = read_score(tmp_path / "late.mid")
    assert score.notes["start_s"][0] == pytest.approx(0.5)
    assert score.duration_s == pytest.approx(1.5)
    assert score.grid.meter == 3


def test_six_eighths_are_two_beats(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=6, denominator=8)])
    for _ in range(12):
        track.append(mido.Message("note_on", note=60, velocity=80))
        track.append(mido.Message("note_off", note=60, time=240))
    file.tracks.append(track)
    file.save(tmp_path / "six.mid")
    score = read_score(tmp_path / "six.mid")
    assert score.grid.meter == 2
    np.testing.assert_allclose(score.grid.durations_s, 0.75)


def test_tempo_changes_move_the_beats(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    for bar in range(4):
        track.append(mido.MetaMessage("set_tempo", tempo=500_000 * (1 + bar % 2)))
        track.append(mido.Message("note_on", note=60, velocity=80))
        track.append(mido.Message("note_off", note=60, time=4 * 480))
    file.tracks.append(track)
    file.save(tmp_path / "tempi.mid")
    np.testing.assert_allclose(read_score(tmp_path / "tempi.mid").bars_s[:5], [0, 2, 6, 8, 12])


def test_an_excerpt_begins_at_zero_with_its_instruments(score):
    part = excerpt(score, 8, 24)
    assert part.duration_s == pytest.approx(16 * BEAT_S)
    melody = part.notes[part.notes["channel"] == 0]
    whole = score.notes[score.notes["channel"] == 0]
    np.testing.assert_array_equal(melody["key"], whole["key"][8:24])
    programs = part.controls[part.controls["kind"] == PROGRAM]
    assert dict(zip(programs["channel"], programs["value"], strict=True)) == {0: 0, BASS: 33}
    assert np.all(part.controls["time_s"] >= 0.0)
    assert np.any(part.controls["kind"] == EXPRESSION)


def test_stretching_multiplies_all_times(score):
    slow = stretched(score, 1.5)
    np.testing.assert_allclose(slow.notes["start_s"], 1.5 * score.notes["start_s"])
    np.testing.assert_allclose(slow.grid.edges_s, 1.5 * score.grid.edges_s)
    assert slow.grid.tempo_bpm == pytest.approx(score.grid.tempo_bpm / 1.5)


def test_arrangements_differ_but_keep_the_rhythm_and_the_drums_keys(score):
    rng = np.random.default_rng(3)
    made = [arranged(score, rng) for _ in range(8)]
    assert len({round(m.duration_s, 3) for m in made}) == 8
    for one in made:
        drums = one.notes[one.notes["channel"] == DRUMS]
        assert set(drums["key"]) <= {36}
        melody = one.notes[one.notes["channel"] == 0]
        np.testing.assert_allclose(np.diff(melody["start_s"]), np.diff(melody["start_s"])[0])
        steps = melody["key"] - score.notes["key"][score.notes["channel"] == 0]
        assert len(set(steps)) == 1
    assert len({int(m.notes["key"][0]) for m in made}) > 3


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF1234", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk"])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "bad.mid"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.mid"):
        read_score(path)


def test_a_file_without_notes_and_a_missing_one_are_named(tmp_path):
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack())
    file.save(tmp_path / "empty.mid")
    with pytest.raises(UserError, match="has none"):
        read_score(tmp_path / "empty.mid")
    with pytest.raises(UserError, match="no such file"):
        read_score(tmp_path / "none.mid")
