"""The sum of all clips on the timeline, in blocks.

In: an `EditDecisionList` and the samples of its source. Out: blocks of the output in order, so
that memory does not grow with the length: clips without processing stream straight from the
source (and keep its samples bit for bit where no fade or gain touches them); processed clips are
made whole up to about a minute and a half of stereo at 44.1 kHz, longer ones in such pieces with
context around them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rl_editor.edl import Clip, EditDecisionList, Source
from rl_editor.effects import clip_envelope, fade_weights, is_transformed, transform
from rl_editor.sample_readers import Audio, SampleReader
from rl_editor.units import seconds_to_samples

BLOCK_SAMPLES = 65_536
PIECE_VALUES = 8_000_000
"""Samples times channels of the longest piece that is processed at once: 32 MB of float32."""
PIECE_MIN_S = 8.0
PIECE_CONTEXT_S = 3.0
"""Source before and after a piece: longer than the reverb and than any filter rings."""
PIECE_CROSSFADE_S = 0.02


def mixed_blocks(edl: EditDecisionList, reader: SampleReader) -> Iterator[Audio]:
    """Yield the sum of all clips in blocks [n, C] that make up the output, in its order."""
    streams = [_ClipStream(clip, reader, edl.source) for clip in edl.clips]
    waiting = deque(sorted(streams, key=lambda stream: stream.first))
    playing: list[_ClipStream] = []
    n_samples = seconds_to_samples(edl.duration_s, edl.source.sample_rate)
    dtype = reader.read(0, 0).dtype
    for start in range(0, n_samples, BLOCK_SAMPLES):
        stop = min(start + BLOCK_SAMPLES, n_samples)
        while waiting and waiting[0].first < stop:
            playing.append(waiting.popleft())
        block = np.zeros((stop - start, edl.source.channels), dtype=dtype)
        for stream in playing:
            stream.add_to(block, start)
        playing = [stream for stream in playing if stream.last > stop]
        yield block


class _ClipStream:
    """The output samples of one clip, made on demand from its first to its last."""

    def __init__(self, clip: Clip, reader: SampleReader, source: Source) -> None:
        sr = source.sample_rate
        self._clip, self._reader, self._sr = clip, reader, sr
        self._source_start, self._source_stop = clip.source_samples(sr)
        self.first, self.last = clip.timeline_samples(sr)
        self._is_transformed = is_transformed(clip)
        self._piece: Audio | None = None
        self._piece_samples = max(PIECE_VALUES // source.channels, round(PIECE_MIN_S * sr))
        self._piece_start = self._piece_stop = 0

    def add_to(self, block: Audio, start: int) -> None:
        """Add what falls into a block [n, C] of the output that begins at `start`; in order."""
        low, high = max(start, self.first), min(start + len(block), self.last)
        block[low - start : high - start] += self._read(low - self.first, high - self.first)

    def _read(self, start: int, stop: int) -> Audio:
        """Return the samples [start, stop), counted from the clip's first."""
        audio = (self._transformed if self._is_transformed else self._source)(start, stop)
        envelope = clip_envelope(self._clip, self._sr, self.last - self.first, start, stop)
        return audio if envelope is None else audio * envelope[:, None].astype(audio.dtype)

    def _source(self, start: int, stop: int) -> Audio:
        """Return source samples, counted from the end that the clip plays first."""
        if self._clip.reverse:
            return self._reader.read(self._source_stop - stop, self._source_stop - start)[::-1]
        return self._reader.read(self._source_start + start, self._source_start + stop)

    def _transformed(self, start: int, stop: int) -> Audio:
        parts = []
        while start < stop:
            if start >= self._piece_stop:
                self._make_piece()
            assert self._piece is not None
            end = min(stop, self._piece_stop)
            parts.append(self._piece[start - self._piece_start : end - self._piece_start])
            start = end
        return np.concatenate(parts)

    def _make_piece(self) -> None:
        """Process the next piece, crossfaded with what the one before holds beyond its end."""
        clip, sr, n_samples = self._clip, self._sr, self.last - self.first
        n_source = self._source_stop - self._source_start
        start = self._piece_stop
        is_last = n_samples - start <= self._piece_samples
        stop = n_samples if is_last else start + self._piece_samples
        n_context, n_fade = round(PIECE_CONTEXT_S * sr), round(PIECE_CROSSFADE_S * sr)
        source_start = max(0, round((start - n_context) * clip.rate))
        source_stop = n_source if is_last else round((stop + n_context) * clip.rate)
        source_stop = min(source_stop, n_source)
        made = transform(self._source(source_start, source_stop), replace(clip, reverse=False), sr)
        if is_last:
            made = made[len(made) - (n_samples - start) :]
        else:
            skipped = start - round(source_start / clip.rate)
            made = made[skipped : skipped + stop - start + n_fade]
        if self._piece is not None:
            rest = self._piece[start - self._piece_start :]
            weights = fade_weights("linear", len(rest))[:, None].astype(made.dtype)
            blend = made[: len(rest)] * weights + rest[: len(made)] * weights[::-1]
            made = np.concatenate([blend, made[len(rest) :]])
        self._piece, self._piece_start, self._piece_stop = made, start, stop
