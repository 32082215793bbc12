"""A DAWproject (`.dawproject`), the open exchange format of several workstations: XML in a ZIP.

The format has lengths of a clip's fades but no laws, and no gain of a clip: clips of another level
stand on a track of their own with that volume. Times are seconds. The recording is not in the ZIP
but named by where it lies.

In: a `Session`. Out: the bytes of the file, valid against the format's published schema.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from rl_editor import __version__
from rl_editor.exporters.session import Event, Lane, Session, place_of
from rl_editor.units import db_to_gain

SUFFIX = ".dawproject"
MASTER_ID = "master"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP can hold: the same edit gives the same bytes."""


def dawproject(session: Session, folder: Path) -> bytes:
    """Return the file; audio is named by its way from `folder`, or as a whole."""
    metadata = Element("MetaData")
    SubElement(metadata, "Title").text = session.name
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, root in (("project.xml", _project(session, folder)), ("metadata.xml", metadata)):
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(
                entry, ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
            )
    return packed.getvalue()


def _project(session: Session, folder: Path) -> Element:
    project = Element("Project", version="1.0")
    SubElement(project, "Application", name="rl_editor", version=__version__)
    transport = SubElement(project, "Transport")
    SubElement(transport, "Tempo", unit="bpm", value=f"{session.tempo_bpm:.6f}", id="tempo")
    SubElement(
        transport,
        "TimeSignature",
        numerator=str(session.meter),
        denominator="4",
        id="meter",
    )
    structure = SubElement(project, "Structure")
    tracks = list(_tracks(session))
    for number, (lane, gain_db, _) in enumerate(tracks):
        _add_track(structure, session, lane, gain_db, number)
    master = SubElement(
        structure, "Track", contentType="audio", loaded="true", id="master_track", name="Master"
    )
    SubElement(master, "Channel", role="master", audioChannels="2", id=MASTER_ID)
    arrangement = SubElement(project, "Arrangement", id="arrangement")
    lanes = SubElement(arrangement, "Lanes", timeUnit="seconds", id="lanes")
    for number, (_, _, events) in enumerate(tracks):
        own = SubElement(lanes, "Lanes", track=f"track{number}", id=f"lane{number}")
        clips = SubElement(own, "Clips", id=f"clips{number}")
        for event in events:
            _add_clip(clips, session, event, folder)
    if session.markers:
        markers = SubElement(arrangement, "Markers", timeUnit="seconds", id="markers")
        for marker in session.markers:
            SubElement(markers, "Marker", time=_seconds(session, marker.position), name=marker.name)
    return project


def _tracks(session: Session) -> Iterator[tuple[Lane, float, list[Event]]]:
    """Yield the tracks: of each lane one for every level of its events."""
    for lane in session.lanes:
        for gain_db in dict.fromkeys([0.0, *(event.gain_db for event in lane.events)]):
            events = [event for event in lane.events if event.gain_db == gain_db]
            if events or gain_db == 0.0:
                yield lane, gain_db, events


def _add_track(
    structure: Element, session: Session, lane: Lane, gain_db: float, number: int
) -> None:
    name = f"{lane.name} {gain_db:+.3g} dB" if gain_db else lane.name
    track = SubElement(
        structure, "Track", contentType="audio", loaded="true", id=f"track{number}", name=name
    )
    channel = SubElement(
        track,
        "Channel",
        role="regular",
        audioChannels=str(session.channels),
        destination=MASTER_ID,
        id=f"channel{number}",
    )
    SubElement(channel, "Mute", value=str(lane.is_muted).lower(), id=f"mute{number}")
    SubElement(
        channel,
        "Volume",
        unit="linear",
        value=f"{db_to_gain(gain_db):.9f}",
        id=f"volume{number}",
    )


def _add_clip(clips: Element, session: Session, event: Event, folder: Path) -> None:
    clip = SubElement(
        clips,
        "Clip",
        name=event.name,
        comment=event.reason,
        time=_seconds(session, event.position),
        duration=_seconds(session, event.n_samples),
        contentTimeUnit="seconds",
        playStart=_seconds(session, event.file_start),
        fadeTimeUnit="seconds",
        fadeInTime=_seconds(session, event.fade_in),
        fadeOutTime=_seconds(session, event.fade_out),
    )
    audio = SubElement(
        clip,
        "Audio",
        channels=str(session.channels),
        sampleRate=str(session.sample_rate),
        duration=_seconds(session, session.file_samples[event.path]),
    )
    SubElement(audio, "File", path=place_of(event.path, folder).as_posix(), external="true")


def _seconds(session: Session, n_samples: int) -> str:
    return f"{session.seconds(n_samples):.9f}"
