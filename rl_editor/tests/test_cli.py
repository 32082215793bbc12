"""The commands and what they print."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rl_editor import __version__, infer
from rl_editor.audio import probe
from rl_editor.cli import infer_main, main, run_command
from rl_editor.edl import read_edl
from rl_editor.tests.made_editor import SR, groove, write_groove
from rl_editor.tests.test_bad_input import is_refused
from rl_editor.units import format_time


@pytest.mark.parametrize("run", [infer_main, lambda arguments: main(["edit", *arguments])])
def test_an_edit_says_what_a_musician_wants_to_know(run, recording, checkpoints, capsys, tmp_path):
    assert run([str(recording), "--checkpoint", str(checkpoints["mix"])]) == 0
    printed = capsys.readouterr()
    edl = read_edl(tmp_path / "take_edited.edl.json")
    assert printed.err == ""
    lines = [line for line in printed.out.splitlines() if not line.startswith("note")]
    others = lines.pop(6)
    assert re.fullmatch(
        r"other tempi ( \d+ \(fits \d+%: (--half|--double|--tempo \d+)\),?)+", others
    )
    assert lines[:-1] == [
        f"edited track {tmp_path / 'take_edited.wav'}",
        f"edit list    {tmp_path / 'take_edited.edl.json'}",
        f"report       {tmp_path / 'take_edited.report.html'}",
        "",
        f"length       0:08.0 before, {format_time(edl.duration_s)} after",
        "tempo        120 beats a minute, 4 beats in a bar",
        f"joins        {len(edl.joins)}",
    ]
    assert re.fullmatch(r"went        ( [a-z- ]+ 0:0\d\.\d,?)+", lines[-1])


def test_hints_are_told_and_beats_are_written_and_read(recording, checkpoints, capsys, tmp_path):
    beats = str(tmp_path / "take.beats")
    arguments = [str(recording), "--checkpoint", checkpoints["mix"], "--write-beats", beats]
    assert infer_main([*arguments, "--half", "--downbeat", "0:04.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"beats        {beats}" in lines
    assert "beat hints   --half, --downbeat 4.1" in lines
    page = (tmp_path / "take_edited.report.html").read_text(encoding="utf-8")
    assert ">--half, --downbeat 4.1<" in page
    made = read_edl(tmp_path / "take_edited.edl.json").grid
    assert made.hints == ("--half", "--downbeat 4.1")
    assert made.tempo_bpm == pytest.approx(60.0, rel=0.01)
    nearest = int(np.abs(np.array(made.beats_s) - 4.1).argmin())
    assert nearest in made.downbeats
    assert infer_main([*arguments[:3], "--beats", beats, "--output", str(tmp_path / "b.wav")]) == 0
    again = read_edl(tmp_path / "b.edl.json").grid
    np.testing.assert_allclose(again.beats_s, made.beats_s, atol=1e-3)
    assert again.downbeats == made.downbeats
    assert again.hints == (f"--beats {beats}",)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", "note         nothing to cut was found: 100% of the recording was kept"),
        ("cut", "note         no music was found, so everything was kept"),
    ],
)
def test_an_edit_that_cuts_nothing_says_so(policy, expected, recording, checkpoints, capsys):
    assert infer_main([str(recording), "--checkpoint", str(checkpoints[policy])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(expected) for line in lines].count(True) == 1
    page = recording.with_name("take_edited.report.html").read_text(encoding="utf-8")
    assert f"<p>Note: {expected.removeprefix('note').strip()}" in page
    arguments = [str(recording), "--checkpoint", str(checkpoints["keep"]), "--keep-ratio", "1"]
    assert infer_main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "went         nothing"


def test_of_noise_only_is_told_that_it_is_no_music(tmp_path, checkpoints, capsys):
    noise = 0.1 * np.random.default_rng(0).standard_normal((6 * SR, 1))
    soundfile.write(tmp_path / "noise.wav", noise, SR)
    assert infer_main([str(tmp_path / "noise.wav"), "--checkpoint", str(checkpoints["keep"])]) == 0
    told = capsys.readouterr().out
    assert "note         no music was found, so everything was kept" in told
    assert told.count("note  ") == 1


def test_a_track_that_was_turned_down_is_told(tmp_path, checkpoints, capsys):
    loud = groove()
    soundfile.write(tmp_path / "loud.wav", loud * (2.0 / np.abs(loud).max()), SR, "FLOAT")
    arguments = [
        tmp_path / "loud.wav",
        "--checkpoint",
        checkpoints["keep"],
        "--bit-depth",
        "PCM_16",
    ]
    assert infer_main([str(argument) for argument in arguments]) == 0
    assert "turned down by 6.1 dB so that nothing clips" in capsys.readouterr().out


def test_a_format_of_other_rates_is_written_at_the_nearest(tmp_path, checkpoints, capsys):
    write_groove(tmp_path / "take.wav", sr=44100, duration_s=4.0)
    told = "written at 48000 Hz, since .opus files cannot hold 44100 Hz"
    keep = ["--checkpoint", checkpoints["keep"]]
    take, output = str(tmp_path / "take.wav"), str(tmp_path / "a.opus")
    assert infer_main([take, "--output", output, *keep]) == 0
    assert f"note         {told}" in capsys.readouterr().out.splitlines()
    made = probe(output)
    assert (made.sample_rate, made.n_samples) == (48000, 4 * 48000)
    edl = str(tmp_path / "a.edl.json")
    assert main(["render", edl, take, "--output", output]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"note: {told}"
    arguments = [take, "--output", output, *keep, "--sample-rate", "44100"]
    is_refused(arguments, tmp_path, capsys, ".opus files hold 8000, 12000, 16000, 24000, 48000 Hz")


def test_quiet_prints_nothing(recording, checkpoints, capfd):
    assert infer_main([str(recording), "--checkpoint", str(checkpoints["mix"]), "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_an_edit_without_a_cache_keeps_nothing(recording, checkpoints, tmp_path):
    arguments = [str(recording), "--checkpoint", str(checkpoints["keep"]), "--no-cache"]
    assert infer_main(arguments) == 0
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_costs_time_only(
    recording, checkpoints, tmp_path, monkeypatch
):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(recording / "cache"))
    assert infer_main([str(recording), "--checkpoint", str(checkpoints["keep"])]) == 0
    assert (tmp_path / "take_edited.wav").exists()


@pytest.fixture
def edited(recording, checkpoints, tmp_path, capsys):
    """Return the path of a track whose edit list and report lie beside it."""
    output = tmp_path / "edited.wav"
    arguments = [recording, "--checkpoint", checkpoints["mix"], "--output", output]
    assert infer_main([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    return output


def test_an_edit_list_renders_to_the_same_track(edited, tmp_path, capsys):
    edl, take, again = (str(tmp_path / n) for n in ("edited.edl.json", "take.wav", "again.wav"))
    assert main(["render", edl, take, "--output", again]) == 0
    assert Path(again).read_bytes() == edited.read_bytes()
    printed = capsys.readouterr()
    assert printed.out == f"wrote {again} ({read_edl(edl).duration_s:.1f} s)\n"
    assert printed.err == ""
    assert main(["render", edl, take, "--output", again, "--bit-depth", "PCM_24"]) == 0
    assert soundfile.info(again).subtype == "PCM_24"


def test_a_list_without_clips_is_one_sentence(edited, tmp_path, capsys):
    path = tmp_path / "edited.edl.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "clips": []}))
    arguments = ["render", str(path), str(tmp_path / "take.wav")]
    assert main([*arguments, "--output", str(tmp_path / "again.wav")]) == 2
    printed = capsys.readouterr().err
    assert "holds no clip, so there is nothing to write" in printed
    assert printed.count("\n") == 1


def test_a_list_that_was_shortened_by_hand_is_rendered(edited, tmp_path, capsys):
    path = tmp_path / "edited.edl.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["clips"][1:]
    path.write_text(json.dumps(values), encoding="utf-8")
    output = str(tmp_path / "a.wav")
    assert main(["render", str(path), str(tmp_path / "take.wav"), "--output", output]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"rl-editor: note: {path} says that the output lasts")
    first = values["clips"][0]
    expected_s = first["source_end_s"] - first["source_start_s"]
    assert probe(output).duration_s == pytest.approx(expected_s, abs=1e-3)


def test_another_recording_than_the_lists_is_noted(edited, tmp_path, capsys):
    with open(tmp_path / "take.wav", "ab") as file:
        file.write(b"tags")
    arguments = [
        tmp_path / "edited.edl.json",
        tmp_path / "take.wav",
        "--output",
        tmp_path / "a.wav",
    ]
    assert main(["render", *map(str, arguments)]) == 0
    assert "is not byte for byte the recording" in capsys.readouterr().err


def test_a_recording_of_another_length_is_noted_while_the_clips_fit(edited, tmp_path, capsys):
    path = tmp_path / "edited.edl.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["source"]["sha256"] = ""  # a list by another program
    path.write_text(json.dumps(values), encoding="utf-8")
    audio, sr = soundfile.read(tmp_path / "take.wav")
    longer, shorter = tmp_path / "longer.wav", tmp_path / "shorter.wav"
    soundfile.write(longer, np.concatenate([audio, audio[:sr]]), sr)
    soundfile.write(shorter, audio[: sr // 2], sr)
    output = ["--output", str(tmp_path / "a.wav")]
    assert main(["render", str(path), str(longer), *output]) == 0
    told = capsys.readouterr().err
    assert f"longer.wav lasts {len(audio) / sr + 1:.2f} s, but the recording that" in told
    arguments = ["render", str(path), str(shorter), *output]
    is_refused(arguments, tmp_path, capsys, "give the recording that it was made for", run=main)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["edited.edl.json", "take.wav", "--output", "take.wav"], "is the recording itself"),
        (["edited.edl.json", "take.wav", "--output", "a.xyz"], "rename the output"),
        (["edited.edl.json", "take.wav", "--output", "."], "rename the output"),
        (
            ["edited.edl.json", "take.wav", "--output", "a.wav", "--bit-depth", "PCM_12"],
            "must be one of",
        ),
        (["edited.edl.json", "missing.wav", "--output", "a.wav"], "there is no file"),
        (["edited.edl.json", "other.wav", "--output", "a.wav"], "that it was made for"),
        (["missing.json", "take.wav", "--output", "a.wav"], "cannot be read"),
        (["take.wav", "take.wav", "--output", "a.wav"], "should be an edit decision list"),
        ([".", "take.wav", "--output", "a.wav"], "cannot be read"),
    ],
)
def test_list_that_cannot_be_rendered(arguments, expected, edited, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_groove(tmp_path / "other.wav", duration_s=2.0)
    is_refused(["render", *arguments], tmp_path, capsys, expected, run=main)


def test_the_cache_is_shown_and_cleared(recording, checkpoints, tmp_path, capsys):
    assert infer_main([str(recording), "--checkpoint", str(checkpoints["keep"]), "--quiet"]) == 0
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'cache'}: 1 analyses, 0.")
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"removed 1 analyses from {tmp_path / 'cache'}\n"
    assert main(["cache", "info"]) == 0
    assert ": 0 analyses, 0.0 MB" in capsys.readouterr().out


@pytest.mark.slow
def test_the_demo_edits_the_recording_that_ships(tmp_path, checkpoints, capsys, monkeypatch):
    monkeypatch.setattr(infer, "default_checkpoint", lambda: checkpoints["keep"])
    assert main(["demo", "--folder", str(tmp_path / "new" / "demo")]) == 0
    printed = capsys.readouterr().out
    assert "demo_raw.ogg" in printed
    made = ["demo_edited.edl.json", "demo_edited.report.html", "demo_edited.wav"]
    assert sorted(os.listdir(tmp_path / "new" / "demo")) == made


def test_a_demo_folder_that_cannot_be_made(recording, tmp_path, capsys):
    arguments = ["demo", "--folder", recording / "demo"]
    is_refused(arguments, tmp_path, capsys, "cannot be made", run=main)


def test_interrupt_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert run_command(interrupted) == 130
    assert capsys.readouterr().err == "rl-editor: interrupted; no half-written file was left.\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "COMMAND"),
        (["edit"], "input"),
        (["mix"], "'mix'"),
        (["edit", "a.wav", "--meter", "three"], "--meter: invalid int value: 'three'"),
        (["edit", "a.wav", "--tempo", "abc"], "--tempo: invalid float value: 'abc'"),
        (["edit", "a.wav", "--downbeat", "1:75"], "a time such as 12.3 (seconds) or 1:05.2, but"),
    ],
)
def test_wrong_usage_is_one_sentence_and_ends_with_two(arguments, expected, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("rl-editor")
    assert expected in told
    assert told.endswith("--help tells more.\n")
    assert told.count("\n") == 1


def test_the_installed_command_tells_its_version():
    command = [sys.executable, "-m", "rl_editor.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (f"rl_editor {__version__}\n", "")


def test_a_reader_that_stops_early_is_no_error(tmp_path):
    """As in `rl-editor cache info | head -0`."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "rl_editor.cli", "cache", "info"]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")
