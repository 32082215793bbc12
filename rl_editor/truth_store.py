"""Truths in the cache: what an alignment said, and what is true about a made session.

An entry is a JSON object with the `duration_s`, `segments` (`session_files`), `clips` (`edl`)
and `notes` of a truth; that of a made session also names the entry of its analysis, so that
neither is made again.
"""

from __future__ import annotations

import dataclasses

from rl_editor.cache import Cache
from rl_editor.demonstrations import Demonstration, demonstrate
from rl_editor.edl import Clip
from rl_editor.session_files import segment_values, truth_from
from rl_editor.truth import Truth


def stored_truth(key: str, cache: Cache | None) -> Truth | None:
    """Return the truth under a key, or None if there is none."""
    found = _stored(key, cache)
    return None if found is None else found[0]


def store_truth(key: str, truth: Truth, cache: Cache | None, track_key: str = "") -> None:
    """Store a truth, and the key of its analysis where that is no file's; only with a cache."""
    if cache is not None:
        values = {
            "duration_s": truth.duration_s,
            "segments": segment_values(truth),
            "clips": [dataclasses.asdict(clip) for clip in truth.clips],
            "notes": truth.notes,
        }
        cache.store_values(key, values | {"track_key": track_key})


def stored_demonstration(key: str, cache: Cache | None) -> Demonstration | None:
    """Return the demonstration of a made session, or None unless truth and analysis are there."""
    found = _stored(key, cache)
    if found is None or cache is None:
        return None
    truth, track_key = found
    track = cache.load_track(track_key)
    return None if track is None else demonstrate(track, truth)


def _stored(key: str, cache: Cache | None) -> tuple[Truth, str] | None:
    values = None if cache is None else cache.load_values(key)
    if values is None:
        return None
    try:
        clips = tuple(Clip(**clip) for clip in values["clips"])
        truth = dataclasses.replace(truth_from(values), clips=clips, notes=tuple(values["notes"]))
        return truth, str(values["track_key"])
    except (KeyError, TypeError, ValueError):
        return None  # stored by a program with other segments
