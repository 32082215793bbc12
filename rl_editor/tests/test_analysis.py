"""From a file or an array to a track, with and without the cache."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from rl_editor import analysis
from rl_editor.analysis import CONFIG, analyze, analyze_signal, schema_name
from rl_editor.beat_hints import BeatHints
from rl_editor.beats_file import GivenBeats
from rl_editor.cache import Cache
from rl_editor.errors import UserError
from rl_editor.features import FEATURE_NAMES
from rl_editor.recurrence import RECURRENCE_NAMES


def clicks(duration_s=8.0, tempo_bpm=120.0, sr=CONFIG.sr):
    """Return decaying bursts on the beat over a quiet chord."""
    time_s = np.arange(int(duration_s * sr)) / sr
    rng = np.random.default_rng(0)
    sound = 0.4 * np.exp(-30.0 * (time_s % (60.0 / tempo_bpm))) * rng.standard_normal(len(time_s))
    for pitch_hz in (220.0, 277.2, 329.6):
        sound += 0.05 * np.sin(2 * np.pi * pitch_hz * time_s)
    return np.clip(sound, -1, 1).astype(np.float32)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "clicks.wav"
    stereo = np.stack([clicks(sr=44100), clicks(sr=44100)], axis=1)
    soundfile.write(path, stereo, 44100)
    return path


def test_a_file_becomes_a_track(recording):
    track = analyze(recording)
    assert (track.sample_rate, track.channels, track.n_samples) == (44100, 2, 8 * 44100)
    assert track.path == str(recording)
    assert len(track.sha256) == 64
    assert track.features.shape == (track.n_beats, len(FEATURE_NAMES))
    assert track.recurrence.shape == (track.n_beats, len(RECURRENCE_NAMES))
    assert track.features.dtype == track.recurrence.dtype == np.float32
    assert track.grid.duration_s == track.duration_s == 8.0
    assert track.schema == "features-2/recurrence-1/stems-offline"


def test_an_array_gives_what_its_file_gives(tmp_path):
    signal = clicks()
    path = tmp_path / "same.wav"
    soundfile.write(path, signal, CONFIG.sr, subtype="FLOAT")
    of_file, of_array = analyze(path), analyze_signal(signal)
    assert of_array.path == of_array.sha256 == ""
    np.testing.assert_array_equal(of_array.features, of_file.features)
    np.testing.assert_array_equal(of_array.grid.beats_s, of_file.grid.beats_s)
    np.testing.assert_array_equal(of_array.match_later, of_file.match_later)


def test_a_second_run_analyses_nothing(recording, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    first = analyze(recording, cache=cache)

    def refuse(*_):
        raise AssertionError("analysed again")

    monkeypatch.setattr(analysis, "_hear", refuse)
    second = analyze(recording, cache=cache)
    np.testing.assert_array_equal(second.features, first.features)
    with pytest.raises(AssertionError, match="again"):
        analyze(recording, cache=cache, hints=BeatHints(meter=3))


def test_other_hints_are_decoded_without_the_network(recording, tmp_path, monkeypatch):
    cache, calls = Cache(tmp_path / "cache"), []
    for name in ("listen", "beat_input", "offline_stems"):
        real = getattr(analysis, name)
        monkeypatch.setattr(
            analysis, name, lambda *a, name=name, real=real: calls.append(name) or real(*a)
        )
    analyze(recording, cache=cache)
    assert calls.count("listen") == 1
    calls.clear()
    hints = BeatHints(double=True)
    kept = analyze(recording, cache=cache, hints=hints)
    assert calls == []  # nor are the stems made again
    fresh = analyze(recording, hints=hints)
    assert calls.count("listen") == 1
    np.testing.assert_array_equal(kept.grid.beats_s, fresh.grid.beats_s)
    np.testing.assert_array_equal(kept.features, fresh.features)
    calls.clear()
    given = GivenBeats("a.beats", (1.0, 1.5, 2.0), (-1, -1, -1))
    track = analyze(recording, hints=BeatHints(given=given))
    assert calls == ["offline_stems"]
    assert {1.0, 1.5, 2.0} <= set(track.grid.beats_s.tolist())


def test_what_was_heard_is_made_again_where_it_is_damaged(recording, tmp_path, monkeypatch):
    cache, calls, real = Cache(tmp_path / "cache"), [], analysis.listen
    monkeypatch.setattr(analysis, "listen", lambda *a: calls.append(1) or real(*a))
    first = analyze(recording, cache=cache)
    (entry,) = (p for p in cache.folder.glob("*.arrays.safetensors") if "beats" in load_file(p))
    whole = entry.read_bytes()
    for tracks, content in enumerate((whole[:-5], b"", whole[:-1] + bytes([whole[-1] ^ 1]))):
        entry.write_bytes(content)
        analyze(recording, cache=cache, hints=BeatHints(meter=tracks + 2))
        assert len(calls) == tracks + 2
        assert entry.read_bytes() == whole
    cache.store_arrays(entry.name.split(".")[0], {"beats": np.zeros((3, 3), np.float32)})
    again = analyze(recording, cache=cache, hints=BeatHints(meter=5))
    np.testing.assert_array_equal(again.grid.beats_s, first.grid.beats_s)
    assert entry.read_bytes() == whole


def test_hints_reach_the_grid(recording):
    track = analyze(recording, hints=BeatHints(tempo_bpm=60.0, meter=3))
    assert track.grid.meter == 3
    assert track.grid.tempo_bpm == pytest.approx(60.0, rel=0.08)


def test_progress_never_goes_back_and_ends_at_one(recording):
    seen = []
    analyze(recording, on_stage=lambda name, fraction: seen.append((name, fraction)))
    assert seen[0] == ("read", 0.0)
    assert seen[-1] == ("analyse", 1.0)
    heard = [fraction for name, fraction in seen if name == "analyse"]
    assert heard == sorted(heard)


def test_the_schema_names_the_stems():
    assert schema_name("demucs").endswith("/stems-demucs:htdemucs")
    assert schema_name("demucs:some/folder/tiny").endswith("/stems-demucs:tiny")
    assert schema_name("mdx_extra").endswith("/stems-demucs:mdx_extra")
    with pytest.raises(UserError, match="none is named"):
        schema_name("demucs:")


def test_a_missing_file_is_the_users_error(tmp_path):
    with pytest.raises(UserError):
        analyze(tmp_path / "nowhere.wav")


def test_silence_is_refused_as_a_file_and_finite_as_an_array(tmp_path):
    silence = np.zeros(3 * CONFIG.sr, dtype=np.float32)
    soundfile.write(tmp_path / "silence.wav", silence, CONFIG.sr)
    with pytest.raises(UserError, match="silent"):
        analyze(tmp_path / "silence.wav")
    assert np.isfinite(analyze_signal(silence).features).all()


def test_stems_of_a_model_are_read_from_the_file(recording, monkeypatch):
    asked = []

    class Model:
        name, sample_rate = "half", 44100

    def separated(signal, model, n_frames, floor, config, on_progress):
        asked.append((len(signal), n_frames))
        on_progress(1.0)
        made = analysis.offline_stems(
            np.ones((n_frames, config.n_mels), np.float32), np.ones(n_frames, np.float32), config
        )
        return replace(made, source="demucs:half")

    monkeypatch.setattr(analysis, "load_demucs", lambda name: Model())
    monkeypatch.setattr(analysis, "demucs_stems", separated)
    track = analyze(recording, stems="demucs:half")
    assert asked == [(8 * 44100, 1 + 8 * CONFIG.sr // CONFIG.hop_length)]
    assert track.schema == "features-2/recurrence-1/stems-demucs:half"


def test_how_loud_a_recording_was_stored_changes_nothing():
    loud, quiet = analyze_signal(clicks()), analyze_signal(clicks() * np.float32(0.02))
    np.testing.assert_allclose(loud.grid.beats_s, quiet.grid.beats_s, atol=1e-6)
    # A beat may lie on the other side of the middle between two frames.
    np.testing.assert_allclose(loud.features, quiet.features, rtol=1e-3, atol=0.02)
    np.testing.assert_allclose(loud.recurrence, quiet.recurrence, rtol=1e-3, atol=0.02)


def test_the_level_of_a_recording_is_that_of_its_music():
    signal = clicks(4.0)
    gain = analysis.loudness_gain(signal)
    silence = np.zeros(20 * CONFIG.sr, np.float32)
    assert analysis.loudness_gain(0.1 * signal) == pytest.approx(10 * gain, rel=1e-5)
    assert analysis.loudness_gain(np.concatenate([silence, signal])) == pytest.approx(gain)
    tone = np.full(CONFIG.sr, 10 ** (-30 / 20), np.float32)
    assert analysis.loudness_gain(tone) == pytest.approx(10 ** (12 / 20), rel=1e-5)
    assert analysis.loudness_gain(silence) == 1.0
    assert analysis.loudness_gain(silence + np.float32(1e-6)) == pytest.approx(1000.0)
