"""What every command shares: its flags, its exit status, and short errors."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from absl import app, flags

from bigearthnet.errors import BigEarthNetError, OptionError
from bigearthnet.util.arguments import expand_flag_files
from bigearthnet.util.extras import advise_install
from bigearthnet.util.help import asks_for_help, describe_command, list_missing
from bigearthnet.util.paths import local_path
from bigearthnet.util.quiet import divert_libraries
from bigearthnet.util.remote import Place, RemotePath, is_url, parse_url
from bigearthnet.util.remote_files import check_object_store

# Exit statuses after SIGINT and SIGTERM: 128 + the signal, as shells have it.
_INTERRUPTED = 130
_TERMINATED = 143


class _PathParser(flags.ArgumentParser[Path]):
    """Parses a flag's value as `local_path` does."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def parse(self, argument: str | Path) -> Path:
        return local_path(argument, self._name)

    def flag_type(self) -> str:
        return "path"


class _PlaceParser(flags.ArgumentParser[Place]):
    """Parses a flag's value as a path, or as the URL of an object store."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def parse(self, argument: str | Place) -> Place:
        if isinstance(argument, RemotePath):
            return argument
        if not is_url(argument):
            return local_path(argument, self._name)
        place = parse_url(str(argument))
        check_object_store(place, self._name)
        return place

    def flag_type(self) -> str:
        return "path or URL"


class _PathListParser(flags.ListParser):
    """Parses a list of paths, separated by commas."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._flag_name = name

    def parse(self, argument: str | list[str]) -> list[Path]:  # type: ignore[override]
        return [local_path(path, self._flag_name) for path in super().parse(argument)]


def define_path(
    name: str, default: str | None, description: str, *, required: bool = False
) -> None:
    """Defines a flag whose value is a path on this machine; see `local_path`.

    Args:
        name: Name of the flag.
        default: Its default value.
        description: Text for `--help`.
        required: Whether the command needs the flag.
    """
    flags.DEFINE(_PathParser(name), name, default, description, required=required)


def define_place(name: str, description: str, *, required: bool = False) -> None:
    """Defines a flag whose value is a path, or the URL of an object store.

    Args:
        name: Name of the flag.
        description: Text for `--help`.
        required: Whether the command needs the flag.
    """
    flags.DEFINE(_PlaceParser(name), name, None, description, required=required)


def define_path_list(name: str, default: str | None, description: str) -> None:
    """Defines a flag whose value are paths, separated by commas.

    Args:
        name: Name of the flag.
        default: Its default value; None if the command needs the flag.
        description: Text for `--help`.
    """
    is_required = default is None
    flags.DEFINE(
        _PathListParser(name), name, default, description, required=is_required
    )


def define_repeated_path(name: str, description: str) -> None:
    """Defines a flag whose value is a path, and which may be given several times."""
    serializer = flags.ArgumentSerializer[Path]()
    flags.DEFINE_multi(_PathParser(name), serializer, name, [], description)


def define_choice(
    name: str,
    default: str | None,
    choices: Iterable[str],
    description: str,
    *,
    required: bool = False,
) -> None:
    """Defines a flag whose value is one of some names, in upper or lower case."""
    flags.DEFINE_enum(
        name,
        default,
        [*choices],
        description,
        required=required,
        case_sensitive=False,
    )


def check_packages(extra: str, *names: str) -> None:
    """Refuses to start where packages that a command needs are not installed.

    Args:
        extra: The extra of this package that installs them.
        names: Their names as they are imported; none of them is imported here.

    Raises:
        OptionError: If some are missing.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise OptionError(
            f"{', '.join(missing)} not installed: install the extra [{extra}], "
            f"{advise_install(extra)}"
        )


def run(
    main: Callable[..., int | None],
    define_flags: Callable[[], None],
    *,
    flag_files: Mapping[str, Callable[[str], Path]] = MappingProxyType({}),
    takes_arguments: bool = False,
    find_logs: Callable[[], Path | None] | None = None,
) -> None:
    """Defines the flags, parses the command line, runs a command, and exits.

    `--help` shows the docstring of the command's module and all its flags. The exit
    status is 0 after `--help`, 1 after an error of this package, of the operating
    system or of an operation of TensorFlow, whose message alone is shown. Each flag has
    one value; see `arguments`.

    Args:
        main: The command; returns its exit status, None meaning 0.
        define_flags: Defines the command's absl flags. Not done at import, so that one
            command can use the functions of another.
        flag_files: Name of each flag that stands for a flag file, besides `flagfile`
            → a function from the flag's value to the file.
        takes_arguments: Whether `main` takes a list of the arguments that are not
            flags; otherwise such arguments are refused.
        find_logs: For commands that import TensorFlow: returns the folder that keeps
            what libraries print; see `quiet`. None if they may print on the terminal.
    """
    others = set(flags.FLAGS)
    define_flags()
    own = [flags.FLAGS[name] for name in flags.FLAGS if name not in others]
    # TensorFlow's messages at start-up would bury those of the command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A command that is told to end cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))

    def parse(argv: Sequence[str]) -> list[str]:
        if asks_for_help(argv[1:]):
            _show(describe_command(own))
            sys.exit(0)
        try:
            arguments = expand_flag_files(argv[1:], flags.FLAGS, flag_files)
            return flags.FLAGS([argv[0], *arguments])
        except (flags.Error, OptionError) as error:
            ours = error.__context__  # absl puts its own words around a parser's error
            problem = str(ours if isinstance(ours, OptionError) else error)
            if problem.endswith("must have a value other than None."):
                sys.exit(_report(f"expected {' '.join(list_missing(own))}; see --help"))
            sys.exit(_report(f"{problem.removesuffix('.')}. See --help."))
        except SystemExit:  # absl exits with 1 after --helpfull
            sys.exit(0)

    def run_checked(argv: Sequence[str]) -> int:
        arguments = argv[1:]
        if arguments and not takes_arguments:
            return _report(f"unexpected argument {arguments[0]!r}; see --help")
        quiet = divert_libraries(find_logs) if find_logs else contextlib.nullcontext()
        try:
            with quiet:
                return (main(list(arguments)) if takes_arguments else main()) or 0
        except (BigEarthNetError, OSError) as error:  # OSError: a full disk, say
            return _report(str(error))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return _INTERRUPTED
        except Exception as error:
            if not _is_tensorflow_error(error):
                raise
            first_line = str(error).strip().partition("\n")[0]
            return _report(f"{type(error).__name__}: {first_line}")

    app.run(run_checked, flags_parser=parse)


def _show(text: str) -> None:
    """Prints a text, of which a reader such as `head` may want the beginning alone."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # So that Python does not fail again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(problem: str) -> int:
    """Shows an error; returns the exit status for it."""
    print(f"error: {problem}", file=sys.stderr)
    return 1


def _is_tensorflow_error(error: Exception) -> bool:
    """Whether an operation failed: too little memory or a lost device, for example."""
    if "tensorflow" not in sys.modules:
        return False
    import tensorflow as tf

    return isinstance(error, tf.errors.OpError)
