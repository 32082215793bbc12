"""Projects that a musician has worked on in a workstation, read back as an edit of the recording.

What is read is what says which seconds are wanted, in which order: clips of the recording on tracks
and items that are not muted, with their levels, fades and speeds. Clips of other files are counted
and left out.

In: a REAPER project or an OpenTimelineIO timeline. Out: clips of the recording (`Corrected`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rl_editor.edl import Clip
from rl_editor.errors import UserError
from rl_editor.exporters.otio import METADATA
from rl_editor.exporters.reaper import FADE_SHAPES
from rl_editor.units import gain_to_db, ratio_to_semitones

MOST_BYTES = 50_000_000
"""Largest project that is read; hours of edits take a few MB."""
MOST_DEPTH = 60
"""Blocks or tracks in one another."""
SHORTEST_S = 0.001
RATES = (0.25, 4.0)
"""Of an edit list's clips."""
LEVELS_DB = (-120.0, 60.0)
CURVES = {shape: curve for curve, shape in reversed(FADE_SHAPES.items())}


@dataclass(frozen=True)
class Corrected:
    """What a project says about a recording.

    Attributes:
        clips: of the recording, in the order of their begins; times may lie beyond its end.
        other_clips: how many clips of other files there were.
    """

    clips: tuple[Clip, ...]
    other_clips: int


@dataclass(frozen=True)
class _Placed:
    """A clip and the name of the file that it plays."""

    file: str
    clip: Clip


def read_corrected(path: str | Path, recording: str | Path) -> Corrected:
    """Return the clips of a recording in a project.

    A file of the project counts as the recording if its name, but for the suffix, is the same: what
    is exported for a workstation may be the recording as a WAV.

    Raises:
        UserError: the project cannot be read, or plays nothing of the recording.
    """
    path = Path(path)
    readers = {".rpp": _reaper_clips, ".otio": _otio_clips}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"a corrected project should be a .rpp, .otio or .edl.json file, but is {path}; "
            "save it as one of these."
        )
    text = _text(path)
    try:
        placed = list(reader(text))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as a project ({error}); save it again in its workstation."
        ) from error
    stem = Path(recording).stem.casefold()
    own = [one.clip for one in placed if _stem(one.file).casefold() == stem]
    if not own:
        raise UserError(
            f"{path} should play {Path(recording).name} on a track that is not muted, but does "
            "not; name the recording that it was made from with --recording."
        )
    clips = tuple(sorted(own, key=lambda clip: clip.timeline_start_s))
    first_s = clips[0].timeline_start_s
    moved = tuple(replace(c, timeline_start_s=c.timeline_start_s - first_s) for c in clips)
    return Corrected(moved, len(placed) - len(own))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(
                f"{path} is larger than {MOST_BYTES // 1_000_000} MB, which no project of an edit "
                "is; name the project file itself."
            )
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the name.") from error


def _stem(file: str) -> str:
    """Return a file's name without folders, of either kind of slashes, and without its suffix."""
    return Path(file.replace("\\", "/").rsplit("/", 1)[-1]).stem


# REAPER


@dataclass
class _Block:
    """A block of a REAPER project: the words of its head and lines, and the blocks in it."""

    head: list[str]
    lines: dict[str, list[str]]
    blocks: list[_Block]

    def words(self, key: str, default: str) -> list[str]:
        """Return the words after a key."""
        return self.lines.get(key, default.split())


def _reaper_clips(text: str) -> Iterator[_Placed]:
    project = _reaper_blocks(text)
    for track in project.blocks:
        if track.head[:1] != ["TRACK"] or track.words("MUTESOLO", "0")[0] != "0":
            continue
        for item in track.blocks:
            if item.head[:1] == ["ITEM"] and item.words("MUTE", "0")[0] == "0":
                yield from _reaper_item(item)


def _reaper_item(item: _Block) -> Iterator[_Placed]:
    source = next((block for block in item.blocks if block.head[:1] == ["SOURCE"]), None)
    while source is not None and "FILE" not in source.lines and source.blocks:
        source = source.blocks[0]  # a section of a file
    if source is None or "FILE" not in source.lines:
        return
    rate, keeps_pitch, semitones = _numbers(item.words("PLAYRATE", "1 1 0")[:3])
    if not keeps_pitch:
        semitones += ratio_to_semitones(rate)
    (start_s,), (length_s,) = _numbers(item.words("SOFFS", "0")[:1]), _numbers(item.lines["LENGTH"])
    (position_s,) = _numbers(item.words("POSITION", "0")[:1])
    clip = Clip(
        start_s,
        start_s + length_s * rate,
        position_s,
        gain_db=_level_db(_numbers(item.words("VOLPAN", "1")[:1])[0]),
        rate=rate,
        semitones=min(max(semitones, -24.0), 24.0),
    )
    fades = [item.words(key, "0 0") for key in ("FADEIN", "FADEOUT")]
    (in_s,), (out_s,) = (_numbers(words[1:2]) for words in fades)
    in_curve, out_curve = (CURVES.get(int(float(words[0])), "linear") for words in fades)
    yield _Placed(source.lines["FILE"][0], _faded(clip, (in_s, in_curve), (out_s, out_curve)))


def _reaper_blocks(text: str) -> _Block:
    root = _Block([], {}, [])
    opened = [root]
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("<"):
            if len(opened) > MOST_DEPTH:
                raise ValueError("its blocks lie too deep in one another")
            block = _Block(_words(words[1:]), {}, [])
            opened[-1].blocks.append(block)
            opened.append(block)
        elif words == ">":
            opened.pop()
            if not opened:
                raise ValueError("a block ends that did not begin")
        elif words and not words.startswith("|"):
            key, *values = _words(words)
            opened[-1].lines.setdefault(key, values)
    if len(opened) > 1 or not root.blocks or root.blocks[0].head[:1] != ["REAPER_PROJECT"]:
        raise ValueError("it is no whole REAPER project")
    return root.blocks[0]


def _words(line: str) -> list[str]:
    """Return the words of a line; one in quotes of any of three kinds may hold spaces."""
    words, rest = [], line.strip()
    while rest:
        if rest[0] in "\"'`":
            word, _, rest = rest[1:].partition(rest[0])
        else:
            word, _, rest = rest.partition(" ")
        words.append(word)
        rest = rest.lstrip()
    return words


# OpenTimelineIO


def _otio_clips(text: str) -> Iterator[_Placed]:
    timeline = json.loads(text)
    if not str(timeline["OTIO_SCHEMA"]).startswith("Timeline."):
        raise ValueError("it is no timeline")
    for track in timeline["tracks"]["children"]:
        if track.get("enabled", True) and track.get("kind") == "Audio":
            yield from _otio_track(track)


def _otio_track(track: Mapping[str, Any]) -> Iterator[_Placed]:
    position_s = 0.0
    for child in track["children"]:
        schema = str(child["OTIO_SCHEMA"])
        if schema.startswith("Transition."):  # it has no length of its own
            continue
        if not schema.startswith(("Clip.", "Gap.")):
            raise ValueError(f"a {schema} in a track is not supported: flatten it")
        media = _media(child) if schema.startswith("Clip.") else {}
        span = child.get("source_range") or media["available_range"]
        start_s, length_s = _seconds(span["start_time"]), _seconds(span["duration"])
        if media.get("target_url") and child.get("enabled", True):
            yield _Placed(
                _file(media["target_url"]), _otio_clip(child, start_s, length_s, position_s)
            )
        position_s += length_s


def _otio_clip(
    child: Mapping[str, Any], start_s: float, length_s: float, position_s: float
) -> Clip:
    rates = [
        float(effect["time_scalar"])
        for effect in child.get("effects") or ()
        if str(effect.get("OTIO_SCHEMA")).startswith("LinearTimeWarp.")
    ]
    rate = math.prod(rates)
    notes = (child.get("metadata") or {}).get(METADATA) or {}
    time_rate = float((child.get("source_range") or {}).get("start_time", {}).get("rate", 1.0))
    clip = Clip(
        start_s,
        start_s + length_s * rate,
        position_s,
        gain_db=min(max(float(notes.get("gain_db", 0.0)), LEVELS_DB[0]), LEVELS_DB[1]),
        rate=rate,
    )
    fades = [
        (
            float(notes.get(f"{name}_samples", 0)) / time_rate,
            str(notes.get(f"{name}_curve", "linear")),
        )
        for name in ("fade_in", "fade_out")
    ]
    return _faded(clip, fades[0], fades[1])


def _media(child: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reference to the file that a clip plays, of the newer and the older schema."""
    key = child.get("active_media_reference_key", "DEFAULT_MEDIA")
    media = (child.get("media_references") or {}).get(key) or child.get("media_reference") or {}
    if not isinstance(media, Mapping):
        raise TypeError("a media reference is no object")
    return media


def _file(url: str) -> str:
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else unquote(url)


def _seconds(time: Mapping[str, Any]) -> float:
    (value, rate) = _numbers([time["value"], time["rate"]])
    if rate <= 0.0:
        raise ValueError("a time has a rate that is not above 0")
    return value / rate


# Both


def _numbers(values: list[Any]) -> list[float]:
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return numbers


def _level_db(gain: float) -> float:
    if gain <= 0.0:
        return LEVELS_DB[0]
    return min(max(float(gain_to_db(gain)), LEVELS_DB[0]), LEVELS_DB[1])


def _faded(clip: Clip, fade_in: tuple[float, str], fade_out: tuple[float, str]) -> Clip:
    """Return a clip with fades no longer than itself; refuses what no edit list holds."""
    if not RATES[0] <= clip.rate <= RATES[1]:
        raise ValueError(
            f"a clip plays at {clip.rate:g} times its speed, but 0.25 to 4 is possible"
        )
    if not math.isfinite(clip.source_end_s) or clip.source_end_s - clip.source_start_s < SHORTEST_S:
        raise ValueError("a clip is shorter than a millisecond")
    length_s = (clip.source_end_s - clip.source_start_s) / clip.rate
    in_s, out_s = (min(max(s, 0.0), length_s) for s, _ in (fade_in, fade_out))
    known = set(FADE_SHAPES)
    return replace(
        clip,
        fade_in_s=in_s,
        fade_in_curve=fade_in[1] if fade_in[1] in known else "linear",
        fade_out_s=out_s,
        fade_out_curve=fade_out[1] if fade_out[1] in known else "linear",
    )
