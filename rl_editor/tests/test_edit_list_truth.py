"""Corrected edit lists say what is wanted, without aligning anything."""

import dataclasses

import numpy as np
import pytest
import soundfile as sf

from rl_editor.cache import file_sha256
from rl_editor.edit_list_truth import alignment_of, edit_list_truth
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Source, back_to_back, write_edl
from rl_editor.edl_types import timeline_length
from rl_editor.errors import UserError
from rl_editor.materials import Material

SR = 22_050
DURATION_S = 6.0


@pytest.fixture
def raw(tmp_path):
    """Six seconds of noise, silent from 2 to 3."""
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, round(DURATION_S * SR))
    sound[2 * SR : 3 * SR] = 0.0
    sf.write(tmp_path / "take_raw.wav", sound, SR)
    return tmp_path / "take_raw.wav"


def made_list(raw_path, *clips, sha256=None, duration_s=DURATION_S):
    """Return the list of some clips (start, end) or `Clip`, back to back."""
    clips = [clip if isinstance(clip, Clip) else Clip(*clip) for clip in clips]
    placed = back_to_back(clips, SR)
    return EditDecisionList(
        source=Source("take.wav", sha256 or file_sha256(raw_path), SR, 1, duration_s),
        duration_s=timeline_length(placed, SR) / SR,
        clips=placed,
        decisions=(),
        grid=EdlGrid((0.0, 1.0), (0,), 4, 60.0),
    )


def write_list(raw_path, *clips, **source):
    path = raw_path.with_name("take.edl.json")
    write_edl(made_list(raw_path, *clips, **source), path)
    return path


def wanted(truth):
    """Return (start, end, place in the piece) of the wanted segments, s."""
    return [
        pytest.approx((s.start_s, s.end_s, s.piece_start_s), abs=1e-3)
        for s in truth.segments
        if s.wanted
    ]


def test_clips_are_wanted_in_the_order_of_the_list(raw):
    truth = edit_list_truth(raw, write_list(raw, (3.5, 5.0), (0.5, 1.5)))
    assert wanted(truth) == [(0.5, 1.5, 1.5), (3.5, 5.0, 0.0)]
    assert [(c.source_start_s, c.source_end_s) for c in truth.clips] == [(3.5, 5.0), (0.5, 1.5)]
    assert truth.notes == ()
    assert truth.duration_s == DURATION_S
    assert {s.confidence for s in truth.segments} == {1.0}
    silent = [s for s in truth.segments if s.material == Material.SILENCE]
    assert sum(s.end_s - s.start_s for s in silent) == pytest.approx(1.0, abs=0.3)


def test_a_crossfade_is_heard_on_both_sides(raw):
    edl = made_list(raw, (0.5, 1.75), (4.0, 5.0))
    second = dataclasses.replace(edl.clips[1], timeline_start_s=1.0)  # 0.25 s of overlap
    edl = dataclasses.replace(edl, clips=(edl.clips[0], second), duration_s=2.0)
    path = raw.with_name("take.edl.json")
    write_edl(edl, path)
    assert wanted(edit_list_truth(raw, path)) == [(0.5, 1.75, 0.0), (4.0, 5.0, 1.0)]


def test_silence_between_clips_is_told(raw):
    edl = made_list(raw, (0.5, 1.5), (4.0, 5.0))
    second = dataclasses.replace(edl.clips[1], timeline_start_s=2.0)
    edl = dataclasses.replace(edl, clips=(edl.clips[0], second), duration_s=3.0)
    path = raw.with_name("take.edl.json")
    write_edl(edl, path)
    (note,) = edit_list_truth(raw, path).notes
    assert note == "0:01.0 of the edit is silence that is not from this recording."


def test_of_a_passage_heard_twice_the_first_time_counts(raw):
    truth = edit_list_truth(raw, write_list(raw, (4.0, 5.0), (0.0, 1.0), (4.0, 5.0)))
    assert wanted(truth) == [(0.0, 1.0, 1.0), (4.0, 5.0, 0.0)]


def test_speed_changes_the_span_of_the_edit_and_not_of_the_recording(raw):
    clip = Clip(1.0, 2.0, rate=1.25, semitones=2.0, gain_db=-3.0)
    edl = made_list(raw, clip, (3.0, 4.0))
    span, after = alignment_of(edl).spans
    assert (span.raw_start_s, span.raw_end_s) == pytest.approx((1.0, 2.0))
    assert span.edit_end_s == pytest.approx(0.8)
    assert after.edit_start_s == pytest.approx(0.8)
    assert (span.speed, span.pitch_semitones, span.gain_db) == (1.25, 2.0, -3.0)


def test_an_untouched_recording_is_wanted_as_a_whole(raw):
    truth = edit_list_truth(raw, write_list(raw, (0.0, DURATION_S)))
    assert wanted(truth) == [(0.0, DURATION_S, 0.0)]
    assert len(truth.segments) == 1


@pytest.mark.parametrize(
    ("source", "clips", "words"),
    [
        ({"sha256": "ab" * 32}, [(0.0, 1.0)], "a file with other bytes"),
        ({"duration_s": 5.0}, [(0.0, 1.0)], "lasts 0:06.0"),
        ({}, [], "keeps nothing"),
    ],
)
def test_lists_that_do_not_fit_are_refused_by_name(raw, source, clips, words):
    with pytest.raises(UserError, match=rf"take\.edl\.json .*{words}"):
        edit_list_truth(raw, write_list(raw, *clips, **source))
