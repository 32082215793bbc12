"""A REAPER project (`.rpp`): text, one block of lines for each track and item.

Keys and their order are those of the community's description of state chunks (Cockos wiki, "State
Chunk Definitions"). Items of one track may overlap and are mixed, so all that is kept stands on
one track.

In: a `Session`. Out: the bytes of the file.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from rl_editor.exporters.session import Event, Session, place_of, printable
from rl_editor.units import db_to_gain

SUFFIX = ".rpp"
KEPT_TRACK, CUT_TRACK = "Edit", "Cut"
FADE_SHAPES = {
    "linear": 0,
    "equal_power": 1,
    "gentle_convex": 2,
    "convex": 2,
    "gentle_s": 5,
    "s": 5,
}
"""REAPER's shapes: 0 linear, 1 fast start, 2 slow start, 5 an S."""
_SOURCES = {".wav": "WAVE", ".aif": "WAVE", ".aiff": "WAVE", ".flac": "FLAC"}
_NAMESPACE = uuid.UUID("6f1c2b0a-61c4-5d0e-9b53-0b7f6f0e9c11")


def reaper_project(session: Session, folder: Path) -> bytes:
    """Return the project; files inside `folder`, or beside it, are named from there."""
    cut = [event for lane in session.lanes if lane.is_muted for event in lane.events]
    lines = [
        '<REAPER_PROJECT 0.1 "7.0" 0',
        f"  SAMPLERATE {session.sample_rate} 1 0",
        f"  TEMPO {session.tempo_bpm:.6f} {session.meter} 4",
    ]
    for number, marker in enumerate(session.markers, 1):
        lines.append(
            f"  MARKER {number} {session.seconds(marker.position):.9f} {quoted(marker.name)} 0"
        )
    lines += _track(session, KEPT_TRACK, list(session.kept), False, folder)
    lines += _track(session, CUT_TRACK, cut, True, folder)
    return "\n".join([*lines, ">", ""]).encode()


def quoted(text: str) -> str:
    """Return a text on one line, in quotes that it does not hold; with all three, `"` is lost."""
    text = printable(text)
    for mark in ('"', "'", "`"):
        if mark not in text:
            return f"{mark}{text}{mark}"
    return '"' + text.replace('"', "'") + '"'


def _track(
    session: Session, name: str, events: list[Event], is_muted: bool, folder: Path
) -> list[str]:
    lines = [
        f"  <TRACK {_guid(session, name)}",
        f"    NAME {quoted(name)}",
        f"    MUTESOLO {int(is_muted)} 0 0",
        f"    NCHAN {max(2, session.channels + session.channels % 2)}",
    ]
    for number, event in enumerate(events):
        lines += _item(session, event, f"{name} {number}", folder)
    return [*lines, "  >"]


def _item(session: Session, event: Event, key: str, folder: Path) -> list[str]:
    fades = [
        _fade(word, session.seconds(length), FADE_SHAPES[curve])
        for word, length, curve in (
            ("FADEIN", event.fade_in, event.fade_in_curve),
            ("FADEOUT", event.fade_out, event.fade_out_curve),
        )
    ]
    kind = _SOURCES.get(event.path.suffix.lower(), "WAVE")
    return [
        "    <ITEM",
        f"      POSITION {session.seconds(event.position):.9f}",
        f"      LENGTH {session.seconds(event.n_samples):.9f}",
        "      LOOP 0",
        "      MUTE 0 0",
        *fades,
        f"      IGUID {_guid(session, key)}",
        f"      NAME {quoted(event.name)}",
        f"      VOLPAN {db_to_gain(event.gain_db):.9f} 0 1 -1",
        f"      SOFFS {session.seconds(event.file_start):.9f}",
        "      PLAYRATE 1 1 0 -1 0 0.0025",
        "      CHANMODE 0",
        *_notes(event.reason),
        f"      <SOURCE {kind}",
        f"        FILE {quoted(str(place_of(event.path, folder)))}",
        "      >",
        "    >",
    ]


def _notes(text: str) -> list[str]:
    text = printable(text).strip()
    return ["      <NOTES", f"        |{text}", "      >"] if text else []


def _fade(word: str, length_s: float, shape: int) -> str:
    return f"      {word} {shape} {length_s:.9f} 0 {shape} 0 0 0"


def _guid(session: Session, key: str) -> str:
    """Return an identifier that is the same for the same edit."""
    return f"{{{str(uuid.uuid5(_NAMESPACE, f'{session.name}/{key}')).upper()}}}"
