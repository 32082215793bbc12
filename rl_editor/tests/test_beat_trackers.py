"""Other trackers behind the same function: librosa itself, and a package that is called beat_this.

The real one needs a torchaudio and a checkpoint that cannot be had everywhere. The one that is
made here is loaded and called in the same way: what it gives for a signal can be computed.
"""

import importlib
import re
import sys

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

from rl_editor import analysis
from rl_editor.analysis import ANALYSIS_VERSION, CONFIG, analyze, schema_name
from rl_editor.beat_hints import NO_HINTS, BeatHints
from rl_editor.beat_trackers import OWN_TRACKER, BeatTracker, load_tracker, peaks
from rl_editor.beats import beat_input, grid_from_activations, listen
from rl_editor.beats_file import GivenBeats
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.cli import infer_main
from rl_editor.config import to_dict
from rl_editor.edl import read_edl
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.frame_features import frame_features
from rl_editor.tests.test_analysis import clicks
from rl_editor.tests.test_bad_input import is_refused

LIBROSA = BeatTracker("librosa")
HOP = CONFIG.hop_length

PACKAGE = '''
import numpy as np
import torch

made = []


class Audio2Frames:
    """Logits: how much louder a frame is than most, and for downbeats 1 less."""

    def __init__(self, checkpoint_path="final0", device="cpu", float16=False):
        made.append((checkpoint_path, device))
        if checkpoint_path == "final0":
            checkpoint = {"gain": 40.0, "extra": 0}
        elif "." in checkpoint_path:
            checkpoint = torch.load(checkpoint_path, map_location=device, weights_only=True)
        else:
            raise ValueError("no such name", checkpoint_path)
        self.gain, self.extra = checkpoint["gain"], checkpoint["extra"]

    def __call__(self, signal, sr):
        assert (signal.ndim, signal.dtype, sr) == (1, np.float32, 22050)
        n_frames = 1 + len(signal) // 441 + self.extra
        padded = np.pad(signal, (0, max(0, n_frames * 441 - len(signal))))[: n_frames * 441]
        level = np.abs(padded.reshape(n_frames, 441)).mean(axis=1)
        logits = torch.from_numpy(self.gain * (level - 0.1)).float()
        return logits, logits - 1.0
'''


@pytest.fixture
def beat_this(tmp_path, monkeypatch):
    """Put a package of that name on the path and return its module."""
    folder = tmp_path / "packages" / "beat_this"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "inference.py").write_text(PACKAGE)
    names = ("beat_this", "beat_this.inference")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # tests change the package
    yield importlib.import_module("beat_this.inference")
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def recording(tmp_path):
    soundfile.write(tmp_path / "clicks.wav", clicks(12.0), CONFIG.sr)
    return tmp_path / "clicks.wav"


def write_network(path, gain=40.0, extra=0):
    torch.save({"gain": gain, "extra": extra}, path)
    return BeatTracker("beat_this", str(path))


def beat_inputs(signal):
    blocks = []
    frame_features(signal, CONFIG, lambda _, magnitude: blocks.append(beat_input(magnitude)))
    return np.concatenate(blocks)


def off_the_beat_s(grid, tempo_bpm):
    """Return [N] how far each beat that is played lies from the nearest click."""
    period_s, beats_s = 60.0 / tempo_bpm, grid.beats_s[grid.confidence > 0.0]
    return np.abs(beats_s - period_s * np.rint(beats_s / period_s))


@pytest.mark.parametrize("tempo_bpm", [72.0, 120.0, 150.0])
def test_the_beats_of_librosa_become_the_grid(tempo_bpm):
    signal = clicks(20.0, tempo_bpm)
    hear = load_tracker(LIBROSA)
    heard = listen(beat_inputs(signal), hear(signal, 1 + len(signal) // HOP))
    assert (heard.shape, heard.dtype) == ((1001, 3), np.float32)
    assert np.ptp(heard[:, 1]) == 0.0
    grid = grid_from_activations(heard, 20.0)
    assert grid.tempo_bpm == pytest.approx(tempo_bpm, rel=0.003)
    assert (grid.confidence > 0.0).sum() > 0.9 * 20.0 * tempo_bpm / 60.0
    assert off_the_beat_s(grid, tempo_bpm).max() < 0.01


def test_librosa_hears_no_beat_where_nothing_sounds():
    heard = load_tracker(LIBROSA)(np.zeros(2 * CONFIG.sr, np.float32), 101)
    assert heard.shape == (101, 2)
    assert heard[:, 0].max() == 0.0


def test_a_peak_stands_where_the_beat_is():
    made = peaks(np.array([0.0, 0.5, 0.51, 5.0, 9.0]), 251)
    assert (made.shape, made.dtype) == ((251,), np.float32)
    assert made[[0, 250]] == pytest.approx(0.9)  # beats at both ends, and one beyond
    assert made[25] == pytest.approx(0.9)  # two beats are no more than one
    assert made[26] == pytest.approx(0.9 * np.exp(-0.125))  # half a frame from the second
    assert made[30:247].max() == 0.0
    assert peaks(np.zeros(0), 3).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("extra", [-3, 0, 5])
def test_logits_become_probabilities_of_just_as_many_frames(beat_this, tmp_path, extra):
    tracker = write_network(tmp_path / "net.ckpt", extra=extra)
    signal = clicks(4.0)
    n_frames = 1 + len(signal) // HOP
    heard = load_tracker(tracker)(signal, n_frames)
    assert (heard.shape, heard.dtype) == ((n_frames, 2), np.float32)
    logits = beat_this.Audio2Frames(tracker.checkpoint)(signal, CONFIG.sr)
    for column, expected in zip(heard.T, logits, strict=True):
        known = min(n_frames, n_frames + extra)
        np.testing.assert_allclose(column[:known], torch.sigmoid(expected)[:known], atol=1e-6)
        assert not column[known:].any()


def test_logits_without_bounds_stay_probabilities(beat_this, tmp_path):
    heard = load_tracker(write_network(tmp_path / "net.ckpt", gain=1e6))(clicks(2.0), 101)
    assert (heard.min(), heard.max()) == (0.0, 1.0)
    with pytest.raises(UserError, match="finite"):
        load_tracker(write_network(tmp_path / "bad.ckpt", gain=float("nan")))(clicks(2.0), 101)


def test_beat_this_is_asked_for_its_best_network_on_the_best_device(beat_this, monkeypatch):
    load_tracker(BeatTracker("beat_this"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    load_tracker(BeatTracker("beat_this"))
    assert beat_this.made == [("final0", "cpu"), ("final0", "cuda")]


def test_the_analysis_is_made_on_what_the_tracker_heard(beat_this, recording):
    own, other = analyze(recording), analyze(recording, tracker=BeatTracker("beat_this"))
    assert other.grid.tempo_bpm == pytest.approx(120.0, rel=0.003)
    assert off_the_beat_s(other.grid, 120.0).max() < 0.03
    assert (own.grid.confidence[3:-3] != other.grid.confidence[3:-3]).all()
    half = analyze(recording, hints=BeatHints(half=True), tracker=BeatTracker("beat_this"))
    assert half.grid.tempo_bpm == pytest.approx(60.0, rel=0.003)


def test_what_the_own_tracker_left_in_the_cache_is_still_found(recording, tmp_path):
    cache = Cache(tmp_path / "kept")
    analyze(recording, cache=cache)
    settings = {"version": ANALYSIS_VERSION, "config": to_dict(CONFIG)}
    stems = {"schema": schema_name(), "stems": "offline"}
    sha256 = file_sha256(recording)
    keys = [
        track_key(sha256, settings | stems | NO_HINTS.settings()),
        track_key(sha256, settings | {"heard": "beats"}),
        track_key(sha256, settings | stems | {"heard": "stems"}),
    ]
    assert {path.name.split(".")[0] for path in cache.folder.iterdir()} == set(keys)
    assert OWN_TRACKER.settings() == {}
    assert OWN_TRACKER.words() == ()


def test_each_tracker_keeps_what_it_heard(beat_this, recording, tmp_path, monkeypatch):
    cache, other = Cache(tmp_path / "kept"), write_network(tmp_path / "net.ckpt")
    trackers = (OWN_TRACKER, LIBROSA, BeatTracker("beat_this"), other)
    first = [analyze(recording, cache=cache, tracker=tracker) for tracker in trackers]
    arrays = [load_file(path) for path in cache.folder.glob("*.arrays.safetensors")]
    assert sum("beats" in entry for entry in arrays) == 4
    assert sum("power" in entry for entry in arrays) == 1  # stems do not depend on the beat

    def refuse(*_):
        raise AssertionError("heard again")

    for name in ("listen", "load_tracker", "offline_stems"):
        monkeypatch.setattr(analysis, name, refuse)
    for track, tracker in zip(first, trackers, strict=True):
        again = analyze(recording, cache=cache, tracker=tracker)
        np.testing.assert_array_equal(again.features, track.features)
        hints = BeatHints(half=True)  # decoded from what this tracker heard
        assert analyze(recording, cache=cache, hints=hints, tracker=tracker).n_beats < again.n_beats
    write_network(tmp_path / "net.ckpt", gain=50.0)  # another network under the same name
    with pytest.raises(AssertionError, match="heard again"):
        analyze(recording, cache=cache, tracker=other)


def test_the_key_holds_the_package_and_the_network(beat_this, tmp_path):
    trackers = [
        LIBROSA,
        BeatTracker("beat_this"),
        BeatTracker("beat_this", "small0"),
        write_network(tmp_path / "a.ckpt"),
        write_network(tmp_path / "b.ckpt", gain=2.0),
    ]
    kept = [tracker.settings()["beat_tracker"] for tracker in trackers]
    assert len({track_key("", settings) for settings in kept}) == 5
    assert kept[0]["version"] == importlib.import_module("librosa").__version__
    assert kept[1] == BeatTracker("beat_this", "final0").settings()["beat_tracker"]
    (tmp_path / "a.ckpt").rename(tmp_path / "c.ckpt")
    assert BeatTracker("beat_this", str(tmp_path / "c.ckpt")).settings()["beat_tracker"] == kept[3]


@pytest.mark.parametrize(("name", "extra"), [("beat_this", "beats"), ("librosa", "librosa")])
def test_a_package_that_is_missing_is_named(monkeypatch, name, extra):
    for module in (name, "beat_this.inference", "librosa.beat"):
        monkeypatch.setitem(sys.modules, module, None)
    for use in (BeatTracker.check, load_tracker):
        with pytest.raises(UserError, match=re.escape(f"run {install_hint(extra)}")):
            use(BeatTracker(name))


def broken(tmp_path, error):
    """Make the package fail as it does where a package that it needs is missing or broken."""
    sys.modules.pop("beat_this.inference", None)
    (tmp_path / "packages" / "beat_this" / "inference.py").write_text(error)


def test_a_package_that_does_not_load_is_one_sentence(beat_this, tmp_path):
    broken(tmp_path, "raise OSError('no torchaudio.so')\n")
    with pytest.raises(UserError, match=r"\(no torchaudio.so\); install the torchaudio"):
        load_tracker(BeatTracker("beat_this"))
    broken(tmp_path, "import a_package_that_nobody_has\n")
    with pytest.raises(UserError, match="needs the package a_package_that_nobody_has, which"):
        load_tracker(BeatTracker("beat_this"))


def test_a_checkpoint_that_is_none_is_one_sentence(beat_this, tmp_path):
    gone = BeatTracker("beat_this", str(tmp_path / "gone.ckpt"))
    (tmp_path / "empty").touch()
    empty = BeatTracker("beat_this", str(tmp_path / "empty"))
    for use in (BeatTracker.check, load_tracker):
        with pytest.raises(UserError, match=re.escape(f"there is no file {gone.checkpoint}; ")):
            use(gone)
        with pytest.raises(UserError, match="empty is empty; check"):
            use(empty)
    whole = tmp_path / "net.ckpt"
    write_network(whole)
    contents = [b"hello", whole.read_bytes()[:200], b"\x80\x02."]
    for content in contents:
        whole.write_bytes(content)
        with pytest.raises(UserError, match=r"net\.ckpt should be a checkpoint of beat_this, but"):
            load_tracker(BeatTracker("beat_this", str(whole)))
    torch.save([1, 2], whole)
    with pytest.raises(UserError, match="cannot be loaded as one; give"):
        load_tracker(BeatTracker("beat_this", str(whole)))
    nameless = BeatTracker("beat_this", "nosuch")
    nameless.check()  # the package knows its names, and may fetch them
    with pytest.raises(UserError, match="nosuch should be fetched by beat_this, but could not"):
        load_tracker(nameless)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--beat-tracker", "madmom"], "should be own, beat_this or librosa, but is 'madmom'"),
        (["--beat-checkpoint", "final0"], "final0 is named for the tracker own; choose beat_this"),
        (
            ["--beat-tracker", "librosa", "--beat-checkpoint", "a.ckpt"],
            "a.ckpt is named for the tracker librosa",
        ),
        (
            ["--beat-tracker", "librosa", "--beats", "a.beats"],
            "come from a.beats, for which nothing is listened to, but the beat tracker librosa",
        ),
        (
            ["--beat-tracker", "beat_this", "--beat-checkpoint", "gone/net.ckpt"],
            "there is no file gone/net.ckpt",
        ),
    ],
)
def test_the_command_refuses_in_one_sentence(
    beat_this, flags, sentence, recording, tmp_path, capsys, checkpoints
):
    output = ["--output", str(tmp_path / "out" / "a.wav"), "--checkpoint", checkpoints["keep"]]
    (tmp_path / "out").mkdir()
    is_refused([str(recording), *output, *flags], tmp_path / "out", capsys, sentence)


def test_the_analysis_refuses_a_tracker_beside_beats_of_a_file(recording):
    given = GivenBeats("a.beats", (1.0, 1.5, 2.0), (-1, -1, -1))
    with pytest.raises(UserError, match=r"come from a.beats.* leave out one of the two"):
        analyze(recording, hints=BeatHints(given=given), tracker=LIBROSA)


def test_the_edit_tells_which_tracker_was_used(beat_this, recording, tmp_path, capsys, checkpoints):
    network = tmp_path / "a net.ckpt"
    write_network(network)
    flags = ["--beat-tracker", "beat_this", "--beat-checkpoint", str(network), "--half"]
    output = ["--output", str(tmp_path / "a.wav"), "--checkpoint", checkpoints["keep"]]
    assert infer_main([str(recording), *output, *flags]) == 0
    words = ("--beat-tracker beat_this", f"--beat-checkpoint '{network}'", "--half")
    assert read_edl(tmp_path / "a.edl.json").grid.hints == words
    assert f"beat hints   {', '.join(words)}" in capsys.readouterr().out.splitlines()
    assert "--beat-tracker beat_this" in (tmp_path / "a.report.html").read_text(encoding="utf-8")
