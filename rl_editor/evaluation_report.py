"""What an evaluation says: tables for the terminal, all numbers as JSON.

In: `CaseResult`s. Out: text.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_editor.atomic import atomic_path
from rl_editor.evaluation import INTERVAL, MEASURES, CaseResult, EditorResult, Estimate, estimates
from rl_editor.materials import Material

ALL = "all"
_BY_KIND = ("f1", "wanted_lost", "leaked")
"""Measures that are told for each kind of case as well."""
_CELL = 23
"""Width of a column."""


def tables(results: Sequence[CaseResult], editors: Sequence[str], width: int) -> str:
    """Return the numbers over all cases, by kind of case and of what leaks.

    Args:
        results: of all cases.
        editors: names, a column each.
        width: of the terminal; editors that do not fit stand below.
    """
    hours = sum(case.duration_s for case in results) / 3600.0
    n_columns = max(1, (width - _title_width(results)) // _CELL)
    parts = [
        f"{len(results)} recordings, {hours:.2f} hours; mean over them and {INTERVAL:.0%} interval"
    ]
    for start in range(0, len(editors), n_columns):
        shown = editors[start : start + n_columns]
        parts += [_main_table(results, shown), _kind_table(results, shown)]
        parts.append(_leak_table(results, shown))
    analysis = [c.analysis_s_per_min for c in results if c.analysis_s_per_min is not None]
    if analysis:
        parts.append(
            f"The analysis, which all editors of this package share, took "
            f"{sum(analysis) / len(analysis):.2f} s a minute ({len(analysis)} recordings)."
        )
    return "\n\n".join(parts)


def case_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    """Return F1, seconds lost and seconds leaked of every case, three columns an editor."""
    width = max(len(case.name) for case in results)
    lines = [f"{'F1, lost s, leaked s':<{width}}" + "".join(f"{n[-20:]:>24}" for n in editors)]
    for case in results:
        line = f"{case.name:<{width}}"
        for name in editors:
            line += f"{_case_cell(case.results.get(name)):>24}"
        lines.append(line)
    return "\n".join(lines)


def _case_cell(result: EditorResult | None) -> str:
    if result is None:
        return "failed"
    edit = result.edit
    return f"{edit.f1:.3f}{edit.wanted_lost_s:>8.1f}{sum(edit.leaked_s.values()):>8.1f}"


def _title_width(results: Sequence[CaseResult]) -> int:
    titles = [measure.title for measure in MEASURES]
    titles += [f"{case.kind} (999) unwanted kept, share" for case in results]
    return max(map(len, titles)) + 1


def _row(title: str, cells: Sequence[str], width: int) -> str:
    return (f"{title:<{width}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)).rstrip()


def _cell(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return "-"
    low, high = (format(value, form) for value in (estimate.low, estimate.high))
    return f"{estimate.value:{form}} ({low}..{high})" if low != high else f"{estimate.value:{form}}"


def _main_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    width = _title_width(results)
    lines = [_row("", [name[-(_CELL - 1) :] for name in editors], width)]
    counts = [sum(name in case.results for case in results) for name in editors]
    lines.append(_row("recordings", [str(count) for count in counts], width))
    for measure in MEASURES:
        found = estimates(measure, results, editors)
        if all(e is None for e in found.values()) or _is_idle(measure.key, found):
            continue
        cells = [_cell(found[name], measure.form) for name in editors]
        lines.append(_row(measure.title, cells, width))
    return "\n".join(lines)


def _is_idle(key: str, found: dict[str, Estimate | None]) -> bool:
    """Return whether nothing came from elsewhere: then the line says nothing."""
    return key == "foreign_s" and all(e is None or e.high == 0.0 for e in found.values())


def _by_kind(results: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    """Return the cases of each kind, in the order in which the kinds are met."""
    groups: dict[str, list[CaseResult]] = {}
    for case in results:
        groups.setdefault(case.kind, []).append(case)
    return groups


def _kind_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    width = _title_width(results)
    lines = [_row("by kind of recording", [], width)]
    measures = [measure for measure in MEASURES if measure.key in _BY_KIND]
    for (kind, cases), measure in itertools.product(_by_kind(results).items(), measures):
        found = estimates(measure, cases, editors)
        if any(e is not None for e in found.values()):
            title = f"{kind} ({len(cases)}) {measure.title}"
            lines.append(_row(title, [_cell(found[n], measure.form) for n in editors], width))
    return "\n".join(lines)


def _leak_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    """Return the seconds of each material that leak, and their share of what there is of it."""
    width = _title_width(results)
    lines = [_row("unwanted kept, by what it is", [], width)]
    for material in Material:
        there_s = sum(case.unwanted_s[material] for case in results)
        cells = []
        for name in editors:
            own = [case for case in results if name in case.results]
            kept_s = sum(case.results[name].edit.leaked_s[material] for case in own)
            of_s = sum(case.unwanted_s[material] for case in own)
            cells.append(f"{kept_s:.0f} s" + (f" ({kept_s / of_s:.0%})" if of_s > 0.5 else ""))
        if there_s > 0.0 or any(cell != "0 s" for cell in cells):
            words = material.name.lower().replace("_", " ")
            lines.append(_row(f"{words} (of {there_s:.0f} s)", cells, width))
    return "\n".join(lines)


def findings(
    results: Sequence[CaseResult], editors: Sequence[str], problems: Sequence[str]
) -> dict[str, Any]:
    """Return everything as values of JSON."""
    groups = {ALL: list(results)} | _by_kind(results)
    summary = {
        group: {
            name: {
                measure.key: None if found is None else dataclasses.asdict(found)
                for measure in MEASURES
                for found in [estimates(measure, cases, [name])[name]]
            }
            for name in editors
        }
        for group, cases in groups.items()
    }
    return {
        "summary": summary,
        "cases": [_case_values(case) for case in results],
        "problems": list(problems),
    }


def _case_values(case: CaseResult) -> dict[str, Any]:
    values = dataclasses.asdict(dataclasses.replace(case, results={}))
    del values["problems"]
    values["unwanted_s"] = _by_name(case.unwanted_s)
    values["results"] = {name: _values(result) for name, result in case.results.items()}
    return values


def _values(result: EditorResult) -> dict[str, Any]:
    values = dataclasses.asdict(result)
    values["edit"]["leaked_s"] = _by_name(result.edit.leaked_s)
    values["cuts"]["median_ms"] = result.cuts.median_ms
    return values


def _by_name(seconds: dict[Material, float]) -> dict[str, float]:
    return {material.name.lower(): value for material, value in seconds.items()}


def write_findings(path: Path, values: dict[str, Any]) -> None:
    """Write the findings as JSON; an `OSError` of the file comes through."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
