"""A track that stops dead gets a fade, one that has died away does not."""

import numpy as np
import pytest

from rl_editor.edl import Clip, back_to_back
from rl_editor.ending_fade import PLAYING_FADE_S, RINGING_FADE_S, faded_ending
from rl_editor.sample_readers import ArrayReader

SR = 8000


def reader_of(level):
    """A reader of 20 s of a tone whose level over time [S] is given in dB."""
    times = np.arange(20 * SR) / SR
    wave = 0.5 * np.sin(2 * np.pi * 220 * times) * 10 ** (level(times) / 20)
    return ArrayReader(wave[:, None].astype(np.float32), SR)


PLAYING = reader_of(lambda t: 0 * t)
RINGING = reader_of(lambda t: np.where(t < 15, 0.0, -(t - 15) * 5))
DIED_AWAY = reader_of(lambda t: np.where(t < 15, 0.0, -(t - 15) * 20))


def fade_of(clips, reader):
    made = faded_ending(clips, reader)
    assert [c.fade_out_s for c in made[:-1]] == [c.fade_out_s for c in clips[:-1]]
    return made[-1].fade_out_s


@pytest.mark.parametrize(
    ("reader", "fade_s"),
    [(PLAYING, PLAYING_FADE_S), (RINGING, RINGING_FADE_S), (DIED_AWAY, 0.0)],
)
def test_the_fade_depends_on_what_sounds_at_the_end(reader, fade_s):
    clips = back_to_back([Clip(0.0, 4.0), Clip(6.0, 20.0)], SR)
    assert fade_of(clips, reader) == fade_s


def test_half_of_a_short_clip_at_most():
    assert fade_of([Clip(6.0, 9.0)], PLAYING) == 1.5


def test_longer_fades_stay_and_declicks_do_not():
    long = Clip(0.0, 20.0, fade_out_s=6.0, fade_out_curve="linear")
    assert faded_ending([long], PLAYING) == (long,)
    assert fade_of([Clip(0.0, 20.0, fade_out_s=0.004)], PLAYING) == PLAYING_FADE_S


def test_the_clip_that_ends_last_fades():
    clips = [Clip(0.0, 15.0), Clip(15.0, 17.0, 2.0)]
    made = faded_ending(clips, PLAYING)
    assert (made[0].fade_out_s, made[1].fade_out_s) == (PLAYING_FADE_S, 0.0)


def test_nothing_to_fade():
    backwards = Clip(0.0, 5.0, reverse=True)
    assert faded_ending([backwards], PLAYING) == (backwards,)
    assert faded_ending([], PLAYING) == ()
    silent = reader_of(lambda t: -200.0 + 0 * t)
    assert fade_of([Clip(0.0, 20.0)], silent) == 0.0
