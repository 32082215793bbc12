"""A folder for every other workstation: each lane as a WAV from zero on, and lists of clips.

The lanes of what is kept have their gains and fades in them, so their sum is the track. With them
go `tracks.lof`, which Audacity opens as one project, `labels.txt` (Audacity's label track) and
`clips.csv`.

In: an edit list and its recording. Out: files in a folder.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from rl_editor.audio import AudioReader, AudioWriter
from rl_editor.clip_mix import mixed_blocks
from rl_editor.edl import Clip, EditDecisionList
from rl_editor.exporters.session import Event, Lane, Session, session_of
from rl_editor.sample_readers import CentredReader
from rl_editor.units import samples_to_seconds

SUFFIX = "_tracks"
LIST_NAME, LABELS_NAME, TABLE_NAME = "tracks.lof", "labels.txt", "clips.csv"
COLUMNS = (
    "lane", "name", "position_s", "length_s", "recording_start_s", "recording_end_s", "gain_db",
    "fade_in_s", "fade_out_s", "speed", "semitones", "backwards", "reason",
)  # fmt: skip


def write_bundle(edl: EditDecisionList, recording: Path, name: str, folder: Path) -> None:
    """Write the files of a bundle into an empty folder.

    Args:
        edl: the edit.
        recording: its source.
        name: of the project.
        folder: exists and is empty.
    """
    session = session_of(edl, name, recording, {})
    with AudioReader(recording) as reader:
        source = CentredReader(reader, edl.finish.dc_offset) if edl.finish.dc_offset else reader
        for lane in session.lanes:
            clips = tuple(_clip_of(event, session) for event in lane.events)
            ends = [event.end for event in lane.events]
            length = max([session.n_samples, *ends]) if lane.is_muted else session.n_samples
            alone = replace(
                edl, clips=clips, duration_s=samples_to_seconds(length, session.sample_rate)
            )
            path = folder / lane_file(lane)
            with AudioWriter(path, session.sample_rate, session.channels, "FLOAT") as writer:
                for block in mixed_blocks(alone, source):
                    writer.write(block.astype(np.float32))
    (folder / LIST_NAME).write_text(
        "".join(f'file "{lane_file(lane)}" offset 0\n' for lane in session.lanes), encoding="utf-8"
    )
    (folder / LABELS_NAME).write_text(labels(session), encoding="utf-8")
    (folder / TABLE_NAME).write_text(table(session), encoding="utf-8", newline="")


def lane_file(lane: Lane) -> str:
    """Return the name of a lane's file."""
    return f"{lane.name.replace(' ', '_')}.wav"


def labels(session: Session) -> str:
    """Return Audacity's labels: start, end and name of each clip that is heard, in s."""
    return "".join(
        f"{session.seconds(event.position):.6f}\t{session.seconds(event.end):.6f}\t{event.name}\n"
        for event in session.kept
    )


def table(session: Session) -> str:
    """Return all clips as comma-separated values, with a heading."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for lane in session.lanes:
        for event in lane.events:
            clip = _clip_of(event, session)
            rows.writerow(
                [
                    lane.name,
                    event.name,
                    f"{session.seconds(event.position):.9f}",
                    f"{session.seconds(event.n_samples):.9f}",
                    f"{clip.source_start_s:.9f}",
                    f"{clip.source_end_s:.9f}",
                    f"{event.gain_db:g}",
                    f"{session.seconds(event.fade_in):.9f}",
                    f"{session.seconds(event.fade_out):.9f}",
                    f"{clip.rate:g}",
                    f"{clip.semitones:g}",
                    int(clip.reverse),
                    event.reason,
                ]
            )
    return text.getvalue()


def _clip_of(event: Event, session: Session) -> Clip:
    """Return an event as a clip of the edit list; what was cut as it is in the recording."""
    if event.clip is not None:
        return event.clip
    start, stop = event.file_start, event.file_start + event.n_samples
    return Clip(session.seconds(start), session.seconds(stop), session.seconds(event.position))
