"""Where a passage lies in a recording when its waveform was changed: by the course of its sound.

Input: mono signals `[S]` of one level and a `Match` that is right to a few frames; output: the
match with its line right to some milliseconds, and how well it fits. Method: levels in
bands, 200 times a second, are correlated in windows (`line_fit`). They stay where they are under
equalisation and compression, and when a phase vocoder changes the speed or the pitch, which
leaves nothing of the waveform. They also agree between strangers whose drums beat alike: whether
a match is more than that, say the levels with the bands made independent (whitened, Kessy,
Lewin and Strimmer 2018), since a drum moves all bands together.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.line_fit import correlograms, fit_line
from rl_editor.log_spectra import STEPS_A_SEMITONE
from rl_editor.matches import Match, take
from rl_editor.spectrogram import hann_window

ENVELOPE_FPS = 200
N_FFT = 512
BAND_EDGES_HZ = (100.0, 8500.0)
N_BANDS = 20
FLOOR_DB = -45.0
"""Levels are raised to this against the mean power of the signal, spread over all bins."""
COURSE_FRAMES = 61
"""Frames (0.3 s) over which a mean is taken out of each band: what is left is the course."""
WINDOW_FRAMES = 400
HOP_FRAMES = 100
REACH_FRAMES = 32
"""Lags looked at: 0.16 s either way, four frames of the coarse path."""
NOISE_SHARE = 0.05
"""Share of the mean variance of a band that is added to each: rounding is not to be made loud."""
LEAD_FRAMES = 2400
"""Frames, in the middle of a match, that are compared with other places,"""
RIVAL_FRAMES = 800
"""which lie at most so far off: 4 s, some beats at any tempo,"""
OWN_FRAMES = 20
"""and at least so far: 0.1 s."""
_BLOCK_FRAMES = 2048


def band_levels(
    signal: NDArray[np.float32], centres: NDArray[np.int64], sr: int, shift_steps: int = 0
) -> NDArray[np.float32]:
    """Return [n, 20] levels in dB of bands around samples of a signal of unit power.

    Args:
        signal: [S] mono, unit mean power.
        centres: [n] samples; zeros lie beyond both ends.
        sr: sample rate, Hz.
        shift_steps: read the bands lower by so many thirds of a semitone, as if the signal were
            that much higher.
    """
    from scipy.fft import rfft

    bank, window = _bank(sr, shift_steps), hann_window(N_FFT).astype(np.float32)
    half = N_FFT // 2
    first, last = int(centres.min()) - half, int(centres.max()) + half
    piece = take(signal, first, last)
    windows = np.lib.stride_tricks.sliding_window_view(piece, N_FFT)
    power = np.empty((len(centres), N_BANDS), np.float32)
    starts = centres - half - first
    for block in range(0, len(centres), _BLOCK_FRAMES):
        frames = windows[starts[block : block + _BLOCK_FRAMES]] * window
        spectrum = rfft(frames, axis=1)
        power[block : block + _BLOCK_FRAMES] = (spectrum.real**2 + spectrum.imag**2) @ bank
    floor = float(np.sum(window**2)) * 10 ** (FLOOR_DB / 10)
    return (10.0 * np.log10(np.maximum(power, floor))).astype(np.float32)


@lru_cache(maxsize=32)
def _bank(sr: int, shift_steps: int) -> NDArray[np.float32]:
    """Return [1 + n_fft / 2, 20] bands, equal steps on the mel scale of O'Shaughnessy (1987)."""
    low, high = (1127.0 * np.log1p(edge / 700.0) for edge in BAND_EDGES_HZ)
    edges_hz = 700.0 * np.expm1(np.linspace(low, high, N_BANDS + 1) / 1127.0)
    edges = edges_hz * 2.0 ** (-shift_steps / (12 * STEPS_A_SEMITONE)) * N_FFT / sr
    bins = np.arange(1 + N_FFT // 2)[:, None]
    overlap = np.minimum(bins + 0.5, edges[1:]) - np.maximum(bins - 0.5, edges[:-1])
    overlap = np.maximum(overlap, 0.0)
    return (overlap / overlap.sum(axis=0)).astype(np.float32)


def frame_centres(start: int, stop: int, sr: int, margin: int = 0) -> NDArray[np.float64]:
    """Return samples in [start, stop), 200 a second, with `margin` more frames on each side."""
    n_frames = max(1, int((stop - start) * ENVELOPE_FPS / sr))
    return start + (np.arange(-margin, n_frames + margin) + 0.5) * sr / ENVELOPE_FPS


def match_levels(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    centres: NDArray[np.float64],
    sr: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the band levels [n, 20] of the edit and of what the match puts there."""
    wet = band_levels(edit, np.rint(centres).astype(np.int64), sr)
    places = np.rint(match.raw_at(centres)).astype(np.int64)
    return wet, band_levels(raw, places, sr, match.shift_steps)


def refine_by_envelope(
    match: Match, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int, max_slope: float
) -> Match:
    """Return the match on the line where the course of its sound fits best.

    `max_slope` is how much the speed may be wrong, as a share.
    """
    n_frames = len(frame_centres(match.start, match.stop, sr))
    length = min(WINDOW_FRAMES, n_frames)
    n_windows = max(1, round((n_frames - length) / HOP_FRAMES) + 1)
    starts = np.linspace(0, n_frames - length, n_windows).astype(int)
    values = _correlograms(match, raw, edit, starts, (length, REACH_FRAMES, sr))
    line = fit_line(values, starts - (n_frames - length) / 2.0, max_slope)
    step = sr / ENVELOPE_FPS
    refined = match.on_line((line.offset - REACH_FRAMES) * step, line.slope)
    return replace(refined, confidence=float(np.clip(line.score, 0.0, 1.0)))


def envelope_correlations(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    starts: NDArray[np.int64],
    window: tuple[int, int],
) -> NDArray[np.float64]:
    """Return [K] the correlation of parts of the edit with the match.

    `window` is the number of samples from each start on, and the sample rate in Hz.
    """
    sr = window[1]
    frames, n_window = _frames(match, starts, window)
    return _correlograms(match, raw, edit, frames, (n_window, 1, sr)).max(axis=1)


def fine_correlations(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    starts: NDArray[np.int64],
    window: tuple[int, int],
) -> NDArray[np.float64]:
    """Return [K] the same with independent bands: what is alike beyond a common rhythm."""
    sr = window[1]
    frames, n_window = _frames(match, starts, window)
    wet, dry = match_levels(match, raw, edit, frame_centres(match.start, match.stop, sr, 1), sr)
    wet, dry = _course(wet[1:-1]), _course(dry)
    whitening = _whitening(wet, dry)
    wet, dry = wet @ whitening, dry @ whitening
    windows = np.stack([wet[f : f + n_window] for f in frames])
    fields = np.stack([dry[f : f + n_window + 2] for f in frames])
    return correlograms(windows, fields).max(axis=1)


def lead(match: Match, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int) -> float:
    """Return by how much the levels correlate better than with any place 0.1 to 4 s away.

    About 0 for strangers of one rhythm, but also where the music itself is a loop.
    """
    n_frames = len(frame_centres(match.start, match.stop, sr))
    length = min(LEAD_FRAMES, n_frames)
    start = np.array([(n_frames - length) // 2])
    values = _correlograms(match, raw, edit, start, (length, RIVAL_FRAMES, sr))[0]
    own = float(values[RIVAL_FRAMES - 1 : RIVAL_FRAMES + 2].max())
    values[RIVAL_FRAMES - OWN_FRAMES : RIVAL_FRAMES + OWN_FRAMES + 1] = -1.0
    return own - float(values.max())


def _frames(
    match: Match, starts: NDArray[np.int64], window: tuple[int, int]
) -> tuple[NDArray[np.int64], int]:
    """Return the frame of a match that each of its parts begins with, and their length in frames.

    `window` is their length in samples and the sample rate.
    """
    length, sr = window
    step = sr / ENVELOPE_FPS
    n_frames = len(frame_centres(match.start, match.stop, sr))
    n_window = max(1, min(int(length / step), n_frames))
    return np.clip((starts - match.start) / step, 0, n_frames - n_window).astype(int), n_window


def _whitening(wet: NDArray[np.float32], dry: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [20, 20] the matrix that makes the bands of two courses [n, 20] independent."""
    covariance = (wet.T @ wet + dry.T @ dry).astype(np.float64) / (len(wet) + len(dry))
    noise = NOISE_SHARE * np.trace(covariance) / N_BANDS + 1e-9
    values, vectors = np.linalg.eigh(covariance + noise * np.eye(N_BANDS))
    return ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)


def _correlograms(
    match: Match,
    raw: NDArray[np.float32],
    edit: NDArray[np.float32],
    starts: NDArray[np.int64],
    window: tuple[int, int, int],
) -> NDArray[np.float64]:
    """Return [K, L] correlations of the levels from each frame of the match on, at all lags.

    `window` is their length and the reach, in frames, and the sample rate in Hz.
    """
    length, reach, sr = window
    centres = frame_centres(match.start, match.stop, sr)
    wet = _course(band_levels(edit, np.rint(centres).astype(np.int64), sr))
    places = match.raw_at(frame_centres(match.start, match.stop, sr, reach))
    dry = _course(band_levels(raw, np.rint(places).astype(np.int64), sr, match.shift_steps))
    windows = np.stack([wet[s : s + length] for s in starts])
    fields = np.stack([dry[s : s + length + 2 * reach] for s in starts])
    return correlograms(windows, fields)


def _course(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return band levels [n, 20] less their mean over 0.3 s."""
    from scipy.ndimage import uniform_filter1d

    return levels - uniform_filter1d(levels, COURSE_FRAMES, axis=0, mode="nearest")
