import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from rl_editor import checkpoint
from rl_editor.agent import Agent
from rl_editor.calibration import Calibration
from rl_editor.config import AgentConfig, Config
from rl_editor.errors import UserError
from rl_editor.policy_inputs import N_INPUTS, Normalisation

CONFIG = Config(agent=AgentConfig(hidden_dim=24, kernel_size=5, dilations=(1, 2)))


@pytest.fixture
def made():
    torch.manual_seed(0)
    agent = Agent(CONFIG.agent, N_INPUTS)
    normalisation = Normalisation(
        np.linspace(-1, 1, N_INPUTS).astype(np.float32), np.ones(N_INPUTS, np.float32)
    )
    return checkpoint.Checkpoint(CONFIG, "made-up", normalisation, {"f1": 0.5}, agent.arrays())


def test_save_then_load_is_identity(made, tmp_path):
    checkpoint.save(tmp_path / "new" / "best.pt", made)
    loaded = checkpoint.load(tmp_path / "new" / "best.pt")
    assert loaded.config == CONFIG
    assert (loaded.schema, loaded.metrics) == ("made-up", {"f1": 0.5})
    np.testing.assert_array_equal(loaded.normalisation.mean, made.normalisation.mean)
    assert loaded.weights.keys() == made.weights.keys()
    for name, array in made.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], array)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["best.pt"]


@pytest.mark.parametrize("calibration", [None, Calibration(0.7, -0.25, 0.5), Calibration(1.5)])
def test_how_sure_a_policy_may_be_is_stored(made, tmp_path, calibration):
    stored = dataclasses.replace(made, calibration=calibration)
    checkpoint.save(tmp_path / "best.pt", stored)
    assert checkpoint.load(tmp_path / "best.pt").calibration == calibration


def test_what_a_run_needs_is_read_only_where_it_is_asked_for(made, tmp_path):
    arrays = {
        "moments": np.linspace(0, 1, 5),
        "random": np.arange(4, dtype=np.uint64),
        "bytes": np.arange(4, dtype=np.uint8),
        "own": np.array([True, False]),
        "none": np.zeros((0, 3), dtype=np.int64),
    }
    facts = {"stage": "ppo", "rates": [1e-3, 0.1], "big": 2**100}
    state = checkpoint.RunState(facts, arrays)
    checkpoint.save(tmp_path / "latest.pt", dataclasses.replace(made, run=state))
    loaded = checkpoint.load(tmp_path / "latest.pt", with_run=True)
    assert loaded.run.facts == facts
    assert loaded.run.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded.run.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.run.arrays[name], array)
    without = checkpoint.load(tmp_path / "latest.pt")
    assert without.run is None
    assert without.weights.keys() == made.weights.keys()
    checkpoint.save(tmp_path / "best.pt", made)
    assert checkpoint.load(tmp_path / "best.pt", with_run=True).run is None


def test_a_run_that_is_malformed_is_refused_only_where_it_is_asked_for(made, tmp_path):
    state = checkpoint.RunState({}, {"moments": np.zeros(5)})
    path = rewritten(dataclasses.replace(made, run=state), tmp_path, lambda t, m: m.update(run="{"))
    with pytest.raises(UserError, match="how its run goes on"):
        checkpoint.load(path, with_run=True)
    assert checkpoint.load(path).run is None


def test_a_loaded_agent_computes_the_same(made, tmp_path):
    checkpoint.save(tmp_path / "best.pt", made)
    agent, _ = checkpoint.load_agent(tmp_path / "best.pt")
    for name, tensor in agent.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), made.weights[name])


@pytest.mark.parametrize("name", ["best.pt", "x" * 300, "best\0.pt"])
def test_missing_file_is_one_sentence(tmp_path, name):
    with pytest.raises(UserError, match="there is none"):
        checkpoint.load(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 1000])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(UserError, match="damaged, cut off or of another program"):
        checkpoint.load(tmp_path / "best.pt")


def test_a_pickle_of_torch_is_refused_and_not_run(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "best.pt")
    with pytest.raises(UserError, match="damaged, cut off or of another program"):
        checkpoint.load(tmp_path / "best.pt")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(made, tmp_path, share):
    checkpoint.save(tmp_path / "best.pt", made)
    content = (tmp_path / "best.pt").read_bytes()
    (tmp_path / "best.pt").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="damaged, cut off or of another program"):
        checkpoint.load(tmp_path / "best.pt")


def rewritten(made, tmp_path, change):
    """Return the path of a checkpoint whose tensors and metadata `change` has altered."""
    checkpoint.save(tmp_path / "good.pt", made)
    tensors = load_file(tmp_path / "good.pt")
    from safetensors import safe_open

    with safe_open(tmp_path / "good.pt", framework="numpy") as file:
        metadata = dict(file.metadata())
    change(tensors, metadata)
    save_file(tensors, tmp_path / "best.pt", metadata)
    return tmp_path / "best.pt"


CHANGES = {
    "version": lambda t, m: m.update(version="99"),
    "not finite": lambda t, m: t["policy.trunk.bias"].fill(np.nan),
    "inputs": lambda t, m: t.update({"normalisation.mean": np.zeros(7, np.float32)}),
    "missing": lambda t, m: t.pop("normalisation.std"),
    "surprise": lambda t, m: m.update(config=json.dumps({"surprise": 1})),
    "malformed": lambda t, m: m.update(metrics="{"),
    "calibration": lambda t, m: m.update(calibration='{"slope": 2}'),
}


@pytest.mark.parametrize("word", CHANGES)
def test_a_checkpoint_of_another_version_is_refused(made, tmp_path, word):
    path = rewritten(made, tmp_path, CHANGES[word])
    with pytest.raises(UserError, match=word):
        checkpoint.load(path)


@pytest.mark.parametrize(("kind", "n_bytes"), [("BF16", 2), ("F8_E4M3", 1), ("I64", 8)])
def test_numbers_of_another_type_are_refused(made, tmp_path, kind, n_bytes):
    """NumPy knows neither of the first two: reading them raised TypeError and AttributeError."""
    path = tmp_path / "best.pt"
    checkpoint.save(path, made)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    end = len(content) - 8 - size
    header["policy.odd"] = {"dtype": kind, "shape": [1], "data_offsets": [end, end + n_bytes]}
    changed = json.dumps(header).encode()
    path.write_bytes(
        len(changed).to_bytes(8, "little") + changed + content[8 + size :] + bytes(n_bytes)
    )
    with pytest.raises(UserError, match=f"holds.*{kind}.*float32 again"):
        checkpoint.load(path)


def test_weights_that_do_not_fit_the_config_are_refused(made, tmp_path):
    path = rewritten(made, tmp_path, lambda t, m: t.pop("policy.trunk.bias"))
    with pytest.raises(UserError, match="trunk"):
        checkpoint.load_agent(path)


def test_an_analysis_of_another_kind_is_refused(made):
    checkpoint.check_schema(made, "made-up")
    with pytest.raises(UserError, match="stems"):
        checkpoint.check_schema(made, "other")


def test_a_folder_that_cannot_be_written_is_told(made, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="should be written"):
        checkpoint.save(tmp_path / "file" / "best.pt", made)
