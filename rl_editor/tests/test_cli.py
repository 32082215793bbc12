"""The commands: what they print, and that every mistake is one sentence and leaves nothing."""

import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rl_editor import __version__, infer
from rl_editor.analysis import schema_name
from rl_editor.cli import infer_main, main, run_command
from rl_editor.edl import read_edl
from rl_editor.tests.made_editor import SR, SURE, groove, write_checkpoint, write_groove
from rl_editor.tests.test_bad_audio import PNG

THREE_PLACES = "three places are needed for the track, its edit list and its report"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        "keep": write_checkpoint(folder / "keep.pt", SURE),
        "cut": write_checkpoint(folder / "cut.pt", -SURE),
        "mix": write_checkpoint(folder / "mix.pt"),
        "other": write_checkpoint(folder / "other.pt", schema=schema_name("demucs")),
    }


@pytest.fixture
def recording(tmp_path):
    return write_groove(tmp_path / "take.wav")


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
        ("--tempo", "19", "tempo must lie"),
        ("--tempo", "401", "tempo must lie"),
        ("--tempo", "nan", "tempo must lie"),
        ("--tempo", "inf", "tempo must lie"),
        ("--meter", "1", "meter must be"),
        ("--meter", "13", "meter must be"),
        ("--bit-depth", "PCM_12", "bit depth must be one of"),
        ("--bit-depth", "24", "bit depth must be one of"),
        ("--stems", "vocals", "Stems should be"),
    ],
)
def test_wish_out_of_range(flag, value, expected, tmp_path, recording, checkpoints, capsys):
    arguments = [recording, "--checkpoint", checkpoints["keep"], flag, value]
    is_refused(arguments, tmp_path, capsys, expected)


def damaged_checkpoint(kind, path, checkpoints):
    """Write a file that is no checkpoint for this analysis and return its path."""
    if kind == "other":
        return checkpoints["other"]
    if kind == "folder":
        path.mkdir()
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [0.0] * 100}))
    elif kind == "truncated":
        content = checkpoints["keep"].read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"weights\n" * 100}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "there is none"),
        ("folder", "there is none"),
        ("empty", "should be a checkpoint"),
        ("text", "should be a checkpoint"),
        ("pickle", "should be a checkpoint"),
        ("truncated", "should be a checkpoint"),
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


@pytest.mark.parametrize("run", [infer_main, lambda arguments: main(["edit", *arguments])])
def test_an_edit_says_what_a_musician_wants_to_know(run, recording, checkpoints, capsys, tmp_path):
    assert run([str(recording), "--checkpoint", str(checkpoints["mix"])]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        f"edited track {tmp_path / 'take_edited.wav'}",
        f"edit list    {tmp_path / 'take_edited.edl.json'}",
        f"report       {tmp_path / 'take_edited.report.html'}",
        "",
        "length       0:08.0 before, 0:05.0 after",
        "tempo        120 beats a minute, 4 beats in a bar",
        "joins        3",
        "went         talk 0:02.5, noodling 0:00.5",
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", "went         nothing: the recording was kept as it is"),
        ("cut", "note         no music was found, so everything was kept"),
    ],
)
def test_an_edit_that_cuts_nothing_says_so(policy, expected, recording, checkpoints, capsys):
    assert infer_main([str(recording), "--checkpoint", str(checkpoints[policy])]) == 0
    assert expected in capsys.readouterr().out.splitlines()


def test_noise_has_a_beat_that_is_hard_to_hear(tmp_path, checkpoints, capsys):
    noise = 0.1 * np.random.default_rng(0).standard_normal((6 * SR, 1))
    soundfile.write(tmp_path / "noise.wav", noise, SR)
    assert infer_main([str(tmp_path / "noise.wav"), "--checkpoint", str(checkpoints["keep"])]) == 0
    assert "the beat is hard to hear here" in capsys.readouterr().out


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
    edl, again = tmp_path / "edited.edl.json", tmp_path / "again.wav"
    assert main(["render", str(edl), "--output", str(again)]) == 0
    assert again.read_bytes() == edited.read_bytes()
    duration_s = read_edl(edl).duration_s
    assert capsys.readouterr().out == f"wrote {again} ({duration_s:.1f} s)\n"
    (tmp_path / "take.wav").rename(tmp_path / "moved.wav")
    arguments = ["--source", str(tmp_path / "moved.wav"), "--bit-depth", "PCM_24"]
    assert main(["render", str(edl), "--output", str(again), *arguments]) == 0
    assert soundfile.info(again).subtype == "PCM_24"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["edited.edl.json", "--output", "take.wav"], "is the recording itself"),
        (["edited.edl.json", "--output", "a.xyz"], "rename the output"),
        (["edited.edl.json", "--output", "."], "rename the output"),
        (["edited.edl.json", "--output", "a.wav", "--bit-depth", "PCM_12"], "must be one of"),
        (["edited.edl.json", "--output", "a.wav", "--source", "missing.wav"], "there is no file"),
        (["edited.edl.json", "--output", "a.wav", "--source", "other.wav"], "that it was made for"),
        (["missing.json", "--output", "a.wav"], "cannot be read"),
        (["take.wav", "--output", "a.wav"], "should be an edit decision list"),
        ([".", "--output", "a.wav"], "cannot be read"),
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
    "arguments", [[], ["edit"], ["mix"], ["edit", "a.wav", "--meter", "three"]]
)
def test_wrong_usage_ends_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: rl-editor" in capsys.readouterr().err


def test_the_installed_command_tells_its_version():
    command = [sys.executable, "-m", "rl_editor.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (f"rl_editor {__version__}\n", "")
