"""The maker of the development benchmark, on pieces made of clicks and chords."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("benchmarks.development", reason="benchmarks are part of a checkout only")

from benchmarks.development import performance, pulse, sounds
from benchmarks.development.build import build_case
from benchmarks.development.case import KINDS, Case
from benchmarks.development.cases import CASES
from benchmarks.development.incidents import INCIDENTS
from benchmarks.development.maker import make_case
from benchmarks.development.performance import Take, draw_take, perform
from benchmarks.development.piece import Piece, make_piece
from benchmarks.development.recording import Recording
from benchmarks.development.scenes import SCENES
from benchmarks.development.score import summary, table
from benchmarks.development.speech import people
from benchmarks.development.truth_file import read_truths
from rl_editor.baselines import clips_of_spans, oracle
from rl_editor.errors import UserError
from rl_editor.evaluate import score_edit

SR = 22050
BEAT_S = 0.5
PLAIN = Recording(".wav", SR, 1, tone_db=-70)


def groove(seconds: float) -> np.ndarray:
    """Return [S, 2] a kick on each beat, a hat between, and a chord that changes every bar."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * SR)) / SR
    chord = np.floor(t / (4 * BEAT_S)).astype(int)
    root_hz = 110 * 2 ** (np.array([0, 5, 7, 3, 8, 10, 2])[chord % 7] / 12)
    turns = np.cumsum(root_hz)[:, None] / SR * np.array([1, 1.5, 2])
    mix = 0.05 * np.sin(2 * np.pi * turns).sum(axis=1)
    kick, hat = sounds.drum("kick", SR, rng), sounds.drum("hat", SR, rng)
    for at_s in np.arange(0, seconds - 0.5, BEAT_S):
        for sound, late_s, gain in ((kick, 0.0, 0.4), (hat, BEAT_S / 2, 0.3)):
            first = round((at_s + late_s) * SR)
            mix[first : first + len(sound)] += gain * sound[: len(mix) - first]
    return np.repeat(mix[:, None], 2, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def track():
    return groove(18.0)


def mumblers(rng, number):
    return [sounds.mumble] * number


def made(track, **wishes):
    wishes = {"recording": PLAIN, "tracks": ("a",), **wishes}
    case = Case("made", "session", **wishes)
    return make_case(case, [track] * len(case.tracks), mumblers)


@pytest.mark.parametrize("spread", ["same", "other"])
@pytest.mark.parametrize("incident", sorted(INCIDENTS))
def test_every_incident_leaves_the_whole_piece(track, incident, spread):
    result = made(track, incidents=((incident, 0.5, "laugh"),), spread=spread)
    wanted = sorted(
        (s.piece_start_s, s.end_s - s.start_s) for s in result.truth.segments if s.wanted
    )
    assert wanted[0][0] == 0.0
    for (start_s, length_s), (next_s, _) in pairwise(wanted):
        assert start_s + length_s == pytest.approx(next_s, abs=1e-9)
    piece_s = make_piece(track, SR, None, 0.0).duration_s
    assert sum(length_s for _, length_s in wanted) == pytest.approx(piece_s, rel=0.035)
    assert result.truth.duration_s == pytest.approx(len(result.audio) / SR)
    assert np.all(np.isfinite(result.audio))
    assert np.abs(result.audio).max() == pytest.approx(10 ** (-3 / 20), rel=1e-3)
    assert score_edit(oracle(result.truth), result.truth).f1 == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_scenes_are_heard_and_not_wanted(track, scene):
    result = made(track, before=scene)
    first = result.truth.segments[:-1]
    assert first
    assert not any(s.wanted or s.equally_good for s in first)
    assert result.truth.segments[-1].wanted
    if "dead_air" not in scene:
        before = result.audio[: round(first[-1].end_s * SR)]
        assert np.abs(before).max() > 0.03


def test_the_same_case_is_made_the_same_again(track):
    wishes = {
        "tracks": ("a", "b"),
        "before": "talk tuning count_sticks",
        "between": "chatter",
        "incidents": (("mistake", 0.5, "talk"),),
        "spread": "other",
        "recording": Recording(".mp3", SR, 1, rt60_s=0.3, metronome_db=-20.0, is_phone=True),
    }
    one, two = made(track, **wishes), made(track, **wishes)
    np.testing.assert_array_equal(one.audio, two.audio)
    assert one.truth == two.truth


def test_wanted_music_is_that_of_the_piece(track):
    result = made(track, before="talk", incidents=(("mistake", 0.5, "talk"),), spread="same")
    piece = make_piece(track, SR, None, 0.0).audio.mean(axis=1)
    for segment in (s for s in result.truth.segments if s.wanted):
        n_samples = round((segment.end_s - segment.start_s) * SR) - 300
        first, place = round(segment.start_s * SR) + 150, round(segment.piece_start_s * SR) + 150
        heard, expected = result.audio[first : first + n_samples, 0], piece[place:][:n_samples]
        assert np.corrcoef(heard, expected)[0, 1] > 0.999


def test_playing_an_equally_good_take_is_as_right(track):
    result = made(track, incidents=(("either_take", 1.0, "dead_air"),), spread="other")
    copies = [(s.start_s, s.end_s) for s in result.truth.segments if s.equally_good]
    assert score_edit(clips_of_spans(copies), result.truth).f1 > 0.97


@pytest.mark.parametrize(
    "take",
    [Take(), Take(rate=1.02), Take(rate=0.98, moves_pitch=True), Take(0.985, True, 0.004, 1.5)],
)
def test_a_performance_knows_what_it_plays_when(take):
    places_s = np.arange(1.0, 20.0)
    audio = np.zeros((21 * SR, 2), dtype=np.float32)
    for at_s in places_s:
        audio[round(at_s * SR) : round(at_s * SR) + 4] = 0.5
    rest = pulse.Pulse(places_s, np.ones(len(places_s), dtype=bool))
    passage = perform(Piece(audio, SR, rest), (0.5, 19.5), take, np.random.default_rng(3))
    level = np.abs(passage.audio.mean(axis=1))
    for at_s in places_s:
        expected = round(float(np.interp(at_s, passage.piece_s, passage.raw_s)) * SR)
        near = slice(expected - SR // 20, expected + SR // 20)
        found = expected - SR // 20 + int(level[near].argmax())
        assert abs(found - expected) < 0.004 * SR


def test_takes_differ_by_as_much_as_they_say():
    rng = np.random.default_rng(1)
    others = [draw_take("other", rng).rate for _ in range(200)]
    assert 0.98 <= min(others) < 0.99
    assert 1.01 < max(others) <= 1.02
    assert draw_take("same", rng).rate == 1.0


def test_the_pulse_of_a_groove_is_found(track):
    found = pulse.find_pulse(track, SR)
    assert found.period_s(5.0) == pytest.approx(BEAT_S, abs=0.02)
    off_s = (found.beats_s + BEAT_S / 2) % BEAT_S - BEAT_S / 2
    assert np.median(np.abs(off_s)) < 0.06


def test_a_drifting_take_ends_at_another_speed():
    audio = groove(10.0)
    drifting = performance.drifting(audio, SR, np.random.default_rng(0))
    assert abs(len(drifting) / len(audio) - 1) < 0.12
    assert np.all(np.isfinite(drifting))


def test_the_table_holds_enough_of_every_flaw():
    assert len({case.name for case in CASES}) == len(CASES)
    kinds = Counter(case.kind for case in CASES)
    assert all(kinds[kind] >= 12 for kind in KINDS)
    flaws = Counter(tag for case in CASES for tag in case.tags())
    assert set(INCIDENTS) | set(SCENES) <= set(flaws)
    assert min(flaws.values()) >= 4


def test_a_written_case_is_read_again(track, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "x__a.wav", track, SR)
    case = Case("one", "easy", ("a",), before="dead_air", recording=Recording(".mp3", 44100, 1))
    built = build_case(case, tmp_path, tmp_path)
    (read,) = read_truths(tmp_path)
    assert read == built
    assert read.truth.duration_s == soundfile.info(read.path).frames / 44100


def test_missing_programs_and_tracks_are_said(track, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="install it"):
        people(np.random.default_rng(0), 2)
    with pytest.raises(UserError, match="fetch"):
        build_case(CASES[0], tmp_path, tmp_path)
    with pytest.raises(UserError, match="make them with"):
        read_truths(tmp_path)


def test_the_table_of_scores_counts_seconds(track):
    from benchmarks.development.score import Row

    truth = made(track, before="dead_air").truth
    wanted_s = sum(s.end_s - s.start_s for s in truth.segments if s.wanted)
    best = score_edit(oracle(truth), truth)
    everything = score_edit(clips_of_spans([(0.0, truth.duration_s)]), truth)
    row = Row("one", "easy", (), truth.duration_s, wanted_s, best, everything)
    numbers = summary([row])
    assert numbers["f1"] == pytest.approx(1.0, abs=0.002)
    assert numbers["unwanted_kept"] == pytest.approx(0.0, abs=0.01)
    assert numbers["keep_all_f1"] == pytest.approx(everything.f1)
    assert "easy" in table([row])


@pytest.mark.parametrize("incident", ["mistake", "either_take", "restart", "slammed", "riff"])
def test_copies_claim_the_place_of_the_wanted_performance(incident):
    rng = np.random.default_rng(5)
    audio = 1e-3 * rng.standard_normal((20 * SR, 2)).astype(np.float32)
    clicks_s = np.cumsum(rng.uniform(0.35, 0.9, size=30))
    for at_s in clicks_s[clicks_s < 19.5]:
        audio[round(at_s * SR) : round(at_s * SR) + 40] += 0.5
    spread = "human" if incident in ("restart", "riff") else "other"
    gap = (incident, 0.6, "" if incident == "riff" else "dead_air")
    result = made(audio, incidents=(gap,), spread=spread)
    level = np.abs(result.audio[:, 0])
    places = {True: [], False: []}
    for segment in result.truth.segments:
        if segment.wanted or segment.equally_good:
            first, last = round(segment.start_s * SR), round(segment.end_s * SR)
            while first < last and (part := level[first:last]).max() > 0.2:
                found = first + int(np.argmax(part > 0.2))
                place_s = segment.piece_start_s + found / SR - segment.start_s
                places[segment.wanted].append(place_s)
                first = found + SR // 8
    assert len(places[True]) >= 20
    assert len(places[False]) >= 2
    off_s = np.abs(np.subtract.outer(places[False], places[True])).min(axis=1)
    assert off_s.max() < 0.015
