"""The pictures of docs/data.md are made by a command, and small."""

import sys

import pytest


@pytest.mark.slow
def test_the_pictures_are_made_and_small(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    data_pictures = pytest.importorskip("benchmarks.data_pictures")
    monkeypatch.setattr(sys, "argv", ["data_pictures", "--folder", str(tmp_path / "pictures")])
    data_pictures.main()
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "pictures").iterdir()}
    assert sizes.keys() == {"session.png", "alignment.png"}
    assert max(sizes.values()) < 300_000
