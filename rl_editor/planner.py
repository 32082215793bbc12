"""From a policy and an analysed track to a whole edit.

The likeliest edit (`likeliest_edit`) comes first; of a passage that is on both sides of a cut, the
first copy goes (`heard_twice`). With more effort further edits are drawn from the policy
(`sampled_edits`), and from the most promising ones a search climbs to the edit of the highest
expected reward (`edit_search`). The result is spelled in the largest actions that fit and goes
through the interpreter, `EditState`; where the policy prefers another action (an effect, a
loop, a move) at a cursor that is reached, that one is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rl_editor.actions import LEAVING_TYPES, PLAYING_TYPES, Action, ActionType, Amount, Size
from rl_editor.calibration import log_odds as log_odds_of
from rl_editor.config import PlannerConfig
from rl_editor.edit_search import ExpectedReward, best_nearby
from rl_editor.edit_state import EditState
from rl_editor.heard_twice import without_heard_twice
from rl_editor.kept_runs import kept, runs_of
from rl_editor.likeliest_edit import change_cost, decide, likeliest_path
from rl_editor.materials import Material
from rl_editor.numpy_policy import EncodedTrack, NumpyPolicy
from rl_editor.observation import CopyTable, EditSoFar, context, edit_so_far, prefixes
from rl_editor.planned_share import ShareSearch, kept_share, least_share
from rl_editor.policy_inputs import Normalisation, policy_inputs
from rl_editor.sampled_edits import TEMPERATURE, answers, belief, sampled_edits
from rl_editor.spelling import largest_sizes
from rl_editor.track import Track
from rl_editor.wishes import BeatWishes

DEAD_MATERIALS = (Material.TALK, Material.NOISE, Material.SILENCE)
"""What fills up a share last: other takes and noodling are music at least."""
EFFORTS = (1, 2, 3, 4, 5)
DRAWN_EDITS = {2: 0, 3: 16, 4: 48, 5: 144}
"""How many edits are drawn from the policy at each effort; at 1 nothing is searched for."""
SEARCHED_EDITS = 2
"""From how many of them a search begins, besides the planned one."""
OTHERS_LEAD = 0.15
"""By how much more reward another edit must promise than what becomes of the planned one. Without
it, editing gained most on 153 held-out recordings, and lost a little on the development ones."""
LENGTH_TRIES = 4
"""Plans that are made where actions change the length of the output."""
SHARE_TOLERANCE = 0.02
"""Miss of the output's share that is left as it is then."""


@dataclass(frozen=True)
class Plan:
    """An edit and how sure the policy was of it.

    Attributes:
        state: the finished edit.
        action_spans: the beats [start, end) that each action of `state.actions` decided about,
            from its cursor on; one beat where the cursor did not move forward.
        keep_probability: [N] probability that the beat belongs in the edit, given the edit
            before it, or the edits that may be there (`sampled_edits.belief`).
        materials: [N, 10] probabilities of `materials.Material`.
        music_found: False when the recording holds no music, or the policy would have cut all.
        wishes: what was asked for on its beats, if anything was.
    """

    state: EditState
    action_spans: tuple[tuple[int, int], ...]
    keep_probability: NDArray[np.float64]
    materials: NDArray[np.float32]
    music_found: bool = True
    wishes: BeatWishes | None = None


def plan(
    policy: NumpyPolicy,
    normalisation: Normalisation,
    track: Track,
    start: EditState,
    *,
    target_keep_ratio: float | None = None,
    config: PlannerConfig | None = None,
    wishes: BeatWishes | None = None,
) -> Plan:
    """Return the policy's edit of a track.

    Args:
        policy, normalisation: from one checkpoint.
        track: analysed with the checkpoint's schema.
        start: the untouched edit of this track.
        target_keep_ratio: share of the recording to keep, or None to leave it to the policy.
        config: of the smoothing, and the effort. A share that is asked for is searched for at
            all lengths (`planned_share`) whatever the effort.
        wishes: what is asked for on its beats.
    """
    config, wishes = config or PlannerConfig(), wishes or BeatWishes.none(track.grid.n_beats)
    inputs = policy_inputs(track, normalisation)
    encoded = policy.encode(inputs, track.match_later, track.match_earlier)
    table = CopyTable.from_track(track)
    asked = _Asked(policy, encoded, table, target_keep_ratio, config.keep_bias, wishes)
    if target_keep_ratio is None:
        decided, log_odds = decide(asked.log_odds, track.grid, config)
        keep = asked.finished(decided)
        if config.effort > 1 and keep.any() and not keep.all():
            keep, log_odds = _most_promising(asked, track, decided, config)
        return _planned(asked, start, keep, log_odds)
    search = ShareSearch(
        asked.log_odds,
        config.dead_cost * dead_share(encoded.materials),
        asked.finished,
        track.grid,
        change_cost(track.grid, config),
        config.max_rounds,
        wishes,
    )
    return _planned_share(asked, start, search, target_keep_ratio)


def _most_promising(
    asked: _Asked, track: Track, decided: NDArray[np.bool_], config: PlannerConfig
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the edit [N] of the highest expected reward that a search finds, and its log-odds [N].

    It begins from the most promising of the edits that are drawn from the policy, of the likeliest
    edit under the mean of its answers, and from the edit that it decided on [N].
    """
    grid, finish = track.grid, asked.finished
    drawn = sampled_edits(asked.log_odds, grid, config, DRAWN_EDITS[config.effort])
    drawn = np.concatenate([decided[None], drawn[drawn.any(axis=1)]])
    edits = np.stack([finish(keep) for keep in drawn])
    own = answers(asked.log_odds, drawn, edits)
    mean = own.mean(axis=0)
    odds = TEMPERATURE * log_odds_of(belief(mean, mean)) * grid.durations_s
    path = likeliest_path(odds / np.median(grid.durations_s), change_cost(grid, config))[None]
    if path.any():
        likeliest = finish(path[0])[None]
        edits = np.concatenate([edits, likeliest])
        own = np.concatenate([own, answers(asked.log_odds, path, likeliest)])
    reward = ExpectedReward.of(track, mean)
    rewards = [reward.believing(belief(mean, answer)) for answer in own]
    promise = np.array([r(runs_of(e)[None])[0] for r, e in zip(rewards, edits, strict=True)])
    found: list[tuple[float, int, NDArray[np.bool_]]] = []
    for place in {0, *np.argsort(-promise, kind="stable")[:SEARCHED_EDITS].tolist()}:
        runs, _ = best_nearby(runs_of(edits[place]), rewards[place])
        keep = finish(kept(runs, grid.n_beats))
        value = float(rewards[place](runs_of(keep)[None])[0])
        found.append((value + OTHERS_LEAD * (place == 0), -place, keep))
    _, minus_place, keep = max(found, key=lambda edit: edit[:2])
    return keep, TEMPERATURE * log_odds_of(0.5 * (mean + own[-minus_place]))


def _planned(
    asked: _Asked, start: EditState, keep: NDArray[np.bool_], log_odds: NDArray[np.float64]
) -> Plan:
    """Return the plan that keeps the beats of `keep` [N], with the odds [N] of each."""
    materials = asked.encoded.materials
    stops = asked.prefers_other(keep) | (~keep & material_changes(materials))
    stops[1:] |= np.diff(asked.wishes.is_forced)
    state, action_spans = carry_out(start, keep, asked.other_action, stops)
    keep_probability = np.exp(-np.logaddexp(0.0, -log_odds))
    return Plan(state, action_spans, keep_probability, materials, wishes=asked.wishes)


def _planned_share(asked: _Asked, start: EditState, search: ShareSearch, share: float) -> Plan:
    """Return the plan whose output is nearest to a share of the recording.

    Loops and other speeds make the output longer or shorter than what is kept; then less or more
    is asked for.
    """
    plans: list[tuple[float, Plan]] = []
    wish, least = share, least_share(search.grid)
    for _ in range(LENGTH_TRIES):
        keep, log_odds = search.edit(wish)
        made = _planned(asked, start, keep, log_odds)
        delivered = made.state.output_s / search.grid.duration_s
        plans.append((abs(delivered - share), made))
        changed = delivered - kept_share(keep, search.grid)
        if abs(changed) < least or abs(delivered - share) < SHARE_TOLERANCE:
            break
        wish = min(max(wish + share - delivered, least), 1.0)
    return min(plans, key=lambda tried: tried[0])[1]


def dead_share(materials: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [N] how likely a beat is talk, noise or silence, of [N, 10], over 3 beats."""
    return _over_three_beats(materials)[:, DEAD_MATERIALS].sum(axis=1, dtype=np.float64) / 3.0


def _over_three_beats(materials: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [N, 10] the sum of each beat and its neighbours."""
    padded = np.pad(materials, ((1, 1), (0, 0)), mode="edge")
    summed: NDArray[np.float32] = padded[:-2] + padded[1:-1] + padded[2:]
    return summed


def material_changes(materials: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return [N] where the likeliest material changes, of probabilities [N, 10] over 3 beats.

    A cut that goes on there is a new action, since its reason is another one.
    """
    likeliest = _over_three_beats(materials).argmax(axis=1)
    return np.concatenate([[False], likeliest[1:] != likeliest[:-1]])


def keep_everything(start: EditState, rejected: Plan) -> Plan:
    """Return a plan that changes nothing, for a recording in which the policy found no music."""
    everything = np.ones(len(rejected.keep_probability), dtype=bool)
    state, action_spans = carry_out(start, everything, lambda state: None, ~everything)
    return replace(rejected, state=state, action_spans=action_spans, music_found=False)


def carry_out(
    start: EditState,
    keep: NDArray[np.bool_],
    other_action: Callable[[EditState], Action | None],
    stops: NDArray[np.bool_],
) -> tuple[EditState, tuple[tuple[int, int], ...]]:
    """Return the edit that keeps the beats of `keep` [N], and the span of each of its actions.

    At each cursor `other_action` may name an action that is neither KEEP nor CUT (an effect, a
    loop, a move); it is taken instead of KEEP, as far as `keep` goes on. No KEEP or CUT reaches
    across a beat of `stops` [N], so that it is asked there.
    """
    state, action_spans = start, []
    ends = np.concatenate([np.flatnonzero(np.diff(keep)) + 1, np.flatnonzero(stops), [len(keep)]])
    run_ends = np.unique(ends)
    while not state.done:
        cursor = state.cursor
        run_end = int(run_ends[np.searchsorted(run_ends, cursor, side="right")])
        size = largest_sizes(state.context.lines, cursor, run_end)[0]
        action = _fitting(other_action(state), state, keep, size)
        if action is None:
            action = Action(ActionType.KEEP if keep[cursor] else ActionType.CUT, size)
        state = state.step(action)
        action_spans.append((cursor, max(cursor + 1, state.cursor)))
    return state, tuple(action_spans)


def _fitting(
    action: Action | None, state: EditState, keep: NDArray[np.bool_], size: Size
) -> Action | None:
    """Return an action that plays kept beats or leaves out others, in a size that fits, or None."""
    if action is None or action.type not in (*PLAYING_TYPES, *LEAVING_TYPES):
        return action
    lines, cursor = state.context.lines, state.cursor
    is_double = action.type in (ActionType.SWAP_NEXT, ActionType.SKIP)
    ends = lines.second_end if is_double else lines.span_end
    if np.all(keep[cursor : ends[cursor, action.size]] == (action.type in PLAYING_TYPES)):
        return action
    fits = keep[cursor] and action.type in PLAYING_TYPES and not is_double
    return action._replace(size=size) if fits else None


@dataclass(frozen=True)
class _Asked:
    """One policy's answers about one encoded track."""

    policy: NumpyPolicy
    encoded: EncodedTrack
    table: CopyTable
    target_keep_ratio: float | None
    keep_bias: float
    wishes: BeatWishes

    def finished(self, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return an edit [N] in which nothing is heard twice, and what is asked for is granted."""
        return self.wishes.granted(without_heard_twice(keep, self.table))

    def log_odds(self, played: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return [N] log-odds of playing each beat against leaving it, in the edit `played` [N]."""
        types = self._types(played).astype(np.float64)
        plays, leaves = (
            np.logaddexp.reduce(types[:, kinds], axis=1) for kinds in (PLAYING_TYPES, LEAVING_TYPES)
        )
        return self.wishes.odds(plays - leaves + self.keep_bias)

    def prefers_other(self, played: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return [N] where the likeliest type, given the edit `played` [N], is another one."""
        is_allowed = self.wishes.allowed.any(axis=1)
        best = np.where(is_allowed, self._types(played), -np.inf).argmax(axis=1)
        return ~np.isin(best, (ActionType.KEEP, ActionType.CUT))

    def other_action(self, state: EditState) -> Action | None:
        """Return the policy's action at a cursor if it is neither KEEP nor CUT."""
        edit, masks = edit_so_far(state), state.masks()
        is_allowed = self.wishes.allowed.any(axis=1)
        logits = self.policy.step(self.encoded, edit.cursor, self._context(edit))
        kind = int(np.where(masks.type & is_allowed, logits.types[0], -np.inf).argmax())
        if kind in (ActionType.KEEP, ActionType.CUT):
            return None
        size = int(np.where(masks.size[kind], logits.sizes[0, kind], -np.inf).argmax())
        amounts = masks.amount[kind] & self.wishes.allowed[kind]
        amount = int(np.where(amounts, logits.amounts[0, kind], -np.inf).argmax())
        return Action(ActionType(kind), Size(size), Amount(amount))

    def _types(self, played: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return [N, 20] the logits of the types at every beat of the edit `played` [N]."""
        edit = prefixes(played, self.table.durations_s)
        return self.policy.type_logits(self.encoded, edit.cursor, self._context(edit))

    def _context(self, edit: EditSoFar) -> NDArray[np.float32]:
        return context(self.table, edit, self.target_keep_ratio)
