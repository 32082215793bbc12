"""Drum kits: sampled ones of a General MIDI soundfont, and synthesised ones.

In: a generator. Out: `Kit`, whose strokes are `Sound`s.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.instruments import SR, Sound, at_rate, sampled

Audio = NDArray[np.float32]

KEYS = {
    "k": 36, "s": 38, "m": 37, "l": 39, "h": 42, "p": 44, "o": 46, "c": 49, "r": 51, "y": 53,
    "t": 50, "T": 47, "L": 43, "w": 56, "b": 62, "n": 64, "g": 70, "a": 54, "K": 75, "W": 76,
}  # fmt: skip
"""Voices and their keys in General MIDI: kick, snare, rim, clap, closed, pedalled and open hat,
crash, ride and its bell, three toms, cowbell, conga high and low, maracas, tambourine, claves,
wood block."""
_LEVELS = {"k": 1.0, "s": 0.9, "l": 0.8, "t": 0.8, "T": 0.8, "L": 0.9, "c": 0.6, "r": 0.4,
           "h": 0.35, "o": 0.4, "p": 0.3, "y": 0.4, "g": 0.3, "a": 0.35}  # fmt: skip
_LEVEL = 0.5
_OTHER_KEYS = {"k": (35, 36), "s": (38, 40), "c": (49, 57, 55), "r": (51, 59)}
_SAMPLED_KITS = (*range(8), *range(8, 16), 16, 17, 18, 19, 24, 25, *range(32, 37), 40, 41, 42, 48)
_ACOUSTIC = 0.7
_MIXED = 0.15
"""Share of the sampled kits in which some voices are synthesised."""


class Kit:
    """Something that plays strokes of the voices in `KEYS`."""

    def __init__(self, rng: np.random.Generator, sampled_share: float) -> None:
        is_sampled = rng.random() < sampled_share
        self._program = int(_SAMPLED_KITS[int(rng.integers(len(_SAMPLED_KITS)))])
        mixed = rng.random() < _MIXED
        self._made = {v for v in KEYS if not is_sampled or (mixed and rng.random() < 0.5)}
        self._rates = {v: float(np.exp(rng.normal(0.0, 0.06))) for v in KEYS}
        self._keys = {v: _pick(rng, _OTHER_KEYS.get(v, (key,))) for v, key in KEYS.items()}
        self._gains = {v: _gain(v, rng) for v in KEYS}
        self._seed = int(rng.integers(2**31))
        self._sounds: dict[str, Sound] = {}

    def stroke(self, voice: str) -> tuple[Sound, float]:
        """Return a stroke and the gain that its voice has in this kit."""
        if voice not in self._sounds:
            if voice in self._made:
                rng = np.random.default_rng([self._seed, KEYS[voice]])
                samples = _MAKERS.get(voice, _wood)(rng)
                sound = Sound(samples / np.float32(np.abs(samples).max()), 0)
            else:
                sound = at_rate(sampled(self._program, self._keys[voice], True), self._rates[voice])
                if not sound.samples.any():
                    sound = at_rate(sampled(0, KEYS[voice], True), self._rates[voice])
            self._sounds[voice] = sound
        return self._sounds[voice], self._gains[voice]


def _pick(rng: np.random.Generator, keys: tuple[int, ...]) -> int:
    return keys[int(rng.integers(len(keys)))]


def _gain(voice: str, rng: np.random.Generator) -> float:
    return _LEVELS.get(voice, _LEVEL) * float(10.0 ** (rng.normal(0.0, 3.0) / 20.0))


def _time(length_s: float) -> NDArray[np.float64]:
    return np.arange(int(length_s * SR)) / SR


def _noise(n: int, rng: np.random.Generator, low_hz: float, high_hz: float) -> Audio:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1.0 / SR)
    shape = 1.0 / np.sqrt(1.0 + (low_hz / (hz + 1.0)) ** 4) / np.sqrt(1.0 + (hz / high_hz) ** 4)
    noise = np.fft.irfft(spectrum * shape, n)
    return (noise / (np.abs(noise).max() + 1e-9)).astype(np.float32)


def _kick(rng: np.random.Generator) -> Audio:
    time = _time(rng.uniform(0.15, 0.7))
    base_hz, sweep_hz = rng.uniform(38, 70), rng.uniform(40, 300)
    fall = rng.uniform(15, 70)
    turn = 2 * np.pi * (base_hz * time + sweep_hz / fall * (1.0 - np.exp(-fall * time)))
    out = np.cos(turn) * np.exp(-time * rng.uniform(6, 25))
    click = _noise(len(time), rng, 800, 6000) * np.exp(-time * 400)
    out = out + rng.uniform(0.0, 0.7) * click
    if rng.random() < 0.4:
        out = np.tanh(rng.uniform(1.5, 5.0) * out)
    return out.astype(np.float32)


def _snare(rng: np.random.Generator) -> Audio:
    time = _time(rng.uniform(0.12, 0.4))
    tone_hz = rng.uniform(140, 280)
    out = rng.uniform(0.2, 1.0) * np.cos(2 * np.pi * tone_hz * time) * np.exp(-time * 30)
    wires = _noise(len(time), rng, rng.uniform(300, 2000), rng.uniform(4000, 10000))
    return (out + wires * np.exp(-time * rng.uniform(10, 40))).astype(np.float32)


def _clap(rng: np.random.Generator) -> Audio:
    time = _time(0.25)
    noise = _noise(len(time), rng, rng.uniform(500, 1200), rng.uniform(2500, 6000))
    gap_s = rng.uniform(0.007, 0.012)
    bursts = sum(
        np.where(time >= k * gap_s, np.exp(-(time - k * gap_s) * (250 if k < 2 else 25)), 0.0)
        for k in range(3)
    )
    return (noise * bursts).astype(np.float32)


def _metal(decay: tuple[float, float], length_s: float) -> Callable[[np.random.Generator], Audio]:
    """Hats and cymbals: noise above some frequency, with square waves out of tune in it."""

    def make(rng: np.random.Generator) -> Audio:
        time = _time(length_s)
        sizzle = _noise(len(time), rng, rng.uniform(3000, 7000), 11000)
        base_hz = rng.uniform(300, 800)
        ring = sum(
            np.sign(np.sin(2 * np.pi * base_hz * ratio * time))
            for ratio in (1.0, 1.34, 1.66, 2.1, 2.54, 3.1)
        )
        out = sizzle + rng.uniform(0.0, 0.12) * np.append(0.0, np.diff(ring))
        return (out * np.exp(-time * rng.uniform(*decay))).astype(np.float32)

    return make


def _tom(low_hz: float) -> Callable[[np.random.Generator], Audio]:
    def make(rng: np.random.Generator) -> Audio:
        time = _time(rng.uniform(0.2, 0.5))
        pitch = low_hz * rng.uniform(0.85, 1.2) * (1.0 + 0.4 * np.exp(-time * 20))
        out = np.cos(2 * np.pi * np.cumsum(pitch) / SR) * np.exp(-time * rng.uniform(6, 14))
        out += 0.3 * _noise(len(time), rng, 500, 5000) * np.exp(-time * 150)
        return out.astype(np.float32)

    return make


def _shaker(rng: np.random.Generator) -> Audio:
    time = _time(0.09)
    return _noise(len(time), rng, 3500, 10000) * np.exp(-time * 50).astype(np.float32)


def _wood(rng: np.random.Generator) -> Audio:
    """Rims, claves, sticks, bells: a few short modes."""
    time = _time(0.15)
    base_hz = rng.uniform(500, 2600)
    out = sum(
        rng.uniform(0.2, 1.0) * np.cos(2 * np.pi * base_hz * ratio * time)
        for ratio in (1.0, rng.uniform(1.3, 1.6), rng.uniform(2.0, 3.0))
    )
    return (out * np.exp(-time * rng.uniform(30, 120))).astype(np.float32)


_MAKERS: dict[str, Callable[[np.random.Generator], Audio]] = {
    "k": _kick,
    "s": _snare,
    "l": _clap,
    "h": _metal((40.0, 120.0), 0.15),
    "p": _metal((50.0, 150.0), 0.12),
    "o": _metal((6.0, 15.0), 0.5),
    "c": _metal((2.0, 5.0), 1.5),
    "r": _metal((5.0, 15.0), 0.8),
    "y": _metal((8.0, 15.0), 0.6),
    "t": _tom(220.0),
    "T": _tom(150.0),
    "L": _tom(95.0),
    "b": _tom(330.0),
    "n": _tom(200.0),
    "g": _shaker,
    "a": _metal((25.0, 60.0), 0.25),
}
