"""How much of a script an edit plays, in its order and with its sound.

In: the `Part`s of a script and the finished `EditState`. Out: each span of the script, heard or
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rl_editor.action_sounds import MAX_DISTANCE, distance
from rl_editor.beat_script import Part
from rl_editor.edit_state import EditState
from rl_editor.spans import Span


class ReplayedSpan(NamedTuple):
    """A span of a script, and whether an edit plays it.

    Attributes:
        span: beats and the sound that actions give them.
        is_exact: that sound is the one asked for.
        is_in_order: it is heard where the script has it.
    """

    span: Span
    is_exact: bool
    is_in_order: bool


def replayed(state: EditState, parts: Sequence[Part]) -> list[ReplayedSpan]:
    """Return the spans of a script in its order, and which the output plays in that order.

    Those are the heaviest common subsequence of both, by beats (Wagner & Fischer, "The
    String-to-String Correction Problem", 1974).
    """
    output = state.spans()
    lines = {line for part in parts for line in (part.start, part.end)}
    lines |= {line for span in output for line in (span.start, span.end)}
    asked = [
        (piece, part.is_exact)
        for part in parts
        for _ in range(part.plays)
        for piece in _divided(Span(part.start, part.end, part.sound), lines)
    ]
    heard = [piece for span in output for piece in _divided(span, lines)]
    in_order = _common([span for span, _ in asked], heard)
    return [ReplayedSpan(*pair, i in in_order) for i, pair in enumerate(asked)]


def replayed_share(state: EditState, spans: Sequence[ReplayedSpan]) -> float:
    """Return the share of a script's seconds that is heard in order and exact; 1 of nothing."""
    lengths_s = np.array([state.context.length_s(span.span) for span in spans])
    is_right = np.array([span.is_exact and span.is_in_order for span in spans])
    return float(lengths_s[is_right].sum() / lengths_s.sum()) if len(spans) else 1.0


def _divided(span: Span, lines: set[int]) -> list[Span]:
    """Return a span as pieces between some beats, whole where halves do not make it up."""
    if not span.sound.steady:
        return [span]
    edges = [span.start, *sorted(x for x in lines if span.start < x < span.end), span.end]
    return [Span(start, end, span.sound) for start, end in pairwise(edges)]


def _common(asked: Sequence[Span], heard: Sequence[Span]) -> set[int]:
    """Return the indices of the spans asked for that are in the heaviest common subsequence."""
    places: dict[tuple[int, int], list[int]] = {}
    for j, span in enumerate(heard):
        places.setdefault((span.start, span.end), []).append(j)
    best = np.zeros((len(asked) + 1, len(heard) + 1), dtype=np.int64)
    for i, span in enumerate(asked):
        row = best[i].copy()
        for j in places.get((span.start, span.end), []):
            if distance(span.sound, heard[j].sound) <= MAX_DISTANCE:
                row[j + 1] = max(row[j + 1], best[i, j] + span.n_beats)
        best[i + 1] = np.maximum.accumulate(row)
    found: set[int] = set()
    i, j = len(asked), len(heard)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found.add(i)
    return found
