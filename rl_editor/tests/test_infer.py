"""From a file to the edited file: whole edits of a short recording under tiny policies."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import rl_editor
from rl_editor import analysis, deciding, render
from rl_editor.actions import ActionType
from rl_editor.audio import probe
from rl_editor.calibration import Calibration
from rl_editor.checkpoint import load, save
from rl_editor.cli import infer_main
from rl_editor.config import RewardConfig
from rl_editor.conversion import OutputFormat
from rl_editor.deciding import EditOptions
from rl_editor.edl import read_edl
from rl_editor.errors import UserError
from rl_editor.infer import default_checkpoint, edit
from rl_editor.render import render_array
from rl_editor.tests.made_editor import DURATION_S, SR, SURE, groove, write_checkpoint, write_groove
from rl_editor.units import format_time

ALIGNMENT_S = 0.02
"""Most that a join changes the output's length by."""


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "cache")


def test_the_command_as_it_is_written(tmp_path, checkpoints):
    write_groove(tmp_path / "input.wav")
    os.link(checkpoints["mix"], tmp_path / "best.pt")
    arguments = ["input.wav", "--checkpoint", "best.pt", "--output", "output.wav"]
    done = subprocess.run(
        [sys.executable, "-m", "rl_editor.infer", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = ["output.edl.json", "output.report.html", "output.wav"]
    assert names(tmp_path) == ["best.pt", "input.wav", *made]
    edl = read_edl(tmp_path / "output.edl.json")
    lengths = f"length       0:08.0 before, {format_time(edl.duration_s)} after"
    assert lengths in done.stdout.splitlines()
    assert probe(tmp_path / "output.wav").n_samples == round(edl.duration_s * SR)


def test_without_a_checkpoint_the_one_that_ships_edits(recording, tmp_path):
    if not default_checkpoint().exists():
        pytest.skip("rl_editor/assets/best.pt is not there yet")
    result = edit(recording, tmp_path / "edited.wav")
    assert 0.0 < result.edl.duration_s <= DURATION_S + 1.0


def test_who_trains_the_editor_that_ships_is_paid_by_the_reward_that_passes_the_gate():
    assert load(default_checkpoint()).config.reward == RewardConfig()


def test_the_library_gives_what_it_wrote(recording, tmp_path, checkpoints):
    before = recording.read_bytes()
    result = rl_editor.edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints["mix"])
    assert isinstance(result, rl_editor.EditResult)
    assert recording.read_bytes() == before
    edl = result.edl
    assert read_edl(result.edl_path) == edl
    assert edl.source.sha256 == hashlib.sha256(before).hexdigest()
    assert (edl.source.path, edl.source.duration_s) == (str(recording), DURATION_S)
    samples, sr = soundfile.read(result.output_path, dtype="float32")
    assert (len(samples), sr) == (round(edl.duration_s * SR), SR)
    source = soundfile.read(recording, dtype="float32")[0]
    np.testing.assert_allclose(samples, render_array(edl, source), atol=0.6 / 2**15)
    assert "<html" in result.report_path.read_text(encoding="utf-8")


def test_what_went_and_what_stayed_make_up_the_recording(recording, tmp_path, checkpoints):
    result = edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints["mix"])
    assert result.music_found
    assert result.edl.joins
    total_s = sum(result.removed_s.values()) + result.edl.duration_s
    assert total_s == pytest.approx(DURATION_S, abs=len(result.edl.joins) * ALIGNMENT_S)
    kinds = {decision.type for decision in result.edl.decisions}
    assert kinds == {"KEEP", "CUT"}
    assert all(0.0 <= d.probability <= 1.0 and d.reason for d in result.edl.decisions)


@pytest.mark.parametrize("policy", ["keep", "cut"])
@pytest.mark.parametrize(
    ("name", "subtype", "channels", "sr"),
    [
        ("a.wav", "PCM_16", 1, SR),
        ("a.wav", "PCM_24", 2, 48_000),
        ("a.wav", "FLOAT", 3, 44_100),
        ("a.flac", "PCM_16", 2, SR),
        ("a.flac", "PCM_24", 1, 44_100),
        ("a.aiff", "PCM_24", 2, SR),
    ],
)
def test_an_edit_that_cuts_nothing_is_the_recording(
    policy, name, subtype, channels, sr, tmp_path, checkpoints
):
    source = write_groove(tmp_path / name, subtype, channels=channels, sr=sr, duration_s=4.0)
    result = edit(source, checkpoint=checkpoints[policy])
    assert result.music_found == (policy == "keep")
    assert result.removed_s == {}
    assert result.output_path.suffix == source.suffix
    before, after = soundfile.info(source), soundfile.info(result.output_path)
    for what in ("samplerate", "channels", "subtype", "format", "frames"):
        assert getattr(after, what) == getattr(before, what)
    np.testing.assert_array_equal(*(soundfile.read(p)[0] for p in (source, result.output_path)))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".FLAC"])
def test_every_output_format_has_the_length_of_its_list(suffix, recording, tmp_path, checkpoints):
    result = edit(recording, tmp_path / f"edited{suffix}", checkpoint=checkpoints["mix"])
    info = probe(result.output_path)
    assert (info.sample_rate, info.channels) == (SR, 2)
    assert info.n_samples == round(result.edl.duration_s * SR)
    assert names(tmp_path) == sorted(
        ["take.wav", f"edited{suffix}", "edited.edl.json", "edited.report.html"]
    )


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_recordings_are_edited_in_their_own_format(suffix, recording, tmp_path, checkpoints):
    first = edit(recording, tmp_path / f"lossy{suffix}", checkpoint=checkpoints["keep"])
    result = edit(first.output_path, checkpoint=checkpoints["keep"])
    assert result.output_path == tmp_path / f"lossy_edited{suffix}"
    assert probe(result.output_path).n_samples == DURATION_S * SR


def test_rate_and_channels_can_be_chosen(recording, tmp_path, checkpoints):
    command = [str(recording), "--output", str(tmp_path / "out.opus"), "--quiet"]
    command += ["--checkpoint", str(checkpoints["keep"])]
    assert infer_main([*command, "--sample-rate", "48000", "--channels", "1"]) == 0
    made = probe(tmp_path / "out.opus")
    assert (made.sample_rate, made.channels) == (48000, 1)
    assert made.duration_s == pytest.approx(DURATION_S, abs=1e-4)


def test_the_bit_depth_can_be_chosen(recording, tmp_path, checkpoints):
    options = EditOptions(checkpoint=checkpoints["keep"], output_format=OutputFormat("PCM_24"))
    result = edit(recording, tmp_path / "edited.wav", options=options)
    assert soundfile.info(result.output_path).subtype == "PCM_24"


def test_default_names_replace_nothing(recording, tmp_path, checkpoints):
    flac = write_groove(tmp_path / "take.flac")
    made = [edit(source, checkpoint=checkpoints["keep"]) for source in (recording, flac, recording)]
    assert [result.output_path.name for result in made] == [
        "take_edited.wav",
        "take_edited-2.flac",
        "take_edited-3.wav",
    ]
    assert made[1].edl_path.name == "take_edited-2.edl.json"
    assert made[2].report_path.name == "take_edited-3.report.html"
    assert len(names(tmp_path)) == 2 + 3 * 3


def test_a_named_output_is_replaced(recording, tmp_path, checkpoints):
    (tmp_path / "edited.wav").write_bytes(b"an earlier edit")
    edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints["keep"])
    assert probe(tmp_path / "edited.wav").n_samples == DURATION_S * SR


def test_an_edit_again_replaces_its_own_three_files(recording, tmp_path, checkpoints):
    for policy in ("keep", "mix", "mix"):
        result = edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints[policy])
        made = ["edited.edl.json", "edited.report.html", "edited.wav"]
        assert names(tmp_path) == [*made, "take.wav"]
        assert read_edl(tmp_path / "edited.edl.json") == result.edl


def test_a_list_that_was_changed_by_hand_stays(recording, tmp_path, checkpoints):
    wishes = {"checkpoint": checkpoints["keep"]}
    first = edit(recording, tmp_path / "edited.wav", **wishes)
    changed = first.edl_path.read_text(encoding="utf-8").replace("part of", "the best of")
    first.edl_path.write_text(changed, encoding="utf-8")
    report = first.report_path.read_bytes()
    for _ in range(2):
        result = edit(recording, tmp_path / "edited.wav", **wishes)
        assert result.edl_path.name == "edited-2.edl.json"
        assert result.notes[-1].startswith("edited.edl.json and edited.report.html stay")
        assert result.report_path.name == "edited-2.report.html"
    assert first.edl_path.read_text(encoding="utf-8") == changed
    assert first.report_path.read_bytes() == report
    assert len(names(tmp_path)) == 6


def test_files_beside_an_output_that_belong_to_others_stay(recording, tmp_path, checkpoints):
    (tmp_path / "edited.report.html").write_text("my notes")
    (tmp_path / "edited-2.edl.json").symlink_to(tmp_path / "gone")
    wishes = {"checkpoint": checkpoints["keep"]}
    wav = edit(recording, tmp_path / "edited.wav", **wishes)
    assert wav.edl_path.name == "edited-3.edl.json"
    flac = edit(recording, tmp_path / "edited.flac", **wishes)
    assert flac.report_path.name == "edited-4.report.html"
    assert (tmp_path / "edited.report.html").read_text() == "my notes"
    page = tmp_path / "page.html"
    for _ in range(2):
        named = edit(recording, tmp_path / "b.wav", report_path=page, **wishes)
        assert named.edl_path.name == "b.edl.json"
    assert not (tmp_path / "b-2.edl.json").exists()


def test_a_named_output_is_replaced_at_the_end_only(recording, tmp_path, checkpoints, monkeypatch):
    (tmp_path / "edited.wav").write_bytes(b"an earlier edit")

    def fails(*arguments):
        raise UserError("the disk is full.")

    monkeypatch.setattr(render, "mixed_blocks", fails)
    with pytest.raises(UserError):
        edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints["keep"])
    assert (tmp_path / "edited.wav").read_bytes() == b"an earlier edit"
    assert names(tmp_path) == ["edited.wav", "take.wav"]


def test_list_and_report_go_where_they_are_wanted(recording, tmp_path, checkpoints):
    places = {"edl_path": tmp_path / "list.json", "report_path": tmp_path / "page.html"}
    result = edit(recording, tmp_path / "a.wav", checkpoint=checkpoints["keep"], **places)
    assert names(tmp_path) == ["a.wav", "list.json", "page.html", "take.wav"]
    assert (result.edl_path, result.report_path) == tuple(places.values())


def count_calls(monkeypatch, module, name):
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: calls.append(name) or real(*a, **k))
    return calls


def test_a_second_edit_does_not_analyse_again(recording, tmp_path, checkpoints, monkeypatch):
    calls = count_calls(monkeypatch, analysis, "frame_features")
    wishes = {"checkpoint": checkpoints["mix"]}
    first = edit(recording, tmp_path / "a.wav", **wishes)
    moved = recording.rename(tmp_path / "moved.wav")
    second = edit(moved, tmp_path / "b.wav", **wishes)
    assert len(calls) == 1
    assert second.edl.clips == first.edl.clips
    assert second.edl.source.path == str(moved)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    edit(moved, tmp_path / "c.wav", **wishes, tempo_bpm=100.0)
    edit(moved, tmp_path / "c.wav", **wishes, use_cache=False)
    assert len(calls) == 3
    content = bytearray(moved.read_bytes())
    content[1000] ^= 1
    moved.write_bytes(content)
    edit(moved, tmp_path / "c.wav", **wishes)
    assert len(calls) == 4


def test_an_edit_is_the_same_with_and_without_the_cache(recording, tmp_path, checkpoints):
    made = [
        edit(recording, tmp_path / name, checkpoint=checkpoints["mix"], use_cache=use_cache)
        for name, use_cache in (("a.wav", True), ("b.wav", True), ("c.wav", False))
    ]
    assert made[0].edl == made[1].edl == made[2].edl


def test_tempo_and_meter_set_the_grid(recording, tmp_path, checkpoints):
    wishes = {"checkpoint": checkpoints["keep"], "tempo_bpm": 60.0, "meter": 3}
    grid = edit(recording, tmp_path / "a.wav", **wishes).track.grid
    assert grid.meter == 3
    assert grid.tempo_bpm == pytest.approx(60.0, rel=0.03)


@pytest.mark.parametrize("wanted", [None, 0.25, 1.0])
def test_the_policy_hears_the_share_to_keep(wanted, recording, tmp_path, checkpoints, monkeypatch):
    heard, real = [], deciding.plan

    def listen(*arguments, target_keep_ratio, **rest):
        heard.append(target_keep_ratio)
        return real(*arguments, target_keep_ratio=target_keep_ratio, **rest)

    monkeypatch.setattr(deciding, "plan", listen)
    edit(recording, tmp_path / "a.wav", checkpoint=checkpoints["mix"], keep_ratio=wanted)
    assert heard == [wanted]


def test_the_shortest_recording_can_be_edited(tmp_path, checkpoints):
    source = write_groove(tmp_path / "Lied für Zoë.wav", duration_s=0.5)
    for policy in ("keep", "cut"):
        result = edit(source, checkpoint=checkpoints[policy])
        assert probe(result.output_path).n_samples == SR // 2


def test_a_recording_beyond_full_scale_does_not_clip(tmp_path, checkpoints):
    loud = groove()
    soundfile.write(tmp_path / "loud.wav", loud * (2.0 / np.abs(loud).max()), SR, "FLOAT")
    wishes = {"checkpoint": checkpoints["keep"], "output_format": OutputFormat("PCM_16")}
    result = edit(tmp_path / "loud.wav", tmp_path / "a.wav", **wishes)
    assert result.gain_db == pytest.approx(-6.0 - 0.1, abs=0.05)
    peak = np.abs(soundfile.read(result.output_path)[0]).max()
    assert 20 * np.log10(peak) == pytest.approx(-0.1, abs=0.01)


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError("the disk is full.")])
def test_an_interrupted_edit_leaves_nothing(error, recording, tmp_path, checkpoints, monkeypatch):
    real = render.mixed_blocks

    def stop_after_a_block(*arguments):
        yield next(real(*arguments))
        raise error

    monkeypatch.setattr(render, "mixed_blocks", stop_after_a_block)
    with pytest.raises((KeyboardInterrupt, UserError)):
        edit(recording, tmp_path / "a.wav", checkpoint=checkpoints["mix"])
    assert names(tmp_path) == ["take.wav"]


@pytest.mark.parametrize("favourite", ActionType, ids=lambda kind: kind.name)
def test_every_type_of_action_reaches_the_file(favourite, recording, tmp_path):
    path = write_checkpoint(tmp_path / "a.pt", SURE, favourite=favourite)
    result = edit(recording, tmp_path / "a.wav", checkpoint=str(path))
    kinds = {decision.type for decision in result.edl.decisions}
    if favourite in (ActionType.CUT, ActionType.SKIP):  # would leave nothing
        assert (kinds, result.music_found) == ({"KEEP"}, False)
    else:
        assert favourite.name in kinds
    assert read_edl(result.edl_path) == result.edl
    assert probe(result.output_path).n_samples == round(result.edl.duration_s * SR)
    assert all(d.reason for d in result.edl.decisions)


@pytest.fixture
def noise(tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal(12 * SR)
    soundfile.write(tmp_path / "rain.wav", samples, SR)
    return tmp_path / "rain.wav"


@pytest.mark.parametrize("policy", ["keep", "mix", "cut"])
def test_where_there_is_no_music_everything_stays(policy, noise, checkpoints):
    result = edit(noise, checkpoint=checkpoints[policy])
    (note,) = result.notes
    assert note.startswith("no music was found, so everything was kept")
    assert not result.music_found
    assert (len(result.edl.clips), result.edl.duration_s, result.removed_s) == (1, 12.0, {})
    assert [d.probability for d in result.edl.decisions] == [None] * len(result.edl.decisions)


def test_where_there_is_no_music_a_share_that_is_asked_for_is_kept(noise, checkpoints):
    result = edit(noise, checkpoint=checkpoints["mix"], keep_ratio=0.5)
    assert result.edl.duration_s == pytest.approx(6.0, abs=0.6)
    assert not result.music_found
    assert any(note.startswith("no music was found; only because") for note in result.notes)


def test_the_checkpoint_says_how_sure_it_may_be(recording, tmp_path, checkpoints):
    raw = edit(recording, tmp_path / "raw.wav", checkpoint=checkpoints["mix"]).edl.decisions
    measured = replace(load(checkpoints["mix"]), calibration=Calibration(0.5, 0.1))
    save(tmp_path / "measured.pt", measured)
    made = edit(recording, tmp_path / "a.wav", checkpoint=str(tmp_path / "measured.pt"))
    expected = Calibration(0.5, 0.1).confidence([d.probability for d in raw])
    assert [d.probability for d in made.edl.decisions] == pytest.approx(expected.tolist())


def test_unknown_wishes_are_refused(recording):
    with pytest.raises(TypeError, match="louder"):
        edit(recording, louder=True)
