"""Made recordings with known beats: stretches of playing, and what lies between them.

A recording holds one stretch or several, of pieces composed here (`composition`) or of MIDI scores,
played with a soundfont. Between them is silence, noise, talk, tuning or noodling; a stretch may
break off anywhere, as takes do. All of it goes through rooms, telephones, hum and clipping
(`rl_editor.session_colour`).

In: a seed. Out: `BeatExample`; the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.beat_training.composition import compose
from benchmarks.beat_training.example import FIRST_HELD_OUT_SEED, BeatExample
from benchmarks.beat_training.grooves import GROOVES
from benchmarks.beat_training.performing import TAIL_S, perform
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.score_arrangements import arranged
from rl_editor.score_rendering import soundfont_renderer
from rl_editor.score_takes import Take
from rl_editor.scores import Score, excerpt, read_score
from rl_editor.session_colour import colour_recording
from rl_editor.session_noises import noise
from rl_editor.session_noodling import noodling, tuning
from rl_editor.session_room import Room
from rl_editor.session_settings import SessionSettings
from rl_editor.session_speech import talk

SR = AnalysisConfig().sr
Audio = NDArray[np.float32]

WHOLE, FALSE_START, BEGINS_INSIDE, BREAKS_OFF = 0.4, 0.15, 0.5, 0.6
"""Probabilities: of a recording that it is one stretch, of a stretch that it is a false start, that
it begins within the piece, and that it stops dead."""
STRETCH_S, FALSE_START_S, REST_S = (10.0, 60.0), (2.0, 6.0), (0.3, 12.0)
SHORTEST_S = 4.0
"""A stretch that would be shorter at the end of the recording is left out."""
FROM_SCORES = 0.35
"""Share of the stretches that are of MIDI scores, where there are any."""
LEAST_NOTES_A_BEAT = 1.0
"""Scores with fewer notes than this have beats that nobody hears."""
FADE_S = (0.02, 0.6)
"""Of what stops dead: a hand on the strings, or the room."""
PEAK_DB = (-24.0, -3.0)
RESTS = ("silence", "noise", "talk", "tuning", "noodling")
REST_ODDS = (0.3, 0.2, 0.25, 0.1, 0.15)
HELD_OUT = Path(__file__).resolve().parent.parent / "held_out.tsv"


def make_example(
    seed: int, duration_s: float = 60.0, scores: str | Path | None = None
) -> BeatExample:
    """Return a made recording.

    Args:
        seed: of everything in it; from `FIRST_HELD_OUT_SEED` on only held-out scores are played.
        duration_s: at least 10.
        scores: folder with MIDI files to play besides.

    Raises:
        UserError: there is no soundfont, no package to play it, or no MIDI file in the folder.
    """
    if duration_s < 10.0:
        raise ValueError(f"an example needs at least 10 s, got {duration_s} s")
    rng = np.random.default_rng(seed)
    is_held_out = seed >= FIRST_HELD_OUT_SEED
    files = midi_files(Path(scores), is_held_out) if scores is not None else ()
    signal = np.zeros(round(duration_s * SR), dtype=np.float32)
    beats, places, stretches = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], []
    is_whole = rng.random() < WHOLE
    at_s = 0.0 if is_whole or rng.random() < 0.3 else float(rng.uniform(*REST_S))
    rests = [(0.0, at_s)]
    while duration_s - at_s > SHORTEST_S:
        length_s = duration_s - at_s if is_whole else _length_s(rng)
        length_s = min(length_s, duration_s - at_s)
        sound, times_s, place = _stretch(files, length_s, rng)
        start = round(at_s * SR)
        sound = sound[: len(signal) - start]
        signal[start : start + len(sound)] += sound
        inside = times_s < length_s - 0.02
        beats.append(at_s + times_s[inside])
        places.append(place[inside])
        end_s = min(duration_s, at_s + length_s)
        stretches.append((at_s, end_s))
        at_s = end_s + float(rng.uniform(*REST_S))
        rests.append((end_s, min(at_s, duration_s)))
    for first_s, last_s in rests:
        _fill_rest(signal, first_s, last_s, rng)
    recorded = signal[:, None]
    settings = SessionSettings.named(str(rng.choice(["easy", "session", "hard"])))
    colour_recording(recorded, SR, rng, settings)
    return BeatExample(
        recorded[:, 0],
        np.concatenate(beats),
        np.concatenate(places),
        np.array(stretches, dtype=float).reshape(-1, 2),
    )


@lru_cache(maxsize=2)
def midi_files(folder: Path, is_held_out: bool = False) -> tuple[Path, ...]:
    """Return the MIDI files below a folder that are, or are not, named in `held_out.tsv`.

    Raises:
        UserError: there is none.
    """
    lines = HELD_OUT.read_text(encoding="utf-8").splitlines()[1:]
    held_out = {line.split("\t")[1].rsplit("/", 1)[-1] for line in lines}
    every = sorted(folder.rglob("*.mid"))
    chosen = tuple(
        path
        for path in every
        if (path.name in held_out) == is_held_out and path.name != "notes.mid"  # of a game
    )
    if not chosen:
        which = "held-out " if is_held_out else ""
        raise UserError(
            f"{which}MIDI files should be in {folder}, but there is none; name another folder or "
            "leave --scores out."
        )
    return chosen


def _length_s(rng: np.random.Generator) -> float:
    return float(rng.uniform(*(FALSE_START_S if rng.random() < FALSE_START else STRETCH_S)))


def _stretch(
    files: Sequence[Path], length_s: float, rng: np.random.Generator
) -> tuple[Audio, NDArray[np.float64], NDArray[np.int64]]:
    """Return the sound of a stretch, its beats in seconds of it, and their places in the bar."""
    score = _score_of_file(files, length_s, rng) if rng.random() < FROM_SCORES else None
    if score is not None:
        take, beats_s = perform(score, rng)
    else:
        groove = GROOVES[str(rng.choice(list(GROOVES)))]
        score = compose(groove, length_s + 8.0, rng)
        swing = float(rng.uniform(*groove.swing))
        take, beats_s = perform(score, rng, rubato=groove.rubato, swing=swing, steps=groove.steps)
    place = _places(score)
    first_s = _first_s(take, length_s, rng)
    sound = _rendered(take, first_s, length_s, rng)
    later = beats_s >= first_s
    return sound, beats_s[later] - first_s, place[later]


def _score_of_file(
    files: Sequence[Path], length_s: float, rng: np.random.Generator
) -> Score | None:
    """Return a part of a MIDI file that another band plays; None for one without a clear beat."""
    if not files:
        return None
    score = _read(files[int(rng.integers(len(files)))])
    if score is None:
        return None
    score = arranged(score, rng)
    n_beats = score.grid.n_beats
    wanted = min(n_beats, int(length_s / float(np.median(score.grid.durations_s))) + 8)
    first = int(rng.integers(0, n_beats - wanted + 1))
    return excerpt(score, first, first + wanted)


@lru_cache(maxsize=256)
def _read(path: Path) -> Score | None:
    try:
        score = read_score(path)
    except UserError:  # damaged or empty: the others will do
        return None
    is_clear = len(score.notes) >= LEAST_NOTES_A_BEAT * score.grid.n_beats
    return score if is_clear and score.grid.n_beats >= 8 else None


def _places(score: Score) -> NDArray[np.int64]:
    """Return [N] places in the bar; beats before the first bar line count up to it."""
    index = np.arange(score.grid.n_beats)
    bar_lines = np.flatnonzero(score.grid.is_downbeat)
    if len(bar_lines) == 0:
        return index + 1
    last = np.maximum.accumulate(np.where(score.grid.is_downbeat, index, -1))
    pickup = np.maximum(score.grid.meter - (bar_lines[0] - index), 1)
    return np.where(last >= 0, index - last, pickup)


def _first_s(take: Take, length_s: float, rng: np.random.Generator) -> float:
    """Return where in the take the stretch begins."""
    spare_s = take.duration_s - length_s
    return float(rng.uniform(0.0, spare_s)) if spare_s > 0 and rng.random() < BEGINS_INSIDE else 0.0


def _rendered(take: Take, first_s: float, length_s: float, rng: np.random.Generator) -> Audio:
    """Return the sound of a part of a take; it stops dead or rings on."""
    n_all = round((first_s + length_s + TAIL_S) * SR)
    sound: Audio = soundfont_renderer()(take, SR, n_all).mean(axis=1, dtype=np.float32)
    sound = sound[round(first_s * SR) :]
    end = round(length_s * SR)
    if rng.random() < BREAKS_OFF:
        fade = np.linspace(1.0, 0.0, round(rng.uniform(*FADE_S) * SR), dtype=np.float32)
        sound = sound[: end + len(fade)]
        sound[len(sound) - len(fade) :] *= fade
    else:
        ring = np.exp(-np.arange(len(sound) - end) / (0.4 * SR)).astype(np.float32)
        sound[end:] *= ring
    peak = float(np.abs(sound).max(initial=0.0))
    level = np.float32(10.0 ** (rng.uniform(*PEAK_DB) / 20.0))
    return sound * (level / np.float32(peak)) if peak > 0.0 else sound


def _fill_rest(signal: Audio, first_s: float, last_s: float, rng: np.random.Generator) -> None:
    """Add what is heard between two stretches."""
    start, n = round(first_s * SR), round((last_s - first_s) * SR)
    kind = str(rng.choice(RESTS, p=REST_ODDS))
    n = min(n, len(signal) - start)
    if kind == "silence" or n < SR // 4:
        return
    room = Room(
        sr=SR,
        beat_s=float(rng.uniform(0.3, 1.0)),
        pitch_classes=np.sort(rng.choice(12, 7, replace=False)),
        music=signal,
        impulse_response=np.ones(1, dtype=np.float32),
        speech_program=0.5,
        sampled=0.7,
    )
    if kind == "noise":
        sound = noise(n, SR, rng)
    elif kind == "talk":
        sound = talk(n, SR, rng, room.speech_program)
    else:
        sound = (tuning if kind == "tuning" else noodling)(n, room, rng)
    signal[start : start + n] += np.float32(10.0 ** (rng.uniform(-30.0, -8.0) / 20.0)) * sound[:n]
