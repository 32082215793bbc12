"""What there is to learn from in a training folder: items, their demonstrations, their pieces.

An item is one line of a table: a pair with a human edit, a corrected edit list, a session with its
exact truth, a finished track or a score out of which sessions are made. Items that share a piece
are told by names and by contents, so that no piece is both learned and judged by.

In: `PairListing`. Out: `Item`, and `Demonstration` of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rl_editor.alignment_cache import aligned_truth, listed_truth
from rl_editor.analysis import analyze
from rl_editor.cache import Cache, file_sha256
from rl_editor.demonstrations import MAX_LENGTH_ERROR_S, Demonstration, demonstrate
from rl_editor.errors import UserError
from rl_editor.pairs import Pair, PairListing
from rl_editor.performance_demonstrations import check_synthesizer, performance_demonstration
from rl_editor.reference_sessions import reference_demonstrations
from rl_editor.session_files import read_origin, read_truth
from rl_editor.truth import Truth

Kind = Literal["pair", "edit list", "session", "track", "score"]


MAX_OFF_BEAT_LOSS = 0.01
"""Share of a human edit that may be wrong by whole beats before it is told."""


@dataclass(frozen=True)
class SessionDraw:
    """Sessions made on the fly: how many of each track or score, and their seed."""

    count: int
    seed: int


@dataclass(frozen=True)
class Item:
    """Something to learn from.

    Attributes:
        kind: what it is.
        name: of a pair, or of the file of a track or score.
        path: the raw recording, track or score.
        pair: None for tracks and scores.
    """

    kind: Kind
    name: str
    path: Path
    pair: Pair | None = None

    def __str__(self) -> str:
        return str(self.path)


def find_items(
    listing: PairListing, has_sessions: bool, on_problem: Callable[[str], None]
) -> list[Item]:
    """Return the items of a folder: pairs, then tracks, then scores.

    Args:
        listing: of the folder.
        has_sessions: whether sessions are to be made out of tracks and scores.
        on_problem: hears once of scores that nothing can play.
    """
    items = [Item(_kind(pair), pair.name, pair.raw_path, pair) for pair in listing.pairs]
    if has_sessions:
        items += [Item("track", path.name, path) for path in listing.references]
        items += [Item("score", path.name, path) for path in _playable(listing.scores, on_problem)]
    return items


def _kind(pair: Pair) -> Kind:
    if pair.edl_path is not None:
        return "edit list"
    return "pair" if pair.truth_path is None else "session"


def _playable(scores: Sequence[Path], on_problem: Callable[[str], None]) -> Sequence[Path]:
    if not scores:
        return scores
    try:
        check_synthesizer()
    except UserError as error:
        on_problem(f"the MIDI scores ({len(scores)}), {scores[0]} first: {error}")
        return ()
    return scores


def demonstrations(item: Item, draw: SessionDraw, cache: Cache | None) -> list[Demonstration]:
    """Return what an item shows; tracks and scores depend on their content and on `draw` alone.

    Raises:
        UserError: a file cannot be used; names it.
    """
    if item.kind == "track":
        return reference_demonstrations(item.path, draw.count, draw.seed, cache)
    if item.kind == "score":
        return [
            performance_demonstration(item.path, number, draw.seed, cache)
            for number in range(draw.count)
        ]
    assert item.pair is not None
    truth = pair_truth(item.pair, cache)
    return [demonstrate(analyze(item.path, cache=cache), truth)]


def off_beat_words(item: Item, shown: Sequence[Demonstration]) -> list[str]:
    """Return a sentence for each human edit whose cuts lie off the beats by more than 1% of it."""
    if item.kind not in ("pair", "edit list"):
        return []
    losses = [demonstration.off_beat_loss for demonstration in shown]
    return [
        f"{item.name}: cuts lie off the beats, so that edits in whole beats differ from it by "
        f"{loss:.1%} of its length"
        for loss in losses
        if loss > MAX_OFF_BEAT_LOSS
    ]


def pair_truth(pair: Pair, cache: Cache | None) -> Truth:
    """Return what is known about a raw recording.

    A corrected edit list counts first, then an exact truth; otherwise the edited audio is
    aligned.

    Raises:
        UserError: the files of the pair cannot be read or do not belong together.
    """
    if pair.edl_path is not None:
        return listed_truth(pair.raw_path, pair.edl_path, cache)
    if pair.truth_path is None:
        assert pair.edit_path is not None
        return aligned_truth(pair.raw_path, pair.edit_path, cache)
    truth, duration_s = read_truth(pair.truth_path), analyze(pair.raw_path, cache=cache).duration_s
    if abs(truth.duration_s - duration_s) > MAX_LENGTH_ERROR_S:
        raise UserError(
            f"{pair.truth_path} should be about {pair.raw_path}, but is about a recording of "
            f"{truth.duration_s:.2f} s, and this one lasts {duration_s:.2f} s; make the session "
            "again or move the truth away."
        )
    return truth


def piece_marks(item: Item) -> frozenset[str]:
    """Return the names and hashes by which items of one piece are known.

    These are the hashes of its files and its name; of a made session, instead of its name, the
    name and the hash of what it was made out of.

    Raises:
        UserError: a file cannot be read.
    """
    if item.pair is None:
        return frozenset({item.path.stem.casefold(), file_sha256(item.path)})
    paths = [item.pair.raw_path, item.pair.edit_path]
    marks = {file_sha256(path) for path in paths if path is not None}
    origin = None if item.pair.truth_path is None else read_origin(item.pair.truth_path)
    if origin is None:
        return frozenset(marks | {item.name.casefold()})
    return frozenset(marks | {origin.piece.casefold(), origin.sha256})


def by_piece(marks: Iterable[frozenset[str]]) -> list[list[int]]:
    """Return the indices of the items of each piece: those that share a mark, however indirectly.

    Pieces are in the order of their first items.
    """
    pieces: list[tuple[set[str], list[int]]] = []
    for index, own in enumerate(marks):
        known = [piece for piece in pieces if piece[0] & own]
        pieces = [piece for piece in pieces if not piece[0] & own]
        all_marks = set(own).union(*(piece[0] for piece in known))
        pieces.append((all_marks, sorted([index, *(i for piece in known for i in piece[1])])))
    return sorted(indices for _, indices in pieces)
