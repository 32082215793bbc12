"""Tests; run with `pytest rl_editor/tests/`."""
