"""How often music is taken for none, and what is none for music.

    OMP_NUM_THREADS=1 python -m benchmarks.music_detection [--music FOLDER ...] [--other FOLDER ...]
        [--checkpoint best.pt] [--quick] [--seed 0]

Without folders it makes sounds without music: silence, noises, tones, hums, sweeps, applause, rain,
a crowd, footsteps, talk. `--other` adds recordings without music, `--music` recordings with some;
both are searched for audio files, folders within them too. Clips of less than 10 s that lie in one
folder (single words, single sounds) are strung together with pauses to one recording.

Told is, by kind, how many were taken for music, each with its 95% interval (Wilson 1927), and
which ones were taken wrongly. The interval needs sounds that are independent: every made one has
random numbers of its own, and there is one silence of each length.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.development import sounds
from rl_editor import audio, checkpoint
from rl_editor.analysis import CONFIG, analyze_signal
from rl_editor.errors import UserError
from rl_editor.infer import default_checkpoint
from rl_editor.music_detection import MusicEvidence, music_evidence
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.pairs import AUDIO_SUFFIXES
from rl_editor.policy_inputs import policy_inputs
from rl_editor.session_speech import talk
from rl_editor.track import Track

SR = CONFIG.sr
LENGTHS_S = (12.0, 30.0, 75.0)
SHORT_S = 10.0
SILENCE = "silence"
"""The kind of which there is one of each length."""
STRUNG_S = 60.0
"""Most that is strung together out of the clips of a folder."""

Signal = NDArray[np.floating]
Maker = Callable[[int, np.random.Generator], Signal]
Named = tuple[str, str, Signal]
"""Kind, name, samples at `SR`."""


def coloured(n: int, rng: np.random.Generator, power: float) -> Signal:
    """Return [n] of noise whose power falls with frequency to a power."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    made = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20.0) ** (power / 2), n)
    return made / np.abs(made).max()


def harmonics(n: int, hz: float, count: int, rng: np.random.Generator) -> Signal:
    """Return [n] of a steady tone with overtones of any strength and phase."""
    turns = hz * np.arange(n) / SR
    strengths, phases = rng.uniform(0.1, 1.0, count), rng.random(count)
    partials = [
        strength * np.sin(2 * np.pi * (k * turns + phase)) / k
        for k, strength, phase in zip(range(1, count + 1), strengths, phases, strict=True)
    ]
    return 0.3 * np.sum(partials, axis=0)


def sweep(n: int, rng: np.random.Generator) -> Signal:
    octaves = np.linspace(0.0, rng.uniform(4.0, 8.0), n)
    return 0.3 * np.sin(2 * np.pi * np.cumsum(40.0 * 2.0**octaves) / SR)


def struck(n: int, rng: np.random.Generator, gaps_s: Iterator[float], tau_s: float) -> Signal:
    """Return [n] of bursts of noise that die away, some time apart."""
    out, at = 1e-3 * coloured(n, rng, 1.0), 0
    length = round(6 * tau_s * SR)
    while at + length < n:
        out[at : at + length] += rng.uniform(0.3, 1.0) * (
            rng.standard_normal(length) * np.exp(-np.arange(length) / (tau_s * SR))
        )
        at += max(1, round(next(gaps_s) * SR))
    return out


def steps(n: int, rng: np.random.Generator) -> Signal:
    return struck(n, rng, iter(lambda: rng.normal(0.55, 0.04), None), 0.015)


def rain(n: int, rng: np.random.Generator) -> Signal:
    return struck(n, rng, iter(lambda: rng.exponential(0.005), None), 0.0015)


def crowd(n: int, rng: np.random.Generator) -> Signal:
    voices = [np.roll(talk(n, SR, rng, 0.5), rng.integers(n)) for _ in range(12)]
    return np.sum(voices, axis=0)


def wind(n: int, rng: np.random.Generator) -> Signal:
    swell = np.interp(
        np.arange(n), np.linspace(0, n, 2 + n // SR), rng.uniform(0.1, 1, 2 + n // SR)
    )
    return coloured(n, rng, 2.0) * swell


def mains_hum(n: int, rng: np.random.Generator) -> Signal:
    """Return [n] of hum near a mains frequency, -40 to 0 dB of the loudest, in a little hiss."""
    mains_hz = rng.choice([50.0, 60.0]) * (1.0 + rng.normal(0.0, 1e-3))
    partials = harmonics(n, mains_hz, int(rng.integers(2, 13)), rng)
    return 10.0 ** rng.uniform(-2.0, 0.0) * partials + 1e-3 * rng.standard_normal(n)


MAKERS: dict[str, Maker] = {
    SILENCE: lambda n, rng: np.zeros(n),
    "faint noise": lambda n, rng: 1e-5 * rng.standard_normal(n),
    "room": lambda n, rng: sounds.room_tone(SR, n, rng),
    "white noise": lambda n, rng: 0.3 * rng.standard_normal(n),
    "pink noise": lambda n, rng: coloured(n, rng, 1.0),
    "brown noise": lambda n, rng: coloured(n, rng, 2.0),
    "tone": lambda n, rng: harmonics(n, rng.uniform(80, 2000), int(rng.integers(1, 8)), rng),
    "mains hum": mains_hum,
    "amplifier hum": lambda n, rng: sounds.hum(SR, n, rng),
    "sweep": sweep,
    "applause": lambda n, rng: sounds.applause(SR, rng, n / SR),
    "rain": rain,
    "wind": wind,
    "crowd": crowd,
    "footsteps": steps,
    "talk, words": lambda n, rng: talk(n, SR, rng, 1.0),
    "talk, vowels": lambda n, rng: talk(n, SR, rng, 0.0),
    "talk in noise": lambda n, rng: talk(n, SR, rng, 1.0) + 0.1 * coloured(n, rng, 1.0),
    "talk in hum": lambda n, rng: talk(n, SR, rng, 1.0) + 0.3 * mains_hum(n, rng),
}


def made(lengths_s: Sequence[float], n_each: int, seed: int) -> Iterator[Named]:
    """Yield the made sounds, `n_each` of each kind and length, with random numbers of their own."""
    for kind, make in MAKERS.items():
        own = zlib.crc32(kind.encode())
        for number in range(1 if kind == SILENCE else n_each):
            for length_s in lengths_s:
                rng = np.random.default_rng([seed, own, number, round(length_s)])
                yield kind, f"{length_s:g} s, number {number}", make(round(length_s * SR), rng)


def recordings(kind: str, folder: Path) -> Iterator[Named]:
    """Yield the recordings in a folder, short clips strung together."""
    if not folder.is_dir():
        raise UserError(f"recordings should be in {folder}, but there is no such folder.")
    clips: dict[Path, list[Signal]] = defaultdict(list)
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES):
        try:
            signal = audio.read_mono(path, SR)
        except UserError as error:
            tell(f"left out: {error}")
            continue
        if len(signal) >= SHORT_S * SR:
            yield kind, str(path.relative_to(folder)), signal
        else:
            clips[path.parent].append(signal)
    for parent, parts in clips.items():
        strung = string_together(parts, np.random.default_rng(0))
        if len(strung) >= SHORT_S * SR:
            yield kind, f"{parent.name}, {len(parts)} clips", strung


def string_together(parts: Sequence[Signal], rng: np.random.Generator) -> Signal:
    """Return clips in any order with pauses between them, all about as loud."""
    out: list[Signal] = []
    for index in rng.permutation(len(parts)):
        peak = max(float(np.abs(parts[index]).max()), 1e-6)
        out += [parts[index] * rng.uniform(0.3, 1.0) / peak, np.zeros(rng.integers(SR // 10, SR))]
    strung = np.concatenate(out)[: round(STRUNG_S * SR)]
    return strung + 1e-4 * rng.standard_normal(len(strung))


class Detector:
    """What one checkpoint finds."""

    def __init__(self, path: Path) -> None:
        loaded = checkpoint.load(path)
        self.policy = NumpyPolicy(loaded.weights, loaded.config.agent)
        self.normalisation = loaded.normalisation

    def evidence(self, track: Track) -> MusicEvidence:
        """Return what speaks for music in a track."""
        inputs = policy_inputs(track, self.normalisation)
        encoded = self.policy.encode(inputs, track.match_later, track.match_earlier)
        return music_evidence(track, encoded.materials)


def interval(count: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share that was counted (Wilson's score)."""
    z2 = 1.96**2
    middle = (count + z2 / 2) / (n + z2)
    half = 1.96 / (n + z2) * math.sqrt(count * (n - count) / n + z2 / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def table(found: dict[str, list[bool]]) -> str:
    """Return how many of each kind were taken for music, in Markdown."""
    lines = ["| kind | recordings | taken for music | 95% |", "| --- | ---: | ---: | --- |"]
    for kind, taken in found.items():
        low, high = interval(sum(taken), len(taken))
        lines.append(f"| {kind} | {len(taken)} | {sum(taken)} | {low:.1%} to {high:.1%} |")
    return "\n".join(lines)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--music", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--other", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint(), metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="one short sound of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the made sounds")
    arguments = parser.parse_args(argv)
    found: dict[str, list[bool]] = defaultdict(list)
    try:
        detector = Detector(arguments.checkpoint)
        lengths_s, n_each = (LENGTHS_S[:1], 1) if arguments.quick else (LENGTHS_S, 5)
        named = [made(lengths_s, n_each, arguments.seed)]
        named += [recordings(f"no music: {folder.name}", folder) for folder in arguments.other]
        named += [recordings(f"music: {folder.name}", folder) for folder in arguments.music]
        for source in named:
            for kind, name, signal in source:
                track = analyze_signal(np.asarray(signal, dtype=np.float32))
                has_music = detector.evidence(track).has_music
                found[kind].append(has_music)
                if has_music != kind.startswith("music: "):
                    tell(f"wrong: {kind}: {name}")
    except UserError as error:
        tell(f"music_detection: {error}")
        return 2
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
