"""The benchmark of confidence: what counts as right, and what it stores."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("benchmarks.calibration", reason="benchmarks are part of a checkout only")

from benchmarks.calibration import Judged, fitted, halves, judge, line, main, measured, table
from rl_editor import checkpoint
from rl_editor.actions import Action, ActionType, Amount, Size
from rl_editor.calibration import Calibration
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.errors import UserError
from rl_editor.materials import N_MATERIALS, Material
from rl_editor.planner import Plan
from rl_editor.tests.made_editor import DURATION_S, write_checkpoint, write_groove
from rl_editor.tests.test_report import TRACK
from rl_editor.truth import Segment, Truth

BEAT_S = 0.5


def truth_of(*segments):
    """Return the truth of (end in beats, material, wanted, place in beats or None)."""
    made, start_s = [], 0.0
    for end, material, wanted, place in segments:
        place_s = None if place is None else place * BEAT_S
        copies = place is not None and not wanted
        made.append(Segment(start_s, end * BEAT_S, material, wanted, copies, place_s))
        start_s = end * BEAT_S
    return Truth(start_s, tuple(made))


def plan_of(*kinds):
    """Return the plan that does one thing to each 16 beats of the 64 of `TRACK`."""
    state, spans = EditState.start(TRACK.grid, None, EpisodeConfig()), []
    for kind in kinds:
        before = state.cursor
        state = state.step(Action(kind, Size.PHRASE, Amount.NEUTRAL))
        spans.append((before, state.cursor))
    keep = np.repeat([0.9, 0.8, 0.3, 0.6], 16)
    return Plan(state, tuple(spans), keep, np.zeros((64, N_MATERIALS), np.float32))


KEEP, CUT = ActionType.KEEP, ActionType.CUT


def test_a_decision_is_right_where_most_of_its_seconds_are():
    truth = truth_of(
        (7, Material.TALK, False, None),
        (56, Material.MUSIC, True, 0),
        (64, Material.TALK, False, None),
    )
    decisions, beats = judge(plan_of(KEEP, KEEP, CUT, KEEP), TRACK, truth)
    probability, is_right, seconds = decisions
    np.testing.assert_allclose(probability, [0.9, 0.8, 0.7, 0.6])
    assert is_right.tolist() == [True, True, False, False]  # half right is not enough
    assert seconds.tolist() == [8.0] * 4
    assert beats[1].tolist() == [False] * 7 + [True] * 25 + [False] * 16 + [True] * 8 + [False] * 8
    np.testing.assert_allclose(beats[0][[0, 40]], [0.9, 0.7])


def test_an_equally_good_copy_counts_once():
    truth = truth_of((16, Material.REDUNDANT_REPEAT, False, 0), (64, Material.MUSIC, True, 0))
    assert judge(plan_of(KEEP, CUT, KEEP, KEEP), TRACK, truth)[0][1].tolist() == [True] * 4
    both = judge(plan_of(KEEP, KEEP, KEEP, KEEP), TRACK, truth)[0][1].tolist()
    assert both == [True, False, True, True]


def made_rows(n=4000, slope=0.5, seed=0):
    rng = np.random.default_rng(seed)
    odds = rng.normal(4.0, 2.0, n)
    is_right = rng.random(n) < 1.0 / (1.0 + np.exp(-slope * odds))
    return Judged(rng.integers(20, size=n), 1 / (1 + np.exp(-odds)), is_right, np.full(n, 3.0))


def test_a_calibration_of_one_half_holds_on_the_other():
    rows = made_rows()
    to_fit, rest = halves(rows)
    assert not set(rows.piece[to_fit]) & set(rows.piece[rest])
    calibration = fitted(rows.of(to_fit))
    raw, told = measured(rows.of(rest), Calibration()), measured(rows.of(rest), calibration)
    assert told.error[0] < 0.03 < raw.error[0]
    assert told.log_loss < raw.log_loss
    low, high = told.asked[1:]
    assert low < 0.9 < high
    assert low <= told.asked[0] <= high
    assert "| 0.85 to 0.95 |" in table(told)
    assert line("told", told).startswith("told: at 0.9")


def test_what_says_nothing_is_no_calibration():
    rows = made_rows()
    with pytest.raises(UserError, match="name more recordings"):
        fitted(rows.of(~rows.is_right))


def write_cases(folder, n=4, first_is_wanted=True):
    """Write cases of which one half is wanted; the made editor is surer of the first."""
    folder.mkdir()
    for number in range(n):
        write_groove(folder / f"case{number}.wav")
        half, end = DURATION_S / 2, DURATION_S
        segments = [
            {"start_s": 0.0, "end_s": half, "material": "music", "wanted": first_is_wanted},
            {"start_s": half, "end_s": end, "material": "music", "wanted": not first_is_wanted},
        ]
        segments[0 if first_is_wanted else 1]["piece_start_s"] = 0.0
        values = {"audio": f"case{number}.wav", "duration_s": end, "segments": segments}
        (folder / f"case{number}.truth.json").write_text(json.dumps(values))


def test_the_checkpoint_keeps_what_was_fitted(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    write_cases(tmp_path / "cases")
    path = write_checkpoint(tmp_path / "best.pt")
    before = checkpoint.load(path)
    assert main([str(tmp_path / "cases"), "--checkpoint", str(path)]) == 0
    assert checkpoint.load(path).calibration is None
    arguments = [str(tmp_path / "cases"), "--checkpoint", str(path), "--store"]
    assert main([*arguments, "--json", str(tmp_path / "a.json")]) == 0
    told = capsys.readouterr()
    after = checkpoint.load(path)
    assert f"{after.calibration}; measured on 2 of 4 pieces" in told.out
    for name, array in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], array)
    assert "decisions, told" in json.loads((tmp_path / "a.json").read_text())


def test_an_editor_whose_odds_say_nothing_is_told_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    write_cases(tmp_path / "cases", first_is_wanted=False)
    path = write_checkpoint(tmp_path / "best.pt")
    assert main([str(tmp_path / "cases"), "--checkpoint", str(path), "--store"]) == 2
    assert "name more recordings" in capsys.readouterr().err
    assert checkpoint.load(path).calibration is None


def test_one_piece_is_not_enough(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))
    write_cases(tmp_path / "cases", 1)
    path = write_checkpoint(tmp_path / "best.pt")
    assert main([str(tmp_path / "cases"), "--checkpoint", str(path)]) == 2
    assert "name more folders" in capsys.readouterr().err
