"""Make the recordings of the benchmark.

    python -m benchmarks.development.build --music FOLDER --out FOLDER [--only NAME ...]

The music folder holds the finished tracks of the table in `cases`. The same tracks give the same
recordings, sample by sample, with the same versions of the libraries and of espeak-ng.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.development.case import Case
from benchmarks.development.cases import CASES
from benchmarks.development.maker import make_case
from benchmarks.development.piece import read_track
from benchmarks.development.recording import write
from benchmarks.development.truth_file import Described, write_truth
from rl_editor.errors import UserError
from rl_editor.truth import Truth


def find_track(folder: Path, track: str) -> Path:
    """Return the file of a track of the table; raises `UserError` if it is missing."""
    found = sorted(p for p in folder.glob("*") if p.stem.replace(" ", "_").endswith(f"__{track}"))
    if not found:
        raise UserError(
            f"{folder} should hold the finished track *__{track}.*, but it does not; fetch the "
            "music with python -m benchmarks.fetch_music and name the folder with --music."
        )
    return found[0]


@lru_cache(maxsize=2)
def _track(path: Path, sr: int) -> NDArray[np.float32]:
    return read_track(path, sr)


def build_case(case: Case, music: Path, out: Path) -> Described:
    """Make one case and write its recording and its truth."""
    paths = [find_track(music, track) for track in case.tracks]
    made = make_case(case, [_track(path, case.recording.sr) for path in paths])
    path = out / f"{case.name}{case.recording.suffix}"
    n_frames = write(path, made.audio, made.sr)
    truth = _lasting(made.truth, n_frames / made.sr)
    described = Described(case.name, case.kind, tuple(case.tags()), path, truth)
    write_truth(described)
    return described


def _lasting(truth: Truth, duration_s: float) -> Truth:
    """Return the truth of a file that an encoder made a little longer."""
    last = dataclasses.replace(truth.segments[-1], end_s=duration_s)
    return Truth(duration_s, (*truth.segments[:-1], last))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--music", type=Path, required=True, help="folder of finished tracks")
    parser.add_argument("--out", type=Path, required=True, help="where the recordings go")
    parser.add_argument("--only", nargs="+", help="names of single cases")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = [c for c in CASES if arguments.only is None or c.name in arguments.only]
    try:
        for case in chosen:
            begin = time.perf_counter()
            made = build_case(case, arguments.music, arguments.out)
            wanted_s = sum(s.end_s - s.start_s for s in made.truth.segments if s.wanted)
            print(
                f"{case.name:22} {made.truth.duration_s:7.1f} s, {wanted_s:7.1f} s wanted, made in "
                f"{time.perf_counter() - begin:4.1f} s: {' '.join(made.tags)}",
                flush=True,
            )
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
