"""Laws of the sounds between takes: length, level, the same from the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor import session_instruments, session_noises, session_speech
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.session_room import make_room
from rl_editor.session_settings import SessionSettings
from rl_editor.session_sounds import make_sound
from rl_editor.session_tones import add, coloured_noise, wavering
from rl_editor.sessions import make_session

SR = 11_025
MADE = (Material.TALK, Material.NOISE, Material.COUNT_IN, Material.TUNING, Material.NOODLING)
needs_soundfont = pytest.mark.skipif(
    not session_instruments.are_there(), reason="no soundfont, or nothing that plays it"
)
SAMPLED = [0.0, pytest.param(1.0, marks=needs_soundfont)]


@pytest.fixture(scope="module")
def piece():
    """[S] two seconds of a melody."""
    rng = np.random.default_rng(3)
    pitch = np.repeat(rng.uniform(150, 600, 8), SR // 4)
    return (0.5 * np.sin(2 * np.pi * np.cumsum(pitch) / SR)).astype(np.float32)


def room_of(piece, sampled=0.0):
    settings = SessionSettings(speech_program=0.0, sampled=sampled)
    return make_room(piece, SR, 0.5, settings, np.random.default_rng(0))


@pytest.mark.parametrize("sampled", SAMPLED)
@pytest.mark.parametrize("material", MADE)
@pytest.mark.parametrize("n", [SR, 3 * SR])
def test_sounds_are_full_scale_and_of_their_seed(piece, material, n, sampled):
    room = room_of(piece, sampled)
    for seed in range(8):
        sound = make_sound(material, n, room, np.random.default_rng(seed))
        assert sound.shape == (n,)
        assert sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(1.0, abs=1e-5)
        again = make_sound(material, n, room, np.random.default_rng(seed))
        np.testing.assert_array_equal(sound, again)
    other = make_sound(material, n, room, np.random.default_rng(100))
    assert not np.array_equal(sound, other)


@pytest.mark.parametrize("scene", tuple(dict.fromkeys(session_noises._SCENES)))
def test_scenes_go_on_to_the_last_fifth_or_fade(scene):
    n = 6 * SR
    loud = np.zeros(5)
    for seed in range(6):
        sound = scene(n, SR, np.random.default_rng(seed))
        assert sound.shape == (n,)
        assert np.isfinite(sound).all()
        loud += [np.abs(part).max() for part in np.split(sound, 5)]
    assert (loud > 0.0).all()


@pytest.mark.parametrize("tilt", [0.0, 6.0])
def test_noise_has_the_band_and_the_tilt_asked_for(tilt):
    sound = coloured_noise(60 * SR, SR, np.random.default_rng(1), (200.0, 3200.0), tilt)
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1.0 / SR)

    def level_db(low_hz, high_hz):
        return 10 * np.log10(power[(frequency >= low_hz) & (frequency < high_hz)].mean())

    assert level_db(390, 410) - level_db(1560, 1640) == pytest.approx(2 * tilt, abs=0.7)
    assert level_db(390, 410) - level_db(20, 40) > 15.0
    assert level_db(2500, 3100) - level_db(5000, 5400) > 3.0


def test_a_wandering_gain_stays_within_its_depth():
    gain_db = 20 * np.log10(wavering(10 * SR, SR, np.random.default_rng(2), 0.5, 12.0))
    assert gain_db.min() >= -12.001
    assert gain_db.max() <= 0.001
    assert np.ptp(gain_db) > 6.0


@pytest.mark.parametrize(
    ("start", "expected"),
    [(1, [0, 1, 1, 1]), (3, [0, 0, 0, 1]), (9, [0] * 4), (-2, [1, 0, 0, 0])],
)
def test_what_has_no_room_is_left_out(start, expected):
    out = np.zeros(4, dtype=np.float32)
    add(out, np.ones(3, dtype=np.float32), start, 1.0)
    np.testing.assert_array_equal(out, expected)


def test_the_plan_does_not_depend_on_what_is_installed(piece, monkeypatch):
    long_piece = np.tile(piece, 15)[:, None]
    grid = steady_grid(len(long_piece) / SR, 120.0)
    kinds = dict.fromkeys(
        ("talk", "tuning", "noodling", "count_in", "speech_program", "sampled"), 1.0
    )
    settings = dataclasses.replace(SessionSettings.named("hard"), **kinds)

    def truth():
        made = make_session(long_piece, SR, grid, np.random.default_rng(5), settings)
        return made.truth.segments

    with_all = truth()
    assert {s.material for s in with_all} >= {Material.NOODLING, Material.TALK}
    monkeypatch.setattr(session_instruments, "are_there", lambda: False)
    monkeypatch.setattr(session_speech, "has_speech_program", lambda: False)
    assert truth() == with_all


def test_an_incomplete_soundfont_leaves_the_noodling_to_synthesis(monkeypatch):
    def refuse(take, sr, n):
        raise UserError("the soundfont has no banjo")

    session_instruments._renderer.cache_clear()
    monkeypatch.setattr(session_instruments, "find_soundfont", lambda: "some.sf2")
    monkeypatch.setattr(session_instruments, "soundfont_renderer", lambda: refuse)
    try:
        assert not session_instruments.are_there()
    finally:
        session_instruments._renderer.cache_clear()


@needs_soundfont
def test_a_counted_stroke_sounds_the_same_each_time():
    strokes = session_instruments.strokes(4, SR, np.random.default_rng(4))
    assert len(strokes) == 4
    assert all(np.array_equal(stroke, strokes[0]) for stroke in strokes)
    assert np.argmax(np.abs(strokes[0])) < SR // 10


@needs_soundfont
def test_a_string_that_is_tuned_ends_near_its_pitch():
    """The last second of one long low note, against the pitch of its key (A2, 110 Hz)."""
    found = []
    for seed in range(12):
        sound = session_instruments.tuning(2 * SR, SR, [57], np.random.default_rng(seed))
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
        frequency = np.fft.rfftfreq(8 * len(sound), 1.0 / SR)
        near = (frequency > 180) & (frequency < 270)
        found.append(12 * np.log2(frequency[near][np.argmax(spectrum[near])] / 220.0))
    assert np.median(np.abs(found)) < 1.0
