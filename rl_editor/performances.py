"""Made-up raw sessions of scores that are played anew for every take.

The events are those of `session_plan`; but each attempt, each round of a riff and each passage
that stays is another performance, as in life: no two have the same samples. The finished piece is
the wanted takes in the order of the score, and times in the piece are its times.

In: `Score`, a renderer. Out: `Session`, as from `sessions.make_session`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.score_rendering import Renderer
from rl_editor.score_takes import (
    Attempt,
    Span,
    Take,
    draw_touch,
    is_same,
    play,
    steady_touch,
    with_mistakes,
)
from rl_editor.scores import Score
from rl_editor.session_flaws import FLAWS, Passage
from rl_editor.session_parts import Part
from rl_editor.session_plan import plan_session
from rl_editor.session_settings import SessionSettings
from rl_editor.sessions import Session, record, session_of
from rl_editor.units import samples_to_seconds, seconds_to_samples

Audio = NDArray[np.float32]

_TAIL_S = 2.5
"""How long a take may ring on into what follows."""
_DAMPED_S = 0.15
"""How long it rings where the players begin again at once."""
_END_FADE_S = 0.03
_RINGING_ATTEMPTS = 0.5
"""Share of the attempts that are left to ring, up to a second and a half."""
_TECHNICAL_FLAWS = ("dropouts", "overload", "level drop", "muffled", "knocked over")
_TECHNICAL_SHARE = 0.3
"""Share of the flawed attempts in which the recording goes wrong, too."""
_DRY_SHARE = 0.5
"""Share of the sessions in which the players are heard without a room of their own."""


def make_performance(
    score: Score, sr: int, rng: np.random.Generator, settings: SessionSettings, renderer: Renderer
) -> Session:
    """Return a session in which a score was played.

    The same generator state gives the same bytes.

    Args:
        score: the piece.
        sr: sample rate, Hz.
        rng: source of everything that is random.
        settings: how hard, see `SessionSettings.draw`.
        renderer: see `score_rendering.soundfont_renderer`.
    """
    return make_recital([score], sr, rng, settings, renderer)


def make_recital(
    scores: Sequence[Score],
    sr: int,
    rng: np.random.Generator,
    settings: SessionSettings,
    renderer: Renderer,
) -> Session:
    """Return a session in which scores were played one after the other.

    Places in the piece are counted through all of them. Arguments are those of
    `make_performance`.
    """
    channels = 1 if rng.random() < settings.mono else 2
    room = _room_response(sr, channels, rng)
    raws, exact, track_peak, offset = [], [], 0.0, 0
    for score in scores:
        band = _Band(score, sr, rng, renderer, channels, room)
        track = band.sound(play(_as_written(score), rng), tail_s=0.0)
        parts = plan_session(track, sr, score.grid, rng, settings, band)
        raw, played = _Layout(parts, band).recording()
        raws.append(raw)
        exact += [p if p.start is None else replace(p, start=p.start + offset) for p in played]
        offset += sum(p.n for p in played if p.wanted)
        track_peak = max(track_peak, float(np.abs(track).max(initial=0.0)))
    raw = np.concatenate(raws)
    return session_of(raw, sr, exact, record(raw, track_peak, sr, rng, settings), settings)


def _as_written(score: Score) -> Attempt:
    return Attempt(score, ((0.0, score.duration_s),), steady_touch())


class _Band:
    """Plays passages of a score in one room; a `session_plan.Performer`."""

    def __init__(
        self,
        score: Score,
        sr: int,
        rng: np.random.Generator,
        renderer: Renderer,
        channels: int,
        room: Audio | None,
    ) -> None:
        self.score, self.sr, self.rng, self.renderer = score, sr, rng, renderer
        self.channels, self.room = channels, room
        self.beat = max(64, int(sr * np.median(score.grid.durations_s)))
        self.tuning = rng.normal(0.0, 0.12)

    def take(self, spans: tuple[Span, ...]) -> Take:
        """Return a good take of passages of the score, seconds."""
        return play(Attempt(self.score, spans, draw_touch(self.rng)), self.rng)

    def sound(self, take: Take, tail_s: float = _TAIL_S) -> Audio:
        """Return [n, C] a take in the room, `tail_s` longer than its spans."""
        tuned = replace(take, tuning=take.tuning + self.tuning)
        n = max(1, seconds_to_samples(take.duration_s + tail_s, self.sr))
        audio = self.renderer(tuned, self.sr, n)
        if self.channels == 1:
            audio = audio.mean(axis=1, keepdims=True)
        if self.room is not None:
            from scipy.signal import oaconvolve

            audio = oaconvolve(audio, self.room, axes=0)[:n].astype(np.float32)
        return audio

    def attempt(self, start: int, stop: int, flawed_share: float) -> Audio:
        """Return [n, C] the samples [start, stop) of the plan as played this once."""
        span = (samples_to_seconds(start, self.sr), samples_to_seconds(stop, self.sr))
        good = Attempt(self.score, (span,), draw_touch(self.rng))
        if flawed_share < 1.0 and self.rng.random() >= flawed_share:
            return self._attempt_sound(play(good, self.rng))
        flawed, _ = with_mistakes(good, self.rng)
        audio = self._attempt_sound(play(flawed, self.rng))
        if is_same(good, flawed) or self.rng.random() < _TECHNICAL_SHARE:
            at = int(len(audio) * 0.9 * self.rng.beta(1.7, 1.3))
            flaw = FLAWS[str(self.rng.choice(_TECHNICAL_FLAWS))]
            audio = flaw(Passage(audio, self.sr, self.beat, at), self.rng)
        return audio

    def _attempt_sound(self, take: Take) -> Audio:
        is_ringing = self.rng.random() < _RINGING_ATTEMPTS
        tail_s = float(self.rng.uniform(0.2, 1.5)) if is_ringing else 0.0
        audio = self.sound(take, tail_s)
        _fade_out(audio, seconds_to_samples(max(0.5 * tail_s, _END_FADE_S), self.sr))
        return audio


def _room_response(sr: int, channels: int, rng: np.random.Generator) -> Audio | None:
    """Return [R, C] the response of a room with 0.15 to 1.2 s of reverberation, or None."""
    if rng.random() < _DRY_SHARE:
        return None
    n = int(sr * rng.uniform(0.15, 1.2))
    tail = rng.standard_normal((n, channels), dtype=np.float32)
    tail *= np.exp(-6.9 * np.arange(n, dtype=np.float32) / n)[:, None]
    tail *= np.float32(10.0 ** rng.uniform(-1.5, -0.3)) / np.sqrt(np.sum(tail**2, axis=0))
    tail[0] = 1.0
    return tail


def _fade_out(audio: Audio, n: int) -> None:
    n = min(n, len(audio))
    audio[len(audio) - n :] *= (np.linspace(1.0, 0.0, n, dtype=np.float32) ** 2)[:, None]


@dataclass(frozen=True)
class _Bar:
    """A bar, or a piece of one, in the recording: times in samples."""

    part: Part
    score_s: Span
    start: int
    stop: int


class _Layout:
    """Turns a plan into a recording and exact parts: one for each bar played and each gap."""

    def __init__(self, parts: list[Part], band: _Band) -> None:
        self.band = band
        self.sounds: list[tuple[int, Audio]] = []
        self.bars: list[_Bar] = []
        self.at = 0
        groups = list(_groups(parts))
        for group, following in zip(groups, [*groups[1:], None], strict=True):
            if group[0].start is None:
                self._add_sound(group[0])
            else:
                self._add_take(group, following is not None and not following[0].is_gap)

    def recording(self) -> tuple[Audio, list[Part]]:
        """Return [S, C] the recording and the parts that tile it."""
        raw = np.zeros((self.at, self.band.channels), dtype=np.float32)
        for start, sound in self.sounds:
            sound = sound[: self.at - start]
            raw[start : start + len(sound)] += sound
        _fade_out(raw, seconds_to_samples(_END_FADE_S, self.band.sr))
        return raw, self._parts()

    def _add_sound(self, part: Part) -> None:
        assert part.audio is not None
        self.sounds.append((self.at, part.audio * np.float32(part.gain)))
        self.bars.append(_Bar(part, (0.0, 0.0), self.at, self.at + part.n))
        self.at += part.n

    def _add_take(self, group: list[Part], is_damped: bool) -> None:
        sr = self.band.sr
        spans = tuple(
            (samples_to_seconds(p.start, sr), samples_to_seconds(p.stop, sr)) for p in group
        )
        take = self.band.take(spans)
        audio = self.band.sound(take)
        stop = seconds_to_samples(take.duration_s, sr)
        if is_damped:
            audio = audio[: stop + seconds_to_samples(_DAMPED_S, sr)]
        _fade_out(audio, len(audio) - stop)
        self.sounds.append((self.at, audio * np.float32(group[0].gain)))
        for part, marks in zip(group, take.marks, strict=True):
            edges = self.at + seconds_to_samples(marks[1], sr)
            for k in range(len(edges) - 1):
                if edges[k + 1] > edges[k]:
                    score_s = (float(marks[0, k]), float(marks[0, k + 1]))
                    self.bars.append(_Bar(part, score_s, int(edges[k]), int(edges[k + 1])))
        self.at += stop

    def _parts(self) -> list[Part]:
        """Return what each stretch of the recording is, with its sample in the finished piece."""
        wanted = sorted((b for b in self.bars if b.part.wanted), key=lambda bar: bar.score_s)
        ends = np.cumsum([0] + [b.stop - b.start for b in wanted])
        score_s = np.array([b.score_s[0] for b in wanted] + [wanted[-1].score_s[1]])
        exact = []
        for bar in self.bars:
            start: int | None = None
            if bar.part.start is not None:
                start = round(float(np.interp(bar.score_s[0], score_s, ends)))
            exact.append(replace(bar.part, n=bar.stop - bar.start, start=start, audio=None))
        return exact


def _groups(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield the parts that are played in one go: what follows goes on, or repeats the end."""
    group: list[Part] = []
    for part in parts:
        last = group[-1] if group else None
        goes_on = last is not None and last.start is not None and part.start is not None
        if goes_on and last is not None and last.stop in (part.start, part.stop):
            group.append(part)
            continue
        if group:
            yield group
        group = [part]
    if group:
        yield group
