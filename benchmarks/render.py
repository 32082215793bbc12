"""Time and peak memory of fitting joins and rendering a long recording.

    python benchmarks/render.py [--minutes 60] [--clips 120] [--folder /tmp]

Makes a stereo 48 kHz recording of pulsed noise, and four edits of about half of it: plain cuts,
cuts with crossfades, crossfaded cuts of which every eighth clip is processed (speed, pitch,
equaliser, distortion or reverb), and crossfaded cuts brought to -14 LUFS. Each case runs in a
process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from rl_editor.audio import AudioReader, AudioWriter
from rl_editor.edl import (
    Clip,
    EditDecisionList,
    EdlGrid,
    Finish,
    Source,
    back_to_back,
    timeline_length,
)
from rl_editor.grid import steady_grid
from rl_editor.joins import fit_joins
from rl_editor.render import render

SR = 48000
BEAT_S = 0.5
CASES = ("cuts", "crossfades", "processed", "finished")
PROCESSED = (
    Clip(0, 0, rate=1.06),
    Clip(0, 0, semitones=1.0),
    Clip(0, 0, eq_low_db=3.0, eq_high_db=-3.0),
    Clip(0, 0, distortion=0.4),
    Clip(0, 0, reverb=0.4),
)


def make_recording(path: Path, minutes: float) -> None:
    generator = np.random.default_rng(0)
    time_s = np.arange(round(60 * SR)) / SR
    pulse = (0.3 * np.exp(-20.0 * (time_s % BEAT_S)))[:, None]
    minute = (pulse * generator.uniform(-1, 1, (len(time_s), 2))).astype(np.float32)
    with AudioWriter(path, SR, 2, "PCM_16") as writer:
        for _ in range(round(minutes)):
            writer.write(minute)


def make_clips(duration_s: float, n_clips: int, is_processed: bool) -> list[Clip]:
    step_s = duration_s / n_clips
    starts_s = np.floor(np.arange(n_clips) * step_s / BEAT_S) * BEAT_S
    length_s = np.floor(0.5 * step_s / BEAT_S) * BEAT_S
    clips = [Clip(float(start_s), float(start_s + length_s)) for start_s in starts_s]
    if is_processed:
        for k, i in enumerate(range(0, n_clips, 8)):
            start_s, end_s = clips[i].source_start_s, clips[i].source_end_s
            processed = PROCESSED[k % len(PROCESSED)]
            clips[i] = replace(processed, source_start_s=start_s, source_end_s=end_s)
    return clips


def run_case(case: str, recording: Path, output: Path, n_clips: int) -> str:
    with AudioReader(recording) as reader:
        duration_s = reader.info.duration_s
        grid = steady_grid(duration_s, 60.0 / BEAT_S)
        clips = make_clips(duration_s, n_clips, case == "processed")
        began = time.perf_counter()
        fitted = back_to_back(clips, SR)
        if case != "cuts":
            fitted = fit_joins(clips, reader, grid).clips
        fit_s = time.perf_counter() - began
    edl = EditDecisionList(
        source=Source(str(recording), "", SR, 2, duration_s),
        duration_s=timeline_length(fitted, SR) / SR,
        clips=fitted,
        decisions=(),
        grid=EdlGrid.of(grid),
        finish=Finish(-14.0, dither=True) if case == "finished" else Finish(),
    )
    began = time.perf_counter()
    result = render(edl, recording, output)
    render_s = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{case:<12}{fit_s:>8.2f}{render_s:>10.2f}{result.duration_s / render_s:>12.0f}"
        f"{peak_mb:>10.0f}{result.gain_applied_db:>10.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--case", nargs=2, metavar=("CASE", "RECORDING"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.case:
            case, recording = arguments.case
            output = Path(folder) / "edited.wav"
            print(run_case(case, Path(recording), output, arguments.clips))
            return
        recording = Path(folder) / "recording.wav"
        make_recording(recording, arguments.minutes)
        print("case           fit s  render s  x realtime   peak MB   gain dB")
        for case in CASES:
            command = [sys.executable, __file__, "--clips", str(arguments.clips)]
            command += ["--folder", str(arguments.folder), "--case", case, str(recording)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
