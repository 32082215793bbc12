"""The room, the device and the file in which a session ends up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from benchmarks.development.sounds import REFERENCE_RMS, hum, loud_rms, metronome_click, room_tone
from benchmarks.development.tape import Tape

_BLOCK = 65536
"""Frames written at once; the Vorbis encoder of libsndfile wants little at a time."""
_MP3_LEVELS = {1: 0.889, 2: 0.667}
"""Compression levels of libsndfile that give 64 and 128 kbps at 44.1 kHz, by channels."""


@dataclass(frozen=True)
class Recording:
    """How a session was recorded.

    Attributes:
        suffix: of the file; MP3 is written at 64 kbps for each channel, at 44.1 kHz.
        sr: Hz.
        channels: 1 or 2.
        rt60_s: reverberation time of the room; 0 for close microphones.
        peak_db: highest sample, relative to full scale.
        hum_db: level of an amplifier's hum relative to the piece, or None.
        metronome_db: level of the metronome that leaks out of headphones, or None.
        tone_db: level of the room's own noise relative to the piece.
        is_phone: one small microphone, automatic gain, clipping.
    """

    suffix: str = ".wav"
    sr: int = 44100
    channels: int = 2
    rt60_s: float = 0.0
    peak_db: float = -3.0
    hum_db: float | None = None
    metronome_db: float | None = None
    tone_db: float = -48.0
    is_phone: bool = False

    def tags(self) -> set[str]:
        """Return what is wrong with the recording as a whole."""
        found = {
            "phone": self.is_phone,
            "room_reverb": self.rt60_s > 0,
            "hum": self.hum_db is not None,
            "metronome_bleed": self.metronome_db is not None,
            "low_level": self.peak_db < -15,
        }
        return {tag for tag, holds in found.items() if holds}


def recorded(audio: NDArray, recording: Recording, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what the device stores of the sound in the room: [S, 2] to [S, channels]."""
    sr, n_samples = recording.sr, len(audio)
    if recording.rt60_s > 0:
        audio = _in_room(audio, sr, recording.rt60_s, rng)
    noises = [(room_tone(sr, n_samples, rng), recording.tone_db)]
    if recording.hum_db is not None:
        noises.append((hum(sr, n_samples, rng), recording.hum_db))
    for noise, level_db in noises:
        gain = REFERENCE_RMS * 10 ** (level_db / 20) / loud_rms(noise, sr)
        audio = audio + (gain * noise)[:, None]
    if recording.is_phone:
        audio = _through_phone(audio.mean(axis=1), sr)[:, None]
    if recording.channels == 1:
        audio = audio.mean(axis=1, keepdims=True)
    elif audio.shape[1] == 1:
        audio = np.repeat(audio, 2, axis=1)
    return at_peak(audio, recording.peak_db)


def at_peak(audio: NDArray, peak_db: float) -> NDArray[np.float32]:
    """Return the audio with its highest sample at a level."""
    return (audio * (10 ** (peak_db / 20) / np.abs(audio).max())).astype(np.float32)


def _in_room(audio: NDArray, sr: int, rt60_s: float, rng: np.random.Generator) -> NDArray:
    """Return the sound as a pair of microphones at some distance hears it."""
    n_samples = round(rt60_s * sr)
    t = np.arange(n_samples) / sr
    wet = np.empty_like(audio)
    for channel in range(2):
        noise = rng.standard_normal(n_samples)
        dark = sosfilt(butter(1, 3000, "low", fs=sr, output="sos"), noise)
        tail = noise * 10 ** (-3 * t / (0.55 * rt60_s)) + 2 * dark * 10 ** (-3 * t / rt60_s)
        tail[: round(0.012 * sr)] = 0.0
        for _ in range(6):
            tail[int(rng.uniform(0.003, 0.03) * sr)] += rng.choice([-1, 1]) * rng.uniform(8, 20)
        tail *= rng.uniform(0.5, 0.9) / np.sqrt(np.sum(tail**2))
        both = 0.75 * audio[:, channel] + 0.25 * audio[:, 1 - channel]
        wet[:, channel] = oaconvolve(both, tail)[: len(audio)]
    return audio + wet


def _through_phone(mono: NDArray, sr: int) -> NDArray:
    """Return [S] through a small microphone with automatic gain that reacts within a second."""
    narrow = sosfilt(butter(2, (120, min(8000, 0.45 * sr)), "band", fs=sr, output="sos"), mono)
    hop = sr // 100
    n_blocks = -(-len(narrow) // hop)
    blocks = np.pad(narrow, (0, n_blocks * hop - len(narrow))).reshape(n_blocks, hop)
    level = np.sqrt(np.mean(blocks**2, axis=1))
    envelope, value = np.empty(n_blocks), level[:100].mean()
    for k, now in enumerate(level):
        value += (now - value) * (0.25 if now > value else 0.006)
        envelope[k] = value
    gain = np.clip(0.16 / (envelope + 1e-6), 0.3, 14.0)
    smooth = np.interp(np.arange(len(narrow)) / hop, np.arange(n_blocks) + 0.5, gain)
    return np.tanh(1.3 * narrow * smooth)


def add_metronome(tape: Tape, pulses: list, level_db: float) -> None:
    """Let a metronome run through the whole session, in time with what is played."""
    clicks: list[tuple[float, bool]] = []
    for piece, raw_s, piece_s in tape.played():
        pulse = pulses[piece]
        inside = (pulse.beats_s >= piece_s[0]) & (pulse.beats_s < piece_s[-1])
        at_s = np.interp(pulse.beats_s[inside], piece_s, raw_s)
        if len(at_s) == 0:
            continue
        period_s = pulse.period_s(piece_s[0])
        before_s = clicks[-1][0] if clicks else -period_s
        lead = np.arange(at_s[0] - period_s, before_s + 0.5 * period_s, -period_s)[::-1]
        clicks += [(float(t), k % 4 == 0) for k, t in enumerate(lead) if t > 0]
        clicks += [
            (float(t), bool(d)) for t, d in zip(at_s, pulse.is_downbeat[inside], strict=True)
        ]
    gain = 0.7 * 10 ** (level_db / 20)
    for at_s, is_accent in clicks:
        tape.overlay(round(at_s * tape.sr), gain * metronome_click(tape.sr, is_accent))


def write(path: Path, audio: NDArray[np.float32], sr: int) -> int:
    """Write [S, C] in the format of the suffix and return the frames that a reader finds."""
    subtypes = {".wav": "PCM_16", ".flac": "PCM_24", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
    subtype = subtypes[path.suffix]
    wishes = (
        {"bitrate_mode": "CONSTANT", "compression_level": _MP3_LEVELS[audio.shape[1]]}
        if path.suffix == ".mp3"
        else {}
    )
    channels = audio.shape[1]
    with soundfile.SoundFile(path, "w", sr, channels, subtype, **wishes) as file:
        for first in range(0, len(audio), _BLOCK):
            file.write(np.clip(audio[first : first + _BLOCK], -1.0, 1.0))
    return soundfile.info(path).frames
