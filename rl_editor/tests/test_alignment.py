import numpy as np
import pytest
import soundfile as sf

from rl_editor import coarse_match
from rl_editor.alignment import align, align_files
from rl_editor.alignment_truth import truth
from rl_editor.errors import UserError
from rl_editor.jump_path import FOREIGN, jump_path
from rl_editor.materials import Material

SR = 22050


def music(duration_s: float, seed: int) -> np.ndarray:
    """Chords of varied notes and knocks, and a little noise: no two places are alike."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.002, round(duration_s * SR))
    start = 0
    while start < len(signal):
        step = round(rng.choice([0.2, 0.3, 0.4, 0.6]) * SR)
        times = np.arange(min(2 * step, len(signal) - start)) / SR
        decay = np.exp(-times / rng.uniform(0.1, 0.5))
        for note in rng.choice(np.arange(40, 88), 4, replace=False):
            frequency, level = 440 * 2 ** ((note - 69) / 12), rng.uniform(0.02, 0.1)
            for partial in range(1, 5):
                wave = np.sin(2 * np.pi * frequency * partial * times + rng.uniform(0, 6))
                signal[start : start + len(times)] += level / partial * wave * decay
        knock = rng.normal(0, 0.1, len(times)) * np.exp(-times / 0.015)
        signal[start : start + len(times)] += knock
        start += step
    return signal.astype(np.float32)


RAW_S = 60.0


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return music(RAW_S, 1)


def render(raw: np.ndarray, cuts: list[tuple[float, float, float]]) -> np.ndarray:
    """Spans (start, end, gain) of the raw signal one after another."""
    parts = [raw[round(a * SR) : round(b * SR)] * 10 ** (g / 20) for a, b, g in cuts]
    return np.concatenate(parts).astype(np.float32)


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


@pytest.mark.parametrize("seed", range(4))
def test_a_random_cut_list_is_found_again(raw, seed):
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(1.0, 8.0, 14))
    edges = edges[edges < RAW_S]
    cuts = [
        (start, end, float(rng.choice([0.0, -6.0, 3.0])))
        for start, end in zip(edges[::2], edges[1::2], strict=False)
    ]
    alignment = align(raw, render(raw, cuts), SR)
    assert_spans(alignment, cuts)
    assert alignment.matched_share == 1.0
    assert alignment.raw_duration_s == RAW_S


def test_passages_in_another_order_and_played_twice_are_found(raw):
    cuts = [(40.0, 46.5, 0.0), (5.2, 9.0, 0.0), (40.0, 46.5, 0.0), (20.0, 22.0, 0.0)]
    assert_spans(align(raw, render(raw, cuts), SR), cuts)


def test_crossfades_noise_and_equalisation_do_not_hide_the_cuts(raw):
    cuts = [(3.0, 12.0, 0.0), (20.0, 31.0, 0.0)]
    first, second = (render(raw, [(a - 0.01, b + 0.01, g)]) for a, b, g in cuts)
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
    edit = np.concatenate([render(raw, [(3, 10, 0)]), music(5, 7), render(raw, [(30, 40, 0)])])
    alignment = align(raw, edit, SR)
    assert [s.raw_start_s for s in alignment.spans] == pytest.approx([3, 30], abs=0.01)
    assert [s.edit_end_s for s in alignment.spans] == pytest.approx([7, 22], abs=0.01)
    assert alignment.matched_share == pytest.approx(17 / 22, abs=0.01)
    assert alignment.belongs_together


def test_unrelated_files_are_refused_by_name(raw, tmp_path):
    other = music(20.0, 8)
    assert align(raw, other, SR).matched_share < 0.1
    sf.write(tmp_path / "a_raw.wav", raw, SR)
    sf.write(tmp_path / "a_edit.wav", other, SR)
    with pytest.raises(UserError, match=r"a_edit\.wav.*a_raw\.wav"):
        align_files(tmp_path / "a_raw.wav", tmp_path / "a_edit.wav")


def test_files_are_aligned_at_their_own_rates(raw, tmp_path):
    cuts = [(30.0, 40.0, 0.0), (10.0, 15.0, -3.0)]
    sf.write(tmp_path / "raw.wav", raw, SR, subtype="FLOAT")
    sf.write(tmp_path / "edit.flac", render(raw, cuts), SR)
    assert_spans(align_files(tmp_path / "raw.wav", tmp_path / "edit.flac"), cuts)


def test_long_pairs_are_aligned_at_a_coarser_rate(raw, monkeypatch):
    cuts = [(5.0, 15.3, 0.0), (30.1, 45.0, 0.0)]
    monkeypatch.setattr(coarse_match, "MAX_CELLS", 300_000)
    assert_spans(align(raw, render(raw, cuts), SR), cuts)


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
    alignment = align(raw, render(raw, [(22.0, 26.0, 0), (16.0, 22.0, 0)]), SR)
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
    alignment = align(raw, render(raw, [(10, 20, 0), (15, 25, 0)]), SR)
    wanted = [s for s in truth(alignment, raw, SR).segments if s.wanted]
    assert [s.start_s for s in wanted] == pytest.approx([10, 20], abs=0.01)
    assert [s.piece_start_s for s in wanted] == pytest.approx([0, 15], abs=0.01)


def test_jump_path_of_known_similarities():
    raw = np.eye(40, dtype=np.float32)
    edit = np.concatenate([raw[5:20], np.zeros((3, 40), np.float32), raw[23:30], raw[2:12]])
    expected = [*range(5, 30), *range(2, 12)]
    np.testing.assert_array_equal(jump_path(edit, raw), expected)
    stranger = np.full((20, 40), 40**-0.5, np.float32)
    path = jump_path(np.concatenate([raw[:15], stranger, raw[20:35]]), raw)
    np.testing.assert_array_equal(path, [*range(15), *[FOREIGN] * 20, *range(20, 35)])
