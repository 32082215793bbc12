"""Known answers and laws of each term of the reward."""

import dataclasses

import numpy as np
import pytest

from rl_editor import rewards
from rl_editor.actions import Action, ActionType, Size
from rl_editor.config import EpisodeConfig, RewardConfig
from rl_editor.edit_state import EditState
from rl_editor.features import FEATURE_NAMES
from rl_editor.finished_edits import FinishedEdits
from rl_editor.grid import steady_grid
from rl_editor.heard_output import HeardOutput
from rl_editor.materials import Material
from rl_editor.reward_agreement import Seconds, right_seconds
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import REWARD_TERMS, total_reward, total_rewards
from rl_editor.spans import Sound, Span, append
from rl_editor.tests.made_tasks import allowed_action, made_task, made_track
from rl_editor.truth import Segment, Truth

GRID = steady_grid(32.0)  # 64 beats of 0.5 s, 16 bars, 4 phrases
N_BEATS = 64
FIRST_HALF = Truth(
    32.0,
    (
        Segment(0.0, 16.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
        Segment(16.0, 32.0, Material.TALK, wanted=False),
    ),
)


def track_of(features=None):
    """Return a track of 64 beats, silent and without changes where no features are given."""
    silent = np.zeros((N_BEATS, len(FEATURE_NAMES)), dtype=np.float32)
    features = silent if features is None else features
    return dataclasses.replace(made_track(N_BEATS, 0), grid=GRID, features=features)


def heard(*spans, truth=None, target=None, features=None, actions=(), **sound):
    """Return the output of one edit of a recording of 64 beats."""
    placed = ()
    for start, end in spans:
        placed = append(placed, Span(start, end, Sound(**sound)))
    edits = FinishedEdits.of_spans([placed], [actions], [0], [target])
    return HeardOutput.of(RewardTables.of([track_of(features)], [truth]), edits)


def pay(term, *spans, **asked):
    """Return one term of one edit."""
    value = getattr(rewards, term)(heard(*spans, **asked))
    assert value.shape == (1,)
    return float(value[0])


def agreement(*spans, truth=FIRST_HALF, **sound):
    return pay("reference_agreement", *spans, truth=truth, **sound)


KEEP_ALL = (0, N_BEATS)


def test_spans_that_continue_each_other_are_one_run():
    output = heard((0, 16), (16, 32), (40, 48))
    assert output.run_start.tolist() == [0, 40]
    assert output.run_end.tolist() == [32, 48]


def test_a_change_of_sound_is_no_join():
    spans = [Span(0, 16), Span(16, 32, Sound(gain_db=3.0)), Span(32, 48, Sound(reverse=True))]
    edits = FinishedEdits.of_spans([spans], [()], [0], [None])
    output = HeardOutput.of(RewardTables.of([track_of()], [None]), edits)
    assert output.run_end.tolist() == [32, 48]


@pytest.mark.parametrize("term", REWARD_TERMS)
def test_an_empty_output_earns_nothing(term):
    assert pay(term, truth=FIRST_HALF, target=0.0) == 0.0


@pytest.mark.parametrize(("target", "expected"), [(0.5, 1.0), (0.25, 0.5), (1.0, 0.0), (None, 0.0)])
def test_keep_ratio_falls_with_the_distance_from_the_target(target, expected):
    assert pay("keep_ratio", (0, 32), target=target) == pytest.approx(expected)


def test_keep_ratio_counts_seconds_of_output():
    assert pay("keep_ratio", KEEP_ALL, target=0.5, rate=2.0) == pytest.approx(1.0)


def test_coherence_is_the_share_of_a_phrase_that_runs_reach():
    assert pay("section_coherence", KEEP_ALL) == 1.0
    assert pay("section_coherence", (0, 4), (8, 12)) == pytest.approx(0.25)


def test_alignment_loses_for_each_cut_off_a_phrase_line():
    assert pay("phrase_alignment", (16, 32)) == 1.0
    assert pay("phrase_alignment", KEEP_ALL) == 1.0
    assert pay("phrase_alignment", (4, 12)) == 0.5
    assert pay("phrase_alignment", (5, 11)) == 0.0
    # two cuts in four phrases
    assert pay("phrase_alignment", (0, 33), (34, 64)) == pytest.approx(1.0 - 1.0 / (63 / 16))


def test_structure_loses_for_each_defect():
    assert pay("edit_structure", KEEP_ALL) == 1.0
    assert pay("edit_structure", (32, 48), (0, 16)) == 0.5  # one join back in two phrases
    assert pay("edit_structure", (4, 64)) == pytest.approx(1.0 - 0.5 / (60 / 16))
    orphan = pay("edit_structure", (0, 48), (50, 52), (56, 64))
    assert orphan == pytest.approx(1.0 - 1.0 / (58 / 16))


def stepped_features():
    """Return features [64, 121] that wander a little and change a lot at the middle."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N_BEATS, len(FEATURE_NAMES))).cumsum(axis=0) / 50
    features[N_BEATS // 2 :] += 5.0
    return features.astype(np.float32)


def test_flow_charges_a_join_that_is_unlike_the_recordings_own_changes():
    features = stepped_features()
    assert pay("audio_flow", KEEP_ALL, features=features) == 1.0
    assert pay("audio_flow", (0, 8), (48, 56), features=features) < 0.05
    two_phrases = pay("audio_flow", (0, 16), (48, 64), features=features)
    assert two_phrases == pytest.approx(0.5, abs=0.03)
    assert pay("audio_flow", (0, 8), (9, 17), features=features) > 0.5


def test_flow_hears_the_levels_that_gains_make():
    features = np.zeros((N_BEATS, len(FEATURE_NAMES)), dtype=np.float32)
    level = FEATURE_NAMES.index("rms_db")
    features[:, level] = np.where(np.arange(N_BEATS) < 32, -20.0, -14.0)
    features[1::2, level] += 0.5
    tables = RewardTables.of([track_of(features)], [None])

    def flow(gain_db):
        spans = [Span(0, 16), Span(40, 56, Sound(gain_db=gain_db))]
        edits = FinishedEdits.of_spans([spans], [()], [0], [None])
        return float(rewards.audio_flow(HeardOutput.of(tables, edits))[0])

    assert flow(-6.0) > flow(0.0)


def test_a_step_of_the_gain_without_a_cut_is_heard():
    features = stepped_features()
    tables = RewardTables.of([track_of(features)], [None])
    spans = [Span(0, 16), Span(16, 64, Sound(gain_db=-6.0))]
    edits = FinishedEdits.of_spans([spans], [()], [0], [None])
    assert float(rewards.audio_flow(HeardOutput.of(tables, edits))[0]) < 1.0


def test_diversity_counts_what_happens_to_beats():
    assert pay("action_diversity", KEEP_ALL) == 0.0
    half = pay("action_diversity", (0, 32))
    assert half == pytest.approx(np.log(2) / np.log(3))
    assert pay("action_diversity", (0, 16), (16, 32)) == half
    assert pay("action_diversity", (0, 32), gain_db=3.0) == half
    thirds = [Span(0, 21), Span(21, 42, Sound(rate=1.25))]
    edits = FinishedEdits.of_spans([thirds], [()], [0], [None])
    output = HeardOutput.of(RewardTables.of([track_of()], [None]), edits)
    assert float(rewards.action_diversity(output)[0]) == pytest.approx(1.0, abs=1e-3)


def test_agreement_is_one_for_the_edit_and_zero_by_chance():
    assert agreement((0, 32)) == pytest.approx(1.0)
    assert agreement(KEEP_ALL) == 0.0
    assert agreement((32, 64)) == 0.0
    alternate = agreement(*((b, b + 1) for b in range(0, 64, 2)))
    assert alternate == pytest.approx(0.0, abs=1e-9)


def test_agreement_is_blind_to_spelling_but_not_to_order():
    assert agreement(*((b, b + 1) for b in range(32))) == pytest.approx(1.0)
    assert agreement((16, 32), (0, 16)) == pytest.approx(0.0)
    assert 0.0 <= agreement((0, 32), (0, 32)) < 0.6


def test_agreement_takes_either_copy_but_not_both():
    truth = Truth(
        32.0,
        (
            Segment(0.0, 8.0, Material.MUSIC, wanted=True, piece_start_s=0.0),
            Segment(8.0, 16.0, Material.MUSIC, False, equally_good=True, piece_start_s=0.0),
            Segment(16.0, 32.0, Material.NOISE, wanted=False),
        ),
    )
    assert agreement((0, 16), truth=truth) == pytest.approx(1.0)
    assert agreement((16, 32), truth=truth) == pytest.approx(1.0)
    assert agreement((0, 32), truth=truth) < 0.7


@pytest.mark.parametrize(
    "sound", [{"semitones": 2.0}, {"reverse": True}, {"reverb": 0.4}, {"rate": 1.25}]
)
def test_agreement_does_not_count_what_was_processed(sound):
    assert agreement((0, 32), **sound) == 0.0


def test_agreement_allows_levels_and_fades_at_the_ends():
    assert agreement((0, 32), gain_db=3.0) == pytest.approx(1.0)
    assert agreement((0, 32), fade_out="linear") == pytest.approx(1.0)
    assert agreement((0, 16), (16, 32), fade_out="linear") < 0.7


def test_agreement_on_a_finished_track_falls_gently():
    finished = Truth(32.0, (Segment(0.0, 32.0, Material.MUSIC, wanted=True, piece_start_s=0.0),))
    assert agreement(KEEP_ALL, truth=finished) == pytest.approx(1.0)
    assert 0.5 < agreement((0, 60), truth=finished) < 1.0


def test_penalties_begin_beyond_their_allowance():
    cut, keep, loop, jump = (
        Action(kind, Size.BAR)
        for kind in (ActionType.CUT, ActionType.KEEP, ActionType.LOOP, ActionType.JUMP_BACK)
    )
    assert pay("loop_penalty", actions=[loop] * 2) == 0.0
    assert pay("loop_penalty", actions=[cut, keep] * 3 + [loop] * 3) == 0.0
    assert pay("loop_penalty", actions=[loop] * 4) == pytest.approx(-0.5)
    assert pay("jump_penalty", actions=[jump, cut, keep, cut]) == 0.0
    assert pay("jump_penalty", actions=[jump]) == -1.0


def test_penalties_are_blind_to_the_sizes_of_cuts_and_keeps():
    beat_cuts = [Action(ActionType.CUT, Size.BEAT)] * 9
    loops = [Action(ActionType.LOOP, Size.BAR)] * 3
    jumps = [Action(ActionType.JUMP_BACK, Size.BAR)] * 3
    assert pay("loop_penalty", actions=beat_cuts + loops) == pytest.approx(-1 / 3)
    long = pay("jump_penalty", actions=[*beat_cuts, *jumps])
    assert long == pay("jump_penalty", actions=[beat_cuts[0], *jumps]) < 0.0


def test_leak_is_the_share_of_dead_air_and_needs_no_label():
    features = np.zeros((N_BEATS, len(FEATURE_NAMES)), dtype=np.float32)
    features[:, FEATURE_NAMES.index("rms_db")] = np.where(np.arange(N_BEATS) < 48, -20.0, -90.0)
    assert pay("leak_penalty", (0, 48), features=features) == 0.0
    assert pay("leak_penalty", KEEP_ALL, features=features) == pytest.approx(-0.25)
    assert pay("leak_penalty", (48, 64), features=features) == -1.0


def test_every_term_has_a_weight():
    assert {f.name for f in dataclasses.fields(RewardConfig)} == set(REWARD_TERMS)


def played(task, seed):
    """Return the edit of a task under random actions, most of which play the source."""
    rng = np.random.default_rng(seed)
    state = EditState.start(task.track.grid, task.track.features[:, 0], EpisodeConfig())
    often = [ActionType.KEEP, ActionType.CUT, ActionType.LOOP, ActionType.JUMP_BACK]
    while not state.done:
        masks = state.masks()
        types = masks.type.copy()
        if rng.random() < 0.8:
            types &= np.isin(np.arange(len(types)), often)
        state = state.step(allowed_action(types, masks.size, masks.amount, rng))
    return state


def random_batch(n_edits):
    """Return tasks, finished states of them, the index of each state's task, and targets."""
    tasks = [made_task(n_beats, seed) for seed, n_beats in enumerate((40, 96, 1, 64))]
    index = [edit % len(tasks) for edit in range(n_edits)]
    states = [played(tasks[task], seed) for seed, task in enumerate(index)]
    return tasks, states, index, [None if edit % 3 else 0.5 for edit in range(n_edits)]


def test_a_batch_pays_each_edit_what_it_earns_alone():
    tasks, states, index, targets = random_batch(24)
    truths = [task.demonstration.truth if number else None for number, task in enumerate(tasks)]
    tables = RewardTables.of([task.track for task in tasks], truths)
    total, terms = total_rewards(tables, FinishedEdits.of(states, index, targets), RewardConfig())
    for e, (state, number) in enumerate(zip(states, index, strict=True)):
        known = tasks[number].demonstration if number else None
        alone = total_reward(tasks[number].track, state, targets[e], known, RewardConfig())
        assert total[e] == pytest.approx(alone.total, abs=1e-6)
        assert terms[e] == pytest.approx(list(alone.terms.values()), abs=1e-6)


def test_agreement_is_kappa_of_the_right_seconds():
    """Edits that cannot agree are not looked at beat by beat: it must make no difference."""
    tasks, states, index, targets = random_batch(40)
    tables = RewardTables.of(
        [task.track for task in tasks], [task.demonstration.truth for task in tasks]
    )
    output = HeardOutput.of(tables, FinishedEdits.of(states, index, targets))
    found = Seconds.of(output).kappa(right_seconds(output))
    expected = np.where(output.is_heard, np.maximum(0.0, found), 0.0)
    assert 0 < np.count_nonzero(expected) < len(expected)
    np.testing.assert_allclose(rewards.reference_agreement(output), expected, atol=1e-12)


def test_terms_keep_to_their_ranges_and_weigh_in_the_total():
    tasks, states, index, targets = random_batch(24)
    tables = RewardTables.of(
        [task.track for task in tasks], [task.demonstration.truth for task in tasks]
    )
    config = RewardConfig()
    total, terms = total_rewards(tables, FinishedEdits.of(states, index, targets), config)
    penalties = np.array([name.endswith("_penalty") for name in REWARD_TERMS])
    assert np.all((terms[:, ~penalties] >= 0.0) & (terms[:, ~penalties] <= 1.0))
    assert np.all((terms[:, penalties] >= -1.0) & (terms[:, penalties] <= 0.0))
    weights = np.array([getattr(config, name) for name in REWARD_TERMS])
    np.testing.assert_allclose(total, terms @ weights)


def test_only_the_agreement_reads_the_label():
    task = made_task(64, 0)
    state = played(task, 1)
    known = total_reward(task.track, state, 0.5, task.demonstration, RewardConfig()).terms
    unknown = total_reward(task.track, state, 0.5, None, RewardConfig()).terms
    assert {name for name in REWARD_TERMS if known[name] != unknown[name]} <= {
        "reference_agreement"
    }


def test_no_edits_are_paid_nothing():
    tables = RewardTables.of([track_of()], [None])
    total, terms = total_rewards(tables, FinishedEdits.of([], [], []), RewardConfig())
    assert total.shape == (0,)
    assert terms.shape == (0, len(REWARD_TERMS))
