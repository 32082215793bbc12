"""Spans of the source and the order in which an edit plays them.

A clip is the longest stretch of the output that plays the source straight on under one steady
sound. Spans that continue each other are joined as soon as they meet, so an edit has the same
clips whether it was spelled in beats or in phrases.

In: spans, one by one, each with its place. Out: `Arrangement.ended`, the spans in output order.
"""

from __future__ import annotations

from typing import NamedTuple


class Sound(NamedTuple):
    """How a span is processed; fields and units as in `edl.Clip`.

    Attributes:
        fade_in, fade_out: curve of a fade over the whole span, or None.
    """

    gain_db: float = 0.0
    rate: float = 1.0
    semitones: float = 0.0
    reverse: bool = False
    eq_low_db: float = 0.0
    eq_high_db: float = 0.0
    distortion: float = 0.0
    reverb: float = 0.0
    fade_in: str | None = None
    fade_out: str | None = None

    @property
    def steady(self) -> bool:
        """Whether two halves of a span under this sound are the same as the whole."""
        return not self.reverse and self.fade_in is None and self.fade_out is None


AS_IT_IS = Sound()


class Span(NamedTuple):
    """Beats `[start, end)` of the source under one sound."""

    start: int
    end: int
    sound: Sound = AS_IT_IS

    @property
    def n_beats(self) -> int:
        """Length in beats of the source."""
        return self.end - self.start

    def continues(self, before: Span) -> bool:
        """Return whether this span plays straight on from `before`."""
        return before.end == self.start and before.sound == self.sound and self.sound.steady


Spans = tuple[Span, ...]


def append(spans: Spans, span: Span) -> Spans:
    """Return the spans with one more at the end, joined to the last where it continues it."""
    if spans and span.continues(spans[-1]):
        return (*spans[:-1], Span(spans[-1].start, span.end, span.sound))
    return (*spans, span)


def insert(spans: Spans, index: int, span: Span) -> Spans:
    """Return the spans with one more before `index`, joined to its neighbours."""
    merged = append(spans[:index], span)
    return (*append(merged, spans[index]), *spans[index + 1 :]) if index < len(spans) else merged


def last_beats(spans: Spans, n_beats: int) -> Spans:
    """Return the last `n_beats` of what the spans play; a fade covers the part that is left."""
    taken: list[Span] = []
    for span in reversed(spans):
        n_taken = min(n_beats, span.n_beats)
        if n_taken == 0:
            break
        start = span.start if span.sound.reverse else span.end - n_taken
        taken.append(Span(start, start + n_taken, span.sound))
        n_beats -= n_taken
    return tuple(reversed(taken))


class Waiting(NamedTuple):
    """A span that comes after the next clip, and whether that clip has begun."""

    span: Span
    begun: bool


class Arrangement(NamedTuple):
    """What an edit plays so far.

    Attributes:
        placed: spans in output order, none of which continues the one before it.
        waiting: spans that come after the next clip, in the order they were said.
        tail: spans that come at the very end, in the order they were said.
        n_placed: beats in `placed`.
    """

    placed: Spans = ()
    waiting: tuple[Waiting, ...] = ()
    tail: Spans = ()
    n_placed: int = 0

    def play(self, span: Span) -> Arrangement:
        """Return it with the span next in the output.

        Where the span begins a new clip, spans that waited for the end of the last one come
        before it.
        """
        placed, waiting, n_placed = self.placed, self.waiting, self.n_placed + span.n_beats
        if waiting:
            if not (placed and span.continues(placed[-1])):
                for ready in (w.span for w in waiting if w.begun):
                    placed = append(placed, ready)
                    n_placed += ready.n_beats
                waiting = tuple(w for w in waiting if not w.begun)
            waiting = tuple(Waiting(w.span, True) for w in waiting)
        return Arrangement(append(placed, span), waiting, self.tail, n_placed)

    def put_first(self, span: Span) -> Arrangement:
        """Return it with the span at the front of the output."""
        return self._inserted(0, span)

    def put_before_last(self, span: Span) -> Arrangement:
        """Return it with the span before the last clip."""
        return self._inserted(len(self.placed) - 1, span)

    def put_after_next(self, span: Span) -> Arrangement:
        """Return it with the span after the next clip, or at the end when none comes."""
        return self._replace(waiting=(*self.waiting, Waiting(span, False)))

    def put_last(self, span: Span) -> Arrangement:
        """Return it with the span at the end of the output, after all that is still to come."""
        return self._replace(tail=append(self.tail, span))

    def ended(self) -> Spans:
        """Return all spans in output order, as if nothing more came."""
        if not (self.waiting or self.tail):
            return self.placed
        spans = self.placed
        for span in (*(w.span for w in self.waiting), *self.tail):
            spans = append(spans, span)
        return spans

    def _inserted(self, index: int, span: Span) -> Arrangement:
        placed = insert(self.placed, index, span)
        return self._replace(placed=placed, n_placed=self.n_placed + span.n_beats)
