"""Check files: missing, unreadable, not finite, constant, or the same file under two subjects."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.header import count_modality_planes
from polytask.errors import Problem


def check_file_contents(evidence: Evidence) -> Iterator[Problem]:
    """Find files that are missing, cannot be read, or hold values that no image may hold."""
    header = evidence.header
    for file_cell in evidence.file_cells:
        if (failure := evidence.failures.get(file_cell.key)) is not None:
            yield _report_unreadable_file(evidence, file_cell, failure)
            continue
        if file_cell.role == "slide":
            continue
        facts = evidence.image_facts[file_cell.key]
        if not facts.finite:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "not-finite",
                f"{file_cell.column}: NaN or Inf among the voxels",
                f"replace them with the background value, or mark where the {file_cell.role} counts in `_region`"
                if file_cell.role in ("dose", "map")
                else "replace them with the background value",
            )
        if file_cell.role == "image":
            modality = header.images[file_cell.owner].channels[file_cell.part]
            expected, is_mask = count_modality_planes(modality), modality == "mask"
            if facts.channels != expected:
                yield evidence.make_file_problem(
                    file_cell,
                    "error",
                    "wrong-channels",
                    f"{file_cell.column}: {facts.channels} channels in one file, expected {expected}",
                    "write it as RGB, or declare gray pictures as `other`"
                    if expected == 3
                    else "write one file per channel, or declare a color image as `RGB` in the header",
                )
            if facts.constant and facts.finite and not is_mask:
                yield evidence.make_file_problem(
                    file_cell,
                    "warning",
                    "constant-image",
                    f"{file_cell.column}: all voxels are equal",
                    "look at the file; empty the cell if there is no usable image",
                )
        elif file_cell.role == "region" and facts.values and all(v <= {0} for v in facts.values):
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "empty-region",
                f"{file_cell.column}: the region is empty, so the target counts nowhere",
                "empty the cell if it counts everywhere",
            )


def _report_unreadable_file(evidence: Evidence, file_cell: FileCell, failure: str) -> Problem:
    if not failure:
        return evidence.make_file_problem(
            file_cell,
            "error",
            "missing-file",
            f"{file_cell.column}: no such file",
            "correct the path (it is relative to the table), or empty the cell if there is no such file",
        )
    message, _, remedy = failure.rpartition("; ")
    return evidence.make_file_problem(
        file_cell,
        "error",
        "unreadable",
        f"{file_cell.column}: {message or failure}",
        remedy if message else "write the file again, or empty the cell",
    )


def check_duplicate_files(evidence: Evidence) -> Iterator[Problem]:
    """Find the same image or dose (by content) and the same mask file (by path) under two subjects or visits."""
    first: dict[tuple[str, str], FileCell] = {}
    for file_cell in evidence.file_cells:
        facts = evidence.image_facts.get(file_cell.key)
        if facts is None or file_cell.role == "region" or facts.constant:
            continue
        # Two masks may be equal by chance (both empty, both one box), so that only their paths are compared.
        drawn = (
            file_cell.role == "image"
            and evidence.header.images[file_cell.owner].channels[file_cell.part] == "mask"
        )
        content = str(file_cell.path.resolve()) if drawn or not facts.digest else facts.digest
        before = first.setdefault((file_cell.role, content), file_cell)
        if before.subject != file_cell.subject:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "same-file",
                f"{file_cell.column}: the same content as {before.cell} of subject "
                f"{before.subject!r} (row {before.row})",
                "give both rows the same subject, or remove one of them",
            )
        elif before.visit != file_cell.visit:
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "same-visit-file",
                f"{file_cell.column}: the same content as at visit {before.visit!r} (row {before.row})",
                "correct one of the two paths",
            )
