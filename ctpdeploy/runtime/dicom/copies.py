"""Copies: images that were sent twice."""

from collections.abc import Sequence

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.dicom.header import read_bytes
from ctpdeploy.runtime.dicom.plane import Plane

__all__ = ["without_copies"]


def without_copies(planes: Sequence[Plane], called: str) -> tuple[list[Plane], tuple[Finding, ...]]:
    """The planes, each once.

    Args:
        planes: of a series.
        called: its name in errors.

    Returns:
        Them, and a finding where files were left out.

    Raises:
        InputError: two files have one SOP Instance UID and different contents, or cannot be read.
    """
    kept: dict[tuple[str, int], Plane] = {}
    copies = []
    for plane in planes:
        other = kept.setdefault((plane.instance, plane.index), plane)
        if other is plane:
            continue
        copies.append(plane)
        if plane.index == 0 and read_bytes(plane.file) != read_bytes(other.file):
            raise InputError(
                f"{called} has two different images of one SOP Instance UID, {other.file.name} and {plane.file.name}: "
                "remove the one that is not of this scan."
            )
    if not copies:
        return list(planes), ()
    sentence = f"{len(copies)} images were there twice, {copies[0].file.name} among them: each was read once."
    return list(kept.values()), (finding("images-twice", sentence),)
