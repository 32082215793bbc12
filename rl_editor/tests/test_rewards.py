"""Known answers of each term, and the gate: the true edit out-scores every trivial one."""

import dataclasses

import numpy as np
import pytest

from rl_editor import rewards
from rl_editor.actions import Action, ActionType, Size
from rl_editor.analysis import analyze_signal
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.edl import Clip
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.rewards import REWARD_TERMS, Output, total_reward
from rl_editor.session_settings import DIFFICULTIES, SessionSettings
from rl_editor.sessions import make_session
from rl_editor.tests.made_tasks import SR, made_music, made_track, made_truth
from rl_editor.truth import Segment, Truth
from rl_editor.vector_environment import EditingProblem, Task

GRID = steady_grid(32.0)  # 64 beats of 0.5 s, 16 bars, 4 phrases


def output(*spans: tuple[int, int], **processing) -> Output:
    edges = GRID.edges_s
    return Output(GRID, tuple(Clip(edges[a], edges[b], **processing) for a, b in spans))


KEEP_ALL, NOTHING = output((0, 64)), output()
FIRST_HALF = Truth(
    32.0,
    (
        Segment(0.0, 16.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
        Segment(16.0, 32.0, Material.TALK, wanted=False),
    ),
)


def test_clips_that_continue_each_other_are_one_run():
    assert len(output((0, 16), (16, 32), (40, 48)).runs) == 2


def test_an_empty_output_earns_nothing():
    features = np.zeros((64, len(FEATURE_NAMES)), dtype=np.float32)
    assert rewards.keep_ratio(NOTHING, 0.0) == 0.0
    assert rewards.section_coherence(NOTHING) == 0.0
    assert rewards.phrase_alignment(NOTHING) == 0.0
    assert rewards.edit_structure(NOTHING) == 0.0
    assert rewards.audio_flow(NOTHING, features) == 0.0
    assert rewards.reference_agreement(NOTHING, FIRST_HALF) == 0.0
    assert rewards.leak_penalty(NOTHING, FIRST_HALF) == 0.0


@pytest.mark.parametrize(("target", "expected"), [(0.5, 1.0), (0.75, 0.5), (1.0, 0.0)])
def test_keep_ratio_falls_with_the_distance_from_the_target(target, expected):
    assert rewards.keep_ratio(output((0, 32)), target) == pytest.approx(expected)


def test_keep_ratio_counts_output_seconds():
    assert rewards.keep_ratio(output((0, 64), rate=2.0), 0.5) == pytest.approx(1.0)


def test_section_coherence_is_the_length_of_runs_in_phrases():
    assert rewards.section_coherence(KEEP_ALL) == 1.0
    assert rewards.section_coherence(output((0, 4), (8, 12))) == pytest.approx(0.25)


def test_phrase_alignment_of_phrase_bar_and_beat_cuts():
    assert rewards.phrase_alignment(output((16, 32))) == 1.0
    assert rewards.phrase_alignment(output((4, 12))) == 0.5
    assert rewards.phrase_alignment(output((5, 11))) == 0.0
    assert rewards.phrase_alignment(KEEP_ALL) == 1.0


def test_edit_structure_punishes_orphans_and_disorder():
    assert rewards.edit_structure(KEEP_ALL) == 1.0
    assert rewards.edit_structure(output((32, 48), (0, 16))) == 0.75
    orphan = rewards.edit_structure(output((0, 16), (21, 23)))
    assert orphan == pytest.approx((1.0 + 0.0 + 16 / 18 + 1.0) / 4)


def test_audio_flow_knows_an_ordinary_change_from_a_jump():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(64, len(FEATURE_NAMES))).cumsum(axis=0).astype(np.float32)
    assert rewards.audio_flow(KEEP_ALL, features) == 1.0
    features[40:] += 1000.0
    assert rewards.audio_flow(output((0, 8), (48, 56)), features) < 0.05
    assert rewards.audio_flow(output((0, 16), (48, 64)), features) == pytest.approx(0.5, abs=0.03)
    features[48] = features[8]
    assert rewards.audio_flow(output((0, 8), (48, 56)), features) > 0.5


def test_action_diversity_saturates():
    kinds = [ActionType.KEEP, ActionType.CUT, ActionType.GAIN]
    actions = [Action(kind, Size.BAR) for kind in kinds]
    assert rewards.action_diversity(actions[:1] * 9) == 0.0
    assert rewards.action_diversity(actions) == pytest.approx(1.0)
    assert 0.0 < rewards.action_diversity(actions[:2]) < 1.0


def test_agreement_is_one_for_the_edit_and_zero_by_chance():
    assert rewards.reference_agreement(output((0, 32)), FIRST_HALF) == pytest.approx(1.0)
    assert rewards.reference_agreement(KEEP_ALL, FIRST_HALF) == 0.0
    assert rewards.reference_agreement(output((32, 64)), FIRST_HALF) == 0.0
    alternate = output(*((b, b + 1) for b in range(0, 64, 2)))
    assert rewards.reference_agreement(alternate, FIRST_HALF) == pytest.approx(0.0, abs=1e-9)


def test_agreement_is_blind_to_spelling_but_not_to_order():
    spelled = output(*((b, b + 1) for b in range(32)))
    assert rewards.reference_agreement(spelled, FIRST_HALF) == pytest.approx(1.0)
    swapped = rewards.reference_agreement(output((16, 32), (0, 16)), FIRST_HALF)
    assert swapped == pytest.approx(0.0)
    twice = rewards.reference_agreement(output((0, 32), (0, 32)), FIRST_HALF)
    assert 0.0 <= twice < 0.6


def test_agreement_takes_either_copy_but_not_both():
    truth = Truth(
        32.0,
        (
            Segment(0.0, 8.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
            Segment(8.0, 16.0, Material.MUSIC, False, equally_good=True, piece_start_s=0.0),
            Segment(16.0, 32.0, Material.NOISE, wanted=False),
        ),
    )
    first, second = output((0, 16)), output((16, 32))
    assert rewards.reference_agreement(first, truth) == pytest.approx(1.0)
    assert rewards.reference_agreement(second, truth) == pytest.approx(1.0)
    assert rewards.reference_agreement(output((0, 32)), truth) < 0.7


def test_agreement_does_not_count_what_was_processed():
    for processing in ({"semitones": 2.0}, {"reverse": True}, {"reverb": 0.4}, {"rate": 1.25}):
        assert rewards.reference_agreement(output((0, 32), **processing), FIRST_HALF) == 0.0
    louder = rewards.reference_agreement(output((0, 32), gain_db=3.0), FIRST_HALF)
    assert louder == pytest.approx(1.0)


def test_agreement_on_a_finished_track_falls_gently():
    finished = Truth(32.0, (Segment(0.0, 32.0, Material.MUSIC, wanted=True, piece_start_s=0.0),))
    assert rewards.reference_agreement(KEEP_ALL, finished) == pytest.approx(1.0)
    nearly = rewards.reference_agreement(output((0, 60)), finished)
    assert 0.5 < nearly < 1.0


def test_penalties_begin_beyond_their_allowance():
    cut, loop, jump = (
        Action(kind, Size.BAR) for kind in (ActionType.CUT, ActionType.LOOP, ActionType.JUMP_BACK)
    )
    assert rewards.loop_penalty([loop] * 2) == 0.0
    assert rewards.loop_penalty([cut] * 3 + [loop] * 3) == 0.0
    assert rewards.loop_penalty([loop] * 4) == pytest.approx(-0.5)
    assert rewards.jump_penalty([jump, cut, cut, cut]) == 0.0
    assert rewards.jump_penalty([jump]) == -1.0


def test_leak_is_the_bad_share_of_the_output():
    assert rewards.leak_penalty(output((0, 32)), FIRST_HALF) == 0.0
    assert rewards.leak_penalty(KEEP_ALL, FIRST_HALF) == pytest.approx(-0.5)
    assert rewards.leak_penalty(output((32, 64)), FIRST_HALF) == -1.0


def test_heaviest_increasing_equals_the_search_over_all_subsequences():
    rng = np.random.default_rng(1)
    for _ in range(20):
        places = rng.integers(0, 6, size=8).astype(float)
        weights = rng.uniform(0.1, 1.0, size=8)
        best = 0.0
        for subset in range(1 << 8):
            rows = [i for i in range(8) if subset >> i & 1]
            if np.all(np.diff(places[rows]) > 0):
                best = max(best, float(weights[rows].sum()))
        assert rewards.heaviest_increasing(places, weights) == pytest.approx(best)


def test_every_term_has_a_weight():
    assert {f.name for f in dataclasses.fields(RewardConfig)} == set(REWARD_TERMS)


def play(task: Task, actions):
    """Return the finished edit of a task under a list of actions."""
    problem = EditingProblem((task,), EpisodeConfig(), RewardConfig())
    state = problem.start_task(0, None).state
    for action in actions:
        state = state.step(action)
    assert state.done
    return state


def spell(keep):
    """Return the beat-by-beat actions that keep where `keep` is True."""
    return [Action(ActionType.KEEP if k else ActionType.CUT, Size.BEAT) for k in keep]


def trivial_edits(track, wanted_ratio, rng):
    """Return {name: [N] keep} of edits that know nothing of what the recording needs."""
    n_beats = track.n_beats
    n_keep = round(wanted_ratio * n_beats)
    loudest = np.argsort(-track.features[:, FEATURE_NAMES.index("rms_db")])[:n_keep]
    first = (n_beats - n_keep) // 2
    index = np.arange(n_beats)
    return {
        "keep_all": np.ones(n_beats, dtype=bool),
        "cut_all": np.zeros(n_beats, dtype=bool),
        "alternate": index % 2 == 0,
        "loudest_first": np.isin(index, loudest),
        "longest_run": (index >= first) & (index < first + n_keep),
        **{f"random_{p / 10}": rng.random(n_beats) < p / 10 for p in range(1, 10)},
    }


def trivial_winners(track, truth, rng):
    """Return the trivial edits that are not the true one, but are paid at least as well."""
    task = Task(track, demonstrate(track, truth))
    wanted = truth.wanted_share(track.grid.edges_s)
    ratio = float(np.average(wanted, weights=track.grid.durations_s))
    true_edit = play(task, task.demonstration.actions)
    others = {n: play(task, spell(keep)) for n, keep in trivial_edits(track, ratio, rng).items()}
    winners = []
    for target in (None, ratio, 0.55):
        args = (target, task.demonstration, RewardConfig())
        best = total_reward(track, true_edit, *args).total
        for name, state in others.items():
            if np.array_equal(state.played, true_edit.played):
                continue
            other = total_reward(track, state, *args).total
            if other >= best:
                winners.append(f"{name} at target {target}: {other:.2f} against {best:.2f}")
    return winners


@pytest.mark.parametrize("seed", range(6))
def test_gate_on_made_tracks(seed):
    rng = np.random.default_rng(seed)
    track = made_track(96, seed)
    assert trivial_winners(track, made_truth(track.grid, rng), rng) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_gate_on_made_sessions(seed):
    rng = np.random.default_rng(seed)
    music = made_music(40.0, seed)
    settings = SessionSettings.named(DIFFICULTIES[seed % len(DIFFICULTIES)])
    session = make_session(music, SR, steady_grid(40.0), rng, settings)
    track = analyze_signal(session.signal.mean(axis=1))
    assert trivial_winners(track, session.truth, rng) == []
