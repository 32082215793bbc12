"""From a recording to a `Track`: grid, features and recurrence, worked out once and kept.

A file is decoded to mono at the analysis rate, brought to one level and transformed once; the
frames that come out feed beat tracking, features, stems and recurrence. The level is taken out
because how loud a recording was stored says nothing about what in it is wanted: levels among
the features are relative to the recording's own. Results are kept in a `Cache` under the hash
of the file's bytes and of everything else that they depend on; what they are made of and the
user's hints do not change is kept besides (`kept_parts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor import audio, units
from rl_editor.beat_hints import NO_HINTS, BeatHints
from rl_editor.beat_trackers import OWN_TRACKER, BeatTracker, load_tracker
from rl_editor.beats import beat_input, grid_from_activations, listen
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.config import AnalysisConfig, to_dict
from rl_editor.demucs_stems import DEFAULT_MODEL, PREFIX, demucs_stems, load_demucs, split_model
from rl_editor.errors import UserError
from rl_editor.features import SCHEMA_VERSION, beat_features
from rl_editor.frame_features import FrameFeatures, frame_features
from rl_editor.frame_vectors import FRAME_STEP, frame_vectors
from rl_editor.given_beats import grid_from_given
from rl_editor.grid import BeatGrid
from rl_editor.kept_parts import NOTHING_KEPT, KeptParts
from rl_editor.phrases import with_phrases
from rl_editor.recurrence import RECURRENCE_VERSION, recurrence
from rl_editor.spectrogram import frame_count
from rl_editor.stems import OFFLINE, StemFrames, offline_stems, onset_floor
from rl_editor.track import Track

ANALYSIS_VERSION = 3
"""Raised when a recording gets another grid, or other numbers under the same names."""

CONFIG = AnalysisConfig()

LOUDNESS_DB = -18.0
"""Level that every recording is brought to before it is analysed, dB of full scale."""
MAX_GAIN_DB = 60.0
"""Most that a recording is raised: what is quieter is nearly silent."""
LEVEL_BLOCK_S = 0.1

OnStage = Callable[[str, float], None]
"""Called with the stage, "read" or "analyse", and the part of it that is done, up to 1."""

_StemMaker = Callable[[FrameFeatures, float], StemFrames]
"""Called with the frames and the gain that they were measured at."""

# Parts of the stage "analyse" that are over after each step, from the times of a four-minute
# recording: frames 0.3 s, beats 0.5 s, stems 0.8 s, recurrence 0.8 s.
_FRAMES_DONE, _BEATS_DONE, _STEMS_DONE = 0.15, 0.35, 0.65


@dataclass(frozen=True)
class _Request:
    """What is wanted besides the sound: the user's hints, the stems, who hears of progress.

    `kept` is what was worked out before, `tracker` hears the beats.
    """

    hints: BeatHints
    stems: str
    make_stems: _StemMaker
    report: OnStage
    kept: KeptParts = NOTHING_KEPT
    tracker: BeatTracker = OWN_TRACKER


@dataclass(frozen=True)
class _Heard:
    """What is kept of the sound: its frames, what `beats.listen` made of them, the gain.

    `beats` is [T, 3], or None where they come from a file.
    """

    frames: FrameFeatures
    beats: NDArray[np.float32] | None
    gain: float


def analyze(
    path: str | Path,
    *,
    cache: Cache | None = None,
    hints: BeatHints = NO_HINTS,
    stems: str = OFFLINE,
    on_stage: OnStage | None = None,
    tracker: BeatTracker = OWN_TRACKER,
) -> Track:
    """Return the track of an audio file, from the cache if it is there.

    Args:
        path: of the file.
        cache: where analyses are kept; None reads and keeps nothing.
        hints: what the user says about the beat.
        stems: "offline", "demucs", "demucs:<model of its hub>" or "demucs:<folder>/<model>".
        on_stage: hears how far it is.
        tracker: hears the beats; not another than the own one where the hints bring them.

    Raises:
        UserError: the file cannot be analysed, these stems cannot be made, the tracker cannot be
            used, or a hint is out of range or does not fit the recording.
    """
    hints.check()
    tracker.check(None if hints.given is None else hints.given.name)
    report = on_stage or _say_nothing
    report("read", 0.0)
    schema, sha256 = schema_name(stems), file_sha256(path)
    settings = {"version": ANALYSIS_VERSION, "config": to_dict(CONFIG)}
    own, heard_by = {"schema": schema, "stems": stems}, tracker.settings()
    key = track_key(sha256, settings | own | hints.settings() | heard_by)
    known = cache.load_track(key, path) if cache is not None else None
    if known is not None:
        report("analyse", 1.0)
        return known
    info = audio.probe(path)
    kept = KeptParts(cache, sha256, settings, own, heard_by)
    request = _Request(hints, stems, _stem_maker(stems, path, report), report, kept, tracker)
    heard = _read_and_hear(path, request)
    track = _describe(heard, info, sha256, request)
    if cache is not None:
        cache.store_track(key, track)
    return track


def analyze_signal(signal: NDArray[np.float32], hints: BeatHints = NO_HINTS) -> Track:
    """Return the track of a mono signal [S] at `CONFIG.sr`, with offline stems and no path.

    Raises `ValueError` for a signal that is empty or not mono, `UserError` for hints that are
    out of range or do not fit it.
    """
    info = audio.AudioInfo(
        path="",
        sample_rate=CONFIG.sr,
        channels=1,
        n_samples=len(signal),
        subtype="FLOAT",
        container="",
    )
    make_stems = _stem_maker(OFFLINE, "", _say_nothing)
    request = _Request(hints, OFFLINE, make_stems, _say_nothing)
    return _describe(_hear(signal.copy(), request), info, "", request)


def loudness_gain(signal: NDArray[np.float32]) -> float:
    """Return the factor that brings a mono signal [S] at `CONFIG.sr` to `LOUDNESS_DB`.

    Its level is that of the 0.1-second block in the middle of its energy: louder blocks hold
    half of it. Silence before, between or after changes nothing, a short bang little. At most
    `MAX_GAIN_DB`; 1 for digital silence.
    """
    block = min(len(signal), round(LEVEL_BLOCK_S * CONFIG.sr))
    blocks = signal[: len(signal) // block * block].reshape(-1, block)
    power = np.sort(np.einsum("bs,bs->b", blocks, blocks).astype(np.float64) / block)
    if power[-1] <= 0.0:
        return 1.0
    energy = np.cumsum(power)
    level = float(np.sqrt(power[np.searchsorted(energy, 0.5 * energy[-1])]))
    return min(units.db_to_gain(LOUDNESS_DB) / level, units.db_to_gain(MAX_GAIN_DB))


def schema_name(stems: str = OFFLINE) -> str:
    """Return the name of the feature tables, as checkpoints and tracks hold it.

    Such as "features-2/recurrence-1/stems-offline". Raises `UserError` for stems of another
    kind than `analyze` takes.
    """
    model = _demucs_model(stems)
    source = OFFLINE if model is None else PREFIX + split_model(model)[0]
    return f"features-{SCHEMA_VERSION}/recurrence-{RECURRENCE_VERSION}/stems-{source}"


def _demucs_model(stems: str) -> str | None:
    """Return the model that `stems` names, or None for the offline estimate."""
    if stems == OFFLINE:
        return None
    name = stems.removeprefix(PREFIX)
    if not name:
        raise UserError(
            f"stems should be {OFFLINE}, demucs, or a Demucs model (its name, or FOLDER/NAME), but "
            "none is named; choose one of these."
        )
    return DEFAULT_MODEL if name == PREFIX.rstrip(":") else name


def _stem_maker(stems: str, path: str | Path, report: OnStage) -> _StemMaker:
    """Return what makes the stems; a Demucs model is loaded now, so that it fails early."""
    name = _demucs_model(stems)
    if name is None:
        return lambda frames, gain: offline_stems(frames.mel_power, frames.power, CONFIG)
    model = load_demucs(name)

    def separate(frames: FrameFeatures, gain: float) -> StemFrames:
        signal = audio.read_mono(path, model.sample_rate)
        signal *= np.float32(gain)
        floor, share = onset_floor(frames.mel_power), _STEMS_DONE - _BEATS_DONE
        return demucs_stems(
            signal,
            model,
            len(frames.values),
            floor,
            CONFIG,
            lambda done: report("analyse", _BEATS_DONE + share * done),
        )

    return separate


def _read_and_hear(path: str | Path, request: _Request) -> _Heard:
    """Return the frames of a file; its signal is let go of here."""
    signal = audio.read_mono(path, CONFIG.sr)
    audio.check_signal(signal, CONFIG.sr, path)
    request.report("read", 1.0)
    return _hear(signal, request)


def _hear(signal: NDArray[np.float32], request: _Request) -> _Heard:
    """Return the frames of a signal [S], which is brought to `LOUDNESS_DB` in place."""
    gain = loudness_gain(signal)
    signal *= np.float32(gain)
    n_frames = frame_count(len(signal), CONFIG)
    is_given = request.hints.given is not None
    beats = None if is_given else request.kept.beats(n_frames)
    listens = beats is None and not is_given
    hear = load_tracker(request.tracker) if listens else None
    blocks: list[NDArray[np.float32]] = []

    def visit(first: int, magnitude: NDArray[np.float32]) -> None:
        if listens:
            blocks.append(beat_input(magnitude))
        request.report("analyse", _FRAMES_DONE * first / n_frames)

    frames = frame_features(signal, CONFIG, visit)
    if listens:
        heard = None if hear is None else hear(signal, n_frames)
        beats = listen(np.concatenate(blocks), heard)
        request.kept.keep_beats(beats)
    return _Heard(frames, beats, gain)


def _stems(heard: _Heard, request: _Request) -> StemFrames:
    stems = request.kept.stems(len(heard.frames.values))
    if stems is None:
        stems = request.make_stems(heard.frames, heard.gain)
        request.kept.keep_stems(stems)
    return stems


def _describe(heard: _Heard, info: audio.AudioInfo, sha256: str, request: _Request) -> Track:
    """Return the track of a recording whose sound has been heard."""
    report, frames = request.report, heard.frames
    report("analyse", _FRAMES_DONE)
    grid = _grid(heard, info.duration_s, request.hints)
    report("analyse", _BEATS_DONE)
    stems = _stems(heard, request)
    report("analyse", _STEMS_DONE)
    related = recurrence(frames.mel_power, frames.chroma, grid, CONFIG)
    report("analyse", 1.0)
    return Track(
        path=info.path,
        sha256=sha256,
        sample_rate=info.sample_rate,
        channels=info.channels,
        n_samples=info.n_samples,
        grid=grid,
        features=beat_features(frames, stems, grid, CONFIG),
        recurrence=related.values,
        match_later=related.match_later,
        match_earlier=related.match_earlier,
        schema=schema_name(request.stems),
    )


def _grid(heard: _Heard, duration_s: float, hints: BeatHints) -> BeatGrid:
    chroma = heard.frames.chroma
    if hints.given is None:
        assert heard.beats is not None
        grid = grid_from_activations(heard.beats, duration_s, hints, chroma)
    else:
        hints.check()
        hints.check_moments(duration_s)
        grid = grid_from_given(hints.given, duration_s, hints)
    vectors = frame_vectors(heard.frames.mel_power, chroma).vectors
    return with_phrases(grid, vectors, FRAME_STEP * CONFIG.hop_length / CONFIG.sr)


def _say_nothing(stage: str, fraction: float) -> None:
    """Stand in for a user who does not want to know how far it is."""
