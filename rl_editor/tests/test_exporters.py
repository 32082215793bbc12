"""Projects hold every clip to the sample, what was cut, and nothing of the user's is lost."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings

from rl_editor.cli import main
from rl_editor.edl import (
    Clip,
    Decision,
    EditDecisionList,
    EdlGrid,
    Source,
    timeline_length,
    write_edl,
)
from rl_editor.errors import UserError
from rl_editor.exporters.ardour import SUPERCLOCKS_PER_S, audio_folder
from rl_editor.exporters.project_files import FORMATS, export, parse_formats
from rl_editor.exporters.reaper import quoted
from rl_editor.exporters.session import needs_file, session_of
from rl_editor.grid import steady_grid
from rl_editor.render import render_array
from rl_editor.tests.test_edl import lists
from rl_editor.units import db_to_gain

SR, LENGTH_S = 8000, 40.0


def decision(time_s, kind, material="MUSIC", reason=""):
    return Decision(0, time_s, kind, "BAR", "NEUTRAL", 0.9, material, reason)


CLIPS = (
    Clip(2.0, 10.0, fade_in_s=0.004, fade_out_s=0.1, fade_out_curve="equal_power"),
    Clip(15.0, 20.0, 7.9, gain_db=-2.0, fade_in_s=0.1, fade_in_curve="equal_power"),
    Clip(22.0, 26.0, 12.9, rate=1.25, eq_low_db=3.0, fade_out_s=0.05),
    Clip(30.0, 33.0, 16.05, reverse=True, gain_db=1.5, fade_in_s=0.05, fade_out_s=0.5),
)
DECISIONS = (
    decision(0.0, "CUT", "TALK", "cut: talk"),
    decision(1.0, "CUT", "COUNT_IN", "cut: count-in"),
    decision(2.0, "KEEP"),
    decision(10.0, "CUT", "FLAWED_TAKE", "cut: flawed take; it is played again"),
    decision(15.0, "KEEP"),
    decision(33.0, "CUT", "NOISE", "cut: noise"),
)


def made_edl(path):
    return EditDecisionList(
        Source(str(path), "", SR, 2, LENGTH_S),
        timeline_length(CLIPS, SR) / SR,
        CLIPS,
        DECISIONS,
        EdlGrid.of(steady_grid(LENGTH_S, 120.0)),
    )


@pytest.fixture
def jam(tmp_path):
    """A recording of noise with its edit list beside it."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (round(LENGTH_S * SR), 2))
    soundfile.write(tmp_path / "jam.wav", noise, SR, "FLOAT")
    write_edl(made_edl(tmp_path / "jam.wav"), tmp_path / "jam_edited.edl.json")
    return tmp_path


def exported(jam, formats):
    edl = made_edl(jam / "jam.wav")
    return edl, export(edl, jam / "jam.wav", parse_formats(formats), jam / "jam_edited.edl.json")


def rpp_blocks(text):
    """Read a REAPER project: a block is (words of its head, lines of words, blocks in it)."""
    root = ([], [], [])
    open_blocks = [root]
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("<"):
            block = (shlex.split(words[1:]), [], [])
            open_blocks[-1][2].append(block)
            open_blocks.append(block)
        elif words == ">":
            open_blocks.pop()
        elif not words.startswith("|"):
            open_blocks[-1][1].append(shlex.split(words))
    assert open_blocks == [root]
    return root[2][0]


def value(block, key):
    return next(line[1:] for line in block[1] if line[0] == key)


def samples(text):
    number = float(text) * SR
    assert number == pytest.approx(round(number), abs=1e-3)
    return round(number)


def test_a_reaper_project_has_each_clip_to_the_sample(jam):
    edl, (path,) = exported(jam, "reaper")
    project = rpp_blocks(path.read_text(encoding="utf-8"))
    assert value(project, "TEMPO") == ["120.000000", "4", "4"]
    kept, cut = (block for block in project[2] if block[0][0] == "TRACK")
    assert (value(kept, "NAME"), value(kept, "MUTESOLO")[0]) == (["Edit"], "0")
    assert (value(cut, "NAME"), value(cut, "MUTESOLO")[0]) == (["Cut"], "1")
    assert len(kept[2]) == len(edl.clips)
    for clip, item in zip(edl.clips, kept[2], strict=True):
        start, end = clip.timeline_samples(SR)
        assert samples(value(item, "POSITION")[0]) == start
        assert samples(value(item, "LENGTH")[0]) == end - start
        assert float(value(item, "VOLPAN")[0]) == pytest.approx(db_to_gain(clip.gain_db))
        assert samples(value(item, "FADEIN")[1]) == round(clip.fade_in_s * SR)
        assert samples(value(item, "FADEOUT")[1]) == round(clip.fade_out_s * SR)
        own = needs_file(clip)
        assert samples(value(item, "SOFFS")[0]) == (0 if own else clip.source_samples(SR)[0])
        named = value(item[2][-1], "FILE")[0]
        assert (path.parent / named).is_file()
        assert named.startswith("jam_edited_audio/") == own
    fades = [value(item, "FADEOUT")[0] for item in kept[2]]
    assert fades == ["1", "0", "0", "0"]


def test_all_that_was_cut_is_on_the_muted_lane_once(jam):
    edl = made_edl(jam / "jam.wav")
    session = session_of(edl, "jam", jam / "jam.wav", {})
    cut = session.lanes[-1]
    assert cut.is_muted
    spans = [(e.file_start / SR, (e.file_start + e.n_samples) / SR) for e in cut.events]
    assert spans == [(0, 1), (1, 2), (10, 15), (20, 22), (26, 30), (33, 40)]
    assert [e.name.split(" 0:")[0] for e in cut.events[:3]] == [
        "cut: talk",
        "cut: count-in",
        "cut: flawed take",
    ]
    assert [e.position / SR for e in cut.events[:3]] == [0.0, 1.0, 8.0]
    assert cut.events[2].reason == "cut: flawed take; it is played again"
    assert all(before.end <= after.position for before, after in pairwise(cut.events))


@settings(deadline=None, max_examples=60)
@given(lists())
def test_lanes_hold_every_clip_and_no_two_of_a_lane_overlap(edl):
    files = {i: Path(f"{i}.wav") for i, clip in enumerate(edl.clips) if needs_file(clip)}
    session = session_of(edl, "any", Path("any.wav"), files)
    sr = edl.source.sample_rate
    assert [(e.position, e.end) for e in session.kept] == sorted(
        clip.timeline_samples(sr) for clip in edl.clips
    )
    for lane in session.lanes:
        assert all(before.end <= after.position for before, after in pairwise(lane.events))
    played = sum(e.n_samples for e in session.lanes[-1].events) / sr
    heard = np.zeros(round(edl.source.duration_s * sr), bool)
    for clip in edl.clips:
        heard[slice(*clip.source_samples(sr))] = True
    assert played == pytest.approx((~heard).sum() / sr, abs=0.02 * (len(edl.clips) + 2))


def test_an_otio_timeline_has_each_clip_to_the_sample(jam):
    edl, (path,) = exported(jam, "otio")
    timeline = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for track in timeline["tracks"]["children"]:
        position = 0
        for child in track["children"]:
            length = child["source_range"]["duration"]["value"]
            if child["OTIO_SCHEMA"] == "Clip.2" and track["enabled"]:
                found.append((position, position + length, child))
            position += length
    found.sort(key=lambda one: one[0])
    for clip, (start, end, child) in zip(edl.clips, found, strict=True):
        assert (start, end) == clip.timeline_samples(SR)
        notes = child["metadata"]["rl_editor"]
        assert notes["gain_db"] == clip.gain_db
        assert notes["fade_in_samples"] == round(clip.fade_in_s * SR)
        assert child["source_range"]["start_time"]["rate"] == SR
        media = child["media_references"]["DEFAULT_MEDIA"]
        assert (
            soundfile.info(path.parent / media["target_url"]).frames
            == (media["available_range"]["duration"]["value"])
        )
    assert [t["enabled"] for t in timeline["tracks"]["children"]] == [True, True, False]


def test_a_dawproject_has_each_clip_at_its_level(jam):
    edl, (path,) = exported(jam, "dawproject")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["project.xml", "metadata.xml"]
        project = ElementTree.fromstring(archive.read("project.xml"))
    channels = {
        track.get("id"): track.find("Channel") for track in project.findall("Structure/Track")
    }
    found = []
    for lane in project.findall("Arrangement/Lanes/Lanes"):
        channel = channels[lane.get("track")]
        if channel.find("Mute").get("value") == "false":
            level = float(channel.find("Volume").get("value"))
            found += [(level, clip) for clip in lane.findall("Clips/Clip")]
    found.sort(key=lambda one: float(one[1].get("time")))
    for clip, (level, element) in zip(edl.clips, found, strict=True):
        start, end = clip.timeline_samples(SR)
        assert level == pytest.approx(db_to_gain(clip.gain_db))
        assert samples(element.get("time")) == start
        assert samples(element.get("duration")) == end - start
        assert samples(element.get("fadeInTime")) == round(clip.fade_in_s * SR)
        assert samples(element.get("fadeOutTime")) == round(clip.fade_out_s * SR)
        assert (path.parent / element.find("Audio/File").get("path")).is_file()


def ardour_regions(root):
    """Return (sources, start, length, position, gain) in samples of each region that is heard."""
    muted = {
        route.get("audio-playlist"): route.find("MuteMaster").get("muted") == "1"
        for route in root.findall("Routes/Route")
        if route.get("audio-playlist")
    }
    unit = SR / SUPERCLOCKS_PER_S
    found = []
    for playlist in root.findall("Playlists/Playlist"):
        if muted[playlist.get("id")]:
            continue
        for region in playlist.findall("Region"):
            length, position = (float(part[1:]) * unit for part in region.get("length").split("@"))
            start = float(region.get("start")[1:]) * unit
            level = float(region.get("scale-amplitude"))
            found.append((position, length, start, level, region))
    return sorted(found, key=lambda one: one[0])


def test_an_ardour_session_has_each_clip_to_the_sample_and_its_audio(jam):
    edl, (folder,) = exported(jam, "ardour")
    assert folder.name == "jam_edited_ardour"
    root = ElementTree.parse(folder / "jam_edited.ardour").getroot()
    audio = audio_folder(folder, "jam_edited")
    sources = {s.get("id"): (s.get("name"), s.get("channel")) for s in root.findall("Sources/*")}
    assert {name for name, _ in sources.values()} == {file.name for file in audio.iterdir()}
    for clip, found in zip(edl.clips, ardour_regions(root), strict=True):
        position, length, start, level, region = found
        first, last = clip.timeline_samples(SR)
        assert (position, length) == (first, last - first)
        assert start == (0 if needs_file(clip) else clip.source_samples(SR)[0])
        assert level == pytest.approx(db_to_gain(clip.gain_db))
        assert [sources[region.get(f"source-{c}")][1] for c in (0, 1)] == ["0", "1"]
        for tag, fade_s in (("FadeIn", clip.fade_in_s), ("FadeOut", clip.fade_out_s)):
            events = region.findtext(f"{tag}/AutomationList/events", "").split("\n")[1:-1]
            assert bool(events) == bool(fade_s)
            if events:
                assert int(events[-1].split()[0]) == round(fade_s * SR)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert max(map(int, ids)) < int(root.get("id-counter"))


@pytest.mark.slow
@pytest.mark.parametrize(("sr", "channels"), [(48000, 2), (44100, 1)])
def test_ardour_renders_what_we_render(tmp_path, sr, channels):
    program = shutil.which("ardour7-export") or shutil.which("ardour8-export")
    if program is None:
        pytest.skip("Ardour's ardour7-export is not installed")
    clips = (
        Clip(2.0, 10.0, fade_in_s=0.05, fade_out_s=0.1, fade_out_curve="equal_power"),
        Clip(
            15.0, 20.0, 7.9, gain_db=-2.0, fade_in_s=0.1, fade_in_curve="equal_power",
            fade_out_s=1.0, fade_out_curve="convex",
        ),
        Clip(22.0, 26.0, 12.9, reverse=True, gain_db=1.5, fade_in_s=0.03, fade_out_s=0.5,
             fade_out_curve="s"),
    )  # fmt: skip
    noise = np.random.default_rng(0).normal(0.0, 0.1, (round(LENGTH_S * sr), channels))
    noise = noise.astype(np.float32)
    soundfile.write(tmp_path / "jam.wav", noise, sr, "FLOAT")
    edl = EditDecisionList(
        Source("jam.wav", "", sr, channels, LENGTH_S),
        timeline_length(clips, sr) / sr,
        clips,
        DECISIONS,
        EdlGrid.of(steady_grid(LENGTH_S, 120.0)),
    )
    (folder,) = export(edl, tmp_path / "jam.wav", ["ardour"], tmp_path / "jam_edited.wav")
    output = tmp_path / "ardour.wav"
    call = [program, "-b", "float", "-s", str(sr), "-o", str(output), str(folder), "jam_edited"]
    subprocess.run(call, check=True, capture_output=True, timeout=120)
    heard, rate = soundfile.read(output, dtype="float32", always_2d=True)
    expected = render_array(edl, noise)
    assert (rate, len(heard)) == (sr, len(expected))
    residual = heard[:, :channels] - expected
    assert 20.0 * np.log10(residual.std() / expected.std()) < -80.0


def test_the_lanes_of_a_bundle_add_up_to_the_track(jam):
    edl, (folder,) = exported(jam, "bundle")
    audio, _ = soundfile.read(jam / "jam.wav", dtype="float32")
    lanes = [soundfile.read(folder / f"Edit_{x}.wav", dtype="float32")[0] for x in "AB"]
    np.testing.assert_allclose(sum(lanes), render_array(edl, audio), atol=2e-6)
    assert {len(lane) for lane in lanes} == {round(edl.duration_s * SR)}
    cut, _ = soundfile.read(folder / "Cut.wav", dtype="float32")
    np.testing.assert_array_equal(cut[8 * SR : 13 * SR], audio[10 * SR : 15 * SR])
    assert (folder / "tracks.lof").read_text().splitlines() == [
        f'file "{name}.wav" offset 0' for name in ("Edit_A", "Edit_B", "Cut")
    ]
    labels = [line.split("\t") for line in (folder / "labels.txt").read_text().splitlines()]
    assert [float(line[0]) for line in labels] == [clip.timeline_start_s for clip in edl.clips]
    with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["lane"] for row in rows].count("Cut") == 6
    assert sorted(row["speed"] for row in rows)[-1] == "1.25"
    assert {row["backwards"] for row in rows} == {"0", "1"}


def test_processed_clips_are_files_without_gain_and_fades(jam):
    exported(jam, "reaper")
    files = sorted((jam / "jam_edited_audio").iterdir())
    assert [file.name for file in files] == ["clip003.wav", "clip004.wav"]
    audio, _ = soundfile.read(jam / "jam.wav", dtype="float32")
    backwards, _ = soundfile.read(files[1], dtype="float32")
    np.testing.assert_array_equal(backwards, audio[30 * SR : 33 * SR][::-1])
    assert len(soundfile.read(files[0])[0]) == round(4 * SR / 1.25)


def test_what_exists_stays(jam):
    _, first = exported(jam, "reaper,otio,dawproject,ardour,bundle")
    before = {path: path.read_bytes() for path in first if path.is_file()}
    _, second = exported(jam, "reaper,otio,dawproject,ardour,bundle")
    assert not set(first) & set(second)
    assert [path.name for path in second] == [
        "jam_edited-2.rpp",
        "jam_edited-2.otio",
        "jam_edited-2.dawproject",
        "jam_edited-2_ardour",
        "jam_edited-2_tracks",
    ]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not [path for path in jam.iterdir() if path.name.startswith(".rl_editor-")]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be written")
def test_a_folder_that_cannot_be_written_is_told(jam):
    jam.chmod(0o500)
    try:
        with pytest.raises(UserError, match="choose another place"):
            exported(jam, "reaper")
    finally:
        jam.chmod(0o700)


def test_the_command_finds_the_recording_beside_the_list(jam, capsys, monkeypatch):
    monkeypatch.chdir(jam.parent)
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "reaper, otio"]) == 0
    told = capsys.readouterr().out.split("\n")
    assert told[:2] == [f"wrote {jam / 'jam_edited.rpp'}", f"wrote {jam / 'jam_edited.otio'}"]
    (jam / "jam.wav").rename(jam / "other.wav")
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "otio"]) == 2
    assert "jam.wav, but does not; name it with --recording" in capsys.readouterr().err
    named = ["--recording", str(jam / "other.wav"), "--output", str(jam / "mine.otio")]
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "otio", *named]) == 0
    assert (jam / "mine.otio").is_file()


def test_bad_wishes_are_one_sentence(jam, capsys):
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "logic"]) == 2
    assert "reaper, otio, dawproject, ardour, bundle, but not to 'logic'" in capsys.readouterr().err
    soundfile.write(jam / "jam.wav", np.zeros((SR, 1)), SR)
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "otio"]) == 2
    assert "a recording of 2 channels at 8000 Hz, but" in capsys.readouterr().err
    soundfile.write(jam / "jam.wav", np.zeros((SR, 2)), SR)
    assert main(["export", str(jam / "jam_edited.edl.json"), "--to", "otio"]) == 2
    assert "needs 33.0 s of recording" in capsys.readouterr().err
    assert not (jam / "jam_edited.otio").exists()


def test_a_recording_that_is_a_little_shorter_than_the_list_says_will_do(jam):
    audio, _ = soundfile.read(jam / "jam.wav")
    soundfile.write(jam / "jam.wav", audio[:-400], SR, "FLOAT")
    _, (folder, path) = exported(jam, "ardour,otio")
    assert soundfile.info(audio_folder(folder, "jam_edited") / "jam.wav").frames == 40 * SR - 400
    timeline = json.loads(path.read_text(encoding="utf-8"))
    last = timeline["tracks"]["children"][-1]["children"][-1]["source_range"]
    assert last["start_time"]["value"] + last["duration"]["value"] == 40 * SR - 400


def test_names_with_quotes_and_lines_stay_one_word():
    for name in ("plain", 'a "b"', "it's", "a\nb"):
        assert shlex.split(quoted(name)) == [name.replace("\n", " ")]
    assert quoted("a \"b\" 'c' `d`") == "\"a 'b' 'c' `d`\""


@pytest.mark.slow
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(lists())
def test_other_programs_read_random_lists_sample_for_sample(edl):
    otio = pytest.importorskip("opentimelineio")
    rpp = pytest.importorskip("rpp")
    sr, folder = edl.source.sample_rate, Path("/nowhere")
    files = {i: folder / f"{i}.wav" for i, clip in enumerate(edl.clips) if needs_file(clip)}
    session = session_of(edl, "any", folder / "any.wav", files)
    expected = sorted(clip.timeline_samples(sr) for clip in edl.clips)
    timeline = otio.adapters.read_from_string(
        FORMATS["otio"].content(session, folder).decode(), "otio_json"
    )
    again = otio.adapters.read_from_string(
        otio.adapters.write_to_string(timeline, "otio_json"), "otio_json"
    )
    assert again.is_equivalent_to(timeline)
    ranges = [clip.range_in_parent() for t in again.tracks if t.enabled for clip in t.find_clips()]
    found = [(r.start_time.value, r.end_time_exclusive().value) for r in ranges]
    assert sorted(found) == expected
    project = rpp.loads(FORMATS["reaper"].content(session, folder).decode())
    items = project.findall("TRACK")[0].findall("ITEM")
    places = [(float(i.find("POSITION")[1]), float(i.find("LENGTH")[1])) for i in items]
    assert [(round(p * sr), round(p * sr) + round(n * sr)) for p, n in places] == expected


@pytest.mark.slow
def test_a_dawproject_is_valid(jam):
    xmlschema = pytest.importorskip("xmlschema")
    schema = os.environ.get("RL_EDITOR_DAWPROJECT_XSD")
    if not schema:
        pytest.skip("RL_EDITOR_DAWPROJECT_XSD names the Project.xsd that the format publishes")
    _, (path,) = exported(jam, "dawproject")
    with zipfile.ZipFile(path) as archive:
        xmlschema.XMLSchema(schema).validate(archive.read("project.xml").decode())
