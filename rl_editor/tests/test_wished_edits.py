"""Edits that a user asked something of, from the command to the file."""

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from rl_editor.cli import main
from rl_editor.edl import read_edl
from rl_editor.reasons import DROPPED_AS_ASKED, KEPT_AS_ASKED
from rl_editor.tests.made_editor import write_checkpoint, write_groove
from rl_editor.wishes import merged_spans, without_spans

LENGTH_S = 24.0
BAR_S = 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("wishes")
    write_groove(made / "groove.wav", duration_s=LENGTH_S)
    write_checkpoint(made / "made.pt")
    return made


def edited(folder, *arguments):
    """Edit the groove and return its edit list and the seconds of what was rendered."""
    output = folder / "edited.wav"
    call = ["edit", str(folder / "groove.wav"), "--output", str(output), "--quiet", "--no-cache"]
    assert main([*call, "--checkpoint", str(folder / "made.pt"), *arguments]) == 0
    return read_edl(folder / "edited.edl.json"), soundfile.info(output)


def played(edl):
    return merged_spans((clip.source_start_s, clip.source_end_s) for clip in edl.clips)


@pytest.mark.parametrize("arguments", [(), ("--keep-ratio", "0.5"), ("--duration", "0:13")])
def test_parts_are_heard_and_not_heard(folder, arguments):
    edl, _ = edited(folder, "--keep", "0:02.3-0:05.9", "--drop", "10.2-0:14.6", *arguments)
    assert not without_spans((2.3, 5.9), played(edl))
    assert without_spans((10.2, 14.6), played(edl)) == ((10.2, 14.6),)
    reasons = {decision.reason: decision for decision in edl.decisions}
    assert reasons[KEPT_AS_ASKED].probability is None
    assert reasons[DROPPED_AS_ASKED].type == "CUT"


@pytest.mark.parametrize("wanted_s", [8.0, 13.0, 20.0])
def test_a_duration_is_kept_within_a_bar(folder, wanted_s):
    _, info = edited(folder, "--duration", str(wanted_s))
    assert info.duration == pytest.approx(wanted_s, abs=BAR_S)


@pytest.mark.parametrize("wanted_s", [7.7, 13.01, 24.3])
def test_an_exact_duration_is_kept_to_the_sample(folder, wanted_s):
    edl, info = edited(folder, "--duration", str(wanted_s), "--exact")
    assert info.frames == round(wanted_s * info.samplerate)
    assert edl.duration_s == pytest.approx(wanted_s, abs=0.51 / info.samplerate)
    assert all(1 / 1.03 <= clip.rate <= 1.03 for clip in edl.clips)


def test_no_passage_is_shorter_than_asked_for(folder):
    edl, _ = edited(folder, "--keep-ratio", "0.5", "--min-clip", "3", "bars")
    lengths_s = [clip.source_end_s - clip.source_start_s for clip in edl.clips]
    assert min(lengths_s) > 2.5 * BAR_S


def test_a_tight_edit_is_no_longer_than_a_conservative_one(folder):
    lengths_s = [
        edited(folder, "--style", style, "--effort", "1")[0].duration_s
        for style in ("tight", "balanced", "conservative")
    ]
    assert lengths_s == sorted(lengths_s)
    assert lengths_s[0] < lengths_s[2]


def test_what_cannot_be_granted_leaves_everything_as_it_was(folder, capsys):
    edited(folder)
    before = (folder / "edited.wav").read_bytes()
    call = ["edit", str(folder / "groove.wav"), "--output", str(folder / "edited.wav")]
    for arguments, words in (
        (["--keep", "0:30-0:40"], "ends at 0:24.0"),
        (["--duration", "0:05", "--keep", "0:00-0:10"], "--duration 0:10.0 or more"),
        (["--min-clip", "two", "bars"], "such as 2 bars"),
        (["--drop", "5"], "a start and an end such as 1:20-1:45"),
    ):
        try:
            code = main([*call, *arguments])
        except SystemExit as exit_of_argparse:
            code = exit_of_argparse.code
        assert code == 2
        assert words in capsys.readouterr().err
    assert (folder / "edited.wav").read_bytes() == before


def loudest_at(hz, audio, sr):
    """Return the largest amplitude of a tone in any block of 1024 samples."""
    mono = audio.reshape(len(audio), -1)[:, 0]
    blocks = mono[: len(mono) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    spectra = np.abs(np.fft.rfft(blocks, axis=1)) / np.hanning(1024).sum() * 2.0
    place = round(hz * 1024 / sr)
    return spectra[:, place - 1 : place + 2].max()


def test_what_is_dropped_is_not_even_in_a_crossfade(folder):
    audio, sr = soundfile.read(folder / "groove.wav")
    marked = audio.copy()
    start, end = round(9.9 * sr), round(13.37 * sr)
    tone = 0.5 * np.sin(2 * np.pi * 7000.0 * np.arange(end - start) / sr)
    marked[start:end] = tone if audio.ndim == 1 else tone[:, None]
    soundfile.write(folder / "marked.wav", marked, sr)
    output = folder / "marked_edited.wav"
    call = ["edit", str(folder / "marked.wav"), "--output", str(output), "--quiet", "--no-cache"]
    wish = ["--drop", "9.9-13.37", "--keep", "5-9.9", "--keep", "13.37-18"]
    assert main([*call, "--checkpoint", str(folder / "made.pt"), *wish]) == 0
    heard, _ = soundfile.read(output)
    assert loudest_at(7000.0, heard, sr) <= loudest_at(7000.0, audio, sr) + 0.005
    assert loudest_at(7000.0, marked, sr) > 0.4
