"""Finished edits of many recordings as arrays: what the reward is computed from.

An edit is what is heard, spans of source beats in output order, and the actions that spelled it.
`E` edits hold `K` spans and `A` actions together; those of edit `e` are the rows
`first_span[e]:first_span[e + 1]` and `first_action[e]:first_action[e + 1]`.

In: `EditState`s, or arrays that a batch environment keeps itself. Out: `FinishedEdits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import FADE_CURVES, Action
from rl_editor.edit_state import EditState
from rl_editor.spans import AS_IT_IS, Sound, Span

NO_FADE = -1
"""What stands for no fade where fades are indices into `actions.FADE_CURVES`."""
AS_RECORDED = 0
"""Key of a sound that changes nothing but the level."""
_KEY_STEPS = {
    "rate": (0, 1000.0),
    "semitones": (11, 100.0),
    "eq_low_db": (22, 10.0),
    "eq_high_db": (30, 10.0),
    "distortion": (38, 100.0),
    "reverb": (45, 100.0),
    "reverse": (52, 1.0),
    "fade_in": (53, 1.0),
    "fade_out": (56, 1.0),
}
"""First bit and steps of each property of a sound in a key, fine enough for all actions."""
KEY_COLUMNS = tuple(_KEY_STEPS)
PLAIN, BACKWARDS, MOVED, COLOURED, FADED, LEFT_OUT = range(6)
"""Treatments of a beat: heard as recorded; backwards; at another speed or pitch; through a shelf or
an effect; under a fade; not heard."""
N_TREATMENTS = 6

_OFFSETS = ("first_span", "first_action")


@dataclass(frozen=True, eq=False)
class FinishedEdits:
    """`E` finished edits.

    Attributes:
        task: [E] int64, index of the recording.
        target: [E] float64, share of the recording that was asked for, NaN where nothing was.
        first_span: [E + 1] int64, rows of the spans of each edit.
        start, end: [K] int64, half-open range of beats of the recording.
        rate: [K] float64, speed; 1 is as recorded.
        gain_db: [K] float64, 0 is as recorded.
        reverse: [K] bool, played backwards.
        treatment: [K] int64, the first of the treatments that the sound has.
        sound_key: [K] int64, one number for all of it but the gain (`sound_keys`).
        fade_in_key, fade_out_key: [K] int64, what a fade over the whole span adds to the key.
        first_action: [E + 1] int64, rows of the actions of each edit.
        actions: [A, 3] int64, type, size and amount.
    """

    task: NDArray[np.int64]
    target: NDArray[np.float64]
    first_span: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    rate: NDArray[np.float64]
    gain_db: NDArray[np.float64]
    reverse: NDArray[np.bool_]
    treatment: NDArray[np.int64]
    sound_key: NDArray[np.int64]
    fade_in_key: NDArray[np.int64]
    fade_out_key: NDArray[np.int64]
    first_action: NDArray[np.int64]
    actions: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of edits, `E`."""
        return len(self.task)

    @classmethod
    def of(
        cls, states: Sequence[EditState], tasks: Sequence[int], targets: Sequence[float | None]
    ) -> FinishedEdits:
        """Return the edits of some states, as if each ended where it is.

        Args:
            states: [E].
            tasks: [E] index of each state's recording.
            targets: [E] share that was asked for, None where nothing was.
        """
        return cls.of_spans(
            [state.spans() for state in states],
            [state.actions for state in states],
            tasks,
            targets,
        )

    @classmethod
    def of_spans(
        cls,
        spans: Sequence[Sequence[Span]],
        actions: Sequence[Sequence[Action]],
        tasks: Sequence[int],
        targets: Sequence[float | None],
    ) -> FinishedEdits:
        """Return edits of which the spans in output order and the actions are known.

        Spans that continue each other are one, as `spans.append` leaves them.
        """
        flat = [span for edit in spans for span in edit]
        sounds = np.array(
            [_NEUTRAL if s.sound is AS_IT_IS else _numbers(s) for s in flat], dtype=np.float64
        ).reshape(len(flat), len(Sound._fields))
        columns = dict(zip(Sound._fields, sounds.T, strict=True))
        return cls(
            task=np.array(tasks, dtype=np.int64),
            target=np.array([np.nan if t is None else t for t in targets], dtype=np.float64),
            first_span=_offsets(spans),
            start=np.array([span.start for span in flat], dtype=np.int64),
            end=np.array([span.end for span in flat], dtype=np.int64),
            gain_db=columns["gain_db"],
            first_action=_offsets(actions),
            actions=np.array([row for edit in actions for row in edit], np.int64).reshape(-1, 3),
            **sound_columns(columns),
        )

    @classmethod
    def of_runs(cls, runs: NDArray[np.int64]) -> FinishedEdits:
        """Return edits of one recording that play runs of it as recorded, by no known actions.

        Args:
            runs: [E, R, 2] half-open ranges of beats in output order; of no length, none.
        """
        is_heard = runs[..., 1] > runs[..., 0]
        played = runs[is_heard]
        nothing = np.zeros(len(runs), dtype=np.int64)
        plain = {
            name: np.full(len(played), value)
            for name, value in zip(Sound._fields, _NEUTRAL, strict=True)
        }
        return cls(
            task=nothing,
            target=np.full(len(runs), np.nan),
            first_span=np.concatenate([[0], np.cumsum(is_heard.sum(axis=1))]),
            start=played[:, 0],
            end=played[:, 1],
            gain_db=plain["gain_db"],
            first_action=np.concatenate([[0], nothing]),
            actions=np.empty((0, 3), dtype=np.int64),
            **sound_columns(plain),
        )

    @classmethod
    def join(cls, parts: Sequence[FinishedEdits]) -> FinishedEdits:
        """Return the edits of all parts, one after the other."""
        arrays = {}
        for name in (f.name for f in fields(cls)):
            columns = [getattr(part, name) for part in parts]
            if name in _OFFSETS:
                counts = np.concatenate([np.diff(column) for column in columns])
                arrays[name] = np.concatenate([[0], np.cumsum(counts)])
            else:
                arrays[name] = np.concatenate(columns)
        return cls(**arrays)


def sound_columns(sounds: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Return [K] the columns of `FinishedEdits` that say how spans sound, but for their gain.

    Args:
        sounds: [K] properties of `spans.Sound`, fades as an index into `FADE_CURVES` or -1.
    """
    key = sound_keys(sounds)
    moved = (sounds["rate"] != 1.0) | (sounds["semitones"] != 0.0)
    coloured = (sounds["eq_low_db"] != 0.0) | (sounds["eq_high_db"] != 0.0)
    coloured |= (sounds["distortion"] != 0.0) | (sounds["reverb"] != 0.0)
    reverse = sounds["reverse"].astype(bool)
    has = [key == AS_RECORDED, reverse, moved, coloured]
    return {
        "rate": sounds["rate"],
        "reverse": reverse,
        "treatment": np.select(has, [PLAIN, BACKWARDS, MOVED, COLOURED], FADED),
        "sound_key": key,
        "fade_in_key": _part_of_key("fade_in", sounds["fade_in"]),
        "fade_out_key": _part_of_key("fade_out", sounds["fade_out"]),
    }


def sound_keys(columns: Mapping[str, NDArray]) -> NDArray[np.int64]:
    """Return [K] one number for each sound but its level; `AS_RECORDED` where nothing is changed.

    `columns` [K] are at least those of `KEY_COLUMNS`, as in `sound_columns`.
    """
    key = np.zeros(len(columns["rate"]), dtype=np.int64)
    for name in KEY_COLUMNS:
        key += _part_of_key(name, columns[name])
    return key


def _part_of_key(name: str, values: NDArray) -> NDArray[np.int64]:
    """Return [K] what one property adds to a key."""
    bit, steps = _KEY_STEPS[name]
    zero = {"rate": 1.0, "fade_in": -1.0, "fade_out": -1.0}.get(name, 0.0)
    return np.rint((values - zero) * steps).astype(np.int64) << bit


def _numbers(span: Span) -> tuple[float, ...]:
    """Return a span's sound in the order of the fields of `Sound`."""
    sound = span.sound._asdict()
    for fade in ("fade_in", "fade_out"):
        sound[fade] = NO_FADE if sound[fade] is None else FADE_CURVES.index(sound[fade])
    return tuple(float(sound[name]) for name in Sound._fields)


_NEUTRAL = _numbers(Span(0, 1))


def _offsets(groups: Sequence[Sequence]) -> NDArray[np.int64]:
    """Return [E + 1] the row where each group begins, and the number of all rows."""
    return np.cumsum([0, *(len(group) for group in groups)], dtype=np.int64)
