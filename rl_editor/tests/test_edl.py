import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_editor.actions import ActionType, Amount, Size
from rl_editor.edl import (
    CURVES,
    Clip,
    Decision,
    EditDecisionList,
    EdlGrid,
    Join,
    JoinAlternative,
    Source,
    back_to_back,
    read_edl,
    timeline_length,
    write_edl,
)
from rl_editor.errors import UserError
from rl_editor.grid import steady_grid
from rl_editor.materials import Material

FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "edl.md"
SR = 44100
DURATION_S = 60.0


def example() -> EditDecisionList:
    clips = back_to_back(
        [
            Clip(1.00001, 9.3, gain_db=-3.0, fade_in_s=0.5, fade_in_curve="s"),
            Clip(20.0, 30.0, rate=1.25, semitones=-2.0),
            Clip(30.0, 31.0, reverse=True, distortion=0.4),
        ],
        SR,
    )
    return EditDecisionList(
        source=Source("jam session.wav", "ab" * 32, SR, 2, DURATION_S),
        duration_s=timeline_length(clips, SR) / SR,
        clips=clips,
        decisions=(
            Decision(0, 0.0, "CUT", "BAR", "NEUTRAL", 0.75, "TALK", "Talk before the take."),
            Decision(4, 2.0, "KEEP", "PHRASE", "NEUTRAL"),
        ),
        grid=EdlGrid.of(steady_grid(DURATION_S)),
        joins=(Join(8.3, 0.01, "equal_power", 1e-3, 40.0, -0.5, 12.0, 3.5, 60.0, 0.2, 80.0),),
    )


def written(tmp_path, change=None) -> str:
    """Return the path of the example as a file, with its decoded JSON changed in place."""
    path = tmp_path / "edit.edl.json"
    write_edl(example(), path)
    if change is not None:
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))
    return path


def test_a_written_list_reads_back_without_loss(tmp_path):
    assert read_edl(written(tmp_path)) == example()


def test_hints_about_the_beat_stand_in_the_list_where_there_are_any(tmp_path):
    assert "hints" not in json.loads(Path(written(tmp_path)).read_text())["grid"]
    grid = EdlGrid.of(steady_grid(DURATION_S), ("--half", "--downbeat 12.3"))
    hinted = dataclasses.replace(example(), grid=grid)
    write_edl(hinted, tmp_path / "hinted.edl.json")
    assert read_edl(tmp_path / "hinted.edl.json") == hinted


@st.composite
def lists(draw) -> EditDecisionList:
    sr = draw(st.sampled_from([8000, 44100, 192000]))
    share = st.floats(0, 1)
    spans = draw(st.lists(st.tuples(share, share).filter(lambda s: abs(s[0] - s[1]) > 1e-3)))
    clips = back_to_back(
        [
            Clip(
                min(span) * 59,
                max(span) * 59,
                gain_db=draw(st.floats(-60, 24)),
                fade_in_s=draw(share),
                fade_out_s=draw(share),
                fade_in_curve=draw(st.sampled_from(CURVES)),
                fade_out_curve=draw(st.sampled_from(CURVES)),
                rate=draw(st.floats(0.5, 2)),
                semitones=draw(st.floats(-12, 12)),
                reverse=draw(st.booleans()),
                eq_low_db=draw(st.floats(-6, 6)),
                reverb=draw(share),
            )
            for span in spans[:5]
        ],
        sr,
    )
    decisions = st.builds(
        Decision,
        beat=st.integers(0, 119),
        time_s=st.floats(0, 60),
        type=st.sampled_from([t.name for t in ActionType]),
        size=st.sampled_from([s.name for s in Size]),
        amount=st.sampled_from([a.name for a in Amount]),
        probability=st.none() | share,
        material=st.none() | st.sampled_from([m.name for m in Material]),
        reason=st.text(max_size=50),
    )
    numbers = st.floats(-1e6, 1e6)
    others = st.builds(
        JoinAlternative,
        *[st.floats(0, 60), st.floats(0, 60), share, st.sampled_from(CURVES)],
        *[st.floats(0, 100)] * 4,
    )
    joins = st.builds(
        Join,
        *[st.floats(0, 60), share, st.sampled_from(CURVES)],
        *[st.floats(0, 100) if i % 2 else numbers for i in range(8)],
        alternatives=st.lists(others, max_size=3).map(tuple),
    )
    return EditDecisionList(
        source=Source(draw(st.text(max_size=50)), "", sr, draw(st.integers(1, 8)), DURATION_S),
        duration_s=timeline_length(clips, sr) / sr,
        clips=clips,
        decisions=tuple(draw(st.lists(decisions, max_size=3))),
        grid=EdlGrid.of(steady_grid(DURATION_S)),
        joins=tuple(draw(st.lists(joins, max_size=3))),
    )


@settings(max_examples=40, deadline=None)
@given(edl=lists())
def test_any_list_reads_back_without_loss(tmp_path_factory, edl):
    path = tmp_path_factory.mktemp("edl") / "any.edl.json"
    write_edl(edl, path)
    assert read_edl(path) == edl


def test_back_to_back_clips_meet_on_whole_samples():
    clips = example().clips
    position = 0
    for clip in clips:
        start, stop = clip.timeline_samples(SR)
        first, past = clip.source_samples(SR)
        assert start == position
        assert stop - start == round((past - first) / clip.rate)
        assert clip.source_start_s * SR == pytest.approx(first, abs=1e-6)
        position = stop
    assert timeline_length(clips, SR) == position
    assert clips[1].timeline_samples(SR)[1] - clips[1].timeline_samples(SR)[0] == 8 * SR


def test_length_is_the_latest_end_of_overlapping_clips():
    clips = (Clip(0.0, 10.0), Clip(20.0, 21.0, timeline_start_s=8.0))
    assert timeline_length(clips, SR) == 10 * SR
    assert timeline_length((), SR) == 0


def change_clip(name, value):
    return lambda values: values["clips"][0].__setitem__(name, value)


NOT_EVEN_JSON = float("nan")
PROBLEMS = {
    "format": (lambda v: v.__setitem__("format", "other"), "format"),
    "version of tomorrow": (lambda v: v.__setitem__("version", 2), "version 1"),
    "version as a flag": (lambda v: v.__setitem__("version", True), "version 1"),
    "missing part": (lambda v: v.pop("source"), "source is missing"),
    "missing key": (lambda v: v["clips"][1].pop("source_end_s"), r"clips\[1\].source_end_s is"),
    "unknown key": (change_clip("pan", 0.5), "'pan'"),
    "not a number": (change_clip("gain_db", "loud"), r"clips\[0\].gain_db must be a number"),
    "a flag as number": (change_clip("gain_db", True), r"clips\[0\].gain_db"),
    "NaN": (change_clip("gain_db", NOT_EVEN_JSON), r"clips\[0\].gain_db"),
    "infinite": (lambda v: v.__setitem__("duration_s", float("inf")), "duration_s"),
    "too fast": (change_clip("rate", 0.0), r"clips\[0\].rate"),
    "unknown curve": (change_clip("fade_in_curve", "steep"), "fade_in_curve must be one of"),
    "number as flag": (change_clip("reverse", 1), "reverse must be true or false"),
    "before the source": (change_clip("source_start_s", -1.0), "source_start_s"),
    "after the source": (change_clip("source_end_s", 60.1), "inside the source"),
    "inside out": (change_clip("source_end_s", 0.5), "inside the source"),
    "out of order": (lambda v: v["clips"].reverse(), "timeline_start_s"),
    "fade beyond the clip": (change_clip("fade_out_s", 9.0), "fade_out_s must not be longer"),
    "length no number": (lambda v: v.__setitem__("duration_s", "5"), "duration_s must be a number"),
    "clips no list": (lambda v: v.__setitem__("clips", {}), "clips must be a list"),
    "clip no object": (lambda v: v["clips"].__setitem__(0, 3), r"clips\[0\] must be an object"),
    "unknown action": (lambda v: v["decisions"][0].__setitem__("type", "MUTE"), "KEEP, CUT"),
    "no such beat": (lambda v: v["decisions"][0].__setitem__("beat", 120), "120 beats"),
    "beats fall": (lambda v: v["grid"]["beats_s"].reverse(), "beats_s must rise"),
    "hints no texts": (lambda v: v["grid"].update(hints=[1]), r"grid\.hints\[0\] must be a text"),
    "no such downbeat": (lambda v: v["grid"]["downbeats"].append(500), "downbeats must rise"),
    "percentile": (
        lambda v: v["joins"][0].__setitem__("click_energy_percentile", 101),
        r"joins\[0\].click_energy_percentile",
    ),
    "path no text": (lambda v: v["source"].__setitem__("path", ["/etc/passwd"]), "source.path"),
    "endless path": (lambda v: v["source"].__setitem__("path", "a" * 5000), "source.path"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_problem_is_named_with_its_field(tmp_path, problem):
    change, message = PROBLEMS[problem]
    path = written(tmp_path, change)
    with pytest.raises(UserError, match=message) as raised:
        read_edl(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("stated_s", [5.0, 0.0, 17.5])
def test_a_length_that_does_not_fit_follows_the_clips(tmp_path, stated_s):
    told = []
    path = written(tmp_path, lambda v: v.__setitem__("duration_s", stated_s))
    assert read_edl(path, told.append) == example()
    (note,) = told
    assert f"lasts {stated_s:g} s, but its last clip ends at {example().duration_s:.9g}" in note
    with pytest.warns(UserWarning, match="which counts"):
        read_edl(path)


def test_a_length_that_is_left_out_follows_the_clips(tmp_path):
    told = []
    assert read_edl(written(tmp_path, lambda v: v.pop("duration_s")), told.append) == example()
    assert told == []


def test_a_list_without_clips_needs_no_word_about_its_length(tmp_path):
    told = []
    edl = read_edl(written(tmp_path, lambda v: v["clips"].clear()), told.append)
    assert (edl.clips, edl.duration_s, told) == ((), 0.0, [])


def test_a_clip_that_was_shortened_by_hand_gives_a_shorter_list(tmp_path):
    told = []

    def shorten(values):
        values["clips"][2]["source_end_s"] -= 0.5

    edl = read_edl(written(tmp_path, shorten), told.append)
    assert edl.duration_s == pytest.approx(example().duration_s - 0.5)
    assert len(told) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 100_000,
        b"[]",
        b"3",
        b'{"format": "rl-editor-edl", "format": "rl-editor-edl"}',
        b'{"format": "rl-editor-edl", "version": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, content):
    path = tmp_path / "no.edl.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"no\.edl\.json"):
        read_edl(path)


def test_processing_that_is_left_out_is_neutral(tmp_path):
    def strip(values):
        values["clips"] = [{"source_start_s": 1, "source_end_s": 2, "timeline_start_s": 0}]
        values["duration_s"] = 1

    assert read_edl(written(tmp_path, strip)).clips == (Clip(1.0, 2.0),)


@pytest.mark.skipif(not FORMAT_PAGE.exists(), reason="the page is part of a checkout only")
def test_the_example_of_the_format_page_can_be_read(tmp_path):
    page = FORMAT_PAGE.read_text(encoding="utf-8")
    example_lines = page[page.index("    {\n") : page.index("## Rules")].splitlines()
    path = tmp_path / "page.edl.json"
    path.write_text("\n".join(line[4:] for line in example_lines))
    clips = read_edl(path).clips
    assert [clip.fade_in_curve for clip in clips] == ["linear", "equal_power"]


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_edl(tmp_path / "none.edl.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_edl(tmp_path)


def test_a_list_that_breaks_the_format_is_not_written(tmp_path):
    for wrong in (float("nan"), 3.0):
        with pytest.raises(UserError, match="duration_s"):
            write_edl(dataclasses.replace(example(), duration_s=wrong), tmp_path / "a.edl.json")
    assert os.listdir(tmp_path) == []


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path):
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "folder", tmp_path / "missing" / "a.edl.json"):
        with pytest.raises(UserError, match="cannot be written"):
            write_edl(example(), target)
    assert os.listdir(tmp_path) == ["folder"]


def test_writing_replaces_an_earlier_file(tmp_path):
    path = written(tmp_path)
    shorter = dataclasses.replace(example(), decisions=())
    write_edl(shorter, path)
    assert read_edl(path) == shorter
    assert os.listdir(tmp_path) == [path.name]
