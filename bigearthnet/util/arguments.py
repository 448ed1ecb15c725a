"""The command line before it is parsed: flag files, and flags that are given twice.

absl takes the last of several values, from wherever it comes. Here a flag has one value
in one place. A place may change what the flag files say that it names: the command line
those of `--flagfile`, and these the files that they name in turn, in any order. Files
that are named side by side must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.util.paths import local_path

_FLAGFILE = "flagfile"
# Flags that absl knows without having them among the others; both take a value.
_SPECIAL = (_FLAGFILE, "undefok")


class _Given(NamedTuple):
    """A flag as it was given.

    Attributes:
        words: The flag, and its value if that is a word of its own.
        where: Where it stands.
    """

    words: tuple[str, ...]
    where: str

    def __str__(self) -> str:
        return f"{' '.join(self.words)} ({self.where})"


# Name of a flag → how it was given; several times if it may be repeated.
_Layer: TypeAlias = "dict[str, list[_Given]]"


def expand_flag_files(
    arguments: Sequence[str],
    known: flags.FlagValues,
    files: Mapping[str, Callable[[str], Path]],
) -> list[str]:
    """Replaces flag files by the flags in them, so that every flag has one value.

    Args:
        arguments: The command line without the name of the program.
        known: The flags of the command.
        files: Name of each flag that stands for a flag file, besides `flagfile` → a
            function from the flag's value to the file.

    Raises:
        OptionError: If a flag has two values, or a flag file cannot be read.
    """
    expander = _Expander(known, {_FLAGFILE: _find_file, **files})
    layer, rest = expander.collect(arguments, "the command line", ())
    given = [one for found in layer.values() for one in found]
    return [*(word for one in given for word in one.words), *rest]


class _Expander(NamedTuple):
    """What the words of a command line mean; see `expand_flag_files`."""

    known: flags.FlagValues
    files: Mapping[str, Callable[[str], Path]]

    def collect(
        self, arguments: Sequence[str], where: str, opened: tuple[Path, ...]
    ) -> tuple[_Layer, list[str]]:
        """Returns the flags of a place and its flag files, and the other arguments."""
        own: _Layer = {}
        below: _Layer = {}
        *pairs, (_, rest) = self._split(arguments)
        for name, words in pairs:
            if name in self.files:
                value = words[1] if len(words) > 1 else words[0].partition("=")[2]
                found = self._collect_file(self.files[name](value), opened)
                for inner, given in found.items():
                    below.setdefault(inner, []).extend(given)
            if name != _FLAGFILE:
                own.setdefault(name, []).append(_Given(words, where))
        for name, given in own.items():
            if len(given) > 1 and not self._may_repeat(name):
                raise OptionError(f"--{name} is given twice: {given[0]}, {given[1]}.")
        for name, given in below.items():
            if self._may_repeat(name):
                own[name] = [*given, *own.get(name, [])]
            elif name not in own:
                own[name] = [_agree(name, given)]
        return own, list(rest)

    def _collect_file(self, path: Path, opened: tuple[Path, ...]) -> _Layer:
        if path in opened:
            raise OptionError(f"flagfile: {path} names itself.")
        try:
            lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as cause:
            raise OptionError(f"flagfile: cannot read {path}: {cause}.") from None
        arguments = [ln for ln in lines if ln and not ln.startswith(("#", "//"))]
        layer, rest = self.collect(arguments, str(path), (*opened, path))
        if rest:
            raise OptionError(f"{path}: expected a flag on each line, got {rest[0]!r}.")
        return layer

    def _split(self, arguments: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields name and words of each flag, then "" and all other words.

        As absl has it, flags may stand behind other words, but not behind `--`.
        """
        left, rest = list(arguments), list[str]()
        while left and left[0] != "--":
            word = left.pop(0)
            if not word.startswith("-") or not word.strip("-"):
                rest.append(word)
                continue
            name, equals, _ = word.lstrip("-").partition("=")
            flag = self._find(name)
            if flag is None:
                flag = self._find(name.removeprefix("no"))
            takes_value = name in _SPECIAL or (flag is not None and not flag.boolean)
            if not takes_value or equals:
                words: tuple[str, ...] = (word,)
            elif left:
                words = (word, left.pop(0))
            else:
                raise OptionError(f"{word}: expected a value.")
            yield (name if flag is None else flag.name), words
        yield "", (*rest, *left)

    def _find(self, name: str) -> flags.Flag[Any] | None:
        if name in self.known:
            return self.known[name]
        return None

    def _may_repeat(self, name: str) -> bool:
        """Whether a flag may be given several times; absl refuses unknown ones."""
        flag = self._find(name)
        return flag is None or isinstance(flag, flags.MultiFlag)


def _agree(name: str, given: Sequence[_Given]) -> _Given:
    """Returns what flag files, side by side, say of a flag."""
    for other in given:
        if other.words != given[0].words:
            raise OptionError(
                f"flag files say different things: {given[0]}, {other}. Give --{name} "
                "on the command line, or one of the files."
            )
    return given[0]


def _find_file(value: str) -> Path:
    return local_path(value, _FLAGFILE).absolute()
