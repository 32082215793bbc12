"""Sounds of single notes: sampled ones of a General MIDI soundfont, and synthesised ones.

Plucked strings after Karplus and Strong ("Digital synthesis of plucked-string and drum timbres",
1983), frequency modulation after Chowning (1973), the others additive. The same name and generator
give the same sounds. In: names out of `palettes`. Out: `Sound`, mono at 22,050 Hz.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig
from rl_editor.score_rendering import soundfont_renderer
from rl_editor.score_takes import N_CHANNELS, Take
from rl_editor.scores import CONTROL, DRUMS, NOTE, PROGRAM
from rl_editor.session_tones import tone

Audio = NDArray[np.float32]

SR = AnalysisConfig().sr
LONGEST_S = 3.5
"""Longer notes end here."""
_ZONE = 3
"""Semitones from one made sound to the next; those in between are the same, faster or slower."""
_ONSET_LEVEL = 0.3
"""Share of its peak at which a note is heard to begin."""
_LATEST_ONSET_S = 0.06
"""Slower sounds are played this early at most, as players of bowed and blown instruments do."""
_ATTACK_S = 0.15
_PALM = 8
"""Samples over which a damped string is smoothed, about a third of a millisecond."""
_INAUDIBLE = 0.001
"""Of the peak; what follows is left out."""
_VELOCITY = 100
_HELD_PROGRAMS = (range(16, 24), range(40, 45), range(48, 55), range(56, 80), range(80, 96))


class Sound(NamedTuple):
    """A note or stroke; `onset` is the sample at which it is heard to begin."""

    samples: Audio
    onset: int


class Instrument:
    """Something that plays notes.

    Attributes:
        held: whether a note sounds as long as it is held; else it dies away.
        release_s: how long it sounds on after its end.
        driven: whether all its notes go through one distorting amplifier.
    """

    def __init__(
        self, make: Callable[[int], Sound], held: bool, release_s: float, driven: bool = False
    ) -> None:
        self.held, self.release_s, self.driven = held, release_s, driven
        self._make = make
        self._zones: dict[int, Sound] = {}
        self._keys: dict[int, Sound] = {}
        self._muted: dict[int, Sound] = {}

    def sound(self, key: int) -> Sound:
        """Return the note of a MIDI key, at a peak of about 1."""
        if key not in self._keys:
            zone = _ZONE * round(key / _ZONE)
            if zone not in self._zones:
                self._zones[zone] = self._make(zone)
            self._keys[key] = at_rate(self._zones[zone], 2.0 ** ((key - zone) / 12.0))
        return self._keys[key]

    def muted(self, key: int) -> Sound:
        """Return the note as a palm on the strings damps it: short and without highs."""
        if key not in self._muted:
            sound = self.sound(key)
            samples = sound.samples[: SR // 3]
            total = np.cumsum(np.pad(samples, (_PALM, 0)), dtype=np.float64)
            damped = (total[_PALM:] - total[:-_PALM]) / _PALM
            damped *= np.exp(-12.0 * np.arange(len(damped)) / SR)
            self._muted[key] = Sound(damped.astype(np.float32), sound.onset)
        return self._muted[key]


def at_rate(sound: Sound, rate: float) -> Sound:
    """Return a sound played `rate` times as fast."""
    if rate == 1.0:
        return sound
    n = int(len(sound.samples) / rate)
    at = np.arange(n) * rate
    samples = np.interp(at, np.arange(len(sound.samples)), sound.samples).astype(np.float32)
    return Sound(samples, round(sound.onset / rate))


def make_instrument(name: str, rng: np.random.Generator) -> Instrument:
    """Return an instrument: `gm:` and a program counted from 0, or a name of `SYNTHESISED`."""
    if name.startswith("gm:"):
        program = int(name[3:])
        held = any(program in programs for programs in _HELD_PROGRAMS)
        release_s = float(rng.uniform(0.05, 0.3))
        return Instrument(lambda key: sampled(program, key, False), held, release_s)
    return SYNTHESISED[name](rng)


@lru_cache(maxsize=600)
def sampled(program: int, key: int, is_drum: bool) -> Sound:
    """Return a note of a program, or a stroke of a drum kit, of the soundfont.

    Raises:
        UserError: there is no soundfont, or nothing that plays it.
    """
    length_s = 1.2 if is_drum else LONGEST_S
    channel = DRUMS if is_drum else 0
    notes = np.array([(0.0, length_s, channel, key, _VELOCITY)], dtype=NOTE)
    controls = np.array([(0.0, channel, PROGRAM, program)], dtype=CONTROL)
    zeros = np.zeros(N_CHANNELS)
    rendered = _renderer()(Take(notes, controls, zeros, zeros, ()), SR, int(length_s * SR))
    samples = rendered.mean(axis=1, dtype=np.float32)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 0.0:
        samples = samples / np.float32(peak)
        last = int(np.flatnonzero(np.abs(samples) > _INAUDIBLE)[-1])
        samples = samples[: last + 1].copy()
    return Sound(samples, _onset(samples))


@lru_cache(maxsize=1)
def _renderer() -> Callable[[Take, int, int], Audio]:
    return soundfont_renderer()


def _onset(samples: Audio) -> int:
    attack = np.abs(samples[: int(_ATTACK_S * SR)])
    loud = np.flatnonzero(attack >= _ONSET_LEVEL * attack.max(initial=1e-9))
    return min(int(loud[0]) if len(loud) else 0, int(_LATEST_ONSET_S * SR))


def _hz(key: float) -> float:
    return 440.0 * 2.0 ** ((key - 69.0) / 12.0)


def _shaped(samples: Audio, attack_s: float) -> Sound:
    """Return a sound that fades in for `attack_s`, at a peak of 1."""
    n = max(1, min(int(attack_s * SR), len(samples)))
    samples[:n] *= np.linspace(0.0, 1.0, n, dtype=np.float32)
    samples = samples / np.float32(np.abs(samples).max(initial=1e-9))
    return Sound(samples, _onset(samples))


def _additive(
    amplitudes: NDArray[np.floating[Any]],
    decay: float,
    attack_s: float,
    vibrato: tuple[float, float] = (0.0, 5.0),
    detune: float = 0.0,
) -> Callable[[int], Sound]:
    """Return a maker of notes out of harmonics; `vibrato` is its depth in semitones and rate."""
    levels = np.asarray(amplitudes, dtype=np.float64)
    time = np.arange(int(LONGEST_S * SR)) / SR
    wave = vibrato[0] * np.sin(2 * np.pi * vibrato[1] * time) * np.minimum(1.0, 3.0 * time)

    def make(key: int) -> Sound:
        pitch = _hz(key) * 2.0 ** (wave / 12.0)
        # Higher notes die away faster, and what is held does not.
        fall = decay * 2.0 ** ((key - 60) / 24.0)
        samples = tone(pitch, SR, levels, fall)
        if detune:
            samples = samples + tone(pitch * 2.0 ** (detune / 12.0), SR, levels, fall)
        if decay and fall < 3.0:
            samples = samples * np.exp(-0.5 * fall * time).astype(np.float32)
        return _shaped(samples, attack_s)

    return make


def _lead(rng: np.random.Generator) -> Instrument:
    """Saw, square or in between, with or without a second oscillator: leads, pads, organs."""
    number = np.arange(1, 25)
    odd = float(rng.choice([0.0, 0.5, 1.0]))
    amplitudes = number ** -rng.uniform(0.7, 1.8) * np.where(number % 2, 1.0, 1.0 - odd)
    detune = float(rng.uniform(0.03, 0.2)) if rng.random() < 0.5 else 0.0
    depth = float(rng.uniform(0.0, 0.35)) if rng.random() < 0.4 else 0.0
    make = _additive(
        amplitudes,
        0.0,
        float(rng.uniform(0.002, 0.03)),
        (depth, float(rng.uniform(4, 6.5))),
        detune,
    )
    return Instrument(make, True, float(rng.uniform(0.03, 0.3)))


def _pad(rng: np.random.Generator) -> Instrument:
    amplitudes = np.arange(1, 13) ** -rng.uniform(1.0, 2.2)
    make = _additive(amplitudes, 0.0, float(rng.uniform(0.05, 0.4)), detune=0.12)
    return Instrument(make, True, float(rng.uniform(0.2, 0.8)))


def _organ(rng: np.random.Generator) -> Instrument:
    amplitudes = np.zeros(16)
    amplitudes[[0, 1, 2, 3, 5, 7, 9, 11, 15]] = rng.uniform(0.0, 1.0, 9)
    amplitudes[0] = 1.0
    make = _additive(amplitudes, 0.0, 0.006, (float(rng.uniform(0.0, 0.15)), 6.5))
    return Instrument(make, True, 0.05)


def _bowed(rng: np.random.Generator) -> Instrument:
    amplitudes = np.arange(1, 21) ** -rng.uniform(0.9, 1.4) * rng.uniform(0.3, 1.0, 20)
    vibrato = (float(rng.uniform(0.05, 0.35)), float(rng.uniform(4.5, 6.5)))
    make = _additive(amplitudes, 0.0, float(rng.uniform(0.03, 0.12)), vibrato)
    return Instrument(make, True, float(rng.uniform(0.08, 0.25)))


def _struck(rng: np.random.Generator) -> Instrument:
    """Keys and mallets."""
    amplitudes = np.arange(1, 17) ** -rng.uniform(1.0, 2.5) * rng.uniform(0.2, 1.0, 16)
    make = _additive(amplitudes, float(rng.uniform(0.4, 4.0)), 0.002)
    return Instrument(make, False, float(rng.uniform(0.05, 0.4)))


def _sub(rng: np.random.Generator) -> Instrument:
    amplitudes = np.array([1.0, rng.uniform(0.0, 0.5), rng.uniform(0.0, 0.3), 0.05])
    make = _additive(amplitudes, float(rng.choice([0.0, 0.3, 1.0])), 0.005)
    return Instrument(make, True, 0.05)


def _acid(rng: np.random.Generator) -> Instrument:
    """A saw whose brightness dies away fast, as of a filter with an envelope."""
    soft = _additive(np.arange(1, 6) ** -1.0, 0.0, 0.003)
    bright = _additive(np.arange(1, 31) ** -0.8, float(rng.uniform(2.0, 9.0)), 0.002)

    def make(key: int) -> Sound:
        return _shaped(0.5 * soft(key).samples + bright(key).samples, 0.002)

    return Instrument(make, True, 0.04)


def _fm(rng: np.random.Generator) -> Instrument:
    """Electric pianos and bells."""
    ratio = float(rng.choice([1.0, 2.0, 3.0, 3.5, 1.41, 7.0, 14.0]))
    depth, fade = float(rng.uniform(0.5, 4.0)), float(rng.uniform(2.0, 12.0))
    decay = float(rng.uniform(0.6, 4.0))
    time = np.arange(int(LONGEST_S * SR)) / SR

    def make(key: int) -> Sound:
        turn = 2 * np.pi * _hz(key) * time
        index = min(depth, 0.35 * SR / (_hz(key) * ratio)) * np.exp(-fade * time)
        wave = np.sin(turn + index * np.sin(ratio * turn)) * np.exp(-decay * time)
        return _shaped(wave.astype(np.float32), 0.001)

    return Instrument(make, False, float(rng.uniform(0.05, 0.3)))


def _string(key: int, keep: float, bright: float, rng: np.random.Generator) -> Audio:
    """Return a plucked string, period by period: each is the one before it, smoothed."""
    period = max(4, round(SR / _hz(key)))
    n_periods = int(LONGEST_S * SR) // period + 1
    rows = np.empty((n_periods, period), dtype=np.float32)
    pluck = rng.standard_normal(period).astype(np.float32)
    for _ in range(int(4 * (1.0 - bright))):
        pluck = 0.5 * (pluck + np.roll(pluck, 1))
    rows[0] = pluck - pluck.mean()
    blend = 0.5 * keep ** (100.0 / _hz(key))
    for row in range(1, n_periods):
        before = rows[row - 1]
        np.add(before, np.roll(before, 1), out=rows[row])
        rows[row] *= blend
    # The period is a whole number of samples plus half a one for the smoothing.
    at = np.arange(n_periods * period) * (_hz(key) * (period + 0.5) / SR)
    whole = rows.ravel()
    return np.interp(at, np.arange(len(whole)), whole, right=0.0).astype(np.float32)


def _plucked(rng: np.random.Generator) -> Instrument:
    """Guitars, harps, banjos."""
    keep, bright = float(rng.uniform(0.96, 0.999)), float(rng.uniform(0.0, 1.0))
    seed = int(rng.integers(2**31))

    def make(key: int) -> Sound:
        return _shaped(_string(key, keep, bright, np.random.default_rng([seed, key])), 0.0005)

    return Instrument(make, False, float(rng.uniform(0.03, 0.3)))


def _electric(rng: np.random.Generator) -> Instrument:
    """A guitar for the amplifier that `playing` puts behind it."""
    plucked = _plucked(rng)
    return Instrument(plucked.sound, True, 0.04, driven=True)


SYNTHESISED: dict[str, Callable[[np.random.Generator], Instrument]] = {
    "lead": _lead,
    "pad": _pad,
    "organ": _organ,
    "bowed": _bowed,
    "struck": _struck,
    "sub": _sub,
    "acid": _acid,
    "fm": _fm,
    "plucked": _plucked,
    "electric": _electric,
}
"""Makers of the synthesised instruments."""
