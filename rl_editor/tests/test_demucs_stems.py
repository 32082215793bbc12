"""Demucs stems through the package's real loading and applying code, on a tiny random model."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from rl_editor.config import AnalysisConfig
from rl_editor.demucs_stems import DemucsModel, demucs_stems, load_demucs, split_model
from rl_editor.errors import UserError
from rl_editor.extras import install_hint
from rl_editor.stems import STEM_NAMES

CONFIG = AnalysisConfig()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("htdemucs", ("htdemucs", None)),
        ("hf://someone/model", ("hf://someone/model", None)),
        ("folder/sub/tiny", ("tiny", Path("folder/sub"))),
        ("./tiny", ("tiny", Path("."))),
    ],
)
def test_a_path_is_a_folder_and_a_name(model, expected):
    assert split_model(model) == expected


def test_without_the_package_the_user_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs", None)
    monkeypatch.setitem(sys.modules, "demucs.pretrained", None)
    with pytest.raises(UserError, match=re.escape(install_hint("stems"))):
        load_demucs("htdemucs")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """Return a folder with a random HTDemucs of a few layers, saved as Demucs saves its own."""
    pytest.importorskip("demucs", reason="the [stems] extra is not installed")
    import torch
    from demucs.htdemucs import HTDemucs
    from demucs.states import get_state, save_with_checksum

    torch.manual_seed(0)
    settings = {
        "sources": ["drums", "bass", "other", "vocals"],
        "channels": 8,
        "bottom_channels": 32,
        "nfft": 1024,
        "depth": 4,
        "t_layers": 1,
        "t_heads": 2,
        "segment": 2,
        "samplerate": 44100,
    }
    network = HTDemucs(**settings)
    package = {
        "klass": HTDemucs,
        "args": (),
        "kwargs": settings,
        "state": get_state(network, None),
        "training_args": {},
    }
    folder = tmp_path_factory.mktemp("models")
    save_with_checksum(package, folder / "0a1b2c3d.th")
    (folder / "tiny.yaml").write_text("models: ['0a1b2c3d']\nsegment: 2\n")
    return folder


@pytest.mark.slow
def test_a_model_of_a_local_folder_gives_stems(model_folder):
    model = load_demucs(f"{model_folder}/tiny")
    rng = np.random.default_rng(0)
    signal = (0.1 * rng.standard_normal(3 * model.sample_rate)).astype(np.float32)
    progress = []
    stems = demucs_stems(signal, model, 151, 1e-8, CONFIG, progress.append)
    assert stems.source == "demucs:tiny"
    assert stems.power.shape == stems.onset.shape == (151, len(STEM_NAMES))
    assert np.isfinite(stems.power).all()
    assert np.isfinite(stems.onset).all()
    assert stems.power[20:-20].min() > 0.0
    assert progress[-1] == 1.0
    again = demucs_stems(signal, model, 151, 1e-8, CONFIG)
    np.testing.assert_array_equal(again.power, stems.power)


@pytest.mark.slow
def test_a_model_that_is_not_there_is_one_clear_sentence(model_folder, tmp_path):
    with pytest.raises(UserError, match="called other"):
        load_demucs(f"{model_folder}/other")
    with pytest.raises(UserError, match="does not exist"):
        load_demucs(f"{tmp_path}/nowhere/tiny")


class HalfAndHalf:
    """Stands for a network: the mix halved to drums and guitar, and nothing elsewhere."""

    sources = ("drums", "bass", "vocals", "guitar")
    samplerate = 44100
    audio_channels = 2


@pytest.mark.parametrize("chunk_frames", [40, 3000])
def test_powers_are_those_of_the_separated_sound(monkeypatch, chunk_frames):
    def separate(mix, model):
        return np.stack([mix / 2, 0 * mix, 0 * mix, mix / 2])

    monkeypatch.setattr("rl_editor.demucs_stems._separate", separate)
    monkeypatch.setattr("rl_editor.demucs_stems._CHUNK_FRAMES", chunk_frames)
    time_s = np.arange(4 * 44100) / 44100
    signal = (0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    stems = demucs_stems(signal, DemucsModel("half", HalfAndHalf()), 201, 1e-8, CONFIG)
    expected = [0.25**2 / 2, 0.0, 0.0, 0.25**2 / 2]
    np.testing.assert_allclose(stems.power[5:-5], np.tile(expected, (191, 1)), rtol=0.01)
    assert not stems.onset[:, 1].any()
