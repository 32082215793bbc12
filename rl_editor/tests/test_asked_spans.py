"""What is to be kept is heard to the sample, what is to be dropped is not."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.asked_spans import GUARD_S, NOTHING_ASKED, REACH_S, AskedSpans, played_spans
from rl_editor.boundary_refinement import MAX_REACH_S
from rl_editor.edl import Clip
from rl_editor.grid import steady_grid
from rl_editor.joins import fit_joins
from rl_editor.sample_readers import ArrayReader
from rl_editor.wishes import merged_spans, without_spans

SR = 8000
LENGTH_S = 60.0
TIMES = st.integers(0, 600).map(lambda tenths: tenths / 10)
SPANS = st.lists(st.tuples(TIMES, TIMES).filter(lambda s: s[0] < s[1]), max_size=4)


def overlap_s(one, other):
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def clips_of(spans):
    return [Clip(*span) for span in merged_spans(spans)]


@settings(deadline=None)
@given(SPANS, SPANS, SPANS)
def test_wishes_hold_whatever_was_planned(planned, keep, drop):
    drop_s = merged_spans(drop)
    keep_s = merged_spans(p for span in merged_spans(keep) for p in without_spans(span, drop_s))
    asked = AskedSpans(keep_s, drop_s, LENGTH_S)
    clips = asked.heard(clips_of(planned))
    assert not any(
        overlap_s((clip.source_start_s, clip.source_end_s), span)
        for clip in clips
        for span in drop_s
    )
    for span in keep_s:
        heard_s = sum(overlap_s((c.source_start_s, c.source_end_s), span) for c in clips)
        assert heard_s >= span[1] - span[0] - GUARD_S - 1e-9
    starts = [clip.source_start_s for clip in clips]
    assert starts == sorted(starts)
    for before, after in itertools.pairwise(clips):
        assert before.source_end_s <= after.source_start_s


def test_without_wishes_nothing_changes():
    clips = (Clip(3.0, 9.0, fade_in_s=0.5), Clip(20.0, 30.0, 6.0, rate=1.25))
    assert NOTHING_ASKED.heard(clips) == clips
    assert not NOTHING_ASKED.stays(5.0)


def test_a_clip_is_cut_off_before_what_is_dropped_and_goes_on_after_it():
    asked = AskedSpans((), ((10.0, 12.0),), LENGTH_S)
    (left, right) = asked.heard([Clip(5.0, 20.0, fade_in_s=0.5, fade_out_s=1.0)])
    assert (left.source_start_s, right.source_end_s) == (5.0, 20.0)
    assert left.source_end_s < 10.0
    assert right.source_start_s > 12.0
    assert (left.fade_in_s, left.fade_out_s) == (0.5, 0.0)
    assert (right.fade_in_s, right.fade_out_s) == (0.0, 1.0)
    backwards = asked.heard([Clip(5.0, 20.0, fade_in_s=0.5, reverse=True)])
    assert [clip.source_start_s > 11.0 for clip in backwards] == [True, False]
    assert [clip.fade_in_s for clip in backwards] == [0.5, 0.0]


def test_what_is_missing_joins_the_clip_beside_it_or_becomes_one():
    asked = AskedSpans(((10.0, 12.0),), (), LENGTH_S)
    (grown,) = asked.heard([Clip(5.0, 11.0)])
    assert grown.source_end_s > 12.0
    found = asked.heard([Clip(1.0, 2.0), Clip(30.0, 40.0)])
    assert len(found) == 3
    assert found[1].source_start_s < 10.0 < 12.0 < found[1].source_end_s


def test_edges_near_a_span_stay():
    asked = AskedSpans(((10.0, 12.0),), ((40.0, 42.0),), LENGTH_S)
    assert [asked.stays(t) for t in (5.0, 8.0, 11.0, 14.0, 20.0, 39.0, 43.0)] == [
        False, True, True, True, False, True, True,
    ]  # fmt: skip
    assert REACH_S > MAX_REACH_S + 0.5


@pytest.mark.parametrize("seed", range(4))
def test_no_join_sounds_what_is_dropped_or_fades_what_is_kept(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(round(LENGTH_S * SR)) / SR
    decay = np.exp(-(times % 0.5) / 0.15)
    audio = 0.2 * decay * np.sin(2 * np.pi * (220.0 + 55.0 * (times // 8)) * times)
    audio += 0.002 * rng.standard_normal(len(times))
    reader, grid = ArrayReader(audio[:, None].astype(np.float32), SR), steady_grid(LENGTH_S, 120.0)
    asked = AskedSpans(((20.13, 22.4),), ((30.27, 36.9), (50.0, 60.0)), LENGTH_S)
    clips = asked.heard([Clip(2.0, 21.0), Clip(28.0, 58.0)])
    fitted = fit_joins(clips, reader, grid, stays=asked.stays)
    assert asked.are_granted(fitted.clips)
    for clip in fitted.clips:  # no fade reaches into what is kept
        loud = clip.source_start_s + clip.fade_in_s, clip.source_end_s - clip.fade_out_s
        for start_s, end_s in asked.keep_s:
            if clip.source_start_s < end_s and clip.source_end_s > start_s:
                assert loud[0] <= start_s
                assert loud[1] >= end_s
    assert played_spans(fitted.clips)[-1][1] <= 50.0
