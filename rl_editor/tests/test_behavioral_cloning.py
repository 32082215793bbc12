import dataclasses
import itertools

import numpy as np
import pytest
import torch

from rl_editor import behavioral_cloning
from rl_editor.actions import ActionType, Size
from rl_editor.agent import Agent
from rl_editor.augmentation import augmented, transposed
from rl_editor.auxiliary_tasks import TASKS
from rl_editor.behavioral_cloning import (
    acceptable,
    batch_loss,
    clone,
    cloning_loss,
    every_beat,
    log_size_weights,
)
from rl_editor.cloning_examples import (
    example,
    looks_like_retake,
    one_after_the_other,
    piece_places,
    right_choices,
)
from rl_editor.config import AgentConfig, Config, EpisodeConfig, TrainConfig
from rl_editor.demonstrations import demonstrate
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip
from rl_editor.grid_lines import GridLines
from rl_editor.materials import Material
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.policy_inputs import INPUT_NAMES, N_INPUTS, Normalisation
from rl_editor.recurrence import RECURRENCE_NAMES
from rl_editor.tests.made_up import made_up_track
from rl_editor.truth import Segment, Truth


def demonstration_of(track, segments):
    """Return a demonstration from (end_s, material, wanted, equally_good, piece_start_s) rows."""
    start_s, made = 0.0, []
    for end_s, material, wanted, equally_good, piece_start_s in segments:
        made.append(Segment(start_s, end_s, material, wanted, equally_good, piece_start_s))
        start_s = end_s
    return demonstrate(track, Truth(track.duration_s, tuple(made)))


@pytest.fixture
def two_copies():
    """64 beats of 0.5 s: silence, the passage, talk, an equally good copy of it, the rest."""
    track = made_up_track(64)
    return demonstration_of(
        track,
        [
            (4.0, Material.SILENCE, False, False, None),
            (12.0, Material.MUSIC, True, False, 0.0),
            (16.0, Material.TALK, False, False, None),
            (24.0, Material.REDUNDANT_REPEAT, False, True, 0.0),
            (32.0, Material.MUSIC, True, False, 8.0),
        ],
    )


def prepared(demonstration):
    return example(demonstration, Normalisation.fit([demonstration.track]))


def test_places_in_the_piece(two_copies):
    places = piece_places(two_copies)
    assert np.isnan(places[:8]).all()
    assert places[8] == pytest.approx(0.25)
    assert places[32] == pytest.approx(0.25)
    assert places[63] == pytest.approx(15.75)


def test_a_repeat_after_an_interruption_counts_little(two_copies):
    track = two_copies.track
    recurrence = np.zeros_like(track.recurrence)
    recurrence[:, RECURRENCE_NAMES.index("earlier_match")] = 1.5
    match_earlier = np.full(64, -1)
    match_earlier[48:56] = np.arange(8, 16)
    heard = dataclasses.replace(track, recurrence=recurrence, match_earlier=match_earlier)
    wanted = np.zeros(64, dtype=bool)
    wanted[8:24] = wanted[48:64] = True
    found = looks_like_retake(heard, wanted)
    np.testing.assert_array_equal(np.flatnonzero(found), [*range(8, 16), *range(48, 56)])
    wanted[24:48] = True  # nothing interrupts it now: music repeats itself
    assert not looks_like_retake(heard, wanted).any()
    unlike = dataclasses.replace(heard, recurrence=np.zeros_like(recurrence))
    wanted[24:48] = False
    assert not looks_like_retake(unlike, wanted).any()


def test_the_second_copy_is_cut_only_if_the_first_was_kept(two_copies):
    item = prepared(two_copies)
    keep, cut = right_choices(item, item.wanted)
    assert keep[8:24].all()
    assert not cut[8:24].any()
    assert not keep[32:48].any()
    assert cut[32:48].all()
    missed = item.wanted.copy()
    missed[8:24] = False
    keep, cut = right_choices(item, missed)
    assert keep[32:48].all()
    assert not cut[32:48].any()


def test_of_copies_before_the_wanted_one_either_choice_is_right():
    demonstration = demonstration_of(
        made_up_track(64),
        [
            (16.0, Material.REDUNDANT_REPEAT, False, True, 0.0),
            (32.0, Material.MUSIC, True, False, 0.0),
        ],
    )
    item = prepared(demonstration)
    keep, cut = right_choices(item, item.wanted)
    assert keep[:32].all()
    assert cut[:32].all()
    first = np.arange(64) < 32
    keep, cut = right_choices(item, first)
    assert not keep[32:].any()
    assert cut[32:].all()


def test_acceptable_sizes_stay_inside_the_passage(two_copies):
    item = prepared(two_copies)
    right = acceptable(item, item.wanted)
    assert right.any(axis=(1, 2)).all()
    assert right[8, 0, Size.BEAT]
    assert not right[8, 1].any()
    assert not right[22, 0, Size.TWO_BARS]


def test_the_largest_right_size_weighs_most():
    right = np.zeros((2, 2, 5), dtype=bool)
    right[0, 0, :3] = right[0, 1, 1] = right[1, 1, :] = True
    weights = np.exp(log_size_weights(right))
    assert weights[0, 0, :3] == pytest.approx([1 / 2.25, 1 / 1.5, 1])
    assert weights[1, 0, [0, 4]] == pytest.approx([1.5**-4, 1])


def test_the_loss_is_the_negative_log_of_the_weighted_right_probability(two_copies, monkeypatch):
    torch.manual_seed(0)
    agent = Agent(AgentConfig(hidden_dim=24, dilations=(1,)), N_INPUTS).eval()
    item = prepared(two_copies)
    everything = np.ones((64, 2, 5), dtype=bool)
    monkeypatch.setattr(behavioral_cloning, "acceptable", lambda item, played: everything)
    monkeypatch.setattr(behavioral_cloning, "output_so_far", lambda item, rng: item.wanted)
    monkeypatch.setattr(behavioral_cloning, "TARGET_KNOWN", 0.0)
    encoded = agent.encode([item.inputs])
    loss = cloning_loss(agent, encoded, [item], [np.random.default_rng(0)]) / item.weight.sum()
    step = every_beat(item.table, 0, item.wanted, None, torch.device("cpu"))
    distribution, _ = agent.distribution(encoded, step)
    pairs = distribution.types[:, :2, None] + distribution.sizes[:, :2]
    probability = pairs.detach().exp().numpy() @ 1.5 ** np.arange(-4.0, 1.0)
    # every size of KEEP and of CUT is right
    expected = np.average(-np.log(probability.sum(axis=1)), weights=item.weight)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in agent.parameters() if p.grad is not None)


def test_each_loss_of_a_batch_has_its_own_weight(two_copies):
    torch.manual_seed(0)
    agent = Agent(AgentConfig(hidden_dim=24, dilations=(1,)), N_INPUTS).eval()
    item = prepared(two_copies)
    none = {f"{task}_coef": 0.0 for task in TASKS}

    def loss_of(cloning_weight, **coefs):
        config = Config(train=TrainConfig(**(none | coefs)))
        rng = np.random.default_rng(0)
        own = dataclasses.replace(item, own=item.own.copy())
        return batch_loss(agent, [own], config, rng, cloning_weight=cloning_weight).item()

    alone = {task: loss_of(0.0, **{f"{task}_coef": 1.0}) for task in TASKS}
    assert min(alone.values()) > 0.0
    assert loss_of(0.0) == 0.0
    together = loss_of(0.5, **{f"{task}_coef": 2.0 for task in TASKS})
    assert together == pytest.approx(0.5 * loss_of(1.0) + 2.0 * sum(alone.values()), rel=1e-5)


def test_augmentation_keeps_shape_and_stays_finite():
    inputs = torch.zeros(20, N_INPUTS)
    changed = augmented(inputs, np.random.default_rng(0))
    assert changed.shape == inputs.shape
    assert changed.dtype == torch.float32
    assert float(changed.abs().mean()) > 0.01


def test_transposing_moves_pitch_classes_and_nothing_else():
    inputs = np.random.default_rng(0).standard_normal((5, N_INPUTS))
    up = transposed(inputs, 3)
    columns = {name: index for index, name in enumerate(INPUT_NAMES)}
    for c, e_flat in (("chroma_c", "chroma_d_sharp"), ("chroma_a_change", "chroma_c_change")):
        np.testing.assert_array_equal(up[:, columns[e_flat]], inputs[:, columns[c]])
    others = [i for name, i in columns.items() if not name.startswith("chroma")]
    np.testing.assert_array_equal(up[:, others], inputs[:, others])
    np.testing.assert_array_equal(transposed(up, 9), inputs)


def test_two_recordings_one_after_the_other_are_right_where_each_was(two_copies):
    first, second = prepared(two_copies), prepared(two_copies)
    both = one_after_the_other(first, second)
    n = len(first.wanted)
    assert both.grid.n_beats == len(both.inputs.values) == 2 * n
    assert both.keep_ratio == pytest.approx(first.keep_ratio)
    for name in ("wanted", "spare", "weight", "material", "has_later_copy"):
        np.testing.assert_array_equal(getattr(both, name)[:n], getattr(first, name))
        np.testing.assert_array_equal(getattr(both, name)[n:], getattr(second, name))
    for match in (both.inputs.match_later.numpy(), both.table.match_earlier):
        assert np.all(match[:n] < n)
        assert np.all((match[n:] >= n) | (match[n:] == -1))
    nothing = np.zeros(n, bool)
    keep, cut = right_choices(both, np.concatenate([first.wanted, nothing]))
    alone = [right_choices(first, first.wanted), right_choices(second, nothing)]
    np.testing.assert_array_equal(keep, np.concatenate([alone[0][0], alone[1][0]]))
    np.testing.assert_array_equal(cut, np.concatenate([alone[0][1], alone[1][1]]))
    apart = both.place[n:][:, None] - both.place[:n]
    assert np.nanmin(apart) > 1.0


def test_cloning_memorises_a_demonstration(two_copies):
    torch.manual_seed(0)
    config = Config(
        agent=AgentConfig(hidden_dim=32, dilations=(1, 2), dropout=0.0),
        train=TrainConfig(bc_epochs=60, bc_lr=5e-3),
    )
    agent = Agent(config.agent, N_INPUTS)
    track = two_copies.track
    normalisation = Normalisation.fit([track])
    losses = []
    clone(
        agent,
        [example(two_copies, normalisation) for _ in range(4)],
        config=config,
        rng=np.random.default_rng(0),
        on_epoch=lambda epoch, loss: losses.append(loss),
    )
    assert losses[-1] < losses[0] / 2
    start = EditState.start(track.grid, None, EpisodeConfig())
    made = plan(NumpyPolicy(agent.arrays(), config.agent), normalisation, track, start)
    np.testing.assert_array_equal(made.state.played > 0, two_copies.wanted >= 0.5)


def edit_with_effects(track):
    """Return the demonstration of a quieter passage, a loop and a fade to the end."""
    segment = Segment(0.0, track.duration_s, Material.MUSIC, True, piece_start_s=0.0)
    clips = (
        Clip(4.0, 12.0, gain_db=-3.0),
        Clip(12.0, 16.0),
        Clip(14.0, 16.0),
        Clip(16.0, 18.0),
        Clip(24.0, 32.0, fade_out_s=2.0),
    )
    cut = [(0.0, 4.0), (18.0, 24.0)]
    edges = [0.0, 4.0, 18.0, 24.0, 32.0]
    segments = tuple(
        dataclasses.replace(
            segment,
            start_s=a,
            end_s=b,
            wanted=(a, b) not in cut,
            piece_start_s=None if (a, b) in cut else a,
        )
        for a, b in itertools.pairwise(edges)
    )
    return demonstrate(track, Truth(track.duration_s, segments, clips))


def test_effects_of_an_edit_are_what_plays_its_beats():
    made = edit_with_effects(made_up_track(64))
    item = prepared(made)
    assert (item.acts.kind[8:24] == ActionType.GAIN).all()
    assert item.acts.kind[28] == ActionType.LOOP
    assert item.acts.size[28] == Size.BAR
    assert item.acts.kind[60] == ActionType.FADE_OUT
    assert (np.delete(item.acts.kind, [*range(8, 24), 28, 60]) == ActionType.KEEP).all()
    right = acceptable(item, item.wanted)
    assert right[8, 0].tolist() == [True, True, True, False, False]
    assert right[22, 0].tolist() == [True, True, False, False, False]
    assert right[28, 0].tolist() == [False, True, False, False, False]
    assert not right[26, 0, Size.TWO_BARS]


def test_an_effect_after_going_back_is_what_plays_its_beats():
    track = made_up_track(64)
    segment = Segment(0.0, track.duration_s, Material.MUSIC, True, piece_start_s=0.0)
    clips = (
        Clip(0.0, 10.0, 0.0),
        Clip(4.0, 10.0, 10.0),
        Clip(10.0, 20.0, 16.0, semitones=2.0),
    )
    item = prepared(demonstrate(track, Truth(track.duration_s, (segment,), clips)))
    assert (item.acts.kind[20:40] == ActionType.PITCH_UP).all()
    assert (item.acts.kind[:20] == ActionType.KEEP).all()


def test_a_whole_act_at_the_end_of_a_recording_keeps_its_span_in_a_medley():
    made = edit_with_effects(made_up_track(64))
    grid = made.track.grid
    off_beat = dataclasses.replace(
        grid,
        is_downbeat=np.roll(grid.is_downbeat, 2),
        is_phrase_start=np.roll(grid.is_phrase_start, 2),
    )
    second = dataclasses.replace(prepared(made), grid=off_beat)
    both = one_after_the_other(prepared(made), second)
    assert GridLines.of(both.grid).span_end[60, both.acts.size[60]] == 64


def test_cloning_memorises_an_edit_with_effects():
    torch.manual_seed(0)
    config = Config(
        agent=AgentConfig(hidden_dim=32, dilations=(1, 2), dropout=0.0),
        train=TrainConfig(bc_epochs=140, bc_lr=5e-3),
    )
    agent, track = Agent(config.agent, N_INPUTS), made_up_track(64)
    made, normalisation = edit_with_effects(track), Normalisation.fit([track])
    items = [example(made, normalisation) for _ in range(4)]
    clone(
        agent,
        items,
        config=config,
        rng=np.random.default_rng(0),
        on_epoch=lambda epoch, loss: None,
    )
    start = EditState.start(track.grid, None, EpisodeConfig())
    planned = plan(NumpyPolicy(agent.arrays(), config.agent), normalisation, track, start)
    shown = start
    for action in made.actions:
        shown = shown.step(action)
    assert planned.state.spans() == shown.spans()


@pytest.mark.parametrize("n_epochs", [1, 2, 10, 15])
def test_cloning_runs_for_any_number_of_updates(two_copies, n_epochs):
    """Ten updates once divided by 0: the warm-up was exactly one of them."""
    torch.manual_seed(0)
    config = Config(
        agent=AgentConfig(hidden_dim=8, dilations=(1,)),
        train=TrainConfig(bc_epochs=n_epochs),
    )
    agent, losses = Agent(config.agent, N_INPUTS), []
    clone(
        agent,
        [prepared(two_copies)],
        config=config,
        rng=np.random.default_rng(0),
        on_epoch=lambda epoch, loss: losses.append(loss),
    )
    assert len(losses) == n_epochs
    assert np.isfinite(losses).all()
