"""Made recordings of bands: labels where the strokes sound, patterns that fit, the same bytes."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("benchmarks.beat_training", reason="benchmarks are part of a checkout only")

from benchmarks.beat_training.songs.composition import Note, draw_song
from benchmarks.beat_training.songs.grooves import GROOVES
from benchmarks.beat_training.songs.instruments import (
    SR,
    SYNTHESISED,
    Instrument,
    Sound,
    make_instrument,
)
from benchmarks.beat_training.songs.kits import KEYS, Kit
from benchmarks.beat_training.songs.mixing import Desk, duck
from benchmarks.beat_training.songs.palettes import PALETTES, REGISTERS
from benchmarks.beat_training.songs.playing import Band, Span, draw_band, play
from benchmarks.beat_training.songs.recordings import make_example, score_files
from benchmarks.beat_training.songs.scored import held_out_paths, usable
from benchmarks.beat_training.songs.stretches import Wish, perform
from benchmarks.beat_training.songs.strokes import Meter, draw_strokes
from benchmarks.beat_training.songs.timing import BEFORE, Clock, Hands, make_clock
from benchmarks.beat_training.songs.voices import Sung, draw_singer, sing
from rl_editor.errors import UserError
from rl_editor.score_rendering import find_soundfont

EXACT = Hands(0.0, {}, 0.0, 0.0)
EVEN = Clock(0.5 * (np.arange(BEFORE + 21, dtype=np.float64) - BEFORE), 0.5, 1.0)


def needs_soundfont():
    pytest.importorskip("tinysoundfont")
    try:
        find_soundfont()
    except UserError:
        pytest.skip("no soundfont is installed")


def groove(name):
    return next(g for g in GROOVES if g.name == name)


def plain_band(rng, kit=None, **players):
    """Return a band without effects whose hands are exact."""
    song = draw_song(rng, groove("rock"))
    band = draw_band(song, rng, sampled=False)
    return dataclasses.replace(
        band,
        kit=kit or band.kit,
        players=band.players | players,
        gains=dict.fromkeys(band.gains, 1.0),
        hands=EXACT,
        pump=0.0,
        desk=Desk(0.0, (0.0, 0.0), 0.0, 0.0, 0.0),
    )


def heard_s(audio, attack_s):
    """Return when the first sound comes to 0.3 of the peak of its attack."""
    begin = int(np.argmax(np.abs(audio) > 0.02 * np.abs(audio).max()))
    attack = np.abs(audio[begin : begin + int(attack_s * SR)])
    return (begin + int(np.argmax(attack >= 0.3 * attack.max()))) / SR


@pytest.mark.parametrize("chosen", GROOVES, ids=lambda g: g.name)
def test_every_groove_has_patterns_of_one_or_two_bars_and_makes_music(chosen):
    for pattern in chosen.drums:
        assert set(pattern) <= set(KEYS)
        for marks in pattern.values():
            assert 2 * chosen.meter * chosen.steps % len(marks) == 0
            assert set(marks) <= set("Xxo?.")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, chosen)
        assert chosen.bpm[0] - 1e-6 <= song.bpm <= chosen.bpm[1] + 1e-6
        notes = song.notes(0, 12, rng)
        assert len(notes) > 12
        assert max(note.at for note in notes) < 12 * chosen.meter
        bars = {int(note.at // chosen.meter) for note in notes}
        assert len(bars & set(range(12))) >= 9
        keys = [note.key for note in notes if note.part != "drums"]
        assert all(20 <= key <= 108 for key in keys)


def test_meters_and_metrical_levels_are_those_that_people_tap():
    weights = {}
    for g in GROOVES:
        weights[g.meter] = weights.get(g.meter, 0.0) + g.weight
    assert set(weights) >= {2, 3, 4, 5, 7}
    assert max(weights, key=weights.get) == 4
    assert groove("six eight").meter == 2
    assert groove("six eight").steps == 3
    assert max(groove("ballad").bpm) < 90 < min(groove("punk").bpm)


@pytest.mark.parametrize("manner", ["strum", "arp", "gallop", "walk", "montuno", "uneven", "bossa"])
@pytest.mark.parametrize(("beats", "steps"), [(4, 4), (3, 2), (2, 3), (7, 2), (5, 2), (4, 8)])
def test_strokes_lie_in_their_bar(manner, beats, steps):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        bars = draw_strokes(manner, Meter(beats, steps, 0.5, (0.0,)), rng)
        assert 1 <= len(bars) <= 2
        assert all(0.0 <= s.at < beats and s.length > 0.0 for bar in bars for s in bar)


@pytest.mark.parametrize("sampled", [0.0, 1.0])
def test_a_stroke_on_the_beat_sounds_at_the_beat(sampled):
    if sampled:
        needs_soundfont()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        kit = Kit(rng, sampled)
        for voice in "ksmhcrtW":
            notes = [Note(3.0, 0.3, "drums", voice, 1.0)]
            span = Span(0.0, 3 * SR, 100.0, True)
            audio = play(notes, EVEN, plain_band(rng, kit), span, rng)
            assert abs(heard_s(audio, 0.15) - 1.5) < 0.003, (seed, voice)


@pytest.mark.parametrize("program", [0, 4, 25, 27, 30, 33, 36])
def test_a_sampled_note_on_the_beat_sounds_at_the_beat(program):
    needs_soundfont()
    rng = np.random.default_rng(program)
    band = plain_band(rng, comp=make_instrument(f"gm:{program}", rng))
    for key in range(40, 80, 7):
        notes = [Note(4.0, 0.8, "comp", key, 1.0)]
        audio = play(notes, EVEN, band, Span(0.0, 4 * SR, 100.0, True), rng)
        assert abs(heard_s(audio, 0.15) - 2.0) < 0.003, key


@pytest.mark.parametrize("name", sorted(SYNTHESISED))
def test_synthesised_notes_have_their_pitch_and_begin_at_once(name):
    instrument = make_instrument(name, np.random.default_rng(1))
    sound = instrument.sound(57)
    assert np.isfinite(sound.samples).all()
    assert sound.onset < 0.07 * SR
    part = sound.samples[2000 : 2000 + SR]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 4 * SR))
    # All strong partials are multiples of the pitch, half of it or, in bells, of neither.
    if name != "fm":
        loudest_hz = np.argmax(spectrum) / 4.0
        ratio = loudest_hz / 220.0
        assert abs(12 * np.log2(ratio / max(1.0, round(ratio)))) < 0.5


def test_a_sung_note_begins_at_its_time_and_glides_to_its_pitch():
    rng = np.random.default_rng(0)
    singer = dataclasses.replace(draw_singer(rng), consonants=0.0, vibrato=(0.0, 5.0), transpose=0)
    out = np.zeros(3 * SR, dtype=np.float32)
    sing(out, [Sung(1.0, 2.0, 57.0, 1.0)], singer, rng)
    level = np.sqrt(np.convolve(out**2, np.ones(220) / 220, "same"))
    begins_s = np.argmax(level > 0.3 * level.max()) / SR
    assert abs(begins_s - 1.0) < 0.03
    part = out[int(1.4 * SR) : int(1.9 * SR)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 8 * SR))
    ratio = np.argmax(spectrum) / 8.0 / 220.0
    assert abs(ratio / round(ratio) - 1.0) < 0.01


def test_somebody_plays_on_beats_where_no_drums_are():
    for name in ("house", "reggae", "strings", "electric guitar alone", "waltz"):
        n_clear = n_sections = 0
        for seed in range(30):
            for section in draw_song(np.random.default_rng(seed), groove(name)).sections:
                heard = [s.at for p in ("bass", "comp") if p in section.playing
                         for bar in section.strokes[p] for s in bar]  # fmt: skip
                has_drums = "drums" in section.playing
                n_clear += has_drums or sum(at % 1.0 < 0.01 for at in heard) >= 0.25 * len(heard)
                n_sections += 1
        assert n_clear > 0.9 * n_sections, name


def test_swing_moves_off_beats_and_leaves_beats():
    clock = dataclasses.replace(EVEN, swing=2 / 3)
    assert clock.seconds(np.array([-1.0, 0.0, 1.0, 7.0])) == pytest.approx([-0.5, 0.0, 0.5, 3.5])
    assert clock.seconds(np.array([0.5, 3.5])) == pytest.approx([1 / 3, 1.5 + 1 / 3])
    sixteenths = dataclasses.replace(clock, pair=0.5)
    assert sixteenths.seconds(np.array([0.5, 0.25])) == pytest.approx([0.25, 1 / 6])


def test_clocks_rise_and_begin_at_the_first_bar_line():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        song = draw_song(rng)
        clock = make_clock(song, 3, 20, ends=seed % 2 == 0, rng=rng)
        assert clock.beats_s(0, 1) == pytest.approx([0.0])
        periods = np.diff(clock.edges_s)
        assert periods.min() > 0.2
        assert np.median(periods) == pytest.approx(60.0 / song.bpm, rel=0.5)


@pytest.mark.parametrize("opening", ["bar", "count", "pickup", "inside"])
@pytest.mark.parametrize("ending", ["stop", "chord", "fade", "cut"])
def test_labels_of_a_stretch_are_its_clock(opening, ending):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, groove("march" if seed else "three four rock"))
        band = draw_band(song, rng, sampled=False)
        stretch = perform(song, band, Wish(0, 9.0, opening, ending), rng)
        assert np.isfinite(stretch.signal).all()
        assert (np.diff(stretch.beats_s) > 0.2).all()
        assert stretch.beats_s[0] >= stretch.start_s - 1e-9
        assert stretch.beats_s[-1] <= stretch.end_s <= len(stretch.signal) / SR + 1e-9
        steps = np.diff(stretch.place_in_bar) % song.groove.meter
        assert (steps == 1).all()
        if opening == "bar":
            assert stretch.place_in_bar[0] == 0
        if opening == "count":
            before = stretch.place_in_bar[: song.groove.meter]
            assert before.tolist() == list(range(song.groove.meter))


def test_the_kick_of_a_rendered_song_is_on_its_labels():
    rng = np.random.default_rng(5)
    song = draw_song(rng, groove("house"))
    band = plain_band(rng)
    clock = make_clock(song, 0, 8, False, rng)
    notes = [
        n for n in song.notes(0, 8, rng) if n.part == "drums" and n.key == "k" and n.at % 1 == 0
    ]
    audio = play(notes, clock, band, Span(-0.2, 20 * SR, 100.0, True), rng)
    beats_s = clock.beats_s(0, 32)
    starts = (beats_s + 0.2) * SR
    for start in starts[1:8]:
        before = np.abs(audio[int(start) - 400 : int(start) - 60]).max()
        after = np.abs(audio[int(start) : int(start) + 400]).max()
        assert after > 1.5 * before


def test_examples_are_deterministic_and_hold_together():
    for seed in range(6):
        one = make_example(seed, 12.0, sampled=False)
        assert len(one.signal) == 12 * SR
        assert one.signal.dtype == np.float32
        assert np.isfinite(one.signal).all()
        assert np.abs(one.signal).max() <= 1.0
        assert (np.diff(one.beats_s) > 0.1).all()
        assert len(one.beats_s) == len(one.place_in_bar)
        inside = (one.beats_s[:, None] >= one.stretches_s[:, 0] - 1e-6) & (
            one.beats_s[:, None] <= one.stretches_s[:, 1]
        )
        assert inside.sum(axis=1).tolist() == [1] * len(one.beats_s)
    again = make_example(5, 12.0, sampled=False)
    assert again.signal.tobytes() == one.signal.tobytes()
    assert again.beats_s.tobytes() == one.beats_s.tobytes()


def test_sampled_examples_are_deterministic():
    needs_soundfont()
    one, again = (make_example(3, 10.0) for _ in range(2))
    assert one.signal.tobytes() == again.signal.tobytes()


def test_what_is_held_out_is_not_played(tmp_path):
    name = sorted(path for path in held_out_paths() if path.endswith(".mid"))[0]
    secret, free = tmp_path / name, tmp_path / "other.mid"
    secret.parent.mkdir(parents=True)
    for path in (secret, free):
        path.touch()
    assert usable([secret, free]) == (free,)
    assert usable([secret, free], held_out=True) == (secret,)
    assert score_files((tmp_path,), False) == (free,)
    with pytest.raises(UserError, match="MIDI files should be"):
        score_files((secret,), False)


def test_palettes_name_instruments_that_exist():
    for palette in PALETTES.values():
        for names in palette[:4]:
            for name in names:
                assert name == "voice" or name in SYNTHESISED or 0 <= int(name[3:]) < 128
    assert set(REGISTERS) == {"bass", "comp", "second", "lead"}


def test_a_band_that_stops_is_silent_soon():
    rng = np.random.default_rng(0)
    held = Instrument(lambda key: Sound(np.ones(4 * SR, dtype=np.float32), 0), True, 0.5)
    band: Band = plain_band(rng, comp=held)
    notes = [Note(0.0, 6.0, "comp", 60, 1.0), Note(2.0, 1.0, "comp", 64, 1.0)]
    audio = play(notes, EVEN, band, Span(0.0, 3 * SR, 0.8, False), rng)
    assert np.abs(audio[int(0.5 * SR) : int(0.7 * SR)]).min() > 0.0
    assert np.abs(audio[int(1.3 * SR) :]).max() < 1e-3


def test_ducking_is_deepest_at_the_kick_and_over_after_half_a_second():
    audio = np.ones(2 * SR, dtype=np.float32)
    duck(audio, [0.5], 0.8)
    assert audio[SR // 2] == pytest.approx(0.2)
    assert (audio[: SR // 2] == 1.0).all()
    assert audio[SR:] == pytest.approx(1.0)


def test_a_damped_note_is_shorter_and_darker_and_begins_with_the_open_one():
    guitar = make_instrument("electric", np.random.default_rng(2))
    open_note, damped = guitar.sound(45), guitar.muted(45)
    assert damped.onset == open_note.onset
    assert len(damped.samples) < len(open_note.samples)
    begin, late = damped.samples[: SR // 20], damped.samples[SR // 4 :]
    assert np.abs(late).max() < 0.2 * np.abs(begin).max()
    assert (
        np.abs(np.diff(damped.samples)).mean()
        < np.abs(np.diff(open_note.samples[: SR // 3])).mean()
    )
