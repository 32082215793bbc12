"""Sung leads without words: a gliding, wavering pitch through the formants of vowels, with breath.

Source and filter (Fant, "Acoustic Theory of Speech Production", 1960): a pulse train with a falling
spectrum, vowels after Peterson and Barney (1952), noise for consonants and breath. In: notes in
seconds. Out: audio added to a mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.instruments import SR
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

_VOWELS_HZ = np.array(
    [[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240],
     [640, 1190, 2390]], dtype=float,
)  # fmt: skip
_PHRASE_GAP_S = 0.25
"""Notes with longer rests between them are phrases of their own."""
_EDGE_S = 0.08


class Sung(NamedTuple):
    """A note to sing: seconds, MIDI key, loudness."""

    start_s: float
    end_s: float
    key: float
    loud: float


@dataclass(frozen=True)
class Singer:
    """A voice.

    Attributes:
        size: factor on formants; above 1 for small heads.
        transpose: semitones, to the voice's register.
        vibrato: depth in semitones and rate, Hz.
        glide_s: time in which a note is reached.
        breath: level of noise in the voice.
        consonants: share of the notes that begin with one.
        tilt: fall of the source's harmonics, as a power of their number.
    """

    size: float
    transpose: int
    vibrato: tuple[float, float]
    glide_s: float
    breath: float
    consonants: float
    tilt: float


def draw_singer(rng: np.random.Generator) -> Singer:
    """Return a voice: low or high, plain or wavering, clear or breathy."""
    high = rng.random() < 0.5
    return Singer(
        size=float(rng.uniform(1.05, 1.25) if high else rng.uniform(0.88, 1.02)),
        transpose=int(rng.choice([0, -5])) if high else int(rng.choice([-12, -12, -17])),
        vibrato=(float(rng.uniform(0.0, 0.6)), float(rng.uniform(4.5, 6.5))),
        glide_s=float(rng.uniform(0.02, 0.12)),
        breath=float(rng.choice([0.0, 0.03, 0.15])),
        consonants=float(rng.uniform(0.1, 0.9)),
        tilt=float(rng.uniform(0.8, 1.6)),
    )


def sing(out: Audio, notes: list[Sung], singer: Singer, rng: np.random.Generator) -> None:
    """Add the notes, one at a time, to `out` [S]; each is heard from its start on."""
    notes = sorted(notes)
    first = 0
    for i in range(len(notes)):
        is_last = i + 1 == len(notes)
        if is_last or notes[i + 1].start_s - notes[i].end_s > _PHRASE_GAP_S:
            _sing_phrase(out, notes[first : i + 1], singer, rng)
            first = i + 1


def _sing_phrase(out: Audio, notes: list[Sung], singer: Singer, rng: np.random.Generator) -> None:
    start_s = notes[0].start_s - _EDGE_S
    n = int((max(note.end_s for note in notes) + 2 * _EDGE_S - start_s) * SR)
    pitch, gain = np.zeros(n), np.zeros(n)
    bounds = [int((note.start_s - start_s) * SR) for note in notes] + [n]
    vowels = rng.integers(0, len(_VOWELS_HZ), len(notes))
    for i, note in enumerate(notes):
        first, last = bounds[i], max(bounds[i] + 1, bounds[i + 1])
        length = min(last, n) - first
        time = np.arange(length) / SR
        before = notes[max(0, i - 1)].key if i else note.key - float(rng.uniform(0.0, 3.0))
        glide = (before - note.key) * np.exp(-time / singer.glide_s * 2.0)
        swell = np.minimum(1.0, np.maximum(0.0, 2.5 * (time - 0.15)))
        wave = singer.vibrato[0] * swell * np.sin(2 * np.pi * singer.vibrato[1] * time)
        pitch[first:last] = note.key + glide + wave
        held = int((note.end_s - note.start_s) * SR)
        shape = np.minimum(1.0, 0.3 + time / 0.03) * (1.0 - 0.2 * np.minimum(1.0, time))
        shape *= np.clip((held - np.arange(length)) / (0.05 * SR) + 1.0, 0.0, 1.0)
        gain[first:last] = note.loud * shape
        if rng.random() < singer.consonants:
            _consonant(out, note, rng)
            gap = max(0, first - int(0.02 * SR))
            gain[gap:first] *= 0.2
    pitch[: bounds[0]] = pitch[bounds[0]]
    source = _source(pitch + singer.transpose, singer, rng) * _smooth(gain, 0.008)
    voice = _through_vowels(source.astype(np.float32), bounds, vowels, singer.size)
    add(out, voice, int(start_s * SR), 1.0)
    if rng.random() < 0.6:
        _breathe(out, notes[0].start_s, rng)


def _source(pitch: NDArray[np.float64], singer: Singer, rng: np.random.Generator) -> Audio:
    """Return harmonics below 5 kHz of a moving pitch, and breath."""
    hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    turn = np.exp(2j * np.pi * np.cumsum(hz) / SR).astype(np.complex64)
    power, out = np.ones_like(turn), np.zeros(len(turn), dtype=np.float32)
    for harmonic in range(1, max(2, min(24, int(5000.0 / hz.max())))):
        power *= turn
        out += np.float32(harmonic**-singer.tilt) * power.imag
    return out + np.float32(singer.breath) * rng.standard_normal(len(out), dtype=np.float32)


def _smooth(gain: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    """Return a running mean that reaches half of a step where the step is."""
    width = int(width_s * SR) | 1
    total = np.cumsum(np.concatenate([np.zeros(1), np.pad(gain, width // 2)]))
    return (total[width:] - total[:-width]) / width


def _through_vowels(
    source: Audio, bounds: list[int], vowels: NDArray[np.int64], size: float
) -> Audio:
    """Return the source filtered by one vowel after the other, cross-faded."""
    n_fft = 1 << int(np.ceil(np.log2(len(source) + 1)))
    spectrum = np.fft.rfft(source, n_fft)
    hz = np.fft.rfftfreq(n_fft, 1.0 / SR)
    out = np.zeros(len(source), dtype=np.float32)
    used = np.unique(vowels)
    for vowel in used:
        mask = np.zeros(len(source))
        for i in np.flatnonzero(vowels == vowel):
            first = 0 if i == 0 else bounds[i]
            mask[first : bounds[i + 1]] = 1.0
        if len(used) > 1:
            mask = _smooth(mask, 0.03)
        formants = _VOWELS_HZ[vowel] * size
        peaks = np.full(len(hz), 0.02)
        for formant, width, level in zip(formants, (80, 110, 160), (1.0, 0.6, 0.35), strict=True):
            peaks += level / (1.0 + ((hz - formant) / width) ** 2)
        out += (np.fft.irfft(spectrum * peaks, n_fft)[: len(source)] * mask).astype(np.float32)
    return out


def _consonant(out: Audio, note: Sung, rng: np.random.Generator) -> None:
    """Add a burst before the vowel: short as a t, or long as an s."""
    length_s = float(rng.choice([0.015, 0.05, 0.09]))
    n = int(length_s * SR)
    burst = rng.standard_normal(n, dtype=np.float32)
    if rng.random() < 0.6:
        burst = np.diff(burst, prepend=np.float32(0.0))
    burst *= np.hanning(n).astype(np.float32)
    add(
        out,
        burst,
        int((note.start_s - length_s) * SR),
        0.05 * note.loud * float(rng.uniform(0.3, 1.5)),
    )


def _breathe(out: Audio, start_s: float, rng: np.random.Generator) -> None:
    n = int(rng.uniform(0.15, 0.4) * SR)
    breath = np.diff(rng.standard_normal(n, dtype=np.float32), prepend=np.float32(0.0))
    breath *= np.linspace(0.0, 1.0, n, dtype=np.float32) ** 2
    add(out, breath, int((start_s - 0.06) * SR) - n, float(rng.uniform(0.003, 0.03)))
