"""How to install what an extra of this package brings."""

from __future__ import annotations

from pathlib import Path

# The folder that holds the package: of a clone, or the site packages.
_ROOT = Path(__file__).resolve().parents[2]


def advise_install(*extras: str, root: Path = _ROOT) -> str:
    """Returns the command that installs some extras.

    Args:
        extras: Their names.
        root: The folder that holds the package.
    """
    names = ",".join(extras)
    if (root / "setup.cfg").is_file():  # a clone, which no index has
        place = "." if root == Path.cwd() else root
        return f"pip install '{place}[{names}]'"
    return f"pip install 'bigearthnet[{names}]'"
