"""What pairs and corrected edit lists say, worked out once and kept beside the analyses.

The key is a hash of both files' bytes, the settings and the version of the method.

Of a pair that does not belong together its refusal is kept.

In: a raw recording and its edit, or a list of it. Out: its `Truth`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rl_editor import alignment, alignment_clips, alignment_truth
from rl_editor.alignment import EditSpan
from rl_editor.audio import read_mono
from rl_editor.cache import Cache, file_sha256, track_key
from rl_editor.config import AnalysisConfig, to_dict
from rl_editor.edit_list_truth import edit_list_truth
from rl_editor.truth import Truth
from rl_editor.truth_store import store_truth, stored_truth

ALIGNMENT_VERSION = 7
"""Raised when pairs are aligned in another way, or an alignment says something else."""
_REFUSED_SHARE = "refused_share"
"""Field, in the entry of files that do not belong together, of the share that was found."""


def aligned_truth(raw_path: Path, edit_path: Path, cache: Cache | None) -> Truth:
    """Return what a human edit says about its raw recording, from the cache if it is there.

    Raises:
        UserError: a file cannot be read, or the two do not belong together.
    """
    files = (raw_path, edit_path)
    key = _key("audio", files)
    refused = None if cache is None else cache.load_values(key)
    if refused is not None and _REFUSED_SHARE in refused:
        alignment.check_related(*files, refused[_REFUSED_SHARE])
    found = stored_truth(key, cache)
    if found is None:
        aligned = alignment.align_files(*files)
        if cache is not None and not aligned.belongs_together:
            cache.store_values(key, {_REFUSED_SHARE: aligned.matched_share})
        alignment.check_related(*files, aligned.matched_share)
        sr = AnalysisConfig().sr
        found = alignment_truth.truth(aligned, read_mono(raw_path, sr), sr)
        found = dataclasses.replace(
            found, clips=alignment_clips.clips_of(aligned), notes=alignment_clips.notes(aligned)
        )
        store_truth(key, found, cache)
    return found


def listed_truth(raw_path: Path, edl_path: Path, cache: Cache | None) -> Truth:
    """Return what an edit list says about its recording, from the cache if it is there.

    Raises:
        UserError: see `edit_list_truth`.
    """
    key = _key("list", (raw_path, edl_path))
    found = stored_truth(key, cache)
    if found is None:
        found = edit_list_truth(raw_path, edl_path)
        store_truth(key, found, cache)
    return found


def _key(kind: str, files: tuple[Path, Path]) -> str:
    """Return the key of a recording and what is beside it."""
    settings = {
        "alignment": ALIGNMENT_VERSION,
        "kind": kind,
        "edit": file_sha256(files[1]),
        "config": to_dict(AnalysisConfig()),
        "fields": [field.name for field in dataclasses.fields(EditSpan)],
    }
    return track_key(file_sha256(files[0]), settings)
