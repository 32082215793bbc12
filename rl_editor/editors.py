"""Editors by name, and what each makes of a recording.

An editor is one of the `BASELINES`, a checkpoint, or a command line of any program:

    keep-all
    models/best.pt
    other = other-program {input} -o {output}

A name and an equals sign may stand before it. A command gets the recording as {input}; it writes
the edited audio to {output}, which is then aligned with the recording, or an edit list to {edl}.

In: text, a recording. Out: `Edited`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from rl_editor import audio, baselines
from rl_editor.alignment import align_files
from rl_editor.alignment_clips import clips_of
from rl_editor.analysis import schema_name
from rl_editor.checkpoint import check_schema, load
from rl_editor.config import AnalysisConfig
from rl_editor.deciding import EditOptions, decide
from rl_editor.edl import Clip, back_to_back, read_edl
from rl_editor.errors import UserError
from rl_editor.fitted_plan import fit_plan
from rl_editor.infer import default_checkpoint
from rl_editor.track import Track
from rl_editor.truth import Truth

SHIPPED = "rl-editor"
"""Name of the checkpoint that ships with the package."""
_NAMED = re.compile(r"([\w.-]+)\s*=\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Recording:
    """What an editor may read; the truth is for those baselines that are told of it.

    Attributes:
        name: of the case; seeds what is random.
        path: of the audio.
        track: its analysis.
        truth: about it.
    """

    name: str
    path: Path
    track: Track
    truth: Truth


@dataclass(frozen=True)
class Edited:
    """What an editor made of a recording.

    Attributes:
        clips: the edit, in timeline order.
        compute_s: processor time that it took; of editors of this package without the analysis.
        foreign_s: seconds of the output that are not from the recording.
    """

    clips: tuple[Clip, ...]
    compute_s: float
    foreign_s: float = 0.0


@dataclass(frozen=True)
class Editor:
    """An editor.

    Attributes:
        name: in tables.
        kind: how it is run.
        what: name of the baseline, path of the checkpoint, or command line.
    """

    name: str
    kind: Literal["baseline", "checkpoint", "command"]
    what: str


def _gate(recording: Recording) -> list[Clip]:
    sr = AnalysisConfig().sr
    return baselines.loudness_gate(audio.read_mono(recording.path, sr), sr)


def _random(recording: Recording) -> list[Clip]:
    wanted_s = sum(s.end_s - s.start_s for s in recording.truth.segments if s.wanted)
    seed = int(hashlib.sha256(recording.name.encode()).hexdigest()[:8], 16)
    rng = np.random.default_rng(seed)
    return baselines.random_bars(recording.track.grid, wanted_s / recording.truth.duration_s, rng)


BASELINES: dict[str, Callable[[Recording], list[Clip]]] = {
    "keep-all": lambda recording: baselines.keep_all(recording.track),
    "gate": _gate,
    "novelty": lambda recording: baselines.energy_novelty(recording.track),
    "random": _random,
    "repeats": lambda recording: baselines.last_of_repeats(recording.track),
    "oracle": lambda recording: baselines.oracle(recording.truth),
}
"""`baselines` by the names that they have in commands."""


def parse_editor(text: str) -> Editor:
    """Return the editor that a text names.

    Raises:
        UserError: it names none; a checkpoint is read, the program of a command looked for.
    """
    named = _NAMED.fullmatch(text.strip())
    name, what = named.groups() if named and not Path(text).exists() else (None, text.strip())
    if what in BASELINES:
        return Editor(name or what, "baseline", what)
    if "{input}" in what or "{output}" in what or "{edl}" in what:
        _check_command(what)
        return Editor(name or Path(shlex.split(what)[0]).name, "command", what)
    if what == SHIPPED:
        return Editor(name or SHIPPED, "checkpoint", str(default_checkpoint()))
    if not Path(what).is_file():
        raise UserError(
            f"an editor should be {SHIPPED}, a checkpoint file, one of {', '.join(BASELINES)} or a "
            f"command line with {{input}} and {{output}}, but {what!r} is none; check it."
        )
    check_schema(load(what), schema_name())
    return Editor(name or Path(what).stem, "checkpoint", what)


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"the command {command!r} cannot be read ({error}); mend it.") from error
    text = " ".join(words)
    if "{input}" not in text or ("{output}" not in text and "{edl}" not in text):
        raise UserError(
            f"the command {command!r} should hold {{input}} for the recording and {{output}} for "
            "the edited audio (or {edl} for an edit list), but one is missing; add it."
        )
    if shutil.which(words[0]) is None:
        raise UserError(
            f"the command {command!r} should begin with a program, but {words[0]} is not found; "
            "install it or give its path."
        )


def run_editor(editor: Editor, recording: Recording) -> Edited:
    """Return what an editor makes of a recording.

    Raises:
        UserError: a command failed or wrote nothing that can be read.
    """
    if editor.kind == "command":
        return _run_command(editor, recording)
    if editor.kind == "baseline":
        started_s = time.process_time()
        clips = _inside(BASELINES[editor.what](recording), recording.track)
        clips = back_to_back(clips, recording.track.sample_rate)
        return Edited(clips, time.process_time() - started_s)
    loaded = load(editor.what)
    started_s = time.process_time()
    made = decide(loaded, recording.track, EditOptions())
    with audio.AudioReader(recording.path) as reader:
        fitted = fit_plan(made, reader, recording.track.grid)
    return Edited(fitted.clips, time.process_time() - started_s)


def _run_command(editor: Editor, recording: Recording) -> Edited:
    with tempfile.TemporaryDirectory(prefix="rl_editor-") as folder:
        output, edl = Path(folder) / "edited.wav", Path(folder) / "edited.edl.json"
        places = {"{input}": str(recording.path.resolve()), "{output}": output, "{edl}": edl}
        words = shlex.split(editor.what)
        for mark, place in places.items():
            words = [word.replace(mark, str(place)) for word in words]
        started_s = _children_s()
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise UserError(
                f"the command {words[0]} should edit {recording.path}, but cannot be started "
                f"({error.strerror}); check it."
            ) from error
        compute_s = _children_s() - started_s
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise UserError(
                f"the command {words[0]} should edit {recording.path}, but failed with code "
                f"{done.returncode} ({said[-1] if said else 'it said nothing'}); mend it."
            )
        if "{edl}" in editor.what:
            return _listed(edl, recording, compute_s)
        return _aligned(output, recording, compute_s)


def _listed(edl_path: Path, recording: Recording, compute_s: float) -> Edited:
    """Return the edit in a list that a command wrote."""
    edl = read_edl(edl_path, on_note=lambda note: None)
    if abs(edl.source.duration_s - recording.track.duration_s) > 0.1:
        raise UserError(
            f"the edit list should be of {recording.path}, which lasts "
            f"{recording.track.duration_s:.2f} s, but is of a recording of "
            f"{edl.source.duration_s:.2f} s; mend the command."
        )
    return Edited(_inside(edl.clips, recording.track), compute_s)


def _aligned(output: Path, recording: Recording, compute_s: float) -> Edited:
    """Return the edit that an audio file is, aligned with its recording."""
    if not output.is_file():
        raise UserError(
            f"the command should write its edit of {recording.path} to {{output}}, but no file is "
            "there; mend it."
        )
    aligned = align_files(recording.path, output)
    found_s = sum(span.edit_end_s - span.edit_start_s for span in aligned.spans)
    foreign_s = max(0.0, aligned.edit_duration_s - found_s)
    return Edited(_inside(clips_of(aligned), recording.track), compute_s, foreign_s)


def _inside(clips: Sequence[Clip], track: Track) -> tuple[Clip, ...]:
    """Return the clips without what lies behind the end of the file.

    Truths, resampled signals and other programs' lists may have another length by a few samples.
    """
    end_s = track.duration_s
    return tuple(
        replace(clip, source_end_s=min(clip.source_end_s, end_s))
        for clip in clips
        if clip.source_start_s < end_s
    )


def _children_s() -> float:
    """Return the processor time of all child processes that have ended, seconds."""
    times = os.times()
    return times.children_user + times.children_system
