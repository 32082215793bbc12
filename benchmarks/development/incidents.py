"""What goes wrong while the piece is played: one function for everything that can.

An incident takes the stage, where in the piece the players are, where in the piece it happens
and the scenes of the pause after it. It plays up to there, lets it happen, and returns where in
the piece playing goes on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.development import performance, sounds, speech
from benchmarks.development.performance import Stereo, broken_off, perform
from benchmarks.development.piece import Piece
from benchmarks.development.pulse import FRAME_RATE, spectra
from benchmarks.development.scenes import Stage, run_scenes
from benchmarks.development.tape import Worth
from rl_editor.materials import Material

Spoil = Callable[[Stereo, int, np.random.Generator], Stereo]


def _break_off(stage: Stage, spans: tuple[float, float, float], spoil: Spoil | None) -> None:
    """Play wanted from the first place to the second, as good to the third, then break off."""
    start_s, back_s, at_s = spans
    rng, sr = stage.rng, stage.sr
    more_s = rng.uniform(1.5, 4.0) if spoil is not None else 1.1
    end_s = min(at_s + more_s, stage.piece.duration_s)
    passage = perform(stage.piece, (start_s, end_s), stage.take, rng)
    good, rest = broken_off(passage, at_s, sr)
    stage.tape.play(good, stage.number, [(back_s, Worth.WANTED), (at_s, Worth.AS_GOOD)])
    spoilt = spoil(rest, sr, rng) if spoil is not None else rest
    stage.tape.junk(performance.ragged_stop(spoilt, sr, rng), Material.FLAWED_TAKE)


def _place(stage: Stage, at_s: float) -> float:
    """Return where somebody stops: on a beat, or, as often, anywhere."""
    if stage.rng.random() < 0.5:
        return at_s
    beats_s = stage.piece.pulse.beats_s
    return float(beats_s[np.abs(beats_s - at_s).argmin()])


def _back(stage: Stage, cursor_s: float, at_s: float, bars: int = 2) -> float:
    """Return where they begin again: some bars earlier, now and then with an upbeat."""
    back_s = stage.piece.pulse.bar_before(at_s, bars)
    if stage.rng.random() < 0.35:
        back_s -= stage.rng.uniform(0.3, 1.2) * stage.piece.pulse.period_s(back_s)
    return max(cursor_s, back_s)


def _mistake(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    at_s = _place(stage, at_s)
    back_s = _back(stage, cursor_s, at_s)
    _break_off(stage, (cursor_s, back_s, at_s), lambda a, sr, rng: performance.clams(a, sr, 3, rng))
    run_scenes(stage, gap, "stopped")
    stage.new_take()
    return back_s


def _slammed(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    at_s = _place(stage, at_s)
    back_s = _back(stage, cursor_s, at_s)

    def disturbed(audio: Stereo, sr: int, rng: np.random.Generator) -> Stereo:
        door = stage.panned(sounds.levelled(sounds.slam(sr, rng), sr, 4.0))[: len(audio)]
        return audio + np.pad(door, ((0, len(audio) - len(door)), (0, 0)))

    _break_off(stage, (cursor_s, back_s, at_s), disturbed)
    run_scenes(stage, gap, "stopped")
    stage.new_take()
    return back_s


def _held(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Stop on a chord that is held while somebody talks over it."""
    at_s, rng, sr = _place(stage, at_s), stage.rng, stage.sr
    back_s = _back(stage, cursor_s, at_s, 4)
    passage = perform(stage.piece, (cursor_s, at_s), stage.take, rng)
    stage.tape.play(passage, stage.number, [(back_s, Worth.WANTED), (at_s, Worth.AS_GOOD)])
    lines = speech.draw_lines("chords", int(rng.integers(1, 3)), rng)
    said = speech.conversation(stage.speakers, lines, sr, rng)
    last = passage.audio[-round(0.5 * sr) :]
    chord = sounds.held_chord(last, sr, len(said) / sr + rng.uniform(1.5, 3.0), rng)
    chord *= min(1.0, np.abs(last).max() / max(float(np.abs(chord).max()), 1e-9))
    first = stage.tape.n_samples
    stage.tape.junk(chord, Material.TALK)
    talk = stage.panned(sounds.levelled(said, sr, 3.0 - stage.faintness_db))
    stage.tape.overlay(first + round(0.7 * sr), talk)
    run_scenes(stage, gap, "again")
    stage.new_take()
    return back_s


def _restart(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Break off and take it from the top; what was played so far is as good where it fits."""
    if stage.spread == "other":
        audio = perform(stage.piece, (cursor_s, at_s), stage.take, stage.rng).audio
        audio = performance.ragged_stop(audio, stage.sr, stage.rng)
        stage.tape.junk(audio, Material.FLAWED_TAKE)
    else:
        _break_off(stage, (cursor_s, cursor_s, _place(stage, at_s)), None)
    run_scenes(stage, gap, "stopped")
    stage.new_take()
    return cursor_s


def _false_start(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Come in, and stop after a few seconds, once or twice."""
    for _ in range(stage.rng.integers(1, 3)):
        length_s = stage.rng.uniform(1.5, 7.0)
        passage = perform(stage.piece, (cursor_s, cursor_s + length_s), stage.take, stage.rng)
        audio = performance.ragged_stop(passage.audio, stage.sr, stage.rng)
        stage.tape.junk(audio, Material.FALSE_START)
        run_scenes(stage, gap, "stopped")
    stage.new_take()
    return cursor_s


def _tries(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Fail twice at a hard passage, all the way through it, and get it the third time."""
    rng, sr = stage.rng, stage.sr
    back_s = stage.piece.pulse.bar_before(at_s)
    back_s = max(cursor_s, back_s)
    end_s = min(stage.piece.duration_s, back_s + rng.uniform(6, 14))
    for number in range(2):
        passage = perform(stage.piece, (back_s if number else cursor_s, end_s), stage.take, rng)
        good, rest = broken_off(passage, back_s, sr)
        if number == 0 and back_s > cursor_s:
            stage.tape.play(good, stage.number, [(back_s, Worth.WANTED)])
        wrong = performance.clams(rest, sr, int(rng.integers(5, 9)), rng)
        stage.tape.junk(performance.ragged_stop(wrong, sr, rng), Material.FLAWED_TAKE)
        run_scenes(stage, gap, "stopped")
        stage.new_take()
    return back_s


def _riff(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Play a riff of two or four bars three to eight times more than the piece has it."""
    start_s, end_s = loop_near(stage.piece, max(at_s, cursor_s + 1.0), stage.rng)
    stage.play(cursor_s, [(start_s, Worth.WANTED)])
    for _ in range(stage.rng.integers(3, 9)):
        stage.play(start_s, [(end_s, Worth.AS_GOOD)])
    return start_s


def _level(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Let somebody kick the microphone; they play on for a while before they notice."""
    back_s, rng, sr = _back(stage, cursor_s, at_s), stage.rng, stage.sr
    end_s = min(stage.piece.duration_s, at_s + rng.uniform(8, 25))
    passage = perform(stage.piece, (cursor_s, end_s), stage.take, rng)
    good, rest = broken_off(passage, at_s, sr)
    stage.tape.play(good, stage.number, [(back_s, Worth.WANTED), (at_s, Worth.AS_GOOD)])
    down = performance.knocked_down(rest, sr, 0.05, rng)
    stage.tape.junk(performance.ragged_stop(down, sr, rng), Material.FLAWED_TAKE)
    run_scenes(stage, gap, "level")
    stage.new_take()
    return back_s


def _flawed_take(stage: Stage, span_s: tuple[float, float], spoil: Spoil) -> None:
    """Play flawed throughout, from one place to another."""
    audio = perform(stage.piece, span_s, stage.take, stage.rng).audio
    wrong = spoil(audio, stage.sr, stage.rng)
    if span_s[1] < stage.piece.duration_s - 0.5:
        wrong = performance.ragged_stop(wrong, stage.sr, stage.rng)
    stage.tape.junk(wrong, Material.FLAWED_TAKE)


def _sour(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    _flawed_take(stage, (cursor_s, at_s), performance.sour)
    run_scenes(stage, gap, "tune")
    stage.new_take()
    return cursor_s


def _drift(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    _flawed_take(stage, (cursor_s, at_s), performance.drifting)
    run_scenes(stage, gap, "stopped")
    stage.new_take()
    return cursor_s


def _poor_take(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Play all of it with many slips; the next take is the one."""
    number = round(stage.piece.duration_s / 6)

    def slips(audio: Stereo, sr: int, rng: np.random.Generator) -> Stereo:
        return performance.clams(audio, sr, number, rng)

    _flawed_take(stage, (cursor_s, stage.piece.duration_s), slips)
    run_scenes(stage, gap, "again")
    stage.new_take()
    return cursor_s


def _either(stage: Stage, cursor_s: float, at_s: float, gap: str) -> float:
    """Play all of it well; the take after this one is no better."""
    stage.play(cursor_s, [(stage.piece.duration_s, Worth.AS_GOOD)])
    run_scenes(stage, gap, "again")
    stage.new_take()
    return cursor_s


INCIDENTS: dict[str, Callable[[Stage, float, float, str], float]] = {
    "mistake": _mistake,
    "slammed": _slammed,
    "held_chord": _held,
    "restart": _restart,
    "false_start": _false_start,
    "three_tries": _tries,
    "riff": _riff,
    "level_drop": _level,
    "out_of_tune": _sour,
    "drift": _drift,
    "poor_take": _poor_take,
    "either_take": _either,
}


def loop_near(piece: Piece, at_s: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return a loop of two or four bars near a place whose end sounds like its beginning."""
    mono = soxr.resample(piece.audio.mean(axis=1), piece.sr, 22050)
    frames, rate = spectra(mono), FRAME_RATE
    n_beats = int(rng.choice([8, 8, 16]))
    beats_s = piece.pulse.beats_s
    best = (-np.inf, at_s, at_s + n_beats * piece.pulse.period_s(at_s))
    reach = np.flatnonzero((beats_s > at_s - 4.0) & (beats_s < at_s + 12.0))
    for first in reach[reach + n_beats < len(beats_s)]:
        a, b = (round(float(beats_s[k]) * rate) for k in (first, first + n_beats))
        for shift in range(-6, 7):
            here, there = frames[a - 40 : a + 80], frames[b + shift - 40 : b + shift + 80]
            if a < 40 or len(there) < 120:
                continue
            alike = -float(np.mean((here - there) ** 2))
            if alike > best[0]:
                best = (alike, a / rate, (b + shift) / rate)
    return best[1], _aligned(mono, best[1], best[2])


def _aligned(mono: NDArray, start_s: float, end_s: float) -> float:
    """Return the end of a loop moved by up to 20 ms to where the waveform continues best."""
    a, b, reach, length = round(start_s * 22050), round(end_s * 22050), 441, 4410
    here, there = mono[a : a + length], mono[b - reach : b + length + reach]
    if len(here) < length or len(there) < length + 2 * reach:
        return end_s
    likeness = np.correlate(there, here, "valid")
    return (b - reach + int(likeness.argmax())) / 22050
