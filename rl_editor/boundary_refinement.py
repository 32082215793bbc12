"""From the beat on which a cut was decided to the moment at which the sound changes.

A decision on beats is up to half a beat from where talk ends, the first attack comes or a take is
broken off. Each boundary between what is played and what is left out moves there, if the evidence
is strong enough; else it stays on its beat. The evidence, from short-time levels in bands:

- A change point: two Gaussians, one before and one after, against a single one (the generalised
  likelihood ratio: S. Chen, P. Gopalakrishnan, "Speaker, environment and channel change detection
  and clustering via the Bayesian information criterion", 1998).
- Two takes of the same passage: the lag at which their levels correlate best says how much of the
  passage a join would leave out or play twice.

At a join both sides are chosen together. Where they are takes of one passage, it goes on without
a gap; else the beat does.

In: clips with hard cuts on beats, back to back, and the samples of their source. Out: the same
clips, those in one that continue each other, each edge on a whole sample at most two beats away
(`Refined`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl_editor.edl import Clip, back_to_back
from rl_editor.grid import BeatGrid
from rl_editor.held_length import moves_within, with_moves
from rl_editor.join_measures import (
    Reference,
    is_within_limits,
    ordinary_beat_changes,
    read_mono,
)
from rl_editor.joins import Stays, fit_joins, merged_clips, moves_freely
from rl_editor.sample_readers import SampleReader
from rl_editor.spectrogram import hann_window
from rl_editor.units import seconds_to_samples

Values = NDArray[np.float64]

REACH_BEATS = 2.0
MAX_REACH_S = 1.6
"""An edge moves no further than both."""
PRE_ROLL_S = 0.005
"""A passage starts so much before its change: frames that reach across an attack hide its place."""
CLIP_MARGIN_S = 0.1
"""What stays of a short clip on each side of its middle."""
HOP_S = 0.005
"""Resolution."""

_FRAME_S = 0.015
_MIN_FFT = 16
_N_BANDS = 24
_RANGE_HZ = (80.0, 10000.0)
_DYNAMICS_DB = 60.0
"""Levels further below the band's loudest frame count as that."""
_FLOOR_POWER = 1e-9
"""Of a band, -90 dB of full scale."""
_CONTEXT_S = 0.3
"""Beyond the reach, on both sides, which the Gaussians describe as well."""
_MIN_VARIANCE = 9.0
"""Of a band, dB squared."""
# In nats of frames that overlap and bands that move together, so far more than of independent
# ones. Chosen on 62 made sessions, where half or double of one changes the median error by 1 ms.
_COST_PER_BEAT = 600.0
_MOVE_COST = 150.0
_NEAR_S = 0.03
"""Changes this near to the beat are the same as on it."""

_MATCH_S = 1.0
"""Of music after the join by which two takes are compared."""
_MATCH_DYNAMICS_DB = 50.0
_MIN_CORRELATION = 0.7
_ALIKE = 0.05
"""Places whose correlation is that near to the best are as like."""
_WINDOW_S = 4.0
"""What is heard on each side of an edge."""
_PHASE_TOLERANCE_S = 0.015
"""Miss of the beat that the alignment of a join can make good."""


@dataclass(frozen=True)
class Refined:
    """Clips whose edges lie where the sound changes.

    Attributes:
        clips: [K] in output order; those that came in and continue each other unchanged are one.
        moves_s: [K, 2] how far the start and the end of each moved, in s of the source.
        goes_on: [K - 1] whether both sides of a join were found to be takes of one passage, and
            meet at the same place of it.
    """

    clips: tuple[Clip, ...]
    moves_s: Values
    goes_on: NDArray[np.bool_]


@dataclass(frozen=True)
class Edge:
    """A boundary between played and left-out source, and how well it may lie elsewhere.

    Attributes:
        first: first possible move, in frames of `HOP_S`, at most 0.
        score: [D] log-likelihood gained by each move from `first` on, less its costs; 0 where
            the edge stays.
        beat_frames: length of the beat that is played there.
        beats: [D] each move in beats of the grid, which may be uneven.
        levels_db: [n, B] around it, n odd; the edge lies at the middle of the middle frame.
    """

    first: int
    score: Values
    beat_frames: float
    beats: Values
    levels_db: Values

    @property
    def moves(self) -> NDArray[np.int64]:
        """[D] the moves, in frames."""
        return np.arange(self.first, self.first + len(self.score))

    @property
    def best(self) -> int:
        """The best move of this edge alone, in frames."""
        return int(self.moves[np.argmax(self.score)])


def refine_boundaries(
    clips: Sequence[Clip],
    reader: SampleReader,
    grid: BeatGrid,
    ordinary: Reference | None = None,
    length_room_s: float = math.inf,
    stays: Stays = moves_freely,
) -> Refined:
    """Return the clips with each edge where the sound changes.

    Edges stay at the ends of the file, under a fade, of clips that do not play as they are, and
    where the source goes on under other processing. What moves neither reaches into another
    clip nor takes more than half of its own. A join that would stand out and on its beats does
    not, stays there.

    Args:
        clips: in output order; hard cuts on beats.
        reader: the samples of the source.
        grid: beats of the source.
        ordinary: measures at the source's own beat changes, where they are known already.
        length_room_s: by how much all moves together may change the output's length; those that
            change it most are taken back.
        stays: whether an edge at a time of the source must not move.
    """
    sr = reader.info.sample_rate
    planned = back_to_back(merged_clips(back_to_back(clips, sr)), sr)
    moves, goes_on = _moves(planned, reader, grid, stays)
    moves_s = np.rint(moves * HOP_S * sr) / sr
    moved = Refined(_moved(planned, moves_s, sr), moves_s, goes_on)
    is_worse = _is_worse(planned, moved, reader, grid, ordinary, stays)
    moves_s = with_moves(moves_s, np.concatenate([[True], ~is_worse, [True]]))
    keep = moves_within(moves_s, goes_on, length_room_s)
    moves_s = with_moves(moves_s, keep)
    return Refined(_moved(planned, moves_s, sr), moves_s, goes_on & ~is_worse & keep[1:-1])


def _moved(clips: Sequence[Clip], moves_s: Values, sr: int) -> tuple[Clip, ...]:
    """Return the clips with their ends moved by [K, 2] seconds, back to back."""
    moved = [
        replace(
            clip,
            source_start_s=clip.source_start_s + start_s,
            source_end_s=clip.source_end_s + end_s,
        )
        for clip, (start_s, end_s) in zip(clips, moves_s.tolist(), strict=True)
    ]
    return back_to_back(moved, sr)


def _moves(
    clips: Sequence[Clip], reader: SampleReader, grid: BeatGrid, stays: Stays
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return how far the start and the end of each clip move, [K, 2] frames, and `goes_on`."""
    moves = np.zeros((len(clips), 2), dtype=np.int64)
    goes_on = np.zeros(max(0, len(clips) - 1), dtype=bool)
    for k in range(len(clips) + 1 if clips else 0):  # One after the other: edges are large.
        left = right = None
        if k > 0 and not stays(clips[k - 1].source_end_s):
            left = _edge(clips, k - 1, True, reader, grid)
        if k < len(clips) and not stays(clips[k].source_start_s):
            right = _edge(clips, k, False, reader, grid)
        if k == 0 and right is not None:
            moves[0, 0] = right.best
        elif k == len(clips) and left is not None:
            moves[-1, 1] = left.best
        elif left is not None and right is not None:
            lag = take_lag(left, right)
            moves[k - 1, 1], moves[k, 0] = joint_moves(left, right, lag)
            goes_on[k - 1] = lag is not None and moves[k - 1, 1] - moves[k, 0] == lag
    return moves, goes_on


def _is_worse(
    planned: Sequence[Clip],
    moved: Refined,
    reader: SampleReader,
    grid: BeatGrid,
    ordinary: Reference | None,
    stays: Stays,
) -> NDArray[np.bool_]:
    """Return for each join whether it stands out only where it was moved to, [K - 1]."""
    if len(planned) < 2:
        return np.zeros(0, dtype=bool)
    ordinary = ordinary or ordinary_beat_changes(reader, grid)
    before = fit_joins(planned, reader, grid, ordinary=ordinary, stays=stays).joins
    goes_on = moved.goes_on.tolist()
    after = fit_joins(moved.clips, reader, grid, goes_on, ordinary=ordinary, stays=stays).joins
    return np.array(
        [
            is_within_limits(old) and not is_within_limits(new)
            for old, new in zip(before, after, strict=True)
        ]
    )


def _edge(
    clips: Sequence[Clip], index: int, is_end: bool, reader: SampleReader, grid: BeatGrid
) -> Edge | None:
    """Return an edge of a clip with its evidence, or None if it has to stay."""
    clip, duration_s = clips[index], reader.info.n_samples / reader.info.sample_rate
    time_s = clip.source_end_s if is_end else clip.source_start_s
    is_as_it_is = clip.rate == 1.0 and clip.semitones == 0.0 and not clip.reverse
    fade_s = clip.fade_out_s if is_end else clip.fade_in_s
    if not is_as_it_is or fade_s > 0.0 or not HOP_S < time_s < duration_s - HOP_S:
        return None
    inwards_s = 0.5 * (clip.source_end_s - clip.source_start_s) - CLIP_MARGIN_S
    outwards_s = 0.5 * _gap_s(clips, time_s, is_end, duration_s) - HOP_S
    beat_s = float(grid.durations_s[grid.beat_at(time_s + (-1e-3 if is_end else 1e-3))])
    reach_s = min(REACH_BEATS * beat_s, MAX_REACH_S)
    before_s, after_s = (inwards_s, outwards_s) if is_end else (outwards_s, inwards_s)
    first = -int(max(0.0, min(before_s, reach_s, time_s - HOP_S)) / HOP_S)
    last = int(max(0.0, min(after_s, reach_s, duration_s - time_s - HOP_S)) / HOP_S)
    if outwards_s <= 0.0 or first == last:
        return None
    levels_db = band_levels(reader, time_s)
    middle, context = len(levels_db) // 2, round(_CONTEXT_S / HOP_S)
    lead = 0 if is_end else round(PRE_ROLL_S / HOP_S)
    low = middle + max(first - context, -int(time_s / HOP_S))
    high = middle + min(last + lead + context, int((duration_s - time_s) / HOP_S))
    changes = middle - low + lead + np.arange(first, last + 1)
    gain = change_point_gain(levels_db[low:high], np.minimum(changes, high - low - 1))
    beats = _beats_at(time_s + HOP_S * np.arange(first, last + 1), grid)
    beats -= beats[-first]
    return Edge(first, _score(gain, first, beat_s / HOP_S), beat_s / HOP_S, beats, levels_db)


def _beats_at(times_s: NDArray[np.floating], grid: BeatGrid) -> Values:
    """Return times [D] in beats of the grid from its start: whole on a beat."""
    return np.asarray(np.interp(times_s, grid.edges_s, np.arange(grid.n_beats + 1.0)))


def _gap_s(clips: Sequence[Clip], time_s: float, is_end: bool, duration_s: float) -> float:
    """Return how much of the source next to an edge no clip plays, in s."""
    if is_end:
        later = [c.source_start_s for c in clips if c.source_end_s > time_s + 1e-9]
        return max(0.0, min([*later, 2.0 * duration_s - time_s]) - time_s)
    earlier = [c.source_end_s for c in clips if c.source_start_s < time_s - 1e-9]
    return max(0.0, time_s - max([*earlier, -time_s]))


def _score(gain: Values, first: int, beat_frames: float) -> Values:
    """Return the score of each move, of the gain of a change there."""
    moves, near = np.arange(first, first + len(gain)), round(_NEAR_S / HOP_S)
    is_near = np.abs(moves) <= near
    score = gain - gain[is_near].max() - _COST_PER_BEAT * np.abs(moves) / beat_frames - _MOVE_COST
    score[moves == 0] = 0.0
    return score


def band_levels(reader: SampleReader, time_s: float) -> Values:
    """Return [n, 24] levels in dB of bands around a time, 200 frames a second, n odd.

    Within each band levels more than 60 dB below its loudest frame count as that.
    """
    sr = reader.info.sample_rate
    n_fft = max(_MIN_FFT, 1 << math.ceil(math.log2(max(_FRAME_S * sr, 1.0))))
    n_side = round(_WINDOW_S / HOP_S)
    centres = seconds_to_samples(HOP_S * np.arange(-n_side, n_side + 1), sr)
    middle, reach = seconds_to_samples(time_s, sr), int(centres[-1]) + n_fft // 2
    signal = read_mono(reader, middle - reach, middle + reach)
    frames = np.lib.stride_tricks.sliding_window_view(signal, n_fft)[centres - centres[0]]
    window = hann_window(n_fft).astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / float(window.sum()) ** 2
    level_db = 10.0 * np.log10(np.maximum(power @ _bank(n_fft, sr), _FLOOR_POWER))
    return np.maximum(level_db, level_db.max(axis=0) - _DYNAMICS_DB)


@lru_cache(maxsize=8)
def _bank(n_fft: int, sr: int) -> Values:
    """Return [n_fft // 2 + 1, 24] bands, equal steps of pitch; each has a bin at least."""
    frequency_hz = np.arange(n_fft // 2 + 1) * sr / n_fft
    edges_hz = np.geomspace(*_RANGE_HZ, _N_BANDS + 1)
    band = np.searchsorted(edges_hz, frequency_hz, side="right") - 1
    bank = (band[:, None] == np.arange(_N_BANDS)).astype(np.float64)
    centres_hz = np.sqrt(edges_hz[1:] * edges_hz[:-1])
    nearest = np.abs(frequency_hz[:, None] - centres_hz).argmin(axis=0)
    empty = ~bank.any(axis=0)
    bank[nearest[empty], np.flatnonzero(empty)] = 1.0
    return bank


def change_point_gain(levels_db: Values, at: NDArray[np.int64]) -> Values:
    """Return [D] what a change between two Gaussians explains better than one, in nats.

    Args:
        levels_db: [n, B].
        at: [D] the frames before which a change is tried, 0 < at < n.
    """
    total = np.zeros((2, len(levels_db) + 1, levels_db.shape[1]))
    np.cumsum([levels_db, levels_db**2], axis=1, out=total[:, 1:])

    def cost(start: NDArray[np.int64], stop: NDArray[np.int64]) -> Values:
        n_frames = (stop - start)[:, None]
        mean, square = (total[:, stop] - total[:, start]) / n_frames
        variance = np.maximum(square - mean**2, 0.0) + _MIN_VARIANCE
        return np.asarray(0.5 * (n_frames * np.log(variance)).sum(axis=1))

    start, stop = np.zeros_like(at), np.full_like(at, len(levels_db))
    return cost(start, stop) - cost(start, at) - cost(at, stop)


def joint_moves(left: Edge, right: Edge, lag: int | None) -> tuple[int, int]:
    """Return how far the two sides of a join move, in frames.

    The passage goes on without a gap where the right side is another take of it, `lag` frames
    ahead (`take_lag`), else the beat does: each side by as much of its own beats, whatever their
    tempi.
    """
    if lag is None:
        off_beats = left.beats[:, None] - right.beats
        off_beats = np.abs(off_beats - np.rint(off_beats))
        period_s = HOP_S * max(left.beat_frames, right.beat_frames)
        allowed = off_beats * period_s <= _PHASE_TOLERANCE_S
    else:
        allowed = left.moves[:, None] - right.moves == lag
    if not allowed.any():
        return 0, 0
    score = np.where(allowed, left.score[:, None] + right.score, -np.inf)
    best = np.unravel_index(int(np.argmax(score)), score.shape)
    return int(left.moves[best[0]]), int(right.moves[best[1]])


def take_lag(left: Edge, right: Edge) -> int | None:
    """Return how much too early the left side ends for the right one to go on there.

    In frames, below 0 if it ends too late. None if what follows the join on the right is not
    found on the left within the reach. Of places that are as like, the nearest counts.
    """
    middle, n = len(left.levels_db) // 2, round(_MATCH_S / HOP_S)
    reach = int(min(REACH_BEATS * left.beat_frames, MAX_REACH_S / HOP_S))
    ours, theirs = (
        np.maximum(levels_db, levels_db.max() - _MATCH_DYNAMICS_DB)
        for levels_db in (left.levels_db, right.levels_db)
    )
    lags = np.arange(-reach, reach + 1)
    views = np.lib.stride_tricks.sliding_window_view(ours, n, axis=0)[middle + lags]
    views = views - views.mean(axis=2, keepdims=True)
    after = theirs[middle : middle + n]
    after = after - after.mean(axis=0)
    power = (views**2).sum(axis=(1, 2)) * (after**2).sum()
    correlation = np.einsum("lbn,nb->l", views, after) / (np.sqrt(power) + 1e-9)
    if correlation.max() < _MIN_CORRELATION:
        return None
    alike = lags[correlation >= correlation.max() - _ALIKE]
    nearest = alike[np.abs(alike).argmin()]
    near = np.abs(lags - nearest) <= _NEAR_S / HOP_S
    return int(lags[near][correlation[near].argmax()])
