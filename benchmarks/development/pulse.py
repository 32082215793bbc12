"""Beats and bars of a finished piece, for players who stop and begin where players do.

Onset strength and dynamic programming after Ellis, "Beat tracking by dynamic programming",
J. New Music Research 36(1), 2007. Bars are taken to have four beats; the first is where the
bass moves most. It need not be right everywhere: musicians stop off the beat as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

_SR, _HOP, _N_FFT = 22050, 256, 1024
FRAME_RATE = _SR / _HOP
"""Frames a second of `spectra`."""
_TIGHTNESS = 100.0
"""Of Ellis's dynamic programming."""


@dataclass(frozen=True)
class Pulse:
    """Beats of a piece, seconds [N], and which of them begin bars [N]."""

    beats_s: NDArray[np.float64]
    is_downbeat: NDArray[np.bool_]

    @property
    def bars_s(self) -> NDArray[np.float64]:
        """Times of the bar lines."""
        return self.beats_s[self.is_downbeat]

    def period_s(self, at_s: float = 0.0) -> float:
        """Return the beat period near a place."""
        first = int(np.clip(np.searchsorted(self.beats_s, at_s), 0, max(0, len(self.beats_s) - 9)))
        return float(np.median(np.diff(self.beats_s[first : first + 9])))

    def bar_before(self, at_s: float, bars: int = 0) -> float:
        """Return the bar line at or before a place, or some bars earlier; at least 0."""
        index = int(np.searchsorted(self.bars_s, at_s + 1e-6, side="right")) - 1 - bars
        return float(self.bars_s[index]) if index >= 0 else 0.0


def find_pulse(audio: NDArray, sr: int) -> Pulse:
    """Return the pulse of a piece [S, C]."""
    mono = soxr.resample(audio.mean(axis=1), sr, _SR)
    flux, bass_flux = _flux(mono)
    period = _period(flux)
    beats = _track(flux / (flux.std() + 1e-9), period)
    if len(beats) < 9:
        beats = np.arange(0, max(len(flux), 10 * period), period)
    strength = np.maximum(bass_flux, np.roll(bass_flux, 1))
    on_beat = strength[np.minimum(beats, len(strength) - 1)]
    phase = int(np.argmax([on_beat[k::4].mean() for k in range(4)]))
    return Pulse(beats / FRAME_RATE, np.arange(len(beats)) % 4 == phase)


def spectra(mono: NDArray) -> NDArray[np.float32]:
    """Return the log power [T, 48] in bands of about a third of an octave."""
    n_frames = max(1, 1 + (len(mono) - _N_FFT) // _HOP)
    padded = np.pad(mono, (0, max(0, _N_FFT - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP][:n_frames]
    power = np.abs(np.fft.rfft(frames * np.hanning(_N_FFT).astype(np.float32), axis=1)) ** 2
    edges = np.unique(np.round(np.geomspace(2, _N_FFT // 2, 49)).astype(int))
    return np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-4).astype(np.float32)


def _flux(mono: NDArray) -> tuple[NDArray, NDArray]:
    """Return onset strength [T] of the whole spectrum and of the bass."""
    rise = np.maximum(0.0, np.diff(spectra(mono), axis=0, prepend=0.0))
    rise[0] = 0.0
    flux, bass = rise.mean(axis=1), rise[:, :5].mean(axis=1)
    smooth = np.convolve(flux, np.ones(87) / 87, "same")
    return np.maximum(0.0, flux - smooth), bass


def _period(flux: NDArray) -> int:
    """Return the beat period in frames: autocorrelation, with a preference around 115 bpm."""
    size = 1 << (2 * len(flux)).bit_length()
    power = np.abs(np.fft.rfft(flux - flux.mean(), size)) ** 2
    correlation = np.convolve(np.fft.irfft(power), [0.5, 1.0, 0.5])[1 : round(1.2 * FRAME_RATE)]
    lags = np.arange(1, len(correlation))
    preference = np.exp(-0.5 * (np.log2(60 * FRAME_RATE / lags / 115) / 0.6) ** 2)
    return int(lags[np.argmax(correlation[1:] * preference)])


def _track(flux: NDArray, period: int) -> NDArray[np.int64]:
    """Return the frames of the beats."""
    steps = np.arange(-2 * period, -period // 2 + 1)
    cost = -_TIGHTNESS * np.log(-steps / period) ** 2
    score, back = flux.copy(), np.full(len(flux), -1)
    for t in range(2 * period, len(flux)):
        candidates = score[t + steps[0] : t + steps[-1] + 1] + cost
        best = int(candidates.argmax())
        score[t] += candidates[best]
        back[t] = t + steps[best]
    if len(flux) <= 2 * period:
        return np.zeros(0, dtype=np.int64)
    beats = [len(flux) - period + int(score[-period:].argmax())]
    while back[beats[-1]] >= 0:
        beats.append(int(back[beats[-1]]))
    return np.array(beats[::-1])
