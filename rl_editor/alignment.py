"""Which seconds of a raw recording a human edit of it uses, in which order and how loud.

Input: two mono signals `[S]` at one sample rate; output: `Alignment`, the spans of the edit
with their places in the raw recording, exact to the sample; from it the `Truth` over the raw.

Method: a path through the frame-by-frame similarity of both files that may jump
(`jump_path`), then the offset of each span by normalised cross-correlation of its waveform,
the cuts where the residuals of both sides change places, and the gain by least squares.
Out of scope: passages of the edit at another speed or pitch; they count as foreign. A change
of level inside an unbroken span is not found: a span has one gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor.audio import read_mono
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.frame_vectors import FRAME_STEP, FrameVectors, frame_vectors, moving_mean
from rl_editor.jump_path import FOREIGN, jump_path
from rl_editor.materials import Material
from rl_editor.spectrogram import chroma_bank, magnitude_blocks, mel_bank
from rl_editor.truth import Segment, Truth
from rl_editor.units import gain_to_db
from rl_editor.waveform_match import Span, gain, merge, refine_cuts, refine_offset, similarity

FRAMES_A_SECOND = 25
MAX_CELLS = 1_000_000_000
"""Pairs of frames compared at the full frame rate (125 MB); longer files are compared at a
coarser rate: a one-hour raw recording with a 7-minute edit is just below."""
MIN_MATCHED_SHARE = 0.5
"""Share of the edit that must be found in the raw recording of a pair."""
MIN_CORRELATION = 0.5
"""A span whose waveform is less alike is foreign: another performance reaches about 0.3."""
REPEAT_SIMILARITY = 0.75
"""Unused sound is a repeat where its mean similarity to a used passage is at least this."""
MIN_SEGMENT_S = 0.02
"""Unused stretches shorter than this belong to a crossfade, not to the human's choice."""
MIN_MATERIAL_S = 0.5
"""Material of an unused stretch is told apart in parts of at least this length."""


@dataclass(frozen=True)
class EditSpan:
    """A span of the edit that is a copy of a span of the raw recording.

    Attributes:
        edit_start_s, edit_end_s: half-open span of the edit.
        raw_start_s: where its first sample lies in the raw recording.
        gain_db: level of the edit over the raw recording.
        similarity: correlation of the waveforms in [0, 1], the span's confidence.
    """

    edit_start_s: float
    edit_end_s: float
    raw_start_s: float
    gain_db: float
    similarity: float

    @property
    def raw_end_s(self) -> float:
        """Where the span ends in the raw recording."""
        return self.raw_start_s + self.edit_end_s - self.edit_start_s


@dataclass(frozen=True)
class Alignment:
    """A human edit as spans of its raw recording.

    Attributes:
        spans: in the order of the edit; what lies between them is foreign.
        raw_duration_s, edit_duration_s: lengths of both files.
        matched_share: share of the edit's sounding time that the spans explain, in [0, 1].
    """

    spans: tuple[EditSpan, ...]
    raw_duration_s: float
    edit_duration_s: float
    matched_share: float

    @property
    def belongs_together(self) -> bool:
        """Whether enough of the edit comes from the raw recording."""
        return self.matched_share >= MIN_MATCHED_SHARE


def align_files(raw_path: Path | str, edit_path: Path | str) -> Alignment:
    """Return the alignment of two audio files; `UserError` if they do not belong together."""
    sr = AnalysisConfig().sr
    alignment = align(read_mono(raw_path, sr), read_mono(edit_path, sr), sr)
    if not alignment.belongs_together:
        raise UserError(
            f"{edit_path} should be an edit of {raw_path}, but only "
            f"{alignment.matched_share:.0%} of it was found there; check that the two files "
            "belong together and that the edit's speed and pitch were not changed."
        )
    return alignment


def align(raw_signal: NDArray[np.float32], edit_signal: NDArray[np.float32], sr: int) -> Alignment:
    """Return where each part of the edit comes from.

    Args:
        raw_signal: [S] mono.
        edit_signal: [S] mono; level and equalisation of the whole file may differ.
        sr: sample rate of both, Hz; 22050 is what the settings were tuned for.
    """
    raw = frame_vectors(*_spectra(raw_signal, sr))
    edit_spectra = _spectra(edit_signal, sr)
    edit = frame_vectors(*edit_spectra)
    coarse = _coarseness(len(raw.vectors), len(edit.vectors))
    path = _coarse_path(edit, raw, coarse)
    # Of several takes only the right one is equal, but it is not while each file's own mean
    # spectrum is taken out: with the first path the true difference of the two is known.
    mean_db = raw.mean_db + _response_db(path, edit, raw, coarse)
    path = _coarse_path(frame_vectors(*edit_spectra, mean_db), raw, coarse)
    frame = coarse * FRAME_STEP * (sr // (FRAMES_A_SECOND * FRAME_STEP))
    spans = _path_spans(path, frame, len(edit_signal))
    spans = [refine_offset(span, raw_signal, edit_signal, 2 * frame, sr) for span in spans]
    spans = merge([s for s in spans if s.correlation >= MIN_CORRELATION], sr)
    spans = refine_cuts(spans, raw_signal, edit_signal, sr)
    found = tuple(_edit_span(span, raw_signal, edit_signal, sr) for span in spans)
    return Alignment(
        spans=found,
        raw_duration_s=len(raw_signal) / sr,
        edit_duration_s=len(edit_signal) / sr,
        matched_share=_matched_share(found, np.any(edit.vectors != 0, axis=1)),
    )


def _spectra(
    signal: NDArray[np.float32], sr: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mel power [T, n_mels] and chroma [T, 12] of a mono signal [S], 50 a second."""
    config = replace(AnalysisConfig(), sr=sr, hop_length=sr // (FRAMES_A_SECOND * FRAME_STEP))
    mel, chroma = [], []
    for _, magnitude in magnitude_blocks(signal, config):
        power = magnitude**2
        mel.append(power @ mel_bank(config))
        chroma.append(power @ chroma_bank(config))
    return np.concatenate(mel), np.concatenate(chroma)


def _coarse_path(edit: FrameVectors, raw: FrameVectors, coarse: int) -> NDArray[np.int64]:
    return jump_path(_coarsen(edit.vectors, coarse), _coarsen(raw.vectors, coarse))


def _response_db(
    path: NDArray[np.int64], edit: FrameVectors, raw: FrameVectors, coarse: int
) -> NDArray[np.float32]:
    """Return [40] what the edit's equalisation adds to each band, along a path."""
    here = np.flatnonzero(path != FOREIGN)
    there = path[here]
    bands_db = edit.bands_db[here * coarse] - raw.bands_db[there * coarse]
    sounding = np.any(edit.vectors[here * coarse] != 0, axis=1)
    if not sounding.any():
        return edit.mean_db - raw.mean_db
    return np.median(bands_db[sounding], axis=0)


def _coarseness(n_raw: int, n_edit: int) -> int:
    """Return how many frames to average into one so that the path stays within MAX_CELLS."""
    return int(np.ceil(np.sqrt(max(1.0, n_raw * n_edit / MAX_CELLS))))


def _coarsen(vectors: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    if step == 1:
        return vectors
    n = -(-len(vectors) // step)
    padded = np.pad(vectors, ((0, n * step - len(vectors)), (0, 0)))
    mean = padded.reshape(n, step, -1).mean(axis=1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)


def _path_spans(path: NDArray[np.int64], frame: int, n_samples: int) -> list[Span]:
    """Return the unbroken spans of a path of frames of `frame` samples."""
    step = np.where(path == FOREIGN, np.iinfo(np.int64).min, path - np.arange(len(path)))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(step)) + 1, [len(path)]]).tolist()
    spans = []
    for first, last in pairwise(edges):
        start = first * frame
        stop = n_samples if last == len(path) else min(last * frame, n_samples)
        if path[first] != FOREIGN and stop > start:
            spans.append(Span(start, stop, int(step[first]) * frame))
    return spans


def _edit_span(
    span: Span, raw: NDArray[np.float32], edit: NDArray[np.float32], sr: int
) -> EditSpan:
    return EditSpan(
        edit_start_s=span.start / sr,
        edit_end_s=span.stop / sr,
        raw_start_s=(span.start + span.offset) / sr,
        gain_db=float(gain_to_db(gain(span, raw, edit))),
        similarity=similarity(span, raw, edit, sr),
    )


def _matched_share(spans: tuple[EditSpan, ...], sounding: NDArray[np.bool_]) -> float:
    times_s = np.flatnonzero(sounding) / FRAMES_A_SECOND
    found = np.zeros(len(times_s), bool)
    for span in spans:
        found |= (times_s >= span.edit_start_s) & (times_s < span.edit_end_s)
    return float(found.mean()) if len(found) else 0.0


def truth(alignment: Alignment, raw_signal: NDArray[np.float32], sr: int) -> Truth:
    """Return what the human edit says about the raw recording.

    Used seconds are wanted music, with the span's similarity as confidence; of a passage that
    the edit uses twice, the first use gives its place in the piece. Unused seconds are not
    wanted, with the matched share of the edit as confidence: what was not found may come from
    there. Their material is only what can be heard without guessing: SILENCE where it is
    quiet, REDUNDANT_REPEAT where it is close to a used passage (`equally_good` stays False,
    the human chose), and otherwise MUSIC, which with `wanted=False` says no more than that
    the human left it out.
    """
    pieces = _used_pieces(alignment)
    edges_s = [0.0, *(edge for p in pieces for edge in (p.start_s, p.end_s))]
    edges_s.append(alignment.raw_duration_s)
    materials, cell_s = _unused_materials(pieces, frame_vectors(*_spectra(raw_signal, sr)).vectors)
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
    for span in alignment.spans:
        free = [(max(0.0, span.raw_start_s), min(span.raw_end_s, alignment.raw_duration_s))]
        for piece in pieces:
            free = [part for f in free for part in _without(f, (piece.start_s, piece.end_s))]
        for start_s, end_s in free:
            place_s = span.edit_start_s + start_s - span.raw_start_s
            pieces.append(
                Segment(start_s, end_s, Material.MUSIC, True, False, place_s, span.similarity)
            )
    pieces.sort(key=lambda piece: piece.start_s)
    for i, (left, right) in enumerate(pairwise(pieces)):
        if right.start_s - left.end_s < MIN_SEGMENT_S:
            pieces[i] = replace(left, end_s=right.start_s)
    return pieces


def _without(span: tuple[float, float], taken: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the parts of a span that lie outside another one and are not mere slivers."""
    parts = [(span[0], min(span[1], taken[0])), (max(span[0], taken[1]), span[1])]
    return [part for part in parts if part[1] - part[0] >= MIN_SEGMENT_S]


def _unused_materials(
    pieces: list[Segment], vectors: NDArray[np.float32]
) -> tuple[NDArray[np.int64], float]:
    """Return the material of each cell of the raw recording, were it unused, and its length."""
    coarse = _coarseness(len(vectors), len(vectors))
    vectors = _coarsen(vectors, coarse)
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
