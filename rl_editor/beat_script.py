"""A decision list on the beats of its recording: the parts that actions are to play, in order.

Times go to the nearest beat; what was done to a clip becomes the nearest action, a fade the span
of the grid that is as long. Fades shorter than half a beat belong to a join, not to the edit.
What no single action does is told, never forced.

In: `EditContext`, `Clip`s in output order. Out: `Script`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rl_editor.action_sounds import (
    SOUND_OF,
    clip_sound,
    differences,
    fade_amount,
    matches_level,
    nearest_action,
)
from rl_editor.actions import ActionType, Amount
from rl_editor.edit_state import EditContext
from rl_editor.edl import Clip
from rl_editor.spans import AS_IT_IS, Sound, Span, append
from rl_editor.spelling import largest_sizes
from rl_editor.units import format_time

WANTED_SHARE = 0.5
"""A beat is in the edit when at least this share of it is wanted."""
SAME_PLACE_BEATS = 0.5
"""Clips follow each other in the recording when the gap between them is at most this."""
MIN_REPEAT_S = 0.02
"""Less than this that is heard twice belongs to a crossfade."""
FADE_TOLERANCE_BEATS = 0.5
"""A fade may become this much longer or shorter."""


class Part(NamedTuple):
    """Beats `[start, end)` of the recording that one kind of action plays.

    Attributes:
        start, end: beats.
        kind, amount: of the action or, in spans of any size, of several ones.
        sound: what that makes of them.
        plays: how often they are heard, one after the other.
        is_exact: the sound is that of the clip.
    """

    start: int
    end: int
    kind: ActionType = ActionType.KEEP
    amount: Amount = Amount.NEUTRAL
    sound: Sound = AS_IT_IS
    plays: int = 1
    is_exact: bool = True

    @property
    def n_beats(self) -> int:
        """Beats heard."""
        return (self.end - self.start) * self.plays

    @property
    def is_whole(self) -> bool:
        """Whether one action must play all of it."""
        return self.plays > 1 or not self.sound.steady or self.is_matched

    @property
    def is_matched(self) -> bool:
        """Whether its level is made that of the clip before."""
        return self.kind == ActionType.GAIN and self.amount == Amount.NEUTRAL

    @property
    def is_plain(self) -> bool:
        """Whether it is heard as it is, once."""
        return self.kind == ActionType.KEEP

    def continues(self, before: Part) -> bool:
        """Return whether both are one part."""
        return (
            before.end == self.start
            and (before.kind, before.amount, before.is_exact)
            == (self.kind, self.amount, self.is_exact)
            and not (before.is_whole or self.is_whole)
        )


@dataclass(frozen=True)
class Script:
    """An edit in beats.

    Attributes:
        parts: in the order of the output.
        unexpressed: sentences about what was done to clips that no action does.
    """

    parts: tuple[Part, ...]
    unexpressed: tuple[str, ...]


@dataclass
class _Writing:
    """A script under way."""

    context: EditContext
    parts: list[Part] = field(default_factory=list)
    heard: tuple[Span, ...] = ()
    lost: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """What is not expressed, by what was done to it: seconds and particulars of each clip."""

    def add(self, part: Part) -> None:
        if self.parts and part.continues(self.parts[-1]):
            self.parts[-1] = self.parts[-1]._replace(end=part.end)
        else:
            self.parts.append(part)
        self.heard = append(self.heard, Span(part.start, part.end, part.sound))

    def lose(self, what: str, start: int, end: int, particulars: str) -> None:
        edges_s = self.context.edges_s
        self.lose_span(what, edges_s.item(start), edges_s.item(end), particulars)

    def lose_span(self, what: str, start_s: float, end_s: float, particulars: str = "") -> None:
        span = f"{format_time(start_s)} to {format_time(end_s)} of the recording"
        particulars = f"{span}: {particulars}" if particulars else span
        self.lost.setdefault(what, []).append((end_s - start_s, particulars))


def script(context: EditContext, clips: Sequence[Clip]) -> Script:
    """Return the parts that play clips, which are in output order, on the beats of a recording."""
    writing = _Writing(context)
    for passage in _passages(writing, clips):
        for start, end, clip in _on_beats(context, passage):
            _write(writing, start, end, clip)
    return Script(tuple(writing.parts), tuple(_sentence(*lost) for lost in writing.lost.items()))


def _sentence(what: str, clips: Sequence[tuple[float, str]]) -> str:
    seconds, particulars = zip(*clips, strict=True)
    in_clips = f" in {len(clips)} clips" if len(clips) > 1 else ""
    example = f"such as {particulars[0]}" if len(clips) > 1 else particulars[0]
    return f"{format_time(sum(seconds))} of the edit{in_clips} {what} ({example})."


def _passages(writing: _Writing, clips: Sequence[Clip]) -> list[list[Clip]]:
    """Return clips that follow each other in the recording as they do in the output, together."""
    context = writing.context
    passages: list[list[Clip]] = []
    for clip in clips:
        last = passages[-1][-1] if passages else None
        if last is not None and not (clip.reverse or last.reverse):
            follows_s = _follows_s(last, clip)
            gap = _place(context, clip.source_start_s) - _place(context, follows_s)
            if abs(gap) <= SAME_PLACE_BEATS:
                if follows_s - clip.source_start_s > MIN_REPEAT_S:
                    what = "is heard again, less than half a beat"
                    writing.lose_span(what, clip.source_start_s, follows_s)
                passages[-1].append(clip)
                continue
        passages.append([clip])
    return passages


def _follows_s(clip: Clip, following: Clip) -> float:
    """Return what of the recording a clip would have to start with to go on after another one.

    Where they overlap on the timeline, both play the same.
    """
    length_s = (clip.source_end_s - clip.source_start_s) / clip.rate
    overlap_s = clip.timeline_start_s + length_s - following.timeline_start_s
    return clip.source_end_s - max(0.0, overlap_s) * clip.rate


def _place(context: EditContext, time_s: float) -> float:
    """Return a time in beats."""
    edges_s = context.edges_s
    return float(np.interp(time_s, edges_s, np.arange(len(edges_s))))


def _on_beats(context: EditContext, passage: Sequence[Clip]) -> list[tuple[int, int, Clip]]:
    """Return the beats `[start, end)` of each clip of a passage, where at least one is left.

    A beat belongs to the passage when that plays at least half of it, and to the clip that plays
    most of it.
    """
    first = int(_place(context, min(clip.source_start_s for clip in passage)))
    last = int(np.ceil(_place(context, max(clip.source_end_s for clip in passage))))
    if first >= last:
        return []
    edges_s = context.edges_s[first : last + 1]
    played_s = np.array(
        [
            np.minimum(edges_s[1:], clip.source_end_s)
            - np.maximum(edges_s[:-1], clip.source_start_s)
            for clip in passage
        ]
    )
    played_s = np.maximum(played_s, 0.0)
    is_in = played_s.sum(axis=0) >= WANTED_SHARE * np.diff(edges_s)
    of_beat = np.where(is_in, played_s.argmax(axis=0), -1)
    lines = [0, *(np.flatnonzero(np.diff(of_beat)) + 1).tolist(), len(of_beat)]
    return [
        (first + a, first + b, passage[of_beat[a]]) for a, b in pairwise(lines) if of_beat[a] >= 0
    ]


def _write(writing: _Writing, start: int, end: int, clip: Clip) -> None:
    """Add the parts of one clip: a fade, what lies between, a fade."""
    sound = clip_sound(clip)
    body_start, body_end = start, end
    if not clip.reverse:
        body_start = _fade_in_end(writing, start, end, clip)
        body_end = _fade_out_start(writing, body_start, end, clip)
    elif max(clip.fade_in_s, clip.fade_out_s) > 0.5 * _beat_s(writing, start):
        what = "fades and is played backwards, which no single action does"
        writing.lose(what, start, end, _words(sound))
    if body_start > start:
        _write_fade(writing, start, body_start, sound, ActionType.FADE_IN, clip.fade_in_curve)
    if body_end > body_start:
        _write_body(writing, body_start, body_end, sound)
    if end > body_end:
        _write_fade(writing, body_end, end, sound, ActionType.FADE_OUT, clip.fade_out_curve)


def _fade_in_end(writing: _Writing, start: int, end: int, clip: Clip) -> int:
    """Return the beat where a fade at the start of a clip ends; `start` without one."""
    ends = {int(e) for e in writing.context.lines.span_end[start] if start < e <= end}
    spans = [(start, e) for e in sorted(ends)]
    span = _fade_span(writing, spans, clip.fade_in_s * clip.rate, (start, "in"))
    return start if span is None else span[1]


def _fade_out_start(writing: _Writing, start: int, end: int, clip: Clip) -> int:
    """Return the beat where a fade at the end of a clip begins; `end` without one."""
    reaches = writing.context.lines.span_end[start:end] == end
    spans = [(start + int(i), end) for i in np.flatnonzero(reaches.any(axis=1))]
    span = _fade_span(writing, spans, clip.fade_out_s * clip.rate, (end - 1, "out"))
    return end if span is None else span[0]


def _fade_span(
    writing: _Writing, spans: Sequence[tuple[int, int]], length_s: float, side: tuple[int, str]
) -> tuple[int, int] | None:
    """Return the span whose length is nearest to a fade's, or None where none is near.

    `side` names the clip's beat at that end, and the end.
    """
    edges_s = writing.context.edges_s
    beat, words = side
    beat_s = _beat_s(writing, beat)
    if length_s < 0.5 * beat_s:
        return None
    found = min(spans, key=lambda s: abs(edges_s[s[1]] - edges_s[s[0]] - length_s), default=None)
    if found is not None:
        start, end = found
        beat_s = float(edges_s[end] - edges_s[start]) / (end - start)
        if abs(edges_s[end] - edges_s[start] - length_s) <= FADE_TOLERANCE_BEATS * beat_s:
            return found
    first_s = edges_s.item(beat) if words == "in" else edges_s.item(beat + 1) - length_s
    what = f"fades {words}, but no span of the grid is as long"
    writing.lose_span(what, first_s, first_s + length_s)
    return None


def _beat_s(writing: _Writing, beat: int) -> float:
    """Return the length of a beat."""
    edges_s = writing.context.edges_s
    return float(edges_s[beat + 1] - edges_s[beat])


def _write_fade(
    writing: _Writing, start: int, end: int, sound: Sound, kind: ActionType, curve: str
) -> None:
    """Add a fade over the whole of `[start, end)`; no other effect goes with it."""
    amount = fade_amount(curve)
    different = differences(sound, AS_IT_IS)
    if different:
        what = f"fades and has another {' and '.join(different)}, which no single action does"
        writing.lose(what, start, end, _words(sound))
    made = SOUND_OF[kind, amount]
    writing.add(Part(start, end, kind, amount, made, is_exact=not different))


def _write_body(writing: _Writing, start: int, end: int, sound: Sound) -> None:
    lines = writing.context.lines
    matching_db = _matching_db(writing, start, end)
    if sound == Sound(gain_db=sound.gain_db) and matching_db is not None:
        one_action = len(largest_sizes(lines, start, end)) == 1
        if one_action and matches_level(sound.gain_db, matching_db):
            made = Sound(gain_db=matching_db)
            writing.add(Part(start, end, ActionType.GAIN, Amount.NEUTRAL, made))
            return
    kind, amount = nearest_action(sound)
    part = Part(start, end, kind, amount, SOUND_OF[kind, amount])
    if differences(sound, part.sound):
        names = " and ".join(differences(sound, AS_IT_IS))
        what = f"has another {names}, which no single action does"
        writing.lose(what, start, end, _words(sound))
        part = Part(start, end, is_exact=False)
    for piece in _whole_spans(writing.context, part) if part.sound.reverse else [part]:
        writing.add(piece)


def _matching_db(writing: _Writing, start: int, end: int) -> float | None:
    """Return the gain that GAIN NEUTRAL would give beats that come next, or None."""
    context, heard = writing.context, writing.heard
    if not heard or context.power is None:
        return None
    before = heard[-1]
    if not (context.is_audible(before.start, before.end) and context.is_audible(start, start + 1)):
        return None
    return context.matching_gain_db(before, Span(start, end))


def _whole_spans(context: EditContext, part: Part) -> list[Part]:
    """Return a part that is played backwards as spans of the grid, the last one first."""
    pieces, start = [], part.start
    for size in largest_sizes(context.lines, part.start, part.end):
        end = int(context.lines.span_end[start, size])
        pieces.append(part._replace(start=start, end=end))
        start = end
    return pieces[::-1]


def _words(sound: Sound) -> str:
    """Return what a sound is, such as `at -4.2 dB, 1.02 times as fast`."""
    words = [
        (abs(sound.gain_db) >= 0.05, f"at {sound.gain_db:+.1f} dB"),
        (abs(sound.rate - 1) >= 0.0005, f"{sound.rate:.3g} times as fast"),
        (abs(sound.semitones) >= 0.005, f"{sound.semitones:+.2g} semitones away"),
        (sound.reverse, "backwards"),
        (sound.eq_low_db != 0, f"{sound.eq_low_db:+.1f} dB in the lows"),
        (sound.eq_high_db != 0, f"{sound.eq_high_db:+.1f} dB in the highs"),
        (sound.distortion != 0, f"distorted by {sound.distortion:.2g}"),
        (sound.reverb != 0, f"reverberated by {sound.reverb:.2g}"),
    ]
    return ", ".join(text for is_so, text in words if is_so)
