import numpy as np
import pytest
import torch

from rl_editor.actions import AMOUNT_EXISTS, N_AMOUNTS, N_SIZES, N_TYPES
from rl_editor.agent import (
    Agent,
    FactoredDistribution,
    StepInputs,
    TrackInputs,
    _entropy,
    masked_log_softmax,
)
from rl_editor.auxiliary_tasks import AuxiliaryTargets
from rl_editor.config import AgentConfig
from rl_editor.errors import UserError
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.observation import N_CONTEXT
from rl_editor.policy_inputs import N_INPUTS, Normalisation, policy_inputs
from rl_editor.tests.made_up import made_up_track

SMALL = AgentConfig(hidden_dim=24, n_heads=4, kernel_size=5, dilations=(1, 3), n_global_tokens=2)


def small_agent(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return Agent(config, N_INPUTS).eval()


def steps(n_steps, n_tracks=1, n_beats=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size_mask = torch.rand(n_steps, N_TYPES, N_SIZES, generator=generator) < 0.6
    size_mask[:, :, 0] = True
    type_mask = torch.rand(n_steps, N_TYPES, generator=generator) < 0.5
    type_mask[:, 0] = True
    return StepInputs(
        track=torch.randint(n_tracks, (n_steps,), generator=generator),
        cursor=torch.randint(n_beats, (n_steps,), generator=generator),
        context=torch.randn(n_steps, N_CONTEXT, generator=generator),
        type_mask=type_mask,
        size_mask=size_mask & type_mask[:, :, None],
        amount_mask=torch.from_numpy(AMOUNT_EXISTS).expand(n_steps, -1, -1).clone(),
    )


def encoded_tracks(agent, n_beats=(64, 64), seed=0):
    tracks = [made_up_track(n, seed + i) for i, n in enumerate(n_beats)]
    normalisation = Normalisation.fit(tracks)
    return agent.encode([TrackInputs.from_track(t, normalisation) for t in tracks])


def test_chosen_actions_are_allowed_and_their_probabilities_are_the_evaluated_ones():
    agent = small_agent()
    encoded, step = encoded_tracks(agent), steps(200, n_tracks=2)
    acted = agent.act(encoded, step, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(200)
    kind, size, amount = acted.actions.T
    assert step.type_mask[rows, kind].all()
    assert step.size_mask[rows, kind, size].all()
    assert step.amount_mask[rows, kind, amount].all()
    again = agent.evaluate(encoded, step, acted.actions)
    torch.testing.assert_close(again.log_prob, acted.log_prob)
    torch.testing.assert_close(again.value, acted.value)


def test_probabilities_of_all_allowed_actions_sum_to_one():
    agent = small_agent()
    step = steps(5)
    distribution, _ = agent.distribution(encoded_tracks(agent, (64,)), step)
    joint = (
        distribution.types[:, :, None, None]
        + distribution.sizes[:, :, :, None]
        + distribution.amounts[:, :, None, :]
    )
    torch.testing.assert_close(joint.exp().sum(dim=(1, 2, 3)), torch.ones(5))


def test_entropy_of_the_joint_uniform_is_its_maximum():
    step = steps(50)
    n_sizes, n_amounts = step.size_mask.sum(2), step.amount_mask.sum(2)
    given_type = [
        masked_log_softmax(torch.zeros(50, N_TYPES, n), mask)
        for n, mask in ((N_SIZES, step.size_mask), (N_AMOUNTS, step.amount_mask))
    ]
    # types weighted by their number of combinations make every combination equally likely
    type_logits = (n_sizes * n_amounts).clamp(min=1).log()
    uniform = FactoredDistribution(masked_log_softmax(type_logits, step.type_mask), *given_type)
    torch.testing.assert_close(uniform.entropy(), torch.ones(50))


def test_entropies_of_the_heads_are_shares_of_their_maxima():
    types = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).log()
    halves, sure = torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0]).log()
    none = torch.full((2,), -torch.inf)
    sizes = torch.stack([torch.stack([halves, halves, none]), torch.stack([sure, halves, none])])
    amounts = torch.stack([torch.stack([sure, halves, none])] * 2)
    sizes[1, 0] = torch.tensor([0.9, 0.1]).log()
    found = FactoredDistribution(types, sizes, amounts).head_entropy()
    of_tenth = float(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)) / np.log(2))
    expected = torch.tensor([[1.0, 1.0, 1.0], [0.0, of_tenth, 0.0]])
    torch.testing.assert_close(found, expected)


def test_entropy_under_equal_logits_is_the_log_of_the_allowed_count():
    """Of each head, and of all three together where every type allows as many combinations."""
    torch.manual_seed(0)
    masks = [torch.rand(200, n) < 0.5 for n in (N_TYPES, N_SIZES, N_AMOUNTS)]
    for mask in masks:
        mask[:, 0] = True
        entropy = _entropy(masked_log_softmax(torch.full(mask.shape, 3.0), mask))
        torch.testing.assert_close(entropy, mask.sum(dim=1).log())
    of_type = masks[0]
    given_type = [m[:, None] & of_type[:, :, None] for m in masks[1:]]
    equal = FactoredDistribution(
        *(masked_log_softmax(torch.zeros(m.shape), m) for m in (of_type, *given_type))
    )
    count = of_type.sum(1) * masks[1].sum(1) * masks[2].sum(1)
    torch.testing.assert_close(equal.entropy() * count.log(), count.log())
    shares = (torch.stack([m.sum(1) for m in masks], dim=1) > 1).float()
    torch.testing.assert_close(equal.head_entropy(), shares)


def test_masked_softmax_has_finite_gradients_where_nothing_is_allowed():
    logits = torch.randn(3, 5, requires_grad=True)
    mask = torch.tensor([[True] * 5, [False] * 5, [True, False, False, False, False]])
    log_probs = masked_log_softmax(logits, mask)
    assert torch.isneginf(log_probs[1]).all()
    log_probs[mask].sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_sizes_and_amounts_of_some_types_are_those_of_all():
    agent = small_agent()
    encoded, step = encoded_tracks(agent), steps(50, n_tracks=2)
    kinds = torch.randint(0, 20, (50, 2), generator=torch.Generator().manual_seed(0))
    every, _ = agent.distribution(encoded, step)
    some, _ = agent.distribution(encoded, step, kinds=kinds)
    rows = torch.arange(50)[:, None]
    torch.testing.assert_close(some.types, every.types)
    torch.testing.assert_close(some.sizes, every.sizes[rows, kinds])
    torch.testing.assert_close(some.amounts, every.amounts[rows, kinds])


def test_greedy_takes_the_mode():
    agent = small_agent()
    encoded, step = encoded_tracks(agent), steps(50, n_tracks=2)
    distribution, _ = agent.distribution(encoded, step)
    acted = agent.act(encoded, step, greedy=True)
    torch.testing.assert_close(acted.actions[:, 0], distribution.types.argmax(dim=1))


def test_encoding_tracks_together_equals_encoding_each_alone():
    agent = small_agent()
    tracks = [made_up_track(n, n) for n in (30, 70)]
    normalisation = Normalisation.fit(tracks)
    inputs = [TrackInputs.from_track(t, normalisation) for t in tracks]
    together, alone = agent.encode(inputs), agent.encode(inputs[1:])
    assert together.offsets.tolist() == [0, 30, 100]
    torch.testing.assert_close(together.beats[30:], alone.beats)
    torch.testing.assert_close(together.heads_in[30:], alone.heads_in)
    torch.testing.assert_close(together.heads_in[:30], agent.encode(inputs[:1]).heads_in)


@pytest.mark.parametrize("n_beats", [1, 3, 64, 700])
def test_numpy_policy_equals_the_agent(n_beats):
    config = AgentConfig()
    agent = small_agent(config)
    track = made_up_track(n_beats, seed=3)
    normalisation = Normalisation.fit([made_up_track(64)])
    encoded = agent.encode([TrackInputs.from_track(track, normalisation)])
    step = steps(20, n_beats=n_beats)
    allowed = [torch.ones_like(m) for m in (step.type_mask, step.size_mask, step.amount_mask)]
    distribution, _ = agent.distribution(
        encoded, StepInputs(step.track, step.cursor, step.context, *allowed)
    )
    policy = NumpyPolicy(agent.arrays(), config)
    ours = policy.encode(
        policy_inputs(track, normalisation), track.match_later, track.match_earlier
    )
    logits = policy.step(ours, step.cursor.numpy(), step.context.numpy())
    types = policy.type_logits(ours, step.cursor.numpy(), step.context.numpy())
    np.testing.assert_array_equal(types, logits.types)
    for numpy_logits, log_probs in (
        (logits.types, distribution.types),
        (logits.sizes, distribution.sizes),
        (logits.amounts, distribution.amounts),
    ):
        numpy_log_probs = torch.from_numpy(numpy_logits).log_softmax(dim=-1)
        torch.testing.assert_close(numpy_log_probs, log_probs, atol=1e-4, rtol=1e-4)
    materials = agent.auxiliary.material(encoded.beats).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(ours.materials, materials, atol=1e-4)


def test_auxiliary_losses_ignore_beats_of_unknown_material():
    agent = small_agent()
    beats = torch.randn(10, SMALL.hidden_dim)
    unknown = AuxiliaryTargets(
        torch.randn(10, N_INPUTS), torch.zeros(10), torch.full((10,), -1, dtype=torch.int64)
    )
    assert set(agent.auxiliary.losses(beats, unknown)) == {"tempo", "energy", "phrase", "mel"}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"hidden_dim": 30, "n_heads": 4}, "divisible"),
        ({"kernel_size": 32}, "odd"),
        ({"dilations": ()}, "dilations"),
    ],
)
def test_impossible_networks_are_refused_in_one_sentence(settings, word):
    with pytest.raises(UserError, match=word):
        AgentConfig(**settings)
