"""Cuts land where both sides continue each other, and stay predictable."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.edl import (
    Clip,
    EditDecisionList,
    EdlGrid,
    Source,
    back_to_back,
    timeline_length,
    write_edl,
)
from rl_editor.grid import steady_grid
from rl_editor.join_choice import MAX_ALIGNMENT_S
from rl_editor.join_measures import is_within_limits
from rl_editor.join_search import MAX_OVERLAP_S
from rl_editor.joins import fit_joins
from rl_editor.render import render_array
from rl_editor.sample_readers import ArrayReader

SR = 22050


def stereo(wave):
    return np.repeat(np.asarray(wave)[:, None], 2, axis=1).astype(np.float32)


def edl_of(clips, audio, joins=(), sr=SR):
    duration_s = len(audio) / sr
    return EditDecisionList(
        source=Source("jam.wav", "", sr, audio.shape[1], duration_s),
        duration_s=timeline_length(clips, sr) / sr,
        clips=tuple(clips),
        decisions=(),
        grid=EdlGrid.of(steady_grid(duration_s)),
        joins=joins,
    )


def fitted(clips, audio, grid=None, sr=SR):
    grid = grid or steady_grid(len(audio) / sr)
    result = fit_joins(clips, ArrayReader(audio, sr), grid)
    return result, render_array(edl_of(result.clips, audio, sr=sr), audio)


def sine(duration_s, frequency_hz=220.0):
    return stereo(0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * SR)) / SR))


def clicks(times_s, duration_s, seed=0):
    """Short noise bursts, the same at each time, above a quiet noise floor."""
    generator = np.random.default_rng(seed)
    wave = 1e-4 * generator.standard_normal(round(duration_s * SR))
    burst = generator.standard_normal(600) * np.exp(-np.arange(600) / 100) * 0.3
    for time_s in times_s:
        at = round(time_s * SR)
        wave[at : at + len(burst)] += burst[: len(wave) - at]
    return stereo(wave)


def onsets_s(audio):
    """Times where a burst begins."""
    loud = np.abs(audio[:, 0]) > 0.03
    starts = np.flatnonzero(loud)
    return starts[np.diff(starts, prepend=-SR) > 0.1 * SR] / SR


def test_no_clips_and_one_clip():
    audio = sine(4)
    grid = steady_grid(4)
    assert fit_joins((), ArrayReader(audio, SR), grid).clips == ()
    result = fit_joins([Clip(0.0, 4.0)], ArrayReader(audio, SR), grid)
    assert result.clips == back_to_back([Clip(0.0, 4.0)], SR)
    assert result.joins == ()


def test_clips_that_continue_each_other_become_one_and_stay_bit_identical():
    audio = stereo(np.random.default_rng(0).uniform(-0.5, 0.5, 8 * SR))
    clips = [Clip(i, i + 1) for i in range(8)]
    result, heard = fitted(clips, audio)
    assert len(result.clips) == 1
    np.testing.assert_array_equal(heard, audio)


@pytest.mark.parametrize("frequency_hz", [110.3, 221.7, 443.0])
def test_sine_out_of_phase_is_aligned_without_a_click(frequency_hz):
    audio = sine(8, frequency_hz)
    result, heard = fitted([Clip(0, 2.5), Clip(5.0, 8.0)], audio)
    assert len(result.joins) == 1
    assert result.joins[0].curve == "linear"
    middle = round(result.joins[0].timeline_s * SR)
    around = heard[middle - SR // 10 : middle + SR // 10, 0]
    curvature = np.diff(around, n=2)
    assert np.abs(curvature).max() < 1.02 * 0.3 * (2 * np.pi * frequency_hz / SR) ** 2
    level_db = 20 * np.log10(around.std() / (0.3 / np.sqrt(2)))
    assert level_db == pytest.approx(0.0, abs=0.1)
    assert is_within_limits(result.joins[0])


def test_a_repeat_joins_without_a_trace():
    bar = np.random.default_rng(1).standard_normal(2 * SR) * 0.1
    audio = stereo(np.tile(bar, 4))
    result, heard = fitted([Clip(0, 2), Clip(4, 8)], audio)
    assert result.joins[0].curve == "linear"
    assert len(heard) == 6 * SR
    np.testing.assert_allclose(heard, audio[: 6 * SR], atol=1e-5)


def test_a_late_beat_is_pulled_to_its_time():
    late_s = 0.012
    times_s = np.concatenate([np.arange(0.5, 5, 0.5), np.arange(5.0, 10, 0.5) + late_s])
    audio = clicks(times_s, 10)
    result, heard = fitted([Clip(0, 2.0), Clip(6.0, 10.0)], audio)
    intervals_s = np.diff(onsets_s(heard))
    np.testing.assert_allclose(intervals_s, 0.5, atol=0.010)
    assert abs(result.joins[0].beat_phase_error_ms) < 10


def test_cut_between_unlike_passages_keeps_the_attack_of_the_beat():
    audio = clicks(np.arange(4.0, 8, 0.5), 8)
    audio[: 4 * SR] += 0.05 * np.random.default_rng(2).standard_normal((4 * SR, 1))
    result, heard = fitted([Clip(1.0, 3.0), Clip(4.5, 8.0)], audio)
    assert 4.45 < result.clips[1].source_start_s < 4.5
    entry = onsets_s(np.where(np.arange(len(heard))[:, None] < 1.9 * SR, 0.0, heard))
    assert np.abs(heard[round(2 * SR) - 400 : round(2 * SR) + 800]).max() > 0.3
    assert len(entry) >= 7


def test_overlaps_are_exact_and_length_changes_by_the_alignments_only():
    audio = stereo(np.random.default_rng(3).standard_normal(20 * SR) * 0.1)
    clips = [Clip(2, 4), Clip(8, 9), Clip(0.5, 1.0), Clip(15, 20)]
    result, heard = fitted(clips, audio)
    for before, after, join in zip(result.clips, result.clips[1:], result.joins, strict=False):
        overlap = before.timeline_samples(SR)[1] - after.timeline_samples(SR)[0]
        assert overlap == round(join.crossfade_s * SR) == round(after.fade_in_s * SR)
        assert before.fade_out_s == after.fade_in_s
        assert join.timeline_s == after.timeline_start_s + join.crossfade_s / 2
        assert join.crossfade_s <= MAX_OVERLAP_S
    assert abs(len(heard) - 8.5 * SR) <= 3 * MAX_ALIGNMENT_S * SR


def test_edges_into_nothing_get_a_short_fade_unless_they_are_the_recordings_own():
    audio = sine(8)
    inner, _ = fitted([Clip(1, 3)], audio)
    assert 0.003 <= inner.clips[0].fade_in_s <= 0.005
    assert 0.003 <= inner.clips[0].fade_out_s <= 0.005
    outer, _ = fitted([Clip(0, 3), Clip(5, 8)], audio)
    assert outer.clips[0].fade_in_s == 0.0
    assert outer.clips[-1].fade_out_s == 0.0


def test_fades_that_were_asked_for_stay_and_meet_a_declicked_edge():
    audio = sine(8)
    result, _ = fitted(
        [Clip(0, 2), Clip(4, 5, fade_in_s=1.0, fade_in_curve="s"), Clip(5, 7)], audio
    )
    before, fading = result.clips
    assert 0 < before.fade_out_s < 0.005
    assert (fading.fade_in_s, fading.fade_in_curve) == (1.0, "s")
    assert (fading.source_start_s, fading.source_end_s) == (4.0, 7.0)
    assert result.joins[0].crossfade_s == 0.0


def test_change_of_processing_in_a_passage_is_crossfaded_in_place():
    audio = sine(8)
    result, heard = fitted([Clip(0, 4), Clip(4, 8, gain_db=-6)], audio)
    assert len(heard) == len(audio)
    assert result.joins[0].curve == "linear"
    assert result.joins[0].level_step_db == pytest.approx(-6.0, abs=0.5)
    middle = slice(round(3.9 * SR), round(4.1 * SR))
    assert np.abs(np.diff(heard[middle, 0], n=2)).max() < 0.3 * (2 * np.pi * 220 / SR) ** 2 * 1.2


def test_a_bad_join_is_measured_as_bad():
    steady = 0.1 * np.sin(2 * np.pi * 220 * np.arange(30 * SR) / SR)
    steady[25 * SR :] = 0.8 * np.sin(2 * np.pi * 311.1 * np.arange(5 * SR) / SR)
    result, _ = fitted([Clip(0, 2), Clip(27, 30)], stereo(steady))
    join = result.joins[0]
    assert not is_within_limits(join)
    assert join.level_step_db == pytest.approx(18.06, abs=1.0)
    assert join.harmonic_distance > 0.5
    assert join.level_step_db_percentile > 95


@st.composite
def arrangements(draw):
    n_beats = 24
    clips = []
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, n_beats - 1))
        stop = draw(st.integers(start + 1, min(n_beats, start + 6)))
        fade_s = 0.5 * draw(st.sampled_from([0, 0, 0, 1]))
        clips.append(
            Clip(
                0.5 * start,
                0.5 * stop,
                gain_db=draw(st.sampled_from([0.0, 0.0, 3.0])),
                fade_in_s=fade_s,
                rate=draw(st.sampled_from([1.0, 1.0, 1.5])),
                reverse=draw(st.sampled_from([False, False, True])),
                semitones=draw(st.sampled_from([0.0, 0.0, 0.0, 2.0])),
            )
        )
    return clips


@settings(max_examples=10, deadline=None)
@given(arrangements())
def test_any_arrangement_becomes_a_valid_list_of_its_length(tmp_path_factory, clips):
    audio = clicks(np.arange(0.0, 12, 0.5), 12)
    result, heard = fitted(clips, audio)
    edl = edl_of(result.clips, audio, result.joins)
    write_edl(edl, tmp_path_factory.mktemp("edl") / "list.edl.json")
    assert len(result.joins) == len(result.clips) - 1
    expected_s = sum((clip.source_end_s - clip.source_start_s) / clip.rate for clip in clips)
    assert len(heard) / SR == pytest.approx(expected_s, abs=0.021 * len(clips))
    for before, after in itertools.pairwise(result.clips):
        assert after.timeline_samples(SR)[0] <= before.timeline_samples(SR)[1]


def test_fitting_is_deterministic():
    audio = clicks(np.arange(0.0, 12, 0.5), 12)
    clips = [Clip(0, 2), Clip(4, 6), Clip(1, 3), Clip(10, 12)]
    first, second = fitted(clips, audio)[0], fitted(clips, audio)[0]
    assert first == second


def test_two_takes_that_go_on_need_no_beat_of_the_grid():
    audio = clicks(np.arange(0.25, 16.0, 0.5), 16.0)
    clips = back_to_back([Clip(0.0, 4.1), Clip(8.2, 16.0)], SR)
    reader, grid = ArrayReader(audio, SR), steady_grid(16.0)
    by_grid = fit_joins(clips, reader, grid).joins[0]
    assert abs(by_grid.beat_phase_error_ms) > 35.0
    assert abs(fit_joins(clips, reader, grid, [True]).joins[0].beat_phase_error_ms) < 20.1


def test_a_cut_beside_its_beat_stays_there():
    audio = sine(16.0)
    clips = back_to_back([Clip(0.0, 4.2), Clip(8.2, 16.0)], SR)
    result, _ = fitted(clips, audio)
    half_s = result.joins[0].crossfade_s / 2
    assert result.clips[0].source_end_s - half_s == pytest.approx(4.2, abs=0.0205)


def test_what_sustains_is_crossfaded_for_longer():
    clips = back_to_back([Clip(0.0, 4.0), Clip(8.0, 16.0)], SR)
    (join,) = fitted(clips, sine(16.0))[0].joins
    assert join.crossfade_s == pytest.approx(0.2, abs=1e-4)
    (join,) = fitted(clips, clicks(np.arange(0.01, 16.0, 0.1), 16.0))[0].joins
    assert join.crossfade_s <= 0.06
    noise = stereo(0.1 * np.random.default_rng(0).standard_normal(16 * SR))
    assert fitted(clips, noise)[0].joins[0].crossfade_s <= 0.0301


def test_other_places_are_ranked_apart_and_possible():
    rng = np.random.default_rng(3)
    times_s = np.arange(0.5, 29.5, 0.5)
    audio = clicks(times_s, 30) + 0.02 * rng.standard_normal((30 * SR, 2)).astype(np.float32)
    result, _ = fitted([Clip(0, 10.0), Clip(20.0, 29.0)], audio)
    (join,) = result.joins
    others = join.alternatives
    assert 1 <= len(others) <= 3
    ends = [(result.clips[0].source_end_s, join.curve)]
    ends += [(other.left_end_s, other.curve) for other in others]
    for (one_s, one_law), (other_s, other_law) in itertools.combinations(ends, 2):
        assert abs(one_s - other_s) > 0.005 or one_law != other_law
    for other in others:
        assert abs(other.left_end_s - 10.0) < 0.35
        assert abs(other.right_start_s - 20.0) < 0.35
        assert 0.0 < other.crossfade_s <= 0.2
        assert 0.0 <= other.worst_percentile <= 100.0
