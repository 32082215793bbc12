"""Tags into finished files: the sound stays as it is, the file appears whole or not at all."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rl_editor import audio_writer, tag_writer
from rl_editor.audio import AudioReader, AudioWriter, probe
from rl_editor.errors import UserError
from rl_editor.tag_reader import read_tags
from rl_editor.tags import Chapter, Metadata, Picture, Tags
from rl_editor.tests.made_tags import FIELDS, FORMATS, SR, TAGS, noise, png, samples, write_tagged

CHAPTERS = (Chapter(0.0, 0.25, "one"), Chapter(0.25, 0.625, "zwö"))
LARGE = Tags(FIELDS, Picture("image/png", png() + bytes(range(256)) * 2000))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("tags", [TAGS, LARGE])
def test_the_sound_is_the_same_with_and_without(suffix, tags, tmp_path):
    plain = write_tagged(tmp_path / f"plain{suffix}", Tags())
    tagged = write_tagged(tmp_path / f"tagged{suffix}", tags, CHAPTERS)
    np.testing.assert_array_equal(samples(tagged), samples(plain))
    before, after = soundfile.info(plain), soundfile.info(tagged)
    for what in ("samplerate", "channels", "subtype", "format", "frames"):
        assert getattr(after, what) == getattr(before, what)
    assert probe(tagged).n_samples == 30_000
    assert read_tags(probe(tagged)).cover == tags.cover


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_to_put_in_leaves_the_file_alone(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(tag_writer, "_copy", None)
    monkeypatch.setattr(tag_writer, "_append_chunks", None)
    write_tagged(tmp_path / f"a{suffix}", Tags(lost=("the cover",)))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("n_samples", [999, 1000])
def test_samples_of_wav_stay_bit_for_bit(subtype, n_samples, tmp_path):
    audio = noise(n_samples, 1)
    for name, tags in (("plain.wav", Tags()), ("tagged.wav", TAGS)):
        write_tagged(tmp_path / name, tags, CHAPTERS if tags.fields else (), audio, subtype)
    plain, tagged = ((tmp_path / n).read_bytes() for n in ("plain.wav", "tagged.wav"))
    assert tagged[8 : len(plain)] == plain[8:]
    assert int.from_bytes(tagged[4:8], "little") == len(tagged) - 8
    assert len(tagged) % 2 == 0


def test_a_wav_that_became_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_writer, "RIFF_MAX_BYTES", 50_000)
    path = write_tagged(tmp_path / "a.wav", TAGS, CHAPTERS)
    content = path.read_bytes()
    assert content[:4] == b"RF64"
    assert int.from_bytes(content[20:28], "little") == len(content) - 8
    assert probe(path).n_samples == 30_000
    assert dict(read_tags(probe(path)).fields) == dict(FIELDS)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_while_tags_are_written_leaves_the_earlier_file(
    suffix, error, tmp_path, monkeypatch
):
    def fails(*args, **options):
        raise error

    for name in ("id3_tag", "comment_block", "riff_chunks", "aiff_chunks"):
        monkeypatch.setattr(tag_writer, name, fails)
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"earlier")
    expected = UserError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_tagged(target)
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]


KILLED = """
import os, shutil, signal, sys
from rl_editor import tag_writer
from rl_editor.tests.made_tags import write_tagged
def half(source, target):
    target.write(source.read(1000))
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
shutil.copyfileobj = half
write_tagged(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("suffix", [".flac", ".mp3"])
def test_killed_while_tags_are_written(suffix, tmp_path):
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"earlier")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"earlier"


def test_an_exception_in_the_block_writes_no_tags(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_writer, "write_metadata", None)
    with (
        pytest.raises(ValueError, match="S, 2"),
        AudioWriter(tmp_path / "a.flac", SR, 2, metadata=Metadata(TAGS)) as writer,
    ):
        writer.write(noise(channels=3))
    assert list(tmp_path.iterdir()) == []


def test_tags_that_are_written_again_do_not_grow(tmp_path):
    first = write_tagged(tmp_path / "a.flac", TAGS, CHAPTERS)
    again = write_tagged(tmp_path / "b.flac", read_tags(probe(first)), CHAPTERS)
    assert again.stat().st_size == first.stat().st_size
    with AudioReader(again) as reader:
        assert reader.info.n_samples == 30_000


NAMES = {
    "title": "TITLE",
    "album": "ALBUM",
    "date": "DATE",
    "genre": "GENRE",
    "comment": "COMMENT",
    "copyright": "COPYRIGHT",
}
"""What FFmpeg calls the tags that it knows in every format."""


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="FFmpeg is not installed")
@pytest.mark.parametrize("suffix", FORMATS)
def test_ffprobe_reads_the_same(suffix, tmp_path):
    path = write_tagged(tmp_path / f"a{suffix}", TAGS, CHAPTERS)
    command = ["ffprobe", "-v", "warning", "-of", "json", "-show_format", "-show_streams"]
    done = subprocess.run(
        [*command, "-show_chapters", str(path)], capture_output=True, check=True, timeout=60
    )
    told = json.loads(done.stdout)
    found = dict(told["format"].get("tags", {}))
    for stream in told["streams"]:
        if stream["codec_type"] == "audio":
            found.update(stream.get("tags", {}))
    found = {name.lower(): value for name, value in found.items()}
    expected = dict(FIELDS)
    assert {name: found[name] for name in NAMES} == {n: expected[f] for n, f in NAMES.items()}
    assert "Ada" in found["artist"]
    assert found["track"].split("/")[0] == "3"
    assert "lav" not in found.get("encoder", "").lower()
    chapters = [
        (float(chapter["start_time"]), chapter["tags"]["title"]) for chapter in told["chapters"]
    ]
    assert chapters == [(chapter.start_s, chapter.title) for chapter in CHAPTERS]
    pictures = [stream for stream in told["streams"] if stream["codec_type"] == "video"]
    if suffix != ".wav" or pictures:
        assert [stream["codec_name"] for stream in pictures] == ["png"]
        assert pictures[0]["disposition"]["attached_pic"] == 1
