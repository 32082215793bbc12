"""The heaviest chain of right beats equals the search over all chains."""

import numpy as np
import pytest

from rl_editor.finished_edits import FinishedEdits
from rl_editor.grid import steady_grid
from rl_editor.heard_output import HeardOutput
from rl_editor.materials import Material
from rl_editor.reward_agreement import right_seconds
from rl_editor.reward_tables import RewardTables
from rl_editor.spans import Span, append
from rl_editor.tests.made_tasks import made_track
from rl_editor.truth import Segment, Truth

N_BEATS = 12
LENGTH_S = steady_grid(N_BEATS * 0.5).duration_s


def scattered_truth(rng):
    """Return a truth in which every beat has a place of its own or that of another beat."""
    places = rng.integers(0, 8, size=N_BEATS) * 0.5
    edges_s = steady_grid(LENGTH_S).edges_s
    ends_s = edges_s[:-1] + rng.choice([0.3, 0.4], N_BEATS)  # beats differ in right seconds
    segments = []
    for beat in range(N_BEATS):
        start_s, end_s, place_s = float(edges_s[beat]), float(ends_s[beat]), float(places[beat])
        segments.append(Segment(start_s, end_s, Material.MUSIC, True, piece_start_s=place_s))
        segments.append(Segment(end_s, float(edges_s[beat + 1]), Material.NOISE, False))
    weights = ends_s - edges_s[:-1]
    return Truth(LENGTH_S, tuple(segments)), np.round(places + weights / 2, 6), weights


def random_spans(rng):
    """Return up to five spans of up to four beats, some of them twice."""
    spans = ()
    for _ in range(rng.integers(0, 6)):
        start = int(rng.integers(0, N_BEATS - 1))
        span = Span(start, min(N_BEATS, start + int(rng.integers(1, 5))))
        for _ in range(rng.integers(1, 3)):
            spans = append(spans, span)
    return spans


def heaviest_by_search(places, weights):
    best = np.zeros(len(places))
    for i in range(len(places)):
        earlier = [best[j] for j in range(i) if places[j] < places[i]]
        best[i] = weights[i] + max(earlier, default=0.0)
    return float(best.max(initial=0.0))


@pytest.mark.parametrize("seed", range(8))
def test_right_seconds_are_those_of_the_heaviest_chain(seed):
    rng = np.random.default_rng(seed)
    truths = [scattered_truth(rng) for _ in range(3)]
    tables = RewardTables.of([made_track(N_BEATS, 0)] * 3, [truth for truth, *_ in truths])
    index = rng.integers(0, 3, size=40)
    spans = [random_spans(rng) for _ in index]
    edits = FinishedEdits.of_spans(spans, [()] * len(index), index.tolist(), [None] * len(index))
    found = right_seconds(HeardOutput.of(tables, edits))
    for e, task in enumerate(index):
        _, places, weights = truths[task]
        beats = [beat for span in spans[e] for beat in range(span.start, span.end)]
        assert found[e] == pytest.approx(heaviest_by_search(places[beats], weights[beats]))
