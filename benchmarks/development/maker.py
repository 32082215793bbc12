"""From a case and its finished tracks to a recording with its exact truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.development import recording as device
from benchmarks.development import speech
from benchmarks.development.case import Case, Incident
from benchmarks.development.incidents import INCIDENTS
from benchmarks.development.piece import make_piece
from benchmarks.development.scenes import Stage, run_scenes
from benchmarks.development.tape import Worth
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

SEED = 20_240_229
"""Of everything that is drawn, together with the name of the case."""

FindSpeakers = Callable[[np.random.Generator, int], list[speech.Speaker]]


@dataclass(frozen=True)
class Made:
    """A recording [S, C] with its truth."""

    audio: NDArray[np.float32]
    sr: int
    truth: Truth


def make_case(
    case: Case, tracks: Sequence[NDArray[np.float32]], find_speakers: FindSpeakers = speech.people
) -> Made:
    """Return a case made of its tracks, each [S, 2] at the rate of its recording."""
    rng = np.random.default_rng([SEED, *case.name.encode()])
    if case.kind == "clean":
        return _clean(case, tracks[0])
    ring_s = 0.5 * case.recording.rt60_s
    pieces = [
        make_piece(track, case.recording.sr, passage_s, ring_s)
        for track, passage_s in zip(tracks, case.passages_s, strict=False)
    ]
    speakers = find_speakers(rng, int(rng.integers(2, 5)))
    stage = Stage(pieces, speakers, case.spread, rng, case.faintness_db)
    run_scenes(stage, case.before, "before")
    for number, incidents in enumerate((case.incidents, case.later_incidents)[: len(pieces)]):
        if number:
            stage.number = number
            run_scenes(stage, case.between, "between")
        _play_through(stage, incidents)
    run_scenes(stage, case.after, "after")
    tape = stage.tape
    if case.recording.metronome_db is not None:
        pulses = [piece.pulse for piece in pieces]
        device.add_metronome(tape, pulses, case.recording.metronome_db)
    audio = device.recorded(tape.audio(), case.recording, rng)
    return Made(audio, tape.sr, tape.truth())


def _play_through(stage: Stage, incidents: Sequence[Incident]) -> None:
    """Play the current piece to its end, with everything that happens on the way."""
    cursor_s, piece = 0.0, stage.piece
    for name, share, gap in incidents:
        at_s = max(share * piece.duration_s, cursor_s)
        cursor_s = INCIDENTS[name](stage, cursor_s, at_s, gap)
    stage.play(cursor_s, [(piece.duration_s, Worth.WANTED)])


def _clean(case: Case, track: NDArray[np.float32]) -> Made:
    """Return a finished track at another level, with fades and a little silence around it."""
    recording = case.recording
    audio = track.copy()
    for fade_s, part in zip(case.fades_s, (audio, audio[::-1]), strict=True):
        n_fade = min(len(audio), round(fade_s * recording.sr))
        part[:n_fade] *= np.sin(np.linspace(0, np.pi / 2, n_fade))[:, None] ** 2
    lead, trail = (round(s * recording.sr) for s in case.silence_s)
    audio = np.pad(audio, ((lead, trail), (0, 0)))
    if recording.channels == 1:
        audio = audio.mean(axis=1, keepdims=True)
    duration_s = len(audio) / recording.sr
    whole = Segment(0.0, duration_s, Material.MUSIC, wanted=True, piece_start_s=0.0)
    return Made(device.at_peak(audio, recording.peak_db), recording.sr, Truth(duration_s, (whole,)))
