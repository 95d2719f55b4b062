"""Check files: missing, unreadable, not finite, constant, or the same file under two subjects."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.header import count_modality_planes
from polytask.errors import Problem


def check_file_contents(evidence: Evidence) -> Iterator[Problem]:
    """Find files that are missing, cannot be read, or hold values that no image may hold."""
    header = evidence.header
    for use in evidence.file_cells:
        if (failure := evidence.failures.get(use.key)) is not None:
            yield _report_unreadable_file(evidence, use, failure)
            continue
        if use.role == "slide":
            continue
        look = evidence.looks[use.key]
        if not look.finite:
            yield evidence.of(
                use,
                "error",
                "not-finite",
                f"{use.column}: NaN or Inf among the voxels",
                "replace them with the background value, or mark where the dose counts in `_region`"
                if use.role == "dose"
                else "replace them with the background value",
            )
        if use.role == "image":
            modality = header.images[use.owner].channels[use.part]
            expected, is_mask = count_modality_planes(modality), modality == "mask"
            if look.channels != expected:
                yield evidence.of(
                    use,
                    "error",
                    "wrong-channels",
                    f"{use.column}: {look.channels} channels in one file, expected {expected}",
                    "write it as RGB, or declare gray pictures as `other`"
                    if expected == 3
                    else "write one file per channel, or declare a color image as `RGB` in the header",
                )
            if look.constant and look.finite and not is_mask:
                yield evidence.of(
                    use,
                    "warning",
                    "constant-image",
                    f"{use.column}: all voxels are equal",
                    "look at the file; empty the cell if there is no usable image",
                )
        elif use.role == "region" and look.values and all(v <= {0} for v in look.values):
            yield evidence.of(
                use,
                "warning",
                "empty-region",
                f"{use.column}: the region is empty, so the target counts nowhere",
                "empty the cell if it counts everywhere",
            )


def _report_unreadable_file(evidence: Evidence, use: FileCell, failure: str) -> Problem:
    if not failure:
        return evidence.of(
            use,
            "error",
            "missing-file",
            f"{use.column}: no such file",
            "correct the path (it is relative to the table), or empty the cell if there is no such file",
        )
    message, _, remedy = failure.rpartition("; ")
    return evidence.of(
        use,
        "error",
        "unreadable",
        f"{use.column}: {message or failure}",
        remedy if message else "write the file again, or empty the cell",
    )


def check_duplicate_files(evidence: Evidence) -> Iterator[Problem]:
    """Find the same image or dose (by content) and the same mask file (by path) under two subjects or visits."""
    first: dict[tuple[str, str], FileCell] = {}
    for use in evidence.file_cells:
        look = evidence.looks.get(use.key)
        if look is None or use.role == "region" or look.constant:
            continue
        # Two masks may be equal by chance (both empty, both one box), so that only their paths are compared.
        drawn = use.role == "image" and evidence.header.images[use.owner].channels[use.part] == "mask"
        content = str(use.path.resolve()) if drawn or not look.digest else look.digest
        before = first.setdefault((use.role, content), use)
        if before.subject != use.subject:
            yield evidence.of(
                use,
                "error",
                "same-file",
                f"{use.column}: the same content as {before.cell} of subject "
                f"{before.subject!r} (row {before.row})",
                "give both rows the same subject, or remove one of them",
            )
        elif before.visit != use.visit:
            yield evidence.of(
                use,
                "warning",
                "same-visit-file",
                f"{use.column}: the same content as at visit {before.visit!r} (row {before.row})",
                "correct one of the two paths",
            )
