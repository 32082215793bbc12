"""What is music and what is not, on sounds whose answer is known."""

import functools

import numpy as np
import pytest

from rl_editor.analysis import analyze_signal
from rl_editor.materials import N_MATERIALS, Material
from rl_editor.music_detection import WINDOW_BEATS, music_evidence
from rl_editor.session_speech import babble
from rl_editor.tests.made_tasks import made_music

SR = 22050
DURATION_S = 12.0
N = round(DURATION_S * SR)
TIME_S = np.arange(N) / SR


def unsure(track, material=None):
    """Return [N, 10] of a policy that takes every beat for a material, or for none of them."""
    materials = np.full((track.n_beats, N_MATERIALS), 1.0 / N_MATERIALS, dtype=np.float32)
    if material is not None:
        materials[:] = np.eye(N_MATERIALS, dtype=np.float32)[material]
    return materials


@functools.lru_cache
def analysed(make):
    return analyze_signal(make(np.random.default_rng(0)).astype(np.float32))


def has_music(make, material=None):
    track = analysed(make)
    return music_evidence(track, unsure(track, material)).has_music


def white(rng):
    return 0.3 * rng.standard_normal(N)


def pink(rng):
    spectrum = np.fft.rfft(rng.standard_normal(N))
    return 20.0 * np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1.0)), N)


def faint_noise(rng):
    return 1e-5 * rng.standard_normal(N)


def silence(rng):
    return np.zeros(N)


def tone(rng):
    return 0.3 * np.sin(2.0 * np.pi * 440.0 * TIME_S)


def hum(rng):
    harmonics = sum(np.sin(2.0 * np.pi * 50.0 * k * TIME_S) / k for k in range(1, 9))
    return 0.1 * harmonics + 1e-3 * rng.standard_normal(N)


def footsteps(rng):
    """Return steps that are as steady as a beat, and are no more than noise."""
    out = 1e-3 * pink(rng)
    for start in np.cumsum(rng.normal(0.55, 0.02, 20) * SR).astype(int):
        out[start : start + 2000] += rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300.0)
    return 0.3 * out


def drums(rng):
    """Return a kick and a snare that are the same on every beat."""
    time_s = np.arange(SR // 4) / SR
    kick = np.sin(2.0 * np.pi * 60.0 * time_s) * np.exp(-time_s / 0.06)
    snare = 0.5 * np.sin(2.0 * np.pi * 190.0 * time_s) * np.exp(-time_s / 0.05)
    snare += 0.2 * rng.standard_normal(len(time_s)) * np.exp(-time_s / 0.04)
    return np.tile(np.concatenate([kick, snare]), -(-N // (SR // 2)))[:N]


def sweep(rng):
    hz = 60.0 * 2.0 ** (7.0 * TIME_S / DURATION_S)
    return 0.3 * np.sin(2.0 * np.pi * np.cumsum(hz) / SR)


def rain(rng):
    drops = np.where(rng.random(N) < 0.02, rng.standard_normal(N), 0.0)
    return np.convolve(drops, np.exp(-np.arange(200) / 30.0))[:N]


def wind(rng):
    return pink(rng) * np.interp(TIME_S, np.linspace(0.0, DURATION_S, 12), rng.uniform(0.1, 1, 12))


def applause(rng):
    claps = np.zeros(N)
    for start in rng.integers(0, N - 400, round(60 * DURATION_S)):
        claps[start : start + 400] += rng.standard_normal(400) * np.exp(-np.arange(400) / 90.0)
    return 0.2 * claps


def speech(rng):
    turns = [babble(1.5, SR, rng, pitch_hz) for pitch_hz in 90.0 * 1.9 ** rng.random(8)]
    return np.concatenate(turns)[:N]


def music(rng):
    return made_music(DURATION_S, seed=3, sr=SR)[:, 0]


def swelling(length, rise_s):
    """Return [length] of an envelope that rises at the start and falls at the end."""
    nearest = np.minimum(np.arange(length), np.arange(length)[::-1])
    return np.minimum(1.0, nearest / (rise_s * SR))


def slow_chords(rng):
    """Return held chords without a beat, three seconds each."""
    out = np.zeros(N)
    for number, root_hz in enumerate((220.0, 174.6, 220.0, 146.8)):
        start, length = number * N // 4, N // 4
        swell = swelling(length, 0.1)
        for ratio in (1.0, 1.26, 1.5, 2.0):
            phase = 2.0 * np.pi * root_hz * ratio * np.arange(length) / SR
            vibrato = 3.0 * np.sin(2.0 * np.pi * 5.0 * np.arange(length) / SR)
            out[start : start + length] += swell * (
                np.sin(phase + vibrato) + 0.4 * np.sin(2.0 * (phase + vibrato))
            )
    return 0.08 * out + 1e-4 * rng.standard_normal(N)


def melody(rng):
    """Return one voice that sings a tune out of time."""
    out, start = np.zeros(N), 0
    while start < N:
        length = min(N - start, round(SR * rng.uniform(0.4, 1.6)))
        hz = 196.0 * 2.0 ** (rng.choice([0, 2, 4, 7, 9, 12]) / 12.0)
        phase = 2.0 * np.pi * hz * np.arange(length) / SR
        swell = swelling(length, 0.03)
        out[start : start + length] = swell * sum(np.sin(k * phase) / k for k in range(1, 7))
        start += length
    return 0.2 * out + 1e-4 * rng.standard_normal(N)


@pytest.mark.parametrize(
    "make",
    [white, pink, faint_noise, silence, tone, hum, sweep, footsteps, rain, wind, applause],
    ids=lambda make: make.__name__,
)
def test_what_has_neither_a_pulse_nor_notes_is_no_music(make):
    assert not has_music(make)


@pytest.mark.parametrize(
    "make", [music, drums, slow_chords, melody], ids=lambda make: make.__name__
)
def test_a_pulse_or_notes_are_music(make):
    assert has_music(make)


def test_how_loud_it_was_stored_says_nothing():
    assert has_music(functools.partial(scaled, music, 0.003))
    assert not has_music(functools.partial(scaled, pink, 0.003))


def scaled(make, gain, rng):
    return gain * make(rng)


def test_eight_seconds_of_music_in_a_minute_of_noise_are_enough():
    def session(rng):
        noise = 0.05 * np.tile(pink(rng), 5)
        noise[2 * N : 3 * N] += music(rng)
        return noise

    assert has_music(session)


def test_a_policy_that_is_sure_of_talk_is_believed():
    assert not has_music(speech, Material.TALK)
    assert not has_music(melody, Material.TALK)
    assert has_music(melody, Material.NOODLING)


def test_a_short_recording_is_one_window():
    track = analyze_signal(made_music(4.0, seed=3, sr=SR)[:, 0])
    assert track.n_beats < WINDOW_BEATS
    evidence = music_evidence(track, unsure(track))
    assert evidence.has_music
    for values in vars(evidence).values():
        assert values.shape == (1,)
        assert np.all(np.isfinite(values))
