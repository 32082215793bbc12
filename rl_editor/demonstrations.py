"""A known edit of a recording as actions: what behavioural cloning and the reward learn from.

Labels come from the `Truth` for each beat. The actions play its decision list: what stays, in
which order, how often and with which effects, as far as the actions can; they replay through
`EditState` to that edit. What no action can say is reported, never forced.

In: `Track`, `Truth`. Out: `Demonstration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action
from rl_editor.beat_script import WANTED_SHARE, script
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditContext
from rl_editor.features import FEATURE_NAMES
from rl_editor.replay import ReplayedSpan, replayed, replayed_share
from rl_editor.script_search import spell_script
from rl_editor.spans import Span
from rl_editor.track import Track
from rl_editor.truth import Truth
from rl_editor.units import format_time

MAX_LENGTH_ERROR_S = 0.1
"""Decoders pad compressed files by less than this; more means another recording."""
_RMS_DB = FEATURE_NAMES.index("rms_db")


@dataclass(frozen=True)
class Demonstration:
    """What is known about one recording, on its beats.

    Attributes:
        track: the recording.
        truth: what is known about its seconds.
        wanted: [N] share of the beat that belongs in the edit.
        confidence: [N] in [0, 1], how sure the truth is.
        material: [N] index of `Material`.
        equally_good: [N] share of the beat that is left out only because another copy is in.
        actions: replay through `EditState` to the edit.
        unexpressed: sentences about what the actions do not do.
        replayed_share: share of the edit, in whole beats, that the actions play in its order
            and with its sound, in [0, 1].
    """

    track: Track
    truth: Truth
    wanted: NDArray[np.float64]
    confidence: NDArray[np.float64]
    material: NDArray[np.int64]
    equally_good: NDArray[np.float64]
    actions: tuple[Action, ...]
    unexpressed: tuple[str, ...]
    replayed_share: float = 1.0

    @property
    def keep(self) -> NDArray[np.bool_]:
        """[N] True for the beats of the edit."""
        return self.wanted >= WANTED_SHARE

    @property
    def off_beat_loss(self) -> float:
        """Seconds that whole beats add to the edit or take from it, as a share of the edit.

        0 when all cuts lie on beats; what no action can say in any order is not in it.
        """
        lengths_s = np.diff(self.track.grid.edges_s)
        wrong = np.where(self.keep, 1.0 - self.wanted, self.wanted)
        edit_s = float(self.wanted @ lengths_s)
        return float(wrong @ lengths_s) / edit_s if edit_s > 0 else 0.0


def demonstrate(track: Track, truth: Truth) -> Demonstration:
    """Return the demonstration of a track whose truth is known.

    Raises:
        ValueError: the truth is about a recording of another length.
    """
    if abs(track.duration_s - truth.duration_s) > MAX_LENGTH_ERROR_S:
        raise ValueError(
            f"the truth is about {truth.duration_s:.2f} s, the track lasts {track.duration_s:.2f} s"
        )
    edges_s = track.grid.edges_s
    context = edit_context(track)
    asked = script(context, truth.decision_list())
    state = spell_script(context, asked.parts)
    spans = replayed(state, asked.parts)
    return Demonstration(
        track=track,
        truth=truth,
        wanted=truth.wanted_share(edges_s),
        confidence=_share(truth, edges_s, (s.confidence for s in truth.segments)),
        material=truth.materials(edges_s),
        equally_good=_share(truth, edges_s, (s.equally_good for s in truth.segments)),
        actions=state.actions,
        unexpressed=(
            *truth.notes,
            *asked.unexpressed,
            *_misplaced(edges_s, spans, state.played),
            *_without_effect(edges_s, spans),
        ),
        replayed_share=replayed_share(state, spans),
    )


def edit_context(track: Track) -> EditContext:
    """Return what the edits of a track share, with the usual budgets."""
    return EditContext.of(track.grid, track.features[:, _RMS_DB], EpisodeConfig())


def _share(truth: Truth, edges_s: NDArray[np.float64], values: Iterable[float]) -> NDArray:
    return truth.share(edges_s, np.array([float(v) for v in values]))


def _misplaced(
    edges_s: NDArray[np.float64], spans: Sequence[ReplayedSpan], played: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return sentences about what the actions do not play where it belongs."""
    wrong = [s.span for s in spans if not s.is_in_order]
    missing = [span for span in wrong if not played[span.start : span.end].any()]
    elsewhere = [span for span in wrong if played[span.start : span.end].any()]
    return tuple(
        f"The passage {words} {is_so}, but no action can bring it there."
        for is_so, found in (
            ("belongs elsewhere in the finished piece", elsewhere),
            ("belongs in the finished piece", missing),
        )
        for words in _stretches(edges_s, found)
    )


def _without_effect(edges_s: NDArray[np.float64], spans: Sequence[ReplayedSpan]) -> tuple[str, ...]:
    """Return sentences about what the actions move and therefore play as it is."""
    moved = [s.span for s in spans if s.is_in_order and not s.has_sound]
    return tuple(
        f"The passage {words} has an effect in the finished piece, but no action both moves it "
        "and has that effect."
        for words in _stretches(edges_s, moved)
    )


def _stretches(edges_s: NDArray[np.float64], spans: Sequence[Span]) -> list[str]:
    """Return `from 0:01.0 to 0:02.0` for each stretch of the recording that spans make up."""
    stretches: list[tuple[int, int]] = []
    for span in spans:
        if stretches and stretches[-1][1] == span.start:
            stretches[-1] = (stretches[-1][0], span.end)
        else:
            stretches.append((span.start, span.end))
    return [f"from {format_time(edges_s[a])} to {format_time(edges_s[b])}" for a, b in stretches]
