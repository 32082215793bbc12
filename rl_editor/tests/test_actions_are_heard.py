"""Every action type, from the cursor to the sound: what it does is measured on rendered samples.

The recording has 24 beats in bars of four, each beat a tone of its own, so that what plays when
can be heard again. Every edit keeps bar 0, cuts bar 1, keeps bar 2, does the action at bar 3,
and keeps the rest but for beat 20.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from rl_editor.actions import (
    AMOUNT_EXISTS,
    EQ_DB,
    GAIN_DB,
    PITCH_SEMITONES,
    SPEED_DOWN_RATES,
    SPEED_UP_RATES,
    Action,
    ActionType,
    Amount,
    Size,
)
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.edl import EditDecisionList, EdlGrid, Source, back_to_back, timeline_length
from rl_editor.grid import steady_grid
from rl_editor.join_choice import MAX_ALIGNMENT_S
from rl_editor.joins import fit_joins
from rl_editor.render import render_array
from rl_editor.sample_readers import ArrayReader

SR = 22050
N_BEATS = 24
N_BEAT = 17640
"""Samples of a beat, 0.8 s."""
GRID = steady_grid(N_BEATS * N_BEAT / SR, tempo_bpm=75.0)
TONES_HZ = 220.0 * 2.0 ** (np.arange(N_BEATS) / 12.0)
LOW_HZ, HIGH_HZ = 50.0, 10_000.0
"""Tones that sound all the time, for the equaliser to act on."""
ACTED_ON = [12, 13, 14, 15]
ACTED_ON_DB = -4.0
"""Level of the bar that actions act on, relative to the others."""
T, S = ActionType, Size


def recording(silent=()):
    """Return [S, 1] float32 the recording; the beats in `silent` hold no sound at all."""
    time_s = np.arange(N_BEAT) / SR
    always = 0.05 * (np.sin(2 * np.pi * LOW_HZ * time_s) + np.sin(2 * np.pi * HIGH_HZ * time_s))
    beats = 0.2 * np.sin(2 * np.pi * TONES_HZ[:, None] * time_s) + always
    beats[ACTED_ON] *= 10 ** (ACTED_ON_DB / 20)
    beats[list(silent)] = 0.0
    return beats.reshape(-1, 1).astype(np.float32)


def level_db(audio):
    return 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))


def tone_level_db(audio, frequency_hz):
    """Return the level of one frequency in [S, 1] audio."""
    wave = audio[:, 0] * np.hanning(len(audio))
    turning = np.exp(-2j * np.pi * frequency_hz * np.arange(len(wave)) / SR)
    return 20 * np.log10(2 * np.abs(wave @ turning) / np.hanning(len(audio)).sum() + 1e-12)


def pitch_hz(audio):
    """Return the strongest frequency from 120 to 2500 Hz, interpolated between bins."""
    n_fft = 1 << 17
    power = np.log(np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio)), n_fft)) + 1e-12)
    low, high = (round(hz * n_fft / SR) for hz in (120.0, 2500.0))
    k = low + int(power[low:high].argmax())
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * SR / n_fft


def tones(audio, semitones=0.0):
    """Return which beat's tone is heard in the middle of each of some whole beats, in order.

    Each tone, shifted by `semitones`, is met within 5 cents.
    """
    heard = []
    n_slots = round(len(audio) / N_BEAT)
    for slot in np.array_split(audio, n_slots):
        quarter = len(slot) // 4
        hz = pitch_hz(slot[quarter:-quarter])
        cents = 1200 * np.log2(hz / TONES_HZ) - 100 * semitones
        beat = int(np.abs(cents).argmin())
        assert abs(cents[beat]) < 5.0, f"{hz:.1f} Hz is {cents[beat]:+.1f} cents from beat {beat}"
        heard.append(beat)
    return heard


def edit_with(kind, amount, audio):
    """Return the finished edit in which the action acts on bar 3."""
    levels = [level_db(beat) if beat.any() else -120.0 for beat in audio.reshape(N_BEATS, -1)]
    state = EditState.start(GRID, np.array(levels), EpisodeConfig())
    for action in (Action(T.KEEP, S.BAR), Action(T.CUT, S.BAR), Action(T.KEEP, S.BAR)):
        state = state.step(action)
    state = state.step(Action(kind, S.BAR, amount))
    while not state.done:
        removed = state.cursor == 20
        state = state.step(Action(T.CUT, S.BEAT) if removed else Action(T.KEEP, S.BAR))
    return state


def rendered(clips, audio):
    edl = EditDecisionList(
        source=Source("", "", SR, 1, len(audio) / SR),
        duration_s=timeline_length(clips, SR) / SR,
        clips=clips,
        decisions=(),
        grid=EdlGrid.of(GRID),
    )
    return render_array(edl, audio)


@dataclass(frozen=True)
class Heard:
    """What an edit sounds like: `output` [S, 1] with hard cuts, and the `source` [S, 1]."""

    amount: Amount
    source: np.ndarray
    output: np.ndarray

    @classmethod
    def of(cls, kind, amount, silent=()):
        audio = recording(silent)
        clips = back_to_back(edit_with(kind, amount, audio).clips(), SR)
        return cls(amount, audio, rendered(clips, audio))

    @property
    def bar(self):
        """The output of the bar that the action acted on, with what was kept around it exact."""
        assert np.array_equal(self.output[: 8 * N_BEAT], self.kept([*range(4), *range(8, 12)]))
        assert np.array_equal(self.output[-7 * N_BEAT :], self.kept([*range(16, 20), 21, 22, 23]))
        return self.output[8 * N_BEAT : -7 * N_BEAT]

    @property
    def source_bar(self):
        return self.kept(ACTED_ON)

    def kept(self, beats):
        """Return the source of some beats."""
        return self.source.reshape(N_BEATS, N_BEAT)[beats].reshape(-1, 1)


BEFORE, AFTER, REST = [0, 1, 2, 3, 8, 9, 10, 11], [16, 17, 18, 19], [21, 22, 23]

ORDERS = {
    T.KEEP: lambda amount: BEFORE + ACTED_ON + AFTER + REST,
    T.CUT: lambda amount: BEFORE + AFTER + REST,
    T.LOOP: lambda amount: BEFORE + (2, 3, 4)[amount - 2] * ACTED_ON + AFTER + REST,
    T.REORDER: lambda amount: {
        Amount.NEG_LARGE: ACTED_ON + BEFORE + AFTER + REST,
        Amount.NEG_SMALL: BEFORE[:4] + ACTED_ON + BEFORE[4:] + AFTER + REST,
        Amount.NEUTRAL: BEFORE + AFTER + ACTED_ON + REST,
        Amount.POS_LARGE: BEFORE + AFTER + REST + ACTED_ON,
    }[amount],
    T.JUMP_BACK: lambda amount: {
        Amount.NEG_SMALL: BEFORE + list(range(8, 20)) + REST,
        Amount.NEG_LARGE: BEFORE + list(range(4, 20)) + REST,
    }[amount],
    T.SKIP: lambda amount: BEFORE + REST,
    T.REVERSE: lambda amount: BEFORE + ACTED_ON[::-1] + AFTER + REST,
    T.REPEAT_PREV: lambda amount: BEFORE + BEFORE[-4:] + ACTED_ON + AFTER + REST,
    T.SWAP_NEXT: lambda amount: BEFORE + AFTER + ACTED_ON + REST,
}
"""For types that only move sound: the beats of the output."""


def hear_fade_in(heard, bar=None, curves_at=(0.25, 0.5, 0.75)):
    bar = heard.bar if bar is None else bar
    expected = (
        (0.0625, 0.25, 0.5625),
        (0.15625, 0.375, 0.65625),
        (0.25, 0.5, 0.75),
        (0.203125, 0.5, 0.796875),
        (0.15625, 0.5, 0.84375),
    )[heard.amount]
    envelope = np.array([np.abs(part).max() for part in np.array_split(bar, 400)])
    straight = np.array([np.abs(part).max() for part in np.array_split(heard.source_bar, 400)])
    for at, weight in zip(curves_at, expected, strict=True):
        place = round(400 * at)
        measured = np.median((envelope / straight)[place - 3 : place + 3])
        assert measured == pytest.approx(weight, abs=0.02)
    assert np.abs(bar[:20]).max() < 1e-3
    assert envelope[-1] == pytest.approx(straight[-1], rel=0.01)


def hear_fade_out(heard):
    """A fade-out is the mirror image of the fade-in with the same curve."""
    weights = heard.bar[:, 0] / np.where(heard.source_bar[:, 0] == 0, 1, heard.source_bar[:, 0])
    hear_fade_in(heard, heard.source_bar * weights[::-1, None], (0.25, 0.5, 0.75))


def hear_gain(heard):
    wanted_db = -ACTED_ON_DB if heard.amount == Amount.NEUTRAL else GAIN_DB[heard.amount]
    gain_db = level_db(heard.bar) - level_db(heard.source_bar)
    assert gain_db == pytest.approx(wanted_db, abs=0.1)
    assert tones(heard.bar) == ACTED_ON


def hear_speed(rates):
    def hear(heard):
        rate = rates[heard.amount]
        assert len(heard.output) == 15 * N_BEAT + round(4 * N_BEAT / rate)
        beats = np.array_split(heard.bar, 4)
        middles = [beat[len(beat) // 4 : -len(beat) // 4] for beat in beats]
        cents = 1200 * np.log2([pitch_hz(m) for m in middles] / TONES_HZ[ACTED_ON])
        np.testing.assert_allclose(cents, 0.0, atol=5.0)

    return hear


def hear_pitch(sign):
    def hear(heard):
        assert len(heard.bar) == 4 * N_BEAT
        assert tones(heard.bar, sign * PITCH_SEMITONES[heard.amount]) == ACTED_ON

    return hear


def hear_shelf(changed_hz, other_hz):
    def hear(heard):
        for hz, wanted_db in ((changed_hz, EQ_DB[heard.amount]), (other_hz, 0.0)):
            changed_db = tone_level_db(heard.bar, hz) - tone_level_db(heard.source_bar, hz)
            assert changed_db == pytest.approx(wanted_db, abs=0.3)

    return hear


def hear_distortion(heard):
    def third_harmonic_db(bar):
        beat = bar[N_BEAT // 4 : 3 * N_BEAT // 4]
        hz = TONES_HZ[ACTED_ON[0]]
        return tone_level_db(beat, 3 * hz) - tone_level_db(beat, hz)

    assert third_harmonic_db(heard.source_bar) < -80.0
    assert third_harmonic_db(heard.bar) > -55.0
    assert level_db(heard.bar) == pytest.approx(level_db(heard.source_bar), abs=0.3)
    assert tones(heard.bar) == ACTED_ON
    if heard.amount > 0:
        weaker = Heard.of(T.DISTORTION, Amount(heard.amount - 1))
        assert third_harmonic_db(heard.bar) > third_harmonic_db(weaker.bar) + 1.0


def hear_reverb(heard):
    """A beat before silence rings on into it, falling by 60 dB in about 1.8 s."""

    def tail_db(amount):
        bar = Heard.of(T.REVERB, amount, silent=ACTED_ON[1:]).bar
        tail = bar[N_BEAT : N_BEAT + SR]
        return np.array([level_db(part) for part in np.split(tail, 10)]) - level_db(bar[:N_BEAT])

    now_db = tail_db(heard.amount)
    assert now_db[0] > -35.0
    slope_db_s = np.polyfit(np.arange(10) / 10, now_db, 1)[0]
    assert slope_db_s == pytest.approx(-60 / 1.8, rel=0.2)
    if heard.amount > 0:
        assert now_db[0] > tail_db(Amount(heard.amount - 1))[0] + 1.0


SOUNDS = {
    T.FADE_IN: hear_fade_in,
    T.FADE_OUT: hear_fade_out,
    T.GAIN: hear_gain,
    T.SPEED_UP: hear_speed(SPEED_UP_RATES),
    T.SPEED_DOWN: hear_speed(SPEED_DOWN_RATES),
    T.PITCH_UP: hear_pitch(1),
    T.PITCH_DOWN: hear_pitch(-1),
    T.EQ_LOW: hear_shelf(LOW_HZ, HIGH_HZ),
    T.EQ_HIGH: hear_shelf(HIGH_HZ, LOW_HZ),
    T.DISTORTION: hear_distortion,
    T.REVERB: hear_reverb,
}
"""For types that change the sound of bar 3: how that is measured."""


def all_amounts(kinds):
    """Return every legal (type, amount) of some types."""
    return [
        pytest.param(kind, amount, id=f"{kind.name}-{amount.name}")
        for kind in kinds
        for amount in Amount
        if AMOUNT_EXISTS[kind, amount]
    ]


def test_every_type_is_measured():
    assert set(ORDERS) | set(SOUNDS) == set(ActionType)


@pytest.mark.parametrize(("kind", "amount"), all_amounts(ORDERS))
def test_what_plays_when(kind, amount):
    heard = Heard.of(kind, amount)
    assert tones(heard.output) == ORDERS[kind](amount)
    if kind == T.REVERSE:
        assert np.array_equal(heard.bar, heard.source_bar[::-1])
    else:
        assert np.array_equal(heard.output, heard.kept(ORDERS[kind](amount)))


@pytest.mark.parametrize(("kind", "amount"), all_amounts(SOUNDS))
def test_how_it_sounds(kind, amount):
    SOUNDS[kind](Heard.of(kind, amount))


@pytest.mark.parametrize("kind", ActionType, ids=lambda kind: kind.name)
def test_fitted_joins_change_neither_order_nor_length(kind):
    amount = Amount(int(np.flatnonzero(AMOUNT_EXISTS[kind])[-1]))
    audio = recording()
    hard = back_to_back(edit_with(kind, amount, audio).clips(), SR)
    fitted = fit_joins(hard, ArrayReader(audio, SR), GRID)
    output = rendered(fitted.clips, audio)
    aligned = len(fitted.joins) * MAX_ALIGNMENT_S * SR
    assert len(output) == pytest.approx(timeline_length(hard, SR), abs=aligned)
    if kind in ORDERS:
        order = ORDERS[kind](amount)
        heard = tones(output)
        inner = [
            i
            for i in range(1, len(order) - 1)
            if abs(order[i] - order[i - 1]) == abs(order[i + 1] - order[i]) == 1
        ]
        assert len(inner) >= len(order) // 3
        assert [heard[i] for i in inner] == [order[i] for i in inner]
