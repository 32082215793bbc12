"""The table of all cases; those with nothing or little wrong stand here."""

from __future__ import annotations

from benchmarks.development.case import BUZZ, HALL, Case
from benchmarks.development.recording import Recording
from benchmarks.development.session_cases import HARD, SESSION


def _clean(
    name: str,
    track: str,
    recording: Recording,
    silence_s: tuple[float, float] = (0.0, 0.0),
    fades_s: tuple[float, float] = (0.0, 0.0),
) -> Case:
    return Case(name, "clean", (track,), recording=recording, silence_s=silence_s, fades_s=fades_s)


CLEAN = (
    _clean("clean_long", "track18", Recording(".flac", 48000, peak_db=-1.0)),
    _clean("clean_ballad", "track6", Recording(".ogg", 44100, peak_db=-6.0), (0.4, 1.2)),
    _clean("clean_loud", "brainsukker", Recording(".mp3", 44100, peak_db=0.0), (0.1, 0.5)),
    _clean("clean_quiet", "aztec", Recording(".wav", 44100, peak_db=-25.0), (0.5, 0.5), (0, 6)),
    _clean("clean_short", "calm_acoustic_s411", Recording(".wav", 48000, peak_db=-3.0)),
    _clean("clean_jingle", "happy_electronic_2", Recording(".mp3", 44100, peak_db=-2.0), (0.3, 1)),
    _clean("clean_old", "jewels", Recording(".wav", 22050, 1, peak_db=-10.0)),
    _clean("clean_metal", "Metal_madness", Recording(".flac", 44100, peak_db=-0.2), (1.0, 1.5)),
    _clean("clean_faded", "batcave", Recording(".ogg", 48000, peak_db=-12.0), (0, 1.5), (4, 10)),
    _clean("clean_stairs", "stairs", Recording(".wav", 32000, peak_db=-18.0), (0.8, 0.2)),
    _clean("clean_party", "Penguin_Party", Recording(".mp3", 44100, 1, peak_db=-5.0), (0, 0.8)),
    _clean("clean_theme", "theme", Recording(".wav", 44100, peak_db=-15.0), (0.2, 1.0), (0, 3)),
    _clean("clean_track", "track11", Recording(".flac", 32000, peak_db=-7.0), (0, 0), (2, 0)),
)

EASY = (
    Case("easy_dead_air", "easy", ("Penguin_Party",), before="dead_air", after="long_dead_air"),
    Case(
        *("easy_sticks", "easy", ("jewels",)),
        before="count_sticks",
        after="applause",
        recording=Recording(".flac", 44100, peak_db=-10.0),
    ),
    Case(
        *("easy_false_start", "easy", ("garden",)),
        before="talk",
        incidents=(("false_start", 0, "talk count_voice"),),
        spread="same",
        recording=Recording(".wav", 48000, 1),
    ),
    Case(
        *("easy_tuning", "easy", ("bossattack",)),
        before="tuning talk",
        after="talk",
        recording=Recording(".mp3", 44100, peak_db=-2.0),
    ),
    Case(
        *("easy_riff", "easy", ("landing_in_gran_paradiso",)),
        incidents=(("riff", 0.4, ""),),
        spread="same",
        recording=Recording(".wav", 32000, peak_db=-20.0),
    ),
    Case(
        *("easy_restart", "easy", ("cave",)),
        incidents=(("restart", 0.35, "talk count_clicks"),),
        spread="same",
    ),
    Case(
        *("easy_concert", "easy", ("theme",)),
        before="long_dead_air slam",
        after="applause dead_air",
        recording=HALL,
    ),
    Case(
        *("easy_mistake", "easy", ("start1-jt",)),
        incidents=(("mistake", 0.5, "laugh one_more_time count_sticks"),),
        spread="same",
        recording=Recording(".ogg", 44100, peak_db=0.0),
    ),
    Case(
        *("easy_drummer", "easy", ("saharan_penguin",)),
        before="drummer count_sticks",
        after="talk",
        recording=BUZZ,
    ),
    Case(
        *("easy_talkers", "easy", ("bay",)),
        before="long_talk",
        after="long_talk slam",
        faintness_db=4.0,
        recording=Recording(".mp3", 44100, 1, peak_db=-1.0),
    ),
    Case(
        *("easy_two_takes", "easy", ("nostalgic_electronic_s522",)),
        before="count_clicks",
        incidents=(("either_take", 1.0, "talk count_clicks"),),
        spread="same",
        recording=Recording(".wav", 22050, 1, peak_db=-12.0),
    ),
    Case(
        *("easy_clicks", "easy", ("energetic_electronic_2",)),
        before="dead_air count_clicks",
        incidents=(("riff", 0.5, ""),),
        after="dead_air",
        spread="same",
        recording=Recording(".wav", 44100, metronome_db=-22.0),
    ),
    Case(
        *("easy_noodling", "easy", ("thunder",)),
        before="noodling dead_air",
        after="noodling",
        recording=Recording(".wav", 22050, 2, rt60_s=0.5),
    ),
    Case(
        *("easy_knock", "easy", ("castle",)),
        passages_s=((0, 110), None),
        incidents=(("level_drop", 0.5, "talk count_voice"),),
        after="dead_air",
        spread="same",
    ),
)

CASES = CLEAN + EASY + SESSION + HARD
