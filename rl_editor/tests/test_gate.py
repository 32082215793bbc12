"""The gate on made sessions and pairs of every kind, and that it stops a bad reward."""

import dataclasses
import json

import numpy as np
import pytest

from rl_editor.actions import ActionType
from rl_editor.alignment import align
from rl_editor.alignment_truth import truth as aligned_truth
from rl_editor.analysis import analyze_signal
from rl_editor.cli import main
from rl_editor.config import RewardConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.edl import Clip
from rl_editor.gate import GateResult, GateSettings, run_gate
from rl_editor.gate_report import gate_table, write_findings
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.performances import make_performance
from rl_editor.scores import read_score
from rl_editor.session_settings import DIFFICULTIES, SessionSettings
from rl_editor.sessions import make_medley, make_session
from rl_editor.tests.made_recordings import cut_together, music
from rl_editor.tests.made_scores import sine_renderer, write_midi
from rl_editor.tests.made_tasks import BEAT_S, made_music, made_task, made_track
from rl_editor.tests.test_training_items import write_made
from rl_editor.truth import Segment, Truth

SR = 4000
FEW = GateSettings(n_corruptions=20)


def heard_as(truth, seed):
    """Return the demonstration of a truth over a track with made-up features."""
    grid = steady_grid(truth.duration_s)
    track = made_track(grid.n_beats, seed)
    n_samples = round(truth.duration_s * track.sample_rate)
    return demonstrate(dataclasses.replace(track, grid=grid, n_samples=n_samples), truth)


def settings_named(difficulty, **changes):
    return dataclasses.replace(
        SessionSettings.named(difficulty), speech_program=0.0, noise_floor=0.0, **changes
    )


def made_sessions(difficulty):
    for seed in range(10):
        piece, rng = made_music(24.0, seed, SR), np.random.default_rng(seed)
        session = make_session(piece, SR, steady_grid(24.0), rng, settings_named(difficulty))
        yield f"{difficulty} {seed}", heard_as(session.truth, seed)


def made_medleys(name):
    for seed in range(4):
        pieces = [(made_music(16.0, 2 * seed + i, SR), steady_grid(16.0)) for i in range(2)]
        medley = make_medley(pieces, SR, np.random.default_rng(seed), settings_named("session"))
        yield f"{name} {seed}", heard_as(medley.truth, seed)


def out_of_order(name):
    settings = settings_named("session", out_of_order=1.0)
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        session = make_session(made_music(24.0, seed, SR), SR, steady_grid(24.0), rng, settings)
        yield f"{name} {seed}", heard_as(session.truth, seed)


def made_truths(name):
    for seed in range(6):
        yield f"{name} {seed}", made_task(96, seed).demonstration


def treated_clips(seed):
    """Return clips with what people do to passages: a loop, effects, a fade, another order."""
    rng = np.random.default_rng(seed)
    lengths = 2.0 * rng.integers(2, 5, size=6)  # bars of 2 s
    gaps_s = 2.0 * rng.integers(0, 3, size=7)
    start_s = np.cumsum(gaps_s[:6] + np.concatenate([[0.0], lengths[:-1]]))
    spans = [(float(a), float(a + n)) for a, n in zip(start_s, lengths, strict=True)]
    clips = [
        Clip(*spans[0], fade_in_s=spans[0][1] - spans[0][0]),
        Clip(*spans[1]),
        Clip(*spans[1]),
        Clip(*spans[2], rate=1.25),
        Clip(*spans[4], reverse=bool(seed % 2), semitones=0.0 if seed % 2 else -2.0),
        Clip(*spans[3], gain_db=-6.0),
        Clip(*spans[5], reverb=0.4),
    ]
    return tuple(clips), spans, spans[-1][1] + float(gaps_s[6]) + 2.0


def treated(name):
    for seed in range(6):
        clips, spans, duration_s = treated_clips(seed)
        segments, place_s, end_s = [], 0.0, 0.0
        for start_s, stop_s in spans:
            if start_s > end_s:
                segments.append(Segment(end_s, start_s, Material.TALK, False))
            segments.append(Segment(start_s, stop_s, Material.MUSIC, True, False, place_s))
            place_s, end_s = place_s + stop_s - start_s, stop_s
        segments.append(Segment(end_s, duration_s, Material.NOISE, False))
        yield f"{name} {seed}", heard_as(Truth(duration_s, tuple(segments), clips), seed)


MAKERS = {
    **dict.fromkeys(DIFFICULTIES, made_sessions),
    "medley": made_medleys,
    "out of order": out_of_order,
    "made truth": made_truths,
    "with effects and loops": treated,
}


def assert_passes(result):
    assert result.passed, "\n".join([*result.failures[:20], gate_table(result)])


@pytest.mark.parametrize("kind", MAKERS)
def test_the_true_edit_earns_most(kind):
    result = run_gate(MAKERS[kind](kind), RewardConfig(), FEW)
    assert result.n_recordings >= 4
    assert_passes(result)


def test_the_true_edit_of_a_performance_earns_most(tmp_path):
    pytest.importorskip("mido")
    score = read_score(write_midi(tmp_path / "made.mid"))
    shown = []
    for seed in range(4):
        rng, settings = np.random.default_rng(seed), settings_named("session")
        played = make_performance(score, 8000, rng, settings, sine_renderer)
        shown.append((f"performance {seed}", heard_as(played.truth, seed)))
    assert_passes(run_gate(shown, RewardConfig(), FEW))


def test_the_true_edit_of_a_pair_earns_most():
    raw = music(30.0, 1)
    cuts = [(2.0, 9.3, 0.0), (12.1, 18.0, -3.0), (20.2, 27.5, 0.0)]
    truth = aligned_truth(align(raw, cut_together(raw, cuts), 22050), raw, 22050)
    assert_passes(run_gate([("pair", heard_as(truth, 0))], RewardConfig(), FEW))


def test_a_finished_track_keeps_all():
    length_s = 96 * BEAT_S
    whole = Truth(length_s, (Segment(0.0, length_s, Material.MUSIC, True, piece_start_s=0.0),))
    result = run_gate([("finished", heard_as(whole, 0))], RewardConfig(), FEW)
    assert "keep all" not in result.comparisons
    assert "a good passage dropped" in result.comparisons
    assert_passes(result)


def test_a_reward_without_the_label_does_not_pass():
    shown = list(made_truths("made truth"))
    result = run_gate(shown, RewardConfig(reference_agreement=0.0), FEW)
    assert not result.passed
    assert any("made truth" in failure for failure in result.failures)


def test_a_reward_of_smooth_joins_does_not_pass():
    weights = dataclasses.replace(RewardConfig(), audio_flow=60.0, section_coherence=60.0)
    assert not run_gate(made_sessions("hard"), weights, FEW).passed


def test_a_recording_of_which_nothing_is_wanted_is_passed_over():
    nothing = Truth(16.0, (Segment(0.0, 16.0, Material.TALK, False),))
    result = run_gate([("talk", heard_as(nothing, 0))], RewardConfig(), FEW)
    assert result.n_recordings == 0


def test_equally_good_takes_are_the_same_edit():
    truth = Truth(
        32.0,
        (
            Segment(0.0, 8.0, Material.MUSIC, True, piece_start_s=0.0),
            Segment(8.0, 16.0, Material.REDUNDANT_REPEAT, False, True, piece_start_s=8.0),
            Segment(16.0, 24.0, Material.TALK, False),
            Segment(24.0, 32.0, Material.MUSIC, True, piece_start_s=8.0),
        ),
    )
    demonstration = heard_as(truth, 0)
    assert ActionType.CUT in {action.type for action in demonstration.actions}
    result = run_gate([("two takes", demonstration)], RewardConfig(), FEW)
    assert "first part only" not in result.comparisons
    assert_passes(result)


def test_findings_are_written(tmp_path):
    result = run_gate(made_truths("made truth"), RewardConfig(), GateSettings(5))
    write_findings(tmp_path / "gate.json", result)
    values = json.loads((tmp_path / "gate.json").read_text())
    assert values["passed"] is True
    assert values["recordings"] == 6
    assert values["comparisons"]["keep all"]["won"] == 1.0
    assert all(name in gate_table(result) for name in values["comparisons"])


def test_nothing_judged_has_nothing_against_it():
    assert GateResult().passed


def test_the_command_judges_a_folder(tmp_path, capsys):
    write_made(tmp_path / "data", "made", 0)
    findings = tmp_path / "gate.json"
    code = main(["gate", str(tmp_path / "data"), "--json", str(findings), "--corruptions", "10"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "| keep all |" in printed
    assert "passes the gate (1 recordings)" in printed
    assert json.loads(findings.read_text())["recordings"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}/nowhere"], "put recordings there or name another folder"),
        (["{folder}", "--corruptions", "0"], "--corruptions must be at least 1"),
        (["{folder}", "--json", "{folder}/no/gate.json"], "choose another path with --json"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, arguments, words):
    code = main(["gate", *(argument.format(folder=tmp_path) for argument in arguments)])
    assert code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_true_edit_earns_most_on_analysed_sessions(difficulty):
    shown = []
    for seed in range(3):
        piece, rng = made_music(40.0, seed), np.random.default_rng(seed)
        session = make_session(piece, 22050, steady_grid(40.0), rng, settings_named(difficulty))
        track = analyze_signal(session.signal.mean(axis=1))
        shown.append((f"{difficulty} {seed}", demonstrate(track, session.truth)))
    assert_passes(run_gate(shown, RewardConfig()))
