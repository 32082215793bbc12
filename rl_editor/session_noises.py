"""What is heard in a room besides players and talk: knocks, applause, weather, machines.

Half of the noises are single events at irregular times, the others one scene from its beginning to
its end. In: a length in samples. Out: mono float32 [n] of any level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rl_editor.session_speech import babble, peak_one
from rl_editor.session_tones import add, coloured_noise, hit, hump, note, tone, wavering

Audio = NDArray[np.float32]

_SCENE_SHARE = 0.5
_EVENTS = ("knock", "rustle", "cough", "crackle", "squeak", "door", "laugh", "click", "breath")
_N_HANDS = 24


def noise(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Return [n] of noise that is no music, and nothing that the players do for it."""
    if rng.random() < _SCENE_SHARE:
        scene = _SCENES[int(rng.integers(len(_SCENES)))]
        return scene(n, sr, rng)
    return _events(n, sr, rng)


def _events(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Up to three kinds of events at irregular times."""
    out = np.zeros(n, dtype=np.float32)
    if n == 0:
        return out
    position = int(sr * rng.exponential(0.1))
    per_second = float(rng.uniform(0.5, 6.0))
    kinds = rng.choice(_EVENTS, 3)
    while position < n or not out.any():
        sound = _event(str(rng.choice(kinds)), sr, rng)
        add(out, sound, min(position, max(0, n - len(sound))), float(rng.uniform(0.2, 1.0)))
        position += 1 + int(sr * rng.exponential(1.0 / per_second))
    return out


def _event(kind: str, sr: int, rng: np.random.Generator) -> Audio:
    if kind == "knock":
        return hit(sr, rng, 60, 900)
    if kind == "click":
        return hit(sr, rng, 1500, 6000)[: sr // 25]
    if kind == "door":
        return _door(sr, rng)
    if kind == "laugh":
        return _laugh(sr, rng)
    if kind == "crackle":
        n = int(sr * 0.3)
        return np.where(rng.random(n) < 0.001, rng.uniform(-1, 1, n), 0.0).astype(np.float32)
    if kind == "squeak":
        n = int(sr * rng.uniform(0.1, 0.5))
        pitch = np.linspace(rng.uniform(500, 1500), rng.uniform(500, 2500), n)
        return 0.3 * tone(pitch, sr, np.ones(5), 1.0) * hump(n)
    if kind == "breath":
        n = int(sr * rng.uniform(0.4, 1.6))
        return coloured_noise(n, sr, rng, (400.0, 3500.0), 3.0) * hump(n)
    n = int(sr * (rng.uniform(0.2, 1.5) if kind == "rustle" else rng.uniform(0.12, 0.3)))
    out = rng.standard_normal(n, dtype=np.float32)
    width = int(rng.integers(1, 4)) if kind == "rustle" else int(rng.integers(6, 20))
    total = np.cumsum(np.concatenate([np.zeros(width, np.float32), out]))
    return peak_one(((total[width:] - total[:-width]) * hump(n)).astype(np.float32))


def _door(sr: int, rng: np.random.Generator) -> Audio:
    """A latch, a hinge at times, and the blow."""
    out = np.zeros(int(sr * rng.uniform(0.6, 2.0)), dtype=np.float32)
    add(out, hit(sr, rng, 800, 4000), 0, 0.3)
    if rng.random() < 0.4:
        add(out, _event("squeak", sr, rng), sr // 10, 0.3)
    add(out, hit(sr, rng, 40, 300), len(out) // 2, 1.0)
    return out


def _laugh(sr: int, rng: np.random.Generator) -> Audio:
    """Short open syllables in a row, each a little lower and softer."""
    pitch_hz = float(rng.uniform(120, 420))
    period_s = float(rng.uniform(0.14, 0.26))
    out = np.zeros(int(sr * 3.0), dtype=np.float32)
    for k in range(int(rng.integers(3, 11))):
        ha = babble(0.6 * period_s, sr, rng, pitch_hz * 0.95**k, pauses=False)
        add(out, peak_one(ha) * hump(len(ha)), int(sr * period_s * k), 0.92**k)
    return out


def _applause(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Two to some hundred hands that begin together and stop one by one; cheers and whistles."""
    hands = []
    for _ in range(_N_HANDS):
        length = int(sr * rng.uniform(0.008, 0.05))
        low_hz = rng.uniform(300, 1800)
        clap = coloured_noise(length, sr, rng, (low_hz, low_hz * rng.uniform(1.5, 5.0)), 3.0)
        hands.append(clap * np.exp(-np.arange(length) / (sr * rng.uniform(0.003, 0.012))))
    n_people = int(np.exp(rng.uniform(np.log(2.0), np.log(150.0))))
    out = np.zeros(n, dtype=np.float32)
    for _ in range(n_people):
        begin = n * rng.beta(1.0, 12.0)
        end = n * rng.uniform(0.3, 1.05)
        period_s = rng.uniform(0.16, 0.34)
        hand, gain = hands[rng.integers(_N_HANDS)], float(rng.lognormal(0.0, 0.6))
        at = begin
        while at < end:
            add(out, hand, int(at), gain * float(rng.uniform(0.5, 1.0)))
            at += sr * period_s * rng.uniform(0.85, 1.15)
    for _ in range(int(rng.integers(0, 5))):
        shout = _cheer(sr, rng) if rng.random() < 0.6 else _whistle(sr, rng)
        loud = float(np.abs(out).max(initial=0.0)) * float(rng.uniform(0.3, 1.2))
        add(out, shout, int(n * rng.uniform(0.0, 0.7)), loud)
    return out


def _cheer(sr: int, rng: np.random.Generator) -> Audio:
    n = int(sr * rng.uniform(0.4, 1.5))
    arch = np.sin(np.pi * np.linspace(0.0, 1.0, n))
    pitch = rng.uniform(180, 500) * (1.0 + rng.uniform(0.1, 0.6) * arch)
    vowel = np.exp(-0.5 * ((np.arange(1, 25) * pitch.mean() - rng.uniform(500, 1100)) / 400) ** 2)
    return peak_one(tone(pitch, sr, vowel + 0.02, 0.0) * hump(n))


def _whistle(sr: int, rng: np.random.Generator) -> Audio:
    n = int(sr * rng.uniform(0.3, 1.0))
    bends = rng.uniform(1200, 3200, 4)
    pitch = np.interp(np.linspace(0.0, 3.0, n), np.arange(4), bends)
    return tone(pitch, sr, np.array([1.0, 0.1]), 0.0) * hump(n)


def _crowd(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Three to nine people who talk at the same time."""
    out = np.zeros(n, dtype=np.float32)
    for _ in range(int(rng.integers(3, 10))):
        voice = babble(n / sr, sr, rng, float(rng.uniform(85, 260)))
        add(out, peak_one(voice), 0, float(rng.uniform(0.2, 1.0)))
    return out * wavering(n, sr, rng, 2.0, 8.0)


def _rain(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Steady noise of any colour: rain, a river, a ventilator, hiss; drops at times."""
    low_hz = 10.0 ** rng.uniform(1.5, 3.0)
    band_hz = (low_hz, low_hz * 10.0 ** rng.uniform(0.5, 2.5))
    out = coloured_noise(n, sr, rng, band_hz, float(rng.uniform(0.0, 9.0)))
    out *= wavering(n, sr, rng, float(rng.uniform(1.0, 20.0)), float(rng.uniform(0.0, 6.0)))
    if rng.random() < 0.4:
        for at in rng.integers(0, n, int(n / sr * rng.uniform(0.5, 8.0))):
            add(out, hit(sr, rng, 700, 5000)[: sr // 30], int(at), float(rng.uniform(0.2, 1.5)))
    return out


def _wind(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Gusts: low noise that swells, and the blow on a microphone at times."""
    out = coloured_noise(n, sr, rng, (30.0, float(rng.uniform(150, 1500))), 6.0)
    return out * wavering(n, sr, rng, float(rng.uniform(0.5, 4.0)), 25.0)


def _machine(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """An engine, a fan, a fridge or a passing car: a low pitch with harmonics in noise."""
    base_hz = float(rng.uniform(22, 220))
    glide = 2.0 ** (rng.normal(0.0, 0.15) * np.linspace(-1.0, 1.0, n))
    wobble = 1.0 + rng.uniform(0.0, 0.02) * np.sin(
        2 * np.pi * rng.uniform(0.2, 8.0) * np.arange(n) / sr
    )
    amplitudes = np.arange(1, 20) ** -rng.uniform(0.5, 1.8) * rng.uniform(0.1, 1.0, 19)
    out = peak_one(tone(base_hz * glide * wobble, sr, amplitudes, 0.0))
    out += np.float32(rng.uniform(0.1, 1.5)) * coloured_noise(n, sr, rng, (40.0, 2500.0), 5.0)
    passes = rng.random() < 0.4
    return out * (hump(n) if passes else wavering(n, sr, rng, 5.0, 4.0))


def _steps(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """Someone who walks, on a floor that stays the same."""
    shoe = [hit(sr, rng, 50, 700) for _ in range(2)]
    out = np.zeros(n, dtype=np.float32)
    period_s, position, k = float(rng.uniform(0.35, 0.75)), 0.0, 0
    while position < n:
        add(out, shoe[k % 2], int(position), float(rng.uniform(0.5, 1.0)))
        position += sr * period_s * rng.uniform(0.9, 1.1)
        k += 1
    return out


def _ringing(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """A telephone, a doorbell or an alarm: a few tones, again and again."""
    tones = rng.integers(64, 100, int(rng.integers(1, 6)))
    unit_s = float(rng.choice([0.05, 0.1, 0.15, 0.3, 0.6]))
    rest_s = float(rng.choice([0.0, 0.0, 0.5, 2.0]))
    out = np.zeros(n, dtype=np.float32)
    position, k = 0, 0
    while position < n:
        length = max(64, int(sr * unit_s * rng.uniform(0.9, 1.4)))
        add(out, note(float(tones[k % len(tones)]), length, sr, rng), position, 0.8)
        k += 1
        at_end = k % (4 * len(tones)) == 0
        position += int(sr * (unit_s + (rest_s if at_end else 0.0)))
    return out


def _siren(n: int, sr: int, rng: np.random.Generator) -> Audio:
    """A pitch that swings, or a squeal of feedback that stays."""
    time = np.arange(n) / sr
    depth = float(rng.choice([0.0, 0.02, 0.4, 0.7]))
    pitch = 10.0 ** rng.uniform(2.5, 3.5) * 2.0 ** (
        depth * np.sin(2 * np.pi * rng.uniform(0.2, 4.0) * time)
    )
    amplitudes = np.arange(1.0, 6.0) ** -rng.uniform(1.0, 3.0)
    return tone(pitch, sr, amplitudes, 0.0) * wavering(n, sr, rng, 3.0, 15.0)


def _birds(n: int, sr: int, rng: np.random.Generator) -> Audio:
    out = np.zeros(n, dtype=np.float32)
    position = 0
    while position < n:
        low_hz = float(rng.uniform(1800, 5000))
        for _ in range(int(rng.integers(1, 9))):
            length = int(sr * rng.uniform(0.03, 0.2))
            pitch = np.linspace(low_hz, low_hz * rng.uniform(0.7, 1.5), length)
            add(out, tone(pitch, sr, np.array([1.0, 0.1]), 0.0) * hump(length), position, 0.7)
            position += int(length * rng.uniform(1.1, 2.5))
        position += int(sr * rng.exponential(1.5))
    return out


_SCENES: tuple[Callable[[int, int, np.random.Generator], Audio], ...] = (
    _applause,
    _applause,
    _applause,
    _crowd,
    _rain,
    _rain,
    _wind,
    _machine,
    _machine,
    _steps,
    _ringing,
    _siren,
    _birds,
)
