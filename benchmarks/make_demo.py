"""Make the demo recording again: a rehearsal of three short pieces with all that goes wrong in one.

    python -m benchmarks.make_demo PIECE PIECE PIECE --output rl_editor/assets/demo_raw.ogg

The pieces must not be in the training of the editor that ships. Beside the recording goes its
truth, so that the demo's edit can be scored.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import soundfile

from rl_editor.analysis import analyze
from rl_editor.audio import AudioReader
from rl_editor.session_files import write_truth
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import make_session
from rl_editor.truth import Segment, Truth

SETTINGS = dataclasses.replace(
    SessionSettings(),
    name="demo",
    unwanted_share=(0.5, 0.6),
    talk=1.0,
    count_in=1.0,
    false_start=1.0,
    flawed_take=1.0,
    tuning=0.6,
    out_of_order=0.0,
    late_retake=0.0,
    off_beat=0.1,
    off_bar=0.2,
    mono=0.0,
    clipping=0.0,
    band_pass=0.0,
    hum=0.0,
    noise_floor=1.0,
    noise_floor_db=(-66.0, -60.0),
    peak_db=(-3.0, -3.0),
    junk_level_db=(-14.0, -4.0),
)
BLOCK_SAMPLES = 65536
COMPRESSION = 0.75
"""Of libsndfile's Vorbis encoder, 0 (largest) to 1: about 100 kbit/s."""


def rehearsal(paths: list[Path], seed: int) -> tuple[np.ndarray, int, Truth]:
    """Return (audio [S, C], sample rate, truth) of one session after the other."""
    raws, segments, offset_s, piece_s, sr = [], [], 0.0, 0.0, 0
    for number, path in enumerate(paths):
        with AudioReader(path) as reader:
            signal = np.asarray(reader.read(0, reader.info.n_samples), dtype=np.float32)
            sr = reader.info.sample_rate
        rng = np.random.default_rng([seed, number])
        session = make_session(signal, sr, analyze(path).grid, rng, SETTINGS)
        for segment in session.truth.segments:
            place_s = segment.piece_start_s
            segments.append(
                dataclasses.replace(
                    segment,
                    start_s=segment.start_s + offset_s,
                    end_s=segment.end_s + offset_s,
                    piece_start_s=None if place_s is None else place_s + piece_s,
                )
            )
        raws.append(session.signal)
        offset_s += len(session.signal) / sr
        piece_s += len(signal) / sr
    audio = np.concatenate(raws)
    return audio, sr, Truth(len(audio) / sr, _snapped(segments, len(audio) / sr))


def _snapped(segments: list[Segment], duration_s: float) -> tuple[Segment, ...]:
    """Return the segments with ends that meet exactly, free of rounding."""
    edges = [s.start_s for s in segments] + [duration_s]
    return tuple(
        dataclasses.replace(s, start_s=edges[i], end_s=edges[i + 1]) for i, s in enumerate(segments)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pieces", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    audio, sr, truth = rehearsal(arguments.pieces, arguments.seed)
    with soundfile.SoundFile(
        arguments.output, "w", sr, audio.shape[1], compression_level=COMPRESSION
    ) as file:
        for start in range(0, len(audio), BLOCK_SAMPLES):
            file.write(audio[start : start + BLOCK_SAMPLES])
    write_truth(truth, arguments.output.with_suffix(".truth.json"), sr)
    wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
    print(f"{truth.duration_s:.1f} s, of which {wanted_s:.1f} s are wanted")
    for segment in truth.segments:
        mark = "keep" if segment.wanted else ""
        print(f"{segment.start_s:7.2f} {segment.end_s:7.2f} {segment.material.name:18} {mark}")


if __name__ == "__main__":
    main()
