"""Check slides: no tissue, another feature width than in the header, one slide under two subjects."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.errors import Problem


def check_slides(evidence: Evidence) -> Iterator[Problem]:
    """Find slides without tissue, with a wrong feature width, or with the same content as another subject's.

    Files that are missing or unreadable are reported by the check of files.
    """
    first: dict[tuple[str, str], FileCell] = {}
    for file_cell in evidence.file_cells:
        facts = evidence.slide_facts.get(file_cell.key)
        if facts is None:
            continue
        width = evidence.header.slides[file_cell.owner].features
        if width is None and not facts.patches:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "no-tissue",
                f"{file_cell.column}: no patch with enough tissue",
                "look at the slide; use smaller patches (`patch`, `mpp`), or empty the cell",
            )
        if width is not None and facts.width != width:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "wrong-width",
                f"{file_cell.column}: {facts.width} features per patch, but the header says {width}",
                "compute all bags with one network, and write its width as `features`",
            )
        before = first.setdefault((file_cell.owner, facts.digest), file_cell)
        if before.subject != file_cell.subject:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "same-file",
                f"{file_cell.column}: the same content as {before.cell} of subject "
                f"{before.subject!r} (row {before.row})",
                "give both rows the same subject, or remove one of them",
            )
