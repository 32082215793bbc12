import os

import pytest

# The suite runs on shared cores: one thread each is fastest there, and it is reproducible.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Paths of tiny policies that keep everything, cut everything, mix, or know other stems."""
    from rl_editor.analysis import schema_name
    from rl_editor.tests.made_editor import SURE, write_checkpoint

    folder = tmp_path_factory.mktemp("checkpoints")
    made = {
        "keep": write_checkpoint(folder / "keep.pt", SURE),
        "cut": write_checkpoint(folder / "cut.pt", -SURE),
        "mix": write_checkpoint(folder / "mix.pt"),
        "other": write_checkpoint(folder / "other.pt", schema=schema_name("demucs")),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def recording(tmp_path):
    """Path of eight seconds of made-up music."""
    from rl_editor.tests.made_editor import write_groove

    return write_groove(tmp_path / "take.wav")
