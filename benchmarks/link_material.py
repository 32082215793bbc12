"""Link the music of `make music` into training data, without what is held out for measuring.

    python -m benchmarks.link_material [--music music] [--training training_data]
        [--held_out music_test]

Each track and score that `fetch_music` lists becomes a link in `TRAINING/reference/` or, if
`held_out.tsv` says so, in `HELD_OUT/reference/`, named after its package and piece. Variants of
another piece (a faster version, a remix, a stem) are left out, so that no piece is on both sides.
This is the material and the split of the editor that ships (docs/model_card.md).
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from rl_editor.errors import UserError

SPLIT = Path(__file__).with_name("held_out.tsv")
LISTS = ("tracks.tsv", "scores.tsv")
USES = ("training", "held out", "left out")


def link(music: Path, training: Path, held_out: Path) -> tuple[int, int]:
    """Make the links and return how many are for training and how many are held out.

    Raises:
        UserError: the music was not fetched, or a file that is no link is in the way.
        ValueError: the split names another use than `USES`.
    """
    use_of = {row["path"]: row["use"] for row in _rows(SPLIT)}
    if unknown := set(use_of.values()) - set(USES):
        raise ValueError(f"{SPLIT} names the uses {sorted(unknown)}, but there are {USES}")
    counts = dict.fromkeys(USES, 0)
    folders = {"training": training / "reference", "held out": held_out / "reference"}
    for row in (row for name in LISTS for row in _listed(music / name)):
        use, source = use_of.get(row["path"], "training"), music / row["path"]
        for other, folder in folders.items():
            target = folder / (row["piece"].replace("/", "__") + source.suffix)
            if target.is_symlink():  # of this split or a former one
                target.unlink()
            if other != use:
                continue
            if target.exists():
                raise UserError(f"{target} should be a link, but is a file; move it away first.")
            folder.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())
        counts[use] += 1
    return counts["training"], counts["held out"]


def _listed(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise UserError(
            f"{path} should list the music, but is not there; run `python -m "
            f"benchmarks.fetch_music --folder {path.parent}` first."
        )
    return _rows(path)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--music", type=Path, default=Path("music"))
    parser.add_argument("--training", type=Path, default=Path("training_data"))
    parser.add_argument("--held_out", type=Path, default=Path("music_test"))
    arguments = parser.parse_args(argv)
    try:
        counts = link(arguments.music, arguments.training, arguments.held_out)
    except UserError as error:
        print(f"link_material: {error}", file=sys.stderr)
        return 2
    print(f"{counts[0]} pieces for training, {counts[1]} held out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
