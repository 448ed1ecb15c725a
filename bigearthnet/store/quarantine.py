"""Bad patches that are set aside, so that a build of all the others can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bigearthnet.errors import BigEarthNetError, PatchError, QuarantineError, ShardError
from bigearthnet.util.files import write_text
from bigearthnet.util.remote import RemotePath


@dataclass(frozen=True)
class BadPatch:
    """A patch that is not stored because of what is wrong with it.

    Attributes:
        patch_id: The patch, or the folder that should be one.
        file: The file within it; None where the whole patch is meant.
        reason: What is wrong.
        offset: Where the header of its first file is in the decompressed source,
            in bytes; None in a folder.
    """

    patch_id: str
    file: str | None
    reason: str
    offset: int | None


class Quarantine:
    """Takes bad patches, up to a number.

    Attributes:
        patches: The bad patches, in the order of the source.
    """

    def __init__(self, max_bad: int, num_others: int = 0) -> None:
        """Begins empty.

        Args:
            max_bad: The most bad patches of the whole build.
            num_others: How many of these other sources had.
        """
        self._num_others = num_others
        self.patches: list[BadPatch] = []
        self._max_bad = max_bad

    def add(self, error: PatchError, offset: int | None) -> None:
        """Sets a patch aside.

        Args:
            error: What is wrong with it.
            offset: Where it is; see `BadPatch`.

        Raises:
            QuarantineError: If there are too many.
        """
        if len(self.patches) + self._num_others == self._max_bad:
            raise QuarantineError(
                f"more than {self._max_bad} bad patches, the last one {error} Is it "
                "the right source? A larger --max_bad sets more of them aside."
            )
        self.patches.append(BadPatch(error.patch_id, error.file, error.problem, offset))


def write_quarantine(patches: tuple[BadPatch, ...], path: Path) -> None:
    """Writes `quarantine.jsonl`: one JSON object a line for each bad patch."""
    lines = (json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in patches)
    write_text("".join(lines), path)


def read_quarantine(path: Path | RemotePath) -> tuple[BadPatch, ...]:
    """Reads `quarantine.jsonl`; empty if there is none.

    Raises:
        ShardError: If it is damaged.
    """
    if isinstance(path, Path) and not path.exists():
        return ()
    try:
        # Not splitlines(), which knows more ends of lines than JSON escapes.
        *lines, rest = path.read_text(encoding="utf-8").split("\n")
        if rest:
            raise ValueError("its last line is cut off")
        return tuple(BadPatch(**json.loads(line)) for line in lines)
    except BigEarthNetError:
        raise
    except (OSError, ValueError, TypeError) as cause:
        raise ShardError(f"{path} cannot be read ({cause}). Build again.") from None
