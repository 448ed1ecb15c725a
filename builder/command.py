"""What every command shares: flags, and errors without a library's traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags

from bigearthnet.errors import BigEarthNetError

# Exit status of a command that was interrupted: 128 + SIGINT, as shells have it.
_INTERRUPTED = 130
# The same for SIGTERM.
_TERMINATED = 143


def path_flag(name: str) -> Path:
    """Returns the path that a flag holds, `~` being the home folder.

    Shells expand `~` at the start of a word only, and in `--data_dir=~/data` it is not.
    """
    return Path(str(flags.FLAGS[name].value)).expanduser()


def run(main: Callable[[], int | None], define_flags: Callable[[], None]) -> None:
    """Defines the flags, parses the command line, and runs a command.

    `--help` shows the command's module docstring and its flags. An error of ours ends
    the process with status 1 and its message alone.

    Args:
        main: The command; returns its exit status, None meaning 0.
        define_flags: Defines the command's absl flags. Not done at import, so that
            one command can use the functions of another.
    """
    define_flags()

    def checked(argv: list[str]) -> int:
        if len(argv) > 1:
            print(
                f"error: unexpected argument {argv[1]!r}; see --help", file=sys.stderr
            )
            return 1
        try:
            return main() or 0
        except (BigEarthNetError, OSError) as error:  # OSError: a full disk, say
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return _INTERRUPTED

    # A command that is told to end cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    app.run(checked)
