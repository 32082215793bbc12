"""TensorBoard's event files, written without a thread: a full disk is told where it is met.

Format: records (length, checksum, bytes) of `Event` messages, as TensorBoard's own writer makes
them. One message holds all numbers of an epoch.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


class EventFile:
    """The events of one stage of a run in this process."""

    def __init__(self, folder: Path, first_step: int | None) -> None:
        """Begin a file.

        Args:
            folder: of the stage; made where it is missing.
            first_step: where a run goes on, its next epoch: TensorBoard forgets what earlier files
                of the folder have from there on.

        Raises:
            ImportError: TensorBoard is not installed.
            OSError: nothing can be written there.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if first_step is not None:
            self._write(step=first_step, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write the numbers of an epoch by their names.

        Raises:
            OSError: they cannot be written.
        """
        scalars = [self._summary.Value(tag=n, simple_value=v) for n, v in values.items()]
        self._write(step=step, summary=self._summary(value=scalars))

    def close(self) -> None:
        """Close the file; what a full disk did not take was told by `write`."""
        with suppress(OSError):
            self._file.close()

    def _write(self, **content: object) -> None:
        event = self._event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())
        self._file.flush()
