"""The report: one self-contained HTML page that shows an edit and why it was made.

In: the edit decision list, the track and the seconds removed. Out: `NAME.report.html`, which
works offline, prints, and says in tables everything that its picture shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from rl_editor.atomic import atomic_path
from rl_editor.decision_times import REMOVING_NAMES, heard_seconds
from rl_editor.edl import Decision, EditDecisionList, Join
from rl_editor.errors import UserError
from rl_editor.features import FEATURE_NAMES
from rl_editor.grid import BeatGrid
from rl_editor.track import Track
from rl_editor.units import format_time

PICTURE_WIDTH, PICTURE_HEIGHT = 1000, 130
MAX_RULER_MARKS = 7
"""So many fit beside each other on a phone."""
LEVEL_RANGE_DB = 48.0
"""Levels from the loudest beat down to this far below it are drawn, dB."""
AROUND_S = 4.0
"""What is heard before and after a join that is listened to from the page."""
LEAST_FIT = 0.05
"""Tempi that fit worse, against the one that fits best, are not told."""
CLEAR_TEMPO_RATIO = 1.08
"""Passages whose tempi differ by more are told with both."""

_STYLE = """
:root { color-scheme: light dark; --kept: #1b7f4d; --gone: #a3a3a3; --ink: #1a1a1a;
  --paper: #ffffff; --line: #d0d0d0; --soft: #5c5c5c; }
@media (prefers-color-scheme: dark) { :root { --kept: #4cc38a; --gone: #6b6b6b; --ink: #ededed;
  --paper: #161616; --line: #3a3a3a; --soft: #b0b0b0; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1, h2 { line-height: 1.2; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.summary td:first-child, .key span { white-space: nowrap; }
.passages td:first-child { white-space: nowrap; font-variant-numeric: tabular-nums; }
.passages td { overflow-wrap: anywhere; } .passages td.number { overflow-wrap: normal; }
svg { display: block; width: 100%; height: 8.5rem; }
.ruler { position: relative; height: 1.6rem; font-size: .8rem; color: var(--soft); }
.ruler span { position: absolute; border-left: 1px solid var(--soft); padding-left: .2rem; }
.players { display: flex; flex-wrap: wrap; gap: 1rem; } .players audio { display: block; }
a { color: inherit; text-underline-offset: .15em; }
.kept { fill: var(--kept); } .gone { fill: var(--gone); }
.key span { margin-right: 1.5rem; } .swatch { display: inline-block; width: .8em; height: .8em; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; } h1 { font-size: 1.5rem; }
  th, td { padding: .25rem .4rem .25rem 0; }
  .cards thead { display: none; }
  .cards tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  .cards td { display: flex; justify-content: space-between; border: 0; padding: 0; }
  .cards td::before { content: attr(data-label); color: var(--soft); padding-right: 1rem; }
  .cards td:first-child { font-weight: bold; }
}
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; }
  .players { display: none; } }
"""
"""On a phone the rows of tables of the class "cards" become cards, a line for each cell."""


def write_report(
    edl: EditDecisionList,
    track: Track,
    removed_s: dict[str, float],
    path: str | Path,
    *,
    notes: Sequence[str] = (),
    mark: str = "",
    sounds: tuple[Path, Path] | None = None,
) -> None:
    """Write the page of an edit; it appears whole or not at all.

    Args:
        edl: with its decisions and joins.
        track: the analysis of the recording.
        removed_s: seconds removed by kind of material.
        path: of the page.
        notes: what the musician should know besides, a line each.
        mark: tag that tells which edit the page belongs to (`output_paths.report_mark`).
        sounds: the recording and the edited track, to be heard from the page; they are named by
            their way from it.

    Raises:
        UserError: the page cannot be written.
    """
    links = None if sounds is None else (_link(sounds[0], path), _link(sounds[1], path))
    page = render_page(edl, track, removed_s, notes=notes, mark=mark, links=links)
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} should become the report, but cannot be written ({error.strerror}); choose "
            "another place."
        ) from error


def render_page(
    edl: EditDecisionList,
    track: Track,
    removed_s: dict[str, float],
    *,
    notes: Sequence[str] = (),
    mark: str = "",
    links: tuple[str, str] | None = None,
) -> str:
    """Return the page as HTML; see `write_report`. `links` are those of the two sounds."""
    before, after = links or ("", "")
    name = escape(Path(edl.source.path).name)
    body = [
        f"<h1>Edit of {name}</h1>",
        _summary(edl, track, removed_s),
        *(f"<p>Note: {escape(note)}.</p>" for note in notes),
        *((_players(before, after),) if links else ()),
        "<h2>What was kept</h2>",
        _picture(edl, track),
        '<p class="key">Level over the time of the recording. '
        '<span><i class="swatch" style="background:var(--kept)"></i> kept</span>'
        '<span><i class="swatch" style="background:var(--gone)"></i> left out</span></p>',
        "<h2>Passages and reasons</h2>",
        _decisions_table(edl, before),
        "<h2>Joins</h2>",
        _joins_table(edl.joins, after),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{mark}'
        f"<title>Edit of {name}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[int],
    kind: str = "",
) -> str:
    """Return an HTML table; `numbers` are the columns that are set flush right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{_attributes(tag, head[i], i in numbers)}>{_cell(value)}</{tag}>"
            for i, value in enumerate(values)
        )

    lines = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    top = f"<thead><tr>{cells('th', head)}</tr></thead>\n" if any(head) else ""
    return f'<table class="{kind}">{top}<tbody>{lines}</tbody></table>'


class _Html(str):
    """Text that is HTML already."""


def _cell(value: str) -> str:
    return value if isinstance(value, _Html) else escape(value)


def _link(sound: Path, page: str | Path) -> str:
    """Return how a page names a file: by the way from its folder, or as a whole on other drives."""
    folder = os.path.dirname(os.path.abspath(page))
    try:
        way = os.path.relpath(os.path.abspath(sound), folder)
    except ValueError:  # another drive
        return Path(sound).resolve().as_uri()
    return quote(os.fsencode(Path(way).as_posix()))


def _players(before: str, after: str) -> str:
    """Return two players, of the recording and of the edited track."""
    players = "".join(
        f'<div><label>{word}<audio controls preload="none" src="{escape(link)}"></audio></label>'
        f"</div>"
        for word, link in (("Before", before), ("After", after))
    )
    return (
        f'<h2>Listen</h2><div class="players">{players}</div><p>The page plays the files where '
        "they lie; it does not hold them.</p>"
    )


def _heard(link: str, text: str, start_s: float, end_s: float) -> str:
    """Return a text that leads to a part of a sound, as a media fragment (W3C, Media Fragments)."""
    if not link:
        return text
    part = f"{escape(link)}#t={max(0.0, start_s):.2f},{end_s:.2f}"
    return _Html(f'<a href="{part}">{escape(text)}</a>')


def _attributes(tag: str, label: str, is_number: bool) -> str:
    """Return the attributes of a cell; `data-label` is its head where the table becomes cards."""
    own = ' scope="col"' if tag == "th" else f' data-label="{escape(label)}"'
    return own + (' class="number"' if is_number else "")


def _summary(edl: EditDecisionList, track: Track, removed_s: dict[str, float]) -> str:
    grid = track.grid
    others, hints = other_tempi(grid, edl.grid.hints), ", ".join(edl.grid.hints)
    rows = [
        ("length of the recording", format_time(edl.source.duration_s)),
        ("length of the edited track", format_time(edl.duration_s)),
        ("tempo", tempo_words(grid, 1, edl)),
        *((("other tempi that fit", others),) if others else ()),
        *((("said about the beat", hints),) if hints else ()),
        ("joins", str(len(edl.joins))),
        *((f"left out: {word}", format_time(seconds)) for word, seconds in removed_s.items()),
    ]
    return _table(("", ""), rows, (), "summary")


def tempo_words(grid: BeatGrid, digits: int = 0, edl: EditDecisionList | None = None) -> str:
    """Return tempo and meter in words; two tempi where passages clearly differ in theirs.

    Only passages that `edl` plays count, where it is given.
    """
    heard = None if edl is None else played_share(edl, grid.edges_s) >= 0.5
    slow, fast = grid.tempo_span_bpm(heard)
    tempo = f"{grid.tempo_bpm:.{digits}f}"
    if fast > CLEAR_TEMPO_RATIO * slow:
        tempo = f"between {slow:.{digits}f} and {fast:.{digits}f}"
    return f"{tempo} beats a minute, {grid.meter} beats in a bar"


def other_tempi(grid: BeatGrid, hints: Sequence[str] = (), most: int = 6) -> str:
    """Return the tempi that fit too, how well, and the option that chooses each.

    Such as "60 (fits 92%: --half), 160 (fits 40%: --tempo 160)"; empty if there are none. 100% is
    the tempo that fits best.

    Args:
        grid: of the recording.
        hints: options by which it was made; half and double are of the tempo without them.
        most: number of tempi that are told, the best ones.
    """
    is_heard = not any(hint.startswith(("--tempo", "--half", "--double")) for hint in hints)
    words = {0.5: "--half", 2.0: "--double"} if is_heard else {}
    told = []
    scores = grid.runner_up_scores or len(grid.runner_up_tempi_bpm) * (None,)
    for bpm, score in zip(grid.runner_up_tempi_bpm, scores, strict=True):
        option = words.get(round(bpm / grid.tempo_bpm, 6), f"--tempo {bpm:.0f}")
        if score is None:
            told.append(f"{bpm:.0f} ({option})")
        elif score >= LEAST_FIT:
            told.append(f"{bpm:.0f} (fits {100.0 * score:.0f}%: {option})")
    return ", ".join(told[:most])


def _picture(edl: EditDecisionList, track: Track) -> str:
    """Return an SVG of the level of every beat, coloured by whether it is in the edit."""
    grid, total_s = track.grid, edl.source.duration_s
    level_db = track.features[:, FEATURE_NAMES.index("rms_db")]
    height = np.clip(1 + (level_db - level_db.max()) / LEVEL_RANGE_DB, 0.02, 1) * PICTURE_HEIGHT
    x = grid.edges_s / total_s * PICTURE_WIDTH
    kept = played_share(edl, grid.edges_s) >= 0.5
    bars = []
    for beat in range(grid.n_beats):
        kind = "kept" if kept[beat] else "gone"
        width = max(x[beat + 1] - x[beat] - 0.3, 0.3)
        top = PICTURE_HEIGHT - height[beat]
        bars.append(
            f'<rect class="{kind}" x="{x[beat]:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{height[beat]:.1f}"/>'
        )
    return (
        f'<svg viewBox="0 0 {PICTURE_WIDTH} {PICTURE_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="Level of the recording over time; {np.count_nonzero(kept)} of '
        f'{grid.n_beats} beats are in the edit">' + "".join(bars) + "</svg>" + _ruler(total_s)
    )


def _ruler(total_s: float) -> str:
    """Return marks in minutes and seconds of the recording; text, so that it keeps its size."""
    steps_s = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    step_s = next((s for s in steps_s if total_s / s <= MAX_RULER_MARKS), 14400)
    marks = [
        f'<span style="left:{100 * time_s / total_s:.2f}%">'
        f"{int(time_s // 60)}:{int(time_s % 60):02d}</span>"
        for time_s in np.arange(0, total_s, step_s)
        if time_s <= 0.93 * total_s  # a mark at the very end would stick out
    ]
    return f'<div class="ruler">{"".join(marks)}</div>'


def played_share(edl: EditDecisionList, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [N] the share of each cell of `edges_s` [N + 1] that some clip plays, at most 1."""
    spans_s = ((clip.source_start_s, clip.source_end_s) for clip in edl.clips)
    return np.minimum(heard_seconds(spans_s, edges_s) / np.diff(edges_s), 1.0)


def _decisions_table(edl: EditDecisionList, sound: str = "") -> str:
    """Return a table in which actions of the same kind and reason in a row are one passage.

    Their times lead to them in the recording, `sound`, if that is given.
    """
    passages: list[list[Decision]] = []
    for decision in edl.decisions:
        removed = decision.type in REMOVING_NAMES
        same = passages and (
            decision.reason == passages[-1][-1].reason
            and removed == (passages[-1][-1].type in REMOVING_NAMES)
        )
        if same:
            passages[-1].append(decision)
        else:
            passages.append([decision])
    ends_s = [*(p[0].time_s for p in passages[1:]), edl.source.duration_s]
    rows = []
    for passage, end_s in zip(passages, ends_s, strict=True):
        sure = [d.probability for d in passage if d.probability is not None]
        rows.append(
            (
                _heard(sound, _span_text(passage[0].time_s, end_s), passage[0].time_s, end_s),
                passage[0].reason,
                f"{100 * float(np.mean(sure)):.0f}%" if sure else "",
            )
        )
    return _table(("in the recording", "what and why", "sure"), rows, (2,), "passages")


def _span_text(start_s: float, end_s: float) -> str:
    """Return a span of the recording to the ms, such as `3:07.512 to 3:09.000`.

    What goes back or stays where it is has a place alone.
    """
    first, last = round(1000 * start_s), round(1000 * end_s)
    texts = [f"{ms // 60_000}:{ms % 60_000 / 1000:06.3f}" for ms in (first, last)]
    return " to ".join(texts if last > first else texts[:1])


def _joins_table(joins: Sequence[Join], sound: str = "") -> str:
    if not joins:
        return "<p>There are no joins: the recording plays straight through.</p>"
    rows = [
        (
            _heard(
                sound,
                format_time(join.timeline_s),
                join.timeline_s - AROUND_S,
                join.timeline_s + AROUND_S,
            ),
            f"{1000 * join.crossfade_s:.0f}",
            f"{join.click_energy_percentile:.0f}",
            f"{join.level_step_db:+.1f} ({join.level_step_db_percentile:.0f})",
            f"{join.beat_phase_error_ms:+.0f} ({join.beat_phase_error_ms_percentile:.0f})",
            f"{join.harmonic_distance_percentile:.0f}",
            _other_places(join),
        )
        for join in joins
    ]
    note = (
        "<p>Numbers from 0 to 100 are percentiles among this recording's own ordinary beat "
        "changes: 50 is a change like any other, above 95 is one to listen to. Other places are "
        "where in the recording the passage before could end instead, with the worst percentile "
        "there; the edit list has all of them.</p>"
    )
    head = (
        "in the edited track",
        "crossfade, ms",
        "click",
        "level step, dB",
        "beat error, ms",
        "harmony",
        "other places",
    )
    return note + _table(head, rows, range(6), "cards")


def _other_places(join: Join) -> str:
    """Return where else the join could be, and the worst percentile there."""
    told = [
        f"{_span_text(a.left_end_s, a.left_end_s)} ({a.worst_percentile:.0f})"
        for a in join.alternatives
    ]
    return ", ".join(told) or "none"
