"""An edit begins and ends with sound; a finished track keeps its silence."""

import numpy as np
import pytest
import soundfile

from rl_editor.audio import AudioReader
from rl_editor.edl import Clip
from rl_editor.outer_silence import LEAD_S, TAIL_S, without_outer_silence

SR = 8000


def write(path, parts, floor=0.0):
    """Write (seconds, level) parts of noise with a noise floor."""
    rng = np.random.default_rng(0)
    signal = np.concatenate([level * rng.normal(size=round(s * SR)) for s, level in parts])
    signal += floor * rng.normal(size=len(signal))
    soundfile.write(path, signal, SR, "FLOAT")
    return path


def trimmed(path, *clips):
    with AudioReader(path) as reader:
        return without_outer_silence(clips, [False] * (len(clips) - 1), reader)[0]


@pytest.mark.parametrize("floor", [0.0, 1e-5, 5e-4])
def test_silence_at_the_ends_goes_but_for_a_breath(tmp_path, floor):
    path = write(tmp_path / "a.wav", [(5, 0), (20, 0.1), (3, 0), (10, 0.1), (7, 0)], floor)
    first, last = trimmed(path, Clip(2.0, 25.5), Clip(28.0, 44.0))
    assert first.source_start_s == pytest.approx(5.0 - LEAD_S, abs=0.03)
    assert first.source_end_s == 25.5  # inside an edit silence is the players' own
    assert last.source_start_s == 28.0
    assert last.source_end_s == pytest.approx(38.0 + TAIL_S, abs=0.03)


def test_what_stays_whole_keeps_its_silence(tmp_path):
    path = write(tmp_path / "a.wav", [(5, 0), (20, 0.1), (7, 0)])
    assert trimmed(path, Clip(0.0, 32.0)) == (Clip(0.0, 32.0),)


def test_a_noisy_room_is_no_silence(tmp_path):
    path = write(tmp_path / "a.wav", [(5, 0), (20, 0.1), (7, 0)], floor=0.01)
    assert trimmed(path, Clip(1.0, 30.0)) == (Clip(1.0, 30.0),)


def test_a_fade_stays(tmp_path):
    steps = [(0.5, 0.1 * 10 ** (-db / 20)) for db in range(0, 44, 2)]
    path = write(tmp_path / "a.wav", [(20, 0.1), *steps, (5, 0)])
    (clip,) = trimmed(path, Clip(1.0, 36.0))
    assert clip.source_end_s == pytest.approx(31.0 + TAIL_S, abs=0.05)


def test_clips_that_are_silent_throughout_go(tmp_path):
    path = write(tmp_path / "a.wav", [(9, 0), (20, 0.1), (9, 0), (10, 0.1), (9, 0)])
    clips = Clip(1.0, 3.0), Clip(9.0, 28.0), Clip(31.0, 34.0), Clip(38.0, 47.0), Clip(50.0, 54.0)
    with AudioReader(path) as reader:
        kept, goes_on = without_outer_silence(clips, [True, False, True, False], reader)
    assert kept == clips[1:4]
    assert goes_on == (False, True)
    assert trimmed(path, clips[0]) == clips[:1]  # something has to be heard


def test_processed_ends_stay(tmp_path):
    path = write(tmp_path / "a.wav", [(5, 0), (20, 0.1), (7, 0)])
    clips = Clip(1.0, 20.0, rate=1.25), Clip(20.0, 30.0, reverse=True)
    assert trimmed(path, *clips) == clips
    assert trimmed(path) == ()
