"""Episodes under way as plain numbers, so that a stopped run goes on as if it had not been stopped.

An edit follows from its actions, so what is kept of an episode is its task, its target and the
actions so far, beside the random numbers of the episodes to come. `replay` takes a batch of edits
there again, through the interpreter: nothing here knows what an edit holds.

Shapes: `E` episodes, `A` actions of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.edit_batch import EditBatch

_KEEP_BEAT = (int(ActionType.KEEP), int(Size.BEAT), int(Amount.NEUTRAL))


@dataclass(frozen=True, eq=False)
class EpisodeState:
    """`E` episodes under way.

    Attributes:
        task: [E] int64, index of each episode's task.
        target: [E] float64, share that it asks for, NaN when nothing.
        n_actions: [E] int64.
        actions: [A, 3] int64, episode by episode.
        draws: [E, K, 3] float64, random numbers that were drawn ahead for the next episodes.
        n_drawn: [E] int64, how many of them are used up.
        generator: [E] uint64 rows of `generator_words`, where further ones come from.
    """

    task: NDArray[np.int64]
    target: NDArray[np.float64]
    n_actions: NDArray[np.int64]
    actions: NDArray[np.int64]
    draws: NDArray[np.float64]
    n_drawn: NDArray[np.int64]
    generator: NDArray[np.uint64]

    def split(self, parts: Sequence[slice]) -> list[EpisodeState]:
        """Return the episodes of contiguous parts."""
        ends = np.concatenate([[0], np.cumsum(self.n_actions)])
        states = []
        for part in parts:
            rows = {f.name: getattr(self, f.name)[part] for f in fields(self)}
            rows["actions"] = self.actions[ends[part.start] : ends[part.stop]]
            states.append(EpisodeState(**rows))
        return states

    @classmethod
    def join(cls, parts: Sequence[EpisodeState]) -> EpisodeState:
        """Return the episodes of all parts, one after the other."""
        arrays = ([getattr(part, f.name) for part in parts] for f in fields(cls))
        return cls(*(np.concatenate(a) for a in arrays))


def replay(batch: EditBatch, state: EpisodeState) -> None:
    """Take a batch of edits to where a state has them.

    All edits take their last action in the same step; one with fewer actions than others begins
    anew in every step before its first.
    """
    rows, n_steps = np.arange(len(state.task)), int(state.n_actions.max(initial=0))
    begins = n_steps - state.n_actions
    first_action = np.cumsum(state.n_actions) - state.n_actions
    batch.begin(rows, state.task)
    for step in range(n_steps):
        acts = begins <= step
        actions = np.tile(np.array(_KEEP_BEAT, dtype=np.int64), (len(rows), 1))
        actions[acts] = state.actions[(first_action + step - begins)[acts]]
        batch.step(actions)
        waiting = np.flatnonzero(~acts)
        if len(waiting):
            batch.begin(waiting, state.task[waiting])


def generator_words(generator: np.random.Generator) -> NDArray[np.uint64]:
    """Return [6] the state of a PCG64 generator, NumPy's default one."""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(f"a PCG64 generator is needed, not {state['bit_generator']}")
    numbers = (state["state"]["state"], state["state"]["inc"])
    words = [word for number in numbers for word in (number >> 64, number & (2**64 - 1))]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def generator_from(words: NDArray[np.uint64]) -> np.random.Generator:
    """Return the generator whose state `generator_words` gave."""
    high, low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in words)
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bits)
