"""The split of the music that is fetched: no piece is on both sides, nothing of the user's goes."""

from __future__ import annotations

import pytest

pytest.importorskip("benchmarks.link_material", reason="benchmarks are part of a checkout only")

from benchmarks import link_material
from benchmarks.link_material import SPLIT, link, main

HELD_OUT = "hedgewars-data/usr/share/games/hedgewars/Data/Music/Castle.ogg"
LEFT_OUT = "supertux-data/usr/share/games/supertux2/music/antarctic/airship_remix.ogg"
ROWS = {"hedgewars-data/Castle": HELD_OUT, "supertux-data/airship_remix": LEFT_OUT}


@pytest.fixture
def music(tmp_path):
    """A folder as `fetch_music` leaves it: two tracks that the split names and a new one."""
    folder = tmp_path / "music"
    rows = [*ROWS.items(), ("pack/new tune", "pack/new tune.ogg")]
    for _, path in rows:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    lines = ["piece\tpath\tseconds", *(f"{piece}\t{path}\t60.0" for piece, path in rows)]
    (folder / "tracks.tsv").write_text("\n".join(lines) + "\n")
    (folder / "scores.tsv").write_text("piece\tpath\tseconds\n")
    return folder


def test_each_piece_lies_where_the_split_says(music, tmp_path):
    for _ in range(2):
        assert link(music, tmp_path / "training", tmp_path / "held") == (1, 1)
    training = list((tmp_path / "training/reference").iterdir())
    held = list((tmp_path / "held/reference").iterdir())
    assert [p.name for p in training] == ["pack__new tune.ogg"]
    assert [p.name for p in held] == ["hedgewars-data__Castle.ogg"]
    assert held[0].read_bytes() == HELD_OUT.encode()


def test_another_split_leaves_no_link_of_the_former_one(music, tmp_path, monkeypatch):
    folders = tmp_path / "training", tmp_path / "held"
    link(music, *folders)
    split = tmp_path / "other.tsv"
    split.write_text(f"use\tpath\nheld out\tpack/new tune.ogg\nleft out\t{HELD_OUT}\n")
    monkeypatch.setattr(link_material, "SPLIT", split)
    assert link(music, *folders) == (1, 1)
    names = [sorted(p.name for p in (folder / "reference").iterdir()) for folder in folders]
    assert names == [["supertux-data__airship_remix.ogg"], ["pack__new tune.ogg"]]


def test_a_use_that_does_not_exist_is_no_silence(music, tmp_path, monkeypatch):
    split = tmp_path / "other.tsv"
    split.write_text(f"use\tpath\nheld-out\t{HELD_OUT}\n")
    monkeypatch.setattr(link_material, "SPLIT", split)
    with pytest.raises(ValueError, match="held-out"):
        link(music, tmp_path / "training", tmp_path / "held")


def test_a_file_in_the_way_stays(music, tmp_path, capsys):
    own = tmp_path / "training/reference/pack__new tune.ogg"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    folders = ["--training", str(tmp_path / "training"), "--held_out", str(tmp_path / "held")]
    assert main(["--music", str(music), *folders]) == 2
    assert own.read_bytes() == b"mine"
    assert "move it away" in capsys.readouterr().err


def test_music_that_was_not_fetched_is_one_sentence(tmp_path, capsys):
    assert main(["--music", str(tmp_path)]) == 2
    assert "fetch_music" in capsys.readouterr().err


def test_the_split_names_each_file_once():
    rows = [line.split("\t") for line in SPLIT.read_text().splitlines()[1:]]
    assert {use for use, _ in rows} == {"held out", "left out"}
    assert len({path for _, path in rows}) == len(rows)
