"""How to install the optional packages: the name of an extra in, the command out."""

from __future__ import annotations

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
"""Folder above the package: a checkout where it holds `pyproject.toml`."""


def install_hint(extra: str) -> str:
    """Return what to run to install an extra such as "codecs", for the middle of a sentence.

    A package that runs out of a checkout is installed from there; otherwise both ways are named,
    since nobody can tell where an installed package came from.
    """
    from_clone = f'pip install ".[{extra}]"'
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f"{from_clone} in {_CHECKOUT}"
    return f'pip install "rl_editor[{extra}]" or, in a clone of its repository, {from_clone}'
