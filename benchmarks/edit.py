"""Time and memory of a whole edit, as a user runs it: a process of its own, analysis included.

    python -m benchmarks.edit [--minutes 4 60] [--recording FILE]

Without a recording it repeats the demo recording to the length asked for (stereo, 44.1 kHz,
16-bit wav). Prints wall and CPU seconds, peak memory, and how long `--help` takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from rl_editor.audio import AudioReader

SR = 44100
DEMO = Path(__file__).parent.parent / "rl_editor" / "assets" / "demo_raw.ogg"


def write_recording(path: Path, minutes: float) -> None:
    """Write the demo recording, repeated to `minutes`, as stereo 16-bit wav."""
    with AudioReader(DEMO) as reader:
        audio = reader.read(0, reader.info.n_samples)
        audio = soxr.resample(audio, reader.info.sample_rate, SR)
    left = round(minutes * 60 * SR)
    with soundfile.SoundFile(path, "w", SR, 2, "PCM_16") as file:
        while left > 0:
            file.write(np.clip(audio[:left], -1, 1))
            left -= len(audio)


def measured(command: list[str], cache: str) -> tuple[float, float, float]:
    """Return (wall s, CPU s, peak MB) of a command that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, "RL_EDITOR_CACHE": cache}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[4.0, 60.0])
    parser.add_argument("--recording", type=Path)
    arguments = parser.parse_args()
    python = [sys.executable, "-m"]
    print(f"{'':34} wall s   CPU s  peak MB")
    for command in ("rl_editor.cli", "rl_editor.infer"):
        wall_s, cpu_s, peak_mb = measured([*python, command, "--help"], "")
        print(f"{command + ' --help':34} {wall_s:6.2f}  {cpu_s:6.2f}  {peak_mb:7.0f}")
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            source = arguments.recording or Path(folder) / "recording.wav"
            if arguments.recording is None:
                write_recording(source, minutes)
            edit = [*python, "rl_editor.infer", str(source), "--output", f"{folder}/edited.wav"]
            for name in ("first run", "second run (analysis cached)"):
                wall_s, cpu_s, peak_mb = measured(edit, f"{folder}/cache")
                label = f"{minutes:g} min, {name}"
                print(f"{label:34} {wall_s:6.2f}  {cpu_s:6.2f}  {peak_mb:7.0f}", flush=True)


if __name__ == "__main__":
    main()
