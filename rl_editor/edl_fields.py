"""Strict checks of values that were read from a file, each with a sentence for the user.

A check takes a decoded JSON value and where it stands ("clips[3].rate"), and returns the value
in its Python type or raises `UserError`. Checks are composed: `list_of(record(Clip, ...))`.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rl_editor.errors import UserError

Check = Callable[[Any, str], Any]


def refuse(where: str, expected: str, came: Any) -> UserError:
    """Return the error that says what stands at `where` and what should."""
    return UserError(
        f"{where} must be {expected}, but is {reprlib.repr(came)}; correct or remake the list."
    )


def number(low: float, high: float) -> Check:
    """Return a check for a finite number in [low, high]; the value becomes a float."""

    def check(value: Any, where: str) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:  # NaN fails every comparison
            raise refuse(where, f"a number from {low:g} to {high:g}", value)
        return float(value)

    return check


def integer(low: int, high: int) -> Check:
    """Return a check for a whole number in [low, high], written without a decimal point."""

    def check(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise refuse(where, f"a whole number from {low} to {high}", value)
        return value

    return check


def text_up_to(max_length: int) -> Check:
    """Return a check for a string of at most `max_length` characters."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value) > max_length:
            raise refuse(where, f"a text of at most {max_length} characters", value)
        return value

    return check


def one_of(names: Collection[str]) -> Check:
    """Return a check for one of some names."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in names:
            raise refuse(where, f"one of {', '.join(names)}", value)
        return value

    return check


def flag(value: Any, where: str) -> bool:
    """Check for true or false."""
    if not isinstance(value, bool):
        raise refuse(where, "true or false", value)
    return value


def optional(inner: Check) -> Check:
    """Return a check that also lets null (None) pass."""
    return lambda value, where: None if value is None else inner(value, where)


def list_of(inner: Check, max_items: int) -> Check:
    """Return a check for a list of at most `max_items`; the value becomes a tuple."""

    def check(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise refuse(where, "a list", value)
        if len(value) > max_items:
            raise UserError(f"{where} must hold at most {max_items} items, but holds {len(value)}.")
        return tuple(inner(item, f"{where}[{i}]") for i, item in enumerate(value))

    return check


def record(cls: type, checks: Mapping[str, Check]) -> Check:
    """Return a check for an object with exactly these keys; the value becomes a `cls`.

    Keys whose field has a default in the dataclass `cls` may be left out.
    """
    needed = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def check(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise refuse(where, "an object", value)
        for name in sorted(needed - value.keys()):
            raise UserError(f"{where}.{name} is missing; correct or remake the list.")
        for name in sorted(value.keys() - checks.keys()):
            raise UserError(
                f"{where} holds the unknown key {reprlib.repr(name)}, but may hold only "
                f"{', '.join(checks)}; remove it."
            )
        return cls(**{name: checks[name](item, f"{where}.{name}") for name, item in value.items()})

    return check
