"""An OpenTimelineIO timeline (`.otio`): JSON in its published schemas.

Tracks of a timeline hold clips and gaps one after the other; a clip has no fades and no level
there, so these are in its metadata under "rl_editor". Times are samples: a rational time with the
sample rate as its rate.

In: a `Session`. Out: the bytes of the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rl_editor.exporters.session import Event, Lane, Session, place_of

SUFFIX = ".otio"
METADATA = "rl_editor"


def otio_timeline(session: Session, folder: Path) -> bytes:
    """Return the timeline; its files are named by where they are from `folder`, or as a whole."""
    markers = [_marker(session, m.name, m.position) for m in session.markers]
    timeline = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": session.name,
        "metadata": {METADATA: {"tempo_bpm": session.tempo_bpm, "meter": session.meter}},
        "global_start_time": _time(session, 0),
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "metadata": {},
            "source_range": None,
            "effects": [],
            "markers": markers,
            "enabled": True,
            "children": [_track(session, lane, folder) for lane in session.lanes],
        },
    }
    return (json.dumps(timeline, indent=1, ensure_ascii=False) + "\n").encode()


def _track(session: Session, lane: Lane, folder: Path) -> dict[str, Any]:
    children: list[dict[str, Any]] = []
    position = 0
    for event in lane.events:
        if event.position > position:
            children.append(_gap(session, event.position - position))
        children.append(_clip(session, event, folder))
        position = event.end
    return {
        "OTIO_SCHEMA": "Track.1",
        "name": lane.name,
        "kind": "Audio",
        "metadata": {},
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": not lane.is_muted,
        "children": children,
    }


def _clip(session: Session, event: Event, folder: Path) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": event.name,
        "metadata": {
            METADATA: {
                "gain_db": round(event.gain_db, 9),
                "fade_in_samples": event.fade_in,
                "fade_in_curve": event.fade_in_curve,
                "fade_out_samples": event.fade_out,
                "fade_out_curve": event.fade_out_curve,
                "reason": event.reason,
            }
        },
        "source_range": _range(session, event.file_start, event.n_samples),
        "effects": [],
        "markers": [],
        "enabled": True,
        "active_media_reference_key": "DEFAULT_MEDIA",
        "media_references": {
            "DEFAULT_MEDIA": {
                "OTIO_SCHEMA": "ExternalReference.1",
                "name": event.path.name,
                "metadata": {},
                "available_range": _range(session, 0, session.file_samples[event.path]),
                "target_url": _url(event.path, folder),
            }
        },
    }


def _url(path: Path, folder: Path) -> str:
    """Return a file's place: a relative one as it is, which adapters resolve, else a file URL."""
    place = place_of(path, folder)
    return place.as_uri() if place.is_absolute() else place.as_posix()


def _gap(session: Session, n_samples: int) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Gap.1",
        "name": "",
        "metadata": {},
        "source_range": _range(session, 0, n_samples),
        "effects": [],
        "markers": [],
        "enabled": True,
    }


def _marker(session: Session, name: str, position: int) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Marker.2",
        "name": name,
        "metadata": {},
        "color": "GREEN",
        "comment": "",
        "marked_range": _range(session, position, 0),
    }


def _range(session: Session, start: int, n_samples: int) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(session, start),
        "duration": _time(session, n_samples),
    }


def _time(session: Session, n_samples: int) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "RationalTime.1",
        "rate": float(session.sample_rate),
        "value": float(n_samples),
    }
