"""How well, and how fast, alignment recovers the decision lists of generated pairs.

    python -m benchmarks.alignment [--folder training_data/reference] [--pairs 200] [--first 0]

Seeds are the numbers of the pairs. Mapped: share of the edit's own seconds whose place in the raw
recording is right within 10 ms (plain copies) or 20 ms (processed). "Or twin" also counts places
that nobody could tell from the right one: half a second at a time, 0.4 s of the raw recording
around both are identical but for 0.2% of their energy (27 dB below, a correlation of 0.999) at a
distance within the same tolerance, as bars of electronic music are. Cuts: F1 within 50 ms. Foreign:
F1 of seconds. Refused: pairs of which too little was found. Speed: of `align_files`, reading
included, seconds of the edit and of the raw recording for each second of processor time; set
OMP_NUM_THREADS=1 for one core.
`--long` aligns one raw recording of 60 minutes with an edit of 25 instead.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from benchmarks.alignment_pairs import KINDS, SR, MadePair, find_tracks, make_pair
from rl_editor.alignment import Alignment, align_files
from rl_editor.audio import read_mono

CELL_S = 0.01
CUT_TOLERANCE_S = 0.05
PLAIN_TOLERANCE_S, PROCESSED_TOLERANCE_S = 0.01, 0.02
TWIN_S, TWIN_CORRELATION = 0.4, 0.999
"""Two places are twins when excerpts of this length correlate that much."""


@dataclass(frozen=True)
class Counts:
    """Sums over pairs: cells, cuts and seconds."""

    own: int = 0
    right: int = 0
    right_or_twin: int = 0
    cuts: int = 0
    cuts_found: int = 0
    cuts_right: int = 0
    foreign: int = 0
    foreign_found: int = 0
    foreign_right: int = 0
    edit_s: float = 0.0
    raw_s: float = 0.0
    taken_s: float = 0.0
    refused: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def astuple(counts: Counts) -> tuple:
    return tuple(vars(counts).values())


def f1(n_true: int, n_found: int, n_right: int) -> float:
    return 2 * n_right / (n_true + n_found) if n_true + n_found else 1.0


def mapped(spans: Sequence, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the raw time of each time of the edit, NaN where foreign."""
    place_s = np.full(len(times_s), np.nan)
    for start_s, end_s, raw_start_s, speed in spans:
        inside = (times_s >= start_s) & (times_s < end_s)
        place_s[inside] = raw_start_s + speed * (times_s[inside] - start_s)
    return place_s


def is_twin(raw: NDArray[np.float32], first_s: float, second_s: float, tolerance_s: float) -> bool:
    """Return whether the raw recording sounds the same to the sample around two times."""
    half, reach = round(TWIN_S * SR / 2), round(tolerance_s * SR)
    places = [round(t * SR) for t in (first_s, second_s)]
    if min(places) < half + reach or max(places) > len(raw) - half - reach:
        return False
    a = raw[places[0] - half : places[0] + half]
    b = raw[places[1] - half - reach : places[1] + half + reach]
    n = 1 << (len(b) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(b, n) * np.conj(np.fft.rfft(a, n)), n)[: 2 * reach + 1]
    lag = int(product.argmax())
    c = b[lag : lag + len(a)]
    scale = float(np.linalg.norm(a) * np.linalg.norm(c))
    return scale > 0 and float(np.vdot(a, c)) / scale > TWIN_CORRELATION


def score(pair: MadePair, found: Alignment, taken_s: float) -> Counts:
    times_s = np.arange(CELL_S / 2, pair.pieces[-1].end_s, CELL_S)
    truth_s = mapped(
        [
            (p.start_s, p.end_s, p.raw_start_s, p.speed)
            for p in pair.pieces
            if p.raw_start_s is not None
        ],
        times_s,
    )
    spans = [(s.edit_start_s, s.edit_end_s, s.raw_start_s, s.speed) for s in found.spans]
    found_s = mapped(spans, times_s)
    tolerance_s = PLAIN_TOLERANCE_S if pair.kind == "plain" else PROCESSED_TOLERANCE_S
    own, known = ~np.isnan(truth_s), ~np.isnan(found_s)
    right = own & known & (np.abs(np.where(own & known, found_s - truth_s, 1.0)) <= tolerance_s)
    twin = right.copy()
    wrong = np.flatnonzero(own & known & ~right)
    for run in np.split(wrong, np.flatnonzero(np.diff(wrong) > 1) + 1):
        for part in np.array_split(run, max(1, len(run) // 50)):
            if len(part):
                middle = part[len(part) // 2]
                twin[part] = is_twin(pair.raw, truth_s[middle], found_s[middle], tolerance_s)
    cuts = [p.start_s for p in pair.pieces[1:]]
    found_cuts = [s[0] for s in spans if s[0] > 0.1]
    found_cuts += [
        s[1]
        for i, s in enumerate(spans)
        if s[1] < times_s[-1] - 0.1 and (i + 1 == len(spans) or spans[i + 1][0] - s[1] > 0.02)
    ]
    n_right = 0
    rest = sorted(found_cuts)
    for cut in cuts:
        near = [c for c in rest if abs(c - cut) <= CUT_TOLERANCE_S]
        if near:
            rest.remove(min(near, key=lambda c: abs(c - cut)))
            n_right += 1
    return Counts(
        int(own.sum()), int(right.sum()), int(twin.sum()),
        len(cuts), len(found_cuts), n_right,
        int((~own).sum()), int((~known).sum()), int((~own & ~known).sum()),
        float(times_s[-1]), len(pair.raw) / SR, taken_s,
    )  # fmt: skip


def measure(tracks: list[Path], seed: int) -> Counts:
    with tempfile.TemporaryDirectory() as folder:
        pair = make_pair(tracks, seed, Path(folder))
        began = time.process_time()
        found = align_files(pair.raw_path, pair.edit_path)
        counts = score(pair, found, time.process_time() - began)
    return counts + Counts(refused=int(not found.belongs_together))


HEADER = f"{'':<20}  mapped  or twin  cuts F1  foreign F1  x real time (edit / raw)  refused"


def line(name: str, c: Counts) -> str:
    own = max(1, c.own)
    score = f1(c.foreign, c.foreign_found, c.foreign_right)
    foreign = f"{score:.3f}" if c.foreign else "none"
    return (
        f"{name:<20}{c.right / own:>8.2%}{c.right_or_twin / own:>9.2%}"
        f"{f1(c.cuts, c.cuts_found, c.cuts_right):>9.3f}"
        f"{foreign:>12}"
        f"{c.edit_s / c.taken_s:>14.0f} / {c.raw_s / c.taken_s:<10.0f}{c.refused:>6}"
    )


def measure_long(tracks: list[Path]) -> None:
    """Print time and memory of a raw recording of 60 minutes and an edit of 25."""
    sr, parts, n_samples = 44100, [], 0
    with tempfile.TemporaryDirectory() as folder:
        raw_path, edit_path = Path(folder) / "raw.wav", Path(folder) / "edit.wav"
        with sf.SoundFile(raw_path, "w", sr, 1) as raw, sf.SoundFile(edit_path, "w", sr, 1) as edit:
            for track in tracks:
                signal = read_mono(track, sr)[: 3600 * sr - n_samples]
                raw.write(signal)
                part = signal[len(signal) // 4 : len(signal) * 2 // 3]
                edit.write(part)
                parts.append((n_samples + len(signal) // 4, len(part)))
                n_samples += len(signal)
                if n_samples >= 3600 * sr:
                    break
        del signal, part
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        began = time.process_time()
        found = align_files(raw_path, edit_path)
        taken_s = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    times_s = np.arange(0.0, found.edit_duration_s, CELL_S)
    spans, place = [], 0
    for start, length in parts:
        spans.append((place / sr, (place + length) / sr, start / sr, 1.0))
        place += length
    got = [(s.edit_start_s, s.edit_end_s, s.raw_start_s, s.speed) for s in found.spans]
    right = np.abs(mapped(got, times_s) - mapped(spans, times_s)) <= PLAIN_TOLERANCE_S
    print(
        f"raw {found.raw_duration_s / 60:.1f} min, edit {found.edit_duration_s / 60:.1f} min: "
        f"{taken_s:.0f} s, {found.edit_duration_s / taken_s:.0f} x real time, "
        f"peak {after:.2f} GiB (before {before:.2f}), mapped {right.mean():.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("training_data/reference"))
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first pair")
    parser.add_argument("--kind", choices=KINDS, help="only pairs of this kind")
    parser.add_argument("--verbose", action="store_true", help="a line for each pair")
    parser.add_argument("--long", action="store_true", help="60 minutes of raw recording")
    arguments = parser.parse_args()
    tracks = find_tracks(arguments.folder)
    if len(tracks) < 3:
        parser.error(f"{arguments.folder} holds {len(tracks)} tracks of a minute; 3 are needed")
    if arguments.long:
        measure_long(tracks)
        return
    sums: dict[str, Counts] = {}
    print(HEADER)
    for seed in range(arguments.first, arguments.first + arguments.pairs):
        kind = KINDS[seed % len(KINDS)]
        if arguments.kind in (None, kind):
            counts = measure(tracks, seed)
            sums[kind] = sums.get(kind, Counts()) + counts
            if arguments.verbose:
                print(line(f"{seed} {kind}", counts), flush=True)
    for kind in KINDS:
        if kind in sums:
            print(line(kind, sums[kind]))
    if set(sums) != {"plain"}:
        print(line("processed", sum((c for k, c in sums.items() if k != "plain"), Counts())))
    print(line("all", sum(sums.values(), Counts())))


if __name__ == "__main__":
    main()
