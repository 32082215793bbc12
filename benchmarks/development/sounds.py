"""What a microphone in a rehearsal room hears besides the piece.

Every function returns a mono float32 signal [S] at the rate it is given and draws only from the
generator it is given. Levels are free; `levelled` sets them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

Signal = NDArray[np.float32]

REFERENCE_RMS = 0.1
"""RMS of the loud parts of a piece on tape, full scale; 0 dB of `levelled`."""

GUITAR_HZ = (82.41, 110.0, 146.83, 196.0, 246.94, 329.63)
BASS_HZ = (41.2, 55.0, 73.42, 98.0)
PENTATONIC = (0, 3, 5, 7, 10, 12, 15, 17)


def loud_rms(signal: NDArray, sr: int) -> float:
    """Return the RMS of the loud parts of [S] or [S, C]: the 90th percentile over 50 ms."""
    mono = signal if signal.ndim == 1 else signal.mean(axis=1)
    hop = max(1, sr // 20)
    n_blocks = max(1, len(mono) // hop)
    blocks = mono[: n_blocks * hop].reshape(n_blocks, -1).astype(np.float64)
    return float(np.percentile(np.sqrt(np.mean(blocks**2, axis=1)), 90))


def levelled(signal: NDArray, sr: int, level_db: float = 0.0) -> Signal:
    """Return the signal at a level relative to the piece; peaks stay under 0.7 of full scale."""
    gain = REFERENCE_RMS * 10 ** (level_db / 20) / max(loud_rms(signal, sr), 1e-9)
    peak = float(np.abs(signal).max(initial=0.0))
    return (signal * min(gain, 0.7 / max(peak, 1e-9))).astype(np.float32)


def band(signal: NDArray, sr: int, low_hz: float, high_hz: float) -> NDArray:
    """Return a signal through a band-pass of second order."""
    high_hz = min(high_hz, 0.45 * sr)
    return sosfilt(butter(2, (low_hz, high_hz), "band", fs=sr, output="sos"), signal, axis=0)


def decay(n_samples: int, sr: int, tau_s: float) -> NDArray:
    """Return exp(-t / tau), [n_samples]."""
    return np.exp(-np.arange(n_samples) / (tau_s * sr))


def placed(parts: Sequence[tuple[float, NDArray]], sr: int, tail_s: float = 0.0) -> Signal:
    """Return the sum of sounds that begin at given seconds."""
    end = max((round(at_s * sr) + len(part) for at_s, part in parts), default=0)
    mix = np.zeros(end + round(tail_s * sr), dtype=np.float32)
    for at_s, part in parts:
        first = round(at_s * sr)
        mix[first : first + len(part)] += part
    return mix


def pluck(sr: int, f0_hz: NDArray, rng: np.random.Generator) -> Signal:
    """Return a plucked string whose fundamental follows `f0_hz` [S]."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / sr
    place, stiffness = rng.uniform(0.12, 0.3), rng.uniform(0.0, 2e-4)
    tone = np.zeros(len(f0_hz))
    for k in range(1, 12):
        stretch = np.sqrt(1 + stiffness * k * k)
        if k * stretch * f0_hz.max() > 0.45 * sr:
            break
        strength = np.sin(np.pi * k * place) / k
        tone += strength * np.sin(k * stretch * phase) * decay(len(tone), sr, 1.4 / (1 + 0.3 * k))
    attack = min(len(tone), sr // 250)
    tone[:attack] *= np.linspace(0, 1, attack)
    tone[-attack:] *= np.linspace(1, 0, attack)
    return tone.astype(np.float32)


def tuning(sr: int, rng: np.random.Generator) -> Signal:
    """Return somebody who tunes a guitar or a bass by ear, or bows an A and its fifths."""
    if rng.random() < 0.25:
        return _bowed_tuning(sr, rng)
    strings = GUITAR_HZ if rng.random() < 0.7 else BASS_HZ
    chosen = np.sort(rng.choice(len(strings), size=rng.integers(3, len(strings)), replace=False))
    parts, at_s = [], 0.0
    for string in chosen:
        off_cents = rng.choice([-1, 1]) * rng.uniform(15, 70)
        n_plucks = rng.integers(2, 5)
        for number in range(n_plucks):
            length_s = rng.uniform(0.7, 1.8)
            t = np.linspace(0, 1, round(length_s * sr))
            left = 1 - number / (n_plucks - 1)
            turned = np.clip((t - 0.35) * 2.5, 0, 1) / max(1, n_plucks - 1)
            cents = off_cents * np.clip(left - turned, 0, 1) * (-1 if number % 3 == 2 else 1)
            parts.append((at_s, pluck(sr, strings[string] * 2 ** (cents / 1200), rng)))
            at_s += length_s * rng.uniform(0.6, 1.1)
        at_s += rng.uniform(0.1, 0.9)
    return placed(parts, sr)


def _bowed_tuning(sr: int, rng: np.random.Generator) -> Signal:
    parts, at_s = [], 0.0
    for ratio in (1.0, 1.0, 2 / 3, 4 / 9, 1.5)[: rng.integers(3, 6)]:
        t = np.arange(round(rng.uniform(1.8, 3.5) * sr)) / sr
        settling = 2 ** (rng.uniform(-40, 40) * np.exp(-t / 0.7) / 1200)
        phase = 2 * np.pi * np.cumsum(440.0 * ratio * settling) / sr
        phase += 0.04 * np.sin(2 * np.pi * 5.3 * t)
        tone = sum(np.sin(k * phase) / k for k in range(1, 9))
        swell = np.minimum(1, np.minimum(t / 0.5, (t[-1] - t) / 0.4))
        parts.append((at_s, (tone * swell).astype(np.float32)))
        at_s += len(t) / sr * rng.uniform(0.55, 0.95)
    return placed(parts, sr)


def drum(kind: str, sr: int, rng: np.random.Generator) -> Signal:
    """Return one hit of a kick, snare, hat or tom."""
    n_samples = round({"kick": 0.35, "snare": 0.25, "hat": 0.09, "tom": 0.45}[kind] * sr)
    t = np.arange(n_samples) / sr
    noise = rng.standard_normal(n_samples)
    if kind == "hat":
        hit = band(noise, sr, 5000, 10000) * decay(n_samples, sr, 0.02)
    elif kind == "snare":
        body = np.sin(2 * np.pi * 190 * t) * decay(n_samples, sr, 0.06)
        hit = 0.5 * body + band(noise, sr, 1200, 8000) * decay(n_samples, sr, 0.07)
    else:
        low_hz = 48.0 if kind == "kick" else rng.uniform(75, 160)
        phase = 2 * np.pi * np.cumsum(low_hz * (1 + 1.6 * np.exp(-t / 0.02))) / sr
        hit = np.sin(phase) * decay(n_samples, sr, 0.12 if kind == "kick" else 0.18)
        hit += 0.05 * noise * decay(n_samples, sr, 0.004)
    return (hit * np.linspace(1, 0, n_samples)).astype(np.float32)


def noodling(sr: int, rng: np.random.Generator, seconds: float, player: str = "") -> Signal:
    """Return a player who does not play the piece: "drums", "guitar" or "keys"."""
    player = player or str(rng.choice(["drums", "drums", "guitar", "keys"]))
    parts, at_s, note = [], 0.0, int(rng.integers(len(PENTATONIC)))
    root_hz = float(rng.choice(GUITAR_HZ[1:4])) * 2 ** (rng.integers(-2, 3) / 12)
    step_s = rng.uniform(0.11, 0.2)
    while at_s < seconds:
        strength = rng.uniform(0.3, 1.0)
        if player == "drums":
            kinds = ["kick", "snare", "hat", "hat", "tom", "tom"]
            hit = drum(str(rng.choice(kinds)), sr, rng)
        else:
            note = int(np.clip(note + rng.integers(-2, 3), 0, len(PENTATONIC) - 1))
            n_samples = round(rng.uniform(0.4, 1.2) * sr)
            chord = (0,) if player == "guitar" else (0, 4, 7)
            hit = np.sum(
                [
                    pluck(sr, np.full(n_samples, root_hz * 2 ** ((PENTATONIC[note] + k) / 12)), rng)
                    for k in chord
                ],
                axis=0,
            )
        parts.append((at_s, strength * hit))
        at_s += step_s * rng.choice([1, 1, 2, 3]) * rng.uniform(0.92, 1.08)
        if rng.random() < 0.07:
            at_s += rng.uniform(0.6, 1.6)
    return placed(parts, sr)[: round(seconds * sr)]


def stick(sr: int, rng: np.random.Generator) -> Signal:
    """Return two drum sticks hit against each other."""
    n_samples = round(0.06 * sr)
    t = np.arange(n_samples) / sr
    pitch = rng.uniform(0.97, 1.03)
    tones = sum(np.sin(2 * np.pi * f * pitch * t) for f in (2150.0, 3900.0, 5600.0))
    return (tones * decay(n_samples, sr, 0.007)).astype(np.float32)


def metronome_click(sr: int, is_accent: bool) -> Signal:
    """Return the beep of a metronome."""
    n_samples = round(0.035 * sr)
    t = np.arange(n_samples) / sr
    tone = np.sin(2 * np.pi * (1600.0 if is_accent else 1200.0) * t)
    return (tone * decay(n_samples, sr, 0.012)).astype(np.float32)


def applause(sr: int, rng: np.random.Generator, seconds: float) -> Signal:
    """Return an audience of a few dozen, with a whistle or a shout at times."""
    hands = []
    for _ in range(40):
        n_samples = round(rng.uniform(0.012, 0.03) * sr)
        low_hz = rng.uniform(600, 1400)
        clap = band(rng.standard_normal(n_samples), sr, low_hz, low_hz * rng.uniform(1.8, 3.5))
        hands.append((clap * decay(n_samples, sr, 0.006)).astype(np.float32))
    n_claps = round(seconds * rng.uniform(60, 160))
    times_s = seconds * rng.beta(1.3, 2.2, size=n_claps)
    loudness = rng.lognormal(0, 0.6, size=n_claps)
    parts = [
        (t, float(a) * hands[k])
        for t, a, k in zip(times_s, loudness, rng.integers(40, size=n_claps), strict=True)
    ]
    for _ in range(rng.integers(0, 3)):
        t = np.arange(round(rng.uniform(0.5, 1.1) * sr)) / sr
        glide_hz = 1500 + 900 * np.sin(np.pi * np.minimum(t / t[-1], 1)) + 300 * t
        whistle = np.sin(2 * np.pi * np.cumsum(glide_hz) / sr) * np.sin(np.pi * t / t[-1])
        parts.append((rng.uniform(0.3, 0.5 * seconds), (1.2 * whistle).astype(np.float32)))
    return placed(parts, sr)[: round(seconds * sr)]


def slam(sr: int, rng: np.random.Generator) -> Signal:
    """Return a door that falls shut, and rattles."""
    n_samples = round(1.2 * sr)
    t = np.arange(n_samples) / sr
    thump = np.sin(2 * np.pi * rng.uniform(55, 95) * t) * decay(n_samples, sr, 0.09)
    crack = band(rng.standard_normal(n_samples), sr, 150, 3500) * decay(n_samples, sr, 0.05)
    parts: list[tuple[float, NDArray]] = [(0.0, thump + crack)]
    for _ in range(rng.integers(2, 6)):
        rattle = band(rng.standard_normal(sr // 12), sr, 700, 5000) * decay(sr // 12, sr, 0.015)
        parts.append((rng.uniform(0.1, 0.5), 0.25 * rattle))
    return placed(parts, sr)


def bump(sr: int, rng: np.random.Generator) -> Signal:
    """Return a microphone or its stand that is knocked."""
    n_samples = round(0.4 * sr)
    t = np.arange(n_samples) / sr
    thud = np.sin(2 * np.pi * rng.uniform(30, 60) * t) * decay(n_samples, sr, 0.07)
    scrape = band(rng.standard_normal(n_samples), sr, 200, 1500) * decay(n_samples, sr, 0.03)
    return (thud + 0.5 * scrape).astype(np.float32)


def voice(sr: int, f0_hz: NDArray, breath: float, rng: np.random.Generator) -> NDArray:
    """Return an open vowel whose pitch follows `f0_hz` [S]; `breath` in [0, 1] is its noise."""
    phase = np.cumsum(f0_hz) / sr
    pulses = np.diff(np.floor(phase), prepend=0.0)
    source = (1 - breath) * pulses * 12 + breath * rng.standard_normal(len(f0_hz))
    vowel = np.zeros(len(f0_hz))
    for formant_hz, width_hz, gain in ((730, 90, 1.0), (1150, 110, 0.6), (2500, 170, 0.25)):
        radius = np.exp(-np.pi * width_hz / sr)
        poles = [1, -2 * radius * np.cos(2 * np.pi * formant_hz / sr), radius**2]
        vowel += gain * lfilter([1 - radius], poles, source)
    return vowel


def laugh(sr: int, rng: np.random.Generator) -> Signal:
    """Return somebody who laughs."""
    low_hz = rng.uniform(140, 320)
    parts, at_s = [], 0.0
    for number in range(rng.integers(4, 10)):
        n_samples = round(rng.uniform(0.09, 0.14) * sr)
        f0_hz = low_hz * (1.25 - 0.06 * number) * np.linspace(1.1, 0.9, n_samples)
        ha = voice(sr, f0_hz, rng.uniform(0.3, 0.6), rng) * np.hanning(n_samples)
        parts.append((at_s, (ha * 0.93**number).astype(np.float32)))
        at_s += rng.uniform(0.16, 0.23)
    return placed(parts, sr, 0.2)


def mumble(text: str, sr: int, rng: np.random.Generator) -> Signal:
    """Return speech without words, as long as `text` would take; a speaker needs no program."""
    low_hz, parts, at_s = rng.uniform(100, 220), [], 0.0
    for word in text.split():
        for _ in range(max(1, len(word) // 3)):
            n_samples = round(rng.uniform(0.1, 0.22) * sr)
            f0_hz = low_hz * rng.uniform(0.85, 1.25) * np.linspace(1.05, 0.95, n_samples)
            syllable = voice(sr, f0_hz, rng.uniform(0.05, 0.5), rng) * np.hanning(n_samples)
            parts.append((at_s, syllable.astype(np.float32)))
            at_s += n_samples / sr * 0.9
        at_s += rng.uniform(0.02, 0.12)
    return placed(parts, sr)


def hum(sr: int, n_samples: int, rng: np.random.Generator) -> Signal:
    """Return an amplifier that hums at the mains frequency, with a little buzz and hiss."""
    t = np.arange(n_samples) / sr
    mains_hz = float(rng.choice([50.0, 60.0]))
    tone = np.zeros(n_samples)
    for k in range(1, 12):
        strength = rng.uniform(0.4, 1.0) / k**0.9
        tone += strength * np.sin(2 * np.pi * (k * mains_hz * t + rng.random()))
    return (tone + 0.1 * rng.standard_normal(n_samples)).astype(np.float32)


def room_tone(sr: int, n_samples: int, rng: np.random.Generator) -> Signal:
    """Return the noise of a quiet room: pink, with a slow swell."""
    white = rng.standard_normal(n_samples)
    poles = [1, -2.494956002, 2.017265875, -0.522189400]
    pink = lfilter([0.049922035, -0.095993537, 0.050612699, -0.004408786], poles, white)
    t = np.arange(n_samples) / sr
    return (pink * (1 + 0.25 * np.sin(2 * np.pi * (0.05 * t + rng.random())))).astype(np.float32)


def held_chord(tail: NDArray, sr: int, seconds: float, rng: np.random.Generator) -> Signal:
    """Return [S, 2] the sound of `tail` [S, 2] held and dying away, as by players who wait."""
    n_samples = round(seconds * sr)
    held = np.empty((n_samples, 2), dtype=np.float32)
    shape = decay(n_samples, sr, seconds / 3.5) * np.minimum(1, np.arange(n_samples) / (0.05 * sr))
    for channel in range(2):
        smear = rng.standard_normal(n_samples) * shape
        held[:, channel] = oaconvolve(tail[:, channel], smear)[-n_samples:]
    return held * np.linspace(1, 0, n_samples)[:, None].astype(np.float32) ** 0.5
