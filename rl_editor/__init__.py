"""rl_editor: turns a raw music recording into the polished track that is hidden in it."""

__version__ = "0.1.0"
