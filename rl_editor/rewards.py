"""What an edit is worth: the terms of the reward, each a small pure function of what is heard.

An episode is paid once, at its end (Monte Carlo). Every term looks at the edit itself, as it would
be heard (`HeardOutput`), never at the actions that spelled it; only the two budgets on loops and
jumps count actions. Reward terms lie in [0, 1], penalties in [-1, 0]; an empty output earns 0 on
every term. Only `reference_agreement` reads a known edit. `docs/reward.md` explains the terms.

The terms about the music lose by defects for each phrase of the output, so that one defect costs
as little in a long track as a bar of it is worth. With a mean over the joins instead, an edit
could gain more by the place of one cut than it lost by keeping a bad take.

In: `RewardTables`, `FinishedEdits` of `E` edits. Out: totals [E] and terms [E, T].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import N_TYPES, ActionType
from rl_editor.config import RewardConfig
from rl_editor.demonstrations import Demonstration
from rl_editor.edit_state import EditState
from rl_editor.finished_edits import (
    AS_RECORDED,
    LEFT_OUT,
    N_TREATMENTS,
    PLAIN,
    FinishedEdits,
)
from rl_editor.heard_output import HeardOutput
from rl_editor.reward_agreement import agreement
from rl_editor.reward_tables import DEAD, KINDS, RewardTables, change_steps, distances
from rl_editor.track import Track

REWARD_TERMS = (
    "keep_ratio",
    "section_coherence",
    "phrase_alignment",
    "edit_structure",
    "audio_flow",
    "action_diversity",
    "reference_agreement",
    "loop_penalty",
    "jump_penalty",
    "leak_penalty",
)
"""Every term, named like its function and its weight in `RewardConfig`."""

KEEP_RATIO_TOLERANCE = 0.5
"""Distance from the target share at which `keep_ratio` reaches 0."""
DIVERSE_TREATMENTS = 3
"""Equally used treatments at which `action_diversity` is full."""
FREE_LOOPS, CUTS_PER_LOOP = 2, 3
FREE_JUMP_SHARE = 0.25


def _is_one_of(*types: ActionType) -> NDArray[np.bool_]:
    return np.isin(np.arange(N_TYPES), types)


_IS_LOOP = _is_one_of(ActionType.LOOP, ActionType.REPEAT_PREV)
_IS_CUT = _is_one_of(ActionType.CUT, ActionType.SKIP)
_IS_JUMP = _is_one_of(ActionType.JUMP_BACK)


@dataclass(frozen=True)
class RewardBreakdown:
    """The reward of one finished edit.

    Attributes:
        total: sum of weight x term.
        terms: each of `REWARD_TERMS`, before its weight; 0 where it does not apply.
    """

    total: float
    terms: dict[str, float]


def total_rewards(
    tables: RewardTables, edits: FinishedEdits, config: RewardConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rewards [E] of finished edits, sum over the terms of weight x term, and the terms.

    The terms are [E, T], columns `REWARD_TERMS`, before their weights. Those that do not apply are
    0: `keep_ratio` without a target, `reference_agreement` where no edit is known.

    Args:
        tables: of the recordings that `edits.task` counts.
        edits: the finished edits.
        config: the weights.
    """
    output = HeardOutput.of(tables, edits)
    terms = np.empty((len(edits), len(REWARD_TERMS)))
    for index, name in enumerate(REWARD_TERMS):
        terms[:, index] = _TERMS[name](output)
    # Not a matrix product: its rounding depends on how many edits are paid at once.
    total = np.add.reduce(terms * [getattr(config, name) for name in REWARD_TERMS], axis=1)
    if not np.isfinite(total).all():
        raise ValueError(f"rewards must be finite, but the terms {REWARD_TERMS} are {terms}")
    return total, terms


def total_reward(
    track: Track,
    state: EditState,
    target_keep_ratio: float | None,
    demonstration: Demonstration | None,
    config: RewardConfig,
) -> RewardBreakdown:
    """Return the reward of one finished edit: `total_rewards` of a batch of one.

    `target_keep_ratio` is in [0, 1], None when nothing was asked for.
    """
    tables = RewardTables.of([track], [None if demonstration is None else demonstration.truth])
    edits = FinishedEdits.of([state], [0], [target_keep_ratio])
    total, terms = total_rewards(tables, edits, config)
    names = zip(REWARD_TERMS, terms[0].tolist(), strict=True)
    return RewardBreakdown(total=float(total[0]), terms=dict(names))


def keep_ratio(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] max(0, 1 - |r - target| / 0.5), r = output seconds / input seconds; in [0, 1]."""
    rate, target = output.edits.rate, output.edits.target
    output_s = output.sum_spans(output.span_s / rate)
    distance = np.abs(output_s / output.tables.duration_s[output.task] - target)
    near = np.maximum(0.0, 1.0 - distance / KEEP_RATIO_TOLERANCE)
    return np.where(output.is_heard & ~np.isnan(target), near, 0.0)


def section_coherence(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] the mean over output beats of min(1, length of their run / a phrase); in [0, 1].

    A phrase is four bars of the grid's meter, or the whole recording where that is shorter.
    """
    phrase = output.tables.phrase_beats[output.task[output.run_edit]]
    whole = output.sum_runs(output.run_beats * np.minimum(1.0, output.run_beats / phrase))
    return whole / np.maximum(1.0, output.n_beats)


def phrase_alignment(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] max(0, 1 - sum over cut points of (1 - v) / 2 / P); in [0, 1].

    Cut points are the starts and ends of all runs: v is 1 on a phrase line or at an end of the
    recording, 0.5 on a bar line, else 0. P is the output's length in phrases, at least 1, so a join
    between beats in every phrase leaves nothing.
    """
    values = output.value_at_start + output.value_at_end
    return _left_after(output, output.sum_runs(2.0 - values) / 2.0)


def edit_structure(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] max(0, 1 - defects / P), P the output's length in phrases, at least 1; in [0, 1].

    Defects: the output does not start at a beginning or end at an ending (each 0.5 on a bar line,
    1 off it, 0 on a phrase line or at the recording's ends); each orphan, a run shorter than a bar;
    each join that goes back in the recording.
    """
    bar = output.tables.bar_beats[output.task[output.run_edit]]
    defects = (output.run_beats < bar).astype(np.float64)
    goes_back = output.run_start[output.join] < output.run_end[output.join - 1]
    defects[output.join] += goes_back
    is_first = np.ones(len(output.run_edit), dtype=bool)
    is_first[output.join] = False
    is_last = np.ones(len(output.run_edit), dtype=bool)
    is_last[output.join - 1] = False
    defects += is_first * (1.0 - output.value_at_start)
    defects += is_last * (1.0 - output.value_at_end)
    return _left_after(output, output.sum_runs(defects))


def audio_flow(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] how ordinary the output's joins sound, in [0, 1]; 1 without joins.

    For a join from beat a to beat b, and for each of timbre (MFCC), harmony (chroma) and level (dB,
    with the gains of both sides): p is the share of the recording's own beat-to-beat changes that
    are at least as large as the change from a to b, and the join scores min(1, 2 p): 1 up to the
    median change, 0 beyond the largest. The term is max(0, 1 - sum over joins of (1 - mean score)
    / P), P the output's length in phrases, at least 1: a rough join every phrase leaves nothing, a
    single one in a long track costs little. A step of the gain where the source plays on counts as
    a join.
    """
    edits, tables = output.edits, output.tables
    step_db = edits.gain_db[1:] - edits.gain_db[:-1]
    is_join = output.span_edit[1:] == output.span_edit[:-1]
    is_join &= output.is_break[1:] | (step_db != 0.0)
    before = is_join.nonzero()[0]
    edit = output.span_edit.take(before)
    task = output.task.take(edit)
    rows = tables.first_beat.take(task)
    first = np.where(edits.reverse, edits.end - 1, edits.start)
    last = edits.start + edits.end - 1 - first
    difference = tables.sound.take(rows + first.take(before + 1), axis=0)
    difference -= tables.sound.take(rows + last.take(before), axis=0)
    step = step_db.take(before) / tables.level_std_db.take(task)
    difference[:, KINDS["level"]] += step[:, None]
    steps = change_steps(distances(difference), tables.largest_change.take(task, axis=1))
    scores = tables.ordinary.take(tables.ordinary_cells(task) + steps)
    rough = 1.0 - np.add.reduce(scores, axis=0) / len(KINDS)
    return _left_after(output, output.sum_edits(edit, rough))


def action_diversity(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] min(1, H / log 3), H the entropy of how beats were treated; in [0, 1].

    Treatments, by beats: left out; heard as recorded; at another speed or pitch; coloured by a
    shelf or an effect; backwards; under a fade inside the output. Mild: it tells an editor that
    does one thing only from others, and is worth less than a bar of a right edit.
    """
    edits, n_edits = output.edits, len(output.edits)
    treatment = np.where(output.sound_key == AS_RECORDED, PLAIN, edits.treatment)
    beats = np.bincount(
        output.span_edit * N_TREATMENTS + treatment,
        weights=edits.end - edits.start,
        minlength=n_edits * N_TREATMENTS,
    ).reshape(n_edits, N_TREATMENTS)
    beats[:, LEFT_OUT] = output.tables.n_beats.take(output.task) - _beats_heard(output)
    shares = beats / np.add.reduce(beats, axis=1, keepdims=True)
    entropy = -np.add.reduce(shares * np.log(np.where(shares > 0.0, shares, 1.0)), axis=1)
    return np.minimum(np.maximum(entropy / math.log(DIVERSE_TREATMENTS), 0.0), 1.0)


def _beats_heard(output: HeardOutput) -> NDArray[np.int64]:
    """Return [E] how many beats of the recording are heard at all."""
    n_lines = output.tables.n_beats.take(output.task) + 1
    end = n_lines.cumsum()
    size, at = int(n_lines.sum()), (end - n_lines).take(output.run_edit)
    depth = np.bincount(at + output.run_start, minlength=size)
    depth -= np.bincount(at + output.run_end, minlength=size)
    so_far = (depth.cumsum() > 0).cumsum().take(end - 1)
    so_far[1:] -= so_far[:-1].copy()
    return so_far


def reference_agreement(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] the chance-corrected, order-aware agreement with a known edit; in [0, 1].

    Cohen's kappa between "is in the output" and "belongs in it", in seconds; see
    `reward_agreement`. Silence, everything, or a random choice agree by chance only: 0.
    """
    return agreement(output)


def loop_penalty(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] -(share of the loops beyond 2 + 1 for every 3 cuts); in [-1, 0].

    LOOP and REPEAT_PREV are loops; a cut is CUT and SKIP actions one after the other, in whatever
    sizes they are spelled.
    """
    kind, edit = output.edits.actions[:, 0], output.action_edit
    is_cut = _IS_CUT.take(kind)
    begins = is_cut.copy()
    begins[1:] &= ~(is_cut[:-1] & (edit[1:] == edit[:-1]))
    loops, cuts = _count(output, _IS_LOOP.take(kind)), _count(output, begins)
    excess = np.maximum(0, loops - FREE_LOOPS - cuts // CUTS_PER_LOOP)
    return -excess / np.maximum(1, loops)


def jump_penalty(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] -(share of JUMP_BACK beyond 25% of the decisions) / 75%; in [-1, 0].

    Each jump is a decision, and so are actions of one type and amount one after the other, in
    whatever sizes they are spelled.
    """
    rows, edit = output.edits.actions, output.action_edit
    is_jump = _IS_JUMP.take(rows[:, 0])
    is_new = np.ones(len(rows), dtype=bool)
    same = (rows[1:, 0] == rows[:-1, 0]) & (rows[1:, 2] == rows[:-1, 2])
    is_new[1:] = is_jump[1:] | ~same | (edit[1:] != edit[:-1])
    share = _count(output, is_jump) / np.maximum(1, _count(output, is_new))
    return -np.maximum(0.0, share - FREE_JUMP_SHARE) / (1.0 - FREE_JUMP_SHARE)


def leak_penalty(output: HeardOutput) -> NDArray[np.float64]:
    """Return [E] -(share of the output's source seconds that are dead air); in [-1, 0].

    Dead air is what any listener hears to be no music, without a label: beats 45 dB below the loud
    ones of the recording (`reward_tables`).
    """
    dead_s = output.sum_spans(output.covered_s[:, DEAD])
    played_s = output.sum_spans(output.span_s)
    return -dead_s / np.where(played_s > 0.0, played_s, 1.0)


def _left_after(output: HeardOutput, defects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [E] max(0, 1 - defects / P) where something is heard, else 0."""
    return np.where(output.is_heard, np.maximum(0.0, 1.0 - defects / output.n_phrases), 0.0)


def _count(output: HeardOutput, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return [E] how many actions [A] of each edit are chosen."""
    return np.bincount(output.action_edit.compress(chosen), minlength=len(output.edits))


_TERMS = {
    "keep_ratio": keep_ratio,
    "section_coherence": section_coherence,
    "phrase_alignment": phrase_alignment,
    "edit_structure": edit_structure,
    "audio_flow": audio_flow,
    "action_diversity": action_diversity,
    "reference_agreement": reference_agreement,
    "loop_penalty": loop_penalty,
    "jump_penalty": jump_penalty,
    "leak_penalty": leak_penalty,
}
