"""How much of a script an edit plays, in its order and with its sound.

In: the `Part`s of a script and the finished `EditState`. Out: each span of the script, heard or
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rl_editor.action_sounds import differences
from rl_editor.beat_script import Part
from rl_editor.edit_state import EditState
from rl_editor.spans import Span


class ReplayedSpan(NamedTuple):
    """A span of a script, and whether an edit plays it.

    Attributes:
        span: beats and the sound asked for.
        is_in_order: the beats are heard where the script has them.
        has_sound: they are, with that sound.
        is_exact: they are, and that is the sound of the clip.
    """

    span: Span
    is_in_order: bool
    has_sound: bool
    is_exact: bool


def replayed(state: EditState, parts: Sequence[Part]) -> list[ReplayedSpan]:
    """Return the spans of a script in its order, and which the output plays in that order.

    Those are the heaviest common subsequence of both, by beats, the right sound counting twice
    (Wagner & Fischer, "The String-to-String Correction Problem", 1974).
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
    found = _common([span for span, _ in asked], heard)
    return [
        ReplayedSpan(span, i in found, found.get(i, False), is_exact and found.get(i, False))
        for i, (span, is_exact) in enumerate(asked)
    ]


def replayed_share(state: EditState, spans: Sequence[ReplayedSpan]) -> float:
    """Return the share of a script's seconds that is heard in order and exact; 1 of nothing."""
    lengths_s = np.array([state.context.length_s(span.span) for span in spans])
    is_right = np.array([span.is_exact for span in spans])
    return float(lengths_s[is_right].sum() / lengths_s.sum()) if len(spans) else 1.0


def _divided(span: Span, lines: set[int]) -> list[Span]:
    """Return a span as pieces between some beats, whole where halves do not make it up."""
    if not span.sound.steady:
        return [span]
    edges = [span.start, *sorted(x for x in lines if span.start < x < span.end), span.end]
    return [Span(start, end, span.sound) for start, end in pairwise(edges)]


def _common(asked: Sequence[Span], heard: Sequence[Span]) -> dict[int, bool]:
    """Return the indices of the spans asked for that are in the heaviest common subsequence.

    The value says whether the sound is the one asked for.
    """
    places: dict[tuple, list[int]] = {}
    for j, span in enumerate(heard):
        places.setdefault(_beats(span), []).append(j)
    best = np.zeros((len(asked) + 1, len(heard) + 1), dtype=np.int64)
    for i, span in enumerate(asked):
        row = best[i].copy()
        for j in places.get(_beats(span), []):
            worth = span.n_beats * (2 if _is_same(span, heard[j]) else 1)
            row[j + 1] = max(row[j + 1], best[i, j] + worth)
        best[i + 1] = np.maximum.accumulate(row)
    found: dict[int, bool] = {}
    i, j = len(asked), len(heard)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[i] = _is_same(asked[i], heard[j])
    return found


def _beats(span: Span) -> tuple:
    return span.start, span.end, span.sound.reverse


def _is_same(one: Span, other: Span) -> bool:
    return not differences(one.sound, other.sound)
