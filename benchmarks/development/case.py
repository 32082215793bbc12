"""What a case of the benchmark is: which tracks, what goes wrong, how it is recorded.

Positions of incidents are shares of the piece. A track is named by the end of its file name,
after the two underscores that stand behind its collection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.development.recording import Recording

KINDS = ("clean", "easy", "session", "hard")

Incident = tuple[str, float, str]
"""Name of `incidents.INCIDENTS`, where in the piece, scenes of the pause after it."""


@dataclass(frozen=True)
class Case:
    """One recording.

    Attributes:
        name: of its files.
        kind: of `KINDS`.
        tracks: what is played; all of them are wanted.
        passages_s: which part of each track, or None for all of it.
        before, between, after: scenes around the pieces.
        incidents: what goes wrong in the first piece, in order.
        later_incidents: in the second piece.
        spread: how unlike the takes are, see `performance.draw_take`.
        faintness_db: how far below the piece talk and other scenes are, about.
        silence_s: around a clean track, part of it.
        fades_s: in and out, of a clean track.
        recording: how it was recorded.
    """

    name: str
    kind: str
    tracks: tuple[str, ...]
    passages_s: tuple[tuple[float, float] | None, ...] = (None, None)
    before: str = ""
    between: str = ""
    after: str = ""
    incidents: tuple[Incident, ...] = ()
    later_incidents: tuple[Incident, ...] = ()
    spread: str = "human"
    faintness_db: float = 8.0
    silence_s: tuple[float, float] = (0.0, 0.0)
    fades_s: tuple[float, float] = (0.0, 0.0)
    recording: Recording = field(default_factory=Recording)

    def tags(self) -> list[str]:
        """Return the flaws that it contains, sorted."""
        found = set(f"{self.before} {self.between} {self.after}".split()) | self.recording.tags()
        for name, _, gap in self.incidents + self.later_incidents:
            found |= {name, *gap.split()}
        retakes = {name for name, _, _ in self.incidents + self.later_incidents} - {"riff"}
        if retakes and self.spread != "same":
            found.add("varied_retake")
        if len(self.tracks) > 1:
            found.add("two_pieces")
        return sorted(found)


PHONE = Recording(".mp3", 44100, 1, rt60_s=0.5, peak_db=-1.0, tone_db=-40, is_phone=True)
FAR_PHONE = Recording(".mp3", 44100, 1, rt60_s=0.9, peak_db=-4.0, tone_db=-34, is_phone=True)
ROOM = Recording(".flac", 44100, 2, rt60_s=0.6, peak_db=-6.0, tone_db=-46)
HALL = Recording(".wav", 48000, 2, rt60_s=1.2, peak_db=-9.0, tone_db=-44)
BUZZ = Recording(".wav", 44100, 2, rt60_s=0.4, peak_db=-8.0, hum_db=-30)
