"""Speed of the frame features against the same numbers through librosa, in one run.

Run `python benchmarks/features.py [audio file]`; without a file, a generated signal of three
minutes. librosa's calls are those that the tests compare with, one for each feature. Stems and
beat tracking are left out of both; librosa's first call, which imports and compiles (half a
minute where numba has nothing cached), is timed apart. Set OMP_NUM_THREADS=1 for CPU times: the
idle threads of a matrix library spin.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import read_mono
from rl_editor.config import AnalysisConfig
from rl_editor.frame_features import frame_features
from rl_editor.stems import offline_stems
from rl_editor.tests.test_frame_features import librosa_features

CONFIG = AnalysisConfig()
DURATION_S = 180.0
REPEATS = 5


@dataclass(frozen=True)
class Seconds:
    """Time of one call."""

    cpu: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", help="audio file")
    path = parser.parse_args().path
    signal = read_mono(path, CONFIG.sr) if path else generated()
    warm_up = signal[: CONFIG.sr]
    compiled = timed(lambda: librosa_features(warm_up))
    frame_features(warm_up, CONFIG)
    # In turns, so that a busy moment of the machine does not fall on one of them alone.
    rounds = [
        (timed(lambda: librosa_features(signal)), best(lambda: frame_features(signal, CONFIG)))
        for _ in range(REPEATS)
    ]
    theirs, ours = (
        min(column, key=lambda seconds: seconds.cpu) for column in zip(*rounds, strict=True)
    )
    frames = frame_features(signal, CONFIG)
    stems = best(lambda: offline_stems(frames.mel_power, frames.power, CONFIG))
    print(f"{len(signal) / CONFIG.sr:.0f} s of audio, best of {REPEATS} runs")
    print(f"librosa's first call (imports, compiles)  {row(compiled)}")
    print(f"librosa, warm                             {row(theirs)}")
    print(f"rl_editor                                 {row(ours)}")
    print(f"offline stems, beside it                  {row(stems)}")
    print(f"times faster: CPU {theirs.cpu / ours.cpu:.1f}, wall {theirs.wall / ours.wall:.1f}")


def row(seconds: Seconds) -> str:
    """Return CPU and wall time as text."""
    return f"CPU {seconds.cpu:7.2f} s   wall {seconds.wall:7.2f} s"


def timed(call: Callable[[], object]) -> Seconds:
    """Return how long one call takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def best(call: Callable[[], object]) -> Seconds:
    """Return the fastest of some calls, by CPU time."""
    return min((timed(call) for _ in range(REPEATS)), key=lambda seconds: seconds.cpu)


def generated() -> NDArray[np.float32]:
    """Return chords, hits and noise: what the features take long for is in it."""
    rng = np.random.default_rng(0)
    time_s = np.arange(int(DURATION_S * CONFIG.sr)) / CONFIG.sr
    sound = 0.01 * rng.standard_normal(len(time_s))
    sound += 0.3 * np.exp(-40.0 * (time_s % 0.5)) * rng.standard_normal(len(time_s))
    steps = 2.0 ** ((time_s // 2.0 % 4.0) / 12.0)
    for pitch_hz in (110.0, 277.2, 329.6, 440.0):
        sound += 0.1 * np.sin(2 * np.pi * np.cumsum(pitch_hz * steps) / CONFIG.sr)
    return sound.astype(np.float32)


if __name__ == "__main__":
    main()
