"""What an evaluation says: tables for the terminal, all numbers as JSON.

In: `CaseResult`s. Out: text.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_editor.atomic import atomic_path
from rl_editor.evaluation import (
    INTERVAL,
    MEASURES,
    CaseResult,
    EditorResult,
    Estimate,
    Measure,
    difference,
    estimates,
)
from rl_editor.materials import Material

ALL = "all"
_BY_KIND = ("f1", "wanted_lost", "leaked")
"""Measures that are told for each kind of case as well."""
_F1 = MEASURES[0]
_TITLE = max(len(measure.title) for measure in MEASURES) + 1
_CELL = 15
"""Width of the first column and of the others."""


def tables(results: Sequence[CaseResult], editors: Sequence[str], width: int) -> str:
    """Return the numbers over all cases, by kind of case and of what leaks.

    Args:
        results: of all cases.
        editors: names, a column each.
        width: of the terminal; editors that do not fit stand below.
    """
    hours = sum(case.duration_s for case in results) / 3600.0
    n_columns = max(1, (width - _TITLE) // _CELL)
    parts = [
        f"{_count(results)}, {hours:.2f} hours; means over them, \u00b1 half of the "
        f"{INTERVAL:.0%} interval"
    ]
    for start in range(0, len(editors), n_columns):
        shown = editors[start : start + n_columns]
        parts.append(_main_table(results, shown) + _difference_row(results, shown, editors[0]))
        parts.append(_kind_table(results, shown))
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


def tag_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    """Return F1 over the cases of each tag, worst for the first editor first; "" without tags."""
    groups: dict[str, list[CaseResult]] = {}
    for case in results:
        for tag in case.tags:
            groups.setdefault(tag, []).append(case)
    found = {tag: estimates(_F1, cases, editors) for tag, cases in groups.items()}

    def first_f1(tag: str) -> float:
        estimate = found[tag][editors[0]]
        return 1.0 if estimate is None else estimate.value

    lines = [_row("F1 by what goes wrong", list(editors))] if groups else []
    for tag in sorted(groups, key=lambda tag: (first_f1(tag), tag)):
        cells = [_cell(found[tag][name], _F1.form) for name in editors]
        lines.append(_row(f"  {tag} ({len(groups[tag])})", cells))
    return "\n".join(lines)


def _case_cell(result: EditorResult | None) -> str:
    if result is None:
        return "failed"
    edit = result.edit
    return f"{edit.f1:.3f}{edit.wanted_lost_s:>8.1f}{sum(edit.leaked_s.values()):>8.1f}"


def _count(cases: Sequence[CaseResult]) -> str:
    return "1 recording" if len(cases) == 1 else f"{len(cases)} recordings"


def _row(title: str, cells: Sequence[str]) -> str:
    return (f"{title:<{_TITLE}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)).rstrip()


def _cells(
    measure: Measure, results: Sequence[CaseResult], editors: Sequence[str]
) -> list[str] | None:
    """Return a measure for each editor, and half of its interval; None where nobody has any."""
    found = estimates(measure, results, editors)
    known = [estimate for estimate in found.values() if estimate is not None]
    if not known or (measure.key == "foreign_s" and all(e.high == 0.0 for e in known)):
        return None
    return [_cell(found[name], measure.form) for name in editors]


def _cell(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return "-"
    plain = form.lstrip("+")
    half = format((estimate.high - estimate.low) / 2.0, plain)
    is_zero = format(abs(estimate.value), plain) == format(0.0, plain)
    value = format(0.0 if is_zero else estimate.value, form)
    return value if half == format(0.0, plain) else f"{value} \u00b1{half}"


def _main_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    lines = [_row("", [name[-(_CELL - 1) :] for name in editors])]
    counts = [sum(name in case.results for case in results) for name in editors]
    if min(counts) < len(results):
        lines.append(_row("recordings", [str(count) for count in counts]))
    for measure in MEASURES:
        cells = _cells(measure, results, editors)
        if cells is not None:
            lines.append(_row(measure.title, cells))
    return "\n".join(lines)


def _difference_row(results: Sequence[CaseResult], shown: Sequence[str], base: str) -> str:
    """Return a line with the difference in F1 from the first editor, if there is another."""
    found = [difference(_F1, results, name, base) if name != base else None for name in shown]
    if all(estimate is None for estimate in found):
        return ""
    return "\n" + _row(f"F1 - F1 of {base[:20]}", [_cell(e, "+.3f") for e in found])


def _by_kind(results: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    """Return the cases of each kind, in the order in which the kinds are met."""
    groups: dict[str, list[CaseResult]] = {}
    for case in results:
        groups.setdefault(case.kind, []).append(case)
    return groups


def _kind_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    lines = []
    for kind, cases in _by_kind(results).items():
        lines.append(_row(f"{kind}, {_count(cases)}", []))
        for measure in MEASURES:
            cells = _cells(measure, cases, editors) if measure.key in _BY_KIND else None
            if cells is not None:
                lines.append(_row(f"  {measure.title}", cells))
    return "\n".join(lines)


def _leak_table(results: Sequence[CaseResult], editors: Sequence[str]) -> str:
    """Return the seconds of each material that leak, and their share of what there is of it."""
    lines = [_row("unwanted kept, by what it is", [])]
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
            lines.append(_row(f"  {words} (of {there_s:.0f} s)", cells))
    return "\n".join(lines)


def findings(
    results: Sequence[CaseResult], editors: Sequence[str], problems: Sequence[str]
) -> dict[str, Any]:
    """Return everything as values of JSON."""
    groups = {ALL: list(results)} | _by_kind(results)
    summary = {
        group: {
            name: {
                measure.key: _decomposed(estimates(measure, cases, [name])[name])
                for measure in MEASURES
            }
            for name in editors
        }
        for group, cases in groups.items()
    }
    f1_differences = {
        name: _decomposed(difference(_F1, results, name, editors[0])) for name in editors[1:]
    }
    return {
        "summary": summary,
        "f1_differences_from_the_first": f1_differences,
        "cases": [_case_values(case) for case in results],
        "problems": list(problems),
    }


def _decomposed(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else dataclasses.asdict(estimate)


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
