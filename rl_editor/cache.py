"""Analyses kept on disk, so that a recording is analysed once.

The key of an entry is a hash of the audio's bytes, the settings and the feature schema; the
entry is one safetensors file: the arrays of a `Track`, and in its header everything else as
JSON. An entry is written atomically and carries a digest of its content, so a truncated,
damaged or foreign file is simply not found and gets written again. Loading runs no code.
What else is worked out from recordings, such as alignments, is kept beside them as JSON, and
what an analysis is made of and another one can be made of as well, as arrays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.atomic import TEMPORARY_PREFIX, atomic_path
from rl_editor.audio_containers import check_file
from rl_editor.errors import UserError
from rl_editor.grid import BeatGrid
from rl_editor.track import Track

ENTRY_FORMAT = "rl_editor-track-1"
"""Name and version of the entries' layout; part of every key."""
FOLDER_VARIABLE = "RL_EDITOR_CACHE"
"""Environment variable that names another folder."""

_SUFFIX = ".track.safetensors"
_VALUES_SUFFIX = ".values.json"
_ARRAYS_SUFFIX = ".arrays.safetensors"
_KEY = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 2**20
_GRID_ARRAYS = {
    "beats_s": np.float64,
    "is_downbeat": np.bool_,
    "is_phrase_start": np.bool_,
    "confidence": np.float32,
}
_TRACK_ARRAYS = {
    "features": np.float32,
    "recurrence": np.float32,
    "match_later": np.int64,
    "match_earlier": np.int64,
}
_TRACK_VALUES = ("path", "sha256", "sample_rate", "channels", "n_samples", "schema")
_GRID_VALUES = ("duration_s", "meter", "tempo_bpm", "runner_up_tempi_bpm")
_LATER_GRID_VALUE = "runner_up_scores"
"""Missing in entries that were made before it was known."""
_log = logging.getLogger(__name__)


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal; reads 1 MB at a time.

    Raises:
        UserError: the file is missing, empty or cannot be read.
    """
    check_file(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()


def track_key(sha256: str, settings: Mapping[str, Any]) -> str:
    """Return the key of an analysis: 64 hexadecimal digits.

    Args:
        sha256: of the audio file's bytes, see `file_sha256`.
        settings: everything that the result depends on, as JSON values: the analysis config,
            the user's hints about the beat, and the feature schema.
    """
    content = json.dumps([ENTRY_FORMAT, sha256, settings], sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


def default_folder() -> Path:
    """Return $RL_EDITOR_CACHE, else `rl_editor` in the folder the system has for caches."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    home = os.path.expanduser("~")
    if not os.path.isabs(home):  # an account without a home, as in some containers
        return Path(tempfile.gettempdir()) / "rl_editor"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path(home, "AppData", "Local"))
    elif sys.platform == "darwin":
        base = Path(home, "Library", "Caches")
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if os.path.isabs(named) else Path(home, ".cache")
    return base / "rl_editor"


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        folder: where it is.
        entries: number of analyses; arrays that they were made of are not counted.
        bytes: what all of it takes on disk.
    """

    folder: Path
    entries: int
    bytes: int


class Cache:
    """A folder of analyses; see the module's docstring."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """Use `folder`, or `default_folder()`; it is made when the first entry is stored."""
        self.folder = default_folder() if folder is None else Path(folder)
        self._has_warned = False

    def load_track(self, key: str, path: str | Path | None = None) -> Track | None:
        """Return the analysis stored under `key`, or None if there is none that is whole.

        Args:
            key: of `track_key`.
            path: becomes `Track.path`, since the same recording may now lie elsewhere; None
                keeps the path that it had when it was stored.
        """
        entry = self._entry(key)
        try:
            content = entry.read_bytes()
        except OSError:
            return None
        track = _decode(content, key)
        return (
            track if track is None or path is None else dataclasses.replace(track, path=str(path))
        )

    def store_track(self, key: str, track: Track) -> None:
        """Store an analysis under `key`, whole or not at all.

        A folder that cannot be written costs time at the next run, not this edit: it is logged
        as a warning, once.
        """
        self._store(self._entry(key), _encode(track, key))

    def load_values(self, key: str) -> dict[str, Any] | None:
        """Return the JSON object stored under `key`, or None if there is none that is whole."""
        try:
            entry = json.loads(self._entry(key, _VALUES_SUFFIX).read_bytes())
            content = entry["content"]
            if entry["digest"] != _digest(key + content, {}):
                return None
            return dict(json.loads(content))
        except (OSError, KeyError, TypeError, ValueError):
            return None  # none there, or a file that is damaged in one of these ways

    def store_values(self, key: str, values: Mapping[str, Any]) -> None:
        """Store an object of JSON values under `key`, as `store_track` does with tracks."""
        content = json.dumps(values, allow_nan=False)
        entry = {"digest": _digest(key + content, {}), "content": content}
        self._store(self._entry(key, _VALUES_SUFFIX), json.dumps(entry).encode())

    def load_arrays(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays stored under `key`, or None if there are none that are whole."""
        try:
            entry = self._entry(key, _ARRAYS_SUFFIX).read_bytes()
        except OSError:
            return None
        return _decode_arrays(entry, key)

    def store_arrays(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store arrays by name under `key`, as `store_track` does with tracks."""
        from safetensors.numpy import save

        own = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self._store(self._entry(key, _ARRAYS_SUFFIX), save(own, {"digest": _digest(key, own)}))

    def _store(self, entry: Path, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(entry) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            if not self._has_warned:
                _log.warning(
                    "the analysis cannot be kept in %s (%s), so the next run repeats it; name a "
                    "folder that can be written in the variable %s.",
                    self.folder,
                    error.strerror,
                    FOLDER_VARIABLE,
                )
            self._has_warned = True

    def info(self) -> CacheInfo:
        """Return the folder, the number of entries and their size."""
        entries = self._entries()
        size = sum(path.stat().st_size for path in [*entries, *self._entries(_ARRAYS_SUFFIX)])
        return CacheInfo(self.folder, len(entries), size)

    def clear(self) -> int:
        """Remove all entries and return how many (`CacheInfo`); other files in the folder stay.

        Raises:
            UserError: an entry cannot be removed.
        """
        entries = self._entries()
        unfinished = list(self.folder.glob(f"{TEMPORARY_PREFIX}*.part"))
        try:
            for path in entries + self._entries(_ARRAYS_SUFFIX) + unfinished:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"the cache {self.folder} cannot be cleared ({error.strerror}); check who owns it."
            ) from error
        return len(entries)

    def _entry(self, key: str, suffix: str = _SUFFIX) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a key has 64 hexadecimal digits, but this one is {key!r}")
        return self.folder / f"{key}{suffix}"

    def _entries(self, *suffixes: str) -> list[Path]:
        return [
            path
            for suffix in suffixes or (_SUFFIX, _VALUES_SUFFIX)
            for path in self.folder.glob(f"*{suffix}")
            if _KEY.fullmatch(path.name.removesuffix(suffix))
        ]


def _encode(track: Track, key: str) -> bytes:
    """Return a track as the bytes of an entry."""
    from safetensors.numpy import save

    arrays = {name: getattr(track.grid, name) for name in _GRID_ARRAYS}
    arrays |= {name: getattr(track, name) for name in _TRACK_ARRAYS}
    types = _GRID_ARRAYS | _TRACK_ARRAYS
    arrays = {name: np.ascontiguousarray(array, types[name]) for name, array in arrays.items()}
    values = {
        "format": ENTRY_FORMAT,
        "key": key,
        "track": {name: getattr(track, name) for name in _TRACK_VALUES},
        "grid": {name: getattr(track.grid, name) for name in (*_GRID_VALUES, _LATER_GRID_VALUE)},
    }
    content = json.dumps(values, allow_nan=False)
    return save(arrays, {"content": content, "digest": _digest(content, arrays)})


def _decode(entry: bytes, key: str) -> Track | None:
    """Return the track in the bytes of an entry, or None if they are not what `_encode` made."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(entry)  # checks every offset and shape against the length of `entry`
        header = json.loads(entry[8 : 8 + int.from_bytes(entry[:8], "little")])
        content = header["__metadata__"]["content"]
        if header["__metadata__"]["digest"] != _digest(content, arrays):
            return None
        values = json.loads(content)
        if (values["format"], values["key"]) != (ENTRY_FORMAT, key):
            return None
        return _track(values, arrays)
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None  # a foreign file can be wrong in each of these ways


def _decode_arrays(entry: bytes, key: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays in the bytes of an entry, or None if `store_arrays` did not make it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(entry)
        header = json.loads(entry[8 : 8 + int.from_bytes(entry[:8], "little")])
        if header["__metadata__"]["digest"] != _digest(key, arrays):
            return None
        return {name: array.copy() for name, array in arrays.items()}
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None  # as in `_decode`


def _track(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Track:
    """Return the track made of an entry's parts; raises where they do not make one."""
    types = _GRID_ARRAYS | _TRACK_ARRAYS
    if {name: array.dtype for name, array in arrays.items()} != types:
        raise ValueError("the entry holds other arrays")
    own = {name: array.copy() for name, array in arrays.items()}  # those of `load` are read-only
    grid_values = {name: values["grid"][name] for name in _GRID_VALUES}
    grid_values["runner_up_tempi_bpm"] = tuple(grid_values["runner_up_tempi_bpm"])
    grid_values[_LATER_GRID_VALUE] = tuple(values["grid"].get(_LATER_GRID_VALUE, ()))
    return Track(
        grid=BeatGrid(**{name: own[name] for name in _GRID_ARRAYS}, **grid_values),
        **{name: own[name] for name in _TRACK_ARRAYS},
        **{name: values["track"][name] for name in _TRACK_VALUES},
    )


def _digest(content: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of everything that an entry holds."""
    digest = hashlib.sha256(content.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
