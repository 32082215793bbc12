"""What a clip's settings do to its sound.

Every function takes and returns audio `[S, C]` of float32 or float64 at any sample rate, keeps
the dtype, never changes its input and gives the same samples for the same input. `process_clip`
chains them in the order reverse, speed and pitch, equaliser, distortion, reverb, gain, fades.

Sources: shelves from R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
coefficients"; speed by Signalsmith Stretch (python-stretch); reverb as convolution with
exponentially decaying noise (J. A. Moorer, "About this reverberation business", 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip
from rl_editor.units import db_to_gain, semitones_to_ratio

Audio = NDArray[np.floating]
"""[S, C] float32 or float64."""

LOW_SHELF_HZ, HIGH_SHELF_HZ = 200.0, 4000.0
"""Middle of the shelves, where half of their gain in dB is reached."""

_OVERSAMPLING = 8
_DRIVE = 4.0
"""Level into tanh at full strength, as a multiple of the clip's RMS."""
_REVERB_LOW_S, _REVERB_HIGH_S = 1.8, 0.8
"""Reverberation time (60 dB) below and above `_REVERB_SPLIT_HZ`: a medium hall."""
_REVERB_SPLIT_HZ = 3000.0
_REVERB_DELAY_S = 0.012


def _smoothstep(x: Audio) -> Audio:
    return x * x * (3.0 - 2.0 * x)


FADE_CURVES: dict[str, Callable[[Audio], Audio]] = {
    "convex": lambda x: x * x,
    "gentle_convex": lambda x: 0.5 * (x + x * x),
    "linear": lambda x: x,
    "gentle_s": lambda x: 0.5 * (x + _smoothstep(x)),
    "s": _smoothstep,
    "equal_power": lambda x: np.sin(0.5 * math.pi * x),
}
"""Weight of a fade-in at its relative time: [0, 1] -> [0, 1], monotone, 0 -> 0, 1 -> 1.

A fade-out is the mirror image. Two mirrored `linear` fades sum to 1 (equal gain), so do `s` and
`gentle_s`; the squares of two mirrored `equal_power` fades sum to 1.
"""


def fade_weights(curve: str, n_samples: int) -> NDArray[np.float64]:
    """Return the [n_samples] weights of a fade-in, read at the middle of each sample.

    A fade and its mirror image are therefore exact complements.
    """
    return np.asarray(FADE_CURVES[curve]((np.arange(n_samples) + 0.5) / max(n_samples, 1)))


def clip_envelope(
    clip: Clip, sr: int, n_samples: int, start: int, stop: int
) -> NDArray[np.float64] | None:
    """Return gain times fades of the samples `[start, stop)` of a clip's output.

    Args:
        clip: its gain and fades are used.
        sr: sample rate, Hz.
        n_samples: length of the clip's whole output.
        start: first sample wanted, counted from the clip's first.
        stop: end of the samples wanted.

    Returns:
        [stop - start] factors, or None where all are exactly 1. Where fades overlap they multiply.
    """
    n_in, n_out = round(clip.fade_in_s * sr), round(clip.fade_out_s * sr)
    if clip.gain_db == 0.0 and start >= n_in and stop <= n_samples - n_out:
        return None
    weights = np.full(stop - start, db_to_gain(clip.gain_db), dtype=np.float64)
    head = max(0, min(stop, n_in) - start)
    if head:
        weights[:head] *= FADE_CURVES[clip.fade_in_curve](
            (np.arange(start, start + head) + 0.5) / n_in
        )
    tail_start = max(start, n_samples - n_out)
    if tail_start < stop:
        to_end = n_samples - np.arange(tail_start, stop) - 0.5
        weights[tail_start - start :] *= FADE_CURVES[clip.fade_out_curve](to_end / n_out)
    return weights


def stretch(audio: Audio, sr: int, rate: float, semitones: float) -> Audio:
    """Return audio at another speed and pitch, `round(S / rate)` samples long.

    The pitch is changed by stretching time alone and resampling: stretching keeps the frequency
    of a tone within 0.01 cents, where transposing in the stretcher was up to 22 cents off for
    low notes. Silence before and after keeps the ends at full level and, unlike mirrored audio,
    attacks near the ends in their place.
    """
    if rate == 1.0 and semitones == 0.0:
        return audio
    n_out = round(len(audio) / rate)
    if n_out == 0:
        return audio[:0]
    from python_stretch import Signalsmith

    ratio = semitones_to_ratio(semitones)
    stretcher = Signalsmith.Stretch(0)
    stretcher.preset(audio.shape[1], sr)
    stretcher.setTimeFactor(rate / ratio)
    n_pad = stretcher.blockSamples()
    padded = np.pad(audio, ((n_pad, n_pad), (0, 0)))
    result = np.asarray(stretcher.process(np.ascontiguousarray(padded.T, dtype=np.float32))).T
    if semitones != 0.0:
        import soxr

        result = soxr.resample(result, ratio, 1.0, quality="HQ")
    start = round(n_pad / rate)
    return result[start : start + n_out].astype(audio.dtype, copy=False)


def shelves(audio: Audio, sr: int, low_db: float, high_db: float) -> Audio:
    """Return audio through a low shelf at 200 Hz and a high shelf at 4 kHz, slope 1.

    A shelf whose middle is not below the Nyquist frequency has nothing to change and is left out.
    """
    sections = [
        _shelf_section(sr, middle_hz, level_db, sign)
        for middle_hz, level_db, sign in ((LOW_SHELF_HZ, low_db, 1), (HIGH_SHELF_HZ, high_db, -1))
        if level_db != 0.0 and middle_hz < 0.49 * sr
    ]
    if not sections:
        return audio
    from scipy.signal import sosfilt

    return sosfilt(np.array(sections), audio, axis=0).astype(audio.dtype, copy=False)


def _shelf_section(sr: int, middle_hz: float, level_db: float, sign: int) -> NDArray[np.float64]:
    """Return one second-order section [6]; `sign` is 1 for a low shelf, -1 for a high one."""
    a = 10.0 ** (level_db / 40.0)
    omega = 2.0 * math.pi * middle_hz / sr
    cos = sign * math.cos(omega)
    alpha = math.sin(omega) / math.sqrt(2.0)
    root = 2.0 * math.sqrt(a) * alpha
    b = (
        a * ((a + 1) - (a - 1) * cos + root),
        sign * 2 * a * ((a - 1) - (a + 1) * cos),
        a * ((a + 1) - (a - 1) * cos - root),
    )
    c = (
        (a + 1) + (a - 1) * cos + root,
        sign * -2 * ((a - 1) + (a + 1) * cos),
        (a + 1) + (a - 1) * cos - root,
    )
    return np.array(b + c) / c[0]


def distort(audio: Audio, strength: float) -> Audio:
    """Return audio through a tanh soft clipper at its old RMS level.

    The drive follows the clip's own RMS, so a quiet clip is coloured as much as a loud one:
    `strength` in [0, 1] sets it to 4 strength^2 times the RMS. Eight-fold oversampling keeps the
    aliases of the new harmonics 60 dB below the tone that makes them, up to 15 kHz.
    """
    level = _rms(audio)
    if strength == 0.0 or level == 0.0:
        return audio
    import soxr

    drive = _DRIVE * strength * strength / level
    result = np.empty_like(audio)
    for channel in range(audio.shape[1]):
        wave = soxr.resample(np.ascontiguousarray(audio[:, channel]), 1, _OVERSAMPLING)
        wave *= audio.dtype.type(drive)
        np.tanh(wave, out=wave)
        result[:, channel] = soxr.resample(wave, _OVERSAMPLING, 1)[: len(audio)]
    result *= audio.dtype.type(level / _rms(result))
    return result


def reverberate(audio: Audio, sr: int, strength: float) -> Audio:
    """Return audio in a synthetic hall; `strength` in [0, 1] mixes from dry to half wet.

    Dry and wet parts have the powers cos^2 and sin^2 of 45 degrees times `strength`. The hall is
    silent when the clip begins, and what rings beyond the clip's end is cut off with the clip.
    """
    if strength == 0.0:
        return audio
    from scipy.signal import oaconvolve

    response = _hall_response(sr, audio.shape[1]).astype(audio.dtype)
    wet = oaconvolve(audio, response, axes=0)[: len(audio)]
    angle = 0.25 * math.pi * strength
    return (math.cos(angle) * audio + math.sin(angle) * wet).astype(audio.dtype, copy=False)


@lru_cache(maxsize=4)
def _hall_response(sr: int, channels: int) -> NDArray[np.float64]:
    """Return the [S, C] response of the hall, unit energy in each channel."""
    from scipy.signal import lfilter

    time_s = np.arange(round(_REVERB_LOW_S * sr)) / sr
    pole = math.exp(-2.0 * math.pi * min(_REVERB_SPLIT_HZ, 0.25 * sr) / sr)
    decay = np.log(1000.0) * time_s[:, None]
    noise = np.stack(
        [
            np.random.default_rng(channel).standard_normal(len(time_s))
            for channel in range(channels)
        ],
        axis=1,
    )
    low = lfilter([1.0 - pole], [1.0, -pole], noise, axis=0)
    tail = low * np.exp(-decay / _REVERB_LOW_S) + (noise - low) * np.exp(-decay / _REVERB_HIGH_S)
    tail /= np.sqrt(np.sum(tail**2, axis=0))
    return np.pad(tail, ((round(_REVERB_DELAY_S * sr), 0), (0, 0)))


def is_transformed(clip: Clip) -> bool:
    """Return whether a clip needs `transform`, beyond being played backwards."""
    settings = (clip.semitones, clip.eq_low_db, clip.eq_high_db, clip.distortion, clip.reverb)
    return clip.rate != 1.0 or any(settings)


def transform(audio: Audio, clip: Clip, sr: int) -> Audio:
    """Return all of a clip's processing but gain and fades, `round(S / rate)` samples long."""
    if clip.reverse:
        audio = audio[::-1]
    audio = stretch(audio, sr, clip.rate, clip.semitones)
    audio = shelves(audio, sr, clip.eq_low_db, clip.eq_high_db)
    audio = distort(audio, clip.distortion)
    return reverberate(audio, sr, clip.reverb)


def process_clip(audio: Audio, clip: Clip, sr: int) -> Audio:
    """Return a clip as it is heard, from the [S, C] source samples of its span.

    Order: reverse, speed and pitch, equaliser, distortion, reverb, gain, fades. The result has
    `round(S / rate)` samples; without any setting it is the input itself.
    """
    audio = transform(audio, clip, sr)
    envelope = clip_envelope(clip, sr, len(audio), 0, len(audio))
    return audio if envelope is None else (audio * envelope[:, None]).astype(audio.dtype)


def _rms(audio: Audio) -> float:
    return math.sqrt(float(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0
