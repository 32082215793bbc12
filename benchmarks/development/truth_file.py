"""Truths as JSON beside their recordings: `NAME.truth.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from rl_editor.atomic import atomic_path
from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.truth import Segment, Truth

SUFFIX = ".truth.json"


@dataclass(frozen=True)
class Described:
    """A made case: its recording, what is in it, and its truth."""

    name: str
    kind: str
    tags: tuple[str, ...]
    path: Path
    truth: Truth


def write_truth(made: Described) -> None:
    """Write the truth beside the recording."""
    segments = [
        {**dataclasses.asdict(s), "material": s.material.name.lower()} for s in made.truth.segments
    ]
    values = {
        "name": made.name,
        "kind": made.kind,
        "tags": list(made.tags),
        "audio": made.path.name,
        "duration_s": made.truth.duration_s,
        "segments": segments,
    }
    with atomic_path(made.path.parent / f"{made.name}{SUFFIX}") as temporary:
        temporary.write_text(json.dumps(values, indent=1))


def read_truths(folder: Path) -> list[Described]:
    """Return the cases of a folder by name; raises `UserError` if there are none."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        values = json.loads(path.read_text())
        segments = tuple(
            Segment(**{**s, "material": Material[s["material"].upper()]})
            for s in values["segments"]
        )
        truth = Truth(values["duration_s"], segments)
        audio = folder / values["audio"]
        found.append(Described(values["name"], values["kind"], tuple(values["tags"]), audio, truth))
    if not found:
        raise UserError(
            f"{folder} should hold the recordings of the benchmark, but has no *{SUFFIX}; make "
            "them with python -m benchmarks.development.build --music MUSIC --out FOLDER."
        )
    return found
