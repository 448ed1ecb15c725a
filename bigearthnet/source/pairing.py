"""Whether what several archives, and the table of a release, say of a patch agrees."""

from __future__ import annotations

import dataclasses

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.release.nomenclature import decode_mask, encode_mask
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.metadata import TWIN
from bigearthnet.source.patch import Patch
from bigearthnet.source.placement import check_places


def check_pair(
    name: str,
    patch: Patch,
    archive: Archive,
    labels: int | None,
    place: Georeference | None,
    patch_id: str,
) -> Patch:
    """Checks that what an archive holds of a patch belongs to what others say of it.

    Args:
        name: What the archive calls the patch.
        patch: What it holds.
        archive: The archive.
        labels: Class ids that the release's table says, as a bit mask; None if it does
            not say labels.
        place: Where another archive says that the patch lies; None if it does not.
        patch_id: Its patch id, as the table of the release has it.

    Returns:
        The patch, which knows how far it is from there.

    Raises:
        PatchError: If its map makes other labels, its JSON names another patch, or it
            lies a pixel away, or more.
    """
    said = patch.fields.get(TWIN, patch_id)
    if said != patch_id:
        raise PatchError(
            f"its JSON says that it belongs to {said}: expected {patch_id}, as the "
            "table of the release has it. Extract or download the patch again.",
            patch_id=name,
            file=archive.metadata_file(name),
        )
    if labels is not None and patch.labels and encode_mask(patch.labels) != labels:
        raise PatchError(
            f"the map makes other labels than the table of the release has: expected "
            f"class ids {list(decode_mask(labels))}, got {list(patch.labels)}. One of "
            "them belongs to another patch: extract or download the patch again.",
            patch_id=name,
            file=archive.file_names(name)[0],
        )
    said_by = "another source says of the patch"
    shift = check_places(name, archive, [patch.place], place, said_by)
    if shift <= patch.shift_m:
        return patch
    return dataclasses.replace(patch, shift_m=shift)
