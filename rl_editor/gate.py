"""The gate: before any training, the true edit must be worth more than every other one.

On recordings whose edit is known, that edit has to out-score what editors do who know nothing, and
itself with one thing wrong; the reward has to fall steadily as more of it is decided by chance,
and must not depend on how the same edit is spelled. A reward that fails is wrong, however good its
parts look. `docs/reward.md` shows the table.

In: `Demonstration`s. Out: `GateResult`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import Action, ActionType, Size
from rl_editor.config import RewardConfig
from rl_editor.demonstrations import Demonstration, edit_context
from rl_editor.edit_state import EditState
from rl_editor.features import FEATURE_NAMES
from rl_editor.finished_edits import FinishedEdits
from rl_editor.gate_edits import (
    CORRUPTIONS,
    PlayedBeats,
    corrupted,
    finished,
    half_random,
    ignorant_edits,
)
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import total_rewards
from rl_editor.vector_environment import TARGET_JITTER

LEAST_WON = 0.99
"""Share of the comparisons of each kind that the true edit must win."""
LEAST_CORRELATION = 0.9
"""Spearman correlation of the reward with the share of the edit that is as it should be."""
MOST_SPELLING = 0.01
"""Share of the reward that spelling may change."""
CORRUPTION_SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(11))
"""Shares of the bars that are decided by chance, for the correlation."""
CORRUPTION_PATHS = 8
"""Random orders in which bars are given to chance; the rewards are averaged over them."""
_TRIES = 20
_RMS_DB = FEATURE_NAMES.index("rms_db")


@dataclass(frozen=True)
class GateSettings:
    """How much the gate tries.

    Attributes:
        n_corruptions: small corruptions of each edit.
        seed: of all that is drawn by chance.
    """

    n_corruptions: int = 200
    seed: int = 0


@dataclass
class Comparisons:
    """How the true edit fared against edits of one kind.

    Attributes:
        n: comparisons, with and without a target share.
        n_won: those in which the true edit earned more.
        smallest_margin: by which it earned more; not above 0 where it did not.
    """

    n: int = 0
    n_won: int = 0
    smallest_margin: float = np.inf

    @property
    def won(self) -> float:
        """Share of the comparisons that the true edit won."""
        return self.n_won / self.n

    def add(self, true: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        """Count comparisons of rewards [n] of true edits with those [n] of others."""
        self.n += len(true)
        self.n_won += int(np.count_nonzero(true > other))
        self.smallest_margin = min(self.smallest_margin, float(np.min(true - other)))


@dataclass
class GateResult:
    """What the gate found.

    Attributes:
        n_recordings: that were judged.
        comparisons: by the name of what was compared with the true edit.
        correlations: of each recording that has something to corrupt.
        spelling: largest change of each recording's reward by spelling, as a share of it.
        failures: sentences about comparisons that were lost, the name of the recording first.
    """

    n_recordings: int = 0
    comparisons: dict[str, Comparisons] = field(default_factory=dict)
    correlations: list[float] = field(default_factory=list)
    spelling: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the reward passed everything."""
        return (
            all(row.won >= LEAST_WON for row in self.comparisons.values())
            and self.monotone_share >= LEAST_WON
            and max(self.spelling, default=0.0) < MOST_SPELLING
        )

    @property
    def monotone_share(self) -> float:
        """Share of the recordings whose reward falls steadily with the share of corruption."""
        steady = [correlation >= LEAST_CORRELATION for correlation in self.correlations]
        return float(np.mean(steady)) if steady else 1.0


def run_gate(
    named: Iterable[tuple[str, Demonstration]],
    weights: RewardConfig,
    settings: GateSettings | None = None,
    on_recording: Callable[[str], None] = lambda name: None,
) -> GateResult:
    """Return how a reward fares on recordings with known edits.

    Recordings of which nothing is wanted have no edit to be compared, and are passed over.

    Args:
        named: names and demonstrations.
        weights: of the reward.
        settings: how much is tried.
        on_recording: hears the name of each recording before it is judged.
    """
    settings = settings or GateSettings()
    result = GateResult()
    for number, (name, demonstration) in enumerate(named):
        on_recording(name)
        judge = _Judge.of(demonstration, weights, np.random.default_rng([settings.seed, number]))
        if len(judge.true.beats) == 0:
            continue
        result.n_recordings += 1
        for kind, others in judge.competitors(settings.n_corruptions):
            lost = judge.compare(result.comparisons.setdefault(kind, Comparisons()), others)
            result.failures += [f"{name}: {kind}, {words}" for words in lost]
        correlation = judge.correlation()
        if correlation is not None:
            result.correlations.append(correlation)
        result.spelling.append(judge.spelling())
    return result


@dataclass(frozen=True, eq=False)
class _Judge:
    """One recording: its known edit and what others earn on it."""

    demonstration: Demonstration
    tables: RewardTables
    weights: RewardConfig
    state: EditState
    true: PlayedBeats
    rng: np.random.Generator

    @classmethod
    def of(
        cls, demonstration: Demonstration, weights: RewardConfig, rng: np.random.Generator
    ) -> _Judge:
        track = demonstration.track
        tables = RewardTables.of([track], [demonstration.truth])
        state = _replay(demonstration, demonstration.actions)
        return cls(demonstration, tables, weights, state, PlayedBeats.of(state), rng)

    def competitors(self, n_corruptions: int) -> Iterator[tuple[str, list[PlayedBeats]]]:
        """Yield edits that are not the true one, by kind."""
        track = self.demonstration.track
        level_db = track.features[:, _RMS_DB]
        for name, edit in ignorant_edits(track.grid, level_db, self.true, self.rng).items():
            if not self.is_as_right(edit):
                yield name, [edit]
        for kind in CORRUPTIONS:
            tries = range(_TRIES * -(-n_corruptions // len(CORRUPTIONS)))
            made = (corrupted(kind, track.grid, self.true, self.rng) for _ in tries)
            edits = [edit for edit in made if edit is not None]
            if edits:
                yield kind, edits[: -(-n_corruptions // len(CORRUPTIONS))]

    def is_as_right(self, edit: PlayedBeats) -> bool:
        """Return whether an edit is the known one, or plays other copies of the same passages.

        Those are beats each of which is mostly right, in the order of the piece, and as many as
        the known edit has but for one: copies begin anywhere in a beat.
        """
        if edit.plays_as(self.true):
            return True
        tables, beats = self.tables, edit.beats
        if not tables.is_plain[0]:
            return False
        is_right = tables.right_s[beats] >= self.demonstration.track.grid.durations_s[beats] / 2
        in_order = np.diff(tables.place[beats]) > 0
        return bool(
            np.all(is_right) and np.all(in_order) and abs(len(beats) - len(self.true.beats)) <= 1
        )

    def compare(self, row: Comparisons, others: Sequence[PlayedBeats]) -> list[str]:
        """Enter the comparisons of edits with the true one; return words about those it lost."""
        n, lost = len(others), []
        for asked, targets in (("no target", [None] * n), ("a target", self._targets(n))):
            paid = self._paid(finished(others, 0, targets))
            true = self._paid(FinishedEdits.of([self.state] * n, [0] * n, targets))
            row.add(true, paid)
            lost += [
                f"{asked}: {paid[i]:.3f} against {true[i]:.3f}"
                for i in np.flatnonzero(paid >= true).tolist()
            ]
        return lost

    def correlation(self) -> float | None:
        """Return the Spearman correlation of the reward with the share that is not by chance."""
        from scipy.stats import spearmanr

        grid = self.demonstration.track.grid
        n_bars = int(grid.bar.max()) + 1
        if n_bars < len(CORRUPTION_SHARES):
            return None
        edits = []
        for _ in range(CORRUPTION_PATHS):
            order, keep = self.rng.permutation(n_bars), self.rng.random(n_bars) < 0.5
            for share in CORRUPTION_SHARES:
                edits.append(half_random(grid, self.true, order < round(share * n_bars), keep))
        paid = self._paid(finished(edits, 0, [None] * len(edits)))
        mean = paid.reshape(CORRUPTION_PATHS, -1).mean(axis=0)
        return -float(spearmanr(CORRUPTION_SHARES, mean).statistic)

    def spelling(self) -> float:
        """Return the largest change of the reward by spelling in beats or phrases, as a share."""
        actions = self.demonstration.actions
        states = [self.state, *(_respelled(self.demonstration, size) for size in Size)]
        assert all(state.spans() == self.state.spans() for state in states), actions
        paid = self._paid(FinishedEdits.of(states, [0] * len(states), [None] * len(states)))
        return float(np.max(np.abs(paid - paid[0])) / abs(paid[0]))

    def _paid(self, edits: FinishedEdits) -> NDArray[np.float64]:
        return total_rewards(self.tables, edits, self.weights)[0]

    def _targets(self, n: int) -> list[float]:
        """Return shares that episodes of training might ask for: near that of the known edit."""
        truth = self.demonstration.truth
        share = sum(s.end_s - s.start_s for s in truth.segments if s.wanted) / truth.duration_s
        drawn = self.rng.uniform(share - TARGET_JITTER, share + TARGET_JITTER, n)
        return [float(target) for target in np.clip(drawn, 0.0, 1.0)]


def _begin(demonstration: Demonstration) -> EditState:
    return EditState.begin(edit_context(demonstration.track))


def _replay(demonstration: Demonstration, actions: Iterable[Action]) -> EditState:
    state = _begin(demonstration)
    for action in actions:
        state = state.step(action)
    return state


def _respelled(demonstration: Demonstration, largest: Size) -> EditState:
    """Return the known edit with what it keeps and cuts spelled in sizes up to the largest."""
    state = _begin(demonstration)
    for action in demonstration.actions:
        if action.type not in (ActionType.KEEP, ActionType.CUT):
            state = state.step(action)
            continue
        end = state.span_end(action.size)
        while state.cursor < end:
            reach = [state.span_end(size) for size in Size]
            allowed = state.context.lines.size_allowed[state.cursor, action.type]
            sizes = [s for s in Size if s <= largest and reach[s] <= end and allowed[s]]
            state = state.step(Action(action.type, max(sizes, key=lambda s: reach[s])))
    return state
