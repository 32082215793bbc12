"""The heaviest chain of right beats equals the search over all chains."""

from itertools import pairwise

import numpy as np
import pytest

from rl_editor.edl import Clip
from rl_editor.finished_edits import FinishedEdits
from rl_editor.grid import steady_grid
from rl_editor.heard_output import HeardOutput
from rl_editor.materials import Material
from rl_editor.reward_agreement import right_seconds
from rl_editor.reward_tables import RewardTables
from rl_editor.spans import Sound, Span, append
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


def common(heard, asked, length_s):
    """Return the heaviest common subsequence of two lists, each item `length_s` long."""
    table = np.zeros((len(heard) + 1, len(asked) + 1))
    for i, one in enumerate(heard):
        for j, other in enumerate(asked):
            table[i + 1, j + 1] = max(
                table[i, j + 1], table[i + 1, j], table[i, j] + length_s * (one == other)
            )
    return float(table[-1, -1])


@pytest.mark.parametrize("seed", range(8))
def test_of_a_piece_with_loops_and_effects_each_time_counts_once(seed):
    rng = np.random.default_rng(seed)
    sounds = (Sound(), Sound(rate=1.25), Sound(reverse=True), Sound(eq_low_db=-6.0))
    edges_s = steady_grid(LENGTH_S).edges_s.tolist()
    clips, asked = [], []
    for _ in range(4):
        start = int(rng.integers(0, N_BEATS - 3))
        stop, sound = start + int(rng.integers(1, 4)), sounds[rng.integers(len(sounds))]
        asked += beats_of(Span(start, stop, sound))
        clips.append(
            Clip(
                edges_s[start],
                edges_s[stop],
                rate=sound.rate,
                reverse=sound.reverse,
                eq_low_db=sound.eq_low_db,
            )
        )
    played = {beat for beat, _ in asked}
    segments = [
        Segment(a, b, Material.MUSIC, beat in played, piece_start_s=a if beat in played else None)
        for beat, (a, b) in enumerate(pairwise(edges_s))
    ]
    truth = Truth(LENGTH_S, tuple(segments), tuple(clips))
    tables = RewardTables.of([made_track(N_BEATS, 0)], [truth])
    edits = [
        [
            Span(span.start, span.end, sounds[rng.integers(len(sounds))])
            for span in random_spans(rng)
        ]
        for _ in range(30)
    ]
    n = len(edits)
    found = right_seconds(
        HeardOutput.of(tables, FinishedEdits.of_spans(edits, [()] * n, [0] * n, [None] * n))
    )
    for spans, right_s in zip(edits, found, strict=True):
        heard = [beat for span in spans for beat in beats_of(span)]
        assert right_s == pytest.approx(common(heard, asked, 0.5))


def beats_of(span):
    beats = range(span.start, span.end)
    return [(beat, span.sound) for beat in (reversed(beats) if span.sound.reverse else beats)]
