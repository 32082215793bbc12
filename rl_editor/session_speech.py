"""Talk for made-up sessions: words from espeak-ng where it is installed, else vowels made here.

Everything returned is mono float32 [S] with a peak of 1. The synthetic voice is additive: the
harmonics of a gliding pitch under the formants of vowels (Peterson and Barney 1952), with bursts
of noise for consonants. Its words mean nothing, but it has the rhythm and the spectrum of talk.
"""

from __future__ import annotations

import functools
import shutil
import subprocess

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

_ESPEAK_RATE = 22050
_VOICE_RATE = 16000
"""Sample rate of the synthetic voice, Hz; nothing of it lies above 8 kHz."""
_WORDS_PER_SECOND = 2.6
_VOICES = ("en", "en-us", "en-gb-scotland", "de", "fr", "es", "it", "nl", "pl", "pt", "sv")
_VARIANTS = (
    "",
    "+m1",
    "+m2",
    "+m3",
    "+m5",
    "+m7",
    "+f1",
    "+f2",
    "+f3",
    "+f4",
    "+croak",
    "+whisper",
)
_SENTENCES = (
    "okay",
    "hold on",
    "sorry, my fault",
    "can we take that from the top",
    "once more from the bridge please",
    "that was a little too fast for me",
    "are we recording",
    "wait, which chord was that",
    "I lost the beat in the second verse",
    "let us do another one",
    "could you give me more of the bass in here",
    "ready when you are",
    "that felt good, keep that one",
    "my string is out of tune again",
    "does anyone want coffee before the next take",
    "the drums come in after four bars, right",
    "no, the other ending, the quiet one",
    "I will try it an octave higher",
    "something is buzzing over there",
    "yes, and then straight into the chorus",
)
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_VOWELS_HZ = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
        [490, 1350, 1690],
        [660, 1720, 2410],
    ],
    dtype=np.float64,
)


def has_speech_program() -> bool:
    """Return whether espeak-ng is installed."""
    return shutil.which("espeak-ng") is not None


def talk(n: int, sr: int, rng: np.random.Generator, speech_program: float) -> Audio:
    """Return [n] of one to three people talking in turns, with pauses.

    Args:
        n: length in samples.
        sr: sample rate, Hz.
        rng: source of everything that is random.
        speech_program: probability that espeak-ng speaks, where it is installed.
    """
    out = np.zeros(n, dtype=np.float32)
    by_program = rng.random() < speech_program and has_speech_program()
    n_speakers = int(rng.integers(1, 4))
    voices = [_draw_voice(rng) for _ in range(n_speakers)]
    levels = rng.uniform(0.35, 1.0, n_speakers)
    speaker, position = 0, 0
    while position < n - sr // 8:
        left_s = (n - position) / sr
        turn_s = min(left_s, float(rng.uniform(1.0, 9.0)))
        if by_program:
            speech = _spoken(_sentences(turn_s, rng), *voices[speaker], sr)
        else:
            speech = babble(turn_s, sr, rng, pitch_hz=80.0 * 2.0 ** (voices[speaker][2] / 50.0))
        speech = speech[: n - position]
        out[position : position + len(speech)] += speech * np.float32(levels[speaker])
        position += len(speech) + int(sr * rng.exponential(0.5)) + 1
        speaker = int(rng.integers(n_speakers))
    _fade_ends(out, sr)
    return peak_one(out)


def numbers(count: int, sr: int, rng: np.random.Generator, speech_program: float) -> list[Audio]:
    """Return `count` spoken numbers, "one" first, each to be placed on a beat."""
    voice = _draw_voice(rng)
    if rng.random() < speech_program and has_speech_program():
        _, pitch = voice[1], voice[2]
        name = "en" + str(rng.choice(_VARIANTS))
        words = [_spoken(_NUMBERS[i % 8], name, 190, pitch, sr) for i in range(count)]
    else:
        words = [babble(0.22, sr, rng, pitch_hz=110.0, pauses=False) for _ in range(count)]
    for word in words:
        _fade_ends(word, sr)
    return [_trim_start(peak_one(word)) for word in words]


def babble(
    duration_s: float, sr: int, rng: np.random.Generator, pitch_hz: float, pauses: bool = True
) -> Audio:
    """Return talk without words: syllables of random vowels on a falling, wavering pitch."""
    n = max(1, int(duration_s * _VOICE_RATE))
    out = np.zeros(n, dtype=np.float32)
    position = 0
    while position < n:
        length = min(int(_VOICE_RATE * rng.uniform(0.09, 0.3)), n - position)
        out[position : position + length] = _syllable(
            length, rng, pitch_hz * (1 - 0.2 * position / n)
        )
        pause_s = rng.exponential(0.25) if pauses and rng.random() < 0.2 else 0.01
        position += length + int(_VOICE_RATE * pause_s) + 1
    return _resample(out, _VOICE_RATE, sr)


def _syllable(n: int, rng: np.random.Generator, pitch_hz: float) -> Audio:
    time = np.arange(n) / _VOICE_RATE
    glide = np.linspace(1.0, rng.uniform(0.85, 1.12), n)
    pitch = pitch_hz * rng.uniform(0.85, 1.25) * glide * (1 + 0.01 * np.sin(38.0 * time))
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / _VOICE_RATE).astype(np.complex64)
    n_harmonics = int(min(45, 5000.0 // pitch.max()))
    harmonics_hz = pitch.mean() * np.arange(1, n_harmonics + 1)
    formants = _VOWELS_HZ[rng.integers(len(_VOWELS_HZ))] * rng.uniform(0.9, 1.15)
    widths = np.array([70.0, 100.0, 150.0])
    gains = np.array([1.0, 0.6, 0.3])
    peaks = gains / (1.0 + ((harmonics_hz[:, None] - formants) / widths) ** 2)
    amplitudes = (peaks.sum(axis=1) + 0.02) / np.arange(1, n_harmonics + 1) ** 0.3
    power = np.ones(n, dtype=np.complex64)
    voiced = np.zeros(n, dtype=np.float32)
    for amplitude in amplitudes:
        power *= turn
        voiced += np.float32(amplitude) * power.imag
    envelope = np.sin(np.pi * np.linspace(0.0, 1.0, n)) ** 0.5
    if rng.random() < 0.5:
        burst = rng.standard_normal(n, dtype=np.float32)
        voiced += np.diff(burst, prepend=0.0) * np.exp(-time * rng.uniform(25, 80)) * 0.6
    return (voiced * envelope).astype(np.float32)


def _draw_voice(rng: np.random.Generator) -> tuple[str, int, int]:
    voice = str(rng.choice(_VOICES)) + str(rng.choice(_VARIANTS))
    return voice, int(rng.integers(115, 215)), int(rng.integers(10, 85))


def _sentences(duration_s: float, rng: np.random.Generator) -> str:
    n_words = max(1, round(duration_s * _WORDS_PER_SECOND))
    words: list[str] = []
    while len(words) < n_words:
        words += [*str(rng.choice(_SENTENCES)).split(), "."]
    return " ".join(words[: n_words + 1])


@functools.lru_cache(maxsize=64)
def _espeak(text: str, voice: str, speed: int, pitch: int) -> Audio:
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(speed), "-p", str(pitch), text]
    done = subprocess.run(command, capture_output=True, check=True)
    pcm = np.frombuffer(done.stdout[44 : 44 + (len(done.stdout) - 44) // 2 * 2], dtype="<i2")
    return pcm.astype(np.float32) / 32768.0


def _spoken(text: str, voice: str, speed: int, pitch: int, sr: int) -> Audio:
    return _resample(_espeak(text, voice, speed, pitch), _ESPEAK_RATE, sr)


def _resample(signal: Audio, from_rate: int, to_rate: int) -> Audio:
    import soxr

    return np.array(soxr.resample(signal, from_rate, to_rate, quality="MQ"), dtype=np.float32)


def _fade_ends(signal: Audio, sr: int) -> None:
    n = min(sr // 100, len(signal) // 2)
    ramp = np.linspace(0.0, 1.0, n, dtype=np.float32)
    signal[:n] *= ramp
    signal[len(signal) - n :] *= ramp[::-1]


def peak_one(signal: Audio) -> Audio:
    """Return the signal at a peak of 1; silence stays silence."""
    peak = float(np.abs(signal).max(initial=0.0))
    return signal / np.float32(peak) if peak > 0.0 else signal


def _trim_start(signal: Audio) -> Audio:
    loud = np.flatnonzero(np.abs(signal) > 0.1)
    return signal[loud[0] :] if len(loud) else signal
