"""What a user says about the beat moves it as it says, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.beat_hints import BeatHints, check_changed_tempo, doubled, halved, shifted
from rl_editor.beat_parts import bars_through
from rl_editor.beats import grid_from_activations, listen
from rl_editor.beats_file import GivenBeats
from rl_editor.errors import UserError
from rl_editor.tests.test_beats import SR, drums, inputs, nearest, silence

HINTS = st.sampled_from([{}, {"half": True}, {"double": True}, {"tempo_bpm": 97.0}])


@pytest.fixture(scope="module")
def heard():
    """Return what is heard of 2.1 s of silence, 8 bars at 112 bpm, 4 s of silence, 8 bars."""
    parts = [silence(2.1), drums(112.0, 8), silence(4.0), drums(112.0, 8, seed=1)]
    signal = np.concatenate(parts)
    return listen(inputs(signal)), len(signal) / SR


def grid(heard, **hints):
    return grid_from_activations(*heard, BeatHints(**hints))


def played(made):
    return made.beats_s[made.confidence > 0.0]


def test_half_and_double_are_of_the_tempo_that_is_heard(heard):
    plain = grid(heard)
    assert grid(heard, half=True).tempo_bpm == pytest.approx(plain.tempo_bpm / 2, rel=0.01)
    double = grid(heard, double=True)
    assert double.tempo_bpm == pytest.approx(plain.tempo_bpm * 2, rel=0.01)
    assert nearest(played(double), played(plain)).max() < 1e-6
    half = grid(heard, half=True)
    assert nearest(played(plain), played(half)).max() < 1e-6
    assert len(played(half)) == pytest.approx(len(played(plain)) / 2, abs=2)
    # The pulse is as clear as it was.
    assert double.confidence.max() == pytest.approx(plain.confidence.max(), rel=0.1)


def test_half_of_double_is_the_same(heard):
    beats_s = played(grid(heard))[:24]
    np.testing.assert_array_equal(halved(doubled(beats_s)), beats_s)


def test_half_keeps_the_beats_with_the_downbeats(heard):
    plain, half = grid(heard), grid(heard, half=True)
    downbeats_s = plain.beats_s[plain.is_downbeat & (plain.confidence > 0)]
    assert nearest(played(half), downbeats_s).max() < 1e-6


@pytest.mark.parametrize("beat", [8, 9])
def test_half_keeps_the_beat_that_is_said_to_be_a_downbeat(beat, heard):
    moment_s = played(grid(heard))[beat]
    half = grid(heard, half=True, downbeats_s=(moment_s,))
    assert nearest(half.beats_s[half.is_downbeat], [moment_s]) < 1e-6


@pytest.mark.parametrize("beat", [20, 21])
def test_half_and_shift_still_have_a_beat_where_a_bar_is_said_to_begin(beat, heard):
    moment_s = float(played(grid(heard))[beat])
    changed = grid(heard, half=True, shift_beat=True, downbeats_s=(moment_s,))
    assert nearest(changed.beats_s[changed.is_downbeat], [moment_s]) < 0.02


def test_hints_are_told_as_options_that_give_them_again():
    given = GivenBeats("my take.beats", (0.0, 1.0), (1, 2))
    words = BeatHints(given=given, downbeats_s=(3912.345, 1234567.25)).words()
    assert words == ("--beats 'my take.beats'", "--downbeat 3912.345", "--downbeat 1234567.25")


def test_a_shift_moves_each_beat_by_half_a_period(heard):
    plain, moved = grid(heard), grid(heard, shift_beat=True)
    period_s = 60.0 / plain.tempo_bpm
    later_s = played(plain)[:-1] + period_s / 2
    later_s = later_s[[np.abs(played(plain) - t).min() < 0.6 * period_s for t in later_s]]
    assert nearest(played(moved), later_s).max() < 0.02
    assert moved.tempo_bpm == pytest.approx(plain.tempo_bpm, rel=0.01)
    even_s = 0.4 + 0.5 * np.arange(12)
    np.testing.assert_allclose(shifted(even_s), even_s + 0.25)


@pytest.mark.parametrize("beat", [5, 6, 7])
def test_a_downbeat_hint_is_a_downbeat_of_its_stretch_alone(beat, heard):
    plain = grid(heard)
    moment_s = plain.beats_s[plain.confidence > 0][beat] + 0.1
    hinted = grid(heard, downbeats_s=(moment_s,))
    np.testing.assert_array_equal(hinted.beats_s, plain.beats_s)
    nearest_beat = int(np.abs(plain.beats_s - moment_s).argmin())
    assert hinted.is_downbeat[nearest_beat]
    first = int(np.flatnonzero(plain.confidence > 0)[0])
    stretch = slice(first, first + 32)
    places = (np.arange(32) - (nearest_beat - first)) % 4
    np.testing.assert_array_equal(hinted.is_downbeat[stretch][1:], (places == 0)[1:])
    assert hinted.is_downbeat[first]
    rest = slice(first + 34, None)
    np.testing.assert_array_equal(hinted.is_downbeat[rest], plain.is_downbeat[rest])


def test_several_downbeats_hold_each_up_to_the_next(heard):
    beats_s = played(grid(heard))
    hinted = grid(heard, meter=3, downbeats_s=(beats_s[13], beats_s[2]))
    is_one = hinted.is_downbeat[hinted.confidence > 0][:20]
    assert np.flatnonzero(is_one).tolist() == [0, 2, 5, 8, 11, 13, 16, 19]


def test_bars_and_phrases_through_ones():
    is_one, is_phrase = bars_through(40, [14], 4)
    assert np.flatnonzero(is_one).tolist() == [0, *range(2, 40, 4)]
    assert np.flatnonzero(is_phrase).tolist() == [0, 2, 18, 34]
    is_one, is_phrase = bars_through(20, [0, 4, 9], 4)
    assert np.flatnonzero(is_one).tolist() == [0, 4, 8, 9, 13, 17]
    assert np.flatnonzero(is_phrase).tolist() == [0, 9]


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        ({"half": True, "double": True}, "half the tempo and twice the tempo"),
        ({"half": True, "tempo_bpm": 100.0}, "one tempo can be asked for"),
        ({"downbeats_s": (0.5,)}, "nothing is played there"),
        ({"downbeats_s": (20.6,)}, "nothing is played there"),
        ({"downbeats_s": (1000.0,)}, "the recording lasts"),
        ({"downbeats_s": (float("nan"),)}, "nan s is none"),
        ({"downbeats_s": (-1.0,)}, "-1 s is none"),
        ({"downbeats_s": (float("inf"),)}, "inf s is none"),
    ],
)
def test_hints_that_do_not_fit_are_refused(hints, expected, heard):
    with pytest.raises(UserError, match=expected):
        grid(heard, **hints)


def test_no_tempo_of_music_comes_out_of_half_and_double():
    with pytest.raises(UserError, match="half the tempo that is heard is 28 beats"):
        check_changed_tempo(28.0, BeatHints(half=True))
    with pytest.raises(UserError, match="twice the tempo that is heard is 401 beats"):
        check_changed_tempo(401.0, BeatHints(double=True))
    check_changed_tempo(28.0, BeatHints())


def test_without_a_pulse_the_cells_are_halved_and_doubled():
    nothing = (np.zeros((1000, 3), np.float32), 20.0)
    assert grid(nothing, half=True).n_beats == 20
    assert grid(nothing, double=True).n_beats == 80
    with pytest.raises(UserError, match="no beat is heard"):
        grid(nothing, downbeats_s=(3.0,))


def test_settings_name_only_what_is_said():
    """Analyses that were kept before these hints were known are still found."""
    assert BeatHints().settings() == {"tempo_bpm": None, "meter": None}
    said = BeatHints(half=True, downbeats_s=(1.5,)).settings()
    assert said == {"tempo_bpm": None, "meter": None, "half": True, "downbeats_s": (1.5,)}
    words = BeatHints(half=True, shift_beat=True, meter=3, downbeats_s=(1.5, 70.25)).words()
    assert words == ("--half", "--shift-beat", "--meter 3", "--downbeat 1.5", "--downbeat 70.25")


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    tempo=HINTS,
    shift=st.booleans(),
    meter=st.sampled_from([None, 1, 3]),
    moments=st.lists(st.floats(0.0, 19.0), max_size=3),
)
def test_any_hints_give_a_grid_or_one_sentence(seed, tempo, shift, meter, moments):
    rng = np.random.default_rng(seed)
    heard = np.zeros((1000, 3))
    for start in rng.integers(0, 1000, size=3):
        pulse = np.arange(start, min(1000, start + 400), rng.uniform(12, 50)).astype(int)
        heard[pulse, 0] = rng.uniform(0.5, 1.0)
        heard[pulse[::4], 1] = 0.8
    hints = BeatHints(meter=meter, shift_beat=shift, downbeats_s=tuple(moments), **tempo)
    try:
        made = grid_from_activations(heard, 20.0, hints)
    except UserError:  # nothing is played at a moment, or the tempo is none at half or twice
        assert moments or hints.half or hints.double
        return
    assert made.edges_s[0] == 0.0
    assert made.durations_s.min() > 0.0
    assert made.edges_s[-1] == 20.0
    is_played = np.flatnonzero(made.confidence > 0)
    for moment_s in moments:
        nearest_beat = is_played[np.abs(made.beats_s[is_played] - moment_s).argmin()]
        assert made.is_downbeat[nearest_beat]
