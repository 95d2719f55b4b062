"""Writes the page of a study into the folder of the study."""

from __future__ import annotations

import os
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.study_page import render_study_page

STUDY_REPORT_FILE = "report.html"


def write_study_report(conclusions: Conclusions) -> Path:
    """Write `STUDY/report.html` completely or not at all.

    Raises:
        PolytaskError: the file cannot be written.
    """
    path = conclusions.gathered.study.folder / STUDY_REPORT_FILE
    text, part = render_study_page(conclusions), path.with_name(f".{STUDY_REPORT_FILE}.part")
    try:
        part.write_text(text, encoding="utf-8")
        # Renaming within a folder is atomic: a browser never loads half a page.
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise PolytaskError(
            f"{path}: cannot be written ({error.strerror}); free some space or allow writing there, then run the same "
            "command again: finished runs are kept"
        ) from None
    return path
