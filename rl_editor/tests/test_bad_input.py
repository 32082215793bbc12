"""Every mistake at the command is one sentence, leaves nothing behind and the input untouched."""

import hashlib
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rl_editor import checkpoint, infer
from rl_editor.cli import infer_main
from rl_editor.tests.made_editor import SR, groove, write_groove
from rl_editor.tests.test_bad_audio import PNG

THREE_PLACES = "three places are needed for the track, its edit list and its report"


def contents(folder):
    """Return what lies in a folder: names with hashes of the bytes, or where links lead."""
    return {
        path.relative_to(folder): os.readlink(path)
        if path.is_symlink()
        else path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if "cache" not in path.parts
    }


def is_refused(arguments, folder, capsys, expected, run=infer_main):
    """Assert that a command ends with 2 and one sentence, and leaves the folder as it was."""
    before = contents(folder)
    code = run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert code == 2, printed
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("rl-editor: ")
    assert printed.err.endswith(".\n")
    assert expected in printed.err
    assert contents(folder) == before


def damaged(kind, path):
    """Write a file that cannot be edited and return its path."""
    path = path / {"text": "notes.txt", "codec": "song.m4a"}.get(kind, "take.wav")
    loud = groove()
    if kind == "silent":
        soundfile.write(path, 0.0 * loud, SR)
    elif kind == "short":
        soundfile.write(path, loud[: round(0.3 * SR)], SR)
    elif kind == "no samples":
        soundfile.write(path, loud[:0], SR)
    elif kind == "nan":
        soundfile.write(path, np.full_like(loud, np.nan), SR, "FLOAT")
    elif kind == "one nan":
        loud[SR, 1] = np.nan
        soundfile.write(path, loud, SR, "FLOAT")
    elif kind == "truncated":
        content = write_groove(path).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        random = np.random.default_rng(0).bytes(40_000)
        known = {"empty": b"", "text": b"verse, chorus, verse\n", "png": PNG, "codec": random}
        path.write_bytes(known[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "there is no file"),
        ("folder", "is a folder"),
        ("empty", "is empty"),
        ("text", "is not an audio file"),
        ("png", "is not an audio file"),
        ("codec", "is not an audio file"),
        ("truncated", "is cut off"),
        ("no samples", "holds no sound"),
        ("silent", "is silent from start to end"),
        ("short", "0.30 s long"),
        ("nan", "not a number"),
        ("one nan", "not a number"),
    ],
)
def test_input_that_cannot_be_edited(kind, expected, tmp_path, checkpoints, capsys):
    path = damaged(kind, tmp_path)
    output = tmp_path / "edited.wav"
    keep = ("--checkpoint", checkpoints["keep"])
    is_refused([path, "--output", output, *keep], tmp_path, capsys, expected)
    is_refused([path, *keep], tmp_path, capsys, expected)


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_input_without_a_name(name, tmp_path, checkpoints, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    is_refused([name, "--checkpoint", checkpoints["keep"]], tmp_path, capsys, "")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "is a folder"),
        (".", "is a folder"),
        ("..", "is a folder"),
        ("missing/a.wav", "does not exist"),
        ("take.wav/a.wav", "does not exist"),
        ("a", "rename the output"),
        ("a.xyz", "rename the output"),
        ("a.m4a", "rename the output"),
        ("folder.wav", "is a folder"),
        ("take.wav", "is the recording itself"),
        ("./sub/../take.wav", "is the recording itself"),
        ("symbolic.wav", "is the recording itself"),
        ("hard.wav", "is the recording itself"),
        ("x" * 300 + ".wav", "cannot be written"),
    ],
)
def test_output_that_cannot_be_written(
    output, expected, tmp_path, recording, checkpoints, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "symbolic.wav").symlink_to(recording)
    os.link(recording, tmp_path / "hard.wav")
    arguments = [recording, "--output", output, "--checkpoint", checkpoints["keep"]]
    is_refused(arguments, tmp_path, capsys, expected)


@pytest.mark.parametrize(
    ("flag", "name", "expected"),
    [
        ("--edl", "edited.report.html", THREE_PLACES),
        ("--report", "edited.edl.json", THREE_PLACES),
        *(
            (flag, *rest)
            for flag in ("--edl", "--report")
            for rest in (
                ("take.wav", "is the recording itself"),
                ("symbolic.wav", "is the recording itself"),
                ("hard.wav", "is the recording itself"),
                ("edited.wav", THREE_PLACES),
                ("sub/../edited.wav", THREE_PLACES),
                ("sub", "is a folder"),
                ("missing/a.json", "does not exist"),
                ("take.wav/a.json", "does not exist"),
            )
        ),
    ],
)
def test_list_or_report_that_cannot_be_written(
    flag, name, expected, tmp_path, recording, checkpoints, capsys
):
    (tmp_path / "sub").mkdir()
    (tmp_path / "symbolic.wav").symlink_to(recording)
    os.link(recording, tmp_path / "hard.wav")
    output, keep = tmp_path / "edited.wav", checkpoints["keep"]
    arguments = [recording, "--output", output, "--checkpoint", keep, flag, tmp_path / name]
    is_refused(arguments, tmp_path, capsys, expected)


def test_list_that_is_the_track_by_a_link(tmp_path, recording, checkpoints, capsys):
    (tmp_path / "list.json").symlink_to(tmp_path / "edited.wav")
    arguments = [recording, "--output", tmp_path / "edited.wav", "--edl", tmp_path / "list.json"]
    arguments += ["--checkpoint", checkpoints["keep"]]
    is_refused(arguments, tmp_path, capsys, THREE_PLACES)


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--keep-ratio", "0", "share to keep"),
        ("--keep-ratio", "-0.5", "share to keep"),
        ("--keep-ratio", "1.01", "share to keep"),
        ("--keep-ratio", "nan", "share to keep"),
        ("--tempo", "19", "tempo must be"),
        ("--tempo", "401", "tempo must be"),
        ("--tempo", "nan", "tempo must be"),
        ("--tempo", "inf", "tempo must be"),
        ("--meter", "0", "meter must be"),
        ("--meter", "17", "meter must be"),
        ("--downbeat", "0:08", "a bar should begin at 8 s, but the recording lasts 8.00 s"),
        ("--beats", "take.beats", "should be a list of beats, but cannot be read"),
        ("--beats", "take.wav", "take.wav should be"),
        ("--write-beats", "take.wav", "is the recording itself"),
        ("--write-beats", "none/take.beats", "none does not exist"),
        ("--bit-depth", "PCM_12", "bit depth must be one of"),
        ("--bit-depth", "24", "bit depth must be one of"),
        ("--stems", "demucs:", "none is named"),
    ],
)
def test_wish_out_of_range(
    flag, value, expected, tmp_path, recording, checkpoints, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [recording, "--checkpoint", checkpoints["keep"], flag, value]
    is_refused(arguments, tmp_path, capsys, expected)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--half", "--double"], "half the tempo and twice the tempo are; choose one of them."),
        (["--double", "--tempo", "96"], "a tempo and twice the tempo are; choose one of them."),
        (["--beats", "a.beats", "--tempo", "96"], "a.beats, which sets their tempo, but a tempo"),
        (["--beats", "a.beats", "--half"], "a.beats, which sets their tempo, but half the tempo"),
        (["--beats", "bad.beats"], "line 2 of bad.beats should be later than the beat before it"),
        (["--beats", "a.beats", "--write-beats", "a.beats"], "the beats need a place of their own"),
        (["--write-beats", "take_edited.wav"], "the beats need a place of their own"),
        (["--beats", "a.beats", "--downbeat", "6"], "but nothing is played there that has a beat"),
    ],
)
def test_hints_that_do_not_fit(
    flags, expected, tmp_path, recording, checkpoints, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.beats").write_text("0.5\n1.0\n1.5\n2.0\n", encoding="utf-8")
    (tmp_path / "bad.beats").write_text("2.0\n1.0\n", encoding="utf-8")
    arguments = [recording, "--checkpoint", checkpoints["keep"], *flags]
    is_refused(arguments, tmp_path, capsys, expected)


def test_stems_are_checked_before_the_checkpoint_is_compared(
    tmp_path, recording, checkpoints, capsys, monkeypatch
):
    arguments = [recording, "--checkpoint", checkpoints["keep"], "--stems"]
    monkeypatch.setitem(sys.modules, "demucs.pretrained", None)
    for stems in ("vocals", "demucs"):
        expected = f"stems '{stems}' would be made by Demucs, whose package demucs is not installed"
        is_refused([*arguments, stems], tmp_path, capsys, expected)


def test_names_of_stems_are_checked_against_those_of_demucs(
    tmp_path, recording, checkpoints, capsys
):
    pytest.importorskip("demucs", reason="the [stems] extra is not installed")
    arguments = [recording, "--checkpoint", checkpoints["keep"], "--stems"]
    (tmp_path / "empty").mkdir()
    for stems, expected in {
        "vocals": "or hf://NAME), but 'vocals' is none of these",
        f"{tmp_path}/none/net": "does not exist",
        f"{tmp_path}/empty/net": "there is neither net.yaml nor",
        "htdemucs": "choose the same kind of stems",
        "demucs": "choose the same kind of stems",
    }.items():
        is_refused([*arguments, stems], tmp_path, capsys, expected)


def damaged_checkpoint(kind, path, checkpoints):
    """Write a file that is no checkpoint for this analysis and return its path."""
    if kind == "other":
        return checkpoints["other"]
    if kind == "folder":
        path.mkdir()
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [0.0] * 100}))
    elif kind in ("no trunk", "narrow trunk"):
        made = checkpoint.load(checkpoints["keep"])
        trunk = made.weights.pop("trunk.weight")
        if kind == "narrow trunk":
            made.weights["trunk.weight"] = trunk[:, :5]
        checkpoint.save(path, made)
    elif kind == "truncated":
        content = Path(checkpoints["keep"]).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"weights\n" * 100}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "there is none"),
        ("folder", "is a folder; name the file in it"),
        ("empty", "should be a checkpoint"),
        ("text", "should be a checkpoint"),
        ("pickle", "should be a checkpoint"),
        ("truncated", "but is damaged, cut off or of another program"),
        ("no trunk", "weights of the policy"),
        ("narrow trunk", "weights of the policy"),
        ("other", "was trained on the analysis"),
    ],
)
def test_checkpoint_that_cannot_be_used(kind, expected, tmp_path, recording, checkpoints, capsys):
    path = damaged_checkpoint(kind, tmp_path / "other.pt", checkpoints)
    is_refused([recording, "--checkpoint", path], tmp_path, capsys, expected)


def test_a_checkpoint_is_checked_before_the_recording_is_analysed(
    recording, checkpoints, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(infer, "analyze", None)
    arguments = [recording, "--checkpoint", checkpoints["other"]]
    is_refused(arguments, tmp_path, capsys, "was trained on the analysis")
