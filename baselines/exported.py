"""An exported model as a folder whose files have checksums."""

from __future__ import annotations

from pathlib import Path

from baselines.errors import WeightsError
from bigearthnet.util.files import hash_file, write_text

# Names of what an export holds, and of its signature and what that gives.
CARD, LABELS = "README.md", "labels.json"
SAVED_MODEL, MODEL = "saved_model", "model.keras"
SIGNATURE, CLASS_NAMES = "serving_default", "class_names"
# Lines of `sha256sum`: a checksum, two spaces, a path.
CHECKSUMS = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Writes the checksums of all files of an export but the card, which may change."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")
    lines = [f"{hash_file(p)}  {p.relative_to(folder).as_posix()}\n" for p in files]
    write_text("".join(lines), folder / CHECKSUMS)


def check_files(folder: Path, *names: str) -> list[str]:
    """Compares files of an export with their checksums.

    Args:
        folder: The export.
        names: Paths below it; none for all that have a checksum.

    Returns:
        The paths of those that were compared.

    Raises:
        WeightsError: If the folder is no export, or a file is missing or another.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        expected = {path: digest for digest, path in (x.split("  ", 1) for x in lines)}
    except (OSError, ValueError) as cause:
        raise WeightsError(
            f"{folder} is no model that baselines.export made: {CHECKSUMS} cannot be "
            f"read ({cause})."
        ) from None
    for name in names or expected:
        if name not in expected or not (folder / name).is_file():
            raise WeightsError(f"{folder}: {name} is missing. Export or load it again.")
        if (found := hash_file(folder / name)) != expected[name]:
            raise WeightsError(
                f"{folder / name} is not what was exported: expected sha256 "
                f"{expected[name]}, got {found}. Export or load it again."
            )
    return list(names or expected)
