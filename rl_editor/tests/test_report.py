"""The page of an edit, and the words in which it gives its reasons."""

import dataclasses
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from rl_editor.actions import Action, ActionType, Amount, Size
from rl_editor.config import EpisodeConfig
from rl_editor.edit_state import EditState
from rl_editor.edl import Clip, Decision, EditDecisionList, EdlGrid, Join, Source, back_to_back
from rl_editor.errors import UserError
from rl_editor.materials import N_MATERIALS, Material
from rl_editor.planner import Plan
from rl_editor.reasons import WORDS, decisions, reason, removed_seconds, span_material
from rl_editor.report import (
    AROUND_S,
    other_tempi,
    played_share,
    render_page,
    tempo_words,
    write_report,
)
from rl_editor.tests.made_up import made_up_track
from rl_editor.tests.test_grid import played_at

TRACK = made_up_track(64)
KEEP, CUT = ActionType.KEEP, ActionType.CUT
ALL_HEARD = np.ones(64, dtype=bool)
VOID = {"meta", "rect", "br"}


def made_edl(name="take.wav", joins=1):
    """Return an edit that keeps seconds 0 to 8 and 16 to 32 of 32."""
    clips = (Clip(0.0, 8.0), Clip(16.0, 32.0, timeline_start_s=8.0))
    spans = ((0, KEEP, "kept: part of the track"), (16, CUT, "cut: talk"), (32, KEEP, "kept"))
    return EditDecisionList(
        source=Source(name, "", 8000, 1, 32.0),
        duration_s=24.0,
        clips=clips,
        decisions=tuple(
            Decision(beat, beat / 2, kind.name, "PHRASE", "NEUTRAL", 0.9, "TALK", words)
            for beat, kind, words in spans
        ),
        grid=EdlGrid.of(TRACK.grid),
        joins=joins * (Join(8.0, 0.02, "linear", 0.1, 51.0, -1.25, 62.0, 3.4, 73.0, 0.2, 84.0),),
    )


class Page(HTMLParser):
    """Texts by the tag around them; checks that tags are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.tags = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


def test_the_page_says_what_happened():
    page = Page(render_page(made_edl(), TRACK, {"talk": 8.0}))
    texts = " | ".join(page.texts)
    assert "Edit of take.wav" in texts
    assert "length of the recording | 0:32.0 | length of the edited track | 0:24.0" in texts
    assert "left out: talk | 0:08.0" in texts
    assert "0:08.000 to 0:16.000 | cut: talk | 90%" in texts
    assert "0:08.0 | 20 | 51 | -1.2 (62) | +3 (73) | 84" in texts


def test_passages_have_the_times_of_the_sound_to_the_ms():
    edl = made_edl()
    times_s = (0.0, 8.01249, 16.5)
    moved = [
        dataclasses.replace(decision, time_s=time_s)
        for decision, time_s in zip(edl.decisions, times_s, strict=True)
    ]
    back = dataclasses.replace(moved[1], type="JUMP_BACK", reason="back", time_s=30.0)
    edl = dataclasses.replace(edl, decisions=(*moved, back, moved[1]))
    texts = " | ".join(Page(render_page(edl, TRACK, {})).texts)
    assert "0:08.012 to 0:16.500 | cut: talk" in texts
    assert "0:16.500 to 0:30.000 | kept" in texts
    assert "0:30.000 | back" in texts


def test_passages_of_clearly_other_tempi_are_told():
    assert tempo_words(played_at(94.0, 125.0)) == (
        "between 94 and 125 beats a minute, 4 beats in a bar"
    )
    assert tempo_words(played_at(100.0, 107.0)) == "100 beats a minute, 4 beats in a bar"
    assert tempo_words(played_at(100.0), 1) == "100.0 beats a minute, 4 beats in a bar"


def test_other_tempi_come_with_the_option_that_chooses_them():
    fits = {
        "runner_up_tempi_bpm": (60.0, 160.0, 240.0, 90.0),
        "runner_up_scores": (1, 0.405, 0.1, 0.04),
    }
    grid = dataclasses.replace(TRACK.grid, tempo_bpm=120.0, **fits)
    assert other_tempi(grid) == (
        "60 (fits 100%: --half), 160 (fits 40%: --tempo 160), 240 (fits 10%: --double)"
    )
    assert other_tempi(grid, ("--double",), most=1) == "60 (fits 100%: --tempo 60)"
    old = dataclasses.replace(grid, runner_up_scores=())
    assert other_tempi(old, most=2) == "60 (--half), 160 (--tempo 160)"
    assert other_tempi(TRACK.grid) == ""
    page = Page(render_page(made_edl(), dataclasses.replace(TRACK, grid=grid), {}))
    assert "other tempi that fit" in page.texts
    assert "said about the beat" not in page.texts


def test_what_was_said_about_the_beat_is_in_the_page():
    edl = made_edl()
    hinted = EdlGrid.of(TRACK.grid, ("--half", "--beats <b>.txt"))
    page = Page(render_page(dataclasses.replace(edl, grid=hinted), TRACK, {}))
    assert "said about the beat | --half, --beats <b>.txt" in " | ".join(page.texts)


def test_the_picture_shows_which_beats_are_kept():
    page = Page(render_page(made_edl(), TRACK, {}))
    kinds = [attributes["class"] for tag, attributes in page.tags if tag == "rect"]
    assert kinds == ["kept"] * 16 + ["gone"] * 16 + ["kept"] * 32
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert labels == ["Level of the recording over time; 48 of 64 beats are in the edit"]


def test_the_page_needs_nothing_but_itself():
    html = render_page(made_edl(), TRACK, {})
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script", html)


def test_every_time_says_what_it_counts():
    page = Page(render_page(made_edl(), TRACK, {"talk": 8.0}))
    heads = page.texts[page.texts.index("Passages and reasons") :]
    assert heads[1] == "in the recording"
    assert "in the edited track" in heads
    assert "Level over the time of the recording." in page.texts
    labels = [attributes.get("data-label") for tag, attributes in page.tags if tag == "td"]
    assert labels.count("in the recording") == 3
    assert labels.count("in the edited track") == 1


@pytest.mark.parametrize("duration_s", [0.5, 7.9, 32.0, 240.0, 3599.0, 30_000.0])
def test_the_ruler_fits_a_phone(duration_s):
    edl = made_edl()
    edl = dataclasses.replace(edl, source=dataclasses.replace(edl.source, duration_s=duration_s))
    places = re.findall(r'<span style="left:([0-9.]+)%">', render_page(edl, TRACK, {}))
    assert 1 <= len(places) <= 8
    assert float(places[-1]) <= 93.0


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FRAME = """<iframe src="page.html" style="width:{width}px; height:800px"></iframe><script>
document.querySelector("iframe").onload = event => {{
  const page = event.target.contentDocument.documentElement;
  document.body.dataset.beyond = page.scrollWidth - page.clientWidth;
}}</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_sticks_out_at_any_width(tmp_path, width):
    name = "a_very_long_name_without_a_single_space_in_it_" * 3 + ".wav"
    write_report(made_edl(name), TRACK, {"talk": 8.0}, tmp_path / "page.html", notes=(name,))
    (tmp_path / "frame.html").write_text(FRAME.format(width=width))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    flags += ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", f"file://{tmp_path / 'frame.html'}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 'data-beyond="0"' in done.stdout


def test_names_cannot_break_the_page():
    name = '<script>alert(1)</script> & "a".wav'
    edl = made_edl(name)
    edl = dataclasses.replace(
        edl, decisions=(dataclasses.replace(edl.decisions[0], reason="<b>kept</b>"),)
    )
    page = Page(render_page(edl, TRACK, {"<i>": 1.0}))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b"})
    assert "<b>kept</b>" in page.texts


def test_without_joins_the_page_says_so():
    page = Page(render_page(made_edl(joins=0), TRACK, {}))
    assert "There are no joins: the recording plays straight through." in page.texts


def test_the_page_plays_before_and_after(tmp_path):
    raw, track = tmp_path / 'a "b" <c>.wav', tmp_path / "out" / "ü.wav"
    track.parent.mkdir()
    write_report(made_edl(), TRACK, {}, tmp_path / "out" / "a.html", sounds=(raw, track))
    page = Page((tmp_path / "out" / "a.html").read_text(encoding="utf-8"))
    players = [attributes["src"] for tag, attributes in page.tags if tag == "audio"]
    assert players == ["../a%20%22b%22%20%3Cc%3E.wav", "%C3%BC.wav"]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    passages = [link for link in links if link.startswith(players[0])]
    joins = [link for link in links if link.startswith(players[1])]
    assert passages
    assert joins
    assert len(links) == len(passages) + len(joins)
    starts_s = [float(link.split("#t=")[1].split(",")[0]) for link in passages]
    assert starts_s == sorted(starts_s)
    (join,) = made_edl().joins[:1]
    start_s, end_s = (float(s) for s in joins[0].split("#t=")[1].split(","))
    assert start_s <= join.timeline_s <= end_s
    assert end_s - start_s <= 2 * AROUND_S


def test_the_page_is_written_whole(tmp_path):
    edl = made_edl()
    write_report(edl, TRACK, {}, tmp_path / "a.report.html")
    assert (tmp_path / "a.report.html").read_text(encoding="utf-8") == render_page(edl, TRACK, {})
    with pytest.raises(UserError, match="the report, but cannot be written"):
        write_report(edl, TRACK, {}, tmp_path / "missing" / "a.report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["a.report.html"]


def test_played_share_counts_every_second_once():
    edl = made_edl()
    edl = dataclasses.replace(edl, clips=(*edl.clips, Clip(7.0, 9.0, timeline_start_s=24.0)))
    share = played_share(edl, np.array([0.0, 6.0, 8.0, 10.0, 20.0, 32.0]))
    np.testing.assert_allclose(share, [1.0, 1.0, 0.5, 0.4, 1.0])


def made_plan(*actions, material=Material.TALK):
    """Return a plan of these actions in which every beat is mostly `material`."""
    state, spans = EditState.start(TRACK.grid, None, EpisodeConfig()), []
    for action in actions:
        before, state = state.cursor, state.step(Action(*action))
        spans.append((before, state.cursor))
    materials = np.full((64, N_MATERIALS), 0.3 / (N_MATERIALS - 1), dtype=np.float32)
    materials[:, material] = 0.7
    return Plan(state, tuple(spans), np.linspace(0.0, 1.0, 64), materials)


def test_a_decision_for_each_action():
    plan = made_plan((CUT, Size.PHRASE), (KEEP, Size.TWO_PHRASES), (KEEP, Size.PHRASE))
    made = decisions(plan, TRACK)
    assert [(d.beat, d.time_s, d.type, d.size) for d in made] == [
        (0, 0.0, "CUT", "PHRASE"),
        (16, 8.0, "KEEP", "TWO_PHRASES"),
        (48, 24.0, "KEEP", "PHRASE"),
    ]
    keep = plan.keep_probability
    expected = [1 - keep[:16].mean(), keep[16:48].mean(), keep[48:].mean()]
    assert [d.probability for d in made] == pytest.approx(expected)
    assert [d.reason for d in made] == ["cut: talk", *["kept: part of the track"] * 2]
    assert removed_seconds(plan, TRACK.grid) == {"talk": 8.0}


def test_removed_seconds_are_those_between_the_cuts():
    plan = made_plan((CUT, Size.BAR), (ActionType.SKIP, Size.BAR), (KEEP, Size.BAR))
    assert sum(removed_seconds(plan, TRACK.grid).values()) == pytest.approx(6.0)


def test_a_cut_beside_its_beat_removes_what_it_leaves_out():
    plan = made_plan((CUT, Size.PHRASE), (KEEP, Size.TWO_PHRASES), (KEEP, Size.PHRASE))
    end_s = TRACK.duration_s
    for start_s in (7.7, 8.0, 8.9):
        removed_s = removed_seconds(plan, TRACK.grid, [Clip(start_s, end_s)])
        assert removed_s == {"talk": pytest.approx(start_s)}
    crossfaded = [Clip(8.0, 12.1), Clip(13.9, end_s, timeline_start_s=3.9)]
    removed_s = removed_seconds(plan, TRACK.grid, crossfaded)
    assert removed_s == {"talk": pytest.approx(8.0 + 2.0)}


def test_silence_that_goes_from_the_ends_of_an_edit_is_silence():
    plan = made_plan((CUT, Size.PHRASE), (KEEP, Size.TWO_PHRASES), (KEEP, Size.PHRASE))
    removed_s = removed_seconds(plan, TRACK.grid, [Clip(12.3, 31.2)])
    assert removed_s == {"talk": pytest.approx(8.0), "silence": pytest.approx(4.3 + 0.8)}


def test_what_is_played_twice_is_no_more_than_there():
    plan = made_plan((CUT, Size.PHRASE), (KEEP, Size.TWO_PHRASES), (KEEP, Size.PHRASE))
    clips = back_to_back([Clip(8.0, 30.75), Clip(8.0, 30.75)], 48000)
    removed_s = removed_seconds(plan, TRACK.grid, clips)
    assert removed_s == {"talk": pytest.approx(8.0), "silence": pytest.approx(1.25)}
    share = played_share(dataclasses.replace(made_edl(), clips=clips), TRACK.grid.edges_s)
    assert share[60:].tolist() == [1.0, 0.5, 0.0, 0.0]


def test_music_is_only_removed_where_it_is_surely_music():
    assert span_material(made_plan(material=Material.MUSIC), 0, 8, removed=False) == Material.MUSIC
    plan = made_plan(material=Material.MUSIC)
    assert span_material(plan, 0, 8, removed=True) != Material.MUSIC
    plan.materials[:] = 0.0
    plan.materials[:, Material.MUSIC] = 1.0
    assert span_material(plan, 0, 8, removed=True) == Material.MUSIC


@pytest.mark.parametrize("kind", ActionType)
@pytest.mark.parametrize("material", Material)
def test_every_action_has_its_reason(kind, material):
    track = dataclasses.replace(TRACK, match_later=np.full(64, -1), match_earlier=np.full(64, -1))
    words = reason(Action(kind, Size.BAR, Amount.NEUTRAL), material, track, (0, 4), ALL_HEARD)
    assert words.startswith("cut: ") == (kind in (CUT, ActionType.SKIP))
    assert words.isprintable()
    if words.startswith("cut: "):
        assert WORDS[material] in words


def copied(later=None, earlier=None):
    """Return the track with copies of every beat so many beats on or back."""
    beats = np.arange(64)
    return dataclasses.replace(
        TRACK,
        match_later=np.full(64, -1) if later is None else np.minimum(beats + later, 63),
        match_earlier=np.full(64, -1) if earlier is None else np.maximum(beats - earlier, 0),
    )


def words_of(track, material, span, heard=ALL_HEARD):
    return reason(Action(CUT, Size.BAR), material, track, span, heard)


def test_a_take_that_is_played_elsewhere_says_where():
    track = copied(later=38)
    words = words_of(track, Material.FLAWED_TAKE, (0, 4))
    assert words == "cut: flawed take; it is played again around 0:20.0 of the recording"
    words = words_of(track, Material.MUSIC, (0, 4))
    assert words == "cut: earlier take; it is played again around 0:20.0 of the recording"
    words = words_of(copied(earlier=38), Material.MUSIC, (40, 44))
    assert words == "cut: later take; it was played before, around 0:02.0 of the recording"
    words = words_of(copied(earlier=8), Material.REDUNDANT_REPEAT, (8, 12))
    assert words == "cut: needless repeat of what is heard around 0:01.0 of the recording"
    words = words_of(track, Material.REDUNDANT_REPEAT, (0, 4))
    assert words == "cut: needless repeat of what is heard around 0:20.0 of the recording"
    assert words_of(track, Material.TALK, (0, 4)) == "cut: talk"


def test_of_two_complete_takes_the_one_that_is_heard_is_named():
    heard = np.arange(64) >= 32
    track = copied(later=32, earlier=4)
    for material in (Material.REDUNDANT_REPEAT, Material.MUSIC, Material.FLAWED_TAKE):
        for start in (0, 8, 16):
            words = words_of(track, material, (start, start + 16), heard)
            assert f"around 0:{(start + 8 + 32) / 2:04.1f} of the recording" in words


def test_a_place_that_is_not_heard_or_inside_the_passage_is_not_named():
    for track in (copied(later=8), copied(earlier=8)):
        assert words_of(track, Material.REDUNDANT_REPEAT, (16, 48)) == "cut: needless repeat"
        words = words_of(track, Material.FLAWED_TAKE, (16, 20), np.zeros(64, dtype=bool))
        assert words == "cut: flawed take"


def test_reasons_go_by_what_the_clips_play():
    plan = made_plan((CUT, Size.PHRASE), (KEEP, Size.TWO_PHRASES), (KEEP, Size.PHRASE))
    plan.materials[:] = np.eye(N_MATERIALS)[Material.FLAWED_TAKE]
    track = copied(later=16)
    assert "again around 0:12.0" in decisions(plan, track)[0].reason
    assert "again around 0:12.0" in decisions(plan, track, clips=[Clip(8.0, 32.0)])[0].reason
    assert decisions(plan, track, clips=[Clip(13.9, 32.0)])[0].reason == "cut: flawed take"
