"""Takes of a score: the same beats, other audio; mistakes are heard where they are made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rl_editor.score_takes import (
    MISTAKES,
    Attempt,
    draw_touch,
    is_same,
    play,
    steady_touch,
    with_mistakes,
)
from rl_editor.scores import read_score
from rl_editor.tests.made_scores import BEAT_S, sine_renderer, write_midi

pytest.importorskip("mido")

SR = 8000


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    return read_score(write_midi(tmp_path_factory.mktemp("midi") / "made.mid"))


def attempt(score, rng, start_bar=0, stop_bar=8):
    return Attempt(score, ((start_bar * 4 * BEAT_S, stop_bar * 4 * BEAT_S),), draw_touch(rng))


def test_the_steady_touch_plays_the_score_as_written(score):
    rng = np.random.default_rng(0)
    take = play(Attempt(score, ((0.0, score.duration_s),), steady_touch()), rng)
    np.testing.assert_array_equal(take.notes, score.notes)
    assert take.duration_s == pytest.approx(score.duration_s)


def test_a_retake_is_other_audio_with_the_same_beats(score):
    rng = np.random.default_rng(1)
    takes = [play(attempt(score, rng), rng) for _ in range(2)]
    for take in takes:
        onsets_s = take.notes["start_s"][take.notes["channel"] == 9]
        beats_s = np.interp(BEAT_S * np.arange(32), *take.marks[0])
        nearest = np.abs(onsets_s[:, None] - beats_s[None, :]).min(axis=1)
        assert len(onsets_s) >= 31
        assert np.median(nearest) < 0.04
    n = round(SR * min(take.duration_s for take in takes))
    one, other = (sine_renderer(take, SR, n)[:, 0] for take in takes)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5
    assert takes[0].duration_s == pytest.approx(takes[1].duration_s, rel=0.12)
    assert takes[0].duration_s != takes[1].duration_s


def test_marks_are_the_bar_lines_of_each_span(score):
    rng = np.random.default_rng(2)
    bar_s = 4 * BEAT_S
    spans = ((0.0, 2 * bar_s), (2 * bar_s, 3 * bar_s), (bar_s, 3 * bar_s))
    take = play(Attempt(score, spans, draw_touch(rng)), rng)
    np.testing.assert_allclose(take.marks[0][0], [0.0, bar_s, 2 * bar_s])
    np.testing.assert_allclose(take.marks[2][0], [bar_s, 2 * bar_s, 3 * bar_s])
    joined = np.concatenate([mark[1] for mark in take.marks])
    assert joined[0] == 0.0
    assert np.all(np.diff(joined) >= 0.0)
    assert take.marks[0][1, -1] == take.marks[1][1, 0]
    assert take.marks[1][1, -1] == take.marks[2][1, 0]


def test_held_notes_are_played_again_inside_them(score):
    rng = np.random.default_rng(3)
    middle = Attempt(score, ((BEAT_S, 3 * BEAT_S),), steady_touch())
    bass = play(middle, rng).notes
    bass = bass[bass["channel"] == 1]
    assert bass["start_s"].tolist() == [0.0]
    assert bass["end_s"][0] == pytest.approx(2 * BEAT_S)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_changes_what_is_played(score, name):
    rng = np.random.default_rng(4)
    good = attempt(score, rng)
    bad = MISTAKES[name](good, 6.1, rng)
    assert not is_same(good, bad)
    steady = dataclasses.replace(bad, touch=dataclasses.replace(bad.touch, jitter_s=0.0))
    notes = play(steady, rng).notes
    assert np.all(notes["end_s"] > notes["start_s"])
    assert np.all((notes["key"] >= 0) & (notes["key"] < 128))


def test_a_wrong_note_changes_the_pitch_there_and_nothing_before(score):
    rng = np.random.default_rng(5)
    good = attempt(score, rng)
    good = dataclasses.replace(good, touch=steady_touch())
    bad = MISTAKES["wrong notes"](good, 8.0, rng)
    changed = np.flatnonzero(bad.score.notes["key"] != good.score.notes["key"])
    # Notes of one chord may change places when their keys do.
    assert len(changed)
    assert good.score.notes["start_s"][changed].min() >= 8.0
    audio = [sine_renderer(play(a, rng), SR, 16 * SR)[:, 0] for a in (good, bad)]
    at = round(SR * good.score.notes["start_s"][changed[0]])
    np.testing.assert_array_equal(audio[0][:at], audio[1][:at])

    heard = [np.abs(np.fft.rfft(a[at : at + SR // 4], SR)) for a in audio]
    assert np.corrcoef(*heard)[0, 1] < 0.95


def test_stumbles_change_the_length(score):
    rng = np.random.default_rng(6)
    good = dataclasses.replace(attempt(score, rng), touch=steady_touch())
    length_s = play(good, rng).duration_s
    for name, sign in (("hesitate", 1), ("begin again", 1), ("skip", -1)):
        bad = play(MISTAKES[name](good, 6.1, rng), rng)
        assert sign * (bad.duration_s - length_s) > 0.1, name


def test_the_same_generator_makes_the_same_mistakes(score):
    def made(seed):
        rng = np.random.default_rng(seed)
        flawed, names = with_mistakes(attempt(score, rng), rng)
        return play(flawed, rng).notes.tobytes(), names

    assert made(7) == made(7)
    assert made(7) != made(8)
