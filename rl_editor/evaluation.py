"""Editors over recordings with a known truth: every number of every case, and means over all.

Cases are worked on in parallel; what comes out does not depend on the number of processes, but
for the seconds of compute.

In: `Case`s and `Editor`s. Out: `CaseResult`s, and of each `Measure` an `Estimate`: the mean over
the cases with a 95% interval by the bootstrap (Efron 1979; percentiles, cases drawn again).
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rl_editor import audio
from rl_editor.analysis import analyze
from rl_editor.cache import Cache
from rl_editor.cut_scores import CutScores, cut_scores, level_error_db
from rl_editor.edit_joins import measured_joins, stands_out
from rl_editor.editors import Edited, Editor, Recording, run_editor
from rl_editor.edl import Clip, Join
from rl_editor.errors import UserError
from rl_editor.evaluate import EditScores, score_edit
from rl_editor.evaluation_cases import Case, case_truth
from rl_editor.evaluation_pictures import draw_case
from rl_editor.join_measures import INAUDIBLE
from rl_editor.materials import Material
from rl_editor.parallel import parallel_map
from rl_editor.track import Track
from rl_editor.truth import Truth

N_RESAMPLES = 1000
INTERVAL = 0.95


@dataclass(frozen=True)
class EditorResult:
    """What one editor made of one case.

    Attributes:
        edit: which seconds, in which order.
        cuts: how exactly it cuts.
        joins: how its passages go over into each other.
        level_error_db: of its takes; None where the truth says nothing about levels.
        compute_s_per_min: processor time for each minute of the recording, without the analysis
            that all editors of this package share.
    """

    edit: EditScores
    cuts: CutScores
    joins: tuple[Join, ...]
    level_error_db: float | None
    compute_s_per_min: float


@dataclass(frozen=True)
class CaseResult:
    """What all editors made of one case.

    Attributes:
        name, kind, tags: of the case.
        path: of its recording.
        duration_s: of the recording.
        wanted_s: how much of it is wanted.
        unwanted_s: how much of it is not, by material.
        analysis_s_per_min: processor time of the analysis; None where it came from the cache.
        results: by the editor's name; without those that failed.
        problems: one sentence for each failure.
    """

    name: str
    kind: str
    tags: tuple[str, ...]
    path: str
    duration_s: float
    wanted_s: float
    unwanted_s: dict[Material, float]
    analysis_s_per_min: float | None
    results: dict[str, EditorResult]
    problems: tuple[str, ...] = ()


def evaluate_cases(
    cases: Sequence[Case],
    editors: Sequence[Editor],
    jobs: int,
    pictures: Path | None,
    on_done: Callable[[int, str], None],
) -> tuple[list[CaseResult], list[str]]:
    """Return the results of all cases in their order, and a sentence for each failure.

    Args:
        cases: the recordings.
        editors: with different names.
        jobs: processes.
        pictures: folder for a picture of each case, or None.
        on_done: hears how many cases are done, and the name of the last one.
    """
    work = functools.partial(evaluate_case, editors=tuple(editors), pictures=pictures)
    found: dict[int, CaseResult | str] = {}
    for index, result in parallel_map(work, cases, jobs):
        found[index] = result
        on_done(len(found), cases[index].name)
    in_order = [found[index] for index in range(len(cases))]
    results = [result for result in in_order if isinstance(result, CaseResult)]
    problems = [result for result in in_order if isinstance(result, str)]
    return results, problems + [problem for result in results for problem in result.problems]


def evaluate_case(
    case: Case, editors: tuple[Editor, ...], pictures: Path | None
) -> CaseResult | str:
    """Return what the editors made of a case, or why the case cannot be used."""
    cache = Cache()
    try:
        track, analysis_s = _analyzed(case, cache)
        truth, has_levels = case_truth(case, track, cache)
    except UserError as error:
        return str(error)
    recording = Recording(case.name, case.path, track, truth)
    edits: dict[str, Edited] = {}
    problems = []
    for editor in editors:
        try:
            edits[editor.name] = run_editor(editor, recording)
        except UserError as error:
            problems.append(f"{editor.name}, {case.name}: {error}")
    results = {name: _judged(edited, recording, has_levels) for name, edited in edits.items()}
    if pictures is not None:
        clips = {name: edited.clips for name, edited in edits.items()}
        scores = {name: result.edit for name, result in results.items()}
        draw_case(recording, clips, scores, pictures / picture_name(case))
    return CaseResult(
        case.name,
        case.kind,
        case.tags,
        str(case.path),
        truth.duration_s,
        sum(s.end_s - s.start_s for s in truth.segments if s.wanted),
        _unwanted_s(truth),
        None if analysis_s is None else 60.0 * analysis_s / track.duration_s,
        results,
        tuple(problems),
    )


def picture_name(case: Case) -> str:
    """Return the name of the file of a case's picture."""
    return re.sub(r"[^\w.-]+", "-", case.name).strip("-.") + ".png"


def _analyzed(case: Case, cache: Cache) -> tuple[Track, float | None]:
    """Return the analysis of a case, and its processor time unless it was in the cache."""
    seen: list[float] = []
    started_s = time.process_time()
    track = analyze(case.path, cache=cache, on_stage=lambda _, share: seen.append(share))
    return track, None if seen == [0.0, 1.0] else time.process_time() - started_s


def _unwanted_s(truth: Truth) -> dict[Material, float]:
    unwanted_s = dict.fromkeys(Material, 0.0)
    for segment in truth.segments:
        if not segment.wanted:
            unwanted_s[segment.material] += segment.end_s - segment.start_s
    return unwanted_s


def _judged(edited: Edited, recording: Recording, has_levels: bool) -> EditorResult:
    track, truth, clips = recording.track, recording.truth, edited.clips
    return EditorResult(
        edit=score_edit(clips, truth, edited.foreign_s),
        cuts=cut_scores(clips, truth, float(np.median(track.grid.durations_s))),
        joins=_joins(clips, recording),
        level_error_db=level_error_db(clips, truth) if has_levels else None,
        compute_s_per_min=60.0 * edited.compute_s / track.duration_s,
    )


def _joins(clips: Sequence[Clip], recording: Recording) -> tuple[Join, ...]:
    with audio.AudioReader(recording.path) as reader:
        return measured_joins(clips, reader, recording.track.grid)


# Measures and their estimates

Values = Sequence[float]
Pool = Literal["mean", "median"]


@dataclass(frozen=True)
class Measure:
    """A number of an edit.

    Attributes:
        key: in the JSON file.
        title: in the table.
        form: how a value is written, a format specification of Python.
        values: of one case; none where it says nothing about the measure.
        pool: what is made of the values of all cases together.
    """

    key: str
    title: str
    form: str
    values: Callable[[CaseResult, EditorResult], Values]
    pool: Pool = "mean"


@dataclass(frozen=True)
class Estimate:
    """A measure over cases: its value, the ends of its 95% interval, how many cases it is of."""

    value: float
    low: float
    high: float
    n: int


def _known(value: float | None) -> Values:
    return () if value is None else (value,)


def _leaked_share(case: CaseResult, result: EditorResult) -> Values:
    unwanted_s = sum(case.unwanted_s.values())
    return (sum(result.edit.leaked_s.values()) / unwanted_s,) if unwanted_s > 0.01 else ()


def _percentiles(name: str) -> Callable[[CaseResult, EditorResult], Values]:
    return lambda case, result: [getattr(join, f"{name}_percentile") for join in result.joins]


MEASURES: tuple[Measure, ...] = (
    Measure("f1", "F1", ".3f", lambda c, r: (r.edit.f1,)),
    Measure("precision", "precision", ".3f", lambda c, r: (r.edit.precision,)),
    Measure("recall", "recall", ".3f", lambda c, r: (r.edit.recall,)),
    Measure("wanted_lost_s", "wanted lost, s", ".1f", lambda c, r: (r.edit.wanted_lost_s,)),
    Measure("wanted_lost", "wanted lost, share", ".1%", lambda c, r: (1.0 - r.edit.recall,)),
    Measure("leaked_s", "unwanted kept, s", ".1f", lambda c, r: (sum(r.edit.leaked_s.values()),)),
    Measure("leaked", "unwanted kept, share", ".1%", _leaked_share),
    Measure("foreign_s", "from elsewhere, s", ".1f", lambda c, r: (r.edit.foreign_s,)),
    Measure("order_tau", "order (Kendall tau)", ".3f", lambda c, r: (r.edit.order_tau,)),
    Measure("duration_error_s", "length error, s", "+.1f", lambda c, r: (r.edit.duration_error_s,)),
    Measure(
        "cut_error_ms",
        "cut error, ms (median)",
        ".0f",
        lambda c, r: [1000.0 * error_s for error_s in r.cuts.errors_s],
        "median",
    ),
    Measure(
        "cuts_found_50ms", "cuts found in 50 ms", ".1%", lambda c, r: _known(r.cuts.found_near)
    ),
    Measure(
        "cuts_found_beat", "cuts found in a beat", ".1%", lambda c, r: _known(r.cuts.found_beat)
    ),
    Measure(
        "joins_smooth",
        "joins that do not stand out",
        ".1%",
        lambda c, r: [float(not stands_out(join)) for join in r.joins],
    ),
    *(
        Measure(f"{name}_percentile", f"{words} (percentile)", ".0f", _percentiles(name), "median")
        for name, words in zip(
            INAUDIBLE,
            ("join: click", "join: level step", "join: beat", "join: harmony"),
            strict=True,
        )
    ),
    Measure("level_error_db", "level error, dB", ".2f", lambda c, r: _known(r.level_error_db)),
    Measure("compute_s_per_min", "compute, s a minute", ".2f", lambda c, r: (r.compute_s_per_min,)),
)
"""Percentiles and cut errors are medians over all joins and cuts of all cases together."""


def estimates(
    measure: Measure, cases: Sequence[CaseResult], editors: Sequence[str]
) -> dict[str, Estimate | None]:
    """Return a measure over cases for each editor; None where no case says anything.

    The cases that are drawn again are the same for editors that have a number for the same cases.
    """
    found: dict[str, Estimate | None] = {}
    for name in editors:
        values = [measure.values(c, c.results[name]) for c in cases if name in c.results]
        found[name] = _estimate([own for own in values if len(own)], measure.pool)
    return found


def difference(
    measure: Measure, cases: Sequence[CaseResult], editor: str, base: str
) -> Estimate | None:
    """Return by how much a measure is higher for an editor than for another, case by case.

    Cases differ much more than editors do, so its interval is narrower than those of the two.
    Only for measures that have one value a case and are means.
    """
    shared = [case for case in cases if editor in case.results and base in case.results]
    pairs = [
        [measure.values(case, case.results[name]) for name in (editor, base)] for case in shared
    ]
    gains = [[own[0] - other[0]] for own, other in pairs if len(own) == len(other) == 1]
    return _estimate(gains, measure.pool)


def _estimate(values: Sequence[Values], pool: Pool) -> Estimate | None:
    """Return what is made of the values of cases, and of cases drawn again."""
    n = len(values)
    if n == 0:
        return None
    flat = np.concatenate([np.asarray(own, dtype=np.float64) for own in values])
    case = np.repeat(np.arange(n), [len(own) for own in values])
    draws = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    times_drawn = np.stack([np.bincount(draw, minlength=n) for draw in draws])
    drawn = _POOLS[pool](flat, times_drawn[:, case].astype(np.float64))
    tail = 100.0 * (1.0 - INTERVAL) / 2.0
    low, high = np.percentile(drawn, (tail, 100.0 - tail))
    value = np.mean(flat) if pool == "mean" else np.median(flat)
    return Estimate(float(value), float(low), float(high), n)


def _means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [B] the means of values [K] under weights [B, K]."""
    return weights @ values / weights.sum(axis=1)


def _medians(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [B] the medians of values [K] under weights [B, K]."""
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[:, order], axis=1)
    return values[order[(passed >= passed[:, -1:] / 2).argmax(axis=1)]]


_POOLS = {"mean": _means, "median": _medians}
