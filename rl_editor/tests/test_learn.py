"""Corrected projects come back as edit lists beside their recordings."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.cli import main
from rl_editor.corrected_projects import _otio_clips, _reaper_clips, read_corrected
from rl_editor.edit_list_truth import edit_list_truth
from rl_editor.edl import (
    Clip,
    EditDecisionList,
    EdlGrid,
    Source,
    read_edl,
    timeline_length,
    write_edl,
)
from rl_editor.errors import UserError
from rl_editor.exporters.project_files import export
from rl_editor.grid import steady_grid
from rl_editor.pairs import find_pairs

SR, LENGTH_S = 8000, 40.0
CLIPS = (
    Clip(2.0, 10.0, fade_in_s=0.004, fade_out_s=0.1, fade_out_curve="equal_power"),
    Clip(15.0, 20.0, 7.9, gain_db=-2.0, fade_in_s=0.1, fade_in_curve="equal_power"),
    Clip(5.0, 8.5, 12.9, fade_out_s=0.5, fade_out_curve="s"),
)


@pytest.fixture
def jam(tmp_path):
    """A recording with an edit list, and projects of it."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (round(LENGTH_S * SR), 2))
    soundfile.write(tmp_path / "jam.wav", noise, SR, "FLOAT")
    edl = EditDecisionList(
        Source("jam.wav", "", SR, 2, LENGTH_S),
        timeline_length(CLIPS, SR) / SR,
        CLIPS,
        (),
        EdlGrid.of(steady_grid(LENGTH_S, 120.0)),
    )
    write_edl(edl, tmp_path / "jam_edited.edl.json")
    export(edl, tmp_path / "jam.wav", ["reaper", "otio"], tmp_path / "jam_edited.wav")
    return tmp_path


def learn(jam, project, *arguments):
    data = ["--data_dir", str(jam / "data"), *arguments]
    return main(["learn", str(jam / project), "--recording", str(jam / "jam.wav"), *data])


def samples_of(clips):
    return [(*clip.source_samples(SR), *clip.timeline_samples(SR)) for clip in clips]


@pytest.mark.parametrize("project", ["jam_edited.rpp", "jam_edited.otio", "jam_edited.edl.json"])
def test_what_was_exported_comes_back_to_the_sample(jam, project, capsys):
    assert learn(jam, project) == 0
    assert "clips        3" in capsys.readouterr().out
    raw, listed = jam / "data/input/jam_raw.wav", jam / "data/input/jam.edl.json"
    assert raw.read_bytes() == (jam / "jam.wav").read_bytes()
    edl = read_edl(listed)
    assert samples_of(edl.clips) == samples_of(CLIPS)
    for clip, expected in zip(edl.clips, CLIPS, strict=True):
        assert clip.gain_db == pytest.approx(expected.gain_db, abs=1e-6)
        assert clip.fade_in_s == pytest.approx(expected.fade_in_s, abs=1e-6)
        assert clip.fade_out_s == pytest.approx(expected.fade_out_s, abs=1e-6)
    assert edl.clips[0].fade_out_curve == "equal_power"
    truth = edit_list_truth(raw, listed)
    wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
    assert wanted_s == pytest.approx(8.0 + 5.0, abs=0.2)  # one passage is heard twice
    (pair,) = find_pairs(jam / "data").pairs
    assert pair.name == "jam"


def test_what_was_changed_in_the_workstation_is_learnt(jam):
    project = jam / "jam_edited.rpp"
    text = project.read_text()
    first, second, *rest = text.split("    <ITEM\n")
    second = second.replace("LENGTH 8.000000000", "LENGTH 6.5")
    second = second.replace("PLAYRATE 1 1 0", "PLAYRATE 1.25 1 2")
    muted = rest[0].replace("MUTE 0 0", "MUTE 1 0")
    other = rest[1].replace("jam.wav", "guitar.wav")
    project.write_text("    <ITEM\n".join([first, second, muted, other, *rest[1:]]))
    found = read_corrected(project, jam / "jam.wav")
    assert found.other_clips == 1
    assert samples_of(found.clips)[0] == (2 * SR, round((2 + 6.5 * 1.25) * SR), 0, 6.5 * SR)
    assert (found.clips[0].rate, found.clips[0].semitones) == (1.25, 2.0)
    assert len(found.clips) == 1


def test_muted_tracks_are_not_heard(jam):
    project = jam / "jam_edited.rpp"
    text = project.read_text()
    project.write_text(text.replace("MUTESOLO 0 0 0", "MUTESOLO 1 0 0"))
    with pytest.raises(UserError, match="on a track that is not muted"):
        read_corrected(project, jam / "jam.wav")


def test_an_older_timeline_with_another_program_s_fields_is_read(jam):
    timeline = json.loads((jam / "jam_edited.otio").read_text())
    for track in timeline["tracks"]["children"]:
        for child in track["children"]:
            if child["OTIO_SCHEMA"] == "Clip.2":
                child["OTIO_SCHEMA"] = "Clip.1"
                media = child.pop("media_references")["DEFAULT_MEDIA"]
                media["target_url"] = "file:///C:/My%20Music/JAM.WAV"
                child["media_reference"], child["metadata"] = media, None
                child["effects"] = [{"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": 0.5}]
        track["children"].insert(0, {"OTIO_SCHEMA": "Transition.1"})
    (jam / "other.otio").write_text(json.dumps(timeline))
    clips = read_corrected(jam / "other.otio", jam / "jam.wav").clips
    assert [clip.rate for clip in clips] == [0.5] * 3
    assert [clip.timeline_start_s for clip in clips] == pytest.approx([0.0, 7.9, 12.9])
    assert clips[0].source_end_s == pytest.approx(6.0)


def test_what_lies_beyond_the_recording_is_cut_off(jam):
    text = (jam / "jam_edited.rpp").read_text()
    (jam / "jam_edited.rpp").write_text(text.replace("SOFFS 15.000000000", "SOFFS 38.0"))
    assert learn(jam, "jam_edited.rpp") == 0
    clip = read_edl(jam / "data/input/jam.edl.json").clips[1]
    assert (clip.source_start_s, clip.source_end_s) == (38.0, 40.0)


def test_an_earlier_correction_stays_until_it_is_to_be_replaced(jam, capsys):
    assert learn(jam, "jam_edited.rpp") == 0
    before = (jam / "data/input/jam.edl.json").read_bytes()
    assert learn(jam, "jam_edited.otio") == 2
    assert "--replace puts this one" in capsys.readouterr().err
    assert (jam / "data/input/jam.edl.json").read_bytes() == before
    assert learn(jam, "jam_edited.otio", "--replace") == 0
    soundfile.write(jam / "jam.wav", np.zeros((round(LENGTH_S * SR), 2)), SR, "FLOAT")
    assert learn(jam, "jam_edited.rpp") == 0  # another recording of that name
    assert (jam / "data/input/jam-2_raw.wav").is_file()
    assert (jam / "data/input/jam-2.edl.json").is_file()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.als", "", "should be a .rpp, .otio or .edl.json"),
        ("a.rpp", "", "cannot be read as a project"),
        ("a.rpp", "<REAPER_PROJECT 0.1\n", "no whole REAPER project"),
        ("a.rpp", "<REAPER_PROJECT 0.1\n>\n>\n", "ends that did not begin"),
        ("a.rpp", "<A\n" * 100, "too deep"),
        ("a.otio", "{", "cannot be read as a project"),
        ("a.otio", "[" * 100_000, "cannot be read as a project"),
        ("a.otio", '{"OTIO_SCHEMA": "Clip.2"}', "no timeline"),
        ("a.otio", '{"OTIO_SCHEMA": "Timeline.1", "tracks": {"children": []}}', "should play jam"),
    ],
)
def test_a_damaged_project_is_one_sentence(jam, name, content, words, capsys):
    (jam / name).write_text(content)
    assert learn(jam, name) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not (jam / "data").exists()


def test_a_list_of_another_recording_is_refused(jam, capsys):
    edl = read_edl(jam / "jam_edited.edl.json")
    write_edl(replace(edl, source=replace(edl.source, sha256="0" * 64)), jam / "x.edl.json")
    assert learn(jam, "x.edl.json") == 2
    assert "of another recording" in capsys.readouterr().err


@settings(deadline=None, max_examples=300)
@given(
    st.text(alphabet="<>| \"\n`'1290.-SOURCEFILETRACKITEMPOSITIONLENGTHWAVEeinf", max_size=200),
    st.integers(0, 60),
)
def test_no_text_breaks_the_readers(text, place):
    whole = (
        "<REAPER_PROJECT\n<TRACK\n<ITEM\nLENGTH 1\nPLAYRATE 1 1 0\n"
        '<SOURCE WAVE\nFILE "a.wav"\n>\n>\n>\n>\n'
    )
    for reader, content in (
        (_reaper_clips, whole[:place] + text + whole[place:]),
        (_otio_clips, text),
    ):
        try:
            placed = list(reader(content))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            continue
        assert all(np.isfinite(one.clip.source_end_s) for one in placed)
