import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor import coarse_match
from rl_editor.alignment import Alignment, EditSpan, align, align_files, check_related
from rl_editor.alignment_truth import truth
from rl_editor.effects import shelves, stretch
from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.tests.made_recordings import SR, cut_together, music
from rl_editor.tests.made_tasks import made_music

RAW_S = 60.0


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return music(RAW_S, 1)


@pytest.fixture(scope="module")
def long_raw() -> np.ndarray:
    return music(32.0, 5)


def assert_spans(alignment, cuts: list[tuple[float, float, float]], tolerance_s=0.01) -> None:
    assert len(alignment.spans) == len(cuts)
    place_s = 0.0
    for span, (start_s, end_s, gain_db) in zip(alignment.spans, cuts, strict=True):
        assert span.edit_start_s == pytest.approx(place_s, abs=tolerance_s)
        assert span.raw_start_s == pytest.approx(start_s, abs=tolerance_s)
        assert span.raw_end_s == pytest.approx(end_s, abs=tolerance_s)
        assert span.gain_db == pytest.approx(gain_db, abs=0.2)
        assert span.confidence > 0.95
        place_s += end_s - start_s


@st.composite
def cut_lists(draw):
    """Spans of at least 1.5 s anywhere in 30 s, each a jump away from the one before."""
    cuts: list[tuple[float, float, float]] = []
    for _ in range(draw(st.integers(2, 5))):
        start, length = draw(st.integers(0, 560_000)), draw(st.integers(33_075, 100_000))
        if cuts and abs(start / SR - cuts[-1][1]) < 0.3:
            start += SR
        gain_db = draw(st.sampled_from([0.0, -6.0, 3.0]))
        cuts.append((start / SR, (start + length) / SR, gain_db))
    return cuts


@settings(max_examples=6, deadline=None, derandomize=True)
@given(cuts=cut_lists())
def test_any_list_is_what_its_rendering_aligns_to(long_raw, cuts):
    spans = align(long_raw, cut_together(long_raw, cuts), SR).spans
    assert len(spans) == len(cuts)
    for span, (start_s, end_s, gain_db) in zip(spans, cuts, strict=True):
        assert span.speed == 1.0
        assert span.raw_start_s == pytest.approx(start_s, abs=0.002)
        assert span.raw_end_s == pytest.approx(end_s, abs=0.002)
        assert span.gain_db == pytest.approx(gain_db, abs=0.2)


@pytest.mark.parametrize("seed", range(2))
def test_a_random_cut_list_is_found_again(raw, seed):
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(1.0, 8.0, 14))
    edges = edges[edges < RAW_S]
    cuts = [
        (start, end, float(rng.choice([0.0, -6.0, 3.0])))
        for start, end in zip(edges[::2], edges[1::2], strict=False)
    ]
    alignment = align(raw, cut_together(raw, cuts), SR)
    assert_spans(alignment, cuts)
    assert alignment.matched_share == 1.0
    assert alignment.raw_duration_s == RAW_S


def test_passages_in_another_order_and_played_twice_are_found(raw):
    cuts = [(40.0, 46.5, 0.0), (5.2, 9.0, 0.0), (40.0, 46.5, 0.0), (20.0, 22.0, 0.0)]
    assert_spans(align(raw, cut_together(raw, cuts), SR), cuts)


def test_crossfades_noise_and_equalisation_do_not_hide_the_cuts(raw):
    cuts = [(3.0, 12.0, 0.0), (20.0, 31.0, 0.0)]
    first, second = (cut_together(raw, [(a - 0.01, b + 0.01, g)]) for a, b, g in cuts)
    ramp = np.linspace(0, 1, round(0.02 * SR))
    n = len(ramp)
    overlap = first[-n:] * (1 - ramp) + second[:n] * ramp
    edit = np.concatenate([first[:-n], overlap, second[n:]])
    edit = (
        edit + 0.3 * np.append(0, edit[:-1]) + np.random.default_rng(0).normal(0, 3e-3, len(edit))
    )
    spans = align(raw, edit.astype(np.float32), SR).spans
    assert len(spans) == 2
    for span, (start_s, end_s, _) in zip(spans, cuts, strict=True):
        assert span.raw_start_s == pytest.approx(start_s, abs=0.012)
        assert span.raw_end_s == pytest.approx(end_s, abs=0.012)
        assert span.confidence > 0.8


def test_foreign_material_stays_outside_the_spans(raw):
    edit = np.concatenate(
        [cut_together(raw, [(3, 10, 0)]), music(5, 7), cut_together(raw, [(30, 40, 0)])]
    )
    alignment = align(raw, edit, SR)
    assert [s.raw_start_s for s in alignment.spans] == pytest.approx([3, 30], abs=0.01)
    assert [s.edit_end_s for s in alignment.spans] == pytest.approx([7, 22], abs=0.01)
    assert alignment.matched_share == pytest.approx(17 / 22, abs=0.01)
    assert alignment.belongs_together
    assert len(alignment.confidence) == 22
    assert min(alignment.confidence) > 0.6


def test_unrelated_files_are_refused_by_name(raw, tmp_path):
    other = music(20.0, 8)
    assert align(raw, other, SR).matched_share < 0.1
    sf.write(tmp_path / "a_raw.wav", raw, SR)
    sf.write(tmp_path / "a_edit.wav", other, SR)
    found = align_files(tmp_path / "a_raw.wav", tmp_path / "a_edit.wav")
    assert not found.belongs_together
    with pytest.raises(UserError, match=r"a_edit\.wav.*a_raw\.wav.*only 0%"):
        check_related(tmp_path / "a_raw.wav", tmp_path / "a_edit.wav", found.matched_share)
    check_related("a", "b", 0.5)


def test_files_are_aligned_at_their_own_rates(raw, tmp_path):
    cuts = [(30.0, 40.0, 0.0), (10.0, 15.0, -3.0)]
    sf.write(tmp_path / "raw.wav", raw, SR, subtype="FLOAT")
    sf.write(tmp_path / "edit.flac", cut_together(raw, cuts), SR)
    assert_spans(align_files(tmp_path / "raw.wav", tmp_path / "edit.flac"), cuts)


def test_long_pairs_are_aligned_at_a_coarser_rate(raw, monkeypatch):
    cuts = [(5.0, 15.3, 0.0), (30.1, 45.0, 0.0)]
    monkeypatch.setattr(coarse_match, "MAX_CELLS", 300_000)
    assert_spans(align(raw, cut_together(raw, cuts), SR), cuts)


@pytest.mark.parametrize("length_s", [0.02, 0.1, 0.3])
def test_edits_too_short_to_tell_are_no_error(raw, length_s):
    found = align(raw, raw[SR : SR + round(length_s * SR)], SR)
    assert len(found.spans) <= 1
    assert found.belongs_together == bool(found.spans)


def test_silence_is_matched_to_nothing(raw):
    silence = np.zeros(5 * SR, np.float32)
    for raw_signal, edit_signal in ((raw, silence), (silence, raw[: 5 * SR]), (silence, silence)):
        alignment = align(raw_signal, edit_signal, SR)
        assert alignment.matched_share == 0.0
        assert alignment.spans == ()
    assert align(raw[:SR], raw[: SR // 2], SR).matched_share == 1.0


def test_truth_says_what_was_used_and_only_what_can_be_heard_of_the_rest():
    take, pause = music(12.0, 2), np.zeros(4 * SR, np.float32)
    retake = take * 0.7 + np.random.default_rng(4).normal(0, 0.01, len(take))
    raw = np.concatenate([take, pause, retake, music(6.0, 3)]).astype(np.float32)
    alignment = align(raw, cut_together(raw, [(22.0, 26.0, 0), (16.0, 22.0, 0)]), SR)
    found = truth(alignment, raw, SR)
    edges_s = np.array([0.5, 9.5, 12.7, 15.3, 16.1, 25.9, 29, 33.5])
    shares = found.wanted_share(edges_s)
    np.testing.assert_allclose(shares[[0, 2, 4, 6]], [0, 0, 1, 0], atol=1e-9)
    kinds = found.materials(edges_s)
    assert kinds[0] == Material.REDUNDANT_REPEAT
    assert kinds[2] == Material.SILENCE
    assert kinds[4] == kinds[6] == Material.MUSIC
    wanted = [s for s in found.segments if s.wanted]
    assert [s.piece_start_s for s in wanted] == pytest.approx([4.0, 0.0], abs=0.01)
    assert all(s.confidence > 0.95 and not s.equally_good for s in found.segments)
    assert found.duration_s == pytest.approx(34.0)


def test_truth_of_a_passage_used_twice_takes_the_first_use(raw):
    alignment = align(raw, cut_together(raw, [(10, 20, 0), (15, 25, 0)]), SR)
    wanted = [s for s in truth(alignment, raw, SR).segments if s.wanted]
    assert [s.start_s for s in wanted] == pytest.approx([10, 20], abs=0.01)
    assert [s.piece_start_s for s in wanted] == pytest.approx([0, 15], abs=0.01)


CHANGED_CUTS = [(20.0, 28.0, 0.0), (4.0, 9.5, 0.0), (31.0, 41.0, 0.0)]


def varispeed(signal: np.ndarray, speed: float) -> np.ndarray:
    import soxr

    return soxr.resample(signal, SR * speed, SR, quality="HQ").astype(np.float32)


@pytest.mark.parametrize(
    ("speed", "semitones"), [(1.06, 0.0), (0.93, 0.0), (1.0, 1.5), (0.97, -1.0)]
)
def test_speed_and_pitch_changed_by_a_phase_vocoder_are_found(raw, speed, semitones):
    edit = stretch(cut_together(raw, CHANGED_CUTS)[:, None], SR, speed, semitones)[:, 0]
    alignment = align(raw, edit, SR)
    assert len(alignment.spans) == 3
    place_s = 0.0
    for span, (start_s, end_s, _) in zip(alignment.spans, CHANGED_CUTS, strict=True):
        assert span.edit_start_s == pytest.approx(place_s / speed, abs=0.03)
        raw_middle_s = (span.raw_start_s + span.raw_end_s) / 2
        edit_middle_s = (span.edit_start_s + span.edit_end_s) / 2
        assert raw_middle_s - start_s == pytest.approx(edit_middle_s * speed - place_s, abs=0.015)
        assert span.speed == pytest.approx(speed, abs=0.004)
        assert span.pitch_semitones == pytest.approx(semitones, abs=0.2)
        assert span.confidence > 0.5
        place_s += end_s - start_s


@pytest.mark.parametrize("speed", [1.071, 0.95])
def test_varispeed_is_found_to_the_sample(raw, speed):
    alignment = align(raw, varispeed(cut_together(raw, CHANGED_CUTS), speed), SR)
    assert len(alignment.spans) == 3
    for span, (start_s, end_s, _) in zip(alignment.spans, CHANGED_CUTS, strict=True):
        assert span.raw_start_s == pytest.approx(start_s, abs=0.004)
        assert span.raw_end_s == pytest.approx(end_s, abs=0.004)
        assert span.speed == pytest.approx(speed, abs=2e-5)
        assert span.pitch_semitones == pytest.approx(12 * np.log2(speed), abs=0.01)
        assert span.confidence > 0.9


def test_each_span_has_its_own_speed_and_pitch(raw):
    first, second, third = (cut_together(raw, [cut]) for cut in CHANGED_CUTS)
    raised = stretch(second[:, None], SR, 1.0, 2.0)[:, 0]
    alignment = align(raw, np.concatenate([varispeed(first, 1.05), raised, third]), SR)
    assert [s.speed for s in alignment.spans] == pytest.approx([1.05, 1.0, 1.0], abs=0.002)
    assert [s.pitch_semitones for s in alignment.spans] == pytest.approx([0.845, 2, 0], abs=0.1)
    assert alignment.spans[2].speed == 1.0


def test_mastering_does_not_hide_what_was_used(raw):
    edit = shelves(cut_together(raw, CHANGED_CUTS)[:, None], SR, 5.0, -4.0)[:, 0]
    edit = 0.5 * np.tanh(3.0 * edit / np.abs(edit).max())
    spans = align(raw, edit.astype(np.float32), SR).spans
    assert [s.raw_start_s for s in spans] == pytest.approx([20, 4, 31], abs=0.01)
    assert [s.raw_end_s for s in spans] == pytest.approx([28, 9.5, 41], abs=0.01)


def test_fades_are_measured(raw):
    edit = cut_together(raw, [(10, 20, -3), (30, 42, 0)])
    edit[: 2 * SR] *= np.linspace(0, 1, 2 * SR)
    edit[-4 * SR :] *= np.linspace(1, 0, 4 * SR)
    first, second = align(raw, edit, SR).spans
    assert first.gain_db == pytest.approx(-3, abs=0.3)
    assert first.fade_in_s == pytest.approx(2, rel=0.2)
    assert second.fade_out_s == pytest.approx(4, rel=0.2)
    assert first.fade_out_s == second.fade_in_s == 0.0


def test_an_unrelated_recording_is_not_found_at_any_pitch_or_speed(raw):
    alignment = align(raw, stretch(music(25.0, 9)[:, None], SR, 1.04, 1.0)[:, 0], SR)
    assert alignment.matched_share < 0.1
    assert not alignment.belongs_together


@pytest.mark.parametrize("seed", range(2, 10, 2))
@pytest.mark.parametrize("speed", [1.0, 1.05])
def test_strangers_of_one_tempo_and_beat_are_foreign(seed, speed):
    raw = made_music(8.0, seed)[:, 0]
    # Heard at the same tempo and with drums on the same beats, at whatever speed it was made.
    stranger = made_music(6.0, seed + 1, round(SR * speed))
    edit = stretch(stranger, SR, speed, 0.0)[:, 0] if speed != 1.0 else stranger[:, 0]
    alignment = align(raw, edit, SR)
    assert alignment.matched_share < 0.1
    assert min(alignment.confidence) > 0.5


@pytest.mark.parametrize("seed", [2, 11])
def test_a_chord_of_the_same_notes_between_common_beats_is_no_copy(seed):
    """These have bars whose waveforms correlate by 0.5 to 0.6 between the drums."""
    alignment = align(made_music(40.0, 100 + seed)[:, 0], made_music(25.0, 200 + seed)[:, 0], SR)
    assert alignment.matched_share < 0.1
    assert min(alignment.confidence) > 0.4


def with_drums(signal: np.ndarray, level: float) -> np.ndarray:
    """Return a signal with one and the same drum sample four times a second."""
    hit = np.random.default_rng(1).normal(size=SR // 4) * np.exp(-np.arange(SR // 4) / 800)
    beats = np.tile(hit, -(-len(signal) // len(hit)))[: len(signal)]
    return (signal + level * np.std(signal) * beats).astype(np.float32)


@pytest.mark.parametrize("level", [20.0, 30.0])
def test_strangers_with_the_same_loud_drum_samples_do_not_belong_together(raw, level):
    edit = with_drums(music(20.0, 8), level)[SR // 4 :]
    alignment = align(with_drums(raw, level), edit, SR)
    assert alignment.matched_share < 0.1
    assert min(alignment.confidence) > 0.5


def test_loud_drum_samples_do_not_hide_what_was_used(raw):
    drummed = with_drums(raw, 20.0)
    assert_spans(align(drummed, cut_together(drummed, CHANGED_CUTS), SR), CHANGED_CUTS)


@pytest.mark.parametrize("speed", [0.95, 1.05])
def test_a_changed_piece_of_drums_is_still_found(speed):
    raw = made_music(20.0, 4)[:, 0]
    edit = stretch(cut_together(raw, [(12, 18, 0), (3, 9, 0)])[:, None], SR, speed, 0.0)[:, 0]
    alignment = align(raw, edit, SR)
    assert [s.raw_start_s for s in alignment.spans] == pytest.approx([12, 3], abs=0.03)
    assert alignment.matched_share > 0.95
    assert np.mean(alignment.confidence) > 0.6


def test_truth_of_a_faster_edit_is_in_the_time_of_the_raw_recording(raw):
    alignment = align(raw, varispeed(cut_together(raw, CHANGED_CUTS), 1.05), SR)
    wanted = [s for s in truth(alignment, raw, SR).segments if s.wanted]
    assert [s.start_s for s in wanted] == pytest.approx([4, 20, 31], abs=0.01)
    assert [s.piece_start_s for s in wanted] == pytest.approx([8, 0, 13.5], abs=0.02)


def test_truth_is_less_sure_where_a_span_fits_worse(raw):
    spans = (EditSpan(0.4, 6.4, 20.0, 0.0, 0.8), EditSpan(6.4, 9.0, 10.0, 0.0, 0.9, speed=1.1))
    seconds = (0.8, 0.75, 0.3, 0.5, 0.8, 0.85, 0.9, 0.9, 0.4)
    found = truth(Alignment(spans, RAW_S, 9.0, 1.0, seconds), raw, SR)
    wanted = [(s.start_s, s.end_s, s.confidence) for s in found.segments if s.wanted]
    expected = [(10.0, 11.76, 0.9), (11.76, 12.86, 0.4)]
    expected += [(20.0, 21.6, 0.775), (21.6, 23.6, 0.4), (23.6, 26.0, 0.825)]
    np.testing.assert_allclose(wanted, expected, atol=1e-9)
    places_s = [s.piece_start_s for s in found.segments if s.wanted]
    assert places_s == pytest.approx([6.4, 8.16, 0.4, 2.0, 4.0])
