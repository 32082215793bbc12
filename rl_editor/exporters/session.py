"""What every project file shows of an edit: lanes of clips, markers, a tempo.

The kept clips stand on two lanes in turn, so that no two of a lane overlap and every workstation
plays their sum, crossfades included. What was cut is on a muted lane below: nothing is lost. A
clip that is stretched, equalised or otherwise processed is a file of its own, since no two
workstations process alike; gain and fades stay with the clip, to be changed.

In: an edit list, and its recording. Out: a `Session`, all of whose times are whole samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_editor.chapters import chapters_of
from rl_editor.edl import Clip, Decision, EditDecisionList, timeline_length
from rl_editor.effects import is_transformed
from rl_editor.materials import Material
from rl_editor.reasons import WORDS
from rl_editor.units import format_time, samples_to_seconds, seconds_to_samples
from rl_editor.wishes import Span, merged_spans, without_spans

KEPT_NAMES = ("Edit A", "Edit B")
CUT_NAME = "Cut"
LEAST_S = 0.02
"""Shorter bits of the recording that are not heard are not worth a clip."""


@dataclass(frozen=True)
class Event:
    """A clip on a lane, in samples.

    Attributes:
        name: what it is, and where in the recording.
        path: audio file that it plays.
        file_start: first sample of the file that it plays.
        position: where that lands on the timeline.
        n_samples: its length.
        gain_db: change of level.
        fade_in, fade_out: lengths, 0 for none.
        fade_in_curve, fade_out_curve: as in the edit list.
        clip: the clip of the edit list; None of what was cut.
        reason: why it stayed or went.
    """

    name: str
    path: Path
    file_start: int
    position: int
    n_samples: int
    gain_db: float = 0.0
    fade_in: int = 0
    fade_out: int = 0
    fade_in_curve: str = "linear"
    fade_out_curve: str = "linear"
    clip: Clip | None = None
    reason: str = ""

    @property
    def end(self) -> int:
        """The sample of the timeline after its last."""
        return self.position + self.n_samples


@dataclass(frozen=True)
class Lane:
    """Events that do not overlap, in the order of time."""

    name: str
    events: tuple[Event, ...]
    is_muted: bool = False


@dataclass(frozen=True)
class Marker:
    """A named sample of the timeline."""

    name: str
    position: int


@dataclass(frozen=True)
class Session:
    """An edit as a project.

    Attributes:
        name: of the project.
        sample_rate: Hz.
        channels: of the recording.
        n_samples: of the edited track.
        file_samples: length of each file that events play.
        tempo_bpm, meter: most common ones.
        lanes: two of what is kept, and a muted one of what was cut.
        markers: one for each section of the track.
    """

    name: str
    sample_rate: int
    channels: int
    n_samples: int
    file_samples: dict[Path, int]
    tempo_bpm: float
    meter: int
    lanes: tuple[Lane, ...]
    markers: tuple[Marker, ...]

    @property
    def kept(self) -> tuple[Event, ...]:
        """All events that are heard, in the order of time."""
        heard = [event for lane in self.lanes if not lane.is_muted for event in lane.events]
        return tuple(sorted(heard, key=lambda event: event.position))

    def seconds(self, n_samples: int) -> float:
        """Return a number of samples in s."""
        return samples_to_seconds(n_samples, self.sample_rate)


def printable(text: str) -> str:
    """Return a text with a space for what cannot be seen: line ends and control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def place_of(path: Path, folder: Path) -> Path:
    """Return how a project in a folder names a file: by its way from there, or as a whole."""
    whole, base = path.resolve(), folder.resolve()
    return whole.relative_to(base) if whole.is_relative_to(base) else whole


def needs_file(clip: Clip) -> bool:
    """Return whether a clip is a file of its own, as it is processed."""
    return clip.reverse or is_transformed(clip)


def session_of(
    edl: EditDecisionList, name: str, recording: Path, files: dict[int, Path]
) -> Session:
    """Return an edit as a project.

    Args:
        edl: the edit.
        name: of the project.
        recording: the file that workstations read, sample for sample the edit's source.
        files: of the processed clips (`needs_file`), by their place in the list.
    """
    sr = edl.source.sample_rate
    events = [
        _kept_event(clip, sr, files.get(i, recording), is_own_file=i in files)
        for i, clip in enumerate(edl.clips)
    ]
    source_samples = seconds_to_samples(edl.source.duration_s, sr)
    lengths = {recording: source_samples}
    lengths |= {files[i]: events[i].n_samples for i in files}
    return Session(
        name=printable(name),
        sample_rate=sr,
        channels=edl.source.channels,
        n_samples=timeline_length(edl.clips, sr),
        file_samples=lengths,
        tempo_bpm=edl.grid.tempo_bpm,
        meter=edl.grid.meter,
        lanes=(*_in_turn(events), Lane(CUT_NAME, _cut_events(edl, recording), is_muted=True)),
        markers=tuple(
            Marker(chapter.title, seconds_to_samples(chapter.start_s, sr))
            for chapter in chapters_of(edl)
        ),
    )


def _kept_event(clip: Clip, sr: int, path: Path, *, is_own_file: bool) -> Event:
    start, end = clip.timeline_samples(sr)
    span = f"{format_time(clip.source_start_s)}-{format_time(clip.source_end_s)}"
    return Event(
        name=f"{span}{_processing_words(clip)}",
        path=path,
        file_start=0 if is_own_file else clip.source_samples(sr)[0],
        position=start,
        n_samples=end - start,
        gain_db=clip.gain_db,
        fade_in=seconds_to_samples(clip.fade_in_s, sr),
        fade_out=seconds_to_samples(clip.fade_out_s, sr),
        fade_in_curve=clip.fade_in_curve,
        fade_out_curve=clip.fade_out_curve,
        clip=clip,
    )


def _processing_words(clip: Clip) -> str:
    words = [
        (clip.reverse, "backwards"),
        (clip.rate != 1.0, f"speed {clip.rate:.3g}"),
        (clip.semitones != 0.0, f"{clip.semitones:+.3g} semitones"),
        (clip.eq_low_db != 0.0, f"lows {clip.eq_low_db:+.3g} dB"),
        (clip.eq_high_db != 0.0, f"highs {clip.eq_high_db:+.3g} dB"),
        (clip.distortion > 0.0, "distorted"),
        (clip.reverb > 0.0, "reverb"),
    ]
    said = ", ".join(word for holds, word in words if holds)
    return f" ({said})" if said else ""


def _in_turn(events: Sequence[Event]) -> tuple[Lane, ...]:
    """Return the events on lanes, each on the first one that is free and not that of the last."""
    lanes: list[list[Event]] = [[], []]
    last = 1
    for event in events:
        free = [i for i, lane in enumerate(lanes) if not lane or lane[-1].end <= event.position]
        others = [i for i in free if i != last] or free
        if not others:
            lanes.append([])
            others = [len(lanes) - 1]
        last = others[0]
        lanes[last].append(event)
    names = [*KEPT_NAMES, *(f"Edit {chr(67 + i)}" for i in range(len(lanes) - 2))]
    return tuple(Lane(name, tuple(lane)) for name, lane in zip(names, lanes, strict=True))


def _cut_events(edl: EditDecisionList, recording: Path) -> tuple[Event, ...]:
    """Return what of the recording is not heard, where it was, one after the other."""
    sr, end = edl.source.sample_rate, 0
    events: list[Event] = []
    for span, decision in _cut_spans(edl):
        start, stop = (seconds_to_samples(time_s, sr) for time_s in span)
        end = max(end, _removed_at(edl.clips, span[0], sr))
        word = _cut_word(decision)
        times = f"{format_time(span[0])}-{format_time(span[1])}"
        reason = "" if decision is None else printable(decision.reason)
        events.append(Event(f"{word} {times}", recording, start, end, stop - start, reason=reason))
        end += stop - start
    return tuple(events)


def _cut_word(decision: Decision | None) -> str:
    if decision is None or decision.material is None:
        return "cut:"
    return f"cut: {WORDS[Material[decision.material]]}"


def _cut_spans(edl: EditDecisionList) -> list[tuple[Span, Decision | None]]:
    """Return what is not heard, parted where another decision begins to hold."""
    played = merged_spans((clip.source_start_s, clip.source_end_s) for clip in edl.clips)
    decisions = sorted(edl.decisions, key=lambda decision: decision.time_s)
    found: list[tuple[Span, Decision | None]] = []
    for start_s, end_s in without_spans((0.0, edl.source.duration_s), played):
        inside = [d for d in decisions if start_s < d.time_s < end_s and d.type in ("CUT", "SKIP")]
        before = [d for d in decisions if d.time_s <= start_s]
        holding: list[tuple[float, Decision | None]] = [(start_s, before[-1] if before else None)]
        for decision in inside:
            last = holding[-1][1]
            if last is None or (decision.material, decision.reason) != (last.material, last.reason):
                holding.append((decision.time_s, decision))
        times_s = [*(time_s for time_s, _ in holding), end_s]
        found += [
            ((first_s, last_s), decision)
            for first_s, last_s, (_, decision) in zip(times_s, times_s[1:], holding, strict=False)
            if last_s - first_s >= LEAST_S
        ]
    return found


def _removed_at(clips: Sequence[Clip], time_s: float, sr: int) -> int:
    """Return the sample of the timeline at which a time of the recording was taken out."""
    ends = [clip.timeline_samples(sr)[1] for clip in clips if clip.source_end_s <= time_s + 1e-6]
    return max(ends, default=0)
