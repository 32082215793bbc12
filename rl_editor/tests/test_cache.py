import dataclasses
import hashlib
import json
import logging
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rl_editor import cache as cache_module
from rl_editor.cache import Cache, default_folder, file_sha256, track_key
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.track import Track

KEY = track_key("ab" * 32, {"schema": "test-1"})
OTHER_KEY = track_key("cd" * 32, {"schema": "test-1"})


def make_track(seed: int = 0) -> Track:
    rng = np.random.default_rng(seed)
    grid = dataclasses.replace(
        steady_grid(30.1, 123.0, 3), runner_up_tempi_bpm=(61.5, 246.0), runner_up_scores=(1.0, 0.25)
    )
    n_beats = grid.n_beats
    return Track(
        path="Probe Öl 1.wav",
        sha256="ab" * 32,
        sample_rate=44_100,
        channels=2,
        n_samples=1_327_410,
        grid=grid,
        features=rng.standard_normal((n_beats, 121)).astype(np.float32),
        recurrence=rng.standard_normal((n_beats, 7)).astype(np.float32),
        match_later=rng.integers(-1, n_beats, n_beats),
        match_earlier=rng.integers(-1, n_beats, n_beats),
        schema="test-1",
    )


def assert_equal(first: Any, second: Any) -> None:
    """Assert that two dataclasses are equal in every field, type and bit."""
    for field in dataclasses.fields(first):
        one, two = getattr(first, field.name), getattr(second, field.name)
        assert type(one) is type(two)
        if isinstance(one, np.ndarray):
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
        elif dataclasses.is_dataclass(one):
            assert_equal(one, two)
        else:
            assert one == two


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "a" / "cache")


@pytest.fixture
def entry(cache) -> Path:
    """Return the file of one stored track."""
    cache.store_track(KEY, make_track())
    (path,) = cache.folder.iterdir()
    return path


def test_store_then_load_is_identity(cache, entry):
    loaded = cache.load_track(KEY)
    assert_equal(loaded, make_track())
    loaded.features[0] = 0  # a loaded track is as writable as a fresh one


def test_the_path_follows_the_file(cache, entry):
    assert cache.load_track(KEY, Path("elsewhere.wav")).path == "elsewhere.wav"


def test_nothing_is_found_under_another_key(cache, entry):
    assert cache.load_track(OTHER_KEY) is None
    os.replace(entry, entry.with_name(entry.name.replace(KEY, OTHER_KEY)))
    assert cache.load_track(OTHER_KEY) is None


def test_an_entry_without_scores_of_runners_up_can_be_read(cache, entry):
    """As those that were made before there were any."""
    header = 8 + int.from_bytes(entry.read_bytes()[:8], "little")
    content = json.loads(json.loads(entry.read_bytes()[8:header])["__metadata__"]["content"])
    del content["grid"]["runner_up_scores"]
    arrays, content = load_file(entry), json.dumps(content)
    digest = cache_module._digest(content, arrays)
    save_file(arrays, entry, {"content": content, "digest": digest})
    old = dataclasses.replace(make_track().grid, runner_up_scores=())
    assert_equal(cache.load_track(KEY), dataclasses.replace(make_track(), grid=old))


def test_arrays_come_back_and_are_no_analysis(cache, entry):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True])}
    assert cache.load_arrays(KEY) is None
    cache.store_arrays(KEY, arrays)
    back = cache.load_arrays(KEY)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert cache.load_arrays(OTHER_KEY) is None
    assert cache.info().entries == 1
    assert cache.info().bytes > entry.stat().st_size
    assert cache.clear() == 1
    assert list(cache.folder.iterdir()) == []


def test_a_truncated_entry_is_ignored_and_written_again(cache, entry):
    whole = entry.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in (0, 1, 7, 8, 9, 100, header - 1, header, header + 1, len(whole) - 1):
        entry.write_bytes(whole[:length])
        assert cache.load_track(KEY) is None
        cache.store_track(KEY, make_track())
        assert_equal(cache.load_track(KEY), make_track())


def test_a_changed_bit_anywhere_is_noticed(cache, entry):
    whole = entry.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    places = [*range(0, header, 7), *rng.integers(header, len(whole), 60)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        entry.write_bytes(damaged)
        loaded = cache.load_track(KEY)
        if loaded is not None:  # a change of the JSON around the content that means the same
            assert place < header
            assert_equal(loaded, make_track())


@pytest.mark.parametrize(
    "content",
    [
        b"no cache entry\n" * 100,
        np.random.default_rng(0).bytes(10_000),
        (2**63).to_bytes(8, "little") + bytes(100),
        (10**7).to_bytes(8, "little") + b"{}" + bytes(100),
        (2).to_bytes(8, "little") + b"{}",
        pickle.dumps(make_track()),
    ],
    ids=["text", "random", "huge header", "long header", "no tensors", "pickle"],
)
def test_a_foreign_file_is_ignored(cache, entry, content):
    entry.write_bytes(content)
    assert cache.load_track(KEY) is None
    cache.store_track(KEY, make_track())
    assert_equal(cache.load_track(KEY), make_track())


def test_a_shape_beyond_the_file_is_ignored(cache, entry):
    whole = entry.read_bytes()
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    changed = json.loads(header)
    changed["features"]["shape"][0] = 2**40
    content = json.dumps(changed).encode()
    entry.write_bytes(len(content).to_bytes(8, "little") + content + whole[8 + len(header) :])
    assert cache.load_track(KEY) is None


@pytest.mark.parametrize("change", ["format", "rows", "type", "missing", "extra", "values"])
def test_a_well_formed_entry_of_another_layout_is_ignored(cache, entry, change):
    arrays = load_file(entry)
    values = {
        "format": cache_module.ENTRY_FORMAT,
        "key": KEY,
        "track": {name: getattr(make_track(), name) for name in cache_module._TRACK_VALUES},
        "grid": {name: getattr(make_track().grid, name) for name in cache_module._GRID_VALUES},
    }
    if change == "format":
        values["format"] = "rl_editor-track-0"
    elif change == "rows":
        arrays["features"] = arrays["features"][:-1]
    elif change == "type":
        arrays["features"] = arrays["features"].astype(np.float64)
    elif change == "missing":
        del arrays["features"]
    elif change == "extra":
        arrays["more"] = np.zeros(3)
    elif change == "values":
        del values["track"]["schema"]
    content = json.dumps(values)
    digest = cache_module._digest(content, arrays)
    save_file(arrays, entry, {"content": content, "digest": digest})
    assert cache.load_track(KEY) is None


def test_the_key_depends_on_audio_settings_and_schema():
    keys = {
        track_key("ab" * 32, {"hop_length": 441, "schema": "a"}),
        track_key("cd" * 32, {"hop_length": 441, "schema": "a"}),
        track_key("ab" * 32, {"hop_length": 442, "schema": "a"}),
        track_key("ab" * 32, {"hop_length": 441, "schema": "b"}),
    }
    assert len(keys) == 4
    same = track_key("ab" * 32, {"schema": "a", "hop_length": 441})
    assert same in keys
    assert len(same) == 64


@pytest.mark.parametrize("key", ["", "a" * 63, "../" + "a" * 61, "A" * 64])
def test_a_key_is_never_a_path(cache, key):
    with pytest.raises(ValueError, match="64 hexadecimal"):
        cache.load_track(key)


def test_info_and_clear_count_entries_only(cache, entry):
    cache.store_track(OTHER_KEY, make_track(1))
    (cache.folder / "holiday.jpg").write_bytes(b"keep")
    (cache.folder / "mine.track.safetensors").write_bytes(b"keep")
    (cache.folder / ".rl_editor-0123.part").write_bytes(b"left by a crash")
    info = cache.info()
    assert (info.folder, info.entries) == (cache.folder, 2)
    assert info.bytes == 2 * entry.stat().st_size
    assert cache.clear() == 2
    assert sorted(os.listdir(cache.folder)) == ["holiday.jpg", "mine.track.safetensors"]
    assert cache.info().entries == cache.clear() == 0


def test_a_cache_that_was_never_used_is_empty(tmp_path):
    cache = Cache(tmp_path / "nowhere")
    assert (cache.info().entries, cache.info().bytes, cache.clear()) == (0, 0, 0)
    assert cache.load_track(KEY) is None
    assert not cache.folder.exists()


def test_a_folder_that_cannot_be_written_warns_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING):
        cache.store_track(KEY, make_track())
        cache.store_track(OTHER_KEY, make_track())
    assert cache.load_track(KEY) is None
    assert (cache.info().entries, cache.clear()) == (0, 0)
    (record,) = caplog.records
    assert "RL_EDITOR_CACHE" in record.getMessage()


def test_storing_leaves_only_the_entry(cache, entry):
    cache.store_track(KEY, make_track(1))
    assert list(cache.folder.iterdir()) == [entry]
    assert_equal(cache.load_track(KEY), make_track(1))


def test_default_folder(monkeypatch, tmp_path):
    for name in ("RL_EDITOR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == tmp_path / ".cache" / "rl_editor"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "rl_editor"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Caches" / "rl_editor"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert default_folder() == tmp_path / "local" / "rl_editor"
    monkeypatch.setenv("RL_EDITOR_CACHE", str(tmp_path / "own"))
    assert default_folder() == Cache().folder == tmp_path / "own"


def test_hash_of_a_file(tmp_path):
    content = np.random.default_rng(0).bytes(3_000_001)
    (tmp_path / "a.wav").write_bytes(content)
    assert file_sha256(tmp_path / "a.wav") == hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match="there is no file"):
        file_sha256(tmp_path / "b.wav")


def test_values_come_back_beside_a_track_of_the_same_key(tmp_path):
    cache, values = Cache(tmp_path), {"a": [1, 2.5, None], "ö": {"b": True}}
    assert cache.load_values(KEY) is None
    cache.store_values(KEY, values)
    assert cache.load_values(KEY) == values
    assert cache.load_values(OTHER_KEY) is None
    assert cache.load_track(KEY) is None
    cache.store_track(KEY, make_track())
    assert cache.info().entries == 2
    assert cache.clear() == 2
    assert cache.load_values(KEY) is None


def test_damaged_values_are_not_found(tmp_path):
    cache = Cache(tmp_path)
    cache.store_values(KEY, {"a": 1})
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    for content in (whole[:-3], whole.replace(b": 1", b": 2"), b"[]", b'{"a": 1}', b"\xff", b""):
        assert content != whole
        entry.write_bytes(content)
        assert cache.load_values(KEY) is None
    entry.rename(entry.with_name(entry.name.replace(KEY, OTHER_KEY)))
    cache.store_values(KEY, {"a": 1})
    entry.rename(entry.with_name(entry.name.replace(KEY, OTHER_KEY)))
    assert cache.load_values(OTHER_KEY) is None


def test_values_that_json_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Cache(tmp_path).store_values(KEY, {"a": float("nan")})
