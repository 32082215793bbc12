"""Folders of finished tracks and MIDI scores as training pairs: `rl-editor sessions make`.

Whole tracks at their own rate become sessions (`sessions`), whole scores are played
(`performances`). What a session holds depends on the file's bytes, the seed, the number and the
difficulty; its name tells the last three, so sessions of several calls can share a folder.

In: a folder. Out: files as `session_files` describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rl_editor.analysis import analyze
from rl_editor.audio import BLOCK_SAMPLES, AudioReader
from rl_editor.cache import Cache, file_sha256
from rl_editor.conversion import OutputFormat, converted
from rl_editor.errors import UserError
from rl_editor.pairs import AUDIO_SUFFIXES, SCORE_SUFFIXES, list_files
from rl_editor.parallel import parallel_map
from rl_editor.performance_demonstrations import check_synthesizer
from rl_editor.session_files import Origin, read_origin, session_paths, write_session
from rl_editor.session_settings import DIFFICULTIES, SessionSettings
from rl_editor.sessions import Session, make_session

MIXED = "mixed"
"""A difficulty that is drawn anew for each session."""
SCORE_SR = 44_100
"""Sample rate at which scores are played, Hz."""
MAX_PIECE_S = 1200.0
"""Longest piece, s: a session lasts up to seven times as long and is made in memory."""


@dataclass(frozen=True)
class SessionOrder:
    """What is asked for.

    Attributes:
        source: folder of finished tracks and scores.
        folder: of training data, where the sessions go.
        count: sessions made out of each piece.
        seed: at least 0.
        difficulty: one of `DIFFICULTIES`, or `MIXED`.
    """

    source: Path
    folder: Path
    count: int = 1
    seed: int = 0
    difficulty: str = MIXED


@dataclass(frozen=True)
class SessionJob:
    """One session to be made."""

    path: Path
    folder: Path
    number: int
    seed: int
    difficulty: str

    @property
    def name(self) -> str:
        """Of the session: the piece, a difficulty that is not drawn, the seed, the number."""
        middle = "" if self.difficulty == MIXED else f"{self.difficulty}-"
        return f"{self.path.stem}-{middle}s{self.seed}-{self.number + 1:02d}"

    @property
    def is_score(self) -> bool:
        """Whether the piece is a MIDI score."""
        return self.path.suffix.lower() in SCORE_SUFFIXES


@dataclass(frozen=True)
class SessionResult:
    """What became of a job: `words` sum the session up, or say why it was left out."""

    name: str
    outcome: Literal["made", "stands", "left out"]
    words: str = ""


def find_jobs(order: SessionOrder) -> tuple[list[SessionJob], list[str]]:
    """Return the sessions to be made, and a sentence for each file that cannot be used.

    Raises:
        UserError: there is no such folder, it holds no track and no score, or the folder for the
            sessions cannot be made.
    """
    if not order.source.is_dir():
        raise UserError(
            f"the finished tracks should be in the folder {order.source}, but that is "
            f"{'a file' if order.source.exists() else 'not there'}; name the folder with --from."
        )
    _check_folder(order.folder)
    problems: list[str] = []
    files = list_files(order.source, AUDIO_SUFFIXES + SCORE_SUFFIXES, problems)
    if not files:
        raise UserError(
            f"{order.source} should hold finished tracks or MIDI scores, but holds neither; name "
            "another folder with --from."
        )
    pieces = _distinct(_playable(files, problems), problems)
    jobs = [
        SessionJob(path, order.folder, number, order.seed, order.difficulty)
        for path in pieces
        for number in range(order.count)
    ]
    return jobs, problems


def _check_folder(folder: Path) -> None:
    """Raise `UserError` unless a folder is there or can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the sessions should be written to the folder {folder}, but it cannot be made "
            f"({error.strerror}); name another with --out."
        ) from error


def _distinct(files: Sequence[Path], problems: list[str]) -> list[Path]:
    """Return the files without those whose sessions would have the names of another's.

    Of a track and a score of one name the track stays.
    """
    first: dict[str, Path] = {}
    for path in sorted(files, key=lambda path: (path.suffix.lower() in SCORE_SUFFIXES, path)):
        other = first.setdefault(path.stem.casefold(), path)
        if other != path:
            problems.append(f"{path} is left out: {other.name} has the same name.")
    return list(first.values())


def _playable(files: Sequence[Path], problems: list[str]) -> list[Path]:
    """Return the files without scores where nothing can play them, a problem for all of them."""
    scores = [path for path in files if path.suffix.lower() in SCORE_SUFFIXES]
    if not scores:
        return list(files)
    try:
        check_synthesizer()
    except UserError as error:
        problems.append(f"the MIDI scores ({len(scores)}), {scores[0]} first: {error}")
        return [path for path in files if path not in scores]
    return list(files)


def make_sessions(
    jobs: Sequence[SessionJob], n_processes: int, on_result: Callable[[SessionResult], None]
) -> list[SessionResult]:
    """Make the sessions and return what became of each, in the order of the jobs.

    Args:
        jobs: of `find_jobs`.
        n_processes: that work at a time; the files are the same for any number.
        on_result: hears of each session as it is done.
    """
    results: list[SessionResult | None] = [None] * len(jobs)
    for index, result in _in_good_order(jobs, n_processes):
        results[index] = result
        on_result(result)
    return [result for result in results if result is not None]


def _in_good_order(
    jobs: Sequence[SessionJob], n_processes: int
) -> Iterator[tuple[int, SessionResult]]:
    """Yield (index, result): first one session of each track, whose analysis is then kept."""
    for is_first in (True, False):
        chosen = [i for i, job in enumerate(jobs) if (job.number == 0) == is_first]
        done = parallel_map(make_one, [jobs[i] for i in chosen], n_processes)
        yield from ((chosen[place], result) for place, result in done)


def make_one(job: SessionJob) -> SessionResult:
    """Make a session and write it, unless it is there already."""
    try:
        recipe = f"{job.difficulty}, seed {job.seed}, number {job.number + 1}"
        origin = Origin(job.path.stem, file_sha256(job.path), recipe)
        if _stands(job, origin):
            return SessionResult(job.name, "stands")
        session = _session(job, int(origin.sha256[:8], 16))
        write_session(session, job.folder, job.name, origin)
    except UserError as error:
        return SessionResult(job.name, "left out", str(error))
    return SessionResult(job.name, "made", session.summary)


def _stands(job: SessionJob, origin: Origin) -> bool:
    """Return whether the session is there; raises `UserError` if another one has its name."""
    raw, edit, truth = session_paths(job.folder, job.name)
    if not truth.exists() or not raw.exists() or not edit.exists():
        return False
    if read_origin(truth) != origin:
        raise UserError(
            f"{truth} should be about a session made out of {job.path}, but is about another one; "
            "move that session away or choose another folder."
        )
    return True


def _session(job: SessionJob, content: int) -> Session:
    """Return the session of a job; `content` stands for the bytes of the piece."""
    rng = np.random.default_rng([job.seed, job.number, content])
    is_mixed = job.difficulty not in DIFFICULTIES
    settings = SessionSettings.draw(rng) if is_mixed else SessionSettings.named(job.difficulty)
    if job.is_score:
        from rl_editor.performances import make_performance
        from rl_editor.score_rendering import soundfont_renderer
        from rl_editor.scores import read_score

        score = read_score(job.path)
        _check_length(job.path, score.duration_s)
        return make_performance(score, SCORE_SR, rng, settings, soundfont_renderer())
    signal, sr = read_track(job.path)
    grid = analyze(job.path, cache=Cache()).grid
    return make_session(signal, sr, grid, rng, settings)


def read_track(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """Return a finished track, [S, C] float32 in mono or stereo, and its sample rate, Hz.

    More than two channels are mixed to stereo as `conversion` says.

    Raises:
        UserError: the file cannot be read or is longer than `MAX_PIECE_S`.
    """
    with AudioReader(path) as reader:
        info = reader.info
        _check_length(path, info.duration_s)
        wanted = OutputFormat(channels=min(info.channels, 2)).applied(info)
        blocks = list(converted(reader.blocks(BLOCK_SAMPLES), info, wanted))
    if not blocks:
        raise UserError(f"{path} holds no sound; choose another file.")
    return np.concatenate(blocks).astype(np.float32, copy=False), info.sample_rate


def _check_length(path: str | Path, duration_s: float) -> None:
    if duration_s > MAX_PIECE_S:
        raise UserError(
            f"{path} lasts {duration_s / 60:.0f} minutes, but sessions are made out of pieces of "
            f"at most {MAX_PIECE_S / 60:.0f}; cut it into its pieces."
        )
