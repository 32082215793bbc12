import itertools
import json

import numpy as np
import pytest

from rl_editor.errors import UserError
from rl_editor.materials import Material
from rl_editor.session_files import FORMAT, VERSION, read_truth
from rl_editor.truth import Segment, Truth

TRUTH = Truth(
    10.0,
    (
        Segment(0.0, 2.5, Material.TALK, False),
        Segment(2.5, 6.0, Material.MUSIC, True, piece_start_s=0.0),
        Segment(6.0, 7.0, Material.REDUNDANT_REPEAT, False, True, piece_start_s=2.5),
        Segment(7.0, 10.0, Material.MUSIC, True, piece_start_s=3.5),
    ),
)
EDGES_S = np.array([0.0, 2.0, 3.0, 5.0, 7.5, 10.0])


def test_share_of_each_cell_that_is_wanted():
    np.testing.assert_allclose(TRUTH.wanted_share(EDGES_S), [0.0, 0.5, 1.0, 1.5 / 2.5, 1.0])


def test_shares_of_all_materials_add_up_to_one():
    shares = [
        TRUTH.share(EDGES_S, np.array([float(s.material == m) for s in TRUTH.segments]))
        for m in Material
    ]
    np.testing.assert_allclose(np.sum(shares, axis=0), 1.0)


def test_share_is_the_mean_over_the_cell():
    starts_s = np.array([segment.start_s for segment in TRUTH.segments])
    fine_s = np.linspace(0.0, 10.0, 100_001)[:-1] + 5e-5
    values = np.array([3.0, -1.0, 2.0, 0.5])
    at = values[np.searchsorted(starts_s, fine_s, side="right") - 1]
    means = [at[(fine_s >= a) & (fine_s < b)].mean() for a, b in itertools.pairwise(EDGES_S)]
    np.testing.assert_allclose(TRUTH.share(EDGES_S, values), means, atol=1e-3)


def test_material_that_fills_most_of_each_cell():
    edges_s = np.array([0.0, 2.0, 2.9, 5.9, 6.9, 10.0])
    m = Material
    expected = [m.TALK, m.TALK, m.MUSIC, m.REDUNDANT_REPEAT, m.MUSIC]
    assert TRUTH.materials(edges_s).tolist() == expected


@pytest.mark.parametrize(
    "spans",
    [
        [(0.0, 4.0), (5.0, 10.0)],
        [(0.0, 6.0), (5.0, 10.0)],
        [(1.0, 10.0)],
        [(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)],
        [(0.0, 9.0)],
        [(0.0, 11.0)],
        [],
    ],
)
def test_segments_must_tile_the_recording(spans):
    segments = tuple(Segment(a, b, Material.MUSIC, True, piece_start_s=a) for a, b in spans)
    with pytest.raises(ValueError, match="segments"):
        Truth(10.0, segments)


@pytest.mark.parametrize("kind", ["wanted", "equally_good"])
def test_what_belongs_in_the_edit_has_a_place(kind):
    whole = {"wanted": False, kind: True}
    with pytest.raises(ValueError, match="needs a place in the piece"):
        Truth(10.0, (Segment(0.0, 10.0, Material.MUSIC, **whole),))
    Truth(10.0, (Segment(0.0, 10.0, Material.MUSIC, **whole, piece_start_s=0.0),))
    Truth(10.0, (Segment(0.0, 10.0, Material.MUSIC, False),))


def test_a_stored_truth_without_a_place_is_one_sentence(tmp_path):
    entry = {"start_s": 0.0, "end_s": 1.0, "material": "MUSIC", "wanted": True}
    document = {"format": FORMAT, "version": VERSION, "duration_s": 1.0, "segments": [entry]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="needs a place in the piece"):
        read_truth(tmp_path / "a.json")
