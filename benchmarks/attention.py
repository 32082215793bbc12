"""Time of neighbourhood attention, forward and backward: dense, banded and, on CUDA, natten.

    OMP_NUM_THREADS=1 python -m benchmarks.attention [--device cuda] [--json FILE]

One recording of `L` beats, 4 heads of 24 (the default agent's), float32, windows of `k` keys at
dilation `d`. The implementations take turns; shown is the best of the rounds, in milliseconds:
forward alone without gradients, as in a rollout, and forward and backward, as in an update.
natten takes part where its kernels are; the name of what training would use is printed first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rl_editor.attention import (
    backend_name,
    banded_attention,
    dense_attention,
    fits_natten,
    natten_attention,
    natten_runs_on,
)
from rl_editor.config import AgentConfig

DEFAULT = AgentConfig()
LENGTHS = (128, 512, 2048)
WINDOWS = (
    *((DEFAULT.kernel_size, dilation) for dilation in sorted(set(DEFAULT.dilations))),
    (33, 2),
    (7, 1),
)
"""Kernel sizes and dilations."""
DENSE_MOST = 2048
"""Longest recording that the dense implementation is asked for, beats."""
HEADS = (DEFAULT.n_heads, DEFAULT.hidden_dim // DEFAULT.n_heads)

Attention = Callable[..., Tensor]


def contestants(query: Tensor, kernel_size: int, dilation: int) -> dict[str, Attention]:
    """Return the implementations that can do it."""
    found: dict[str, Attention] = {}
    if query.shape[1] <= DENSE_MOST:
        found["dense"] = dense_attention
    found["banded"] = banded_attention
    if natten_runs_on(query.device) and fits_natten(query, kernel_size, dilation):
        found["natten"] = natten_attention
    return found


def milliseconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return how long one call takes: CPU time, or on CUDA time until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        work()
        torch.cuda.synchronize(device)
        return 1e3 * (time.perf_counter() - started)
    started = time.process_time()
    work()
    return 1e3 * (time.process_time() - started)


def learn(attention: Attention, *arguments: Any) -> None:
    """Go forward and backward."""
    attention(*arguments).square().sum().backward()


def measure(
    length: int, kernel_size: int, dilation: int, device: torch.device, n_rounds: int
) -> dict[str, Any]:
    """Return one row: for each implementation the best times [forward, forward and backward]."""
    torch.manual_seed(0)
    heads = [torch.randn(HEADS[0], length, HEADS[1], device=device) for _ in range(3)]
    learning = [x.clone().requires_grad_() for x in heads]
    best: dict[str, list[float]] = {}
    for n_round in range(1 + n_rounds):  # the first is not counted
        for name, attention in contestants(heads[0], kernel_size, dilation).items():
            with torch.no_grad():
                alone = milliseconds(partial(attention, *heads, kernel_size, dilation), device)
            both = milliseconds(partial(learn, attention, *learning, kernel_size, dilation), device)
            if n_round:
                before = best.get(name, [alone, both])
                best[name] = [min(before[0], alone), min(before[1], both)]
    return {"beats": length, "kernel_size": kernel_size, "dilation": dilation, "ms": best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    print(f"on {device} training uses {backend_name(device)}; {HEADS[0]} heads of {HEADS[1]}, ms")
    print(f"{'L':>5}{'k':>4}{'d':>4}   forward, forward and backward")
    rows = []
    for length in LENGTHS:
        for kernel_size, dilation in WINDOWS:
            row = measure(length, kernel_size, dilation, device, arguments.rounds)
            times = ", ".join(f"{n} {a:.2f} {b:.2f}" for n, (a, b) in row["ms"].items())
            print(f"{length:5}{kernel_size:4}{dilation:4}   {times}", flush=True)
            rows.append(row)
    if arguments.json is not None:
        found = {"device": str(device), "backend": backend_name(device), "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
