"""What `--help` prints: the text of a command, and each of its flags once.

absl shows the flags of one module, does not say which are needed, and puts them below
the path of a file.
"""

from __future__ import annotations

import itertools
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

HELP = frozenset({"-h", "-help", "--help", "-?", "--helpshort"})
_WIDTH = 88


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether one of the words before `--` asks for help."""
    flagged = itertools.takewhile(lambda word: word != "--", arguments)
    return not HELP.isdisjoint(flagged)


def describe_command(own: Sequence[flags.Flag[Any]]) -> str:
    """Returns the help of the command that runs.

    Args:
        own: Its flags, in the order in which they are shown.
    """
    main = sys.modules["__main__"]
    text = (main.__doc__ or "").strip()
    needed = [_show_value(flag) for flag in own if _is_required(flag)]
    program = f"python -m {main.__spec__.name}" if main.__spec__ else sys.argv[0]
    usage = " ".join(["usage:", program, *needed, "[--flag=value ...]"])
    return "\n".join(
        [
            *textwrap.wrap(usage, _WIDTH, subsequent_indent=" " * 7),
            *("", text, "", "flags:"),
            *(line for flag in own for line in _describe_flag(flag)),
            "  --flagfile=path",
            "      File of flags, one a line; those of the command line come before.",
        ]
    )


def _describe_flag(flag: flags.Flag[Any]) -> list[str]:
    """Returns a line of name, values and default, and below it what the flag means."""
    shown = _show_value(flag)
    if _is_required(flag):
        shown += " (required)"
    elif flag.default not in (None, "", []):
        default = flag.default_as_str or ""
        shown += f" (default: {default.strip(chr(39))})"
    if isinstance(flag, flags.MultiFlag):
        shown += " (may be given several times)"
    indent = " " * 6
    # absl adds the choices before the help, and after it how to repeat the flag.
    text = re.sub(
        r"^<[^>]*>: |;\s*repeat this option.*", "", flag.help or "", flags=re.DOTALL
    )
    head = textwrap.wrap(
        f"  {shown}", _WIDTH, subsequent_indent=indent, break_on_hyphens=False
    )
    return [
        *head,
        *textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent),
    ]


def _show_value(flag: flags.Flag[Any]) -> str:
    """Returns for example `--limit=integer`, `--config=s2|s2-rgb`, `--[no]restart`."""
    if flag.boolean:
        return f"--[no]{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    kind = "|".join(choices) if choices else flag.flag_type().removeprefix("multi ")
    shorter = {"int": "integer", "comma separated list of strings": "a,b,..."}
    return f"--{flag.name}={shorter.get(kind, kind)}"


def list_missing(own: Sequence[flags.Flag[Any]]) -> list[str]:
    """Returns how to give those flags of a command that it needs and does not have."""
    return [_show_value(f) for f in own if _is_required(f) and f.value is None]


def _is_required(flag: flags.Flag[Any]) -> bool:
    """Whether the command refuses to run without the flag."""
    checkers = [getattr(validator, "checker", None) for validator in flag.validators]
    return flag.default is None and any(
        checker is not None and not checker(None) for checker in checkers
    )
