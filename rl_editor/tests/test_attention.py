import pytest
import torch

from rl_editor.attention import (
    banded_attention,
    dense_attention,
    neighbourhood_attention,
    window_start,
)
from rl_editor.numpy_policy import attention as numpy_attention
from rl_editor.numpy_policy import neighbourhood

CASES = [
    (1, 3, 1),
    (5, 31, 1),
    (40, 31, 1),
    (64, 31, 2),
    (100, 33, 3),
    (257, 31, 8),
    (130, 7, 40),
    (33, 3, 1),
]


def random_heads(n_beats, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, n_beats, 8, generator=generator) for _ in range(3)]


@pytest.mark.parametrize(("n_beats", "kernel_size", "dilation"), CASES)
def test_banded_equals_dense(n_beats, kernel_size, dilation):
    query, key, value = random_heads(n_beats)
    banded = banded_attention(query, key, value, kernel_size, dilation)
    dense = dense_attention(query, key, value, kernel_size, dilation)
    torch.testing.assert_close(banded, dense, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("n_beats", "kernel_size", "dilation"), CASES)
def test_banded_gradients_equal_dense(n_beats, kernel_size, dilation):
    gradients = []
    for function in (banded_attention, dense_attention):
        inputs = [x.requires_grad_() for x in random_heads(n_beats, seed=1)]
        function(*inputs, kernel_size, dilation).square().sum().backward()
        gradients.append([x.grad for x in inputs])
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("n_beats", "kernel_size", "dilation"), CASES)
def test_numpy_equals_dense(n_beats, kernel_size, dilation):
    heads = random_heads(n_beats)
    ours = numpy_attention(*(x.permute(1, 0, 2).numpy() for x in heads), kernel_size, dilation)
    dense = dense_attention(*heads, kernel_size, dilation).permute(1, 0, 2)
    torch.testing.assert_close(torch.from_numpy(ours), dense, atol=1e-5, rtol=1e-4)


def test_every_query_sees_exactly_the_kernel_where_the_group_is_long_enough():
    keys, exists = neighbourhood(100, 31, 3)
    assert exists.all()
    assert (keys % 3 == (torch.arange(100) % 3).numpy()[:, None]).all()
    assert all(len(set(row)) == 31 for row in keys.tolist())


def test_window_is_shifted_at_the_borders():
    index, length = torch.arange(40), torch.tensor(40)
    start = window_start(index, length, 31)
    assert start[0] == 0
    assert start[20] == 5
    assert start[39] == 9


def test_default_on_cpu_is_banded():
    heads = random_heads(50)
    torch.testing.assert_close(
        neighbourhood_attention(*heads, 31, 1), banded_attention(*heads, 31, 1)
    )


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="natten's kernels need a CUDA device")
@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
def test_natten_equals_banded_on_cuda(dilation):
    pytest.importorskip("natten")
    heads = [x.cuda() for x in random_heads(512)]
    natten = neighbourhood_attention(*heads, 31, dilation)
    torch.testing.assert_close(natten, banded_attention(*heads, 31, dilation), atol=1e-3, rtol=1e-3)
