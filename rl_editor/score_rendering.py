"""Sound for takes of a score, from a soundfont with TinySoundFont (`tinysoundfont`, MIT).

In: `Take`. Out: stereo audio. The same take gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_editor.errors import UserError
from rl_editor.score_takes import N_CHANNELS, Take
from rl_editor.scores import BEND, DRUMS, PROGRAM, VOLUME
from rl_editor.units import seconds_to_samples

Audio = NDArray[np.float32]
Renderer = Callable[[Take, int, int], Audio]
"""From a take, a sample rate and a length in samples to [n, 2] float32."""

SOUNDFONT_VARIABLE = "RL_EDITOR_SOUNDFONT"
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
    "~/.local/share/soundfonts",
    "~/Library/Audio/Sounds/Banks",
    "C:/soundfonts",
)
_FAVOURITES = ("FluidR3_GM.sf2", "default-GM.sf2", "default.sf2", "GeneralUser GS.sf2")
_FINEST_SR = 44100
"""Soundfonts are recorded at this rate; below it the synthesizer would fold highs down, so it
plays at a multiple of the wanted rate."""
_ALL_SOUND_OFF, _RESET_CONTROLLERS = 120, 121
_DEFAULT_VOLUME = 100
_FLUSH = 8192
_MAX_VOICES = 192
_NOTE_OFF, _CONTROL, _NOTE_ON = 0, 1, 2


def find_soundfont(path: str | Path | None = None) -> Path:
    """Return a General MIDI soundfont: `path`, else $RL_EDITOR_SOUNDFONT, else the system's.

    Raises:
        UserError: there is none.
    """
    named = path or os.environ.get(SOUNDFONT_VARIABLE)
    if named:
        if Path(named).is_file():
            return Path(named)
        raise UserError(
            f"the soundfont should be the file {named}, but there is no such file; "
            f"correct {SOUNDFONT_VARIABLE}."
        )
    for folder in (Path(name).expanduser() for name in _FOLDERS):
        found = sorted(folder.glob("*.sf2")) if folder.is_dir() else []
        for favourite in _FAVOURITES:
            if folder / favourite in found:
                return folder / favourite
        if found:
            return found[0]
    raise UserError(
        "MIDI scores are played with a General MIDI soundfont, but none was found; install one "
        f"(Debian: fluid-soundfont-gm) or name a .sf2 file in {SOUNDFONT_VARIABLE}."
    )


def soundfont_renderer(path: str | Path | None = None) -> Renderer:
    """Return the renderer that plays takes with a soundfont, see `find_soundfont`.

    Raises:
        UserError: `tinysoundfont` is missing, or the soundfont is missing or damaged.
    """
    soundfont = str(find_soundfont(path))

    def render(take: Take, sr: int, n: int) -> Audio:
        factor = -(-_FINEST_SR // sr)
        audio = _synthesizer(soundfont, sr * factor).render(take, n * factor)
        if factor == 1:
            return audio
        import soxr

        return soxr.resample(audio, sr * factor, sr, quality="MQ")[:n]

    _synthesizer(soundfont, _FINEST_SR)
    return render


@lru_cache(maxsize=2)
def _synthesizer(soundfont: str, sr: int) -> _Synthesizer:
    return _Synthesizer(soundfont, sr)


class _Synthesizer:
    """A loaded soundfont; forgets everything between renderings."""

    def __init__(self, soundfont: str, sr: int) -> None:
        try:
            import tinysoundfont
        except ImportError as error:
            raise UserError(
                "MIDI scores are played with the package tinysoundfont, which is not installed; "
                "install it with `pip install --no-deps tinysoundfont`."
            ) from error
        self.sr, self.soundfont = sr, soundfont
        self.synth = tinysoundfont.Synth(samplerate=sr)
        try:
            self.font = self.synth.sfload(soundfont, max_voices=_MAX_VOICES)
        except (RuntimeError, tinysoundfont.SoundFontException) as error:
            raise UserError(
                f"{soundfont} should be a soundfont, but cannot be read ({error})."
            ) from error

    def render(self, take: Take, n: int) -> Audio:
        """Return [n, 2] of a take."""
        self._reset(take)
        out = np.zeros((n, 2), dtype=np.float32)
        memory = out.data.cast("B")
        at = 0
        for sample, order, event in _timeline(take, self.sr):
            stop = min(sample, n)
            if stop > at:
                self.synth.generate_simple(stop - at, memory[8 * at : 8 * stop])
                at = stop
            if sample >= n:
                break
            self._send(order, event, take)
        if n > at:
            self.synth.generate_simple(n - at, memory[8 * at :])
        return out

    def _reset(self, take: Take) -> None:
        for channel in range(N_CHANNELS):
            self.synth.control_change(channel, _ALL_SOUND_OFF, 0)
        self.synth.generate_simple(_FLUSH)
        for channel in range(N_CHANNELS):
            self.synth.control_change(channel, _RESET_CONTROLLERS, 0)
            self.synth.pitchbend(channel, 8192)
            self.synth.set_tuning(channel, float(take.tuning[channel]))
            self._program(channel, 0)
            self._volume(channel, _DEFAULT_VOLUME, take)

    def _send(self, order: int, event: Any, take: Take) -> None:
        channel = int(event["channel"])
        if order == _NOTE_ON:
            self.synth.noteon(channel, int(event["key"]), int(event["velocity"]))
        elif order == _NOTE_OFF:
            self.synth.noteoff(channel, int(event["key"]))
        elif event["kind"] == PROGRAM:
            self._program(channel, int(event["value"]))
        elif event["kind"] == BEND:
            self.synth.pitchbend(channel, min(int(event["value"]), 16383))
        elif event["kind"] == VOLUME:
            self._volume(channel, int(event["value"]), take)
        else:
            self.synth.control_change(channel, int(event["kind"]), int(event["value"]))

    def _program(self, channel: int, program: int) -> None:
        try:
            self.synth.program_change(channel, program, channel == DRUMS)
        except RuntimeError as error:
            kind = "drum kit" if channel == DRUMS else "instrument"
            raise UserError(
                f"{self.soundfont} should hold all of General MIDI, but has no {kind} {program}; "
                f"name a complete soundfont in {SOUNDFONT_VARIABLE}."
            ) from error

    def _volume(self, channel: int, value: int, take: Take) -> None:
        # The synthesizer takes the cube of the controller as the gain.
        scaled = value * 10.0 ** (take.level_db[channel] / 60.0)
        self.synth.control_change(channel, VOLUME, int(np.clip(round(scaled), 0, 127)))


def _timeline(take: Take, sr: int) -> list[tuple[int, int, Any]]:
    """Return (sample, order, event) in the order in which they are sent."""
    events = [(seconds_to_samples(float(n["start_s"]), sr), _NOTE_ON, n) for n in take.notes]
    events += [(seconds_to_samples(float(n["end_s"]), sr), _NOTE_OFF, n) for n in take.notes]
    events += [(seconds_to_samples(float(c["time_s"]), sr), _CONTROL, c) for c in take.controls]
    return sorted(events, key=lambda event: event[:2])
