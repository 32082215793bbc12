"""What is heard where nobody plays a piece: talk, noise, tuning, applause, tinkering without pulse.

In: a length and a generator. Out: mono float32 at 22,050 Hz, a peak of about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Song
from benchmarks.beat_training.songs.instruments import SR, Instrument
from benchmarks.beat_training.songs.kits import KEYS
from benchmarks.beat_training.songs.playing import Band
from rl_editor.session_noises import noise
from rl_editor.session_noodling import tuning
from rl_editor.session_room import Room
from rl_editor.session_speech import peak_one, talk
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

_N_HANDS = 5
_KINDS = ("silence", "talk", "noise", "tuning", "tinkering", "drum check", "applause")
_ODDS = (0.26, 0.23, 0.16, 0.08, 0.14, 0.07, 0.06)


def rest(n: int, song: Song, band: Band, sampled: bool, rng: np.random.Generator) -> Audio:
    """Return [n] of what is heard between two stretches, or of two such things at once."""
    out = _rest(n, song, band, sampled, rng)
    if rng.random() < 0.2:
        out = out + np.float32(rng.uniform(0.1, 1.0)) * _rest(n, song, band, sampled, rng)
    return peak_one(out)


def _rest(n: int, song: Song, band: Band, sampled: bool, rng: np.random.Generator) -> Audio:
    kind = str(rng.choice(_KINDS, p=_ODDS))
    if kind == "silence" or n < SR // 4:
        return np.zeros(n, dtype=np.float32)
    if kind == "talk":
        return talk(n, SR, rng, 0.0)
    if kind == "noise":
        return peak_one(noise(n, SR, rng))
    if kind == "tuning":
        return peak_one(tuning(n, _room(song, sampled), rng))
    if kind == "tinkering":
        return _tinkering(n, song, band, rng)
    if kind == "applause":
        return _applause(n, rng)
    return _drum_check(n, band, rng)


def _room(song: Song, sampled: bool) -> Room:
    return Room(
        sr=SR,
        beat_s=60.0 / song.bpm,
        pitch_classes=np.array(sorted({(song.key + step) % 12 for step in song.scale})),
        music=np.zeros(2, dtype=np.float32),
        impulse_response=np.ones(1, dtype=np.float32),
        speech_program=0.0,
        sampled=float(sampled),
    )


def _irregular_s(length_s: float, rng: np.random.Generator) -> list[float]:
    """Return times that no foot could tap to: gaps from a tenth of a second to some."""
    unit_s, times, at = float(np.exp(rng.uniform(np.log(0.15), np.log(0.8)))), [], 0.0
    while at < length_s:
        times.append(at)
        at += max(0.06, unit_s * float(rng.lognormal(0.0, 0.7)))
        if rng.random() < 0.12:
            at += float(rng.exponential(1.0))
    return times


def _tinkering(n: int, song: Song, band: Band, rng: np.random.Generator) -> Audio:
    """Somebody of the band tries notes and chords."""
    players = [p for p in band.players.values() if isinstance(p, Instrument)]
    out = np.zeros(n, dtype=np.float32)
    if not players:
        return out
    player = players[int(rng.integers(len(players)))]
    key = int(rng.integers(45, 70))
    for at_s in _irregular_s(n / SR, rng):
        key = int(np.clip(key + rng.integers(-5, 6), 36, 84))
        chord = (0, 4, 7) if rng.random() < 0.2 else (0,)
        length = int(SR * rng.uniform(0.08, 1.2))
        for step in chord:
            samples = player.sound(key + step).samples[:length].copy()
            samples *= np.minimum(1.0, (len(samples) - np.arange(len(samples))) / 700.0)
            add(out, samples.astype(np.float32), int(at_s * SR), float(rng.uniform(0.3, 1.0)))
    return peak_one(out)


def _drum_check(n: int, band: Band, rng: np.random.Generator) -> Audio:
    """A drummer hits this and that."""
    out = np.zeros(n, dtype=np.float32)
    voices = list(rng.choice(sorted(KEYS), int(rng.integers(1, 5))))
    for at_s in _irregular_s(n / SR, rng):
        sound, gain = band.kit.stroke(str(voices[int(rng.integers(len(voices)))]))
        add(out, sound.samples, int(at_s * SR), gain * float(rng.uniform(0.3, 1.0)))
    return peak_one(out)


def _applause(n: int, rng: np.random.Generator) -> Audio:
    """Three to three hundred people, each with hands of one of a few kinds, who stop by and by."""
    from scipy.signal import oaconvolve

    people = float(np.exp(rng.uniform(np.log(3.0), np.log(300.0))))
    claps_a_second = 4.0 * people / _N_HANDS
    fade = np.minimum(1.0, np.linspace(1.0, 0.0, n) * float(rng.uniform(1.0, 4.0)))
    out = np.zeros(n, dtype=np.float32)
    for _ in range(_N_HANDS):
        length = int(rng.uniform(0.01, 0.04) * SR)
        hand = rng.standard_normal(length) * np.exp(-6.0 * np.arange(length) / length)
        hand = np.convolve(hand, np.ones(int(rng.integers(1, 8))), "same")
        claps = (rng.random(n) < fade * claps_a_second / SR) * rng.uniform(0.3, 1.0, n)
        out += oaconvolve(claps, hand)[:n].astype(np.float32)
    return peak_one(out)
