"""Laws of made-up sessions: exact truth, exact audio, same seed same bytes."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.materials import Material
from rl_editor.session_files import perfect_edit, read_truth, write_session
from rl_editor.session_flaws import FLAWS, Passage, break_off, played_anew, spoil
from rl_editor.session_plan import FILLS, TAKES
from rl_editor.session_settings import DIFFICULTIES, SessionSettings
from rl_editor.sessions import make_medley, make_session
from rl_editor.units import db_to_gain

SR = 8000
COLOURS = ("noise_floor", "hum", "clipping", "band_pass", "mono", "room", "tone", "automatic_gain")
CLEAN_DEVICE = dict.fromkeys(COLOURS, 0.0)
ALL_KINDS = dict.fromkeys((*FILLS, *TAKES), 1.0)


@pytest.fixture(scope="module")
def piece():
    """[S, 2] half a minute of a melody over noise, no two bars alike."""
    rng = np.random.default_rng(7)
    n = 30 * SR
    pitch = np.repeat(rng.uniform(110, 880, 120), n // 120)
    melody = np.sin(2 * np.pi * np.cumsum(pitch) / SR)
    noise = rng.standard_normal((n, 2)) * 0.02
    return (0.4 * melody[:, None] + noise).astype(np.float32)


def session(piece, seed, **changes):
    settings = dataclasses.replace(SessionSettings(speech_program=0.0), **changes)
    grid = steady_grid(len(piece) / SR, 120.0)
    return make_session(piece, SR, grid, np.random.default_rng(seed), settings)


@pytest.mark.parametrize("seed", range(6))
def test_perfect_edit_without_noise_is_the_track_at_another_level(piece, seed):
    made = session(piece, seed, late_retake=1.0, out_of_order=1.0, **CLEAN_DEVICE)
    edit = perfect_edit(made)
    assert edit.shape == piece.shape
    level = min(made.level, 1.0 / np.abs(piece).max())
    np.testing.assert_allclose(edit, piece * np.float32(level), atol=2e-6)


def test_each_wanted_segment_is_the_track_times_its_gain(piece):
    made = session(piece, 3, **CLEAN_DEVICE)
    for segment in made.truth.segments:
        if segment.wanted:
            gain = made.level / db_to_gain(segment.gain_db)
            raw = made.signal[round(segment.start_s * SR) : round(segment.end_s * SR)]
            start = round(segment.piece_start_s * SR)
            np.testing.assert_allclose(raw, piece[start : start + len(raw)] * gain, atol=1e-6)


@pytest.mark.parametrize("colour", [c for c in COLOURS if c != "mono"])
def test_each_colour_changes_the_sound_and_no_label(piece, colour):
    plain = session(piece, 3, **CLEAN_DEVICE)
    coloured = session(piece, 3, **CLEAN_DEVICE | {colour: 1.0})
    if colour == "automatic_gain":  # after it nobody knows the level of a take
        assert {s.gain_db for s in coloured.truth.segments} == {0.0}
        levels_out = [dataclasses.replace(s, gain_db=0.0) for s in plain.truth.segments]
        assert list(coloured.truth.segments) == levels_out
    else:
        assert coloured.truth == plain.truth
    assert np.all(np.isfinite(coloured.signal))
    assert np.abs(coloured.signal).max() <= 1.0
    assert np.abs(coloured.signal - plain.signal).max() > 1e-4


def test_takes_differ_in_level_unless_the_device_evens_them_out(piece):
    changes = CLEAN_DEVICE | {"take_gain_db": (-4.0, 4.0), "unwanted_share": (0.5, 0.5)}
    gains = [
        {s.gain_db for s in session(piece, 5, **changes | {"automatic_gain": share}).truth.segments}
        for share in (0.0, 1.0)
    ]
    assert len(gains[0]) > 1
    assert gains[1] == {0.0}


def test_automatic_gain_raises_the_quiet_parts(piece):
    piece = piece.copy()
    piece[: len(piece) // 2] *= 0.1
    clean = dict(unwanted_share=(0.0, 0.0), **CLEAN_DEVICE)
    step = []
    for share in (0.0, 1.0):
        raw = session(piece, 1, **clean | {"automatic_gain": share}).signal
        step.append(raw[len(raw) // 2 + SR :].std() / raw[: len(raw) // 2].std())
    assert step[0] == pytest.approx(10.0, rel=0.1)
    assert step[1] < 6.0


def test_a_medley_is_one_recording_of_several_pieces(piece):
    pieces = [(part, steady_grid(len(part) / SR, 120.0)) for part in np.split(piece, [12 * SR])]
    settings = dataclasses.replace(SessionSettings(speech_program=0.0), **CLEAN_DEVICE)
    made = make_medley(pieces, SR, np.random.default_rng(4), settings)
    assert made.truth.segments[-1].end_s == len(made.signal) / SR
    wanted = [s for s in made.truth.segments if s.wanted]
    assert sum(s.end_s - s.start_s for s in wanted) == pytest.approx(len(piece) / SR)
    for segment in wanted:
        gain = made.level / db_to_gain(segment.gain_db)
        raw = made.signal[round(segment.start_s * SR) : round(segment.end_s * SR)]
        start = round(segment.piece_start_s * SR)
        np.testing.assert_allclose(raw, piece[start : start + len(raw)] * gain, atol=1e-6)


def test_equally_good_copies_are_the_track_but_for_their_seams(piece):
    changes = ALL_KINDS | CLEAN_DEVICE | {"unwanted_share": (0.7, 0.7)}
    made = session(piece, 5, **changes)
    copies = [s for s in made.truth.segments if s.equally_good]
    assert copies
    seam = round(0.021 * SR)
    for segment in copies:
        gain = made.level / db_to_gain(segment.gain_db)
        raw = made.signal[round(segment.start_s * SR) : round(segment.end_s * SR)]
        start = round(segment.piece_start_s * SR)
        inner = slice(seam, len(raw) - seam)
        np.testing.assert_allclose(
            raw[inner], piece[start : start + len(raw)][inner] * gain, atol=1e-6
        )


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("seed", range(3))
def test_truth_tiles_wanted_is_the_whole_piece_and_levels_are_sane(piece, difficulty, seed):
    settings = dataclasses.replace(SessionSettings.named(difficulty), speech_program=0.0)
    grid = steady_grid(len(piece) / SR, 120.0)
    made = make_session(piece, SR, grid, np.random.default_rng(seed), settings)
    assert made.truth.duration_s == len(made.signal) / SR
    wanted = sorted((s.piece_start_s, s.end_s - s.start_s) for s in made.truth.segments if s.wanted)
    ends = np.cumsum([length for _, length in wanted])
    np.testing.assert_allclose([start for start, _ in wanted], [0.0, *ends[:-1]], atol=1e-9)
    assert ends[-1] == pytest.approx(len(piece) / SR)
    assert np.all(np.isfinite(made.signal))
    assert 0.1 < np.abs(made.signal).max() <= 1.0


def test_same_seed_same_bytes(piece):
    first, second = (session(piece, 11, noise_floor=1.0, hum=1.0) for _ in range(2))
    assert first.signal.tobytes() == second.signal.tobytes()
    assert first.truth == second.truth
    assert session(piece, 12).truth != first.truth


@pytest.mark.parametrize("kind", [*FILLS, *TAKES])
def test_a_kind_with_probability_one_occurs(piece, kind):
    names = dict.fromkeys(("second_take", "long_repeat"), "REDUNDANT_REPEAT")
    names["safety_take"] = "FLAWED_TAKE"
    changes = dict.fromkeys((*FILLS, *TAKES), 0.0) | {kind: 1.0}
    made = session(piece, 2, unwanted_share=(0.6, 0.6), pre_roll=0.0, late_retake=0.0, **changes)
    found = {s.material for s in made.truth.segments}
    assert Material[names.get(kind, kind.upper())] in found


def test_what_follows_the_take_that_stays_is_not_wanted(piece):
    changes = dict.fromkeys((*FILLS, *TAKES), 0.0) | {"safety_take": 1.0}
    found = []
    for seed in range(12):
        made = session(
            piece, seed, unwanted_share=(0.2, 0.5), late_retake=0.0, out_of_order=0.0, **changes
        )
        segments = made.truth.segments
        for before, after in pairwise(segments):
            if after.material in (Material.FLAWED_TAKE, Material.REDUNDANT_REPEAT):
                assert not after.wanted
                found.append((after.material, before.material, after is segments[-1]))
            if after.equally_good:  # a whole passage again, right after it
                ends_s = {
                    round(s.piece_start_s + s.end_s - s.start_s, 3)
                    for s in segments
                    if s.wanted and s.end_s <= after.start_s
                }
                assert round(after.piece_start_s + after.end_s - after.start_s, 3) in ends_s
    assert {material for material, _, _ in found} == {
        Material.FLAWED_TAKE,
        Material.REDUNDANT_REPEAT,
    }
    assert any(is_last for _, _, is_last in found)


def test_all_kinds_occur_together_and_fill_the_share(piece):
    made = session(piece, 4, unwanted_share=(0.8, 0.8), **ALL_KINDS)
    assert {s.material for s in made.truth.segments} == set(Material)
    wanted_s = sum(s.end_s - s.start_s for s in made.truth.segments if s.wanted)
    assert 0.1 < wanted_s / made.truth.duration_s < 0.3


def test_no_share_means_a_clean_session(piece):
    made = session(piece, 0, unwanted_share=(0.0, 0.0), take_gain_db=(0.0, 0.0), **CLEAN_DEVICE)
    assert [s.material for s in made.truth.segments] == [Material.MUSIC]
    assert "nothing went wrong" in made.summary


def test_settings_are_checked():
    with pytest.raises(ValueError, match="probability"):
        SessionSettings(talk=1.5)
    with pytest.raises(ValueError, match="range"):
        SessionSettings(peak_db=(0.0, -3.0))
    drawn = {SessionSettings.draw(np.random.default_rng(seed)).name for seed in range(60)}
    assert drawn == set(DIFFICULTIES)


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_changes_the_passage_and_stays_finite(piece, flaw):
    passage = Passage(piece[: 4 * SR], SR, SR // 2, SR)
    spoiled = FLAWS[flaw](passage, np.random.default_rng(1))
    assert np.all(np.isfinite(spoiled))
    assert spoiled.dtype == np.float32
    n = min(len(spoiled), 4 * SR)
    assert np.abs(spoiled[:n] - piece[:n]).max() > 0.01


def test_spoil_leaves_its_input_alone_and_break_off_ends_in_silence(piece):
    before = piece.copy()
    spoil(piece[:SR], SR, SR // 2, np.random.default_rng(0))
    ended = break_off(piece[:SR], SR, np.random.default_rng(0))
    assert np.array_equal(piece, before)
    assert np.abs(ended[-1]).max() == 0.0


def test_a_flaw_that_nobody_could_hear_is_made_louder():
    quiet = np.zeros((SR, 1), np.float32)
    quiet[0] = 0.5
    for seed in range(12):
        spoiled, _ = spoil(quiet, SR, SR // 2, np.random.default_rng(seed))
        assert len(spoiled) != len(quiet) or np.abs(spoiled - quiet).max() > 0.02


def test_stops_are_few_even_when_much_goes_wrong(piece):
    changes = dict.fromkeys((*FILLS, *TAKES), 0.0) | {"talk": 1.0, "unwanted_share": (0.8, 0.8)}
    for seed in range(2):
        made = session(piece, seed, late_retake=0.0, out_of_order=0.0, **changes)
        assert sum(s.wanted for s in made.truth.segments) <= 1 + 30 / 10**0.8 + 1


def test_written_truth_reads_back_and_audio_has_its_length(piece, tmp_path):
    import soundfile as sf

    made = session(piece, 9)
    raw, edit, truth = write_session(made, tmp_path, "jam")
    assert read_truth(truth) == made.truth
    assert raw.name == "jam_raw.wav"
    assert edit.name == "jam_edit.wav"
    assert sf.info(raw).frames == len(made.signal)
    assert sf.info(edit).frames == len(piece)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "rl-editor-truth", "version": 2}'])
def test_a_file_that_is_no_truth_is_one_clear_sentence(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError):
        read_truth(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_truth(tmp_path / "missing.json")


def test_a_take_played_anew_is_alike_but_no_copy():
    sr, beat = 22050, 11025
    rng = np.random.default_rng(0)
    time_s = np.arange(8 * sr) / sr
    signal = (0.2 * np.sin(2 * np.pi * 330.0 * time_s) * np.exp(-4.0 * (time_s % 0.5)))[:, None]
    signal = signal.astype(np.float32)
    other = played_anew(signal, sr, beat, rng)
    assert other.dtype == np.float32
    assert len(other) == pytest.approx(len(signal), rel=0.04)
    assert np.sqrt(np.mean(other**2)) == pytest.approx(np.sqrt(np.mean(signal**2)), rel=0.6)
    n = min(len(signal), len(other))
    likeness = np.corrcoef(signal[:n, 0], other[:n, 0])[0, 1]
    assert abs(likeness) < 0.5
    np.testing.assert_array_equal(other, played_anew(signal, sr, beat, np.random.default_rng(0)))
