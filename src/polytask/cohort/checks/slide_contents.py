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
    for use in evidence.file_cells:
        look = evidence.slides.get(use.key)
        if look is None:
            continue
        width = evidence.header.slides[use.owner].features
        if width is None and not look.patches:
            yield evidence.of(
                use,
                "error",
                "no-tissue",
                f"{use.column}: no patch with enough tissue",
                "look at the slide; use smaller patches (`patch`, `mpp`), or empty the cell",
            )
        if width is not None and look.width != width:
            yield evidence.of(
                use,
                "error",
                "wrong-width",
                f"{use.column}: {look.width} features per patch, but the header says {width}",
                "compute all bags with one network, and write its width as `features`",
            )
        before = first.setdefault((use.owner, look.digest), use)
        if before.subject != use.subject:
            yield evidence.of(
                use,
                "error",
                "same-file",
                f"{use.column}: the same content as {before.cell} of subject {before.subject!r} (row {before.row})",
                "give both rows the same subject, or remove one of them",
            )
