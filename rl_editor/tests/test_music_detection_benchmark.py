"""The benchmark of music detection: what it makes, counts and strings together."""

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("benchmarks.music_detection", reason="benchmarks are part of a checkout only")

from benchmarks import music_detection
from benchmarks.music_detection import MAKERS, SR, interval, made, main, recordings, table
from rl_editor.tests.made_editor import write_checkpoint, write_groove


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if "talk" not in kind])
def test_sounds_have_their_length(kind):
    sound = MAKERS[kind](2 * SR, np.random.default_rng(0))
    assert abs(len(sound) - 2 * SR) <= SR // 2  # hands stop clapping when they like
    assert np.all(np.isfinite(sound))


def test_sounds_come_again():
    first, again = (dict((kind, x) for kind, _, x in made([1.0], 1, 0)) for _ in range(2))
    for kind in ("rain", "wind", "applause", "footsteps"):
        np.testing.assert_array_equal(first[kind], again[kind])


def test_no_two_sounds_are_alike():
    kinds = ("white noise", "pink noise", "mains hum", "amplifier hum", "tone", "rain", "wind")
    sounds = [x[: 9 * SR // 10] for kind, _, x in made([1.0, 2.0], 3, 0) if kind in kinds]
    correlation = np.corrcoef(sounds)
    assert correlation.shape == (42, 42)
    assert np.abs(correlation[~np.eye(42, dtype=bool)]).max() < 0.9


def test_there_is_one_silence_of_each_length(monkeypatch):
    monkeypatch.setattr(music_detection, "MAKERS", {k: MAKERS[k] for k in ("silence", "tone")})
    found = [(kind, len(x)) for kind, _, x in made([1.0, 2.0], 3, 0)]
    assert found.count(("silence", SR)) == found.count(("silence", 2 * SR)) == 1
    assert len(found) == 2 + 6


def test_intervals():
    assert interval(0, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)
    assert interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_the_table_counts():
    told = table({"rain": [False, False, True], "music: mine": [True]})
    assert "| rain | 3 | 1 | 6.1% to 79.2% |" in told
    assert "| music: mine | 1 | 1 |" in told


def test_short_clips_are_one_recording(tmp_path):
    (tmp_path / "words").mkdir()
    for number in range(6):
        soundfile.write(tmp_path / "words" / f"{number}.wav", np.full(3 * SR, 0.1), SR)
    write_groove(tmp_path / "song.wav", duration_s=11.0)
    (_, song, _), (kind, words, signal) = recordings("other", tmp_path)
    assert (kind, song, words) == ("other", "song.wav", "words, 6 clips")
    assert 18 * SR < len(signal) < 25 * SR


def test_the_command_tells_what_it_took_wrongly(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(music_detection, "MAKERS", {k: MAKERS[k] for k in ("silence", "tone")})
    write_groove(tmp_path / "song.wav", duration_s=11.0)
    path = str(write_checkpoint(tmp_path / "best.pt"))
    folder = str(tmp_path)
    assert main(["--quick", "--checkpoint", path, "--music", folder, "--other", folder]) == 0
    told = capsys.readouterr()
    assert "| silence | 1 | 0 |" in told.out
    assert "| tone | 1 | 0 |" in told.out
    assert f"| music: {tmp_path.name} | 1 | 1 |" in told.out
    assert told.err == f"wrong: no music: {tmp_path.name}: song.wav\n"


def test_a_missing_folder_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(music_detection, "MAKERS", {})
    path = str(write_checkpoint(tmp_path / "best.pt"))
    assert main(["--checkpoint", path, "--music", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
