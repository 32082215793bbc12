"""The benchmark of beat trackers scores what is right as right, and tells what is not."""

import struct

import numpy as np
import pytest
import soundfile

pytest.importorskip("mir_eval")
beats = pytest.importorskip("benchmarks.beats", reason="part of a checkout only")
from benchmarks.beat_pieces import (  # noqa: E402
    Piece,
    files_of_known_tempo,
    listed_tempi,
    midi_beats,
)

SR = beats.SR


def silent_piece(beats_s, duration_s, stretches_s=None):
    signal = np.zeros(round(duration_s * SR), dtype=np.float32)
    return Piece("made", lambda: signal, 120.0, beats_s, beats_s[::4], stretches_s)


def scores_of(piece, found):
    return beats.score(piece, piece.signal(), lambda signal: found)[0]


def test_the_truth_scores_one_and_half_a_beat_late_only_in_the_lenient_measure():
    beats_s = np.arange(0.0, 60.0, 0.5)
    piece = silent_piece(beats_s, 60.0)
    right = scores_of(piece, beats.Tracked(120.0, beats_s, beats_s[::4]))
    assert (right.tempo, right.octave) == (1.0, 1.0)
    assert [right.f_measure, right.cmlt, right.amlt, right.downbeat_f] == pytest.approx([1.0] * 4)
    assert np.isnan(right.restarts)
    late = scores_of(piece, beats.Tracked(120.0, beats_s + 0.25, beats_s[::4] + 0.25))
    assert (late.f_measure, late.cmlt, late.downbeat_f) == (0.0, 0.0, 0.0)
    assert late.amlt > 0.9
    double = scores_of(piece, beats.Tracked(240.0, np.arange(0.0, 60.0, 0.25), None))
    assert (double.tempo, double.octave) == (0.0, 1.0)
    assert np.isnan(double.downbeat_f)
    nothing = scores_of(piece, beats.Tracked(120.0, np.zeros(0), np.zeros(0)))
    assert (nothing.f_measure, nothing.downbeat_f) == (0.0, 0.0)  # heard none where some are


def test_in_sessions_only_beats_inside_the_stretches_count():
    beats_s = np.concatenate([np.arange(2.0, 10.0, 0.5), np.arange(20.3, 30.0, 0.5)])
    stretches_s = np.array([[2.0, 10.0], [20.3, 30.0]])
    piece = silent_piece(beats_s, 40.0, stretches_s)
    between_s = np.arange(11.0, 19.0, 0.5)
    found_s = np.sort(np.concatenate([beats_s, between_s]))
    scores = scores_of(piece, beats.Tracked(120.0, found_s, beats_s[::4]))
    assert (scores.f_measure, scores.restarts) == (1.0, 1.0)
    assert np.isnan(scores.amlt)
    # the second stretch is counted on in the phase of the first for three beats
    lost = (beats_s > 20.0) & (beats_s < 21.5)
    late_s = np.sort(np.concatenate([beats_s[~lost], beats_s[lost] + 0.2]))
    assert scores_of(piece, beats.Tracked(120.0, late_s, beats_s[::4])).restarts == 0.5


def test_means_are_over_the_pieces_that_know_a_score():
    unknown = float("nan")
    one = beats.Scores(1.0, 1.0, 0.5, unknown, unknown, unknown, unknown, 0.2)
    other = beats.Scores(0.0, 1.0, 0.7, 0.4, unknown, unknown, unknown, 0.4)
    mean = beats.means([one, other])
    assert mean[:4] == pytest.approx((0.5, 1.0, 0.6, 0.4))
    assert mean.cpu_s_per_minute == pytest.approx(0.3)
    assert "AMLt" not in beats.line(mean)


def write_tempo_map(path):
    events = b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big")
    events += b"\x81\x40\xff\x51\x03" + (250_000).to_bytes(3, "big") + b"\x00\xff\x2f\x00"
    track = b"MTrk" + struct.pack(">I", len(events)) + events
    path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + track)


def test_tempo_maps_and_lists_of_tempi_are_read(tmp_path):
    midi = tmp_path / "notes.mid"
    write_tempo_map(midi)
    assert midi_beats(midi, 2.0).tolist() == [0.0, 0.5, 1.0, 1.25, 1.5, 1.75]
    (tmp_path / "LICENSE-MUSIC").write_text("a_1.opus  123 bpm\nb.opus 68.5 bpm\n")
    assert listed_tempi(tmp_path) == {"a_1.opus": 123.0, "b.opus": 68.5}


def test_the_stems_of_a_song_are_heard_together(tmp_path):
    song = tmp_path / "one song"
    song.mkdir()
    write_tempo_map(song / "notes.mid")
    rng = np.random.default_rng(0)
    band, guitar = (0.1 * rng.normal(size=n * SR) for n in (4, 3))
    soundfile.write(song / "song.wav", band, SR, subtype="FLOAT")
    soundfile.write(song / "guitar.wav", guitar, SR, subtype="FLOAT")
    (piece,) = files_of_known_tempo(tmp_path, 3.5)
    heard = piece.signal()
    assert piece.name == "one song"
    assert len(heard) == 3.5 * SR
    np.testing.assert_allclose(heard[: 3 * SR], band[: 3 * SR] + guitar, atol=1e-6)
    np.testing.assert_allclose(heard[3 * SR :], band[3 * SR : len(heard)], atol=1e-6)
