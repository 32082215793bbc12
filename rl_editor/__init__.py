"""rl_editor: turns a raw music recording into the polished track that is hidden in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rl_editor.conversion import OutputFormat
    from rl_editor.infer import EditOptions, EditResult, edit

__version__ = "0.1.0"
__all__ = ["EditOptions", "EditResult", "OutputFormat", "edit"]


def __getattr__(name: str) -> object:
    """Import the library's functions when they are first used, so that commands start fast."""
    if name in __all__:
        from rl_editor import infer

        return getattr(infer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
