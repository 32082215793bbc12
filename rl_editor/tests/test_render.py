"""What a decision list sounds like: lengths, sums, untouched samples, no clipping."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor import clip_mix
from rl_editor.conversion import OutputFormat
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Source, back_to_back, timeline_length
from rl_editor.effects import is_transformed, process_clip
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.render import render, render_array

SR = 8000


def edl_of(clips, n_source, sr=SR, channels=2):
    duration_s = n_source / sr
    return EditDecisionList(
        source=Source("", "", sr, channels, duration_s),
        duration_s=timeline_length(clips, sr) / sr,
        clips=tuple(clips),
        decisions=(),
        grid=EdlGrid.of(steady_grid(duration_s)),
    )


def noise(n_samples, channels=2, amplitude=0.2, dtype=np.float32):
    generator = np.random.default_rng(0)
    return (amplitude * generator.uniform(-1, 1, (n_samples, channels))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keep_all_is_the_source(dtype):
    audio = noise(200_000, dtype=dtype)
    clips = back_to_back([Clip(0, 5), Clip(5, 12.5), Clip(12.5, 25)], SR)
    heard = render_array(edl_of(clips, len(audio)), audio)
    assert heard.dtype == dtype
    np.testing.assert_array_equal(heard, audio)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_keep_all_file_is_bit_identical(tmp_path, subtype):
    wide = (np.random.default_rng(0).integers(-(2**31), 2**31, (150_000, 2))).astype(np.int32)
    wide[:2] = [[-(2**31), 2**31 - 1], [2**31 - 1, -(2**31)]]
    is_float = subtype in ("FLOAT", "DOUBLE")
    soundfile.write(tmp_path / "in.wav", wide / 2.0**31 if is_float else wide, SR, subtype)
    edl = edl_of(back_to_back([Clip(0, 3), Clip(3, 150_000 / SR)], SR), 150_000)
    result = render(edl, tmp_path / "in.wav", tmp_path / "out.wav")
    before, after = (
        soundfile.read(tmp_path / name, dtype="float64" if is_float else "int32")[0]
        for name in ("in.wav", "out.wav")
    )
    np.testing.assert_array_equal(after, before)
    assert soundfile.info(tmp_path / "out.wav").subtype == subtype
    assert (result.n_samples, result.gain_applied_db) == (150_000, 0.0)


@st.composite
def decision_lists(draw):
    n_source = draw(st.integers(2000, 40_000))
    clips, position = [], 0
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, n_source - 1000))
        stop = draw(st.integers(start + 800, min(n_source, start + 20_000)))
        rate = draw(st.sampled_from([1.0, 1.0, 1.25, 0.67]))
        overlap = draw(st.integers(0, 200)) if clips else 0
        clip = Clip(
            start / SR,
            stop / SR,
            timeline_start_s=(position - overlap) / SR,
            gain_db=draw(st.sampled_from([0.0, -3.0])),
            fade_in_s=overlap / SR,
            rate=rate,
            reverse=draw(st.booleans()),
            eq_low_db=draw(st.sampled_from([0.0, 3.0])),
        )
        clips.append(clip)
        position = clip.timeline_samples(SR)[1]
    return edl_of(clips, n_source)


@settings(max_examples=10, deadline=None)
@given(decision_lists())
def test_rendered_length_is_the_lists_length(edl):
    audio = noise(round(edl.source.duration_s * SR))
    heard = render_array(edl, audio)
    assert heard.shape == (round(edl.duration_s * SR), 2)
    expected = np.zeros_like(heard)
    for clip in edl.clips:
        (start, stop), (first, last) = clip.source_samples(SR), clip.timeline_samples(SR)
        expected[first:last] += process_clip(audio[start:stop], clip, SR)
    np.testing.assert_allclose(heard, expected, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(decision_lists())
def test_plain_clips_are_the_source_bit_for_bit_between_their_crossfades(edl):
    audio = noise(round(edl.source.duration_s * SR))
    heard = render_array(edl, audio)
    spans = [clip.timeline_samples(SR) for clip in edl.clips]
    for k, clip in enumerate(edl.clips):
        if is_transformed(clip) or clip.gain_db or clip.reverse:
            continue
        first = spans[k][0] + round(clip.fade_in_s * SR)
        last = spans[k + 1][0] if k + 1 < len(spans) else spans[k][1]
        start = clip.source_samples(SR)[0] + first - spans[k][0]
        if first < last:
            np.testing.assert_array_equal(heard[first:last], audio[start : start + last - first])


def test_linear_crossfade_of_like_material_keeps_the_level():
    wave = 0.5 * np.sin(2 * np.pi * 100 * np.arange(4 * SR) / SR)
    audio = np.stack([wave, wave], axis=1).astype(np.float32)
    first = Clip(0, 1.02, fade_out_s=0.04)
    second = Clip(1.98, 3, timeline_start_s=0.98, fade_in_s=0.04)
    heard = render_array(edl_of([first, second], len(audio)), audio)
    np.testing.assert_allclose(heard, audio[: 2 * SR], atol=1e-4)


def test_equal_power_crossfade_of_unlike_material_keeps_the_level():
    audio = noise(4 * SR)
    clips = [
        Clip(0, 1.25, fade_out_s=0.5, fade_out_curve="equal_power"),
        Clip(1.75, 3, timeline_start_s=0.75, fade_in_s=0.5, fade_in_curve="equal_power"),
    ]
    heard = render_array(edl_of(clips, len(audio)), audio)
    inside, outside = heard[6100:9900], heard[:6000]
    assert 20 * np.log10(inside.std() / outside.std()) == pytest.approx(0, abs=0.5)


def test_what_no_clip_covers_is_silent():
    audio = noise(SR)
    heard = render_array(edl_of([Clip(0, 0.5, timeline_start_s=10)], SR), audio)
    assert len(heard) == 10.5 * SR
    assert not heard[: 10 * SR].any()
    np.testing.assert_array_equal(heard[10 * SR :], audio[: SR // 2])


def test_long_clip_in_pieces_sounds_like_the_whole(monkeypatch):
    audio = noise(30 * SR)
    clip = Clip(0, 30, eq_low_db=6, eq_high_db=-3, reverb=0.6, fade_in_s=30, fade_in_curve="s")
    edl = edl_of([clip], len(audio))
    whole = render_array(edl, audio)
    monkeypatch.setattr(clip_mix, "PIECE_VALUES", 1)
    np.testing.assert_allclose(render_array(edl, audio), whole, atol=2e-3)
    assert np.std(render_array(edl, audio) - whole) < 1e-4


@pytest.mark.parametrize("reverse", [False, True])
def test_long_stretched_clip_in_pieces_keeps_time_and_level(monkeypatch, reverse):
    monkeypatch.setattr(clip_mix, "PIECE_VALUES", 1)
    audio = 0.01 * noise(30 * SR + 1)
    clicks_s = np.arange(1.0, 30.0, 1.7)
    audio[np.rint(clicks_s * SR).astype(int)] = 0.9
    clip = Clip(0, len(audio) / SR, rate=1.12, reverse=reverse)
    heard = render_array(edl_of([clip], len(audio)), audio)
    assert len(heard) == round(len(audio) / 1.12)
    expected_s = (len(audio) / SR - clicks_s[::-1] if reverse else clicks_s) / 1.12
    for time_s in expected_s[(expected_s > 0.3) & (expected_s < 26)]:
        near = slice(round((time_s - 0.3) * SR), round((time_s + 0.3) * SR))
        assert np.argmax(np.abs(heard[near, 0])) / SR == pytest.approx(0.3, abs=0.003)


def test_too_loud_a_result_is_made_quieter_by_one_factor(tmp_path):
    audio = noise(100_000, amplitude=0.8)
    soundfile.write(tmp_path / "in.wav", audio, SR, "PCM_24")
    quiet, loud = Clip(0, 6), Clip(6, 12.5, timeline_start_s=6, gain_db=6)
    shares = []
    result = render(
        edl_of([quiet, loud], 100_000),
        tmp_path / "in.wav",
        tmp_path / "out.wav",
        on_progress=shares.append,
    )
    heard = soundfile.read(tmp_path / "out.wav")[0]
    assert np.abs(heard).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-4)
    assert result.peak_db == pytest.approx(-0.1, abs=0.01)
    assert result.gain_applied_db == pytest.approx(-20 * np.log10(0.8) - 6 - 0.1, abs=0.01)
    factor = 10 ** (result.gain_applied_db / 20)
    np.testing.assert_allclose(heard[:48_000], audio[:48_000] * factor, atol=1e-6)
    assert shares[-1] == 1.0


def test_float_output_keeps_the_peaks_of_a_float_source(tmp_path):
    audio = noise(SR, amplitude=1.8)
    soundfile.write(tmp_path / "in.wav", audio, SR, "FLOAT")
    edl = edl_of([Clip(0, 1)], SR)
    assert render(edl, tmp_path / "in.wav", tmp_path / "out.wav").gain_applied_db == 0.0
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out.wav", dtype="float32")[0], audio)
    limited = render(
        edl, tmp_path / "in.wav", tmp_path / "pcm.wav", output_format=OutputFormat("PCM_16")
    )
    assert limited.peak_db == pytest.approx(-0.1, abs=0.01)


def test_rendering_does_not_touch_the_array():
    audio = noise(SR)
    before = audio.copy()
    render_array(edl_of([Clip(0, 1, gain_db=-6, distortion=0.5, reverse=True)], SR), audio)
    np.testing.assert_array_equal(audio, before)


def test_lists_that_do_not_fit_are_refused_without_a_file(tmp_path):
    soundfile.write(tmp_path / "in.wav", noise(SR), SR)
    fitting = edl_of([Clip(0, 1)], SR)
    wrong_rate = replace(fitting, source=replace(fitting.source, sample_rate=SR + 1))
    for edl, words in (
        (edl_of([Clip(0, 2)], 2 * SR), "needs 2.0 s"),
        (wrong_rate, "8001 Hz"),
        (edl_of([], SR), "no clip"),
    ):
        with pytest.raises(UserError, match=words):
            render(edl, tmp_path / "in.wav", tmp_path / "out.wav")
    with pytest.raises(UserError, match="recording itself"):
        render(fitting, tmp_path / "in.wav", tmp_path / "in.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_samples_that_are_no_numbers_are_refused():
    audio = noise(SR)
    audio[5] = np.nan
    with pytest.raises(UserError, match="NaN"):
        render_array(edl_of([Clip(0, 1)], SR), audio)
