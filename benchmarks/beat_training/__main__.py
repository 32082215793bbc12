"""Make music, train the beat network on it, and say how well it tracks what it did not hear.

    OMP_NUM_THREADS=1 python -m benchmarks.beat_training --out FOLDER [--hours 12] [--passes 30]
        [--seed 0] [--width 32] [--jobs 2] [--scores music]

Writes `FOLDER/beat_network.safetensors`, which `rl_editor.beat_network.activations` can run, and
`FOLDER/beat_network.json`: the settings, and scores on held-out material of the new weights and of
the shipped ones. Stopped with Ctrl-C, the same command goes on with the pass that it was in. Made
examples are kept in the material folder, which runs with other seeds and widths can share.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.beat_training.dataset import MakeExample, Piece, load, prepare
from benchmarks.beat_training.evaluation import evaluate
from benchmarks.beat_training.example import FIRST_HELD_OUT_SEED
from benchmarks.beat_training.network import export
from benchmarks.beat_training.training import TrainingSettings, held_out_loss, train
from rl_editor.atomic import atomic_path
from rl_editor.beat_network import read_weights
from rl_editor.errors import UserError
from rl_editor.parallel import default_jobs
from rl_editor.score_rendering import find_soundfont
from rl_editor.stopping import EXIT_USER_ERROR, exit_code, terminable

WEIGHTS, REPORT = "beat_network.safetensors", "beat_network.json"
EXAMPLE_S = 120.0
"""Length of an example: three crops, and room for several stretches of playing."""
SEEDS_A_SET = 1_000_000
"""Examples have seeds from the material's seed times this on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parsed(arguments)
    try:
        with terminable():
            torch.set_num_threads(args.threads)
            run(args, maker(args.scores))
    except UserError as error:
        print(f"beat_training: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt as interrupt:
        print("\nstopped; the same command goes on with the pass that it was in", file=sys.stderr)
        return exit_code(interrupt)
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beat_training", description=__doc__.split("\n")[0]
    )
    defaults = TrainingSettings()
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--hours", type=float, default=12.0, help="of material (12)")
    parser.add_argument("--passes", type=int, default=defaults.passes, help="over it (30)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the training (0)")
    parser.add_argument("--width", type=int, default=defaults.width, help="channels, even (32)")
    parser.add_argument("--lr", type=float, default=defaults.lr, help="highest learning rate")
    parser.add_argument("--batch-crops", type=int, default=defaults.batch_crops, help="in a step")
    parser.add_argument("--dropout", type=float, default=defaults.dropout)
    parser.add_argument("--neighbour", type=float, default=defaults.target.neighbour)
    parser.add_argument("--unsure-frames", type=int, default=defaults.target.unsure_frames)
    parser.add_argument(
        "--positive-weights", type=float, nargs=2, default=list(defaults.positive_weights)
    )
    parser.add_argument("--scores", type=Path, help="folder of MIDI files to render")
    parser.add_argument("--material", type=Path, help="folder of made examples (OUT/material)")
    parser.add_argument("--material-seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=24, help="examples, each of 120 s (24)")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="that make examples")
    parser.add_argument("--threads", type=int, default=1, help="of the training (1)")
    args = parser.parse_args(arguments)
    positive = ("hours", "passes", "held_out", "batch_crops", "jobs", "threads", "lr")
    for name in (*positive, "seed", "unsure_frames", "neighbour", "dropout"):
        value, may_be_0 = getattr(args, name), name not in positive
        if not (0 <= value < math.inf if may_be_0 else 0 < value < math.inf):
            parser.error(
                f"--{name.replace('_', '-')} must be {'at least 0' if may_be_0 else 'positive'}, "
                f"not {value}"
            )
    if args.dropout >= 1 or args.neighbour > 1 or not all(w > 0 for w in args.positive_weights):
        parser.error(
            "--dropout must be below 1, --neighbour at most 1, --positive-weights positive"
        )
    if args.width < 2 or args.width % 2:
        parser.error(f"--width must be even and positive, not {args.width}")
    if not 0 <= args.material_seed < FIRST_HELD_OUT_SEED // SEEDS_A_SET:
        parser.error(f"--material-seed must be below {FIRST_HELD_OUT_SEED // SEEDS_A_SET}")
    return args


def maker(scores: Path | None) -> MakeExample:
    """Return what makes the examples; scores add rendered MIDI files to them."""
    from benchmarks.beat_training.songs.recordings import make_example

    return partial(make_example, scores=None if scores is None else str(scores))


def material_name(scores: Path | None) -> str:
    """Return a name for the folder of examples that depends on the sounds they are made of."""
    files = [find_soundfont()]
    if scores is not None:
        files += sorted(scores.rglob("*.mid"))
    facts = [(path.name, path.stat().st_size) for path in files]
    kind = "without_scores" if scores is None else "with_scores"
    return f"{kind}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]}"


def run(args: argparse.Namespace, make_example: MakeExample) -> None:
    """Make the material, train, and write weights and report."""
    settings = settings_of(args)
    material = (args.material or args.out / "material") / material_name(args.scores)
    for folder in (args.out, material):
        folder.mkdir(parents=True, exist_ok=True)
    n_examples = max(1, round(args.hours * 3600.0 / EXAMPLE_S))
    first = args.material_seed * SEEDS_A_SET
    pieces = made(make_example, range(first, first + n_examples), material, args.jobs)
    held_seeds = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + args.held_out)
    held_out = made(make_example, held_seeds, material, args.jobs)
    started = time.process_time()
    network = train(pieces, held_out, settings, args.out)
    cpu_s = time.process_time() - started
    export(network, args.out / WEIGHTS)
    report: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "material": {
            "hours": args.hours,
            "seed": args.material_seed,
            "scores": args.scores is not None,
            "held_out_examples": args.held_out,
        },
        "training_cpu_s_of_this_call": round(cpu_s, 1),
        "held_out_loss": held_out_loss(network, held_out, settings),
        "held_out": dataclasses.asdict(evaluate(held_out, read_weights(args.out / WEIGHTS))),
        "held_out_shipped": dataclasses.asdict(evaluate(held_out)),
    }
    text = json.dumps(report, indent=2, allow_nan=False)
    with atomic_path(args.out / REPORT) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(text)


def settings_of(args: argparse.Namespace) -> TrainingSettings:
    defaults = TrainingSettings()
    return dataclasses.replace(
        defaults,
        width=args.width,
        passes=args.passes,
        seed=args.seed,
        lr=args.lr,
        dropout=args.dropout,
        batch_crops=args.batch_crops,
        positive_weights=tuple(args.positive_weights),
        target=dataclasses.replace(
            defaults.target, neighbour=args.neighbour, unsure_frames=args.unsure_frames
        ),
    )


def made(make_example: MakeExample, seeds: Sequence[int], folder: Path, jobs: int) -> list[Piece]:
    """Return the examples of these seeds by name of their files; what is missing is made."""
    paths = []
    for path in prepare(make_example, seeds, EXAMPLE_S, folder, jobs):
        paths.append(path)
        if len(paths) % 10 == 0 or len(paths) == len(seeds):
            print(f"{len(paths)} of {len(seeds)} examples are there", flush=True)
    return [load(path) for path in sorted(paths)]


if __name__ == "__main__":
    sys.exit(main())
