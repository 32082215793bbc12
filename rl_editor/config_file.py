"""Settings out of a TOML file: those of training at the top, the others in tables by their names.

    epochs = 2000
    lr = 1e-4
    [agent]
    hidden_dim = 64

In: the path and the settings that the file changes. Out: the settings as the file has them.
"""

from __future__ import annotations

import dataclasses
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rl_editor.config import Config, from_dict, to_dict
from rl_editor.errors import UserError
from rl_editor.extras import install_hint

TOP = "train"
"""Settings of this part of `Config` need no table."""


def read_settings(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the settings of a file by the part of `Config` that they belong to.

    Raises:
        UserError: the file cannot be read, is no TOML, or names what is no setting.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, value in _parse(Path(path)).items():
        part, values = (name, value) if isinstance(value, dict) else (TOP, {name: value})
        _check_part(path, part)
        for setting, content in values.items():
            _check_setting(path, part, setting)
            parts.setdefault(part, {})[setting] = content
    return parts


def with_settings(config: Config, parts: dict[str, dict[str, Any]], path: str | Path) -> Config:
    """Return `config` with the settings that were read from the file at `path`.

    Raises:
        UserError: a value is not of its setting's type, or out of its range.
    """
    changed = {}
    for part, values in parts.items():
        settings = getattr(config, part)
        try:
            changed[part] = from_dict(type(settings), {**to_dict(settings), **values})
        except UserError as error:
            raise UserError(f"in {path}, {error}") from error
    return dataclasses.replace(config, **changed)


def _parse(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise UserError(
                "a settings file needs the Python package tomli, which is not installed; run "
                f"{install_hint('train')}."
            ) from error
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"the settings should be in the file {path}, but it cannot be read "
            f"({error.strerror}); name another with --config."
        ) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are of its kind
        raise UserError(
            f"{path} should hold settings as TOML (lr = 1e-4), but does not ({error}); correct it."
        ) from error


def _check_part(path: str | Path, part: str) -> None:
    parts = [field.name for field in dataclasses.fields(Config) if field.name != "analysis"]
    if part not in parts:
        raise UserError(
            f"{path} has the table [{part}], but settings are in {', '.join(parts)}; correct it."
        )


def _check_setting(path: str | Path, part: str, setting: str) -> None:
    names = [field.name for field in dataclasses.fields(getattr(Config(), part))]
    if setting in names:
        return
    close = get_close_matches(setting, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it knows {', '.join(names)}."
    where = "of training" if part == TOP else f"in [{part}]"
    raise UserError(f"{path} sets {setting}, but there is no such setting {where}; {hint}")
