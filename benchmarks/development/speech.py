"""What musicians say between takes, by the program espeak-ng.

A speaker is a function (text, sr, rng) -> mono signal; `people` returns a few with voices of
their own. Tests pass `sounds.mumble` instead, which needs no program.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import soundfile
import soxr

from benchmarks.development.sounds import Signal, levelled, placed
from rl_editor.errors import UserError

PROGRAM = "espeak-ng"

Speaker = Callable[[str, int, np.random.Generator], Signal]

_VOICES = (
    *("en-us+m3", "en-gb+m7", "en-us+f2", "en-gb+f4", "en-gb-scotland+m1", "en-us+Alex"),
    *("en-gb-x-rp+f3", "en-us+Andy", "en-gb+Mike", "en-us+linda", "en-gb-x-gbcwmd+m5", "en-us+max"),
)

LINES = {
    "before": (
        "Okay, are we rolling? I think it is recording now.",
        "Hang on, let me just move this stand a bit.",
        "Can I get a little more of me in the headphones?",
        "Right, so we go straight into the verse, no intro, and then the long bridge.",
        "What was the tempo again? About like this, right?",
        "Somebody close the window please, there is a truck outside.",
        "Ready when you are.",
        "Is that my amp that is buzzing or yours?",
        "So this one is the new one, I only finished the words last night.",
    ),
    "stopped": (
        "Sorry, sorry, that was me.",
        "Ah, no. I came in a bar early.",
        "Wait, stop. What chord was that supposed to be?",
        "My fault, I lost the place completely.",
        "No no no, hold on, that was way off.",
        "Shit, I dropped my pick.",
        "Okay that fell apart.",
        "I forgot the words again.",
        "It goes up there, not down. Let me hear the bass alone.",
    ),
    "again": (
        "One more time.",
        "Okay, from the top.",
        "Let's take it from two bars before that.",
        "Again, and don't rush the fill this time.",
        "Same place, ready?",
        "Let's do that bit once more.",
        "Once more, nice and relaxed.",
    ),
    "between": (
        "That was a good one I think. What do you want to do next?",
        "Could we try the other one, the slow one?",
        "I need to retune for this, give me a second.",
        "Did you watch the game yesterday? Unbelievable.",
        "We should send this to Maria, she wanted to sing on it.",
        "How much time do we have left in here?",
        "Let me get some water first.",
        "My battery is nearly dead, so this is probably the last one.",
    ),
    "after": (
        "Yeah. That was the one.",
        "Nice. Shall we listen to it?",
        "I think we have got it. Stop the recording.",
        "That felt really good.",
        "Okay, turn it off.",
        "The ending was much better that time.",
    ),
    "chords": (
        "So here we stay on this chord until I nod, okay?",
        "And then I would go down instead of up, listen.",
        "Keep holding that. Yes. Now the voices come in over it.",
        "Is it me or are we too fast?",
    ),
    "tune": (
        "You are flat. Check your tuning.",
        "Something is really out of tune here.",
        "Give me an E.",
    ),
    "level": (
        "I think I kicked the microphone.",
        "The level just went down, look at the meter.",
        "The cable came loose, hang on.",
    ),
}
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


def people(rng: np.random.Generator, number: int) -> list[Speaker]:
    """Return the speakers of a session; raises `UserError` without the program."""
    if shutil.which(PROGRAM) is None:
        raise UserError(
            f"the talk of the sessions needs the program {PROGRAM}, but it was not found; install "
            f"it (Debian and Ubuntu: apt install {PROGRAM}) and start again."
        )
    voices = rng.choice(len(_VOICES), size=number, replace=False)
    return [_speaker(_VOICES[v], int(rng.integers(30, 70))) for v in voices]


def _speaker(name: str, pitch: int) -> Speaker:
    def speak(text: str, sr: int, rng: np.random.Generator) -> Signal:
        words_a_minute = int(rng.integers(145, 195))
        signal, own_sr = _espeak(name, pitch, words_a_minute, text)
        return levelled(soxr.resample(signal, own_sr, sr), sr)

    return speak


@lru_cache(maxsize=512)
def _espeak(name: str, pitch: int, words_a_minute: int, text: str) -> tuple[Signal, int]:
    command = [PROGRAM, "-v", name, "-p", str(pitch), "-s", str(words_a_minute), "--stdout", text]
    made = subprocess.run(command, capture_output=True)
    if made.returncode or not made.stdout:
        raise UserError(
            f"{PROGRAM} could not speak with the voice {name} ({made.stderr.decode().strip()}); "
            "install a version of 1.50 or later."
        )
    signal, own_sr = soundfile.read(io.BytesIO(made.stdout), dtype="float32")
    heard = np.flatnonzero(np.abs(signal) > 0.01)
    return signal[heard[0] : heard[-1] + 1], own_sr


def conversation(
    speakers: list[Speaker], lines: list[str], sr: int, rng: np.random.Generator
) -> Signal:
    """Return lines said by different people, sometimes one over the other."""
    parts, at_s, last = [], 0.0, -1
    for line in lines:
        who = int(rng.integers(len(speakers)))
        if who == last and rng.random() < 0.7:
            who = (who + 1) % len(speakers)
        last = who
        said = speakers[who](line, sr, rng) * 10 ** (rng.uniform(-5, 2) / 20)
        parts.append((max(0.0, at_s), said))
        at_s += len(said) / sr + rng.uniform(-0.4, 1.3)
    return placed(parts, sr)


def draw_lines(topic: str, number: int, rng: np.random.Generator) -> list[str]:
    """Return different lines about a topic of `LINES`."""
    lines = LINES[topic]
    return [lines[k] for k in rng.choice(len(lines), size=min(number, len(lines)), replace=False)]


def counted(speaker: Speaker, numbers: int, beat_s: float, sr: int, rng: np.random.Generator):
    """Return [S] a voice that counts, each number on its beat, and the beats it lasts."""
    words = [NUMBERS[k % 4] for k in range(numbers)]
    limit = round(1.15 * beat_s * sr)
    parts = [(k * beat_s, speaker(word, sr, rng)[:limit]) for k, word in enumerate(words)]
    return placed(parts, sr)
