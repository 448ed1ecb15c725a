"""Bad patches that are set aside, so that a build of all the others can go on."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bigearthnet.errors import BigEarthNetError, PatchError, QuarantineError, ShardError
from bigearthnet.util.files import write_text
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.remote_files import write_file
from bigearthnet.util.wording import count_of

# Reasons that an error counts; the list has them all.
_MOST_REASONS = 3


@dataclass(frozen=True)
class BadPatch:
    """A patch that is not stored because of what is wrong with it.

    Attributes:
        patch_id: The patch, or the folder that should be one.
        file: The file within it; None where the whole patch is meant.
        reason: What is wrong.
        offset: Where the header of its first file is in the decompressed source, or
            in its part of a cut archive, in bytes; None in a folder.
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

    def __init__(
        self,
        max_bad: int,
        left_in: Path | RemotePath,
        others: Sequence[BadPatch] = (),
    ) -> None:
        """Begins empty.

        Args:
            max_bad: The most bad patches of the whole build.
            left_in: Where the list is left if there are more.
            others: Those that other sources had.
        """
        self.patches: list[BadPatch] = []
        self._max_bad, self._left_in, self._others = max_bad, left_in, others

    def add(self, error: PatchError, offset: int | None) -> None:
        """Sets a patch aside.

        Args:
            error: What is wrong with it.
            offset: Where it is; see `BadPatch`.

        Raises:
            QuarantineError: If there are too many.
        """
        self.set_aside(BadPatch(error.patch_id, error.file, error.problem, offset))

    def set_aside(self, bad: BadPatch) -> None:
        """Takes a bad patch; errors as in `add`."""
        if len(self.patches) + len(self._others) == self._max_bad:
            raise leave_quarantine(
                [*self._others, *self.patches, bad],
                self._left_in,
                f"more than {count_of(self._max_bad, 'bad patch')}",
                "Is it the right source? A larger --max_bad sets more of them aside.",
            )
        self.patches.append(bad)


def describe_reasons(patches: Sequence[BadPatch]) -> str:
    """Says why patches were set aside: the most frequent reasons, and the first patch.

    Args:
        patches: The bad patches, at least one.
    """
    # What follows a colon or a bracket differs from patch to patch.
    kinds = Counter(re.split("[:(]", bad.reason)[0].strip(" .") for bad in patches)
    texts = [f"{n:,} × {kind}" for kind, n in kinds.most_common(_MOST_REASONS)]
    if rest := sum(kinds.values()) - sum(n for _, n in kinds.most_common(len(texts))):
        texts.append(f"{rest:,} × something else")
    first = patches[0]
    error = PatchError(first.reason, patch_id=first.patch_id, file=first.file)
    return f"{', '.join(texts)}; the first is {str(error).removesuffix('.')}."


def leave_quarantine(
    patches: Sequence[BadPatch], path: Path | RemotePath, problem: str, remedy: str
) -> QuarantineError:
    """Leaves the list of a build that ends without a store, and returns its error.

    Args:
        patches: The bad patches, at least one.
        path: Where the list is left.
        problem: What ends the build, without a full stop.
        remedy: What to do, as a sentence.
    """
    try:
        write_quarantine(patches, path)
        where = f"{path} lists them."
    except OSError as cause:  # why the build ends matters more
        where = f"Their list could not be written ({cause})."
    return QuarantineError(f"{problem}: {describe_reasons(patches)} {where} {remedy}")


def write_quarantine(patches: Sequence[BadPatch], path: Path | RemotePath) -> None:
    """Writes `quarantine.jsonl`: one JSON object a line for each bad patch."""
    lines = (json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in patches)
    if isinstance(path, Path):
        write_text("".join(lines), path)
    else:
        write_file(path, "".join(lines).encode())


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
