"""Tags out of whole files: of every format, of damaged and of huge ones."""

import random
import struct

import numpy as np
import pytest
import soundfile

from rl_editor.audio import probe
from rl_editor.audio_decoders import AudioInfo
from rl_editor.tag_reader import read_tags
from rl_editor.tags import Tags
from rl_editor.tests.made_tags import FIELDS, FORMATS, SR, TAGS, noise, write_tagged

CONTAINERS = dict(zip(FORMATS, ("WAV", "FLAC", "OGG", "OGG", "MP3", "AIFF"), strict=True))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_that_is_written_is_read(suffix, tmp_path):
    found = read_tags(probe(write_tagged(tmp_path / f"a{suffix}")))
    assert found.cover == TAGS.cover
    assert sorted(found.fields) == sorted(FIELDS)
    assert found.lost == ()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_tags_has_none(suffix, tmp_path):
    assert read_tags(probe(write_tagged(tmp_path / f"a{suffix}", Tags()))) == Tags()


def test_texts_that_libsndfile_wrote(tmp_path):
    for name in ("a.wav", "a.flac", "a.ogg", "a.caf", "a.aiff"):
        with soundfile.SoundFile(tmp_path / name, "w", SR, 2) as file:
            file.title, file.artist, file.software = "Song", "Ada", "a program"
            file.write(noise())
        found = read_tags(probe(tmp_path / name))
        assert found.values("TITLE") == ("Song",)
        assert found.values("ARTIST") == ("Ada",)
        assert all("a program" not in value for _, value in found.fields)


def test_flac_behind_an_id3_tag(tmp_path):
    from rl_editor.id3 import id3_tag
    from rl_editor.tags import Metadata

    flac = write_tagged(tmp_path / "a.flac", Tags((("TITLE", "inner"), ("ALBUM", "Album"))))
    front = id3_tag(Metadata(Tags((("TITLE", "outer"),))))
    flac.write_bytes(front + flac.read_bytes())
    assert read_tags(AudioInfo(str(flac), SR, 2, 0, "PCM_16", "FLAC")).fields == (
        ("TITLE", "outer"),
        ("ALBUM", "Album"),
    )


def test_flac_in_ogg(tmp_path):
    packet = b"\x84\0\0\x28" + struct.pack("<I", 1) + b"v" + struct.pack("<II", 1, 10)
    packet += b"TITLE=Song"
    from rl_editor.ogg_pages import Page

    pages = [Page(2, 0, 1, 0, b"\x33", b"\x7fFLAC\x01\0" + bytes(44))]
    pages.append(Page(0, 0, 1, 1, bytes([len(packet)]), packet))
    (tmp_path / "a.oga").write_bytes(b"".join(page.encoded() for page in pages))
    info = AudioInfo(str(tmp_path / "a.oga"), SR, 2, 0, "PCM_16", "OGG")
    assert read_tags(info).fields == (("TITLE", "Song"),)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damage_gives_less_but_never_an_error(suffix, tmp_path):
    whole = write_tagged(tmp_path / f"a{suffix}", audio=noise(500)).read_bytes()
    info = AudioInfo(str(tmp_path / "damaged"), SR, 2, 0, "PCM_16", CONTAINERS[suffix])
    generator = random.Random(0)
    for _ in range(150):
        content = bytearray(whole[: generator.choice([len(whole), generator.randrange(12, 3000)])])
        for _ in range(generator.choice([0, 1, 5, 30])):
            at = generator.randrange(4, len(content))
            size = generator.choice([1, 4])
            content[at : at + size] = generator.choice([b"\xff", b"\0", b"\x7f", b"x"]) * size
        (tmp_path / "damaged").write_bytes(content)
        found = read_tags(info)
        assert all(isinstance(value, str) and value for _, value in found.fields)


@pytest.mark.parametrize(("version", "flags"), [(4, 0), (3, 0x80)])
def test_a_huge_tag_takes_little_memory_and_the_sound_is_read(version, flags, tmp_path):
    import tracemalloc

    path = write_tagged(tmp_path / "a.mp3", Tags())
    n_samples, sound = probe(path).n_samples, path.read_bytes()
    size = 50_000_000
    synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    text = b"TIT2\0\0\0\x05\0\0\0Song"
    with open(path, "wb") as file:
        file.write(b"ID3" + bytes([version, 0, flags]) + synchsafe + text)
        file.write(b"APIC" + (synchsafe if version == 4 else struct.pack(">I", size)) + b"\0\0")
        file.seek(10 + size)
        file.write(sound)
    info = probe(path)
    assert info.n_samples == n_samples
    tracemalloc.start()
    found = read_tags(info)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.fields == (("TITLE", "Song"),)
    assert len(found.lost) == 1
    assert peak < 40_000_000


def m4a(path):
    """Write an m4a as PyAV does."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format="ipod") as container:
        container.metadata.update({"title": "Song", "track": "3/12", "album_artist": "The Two"})
        stream = container.add_stream("aac", rate=SR)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(noise().T), "fltp", "stereo")
        frame.sample_rate = SR
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def test_m4a_through_pyav(tmp_path):
    found = read_tags(probe(m4a(tmp_path / "a.m4a")))
    assert dict(found.fields) == {
        "TITLE": "Song",
        "TRACKNUMBER": "3",
        "TOTALTRACKS": "12",
        "ALBUMARTIST": "The Two",
    }


def test_audio_in_memory_has_no_tags():
    assert read_tags(AudioInfo("", SR, 1, 0, "FLOAT", "memory")) == Tags()
