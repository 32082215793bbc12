"""The one short-time Fourier transform of a recording, and the filter banks that read it.

Input is a mono signal `[S]` at the analysis rate; output comes in blocks of frames, so that
the memory does not grow with the recording. Frame `t` is centred on sample `t * hop_length`
(zeros beyond both ends); there are `1 + S // hop_length` frames. The window is a periodic
Hann. The mel and chroma banks follow the formulas of librosa (McFee et al. 2015), which are
those of Slaney's Auditory Toolbox (1998) and of Ellis' "Chroma feature analysis" (2007).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.config import AnalysisConfig

BLOCK_FRAMES = 512
"""Frames handed on at a time: 2 MB of magnitudes, few enough blocks that calls cost little."""
_TRANSFORM_FRAMES = 32
"""Frames transformed at a time: half a megabyte of windowed samples, which stays in the cache."""
_MEL_PIECES = 8
"""Parts of the mel bank, each as wide as its bands reach: an eighth of the products."""

N_CHROMA = 12
MEL_BREAK_HZ = 1000.0
"""Slaney's mel scale is linear below and logarithmic above."""
MEL_HZ = 200.0 / 3.0
"""Width of one mel below the break, Hz."""
MEL_LOG_STEP = float(np.log(6.4)) / 27.0
"""Natural logarithm of the frequency ratio of one mel above the break."""
CHROMA_CENTRE_OCTAVE = 5.0
"""Octave (above A0, 27.5 Hz) in which chroma listens most: 880 Hz."""
CHROMA_OCTAVE_WIDTH = 2.0
"""Standard deviation, in octaves, of the Gaussian over octaves."""


def frame_count(n_samples: int, config: AnalysisConfig) -> int:
    """Return the number of frames `T` of a signal of `n_samples`."""
    return 1 + n_samples // config.hop_length


def frame_blocks(
    signal: NDArray[np.float32], config: AnalysisConfig
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (index of the first frame, frames `[T, n_fft]`) until the whole signal is covered.

    The frames are read-only, overlapping views. Beyond both ends of the signal lie zeros.
    Raises `ValueError` for an empty signal or one that is not mono.
    """
    if signal.ndim != 1 or len(signal) == 0:
        raise ValueError(f"a signal [S] with samples is needed, not one of shape {signal.shape}")
    n_frames = frame_count(len(signal), config)
    for first in range(0, n_frames, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, n_frames) - 1
        start = first * config.hop_length - config.n_fft // 2
        stop = last * config.hop_length - config.n_fft // 2 + config.n_fft
        before, after = max(0, -start), max(0, stop - len(signal))
        segment = signal[max(0, start) : min(stop, len(signal))]
        if before or after:
            segment = np.pad(segment, (before, after))
        windows = np.lib.stride_tricks.sliding_window_view(segment, config.n_fft)
        yield first, windows[:: config.hop_length]


def magnitude_blocks(
    signal: NDArray[np.float32], config: AnalysisConfig
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (index of the first frame, |STFT| `[T, 1 + n_fft / 2]` float32) in blocks.

    Equals `abs(librosa.stft(signal, pad_mode="constant"))` transposed. Each block is a new
    array that the caller may change. The transform itself is in double precision: rounding
    noise of a single-precision one (-140 dB) is all there is in the top band of audio that was
    resampled, and changes its spectral contrast by 5%.
    """
    from scipy.fft import rfft

    window = hann_window(config.n_fft)
    # One buffer for all blocks: fresh memory for each took as long as the transform.
    windowed = np.empty((_TRANSFORM_FRAMES, config.n_fft))
    for first, frames in frame_blocks(signal, config):
        magnitude = np.empty((len(frames), 1 + config.n_fft // 2), dtype=np.float32)
        for start in range(0, len(frames), _TRANSFORM_FRAMES):
            part = frames[start : start + _TRANSFORM_FRAMES]
            spectrum = rfft(np.multiply(part, window, out=windowed[: len(part)]), axis=1)
            np.abs(spectrum.astype(np.complex64), out=magnitude[start : start + len(part)])
        yield first, magnitude


def hann_window(n_fft: int) -> NDArray[np.float64]:
    """Return the periodic Hann window `[n_fft]`."""
    phase = 2.0 * np.pi * np.arange(n_fft) / n_fft
    return 0.5 - 0.5 * np.cos(phase)


def bin_frequencies_hz(config: AnalysisConfig) -> NDArray[np.float64]:
    """Return the centre `[1 + n_fft / 2]` of each bin of the transform in Hz."""
    return np.arange(1 + config.n_fft // 2) * np.float64(config.sr / config.n_fft)


@lru_cache(maxsize=4)
def mel_edges_hz(config: AnalysisConfig) -> NDArray[np.float64]:
    """Return `[n_mels + 2]` corner frequencies: band `m` rises from `m`, peaks at `m + 1`."""
    break_mel = MEL_BREAK_HZ / MEL_HZ
    top_mel = break_mel + np.log(config.sr / 2 / MEL_BREAK_HZ) / MEL_LOG_STEP
    mels = np.linspace(0.0, top_mel, config.n_mels + 2)
    logarithmic = MEL_BREAK_HZ * np.exp(MEL_LOG_STEP * (mels - break_mel))
    return np.where(mels < break_mel, mels * MEL_HZ, logarithmic)


@lru_cache(maxsize=4)
def mel_bank(config: AnalysisConfig) -> NDArray[np.float32]:
    """Return the mel filters `[1 + n_fft / 2, n_mels]`: triangles of equal area (in Hz).

    Equals `librosa.filters.mel(...)` transposed, from 0 Hz to half the sample rate.
    """
    edges = mel_edges_hz(config)
    bins = bin_frequencies_hz(config)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * mel_densities(config)).astype(np.float32)


def mel_spectrum(power: NDArray[np.float32], config: AnalysisConfig) -> NDArray[np.float32]:
    """Return power spectra `[T, 1 + n_fft / 2]` in mel bands: `power @ mel_bank(config)`."""
    mel_power = np.empty((len(power), config.n_mels), dtype=np.float32)
    for bins, bands, weights in _mel_pieces(config):
        mel_power[:, bands] = power[:, bins] @ weights
    return mel_power


@lru_cache(maxsize=4)
def _mel_pieces(
    config: AnalysisConfig,
) -> tuple[tuple[slice, slice, NDArray[np.float32]], ...]:
    bank = mel_bank(config)
    edges = np.linspace(0, config.n_mels, _MEL_PIECES + 1).astype(int)
    pieces = []
    for low, high in itertools.pairwise(edges):
        used = np.flatnonzero(bank[:, low:high].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        pieces.append((bins, slice(low, high), np.ascontiguousarray(bank[bins, low:high])))
    return tuple(pieces)


def mel_densities(config: AnalysisConfig) -> NDArray[np.float64]:
    """Return the height `[n_mels]` of each mel triangle; dividing by it undoes equal area."""
    edges = mel_edges_hz(config)
    return 2.0 / (edges[2:] - edges[:-2])


@lru_cache(maxsize=4)
def chroma_bank(config: AnalysisConfig) -> NDArray[np.float32]:
    """Return the pitch class filters `[1 + n_fft / 2, 12]`, C first, for A4 = 440 Hz.

    Equals `librosa.filters.chroma(..., tuning=0)` transposed: Gaussian bumps of one bin or
    semitone, each bin's column of unit length, weighted by octave.
    """
    frequencies = np.arange(1, config.n_fft) * (config.sr / config.n_fft)
    semitones = N_CHROMA * np.log2(frequencies / 27.5)
    # 0 Hz has no pitch: 1.5 octaves below the first bin spreads it over all classes.
    semitones = np.concatenate([[semitones[0] - 1.5 * N_CHROMA], semitones])
    widths = np.append(np.maximum(np.diff(semitones), 1.0), 1.0)[:, None]
    half = N_CHROMA // 2
    distance = np.remainder(semitones[:, None] - np.arange(N_CHROMA) + half, N_CHROMA) - half
    bank = np.exp(-0.5 * (2.0 * distance / widths) ** 2)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    octaves = semitones[:, None] / N_CHROMA - CHROMA_CENTRE_OCTAVE
    bank *= np.exp(-0.5 * (octaves / CHROMA_OCTAVE_WIDTH) ** 2)
    from_c = np.roll(bank, -3, axis=1)  # counted from A so far
    return np.ascontiguousarray(from_c[: 1 + config.n_fft // 2], dtype=np.float32)


def power_to_db(power: NDArray[np.float32], range_db: float = 80.0) -> NDArray[np.float32]:
    """Return power in dB (1.0 is 0 dB), floored at -100 dB and `range_db` below its maximum.

    Equals `librosa.power_to_db` with its defaults: the maximum is that of the whole array.
    """
    level_db = np.maximum(power, np.float32(1e-10))
    np.log10(level_db, out=level_db)
    level_db *= 10.0
    return np.maximum(level_db, level_db.max() - np.float32(range_db), out=level_db)
