"""An Ardour session (version 7): a folder with the session's XML and the audio that it plays.

Element and attribute names are those that Ardour 7 itself writes. A fade is a list of points, so
that each law is ours; clips of one track do not overlap, so that nothing is crossfaded for us.

In: a `Session` whose files are in the session's folder. Out: the bytes of the `.ardour` file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from rl_editor.effects import FADE_CURVES
from rl_editor.exporters.session import Event, Lane, Session
from rl_editor.units import db_to_gain

SUFFIX = ".ardour"
FOLDER_SUFFIX = "_ardour"
SUPERCLOCKS_PER_S = 282_240_000
"""Ardour's unit of time."""
CONFIG = {
    "native-file-data-format": "FormatFloat",
    "native-file-header-format": "WAVE",
    "use-region-fades": "1",
    "use-transport-fades": "0",
}
FADE_POINTS = 65
"""Of a fade, with straight lines between them; more bring nothing."""
LEAST_FADE = 1e-9
"""Weight of the first point: a list of points begins above 0."""


def audio_folder(folder: Path, name: str) -> Path:
    """Return where a session in a folder has its audio files."""
    return folder / "interchange" / name / "audiofiles"


def ardour_session(session: Session, folder: Path) -> bytes:
    """Return the session file, for a folder that has the files of its events in `audio_folder`."""
    ids = itertools.count(100)
    root = Element("Session", version="7002", name=session.name)
    root.set("sample-rate", str(session.sample_rate))
    config = SubElement(root, "Config")
    for name, value in CONFIG.items():
        SubElement(config, "Option", name=name, value=value)
    sources = SubElement(root, "Sources")
    source_ids: dict[Path, list[str]] = {}
    for path in session.file_samples:
        source_ids[path] = [str(next(ids)) for _ in range(session.channels)]
        for channel, number in enumerate(source_ids[path]):
            source = SubElement(sources, "Source", name=path.name, type="audio", flags="")
            source.attrib |= {"id": number, "channel": str(channel), "origin": "", "gain": "1"}
    SubElement(root, "Regions")
    _add_locations(root, session, ids)
    routes, playlists = SubElement(root, "Routes"), Element("Playlists")
    _add_master(routes, session, ids)
    for order, lane in enumerate(session.lanes, 1):
        _add_lane(routes, playlists, session, lane, order, source_ids, ids)
    root.append(playlists)
    for name in ("UnusedPlaylists", "RouteGroups"):  # which Ardour does not do without
        SubElement(root, name)
    _add_tempo(root, session)
    root.set("id-counter", str(next(ids)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def _add_locations(root: Element, session: Session, ids: Iterator[int]) -> None:
    locations = SubElement(root, "Locations")
    places = [("session", 0, session.n_samples, "IsSessionRange")]
    places += [(m.name, m.position, m.position, "IsMark") for m in session.markers]
    for name, start, end, flags in places:
        SubElement(
            locations,
            "Location",
            id=str(next(ids)),
            name=name,
            start=str(start),
            end=str(end),
            flags=flags,
            locked="0",
        )


def _add_master(routes: Element, session: Session, ids: Iterator[int]) -> None:
    route = _route("Master", "MasterOut,OrderSet", 0, ids)
    inputs = [lane.name for lane in session.lanes]
    _add_io(route, "Master", "Input", session.channels, ids, [f"{n}/audio_out" for n in inputs])
    _add_io(route, "Master", "Output", session.channels, ids, ["system:playback"])
    _add_processors(route, "Master", ids)
    routes.append(route)


def _add_lane(
    routes: Element,
    playlists: Element,
    session: Session,
    lane: Lane,
    order: int,
    source_ids: dict[Path, list[str]],
    ids: Iterator[int],
) -> None:
    playlist_id = str(next(ids))
    route = _route(lane.name, "AudioTrack,OrderSet", order, ids)
    route.set("audio-playlist", playlist_id)
    _add_io(route, lane.name, "Input", session.channels, ids, [])
    _add_io(route, lane.name, "Output", session.channels, ids, ["Master/audio_in"])
    SubElement(
        route,
        "MuteMaster",
        {"mute-point": "PreFader,PostFader,Listen,Main", "muted": _bit(lane.is_muted)},
    )
    SubElement(
        route,
        "Controllable",
        name="mute",
        id=str(next(ids)),
        flags="Toggle,RealTime",
        value=_bit(lane.is_muted),
    )
    _add_processors(route, lane.name, ids, plays=True)
    routes.append(route)
    playlist = SubElement(
        playlists, "Playlist", {"id": playlist_id, "name": lane.name, "type": "audio"}
    )
    playlist.attrib |= {"orig-track-id": str(route.get("id")), "frozen": "0", "combine-ops": "0"}
    for event in lane.events:
        _add_region(playlist, session, event, source_ids[event.path], ids)


def _route(name: str, flags: str, order: int, ids: Iterator[int]) -> Element:
    route = Element("Route", {"version": "7002", "id": str(next(ids)), "name": name})
    route.attrib |= {
        "default-type": "audio",
        "strict-io": "0",
        "active": "1",
        "denormal-protection": "0",
        "meter-point": "MeterPostFader",
        "disk-io-point": "DiskIOPreFader",
        "meter-type": "MeterPeak",
    }
    SubElement(route, "PresentationInfo", order=str(order), flags=flags, color="0")
    return route


def _add_io(
    route: Element, name: str, direction: str, channels: int, ids: Iterator[int], to: list[str]
) -> None:
    io = SubElement(route, "IO", name=name, id=str(next(ids)), direction=direction)
    io.set("default-type", "audio")
    word = "audio_in" if direction == "Input" else "audio_out"
    for channel in range(1, channels + 1):
        port = SubElement(io, "Port", type="audio", name=f"{name}/{word} {channel}")
        for other in to:
            joint = "_" if other.startswith("system:") else " "
            SubElement(port, "Connection", other=f"{other}{joint}{channel}")


def _add_processors(route: Element, name: str, ids: Iterator[int], *, plays: bool = False) -> None:
    kinds = [("diskreader", f"player:{name}")] if plays else []
    kinds += [("trim", "Amp"), ("amp", "Amp"), ("meter", f"meter-{name}")]
    for kind, title in kinds:
        _add_processor(route, kind, title, ids)
    outs = _add_processor(route, "main-outs", name, ids)
    outs.attrib |= {"own-input": "1", "own-output": "0", "output": name, "role": "Main"}


def _add_processor(route: Element, kind: str, title: str, ids: Iterator[int]) -> Element:
    processor = SubElement(route, "Processor", id=str(next(ids)), name=title, active="1")
    processor.set("type", kind)
    return processor


def _add_region(
    playlist: Element, session: Session, event: Event, sources: list[str], ids: Iterator[int]
) -> None:
    def superclocks(n_samples: int) -> str:
        return f"a{round(n_samples * SUPERCLOCKS_PER_S / session.sample_rate)}"

    region = SubElement(playlist, "Region", name=event.name, type="audio", id=str(next(ids)))
    region.attrib |= {
        "muted": "0",
        "opaque": "1",
        "locked": "0",
        "whole-file": "0",
        "start": superclocks(event.file_start),
        "length": f"{superclocks(event.n_samples)}@{superclocks(event.position)}",
        "scale-amplitude": f"{db_to_gain(event.gain_db):.9g}",
        "fade-in-active": _bit(event.fade_in > 0),
        "fade-out-active": _bit(event.fade_out > 0),
        "default-fade-in": "0",
        "default-fade-out": "0",
        "envelope-active": "0",
        "first-edit": "nothing",
        "channels": str(len(sources)),
    }
    for channel, source in enumerate(sources):
        region.set(f"source-{channel}", source)
        region.set(f"master-source-{channel}", source)
    for tag, length, curve in (
        ("FadeIn", event.fade_in, event.fade_in_curve),
        ("FadeOut", event.fade_out, event.fade_out_curve),
    ):
        if length:
            _add_fade(region, tag, length, curve, ids)


def _add_fade(region: Element, tag: str, length: int, curve: str, ids: Iterator[int]) -> None:
    """Add the points of a fade, the first one half a sample after its weight there is none."""
    places = np.unique(np.rint(np.linspace(0, length, min(FADE_POINTS, length + 1)))).astype(int)
    weights = FADE_CURVES[curve](np.minimum((places + 0.5) / length, 1.0))
    if tag == "FadeOut":
        weights = FADE_CURVES[curve](np.maximum((length - places - 0.5) / length, 0.0))
    lines = [
        f"{place} {max(float(weight), LEAST_FADE):.12g}"
        for place, weight in zip(places.tolist(), weights, strict=True)
    ]
    points = SubElement(
        SubElement(region, tag),
        "AutomationList",
        {"automation-id": tag.lower(), "id": str(next(ids)), "interpolation-style": "Linear"},
    )
    points.attrib |= {"time-domain": "AudioTime", "state": "Off"}
    SubElement(points, "events").text = "\n".join(["", *lines, ""])


def _add_tempo(root: Element, session: Session) -> None:
    tempo_map = SubElement(root, "TempoMap", {"superclocks-per-second": str(SUPERCLOCKS_PER_S)})
    bpm = f"{session.tempo_bpm:.6f}"
    at_start = {"sclock": "0", "quarters": "0:0", "bbt": "1|1|0"}
    SubElement(
        SubElement(tempo_map, "Tempos"),
        "Tempo",
        {"npm": bpm, "enpm": bpm, "note-type": "4", "type": "Tempo::Constant", "active": "1"}
        | {"locked-to-meter": "0", "continuing": "0", "omega": "0"}
        | at_start,
    )
    SubElement(
        SubElement(tempo_map, "Meters"),
        "Meter",
        {"note-value": "4", "divisions-per-bar": str(session.meter)} | at_start,
    )
    SubElement(tempo_map, "MusicTimes")


def _bit(is_on: bool) -> str:
    return str(int(is_on))
