import pytest

from rl_editor.errors import UserError
from rl_editor.pairs import find_pairs


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_pairs_are_found_by_name_whatever_their_format(tmp_path):
    touch(tmp_path, "input/b_raw.wav", "input/a_raw.FLAC", "input/.DS_Store")
    touch(tmp_path, "desired_output/a_edit.mp3", "desired_output/b_edit.wav")
    touch(tmp_path, "reference/two.ogg", "reference/one.wav")
    listing = find_pairs(tmp_path)
    assert [pair.name for pair in listing.pairs] == ["a", "b"]
    assert listing.pairs[0].raw_path == tmp_path / "input/a_raw.FLAC"
    assert listing.pairs[0].edit_path == tmp_path / "desired_output/a_edit.mp3"
    assert [path.name for path in listing.references] == ["one.wav", "two.ogg"]
    assert listing.problems == ()


def test_each_unusable_file_is_a_problem_that_names_it(tmp_path):
    touch(tmp_path, "input/good_raw.wav", "desired_output/good_edit.wav")
    touch(tmp_path, "input/alone_raw.wav", "desired_output/lost_edit.wav")
    touch(tmp_path, "input/unnamed.wav", "input/notes_raw.txt", "input/good_raw.wave")
    listing = find_pairs(tmp_path)
    assert [pair.name for pair in listing.pairs] == ["good"]
    assert len(listing.problems) == 5
    for name, words in {
        "alone_raw.wav": "no partner",
        "lost_edit.wav": "no partner",
        "unnamed.wav": "NAME_raw",
        "notes_raw.txt": "not an audio file",
        "good_raw.wave": "same name",
    }.items():
        assert any(name in p and words in p for p in listing.problems)


def test_scores_are_found_among_the_references_only(tmp_path):
    touch(tmp_path, "reference/song.mid", "reference/other.MIDI", "reference/track.wav")
    touch(tmp_path, "input/song_raw.mid")
    listing = find_pairs(tmp_path)
    assert [path.name for path in listing.scores] == ["other.MIDI", "song.mid"]
    assert [path.name for path in listing.references] == ["track.wav"]
    assert len(listing.problems) == 1
    assert "song_raw.mid is not an audio file" in listing.problems[0]


def test_references_alone_are_enough(tmp_path):
    touch(tmp_path, "reference/song.flac")
    assert find_pairs(tmp_path).pairs == ()


@pytest.mark.parametrize("names", [(), ("input/alone_raw.wav",), ("song.wav",)])
def test_a_folder_without_usable_recordings_is_explained(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=r"NAME_raw\.wav.*NAME_edit\.wav.*reference"):
        find_pairs(tmp_path)


def test_a_missing_folder_is_explained(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        find_pairs(tmp_path / "nowhere")
