"""Pairs of a raw recording and an edit of it, made from music, with the exact decision list.

The raw recording is an excerpt of one or two tracks. The edit takes spans of it anywhere (not on
beats): in another order, some twice, some moved by minutes, with level changes, fades,
crossfades and passages of another track; the whole then goes through one kind of processing
(`KINDS`). In: tracks and a seed. Out: `MadePair`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from rl_editor.audio import read_mono
from rl_editor.effects import shelves, stretch
from rl_editor.units import db_to_gain, ratio_to_semitones

SR = 44100
KINDS = (
    "plain",
    "mix",
    "mp3",
    "varispeed",
    "stretch",
    "pitch",
    "stretch+pitch",
    "by section",
)
"""plain: cuts, levels, fades. mix: EQ, compression, limiting, another sample rate. mp3: mix as MP3.
The next four change the speed (up to 8%) or the pitch (up to 2 semitones) of the whole edit, half
of them with mix or MP3; by section: every other span has its own speed and pitch."""
SHORTEST_TRACK_S = 60.0
MAX_FOREIGN_SHARE = 0.15

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A span of the edit: half-open in seconds of the edit; `raw_start_s` is None where foreign.

    It holds `speed` seconds of the raw recording each second, `semitones` higher.
    """

    start_s: float
    end_s: float
    raw_start_s: float | None
    speed: float = 1.0
    semitones: float = 0.0


@dataclass(frozen=True)
class MadePair:
    """Files of a pair and what is true of them; `pieces` tile the edit."""

    kind: str
    raw_path: Path
    edit_path: Path
    raw: Signal
    pieces: tuple[Piece, ...]


def find_tracks(folder: Path) -> list[Path]:
    """Return the audio files below a folder that are long enough, sorted."""
    suffixes = {".ogg", ".mp3", ".wav", ".flac", ".opus"}
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in suffixes)
    return [p for p in files if sf.info(p).duration >= SHORTEST_TRACK_S]


def make_pair(tracks: list[Path], seed: int, folder: Path) -> MadePair:
    """Write the pair of a seed into a folder."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    chosen = rng.choice(len(tracks), 3, replace=False)
    raw = _make_raw([tracks[i] for i in chosen[: rng.integers(1, 3)]], rng)
    stranger = _read_excerpt(tracks[chosen[2]], 60.0, rng)
    pieces, edit = _assemble(_decisions(len(raw) / SR, rng), raw, stranger, kind, rng)
    if kind in ("varispeed", "stretch", "pitch", "stretch+pitch"):
        speed, semitones = _change(kind, rng)
        edit = _changed(edit, kind, speed, semitones)
        pieces = [_sped(p, speed, semitones) for p in pieces]
    raw_path, edit_path = folder / f"{seed}_raw.flac", folder / f"{seed}_edit.wav"
    sf.write(raw_path, raw, SR)
    sr = SR
    if kind in ("mix", "mp3") or (kind != "plain" and rng.random() < 0.5):
        edit = _master(edit, rng)
        if kind == "mp3" or rng.random() < 0.5:
            edit_path = edit_path.with_suffix(".mp3")
        else:
            sr = int(rng.choice([22050, 32000, 48000]))
            edit = soxr.resample(edit, SR, sr).astype(np.float32)
    edit = edit * (0.9 / max(0.9, float(np.abs(edit).max())))
    if edit_path.suffix == ".mp3":
        sf.write(edit_path, edit, sr, compression_level=float(rng.choice([0.0, 0.4, 0.7])))
    else:
        sf.write(edit_path, edit, sr)
    return MadePair(kind, raw_path, edit_path, raw, tuple(pieces))


def _make_raw(paths: list[Path], rng: np.random.Generator) -> Signal:
    raw = np.concatenate([_read_excerpt(p, 240.0 / len(paths), rng) for p in paths])
    return (raw + rng.normal(0.0, 3e-4, len(raw))).astype(np.float32)


def _read_excerpt(path: Path, longest_s: float, rng: np.random.Generator) -> Signal:
    signal = read_mono(path, SR)
    length = min(len(signal), round(longest_s * SR))
    start = int(rng.integers(0, len(signal) - length + 1))
    excerpt = signal[start : start + length]
    return (excerpt * (0.7 / max(1e-3, float(np.abs(excerpt).max())))).astype(np.float32)


def _decisions(raw_s: float, rng: np.random.Generator) -> list[tuple[float, float] | float]:
    """Return the spans (start_s, end_s) of the raw recording, and lengths of foreign passages."""
    spans: list[tuple[float, float] | float] = []
    place_s = rng.uniform(0.0, 8.0)
    while place_s < raw_s - 4.0:
        end_s = min(place_s + rng.choice([2.5, 5.0, 9.0, 16.0]) * rng.uniform(0.8, 1.4), raw_s)
        spans.append((place_s, end_s))
        place_s = end_s + rng.choice([0.4, 2.0, 6.0, 12.0]) * rng.uniform(0.8, 1.4)
    spans = [s for s in spans if rng.random() > 0.1] or spans
    for _ in range(rng.integers(0, 4)):  # moved
        spans.insert(rng.integers(0, len(spans)), spans.pop(rng.integers(0, len(spans))))
    for _ in range(rng.integers(0, 3)):  # used twice
        spans.insert(rng.integers(0, len(spans) + 1), spans[rng.integers(0, len(spans))])
    spans = [s for i, s in enumerate(spans) if i == 0 or s != spans[i - 1]]
    if rng.random() < 0.6:
        total_s = sum(s[1] - s[0] for s in spans if isinstance(s, tuple))
        left_s = rng.uniform(0.03, MAX_FOREIGN_SHARE) * total_s / (1 - MAX_FOREIGN_SHARE)
        while left_s > 2.0:
            length_s = min(rng.uniform(2.0, 9.0), left_s)
            place = 0 if rng.random() < 0.3 else int(rng.integers(0, len(spans) + 1))
            left_s -= length_s
            # Where one foreign passage follows another there is no cut to be found.
            if all(isinstance(s, tuple) for s in spans[max(0, place - 1) : place + 1]):
                spans.insert(place, length_s)
    return spans


def _assemble(
    decisions: list[tuple[float, float] | float],
    raw: Signal,
    stranger: Signal,
    kind: str,
    rng: np.random.Generator,
) -> tuple[list[Piece], Signal]:
    """Return the pieces and the sound of the edit, spans crossfaded by up to 40 ms."""
    pieces: list[Piece] = []
    edit = np.zeros(0, np.float32)
    for decision in decisions:
        overlap = round(rng.choice([0.0, 0.005, 0.02, 0.04]) * SR) if len(edit) else 0
        half = overlap // 2
        speed, semitones, raw_start_s = 1.0, 0.0, None
        if isinstance(decision, tuple):
            start, stop = (round(t * SR) for t in decision)
            start = max(start, half)
            sound = raw[start - half : stop + SR // 20]
            raw_start_s = start / SR
            if kind == "by section" and rng.random() < 0.5:
                how = str(rng.choice(["varispeed", "stretch", "pitch"]))
                speed, semitones = _change(how, rng)
                sound = raw[max(0, start - SR) : stop + SR // 20]
                lead = min(start, SR)
                sound = _changed(sound, how, speed, semitones)[round(lead / speed) - half :]
            length = round((stop - start) / speed) + half
        else:
            length = round(decision * SR) + half
            start = int(rng.integers(0, max(1, len(stranger) - length)))
            sound = stranger[start:]
        sound = sound[: length + SR // 20] * np.float32(db_to_gain(rng.choice([0, 0, -4, 2, -2])))
        place = len(edit) - (SR // 20 if len(edit) else 0) - half
        edit = _crossfaded(edit[: place + overlap], sound, overlap)
        first_s, length_s = (place + half) / SR, (length - half) / SR
        pieces.append(Piece(first_s, first_s + length_s, raw_start_s, speed, semitones))
    end_s = len(edit) / SR
    stops_s = [p.start_s for p in pieces[1:]] + [end_s]
    pieces = [replace(p, end_s=stop_s) for p, stop_s in zip(pieces, stops_s, strict=True)]
    return pieces, _faded(edit, rng)


def _crossfaded(before: Signal, after: Signal, overlap: int) -> Signal:
    if not overlap:
        return np.concatenate([before, after])
    ramp = np.linspace(0.0, 1.0, overlap, dtype=np.float32)
    mixed = before[-overlap:] * (1 - ramp) + after[:overlap] * ramp
    return np.concatenate([before[:-overlap], mixed, after[overlap:]])


def _faded(edit: Signal, rng: np.random.Generator) -> Signal:
    edit = edit.copy()
    n_in, n_out = (round(rng.choice([0.0, 0.1, 1.0]) * SR) for _ in range(2))
    edit[:n_in] *= np.linspace(0, 1, n_in, dtype=np.float32)
    edit[len(edit) - n_out :] *= np.linspace(1, 0, n_out, dtype=np.float32)
    return edit


def _change(kind: str, rng: np.random.Generator) -> tuple[float, float]:
    """Return a random speed and shift in semitones of a kind of processing."""
    speed = float(rng.uniform(0.92, 1.08))
    if kind == "varispeed":
        return speed, ratio_to_semitones(speed)
    semitones = float(rng.choice([rng.uniform(-2.0, 2.0), rng.choice([-2, -1, 1, 2])]))
    return (1.0 if kind == "pitch" else speed), (0.0 if kind == "stretch" else semitones)


def _changed(signal: Signal, kind: str, speed: float, semitones: float) -> Signal:
    if kind == "varispeed":
        return soxr.resample(signal, SR * speed, SR, quality="HQ").astype(np.float32)
    return stretch(signal[:, None], SR, speed, semitones)[:, 0]


def _sped(piece: Piece, speed: float, semitones: float) -> Piece:
    return replace(
        piece,
        start_s=piece.start_s / speed,
        end_s=piece.end_s / speed,
        speed=speed,
        semitones=semitones,
    )


def _master(signal: Signal, rng: np.random.Generator) -> Signal:
    """Return the signal through shelves, a compressor (10 ms, 3:1 or so) and a soft limiter."""
    low_db, high_db = rng.uniform(-6.0, 6.0, 2)
    signal = shelves(signal[:, None], SR, float(low_db), float(high_db))[:, 0]
    decay = float(np.exp(-1.0 / (rng.uniform(0.01, 0.1) * SR)))
    level = np.sqrt(lfilter([1 - decay], [1, -decay], np.square(signal, dtype=np.float64)) + 1e-9)
    threshold = float(np.percentile(level, 60))
    exponent = 1.0 / rng.uniform(1.5, 4.0) - 1.0
    signal = signal * np.maximum(level / threshold, 1.0) ** exponent
    drive = db_to_gain(rng.uniform(0.0, 6.0)) / max(1e-3, float(np.percentile(np.abs(signal), 99)))
    return (0.5 * np.tanh(signal * drive)).astype(np.float32)
