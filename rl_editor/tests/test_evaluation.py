"""The command that measures editors: what it says of recordings whose truth is made up."""

from __future__ import annotations

import json
import re
import shlex
import sys

import numpy as np
import pytest
import soundfile

from rl_editor.cli import main
from rl_editor.evaluation import MEASURES, CaseResult, EditorResult, Estimate, difference, estimates
from rl_editor.tests.made_editor import SR, groove
from rl_editor.tests.made_recordings import cut_together, music
from rl_editor.tests.test_bad_input import is_refused

F1 = next(measure for measure in MEASURES if measure.key == "f1")
COPY = f"{shlex.quote(sys.executable)} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])'"


def write_case(folder, name="case", kind="easy", signal=None, **values):
    """Write a recording of which the first two seconds are talk and the rest is wanted."""
    folder.mkdir(exist_ok=True)
    signal = groove(channels=1) if signal is None else signal
    soundfile.write(folder / f"{name}.wav", signal, SR)
    end_s = len(signal) / SR
    segments = [
        {"start_s": 0.0, "end_s": 2.0, "material": "talk", "wanted": False},
        {"start_s": 2.0, "end_s": end_s, "material": "music", "wanted": True, "piece_start_s": 0.0},
    ]
    values = {"kind": kind, "audio": f"{name}.wav", "duration_s": end_s, "segments": segments} | (
        values
    )
    (folder / f"{name}.truth.json").write_text(json.dumps(values))


def evaluated(tmp_path, *arguments, folder="cases"):
    """Run the command with a JSON file and return what is in it."""
    written = tmp_path / "numbers.json"
    command = ["evaluate", str(tmp_path / folder), *arguments]
    assert main([*command, "--json", str(written), "--jobs", "1"]) == 0
    return json.loads(written.read_text())


def test_keep_all_and_oracle_on_a_known_recording(tmp_path, capsys):
    write_case(tmp_path / "cases", tags=["talk"])
    found = evaluated(tmp_path, "--editor", "keep-all", "--editor", "perfect=oracle", "--each")
    results = found["cases"][0]["results"]
    assert results["keep-all"]["edit"]["precision"] == pytest.approx(0.75)
    assert results["keep-all"]["edit"]["leaked_s"]["talk"] == pytest.approx(2.0)
    assert results["perfect"]["edit"]["f1"] == pytest.approx(1.0)
    assert results["perfect"]["cuts"]["median_ms"] == pytest.approx(0.0, abs=0.1)
    assert results["perfect"]["level_error_db"] is None
    assert found["summary"]["easy"]["keep-all"]["leaked"]["value"] == pytest.approx(1.0)
    printed = capsys.readouterr().out
    assert "1 recording, 0.00 hours" in printed
    assert "talk (of 2 s)" in printed
    assert re.search(r"talk \(1\) +0\.857 +1\.000", printed)
    assert re.search(r"F1 - F1 of keep-all +- +\+0\.143", printed)
    assert "perfect" in printed


def test_a_truth_that_is_a_little_longer_than_its_file_is_no_harm(tmp_path):
    write_case(tmp_path / "cases")
    path = tmp_path / "cases" / "case.truth.json"
    values = json.loads(path.read_text())
    values["duration_s"] = values["segments"][-1]["end_s"] = 8.0004
    path.write_text(json.dumps(values))
    found = evaluated(tmp_path, "--editor", "oracle", "--editor", "gate")
    assert found["cases"][0]["results"]["oracle"]["edit"]["f1"] == pytest.approx(1.0, abs=1e-3)


def test_a_checkpoint_edits_as_the_command_edit_does(tmp_path, checkpoints):
    write_case(tmp_path / "cases")
    found = evaluated(tmp_path, "--editor", checkpoints["mix"])
    listed = tmp_path / "list.edl.json"
    arguments = ["--output", str(tmp_path / "out.wav"), "--edl", str(listed), "--quiet"]
    recording = str(tmp_path / "cases" / "case.wav")
    assert main(["edit", recording, "--checkpoint", checkpoints["mix"], *arguments]) == 0
    edit = found["cases"][0]["results"]["mix"]["edit"]
    duration_s = json.loads(listed.read_text())["duration_s"]
    assert edit["duration_error_s"] == pytest.approx(duration_s - 6.0, abs=0.02)


def test_the_edit_list_of_a_command_counts(tmp_path, checkpoints):
    write_case(tmp_path / "cases")
    command = (
        f"own={shlex.quote(sys.executable)} -m rl_editor.infer {{input}} --output {{output}} "
        f"--edl {{edl}} --checkpoint {checkpoints['mix']} --quiet"
    )
    found = evaluated(tmp_path, "--editor", command, "--editor", f"mix={checkpoints['mix']}")
    results = found["cases"][0]["results"]
    assert results["own"]["edit"] == results["mix"]["edit"]
    assert results["own"]["joins"] == results["mix"]["joins"]
    assert results["own"]["compute_s_per_min"] > 0.0


def test_the_audio_of_a_command_is_aligned(tmp_path):
    write_case(tmp_path / "cases", signal=music(12.0, seed=1))
    found = evaluated(tmp_path, "--editor", f"copy={COPY} {{input}} {{output}}")
    edit = found["cases"][0]["results"]["copy"]["edit"]
    assert edit["precision"] == pytest.approx(10 / 12, abs=0.01)
    assert edit["recall"] == pytest.approx(1.0, abs=0.01)
    assert edit["foreign_s"] == pytest.approx(0.0, abs=0.1)


def test_a_command_that_fails_on_one_recording_is_told(tmp_path, capsys):
    write_case(tmp_path / "cases", "first")
    write_case(tmp_path / "cases", "second")
    program = "import sys; sys.exit('no' if 'second' in sys.argv[1] else 0)"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {{input}} {{output}}"
    found = evaluated(tmp_path, "--editor", f"bad={command}", "--editor", "keep-all")
    assert all(list(case["results"]) == ["keep-all"] for case in found["cases"])
    assert "failed with code 1 (no)" in found["problems"][1]
    assert "no file is there" in found["problems"][0]
    assert "left out: bad, second" in capsys.readouterr().out


def test_sessions_and_finished_tracks_of_training_data(tmp_path):
    folder = tmp_path / "tracks"
    folder.mkdir()
    soundfile.write(folder / "song.wav", music(20.0, seed=2), SR)
    data = tmp_path / "training_data"
    make = ["sessions", "make", "--from", str(folder), "--out", str(data), "--jobs", "1"]
    assert main([*make, "--difficulty", "easy"]) == 0
    (data / "reference").mkdir()
    soundfile.write(data / "reference" / "song.wav", music(20.0, seed=2), SR)
    found = evaluated(tmp_path, "--editor", "oracle", "--finished", folder="training_data")
    assert [case["kind"] for case in found["cases"]] == ["easy", "finished"]
    for case in found["cases"]:
        result = case["results"]["oracle"]
        assert result["edit"]["f1"] == pytest.approx(1.0, abs=1e-9)
        assert result["level_error_db"] == pytest.approx(0.0, abs=1e-9)


def test_a_pair_is_aligned_and_its_levels_count(tmp_path):
    data, raw = tmp_path / "data", music(24.0, seed=5)
    for folder in ("input", "desired_output"):
        (data / folder).mkdir(parents=True)
    soundfile.write(data / "input" / "jam_raw.wav", raw, SR)
    edit = cut_together(raw, [(2.0, 10.0, 0.0), (14.0, 22.0, 6.0)])
    soundfile.write(data / "desired_output" / "jam_edit.wav", edit, SR, "FLOAT")
    found = evaluated(tmp_path, "--editor", "keep-all", "--editor", "oracle", folder="data")
    assert [case["kind"] for case in found["cases"]] == ["pair"]
    results = found["cases"][0]["results"]
    assert results["keep-all"]["edit"]["precision"] == pytest.approx(16 / 24, abs=0.01)
    assert results["keep-all"]["level_error_db"] == pytest.approx(3.0, abs=0.3)
    assert results["oracle"]["edit"]["f1"] == pytest.approx(1.0, abs=1e-3)
    assert results["oracle"]["level_error_db"] == pytest.approx(0.0, abs=1e-6)


def test_a_random_edit_and_the_numbers_do_not_depend_on_the_processes(tmp_path):
    for name in ("a", "b", "c"):
        write_case(tmp_path / "cases", name)

    def numbers(jobs):
        written = tmp_path / "numbers.json"
        editors = ["--editor", "random", "--editor", "gate"]
        command = ["evaluate", str(tmp_path / "cases"), *editors, "--jobs", jobs]
        assert main([*command, "--json", str(written)]) == 0
        found = json.loads(written.read_text())
        for case in found["cases"]:
            del case["analysis_s_per_min"]
            for result in case["results"].values():
                del result["compute_s_per_min"]
        return found["cases"]

    alone = numbers("1")
    assert numbers("2") == alone
    assert [case["name"] for case in alone] == ["a", "b", "c"]


def test_recordings_of_one_name_are_told_apart(tmp_path):
    pytest.importorskip("matplotlib")
    write_case(tmp_path / "cases")
    write_case(tmp_path / "more")
    more = str(tmp_path / "more")
    found = evaluated(tmp_path, more, "--editor", "keep-all", "--pictures", str(tmp_path / "p"))
    names = [case["name"] for case in found["cases"]]
    assert names == [f"{tmp_path}/cases/case", f"{tmp_path}/more/case"]
    assert len(list((tmp_path / "p").iterdir())) == 2


def test_pictures_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    write_case(tmp_path / "cases")
    evaluated(tmp_path, "--editor", "gate", "--pictures", str(tmp_path / "pictures"))
    picture = tmp_path / "pictures" / "case.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--editor", "nothing.pt"], "nothing.pt"),
        (["--editor", "no-such-program {input} {output}"], "no-such-program is not found"),
        (["--editor", "python3 {input}"], "{output}"),
        (["--editor", "python3 '{input} {output}"], "cannot be read"),
        (["--editor", "gate", "--editor", "gate"], "two are called gate"),
        (["--only", "another"], "another is none of case"),
        (["--jobs", "0"], "--jobs"),
        (["--json", "no/such/folder/numbers.json"], "--json"),
        (["--pictures", "cases/case.wav"], "--pictures"),
    ],
)
def test_wrong_arguments_are_refused(arguments, expected, tmp_path, monkeypatch, capsys):
    write_case(tmp_path / "cases")
    monkeypatch.chdir(tmp_path)
    is_refused(["evaluate", "cases", *arguments], tmp_path, capsys, expected, main)


@pytest.mark.parametrize(
    "values",
    [{"audio": "missing.wav"}, {"segments": []}, {"segments": [{}]}, {"duration_s": 99.0}],
)
def test_wrong_cases_are_refused(values, tmp_path, capsys):
    write_case(tmp_path / "cases", **values)
    assert main(["evaluate", str(tmp_path / "cases"), "--jobs", "1"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 2


def test_folders_without_cases_are_refused(tmp_path, capsys):
    is_refused(["evaluate", tmp_path], tmp_path, capsys, "recordings with a known edit", main)
    is_refused(["evaluate", tmp_path / "missing"], tmp_path, capsys, "no such folder", main)


def result_of(f1):
    from rl_editor.cut_scores import CutScores
    from rl_editor.evaluate import EditScores

    edit = EditScores(f1, f1, f1, 0.0, 0.0, 1.0, 1.0, {})
    return EditorResult(edit, CutScores((0.1 * f1,) * 3, 0, None, None), (), None, 0.0)


def case_of(name, **f1):
    results = {editor: result_of(value) for editor, value in f1.items()}
    return CaseResult(name, "easy", (), "", 10.0, 5.0, {}, None, results)


def test_estimates_are_means_with_intervals():
    cases = [case_of(str(k), a=0.5 + 0.01 * k, b=0.9) for k in range(21)]
    found = estimates(F1, cases, ["a", "b", "c"])
    assert found["a"].value == pytest.approx(0.6)
    spread = 1.96 * np.std([0.01 * k for k in range(21)]) / np.sqrt(21)
    assert found["a"].low == pytest.approx(0.6 - spread, abs=0.004)
    assert found["a"].high == pytest.approx(0.6 + spread, abs=0.004)
    assert found["b"] == Estimate(pytest.approx(0.9), pytest.approx(0.9), pytest.approx(0.9), 21)
    assert found["c"] is None


def test_the_difference_of_two_editors_is_surer_than_either():
    cases = [case_of(str(k), a=0.5 + 0.01 * k, b=0.52 + 0.01 * k) for k in range(21)]
    found = difference(F1, [*cases, case_of("failed", a=0.1)], "b", "a")
    assert found.n == 21
    assert (found.low, found.value, found.high) == pytest.approx((0.02, 0.02, 0.02))


def test_cut_errors_are_the_median_over_all_cuts():
    cut_error = next(measure for measure in MEASURES if measure.key == "cut_error_ms")
    cases = [case_of(str(k), a=float(k)) for k in range(5)]
    found = estimates(cut_error, cases, ["a"])["a"]
    assert found.value == pytest.approx(200.0)
    assert 0.0 <= found.low <= 200.0 <= found.high <= 400.0
