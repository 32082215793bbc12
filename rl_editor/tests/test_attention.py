import importlib.machinery
import sys
import types

import pytest
import torch

from rl_editor import attention
from rl_editor.attention import (
    backend_name,
    banded_attention,
    dense_attention,
    fits_natten,
    natten_attention,
    natten_runs_on,
    neighbourhood_attention,
    window_start,
)
from rl_editor.numpy_policy import attention as numpy_attention
from rl_editor.numpy_policy import neighbourhood

CUDA = torch.device("cuda")
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


@pytest.mark.parametrize(
    ("n_beats", "kernel_size", "dilation", "head_dim", "fits"),
    [
        (62, 31, 2, 8, True),
        (61, 31, 2, 8, False),
        (512, 31, 8, 24, True),
        (512, 31, 8, 18, False),
        (512, 1, 1, 8, False),
    ],
)
def test_natten_is_only_asked_for_what_its_kernels_take(
    n_beats, kernel_size, dilation, head_dim, fits
):
    assert fits_natten(torch.zeros(2, n_beats, head_dim), kernel_size, dilation) is fits


@pytest.mark.parametrize(
    ("version", "has_kernels", "expected"),
    [
        ("0.21.7", True, "natten 0.21.7"),
        ("0.21.10+torch2130cu130", True, "natten 0.21.10+torch2130cu130"),
        ("1.0.0rc1", True, "natten 1.0.0rc1"),
        ("0.21.7", False, "banded (PyTorch)"),
        ("0.21.6", True, "banded (PyTorch)"),
        ("0.17.5", True, "banded (PyTorch)"),
    ],
)
def test_natten_needs_its_kernels_and_a_version_without_nan_gradients(
    version, has_kernels, expected, monkeypatch
):
    made = types.ModuleType("natten")
    made.__version__, made.HAS_LIBNATTEN = version, has_kernels
    made.__spec__ = importlib.machinery.ModuleSpec("natten", None)
    monkeypatch.setitem(sys.modules, "natten", made)
    attention._natten_version.cache_clear()
    try:
        assert backend_name(torch.device("cuda")) == expected
        assert backend_name(torch.device("cpu")) == "banded (PyTorch)"
    finally:
        attention._natten_version.cache_clear()


def test_natten_is_given_its_own_layout(monkeypatch):
    """Its `na1d` takes [batch, N, H, D]; here dense attention stands for it."""

    def na1d(query, key, value, kernel_size, dilation):
        assert query.shape == (1, 100, 4, 8)
        assert query.is_contiguous()
        heads = [x[0].transpose(0, 1) for x in (query, key, value)]
        return dense_attention(*heads, kernel_size, dilation).transpose(0, 1)[None]

    made = types.ModuleType("natten.functional")
    made.na1d = na1d
    monkeypatch.setitem(sys.modules, "natten", types.ModuleType("natten"))
    monkeypatch.setitem(sys.modules, "natten.functional", made)
    heads = random_heads(100)
    torch.testing.assert_close(
        natten_attention(*heads, 31, 3), banded_attention(*heads, 31, 3), atol=2e-6, rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.skipif(not natten_runs_on(CUDA), reason="needs natten with its kernels")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="natten's kernels need a CUDA device")
@pytest.mark.parametrize(
    ("n_beats", "dilation"), [(512, 1), (512, 2), (512, 4), (512, 8), (249, 8)]
)
def test_natten_equals_banded_on_cuda(n_beats, dilation):
    found = []
    for function in (natten_attention, banded_attention):
        heads = [x.cuda().requires_grad_() for x in random_heads(n_beats)]
        out = function(*heads, 31, dilation)
        out.square().sum().backward()
        found.append([out, *(x.grad for x in heads)])
    for natten, banded in zip(*found, strict=True):
        assert (natten - banded).norm() <= 1e-3 * banded.norm()
