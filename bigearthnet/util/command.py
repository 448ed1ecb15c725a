"""What every command shares: its flags, its exit status, and short errors."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from bigearthnet.errors import BigEarthNetError, OptionError

# Exit statuses after SIGINT and SIGTERM: 128 + the signal, as shells have it.
_INTERRUPTED = 130
_TERMINATED = 143


def path_flag(name: str) -> Path:
    """Returns the path that a flag holds, `~` being the home folder.

    Shells expand `~` at the start of a word only, and in `--data_dir=~/data` it is not.
    """
    return Path(str(flags.FLAGS[name].value)).expanduser()


def optional_path_flag(name: str) -> Path | None:
    """Returns the path that a flag holds, or None where it was not given."""
    return None if flags.FLAGS[name].value is None else path_flag(name)


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
            f"{', '.join(missing)} not installed: install the extra [{extra}], for "
            f'example pip install "bigearthnet[{extra}]".'
        )


def run(
    main: Callable[..., int | None],
    define_flags: Callable[[], None],
    *,
    change_arguments: Callable[[Sequence[str]], list[str]] = list,
    takes_arguments: bool = False,
) -> None:
    """Defines the flags, parses the command line, runs a command, and exits.

    `--help` shows the command's module docstring and its flags. The exit status is 0
    after `--help`, 1 after an error of this package, of the operating system or of an
    operation of TensorFlow, whose message alone is shown.

    Args:
        main: The command; returns its exit status, None meaning 0.
        define_flags: Defines the command's absl flags. Not done at import, so that one
            command can use the functions of another.
        change_arguments: Changes the command line before it is parsed.
        takes_arguments: Whether `main` takes a list of the arguments that are not
            flags; otherwise such arguments are refused.
    """
    define_flags()
    # TensorFlow's messages at start-up would bury those of the command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A command that is told to end cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            return flags.FLAGS(change_arguments(argv))
        except (flags.Error, OptionError) as error:
            sys.exit(_report(f"{error} See --help."))
        except SystemExit:  # absl exits with 1 after --help
            sys.exit(0)

    def run_checked(argv: Sequence[str]) -> int:
        arguments = argv[1:]
        if arguments and not takes_arguments:
            return _report(f"unexpected argument {arguments[0]!r}; see --help")
        try:
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
