"""Which act plays each beat of a demonstration: KEEP, or the effect, loop or move of the edit.

In: `Demonstration`. Out: `PlayedActs`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_editor.action_sounds import SOUND_OF
from rl_editor.actions import PLAYING_TYPES, ActionType, Amount
from rl_editor.demonstrations import Demonstration, edit_context
from rl_editor.edit_state import EditState

ANY_SIZE = -1


class PlayedActs(NamedTuple):
    """What plays each beat, were it played, said at that beat.

    Attributes:
        kind: [N] `ActionType`; KEEP where the edit has the beat as it is.
        amount: [N] `Amount`.
        size: [N] the only `Size` of an act that is one whole (a fade, a loop, a move), or
            `ANY_SIZE` where every span under the same act will do.
    """

    kind: NDArray[np.int64]
    amount: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def keeping(cls, n_beats: int) -> PlayedActs:
        """Return the acts of an edit that plays everything as it is."""
        return cls(
            np.full(n_beats, int(ActionType.KEEP)),
            np.full(n_beats, int(Amount.NEUTRAL)),
            np.full(n_beats, ANY_SIZE),
        )

    def labels(self, played: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return [N] numbers that differ where no one action goes on; -1 where not `played`."""
        labels = self.kind * len(Amount) + self.amount
        whole = self.size != ANY_SIZE
        labels = np.where(whole, -2 - np.arange(len(labels)), labels)
        return np.where(played, labels, -1)


def played_acts(demonstration: Demonstration) -> PlayedActs:
    """Return what plays each beat of an edit that is known as a decision list.

    Of a beat that is played twice the first act counts. What a beat alone cannot tell is left
    out: going back, and playing the end of the output again. Sessions, whose truth holds no
    decision list, count as played as they are.
    """
    acts = PlayedActs.keeping(demonstration.track.n_beats)
    if not demonstration.truth.clips:
        return acts
    steady = {act for act, sound in SOUND_OF.items() if sound.steady}
    played = np.zeros(demonstration.track.n_beats, dtype=bool)
    state = EditState.begin(edit_context(demonstration.track))
    for action in demonstration.actions:
        start = state.cursor
        state = state.step(action)
        span = slice(start, max(start + 1, state.cursor))
        if action.type not in PLAYING_TYPES:
            continue
        if action.type != ActionType.KEEP and not played[start]:
            of_size = (action.type, action.amount) in steady
            said = span if of_size else slice(start, start + 1)
            acts.kind[said], acts.amount[said] = action.type, action.amount
            acts.size[said] = ANY_SIZE if of_size else action.size
        played[span] = True
    return acts
