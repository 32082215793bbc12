"""Training of the beat network: the twin, its export, the targets, and a run that goes on."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mir_eval")
pytest.importorskip("benchmarks.beat_training", reason="benchmarks are part of a checkout only")

import torch

from benchmarks.beat_training import __main__ as command
from benchmarks.beat_training import dataset
from benchmarks.beat_training.augmentation import Augmentation, coloured, draw_crop
from benchmarks.beat_training.dataset import Crop, Piece, TargetShape, crop, prepare, targets
from benchmarks.beat_training.evaluation import evaluate
from benchmarks.beat_training.example import BeatExample
from benchmarks.beat_training.network import BeatNetwork, export, tensors_of
from benchmarks.beat_training.training import (
    TrainingSettings,
    one_cycle,
    train,
    weighted_loss,
)
from rl_editor import beat_network
from rl_editor.config import AnalysisConfig
from rl_editor.errors import UserError
from rl_editor.stopping import Terminated

SR = AnalysisConfig().sr
SHIPPED_WIDTH = 48
SMALL = TrainingSettings(width=4, passes=2, crop_frames=400, batch_crops=2)


def clicks_and_chords(seed, duration_s, bpm=None):
    """Return a click on every beat, a chord on every downbeat of 4, and noise at the end."""
    rng = np.random.default_rng(seed)
    beat_s = 60.0 / (bpm or rng.uniform(80.0, 160.0))
    beats_s = np.arange(0.5, 0.8 * duration_s, beat_s)
    signal = 1e-3 * rng.standard_normal(int(duration_s * SR)).astype(np.float32)
    for place, start in enumerate((beats_s * SR).astype(int)):
        t = np.arange(min(SR // 4, len(signal) - start)) / SR
        tones = (1200.0,) if place % 4 else (220.0, 277.2, 329.6)
        sound = sum(np.sin(2 * np.pi * hz * t) for hz in tones) * np.exp(-20.0 * t)
        signal[start : start + len(t)] += 0.3 * sound.astype(np.float32)
    stretches = np.array([[beats_s[0], beats_s[-1] + beat_s]])
    return BeatExample(signal, beats_s, np.arange(len(beats_s)) % 4, stretches)


def piece(seed=0, duration_s=20.0):
    return dataset.piece_of(clicks_and_chords(seed, duration_s))


def network(width=8):
    """Return a network whose parameters are all random, norms and input included."""
    torch.manual_seed(3)
    made = BeatNetwork(width).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-5), (True, 1e-3)])
def test_numpy_runs_the_exported_file_as_torch_runs_the_network(tmp_path, half, tolerance):
    trained, path = network(), tmp_path / "weights.safetensors"
    export(trained, path, half)
    frames = np.random.default_rng(0).uniform(0.0, 3.0, (700, 64)).astype(np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(trained(torch.from_numpy(frames)[None]))[0].numpy()
    heard = beat_network.activations(frames, weights=beat_network.read_weights(path))
    assert np.abs(heard - expected).max() < tolerance
    assert expected.std() > 0.01  # not all the same, which would be easy


def test_exported_tensors_are_those_of_the_shipped_file():
    from safetensors.numpy import load_file

    shipped = load_file(beat_network._WEIGHTS_PATH)
    ours = tensors_of(BeatNetwork(SHIPPED_WIDTH))
    assert {name: (a.shape, a.dtype) for name, a in ours.items()} == {
        name: (a.shape, a.dtype) for name, a in shipped.items()
    }


def test_torch_runs_the_shipped_weights():
    shipped = beat_network.read_weights(beat_network._WEIGHTS_PATH)
    twin = BeatNetwork(SHIPPED_WIDTH).eval()
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in shipped.items()})
    frames = piece().frames.astype(np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(twin(torch.from_numpy(frames)[None]))[0].numpy()
    assert np.abs(beat_network.activations(frames) - expected).max() < 1e-5


def test_a_network_that_diverged_is_not_exported():
    broken = BeatNetwork(4)
    with torch.no_grad():
        broken.output.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"output\.bias is not finite"):
        tensors_of(broken)


def test_targets_peak_at_the_nearest_frame():
    part = Crop(np.zeros((12, 64), np.float32), np.array([2.4, 9.0]), np.array([False, True]))
    values, weights = targets(part, TargetShape(neighbour=0.5, unsure_frames=1))
    assert values[:, 0].tolist() == [0, 0.5, 1, 0.5, 0, 0, 0, 0, 0.5, 1, 0.5, 0]
    assert values[:, 1].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0.5, 1, 0.5, 0]
    assert weights[:, 0].tolist() == [0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0]
    assert weights[:, 1].tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0]


def test_a_faster_crop_moves_frames_and_beats_alike():
    frames = np.repeat(np.arange(200, dtype=np.float16)[:, None], 64, axis=1)
    source = Piece(
        frames, np.array([1.0, 2.0, 3.9]), np.array([True, False, False]), np.zeros((0, 2))
    )
    part = crop(source, 10.0, 100, rate=1.25)
    np.testing.assert_allclose(part.inputs[:, 0], 10.0 + 1.25 * np.arange(100), atol=1e-3)
    np.testing.assert_allclose(part.beats_frames, [32.0, 72.0])  # the third is beyond the end
    assert part.is_downbeat.tolist() == [True, False]


def test_a_short_piece_is_followed_by_silence():
    source = piece(duration_s=4.0)
    part = crop(source, 0.0, 300)
    np.testing.assert_array_equal(part.inputs[: len(source.frames)], source.frames)
    assert not part.inputs[len(source.frames) :].any()


def test_a_gain_of_the_augmentation_is_that_of_the_signal():
    example = clicks_and_chords(1, 6.0)
    loud = BeatExample(
        2 * example.signal, example.beats_s, example.place_in_bar, example.stretches_s
    )
    twice_db = 20 * float(np.log10(2.0))
    only_gain = Augmentation(
        gain_db=(twice_db, twice_db), filtered=0, shifted=0, noisy=0, narrow=0, holed=0
    )
    inputs = dataset.piece_of(example).frames.astype(np.float32)
    changed = coloured(inputs, [], only_gain, np.random.default_rng(0))
    np.testing.assert_allclose(changed, dataset.piece_of(loud).frames, atol=4e-3)


def test_augmented_crops_are_finite_and_seeded():
    source = piece()
    always = Augmentation(stretched=1, filtered=1, shifted=1, noisy=1, narrow=1, holed=1)
    made = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        part = draw_crop(source, 500, always, rng)
        made.append(coloured(part.inputs, [source.rests()], always, rng))
    np.testing.assert_array_equal(*made)
    assert np.isfinite(made[0]).all()
    assert made[0].min() >= 0
    assert made[0].shape == (500, 64)


def test_rests_are_the_frames_outside_of_the_playing():
    source = piece()
    start_s, end_s = source.stretches_s[0]
    assert len(source.rests()) == pytest.approx(50 * (20.0 - end_s + start_s - 0.2), abs=3)
    assert source.rests().max() < source.frames.max() / 4


def test_examples_are_made_once(tmp_path):
    made = []

    def make(seed, duration_s):
        made.append(seed)
        return clicks_and_chords(seed, duration_s)

    list(prepare(make, [1, 2], 4.0, tmp_path))
    paths = list(prepare(make, [1, 2, 3], 4.0, tmp_path))
    assert made == [1, 2, 3]
    again, expected = dataset.load(sorted(paths)[2]), piece(3, 4.0)
    np.testing.assert_array_equal(again.frames, expected.frames)
    np.testing.assert_array_equal(again.beats_s, expected.beats_s)
    np.testing.assert_array_equal(again.is_downbeat, expected.is_downbeat)


@pytest.mark.slow
def test_parallel_examples_are_those_of_one_process(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for jobs, folder in enumerate(folders, start=1):
        folder.mkdir()
        list(prepare(partial(clicks_and_chords, bpm=120.0), [1, 2, 3], 4.0, folder, jobs))
    for path in folders[0].iterdir():
        alone, together = dataset.load(path), dataset.load(folders[1] / path.name)
        np.testing.assert_array_equal(alone.frames, together.frames)


def test_the_learning_rate_goes_up_and_down():
    rates = [one_cycle(progress, 0.1) for progress in np.linspace(0.0, 1.0, 101)]
    assert int(np.argmax(rates)) == 10
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)


def test_frames_without_weight_do_not_count():
    frames = torch.rand(1, 50, 64)
    values, weights = torch.zeros(1, 50, 2), torch.ones(1, 50, 2)
    weights[:, 20:] = 0.0
    changed = values.clone()
    changed[:, 20:] = 1.0
    trained = network()
    losses = [weighted_loss(trained, (frames, v, weights), SMALL) for v in (values, changed)]
    assert losses[0] == losses[1]


def test_a_stopped_training_ends_like_one_that_was_not(tmp_path):
    pieces = [piece(seed) for seed in range(3)]
    folders = [tmp_path / name for name in ("whole", "stopped")]
    for folder in folders:
        folder.mkdir()
    whole = train(pieces, pieces[:1], SMALL, folders[0], tell=lambda line: None)

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pieces, [], SMALL, folders[1], tell=stop)
    told = []
    resumed = train(pieces, [], SMALL, folders[1], tell=told.append)
    assert len(told) == 1
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    train([piece()], [], SMALL, tmp_path, tell=lambda line: None)
    with pytest.raises(UserError, match="differs in its settings"):
        train([piece()], [], TrainingSettings(width=6), tmp_path)
    with pytest.raises(UserError, match="differs in its material"):
        train([piece(1)] * 2, [], SMALL, tmp_path)


def test_the_shipped_weights_find_the_beats_of_clicks():
    scores = evaluate([piece(4, 30.0)])
    assert scores.f_inside > 0.9
    assert scores.error_ms < 20.0


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (UserError("no"), 2), (Terminated(), 143)]
)
def test_the_command_ends_with_a_code(monkeypatch, tmp_path, raised, code):
    def stop(args, make_example):
        raise raised

    monkeypatch.setattr(command, "maker", lambda scores: clicks_and_chords)
    monkeypatch.setattr(command, "run", stop)
    assert command.main(["--out", str(tmp_path)]) == code


@pytest.mark.slow
def test_the_command_trains_writes_and_goes_on(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(command, "EXAMPLE_S", 30.0)
    monkeypatch.setattr(command, "material_name", lambda scores: "made")
    monkeypatch.setattr(command, "maker", lambda scores: clicks_and_chords)
    sizes = {"hours": 0.2, "passes": 24, "width": 8, "jobs": 1, "held-out": 3}
    options = [text for name, size in sizes.items() for text in (f"--{name}", str(size))]
    assert command.main(["--out", str(tmp_path), *options]) == 0
    report = json.loads((tmp_path / command.REPORT).read_text())
    assert report["held_out"]["f_inside"] > 0.9
    assert report["settings"]["width"] == 8
    capsys.readouterr()
    assert command.main(["--out", str(tmp_path), *options]) == 0
    assert "pass 24" not in capsys.readouterr().out  # nothing was left to do


@pytest.mark.parametrize(
    "option",
    ["--hours nan", "--batch-crops 0", "--dropout 1.5", "--seed -1", "--threads 0", "--lr -1",
     "--unsure-frames -3", "--positive-weights -1 2", "--width 5", "--passes 0"],
)  # fmt: skip
def test_settings_out_of_their_range_are_refused(option, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        command.main(["--out", str(tmp_path / "new"), *option.split()])
    assert refused.value.code == 2
    assert option.split()[0] in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_damaged_checkpoint_and_damaged_weights_are_told(tmp_path):
    pieces = [piece(seed) for seed in range(2)]
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        train(pieces, [], SMALL, tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"no weights")
    for name in ("x.safetensors", "missing.safetensors"):
        with pytest.raises(UserError, match="weights of a beat network"):
            beat_network.read_weights(tmp_path / name)


def test_examples_of_other_scores_lie_in_another_folder(tmp_path, monkeypatch):
    (tmp_path / "font.sf2").write_bytes(b"font")
    monkeypatch.setattr(command, "find_soundfont", lambda: tmp_path / "font.sf2")
    names = {command.material_name(None), command.material_name(tmp_path)}
    (tmp_path / "a.mid").write_bytes(b"score")
    names.add(command.material_name(tmp_path))
    (tmp_path / "font.sf2").write_bytes(b"another font")
    names.add(command.material_name(tmp_path))
    assert len(names) == 4
