"""`write_report`: a study's page into its folder."""

from __future__ import annotations

import os
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.study.conclusions.make import Conclusions
from polytask.study.report.page import page

FILE = "report.html"


def write_report(conclusions: Conclusions) -> Path:
    """`STUDY/report.html`, whole or not at all.

    Raises:
        PolytaskError: it cannot be written.
    """
    path = conclusions.gathered.study.folder / FILE
    text, part = page(conclusions), path.with_name(f".{FILE}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); free some space or allow writing there, then run the same "
            "command again: finished runs are kept"
        ) from None
    return path
