"""A length is reached by asking again, and to the sample by a fade or another speed."""

import numpy as np
import pytest

from rl_editor.asked_spans import NOTHING_ASKED, AskedSpans
from rl_editor.edl import Clip, EditDecisionList, EdlGrid, Join, Source, timeline_length
from rl_editor.errors import UserError
from rl_editor.exact_length import TRIES, fit_to_length, with_exact_length
from rl_editor.fitted_plan import FittedPlan
from rl_editor.grid import steady_grid
from rl_editor.render import render_array

SR = 8000


def crossfaded(last_s=30.0):
    """Two clips that are crossfaded over 0.1 s, 24.9 s of output with `last_s` of 30."""
    clips = (
        Clip(0.0, 10.0, fade_out_s=0.1),
        Clip(15.0, last_s, 9.9, fade_in_s=0.1),
    )
    return FittedPlan(clips, (Join(9.95, 0.1, "linear", *[0.0] * 8),))


@pytest.mark.parametrize("wanted_s", [24.9, 24.0, 20.0, 15.05, 9.99, 9.95, 5.0, 0.5, 25.2, 25.6])
def test_the_length_is_exact(wanted_s):
    made = with_exact_length(crossfaded(), wanted_s, NOTHING_ASKED, SR)
    assert timeline_length(made.clips, SR) == round(wanted_s * SR)
    assert len(made.joins) == len(made.clips) - 1
    audio = np.full((40 * SR, 1), 0.5, dtype=np.float32)
    edl = EditDecisionList(
        Source("made.wav", "", SR, 1, 40.0),
        wanted_s,
        made.clips,
        (),
        EdlGrid.of(steady_grid(40.0, 120.0)),
    )
    heard = render_array(edl, audio)
    assert len(heard) == round(wanted_s * SR)
    if wanted_s < 24.9:  # it fades out
        assert abs(heard[-1, 0]) < 0.01
        assert np.abs(np.diff(heard[:, 0])).max() < 0.01
        assert heard[0, 0] == 0.5


@pytest.mark.parametrize("wanted_s", [10.45, 10.2, 9.95, 9.6, 9.55, 9.51])
def test_what_rings_on_beyond_the_end_is_cut_as_well(wanted_s):
    clips = (
        Clip(0.0, 10.5, fade_out_s=1.0, fade_out_curve="convex"),  # rings under the next one
        Clip(15.0, 30.0, 9.5, fade_in_s=0.1),
    )
    rings = FittedPlan(clips, (Join(9.55, 0.1, "linear", *[0.0] * 8),))
    made = with_exact_length(rings, wanted_s, NOTHING_ASKED, SR)
    assert timeline_length(made.clips, SR) == round(wanted_s * SR)
    assert {clip.rate for clip in made.clips} == {1.0}
    assert len(made.joins) == len(made.clips) - 1
    for clip in made.clips:
        start, end = clip.timeline_samples(SR)
        assert max(clip.fade_in_s, clip.fade_out_s) * SR <= end - start + 1e-6


def test_what_is_to_be_kept_is_not_faded_away():
    asked = AskedSpans(((28.0, 30.0),), (), 40.0)
    made = with_exact_length(crossfaded(), 24.5, asked, SR)
    assert timeline_length(made.clips, SR) == round(24.5 * SR)
    assert asked.are_kept(made.clips)
    assert {round(clip.rate, 3) for clip in made.clips} == {round(24.9 / 24.5, 3)}
    with pytest.raises(UserError, match=r"lasts 0:24.9.*leave --exact out"):
        with_exact_length(crossfaded(), 20.0, asked, SR)


@pytest.mark.parametrize("wanted_s", [26.0, 100.0])
def test_what_is_far_too_short_is_told(wanted_s):
    with pytest.raises(UserError, match="ask for that length"):
        with_exact_length(crossfaded(), wanted_s, NOTHING_ASKED, SR)


def test_more_is_asked_for_until_it_fits():
    asked_for = []

    def attempt(share):
        asked_for.append(share)
        return share, FittedPlan((Clip(0.0, max(0.1, 100.0 * share - 7.0)),), ())

    made, fitted = fit_to_length(attempt, 50.0, 100.0, 0.5, SR)
    assert fitted.clips[0].source_end_s == pytest.approx(50.0)
    assert made == asked_for[-1]
    assert len(asked_for) == 2


def test_the_nearest_of_several_is_taken_where_none_fits():
    lengths = iter([40.0, 70.0, 46.0, 80.0, 20.0])

    def attempt(share):
        return share, FittedPlan((Clip(0.0, next(lengths)),), ())

    made, fitted = fit_to_length(attempt, 50.0, 100.0, 0.5, SR)
    assert fitted.clips[0].source_end_s == 46.0
    assert next(lengths, None) is None
    assert TRIES == 5
    assert 0.0 < made <= 1.0
