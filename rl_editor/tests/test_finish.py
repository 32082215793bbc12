"""A finished file: its loudness and true peak, no constant, dither where bits are lost."""

import dataclasses
import subprocess

import numpy as np
import pytest
import soundfile

from rl_editor.audio import AudioReader
from rl_editor.cli import main
from rl_editor.conversion import OutputFormat
from rl_editor.dc_offset import dc_offset
from rl_editor.edl import (
    Clip,
    EditDecisionList,
    EdlGrid,
    Finish,
    Source,
    read_edl,
    timeline_length,
    write_edl,
)
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.infer import edit
from rl_editor.notes import finish_notes
from rl_editor.render import METERS_DIFFER_DB, TRUE_PEAK_DB, render
from rl_editor.sample_readers import ArrayReader, CentredReader
from rl_editor.tests.made_editor import write_groove

SR = 44_100


def drums(duration_s=8.0):
    """Hits over a bass, peaks 14 dB above the loudness, float64 [S, 2]."""
    rng = np.random.default_rng(0)
    times = np.arange(round(duration_s * SR)) / SR
    hits = np.exp(-(times % 0.5) / 0.04) * rng.uniform(-1, 1, (2, len(times)))
    return 0.2 * (hits + 0.3 * np.sin(2 * np.pi * 55 * times)).T


def edl_of(audio, clips, finish):
    duration_s = len(audio) / SR
    return EditDecisionList(
        source=Source("", "", SR, audio.shape[1], duration_s),
        duration_s=timeline_length(clips, SR) / SR,
        clips=tuple(clips),
        decisions=(),
        grid=EdlGrid.of(steady_grid(duration_s)),
        finish=finish,
    )


def rendered(folder, audio, finish, clips=None, subtype="PCM_16", name="out.wav", **options):
    soundfile.write(folder / "in.wav", audio, SR, subtype)
    edl = edl_of(audio, clips or [Clip(0.0, len(audio) / SR)], finish)
    return edl, render(edl, folder / "in.wav", folder / name, **options)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_file_has_the_loudness_that_was_asked_for(tmp_path, suffix):
    pyloudnorm = pytest.importorskip("pyloudnorm")
    edl, result = rendered(tmp_path, drums(), Finish(lufs=-12.0), name=f"out.{suffix}")
    with AudioReader(result.path) as reader:
        heard = reader.read(0, reader.info.n_samples).astype(np.float64)
    meter = pyloudnorm.Meter(SR, filter_class="DeMan")
    assert meter.integrated_loudness(heard) == pytest.approx(-12.0, abs=0.1)
    assert result.loudness.lufs == pytest.approx(-12.0, abs=0.1)
    assert result.loudness.true_peak_db <= TRUE_PEAK_DB
    assert result.limited_db > 1.0
    assert (len(heard), result.notes) == (len(drums()), ())
    (note,) = finish_notes(edl, result)
    assert note.startswith(f"brought to {result.loudness.lufs:.1f} LUFS by +")
    assert "peaks held back by up to" in note


def test_other_rates_and_channels_have_it_too(tmp_path):
    output_format = OutputFormat(sample_rate=48_000, channels=1)
    result = rendered(tmp_path, drums(), Finish(lufs=-16.0), output_format=output_format)[1]
    assert result.loudness.lufs == pytest.approx(-16.0, abs=0.1)
    assert soundfile.info(result.path).samplerate == 48_000


def test_a_track_can_be_made_softer_without_a_limiter(tmp_path):
    result = rendered(tmp_path, drums(), Finish(lufs=-30.0))[1]
    change_db = -30.0 - result.loudness_before.lufs
    assert (result.gain_applied_db, result.limited_db) == (pytest.approx(change_db), 0.0)
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("in.wav", "out.wav"))
    np.testing.assert_allclose(after, before * 10 ** (change_db / 20), atol=2.0**-15)


def test_silence_has_no_loudness(tmp_path):
    edl, result = rendered(tmp_path, np.zeros((SR, 2)), Finish(lufs=-14.0))
    assert result.loudness is None
    assert result.gain_applied_db == 0.0
    assert result.notes == (
        "too short or too quiet to have a loudness, so its level was left as it is",
    )
    assert finish_notes(edl, result) == ()


def test_what_the_limiter_cannot_reach_is_told(tmp_path):
    result = rendered(tmp_path, drums(), Finish(lufs=-5.0))[1]
    assert result.loudness.lufs < -5.5
    assert result.loudness.true_peak_db <= TRUE_PEAK_DB
    assert result.notes[0].startswith("-5 LUFS would need its peaks to be squashed; it was left at")


def test_rendering_again_gives_the_same_bytes(tmp_path):
    finish = Finish(lufs=-12.0, dc_offset=(0.01, 0.0), dither=True)
    first = rendered(tmp_path, drums(), finish)[1].path.read_bytes()
    assert rendered(tmp_path, drums(), finish, name="again.wav")[1].path.read_bytes() == first


def test_a_constant_is_found_and_taken_away(tmp_path):
    audio = 0.1 * drums() + [0.05, -0.002]
    reader = ArrayReader(audio, SR)
    clips = [Clip(1.0, 3.0), Clip(5.0, 8.0, 2.0)]
    found = dc_offset(clips, reader)
    assert found == pytest.approx((0.05, -0.002), abs=2e-4)
    assert dc_offset(clips, CentredReader(reader, found)) == ()
    edl, result = rendered(tmp_path, audio, Finish(dc_offset=found), clips, "FLOAT")
    heard = soundfile.read(result.path)[0]
    assert np.abs(heard.mean(axis=0)).max() < 1e-6
    expected = np.concatenate([audio[SR : 3 * SR], audio[5 * SR :]]) - found
    np.testing.assert_allclose(heard, expected, atol=1e-6)
    (note,) = finish_notes(edl, result)
    assert note == "a constant of 5% of full scale was taken out of the sound"


@pytest.mark.parametrize(
    ("source", "output", "finish", "is_dithered"),
    [
        ("PCM_24", "PCM_16", Finish(dither=True), True),
        ("FLOAT", "PCM_16", Finish(dither=True), True),
        ("PCM_16", "PCM_16", Finish(dither=True, dc_offset=(1e-9, 0.0)), True),
        ("PCM_16", "PCM_16", Finish(dither=True), False),
        ("PCM_16", "PCM_24", Finish(dither=True), False),
        ("PCM_24", "FLOAT", Finish(dither=True), False),
        ("PCM_24", "PCM_16", Finish(), False),
    ],
)
def test_dither_where_bits_are_lost(tmp_path, source, output, finish, is_dithered):
    silence = np.zeros((SR, 2))
    output_format = OutputFormat(subtype=output)
    result = rendered(tmp_path, silence, finish, subtype=source, output_format=output_format)[1]
    assert soundfile.read(result.path)[0].any() == is_dithered


def test_a_list_keeps_its_finish(tmp_path):
    finish = Finish(-14.0, (0.01, -0.02), True)
    edl = edl_of(drums(), [Clip(0.0, 8.0)], finish)
    write_edl(edl, tmp_path / "a.edl.json")
    assert read_edl(tmp_path / "a.edl.json") == edl
    wrong = dataclasses.replace(edl, finish=Finish(dc_offset=(0.01,)))
    with pytest.raises(UserError, match="each of the source's 2 channels, but holds 1"):
        write_edl(wrong, tmp_path / "b.edl.json")


def test_the_commands(tmp_path, checkpoints, capsys):
    take = str(write_groove(tmp_path / "take.wav", sr=SR, duration_s=8.0))
    output = str(tmp_path / "out.wav")
    arguments = ["edit", take, "--output", output, "--checkpoint", checkpoints["keep"]]
    assert main([*arguments, "--finish", "--lufs", "-20"]) == 0
    assert "note         brought to -20.0 LUFS by " in capsys.readouterr().out
    edl = read_edl(tmp_path / "out.edl.json")
    assert (edl.finish.lufs, edl.finish.dither) == (-20.0, True)
    again = str(tmp_path / "again.wav")
    assert main(["render", str(tmp_path / "out.edl.json"), take, "--output", again]) == 0
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()
    assert "note: brought to -20.0 LUFS" in capsys.readouterr().out
    render_louder = ["render", str(tmp_path / "out.edl.json"), take, "--output", again]
    assert main([*render_louder, "--lufs", "-18"]) == 0
    assert "note: brought to -18.0 LUFS" in capsys.readouterr().out
    for command in (arguments, render_louder):
        assert main([*command, "--lufs", "3"]) == 2
        assert "must lie from -40 to -5 LUFS, but is 3;" in capsys.readouterr().err


def test_nothing_is_finished_unless_asked(tmp_path, checkpoints):
    take = write_groove(tmp_path / "take.wav", sr=SR, duration_s=8.0)
    plain = edit(take, tmp_path / "a.wav", checkpoint=checkpoints["keep"])
    assert plain.edl.finish == Finish()
    assert plain.loudness is None
    finished = edit(take, tmp_path / "b.wav", checkpoint=checkpoints["keep"], finish=True)
    assert (finished.edl.finish.lufs, finished.edl.finish.dither) == (-14.0, True)
    assert finished.loudness.true_peak_db <= TRUE_PEAK_DB


@pytest.mark.slow
def test_ffmpeg_measures_the_same(tmp_path):
    result = rendered(tmp_path, drums(), Finish(lufs=-12.0, dither=True))[1]
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(result.path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    summary = told[told.rindex("Summary:") :].split()
    assert float(summary[summary.index("I:") + 1]) == pytest.approx(-12.0, abs=0.1)
    peak_db = float(summary[summary.index("Peak:") + 1])
    assert peak_db == pytest.approx(result.loudness.true_peak_db, abs=METERS_DIFFER_DB)
    assert peak_db <= TRUE_PEAK_DB
