"""Whole edits of tagged recordings: what of title, artist, cover and the rest arrives."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from rl_editor.audio import probe
from rl_editor.cli import infer_main, main
from rl_editor.conversion import OutputFormat
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Source, back_to_back, write_edl
from rl_editor.grid import steady_grid
from rl_editor.infer import edit
from rl_editor.render import render
from rl_editor.tag_reader import read_tags
from rl_editor.tags import MAX_PICTURE_BYTES, Picture, Tags
from rl_editor.tests.made_editor import write_groove
from rl_editor.tests.made_tags import FIELDS, FORMATS, SR, TAGS, noise, samples, write_tagged


def keep_all(path):
    info = probe(path)
    clips = back_to_back([Clip(0.0, info.duration_s)], info.sample_rate)
    return EditDecisionList(
        source=Source(str(path), "", info.sample_rate, info.channels, info.duration_s),
        duration_s=info.duration_s,
        clips=clips,
        decisions=(),
        grid=EdlGrid.of(steady_grid(info.duration_s)),
    )


def tags_of(path):
    return read_tags(probe(path))


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_from_every_format_to_every_format(source, target, tmp_path):
    recording = write_tagged(tmp_path / f"in{source}")
    result = render(keep_all(recording), recording, tmp_path / f"out{target}")
    found = tags_of(result.path)
    assert sorted(found.fields) == sorted(FIELDS)
    assert found.cover == TAGS.cover
    assert result.notes == ()
    assert probe(result.path).n_samples == result.n_samples == 30_000


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_an_edit_that_keeps_everything_keeps_every_sample(subtype, tmp_path):
    recording = write_tagged(tmp_path / "in.wav", subtype=subtype)
    made = render(keep_all(recording), recording, tmp_path / "out.wav", chapters=True).path
    np.testing.assert_array_equal(
        *(soundfile.read(p, dtype="float64")[0] for p in (recording, made))
    )
    assert soundfile.info(made).subtype == subtype


def test_the_length_is_that_of_the_list_at_another_rate_too(tmp_path):
    recording = write_tagged(tmp_path / "in.wav")
    wanted = OutputFormat(sample_rate=44_100)
    result = render(keep_all(recording), recording, tmp_path / "out.flac", output_format=wanted)
    assert len(samples(result.path)) == result.n_samples == round(30_000 * 44_100 / SR)


def test_what_held_for_the_recording_alone_stays_behind(tmp_path):
    stale = (
        ("REPLAYGAIN_TRACK_GAIN", "-6.20 dB"),
        ("R128_TRACK_GAIN", "-512"),
        ("ENCODER", "some encoder 1.0"),
        ("CHAPTER001", "00:00:00.000"),
        ("CHAPTER001NAME", "old"),
    )
    recording = write_tagged(tmp_path / "in.flac", Tags((*stale, ("TITLE", "Song"))))
    made = render(keep_all(recording), recording, tmp_path / "out.ogg").path
    assert tags_of(made).fields == (("TITLE", "Song"),)
    content = made.read_bytes()
    assert not any(name.encode() in content for name, _ in stale[:4])
    assert b"some encoder" not in content


def test_a_result_that_had_to_be_made_again_has_its_tags(tmp_path):
    recording = write_tagged(tmp_path / "in.wav")
    louder = replace(keep_all(recording).clips[0], gain_db=20.0)
    result = render(replace(keep_all(recording), clips=(louder,)), recording, tmp_path / "out.wav")
    assert result.gain_applied_db < 0.0
    assert tags_of(result.path).values("TITLE") == TAGS.values("TITLE")


def test_a_cover_that_is_too_large_is_told_in_one_line(tmp_path):
    big = Picture("image/jpeg", b"\xff\xd8\xff" + bytes(MAX_PICTURE_BYTES))
    recording = write_tagged(tmp_path / "in.mp3", Tags((("TITLE", "Song"),), big))
    result = render(keep_all(recording), recording, tmp_path / "out.mp3")
    assert result.notes == (
        "of the recording's tags not carried over: the cover, larger than 10 MB",
    )
    assert tags_of(result.path).fields == (("TITLE", "Song"),)


def test_the_command_carries_tags_over_and_writes_chapters(tmp_path, checkpoints, capsys):
    plain = write_groove(tmp_path / "plain.wav", duration_s=4.0)
    audio = soundfile.read(plain, dtype="float32", always_2d=True)[0]
    recording = write_tagged(tmp_path / "in.flac", audio=audio)
    output = tmp_path / "out.mp3"
    command = [str(recording), "--output", str(output), "--checkpoint", checkpoints["keep"]]
    assert infer_main([*command, "--chapters"]) == 0
    assert "chapters     1" in capsys.readouterr().out.splitlines()
    assert tags_of(output).values("TITLE") == TAGS.values("TITLE")
    assert b"CTOC" in output.read_bytes()
    made = edit(recording, tmp_path / "plain.flac", checkpoint=checkpoints["keep"])
    assert made.chapters == ()
    assert b"CHAPTER" not in made.output_path.read_bytes()


def test_rendering_a_list_again_does_so_too(tmp_path, capsys):
    recording = write_tagged(tmp_path / "in.ogg", audio=noise(40 * 8000, 1)[:, [0, 0]])
    length_s = probe(recording).duration_s
    write_edl(keep_all(recording), tmp_path / "in.edl.json")
    command = ["render", str(tmp_path / "in.edl.json"), str(recording), "--chapters", "--output"]
    assert main([*command, str(tmp_path / "out.flac")]) == 0
    assert f"({length_s:.1f} s)" in capsys.readouterr().out
    content = (tmp_path / "out.flac").read_bytes()
    assert b"CHAPTER001NAME=1 (recording 0:00.0)" in content
    assert tags_of(tmp_path / "out.flac").cover == TAGS.cover


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg is not installed")
@pytest.mark.parametrize("suffix", [".m4a", ".wma", ".mka"])
def test_formats_of_pyav_are_carried_over(suffix, tmp_path):
    import subprocess

    pytest.importorskip("av")
    plain = write_tagged(tmp_path / "plain.flac")
    command = ["ffmpeg", "-v", "error", "-i", str(plain), "-map", "0"]
    command += ["-c:v", "copy"] if suffix == ".m4a" else ["-vn"]
    subprocess.run([*command, str(tmp_path / f"in{suffix}")], check=True, timeout=60)
    recording = tmp_path / f"in{suffix}"
    made = tags_of(render(keep_all(recording), recording, tmp_path / "out.flac").path)
    for name in ("TITLE", "ALBUM", "DATE", "GENRE", "COMMENT", "COMPOSER", "COPYRIGHT"):
        assert made.values(name) == TAGS.values(name)
    assert made.values("TRACKNUMBER") == ("3",)
    assert (made.cover == TAGS.cover) == (suffix == ".m4a")
