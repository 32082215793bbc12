"""Decisions at the times of the sound: what they say is kept is what the clips play."""

import itertools

import numpy as np
import pytest

from rl_editor.actions import ActionType
from rl_editor.boundary_refinement import refine_boundaries
from rl_editor.decision_times import (
    JOIN_REASON,
    LEAD_REASON,
    REMOVING_NAMES,
    TAIL_REASON,
    at_the_sound,
    heard_seconds,
    heard_spans,
    heard_stretches,
)
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip, Decision, back_to_back
from rl_editor.infer import edit
from rl_editor.joins import fit_joins
from rl_editor.sample_readers import ArrayReader
from rl_editor.tests.made_edits import random_edit, uneven_track
from rl_editor.tests.made_recordings import music

SR = 8000


def decisions_of(*parts):
    """Return decisions (type, start_s, end_s), one after the other, and their spans [D, 2]."""
    made = [Decision(i, a, kind, "BAR", "NEUTRAL", 0.9) for i, (kind, a, _) in enumerate(parts)]
    return made, np.array([(a, b) for _, a, b in parts], dtype=np.float64)


def placed(made, spans_s, *heard, duration_s=20.0):
    """Return (type, time_s) of decisions when these spans are heard."""
    clips = back_to_back([Clip(a, b) for a, b in heard], 44100)
    out = at_the_sound(made, spans_s, clips, duration_s)
    return [(d.type, round(d.time_s, 3)) for d in out]


def missed_s(made, clips, duration_s):
    """Return the seconds that decisions call kept and no clip plays, or the other way round."""
    times_s = [*(d.time_s for d in made), duration_s]
    assert times_s[0] == 0.0
    assert all(a <= b for a, b in itertools.pairwise(times_s))
    kept = [
        (a, b)
        for d, a, b in zip(made, times_s[:-1], times_s[1:], strict=True)
        if d.type not in REMOVING_NAMES
    ]
    played = [(c.source_start_s, c.source_end_s) for c in clips]
    edges_s = np.unique([0.0, duration_s, *itertools.chain(*kept, *played)])
    inside = [heard_seconds(spans, edges_s) > 0.0 for spans in (kept, played)]
    return float(np.diff(edges_s)[inside[0] != inside[1]].sum())


def decided(done, track):
    """Return the decisions of an edit on their beats, and their spans [D, 2]."""
    state, parts = EditState.begin(done.context), []
    for action in done.actions:
        before, state = state.cursor, state.step(action)
        span = before, max(before + 1, state.cursor)
        parts.append((action.type.name, *track.grid.edges_s[list(span)].tolist()))
    return decisions_of(*parts)


def test_borders_lie_where_the_cuts_went():
    made, spans_s = decisions_of(("CUT", 0, 4), ("KEEP", 4, 10), ("CUT", 10, 12), ("KEEP", 12, 20))
    heard = [(3.7, 10.4), (11.1, 20.0)]
    assert placed(made, spans_s, *heard) == [
        ("CUT", 0.0),
        ("KEEP", 3.7),
        ("CUT", 10.4),
        ("KEEP", 11.1),
    ]
    assert placed(made, spans_s, (4.0, 10.0), (12.0, 20.0)) == [
        (kind.type, kind.time_s) for kind in made
    ]


def test_a_decision_of_which_nothing_remains_is_left_out():
    made, spans_s = decisions_of(
        ("KEEP", 0, 8), ("CUT", 8, 9), ("CUT", 9, 12), ("KEEP", 12, 12.5), ("KEEP", 12.5, 20)
    )
    assert placed(made, spans_s, (0.0, 9.2), (12.6, 20.0)) == [
        ("KEEP", 0.0),
        ("CUT", 9.2),
        ("KEEP", 12.6),
    ]
    made, spans_s = decisions_of(
        ("CUT", 0, 0.5), ("KEEP", 0.5, 8), ("CUT", 8, 8.5), ("KEEP", 8.5, 20)
    )
    assert placed(made, spans_s, (0.0, 20.0)) == [("KEEP", 0.0), ("KEEP", 8.5)]


def test_a_short_cut_goes_with_the_join_that_moved_it():
    made, spans_s = decisions_of(("KEEP", 0, 8), ("CUT", 8, 8.3), ("KEEP", 8.3, 20))
    moved = [("KEEP", 0.0), ("CUT", 8.4), ("KEEP", 8.7)]
    assert placed(made, spans_s, (0.0, 8.4), (8.7, 20.0)) == moved


def test_what_only_a_join_leaves_out_is_told():
    made, spans_s = decisions_of(
        ("KEEP", 0, 5), ("REORDER", 5, 8), ("KEEP", 8, 15), ("CUT", 15, 20)
    )
    clips = [Clip(5.0, 8.0), Clip(0.0, 5.0), Clip(8.2, 15.0)]
    out = at_the_sound(made, spans_s, clips, 20.0)
    assert [(d.type, d.time_s) for d in out] == [
        ("KEEP", 0.0),
        ("REORDER", 5.0),
        ("CUT", 8.0),
        ("KEEP", 8.2),
        ("CUT", 15.0),
    ]
    assert (out[2].reason, out[2].probability, out[2].material) == (JOIN_REASON, None, None)


def test_silence_that_goes_from_the_ends_of_an_edit_is_told():
    made, spans_s = decisions_of(("CUT", 0, 4), ("KEEP", 4, 14), ("CUT", 14, 20))
    out = at_the_sound(made, spans_s, [Clip(8.0, 11.0)], 20.0)
    assert [(d.type, d.time_s, d.reason) for d in out] == [
        ("CUT", 0.0, ""),
        ("CUT", 4.0, LEAD_REASON),
        ("KEEP", 8.0, ""),
        ("CUT", 11.0, TAIL_REASON),
        ("CUT", 14.0, ""),
    ]
    assert [d.probability for d in out] == [0.9, None, 0.9, None, 0.9]
    assert placed(made, spans_s, (5.5, 13.0)) == [("CUT", 0.0), ("KEEP", 5.5), ("CUT", 13.0)]
    made, spans_s = decisions_of(("KEEP", 0, 6), ("CUT", 6, 8), ("KEEP", 8, 20))
    out = at_the_sound(made, spans_s, [Clip(0.7, 6.0), Clip(8.0, 19.5)], 20.0)
    assert [d.reason for d in out] == [LEAD_REASON, "", "", "", TAIL_REASON]


def test_repeats_stand_before_what_was_decided_next():
    made, spans_s = decisions_of(
        ("KEEP", 0, 8), ("REPEAT_PREV", 8, 9), ("CUT", 8, 12), ("KEEP", 12, 20)
    )
    assert placed(made, spans_s, (0.0, 8.2), (6.0, 8.0), (11.9, 20.0)) == [
        ("KEEP", 0.0),
        ("REPEAT_PREV", 8.2),
        ("CUT", 8.2),
        ("KEEP", 11.9),
    ]


def test_an_edit_that_jumps_back_stays_on_its_beats():
    made, spans_s = decisions_of(("KEEP", 0, 8), ("JUMP_BACK", 8, 8.5), ("KEEP", 4, 20))
    assert placed(made, spans_s, (0.0, 8.2), (4.1, 20.0)) == [(d.type, d.time_s) for d in made]


def test_every_second_counts_once():
    assert heard_spans([(3.0, 5.0), (0.0, 1.0), (4.0, 4.5), (1.0, 2.0), (6.0, 6.0)]) == [
        (0.0, 2.0),
        (3.0, 5.0),
    ]
    seconds = heard_seconds([(0.0, 0.75), (0.0, 0.75)], np.arange(5) / 2)
    assert seconds.tolist() == [0.5, 0.25, 0.0, 0.0]
    stretches = heard_stretches([Clip(0.0004, 3.0), Clip(3.0005, 5.0)], 8.0)
    assert [(s.start_s, s.end_s, s.is_heard) for s in stretches] == [
        (0.0, 5.0, True),
        (5.0, 8.0, False),
    ]
    assert [s.is_heard for s in heard_stretches([], 8.0)] == [False]


@pytest.mark.parametrize("other_share", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_is_what_is_heard(seed, other_share):
    rng = np.random.default_rng(seed)
    track = uneven_track(32, rng)
    state = random_edit(track, rng, other_share)
    while any(action.type == ActionType.JUMP_BACK for action in state.actions):
        state = random_edit(track, rng, other_share)
    reader = ArrayReader(music(track.duration_s, seed)[: track.n_samples, None], SR)
    refined = refine_boundaries(state.clips(), reader, track.grid)
    clips = fit_joins(refined.clips, reader, track.grid, refined.goes_on.tolist()).clips
    made, spans_s = decided(state, track)
    out = at_the_sound(made, spans_s, clips, track.duration_s)
    assert missed_s(out, clips, track.duration_s) < 1e-3 * (len(clips) + 1)


def test_a_whole_edit_says_what_is_heard(recording, tmp_path, checkpoints):
    edl = edit(recording, tmp_path / "edited.wav", checkpoint=checkpoints["mix"]).edl
    assert missed_s(edl.decisions, edl.clips, edl.source.duration_s) < 1e-3
