"""`Settings` as flags of a command: one of each field."""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from baselines.setting_fields import find_choices
from baselines.settings import Settings
from bigearthnet.util import command


def define_flags() -> None:
    """Defines a flag for each field."""
    define: dict[type, Any] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    for field in dataclasses.fields(Settings):
        name, text = field.name, field.metadata["help"]
        default: Any = field.default
        if choices := find_choices(Settings, field):
            command.define_choice(name, default, choices, text)
        else:
            define[type(default)](name, default, text)


def from_flags() -> Settings:
    """Returns the settings that the flags say.

    Raises:
        OptionError: If a value has no meaning.
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    values: dict[str, Any] = {name: flags.FLAGS[name].value for name in names}
    return Settings(**values)
