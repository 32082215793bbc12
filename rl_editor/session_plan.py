"""The order of events of a made-up session: which takes are played, what is heard in between.

A plan is a list of parts that follow each other in the raw recording. The piece is cut at some
places, and what is not wanted is inserted there: gaps (silence, talk, noise, count-in, tuning,
noodling), false starts, flawed takes, second takes, takes after the one that stays and riffs played
too often. Blocks of the
piece can also be recorded late or out of order. All positions are samples of the finished track.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rl_editor.grid import BeatGrid
from rl_editor.materials import Material
from rl_editor.session_flaws import break_off, played_anew, spoil
from rl_editor.session_parts import Audio, Part, Performer
from rl_editor.session_room import Room, make_room
from rl_editor.session_settings import SessionSettings
from rl_editor.session_sounds import make_sound
from rl_editor.units import db_to_gain, seconds_to_samples

FILLS = ("silence", "talk", "noise", "count_in", "tuning", "noodling")
"""What a gap can hold, as named in `SessionSettings` and, in capitals, in `Material`."""
TAKES = ("false_start", "flawed_take", "second_take", "long_repeat", "safety_take")
_SECONDS_PER_KIND = 4.0
"""A session holds at most one kind for each four unwanted seconds."""
_MAX_EVENTS = 600
_LOG_STOP_S = (0.8, 2.2)
"""Logarithm (base 10) of the shortest mean distance between stops, seconds of the piece."""
_SHORTEST_S = 0.3
"""Shortest sound of a gap."""
_FLAWED_STARTS = 0.4
"""Share of the false starts in which something goes wrong before they are broken off."""
_SAFETY_AT_THE_END = 0.6
"""Share of the takes after the one that stays which follow the end of the piece."""
_SAFETY_FROM_THE_TOP = 0.5
"""Share of them that begin with the piece."""
_SAFETY_AS_GOOD = 0.25
"""Share of the whole ones that are as good as the take before."""
_LONGEST_LATE_BEATS = 64
"""Longest passage that is recorded again at the end."""


def plan_session(
    signal: Audio,
    sr: int,
    grid: BeatGrid,
    rng: np.random.Generator,
    settings: SessionSettings,
    performer: Performer | None = None,
) -> list[Part]:
    """Return the parts of a session for the piece `signal` [S, C], in recording order.

    Attempts are copies of the piece, changed by `session_flaws`, unless a `performer` plays them.
    """
    share = rng.uniform(*settings.unwanted_share)
    if share <= 0.0:
        return [_wanted(0, len(signal))]
    planner = _Planner(signal, sr, grid, rng, settings)
    if performer is not None:
        planner.performer = performer
    planner.insert_events(round(share / (1.0 - share) * len(signal)))
    return planner.parts()


def _wanted(start: int, stop: int) -> Part:
    return Part(Material.MUSIC, stop - start, wanted=True, start=start)


class _Copies:
    """The performer who has only the finished track to make attempts from."""

    def __init__(
        self, signal: Audio, sr: int, beat: int, plays_anew: bool, rng: np.random.Generator
    ) -> None:
        self.signal, self.sr, self.beat = signal, sr, beat
        self.plays_anew, self.rng = plays_anew, rng

    def attempt(self, start: int, stop: int, flawed_share: float) -> Audio:
        audio = self.signal[start:stop]
        if self.plays_anew:
            audio = played_anew(audio, self.sr, self.beat, self.rng)
        if flawed_share >= 1.0 or self.rng.random() < flawed_share:
            audio, _ = spoil(audio, self.sr, self.beat, self.rng)
        return audio


class _Planner:
    """Collects what is inserted at each place of the piece, then lines everything up."""

    def __init__(
        self,
        signal: Audio,
        sr: int,
        grid: BeatGrid,
        rng: np.random.Generator,
        settings: SessionSettings,
    ) -> None:
        self.signal, self.sr, self.rng, self.settings = signal, sr, rng, settings
        self.edges = seconds_to_samples(grid.edges_s, sr)
        self.edges[-1] = len(signal)
        self.bars = self.edges[grid.bar_lines()]
        self.beat = max(64, int(np.median(np.diff(self.edges))))
        music = signal.mean(axis=1)
        self.rms = float(np.sqrt(np.mean(music.astype(np.float64) ** 2)))
        self.peak = float(np.abs(signal).max(initial=0.0))
        self.room: Room = make_room(music, sr, self.beat / sr, settings, rng)
        self.inserted: dict[int, list[Part]] = {}
        self.left = 0
        self.fills: list[str] = []
        self.pending: list[str] = []
        self.typical_s = 10.0 ** rng.uniform(0.0, 1.0)
        self.max_places = 1 + int(len(signal) / sr / 10.0 ** rng.uniform(*_LOG_STOP_S))
        plays_anew = rng.random() < settings.played_anew
        self.performer: Performer = _Copies(signal, sr, self.beat, plays_anew, rng)
        self.levels_db = {name: rng.uniform(*settings.junk_level_db) for name in FILLS}

    def insert_events(self, target: int) -> None:
        """Insert about `target` unwanted samples, each kind of the session at least once."""
        rng, self.left = self.rng, target
        kinds = [k for k in FILLS + TAKES if rng.random() < getattr(self.settings, k)]
        room_for = max(1, int(target / self.sr / _SECONDS_PER_KIND))
        kinds = [kinds[i] for i in rng.permutation(len(kinds))[:room_for]] or ["silence"]
        self.fills = [k for k in kinds if k in FILLS] or ["silence"]
        self.pending = [k for k in kinds if k in FILLS]
        todo = list(kinds)
        weights = rng.exponential(1.0, len(kinds))
        for _ in range(_MAX_EVENTS):
            if not todo and self.left < _SHORTEST_S * self.sr:
                break
            kind = todo.pop() if todo else str(rng.choice(kinds, p=weights / weights.sum()))
            if kind in TAKES:
                _TAKE_MAKERS[kind](self)
            else:
                self._insert(self._gap_place(), self._gap(kind))

    def parts(self) -> list[Part]:
        """Return everything in recording order, with the level of each take."""
        cuts = sorted({0, len(self.signal), *self.inserted})
        blocks = [[*self.inserted.get(a, []), _wanted(a, b)] for a, b in itertools.pairwise(cuts)]
        if self.rng.random() < self.settings.late_retake:
            self._retake_late(blocks)
        if self.rng.random() < self.settings.out_of_order and len(blocks) > 1:
            self._move_block(blocks)
        parts = [p for block in blocks for p in block] + self.inserted.get(len(self.signal), [])
        return self._with_levels([p for p in parts if p.n > 0])

    def _insert(self, place: int, parts: list[Part], first: bool = False) -> None:
        before = self.inserted.get(place, [])
        self.inserted[place] = parts + before if first else before + parts
        self.left -= sum(p.n for p in parts)

    # Places

    def _gap_place(self) -> int:
        draw = self.rng.random()
        if draw < 0.22:
            return 0
        if draw < 0.38:
            return len(self.signal)
        if draw < 0.6 and self.inserted:
            return int(self.rng.choice(sorted(self.inserted)))
        return self._line()

    def _line(self) -> int:
        """Return a bar line, a beat or a place between, where a performance is interrupted.

        Players stop again where they stopped before: after `max_places`, only there.
        """
        places = [p for p in sorted(self.inserted) if p < len(self.signal)]
        if len(places) >= self.max_places:
            return int(self.rng.choice(places))
        if self.rng.random() < self.settings.off_beat:
            return int(self.rng.integers(0, len(self.signal)))
        lines = self.edges if self.rng.random() < self.settings.off_bar else self.bars
        return int(self.rng.choice(lines[:-1]))

    def _take_place(self) -> int:
        return 0 if self.rng.random() < self.settings.from_the_top else self._line()

    def _take_length(self, place: int) -> int:
        """Return the length of a take from `place`: 2 to 90 beats, as far as there is room.

        Some go on to the end of the piece, or as long as half more than may still be unwanted.
        """
        if self.rng.random() < self.settings.whole_take:
            return int(min(len(self.signal) - place, max(2 * self.beat, 1.5 * self.left)))
        n = self.beat * 2.0 ** self.rng.uniform(1.0, 6.5)
        return int(min(n, max(2 * self.beat, 0.7 * self.left), len(self.signal) - place))

    # What is inserted

    def _gap(self, kind: str | None = None, short: bool = False) -> list[Part]:
        """Return one to four sounds in a row, `kind` among them; a count-in comes last."""
        count = int(self.rng.choice([1, 1, 2, 3, 4] if not short else [1, 1, 1, 2]))
        kinds = [kind or (self.pending.pop() if self.pending else self._fill())]
        kinds += [self._fill() for _ in range(count - 1)]
        if kind in self.pending:
            self.pending.remove(kind)
        kinds.sort(key=lambda k: k == "count_in")
        if "count_in" in kinds:
            kinds = kinds[: kinds.index("count_in") + 1]
        return [self._sound(k, short) for k in kinds]

    def _fill(self) -> str:
        return str(self.rng.choice(self.fills))

    def _sound(self, kind: str, short: bool) -> Part:
        rng = self.rng
        seconds = self.typical_s * float(np.exp(rng.normal(0.0, 0.9))) * (0.4 if short else 1.0)
        longest = max(1.0, 0.6 * self.left / self.sr)
        n = int(self.sr * min(max(seconds, _SHORTEST_S), longest, 90.0))
        if kind == "count_in":
            n = self.beat * int(rng.choice([2, 3, 4, 4, 4, 6, 8, 8]))
        mono = make_sound(Material[kind.upper()], n, self.room, rng)
        if kind == "noodling" and "talk" in self.fills and rng.random() < 0.15:
            mono = mono + 0.4 * make_sound(Material.TALK, n, self.room, rng)
        loud = float(np.sqrt(np.mean(mono.astype(np.float64) ** 2))) + 1e-9
        gain = self.rms / loud * db_to_gain(self.levels_db[kind] + rng.normal(0.0, 2.0))
        gain = min(gain, 1.3 * self.peak / max(float(np.abs(mono).max(initial=0.0)), 1e-9))
        return Part(Material[kind.upper()], n, audio=self._panned(mono, gain))

    def _panned(self, mono: Audio, gain: float) -> Audio:
        pan = np.ones(self.signal.shape[1], dtype=np.float32)
        pan[self.rng.integers(len(pan))] *= self.rng.uniform(0.3, 1.0)
        return mono[:, None] * (pan * np.float32(gain))

    def _false_start(self) -> None:
        """Begin a passage, break it off after 1 to 8 beats or bars, and begin again."""
        place = self._line() if self.rng.random() < 0.6 else 0
        parts: list[Part] = []
        if place > 0 and place not in self.inserted:
            parts += self._gap(short=True)
        bar = int(np.median(np.diff(self.bars)))
        for _ in range(int(self.rng.choice([1, 1, 1, 2, 3, 4]))):
            n = int(self.rng.integers(1, 9)) * int(self.rng.choice([self.beat, bar]))
            n = min(n, len(self.signal) - place, max(2 * self.beat, self.left))
            audio = self.performer.attempt(place, place + n, _FLAWED_STARTS)
            audio = break_off(audio, self.sr, self.rng)
            parts.append(Part(Material.FALSE_START, len(audio), audio=audio))
            if self.rng.random() < 0.9:
                parts += self._gap(short=True)
        self._insert(place, parts)

    def _flawed_take(self) -> None:
        """Play a passage with flaws, to its end or not, then again."""
        place = self._take_place()
        n = self._take_length(place)
        audio = self.performer.attempt(place, place + n, 1.0)
        is_broken_off = self.rng.random() < self.settings.broken_off
        if is_broken_off:
            audio = break_off(audio, self.sr, self.rng)
        parts = [Part(Material.FLAWED_TAKE, len(audio), audio=audio)]
        self._insert(place, parts + self._before_retake(place))

    def _second_take(self) -> None:
        """Play a passage twice without a flaw."""
        place = self._take_place()
        copy = self._copy(place, self._take_length(place))
        self._insert(place, [copy, *self._before_retake(place)])

    def _safety_take(self) -> None:
        """Play again after the take that stays: broken off, flawed, or as good.

        What is broken off cannot stand for the passage, however good it is.
        """
        lines = self.edges[self.edges > 0]
        is_end = self.rng.random() < _SAFETY_AT_THE_END
        stop = len(self.signal) if is_end else int(self.rng.choice(lines))
        start = 0 if self.rng.random() < _SAFETY_FROM_THE_TOP else self._line_before(stop)
        n = min(stop - start, max(2 * self.beat, round(1.5 * self.left)))
        gap = self._gap(short=True) if self.rng.random() < self.settings.gap_after_take else []
        if n == stop - start and self.rng.random() < _SAFETY_AS_GOOD:
            take = self._copy(start, n)
        else:
            if self.rng.random() < self.settings.broken_off:
                n = int(n * self.rng.uniform(0.1, 1.0))
            is_broken_off = n < stop - start
            audio = self.performer.attempt(start, start + n, 0.3 if is_broken_off else 1.0)
            if is_broken_off:
                audio = break_off(audio, self.sr, self.rng)
            take = Part(Material.FLAWED_TAKE, len(audio), audio=audio)
        self._insert(stop, [*gap, take], first=True)

    def _line_before(self, stop: int) -> int:
        """Return a bar line before a sample, 0 if there is none."""
        before = self.bars[self.bars < stop]
        return int(self.rng.choice(before)) if len(before) else 0

    def _long_repeat(self) -> None:
        """Play the last 1, 2 or 4 bars 2 to 8 times more."""
        n_bars = min(int(self.rng.choice([1, 1, 2, 2, 4])), len(self.bars) - 1)
        bar = int(self.rng.integers(n_bars, len(self.bars)))
        start, stop = int(self.bars[bar - n_bars]), int(self.bars[bar])
        most = max(1, int(1.3 * self.left / max(1, stop - start)))
        plays = min(int(self.rng.integers(2, 9)), most)
        self._insert(stop, [self._copy(start, stop - start)] * plays, first=True)

    def _before_retake(self, place: int) -> list[Part]:
        has_gap = self.rng.random() < self.settings.gap_after_take
        return (self._gap(short=True) if has_gap else []) + self._pre_roll(place)

    def _pre_roll(self, place: int) -> list[Part]:
        """Return the bar or two before `place`, played again to get into it; often nothing."""
        if self.rng.random() >= self.settings.pre_roll:
            return []
        bar = int(np.median(np.diff(self.bars)))
        n = bar * int(self.rng.choice([1, 1, 1, 2]))
        return [self._copy(place - n, n)] if place >= n else []

    def _copy(self, start: int, n: int) -> Part:
        return Part(Material.REDUNDANT_REPEAT, n, equally_good=True, start=start)

    # What changes the order

    def _retake_late(self, blocks: list[list[Part]]) -> None:
        """Spoil one block where it stands, and record it again after the last one."""
        fitting = [i for i, b in enumerate(blocks) if 4 * self.beat < b[-1].n]
        if not fitting:
            return
        chosen = int(self.rng.choice(fitting))
        block, start = blocks[chosen], int(blocks[chosen][-1].start or 0)
        inner = self.edges[(self.edges > start) & (self.edges < start + block[-1].n)]
        if len(inner) < 2:
            return
        begin, end = sorted(int(x) for x in self.rng.choice(inner, 2, replace=False))
        end = min(end, begin + _LONGEST_LATE_BEATS * self.beat)
        audio = self.performer.attempt(begin, end, 1.0)
        flawed = Part(Material.FLAWED_TAKE, len(audio), audio=audio)
        blocks[chosen] = [*block[:-1], _wanted(start, begin), flawed]
        blocks.insert(chosen + 1, [_wanted(end, start + block[-1].n)])
        blocks.append([*self._gap(), *self._pre_roll(begin), _wanted(begin, end)])

    def _move_block(self, blocks: list[list[Part]]) -> None:
        """Record one block at another time, with a gap around it."""
        taken = int(self.rng.integers(len(blocks)))
        block = blocks.pop(taken)
        place = int(self.rng.integers(len(blocks) + 1))
        blocks.insert(place, block)
        for index in {taken, taken + 1, place, place + 1}:
            if 0 < index < len(blocks) and not any(p.is_gap for p in blocks[index]):
                blocks[index] = self._gap(short=True) + blocks[index]

    def _with_levels(self, parts: list[Part]) -> list[Part]:
        """Return the parts with a level for each take: it may change after every gap."""
        levelled = []
        gain = db_to_gain(self.rng.uniform(*self.settings.take_gain_db))
        for index, part in enumerate(parts):
            if part.is_gap:
                levelled.append(part)
                continue
            if index and parts[index - 1].is_gap and self.rng.random() < 0.5:
                gain = db_to_gain(self.rng.uniform(*self.settings.take_gain_db))
            levelled.append(replace(part, gain=gain))
        return levelled


_TAKE_MAKERS: dict[str, Callable[[_Planner], None]] = {
    "false_start": _Planner._false_start,
    "flawed_take": _Planner._flawed_take,
    "second_take": _Planner._second_take,
    "long_repeat": _Planner._long_repeat,
    "safety_take": _Planner._safety_take,
}
