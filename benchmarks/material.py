"""How much an editor that learned from one kind of session loses on the other.

    python -m benchmarks.material SCORES UNHEARD --out models/material

SCORES and UNHEARD are folders of MIDI scores; what is in UNHEARD is never learned from. Out of each
score come sessions of two kinds, twins: the same excerpt of the same arrangement with the same
difficulty, and one thing apart. *Performed*: every take is played anew (`performances`). *Spliced*:
the excerpt is played once, and the session is made from copies of that one track (`sessions`).
Editors are trained from scratch on either kind, and on half of each, with equally many sessions and
passes, and judged on both kinds of session of the unheard scores. With `--tracks` there is a fourth
material, which is no twin: as many sessions, spliced out of finished tracks.

Sessions and analyses are kept in the cache; the trained editors are written to `--out`, for
`benchmarks.quality` and `benchmarks.development.score`. Needs what scores need (docs/data.md) and
torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.analysis import ANALYSIS_VERSION, analyze_signal, schema_name
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.checkpoint import Checkpoint, load, save
from rl_editor.config import AnalysisConfig, Config, TrainConfig
from rl_editor.demonstrations import Demonstration, demonstrate
from rl_editor.errors import UserError
from rl_editor.grid import BeatGrid
from rl_editor.pairs import AUDIO_SUFFIXES, SCORE_SUFFIXES, list_files
from rl_editor.parallel import default_jobs, parallel_map
from rl_editor.performance_demonstrations import (
    RECITAL_SHARE,
    RECITAL_SHORTEST_S,
    check_synthesizer,
    in_two,
    performance_demonstration,
    random_excerpt,
)
from rl_editor.performances import make_performance
from rl_editor.policy_inputs import N_INPUTS, Normalisation
from rl_editor.reference_sessions import reference_demonstrations
from rl_editor.score_arrangements import arranged
from rl_editor.score_rendering import soundfont_renderer
from rl_editor.score_takes import Take
from rl_editor.scores import Score, read_score
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import Session, make_medley
from rl_editor.truth_store import store_truth, stored_demonstration
from rl_editor.validation import held_out_scores
from rl_editor.vector_environment import Task

VERSION = 1
"""Raised with every change that makes other spliced sessions out of the same score."""
SEED, UNHEARD_SEED = 40, 1_000_003
"""Of the sessions that are learned from, and of those of the unheard scores."""
UNHEARD_SESSIONS = 3
"""Sessions of each unheard score and kind."""
KINDS = ("spliced", "performed")
HALF, TRACKS = "half of each", "tracks"

FINISHED = dataclasses.replace(
    SessionSettings.named("clean"),
    peak_db=(-1.0, -1.0),
    noise_floor=0.0,
    hum=0.0,
    clipping=0.0,
    band_pass=0.0,
    room=0.0,
    tone=0.0,
    automatic_gain=0.0,
)
"""One good take in the players' room, without the colour of a recording."""

Twins = Mapping[str, Sequence[Demonstration]]
"""The sessions of each of `KINDS`, in one order; those of `TRACKS`, in their own."""


def spliced_session(score_path: str | Path, number: int, seed: int) -> Session:
    """Return the twin of `performance_session`: the same draws, up to the session itself.

    Raises:
        UserError: as `performance_session`.
    """
    content = int(file_sha256(score_path)[:8], 16)
    rng = np.random.default_rng([seed, number, content])
    score = random_excerpt(arranged(read_score(score_path), rng), rng)
    settings = SessionSettings.draw(rng)
    scores = [score]
    if score.duration_s >= RECITAL_SHORTEST_S and rng.random() < RECITAL_SHARE:
        scores = in_two(score, rng)
    pieces = [finished_track(score, rng) for score in scores]
    return make_medley(pieces, AnalysisConfig().sr, rng, settings)


def finished_track(score: Score, rng: np.random.Generator) -> tuple[NDArray[np.float32], BeatGrid]:
    """Return a score played once, [S, 1] at the analysis rate, and the beats that were played."""
    sr, render = AnalysisConfig().sr, soundfont_renderer()
    takes: list[Take] = []

    def overheard(take: Take, sr: int, n: int) -> NDArray[np.float32]:
        takes.append(take)
        return render(take, sr, n)

    played = make_performance(score, sr, rng, FINISHED, overheard)
    # The first take is the score as written, which the session's plan is made from.
    score_s, take_s = np.concatenate(takes[1].marks, axis=1)
    grid = dataclasses.replace(
        score.grid,
        beats_s=np.interp(score.grid.beats_s, score_s, take_s),
        duration_s=played.truth.duration_s,
    )
    return played.signal.mean(axis=1, keepdims=True), grid


def spliced_demonstration(
    score_path: str | Path, number: int, seed: int, cache: Cache | None
) -> Demonstration:
    """Return the demonstration of `spliced_session`, from the cache if it was made before."""
    settings = {"analysis": ANALYSIS_VERSION, "features": schema_name()}
    made = {"spliced score": VERSION, "number": number, "seed": seed}
    key = track_key(file_sha256(score_path), settings | made)
    known = stored_demonstration(key, cache)
    if known is not None:
        return known
    session = spliced_session(score_path, number, seed)
    signal = session.signal.mean(axis=1)
    track = analyze_signal(signal)
    if cache is not None:
        own_key = track_key(hashlib.sha256(signal.tobytes()).hexdigest(), settings)
        cache.store_track(own_key, track)
        store_truth(key, session.truth, cache, own_key)
    return demonstrate(track, session.truth)


def twins_of(score_path: Path, count: int, seed: int) -> dict[str, list[Demonstration]]:
    """Return sessions 0 to `count` - 1 of a score, of each kind."""
    cache, numbers = Cache(), range(count)
    return {
        "spliced": [spliced_demonstration(score_path, n, seed, cache) for n in numbers],
        "performed": [performance_demonstration(score_path, n, seed, cache) for n in numbers],
    }


def all_twins(
    score_paths: Sequence[Path], count: int, seed: int, jobs: int
) -> dict[str, list[Demonstration]]:
    """Return `twins_of` all scores, in the order of the scores."""
    work = partial(twins_of, count=count, seed=seed)
    made = dict(parallel_map(work, score_paths, jobs))
    return {kind: [d for i in sorted(made) for d in made[i][kind]] for kind in KINDS}


def sessions_of_track(path: Path, count: int, seed: int) -> list[Demonstration]:
    """Return sessions 0 to `count` - 1 out of a finished track, without the track itself."""
    return reference_demonstrations(path, count, seed, Cache())[1:]


def sessions_of_tracks(
    paths: Sequence[Path], n_sessions: int, seed: int, jobs: int
) -> list[Demonstration]:
    """Return `n_sessions` sessions spliced out of finished tracks, about equally many of each."""
    work = partial(sessions_of_track, count=-(-n_sessions // len(paths)), seed=seed)
    made = dict(parallel_map(work, paths, jobs))
    everything = [d for i in sorted(made) for d in made[i]]
    chosen = np.random.default_rng(seed).permutation(len(everything))[:n_sessions]
    return [everything[i] for i in np.sort(chosen)]


def material(name: str, twins: Twins) -> list[Demonstration]:
    """Return what a material is; of half of each, every excerpt is heard in one kind."""
    if name != HALF:
        return list(twins[name])
    pairs = zip(*(twins[kind] for kind in KINDS), strict=True)
    return [pair[index % 2] for index, pair in enumerate(pairs)]


def trained(shown: Sequence[Demonstration], seed: int, n_passes: int) -> Checkpoint:
    """Return an editor that learned from demonstrations alone, from scratch: its last weights."""
    import torch

    from rl_editor.agent import Agent
    from rl_editor.behavioral_cloning import clone
    from rl_editor.cloning_examples import example

    config = Config(train=TrainConfig(seed=seed, bc_epochs=n_passes, epochs=0))
    normalisation = Normalisation.fit([d.track for d in shown])
    torch.manual_seed(seed)
    agent = Agent(config.agent, N_INPUTS)
    clone(
        agent,
        [example(d, normalisation) for d in shown],
        config=config,
        rng=np.random.default_rng(seed),
        on_epoch=lambda epoch, loss: print(f"  pass {epoch + 1}: loss {loss:.3f}", flush=True),
    )
    return Checkpoint(config, shown[0].track.schema, normalisation, {}, agent.arrays())


def f1_by_kind(editor: Checkpoint, unheard: Twins) -> dict[str, float]:
    """Return the mean F1 of an editor's edits of the unheard sessions of each kind."""
    return {
        kind: held_out_scores(editor, [Task(d.track, d) for d in unheard[kind]])["f1"]
        for kind in KINDS
    }


def table(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Return mean and standard deviation over the seeds as text, a line for each material."""
    lines = [f"{'learned from':<14}" + "".join(f"{'F1 on ' + kind:>20}" for kind in KINDS)]
    for name, scores in rows.items():
        cells = []
        for kind in KINDS:
            f1 = [score[kind] for score in scores]
            spread = np.std(f1, ddof=1) if len(f1) > 1 else 0.0
            cells.append(f"{np.mean(f1):>12.3f} +- {spread:.3f}")
        lines.append(f"{name:<14}" + "".join(cells))
    return "\n".join(lines)


def compare(heard: Twins, unheard: Twins, arguments: argparse.Namespace) -> str:
    """Train an editor for each seed and material, judge it, and return the table.

    An editor that lies in the folder already is judged as it is.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in (*heard, HALF)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for name in rows:
            path = arguments.out / f"{name.replace(' ', '-')}-{seed}.pt"
            if not path.exists():
                print(f"training {path}", flush=True)
                save(path, trained(material(name, heard), seed, arguments.passes))
            rows[name].append(f1_by_kind(load(path), unheard))
            print(path, *(f"{k} {f1:.4f}" for k, f1 in rows[name][-1].items()), flush=True)
    return table(rows)


def files_in(folder: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    """Return the files of some kinds in a folder.

    Raises:
        UserError: there are none.
    """
    found = list_files(folder, suffixes, []) if folder.is_dir() else []
    if not found:
        raise UserError(f"{folder} should be a folder of {what}, but holds none.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder of scores to learn from")
    parser.add_argument("unheard", type=Path, help="folder of other scores to be judged by")
    parser.add_argument("--tracks", type=Path, help="folder of finished tracks to learn from, too")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained editors")
    parser.add_argument("--sessions", type=int, default=4, help="of each score and kind")
    parser.add_argument("--passes", type=int, default=7, help="over all sessions")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the trainings")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes that prepare")
    arguments = parser.parse_args()
    try:
        check_synthesizer()
        paths, unheard_paths = (
            files_in(folder, SCORE_SUFFIXES, "MIDI scores")
            for folder in (arguments.scores, arguments.unheard)
        )
        tracks = arguments.tracks and files_in(arguments.tracks, AUDIO_SUFFIXES, "finished tracks")
        heard = all_twins(paths, arguments.sessions, SEED, arguments.jobs)
        unheard = all_twins(unheard_paths, UNHEARD_SESSIONS, UNHEARD_SEED, arguments.jobs)
        n_sessions = len(heard["spliced"])
        print(f"{n_sessions} sessions of each kind to learn from", flush=True)
        if tracks:
            heard[TRACKS] = sessions_of_tracks(tracks, n_sessions, SEED, arguments.jobs)
        print(compare(heard, unheard, arguments))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
