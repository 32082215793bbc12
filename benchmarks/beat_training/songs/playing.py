"""A band plays a song: notes, a clock and instruments become audio.

In: a song, its band and a clock. Out: mono float32 at 22,050 Hz. A stroke on a beat sounds at the
beat, to the sample, where the hands are exact; slow attacks begin early, as players begin them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.songs.composition import Note, Song
from benchmarks.beat_training.songs.instruments import SR, Instrument, Sound, make_instrument
from benchmarks.beat_training.songs.kits import Kit
from benchmarks.beat_training.songs.palettes import SYNTHETIC
from benchmarks.beat_training.songs.timing import Clock, Hands, draw_hands
from benchmarks.beat_training.songs.voices import Singer, Sung, draw_singer, sing
from rl_editor.session_tones import add

Audio = NDArray[np.float32]

_CHOKE_S = (0.03, 0.25)
"""How long sounds go on when the band stops."""
_LEVELS_DB = {"drums": 0.0, "bass": -7.0, "comp": -11.0, "second": -15.0, "lead": -9.0}
_LEVEL_SD_DB = 4.0


@dataclass(frozen=True)
class Band:
    """Who plays a song, and how they are mixed.

    Attributes:
        kit: the drums.
        players: an instrument or a singer for each other part.
        gains: of each part, `drums` too.
        hands: how exact they are.
        drive: of the amplifier behind electric guitars.
        reverb_s: decay of the reverberation, 0 for none.
        wet: level of the reverberation of drums and of the others.
        squash: how far the mix is compressed, in [0, 1].
        saturation: drive of the whole mix, 0 for none.
        tilt_db: highs against lows.
    """

    kit: Kit
    players: dict[str, Instrument | Singer]
    gains: dict[str, float]
    hands: Hands
    drive: float
    reverb_s: float
    wet: tuple[float, float]
    squash: float
    saturation: float
    tilt_db: float


def draw_band(song: Song, rng: np.random.Generator, sampled: bool = True) -> Band:
    """Return a band for a song; without `sampled` all its sounds are synthesised."""
    names = {
        "bass": song.palette.bass,
        "comp": song.palette.comp,
        "second": song.palette.second,
        "lead": song.palette.lead,
    }
    if not sampled or rng.random() < 0.12:
        names = SYNTHETIC
    players: dict[str, Instrument | Singer] = {}
    for part, choice in names.items():
        name = choice[int(rng.integers(len(choice)))]
        is_sung = name == "voice"
        players[part] = draw_singer(rng) if is_sung else make_instrument(name, rng)
    players["second lead"] = players["lead"]
    gains = {
        part: float(10.0 ** ((level + rng.normal(0.0, _LEVEL_SD_DB)) / 20.0))
        for part, level in _LEVELS_DB.items()
    }
    gains["second lead"] = gains["lead"] * float(rng.uniform(0.3, 1.0))
    dry = rng.random() < 0.25
    wet = float(rng.uniform(0.05, 0.5))
    return Band(
        kit=Kit(rng, 0.7 if sampled else 0.0),
        players=players,
        gains=gains,
        hands=draw_hands(song, rng),
        drive=float(np.exp(rng.uniform(np.log(2.0), np.log(60.0)))),
        reverb_s=0.0 if dry else float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))),
        wet=(wet * float(rng.uniform(0.1, 1.0)), wet),
        squash=float(rng.choice([0.0, rng.uniform(0.2, 0.9)])),
        saturation=float(rng.choice([0.0, 0.0, rng.uniform(0.5, 4.0)])),
        tilt_db=float(rng.normal(0.0, 3.0)),
    )


@dataclass(frozen=True)
class Span:
    """What part of the clock is heard.

    Attributes:
        start_s: clock time of the first sample.
        n: samples.
        stop_s: clock time at which the band stops playing; later notes are left out.
        rings: whether what sounds at the stop rings on; else it is choked.
    """

    start_s: float
    n: int
    stop_s: float
    rings: bool


def play(
    notes: list[Note], clock: Clock, band: Band, span: Span, rng: np.random.Generator
) -> Audio:
    """Return [n] of the notes, mixed."""
    drums, others = np.zeros(span.n, dtype=np.float32), np.zeros(span.n, dtype=np.float32)
    driven = np.zeros(span.n, dtype=np.float32)
    starts_s = clock.seconds(np.array([note.at for note in notes]))
    ends_s = clock.seconds(np.array([note.at + note.length for note in notes]))
    starts_s += band.hands.jitter_s * rng.standard_normal(len(notes))
    louds = 1.0 + band.hands.touch * rng.standard_normal(len(notes))
    sung: dict[str, list[Sung]] = defaultdict(list)
    strings: dict[tuple[str, float], int] = defaultdict(int)
    choke_s = 30.0 if span.rings else float(rng.uniform(*_CHOKE_S))
    for i, note in enumerate(notes):
        start_s = float(starts_s[i]) + band.hands.lags_s.get(note.part, 0.0)
        if start_s >= span.stop_s:
            continue
        end_s = min(float(ends_s[i]), span.stop_s)
        loud = note.loud * max(0.2, float(louds[i]))
        at = start_s - span.start_s
        if note.part == "drums":
            sound, gain = band.kit.stroke(str(note.key))
            room_s = span.stop_s + choke_s - start_s
            _place(drums, sound, at, room_s, choke_s, gain * loud**1.5 * band.gains["drums"])
            continue
        player = band.players[note.part]
        if isinstance(player, Singer):
            sung[note.part].append(
                Sung(at, max(end_s - span.start_s, at + 0.05), float(note.key), loud)
            )
            continue
        at += band.hands.strum_s * strings[note.part, note.at]
        strings[note.part, note.at] += 1
        release_s = min(player.release_s, choke_s)
        out = driven if player.driven else others
        held_s = max(0.02, end_s - start_s)
        _place(out, player.sound(int(note.key)), at, held_s + release_s, release_s,
               loud * band.gains[note.part])  # fmt: skip
    for part, phrase in sung.items():
        voice = np.zeros(span.n, dtype=np.float32)
        singer = band.players[part]
        assert isinstance(singer, Singer)
        sing(voice, phrase, singer, rng)
        peak = float(np.abs(voice).max(initial=0.0))
        others += voice * np.float32(1.3 * band.gains[part] / max(peak, 1e-9))
    if driven.any():
        others += _amplified(driven, band.drive) * np.float32(0.5 * band.gains["comp"])
    return mixed(drums, others, band, rng)


def _place(
    out: Audio, sound: Sound, at_s: float, length_s: float, release_s: float, gain: float
) -> None:
    """Add a sound so that its onset is at `at_s`, as long as it is held, faded out."""
    n = min(len(sound.samples), sound.onset + int(length_s * SR))
    start = round(at_s * SR) - sound.onset
    if n <= 0 or start >= len(out):
        return
    samples = sound.samples[:n]
    fade = min(n, max(32, int(release_s * SR)))
    if n < len(sound.samples):
        samples = samples.copy()
        samples[n - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    add(out, samples, start, gain)


def _amplified(guitar: Audio, drive: float) -> Audio:
    """Return guitars through one distorting amplifier and its loudspeaker, at a peak of 1."""
    from scipy.signal import butter, sosfilt

    level = float(np.sqrt(np.mean(guitar[guitar != 0.0] ** 2))) + 1e-9
    low = butter(1, 100.0, "high", fs=SR, output="sos").astype(np.float32)
    shaped = np.tanh(sosfilt(low, guitar) * np.float32(0.5 * drive / level))
    cabinet = butter(2, [90.0, 4500.0], "band", fs=SR, output="sos").astype(np.float32)
    out: Audio = sosfilt(cabinet, shaped).astype(np.float32)
    return out / np.float32(np.abs(out).max(initial=1e-9))


def mixed(drums: Audio, others: Audio, band: Band, rng: np.random.Generator) -> Audio:
    """Return the sum of the stems with the band's reverberation, compression and tone."""
    from scipy.signal import butter, oaconvolve, sosfilt

    out = drums + others
    if band.reverb_s:
        n = int(min(band.reverb_s, 1.5) * SR)
        tail = rng.standard_normal(n, dtype=np.float32)
        tail *= np.exp(-6.9 * np.arange(n) / (band.reverb_s * SR)).astype(np.float32)
        tail[: int(rng.uniform(0.0, 0.03) * SR)] = 0.0
        tail /= np.float32(np.sqrt(np.sum(tail**2)) + 1e-9)
        sent = np.float32(band.wet[0]) * drums + np.float32(band.wet[1]) * others
        out += oaconvolve(sent, tail)[: len(out)].astype(np.float32)
    if band.squash:
        out = _compressed(out, band.squash)
    loud = float(np.sqrt(np.mean(out**2))) + 1e-9
    if band.saturation:
        out = np.tanh(out * np.float32(band.saturation / (3.0 * loud)))
    low = sosfilt(butter(1, 900.0, fs=SR, output="sos").astype(np.float32), out)
    out = (low + np.float32(10.0 ** (band.tilt_db / 20.0)) * (out - low)).astype(np.float32)
    return out / np.float32(np.abs(out).max(initial=1e-9))


def _compressed(audio: Audio, amount: float) -> Audio:
    """Return audio whose level over some 20 ms is evened out by `amount`."""
    step = SR // 50
    n_steps = -(-len(audio) // step)
    blocks = np.pad(audio, (0, n_steps * step - len(audio))).reshape(n_steps, step)
    level = np.sqrt(np.mean(blocks**2, axis=1)) + 1e-6
    smooth = np.convolve(level, np.array([0.1, 0.3, 0.35, 0.15, 0.1]), "same")
    gain = np.maximum(smooth, 0.05 * smooth.max()) ** -amount
    at = (np.arange(n_steps) + 0.5) * step
    return audio * np.interp(np.arange(len(audio)), at, gain).astype(np.float32)
