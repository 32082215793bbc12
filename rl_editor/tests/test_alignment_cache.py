"""A pair is aligned once."""

import numpy as np
import pytest
import soundfile as sf

from rl_editor import alignment_cache
from rl_editor.alignment_cache import aligned_truth
from rl_editor.cache import Cache
from rl_editor.errors import UserError
from rl_editor.tests.made_tasks import SR, made_music


@pytest.fixture
def pair(tmp_path):
    music = made_music(12.0, 1)
    sf.write(tmp_path / "raw.wav", music, SR)
    sf.write(tmp_path / "edit.wav", music[4 * SR :], SR)
    return tmp_path / "raw.wav", tmp_path / "edit.wav"


def refuse(*files):
    raise AssertionError("aligned again")


def test_a_pair_is_not_aligned_again(pair, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    first = aligned_truth(*pair, cache)
    assert sum(s.end_s - s.start_s for s in first.segments if s.wanted) == pytest.approx(8, abs=0.1)
    (clip,) = first.clips
    assert (clip.source_start_s, clip.source_end_s) == pytest.approx((4.0, 12.0), abs=0.02)
    monkeypatch.setattr(alignment_cache.alignment, "align_files", refuse)
    assert aligned_truth(*pair, cache) == first
    for path in pair:  # other names, same bytes
        path.rename(path.with_stem(f"{path.stem}-moved"))
    moved = [path.with_stem(f"{path.stem}-moved") for path in pair]
    assert aligned_truth(*moved, cache) == first


def test_what_is_said_about_the_whole_edit_is_kept(pair, tmp_path):
    music = made_music(12.0, 1)
    sf.write(pair[1], np.concatenate([music[4 * SR :], made_music(3.0, 7)]), SR)
    cache = Cache(tmp_path / "cache")
    first = aligned_truth(*pair, cache)
    assert "is not from this recording" in first.notes[0]
    assert aligned_truth(*pair, cache) == first


@pytest.mark.parametrize("changed", ["raw", "edit", "version", "entry", "no cache"])
def test_what_changed_is_aligned_again(pair, tmp_path, monkeypatch, changed):
    cache = Cache(tmp_path / "cache")
    aligned_truth(*pair, cache)
    monkeypatch.setattr(alignment_cache.alignment, "align_files", refuse)
    if changed in ("raw", "edit"):
        with open(pair[changed == "edit"], "ab") as file:
            file.write(b"more")
    elif changed == "version":
        monkeypatch.setattr(alignment_cache, "ALIGNMENT_VERSION", 0)
    elif changed == "entry":
        (entry,) = cache.folder.iterdir()
        entry.write_bytes(entry.read_bytes().replace(b"true", b"null"))
    with pytest.raises(AssertionError, match="aligned again"):
        aligned_truth(*pair, None if changed == "no cache" else cache)


def test_a_pair_that_does_not_belong_together_is_told_every_time(pair, tmp_path, monkeypatch):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * SR)
    sf.write(pair[1], noise, SR)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(UserError, match=r"edit\.wav should be an edit of") as first:
        aligned_truth(*pair, cache)
    monkeypatch.setattr(alignment_cache.alignment, "align_files", refuse)
    with pytest.raises(UserError) as second:
        aligned_truth(*pair, cache)
    assert str(second.value) == str(first.value)
    pair[1].rename(tmp_path / "other.wav")
    with pytest.raises(UserError, match=r"other\.wav should be an edit of"):
        aligned_truth(pair[0], tmp_path / "other.wav", cache)
