"""Exporting an edit: which files there are, and that none of the user's is lost.

In: an edit list and its recording. Out: a project file, or a folder, that did not exist before, and
beside it the audio that the workstation needs and cannot take from the recording.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rl_editor.atomic import atomic_path
from rl_editor.audio import AudioReader, AudioWriter
from rl_editor.clip_mix import BLOCK_SAMPLES, mixed_blocks
from rl_editor.edl import Clip, EditDecisionList, timeline_length
from rl_editor.errors import UserError
from rl_editor.exporters import ardour, bundle, dawproject, otio, reaper
from rl_editor.exporters.session import Session, needs_file, session_of
from rl_editor.pairs import EDL_SUFFIX
from rl_editor.render import check_fit
from rl_editor.sample_readers import CentredReader, SampleReader
from rl_editor.units import samples_to_seconds, seconds_to_samples

EXACT_SUFFIXES = (".wav", ".aif", ".aiff", ".flac")
"""Recordings that every workstation reads sample for sample; others are decoded for it."""
AUDIO_SUFFIX = "_audio"


@dataclass(frozen=True)
class Format:
    """A kind of project.

    Attributes:
        suffix: of the file's, or the folder's, name.
        content: of the project file, for the folder in which it lies.
        fill: writes an edit of a recording, under a name, into a folder of its own.
    """

    suffix: str
    content: Callable[[Session, Path], bytes] | None = None
    fill: Callable[[EditDecisionList, Path, str, Path], None] | None = None


def _fill_ardour(edl: EditDecisionList, recording: Path, name: str, folder: Path) -> None:
    """Write a session and all audio that it plays into an empty folder."""
    place = ardour.audio_folder(folder, name)
    place.mkdir(parents=True)
    audio = _decoded(edl, recording, place)
    session = session_of(edl, name, audio.recording, audio.clips)
    (folder / f"{name}{ardour.SUFFIX}").write_bytes(ardour.ardour_session(session, folder))


FORMATS = {
    "reaper": Format(reaper.SUFFIX, content=reaper.reaper_project),
    "otio": Format(otio.SUFFIX, content=otio.otio_timeline),
    "dawproject": Format(dawproject.SUFFIX, content=dawproject.dawproject),
    "ardour": Format(ardour.FOLDER_SUFFIX, fill=_fill_ardour),
    "bundle": Format(bundle.SUFFIX, fill=bundle.write_bundle),
}


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats of a text such as "reaper,otio", each once.

    Raises:
        UserError: one is not known.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f"a project can be exported to {', '.join(FORMATS)}, but not to {name!r}; "
                "name one or several of them, with commas between."
            )
    return names


def export(
    edl: EditDecisionList,
    recording: str | Path,
    formats: Sequence[str],
    beside: str | Path,
) -> tuple[Path, ...]:
    """Write the project files of an edit, and return their places in the order of the formats.

    Args:
        edl: the edit.
        recording: its source.
        formats: names of `FORMATS`.
        beside: file of the edit; projects are named after it and lie beside it. What exists
            already stays, and the new one gets a number.

    Raises:
        UserError: the recording is not that of the list, or nothing can be written there.
    """
    recording, base = Path(recording), _base(Path(beside))
    with AudioReader(recording) as reader:
        info = reader.info
    check_fit(edl, info)
    # what was cut is of the recording as it is, not as the list remembers it
    edl = replace(edl, source=replace(edl.source, duration_s=info.duration_s))
    try:
        needs_audio = any(FORMATS[name].content for name in formats)
        audio = _audio_files(edl, recording, base) if needs_audio else _Audio(recording, {})
        return tuple(_exported(edl, recording, FORMATS[name], base, audio) for name in formats)
    except OSError as error:
        raise UserError(
            f"the project should go beside {beside}, but cannot be written there "
            f"({error.strerror}); choose another place with --output."
        ) from error


@dataclass(frozen=True)
class _Audio:
    """What the workstation reads: the recording, and files of processed clips by their place."""

    recording: Path
    clips: dict[int, Path]


def _exported(
    edl: EditDecisionList, recording: Path, kind: Format, base: Path, audio: _Audio
) -> Path:
    target = _unused(base, kind.suffix)
    if kind.content is not None:
        session = session_of(edl, base.name, audio.recording, audio.clips)
        with atomic_path(target) as temporary:
            temporary.write_bytes(kind.content(session, target.parent))
    elif kind.fill is not None:
        with _new_folder(target):
            kind.fill(edl, recording, base.name, target)
    return target


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make a folder that is gone again if what follows does not end well."""
    folder.mkdir()
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def _base(path: Path) -> Path:
    """Return a file's path without what its name ends in."""
    name = path.name
    stem = name[: -len(EDL_SUFFIX)] if name.endswith(EDL_SUFFIX) else path.stem
    return path.with_name(stem)


def _unused(base: Path, suffix: str) -> Path:
    number = 1
    while True:
        name = base.name if number == 1 else f"{base.name}-{number}"
        target = base.with_name(name + suffix)
        if not os.path.lexists(target):
            return target
        number += 1


def _audio_files(edl: EditDecisionList, recording: Path, base: Path) -> _Audio:
    """Write what a workstation cannot take from the recording, and return what it reads."""
    is_exact = recording.suffix.lower() in EXACT_SUFFIXES and not edl.finish.dc_offset
    if is_exact and not any(map(needs_file, edl.clips)):
        return _Audio(recording, {})
    folder = _unused(base, AUDIO_SUFFIX)
    with _new_folder(folder):
        return _decoded(edl, recording, folder, is_exact=is_exact)


def _decoded(
    edl: EditDecisionList, recording: Path, folder: Path, *, is_exact: bool = False
) -> _Audio:
    """Write the recording, unless a workstation reads it as it is, and all processed clips."""
    with AudioReader(recording) as opened:
        dc_offset = edl.finish.dc_offset
        reader = CentredReader(opened, dc_offset) if dc_offset else opened
        whole = recording if is_exact else folder / f"{recording.stem}.wav"
        if not is_exact:
            _write_whole(edl, reader, whole)
        files = {
            i: folder / f"clip{i + 1:03d}.wav"
            for i, clip in enumerate(edl.clips)
            if needs_file(clip)
        }
        for i, path in files.items():
            _write_clip(edl, edl.clips[i], reader, path)
    return _Audio(whole, files)


def _write_whole(edl: EditDecisionList, reader: SampleReader, path: Path) -> None:
    n_samples = seconds_to_samples(edl.source.duration_s, edl.source.sample_rate)
    with AudioWriter(path, edl.source.sample_rate, edl.source.channels, "FLOAT") as writer:
        for start in range(0, n_samples, BLOCK_SAMPLES):
            writer.write(reader.read(start, min(start + BLOCK_SAMPLES, n_samples)))


def _write_clip(edl: EditDecisionList, clip: Clip, reader: SampleReader, path: Path) -> None:
    """Write a processed clip without its gain and fades, which the workstation has."""
    sr = edl.source.sample_rate
    plain = replace(clip, timeline_start_s=0.0, gain_db=0.0, fade_in_s=0.0, fade_out_s=0.0)
    length_s = samples_to_seconds(timeline_length([plain], sr), sr)
    alone = replace(edl, clips=(plain,), duration_s=length_s)
    with AudioWriter(path, sr, edl.source.channels, "FLOAT") as writer:
        for block in mixed_blocks(alone, reader):
            writer.write(block.astype(np.float32))
