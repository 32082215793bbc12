"""Demonstrations out of MIDI scores: an arrangement, an excerpt, a session in which it was played.

In: a MIDI file and a number. Out: a `Demonstration`; the same inputs give the same one.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from rl_editor.analysis import ANALYSIS_VERSION, analyze_signal, schema_name
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.config import AnalysisConfig
from rl_editor.demonstrations import Demonstration, demonstrate
from rl_editor.performances import make_recital
from rl_editor.score_arrangements import arranged
from rl_editor.score_rendering import find_soundfont, soundfont_renderer
from rl_editor.scores import Score, excerpt, import_mido, read_score, stretched
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import Session
from rl_editor.track import Track
from rl_editor.truth_store import store_truth, stored_demonstration

VERSION = 4
"""Raised with every change that makes other sessions out of the same score."""
EXCERPT_S = (20.0, 180.0)
"""Range of the excerpts' lengths, drawn evenly on a logarithmic scale, s."""
RECITAL_SHARE = 0.15
"""Share of the excerpts of some length that are parted in two and played as two pieces."""
RECITAL_SHORTEST_S = 60.0
_OTHER_TEMPO = 0.15
"""Standard deviation of the logarithm of the second piece's tempo against the first one's."""
_FEWEST_BEATS, _FEWEST_NOTES = 16, 24
_TRIES = 20


def check_synthesizer() -> None:
    """Raise `UserError` where a package or soundfont is missing that scores need to be played."""
    import_mido()
    soundfont_renderer()


def performance_session(score_path: str | Path, number: int, seed: int) -> Session:
    """Return session `number` in which a score was played, at the analysis rate.

    Raises:
        UserError: the file is no score; `mido`, `tinysoundfont` or a soundfont is missing.
    """
    sha256 = file_sha256(score_path)
    rng = np.random.default_rng([seed, number, int(sha256[:8], 16)])
    score = random_excerpt(arranged(_score(str(score_path), sha256), rng), rng)
    settings = SessionSettings.draw(rng)
    scores = [score]
    if score.duration_s >= RECITAL_SHORTEST_S and rng.random() < RECITAL_SHARE:
        scores = in_two(score, rng)
    return make_recital(scores, AnalysisConfig().sr, rng, settings, soundfont_renderer())


@lru_cache(maxsize=4)
def _score(path: str, sha256: str) -> Score:
    """Return the score in a file of which `sha256` is the sum, from memory for the next session."""
    return read_score(path)


def performance_demonstration(
    score_path: str | Path, number: int, seed: int, cache: Cache | None
) -> Demonstration:
    """Return the demonstration of session `number` in which a score was played.

    One whose truth and analysis are in the cache is not made again.

    Raises:
        UserError: see `performance_session`.
    """
    settings = {
        "performance": VERSION,
        "analysis": ANALYSIS_VERSION,
        "features": schema_name(),
        "soundfont": _soundfont_sha256(str(find_soundfont())),
        "number": number,
        "seed": seed,
    }
    key = track_key(file_sha256(score_path), settings)
    demonstration = stored_demonstration(key, cache)
    if demonstration is not None:
        return demonstration
    session = performance_session(score_path, number, seed)
    track, own_key = _session_track(session, cache)
    store_truth(key, session.truth, cache, own_key)
    return demonstrate(track, session.truth)


@lru_cache(maxsize=1)
def _soundfont_sha256(path: str) -> str:
    """Return the hash of a soundfont, which takes half a second, once."""
    return file_sha256(path)


def _session_track(session: Session, cache: Cache | None) -> tuple[Track, str]:
    """Return the analysis of a session and its key."""
    signal = session.signal.mean(axis=1)
    sha256 = hashlib.sha256(signal.tobytes()).hexdigest()
    key = track_key(sha256, {"version": ANALYSIS_VERSION, "performance": schema_name()})
    track = cache.load_track(key) if cache is not None else None
    if track is None:
        track = analyze_signal(signal)
        if cache is not None:
            cache.store_track(key, track)
    return track, key


def random_excerpt(score: Score, rng: np.random.Generator) -> Score:
    """Return some bars of a score in which there is something to hear."""
    bars = score.grid.bar_lines()
    bars_s = score.bars_s
    for _ in range(_TRIES):
        longest_s = min(EXCERPT_S[1], score.duration_s)
        shortest_s = min(EXCERPT_S[0], longest_s)
        length_s = float(np.exp(rng.uniform(np.log(shortest_s), np.log(longest_s))))
        start_s = rng.uniform(0.0, score.duration_s - length_s)
        first, last = np.searchsorted(bars_s, [start_s, start_s + length_s])
        first, last = int(bars[first]), int(bars[min(last, len(bars) - 1)])
        if last - first < _FEWEST_BEATS:
            continue
        part = excerpt(score, first, last)
        if len(part.notes) >= _FEWEST_NOTES:
            return part
    return score


def in_two(score: Score, rng: np.random.Generator) -> list[Score]:
    """Return a score in two, parted at a bar line in its middle half; each has its own tempo."""
    bars, n_beats = score.grid.bar_lines(), score.grid.n_beats
    inner = bars[(bars > n_beats // 4) & (bars < n_beats - n_beats // 4)]
    if len(inner) == 0:
        return [score]
    at = int(rng.choice(inner))
    second = stretched(excerpt(score, at, n_beats), float(np.exp(rng.normal(0.0, _OTHER_TEMPO))))
    return [excerpt(score, 0, at), second]
