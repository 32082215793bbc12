"""How well an editor keeps the share that it is asked for, and if it chooses as the reward does.

    OMP_NUM_THREADS=1 python -m benchmarks.conditioning FOLDER ... [--sessions 3] [--json FILE]

FOLDER is training data with known edits, or has finished tracks in reference/, out of which
sessions are made. Each recording with enough to choose from is edited with a share of 30, 50 and
70% asked for: at least 64 beats, and what is no silence is at least 5 points more than the share.
Told are

- the length: how far the output is from what was asked for;
- the rank of the edit's reward among random edits of the same length, those better than it above it
  (100: none; ties count half): phrases or bars drawn at random out of the recording; out of what
  the editor keeps when nothing is asked for, where that is at least 5 points more than the share;
  all of that and phrases or bars besides, where it is at least 5 points less;
- what is added to the latter: music (wanted, other takes, flawed takes, false starts) or talk,
  noise and silence, by the truth, beside what random phrases would add.

Exits with 1 where an output is more than 5 points off.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rl_editor import checkpoint
from rl_editor.config import RewardConfig
from rl_editor.demonstrations import Demonstration, edit_context
from rl_editor.edit_state import EditState
from rl_editor.errors import UserError
from rl_editor.finished_edits import FinishedEdits
from rl_editor.gate_edits import PlayedBeats, finished
from rl_editor.gate_report import folder_items, item_demonstrations
from rl_editor.grid import BeatGrid
from rl_editor.infer import default_checkpoint
from rl_editor.materials import Material
from rl_editor.numpy_policy import NumpyPolicy
from rl_editor.planner import plan
from rl_editor.reward_tables import RewardTables
from rl_editor.rewards import REWARD_TERMS, total_rewards
from rl_editor.training_items import SessionDraw

SHARES = (0.3, 0.5, 0.7)
LEAST_BEATS = 64
ROOM = 0.05
"""Share of the recording by which there must be more, or less, than is asked for."""
PROMISED = 0.05
"""Most by which the share may be missed."""
SEED = 1_000_003
"""Of the sessions; training uses small seeds."""
N_RANDOM = 200
MUSIC = (Material.MUSIC, Material.FALSE_START, Material.FLAWED_TAKE, Material.REDUNDANT_REPEAT)
DEAD = (Material.TALK, Material.NOISE, Material.SILENCE)
SOURCES = ("recording", "own edit", "own edit and more")
UNITS = ("phrases", "bars")

Keep = NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """One recording for which one share was asked.

    Attributes:
        name: of the recording.
        share, delivered: of its time that was asked for and that the output lasts.
        true_share, own_share: that the known edit, and the editor when nothing is asked for, keep.
        n_joins, shortest_bars: joins of the output and its shortest passage, bars.
        rank, agreement_rank: by source and unit of the random edits, in [0, 100].
        added, random_added: share of music and of dead material in what is added, of the editor
            and of random phrases; empty where nothing is.
    """

    name: str
    share: float
    delivered: float
    true_share: float
    own_share: float
    n_joins: int
    shortest_bars: float
    rank: dict[str, float] = field(default_factory=dict)
    agreement_rank: dict[str, float] = field(default_factory=dict)
    added: tuple[float, ...] = ()
    random_added: tuple[float, ...] = ()

    @property
    def is_shorter(self) -> bool:
        """Whether no more is asked for than the known edit keeps."""
        return self.share <= self.true_share


class Editor:
    """A checkpoint's editor."""

    def __init__(self, path: str | Path) -> None:
        self._loaded = checkpoint.load(path)
        self._policy = NumpyPolicy(self._loaded.weights, self._loaded.config.agent)
        self.seconds: dict[bool, list[float]] = {False: [], True: []}

    def edit(self, shown: Demonstration, share: float | None) -> EditState:
        """Return its edit of a recording; the time it took is told by whether a share was asked."""
        start, began = EditState.begin(edit_context(shown.track)), time.perf_counter()
        made = plan(
            self._policy,
            self._loaded.normalisation,
            shown.track,
            start,
            target_keep_ratio=share,
            config=self._loaded.config.planner,
        )
        self.seconds[share is not None].append(time.perf_counter() - began)
        return made.state


def outcomes(
    editor: Editor, name: str, shown: Demonstration, n_random: int, seed: int
) -> Iterator[Outcome]:
    """Yield what became of each share that the recording has enough for."""
    grid = shown.track.grid
    if grid.n_beats < LEAST_BEATS:
        return
    lengths_s, total_s = grid.durations_s, grid.duration_s
    silent = float(lengths_s @ (shown.material == Material.SILENCE)) / total_s
    own = editor.edit(shown, None).played > 0
    tables = RewardTables.of([shown.track], [shown.truth])
    rng = np.random.default_rng(seed)
    for share in SHARES:
        if 1.0 - silent < share + ROOM:
            continue
        state = editor.edit(shown, share)
        randoms = random_edits(grid, own, share, n_random, rng)
        ranks = {key: ranks_among(tables, state, keeps, share) for key, keeps in randoms.items()}
        more = randoms.get(f"{SOURCES[2]}, {UNITS[0]}", [])
        added = [shares_of_added(shown, own, keep) for keep in (state.played > 0, *more)]
        spans = state.spans()
        yield Outcome(
            name=name,
            share=share,
            delivered=state.output_s / total_s,
            true_share=float(lengths_s @ shown.wanted) / total_s,
            own_share=float(lengths_s @ own) / total_s,
            n_joins=len(spans) - 1,
            shortest_bars=min(span.n_beats for span in spans) / grid.meter,
            rank={key: rank[0] for key, rank in ranks.items()},
            agreement_rank={key: rank[1] for key, rank in ranks.items()},
            added=added[0] if more else (),
            random_added=tuple(np.mean(added[1:], axis=0).tolist()) if more else (),
        )


def ranks_among(
    tables: RewardTables, state: EditState, keeps: Sequence[Keep], share: float
) -> list[float]:
    """Return the percentiles of an edit's reward and of its agreement among those of others."""
    others = finished([PlayedBeats.kept(keep) for keep in keeps], 0, [share] * len(keeps))
    paid = rewards(tables, FinishedEdits.join([FinishedEdits.of([state], [0], [share]), others]))
    return [percentile(column[0], column[1:]) for column in paid.T]


def rewards(tables: RewardTables, edits: FinishedEdits) -> NDArray[np.float64]:
    """Return [E, 2] the rewards of some edits and their agreement with the known one."""
    total, terms = total_rewards(tables, edits, RewardConfig())
    return np.stack([total, terms[:, REWARD_TERMS.index("reference_agreement")]], axis=1)


def percentile(value: float, others: NDArray[np.float64]) -> float:
    """Return the percentile of a value among others: 100 above all, 50 equal to all."""
    equal = np.abs(others - value) <= 1e-9
    return 100.0 * float(np.mean(np.where(equal, 0.5, others < value)))


def random_edits(
    grid: BeatGrid, own: Keep, share: float, n_random: int, rng: np.random.Generator
) -> dict[str, list[Keep]]:
    """Return random edits of a share by source and unit; none of sources that do not apply."""
    own_share = float(grid.durations_s @ own) / grid.duration_s
    everything, nothing = np.ones(grid.n_beats, dtype=bool), np.zeros(grid.n_beats, dtype=bool)
    sources = {SOURCES[0]: (everything, nothing, share)}
    if own_share >= share + ROOM:
        sources[SOURCES[1]] = own, nothing, share
    elif own_share <= share - ROOM:
        sources[SOURCES[2]] = ~own, own, share - own_share
    lines = {"phrases": grid.phrase_lines(), "bars": grid.bar_lines()}
    found = {}
    for source, (within, base, added) in sources.items():
        for unit in UNITS:
            pieces = parts(within, lines[unit])
            found[f"{source}, {unit}"] = [
                base | drawn(pieces, grid, added, rng) for _ in range(n_random)
            ]
    return found


def parts(within: Keep, lines: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the beats of `within` [N] in pieces that end at the lines and at its own gaps."""
    beats = np.flatnonzero(within)
    at_line = np.isin(beats[1:], lines)
    return np.split(beats, np.flatnonzero(at_line | (np.diff(beats) != 1)) + 1)


def drawn(
    pieces: Sequence[NDArray[np.int64]], grid: BeatGrid, share: float, rng: np.random.Generator
) -> Keep:
    """Return random pieces that last a share of the recording to half a beat, the last one cut."""
    keep = np.zeros(grid.n_beats, dtype=bool)
    order = [pieces[index] for index in rng.permutation(len(pieces))]
    beats = np.concatenate(order)
    ends_s = np.cumsum(grid.durations_s[beats])
    middle_s = ends_s - grid.durations_s[beats] / 2
    keep[beats[middle_s <= share * grid.duration_s]] = True
    return keep


def shares_of_added(shown: Demonstration, own: Keep, keep: Keep) -> tuple[float, float]:
    """Return how much of what an edit has more than `own` is music, and talk, noise or silence.

    A beat that is wanted in part is music in that part.
    """
    added_s = shown.track.grid.durations_s * (keep & ~own)
    unwanted_s = added_s * (1.0 - shown.wanted)
    music_s = (added_s - unwanted_s).sum() + unwanted_s[np.isin(shown.material, MUSIC)].sum()
    dead_s = unwanted_s[np.isin(shown.material, DEAD)].sum()
    total_s = max(float(added_s.sum()), 1e-9)
    return float(music_s) / total_s, float(dead_s) / total_s


def length_table(found: Sequence[Outcome]) -> str:
    """Return how far the outputs are from what was asked for."""
    lines = [
        "| asked for | edits | mean error | within 5 points | worst | shortest passage, bars |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for share in SHARES:
        for is_shorter in (True, False):
            rows = [o for o in found if o.share == share and o.is_shorter == is_shorter]
            if not rows:
                continue
            off = np.array([abs(o.delivered - o.share) for o in rows])
            than = "shorter" if is_shorter else "longer"
            lines.append(
                f"| {share:.0%}, {than} than the known edit | {len(rows)} | {100 * off.mean():.1f} "
                f"| {np.mean(off <= PROMISED):.1%} | {100 * off.max():.1f} "
                f"| {min(o.shortest_bars for o in rows):.1f} |"
            )
    return "\n".join(lines)


def rank_table(found: Sequence[Outcome]) -> str:
    """Return where the edits lie among random ones of their length."""
    lines = [
        "| random edits | edits | rank of the reward: median | mean | below 50 "
        "| of the agreement: median | mean | below 50 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for source in SOURCES:
        for unit in UNITS:
            key = f"{source}, {unit}"
            rows = [o for o in found if key in o.rank]
            if rows:
                cells = [
                    f"{np.median(ranks):.1f} | {np.mean(ranks):.1f} | {np.mean(ranks < 50):.1%}"
                    for ranks in (
                        np.array([o.rank[key] for o in rows]),
                        np.array([o.agreement_rank[key] for o in rows]),
                    )
                ]
                lines.append(f"| {key} | {len(rows)} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def added_words(found: Sequence[Outcome]) -> str:
    """Return a sentence about what was added."""
    rows = [o for o in found if o.added]
    if not rows:
        return "Nothing had to be added."
    own, random = (
        np.mean([getattr(o, name) for o in rows], axis=0) for name in ("added", "random_added")
    )
    more = np.mean([o.added[0] >= o.random_added[0] for o in rows])
    return (
        f"Of what was added in {len(rows)} edits {own[0]:.1%} is music and {own[1]:.1%} talk, "
        f"noise or silence (of random phrases {random[0]:.1%} and {random[1]:.1%}); it is as much "
        f"music as in those, or more, in {more:.1%} of the edits."
    )


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def measured(
    editor: Editor, named: Iterable[tuple[str, Demonstration]], n_random: int
) -> list[Outcome]:
    """Return all outcomes of some recordings."""
    found: list[Outcome] = []
    for number, (name, shown) in enumerate(named):
        rows = list(outcomes(editor, name, shown, n_random, number))
        found += rows
        off = max((abs(row.delivered - row.share) for row in rows), default=0.0)
        tell(f"{name}: {len(rows)} shares" + (f", {100 * off:.1f} points off" if rows else ""))
    return found


def told(editor: Editor, found: Sequence[Outcome]) -> int:
    """Print the tables and return the exit code."""
    print(length_table(found), rank_table(found), added_words(found), sep="\n\n")
    alone, asked = (1000 * np.median(editor.seconds[is_asked]) for is_asked in (False, True))
    print(f"\nA plan takes {asked:.0f} ms with a share and {alone:.0f} ms without (median).")
    return int(any(abs(row.delivered - row.share) > PROMISED for row in found))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="of training data")
    parser.add_argument("--checkpoint", default=str(default_checkpoint()), metavar="FILE")
    parser.add_argument("--sessions", type=int, default=3, help="of each finished track")
    parser.add_argument(
        "--random", type=int, default=N_RANDOM, help="edits of each source and unit"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of the sessions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome there")
    arguments = parser.parse_args(argv)
    draw = SessionDraw(arguments.sessions, arguments.seed)
    try:
        editor = Editor(arguments.checkpoint)
        items = folder_items(arguments.folders, draw, tell)
        named = item_demonstrations(items, draw, tell, lambda number, total, name: None)
        found = measured(editor, named, arguments.random)
        if not found:
            raise UserError(
                f"{', '.join(arguments.folders)} should hold a recording of {LEAST_BEATS} beats "
                "or more with a known edit, but holds none; name another folder."
            )
    except UserError as error:
        tell(f"conditioning: {error}")
        return 2
    if arguments.json:
        everything = [dataclasses.asdict(outcome) for outcome in found]
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")
    return told(editor, found)


if __name__ == "__main__":
    sys.exit(main())
