"""The flags of the training command: every setting is one, and one not given changes nothing.

What is not given as a flag comes from the file of `--config`, then from the checkpoint of
`--checkpoint`, then from the defaults in `config`.

This module's imports are free of torch: worker processes import it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rl_editor.config import Config, TrainConfig
from rl_editor.config_file import read_settings, with_settings
from rl_editor.errors import UserError
from rl_editor.extras import install_hint

if TYPE_CHECKING:
    from rl_editor.checkpoint import Checkpoint


def parse(argv: Sequence[str] | None = None) -> tuple[Config, Checkpoint | None]:
    """Return the settings of the flags, and the checkpoint that they name.

    Flags are the fields of `TrainConfig` (`--save_dir` or `--save-dir`) and, with a prefix, those
    of the other settings (`--agent.hidden-dim`). With `--checkpoint` the settings stored in it are
    the defaults; where it is one of a run that can go on, its folders and epochs too.
    """
    config, file = _parse_flags(argv, Config())
    parts = {} if file is None else read_settings(file)
    if file is not None:
        config, _ = _parse_flags(argv, with_settings(Config(), parts, file))
    if config.train.checkpoint is None:
        return config, None
    from rl_editor import checkpoint

    loaded = checkpoint.load(config.train.checkpoint, with_run=True)
    stored = dataclasses.replace(loaded.config, train=_settings_of(loaded, config))
    config, _ = _parse_flags(argv, with_settings(stored, parts, file or ""))
    if config.agent != loaded.config.agent:
        raise UserError(
            f"the network of {config.train.checkpoint} is {loaded.config.agent}, but the flags ask "
            f"for {config.agent}; leave the --agent flags out, or start without --checkpoint."
        )
    return config, loaded


def missing_package(module: str) -> UserError:
    """Return the error to raise where a package that training needs is not installed."""
    return UserError(
        f"training needs the Python package {module}, which is not installed; run "
        f"{install_hint('train')}."
    )


def _settings_of(loaded: Checkpoint, config: Config) -> TrainConfig:
    """Return the settings that are the defaults for a run from a checkpoint."""
    stored, path = loaded.config.train, config.train.checkpoint
    if loaded.run is not None and path is not None:
        return dataclasses.replace(stored, save_dir=str(Path(path).parent), checkpoint=path)
    fresh = TrainConfig()
    return dataclasses.replace(
        stored,
        save_dir=fresh.save_dir,
        data_dir=fresh.data_dir,
        epochs=fresh.epochs,
        checkpoint=path,
    )


def _parse_flags(argv: Sequence[str] | None, defaults: Config) -> tuple[Config, str | None]:
    """Return the settings, and the file that `--config` names."""
    try:
        import tyro
    except ImportError as error:
        raise missing_package("tyro") from error
    about_file = tyro.conf.arg(help="TOML file with settings; flags win over it.", metavar="FILE")
    parts: list[Any] = [
        ("config", Annotated[str | None, about_file], dataclasses.field(default=None))
    ]
    for field in dataclasses.fields(Config):
        value = getattr(defaults, field.name)
        kind: Any = type(value)
        if field.name == "train":  # its flags have no prefix
            kind = Annotated[kind, tyro.conf.arg(name="")]
        if field.name != "analysis":  # recordings are analysed in one way
            parts.append((field.name, kind, dataclasses.field(default=value)))
    flags: Any = tyro.cli(
        dataclasses.make_dataclass("Flags", parts, frozen=True),
        prog="python -m rl_editor.train",
        description="Train an editor on pairs of raw recordings and edits.",
        args=argv,
    )
    names = [name for name, _, _ in parts if name != "config"]
    return dataclasses.replace(defaults, **{n: getattr(flags, n) for n in names}), flags.config
