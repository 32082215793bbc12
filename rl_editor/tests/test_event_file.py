"""TensorBoard reads what was written, without what came after a checkpoint."""

import pytest

from rl_editor.event_file import EventFile

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder, tag):
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_what_is_written_reads_back_and_a_later_file_replaces_its_epochs(tmp_path):
    first = EventFile(tmp_path / "ppo", None)
    for step in range(1, 6):
        first.write(step, {"ppo/entropy": step / 4, "ppo/reward/total": 2.0})
    first.close()
    assert read(tmp_path / "ppo", "ppo/entropy") == [(s, s / 4) for s in range(1, 6)]
    second = EventFile(tmp_path / "ppo", 3)
    second.write(3, {"ppo/entropy": 8.0})
    second.close()
    assert read(tmp_path / "ppo", "ppo/entropy") == [(1, 0.25), (2, 0.5), (3, 8.0)]
    assert len(read(tmp_path / "ppo", "ppo/reward/total")) == 2
