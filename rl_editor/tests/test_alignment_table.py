import soundfile as sf

from rl_editor.alignment import Alignment, EditSpan
from rl_editor.alignment_table import alignment_lines
from rl_editor.cli import main
from rl_editor.tests.made_tasks import SR, made_music


def test_each_passage_is_a_line_and_so_is_what_comes_from_elsewhere():
    spans = (
        EditSpan(0.0, 10.0, 80.0, -3.04, 0.98),
        EditSpan(12.0, 20.0, 5.0, 0.0, 0.9, speed=1.05, pitch_semitones=-0.5, fade_out_s=2.0),
    )
    lines = alignment_lines(Alignment(spans, 100.0, 25.0, 0.8))
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "0:00.0 to 0:10.0",
        "0:10.0 to 0:12.0",
        "0:12.0 to 0:20.0",
        "0:20.0 to 0:25.0",
    ]
    assert lines[1].split()[3:] == [
        "1:20.0",
        "to",
        "1:30.0",
        "-3.0",
        "dB",
        "1.000",
        "+0.00",
        "0.98",
    ]
    assert lines[2].endswith("not from here")
    assert "0:05.0 to 0:13.4" in lines[3]
    assert "1.050" in lines[3]
    assert "-0.50" in lines[3]
    assert "out 2.0 s" in lines[3]


def test_an_edit_of_nothing_is_all_from_elsewhere():
    assert alignment_lines(Alignment((), 10.0, 5.0, 0.0))[1:] == ["0:00.0 to 0:05.0  not from here"]


def test_the_command_prints_the_table_and_refuses_strangers(tmp_path, capsys):
    music = made_music(12.0, 1)
    sf.write(tmp_path / "raw.wav", music, SR)
    sf.write(tmp_path / "edit.wav", music[4 * SR :], SR)
    sf.write(tmp_path / "other.wav", made_music(8.0, 9), SR)
    assert main(["align", str(tmp_path / "raw.wav"), str(tmp_path / "edit.wav")]) == 0
    assert "0:04.0 to 0:12.0" in capsys.readouterr().out
    assert main(["align", str(tmp_path / "raw.wav"), str(tmp_path / "other.wav")]) == 2
    assert "should be an edit of" in capsys.readouterr().err
