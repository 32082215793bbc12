"""Beat tracking on drum patterns whose beats are known, and laws of the grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor import beat_network
from rl_editor.beat_bars import choose_meter, harmonic_change, phase_evidence
from rl_editor.beat_decoding import FPS, decode
from rl_editor.beat_hints import BeatHints
from rl_editor.beat_stretches import _goes_on
from rl_editor.beats import beat_input, frame_level_db, grid_from_activations, track_beats
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.spectrogram import magnitude_blocks

SR = AnalysisConfig().sr


def drums(bpm, n_bars, meter=4, seed=0):
    """Kick on one (and three), snare on the other beats, hats on eighths, bass notes."""
    rng = np.random.default_rng(seed)
    beat = 60.0 / bpm
    signal = np.zeros(int((n_bars * meter * beat + 1.0) * SR))
    t = np.arange(int(0.25 * SR)) / SR
    kick = np.sin(2 * np.pi * (50 * t - 8 * np.exp(-t * 40))) * np.exp(-t * 18)
    snare = rng.normal(size=len(t)) * np.exp(-t * 25) * 0.5 + np.sin(1130 * t) * np.exp(-t * 30)
    hat = np.diff(rng.normal(size=len(t) + 1)) * np.exp(-t * 90) * 0.15
    hum = np.arange(int(beat * meter * SR)) / SR

    def put(sound, at_beats, gain):
        start = int(at_beats * beat * SR)
        stop = min(start + len(sound), len(signal))
        signal[start:stop] += gain * sound[: stop - start]

    for bar in range(n_bars):
        root = 55.0 * 2 ** (rng.choice([0, 3, 5, 7]) / 12)
        put(
            sum(np.sin(2 * np.pi * root * k * hum) / k for k in (1, 2, 3)) * np.exp(-hum),
            bar * meter,
            0.4,
        )
        for place in range(meter):
            is_kick = place == 0 or (meter == 4 and place == 2)
            put(kick if is_kick else snare, bar * meter + place, 1.0 if place == 0 else 0.7)
            put(hat, bar * meter + place, 1.0)
            put(hat, bar * meter + place + 0.5, 1.0)
    return (signal / np.abs(signal).max() * 0.7)[: int(n_bars * meter * beat * SR)]


def silence(seconds):
    return np.zeros(int(seconds * SR))


def inputs(signal):
    blocks = magnitude_blocks(signal.astype(np.float32), AnalysisConfig())
    return np.concatenate([beat_input(magnitude) for _, magnitude in blocks])


def track(signal, **options):
    return track_beats(inputs(signal), len(signal) / SR, BeatHints(**options))


def nearest(times, references):
    return np.abs(np.asarray(references)[:, None] - np.asarray(times)).min(axis=1)


@pytest.fixture(scope="module")
def groove():
    return inputs(drums(112.0, 10))


def test_beat_input_is_log_of_unit_area_mel_bands():
    flat = np.full((3, 1025), 0.25, dtype=np.float32)
    np.testing.assert_allclose(beat_input(flat), np.log1p(2.5), rtol=1e-5)
    with pytest.raises(ValueError, match="1025"):
        beat_input(flat[:, :1000])


def test_blocks_equal_the_whole():
    frames = np.random.default_rng(0).random((4200, 64), dtype=np.float32)
    whole = beat_network.activations(frames, block_frames=len(frames))
    blocks = beat_network.activations(frames, block_frames=700)
    np.testing.assert_allclose(blocks, whole, atol=2e-6)
    assert np.all((whole >= 0) & (whole <= 1))
    # The halo is no longer than needed: an output does depend on the frame at its end.
    changed = frames.copy()
    changed[0] += 5.0
    difference = np.abs(beat_network.activations(changed) - whole).max(axis=1)
    assert difference[beat_network.HALO_FRAMES + 1 :].max() == 0.0
    assert difference[: beat_network.HALO_FRAMES + 1].max() > 0.0


@pytest.mark.parametrize("bpm", [84.0, 112.0, 140.0])
def test_known_tempo_beats_and_bars(bpm):
    grid = track(drums(bpm, 12))
    assert grid.tempo_bpm == pytest.approx(bpm, rel=0.01)
    assert grid.meter == 4
    truth = np.arange(4, 44) * 60.0 / bpm
    assert nearest(grid.beats_s, truth).max() < 0.05
    assert nearest(grid.beats_s[grid.is_downbeat], truth[::4]).max() < 0.05
    assert grid.confidence[4:44].min() > 0.5


def test_three_four():
    grid = track(drums(120.0, 16, meter=3))
    assert grid.meter == 3
    assert nearest(grid.beats_s[grid.is_downbeat], np.arange(2, 14) * 1.5).max() < 0.05


def test_the_grid_finds_the_pulse_again_after_a_stop():
    beat = 60.0 / 112.0
    first, pause = drums(112.0, 8), silence(5.3 * beat)
    signal = np.concatenate([silence(2.1), first, pause, drums(112.0, 8, seed=1), silence(3.0)])
    starts = [2.1, 2.1 + (len(first) + len(pause)) / SR]
    grid = track(signal)
    for start in starts:
        truth = start + np.arange(2, 30) * beat
        assert nearest(grid.beats_s, truth).max() < 0.05
        # A phrase begins within a beat of the point where playing begins.
        assert nearest(grid.beats_s[grid.is_phrase_start], [start]) < beat
    end = starts[0] + len(first) / SR
    assert nearest(grid.beats_s[grid.is_phrase_start], [end]) < 2 * beat
    middle = grid.beat_at(end + 2.5 * beat)
    assert grid.confidence[middle] == 0.0
    assert grid.confidence[grid.beat_at(0.5)] == 0.0


def test_tempo_override_and_runner_up():
    frames = inputs(drums(92.0, 10))
    duration_s = len(frames) / 50
    grid = track_beats(frames, duration_s)
    assert any(bpm == pytest.approx(184.0, rel=0.03) for bpm in grid.runner_up_tempi_bpm)
    scores = grid.runner_up_scores
    assert len(scores) == len(grid.runner_up_tempi_bpm)
    assert list(scores) == sorted(scores, reverse=True)
    assert 0.0 < min(scores) <= max(scores) <= 1.0
    doubled = track_beats(frames, duration_s, BeatHints(tempo_bpm=184.0))
    assert doubled.tempo_bpm == pytest.approx(184.0, rel=0.02)
    truth = np.arange(8, 64) * 60.0 / 184.0
    assert nearest(doubled.beats_s, truth).max() < 0.06


def test_meter_override(groove):
    grid = track_beats(groove, len(groove) / 50, BeatHints(meter=5))
    assert grid.meter == 5
    assert set(np.diff(np.flatnonzero(grid.is_downbeat))[1:-1]) == {5}


def test_options_out_of_range_are_refused(groove):
    with pytest.raises(UserError, match="30 to 300"):
        track_beats(groove, 10.0, BeatHints(tempo_bpm=1000.0))
    with pytest.raises(UserError, match="meter"):
        track_beats(groove, 10.0, BeatHints(meter=0))
    with pytest.raises(ValueError, match="positive"):
        track_beats(groove, 0.0)


def pink_noise(rng):
    spectrum = np.fft.rfft(rng.normal(size=20 * SR)) / np.sqrt(np.arange(10 * SR + 1) + 1.0)
    noise = np.fft.irfft(spectrum)
    return noise / noise.std() * 0.1


@pytest.mark.parametrize("kind", ["silence", "white", "pink", "sine", "short", "sample"])
def test_without_a_pulse_the_grid_is_steady_and_not_confident(kind):
    rng = np.random.default_rng(3)
    signal = {
        "silence": silence(20.0),
        "white": rng.normal(size=20 * SR) * 0.1,
        "pink": pink_noise(rng),
        "sine": 0.3 * np.sin(np.arange(20 * SR) * 0.1),
        "short": rng.normal(size=SR // 2) * 0.1,
        "sample": np.ones(1),
    }[kind]
    grid = track(signal)
    assert grid.confidence.max() == 0.0
    assert np.ptp(grid.durations_s) < 1e-6
    assert grid.n_beats == max(1, round(len(signal) / SR * 2))


def test_half_a_second_of_a_groove():
    assert track(drums(112.0, 1)[: SR // 2]).n_beats >= 1


def test_decoding_prefers_the_planted_beats():
    activation = np.zeros(2000)
    beats = 300 + 48 * np.arange(25)
    activation[beats] = activation[beats + 1] = activation[beats + 2] = 0.9
    decoded = decode(activation)
    assert len(decoded.stretches) == 1
    assert decoded.score > 0
    assert nearest(decoded.stretches[0], beats).max() <= 2
    bpm = 60 * FPS / 48
    narrow = decode(activation, 0.96 * bpm, 1.04 * bpm)
    assert nearest(narrow.stretches[0], beats).max() <= 2
    assert decode(activation, 1.2 * bpm, 1.4 * bpm).score < 0.5 * narrow.score
    assert decode(np.zeros(2000)).stretches == ()


@pytest.mark.parametrize("meter", [3, 4, 5, 7])
def test_meter_and_phase_of_planted_downbeats(meter):
    rng = np.random.default_rng(meter)
    odds = [rng.normal(size=60) + 3.0 * (np.arange(60) % meter == phase) for phase in (0, 2)]
    assert choose_meter(odds) == meter
    assert [int(np.argmax(phase_evidence(o, meter))) for o in odds] == [0, 2]


def test_level_is_relative_to_the_loud_frames():
    frames = np.log1p(10 * np.concatenate([np.full((50, 64), 1.0), np.full((10, 64), 0.01)]))
    level_db = frame_level_db(frames.astype(np.float32))
    assert level_db[0] == pytest.approx(0.0, abs=1e-3)
    assert level_db[-1] == pytest.approx(-40.0, abs=1e-3)
    assert not frame_level_db(np.zeros((5, 64), dtype=np.float32)).any()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_frames=st.integers(1, 1500),
    duration_share=st.floats(0.3, 1.2),
    meter=st.sampled_from([None, 1, 3, 7]),
    tempo_bpm=st.sampled_from([None, 30.0, 97.0, 300.0]),
)
def test_any_activations_give_a_grid_that_tiles_the_file(
    seed, n_frames, duration_share, meter, tempo_bpm
):
    rng = np.random.default_rng(seed)
    activations = rng.random((n_frames, 2)) ** rng.uniform(1, 8)
    # Pulses that start, stop and change their tempo.
    for start in rng.integers(0, n_frames, size=3):
        pulse = np.arange(start, min(n_frames, start + 400), rng.uniform(12, 50)).astype(int)
        activations[pulse] = rng.uniform(0.5, 1.0)
    level_db = np.where(rng.random(n_frames) < 0.02, -90.0, 0.0)
    duration_s = max(0.02, n_frames / 50 * duration_share)
    heard = np.concatenate([activations, level_db[:, None]], axis=1)
    grid = grid_from_activations(heard, duration_s, BeatHints(meter=meter, tempo_bpm=tempo_bpm))
    lengths = grid.durations_s
    assert grid.beats_s[0] == 0.0
    assert lengths.sum() == pytest.approx(duration_s)
    assert lengths.min() > 0
    assert np.all((grid.confidence >= 0) & (grid.confidence <= 1))
    assert grid.meter == (meter or grid.meter)
    if grid.n_beats > 2:
        # No slivers: the shortest cell is not much less than half a beat of its neighbours.
        local = np.maximum(lengths[1:], lengths[:-1])
        assert np.all(np.minimum(lengths[1:], lengths[:-1]) > 0.25 * local)
    # Breaks begin on a bar and phrase line.
    begins = np.flatnonzero(np.diff((grid.confidence > 0).astype(int)) != 0) + 1
    assert grid.is_phrase_start[begins].all()


def test_stretches_that_share_a_beat_stay_apart():
    level_db = np.zeros(4000)
    before, after = np.arange(0, 1001, 100), np.arange(1000, 2001, 105)
    assert not _goes_on(before, after, level_db)
    assert _goes_on(before, np.arange(1200, 2001, 100), level_db)


def test_harmony_changes_most_between_two_chords():
    chroma = np.zeros((1000, 12))
    chroma[:400, [0, 4, 7]] = 1.0
    chroma[400:, [2, 6, 9]] = 3.0  # its scale does not matter
    change = harmonic_change(chroma)
    assert change.argmax() == 400
    assert (change >= 0.0).all()
    assert change[:300] == pytest.approx(0.0, abs=1e-12)
    assert change[500:] == pytest.approx(0.0, abs=1e-12)
    assert (harmonic_change(np.zeros((10, 12))) == 0.0).all()


@pytest.mark.parametrize("phase", range(4))
def test_bars_begin_where_the_harmony_changes_if_nothing_else_tells(phase):
    """The network hears beats, but all as likely downbeats; chords change every four beats."""
    n_frames, period = 50 * 60, 25
    heard = np.full((n_frames, 3), [0.01, 0.3, 0.0], dtype=np.float32)
    heard[::period, 0] = 0.95
    beat = np.arange(n_frames) // period
    roots = np.random.default_rng(phase).permutation(12)[((beat - phase) // 4) % 12]
    chroma = np.eye(12)[roots] + np.eye(12)[(roots + 4) % 12] + np.eye(12)[(roots + 7) % 12]
    grid = grid_from_activations(heard, n_frames / 50, chroma=chroma)
    assert grid.meter == 4
    downbeats = np.flatnonzero(grid.is_downbeat)
    assert set(downbeats[2:] % 4) == {phase}  # after a rest and a pickup
