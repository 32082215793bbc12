"""What a human edit, once aligned, says about its raw recording.

Input: an `Alignment` and the raw signal; output: the `Truth` over the raw recording.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.coarse_match import coarsened, coarseness
from rl_editor.frame_vectors import moving_mean
from rl_editor.jump_path import FOREIGN, jump_path
from rl_editor.log_spectra import FRAMES_A_SECOND, log_spectra, shifted_vectors
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

MAX_CELLS = 1_000_000_000
"""Pairs of frames of the raw recording compared with each other (125 MB); from about 20 minutes
on they are compared at a coarser rate."""
REPEAT_SIMILARITY = 0.75
"""Unused sound is a repeat where its mean similarity to a used passage is at least this."""
MIN_SEGMENT_S = 0.02
"""Unused stretches shorter than this belong to a crossfade, not to the human's choice."""
MIN_MATERIAL_S = 0.5
"""Material of an unused stretch is told apart in parts of at least this length."""
DOUBT = 0.15
"""Seconds whose confidence is below their span's by more than this are segments of their own."""


def truth(alignment: Alignment, raw_signal: NDArray[np.float32], sr: int) -> Truth:
    """Return what the human edit says about the raw recording.

    Used seconds are wanted music, with the span's confidence; a span with seconds that fit much
    worse is parted there, each part with the mean of its own seconds. Of a passage that the edit
    uses twice, the first use gives its place in the piece. Where the edit's speed was changed, the
    piece's time is that of the raw recording: each span takes as long as there.

    Unused seconds are not wanted, with the matched share of the edit as confidence: what was
    not found may come from there. Their material is only what can be heard without guessing:
    SILENCE where it is quiet, REDUNDANT_REPEAT where it is close to a used passage
    (`equally_good` stays False, the human chose), and otherwise MUSIC, which with
    `wanted=False` says no more than that the human left it out.
    """
    pieces = _used_pieces(alignment)
    edges_s = [0.0, *(edge for p in pieces for edge in (p.start_s, p.end_s))]
    edges_s.append(alignment.raw_duration_s)
    vectors = shifted_vectors(log_spectra(raw_signal, sr)).vectors
    materials, cell_s = _unused_materials(pieces, vectors)
    segments: list[Segment] = []
    for i, start_s in enumerate(edges_s[:-1]):
        if i % 2:
            segments.append(pieces[i // 2])
        elif edges_s[i + 1] > start_s:
            segments += _unused(start_s, edges_s[i + 1], materials, cell_s)
    known = alignment.matched_share
    return Truth(
        alignment.raw_duration_s,
        tuple(s if s.wanted else replace(s, confidence=known) for s in segments),
    )


def _used_pieces(alignment: Alignment) -> list[Segment]:
    """Return wanted segments in the order of the raw recording, without overlap."""
    pieces: list[Segment] = []
    piece_s, before_s = 0.0, 0.0
    for span in alignment.spans:
        piece_s += span.edit_start_s - before_s
        free = [(max(0.0, span.raw_start_s), min(span.raw_end_s, alignment.raw_duration_s))]
        for piece in pieces:
            free = [part for f in free for part in _without(f, (piece.start_s, piece.end_s))]
        for start_s, end_s in free:
            for part_s, part_end_s, confidence in _parts(span, alignment, start_s, end_s):
                place_s = piece_s + part_s - span.raw_start_s
                pieces.append(
                    Segment(part_s, part_end_s, Material.MUSIC, True, False, place_s, confidence)
                )
        piece_s += span.raw_end_s - span.raw_start_s
        before_s = span.edit_end_s
    pieces.sort(key=lambda piece: piece.start_s)
    for i, (left, right) in enumerate(pairwise(pieces)):
        if right.start_s - left.end_s < MIN_SEGMENT_S:
            pieces[i] = replace(left, end_s=right.start_s)
    return pieces


def _parts(
    span: EditSpan, alignment: Alignment, start_s: float, end_s: float
) -> list[tuple[float, float, float]]:
    """Return (start_s, end_s, confidence) of parts of a span that tile [start_s, end_s) of the raw.

    The seconds of the edit that fit worse than the span as a whole are parts of their own. A
    second of which more than half lies outside the span says nothing about it.
    """
    first, last = math.ceil(span.edit_start_s - 0.5), math.floor(span.edit_end_s + 0.5)
    seconds = np.array(alignment.confidence[first:last])
    doubtful = seconds < span.confidence - DOUBT
    changes = np.flatnonzero(doubtful[1:] != doubtful[:-1]) + 1
    if not len(changes):
        return [(start_s, end_s, span.confidence)]
    changes_s = span.raw_start_s + span.speed * (first + changes - span.edit_start_s)
    edges_s = np.clip([start_s, *changes_s, end_s], start_s, end_s).tolist()
    return [
        (part_s, part_end_s, min(1.0, float(own.mean())))
        for (part_s, part_end_s), own in zip(
            pairwise(edges_s), np.split(seconds, changes), strict=True
        )
        if part_end_s > part_s
    ]


def _without(span: tuple[float, float], taken: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the parts of a span that lie outside another one and are not mere slivers."""
    parts = [(span[0], min(span[1], taken[0])), (max(span[0], taken[1]), span[1])]
    return [part for part in parts if part[1] - part[0] >= MIN_SEGMENT_S]


def _unused_materials(
    pieces: list[Segment], vectors: NDArray[np.float32]
) -> tuple[NDArray[np.int64], float]:
    """Return the material of each cell of the raw recording, were it unused, and its length."""
    coarse = coarseness(len(vectors), len(vectors), MAX_CELLS)
    vectors = coarsened(vectors, coarse)
    cell_s = coarse / FRAMES_A_SECOND
    times_s = (np.arange(len(vectors)) + 0.5) * cell_s
    used = np.zeros(len(vectors), bool)
    for piece in pieces:
        used |= (times_s >= piece.start_s) & (times_s < piece.end_s)
    path = jump_path(vectors * ~used[:, None], vectors * used[:, None])
    alike = np.where(path == FOREIGN, 0.0, np.sum(vectors * vectors[path], axis=1))
    sounding = np.any(vectors != 0, axis=1)
    width = 2 * round(MIN_MATERIAL_S / cell_s) + 1
    unused_share = moving_mean((~used).astype(np.float32), width)
    alike = moving_mean(alike * ~used, width) / np.maximum(unused_share, 1e-6)
    repeat = sounding & (alike >= REPEAT_SIMILARITY)
    kinds = {
        Material.MUSIC: sounding & ~repeat,
        Material.SILENCE: ~sounding,
        Material.REDUNDANT_REPEAT: repeat,
    }
    votes = [(mask & ~used).astype(np.float32) for mask in kinds.values()]
    shares = np.stack([moving_mean(vote, width) for vote in votes])
    return np.array(list(kinds))[shares.argmax(axis=0)], cell_s


def _unused(
    start_s: float, end_s: float, materials: NDArray[np.int64], cell_s: float
) -> list[Segment]:
    """Return unwanted segments that tile [start_s, end_s), one for each run of a material."""
    first, last = int(start_s / cell_s), max(int(start_s / cell_s) + 1, int(end_s / cell_s))
    cells = materials[min(first, len(materials) - 1) : last]
    changes = np.flatnonzero(np.diff(cells)) + 1
    edges_s = [start_s, *((first + changes) * cell_s).tolist(), end_s]
    kinds = [cells[0], *cells[changes]]
    return [
        Segment(a, b, Material(int(kind)), False)
        for (a, b), kind in zip(pairwise(edges_s), kinds, strict=True)
    ]
