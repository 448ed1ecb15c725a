"""What every command shares: flags, and errors without a library's traceback."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from bigearthnet.errors import BigEarthNetError, OptionError

# Exit statuses of a command that was interrupted or told to end: 128 + the signal.
_INTERRUPTED = 130
_TERMINATED = 143


def path_flag(name: str) -> Path:
    """Returns the path that a flag holds, `~` being the home folder."""
    return Path(str(flags.FLAGS[name].value)).expanduser()


def optional_path_flag(name: str) -> Path | None:
    """Returns the path that a flag holds, or None where it was not given."""
    return None if flags.FLAGS[name].value is None else path_flag(name)


def check_packages(*names: str) -> None:
    """Refuses to start where packages that a command needs are not installed.

    Args:
        names: Their names as they are imported; none of them is imported here.

    Raises:
        OptionError: If some are missing.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise OptionError(
            f"{', '.join(missing)} not installed: install the extra [baselines], for "
            'example pip install "bigearthnet[baselines]".'
        )


def run(
    main: Callable[[], int | None],
    define_flags: Callable[[], None],
    change_arguments: Callable[[Sequence[str]], list[str]] = list,
) -> None:
    """Defines the flags, parses the command line, and runs a command.

    An error of ours, of the operating system or of an operation of TensorFlow ends the
    process with status 1 and its message alone.

    Args:
        main: The command; returns its exit status, None meaning 0.
        define_flags: Defines the command's absl flags; not done at import, so that one
            command can use the functions of another.
        change_arguments: Changes the command line before it is parsed.
    """
    define_flags()
    # TensorFlow's notes on start-up hide what a command has to say.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        argv = change_arguments(sys.argv)
    except BigEarthNetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    app.run(lambda rest: _run_checked(main, rest), argv)


def _run_checked(main: Callable[[], int | None], argv: list[str]) -> int:
    if len(argv) > 1:
        print(f"error: unexpected argument {argv[1]!r}; see --help", file=sys.stderr)
        return 1
    try:
        return main() or 0
    except (BigEarthNetError, OSError) as error:  # OSError: a full disk, say
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except Exception as error:
        if not _is_tensorflow_error(error):
            raise
        first_line = str(error).strip().partition("\n")[0]
        print(f"error: {type(error).__name__}: {first_line}", file=sys.stderr)
        return 1


def _is_tensorflow_error(error: Exception) -> bool:
    """Whether an operation failed: too little memory, a device that is lost, say."""
    if "tensorflow" not in sys.modules:
        return False
    import tensorflow as tf

    return isinstance(error, tf.errors.OpError)
