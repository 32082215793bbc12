"""What pairs and corrected edit lists say, worked out once and kept beside the analyses.

The key is a hash of both files' bytes, the settings and the version of the method.

In: a raw recording and its edit, or a list of it. Out: its `Truth`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from rl_editor import alignment, alignment_truth
from rl_editor.alignment import EditSpan
from rl_editor.audio import read_mono
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.config import AnalysisConfig, to_dict
from rl_editor.edit_list_truth import edit_list_truth
from rl_editor.truth import Truth
from rl_editor.truth_store import store_truth, stored_truth

ALIGNMENT_VERSION = 3
"""Raised when pairs are aligned in another way, or an alignment says something else."""


def aligned_truth(raw_path: Path, edit_path: Path, cache: Cache | None) -> Truth:
    """Return what a human edit says about its raw recording, from the cache if it is there.

    Raises:
        UserError: a file cannot be read, or the two do not belong together.
    """

    def make() -> Truth:
        found = alignment.align_files(raw_path, edit_path)
        sr = AnalysisConfig().sr
        return alignment_truth.truth(found, read_mono(raw_path, sr), sr)

    return _through_cache("audio", (raw_path, edit_path), cache, make)


def listed_truth(raw_path: Path, edl_path: Path, cache: Cache | None) -> Truth:
    """Return what an edit list says about its recording, from the cache if it is there.

    Raises:
        UserError: see `edit_list_truth`.
    """
    return _through_cache(
        "list", (raw_path, edl_path), cache, lambda: edit_list_truth(raw_path, edl_path)
    )


def _through_cache(
    kind: str, files: tuple[Path, Path], cache: Cache | None, make: Callable[[], Truth]
) -> Truth:
    settings = {
        "alignment": ALIGNMENT_VERSION,
        "kind": kind,
        "edit": file_sha256(files[1]),
        "config": to_dict(AnalysisConfig()),
        "fields": [field.name for field in dataclasses.fields(EditSpan)],
    }
    key = track_key(file_sha256(files[0]), settings)
    truth = stored_truth(key, cache)
    if truth is None:
        truth = make()
        store_truth(key, truth, cache)
    return truth
